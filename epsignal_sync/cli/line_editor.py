"""A line that is typed while something else is drawn: what the keys do to it, and the terminal that hands them over one by one.

Readline cannot be used for that: it draws the line itself, where nothing else may be drawn meanwhile.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator

try:
    import termios
    import tty
except ImportError:  # Windows: the line is typed there as everywhere else
    termios = tty = None  # type: ignore[assignment]

END_OF_INPUT = None
WAKE_INTERVAL = 0.2
"""Seconds after which the thread looks whether it is to end."""
LONGEST = 500
"""Characters of a line: more is a slip, such as a pasted file."""

_ESCAPE, _DELETE, _BACKSPACE, _CTRL_D, _CTRL_U, _CTRL_W = "\x1b", "\x7f", "\b", "\x04", "\x15", "\x17"
_OLDER, _NEWER = "A", "B"


class LineEditor:
    """The line as it is so far. Pure: it is told the characters."""

    def __init__(self) -> None:
        self.text = ""
        self._lines: list[str] = []
        self._at = 0
        """Which of the lines before is shown; their number: the new one."""
        self._escape = ""
        """How far an escape sequence has come."""

    def feed(self, characters: str) -> list[str | None]:
        """Take what was typed; returns the lines that are complete with it, END_OF_INPUT for Ctrl-D on an empty one."""
        complete: list[str | None] = []
        for character in characters:
            if self._take_escape(character):
                continue
            if character in "\r\n":
                complete.append(self._enter())
            elif character == _CTRL_D:
                if not self.text:
                    complete.append(END_OF_INPUT)
            elif character in (_DELETE, _BACKSPACE):
                self.text = self.text[:-1]
            elif character == _CTRL_U:
                self.text = ""
            elif character == _CTRL_W:
                self.text = self.text.rstrip().rpartition(" ")[0]
                self.text += " " if self.text else ""
            elif character.isprintable() and len(self.text) < LONGEST:
                self.text += character
        return complete

    def _enter(self) -> str:
        line, self.text = self.text, ""
        if line.strip() and self._lines[-1:] != [line]:
            self._lines.append(line)
        self._at = len(self._lines)
        return line

    def _take_escape(self, character: str) -> bool:
        """Take a character of an escape sequence, such as that of a key with an arrow; False for any other."""
        if character == _ESCAPE:
            self._escape = _ESCAPE
            return True
        if not self._escape:
            return False
        if self._escape == _ESCAPE:
            # The escape key alone is followed by anything.
            self._escape = self._escape + character if character in "[O" else ""
            return bool(self._escape)
        if "@" <= character <= "~":
            self._escape = ""
            if character in (_OLDER, _NEWER):
                self._recall(-1 if character == _OLDER else 1)
        return True

    def _recall(self, step: int) -> None:
        self._at = min(max(self._at + step, 0), len(self._lines))
        self.text = self._lines[self._at] if self._at < len(self._lines) else ""


class Keyboard:
    """The thread ``epsignal-keyboard``, which reads a terminal into an editor.

    ``changed`` is called there after each key, ``entered`` with each line, END_OF_INPUT at the end.
    """

    def __init__(self, descriptor: int, editor: LineEditor, changed: Callable[[], None], entered: Callable[[str | None], None]) -> None:
        self._descriptor = descriptor
        self._editor = editor
        self._changed = changed
        self._entered = entered
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="epsignal-keyboard", daemon=True)

    def __enter__(self) -> Keyboard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(5 * WAKE_INTERVAL)

    def _run(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while not self._ended.is_set():
            if not select.select([self._descriptor], [], [], WAKE_INTERVAL)[0]:
                continue
            try:
                data = os.read(self._descriptor, 1024)
            except OSError:  # the terminal has gone
                data = b""
            lines = self._editor.feed(decoder.decode(data)) if data else [END_OF_INPUT]
            self._changed()
            for line in lines:
                self._entered(line)
            if not data:
                return


def has_single_keys() -> bool:
    """Whether a terminal can hand over its keys one by one here."""
    return termios is not None


@contextlib.contextmanager
def single_keys(descriptor: int) -> Iterator[None]:
    """Have a terminal hand over its keys one by one and unseen; Ctrl-C and Ctrl-Z do what they always do."""
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor, termios.TCSADRAIN)  # what was typed before is kept
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
