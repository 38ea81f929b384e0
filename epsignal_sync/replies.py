"""What a blocking call waits for. Settled by the link thread, waited for by any other; no lock is held in between.

The locks are re-entrant: a signal handler may call close() in the middle of anything the main thread does here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .deadline import Deadline
from .errors import EpSignalError, ReplyTimeout
from .process import Process
from .relay.inbox import WAKE_INTERVAL


class Reply:
    """One thing that will come or fail; the first :meth:`settle` or :meth:`fail` counts. Many threads may wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # its lock is re-entrant, that of an Event is not
        self._done = False
        self._error: Callable[[], EpSignalError] | None = None

    def settle(self) -> None:
        """Let every waiter go on. Does not block."""
        with self._changed:
            self._done = True
            self._changed.notify_all()

    def fail(self, error: Callable[[], EpSignalError]) -> None:
        """Raise an error in every waiter: a new one for each, made by ``error``. Does not block."""
        with self._changed:
            if not self._done:
                self._error = error
                self._done = True
                self._changed.notify_all()

    @property
    def done(self) -> bool:
        """Whether it has come or failed."""
        return self._done

    def wait(self, deadline: Deadline, timed_out: str) -> None:
        """Block until it comes. Raises what :meth:`fail` made, or ReplyTimeout with the text ``timed_out``."""
        if not self.wait_quietly(deadline):
            raise ReplyTimeout(timed_out)
        if self._error is not None:
            raise self._error()

    def wait_quietly(self, deadline: Deadline) -> bool:
        """Block until it comes or fails, or the time is over; returns whether it has come or failed."""
        while not self._done:
            if deadline.expired:
                return False
            with self._changed:
                if not self._done:
                    self._changed.wait(deadline.remaining(WAKE_INTERVAL))
        return True


class Replies:
    """Every reply that somebody may be waiting for, so that the end of a connection ends each wait."""

    def __init__(self) -> None:
        self._process = Process()
        self._replies_lock = threading.RLock()
        self._open: set[Reply] = set()
        self._ended: Callable[[], EpSignalError] | None = None

    def wait(self, reply: Reply, deadline: Deadline, timed_out: str) -> None:
        """Wait for a reply like :meth:`Reply.wait`; the end of the connection ends it, also one that came before."""
        self.add(reply)
        try:
            reply.wait(deadline, timed_out)
        finally:
            self.discard(reply)

    def add(self, reply: Reply) -> None:
        """Have a reply failed by the end of the connection from now on, at once where it has ended. Any thread."""
        self._process.check()
        with self._replies_lock:
            self._open.add(reply)
            ended = self._ended
        if ended is not None:
            reply.fail(ended)

    def discard(self, reply: Reply) -> None:
        """Forget a reply. Any thread."""
        with self._replies_lock:
            self._open.discard(reply)

    def end(self, error: Callable[[], EpSignalError]) -> None:
        """Fail everything that is waited for, and whatever will be. The first end counts."""
        with self._replies_lock:
            self._ended = self._ended or error
        self.fail(error)

    def fail(self, error: Callable[[], EpSignalError]) -> None:
        """Fail everything that is waited for now."""
        with self._replies_lock:
            replies, self._open = self._open, set()
        for reply in replies:
            reply.fail(error)
