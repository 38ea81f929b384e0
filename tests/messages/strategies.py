"""Random messages: right ones, and such with wrong types, unknown fields, nulls and any order of keys."""

from __future__ import annotations

import typing
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from epsignal_sync import messages
from epsignal_sync.messages.declared import is_union
from epsignal_sync.messages.record import JSONObject, Record, wire_fields
from epsignal_sync.protocol.codec import FACILITIES, SIGNALS

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
texts = st.text(max_size=8) | st.sampled_from(["8090a2", "00FF", "22"])
MESSAGES = tuple(
    cls
    for cls in (getattr(messages, name) for name in messages.__all__)
    if isinstance(cls, type) and issubclass(cls, messages.Message) and cls.wire_name
)


def wire_values(declared: Any) -> st.SearchStrategy[Any]:
    """JSON values that fit a declared type."""
    if declared is Any:
        return json_values
    if is_union(declared):
        return st.one_of([wire_values(one) for one in typing.get_args(declared) if one is not type(None)])
    if typing.get_origin(declared) is tuple:
        return st.lists(wire_values(typing.get_args(declared)[0]), max_size=3)
    if typing.get_origin(declared) is not None:
        return st.dictionaries(st.text(max_size=5), json_values, max_size=3)
    if issubclass(declared, Enum):
        return st.sampled_from([one.value for one in declared])
    if issubclass(declared, Record):
        return wire_objects(declared)
    simple: dict[type, st.SearchStrategy[Any]] = {str: texts, int: st.integers(), bool: st.booleans()}
    return simple[declared]


def _class_named(declared: type[Record], draw: st.DrawFn) -> type[Record]:
    if declared is messages.Signal:
        return draw(st.sampled_from([*SIGNALS.values(), messages.UnknownSignal]))
    if declared is messages.Facility:
        return draw(st.sampled_from([*FACILITIES.values(), messages.UnknownFacility]))
    return declared


@st.composite
def wire_objects(draw: st.DrawFn, declared: type[Record], wrong: bool = True) -> JSONObject:
    """A JSON object of a message class; with ``wrong`` also with values that do not fit, without it only what may be built."""
    cls = _class_named(declared, draw)
    fields = wire_fields(cls)
    data: JSONObject = {cls.discriminator: cls.wire_name} if cls.wire_name else {}
    for one in draw(st.lists(st.sampled_from(fields), unique_by=id, max_size=4)) if fields else ():
        fits = not wrong or draw(st.integers(0, 4)) > 0
        value = draw(wire_values(one.type) if fits else json_values)
        if wrong or one.check is None or not one.check(tuple(value) if isinstance(value, list) else value):
            data[one.wire] = value
    named = {one.wire for one in fields}
    for key in draw(st.lists(st.text(max_size=6), max_size=2)):
        if wrong or key not in named:  # hypothesis knows the words of the source, and so the names of fields
            data.setdefault(key, draw(json_values))
    return dict(draw(st.permutations(list(data.items()))))


@st.composite
def signaling(draw: st.DrawFn) -> JSONObject:
    """A Signaling message with a signal: the message that matters most."""
    envelope = draw(wire_objects(messages.Signaling))
    envelope.pop("api", None)
    return {**envelope, "sig": draw(wire_objects(messages.Signal))}


any_message: st.SearchStrategy[JSONObject] = st.one_of(
    signaling(),
    st.sampled_from(MESSAGES).flatmap(wire_objects),
    st.dictionaries(st.sampled_from(["mt", "api", "src", "sig", "call"]) | st.text(max_size=5), json_values, max_size=4),
)
"""Any JSON object that may come, messages for the most part."""


def walk(value: Any) -> typing.Iterator[Record]:
    """Every record in a value, the inner ones read through their attributes."""
    if isinstance(value, Record):
        yield value
        for one in wire_fields(type(value)):
            yield from walk(getattr(value, one.name))
    elif isinstance(value, tuple):
        for inner in value:
            yield from walk(inner)
