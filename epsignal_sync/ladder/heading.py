"""What stands above a ladder, in words: which call it is, when it was, how it ended. Depends on nothing but the call's own facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..looks import clock, harmless, local_time
from ..messages import Cause
from ..protocol.call_record import Party
from .reading import cause_in_words

LONGEST_NAME = 36

ENDED_BY = {
    "device": "the phone hung up",
    "pbx": "the other side hung up",
    "app": "the app hung up",
    "dropped": "an interceptor kept its setup back",
    "replaced": "another call began with its number",
    "gap": "it was gone when the app was back",
}


class Facts(Protocol):
    """The attributes of a Call that a ladder needs; a call of a recording has them, too."""

    @property
    def id(self) -> int: ...
    @property
    def own(self) -> bool: ...
    @property
    def incoming(self) -> bool | None: ...
    @property
    def remote(self) -> Party: ...
    @property
    def local(self) -> Party: ...
    @property
    def started_at(self) -> float: ...
    @property
    def connected_at(self) -> float | None: ...
    @property
    def ended_at(self) -> float | None: ...
    @property
    def cause(self) -> Cause | None: ...
    @property
    def answered_elsewhere(self) -> bool: ...
    @property
    def ended_by(self) -> str | None: ...


def title(call: Facts, hw: str) -> str:
    """Return who with whom, and which call of which phone it is: by its id, which is no number of the call in a recording."""
    remote, local = _party(call.remote), _party(call.local) if any(call.local) else ""
    if call.incoming is None:
        who = f"with {remote}"
    else:
        from_, to = (remote, local) if call.incoming else (local, remote)
        who = " ".join(f"{word} {one}" for word, one in (("from", from_), ("to", to)) if one)
    return f"Call {who}, {_id(call.id)} of phone {harmless(hw, LONGEST_NAME)}{', started by the app' if call.own else ''}"


def facts(call: Facts, began: float) -> str:
    """Return when it was, how long, and how it ended. ``began``: in Unix seconds."""
    return ", ".join(_facts(call, began))


def _facts(call: Facts, began: float) -> Iterator[str]:
    yield f"{local_time(began):%Y-%m-%d %H:%M:%S}"
    if call.ended_at is None:
        yield "not over yet" if call.connected_at is None else "connected, not over yet"
    elif call.connected_at is None:
        yield f"never connected, over after {_duration(began, call.ended_at)}"
    else:
        yield f"connected for {_duration(call.connected_at, call.ended_at)}"
    if call.cause is not None:
        yield cause_in_words(call.cause.num)
    if call.answered_elsewhere:
        yield "answered at another phone"
    if call.ended_by is not None:
        yield ENDED_BY.get(call.ended_by) or harmless(call.ended_by)


def _duration(start: float, end: float) -> str:
    # Of microseconds, as a recording has them: a live call and the recording of it must not differ by a rounded second.
    return clock((local_time(end) - local_time(start)).total_seconds())


def _party(party: Party) -> str:
    name, number = party.name or party.sip, party.num
    parts = ([harmless(name, LONGEST_NAME)] if name else []) + ([harmless(number, LONGEST_NAME)] if number else [])
    return f"{parts[0]} ({parts[1]})" if len(parts) == 2 else parts[0] if parts else "unknown"


def _id(number: int) -> str:
    return f"id {number}" if abs(number) < 10**20 else "a long id"
