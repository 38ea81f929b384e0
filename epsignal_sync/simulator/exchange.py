"""The call handling of the simulated PBX: who is called, what each side is told, and when a call is given up.

Sees every device, and the calls of apps, only through the device's line. Lives on the actor thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import signals
from .actor import Actor
from .directory import Directory
from .leg import Leg
from .line import Line, is_app_id
from .signals import Signal
from .supplementary import Services

USER_INFO_LIMIT = 128
"""Bytes."""


class Exchange:
    """Connect the calls of phones and apps. The time-outs are in seconds; see :class:`SimulatedPBX`.

    ``diverted``: asked with a caller, a DiversionProcedure and the line of the called party whether the call goes elsewhere
    then, which is done by it; ``patience``: how many seconds that line rings.
    """

    def __init__(
        self, actor: Actor, directory: Directory, services: Services, *,
        setup_timeout: float, no_answer_timeout: float, digit_timeout: float,
    ) -> None:  # fmt: skip
        self.diverted: Callable[[Leg, str, Line], bool] = lambda caller, procedure, line: False
        self.patience: Callable[[Line], float] = lambda line: no_answer_timeout
        self._actor = actor
        self._directory = directory
        self._services = services
        self._setup_timeout = setup_timeout
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
        before = leg.state
        leg.note(sig, to_device=False)
        if kind == "rel":
            self._released(leg, signals.cause_of(sig), refused=leg.incoming and before in ("setup", "call-proc", "alert"))
        elif leg.clearing or kind == "setup":
            return
        elif kind == "disc":
            leg.send(signals.rel(signals.cause_of(sig)))
            self._leave(leg, signals.cause_of(sig))
        elif kind == "info" and leg.dialing is not None:
            self._more_digits(leg, leg.dialing, sig)
        elif leg.channel == 0 and not leg.peers:
            self._no_media_signal(leg, sig)
        else:
            rest = self._services.take(leg, sig)
            if rest is not None:
                self._pass_on(leg, rest)

    def unregistered(self, line: Line) -> None:
        """Forget the calls that a device, now gone, has not kept, those of an app on its behalf too; the other parties are told."""
        for leg in list(line.legs.values()):
            if leg.id not in line.calls:
                self._leave(leg, signals.DESTINATION_OUT_OF_ORDER)

    def app_gone(self, line: Line, orphans: set[int]) -> None:
        """End the calls with these ids, which an app had started on this line, in both directions; the device's own calls go on."""
        # Spec: what the other party of an app that goes is told is not documented; here it is 41, as for any fault of an end.
        for leg in [leg for leg in line.legs.values() if leg.id in orphans]:
            self._leave(leg, signals.TEMPORARY_FAILURE)
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
        self._leave(leg, cause)

    def _leave(self, leg: Leg, cause: int | None) -> None:
        """Forget a leg, and clear the parties that are on their own then; one who is parked stays so."""
        self.clear([peer for peer in leg.remove() if peer.state != "parked"], cause)

    def _released(self, leg: Leg, cause: int | None, *, refused: bool) -> None:
        if not refused or cause != signals.USER_BUSY or leg.picked:
            self._leave(leg, cause)
            return
        for caller in leg.remove():
            if not self.diverted(caller, "BUSY", leg.line) and caller.state != "parked":
                self.clear([caller], cause)

    def _new_call(self, leg: Leg, sig: Signal) -> None:
        leg.note(sig, to_device=False)
        leg.dialing = sig
        leg.call_id = signals.call_id_of(sig)
        if sig.get("complete") is True:
            self._route(leg)
            return
        # Spec: without "complete" the PBX waits even where the digits are a number, as a longer one may be meant.
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
        # Spec: as on the expiry of Q.931's T302 the digits dialed so far are taken as complete; 28 says that they are no whole number.
        if leg.dialing is not None and self._directory.find(leg.dialing.get("cd")):
            self._route(leg)
        else:
            self.clear([leg], signals.INVALID_NUMBER_FORMAT)

    def _route(self, leg: Leg) -> None:
        setup, leg.dialing = leg.dialing or {}, None
        leg.set_timer(None)
        leg.setup = setup
        if leg.channel == 0:
            self._services.begin(leg, setup)
            return
        leg.send({"type": "call_proc", "inband_info": False, "channel": leg.channel})
        self.ring(leg, setup)

    def ring(self, caller: Leg, setup: Signal) -> None:
        """Have the phones ring that a setup calls, or where their calls are diverted to; the caller is cleared if there is none."""
        lines = self._directory.find(setup.get("cd"))
        if lines and caller.channel != 0 and self.diverted(caller, "ALWAYS", lines[0]):
            return
        registered = [line for line in lines if line.registered]
        if not registered:
            self.clear([caller], signals.SUBSCRIBER_ABSENT if lines else signals.UNALLOCATED_NUMBER)
        for line in registered:
            self.offer(caller, line, setup)

    def offer(self, caller: Leg, line: Line, setup: Signal) -> Leg:
        """Send a setup to one phone on behalf of the caller; returns the phone's leg."""
        leg = self._new_leg(caller, line, setup)
        caller.join(leg)
        # All other fields, the media offer and what nobody here knows among them, pass through.
        leg.send({**_with_caller(setup, caller), "cd": leg.party, "complete": True})
        return leg

    def tell(self, caller: Leg, line: Line, facility: Signal) -> None:
        """Tell a phone something, by a no-media call of which the caller knows nothing."""
        setup = {"type": "setup", "bc": "a880", "fty": [facility], "complete": True, "channel": 0}
        leg = self._new_leg(caller, line, setup)
        leg.send({**setup, "cg": caller.party, "cd": leg.party})

    def _new_leg(self, caller: Leg, line: Line, setup: Signal) -> Leg:
        phone = line.phone
        assert phone is not None
        sig = _with_caller(setup, caller)
        remote = {**signals.party(sig["cg"]), "dn": signals.name_of(sig)}
        leg = Leg(phone, line, line.new_id(), incoming=True, channel=setup.get("channel", caller.channel), remote=remote)
        leg.call_id = caller.call_id
        leg.set_timer(self._actor.later(self._setup_timeout, lambda: self.release(leg, signals.RECOVERY_ON_TIMER_EXPIRY)))
        return leg

    def _no_media_signal(self, leg: Leg, sig: Signal) -> None:
        if not leg.incoming:
            self._services.go_on(leg, sig)
        elif sig.get("type") in ("conn", "call_proc"):  # The phone was told something, and has it now.
            leg.end(signals.rel(signals.NORMAL_CLEARING))

    def _pass_on(self, leg: Leg, sig: Signal) -> None:
        kind = sig.get("type")
        uui = sig.get("uui")
        if kind == "user_info" and isinstance(uui, str) and len(uui.encode("utf-8", "replace")) > USER_INFO_LIMIT:
            return
        if leg.incoming and kind in ("alert", "call_proc"):
            leg.set_timer(self._actor.later(self.patience(leg.line), lambda: self._not_answered(leg)) if leg.channel != 0 else None)
        elif kind == "conn":
            leg.set_timer(None)
            self._release_losers(leg)
        if kind == "call_proc" and leg.channel != 0:
            return
        for peer in list(leg.peers):
            if kind in ("alert", "conn"):
                self._progress(leg, peer, sig)
            else:
                peer.send(sig)

    def _not_answered(self, leg: Leg) -> None:
        callers = list(leg.peers)
        if leg.picked or not any(self.diverted(caller, "NO_ANSWER", leg.line) for caller in callers):
            self.release(leg, signals.NO_ANSWER)

    def _progress(self, leg: Leg, peer: Leg, sig: Signal) -> None:
        """Tell the caller, or a party that is connected already and was given to the phone, that the phone rings or has answered."""
        alerting = sig.get("type") == "alert"
        if alerting and (peer.state in ("connected", "parked") or (peer.state == "alert" and len(peer.peers) > 1)):
            return  # To a caller of several phones: another phone of the same user rings already.
        if peer.state == "connected" and leg.channel != 0:
            self.connect(peer, leg, sig)
            return
        was_parked = peer.state == "parked"
        peer.remote = {**leg.party, "dn": leg.phone.name}
        peer.send(signals.with_facilities(signals.with_name(sig, leg.phone.name), leg.tells))
        for ringing in peer.peers:  # Once is enough, whichever of them answers.
            ringing.tells = []
        if was_parked or (leg.picked and not alerting):
            self.complete(peer, leg)

    def connect(self, first: Leg, second: Leg, sig: Signal) -> None:
        """Have two connected parties, peers by a transfer, know and hear each other; ``sig``: what the second said last, or nothing."""
        for leg, other in ((first, second), (second, first)):
            self.complete(leg, other)
        if sig.get("channels_cmd") == "PROPOSAL":
            first.send({"type": "channels", "channel": first.channel, "channels_cmd": "PROPOSAL", "channels": sig.get("channels")})
        else:
            second.send({"type": "channels", "channel": second.channel, "channels_cmd": "REQUEST"})

    def complete(self, leg: Leg, other: Leg) -> None:
        """Tell a party who the other one is from now on."""
        leg.remote = {**other.party, "dn": other.phone.name}
        leg.held = False
        leg.send(signals.facility("ct_complete", remote=other.party, remote_name=other.phone.name))

    def _release_losers(self, winner: Leg) -> None:
        """Clear what else rings for the caller whose call was answered."""
        losers = [leg for caller in winner.peers for leg in caller.peers if leg is not winner]
        for loser in losers:
            loser.leave()
        self.clear(losers, signals.NON_SELECTED_USER_CLEARING)

    def clear(self, legs: list[Leg], cause: int | None) -> None:
        """Tell devices that their call is over: an H.323 phone with disc, for which it owes a rel; a SIP phone with rel."""
        for leg in legs:
            if leg.phone.kind == "sip" or leg.channel == 0:
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
