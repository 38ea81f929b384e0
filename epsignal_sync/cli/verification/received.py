"""The checks of what was received in the end, whatever that is. Each is one row of the table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...messages import EpSignalMessage, Signaling, UnknownFacility, UnknownMessage, UnknownSignal
from ...protocol.codec import decode
from .bench import Bench, Check, Finding
from .masking import DEEPEST, protocol_word
from .trace import counted

UNCLEAR_SIGNALS = ("setup_ack", "info", "media_info", "accept")
"""Those whose fields, or whose very type, the documentation does not say for certain."""
UNCLEAR_OBJECTS, UNCLEAR_FIELDS = ("cau", "candidate"), ("priority", "flags", "err")
"""The same for JSON types: all fields of some objects, and single ones."""


def _src(bench: Bench) -> Finding:
    """Whether each message that was received had a src, and so belonged to a phone."""
    counts: dict[str, list[int]] = {}
    for one in bench.trace.since():
        count = counts.setdefault(one.mt, [0, 0, 0])
        count[1 if "src" not in one.data else 2 if one.hw is None else 0] += 1
    known = {mt: count for mt, count in counts.items() if mt in ("AttachResult", "Attached", "Detached", "Sync", "Signaling")}
    without = sum(count[1] for count in known.values())
    strange = sum(count[2] for count in known.values())
    seen = [f"{mt}: {right} with the src of a phone, {none} without, {other} with another" for mt, (right, none, other) in known.items()]
    if not known:
        answer = "not known: nothing was received"
    elif not without and not strange:
        answer = "yes"
    else:
        answer = "no, none has" if without == sum(map(sum, known.values())) else "not all of them"
    return Finding(answer=answer, seen=tuple(seen))


def _unknown(bench: Bench) -> Finding:
    """Which types this library does not know, and which values are not of the documented type."""
    found: list[str] = []
    for one in bench.trace.since():
        message = decode(one.data, frozenset({"EpSignal", "Api"}))
        if isinstance(message, UnknownMessage):
            found.append(f"message {one.mt}")
        if isinstance(message, Signaling):
            found += [f"signal {one.type}"] if isinstance(message.sig, UnknownSignal) else []
            facilities = () if message.sig is None else message.sig.fty or ()
            found += [f"facility {protocol_word(facility.type)}" for facility in facilities if isinstance(facility, UnknownFacility)]
        if isinstance(message, EpSignalMessage):
            found += [f"value of an unexpected type at {one.name}, {path}" for path, _ in message.problems]
    different = sorted(set(found))
    return Finding(answer=f"{len(different)} are unknown" if different else "none", seen=tuple(different))


def _hw_twice(bench: Bench) -> Finding:
    """Whether Attached came twice in a row on one connection."""
    for name in {one.connection for one in bench.trace.since()}:
        steps = [one.mt for one in bench.trace.since(connection=name, hw=bench.hw) if one.mt in ("Attached", "Detached")]
        if any(pair == ("Attached", "Attached") for pair in zip(steps, steps[1:], strict=False)):
            return Finding(answer="yes, so there may be two registrations under this hw", seen=(counted(steps),))
    return Finding(answer="no")


def _fields(bench: Bench) -> Finding:
    """Which fields the signals have that are only half documented."""
    fields: dict[str, set[str]] = {}
    for one in bench.trace.since(mt="Signaling"):
        if one.type in UNCLEAR_SIGNALS:
            fields.setdefault(one.type, set()).update(protocol_word(key) for key in one.sig if key != "type")
    seen = tuple(f"{kind}: {', '.join(sorted(names)) or 'no fields'}" for kind, names in fields.items())
    return Finding(answer=f"{', '.join(sorted(fields))} came" if fields else "none of them came", seen=seen)


def _types(bench: Bench) -> Finding:
    """Of which JSON types the values are that may be anything."""
    types: dict[str, set[str]] = {}
    for one in bench.trace.since():
        for name, value in _unclear_values(one.data, "", 0):
            types.setdefault(name, set()).add(type(value).__name__)
    seen = tuple(f"{name}: {', '.join(sorted(kinds))}" for name, kinds in sorted(types.items()))
    return Finding(answer=f"{len(types)} such values came, see the report" if types else "none came", seen=seen)


def _unclear_values(value: Any, inside: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield these values from anywhere in a message, with their names."""
    if depth > DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if inside in UNCLEAR_OBJECTS:
                yield f"{inside}.{protocol_word(key)}", inner
            elif key in UNCLEAR_FIELDS:
                yield key, inner
            yield from _unclear_values(inner, key, depth + 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _unclear_values(inner, inside, depth + 1)


AT_THE_END = (
    Check(name="src", question="Has every message of a phone its src?", run=_src),
    Check(name="unknown", question="Which types came that are not documented?", run=_unknown),
    Check(name="fields", question="Which fields do setup_ack, info, media_info and accept have?", run=_fields),
    Check(name="types", question="Of which JSON types are the values that may be any?", run=_types),
    Check(name="Attached twice", question="Did Attached come twice without a Detached?", run=_hw_twice),
)
