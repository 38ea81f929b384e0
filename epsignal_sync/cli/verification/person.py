"""The person who is asked to do something with a phone: what is said, what is answered, and waiting for either.

Knows nothing of what is asked for, or of where the lines come from.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from ...deadline import Deadline
from ..progress import progress

T = TypeVar("T")

SKIP, FINISH = "s", "q"
LOOK_INTERVAL = 0.2
"""Seconds between two looks at what was typed, while something else is waited for."""
ANSWER_TIME = 120.0
"""Seconds for which a question waits."""


class Skipped(Exception):
    """The person does not want to do this."""


class TimedOut(Exception):
    """What was waited for did not come."""


class Finished(Exception):
    """The person wants to end here."""


class Person:
    """``say`` shows a text. ``patience`` is by how much every time-out is longer, ``pace`` every pause: for tests, not for people."""

    def __init__(self, say: Callable[[str], None], *, patience: float = 1.0, pace: float = 1.0) -> None:
        self.say = say
        self.patience = patience
        self._pace = pace
        self.happened = threading.Condition()
        """Notified when a wait is worth another look."""
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._gone = False

    def enter(self, line: str) -> None:
        """Take a line that was typed. Does not block; any thread."""
        self._lines.put(line.strip().lower())
        self._notify()

    def leave(self) -> None:
        """Take note that nobody types any more: questions are skipped, what happens at the phone is still waited for. Any thread."""
        self._gone = True
        self._notify()

    def _notify(self) -> None:
        with self.happened:
            self.happened.notify_all()

    def wait(self, look: Callable[[], T | None], seconds: float, *, to_do: str = "") -> T:
        """Ask for something to be done, if there is anything to do, and return the first result of ``look`` that is not None.

        Raises Skipped, Finished, and TimedOut after ``seconds``.
        """
        if to_do:
            self.say(f"  > {to_do} [{seconds:g} s; {SKIP}: skip, {FINISH}: end]")
        return self._wait(look, Deadline(seconds * self.patience))

    def look_out(self, look: Callable[[], T | None], seconds: float) -> T | None:
        """Return the first result of ``look`` that is not None, or None after ``seconds``. Raises Skipped, Finished."""
        try:
            return self._wait_by_the_clock(look, seconds * self.patience)
        except TimedOut:
            return None

    def pause(self, seconds: float) -> None:
        """Let time go by, for what may still come. Raises Skipped, Finished."""
        try:
            self._wait_by_the_clock(lambda: None, seconds * self._pace)
        except TimedOut:
            pass

    def _wait_by_the_clock(self, look: Callable[[], T | None], seconds: float) -> T:
        """Wait with a bar that shows how long it still takes, since there is nothing to be done meanwhile."""
        deadline = Deadline(seconds)
        with progress("  waiting", seconds) as advance:
            return self._wait(look, deadline, lambda: advance(seconds - (deadline.remaining() or 0.0)))

    def _wait(self, look: Callable[[], T | None], deadline: Deadline, looked: Callable[[], None] = lambda: None) -> T:
        while True:
            looked()
            found = look()
            if found is not None:
                return found
            if deadline.expired:
                raise TimedOut
            line = self._typed(deadline.remaining(LOOK_INTERVAL))
            if line:
                self.say(f"  {SKIP} and Enter skips this, {FINISH} and Enter ends it all")

    def done(self, to_do: str, seconds: float = ANSWER_TIME) -> None:
        """Ask for something that only the person can see the end of. Raises Skipped, Finished, TimedOut."""
        self.say(f"  > {to_do} Then press Enter. [{SKIP}: skip, {FINISH}: end]")
        self._line(seconds)

    def ask(self, question: str) -> bool:
        """Return the answer to a question. Raises Skipped, Finished, TimedOut."""
        self.say(f"  ? {question} [y or n; {SKIP}: skip, {FINISH}: end]")
        while True:
            line = self._line(ANSWER_TIME)
            if line in ("y", "yes", "n", "no"):
                return line[0] == "y"
            self.say(f"  y for yes, n for no, {SKIP} for neither, {FINISH} for the end, and Enter")

    def _line(self, seconds: float) -> str:
        deadline = Deadline(seconds * self.patience)
        while (line := self._typed(deadline.remaining(LOOK_INTERVAL))) is None:
            if self._gone and self._lines.empty():
                raise Skipped
            if deadline.expired:
                raise TimedOut
        return line

    def _typed(self, seconds: float | None) -> str | None:
        """Return the next line that was typed, None where there is none after ``seconds`` or once something else happened."""
        with self.happened:
            if self._lines.empty():
                self.happened.wait(seconds)
        try:
            line = self._lines.get_nowait()
        except queue.Empty:
            return None
        if line == SKIP:
            raise Skipped
        if line == FINISH:
            raise Finished
        return line
