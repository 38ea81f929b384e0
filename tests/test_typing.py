"""What a type checker knows of the public names: it takes typical code, and refuses typical mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run_mypy(name: str, cache: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), str(HERE / "typing" / name)]
    return subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, timeout=110).stdout


def test_typical_code_is_accepted(tmp_path: Path) -> None:
    assert run_mypy("accepted.py", tmp_path) .startswith("Success")


def test_typical_mistakes_are_refused(tmp_path: Path) -> None:
    output = run_mypy("refused.py", tmp_path)
    lines = (HERE / "typing" / "refused.py").read_text().splitlines()
    wanted = {(number, match[1]) for number, line in enumerate(lines, 1) if (match := re.search(r"  # ([a-z-]+)", line))}
    found = {(int(number), code) for number, code in re.findall(r"refused\.py:(\d+): error: .*\[([a-z-]+)\]", output)}
    assert len(wanted) == 26
    assert found == wanted
