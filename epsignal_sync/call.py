"""A call of a device, as the application sees it. The rules that move it stand in :mod:`.protocol.call_rules`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .call_control import CallControl
from .deadline import Deadline
from .errors import CallEndedError, EpSignalError, UsageError
from .messages import CallState, Cause, Rel, Setup, Signal
from .messages.record import printable, shown
from .protocol.call_record import CallRecord
from .protocol.call_record import Party as Party
from .relay.deliveries import Received
from .state_waiters import StateWaiters

if TYPE_CHECKING:
    from .device import Device
    from .ladder import Ladder
    from .leg import Leg


class CallListener(Protocol):
    """Something that follows one call, on the link thread: it must not block."""

    def hear(self, received: Received) -> None:
        """Take a message of the call."""

    def over(self) -> None:
        """The call is over."""

    def interrupted(self, error: Callable[[], EpSignalError]) -> None:
        """Nothing is known of the call any more."""


class Call(CallControl):
    """One call on one device. It stays readable after its end; every attribute may be read in any thread.

    A device's own call has two sides, the device and the PBX. A call that the app started with ``device.dial()`` or
    ``device.ring()`` has a negative id and one far end: the PBX or the device. Callbacks and interceptors that are
    registered on a call go when it ends. What can be asked for in it, such as hold and transfer, is inherited from
    CallControl, which says what all of that has in common.
    """

    __slots__ = ("__weakref__", "_leg", "_listeners", "_waiters")

    def __init__(self, device: Device, record: CallRecord) -> None:
        super().__init__(device, record)
        self._waiters = StateWaiters(device._registry.lock)
        self._listeners: tuple[CallListener, ...] = ()
        """Verbs that wait for what is said in it."""
        self._leg: Leg | None = None
        """What can be joined to another one; telephone calls of the app have it."""

    # ------------------------------------------------------------ verbs

    def hangup(self, cause: int = 16, *, timeout: float | None = 10) -> None:
        """End the call with a Q.850 ``cause`` value: a ``rel`` to both sides, or to the one far end of a call of the app.

        Returns when the messages are queued; waits at most ``timeout`` seconds (None: for ever) while more than 1 MiB of
        the app's own waits to be sent. Raises UsageError, CallEndedError where the call is over or hung up already,
        ReplyTimeout, ConnectionLostError, ClosedError. Any thread, callbacks included.
        """
        if type(cause) is not int or not 1 <= cause <= 127:
            raise UsageError(f"hangup() takes a Q.850 cause value from 1 to 127, not {cause!r:.80}")
        self._check_queued("hangup()")
        deadline, rel = Deadline(timeout), Rel(cau=Cause(num=cause))
        sides = (self._far_end,) if self.own else (False, True)
        released = [self._release(to_device, rel, deadline) for to_device in sides]
        if not any(released):
            raise self._error("hangup() sent nothing")

    def send(self, signal: Signal, *, to_device: bool | None = None, timeout: float | None = 10) -> None:
        """Queue a signaling message of this call, in the order of the calls of send().

        ``to_device`` says to which side of a device's call; a call that the app started has one far end, so there it is
        left out. Returns when the message is queued, not when it is delivered; waits at most ``timeout`` seconds (None:
        for ever) while more than 1 MiB of the app's own waits to be sent. Raises UsageError, CallEndedError where the
        call is over or this side was released by the app, ReplyTimeout, ConnectionLostError, ClosedError. Any thread,
        callbacks included.
        """
        side = self._check_sending(signal, to_device)
        if isinstance(signal, Rel):
            self._check_queued("send()")
            if not self._release(side, signal, Deadline(timeout)):
                raise self._error("send() sent nothing")
            return
        self._queue("send()", side, signal, Deadline(timeout), self._device._connection.link.inbox.connection)

    def wait(self, *states: CallState | str, timeout: float | None = 10) -> CallState:
        """Block until the call is in one of these states, and return it; at once if it is in one already.

        ``timeout`` in seconds, None for ever. No state is missed, however short it is; one that was over before wait()
        was called does not come again. "null" is the end. Raises CallEndedError, with the cause, if the call ends
        first; UsageError for a state that does not exist; ReplyTimeout, ConnectionLostError, ClosedError. Any thread,
        callbacks included.
        """
        wanted = _checked_states(states)
        names = " or ".join(state.value for state in wanted)
        return self._wait(frozenset(wanted), timeout, f"was not {names}")

    def wait_ended(self, *, timeout: float | None = 10) -> None:
        """Block until the call is over; at once if it is. ``timeout`` in seconds, None for ever.

        Raises ReplyTimeout, ConnectionLostError, ClosedError. Any thread, callbacks included.
        """
        self._wait(frozenset(), timeout, "did not end")

    def ladder(self) -> Ladder:
        """Return its signals so far, the last 100, as a sequence diagram of PBX, app and phone.

        ``print()`` shows it on a terminal, a notebook as a picture; ``.mermaid()`` and ``.svg()`` are for a wiki and for
        a file. It holds no secret, and goes on being what it was when the call goes on. Does not block; any thread.
        """
        from .ladder import make_ladder

        return make_ladder(self, self.device.hw, self.history)

    def __repr__(self) -> str:
        direction = {True: "from", False: "to", None: "with"}[self.incoming]
        return printable(f"<Call {self.id} {direction} {str(self.remote):.80}: {str(self.state):.40}>")

    def _repr_html_(self) -> str:
        from .notebook.pictures import call_picture

        return call_picture(self)

    # ------------------------------------------------------------ sending

    @property
    def _far_end(self) -> bool:
        """The one side of a call of the app: True the device, False the PBX."""
        return self._record.incoming is True

    def _check_sending(self, signal: Signal, to_device: bool | None) -> bool:
        """Return the side to send to. Raises UsageError."""
        if not isinstance(signal, Signal):
            raise UsageError(f"send() takes a signaling message, such as Rel(), not {type(signal).__name__}")
        if not self.own:
            if not isinstance(to_device, bool):
                raise UsageError(f"{self._name} has two sides: send() needs to_device=True (to the device) or False (to the PBX)")
            return to_device
        if to_device is not None:
            raise UsageError(f"{self._name} was started by the app, so it has one far end: send() takes no to_device= for it")
        if isinstance(signal, Setup):
            raise UsageError(f"{self._name} has had its setup: start another call with device.dial() or device.ring()")
        return self._far_end

    def _check_queued(self, verb: str) -> None:
        """Raise UsageError where another thread is still about to send the setup: a rel must not overtake it."""
        if self.own and not self._record.queued and not self.ended:
            raise UsageError(f"{verb} sent nothing: the setup of {self._name} is not queued yet, wait until dial() or ring() has returned")

    def _queue(self, verb: str, to_device: bool, signal: Signal, deadline: Deadline, connection: int) -> None:
        """Queue anything but a rel. ``connection``: the number of the one that the call was looked at on."""
        self._check_queued(verb)
        if not self._may_send(to_device):
            raise self._error(f"{verb} sent nothing")
        self._device._connection.send_signaling(self._device, signal, self.id, to_device, deadline.remaining(), connection)

    def _queue_at_once(self, to_device: bool, signal: Signal) -> None:
        """Queue anything but a rel, without waiting. Link thread."""
        if not self._may_send(to_device):
            raise self._error("nothing was sent")
        self._device._connection.answer_signaling(self._device, signal, self.id, to_device)

    def _may_send(self, to_device: bool) -> bool:
        record = self._record
        return not (self.ended or to_device in record.claimed or to_device in record.released)

    def _release(self, to_device: bool, rel: Rel, deadline: Deadline) -> bool:
        """Send a rel to one side, if it has not had one; returns whether it has it from here."""
        connection = self._device._connection.link.inbox.connection
        if not self._claim(to_device):
            return False
        try:
            self._device._connection.send_signaling(self._device, rel, self.id, to_device, deadline.remaining(), connection)
        except BaseException:
            with self._registry.lock:
                self._record.claimed -= {to_device}
            if self._answer_disc() or (self._leg is not None and self._leg.catch_up()):  # what came meanwhile was left to us
                return True
            raise
        return True

    def _claim(self, to_device: bool) -> bool:
        """Undertake to send the one rel to a side; False where somebody has, or the call is over. Any thread."""
        record = self._record
        with self._registry.lock:
            if record.ended_at is not None or to_device in record.claimed or to_device in record.released:
                return False
            record.claimed |= {to_device}
            return True

    def _answer_disc(self) -> bool:
        """Answer the disc that a call of the app got, once, with a rel of the same cause. Does not wait; any thread."""
        disc = self._record.disc
        if disc is None or (self._leg is not None and self._leg.joint is not None):  # in a bridge it is passed on
            return False
        parts = {key: disc[key] for key in ("loc", "num") if isinstance(disc.get(key), (int, str))}
        return self._release_at_once(Rel(cau=Cause(**parts)) if parts else Rel())

    def _release_at_once(self, rel: Rel) -> bool:
        """End a call of the app, if nobody has; returns whether this did. Does not wait; any thread."""
        if not self._claim(self._far_end):
            return False
        self._device._connection.answer_signaling(self._device, rel, self.id, self._far_end)
        return True

    # ------------------------------------------------------------ waiting

    def _wait(self, states: frozenset[CallState], timeout: float | None, what: str) -> CallState:
        replies = self._device._connection.replies
        timed_out = f"{self._name} {what} within {timeout} s: wait longer, or hang it up"
        return self._waiters.wait(states, self._record, replies, Deadline(timeout), timed_out, self._ended_while_waiting)

    def _reached(self, state: CallState | str) -> None:
        """Tell who waits for a state that it is reached. Link thread."""
        self._waiters.reached(state)

    def _over(self) -> None:
        """Tell whoever waits that the call is over. Link thread."""
        self._waiters.over(self._ended_while_waiting)
        for one in self._listeners:
            one.over()

    def _interrupted(self, error: Callable[[], EpSignalError]) -> None:
        """Tell whoever waits that nothing is known of the call any more. Link thread."""
        self._waiters.fail(error)
        for one in self._listeners:
            one.interrupted(error)

    def _listen(self, listener: CallListener) -> None:
        with self._registry.lock:
            self._listeners = (*self._listeners, listener)

    def _unlisten(self, listener: CallListener) -> None:
        with self._registry.lock:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

    def _hear(self, received: Received) -> None:
        """Tell who waits for what is said of a message. Link thread."""
        for one in self._listeners:
            one.hear(received)

    def _ended_while_waiting(self) -> CallEndedError:
        return self._error("the state that was waited for does not come any more")

    def _ended_meanwhile(self) -> CallEndedError:
        return self._error("what was asked for does not happen any more")

    @property
    def _name(self) -> str:
        return f"call {self.id} of {self._device.hw}"

    def _error(self, what: str) -> CallEndedError:
        cause = self.cause
        why = "without a cause" if cause is None else f"with cause {shown(cause.num):.20}{', ' + cause.text if cause.text else ''}"
        state = f"is over, {why}" if self.ended else "was hung up before"
        return CallEndedError(
            f"{what}: {self._name} {state}; take a live one from device.calls, or start one with device.dial()", cause=cause
        )


def _checked_states(states: tuple[CallState | str, ...]) -> list[CallState]:
    if not states:
        raise UsageError("wait() needs a state, such as 'connected': for the end of a call there is wait_ended()")
    wanted = []
    for state in states:
        try:
            wanted.append(CallState(state))
        except ValueError:
            known = ", ".join(one.value for one in CallState)
            raise UsageError(f"there is no state {state!r:.80}; wait() takes {known}") from None
    return wanted
