"""The call handling of the simulated PBX: who is called, what each side is told, and when a call is given up.

Sees every device, and the calls of apps, only through the device's line. Lives on the actor thread.
"""

from __future__ import annotations

from typing import Any

from . import signals
from .actor import Actor
from .directory import Directory
from .leg import Leg
from .line import Line, is_app_id
from .signals import Signal


class Exchange:
    """Connect the calls of phones and apps. The time-outs are in seconds; see :class:`SimulatedPBX`."""

    def __init__(self, actor: Actor, directory: Directory, *, setup_timeout: float, no_answer_timeout: float, digit_timeout: float) -> None:
        self._actor = actor
        self._directory = directory
        self._setup_timeout = setup_timeout
        self._no_answer_timeout = no_answer_timeout
        self._digit_timeout = digit_timeout

    def receive(self, line: Line, id: Any, sig: Signal) -> None:
        """Take a signal that arrived at the PBX from a device's line."""
        leg = line.leg(id)
        kind = sig.get("type")
        if leg is None:
            if kind == "setup" and line.phone is not None and _may_start(line, id):
                remote = signals.party(sig.get("cd"))
                self._new_call(Leg(line.phone, line, id, incoming=False, channel=sig.get("channel", -1), remote=remote), sig)
            else:
                line.refuse_unknown(id, sig, at_phone=False)
            return
        leg.state = signals.next_state(leg.state, sig, to_device=False)
        if kind == "rel":
            self._clear(leg.remove(), signals.cause_of(sig))
        elif leg.clearing or kind == "setup":
            return
        elif kind == "disc":
            leg.send(signals.rel(signals.cause_of(sig)))
            self._clear(leg.remove(), signals.cause_of(sig))
        elif kind == "info" and leg.dialing is not None:
            self._more_digits(leg, leg.dialing, sig)
        else:
            self._pass_on(leg, sig)

    def unregistered(self, line: Line) -> None:
        """Forget the calls that a device, now gone, has not kept, those of an app on its behalf too; the other parties are told."""
        for leg in list(line.legs.values()):
            if leg.id not in line.calls:
                self._clear(leg.remove(), signals.DESTINATION_OUT_OF_ORDER)

    def app_gone(self, line: Line, orphans: set[int]) -> None:
        """End the calls with these ids, which an app had started on this line, in both directions; the device's own calls go on."""
        # Spec: what the other party is told is not documented; here it is 41, temporary failure, as for any fault of an end.
        for leg in [leg for leg in line.legs.values() if leg.id in orphans]:
            self._clear(leg.remove(), signals.TEMPORARY_FAILURE)
        for id in [id for id in line.calls if id in orphans]:
            line.from_pbx(id, signals.rel(signals.TEMPORARY_FAILURE))

    def release_calls(self, line: Line) -> None:
        """End the telephone calls of a device, as a fault of the PBX would; both sides are told."""
        for leg in list(line.legs.values()):
            if leg.channel != 0:
                self.release(leg, signals.TEMPORARY_FAILURE)

    def release(self, leg: Leg, cause: int) -> None:
        """End a call by a rel of the PBX's own, whatever kind the device is; the other parties are told as usual."""
        leg.send(signals.rel(cause))
        self._clear(leg.remove(), cause)

    def _new_call(self, leg: Leg, sig: Signal) -> None:
        leg.state = signals.next_state(leg.state, sig, to_device=False)
        leg.dialing = sig
        if sig.get("complete") is True:
            self._route(leg)
            return
        # Spec: the PBX waits even where the digits are a number already, as a longer one may be meant.
        leg.send({"type": "setup_ack", "inband_info": True, "channel": leg.channel})
        self._await_digits(leg)

    def _await_digits(self, leg: Leg) -> None:
        leg.set_timer(self._actor.later(self._digit_timeout, lambda: self._no_more_digits(leg)))

    def _more_digits(self, leg: Leg, setup: Signal, info: Signal) -> None:
        digits = signals.number_of(setup) + signals.number_of(info)
        called = signals.party(setup.get("cd"))
        leg.dialing = {**setup, "cd": {**called, "num": digits}}
        leg.remote = {**leg.remote, "num": digits}
        # Complete too when nothing longer can be meant: it is a number, or no number begins like this.
        if info.get("complete") is True or self._directory.beginning_with(digits) <= {digits}:
            self._route(leg)
        else:
            self._await_digits(leg)

    def _no_more_digits(self, leg: Leg) -> None:
        # Spec: as on the expiry of Q.931's T302: the digits are taken as complete; 28 says that they are no whole number.
        if leg.dialing is not None and self._directory.find(leg.dialing.get("cd")):
            self._route(leg)
        else:
            self._clear([leg], signals.INVALID_NUMBER_FORMAT)

    def _route(self, leg: Leg) -> None:
        setup, leg.dialing = leg.dialing or {}, None
        leg.set_timer(None)
        if leg.channel == 0:
            self._no_media_call(leg, setup)
            return
        leg.send({"type": "call_proc", "inband_info": False, "channel": leg.channel})
        lines = self._directory.find(setup.get("cd"))
        registered = [line for line in lines if line.registered]
        if not registered:
            self._clear([leg], signals.SUBSCRIBER_ABSENT if lines else signals.UNALLOCATED_NUMBER)
        for line in registered:
            self._offer(leg, line, setup)

    def _no_media_call(self, leg: Leg, sig: Signal) -> None:
        if signals.has_facility(sig, "presence_subscribe"):
            leg.send({"type": "conn", "channel": 0})
            leg.send(signals.presence("Grüße aus dem Büro"))
        else:
            leg.send({"type": "call_proc", "channel": 0})

    def _offer(self, caller: Leg, line: Line, setup: Signal) -> None:
        phone = line.phone
        assert phone is not None
        # All other fields, the media offer and what nobody here knows among them, pass through.
        sig = {**_with_caller(setup, caller), "cd": {"num": phone.number, "sip": phone.sip}, "complete": True}
        remote = {**signals.party(sig["cg"]), "dn": signals.name_of(sig)}
        leg = Leg(phone, line, line.new_id(), incoming=True, channel=caller.channel, remote=remote)
        caller.join(leg)
        leg.set_timer(self._actor.later(self._setup_timeout, lambda: self.release(leg, signals.RECOVERY_ON_TIMER_EXPIRY)))
        leg.send(sig)

    def _pass_on(self, leg: Leg, sig: Signal) -> None:
        kind = sig.get("type")
        if leg.incoming and kind in ("alert", "call_proc"):
            leg.set_timer(self._actor.later(self._no_answer_timeout, lambda: self.release(leg, signals.NO_ANSWER)))
        elif kind == "conn":
            leg.set_timer(None)
            self._release_losers(leg)
        if kind == "call_proc":
            return
        for peer in list(leg.peers):
            if kind == "alert" and peer.state == "alert" and len(peer.peers) > 1:
                continue  # Another phone of the same user rings already.
            if kind in ("alert", "conn"):
                peer.remote = {"num": leg.phone.number, "sip": leg.phone.sip, "dn": leg.phone.name}
                peer.send(signals.with_name(sig, leg.phone.name))
            else:
                peer.send(sig)

    def _release_losers(self, winner: Leg) -> None:
        """Clear what else rings for the caller whose call was answered."""
        losers = [leg for caller in winner.peers for leg in caller.peers if leg is not winner]
        for loser in losers:
            loser.leave()
        self._clear(losers, signals.NON_SELECTED_USER_CLEARING)

    def _clear(self, legs: list[Leg], cause: int | None) -> None:
        """Tell devices that their call is over: an H.323 phone with disc, for which it owes a rel; a SIP phone with rel."""
        for leg in legs:
            if leg.phone.kind == "sip":
                leg.remove()
                leg.send(signals.rel(cause))
            else:
                leg.clearing = True
                self._await_rel(leg)
                leg.send(signals.disc(signals.NORMAL_CLEARING if cause is None else cause))

    def _await_rel(self, leg: Leg) -> None:
        leg.set_timer(self._actor.later(self._setup_timeout, lambda: self.release(leg, signals.RECOVERY_ON_TIMER_EXPIRY)))


def _may_start(line: Line, id: Any) -> bool:
    """Whether a setup with this id starts a call: the device's, for which the PBX gave it the number, or an app's."""
    call = line.call(id)
    # An app's leg towards the PBX and one towards the device are two calls with two ids.
    return is_app_id(id) if call is None else not call.incoming


def _with_caller(setup: Signal, caller: Leg) -> Signal:
    """Return the setup with the number and name of the device that calls, unless it says that it knows better."""
    phone = caller.phone
    if signals.has_facility(setup, "cli_override") and isinstance(setup.get("cg"), dict):
        return setup
    return signals.with_name({**setup, "cg": {"num": phone.number, "sip": phone.sip}}, phone.name)
