"""The thread that keeps the connection to a PBX: connect, carry messages until the connection ends, wait, connect again.

It gets two callables that neither block nor run user code. ``deliver(batch, now)`` returns the time (of the monotonic
clock) at which it wants to be called again, or None. ``ask(held)`` has the application asked about a message; the answer
comes through the inbox. What happens on a connection stands in :mod:`.carrier`; clients, devices and callbacks are not
known here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from attrs import frozen

from ..deadline import Deadline
from ..errors import ClosedError, ConnectError, ConnectionLostError, ConnectTimeout, EpSignalError, LoginError, without_text
from ..protocol.lanes import Held, Lanes
from ..protocol.session import Attachment, LoginState, Session
from .backoff import Backoff
from .carrier import Carrier, CarrierSettings, Shared
from .deliveries import Counters, Delivery, LinkDown
from .endpoint import Endpoint, TLSSettings
from .inbox import Answer, Inbox
from .opening import open_websocket
from .outward import Outward
from .transport import Transport
from .wakeup import Wakeup

LONGEST_ATTEMPT = 60.0
"""Seconds for an attempt to connect again, where the program has set no limit to the first one."""


@frozen(kw_only=True)
class LinkSettings:
    """What connections are made with. Times in seconds."""

    endpoints: tuple[Endpoint, ...]
    """The PBX, and its standby PBXs; tried in this order."""
    tls: TLSSettings
    timeout: float | None
    """For connect and login together."""
    reconnect: bool
    """Whether a connection that was lost is made again."""
    reconnect_attempts: int | None
    """Attempts in a row without success after which it is given up; None: never."""
    carrier: CarrierSettings


class Link:
    """The connection to a PBX, and the thread that owns it."""

    def __init__(
        self,
        settings: LinkSettings,
        session: Session,
        deliver: Callable[[list[Delivery], float], float | None],
        ask: Callable[[Held], None],
    ) -> None:
        self._settings = settings
        self._session = session
        self._wakeup = Wakeup()
        self.counters = Counters()
        self.inbox = Inbox(self._wakeup.wake)
        """What other threads want to be sent or attached."""
        self._lanes = Lanes()
        self._outward = Outward(deliver, ask, self.counters)
        self._backoff = Backoff(settings.reconnect_attempts)
        self._deadline = Deadline(settings.timeout)
        self._was_up = False
        self._first = 0
        """Which of the endpoints is tried first."""
        self._carrier: Carrier | None = None
        self._thread = threading.Thread(target=self._run, name="epsignal-link", daemon=True)

    def start(self) -> None:
        """Start the thread; what becomes of it is delivered. The time-out for connect and login runs from here."""
        self._deadline = Deadline(self._settings.timeout)
        self._thread.start()

    def abandon(self) -> None:
        """Release what a link holds that was never started."""
        self._wakeup.close()

    def end(self) -> None:
        """Have what still waits sent, and the connection closed; nothing more is taken. Does not block; any thread, any state."""
        self.inbox.end(ClosedError("the client was closed"))
        self._wakeup.cancel()

    def join(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds for the thread to end. Any thread."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    @property
    def runs_here(self) -> bool:
        """Whether the calling thread is the link's."""
        return threading.current_thread() is self._thread

    @property
    def last_heard(self) -> float | None:
        """When something last came from the PBX, by the monotonic clock; None without a connection that is logged in. Any thread."""
        carrier = self._carrier
        return carrier.last_heard if carrier is not None and carrier.logged_in else None

    def move(self, endpoint: Endpoint) -> None:
        """Leave the present connection, if there is one, for one to another PBX of the settings. Any thread."""
        carrier = self._carrier
        if carrier is not None and carrier.address != endpoint.address:
            self._first = self._settings.endpoints.index(endpoint)
            carrier.leave_for = endpoint.address
            self._wakeup.wake()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        error: EpSignalError
        try:
            error = self._keep_connected()
        except BaseException as raised:
            error = _internal_error(self._settings.endpoints[0].address, raised)
        if self._wakeup.cancelled:
            error = ClosedError("the client was closed")  # whatever happened on the way there
        self._wakeup.close()
        self.inbox.end(error)
        self._take_leftovers()
        self._outward.deliver([LinkDown(error, None, 0, None)], time.monotonic())

    def _keep_connected(self) -> EpSignalError:
        """Connect, and connect again when that is over; returns why it ended for good."""
        deadline = self._deadline
        while True:
            error, heard_at = self._connect(deadline)
            if self._wakeup.cancelled or not (self._was_up and self._settings.reconnect):
                return error
            if self._session.state is LoginState.REFUSED:
                return error  # the password was changed, or the App object taken away: trying again would lock somebody out
            delay = self._backoff.next()
            if delay is None:
                attempts = self._backoff.attempts
                return ConnectionLostError(f"the connection was not there again after {attempts} attempts; the last one: {error}")
            self.inbox.suspend(_not_connected(error), self.counters.received)
            self._take_leftovers()
            self._outward.deliver([LinkDown(error, delay, self._backoff.attempts, heard_at)], time.monotonic())
            self._pause(delay)
            deadline = Deadline(LONGEST_ATTEMPT if self._settings.timeout is None else self._settings.timeout)

    def _connect(self, deadline: Deadline) -> tuple[EpSignalError, float | None]:
        """Try each PBX in turn until one was logged in to; returns why that one ended, and when it was last heard in Unix seconds."""
        endpoints = self._settings.endpoints
        first, self._first = self._first, 0
        failures: list[EpSignalError] = []
        for number, endpoint in enumerate((*endpoints[first:], *endpoints[:first])):
            left = deadline.remaining()
            # A PBX that swallows everything must leave some of the time for the next one.
            share = deadline if left is None or len(endpoints) == 1 else Deadline(left / (len(endpoints) - number))
            error, heard_at = self._connect_to(endpoint, share)
            refused = self._session.state is LoginState.REFUSED
            if heard_at is not None or refused or not isinstance(error, (ConnectError, LoginError)):
                return error, heard_at
            failures.append(error)
        if len(failures) == 1:
            return failures[0], None
        kind = ConnectTimeout if all(isinstance(error, ConnectTimeout) for error in failures) else ConnectError
        return kind(f"none of the {len(failures)} PBXs could be reached: {'; '.join(map(str, failures))}"), None

    def _connect_to(self, endpoint: Endpoint, deadline: Deadline) -> tuple[EpSignalError, float | None]:
        """Connect to one PBX and carry messages; returns what :meth:`_connect` does, None where the login did not go through."""
        error: EpSignalError
        transport: Transport | None = None
        carrier: Carrier | None = None
        try:
            sock, rest = open_websocket(endpoint, self._settings.tls, deadline, self._wakeup)
            transport = Transport(sock)
            shared = Shared(
                session=self._session, wakeup=self._wakeup, inbox=self.inbox, counters=self.counters, lanes=self._lanes,
                outward=self._outward,
            )  # fmt: skip
            carrier = self._carrier = Carrier(self._settings.carrier, shared, endpoint.address, deadline)
            error = carrier.serve(transport, rest)
        except EpSignalError as raised:
            error = raised
        except BaseException as raised:  # a fault of this library must not leave a client that looks alive
            error = _internal_error(endpoint.address, raised)
        finally:
            self._carrier = None
            if transport is not None:
                self._wakeup.forget()
                transport.close()
        if carrier is None or not carrier.logged_in:
            return error, None
        self._was_up = True
        self._backoff.succeed()
        return error, time.time() - (time.monotonic() - carrier.last_heard)

    def _pause(self, delay: float) -> None:
        """Wait before the next attempt, and do meanwhile what the application wants to be done in time."""
        now = time.monotonic()
        until = now + delay
        while now < until and not self._wakeup.cancelled:
            next_at = self._outward.next_at
            self._wakeup.wait(None, read=False, write=False, timeout=max(0.0, min(until, next_at or until) - now))
            self._take_leftovers()
            now = time.monotonic()
            self._outward.deliver([], now)

    def _take_leftovers(self) -> None:
        """Take what is in the inbox while there is no connection: verdicts and sends belong to the one that is gone."""
        for entry in self.inbox.take():
            if isinstance(entry, Attachment):
                self._session.attach(entry)
            elif isinstance(entry, Answer):
                self._lanes.end_run(entry.held, None, time.monotonic())
            else:
                self.counters.lost += 1


def _not_connected(error: EpSignalError) -> ConnectionLostError:
    return ConnectionLostError(
        "nothing was sent, since there is no connection now; it is being made again: wait for the event Reconnected, or with "
        f"wait_attached() ({error})"
    )


def _internal_error(address: str, raised: BaseException) -> ConnectionLostError:
    # Only the kind of error: its text may hold what was received or sent.
    text = f"the connection to {address} was given up after an internal error ({type(raised).__name__}): please report it"
    error = ConnectionLostError(text)
    error.__cause__ = without_text(raised)
    return error
