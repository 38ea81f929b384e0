"""Call diversion at the simulated PBX (H.450.3): what is set, who asks, and the calls that go elsewhere. Lives on the actor thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import signals
from .directory import Directory
from .leg import Leg
from .line import Line
from .phone import SimulatedPhone
from .signals import Signal
from .supplementary import Facility, Services

if TYPE_CHECKING:
    from .exchange import Exchange

AT_MOST = 5
"""How often one call is diverted; after that it fails."""


class Diversions:
    """The diversions of all users; ``no_answer_after``: seconds after which NO_ANSWER applies, ``ring_time``: else."""

    def __init__(self, exchange: Exchange, directory: Directory, services: Services, *, no_answer_after: float, ring_time: float) -> None:
        self._exchange = exchange
        self._directory = directory
        self._no_answer_after = no_answer_after
        self._ring_time = ring_time
        self._set: dict[tuple[str, str], Signal] = {}
        exchange.diverted = self._divert
        exchange.patience = self._patience
        services.add(no_media={"diversion_interrogate": self._interrogate}, in_calls={"diversion_callreroute": self._reroute})

    def set(self, sip: str, procedure: str, to: Signal | None) -> None:
        """Set a user's diversion, or with None take it off."""
        if to is None:
            self._set.pop((sip, procedure), None)
        else:
            self._set[sip, procedure] = to

    def _patience(self, line: Line) -> float:
        phone = line.phone
        return self._no_answer_after if phone is not None and (phone.sip, "NO_ANSWER") in self._set else self._ring_time

    def _divert(self, caller: Leg, procedure: str, line: Line) -> bool:
        phone = line.phone
        to = self._set.get((phone.sip, procedure)) if phone is not None else None
        if phone is None or to is None:
            return False
        self._end_ringing(caller)
        if len(caller.diverted_by) >= AT_MOST:
            self._exchange.clear([caller], signals.EXCHANGE_ROUTING_ERROR)
        else:
            self._send_elsewhere(caller, phone, procedure, to)
        return True

    def _end_ringing(self, caller: Leg) -> None:
        ringing = list(caller.peers)
        caller.leave()
        self._exchange.clear(ringing, signals.NORMAL_CLEARING)

    def _send_elsewhere(self, caller: Leg, by: SimulatedPhone, procedure: str, to: Signal) -> None:
        """Have the caller, for whom nobody rings, call another party."""
        caller.diverted_by.append(by)
        first = caller.diverted_by[0]
        redirecting, target = _party(by), {**to}
        caller.send(signals.facility("diverting_leg1", reason=procedure, nominated=target, redirecting=redirecting))
        second = {
            "type": "diverting_leg2",
            "diverting": redirecting,
            "original_called": _party(first),
            "diverting_name": by.name,
            "original_called_name": first.name,
        }
        setup = {**caller.setup, "cd": target}
        self._exchange.ring(caller, signals.with_facilities(setup, [second]))
        for leg in caller.peers:
            leg.tells = [{"type": "diverting_leg3", "redirection": leg.party}]

    def _interrogate(self, leg: Leg, setup: Signal, facility: Facility) -> list[Facility]:
        procedure = facility.get("procedure")
        result: Facility = {"type": "diversion_interrogate_result", "procedure": procedure}
        served = signals.party(facility.get("served")) or leg.party
        phones = [line.phone for line in self._directory.find(served) if line.phone is not None]
        if not phones or procedure not in PROCEDURES:
            return [{**result, "error": 6}]  # H.450.1: invalidServedUserNumber
        to = self._set.get((phones[0].sip, procedure))
        entry = {"procedure": procedure, "remote_enabled": False, "served": _party(phones[0]), "diverted_to": to}
        return [{**result, "num": 0 if to is None else 1, "list": [] if to is None else [entry]}]

    def _reroute(self, leg: Leg, facility: Facility) -> None:
        called = signals.party(facility.get("called"))
        reason = facility.get("reason")
        # Spec: nothing answers diversion_callreroute, so a call that cannot go there, or is answered already, stays as it is.
        if leg.incoming and leg.state in ("setup", "call-proc", "alert") and any(line.registered for line in self._directory.find(called)):
            procedure = reason if reason in PROCEDURES else "ALWAYS"
            for caller in list(leg.peers):
                self._end_ringing(caller)
                self._send_elsewhere(caller, leg.phone, procedure, called)


PROCEDURES = ("ALWAYS", "BUSY", "NO_ANSWER")


def _party(phone: SimulatedPhone) -> dict[str, Any]:
    return {"num": phone.number, "sip": phone.sip}
