"""The base of every message class: an attrs class over the JSON object that was received.

A received object keeps its dict and decodes each attribute when it is first read. An attribute is of its
declared type or None; what does not fit stands in ``problems`` and goes back unchanged. How a JSON value becomes an
attribute is not known here: :mod:`epsignal_sync.protocol.codec` installs that in :func:`install_decoder`.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import attrs
from attrs import field, frozen

from ..errors import UsageError
from .declared import accepts, describe

JSONObject = dict[str, Any]

MASK = "***"

SECRET_KEYS = frozenset({"pwd", "b", "key", "turnPwd", "digest", "password", "data", "subject", "attach"})
"""Keys on the wire whose value is masked wherever it turns up in a value of no declared type."""

_HOLDERS = frozenset({"", "sig", "fty", "channels", "key", "audio_ice", "t38_ice", "video_ice", "collab_ice"})
"""Keys of objects that hold secrets: a text in such an object's place may be one. Empty: the whole object."""


def wire(name: str, **metadata: Any) -> dict[str, Any]:
    """Return the field metadata that gives a field another name on the wire than its attribute has."""
    return {"wire": name, **metadata}


SECRET: dict[str, Any] = {"secret": True}
"""Field metadata: the value is masked in repr and in logs; it can be read as an attribute."""
ADDITION: dict[str, Any] = {"addition": True}
"""Field metadata: in use on the wire, but not in the public tables."""


def _hexadecimal(value: Any) -> str:
    texts = value if isinstance(value, tuple) else (value,)
    return "" if all(re.fullmatch("([0-9A-Fa-f]{2})*", text) for text in texts) else "it takes hex digits, two for each byte"


def _unsigned(value: Any) -> str:
    return "" if value >= 0 else "it takes an unsigned integer"


def _user_to_user(value: Any) -> str:
    size = len(value.encode("utf-8", "surrogatepass"))
    return "" if size <= 128 else f"it takes at most 128 bytes of UTF-8, not {size}"


def _not_empty(value: Any) -> str:
    return "" if value else "leave it out rather than empty"


# Field metadata: what the app sets is judged by these; what was received is not.
HEX: dict[str, Any] = {"check": _hexadecimal}
UNSIGNED: dict[str, Any] = {"check": _unsigned}
USER_TO_USER: dict[str, Any] = {"check": _user_to_user}
NOT_EMPTY: dict[str, Any] = {"check": _not_empty}


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
    check: Callable[[Any], str] | None


class Problem(NamedTuple):
    """A received value that does not fit the declared type of its field."""

    path: str
    """Where it stands, by the names on the wire, for example ``sig.fty[0].remote``."""
    value: Any
    """The value as it was received."""

    def __repr__(self) -> str:
        key = self.path.rsplit(".", 1)[-1].partition("[")[0]
        secret = key in SECRET_KEYS or (key in _HOLDERS and isinstance(self.value, (str, list)))
        return f"({self.path!r}, {MASK if secret else shown(self.value)})"


_decode: Callable[[Record, str], Any]
_find_problems: Callable[[Record], tuple[Problem, ...]]


def install_decoder(decode: Callable[[Record, str], Any], find_problems: Callable[[Record], tuple[Problem, ...]]) -> None:
    """Tell the records how an attribute is filled from what was received (called once, by the codec).

    ``decode`` fills one attribute and returns it; it raises AttributeError for a name that is none.
    """
    global _decode, _find_problems
    _decode, _find_problems = decode, find_problems


class _Received:
    """The slots of a record that are no attributes of its message."""

    __slots__ = ("_received", "_root")

    _received: JSONObject | None
    # The received text and the whole JSON object that was read from it, where somebody may want to send this on.
    _root: tuple[bytes, JSONObject] | None


@frozen(kw_only=True, repr=False, eq=False)
class Record(_Received):
    """Base class of messages, signals, facilities and objects.

    Instances are immutable and may be shared between threads. Change one with ``attrs.evolve``: what is not
    named there goes back as it was received, unknown fields and nulls included; a field set to None is removed.

    A received null, and a value that did not fit, read as None already, so setting them to None is no change and they
    stay. To leave such a field out, build a new object from those attributes that are wanted.
    """

    wire_name: ClassVar[str] = ""
    """The value of the discriminating key on the wire, such as ``setup``; empty for plain objects."""
    discriminator: ClassVar[str] = ""
    """The discriminating key on the wire: ``mt`` for messages, ``type`` for signals and facilities."""

    # The object that this one was evolved from; a received object is its own origin, a built one has none.
    _origin: Record | None = field(default=None, alias="_origin", eq=False, metadata={"hidden": True})

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_received", None)
        object.__setattr__(self, "_root", None)
        origin = self._origin
        for one in wire_fields(type(self)):
            value = getattr(self, one.name)
            # What was received and is not replaced is not judged: it goes back as it came.
            if value is None or (origin is not None and value is getattr(origin, one.name)):
                continue
            if not accepts(one.type, value):
                wrong = f"it takes {describe(one.type)}"
            else:
                wrong = one.check(value) if one.check is not None else ""
            if wrong:
                text = MASK if one.secret else shown(value)[:80]
                raise UsageError(f"{type(self).__name__}.{one.name} cannot be {text}: {wrong}")

    if not TYPE_CHECKING:  # a type checker must still refuse misspelt attributes

        def __getattr__(self, name: str) -> Any:
            # Runs only for a slot that is not filled yet: on a received object, before its first reading.
            if name == "_origin":
                return self
            if name == "_root":
                return None
            return _decode(self, name)

    # Written once here: what attrs would compile for each class made up a fourth of the time that importing takes.

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, one.name) == getattr(other, one.name) for one in wire_fields(type(self)))

    def __hash__(self) -> int:
        return hash((type(self), *[getattr(self, one.name) for one in wire_fields(type(self))]))

    def __repr__(self) -> str:
        parts = []
        for one in wire_fields(type(self)):
            value = getattr(self, one.name)
            if value is not None:
                parts.append(f"{one.name}={MASK if one.secret else shown(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._received is not None:
            return received, (type(self), self._received, self._root)
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
    def problems(self) -> tuple[Problem, ...]:
        """What was received and does not fit its declared type, as (path, value); it goes back unchanged.

        Their repr masks secrets; ``value`` does not.
        """
        return _find_problems(self)


R = TypeVar("R", bound=Record)


_new = object.__new__
_put = object.__setattr__


def received(cls: type[R], data: JSONObject, root: tuple[bytes, JSONObject] | None = None) -> R:
    """Return a record over a received JSON object; nothing is decoded yet, and nothing is judged.

    ``root``: the text it came in, and all that was read from that; with it the record can be sent on without a loss.
    """
    record = _new(cls)
    _put(record, "_received", data)
    if root is not None:
        _put(record, "_root", root)
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
            check=one.metadata.get("check"),
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
