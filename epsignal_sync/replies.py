"""What a blocking call waits for. Settled by the link thread, waited for by any other; no lock is held in between."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .deadline import Deadline
from .errors import EpSignalError, ReplyTimeout
from .relay.inbox import WAKE_INTERVAL


class Reply:
    """One thing that will come or fail; the first :meth:`settle` or :meth:`fail` counts. Many threads may wait."""

    def __init__(self) -> None:
        self._reply_lock = threading.Lock()
        self._done = threading.Event()
        self._error: Callable[[], EpSignalError] | None = None

    def settle(self) -> None:
        """Let every waiter go on. Does not block."""
        with self._reply_lock:
            self._done.set()

    def fail(self, error: Callable[[], EpSignalError]) -> None:
        """Raise an error in every waiter: a new one for each, made by ``error``. Does not block."""
        with self._reply_lock:
            if not self._done.is_set():
                self._error = error
                self._done.set()

    @property
    def done(self) -> bool:
        """Whether it has come or failed."""
        return self._done.is_set()

    def wait(self, deadline: Deadline, timed_out: str) -> None:
        """Block until it comes. Raises what :meth:`fail` made, or ReplyTimeout with the text ``timed_out``."""
        while not self._done.wait(deadline.remaining(WAKE_INTERVAL)):
            if deadline.expired:
                raise ReplyTimeout(timed_out)
        if self._error is not None:
            raise self._error()


class Replies:
    """Every reply that somebody may be waiting for, so that the end of a client ends each wait."""

    def __init__(self) -> None:
        self._replies_lock = threading.Lock()
        self._open: set[Reply] = set()
        self._ended: Callable[[], EpSignalError] | None = None

    def add(self, reply: Reply) -> None:
        """Take on a reply; fails it at once after :meth:`end`."""
        with self._replies_lock:
            self._open.add(reply)
            ended = self._ended
        if ended is not None:
            reply.fail(ended)

    def remove(self, reply: Reply) -> None:
        """Forget a reply that nobody waits for any more."""
        with self._replies_lock:
            self._open.discard(reply)

    def end(self, error: Callable[[], EpSignalError]) -> None:
        """Fail everything that is open, and whatever is added later."""
        with self._replies_lock:
            self._ended = error
            replies, self._open = self._open, set()
        for reply in replies:
            reply.fail(error)
