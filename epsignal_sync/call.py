"""A call of a device, as the application sees it. The rules that move it stand in :mod:`.protocol.call_rules`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .deadline import Deadline
from .errors import CallEndedError, EpSignalError, UsageError
from .history import HistoryEntry
from .messages import CallState, Cause, Rel, Setup, Signal
from .messages.record import received, shown
from .protocol.call_record import CallRecord
from .protocol.call_record import Party as Party
from .registry import EventSource
from .state_waiters import StateWaiters

if TYPE_CHECKING:
    from .device import Device

ANSWERED_ELSEWHERE = 26
"""The Q.850 cause value "non-selected user clearing": another phone of the user was faster."""


class Call(EventSource):
    """One call on one device. It stays readable after its end; every attribute may be read in any thread.

    A device's own call has two sides, the device and the PBX. A call that the app started with ``device.dial()`` or
    ``device.ring()`` has a negative id and one far end: the PBX or the device. Callbacks and interceptors that are
    registered on a call go when it ends.
    """

    __slots__ = ("__weakref__", "_device", "_record", "_waiters")

    def __init__(self, device: Device, record: CallRecord) -> None:
        super().__init__(device._registry)
        self._device = device
        self._record = record
        self._waiters = StateWaiters(device._registry.lock)

    @property
    def id(self) -> int:
        """Its number on this device. The PBX uses its numbers again after a call's end; those of the app's calls are not."""
        return self._record.id

    @property
    def device(self) -> Device:
        """The device whose call it is."""
        return self._device

    @property
    def own(self) -> bool:
        """Whether the app started it: with one far end, the device where it is incoming, else the PBX."""
        return self._record.own

    @property
    def incoming(self) -> bool | None:
        """True: to the device. False: from it. None: not known."""
        return self._record.incoming

    @property
    def state(self) -> CallState | str:
        """The state as the device sees it now; "null" after the end. A state of a newer PBX is a plain str."""
        return self._record.state

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self._record.ended_at is not None

    @property
    def stale(self) -> bool:
        """Whether it may be over without the app knowing: the connection is lost, or the device has unregistered.

        Until the PBX names it again or it ends; two minutes after a Detached without an Attached it counts as lost.
        """
        return self._record.stale

    @property
    def on_hold(self) -> bool:
        """Whether the device has put it on hold. A hold by media alone, as SIP knows it, does not show."""
        return self._record.on_hold

    @property
    def held(self) -> bool:
        """Whether the other party has put it on hold. A hold by media alone, as SIP knows it, does not show."""
        return self._record.held

    @property
    def media(self) -> bool:
        """False for a call without media, such as a phone keeps open for presence: no telephone call to a person."""
        return self._record.media

    @property
    def channel(self) -> int | None:
        """0: no media; -1: VoIP call with media; else an ISDN channel. None: not known."""
        return self._record.channel

    @property
    def remote(self) -> Party:
        """The other party; after a transfer, the new one."""
        return self._record.remote

    @property
    def local(self) -> Party:
        """The device's own party: who was called by an incoming call, or who an outgoing one says that it is."""
        return self._record.local

    @property
    def dialed(self) -> str:
        """The digits dialed so far; "" where they are not known."""
        return self._record.dialed

    @property
    def diverted_from(self) -> Party | None:
        """Who diverted it; None where nothing tells of a diversion."""
        return self._record.diverted_from

    @property
    def diverted_to(self) -> Party | None:
        """Where it was diverted to; None where nothing tells of that."""
        return self._record.diverted_to

    @property
    def conference_id(self) -> str | None:
        """H.323 conference id, hex, the same on all legs of a call; None where it is not known."""
        return self._record.conference_id

    @property
    def cause(self) -> Cause | None:
        """Why it ended or failed: the first cause that was received or sent."""
        data = self._record.cause
        return None if data is None else received(Cause, data)

    @property
    def answered_elsewhere(self) -> bool:
        """Whether it ended since another phone of the user had answered (cause 26): no missed call."""
        number = None if self._record.cause is None else self._record.cause.get("num")
        return type(number) is int and number == ANSWERED_ELSEWHERE

    @property
    def ended_by(self) -> str | None:
        """Who began its end, with disc, rel, or progress with a cause; None before that.

        "device"; "pbx"; "app"; "dropped": an interceptor did not let its setup through; "replaced": another call began
        with its id; "gap": it was gone when the app was in the device's path again, or the connection was lost, and with it
        a call that the app had started.
        """
        return self._record.ended_by

    @property
    def started_at(self) -> float:
        """When it began or was first heard of, in Unix seconds."""
        return self._record.started_at

    @property
    def connected_at(self) -> float | None:
        """When it was connected, in Unix seconds; None for a call that was not, or not while the app was attached."""
        return self._record.connected_at

    @property
    def ended_at(self) -> float | None:
        """When it ended, in Unix seconds."""
        return self._record.ended_at

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Its last 100 signals, in order: those that were received and those that the app sent."""
        entries = self._record.history
        return tuple(
            HistoryEntry(at, to_device, kind, text.decode("utf-8", "replace"), verdict)
            for at, to_device, kind, text, verdict in ([] if entries is None else entries.copy())
        )

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
        self._check_queued("send()")
        if isinstance(signal, Rel):
            if not self._release(side, signal, Deadline(timeout)):
                raise self._error("send() sent nothing")
            return
        record, connection = self._record, self._device._connection.link.inbox.connection
        if self.ended or side in record.claimed or side in record.released:
            raise self._error("send() sent nothing")
        self._device._connection.send_signaling(self._device, signal, record.id, side, timeout, connection)

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

    def __repr__(self) -> str:
        direction = {True: "from", False: "to", None: "with"}[self.incoming]
        return f"<Call {self.id} {direction} {self.remote}: {self.state}>"

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
            if self._answer_disc():  # one that came meanwhile was left to us
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
        if disc is None or not self._claim(self._far_end):
            return False
        parts = {key: disc[key] for key in ("loc", "num") if isinstance(disc.get(key), (int, str))}
        rel = Rel(cau=Cause(**parts)) if parts else Rel()
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

    def _interrupted(self, error: Callable[[], EpSignalError]) -> None:
        """Tell whoever waits that nothing is known of the call any more. Link thread."""
        self._waiters.fail(error)

    def _ended_while_waiting(self) -> CallEndedError:
        return self._error("the state that was waited for does not come any more")

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
