"""temporary"""
from __future__ import annotations
import os
from ..recording.lines import Line, parse_line, LineError

def read_lines(path: str | os.PathLike[str]) -> list[Line]:
    with open(path, "rb") as f:
        return [parse_line(l) for l in f]
