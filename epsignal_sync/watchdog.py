"""The thread that tells of a callback which runs for too long, and where it is. Knows nothing of what callbacks are for."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

from . import notes

LONG_CALLBACK = 5.0
"""Seconds after which a callback is told of, once for each run."""
DEEPEST = 30
"""Frames of its stack that are shown, the innermost ones."""


Run = tuple[object, int, float]
"""One run of a callback: what the log calls by its repr, the ident of the thread, and its beginning by the monotonic clock.

A plain tuple, since every callback makes one; each is another object.
"""


class Watchdog:
    """The thread ``epsignal-watchdog``. While callbacks run it looks at them every few seconds; it sleeps while none is there.

    ``look`` returns the run of this moment, if there is one, and ``idle`` whether none will come by itself. Both are called
    on the thread with a lock held, so they must not wait.
    """

    def __init__(self, look: Callable[[], Run | None], idle: Callable[[], bool]) -> None:
        self._look = look
        self._idle = idle
        # Re-entrant: a signal handler may call close() in the middle of wake().
        self._watchdog_lock = threading.Condition()
        self._asleep = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="epsignal-watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Have it look, if it sleeps: there is something to run. Does not block; any thread."""
        if self._asleep:
            with self._watchdog_lock:
                self._watchdog_lock.notify_all()

    def close(self, timeout: float | None) -> None:
        """End the thread; waits at most ``timeout`` seconds. Idempotent; any thread."""
        with self._watchdog_lock:
            self._closing = True
            self._watchdog_lock.notify_all()
        if self._thread.is_alive() and self._thread is not threading.current_thread():  # a log handler may close the client
            self._thread.join(timeout)

    def _run(self) -> None:
        told: Run | None = None
        while True:
            with self._watchdog_lock:
                self._asleep = True  # before looking: whoever has something to run sees this, or is seen
                if self._look() is None and self._idle() and not self._closing:
                    self._watchdog_lock.wait()
                self._asleep = False
                if not self._closing:  # a while each time, so that not every message has to wake it
                    self._watchdog_lock.wait(self._seconds_to_wait(told))
                if self._closing:
                    return
            run = self._look()
            if run is not None and run is not told and time.monotonic() - run[2] >= LONG_CALLBACK:
                told = run
                self._tell(run)

    def _seconds_to_wait(self, told: Run | None) -> float:
        run = self._look()
        if run is None or run is told:
            return LONG_CALLBACK
        return max(0.0, run[2] + LONG_CALLBACK - time.monotonic())

    def _tell(self, run: Run) -> None:
        subscription, thread, began_at = run
        stack = stack_of(thread)
        if self._look() is not run:
            return  # it ended meanwhile: the stack may be another one's
        seconds = time.monotonic() - began_at
        text = f"{subscription!r} has run for {seconds:.0f} s, and no other callback runs until it returns; its stack says where it is"
        notes.write(notes.CALLBACKS, logging.WARNING, text, stack=stack)


def stack_of(thread: int) -> str:
    """Return where a thread is now: file, line and function of each frame, the innermost last. No values and no source lines.

    A source line may hold a password, as in a call of connect().
    """
    frame = sys._current_frames().get(thread)
    lines: list[str] = []
    while frame is not None and len(lines) < DEEPEST:
        lines.append(f'  File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}')
        frame = frame.f_back
    return "\n".join(["Stack (most recent call last):", *reversed(lines)])
