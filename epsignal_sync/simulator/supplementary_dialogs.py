"""Dialog information at the simulated PBX: who is told of whose calls (``cp_group_indication_on``, ``_off``). On the actor thread."""

from __future__ import annotations

from collections.abc import Mapping

from . import signals
from .actor import Actor
from .directory import Directory
from .leg import Leg
from .line import Line
from .signals import CALL_STATES, Signal
from .supplementary import Facility, Services
from .supplementary_park import Parking, Slot
from .supplementary_presence import watched_user

# As the RCC API counts: "disconnecting" is the disc sent, 6, and "disconnected" the disc received, 7.
STATE_NUMBERS = {**{state: number for number, state in enumerate(CALL_STATES)}, "disconnecting": 6, "disconnected": 7}
INCOMING, ON_HOLD, HELD = 128, 256, 512


class Watcher:
    """One subscription, and what it was told last, by call id."""

    def __init__(self, leg: Leg, sip: str) -> None:
        self.leg = leg
        self.sip = sip
        self.told: dict[str, Facility] = {}

    def tell(self, now: dict[str, Facility]) -> None:
        """Tell what differs from the last time."""
        for call_id in [call_id for call_id in self.told if call_id not in now]:
            gone = self.told.pop(call_id)
            self.leg.send(signals.facility("cp_group_indication_off", callId=call_id, member=gone["member"]))
        for call_id, facility in now.items():
            if self.told.get(call_id) != facility:
                self.told[call_id] = facility
                self.leg.send({"type": "facility", "fty": [facility]})


class Dialogs:
    """The subscriptions; they are brought up to date after each change of a leg."""

    def __init__(self, actor: Actor, directory: Directory, services: Services, lines: Mapping[str, Line], parking: Parking) -> None:
        self._actor = actor
        self._directory = directory
        self._lines = lines
        self._parking = parking
        self._watchers: list[Watcher] = []
        self._due = False
        services.add(no_media={"dialog_info_subscribe": self._subscribe})

    def changed(self) -> None:
        """Take note that something changed in a leg."""
        if self._watchers and not self._due:
            self._due = True
            self._actor.soon(self._tell)

    def _subscribe(self, leg: Leg, setup: Signal, facility: Facility) -> list[Facility]:
        watched = watched_user(self._directory, leg, setup)
        # Spec: a phone that subscribes to its own user knows those calls; whether it is told of them is not documented.
        if leg.of_app or watched != leg.phone.sip:
            self._watchers.append(Watcher(leg, watched))
            self.changed()
        return []

    def _tell(self) -> None:
        self._due = False
        self._watchers = [watcher for watcher in self._watchers if watcher.leg.alive]
        for watcher in list(self._watchers):
            watcher.tell(self._dialogs(watcher.sip))

    def _dialogs(self, sip: str) -> dict[str, Facility]:
        found: dict[str, Facility] = {}
        for line in self._lines.values():
            for leg in line.legs.values() if line.phone is not None and line.phone.sip == sip else ():
                if leg.channel != 0 and not leg.clearing:
                    told = _of_leg(leg)
                    older = found.get(leg.call_id)
                    # Several phones of one user ring for the same call: the furthest of them counts.
                    if older is None or told["sig_call_state"] > older["sig_call_state"]:
                        found[leg.call_id] = told
        for slot in self._parking.slots:
            if slot.sip == sip:
                found[slot.leg.call_id] = _of_slot(slot)
        return found


def _of_leg(leg: Leg) -> Facility:
    remote = signals.party(leg.remote)
    calling, called = (remote, leg.party) if leg.incoming else (leg.party, remote)
    names = (leg.remote.get("dn") or "", leg.phone.name)
    flags = INCOMING * leg.incoming + ON_HOLD * leg.on_hold + HELD * leg.held
    return {
        "type": "cp_group_indication_on",
        "callId": leg.call_id,
        "member": leg.party,
        "parked_calling": calling,
        "parked_to_alerting": called,
        "inbound_call": leg.incoming,
        "name_id_calling": names[0] if leg.incoming else names[1],
        "name_id_alerting": names[1] if leg.incoming else names[0],
        "sig_call_state": STATE_NUMBERS[leg.state] + flags,
    }


def _of_slot(slot: Slot) -> Facility:
    return {
        "type": "cp_group_indication_on",
        "callId": slot.leg.call_id,
        "member": slot.place,
        "parked_calling": slot.leg.party,
        "parked_to_alerting": slot.place,
        "park_position": slot.position,
        "inbound_call": True,
        "name_id_calling": slot.leg.phone.name,
        "sig_call_state": STATE_NUMBERS["parked"] + INCOMING,
    }
