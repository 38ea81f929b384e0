"""What an interceptor changed in a signal, field by field, in words. Pure; gets signals without secrets.

Fields have their names on the wire: ``cg.num 22 -> 022``. Media are not taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..looks import harmless
from .reading import LONGEST_NUMBER, UNNAMED, Content, facility_name, media_in_words

MOST_CHANGES = 6
"""Changes of one signal that are named."""
MOST_FACILITIES = 50
"""Facilities of one signal that are compared."""
MOST_INSIDE = 3
"""Fields that are named of an object that was added or removed."""
DEEPEST = 4
"""Levels that are taken apart; what is below is compared as a whole."""

MEDIA_FIELDS = frozenset({"channels_cmd", "channels", "faststart"})

_NOTHING = object()


def changes(before: Content, after: Content) -> tuple[str, ...]:
    """Return in words what is different in another version of a signal."""
    found: list[str] = []
    more = 0
    for one in _changes(before.sig, after.sig, known_alone=not (before.cut or after.cut)):
        if len(found) < MOST_CHANGES:
            found.append(one)
        else:
            more += 1
    if more:
        found.append(f"and {more:,} more")
    if not found:
        found.append("in nothing that is shown")
    return tuple(found)


def _changes(before: dict[str, Any], after: dict[str, Any], *, known_alone: bool) -> Iterator[str]:
    """``known_alone``: whether a field that only one of them has is known to be missing in the other."""
    aside = {*MEDIA_FIELDS, "fty"}
    yield from _field_changes(
        {key: value for key, value in before.items() if key not in aside},
        {key: value for key, value in after.items() if key not in aside},
        known_alone=known_alone,
    )
    if not known_alone:
        return  # a list, or an offer, may be shorter only since its text was cut off
    yield from _facility_changes(_list(before.get("fty")), _list(after.get("fty")))
    if any(before.get(name, _NOTHING) != after.get(name, _NOTHING) for name in MEDIA_FIELDS):
        old, new = media_in_words(before) or "no media", media_in_words(after) or "no media"
        yield f"{old} -> {new}" if old != new else f"details of the {old}"


def _field_changes(before: Any, after: Any, path: str = "", *, known_alone: bool, depth: int = 0) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict) and depth < DEEPEST:
        for key in [*before, *(key for key in after if key not in before)]:
            old, new = before.get(key, _NOTHING), after.get(key, _NOTHING)
            name = f"{path}.{harmless(key, 24)}" if path else harmless(key, 24)
            if known_alone or not (old is _NOTHING or new is _NOTHING):
                yield from _field_changes(old, new, name, known_alone=known_alone, depth=depth + 1)
    elif before is _NOTHING:
        yield f"{path} {_value(after)} added"
    elif after is _NOTHING:
        yield f"{path} {_value(before)} removed"
    elif type(before) is not type(after) or before != after:  # true equals 1 in Python
        yield f"{path} {_value(before)} -> {_value(after)}"


def _facility_changes(before: list[Any], after: list[Any]) -> Iterator[str]:
    gone = before[:MOST_FACILITIES]
    new = []
    for one in after[:MOST_FACILITIES]:
        if one in gone:
            gone.remove(one)
        else:
            new.append(one)
    for one in new:
        old = next((other for other in gone if facility_name(other) == facility_name(one)), None)
        if old is None:
            yield f"{_facility(one)} added"
        else:
            gone.remove(old)
            inside = list(_field_changes(old, one, known_alone=True))
            yield f"{_facility(one)}: {inside[0] if inside else 'changed'}{' ...' if len(inside) > 1 else ''}"
    yield from (f"{_facility(one)} removed" for one in gone)


def _facility(facility: Any) -> str:
    name = facility_name(facility)
    return name if name == UNNAMED else f"facility {name}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _value(value: Any) -> str:
    """Return a JSON value in words; of what is inside of others only the first level."""
    if isinstance(value, str):
        return harmless(value, LONGEST_NUMBER) or '""'
    if isinstance(value, dict):
        flat = not any(isinstance(one, (dict, list)) for one in value.values())
        inside = ", ".join(f"{harmless(key, 16)} {_value(one)}" for key, one in list(value.items())[:MOST_INSIDE]) if flat else "..."
        return f"({inside}, ...)" if flat and len(value) > MOST_INSIDE else f"({inside})"
    if isinstance(value, list):
        return "[...]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        return harmless(str(value), 20)
    except ValueError:  # an integer of more digits than Python writes
        return "a long number"
