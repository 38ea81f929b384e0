"""What other threads want the link thread to do. Knows nothing of sockets and frames."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..deadline import Deadline
from ..errors import EpSignalError, ReplyTimeout, again
from ..protocol.session import Attachment

OWN_SHARE = 1024 * 1024
"""Bytes of the application's own messages above which send() waits; forwarding never does."""
WAKE_INTERVAL = 0.5
"""Seconds after which a waiting caller looks up, so that Ctrl-C works on every system."""

Entry = tuple[bytes, int]
"""A text and what the application is charged for it; 0 for a received message that goes back."""


class Inbox:
    """A queue into the link thread, with the one lock that is shared between it and others.

    The lock is held for a few instructions only: never while user code runs, never while waiting or joining.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._inbox_lock = threading.Condition()
        self._texts: list[Entry] = []
        self._attachments: list[Attachment] = []
        self._own_waiting = 0
        self._ended: EpSignalError | None = None

    def send(self, payload: bytes, timeout: float | None) -> None:
        """Queue one message of the application; waits at most ``timeout`` seconds while much of its own is unsent.

        Raises ReplyTimeout, ClosedError or ConnectionLostError; nothing is sent then. Any thread but the link's.
        """
        deadline = Deadline(timeout)
        with self._inbox_lock:
            while True:
                self._raise_if_ended_locked()
                if self._own_waiting < OWN_SHARE:
                    break
                if deadline.expired:
                    raise ReplyTimeout(
                        f"the PBX has not taken the {self._own_waiting} bytes sent before within {timeout} s: send less, or wait longer"
                    )
                self._inbox_lock.wait(deadline.remaining(WAKE_INTERVAL))
            self._texts.append((payload, len(payload)))
            self._own_waiting += len(payload)
        self._wake()

    def check(self) -> None:
        """Raise ClosedError or ConnectionLostError if the connection has ended. Never waits."""
        with self._inbox_lock:
            self._raise_if_ended_locked()

    def forward(self, payload: bytes) -> None:
        """Queue a received message to go back as it came. Never waits. Raises ClosedError or ConnectionLostError."""
        with self._inbox_lock:
            self._raise_if_ended_locked()
            self._texts.append((payload, 0))
        self._wake()

    def attach(self, attachment: Attachment) -> None:
        """Queue the wish to attach to a device. Never waits. Raises ClosedError or ConnectionLostError."""
        with self._inbox_lock:
            self._raise_if_ended_locked()
            self._attachments.append(attachment)
        self._wake()

    def end(self, error: EpSignalError) -> None:
        """Refuse everything from now on, with ``error``, and wake who waits; what is queued stays to be taken. The first end counts."""
        with self._inbox_lock:
            if self._ended is None:
                self._ended = error
            self._inbox_lock.notify_all()

    def take(self) -> tuple[list[Attachment], list[Entry]]:
        """Return what is queued, and empty the queue. Link thread."""
        if not self._texts and not self._attachments:
            return [], []
        with self._inbox_lock:
            attachments, self._attachments = self._attachments, []
            texts, self._texts = self._texts, []
        return attachments, texts

    def relieve(self, size: int) -> None:
        """Note that ``size`` bytes of the application's messages have been written. Link thread."""
        with self._inbox_lock:
            self._own_waiting -= size
            self._inbox_lock.notify_all()

    def _raise_if_ended_locked(self) -> None:
        if self._ended is not None:
            raise again(self._ended)
