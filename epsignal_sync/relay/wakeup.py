"""The one place where the link thread waits, and the pipe by which other threads wake it.

Knows sockets and file descriptors; knows nothing of TLS, websockets or messages.
"""

from __future__ import annotations

import selectors
import socket
import threading

from ..errors import ClosedError

LONGEST_WAIT = 3600.0
"""Seconds; epoll refuses more than 2**31 ms with an OverflowError."""


class Wakeup:
    """A wait on one socket that any thread can cut short.

    :meth:`wake` and :meth:`cancel` may be called from any thread and never block; :meth:`wait` belongs to the
    link thread alone.
    """

    def __init__(self) -> None:
        # A socket pair and not a pipe: Windows can only poll sockets.
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._reader, selectors.EVENT_READ)
        self._watched: socket.socket | None = None
        self._watched_events = 0
        # Re-entrant: a signal handler or a finalizer may call close() in the middle of wake().
        self._lock = threading.RLock()
        self._signalled = False
        self._closed = False
        self.cancelled = False

    def wake(self) -> None:
        """Make the current or the next :meth:`wait` return at once."""
        with self._lock:
            # One byte is enough however many threads call: what they want done stands in the inbox.
            if self._signalled or self._closed:
                return
            self._signalled = True
            self._writer.send(b"w")

    def cancel(self) -> None:
        """Make every :meth:`wait_cancellable`, now and from now on, raise ClosedError."""
        self.cancelled = True
        self.wake()

    def wait(self, sock: socket.socket | None, *, read: bool, write: bool, timeout: float | None) -> tuple[bool, bool]:
        """Wait until ``sock`` can be read or written, somebody calls :meth:`wake`, or ``timeout`` seconds are over.

        Returns (readable, writable) of ``sock``; both are False after a wake or a time-out. A wait of more than
        an hour, or without an end, returns every hour: whoever waits looks at its own deadline anyway.
        """
        self._watch(sock, (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0))
        readable = writable = False
        for key, events in self._selector.select(LONGEST_WAIT if timeout is None else min(timeout, LONGEST_WAIT)):
            if key.fileobj is self._reader:
                self._drain()
            else:
                readable = bool(events & selectors.EVENT_READ)
                writable = bool(events & selectors.EVENT_WRITE)
        return readable, writable

    def wait_cancellable(self, sock: socket.socket | None, *, read: bool, write: bool, timeout: float | None) -> bool:
        """Wait like :meth:`wait`, but raise ClosedError after :meth:`cancel`; returns whether ``sock`` is ready."""
        if self.cancelled:
            raise ClosedError("the client was closed while it was connecting")
        ready = any(self.wait(sock, read=read, write=write, timeout=timeout))
        if self.cancelled:
            raise ClosedError("the client was closed while it was connecting")
        return ready

    def forget(self) -> None:
        """Stop watching the socket; to be called before it is closed."""
        self._watch(None, 0)

    def close(self) -> None:
        """Release the descriptors; :meth:`wake` does nothing from then on."""
        with self._lock:
            self._closed = True
            self._selector.close()
            self._reader.close()
            self._writer.close()

    def _watch(self, sock: socket.socket | None, events: int) -> None:
        if sock is self._watched and events == self._watched_events:
            return
        if self._watched is not None and self._watched_events:
            self._selector.unregister(self._watched)
        # In this order a socket that cannot be registered (closed meanwhile) leaves nothing to unregister.
        self._watched, self._watched_events = None, 0
        if sock is not None and events:
            self._selector.register(sock, events)
        self._watched, self._watched_events = sock, events

    def _drain(self) -> None:
        with self._lock:
            # In this order: a wake() from a finalizer in between finds itself done already, and its byte is not taken.
            self._reader.recv(64)
            self._signalled = False
