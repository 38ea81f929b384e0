"""Park and pick-up at the simulated PBX (H.450.5, the ``cp_*`` facilities). Lives on the actor thread."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from . import signals
from .actor import Actor
from .directory import Directory
from .leg import Leg
from .line import Line
from .signals import Signal
from .supplementary import Facility, Refused, Services

if TYPE_CHECKING:
    from .exchange import Exchange


@frozen
class Slot:
    """A parked call: ``leg`` is the party who waits, ``place`` the EP where, ``sip`` its user."""

    leg: Leg
    sip: str
    place: Signal
    position: int

    @property
    def taken(self) -> bool:
        """Whether the party still waits there."""
        return self.leg.alive and self.leg.state == "parked"


class Parking:
    """The parked calls, and picking up those and others that ring."""

    def __init__(self, exchange: Exchange, actor: Actor, directory: Directory, services: Services, lines: Mapping[str, Line]) -> None:
        self._exchange = exchange
        self._actor = actor
        self._directory = directory
        self._lines = lines
        self._slots: list[Slot] = []
        services.add(no_media={"cp_pick_req": self._pick_up}, in_calls={"cp_park": self._park})

    @property
    def slots(self) -> list[Slot]:
        """The slots in which somebody waits."""
        self._slots = [slot for slot in self._slots if slot.taken]
        return self._slots

    def _park(self, leg: Leg, facility: Facility) -> None:
        phones = [line.phone for line in self._directory.find(signals.party(facility.get("parked_to"))) if line.phone is not None]
        if not phones or leg.state != "connected" or len(leg.peers) != 1 or leg.peers[0].state != "connected":
            return  # Spec: nothing answers cp_park; where it cannot be done, the call stays as it is.
        place = {"num": phones[0].number, "sip": phones[0].sip}
        taken = {slot.position for slot in self.slots if slot.sip == phones[0].sip}
        wanted = facility.get("park_position")
        position = wanted if type(wanted) is int and wanted >= 0 else next(free for free in itertools.count(1) if free not in taken)
        if position in taken:
            return
        party = leg.peers[0]
        leg.leave()
        # Spec: that the one who is parked is told by the same facility is not documented.
        party.send(signals.facility("cp_park", parking=leg.party, parked=party.party, parked_to=place, park_position=position))
        party.setup = {"type": "setup", "bc": "8090a2", "complete": True, "channel": -1, "callId": leg.call_id}
        party.call_id = leg.call_id
        self._slots.append(Slot(party, phones[0].sip, place, position))
        self._exchange.clear([leg], signals.NORMAL_CLEARING)

    def _pick_up(self, leg: Leg, setup: Signal, facility: Facility) -> list[Facility]:
        target = next(self._wanted(leg, setup, facility), None)
        if target is None:
            raise Refused(signals.NO_SUCH_CALL)
        caller, call_id = target
        self._actor.soon(lambda: self._offer(leg.line, caller, call_id))  # behind the answer to the request
        return []

    def _offer(self, line: Line, caller: Leg, call_id: str) -> None:
        if caller.alive and line.registered:
            assert line.phone is not None
            picking = {"num": line.phone.number, "sip": line.phone.sip}
            picked = {"type": "cp_pick_exe", "callId": call_id, "picking": picking, "parked_calling": caller.party}
            self._exchange.offer(caller, line, signals.with_facilities(caller.setup, [picked])).picked = True

    def _wanted(self, leg: Leg, setup: Signal, facility: Facility) -> Iterator[tuple[Leg, str]]:
        """Return the calls that may be meant, as the party who waits and the call id; the best first."""
        wanted, position = facility.get("callId"), facility.get("park_position")
        place = {line.hw for line in self._directory.find(signals.party(facility.get("parked_to_alerting")) or setup.get("cd"))}
        calling = {line.hw for line in self._directory.find(signals.party(facility.get("parked_calling")))}
        for waiting, id, where, at in self._waiting(leg.line):
            by_id = isinstance(wanted, str) and wanted == id
            by_place = bool(place & where) and position in (None, at) and (not calling or waiting.line.hw in calling)
            if by_id or (wanted is None and by_place):
                yield waiting, id

    def _waiting(self, line: Line) -> Iterator[tuple[Leg, str, set[str], Any]]:
        """Return who waits, parked or for an answer: the party, the call id, the devices at which, and the position."""
        for slot in self.slots:
            yield slot.leg, slot.leg.call_id, {each.hw for each in self._directory.find(slot.place)}, slot.position
        ringing = [leg for each in self._lines.values() for leg in each.legs.values() if leg.incoming and leg.channel != 0]
        for leg in ringing:
            if leg.state == "alert" and leg.line is not line and leg.peers:
                yield leg.peers[0], leg.call_id, {leg.line.hw}, None
