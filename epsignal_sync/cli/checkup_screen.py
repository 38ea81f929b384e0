"""How the steps of an examination are shown, on a terminal and on a pipe. Knows nothing of what is examined."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.status import Status
from rich.text import Text

from .checkup import Outcome, Result
from .outputs import can_show, plain

MARKS = {Outcome.OK: ("✓", "+"), Outcome.FAILED: ("✗", "!"), Outcome.SKIPPED: ("–", "-"), Outcome.NOT_REACHED: (" ", " ")}
"""For each outcome a mark, and the one for a terminal or file that has not that character."""
STYLES = {Outcome.OK: "green", Outcome.FAILED: "bold red", Outcome.SKIPPED: "yellow", Outcome.NOT_REACHED: "dim"}
WORD, NAME = 9, 12
INDENT = 2 + WORD + NAME
"""Columns of the mark, the outcome and the step."""
NARROWEST = 30
"""Columns that are enough for a text; where there are fewer it stands below the step."""
NARROW_INDENT = 4
WIDEST = 110
_HALF_A_FINGERPRINT = re.compile(r"(?<![0-9A-F:])([0-9A-F]{2}:){16}")


class CheckupScreen:
    """Shows each result as it comes; on a terminal wrapped at its width, and with the step that is under way. Main thread."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._on_terminal = sys.stdout.isatty() and self._console.is_terminal
        self._unicode = can_show("✓✗–")

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
        text, indent = plain(text), INDENT
        if not self._on_terminal:
            self._say_line(head, text, style)
            return
        columns = min(WIDEST, shutil.get_terminal_size().columns)
        too_long = cell_len(text) > columns - INDENT
        if columns < INDENT + NARROWEST and (too_long or not head.strip()):
            if head.strip():
                self._say_line(head.rstrip(), "", style)
            indent = NARROW_INDENT
            head = " " * indent
        elif too_long:
            # A fingerprint that is too long is broken in its middle, between two bytes.
            text = _HALF_A_FINGERPRINT.sub(r"\g<0> ", text)
        for line in Text(text).wrap(self._console, max(1, columns - indent)):
            self._say_line(head, line.plain.rstrip(), style)
            head = " " * indent

    def _say_line(self, head: str, text: str, style: str) -> None:
        if self._on_terminal:
            self._console.print(Text.assemble((head, style), text), soft_wrap=True)
        else:
            print(f"{head}{text}".rstrip(), flush=True)
