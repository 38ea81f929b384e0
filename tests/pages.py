"""What a page under docs/ shows, taken apart: its programs, and what stands on its terminals."""

from __future__ import annotations

import configparser
import contextlib
import pathlib
import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from .test_samples import ROOT, start


class Step(NamedTuple):
    """A command of a shell, and the lines that it shows."""

    command: str
    output: list[str]


class Page:
    """A page of docs/, by its file name."""

    def __init__(self, name: str) -> None:
        self.text = (ROOT / "docs" / name).read_text(encoding="utf-8")

    def section(self, title: str) -> str:
        """Return what stands below a heading of the second rank."""
        before, found, after = self.text.partition(f"\n## {title}\n")
        assert found and f"\n## {title}\n" not in after, title
        return after.partition("\n## ")[0]

    def blocks(self, language: str, title: str | None = None) -> list[str]:
        """Return the code blocks of a language, of one section or of all."""
        text = self.text if title is None else self.section(title)
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    def block(self, title: str, language: str = "python") -> str:
        """Return the one code block of a section."""
        (found,) = self.blocks(language, title)
        return found

    def file(self, name: str) -> str:
        """Return the program that is to be saved under a name."""
        block = self.text.partition(f"Save this as `{name}`")[2].partition("```python\n")[2].partition("```\n")[0]
        assert block, name
        return block

    def steps(self, title: str | None = None) -> list[Step]:
        """Return the commands with a prompt of a section or of all, and what is shown below each."""
        steps = []
        for block in self.blocks("console", title):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                steps.append(Step(command, output.splitlines()))
        return steps

    @contextlib.contextmanager
    def running(self, title: str, directory: pathlib.Path, *places: tuple[str, str], **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Run the program of a section, with other values in some places; it is killed if it is still there at the end."""
        program = self.block(title)
        for place, value in places:
            assert program.count(place) == 1, place
            program = program.replace(place, value)
        (directory / "program.py").write_text(program, encoding="utf-8")
        process = start("-X", "dev", "-W", "error", str(directory / "program.py"), **variables)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def stable(text: str) -> str:
    """Return what is shown, with what differs each time replaced (times, dates, ports, challenges), and columns as single blanks."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d\b", "DATE", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "TIME", text)
    text = re.sub(r"\b\d+:\d\d\b", "DURATION", text)
    text = re.sub(r"\b\d+(\.\d)? ms\b", "MS", text)
    text = re.sub(r"\bport \d+:", "port PORT:", text)
    text = re.sub(r'("challenge":")[0-9a-f]+', r"\1X", text)
    text = re.sub(r"\b127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return " ".join(text.split())


def declared_extras() -> set[str]:
    """Return the extras that can be installed."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return set(config["options.extras_require"])
