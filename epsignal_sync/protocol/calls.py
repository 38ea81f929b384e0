"""The calls of one device: what each message means for them (protocol page, section 2).

Pure: gets the signaling as JSON objects and the time. Everything is as seen from the device. Values from the network
are taken as they are and checked where they are used: nothing here raises for hostile input.
"""

from __future__ import annotations

from typing import Any

from attrs import define

from ..messages import CallState

MEMORY = 30.0
"""Seconds after the end of a call in which a late message of its id makes no new call."""

# The order in which a call goes forward; a late message of an earlier state changes nothing.
_ORDER = {
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

# The state that a message brings, where it brings one. disc, progress with a cause and rel are rules of their own.
_STATE_OF = {
    "setup": CallState.SETUP,
    "setup_ack": CallState.SETUP_ACK,
    "call_proc": CallState.CALL_PROC,
    "alert": CallState.ALERT,
    "conn": CallState.CONNECTED,
}

# A call first seen in the middle: these come from the called side.
_ANSWERS = frozenset({"setup_ack", "call_proc", "alert", "conn"})


@define(eq=False)
class CallRecord:
    """What is known of one call. ``state`` is a CallState, or a plain str of a newer PBX."""

    id: int
    started_at: float
    state: CallState | str = CallState.NULL
    incoming: bool | None = None
    media: bool = True
    num: str | None = None
    sip: str | None = None
    name: str | None = None
    dialed: str = ""
    cause: dict[str, Any] | None = None
    connected_at: float | None = None
    ended_at: float | None = None
    view: Any = None
    """The application side's object for this call; not used here."""


@define(eq=False)
class Change:
    """What a message did: the call it belongs to, whether it began, its state before, a call that it ended."""

    call: CallRecord | None = None
    started: bool = False
    previous: CallState | str | None = None
    """The state before, where the message changed it."""
    ended: CallRecord | None = None


class CallTable:
    """The live calls of one device, by id. Written by one thread; others read ``live`` by copying it."""

    def __init__(self) -> None:
        self.live: dict[int, CallRecord] = {}
        self._ended: dict[int, float] = {}

    def receive(self, call_id: Any, to_device: bool, sig: Any, now: float) -> Change:
        """Take one signaling message; ``now`` is the time that the record keeps (Unix seconds)."""
        if type(call_id) is not int or not isinstance(sig, dict):
            return Change()
        kind = sig.get("type")
        if not isinstance(kind, str):
            return Change(call=self.live.get(call_id))
        record = self.live.get(call_id)
        if kind == "setup":
            return self._begin(call_id, to_device, sig, now)
        if kind == "rel":
            return self._release(record, sig, now)
        if record is None:
            return self._first_seen(call_id, to_device, kind, sig, now)
        _note_cause(record, sig)
        if to_device:
            # What comes towards the device names the other party, alert and conn of an outgoing call included.
            record.name = _display_name(sig) or record.name
        if kind == "info" and to_device == bool(record.incoming):
            record.dialed += _text_of(_object(sig, "cd"), "num") or ""
        return _advance(record, _new_state(kind, to_device, sig), Change(call=record), now)

    def sync(self, call_id: Any, info: Any, now: float) -> Change:
        """Take what a Sync says of a call that existed before."""
        if type(call_id) is not int or not isinstance(info, dict) or call_id in self._recent(now):
            return Change()
        record = self.live.get(call_id)
        change = Change(call=record)
        if record is None:
            record = self.live[call_id] = CallRecord(call_id, now)
            change = Change(call=record, started=True)
        channel, incoming, state, remote = info.get("channel"), info.get("in"), info.get("state"), _object(info, "remote")
        if type(channel) is int:
            record.media = _has_media(channel)
        if isinstance(incoming, bool):
            record.incoming = incoming
        record.num = _text_of(remote, "num") or record.num
        record.sip = _text_of(remote, "sip") or record.sip
        record.name = _text_of(remote, "dn") or record.name
        if isinstance(state, str) and state != record.state:
            # Spec: what the PBX says in a Sync is taken as it is, also backwards.
            change.previous = record.state
            record.state = CallState(state) if state in _ORDER else state
        return change

    def _begin(self, call_id: int, to_device: bool, sig: dict[str, Any], now: float) -> Change:
        old = self.live.pop(call_id, None)
        if old is not None:
            # Spec: a setup on a live id ends the old call and starts a new one.
            self._end(old, now)
        record = CallRecord(call_id, now, incoming=to_device, media=_has_media(sig.get("channel")))
        self.live[call_id] = record
        self._ended.pop(call_id, None)
        remote = _object(sig, "cg" if to_device else "cd")
        record.num, record.sip = _text_of(remote, "num"), _text_of(remote, "sip")
        record.dialed = _text_of(_object(sig, "cd"), "num") or ""
        if to_device:
            record.name = _display_name(sig)
        return _advance(record, CallState.SETUP, Change(call=record, started=True, ended=old), now)

    def _first_seen(self, call_id: int, to_device: bool, kind: str, sig: dict[str, Any], now: float) -> Change:
        if kind == "disc" or call_id in self._recent(now):
            return Change()
        record = self.live[call_id] = CallRecord(call_id, now, incoming=not to_device if kind in _ANSWERS else None)
        record.media = _has_media(sig.get("channel"))
        _note_cause(record, sig)
        return _advance(record, _new_state(kind, to_device, sig), Change(call=record, started=True), now)

    def _release(self, record: CallRecord | None, sig: dict[str, Any], now: float) -> Change:
        if record is None:
            return Change()
        del self.live[record.id]
        _note_cause(record, sig)
        previous = record.state
        self._end(record, now)
        return Change(call=record, previous=previous, ended=record)

    def _end(self, record: CallRecord, now: float) -> None:
        record.state = CallState.NULL
        record.ended_at = now
        self._recent(now)[record.id] = now

    def _recent(self, now: float) -> dict[int, float]:
        """The ids whose call ended a short time ago."""
        while self._ended:
            oldest = next(iter(self._ended))
            if 0 <= now - self._ended[oldest] <= MEMORY:  # below 0 where the clock was set back
                break
            del self._ended[oldest]
        return self._ended


def _new_state(kind: str, to_device: bool, sig: dict[str, Any]) -> CallState | None:
    if kind == "disc" or (kind == "progress" and sig.get("cau") is not None):
        return CallState.DISCONNECTED if to_device else CallState.DISCONNECTING
    return _STATE_OF.get(kind)


def _advance(record: CallRecord, state: CallState | None, change: Change, now: float) -> Change:
    # A state of a newer PBX has no place in the order: any state that is known follows it.
    here = _ORDER.get(record.state, 0) if isinstance(record.state, CallState) else 0
    if state is not None and (_ORDER[state] > here or (record.state is CallState.PARKED and state is CallState.CONNECTED)):
        change.previous = record.state
        record.state = state
        if state is CallState.CONNECTED and record.connected_at is None:
            record.connected_at = now
    return change


def _note_cause(record: CallRecord, sig: dict[str, Any]) -> None:
    # Spec: the first cause counts; a disc with 17 is usually followed by a rel with 16.
    if record.cause is None and isinstance(sig.get("cau"), dict):
        record.cause = sig["cau"]


def _has_media(channel: Any) -> bool:
    # Only the number 0 says "no media": false and 0.0 equal it in Python, but are values that do not fit.
    return type(channel) is not int or channel != 0


def _object(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _text_of(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None


def _display_name(sig: dict[str, Any]) -> str | None:
    facilities = sig.get("fty")
    for one in facilities if isinstance(facilities, list) else ():
        if isinstance(one, dict) and one.get("type") == "name_identification":
            return _text_of(one, "name")
    return None
