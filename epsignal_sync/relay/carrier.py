"""One established connection, from the login to its end: wait, read, have the messages decided, write, and only then hand outward.

What becomes of a message stands in :mod:`.forwarding`; how a connection comes about, and what follows its end, in
:mod:`.link`. Belongs to the link thread.
"""

from __future__ import annotations

import time

from attrs import frozen

from ..deadline import Deadline
from ..errors import ConnectTimeout, EpSignalError
from ..protocol.lanes import Lanes
from ..protocol.session import LifeSigns, LoginState, Session, keepalive_text
from .deliveries import Counters, Delivery
from .forwarding import Forwarding
from .frames import OPCODE_PING
from .inbox import Answer, Inbox
from .outward import Outward
from .transport import Transport
from .wakeup import Wakeup

OUTBOX_FULL = 64 * 1024 * 1024
"""Bytes waiting to be written at which the connection is given up."""
CLOSING_TIME = 1.0
"""Seconds that close() gives the peer to take what still waits and to answer the close frame."""


@frozen(kw_only=True)
class CarrierSettings:
    """How a connection is watched. Times in seconds, sizes in bytes."""

    keepalive: float | None
    ping_interval: float | None
    ping_timeout: float
    max_message_size: int
    pause_reading_at: int
    """Bytes waiting to be written at which reading pauses."""


@frozen(kw_only=True)
class Shared:
    """What the connections of one link have in common. Belongs to the link thread, the inbox and the wake-up to all."""

    session: Session
    wakeup: Wakeup
    inbox: Inbox
    counters: Counters
    lanes: Lanes
    outward: Outward


class Carrier:
    """One connection to a PBX. ``deadline`` is for the login."""

    def __init__(self, settings: CarrierSettings, shared: Shared, address: str, deadline: Deadline) -> None:
        self._settings = settings
        self._session = shared.session
        self._wakeup = shared.wakeup
        self._inbox = shared.inbox
        self._outward = shared.outward
        self.address = address
        """Host and port of the PBX."""
        self._deadline = deadline
        self._forwarding = Forwarding(shared.session, address, settings.max_message_size, shared.counters, shared.lanes)
        self._outbox = self._forwarding.outbox
        now = time.monotonic()
        self._life = LifeSigns(
            keepalive=settings.keepalive, ping_interval=settings.ping_interval, ping_timeout=settings.ping_timeout, now=now
        )
        self.last_heard = self._last_progress = now
        """When something last came from the PBX, by the monotonic clock. Other threads may read it."""
        self._write_blocked = False
        self._closing_until: float | None = None
        self.logged_in = False
        """Whether the login went through."""
        self.leave_for: str | None = None
        """The address of another PBX for which this connection is to be given up; set by other threads."""

    def serve(self, transport: Transport, rest: bytes) -> EpSignalError:
        """Move messages until the connection ends; returns why it did. ``rest``: what was received already."""
        settings, forwarding, now = self._settings, self._forwarding, time.monotonic()
        for text in self._session.start():
            forwarding.send_text(text, now)
        batch = self._receive(rest, now)
        while forwarding.failure is None:
            if self._outbox.size and not self._write_blocked:
                self._write(transport, now)
            self._outward.deliver(batch, now)
            batch = self._ask(now)  # only now: what went on before is known by then
            reading = self._outbox.size < settings.pause_reading_at
            readable, writable = self._wakeup.wait(
                transport.sock,
                read=(reading and not transport.receive_wants_write) or transport.send_wants_read,
                write=(self._outbox.size > 0 and not transport.send_wants_read) or transport.receive_wants_write,
                timeout=0 if batch or (transport.has_more and reading) else self._time_to_wait(),
            )
            now = time.monotonic()
            if writable or (readable and transport.send_wants_read):
                self._write_blocked = False
            self._take_inbox(now, batch)
            if not reading:
                self._life.excuse(now)  # what is not read cannot be heard
            elif readable or transport.has_more or writable:
                batch += self._read(transport, now)
            self._check_times(now, batch)
        failure = forwarding.failure
        self._write(transport, now)
        forwarding.abandon(batch)
        if batch:
            self._outward.deliver(batch, now)
        return failure

    def _read(self, transport: Transport, now: float) -> list[Delivery]:
        try:
            data = transport.receive()
        except OSError as error:
            self._forwarding.lose(f"reading failed ({error.strerror or error})")
            return []
        if data is None:
            return []
        if not data:
            self._forwarding.lose("it ended without a close frame")
            return []
        self.last_heard = self._life.last_received = now
        return self._receive(data, now)

    def _receive(self, data: bytes, now: float) -> list[Delivery]:
        batch = self._forwarding.receive(data, now)
        if not self.logged_in and self._session.state is LoginState.READY:
            self.logged_in = True
            self._inbox.reopen()  # before anybody is told
        return batch

    def _write(self, transport: Transport, now: float) -> None:
        chunk = self._outbox.chunk()
        try:
            count = transport.send(chunk) if chunk else 0
        except OSError as error:
            self._forwarding.lose(f"writing failed ({error.strerror or error})")
            return
        self._write_blocked = count < len(chunk)
        if count:
            self._last_progress = now
            relieved = self._outbox.written(count)
            self._forwarding.count_written(time.monotonic())
            if relieved:
                self._inbox.relieve(relieved)

    def _take_inbox(self, now: float, batch: list[Delivery]) -> None:
        if not self._outbox.size:
            self._last_progress = now  # nothing waits: whatever comes now has its full time
        for entry in self._inbox.take():
            self._forwarding.take_entry(entry, now, batch)
        unsent = self._forwarding.take_unsent()
        if unsent:
            self._inbox.relieve(unsent)

    def _ask(self, now: float) -> list[Delivery]:
        """Have the application asked about the messages whose turn it is; returns what went on since it cannot be."""
        batch: list[Delivery] = []
        for held in self._forwarding.to_ask():
            if not self._outward.ask(held):
                self._forwarding.take_entry(Answer(held), now, batch)
        return batch

    # ------------------------------------------------------------ time

    def _time_to_wait(self) -> float | None:
        """Return the seconds until something is due, or None."""
        now = time.monotonic()
        times = [self._outward.next_at, self._forwarding.next_at()]
        if self._closing_until is not None:
            times.append(self._closing_until)  # nothing else is looked at any more
        else:
            times.append(self._life.next_at())
            if self._write_blocked:
                times.append(self._last_progress + self._settings.ping_timeout)
            login_left = None if self._session.state is LoginState.READY else self._deadline.remaining()
            times.append(None if login_left is None else now + login_left)
        due = [at for at in times if at is not None]
        return max(0.0, min(due) - now) if due else None

    def _check_times(self, now: float, batch: list[Delivery]) -> None:
        """See what is due: held messages, closing, the login's time-out, a peer that is silent or does not read."""
        forwarding, settings = self._forwarding, self._settings
        forwarding.expire(now, batch)
        if self._wakeup.cancelled or self.leave_for is not None:
            if self._closing_until is None:
                self._closing_until = now + CLOSING_TIME
                forwarding.close(now, batch, self.leave_for)
            elif now >= self._closing_until:
                forwarding.end_closing()
            return
        if self._session.state is not LoginState.READY and self._deadline.expired:
            forwarding.fail(
                ConnectTimeout(
                    f"{self.address} took the websocket, but {self._deadline.timeout} s were over while {self._session.state.value}: "
                    "check that the path is the PBX's AppWebsocket"
                )
            )
        life = self._life
        life.last_message = max(life.last_message, forwarding.last_message)
        keepalive, ping, dead = life.due(now)
        if keepalive and self._session.state is LoginState.READY:
            forwarding.send_text(keepalive_text(), now)
        if ping:
            forwarding.send(OPCODE_PING, b"")
        if dead:
            forwarding.lose(f"no sign of life within {settings.ping_timeout:g} s of a ping")
        # Blocked: what was tried last did not fit, and the system has not said since that more would. Time alone is no
        # proof, since this process may have stood still itself.
        if self._outbox.size > OUTBOX_FULL or (self._write_blocked and now - self._last_progress >= settings.ping_timeout):
            forwarding.lose(f"the PBX stopped reading ({self._outbox.size} bytes wait to be sent)")
