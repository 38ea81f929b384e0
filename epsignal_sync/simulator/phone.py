"""A simulated phone: what a person does with it, and how it behaves on its signaling line.

Knows only its own line; whether an app or the PBX is at the other end makes no difference to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import DetachedError, ReplyTimeout, UsageError
from . import signals
from .actor import Actor
from .behaviour import check_afterwards
from .call import WAIT_TIMEOUT, SimulatedCall, check_states
from .line import Line
from .log import MessageLog
from .phone_media import PhoneMedia
from .phone_services import PhoneServices, SetDiversion
from .signals import Signal

T = TypeVar("T")

STANDING = ("presence_subscribe", "dialog_info_subscribe")
"""The facilities of the no-media calls that a phone keeps open while it is registered."""


class SimulatedPhone(PhoneServices):
    """A phone at the simulated PBX, driven from Python; made by :meth:`SimulatedPBX.add_phone`.

    It rings by itself when a call comes in, from the PBX or from an app alone (with a negative ``id``), and cannot tell
    the two apart. Phones with the same number ring together, and the first that is answered has the call. Set ``busy``
    to True to have it refuse every call with cause 17; otherwise it takes any number of calls. It does what remote control
    and other facilities ask for; :attr:`answers` has it refuse that, or be silent.

    All methods may be called from any thread; except for :meth:`wait` they block only for the moment that the simulated
    PBX needs (ReplyTimeout after 5 s, ClosedError when it is closed).
    """

    def __init__(
        self, line: Line, actor: Actor, log: MessageLog, *, number: str, sip: str, name: str, kind: str, setup_timeout: float,
        registration_changed: Callable[[SimulatedPhone], None], heard_by: Callable[[SimulatedCall], SimulatedCall | None],
        set_diversion: SetDiversion,
    ) -> None:  # fmt: skip
        super().__init__(PhoneMedia(line.hw, "SIP" if kind == "sip" else "LOCAL"), heard_by, set_diversion)
        self.hw = line.hw
        """The hardware id with which it registers."""
        self.number = number
        self.sip = sip
        self.name = name
        self.kind = kind
        self.busy = False
        """Set it to True to have every call refused with cause 17."""
        self.registered = False
        """Whether it is registered at the PBX."""
        self._line = line
        self._actor = actor
        self._log = log
        self._setup_timeout = setup_timeout
        self._registration_changed = registration_changed
        self._changes: tuple[tuple[int, SimulatedCall, str], ...] = ()
        self._last: SimulatedCall | None = None
        self._setups = self._alerts = 0
        line.phone = self
        line.to_phone = self._receive

    def __repr__(self) -> str:
        return f"<SimulatedPhone {self.hw} {self.number} {self.name!r}{'' if self.registered else ', not registered'}>"

    @property
    def calls(self) -> list[SimulatedCall]:
        """The telephone calls that are not over, oldest first; without the no-media calls. Does not block."""
        return [call for call in list(self._line.calls.values()) if call.channel != 0]

    @property
    def standing_calls(self) -> list[SimulatedCall]:
        """The no-media calls that the phone keeps open. Does not block."""
        return [call for call in list(self._line.calls.values()) if call.channel == 0]

    @property
    def call_now(self) -> SimulatedCall | None:
        """The newest telephone call that is not over, or None. Does not block."""
        calls = self.calls
        return calls[-1] if calls else None

    def register(self) -> None:
        """Register the phone: attached apps get Attached, and the phone opens its no-media calls."""
        self._actor.run(self.come_back)

    def unregister(self) -> None:
        """Take the phone off the PBX: its calls end without a word from it, attached apps get Detached."""
        self._actor.run(lambda: self.go_away(keep_calls=False))

    def reregister(self, *, calls: str = "kept") -> None:
        """Have the phone lose its registration and get it back at once: attached apps get Detached, Attached, and a Sync for each call.

        ``calls``: what becomes of the telephone calls: "kept", "lost" (as by :meth:`unregister`), or "renumbered": they go
        on under other ids, and the old ids become those of other calls. The no-media calls are always opened anew, and
        calls that an app started end. Raises DetachedError while the phone is not registered, UsageError for other ``calls``.
        """
        check_afterwards(calls)

        def lose() -> None:
            if not self.registered:
                raise DetachedError(f"phone {self.hw} is not registered, so it cannot lose its registration: use register()")
            self.go_away(keep_calls=calls != "lost")

        self._actor.run(lose)
        # A job of its own: by now everything is said that follows from the loss.
        self._actor.run(lambda: self.come_back(renumbered=calls == "renumbered"))

    def call(self, number: str, *, overlap: bool = False) -> SimulatedCall:
        """Dial a number and return the new call; raises DetachedError while the phone is not registered.

        With ``overlap`` these are the first digits, or none ("") yet: the others follow with :meth:`SimulatedCall.dial`.
        """
        return self._actor.run(lambda: self._dial(number, overlap))

    def answer(self, call: SimulatedCall | None = None) -> None:
        """Answer the newest ringing call, or the one given; raises UsageError if there is none."""
        self._actor.run(lambda: self.accept(self._ringing(call, "answer")))

    def reject(self, cause: int = signals.CALL_REJECTED) -> None:
        """Refuse the newest ringing call; raises UsageError if there is none."""
        self._actor.run(lambda: self._send(self._ringing(None, "reject"), signals.rel(cause)))

    def hangup(self, cause: int = signals.NORMAL_CLEARING, call: SimulatedCall | None = None) -> None:
        """End the newest call, or the one given (which may be over); raises UsageError if there is none."""
        self._actor.run(lambda: self.release(cause, call))

    def send(self, call: SimulatedCall, sig: dict[str, Any]) -> None:
        """Send any signal that neither starts nor ends a call; raises UsageError for another one or an ended call."""
        if sig.get("type") in ("setup", "disc", "rel"):
            raise UsageError(f"a phone does not send a {sig.get('type')} this way: use call() or hangup()")

        def send() -> None:
            if call.ended:
                raise UsageError(f"call {call.id} of {self.hw} is over: nothing can be sent in it")
            self._send(call, dict(sig))

        self._actor.run(send)

    def dial(self, call: SimulatedCall, digits: str, *, complete: bool = False) -> None:
        """Dial more digits in a call that was begun with ``overlap``; see :meth:`SimulatedCall.dial`."""
        self._actor.run(lambda: self._dial_on(call, digits, complete))

    def wait(self, state: str, *, timeout: float = WAIT_TIMEOUT) -> SimulatedCall:
        """Wait until a telephone call of this phone reaches the state, and return the call.

        A call that is not over and has been in that state counts, and so does, for the states after a call, the last
        one. Blocks for at most ``timeout`` seconds, then raises ReplyTimeout; UsageError for an unknown state.
        :meth:`SimulatedCall.wait` waits for one certain call.
        """
        check_states((state,))
        before = self._changes[-1][0] if self._changes else 0

        def look() -> SimulatedCall | None:
            # The changes are read last: a call that ends between the two is found there.
            for call in reversed(self.calls):
                if state in call.reached:
                    return call
            last = self._last
            if last is not None and last.ended and state in last.reached and state in ("null", "disconnected", "disconnecting"):
                return last
            return next((call for count, call, reached in self._changes if count > before and reached == state), None)

        found = self.wait_until(look, timeout)
        if found is None:
            now = ", ".join(f"call {call.id} is {call.state}" for call in self.calls) or "it has no call"
            raise ReplyTimeout(f"{self!r} had no call that reached {state} within {timeout:g} s: {now}; see pbx.log for what was said")
        return found

    def wait_until(self, look: Callable[[], T | None], timeout: float | None) -> T | None:
        """Return the first true result of ``look``, which runs on the calling thread after each change, or None."""
        return self._log.wait(look, timeout)

    def state_changed(self, call: SimulatedCall, state: str) -> None:
        """Take note that a call reached a state; on the actor thread."""
        if call.channel != 0:
            self._last = call
            count = self._changes[-1][0] + 1 if self._changes else 1
            # A new tuple each time: other threads read it without a lock.
            self._changes = (*self._changes[-99:], (count, call, state))

    def release(self, cause: int, call: SimulatedCall | None) -> None:
        """Do what :meth:`hangup` does, on the actor thread; the simulator's own."""
        call = call or self.call_now
        if call is None:
            raise UsageError(f"{self!r} has no call to hang up")
        if not call.ended:
            self._send(call, signals.rel(cause))

    def come_back(self, *, renumbered: bool = False) -> None:
        """Do what :meth:`register` does, on the actor thread, to calls that were kept too; the simulator's own."""
        if self.registered:
            return
        if renumbered:
            self._line.renumber()
        self.registered = True
        self._registration_changed(self)
        for facility in STANDING:
            sig = signals.standing_setup(number=self.number, sip=self.sip, facility=facility)
            self.start(sig, remote={"sip": self.sip})

    def go_away(self, *, keep_calls: bool) -> None:
        """Do what :meth:`unregister` does, on the actor thread; the simulator's own."""
        if not self.registered:
            return
        self.registered = False
        for call in list(self._line.calls.values()):
            # A call that the PBX does not know, as its setup was lost, or its rel, would never end.
            if not (keep_calls and call.channel != 0 and call.id in self._line.legs):
                self._end(call, signals.rel(None))
        self._registration_changed(self)

    def _dial(self, number: str, overlap: bool) -> SimulatedCall:
        if not self.registered:
            raise DetachedError(f"phone {self.hw} is not registered, so it cannot call {number}: use register() first")
        media = self._media.offer()
        sig = signals.setup(number=self.number, sip=self.sip, name=self.name, called=number, overlap=overlap, media=media)
        self._setups += 1
        if self._setups % 2 == 0:
            sig = signals.with_surprises(sig)
        return self.start(sig, remote={"num": number})

    def _dial_on(self, call: SimulatedCall, digits: str, complete: bool) -> None:
        if call.state not in ("setup", "setup-ack"):
            raise UsageError(f"call {call.id} of {self.hw} takes no digits, as it is {call.state}: begin it with call(..., overlap=True)")
        if not digits and not complete:
            raise UsageError(f"there is nothing to dial in call {call.id} of {self.hw}: give digits, or complete=True")
        cd = {"cd": {"num": digits}} if digits else {}
        call.remote = {**call.remote, "num": call.remote.get("num", "") + digits}
        self._send(call, {"type": "info", **cd, **({"complete": True} if complete else {})})

    def start(self, sig: Signal, *, remote: dict[str, Any]) -> SimulatedCall:
        """Begin a call with this setup, on the actor thread; the simulator's own."""
        call = SimulatedCall(self, self._line.new_id(), incoming=False, channel=sig["channel"], remote=remote)
        self._line.calls[call.id] = call
        call.timer = self._actor.later(self._setup_timeout, lambda: self._give_up(call))
        self._send(call, sig)
        return call

    def _give_up(self, call: SimulatedCall) -> None:
        self._send(call, signals.rel(signals.RECOVERY_ON_TIMER_EXPIRY))

    def _ringing(self, call: SimulatedCall | None, verb: str) -> SimulatedCall:
        for each in reversed(self.calls):
            if each.incoming and each.state == "alert" and (call is None or call is each):
                return each
        raise UsageError(f"{self!r} has no ringing call to {verb}: use wait('alert') first")

    def _send(self, call: SimulatedCall, sig: Signal) -> None:
        self._line.from_phone(call.id, sig)
        if sig["type"] == "rel":
            self._line.released(call.id, to_device=False)
            self._end(call, sig)
        else:
            call.apply(sig, to_device=False)

    def _end(self, call: SimulatedCall, sig: Signal, *, to_device: bool = False) -> None:
        if call.timer is not None:
            call.timer.cancel()
        self._line.forget_call(call.id)
        call.apply(sig, to_device=to_device)

    def _receive(self, id: Any, sig: Signal) -> None:
        call = self._line.call(id)
        kind = sig.get("type")
        if call is None:
            if kind == "setup" and self._line.may_ring(id):
                self._ring(id, sig)
            else:
                self._line.refuse_unknown(id, sig, at_phone=True)
        elif kind == "rel":
            self._end(call, sig, to_device=True)
        elif kind != "setup":
            call.apply(sig, to_device=True)
            if kind == "disc":
                self._send(call, signals.rel(signals.NORMAL_CLEARING))
                return
            self.take_media(call, sig)
            self.take_facilities(call, sig)
            if call.one_shot and kind in ("conn", "call_proc"):
                self._send(call, signals.rel(signals.NORMAL_CLEARING))

    def _ring(self, id: int, sig: Signal) -> None:
        call = SimulatedCall(self, id, incoming=True, channel=sig.get("channel"), remote=signals.party(sig.get("cg")))
        self._line.calls[id] = call
        call.apply(sig, to_device=True)
        if call.channel == 0:  # Nobody is called: it takes message waiting and the like by itself.
            self.take_no_media_call(call, sig)
            return
        if self.busy:
            self._send(call, signals.rel(signals.USER_BUSY))
            return
        self._alerts += 1
        alert: Signal = {"type": "alert", "channel": call.channel}
        if self.early_media and call.media.offer is not None:
            alert.update(self._media.answer(call.media.offer))
        self._send(call, signals.with_surprises(alert) if self._alerts % 2 == 0 else alert)
        self.take_facilities(call, sig)
