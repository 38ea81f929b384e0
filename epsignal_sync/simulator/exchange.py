"""The call handling of the simulated PBX: who is called, what each side is told, and when a call is given up.

Sees every device only through its line; knows nothing of apps. Lives on the actor thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import signals
from .actor import Actor, Timer
from .line import Line
from .phone import SimulatedPhone
from .signals import Signal


class Leg:
    """One device's part of a call as the PBX sees it; ``state`` is as seen from the device."""

    def __init__(self, phone: SimulatedPhone, line: Line, id: int, *, incoming: bool, channel: Any, remote: dict[str, Any]) -> None:
        self.phone = phone
        self.line = line
        self.id = id
        self.incoming = incoming
        self.channel = channel
        self.remote = remote
        self.state = "null"
        self.peer: Leg | None = None
        self.timer: Timer | None = None
        self.clearing = False
        """Whether a disc was sent and its rel has not come yet."""
        line.legs[id] = self

    def send(self, sig: Signal) -> None:
        """Send a signal towards the device."""
        self.state = signals.next_state(self.state, sig, to_device=True)
        self.line.from_pbx(self.id, sig)

    def set_timer(self, timer: Timer | None) -> None:
        """Replace the leg's timer; None only stops it."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer

    def remove(self) -> Leg | None:
        """Forget the leg; returns its peer, which is on its own from then on."""
        self.set_timer(None)
        self.line.legs.pop(self.id, None)
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.peer = None
        return peer

    def info(self) -> dict[str, Any]:
        """Return what a Sync says of this call."""
        return {"channel": self.channel, "in": self.incoming, "state": self.state, "remote": self.remote}


class Exchange:
    """Connect the phones' calls.

    ``find`` returns the line of a called party (an EP) or None. ``setup_timeout`` and ``no_answer_timeout`` are in
    seconds.
    """

    def __init__(self, actor: Actor, find: Callable[[Any], Line | None], *, setup_timeout: float, no_answer_timeout: float) -> None:
        self._actor = actor
        self._find = find
        self._setup_timeout = setup_timeout
        self._no_answer_timeout = no_answer_timeout

    def receive(self, line: Line, id: Any, sig: Signal) -> None:
        """Take a signal that arrived at the PBX from a device's line."""
        leg = line.leg(id)
        kind = sig.get("type")
        if leg is None:
            call = line.call(id)
            # A setup counts only where the phone has that call: the PBX gave it the number.
            if kind == "setup" and call is not None and line.phone is not None:
                remote = _party(sig.get("cd"))
                self._new_call(Leg(line.phone, line, call.id, incoming=False, channel=sig.get("channel"), remote=remote), sig)
            elif kind != "rel":
                line.from_pbx(id, signals.rel(signals.INVALID_CALL_REFERENCE))
            return
        leg.state = signals.next_state(leg.state, sig, to_device=False)
        if kind == "rel":
            self._clear(leg.remove(), signals.cause_of(sig))
        elif leg.clearing or kind == "setup":
            return
        elif kind == "disc":
            leg.send(signals.rel(signals.cause_of(sig)))
            self._clear(leg.remove(), signals.cause_of(sig))
        else:
            self._pass_on(leg, sig)

    def unregistered(self, line: Line) -> None:
        """Forget the calls of a device that is gone; the other parties are told."""
        for leg in list(line.legs.values()):
            self._clear(leg.remove(), signals.DESTINATION_OUT_OF_ORDER)

    def _new_call(self, leg: Leg, sig: Signal) -> None:
        leg.state = signals.next_state(leg.state, sig, to_device=False)
        if leg.channel == 0:
            self._no_media_call(leg, sig)
            return
        leg.send({"type": "call_proc", "inband_info": False, "channel": leg.channel})
        called = self._find(sig.get("cd"))
        if called is None or called.phone is None:
            self._clear(leg, signals.UNALLOCATED_NUMBER)
        elif not called.registered:
            self._clear(leg, signals.SUBSCRIBER_ABSENT)
        else:
            self._offer(leg, called, called.phone, sig)

    def _no_media_call(self, leg: Leg, sig: Signal) -> None:
        if signals.has_facility(sig, "presence_subscribe"):
            leg.send({"type": "conn", "channel": 0})
            leg.send(signals.presence("Grüße aus dem Büro"))
        else:
            leg.send({"type": "call_proc", "channel": 0})

    def _offer(self, leg: Leg, line: Line, phone: SimulatedPhone, sig: Signal) -> None:
        caller = leg.phone
        party = {"num": caller.number, "sip": caller.sip}
        other = Leg(phone, line, line.new_id(), incoming=True, channel=leg.channel, remote={**party, "dn": caller.name})
        leg.peer, other.peer = other, leg
        other.set_timer(self._actor.later(self._setup_timeout, lambda: self._give_up(other, signals.RECOVERY_ON_TIMER_EXPIRY)))
        # All other fields, the media offer and what nobody here knows among them, pass through.
        other.send(signals.with_name({**sig, "cg": party, "cd": {"num": phone.number, "sip": phone.sip}}, caller.name))

    def _pass_on(self, leg: Leg, sig: Signal) -> None:
        kind, peer = sig.get("type"), leg.peer
        if leg.incoming and kind in ("alert", "call_proc"):
            leg.set_timer(self._actor.later(self._no_answer_timeout, lambda: self._give_up(leg, signals.NO_ANSWER)))
        elif kind == "conn":
            leg.set_timer(None)
        if peer is None or kind == "call_proc":
            return
        if kind in ("alert", "conn"):
            peer.remote = {"num": leg.phone.number, "sip": leg.phone.sip, "dn": leg.phone.name}
            sig = signals.with_name(sig, leg.phone.name)
        peer.send(sig)

    def _give_up(self, leg: Leg, cause: int) -> None:
        leg.send(signals.rel(cause))
        self._clear(leg.remove(), cause)

    def _clear(self, leg: Leg | None, cause: int | None) -> None:
        """Tell a device that its call is over: an H.323 phone with disc, for which it owes a rel; a SIP phone with rel."""
        if leg is None:
            return
        if leg.phone.kind == "sip":
            leg.remove()
            leg.send(signals.rel(cause))
            return
        leg.clearing = True
        leg.set_timer(self._actor.later(self._setup_timeout, lambda: self._give_up(leg, signals.RECOVERY_ON_TIMER_EXPIRY)))
        leg.send(signals.disc(signals.NORMAL_CLEARING if cause is None else cause))


def _party(called: Any) -> dict[str, Any]:
    return {key: called[key] for key in ("num", "sip") if key in called} if isinstance(called, dict) else {}
