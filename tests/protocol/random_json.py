"""Random JSON texts of every class, right and wrong, made straight from the table of the fields: cheap enough for thousands.

In the values here a number is a string that begins with ``#`` and holds its text, so that not one digit can get lost in
the comparison; no other string has a ``#``.
"""

from __future__ import annotations

import json
import random
import re
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any

from epsignal_sync import messages
from epsignal_sync.messages.declared import is_union
from epsignal_sync.messages.record import JSONObject, Record, wire_fields
from epsignal_sync.protocol.codec import FACILITIES, SIGNALS

NUMBERS = (
    "0 1 -1 22 4294967296 9007199254740993 18446744073709551615 18446744073709551616 1180591620717411303424 -9223372036854775809 "
    "1.5 1.10 -0.0 -0 0.1000000000000000055 1e400 -1E+400 1e-999 1E5 2.50e0 123456789.123456789 1e99999999999999999999"
).split() + ["9" * 4400, "-1" + "0" * 5000, "0." + "3" * 4400]  # fmt: skip
STRINGS = [
    "", "22", "R22", "8090a2", "00FF", "busy", "SELECT", "z" * 200, "1e400", "[-0,1.10]", "a\"b\\c/",
    "ä€😀", "\x00\x1f\x7f\u2028", "\ud800", "x\udfff y",
]  # fmt: skip
KEYS = ["zz", "new_field", "", "ä", "\udc00", "type2", "a.b", "_received", "pwd"]


class Generator:
    """Makes one value after the other; the same seed makes the same values. ``size`` bounds depth and length."""

    def __init__(self, seed: int, size: int) -> None:
        self._random = random.Random(seed)
        self._size = size

    def record(self, cls: type[Record], depth: int = 0) -> JSONObject:
        """Return an object of a class: some of its fields, right or wrong, others that nobody knows, in any order."""
        pick = self._random
        data: list[tuple[str, Any]] = [(cls.discriminator, cls.wire_name)] if cls.wire_name else []
        fields = wire_fields(cls)
        for one in pick.sample(fields, pick.randint(0, min(len(fields), self._size + 2))):
            right = depth < self._size + 2 and pick.random() < 0.8
            data.append((one.wire, self.fitting(one.type, depth + 1) if right else self.anything(depth + 1)))
        for key in pick.sample(KEYS, pick.randint(0, 2)):
            data.append((key, self.anything(depth + 1)))
        pick.shuffle(data)
        return dict(data)

    def fitting(self, declared: Any, depth: int) -> Any:
        """Return a value of a declared type."""
        pick = self._random
        if declared is Any:
            return self.anything(depth)
        if is_union(declared):
            return self.fitting(pick.choice([one for one in typing.get_args(declared) if one is not type(None)]), depth)
        if typing.get_origin(declared) is tuple:
            inner = typing.get_args(declared)[0]
            right = [self.fitting(inner, depth) for _ in range(pick.randint(0, 3))]
            return right + [self.anything(depth)] if pick.random() < 0.1 else right
        if typing.get_origin(declared) is not None:
            return {key: self.anything(depth) for key in pick.sample(KEYS, 2)}
        if issubclass(declared, Enum):
            return pick.choice([one.value for one in declared])
        if issubclass(declared, Record):
            return self.record(self.concrete(declared), depth)
        if declared is str:
            return pick.choice(STRINGS)
        return f"#{pick.randint(-(10**25), 10**25) if pick.random() < 0.2 else pick.choice(NUMBERS)}" if declared is int else True

    def concrete(self, declared: type[Record]) -> type[Record]:
        """Return a class that can stand where a base class is declared."""
        if declared is messages.Signal:
            return self._random.choice([*SIGNALS.values(), messages.UnknownSignal])
        if declared is messages.Facility:
            return self._random.choice([*FACILITIES.values(), messages.UnknownFacility])
        return declared

    def anything(self, depth: int) -> Any:
        """Return any JSON value."""
        pick = self._random
        kind = pick.random()
        if depth < self._size + 2 and kind < 0.15:
            return {key: self.anything(depth + 1) for key in pick.sample(KEYS, pick.randint(0, 2))}
        if depth < self._size + 2 and kind < 0.3:
            return [self.anything(depth + 1) for _ in range(pick.randint(0, 3))]
        return pick.choice([None, True, False, pick.choice(STRINGS), "#" + pick.choice(NUMBERS)])

    def text(self, value: Any) -> bytes:
        """Return the JSON text of a value, with escapes and white space as some sender might write it."""
        pick = self._random
        raw = json.dumps(value, ensure_ascii=pick.random() < 0.5, indent=pick.choice([None, None, 1]))
        escaped = re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04X}", raw)
        return re.sub('"#([^"]+)"', r"\1", escaped).encode()


def read(text: bytes) -> Any:
    """Return the value of a JSON text, numbers as their texts."""
    return json.loads(text, parse_int=_number, parse_float=_number)


def _number(text: str) -> str:
    return "#" + text


def ordered(value: Any) -> str:
    """Return a text that is equal for values that are equal, the order of keys included."""
    return json.dumps(value)


def new_value(declared: Any) -> tuple[Any, Any]:
    """Return a value that an application may set where a type is declared, and the JSON value that it has to become."""
    if declared is Any:
        return ("new", 5, None), ["new", "#5", None]
    if is_union(declared):
        return new_value(typing.get_args(declared)[0])
    if typing.get_origin(declared) is tuple:
        value, wanted = new_value(typing.get_args(declared)[0])
        return (value, value), [wanted, wanted]
    if typing.get_origin(declared) is Mapping or typing.get_origin(declared) is not None:
        return {"new": [1]}, {"new": ["#1"]}
    if issubclass(declared, Enum):
        last = list(declared)[-1]
        return last, last.value
    if issubclass(declared, Record):
        known = {messages.Signal: messages.Rel, messages.Facility: messages.NameIdentification}.get(declared, declared)
        return known(), {known.discriminator: known.wire_name} if known.wire_name else {}
    values: dict[type, tuple[Any, Any]] = {str: ("00ff", "00ff"), int: (7, "#7"), bool: (False, False)}
    return values[declared]
