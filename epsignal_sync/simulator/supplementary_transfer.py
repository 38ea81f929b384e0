"""Call transfer at the simulated PBX, blind and attended (H.450.2, the ``ct_*`` facilities). Lives on the actor thread."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from . import signals
from .directory import Directory
from .leg import Leg
from .supplementary import Facility, Services

if TYPE_CHECKING:
    from .exchange import Exchange

INVALID_REROUTING_NUMBER = 1004
"""The errors of H.450.2, section 9.2, and H.450.1."""
UNRECOGNIZED_CALL_IDENTITY = 1005
INVALID_CALL_STATE = 7


class TransferFailed(Exception):
    """Why a transfer cannot be done, as in ``ct_initiate_result``."""

    def __init__(self, error: int, cause: int) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


class Transfers:
    """Give the party of one call another party; the calls of who transferred are released then."""

    def __init__(self, exchange: Exchange, directory: Directory, services: Services) -> None:
        self._exchange = exchange
        self._directory = directory
        self._services = services
        self._identified: dict[int, Leg] = {}
        services.add(in_calls={"ct_identify": self._identify, "ct_initiate": self._initiate})

    def _identify(self, leg: Leg, facility: Facility) -> None:
        if len(leg.peers) != 1:
            return  # Spec: ct_identify_result has nothing to refuse with.
        self._identified = {id: known for id, known in self._identified.items() if known.alive and known is not leg}
        id = next(id for id in iter(lambda: secrets.randbelow(1 << 31), None) if id and id not in self._identified)
        self._identified[id] = leg
        # Spec: the PBX answers ct_identify for the other party, which so learns nothing of it before the end.
        leg.send(signals.facility("ct_identify_result", id=id, dst=leg.peers[0].party))

    def _initiate(self, leg: Leg, facility: Facility) -> None:
        answer = self._services.answer("ct_initiate")
        try:
            if isinstance(answer, int):
                raise TransferFailed(INVALID_CALL_STATE, answer)
            if leg.state != "connected" or len(leg.peers) != 1:
                raise TransferFailed(INVALID_CALL_STATE, signals.INVALID_CALL_STATE)
            other = self._identified.get(facility["id"]) if type(facility.get("id")) is int else None
            if other is not None:
                self._check_consultation(leg, other)
            elif not signals.party(facility.get("dst")):
                raise TransferFailed(UNRECOGNIZED_CALL_IDENTITY, signals.NO_SUCH_CALL)
            elif not any(line.registered for line in self._directory.find(facility["dst"])):
                raise TransferFailed(INVALID_REROUTING_NUMBER, signals.UNALLOCATED_NUMBER)
        except TransferFailed as failed:
            leg.send(signals.facility("ct_initiate_result", error=failed.error, cause=failed.cause))
            return
        if answer != "rel":
            leg.send(signals.facility("ct_initiate_result"))
        if other is None:
            self._transfer_blind(leg, facility)
        else:
            self._join(leg, other)

    def _check_consultation(self, leg: Leg, other: Leg) -> None:
        if not other.alive or other is leg or len(other.peers) != 1 or other.state not in ("connected", "alert"):
            raise TransferFailed(UNRECOGNIZED_CALL_IDENTITY, signals.NO_SUCH_CALL)
        if other.peers[0] is leg or other.peers[0] is leg.peers[0]:
            raise TransferFailed(INVALID_CALL_STATE, signals.INVALID_CALL_STATE)

    def _transfer_blind(self, leg: Leg, facility: Facility) -> None:
        party = leg.peers[0]
        self._part(leg)
        party.call_id = leg.call_id
        # Without an offer: the new party makes one to the one who is connected already.
        new = {"type": "ct_setup", "dst": signals.party(facility["dst"])}
        party.setup = {"type": "setup", "bc": "8090a2", "cd": new["dst"], "complete": True, "channel": -1, "fty": [new]}
        self._exchange.ring(party, party.setup)

    def _join(self, leg: Leg, other: Leg) -> None:
        # Spec: both ends have their calls, so no new one is made for them; they are told by ct_complete.
        party, consulted = leg.peers[0], other.peers[0]
        alerting = other.state == "alert"
        self._part(leg)
        self._part(other)
        party.join(consulted)
        if alerting:
            self._exchange.complete(party, consulted)
            self._exchange.complete(consulted, party)
        else:
            self._exchange.connect(party, consulted, {})

    def _part(self, leg: Leg) -> None:
        """Release the call of who transfers, and leave its party alone."""
        leg.leave()
        self._exchange.clear([leg], signals.NORMAL_CLEARING)
