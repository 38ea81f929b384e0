"""What the tests of ladders share: signals of a history and calls that are put together by hand."""

from __future__ import annotations

import json
import re
from typing import Any

from epsignal_sync import HistoryEntry
from epsignal_sync.call_facts import CallFacts
from epsignal_sync.ladder import Ladder, make_ladder
from epsignal_sync.protocol.call_record import CallRecord, Party

from ..conftest import HW1

BEGAN = 1_700_000_000.25


class HandMade(CallFacts):
    """The facts of a call, without a device and without a client."""

    def __init__(self, record: CallRecord) -> None:
        self._record = record


def text(kind: str, **sig: Any) -> str:
    """Return the text of a signaling message."""
    return json.dumps({"mt": "Signaling", "api": "EpSignal", "src": HW1, "call": 3, "sig": {"type": kind, **sig}})


def entry(
    kind: str, verdict: str | None = "forwarded", *, to_device: bool = True, sent: tuple[str, ...] = (), after: float = 0.0, **sig: Any
) -> HistoryEntry:  # fmt: skip
    """Return a signal of a history, ``after`` so many seconds."""
    return HistoryEntry(BEGAN + after, to_device, kind, text(kind, **sig), verdict, sent)


def record(**attributes: Any) -> CallRecord:
    """Return what is known of a call."""
    one = CallRecord(3, BEGAN, True)
    one.remote, one.local = Party("23", None, "Bob"), Party("22", "alice", None)
    for name, value in attributes.items():
        setattr(one, name, value)
    return one


def ladder(*history: HistoryEntry, **attributes: Any) -> Ladder:
    """Return the ladder of a call with these signals and attributes."""
    return make_ladder(HandMade(record(**attributes)), HW1, history)


def without_times(lines: str) -> str:
    """Return lines without the local times in them, which another time zone shows otherwise."""
    return re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", re.sub(r"\d{4}-\d\d-\d\d", "YYYY-MM-DD", lines))


OFFER: dict[str, Any] = {"channels_cmd": "PROPOSAL", "channels": {
    "source": "LOCAL", "key": {"tag": 1, "b": "ca4a27ca4a27"}, "audio_ice": {"usr": "usr-1", "pwd": "icicle-333", "candidate": [{}, {}]},
    "ch": [{"coder": one, "addr": "192.0.2.7", "port": 5004, "xmit": 20} for one in ("G722", "OPUS-NB", "G711A", "G711u")],
}}  # fmt: skip
_PARTIES: dict[str, Any] = {"cg": {"num": "22"}, "cd": {"num": "23"}}
CHANGED = entry("setup", "changed", **_PARTIES, **OFFER, sent=(text("setup", **_PARTIES | {"cg": {"num": "022"}}, **OFFER),))
DROPPED = entry("alert", "dropped", to_device=False, after=0.5)
EVERYTHING = (
    CHANGED,
    entry("call_proc", to_device=False, after=0.1),
    DROPPED,
    entry("alert", "bypassed", to_device=False, after=0.75),
    entry("facility", "own", after=1, fty=[{"type": "hold_notify"}]),
    entry("info", "changed", after=2, cd={"num": "5"}, sent=(text("progress", cau={"num": 17}), text("info"))),
    entry("info", None, after=2.5, cd={"num": "6"}),
    entry("rel", after=62.125, cau={"num": 16}),
)
"""A call in which everything happens that an app can do with a signal."""
