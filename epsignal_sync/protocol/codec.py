"""JSON text <-> messages. The only importer of cattrs and of the JSON libraries; knows nothing of sockets or calls.

cattrs dispatches on the declared types; every hook here is strict: nothing is coerced, and a value that does not fit
raises :class:`Mismatch`, which makes the attribute None and the value a problem of its message.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any, TypeVar

import cattrs

from .. import messages
from ..messages.record import JSONObject, Record, install_decoder, is_union, received, source, wire_fields

try:
    import orjson
except ImportError:  # the extra `speed` is not installed
    orjson = None  # type: ignore[assignment,unused-ignore]

R = TypeVar("R", bound=Record)
Hook = Callable[[Any, Any], Any]

# A number outside of a string that orjson may read with a loss: a long one, or one with a fraction or an exponent.
# A string that looks like one only costs the slower reading.
_UNCERTAIN_NUMBER = re.compile(rb"[:,\[]\s*-?[0-9]+(?:[.eE]|(?<=[0-9]{19}))")


class Mismatch(ValueError):
    """A received value does not fit the declared type of its field."""


def loads(text: bytes) -> Any:
    """Return the JSON value of a text: fast, but a number may have lost digits (see :func:`loads_exact`).

    Raises ValueError for what no JSON parser here can read.
    """
    if orjson is not None:
        try:
            return orjson.loads(text)
        except ValueError:
            pass  # lone surrogates, NaN: json reads more than orjson does
    return _json_loads(text, _rough_integer)


def loads_exact(text: bytes) -> Any:
    """Return the JSON value of a text with every integer as it stands. Raises ValueError like :func:`loads`."""
    if orjson is None or _UNCERTAIN_NUMBER.search(text):
        return _json_loads(text, int)
    return loads(text)


def _rough_integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts: no reason to keep the message from the phone
        return float(digits)


def _json_loads(text: bytes, parse_integer: Callable[[str], int | float]) -> Any:
    try:
        return json.loads(text.decode("utf-8"), parse_int=parse_integer)
    except RecursionError:
        raise ValueError("nested too deep") from None


def dumps(value: Any) -> str:
    """Return the compact JSON text of a value. Raises ValueError for what JSON cannot carry."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"JSON cannot carry this: {error}") from None


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


def decode(data: JSONObject, apis: Collection[str] = ("EpSignal",)) -> messages.Message:
    """Return the message object of a JSON object. Never raises; attributes are decoded when they are read."""
    return received(message_class(data, apis), data)


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
    return tuple([_facility(one) for one in value])


def _facility(value: Any) -> messages.Facility:
    if type(value) is dict:
        return received(facility_class(value), value)
    # One bad element must not hide the others: it becomes an UnknownFacility that remembers what it was.
    return received(messages.UnknownFacility, _NoObject(value))


class _NoObject(dict[str, Any]):
    """Stands for an element of ``fty`` that is no JSON object, so that it can go back as it came."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _NoObject, (self.value,)


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


_tables: dict[type[Record], tuple[tuple[str, str, Hook, Any], ...]] = {}


def _table(cls: type[Record]) -> tuple[tuple[str, str, Hook, Any], ...]:
    table = _tables.get(cls)
    if table is None:
        table = tuple((one.name, one.wire, _hook_for(one.type), one.type) for one in wire_fields(cls))
        _tables[cls] = table
    return table


def _decode_attributes(record: Record) -> None:
    """Fill the attributes of a received record. Safe in two threads at once: both write the same."""
    data = source(record)
    put = object.__setattr__
    values = []
    for name, wire, hook, declared in _table(type(record)):
        value = data.get(wire)
        if value is not None:
            try:
                value = hook(value, declared)
            except Mismatch:
                value = None
        values.append((name, value))
    for name, value in values:
        put(record, name, value)


def _find_problems(record: Record) -> tuple[tuple[str, Any], ...]:
    data = source(record)
    found: list[tuple[str, Any]] = []
    if isinstance(data, _NoObject):
        found.append(("", data.value))
    for name, wire, hook, declared in _table(type(record)):
        raw = data.get(wire)
        value = getattr(record, name)
        if value is None and raw is not None:
            try:
                hook(raw, declared)
            except Mismatch:
                found.append((wire, raw))
        for index, inner in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(inner, Record):
                place = f"{wire}[{index}]" if isinstance(value, tuple) else wire
                found += [(f"{place}.{path}".rstrip("."), bad) for path, bad in _find_problems(inner)]
    return tuple(found)


install_decoder(_decode_attributes, _find_problems)


# ---------------------------------------------------------------- messages -> JSON values


def encode(record: Record) -> JSONObject:
    """Return the JSON object of a record: what was received, with only that replaced which evolve changed."""
    origin = record._origin
    if origin is record:
        return source(record)
    if origin is None:
        data: JSONObject = {record.discriminator: record.wire_name} if record.wire_name else {}
        for one in wire_fields(type(record)):
            value = getattr(record, one.name)
            if value is not None:
                data[one.wire] = _encode_value(value)
        return data
    data = dict(source(record))
    for one in wire_fields(type(record)):
        value = getattr(record, one.name)
        if value is not getattr(origin, one.name):
            if value is None:
                data.pop(one.wire, None)
            else:
                data[one.wire] = _encode_value(value)
    return data


def _encode_value(value: Any) -> Any:
    if isinstance(value, Record):
        data = encode(value)
        return data.value if isinstance(data, _NoObject) else data
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (tuple, list)):
        return [_encode_value(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _encode_value(one) for key, one in value.items()}
    return value
