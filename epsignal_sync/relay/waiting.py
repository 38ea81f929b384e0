"""Repeating a non-blocking call until it succeeds, the time is over, or the client is closed.

Used while a connection is opened; knows sockets and TLS, nothing of names, HTTP or websockets.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from ..deadline import Deadline
from .wakeup import Wakeup

Result = TypeVar("Result")


class TimeIsUp(Exception):
    """The deadline is over. No TimeoutError: websocket-client would take that for one of its own."""


class Waiter:
    """Repeats non-blocking calls until they succeed, the deadline is over or the client is closed."""

    def __init__(self, wakeup: Wakeup, deadline: Deadline) -> None:
        self.wakeup = wakeup
        self.deadline = deadline

    def wait(self, sock: socket.socket | None, *, read: bool = False, write: bool = False) -> bool:
        # Looked at before each wait: one byte every 50 ms, each of them in time, must not outlast the deadline.
        if self.deadline.expired:
            raise TimeIsUp
        return self.wakeup.wait_cancellable(sock, read=read, write=write, timeout=self.deadline.remaining())

    def repeat(self, sock: socket.socket, attempt: Callable[[], Result], *, write: bool = False) -> Result:
        """Return what ``attempt`` returns in the end. It is tried before waiting: poll does not see what TLS holds."""
        while True:
            try:
                return attempt()
            except ssl.SSLWantReadError:
                self.wait(sock, read=True)
            except ssl.SSLWantWriteError:
                self.wait(sock, write=True)
            except BlockingIOError:
                self.wait(sock, read=not write, write=write)
