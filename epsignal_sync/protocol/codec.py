"""JSON values <-> messages. The only importer of cattrs; knows nothing of texts, sockets or calls.

cattrs dispatches on the declared types; every hook here is strict: nothing is coerced, and a value that does not fit
raises :class:`Mismatch`, which makes the attribute None and the value a problem of its message.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any, TypeVar

import cattrs

from .. import messages
from ..messages.declared import is_union
from ..messages.record import JSONObject, Problem, Record, install_decoder, received, source, wire_fields
from .jsontext import UNCERTAIN_NUMBER, loads_exact

R = TypeVar("R", bound=Record)
Hook = Callable[[Any, Any], Any]

_put = object.__setattr__


class Mismatch(ValueError):
    """A received value does not fit the declared type of its field."""


# ---------------------------------------------------------------- classes by their name on the wire


def _by_wire_name(base: type[R]) -> dict[str, type[R]]:
    classes = (getattr(messages, name) for name in messages.__all__)
    return {cls.wire_name: cls for cls in classes if isinstance(cls, type) and issubclass(cls, base) and cls.wire_name}


SIGNALS = _by_wire_name(messages.Signal)
FACILITIES = _by_wire_name(messages.Facility)
EPSIGNAL_MESSAGES = _by_wire_name(messages.EpSignalMessage)
APPWEBSOCKET_MESSAGES = {name: cls for name, cls in _by_wire_name(messages.Message).items() if name not in EPSIGNAL_MESSAGES}


def signal_class(data: JSONObject) -> type[messages.Signal]:
    """Return the class of a signal; UnknownSignal for a type that is not known or no text."""
    kind = data.get("type")
    return SIGNALS.get(kind, messages.UnknownSignal) if isinstance(kind, str) else messages.UnknownSignal


def facility_class(data: Any) -> type[messages.Facility]:
    """Return the class of a facility; UnknownFacility for one that is not known or no object."""
    kind = data.get("type") if isinstance(data, dict) else None
    return FACILITIES.get(kind, messages.UnknownFacility) if isinstance(kind, str) else messages.UnknownFacility


def message_class(data: JSONObject, apis: Collection[str] = ("EpSignal",)) -> type[messages.Message]:
    """Return the class of a message; ``apis`` are the names under which the PBX hands out EpSignal."""
    kind = data.get("mt")
    if not isinstance(kind, str):
        return messages.UnknownMessage
    own_api = data.get("api")
    # Spec: an absent api counts as ours, and so does one that is no text (as in envelope.py); another API's messages are
    # unknown whatever they are called.
    if not isinstance(own_api, str):
        return EPSIGNAL_MESSAGES.get(kind) or APPWEBSOCKET_MESSAGES.get(kind, messages.UnknownMessage)
    return EPSIGNAL_MESSAGES.get(kind, messages.UnknownMessage) if own_api in apis else messages.UnknownMessage


def decode(
    data: JSONObject, apis: Collection[str] = ("EpSignal",), text: bytes | None = None, signal: messages.Signal | None = None
) -> messages.Message:
    """Return the message object of a JSON object. Never raises; attributes are decoded when they are read.

    With the ``text`` that it was read from the message, and each part of it, can be sent on without a loss. ``signal``:
    what :func:`decode_signal` has made of it already.
    """
    message = received(message_class(data, apis), data, None if text is None else (text, data))
    if signal is not None:
        _put(message, "sig", signal)
    return message


def decode_signal(data: JSONObject, apis: Collection[str], text: bytes) -> messages.Signal | None:
    """Return the signal of a message without the message around it; None where it has none. Never raises."""
    sig = data.get("sig")
    if type(sig) is not dict or message_class(data, apis) is not messages.Signaling:
        return None
    return received(signal_class(sig), sig, (text, data))


# ---------------------------------------------------------------- received values -> attributes


def _strict(declared: type) -> Hook:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not declared:
            raise Mismatch
        return value

    return hook


def _structure_enum(declared: Any) -> Hook:
    values = {member.value: member for member in declared}

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not str:
            raise Mismatch
        return values.get(value, value)  # an unknown value stays a plain str

    return hook


def _structure_record(declared: type[Record]) -> Hook:
    pick: Callable[[JSONObject], type[Record]] = {
        messages.Signal: signal_class,
        messages.Facility: facility_class,
    }.get(declared, lambda data: declared)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch
        return received(pick(value), value)

    return hook


def _structure_tuple(declared: Any) -> Hook:
    element = typing.get_args(declared)[0]
    if element is messages.Facility:
        return _structure_facilities
    element_hook = _hook_for(element)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise Mismatch
        return tuple([element_hook(one, element) for one in value])

    return hook


def _structure_facilities(value: Any, _: Any) -> tuple[messages.Facility, ...]:
    if type(value) is not list:
        raise Mismatch
    return tuple([_facility(value, index) for index in range(len(value))])


def _facility(values: list[Any], index: int) -> messages.Facility:
    value = values[index]
    if type(value) is dict:
        return received(facility_class(value), value)
    # One bad element must not hide the others: it becomes an UnknownFacility that remembers what it was.
    return received(messages.UnknownFacility, _NoObject(values, index))


class _NoObject(dict[str, Any]):
    """Stands for an element of ``fty`` that is no JSON object, so that it can go back as it came."""

    def __init__(self, values: list[Any], index: int) -> None:
        super().__init__()
        self.values_around = values
        self.index = index

    @property
    def value(self) -> Any:
        """What was received."""
        return self.values_around[self.index]

    def __reduce__(self) -> tuple[Any, ...]:
        return _NoObject, (self.values_around, self.index)


def _structure_union(declared: Any) -> Hook:
    inner = [one for one in typing.get_args(declared) if one is not type(None)]
    enums = [one for one in inner if isinstance(one, type) and issubclass(one, Enum)]
    chosen = enums[0] if enums else inner[0]  # the unions of the model: Optional, and enumeration or plain str
    return _hook_for(chosen)


def _structure_object(value: Any, _: Any) -> Any:
    if type(value) is not dict:
        raise Mismatch
    return value


def _is_record(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, Record)


def _is_generic(kind: Any) -> Callable[[Any], bool]:
    return lambda declared: bool(typing.get_origin(declared) is kind)


_converter = cattrs.Converter()
_converter.register_structure_hook_factory(_is_record, _structure_record)
_converter.register_structure_hook_factory(_is_generic(tuple), _structure_tuple)
_converter.register_structure_hook_func(_is_generic(Mapping), _structure_object)
_converter.register_structure_hook_factory(is_union, _structure_union)

_PRIMITIVES: dict[Any, Hook] = {one: _strict(one) for one in (str, int, bool, float)}
_PRIMITIVES[Any] = lambda value, _: value


def _hook_for(declared: Any) -> Hook:
    # cattrs looks up classes before predicates, and an enumeration is a str: these are answered here.
    if declared in _PRIMITIVES:
        return _PRIMITIVES[declared]
    if isinstance(declared, type) and issubclass(declared, Enum):
        return _structure_enum(declared)
    return _converter.get_structure_hook(declared)


_tables: dict[type[Record], dict[str, tuple[str, Hook, Any]]] = {}


def _table(cls: type[Record]) -> dict[str, tuple[str, Hook, Any]]:
    """Return, by attribute, the name on the wire, the hook and the declared type."""
    table = _tables.get(cls)
    if table is None:
        table = _tables[cls] = {one.name: (one.wire, _hook_for(one.type), one.type) for one in wire_fields(cls)}
    return table


def _decode_attribute(record: Record, name: str) -> Any:
    """Fill one attribute of a received record, and return it. Safe in two threads at once: both write the same."""
    cls = type(record)
    entry = (_tables.get(cls) or _table(cls)).get(name)
    if entry is None:
        raise AttributeError(f"{cls.__name__} has no attribute {name!r}")
    wire, hook, declared = entry
    data = record._received
    assert data is not None  # else every attribute was filled when it was built
    value = data.get(wire)
    if value is not None:
        try:
            value = hook(value, declared)
        except Mismatch:
            value = None
        if isinstance(value, Record):
            _hand_down(record, (value,))
        elif type(value) is tuple:
            _hand_down(record, value)
    _put(record, name, value)
    return value


def _hand_down(record: Record, parts: tuple[Any, ...]) -> None:
    """Have the parts of a record know the text, too: each can be sent on in another message, without a loss."""
    root = record._root
    if root is not None:
        for part in parts:
            if isinstance(part, Record):
                _put(part, "_root", root)


def _find_problems(record: Record) -> tuple[Problem, ...]:
    data = source(record)
    found: list[Problem] = []
    if isinstance(data, _NoObject):
        found.append(Problem("", data.value))
    for name, (wire, hook, declared) in _table(type(record)).items():
        raw = data.get(wire)
        value = getattr(record, name)
        if value is None and raw is not None:
            try:
                hook(raw, declared)
            except Mismatch:
                found.append(Problem(wire, raw))
        for index, inner in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(inner, Record):
                place = f"{wire}[{index}]" if isinstance(value, tuple) else wire
                found += [Problem(f"{place}.{path}".rstrip("."), bad) for path, bad in _find_problems(inner)]
    return tuple(found)


install_decoder(_decode_attribute, _find_problems)


# ---------------------------------------------------------------- messages -> JSON values


def encode(record: Record) -> JSONObject:
    """Return the JSON object of a record: what was received, with only that replaced which evolve changed."""
    data: JSONObject = _encode(record, {})
    return data


Exact = dict[int, Any]
"""The exactly read objects and lists by the ``id`` of the quickly read ones."""


def _read_exactly(record: Record, exact: Exact) -> None:
    """Add what a record's text says exactly: the fast reading may have changed a number that goes back."""
    root = record._root
    if root is None or id(root[1]) in exact:
        return
    exact[id(root[1])] = root[1]
    if not UNCERTAIN_NUMBER.search(root[0]):
        return
    pairs = [(root[1], loads_exact(root[0]))]
    while pairs:  # no recursion: what could be read must not be too deep to be sent on
        rough, precise = pairs.pop()
        exact[id(rough)] = precise
        keys: Any = rough if isinstance(rough, dict) else range(len(rough))
        pairs += [(rough[key], precise[key]) for key in keys if isinstance(rough[key], (dict, list))]


def _encode(record: Record, exact: Exact) -> Any:
    origin = record._origin
    if origin is not None:
        _read_exactly(origin, exact)
    received_data = source(record)
    if origin is record:
        if isinstance(received_data, _NoObject):
            around = received_data.values_around
            return exact.get(id(around), around)[received_data.index]
        return exact.get(id(received_data), received_data)
    if origin is None:
        data: JSONObject = {record.discriminator: record.wire_name} if record.wire_name else {}
        for one in wire_fields(type(record)):
            value = getattr(record, one.name)
            if value is not None:
                data[one.wire] = _encode_value(value, exact)
        return data
    data = dict(exact.get(id(received_data), received_data))
    for one in wire_fields(type(record)):
        value = getattr(record, one.name)
        if value is not getattr(origin, one.name):
            if value is None:
                data.pop(one.wire, None)
            else:
                data[one.wire] = _encode_value(value, exact)
    return data


def _encode_value(value: Any, exact: Exact) -> Any:
    if isinstance(value, Record):
        return _encode(value, exact)
    if isinstance(value, Enum):
        return value.value
    value = exact.get(id(value), value)
    if isinstance(value, (tuple, list)):
        return [_encode_value(one, exact) for one in value]
    if isinstance(value, Mapping):
        return {key: _encode_value(one, exact) for key, one in value.items()}
    return value
