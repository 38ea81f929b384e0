"""What other threads want the link thread to do. Knows nothing of sockets and frames."""

from __future__ import annotations

import threading
from collections.abc import Callable

from attrs import field, frozen

from ..deadline import Deadline
from ..errors import ConnectionLostError, EpSignalError, ReplyTimeout, again
from ..process import Process
from ..protocol.lanes import Held
from ..protocol.session import Attachment
from .deliveries import Sent

OWN_SHARE = 1024 * 1024
"""Bytes of the application's own messages above which send() waits; forwarding never does."""
WAKE_INTERVAL = 0.5
"""Seconds after which a waiting caller looks up, so that Ctrl-C works on every system."""


@frozen(eq=False)
class Outgoing:
    """A text to be sent. ``own`` is what the application is charged for it, 0 for what must never wait.

    ``sent`` is there where it is a signaling message of the application, and not a received one that goes back.
    """

    text: bytes = field(repr=False)
    own: int = 0
    sent: Sent | None = None


@frozen(eq=False)
class Answer:
    """What the application said about a message that was held for it.

    ``texts``: what goes on instead; empty: nothing does; None: it goes on as it came. ``keeps_type``: whether a signal
    of the type that was received is among them. ``refusal``: what goes back to where the message came from.
    """

    held: Held
    texts: tuple[bytes, ...] | None = field(default=None, repr=False)
    keeps_type: bool = True
    refusal: Sent | None = None


Entry = Attachment | Outgoing | Answer


@frozen(eq=False)
class _Sender:
    thread: int


class Inbox:
    """A queue into the link thread, with the one lock that is shared between it and others.

    The lock is held for a few instructions only: never while user code runs, never while waiting or joining.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._inbox_lock = threading.Condition()
        self._entries: list[Entry] = []
        self._own_waiting = 0
        self._senders: list[_Sender] = []
        self._ended: EpSignalError | None = None
        self._suspended: EpSignalError | None = None
        self._process = Process()
        self._last_number = 0
        """The number of the last message that came before the present connection."""
        self.connection = 0
        """Counts the connections that have ended; what is begun on one must not be sent on the next."""

    def send(self, text: bytes, timeout: float | None, sent: Sent | None = None, connection: int | None = None) -> None:
        """Queue one message of the application; waits at most ``timeout`` seconds while much of its own is unsent.

        ``connection``: what :attr:`connection` was when this was begun. Raises ReplyTimeout, ClosedError or
        ConnectionLostError; nothing is sent then. Any thread but the link's.
        """
        self._process.check()
        deadline = Deadline(timeout)
        sender = _Sender(threading.get_ident())
        with self._inbox_lock:
            self._senders.append(sender)
            try:
                while not self._may_send_locked(sender, connection):
                    if deadline.expired:
                        raise ReplyTimeout(
                            f"the PBX has not taken the {self._own_waiting} bytes sent before within {timeout} s: send less, or wait longer"
                        )
                    self._inbox_lock.wait(deadline.remaining(WAKE_INTERVAL))
                self._entries.append(Outgoing(text, len(text), sent))
                self._own_waiting += len(text)
            finally:
                self._senders.remove(sender)
                if self._senders:
                    self._inbox_lock.notify_all()  # the next one's turn
        self._wake()

    def check(self) -> None:
        """Raise ClosedError or ConnectionLostError if there is no connection. Never waits."""
        self._process.check()
        with self._inbox_lock:
            self._raise_if_ended_locked()

    def forward(self, text: bytes, number: int) -> None:
        """Queue a received message, the one with this number, to go back as it came. Never waits.

        Raises ClosedError or ConnectionLostError, also where it came on a connection that is gone.
        """
        if number <= self._last_number:
            raise ConnectionLostError("this message was not forwarded: the connection it came on is gone, and nobody waits for it any more")
        self._put(Outgoing(text))

    def reply(self, sent: Sent) -> None:
        """Queue what the protocol wants to be answered. Never waits. Raises ClosedError or ConnectionLostError."""
        self._put(Outgoing(sent.text, sent=sent))

    def attach(self, attachment: Attachment) -> None:
        """Queue the wish to attach to a device. Never waits. Raises ClosedError or ConnectionLostError."""
        self._put(attachment)

    def answer(self, answer: Answer) -> None:
        """Queue what the application said about a held message. Never waits or raises: the end of a run counts in any case."""
        with self._inbox_lock:
            self._entries.append(answer)
        self._wake()

    def suspend(self, error: EpSignalError, last_number: int) -> None:
        """Refuse everything until :meth:`reopen`, with ``error``, and wake who waits. Link thread.

        ``last_number``: the number of the last message that was received.
        """
        with self._inbox_lock:
            self._suspended = error
            self._last_number = last_number
            self._own_waiting = 0
            self.connection += 1
            self._inbox_lock.notify_all()

    def reopen(self) -> None:
        """Take everything again: there is a connection. Link thread."""
        with self._inbox_lock:
            self._suspended = None

    def end(self, error: EpSignalError) -> None:
        """Refuse everything from now on, with ``error``, and wake who waits; what is queued stays to be taken. The first end counts."""
        with self._inbox_lock:
            if self._ended is None:
                self._ended = error
            self._inbox_lock.notify_all()

    def take(self) -> list[Entry]:
        """Return what is queued, in order, and empty the queue. Link thread."""
        if not self._entries:
            return []
        with self._inbox_lock:
            entries, self._entries = self._entries, []
        return entries

    def relieve(self, size: int) -> None:
        """Note that ``size`` bytes of the application's messages have been written. Link thread."""
        with self._inbox_lock:
            self._own_waiting -= size
            self._inbox_lock.notify_all()

    def _may_send_locked(self, sender: _Sender, connection: int | None) -> bool:
        """Whether it is a sender's turn: first come, first served. A signal handler's send() cannot wait for the thread it interrupted."""
        self._raise_if_ended_locked()
        if connection is not None and connection != self.connection:
            raise ConnectionLostError("nothing was sent: the connection was lost and made again meanwhile; see what is left of the call")
        if self._own_waiting >= OWN_SHARE:
            return False
        ahead = self._senders[: self._senders.index(sender)]
        return all(one.thread == sender.thread for one in ahead)

    def _put(self, entry: Entry) -> None:
        self._process.check()
        with self._inbox_lock:
            self._raise_if_ended_locked()
            self._entries.append(entry)
        self._wake()

    def _raise_if_ended_locked(self) -> None:
        error = self._ended or self._suspended
        if error is not None:
            raise again(error)
