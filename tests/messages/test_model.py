"""The classes against the table of the protocol: every entry, field and enumeration value, and nothing besides.

``tests/data/model.json`` is a copy of the protocol's own table.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import pytest

from epsignal_sync import messages
from epsignal_sync.messages.declared import is_union
from epsignal_sync.messages.record import Record, wire_fields

MODEL = json.loads((Path(__file__).parents[1] / "data" / "model.json").read_text())
COLLIDING = {"info": "InfoSignal", "facility": "FacilitySignal", "channels": "ChannelsSignal"}
BASES = {"Record", "Message", "EpSignalMessage", "Signal", "Facility", "UnknownMessage", "UnknownSignal", "UnknownFacility"}
HELPERS = {"Number", "NumberType"}


def camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def snake(name: str) -> str:
    return "in_" if name == "in" else re.sub(r"(?<=[a-z])([A-Z])", lambda match: "_" + match[1].lower(), name)


def entries() -> Iterator[tuple[str, str, dict[str, str], str]]:
    """Yield (class name, wire name, fields, discriminating key) of every entry of the table."""
    for name, fields in MODEL["appwebsocket_messages"].items():
        yield name, name, fields, "mt"
    for name, entry in MODEL["epsignal_messages"].items():
        yield name, name, entry["fields"], "mt"
    for name, fields in MODEL["signal_messages"].items():
        yield COLLIDING.get(name, camel(name)), name, fields, "type"
    for name, fields in MODEL["facilities"].items():
        yield camel(name), name, fields, "type"
    for name, fields in MODEL["objects"].items():
        yield name, "", fields, ""


ENTRIES = list(entries())


def python_type(model_type: str) -> Any:
    """Return the declared type that a field of the table has to have."""
    if model_type.startswith("["):
        return tuple[python_type(model_type.strip("[]")), ...]  # type: ignore[misc]
    plain = {"str": str, "hex": str, "int": int, "uint": int, "bool": bool, "any": Any, "object": Mapping[str, Any]}
    if model_type in plain:
        return plain[model_type]
    return getattr(messages, camel(model_type))


@pytest.mark.parametrize(("class_name", "wire_name", "fields", "key"), ENTRIES, ids=[entry[0] for entry in ENTRIES])
def test_entry(class_name: str, wire_name: str, fields: dict[str, str], key: str) -> None:
    cls = getattr(messages, class_name)
    assert (cls.wire_name, cls.discriminator) == (wire_name, key)
    inherited = {"api", "src"} if key == "mt" else {"fty"} if wire_name in MODEL["signal_messages"] else set()
    mine = {one.wire: one for one in wire_fields(cls)}
    assert set(mine) == set(fields) | inherited
    for wire, model_type in fields.items():
        field = mine[wire]
        assert field.name == snake(wire)
        expected = python_type(model_type)
        if expected is Any:
            assert field.type is Any
            continue
        inside = typing.get_args(field.type)
        assert is_union(field.type) and type(None) in inside
        if isinstance(expected, type) and issubclass(expected, Enum):
            assert set(inside) == {expected, str, type(None)}  # an unknown value survives as a plain str
        else:
            assert set(inside) == {expected, type(None)}
        checks = {"hex": "_hexadecimal", "[hex]": "_hexadecimal", "uint": "_unsigned"}
        if model_type in checks:
            assert field.check is not None and field.check.__name__ == checks[model_type]


@pytest.mark.parametrize("name", MODEL["enums"])
def test_enumeration(name: str) -> None:
    assert {member.value for member in getattr(messages, name)} == set(MODEL["enums"][name])


def test_nothing_is_there_besides_the_table() -> None:
    classes = {name for name in messages.__all__ if isinstance(getattr(messages, name), type)}
    assert classes == {entry[0] for entry in ENTRIES} | set(MODEL["enums"]) | BASES | HELPERS


def test_additions_are_marked() -> None:
    marked = {
        f"{name}.{field.metadata.get('wire', field.name)}"
        for name in messages.__all__
        if isinstance(cls := getattr(messages, name), type) and issubclass(cls, Record)
        for field in attrs.fields(cls)
        if field.metadata.get("addition")
    }
    assert marked == {name for name in MODEL["additions"]["fields"] if "." in name}


@pytest.mark.parametrize("name", [entry[0] for entry in ENTRIES] + list(MODEL["enums"]))
def test_everything_is_explained(name: str) -> None:
    """A docstring on each class, an attribute docstring under each field."""
    cls = getattr(messages, name)
    assert cls.__doc__ and len(cls.__doc__) > 10
    source = ast.parse(inspect.getsource(sys.modules[cls.__module__]))
    body = next(node for node in source.body if isinstance(node, ast.ClassDef) and node.name == name).body
    for field, below in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and "ClassVar" not in ast.unparse(field.annotation):
            assert isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant), f"{ast.unparse(field.target)} is not explained"
