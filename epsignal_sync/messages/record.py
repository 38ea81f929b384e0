"""The base of every message class: an attrs class over the JSON object that was received.

A received object keeps its dict and decodes its attributes when the first of them is read. An attribute is of its
declared type or None; what does not fit stands in ``problems`` and goes back unchanged. How a JSON value becomes an
attribute is not known here: :mod:`epsignal_sync.protocol.codec` installs that in :func:`install_decoder`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import attrs
from attrs import field, frozen

from ..errors import UsageError

JSONObject = dict[str, Any]

MASK = "***"

SECRET_KEYS = frozenset({"pwd", "b", "turnPwd", "digest", "password", "data"})
"""Keys on the wire whose value is masked wherever it turns up in a value of no declared type."""


def wire(name: str, **metadata: Any) -> dict[str, Any]:
    """Return the field metadata that gives a field another name on the wire than its attribute has."""
    return {"wire": name, **metadata}


SECRET: dict[str, Any] = {"secret": True}
"""Field metadata: the value is masked in repr and in logs; it can be read as an attribute."""


class WireEnum(str, Enum):
    """Base of the enumerations: each member is the text on the wire. A value that is not known stays a plain str."""

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


@frozen(kw_only=True)
class WireField:
    """One field of a message class: its attribute, its name on the wire, and its declared type."""

    name: str
    wire: str
    type: Any
    secret: bool


_decode: Callable[[Record], None]
_find_problems: Callable[[Record], tuple[tuple[str, Any], ...]]


def install_decoder(decode: Callable[[Record], None], find_problems: Callable[[Record], tuple[tuple[str, Any], ...]]) -> None:
    """Tell the records how their attributes are filled from what was received (called once, by the codec)."""
    global _decode, _find_problems
    _decode, _find_problems = decode, find_problems


@frozen(kw_only=True, repr=False)
class Record:
    """Base class of messages, signals, facilities and objects.

    Instances are immutable and may be shared between threads. Change one with :func:`attrs.evolve`: what is not
    named there goes back as it was received, unknown fields and nulls included; a field set to None is removed.
    """

    wire_name: ClassVar[str] = ""
    """The value of the discriminating key on the wire, such as ``setup``; empty for plain objects."""
    discriminator: ClassVar[str] = ""
    """The discriminating key on the wire: ``mt`` for messages, ``type`` for signals and facilities."""

    # The object that this one was evolved from; a received object is its own origin, a built one has none.
    _origin: Record | None = field(default=None, alias="_origin", eq=False, metadata={"hidden": True})
    _received: JSONObject | None = field(init=False, eq=False, metadata={"hidden": True})

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_received", None)
        for one in wire_fields(type(self)):
            value = getattr(self, one.name)
            if value is not None and not accepts(one.type, value):
                text = MASK if one.secret else shown(value)[:80]
                raise UsageError(f"{type(self).__name__}.{one.name} cannot be {text}: it takes {describe(one.type)}")

    if not TYPE_CHECKING:  # a type checker must still refuse misspelt attributes

        def __getattr__(self, name: str) -> Any:
            # Runs only for a slot that is not filled yet, that is on a received object before its first reading.
            if name == "_origin":
                return self
            if name.startswith("__") or name not in wire_names(type(self)):
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            _decode(self)
            return object.__getattribute__(self, name)

    def __repr__(self) -> str:
        parts = []
        for one in wire_fields(type(self)):
            value = getattr(self, one.name)
            if value is not None:
                parts.append(f"{one.name}={MASK if one.secret else shown(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._received is not None:
            return received, (type(self), self._received)
        origin = self._origin
        values = {one.name: getattr(self, one.name) for one in wire_fields(type(self))}
        if origin is not None:  # only what was changed: the rest must stay the origin's own objects
            values = {name: value for name, value in values.items() if value is not getattr(origin, name)}
        return _rebuild, (type(self), values, origin)

    @property
    def extra(self) -> Mapping[str, Any]:
        """The received fields that the class does not name, read-only; empty for what the app built."""
        data = source(self)
        known = wire_names(type(self)).values()
        return types.MappingProxyType({key: value for key, value in data.items() if key not in known and key != self.discriminator})

    @property
    def problems(self) -> tuple[tuple[str, Any], ...]:
        """What was received and does not fit its declared type, as (path, value); it goes back unchanged."""
        return _find_problems(self)


R = TypeVar("R", bound=Record)


def received(cls: type[R], data: JSONObject) -> R:
    """Return a record over a received JSON object; nothing is decoded yet, and nothing is judged."""
    record = cls.__new__(cls)
    object.__setattr__(record, "_received", data)
    return record


def masked(value: Any) -> Any:
    """Return a JSON value with what may be a secret masked, for showing it."""
    if isinstance(value, Mapping):
        return {key: MASK if key in SECRET_KEYS else masked(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        inside = [masked(inner) for inner in value]
        return tuple(inside) if isinstance(value, tuple) else inside
    return value


def shown(value: Any) -> str:
    """Return the repr of a value with what may be a secret masked. Never raises for what was received."""
    try:
        return repr(masked(value))
    except RecursionError:
        return "<nested too deeply to be shown>"


def printable(text: str) -> str:
    """Return received text without what a terminal or a log would obey, such as new lines."""
    return "".join(character if character.isprintable() else "?" for character in text)


def source(record: Record) -> JSONObject:
    """Return the JSON object that a record, or the record it was evolved from, was received as; {} for a built one."""
    origin = record._origin
    data = None if origin is None else origin._received
    return {} if data is None else data


def _rebuild(cls: type[R], values: dict[str, Any], origin: Record | None) -> R:
    return cls(**values) if origin is None else attrs.evolve(typing.cast(R, origin), **values)


_wire_fields: dict[type[Record], tuple[WireField, ...]] = {}
_wire_names: dict[type[Record], dict[str, str]] = {}


def wire_fields(cls: type[Record]) -> tuple[WireField, ...]:
    """Return the fields of a class that travel, in the order in which they are sent."""
    fields = _wire_fields.get(cls)
    if fields is None:
        fields = _wire_fields[cls] = _read_wire_fields(cls)
    return fields


def _read_wire_fields(cls: type[Record]) -> tuple[WireField, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(
        WireField(
            name=one.name,
            wire=one.metadata.get("wire", one.name),
            type=hints[one.name],
            secret=one.metadata.get("secret", False),
        )
        for one in attrs.fields(cls)
        if not one.metadata.get("hidden")
    )


def wire_names(cls: type[Record]) -> dict[str, str]:
    """Return attribute name to wire name."""
    names = _wire_names.get(cls)
    if names is None:
        names = _wire_names[cls] = {one.name: one.wire for one in wire_fields(cls)}
    return names


def is_union(declared: Any) -> bool:
    """Whether a declared type is a union, in either spelling."""
    return typing.get_origin(declared) in (typing.Union, types.UnionType)


def accepts(declared: Any, value: Any) -> bool:
    """Whether a value that the app sets fits the declared type; nothing is converted: True is no int."""
    if declared is Any:
        return True
    if is_union(declared):
        return any(accepts(one, value) for one in typing.get_args(declared))
    origin = typing.get_origin(declared)
    if origin is tuple:
        return isinstance(value, tuple) and all(accepts(typing.get_args(declared)[0], one) for one in value)
    if origin is not None:
        return isinstance(value, origin)
    if declared in (str, int, float):
        return isinstance(value, declared) and not isinstance(value, bool)
    return isinstance(value, declared)


def describe(declared: Any) -> str:
    """Return a declared type in words, for an error."""
    if is_union(declared):
        return " or ".join(describe(one) for one in typing.get_args(declared) if one is not type(None))
    if typing.get_origin(declared) is tuple:
        return f"a tuple of {describe(typing.get_args(declared)[0])}"
    if isinstance(declared, type) and issubclass(declared, Enum):
        return f"one of {', '.join(str(one.value) for one in declared)}"
    return getattr(declared, "__name__", str(declared))
