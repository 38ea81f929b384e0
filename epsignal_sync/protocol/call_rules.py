"""What each message does to a call, by its type and direction, as one table (protocol page, section 2).

Knows nothing of other calls, nor of which messages belong to which call: that is :mod:`.calls`. What the facilities of
a message do stands in :mod:`.call_facilities`.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from ..messages import CallState
from .call_facilities import take_facilities
from .call_record import (
    CONNECTED,
    FROM_DEVICE,
    LONGEST_NAME,
    PARKED,
    TO_DEVICE,
    CallRecord,
    JSONObject,
    Party,
    cause_in,
    channel_in,
    object_in,
    party_in,
    text_in,
)

# The order in which a call goes forward; a late message of an earlier state changes nothing.
ORDER: dict[str, int] = {
    CallState.NULL: 0,
    CallState.SETUP: 1,
    CallState.SETUP_ACK: 2,
    CallState.CALL_PROC: 3,
    CallState.ALERT: 4,
    CallState.CONNECTED: 5,
    CallState.PARKED: 5,
    CallState.DISCONNECTED: 6,
    CallState.DISCONNECTING: 6,
}

Move = tuple[CallState | str, CallState | str]
"""The state before, and the state."""


@frozen(kw_only=True)
class Rule:
    """What a message of one type in one direction does to its call.

    ``state``: brings it there, if that is forward. ``first_seen``: whether the call is an incoming one, if this is the
    first that is seen of it. ``makes_call``: whether it may be the first. ``ending``: whether it begins the end.
    ``takes``: what is read from it. ``usual``: whether it neither begins nor ends a call.
    """

    state: CallState | None = None
    first_seen: bool | None = None
    makes_call: bool = True
    ending: bool = False
    takes: Callable[[CallRecord, bool, JSONObject], None] | None = None
    usual: bool = True


def _take_setup(record: CallRecord, to_device: bool, sig: JSONObject) -> None:
    record.incoming = to_device
    calling, called = party_in(sig, "cg"), party_in(sig, "cd")
    record.remote, record.local = (calling, called) if to_device else (called, calling)
    record.dialed = called.num or ""
    record.conference_id = text_in(sig, "confId")


def _take_digits(record: CallRecord, to_device: bool, sig: JSONObject) -> None:
    """Add dialed digits: those in the direction of the setup."""
    digits = text_in(object_in(sig, "cd"), "num")
    if digits is None or record.incoming is not to_device:
        return
    before, record.dialed = record.dialed, (record.dialed + digits)[:LONGEST_NAME]
    called = record.local if to_device else record.remote
    if called.num in (None, before):
        called = Party(record.dialed, called.sip, called.name)
        if to_device:
            record.local = called
        else:
            record.remote = called


INCOMING, OUTGOING = True, False
FAILED_PROGRESS = ("progress", "cau")
"""A progress with a cause says that the call has failed, so it is a row of its own here; no type on the wire equals this."""

# Type of message, direction: what it does. All others only show that there is a call.
RULES: dict[tuple[str | tuple[str, str], bool], Rule] = {
    ("setup", TO_DEVICE): Rule(state=CallState.SETUP, usual=False, takes=_take_setup),
    ("setup", FROM_DEVICE): Rule(state=CallState.SETUP, usual=False, takes=_take_setup),
    ("setup_ack", TO_DEVICE): Rule(state=CallState.SETUP_ACK, first_seen=OUTGOING),
    ("setup_ack", FROM_DEVICE): Rule(state=CallState.SETUP_ACK, first_seen=INCOMING),
    ("info", TO_DEVICE): Rule(takes=_take_digits),
    ("info", FROM_DEVICE): Rule(takes=_take_digits),
    ("call_proc", TO_DEVICE): Rule(state=CallState.CALL_PROC, first_seen=OUTGOING),
    ("call_proc", FROM_DEVICE): Rule(state=CallState.CALL_PROC, first_seen=INCOMING),
    ("alert", TO_DEVICE): Rule(state=CallState.ALERT, first_seen=OUTGOING),
    ("alert", FROM_DEVICE): Rule(state=CallState.ALERT, first_seen=INCOMING),
    ("conn", TO_DEVICE): Rule(state=CallState.CONNECTED, first_seen=OUTGOING),
    ("conn", FROM_DEVICE): Rule(state=CallState.CONNECTED, first_seen=INCOMING),
    (FAILED_PROGRESS, TO_DEVICE): Rule(state=CallState.DISCONNECTED, ending=True),
    (FAILED_PROGRESS, FROM_DEVICE): Rule(state=CallState.DISCONNECTING, ending=True),
    ("disc", TO_DEVICE): Rule(state=CallState.DISCONNECTED, ending=True, makes_call=False),
    ("disc", FROM_DEVICE): Rule(state=CallState.DISCONNECTING, ending=True, makes_call=False),
    ("rel", TO_DEVICE): Rule(state=CallState.NULL, usual=False, ending=True, makes_call=False),
    ("rel", FROM_DEVICE): Rule(state=CallState.NULL, usual=False, ending=True, makes_call=False),
    ("", TO_DEVICE): Rule(makes_call=False),  # no type at all
    ("", FROM_DEVICE): Rule(makes_call=False),
}
OTHERS = Rule()

_BY_TYPE: dict[bool, dict[str, Rule]] = {
    way: {kind: rule for (kind, to_device), rule in RULES.items() if to_device is way and isinstance(kind, str)} for way in (True, False)
}


def apply(record: CallRecord, rule: Rule, to_device: bool, sig: JSONObject, now: float, who: str) -> tuple[Move, ...]:
    """Do to a call what a message does, but for its end; returns how its state moved."""
    before = record.state
    if record.cause is None and "cau" in sig:
        # Spec: the first cause counts; a disc with 17 is usually followed by a rel with 16.
        record.cause = cause_in(sig)
    if record.incoming is None:
        # Spec: the first message that tells the direction counts, though others may have come before.
        record.incoming = rule.first_seen
    if rule.ending and record.ended_by is None:
        record.ended_by = who
    if record.channel is None and "channel" in sig:
        record.channel = channel_in(sig)
    if rule.takes is not None:
        rule.takes(record, to_device, sig)
    if rule.state is not None:
        _advance(record, rule.state, now)
    state = record.state
    if "fty" in sig:
        take_facilities(record, to_device, sig["fty"])
    moves: tuple[Move, ...] = () if state is before else ((before, state),)
    return moves if record.state is state else (*moves, (state, record.state))


def _advance(record: CallRecord, state: CallState, now: float) -> None:
    here = record.state
    # A state of a newer PBX has no place in the order: any state that is known follows it.
    if ORDER[state] > ORDER.get(here, 0):
        record.state = state
        if state is CONNECTED:
            record.connected_at = now
    elif here is PARKED and state is CONNECTED:
        record.state = state


def rule_for(to_device: bool, sig: JSONObject) -> tuple[str, Rule]:
    """Return the type of a message, cut to ``LONGEST_NAME``, "" where it has none, and the row of the table that it stands in."""
    kind = sig.get("type")
    if not isinstance(kind, str):
        return "", RULES["", to_device]
    if kind == "progress" and sig.get("cau") is not None:
        return kind, RULES[FAILED_PROGRESS, to_device]
    rule = _BY_TYPE[to_device].get(kind)
    return (kind[:LONGEST_NAME], OTHERS) if rule is None else (kind, rule)
