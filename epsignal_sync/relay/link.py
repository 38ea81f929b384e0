"""The thread that owns one connection: it waits, reads, has the messages decided, writes, and only then hands outward.

It gets two callables that neither block nor run user code. ``deliver(batch, now)`` returns the time (of the monotonic
clock) at which it wants to be called again, or None. ``ask(held)`` has the application asked about a message; the answer
comes through the inbox. What becomes of a message stands in :mod:`.forwarding`; clients, devices and callbacks are not
known here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from attrs import frozen

from ..deadline import Deadline
from ..errors import ClosedError, ConnectionLostError, ConnectTimeout, EpSignalError, without_text
from ..protocol.lanes import Held
from ..protocol.session import LifeSigns, LoginState, Session, keepalive_text
from .deliveries import Delivery, LinkDown
from .endpoint import Endpoint, TLSSettings
from .forwarding import Forwarding
from .frames import OPCODE_PING
from .inbox import Answer, Inbox, Outgoing
from .opening import open_websocket
from .transport import Transport
from .wakeup import Wakeup

OUTBOX_FULL = 64 * 1024 * 1024
"""Bytes waiting to be written at which the connection is given up."""
CLOSING_TIME = 1.0
"""Seconds that close() gives the peer to take what still waits and to answer the close frame."""


@frozen(kw_only=True)
class LinkSettings:
    """What a connection is made with. Times in seconds, sizes in bytes."""

    endpoint: Endpoint
    tls: TLSSettings
    timeout: float | None
    """For connect and login together."""
    keepalive: float | None
    ping_interval: float | None
    ping_timeout: float
    max_message_size: int
    pause_reading_at: int
    """Bytes waiting to be written at which reading pauses."""


class Link:
    """One connection to a PBX and the thread that owns it."""

    def __init__(
        self,
        settings: LinkSettings,
        session: Session,
        deliver: Callable[[list[Delivery], float], float | None],
        ask: Callable[[Held], None],
    ) -> None:
        self._settings = settings
        self._address = settings.endpoint.address
        self._session = session
        self._deliver_batch = deliver
        self._ask_application = ask
        self._deliver_at: float | None = None
        self._wakeup = Wakeup()
        self._forwarding = Forwarding(session, self._address, settings.max_message_size)
        self._outbox = self._forwarding.outbox
        self._deadline = Deadline(settings.timeout)
        self._life = LifeSigns(keepalive=None, ping_interval=None, ping_timeout=0, now=0)
        self._last_progress = 0.0
        self._write_blocked = False
        self._closing_until: float | None = None
        self._thread = threading.Thread(target=self._run, name="epsignal-link", daemon=True)
        self.counters = self._forwarding.counters
        self.inbox = Inbox(self._wakeup.wake)
        """What other threads want to be sent or attached."""

    def start(self) -> None:
        """Start the thread; what becomes of it is delivered. The time-out for connect and login runs from here."""
        self._deadline = Deadline(self._settings.timeout)
        self._thread.start()

    def abandon(self) -> None:
        """Release what a link holds that was never started."""
        self._wakeup.close()

    def close(self, timeout: float) -> None:
        """Send what still waits, close, and wait at most ``timeout`` seconds for the thread to end. Any thread, any state."""
        self.inbox.end(ClosedError("the client was closed"))
        self._wakeup.cancel()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        error: EpSignalError
        transport: Transport | None = None
        try:
            sock, rest = open_websocket(self._settings.endpoint, self._settings.tls, self._deadline, self._wakeup)
            transport = Transport(sock)
            error = self._serve(transport, rest)
        except EpSignalError as raised:
            error = raised
        except BaseException as raised:  # a fault of this library must not leave a client that looks alive
            # Only the kind of error: its text may hold what was received or sent.
            kind = type(raised).__name__
            text = f"the connection to {self._address} was given up after an internal error ({kind}): please report it"
            error = ConnectionLostError(text)
            error.__cause__ = without_text(raised)
        if transport is not None:
            self._wakeup.forget()
            transport.sock.close()
        if self._wakeup.cancelled:
            error = ClosedError("the client was closed")  # whatever happened on the way there
        self._wakeup.close()
        self.inbox.end(error)
        self.counters.lost += sum(isinstance(entry, Outgoing) for entry in self.inbox.take())
        self._deliver([LinkDown(error)], time.monotonic())

    def _serve(self, transport: Transport, rest: bytes) -> EpSignalError:
        """Move messages until the connection ends; returns why it did."""
        now = self._last_progress = time.monotonic()
        settings, forwarding = self._settings, self._forwarding
        self._life = LifeSigns(
            keepalive=settings.keepalive, ping_interval=settings.ping_interval, ping_timeout=settings.ping_timeout, now=now
        )
        for text in self._session.start():
            forwarding.send_text(text, now)
        batch = forwarding.receive(rest, now)
        while forwarding.failure is None:
            if self._outbox.size and not self._write_blocked:
                self._write(transport, now)
            if batch or (self._deliver_at is not None and now >= self._deliver_at):
                self._deliver(batch, now)
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
            self._deliver(batch, now)
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
        self._life.last_received = now
        return self._forwarding.receive(data, now)

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
                self.inbox.relieve(relieved)

    def _take_inbox(self, now: float, batch: list[Delivery]) -> None:
        if not self._outbox.size:
            self._last_progress = now  # nothing waits: whatever comes now has its full time
        for entry in self.inbox.take():
            self._forwarding.take_entry(entry, now, batch)
        unsent = self._forwarding.take_unsent()
        if unsent:
            self.inbox.relieve(unsent)

    def _deliver(self, batch: list[Delivery], now: float) -> None:
        try:
            self._deliver_at = self._deliver_batch(batch, now)
        except BaseException:  # the application side must not be able to stop forwarding, or to end this thread silently
            self.counters.delivery_failures += 1
            self._deliver_at = None

    def _ask(self, now: float) -> list[Delivery]:
        """Have the application asked about the messages whose turn it is; returns what went on since it cannot be."""
        batch: list[Delivery] = []
        for held in self._forwarding.to_ask():
            try:
                self._ask_application(held)
            except BaseException:
                self.counters.delivery_failures += 1
                self._forwarding.take_entry(Answer(held), now, batch)
        return batch

    # ------------------------------------------------------------ time

    def _time_to_wait(self) -> float | None:
        """Return the seconds until something is due, or None."""
        now = time.monotonic()
        times = [self._deliver_at, self._forwarding.next_at()]
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
        if self._wakeup.cancelled:
            if self._closing_until is None:
                self._closing_until = now + CLOSING_TIME
                forwarding.close(now, batch)
            elif now >= self._closing_until:
                forwarding.fail(ClosedError("the client was closed"))
            return
        if self._session.state is not LoginState.READY and self._deadline.expired:
            forwarding.fail(ConnectTimeout(
                f"{self._address} took the websocket, but {settings.timeout} s were over while {self._session.state.value}: "
                "check that the path is the PBX's AppWebsocket"
            ))
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
