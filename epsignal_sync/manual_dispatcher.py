"""Callbacks in a loop of the program's own: they wait here until it has time for them.

Knows nothing of clients, events or what else the loop does.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from collections import deque

from .deadline import Deadline
from .dispatcher import RunPending
from .relay.inbox import WAKE_INTERVAL


class ManualDispatcher:
    """For programs with a loop of their own: callbacks run inside ``client.process_events()`` and nowhere else.

    Pass one as ``dispatcher=``; it may serve several clients. A loop around ``select()`` waits for it as for a socket of
    its own, in the list of what is to be read:

        readable, _, _ = select.select([dispatcher, listener], [], [], 60)
        if dispatcher in readable:
            client.process_events()
    """

    def __init__(self) -> None:
        self._waiting: deque[RunPending] = deque()
        # No queue.SimpleQueue: in several versions of Python its get() waits for ever, whatever the time-out, where a signal
        # handler that takes longer than that interrupts it.
        self._waiting_lock = threading.Condition()
        self._bell: _Bell | None = None

    def __call__(self, run_pending: RunPending) -> None:
        """Take callbacks that are to run; called by the library."""
        with self._waiting_lock:
            self._waiting.append(run_pending)
            self._show_locked()
            self._waiting_lock.notify()

    def process(self, timeout: float | None = 0) -> int:
        """Run what waits, at most for about 10 ms; wait at most ``timeout`` seconds (None: for ever) for the first.

        Returns how many messages and events were handled; what a message does to its call counts with it. Any one thread.
        """
        deadline = Deadline(timeout)
        while True:
            with self._waiting_lock:
                if not self._waiting and not deadline.expired:
                    self._waiting_lock.wait(deadline.remaining(WAKE_INTERVAL))
                run_pending = self._waiting.popleft() if self._waiting else None
                self._show_locked()
            if run_pending is not None:
                return run_pending()
            if deadline.expired:
                return 0

    def fileno(self) -> int:
        """Return a descriptor that is readable while callbacks wait, for select(), selectors and the like: a socket's, also on Windows.

        Nothing but that may be done with it. It is closed when the dispatcher goes. The first call opens it, and raises OSError
        where there is no descriptor left. Does not block; any thread.
        """
        with self._waiting_lock:
            if self._bell is None:
                self._bell = _Bell()
                # Not by a __del__, which comes too late where the garbage collector takes the sockets first.
                weakref.finalize(self, self._bell.close)
                self._show_locked()
            return self._bell.fileno()

    def _show_locked(self) -> None:
        if self._bell is not None:
            self._bell.show(bool(self._waiting))


class _Bell:
    """A socket that can be made readable, and unreadable again. Whoever uses it holds a lock."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._shown = False

    def fileno(self) -> int:
        return self._reader.fileno()

    def show(self, shown: bool) -> None:
        """Make it readable or not. Does not block: there is never more than one byte in it."""
        if shown and not self._shown:
            self._writer.send(b"w")
        elif self._shown and not shown:
            with contextlib.suppress(BlockingIOError):  # a signal handler in between was quicker
                self._reader.recv(64)
        self._shown = shown

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
