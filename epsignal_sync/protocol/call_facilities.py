"""What each facility does to the record of a call (protocol page, section 3), as one table. Knows nothing of signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .call_record import CONNECTED, FROM_DEVICE, NOBODY, PARKED, TO_DEVICE, CallRecord, JSONObject, Party, party_in, text_in

FacilityRule = Callable[[CallRecord, JSONObject], None]


def take_facilities(record: CallRecord, to_device: bool, facilities: Any) -> None:
    """Apply the rules of all the facilities of one signal, in order. Takes any JSON value."""
    rules = _BY_TYPE[to_device]
    for one in facilities if isinstance(facilities, list) else ():
        kind = one.get("type") if isinstance(one, dict) else None
        rule = rules.get(kind) if isinstance(kind, str) else None
        if rule is not None:
            rule(record, one)


def _name_remote(record: CallRecord, facility: JSONObject) -> None:
    name, remote = text_in(facility, "name"), record.remote
    if name is not None and name != remote.name:
        record.remote = Party(remote.num, remote.sip, name)


def _name_local(record: CallRecord, facility: JSONObject) -> None:
    name, local = text_in(facility, "name"), record.local
    if name is not None and name != local.name:
        record.local = Party(local.num, local.sip, name)


def _replace_remote(record: CallRecord, facility: JSONObject) -> None:
    new, old = party_in(facility, "remote", text_in(facility, "remote_name")), record.remote
    if new.num in (None, old.num) and new.sip in (None, old.sip):
        # The same party, or only a name: what is not said again stays.
        new = Party(old.num, old.sip, new.name or old.name)
    else:
        # Spec: at ct_complete whoever held the device is gone; the new party says so if it holds, too.
        record.held = False
    record.remote = new


def _come_by_pick_up(record: CallRecord, facility: JSONObject) -> None:
    calling, picking = party_in(facility, "parked_calling"), party_in(facility, "picking")
    remote, local = record.remote, record.local
    if not (remote.num or remote.sip):
        record.remote = Party(calling.num, calling.sip, remote.name)
    if not (local.num or local.sip):
        record.local = Party(picking.num, picking.sip, local.name)


def _come_diverted(record: CallRecord, facility: JSONObject) -> None:
    """Note who diverted the call to this device, or at least who was called first."""
    diverting = party_in(facility, "diverting", text_in(facility, "diverting_name"))
    if diverting == NOBODY:
        diverting = party_in(facility, "original_called", text_in(facility, "original_called_name"))
    if diverting != NOBODY:
        record.diverted_from = diverting


def _go_diverted(record: CallRecord, facility: JSONObject) -> None:
    nominated, redirecting = party_in(facility, "nominated"), party_in(facility, "redirecting")
    if nominated != NOBODY:
        record.diverted_to = nominated
    if redirecting != NOBODY:
        record.diverted_from = redirecting


def _arrive_diverted(record: CallRecord, facility: JSONObject) -> None:
    redirection = party_in(facility, "redirection")
    if redirection != NOBODY:
        record.diverted_to = redirection


def _reroute(record: CallRecord, facility: JSONObject) -> None:
    called = party_in(facility, "called")
    if called != NOBODY:
        record.diverted_to = called


def _park(record: CallRecord, facility: JSONObject) -> None:
    # Spec: nothing answers a cp_park, so it counts when it is said; only a connected call can be parked.
    if record.state is CONNECTED:
        record.state = PARKED


def _device_holds(record: CallRecord, facility: JSONObject) -> None:
    record.on_hold = True


def _device_retrieves(record: CallRecord, facility: JSONObject) -> None:
    record.on_hold = False


def _peer_holds(record: CallRecord, facility: JSONObject) -> None:
    record.held = True


def _peer_retrieves(record: CallRecord, facility: JSONObject) -> None:
    record.held = False


# Facility, direction: what it does. All others do nothing to what is known of a call.
FACILITY_RULES: dict[tuple[str, bool], FacilityRule] = {
    ("name_identification", TO_DEVICE): _name_remote,
    ("name_identification", FROM_DEVICE): _name_local,
    ("hold_notify", TO_DEVICE): _peer_holds,
    ("hold_notify", FROM_DEVICE): _device_holds,
    ("retrieve_notify", TO_DEVICE): _peer_retrieves,
    ("retrieve_notify", FROM_DEVICE): _device_retrieves,
    ("ct_complete", TO_DEVICE): _replace_remote,
    ("diverting_leg1", TO_DEVICE): _go_diverted,
    ("diverting_leg2", TO_DEVICE): _come_diverted,
    ("diverting_leg3", TO_DEVICE): _arrive_diverted,
    ("diverting_leg4", TO_DEVICE): _go_diverted,
    ("diversion_callreroute", TO_DEVICE): _reroute,
    ("diversion_callreroute", FROM_DEVICE): _reroute,
    ("cp_pick_exe", TO_DEVICE): _come_by_pick_up,
    ("cp_park", TO_DEVICE): _park,
    ("cp_park", FROM_DEVICE): _park,
}

_BY_TYPE = {way: {kind: rule for (kind, to_device), rule in FACILITY_RULES.items() if to_device is way} for way in (True, False)}
