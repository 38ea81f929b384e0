"""How the steps of an examination are shown, on a terminal and on a pipe. Knows nothing of what is examined."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator

from rich.console import Console
from rich.status import Status
from rich.text import Text

from .checkup import Outcome, Result
from .outputs import plain

MARKS = {Outcome.OK: ("✓", "+"), Outcome.FAILED: ("✗", "!"), Outcome.SKIPPED: ("–", "-"), Outcome.NOT_REACHED: (" ", " ")}
"""For each outcome a mark, and the one for a terminal or file that has not that character."""
STYLES = {Outcome.OK: "green", Outcome.FAILED: "bold red", Outcome.SKIPPED: "yellow", Outcome.NOT_REACHED: "dim"}
WORD, NAME = 9, 12
INDENT = 2 + WORD + NAME
"""Columns of the mark, the outcome and the step."""
NARROWEST = 20
"""Columns that a text gets at least."""
WIDEST = 110
_HALF_A_FINGERPRINT = re.compile(r"(?<![0-9A-F:])([0-9A-F]{2}:){16}")


class CheckupScreen:
    """Shows each result as it comes; on a terminal wrapped at its width, and with the step that is under way. Main thread."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._on_terminal = sys.stdout.isatty() and self._console.is_terminal
        self._unicode = _can_show("✓✗–", sys.stdout.encoding)

    @contextlib.contextmanager
    def working(self, step: str) -> Iterator[None]:
        """Show on a terminal that a step is under way."""
        if not self._on_terminal:
            yield
            return
        with Status(Text(f"{step} ..."), console=self._console, spinner="line"):
            yield

    def show(self, result: Result) -> None:
        """Show what came of a step."""
        word = "" if result.outcome is Outcome.NOT_REACHED else result.outcome.value
        head = f"{MARKS[result.outcome][not self._unicode]} {word:<{WORD}}{result.step:<{NAME}}"
        self._say(head, result.text, STYLES[result.outcome])
        for name, text in result.details:
            self._say(f"{'':{INDENT}}", f"{name}: {text}", "")
        if result.advice:
            self._say(f"{'':{2 + WORD}}{'try':<{NAME}}", result.advice, "bold")
        if result.pin:
            # Not wrapped by us: in one piece it can be copied.
            self._say_line("to accept just this certificate, once you compared it with the PBX's own:", "", "")
            self._say_line(f"  --fingerprint {result.pin}", "", "")

    def _say(self, head: str, text: str, style: str) -> None:
        lines = [plain(text)]
        if self._on_terminal:
            room = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns) - INDENT)
            # A fingerprint that is too long is broken in its middle, between two bytes.
            halves = _HALF_A_FINGERPRINT.sub(r"\g<0> ", lines[0]) if len(lines[0]) > room else lines[0]
            lines = textwrap.wrap(halves, room, break_on_hyphens=False) or [""]
        self._say_line(head, lines[0], style)
        for line in lines[1:]:
            self._say_line(" " * INDENT, line, "")

    def _say_line(self, head: str, text: str, style: str) -> None:
        if self._on_terminal:
            self._console.print(Text.assemble((head, style), text), soft_wrap=True)
        else:
            print(f"{head}{text}".rstrip(), flush=True)


def _can_show(characters: str, encoding: str | None) -> bool:
    try:
        characters.encode(encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True
