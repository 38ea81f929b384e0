"""The signaling model as a table for people, read from the classes and their docstrings: as a tree, one class, or Markdown."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import sys
from collections.abc import Iterator
from enum import Enum

from attrs import frozen
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from .. import messages
from ..errors import UsageError
from ..messages.record import Record, wire_fields


@frozen(kw_only=True)
class Field:
    """One field of a class, or one member of an enumeration."""

    name: str
    wire: str
    type: str
    text: str


@frozen(kw_only=True)
class Entry:
    """One class of the model."""

    group: str
    name: str
    wire: str
    text: str
    fields: tuple[Field, ...]


GROUPS = {
    "AppWebsocket messages": messages.Message,
    "EpSignal messages": messages.EpSignalMessage,
    "Signals": messages.Signal,
    "Facilities": messages.Facility,
    "Objects": Record,
    "Enumerations": Enum,
}


def entries() -> list[Entry]:
    """Return the whole model, group by group."""
    classes = [cls for name in messages.__all__ if isinstance(cls := getattr(messages, name), type) and issubclass(cls, (Record, Enum))]
    found = [
        Entry(group=_group(cls), name=cls.__name__, wire=getattr(cls, "wire_name", ""), text=_first_line(cls), fields=_fields(cls))
        for cls in classes
        if _is_entry(cls)
    ]
    order = list(GROUPS)
    return sorted(found, key=lambda entry: (order.index(entry.group), entry.name))


def find(name: str) -> Entry:
    """Return the entry with a name, as a class or on the wire. Raises UsageError with what comes near."""
    everything = entries()
    # As it is spelled first: the object Channels and the signal channels are two things.
    for spelled in (str, str.casefold):
        for entry in everything:
            if spelled(name) in (spelled(entry.name), spelled(entry.wire)):
                return entry
    names = [entry.name for entry in everything] + [entry.wire for entry in everything if entry.wire]
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise UsageError(f"there is no {name!r} in the model: {hint}epsignal types lists all of it")


def names(begun: str) -> list[str]:
    """Return the names, as classes and on the wire, that begin so."""
    return sorted({name for entry in entries() for name in (entry.name, entry.wire) if name.startswith(begun) and name})


def tree() -> RenderableType:
    """Return the model as a tree of groups, classes and their fields."""
    root = Tree("Signaling model")
    branches: dict[str, Tree] = {}
    for entry in entries():
        if entry.group not in branches:
            branches[entry.group] = root.add(Text(entry.group, style="bold"))
        names = ", ".join(field.name or field.wire for field in entry.fields)
        line = Text(entry.name, style="cyan")
        if entry.wire and entry.wire != entry.name:
            line.append(f"  {entry.wire}", style="dim")
        branch = branches[entry.group].add(line)
        if names:
            branch.add(Text(names))
    return root


def one(entry: Entry) -> RenderableType:
    """Return one class with its fields."""
    title = Text(entry.name, style="bold cyan")
    if entry.wire and entry.wire != entry.name:
        title.append(f"  ({entry.wire} on the wire)", style="dim")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("Attribute", "On the wire", "Type", "Meaning"):
        table.add_column(heading, overflow="fold")
    for field in entry.fields:
        # As Text: rich would take the brackets of tuple[str, ...] for its own markup.
        table.add_row(*[Text(cell) for cell in (field.name, field.wire, field.type, _plain(field.text))])
    return Group(title, Text(_plain(entry.text)), Text(""), table if entry.fields else Text("It has no fields of its own."))


def markdown() -> str:
    """Return the model as a page of the documentation."""
    lines = ["# The signaling model", "", "Generated from the classes by `epsignal types --markdown`. Every field may be missing.", ""]
    group = ""
    for entry in entries():
        if entry.group != group:
            group = entry.group
            lines += [f"## {group}", ""]
        wire = f" (`{entry.wire}`)" if entry.wire and entry.wire != entry.name else ""
        lines += [f"### {entry.name}{wire}", "", _code(entry.text), ""]
        if entry.fields:
            lines += ["| attribute | on the wire | type | meaning |", "|---|---|---|---|"]
            for field in entry.fields:
                type_text = field.type.replace("|", "\\|")
                lines.append(f"| `{field.name}` | `{field.wire}` | {f'`{type_text}`' if type_text else ''} | {_code(field.text)} |")
            lines.append("")
    return "\n".join(lines)


def _code(text: str) -> str:
    return text.replace("``", "`")


def _plain(text: str) -> str:
    return text.replace("``", "")


def _is_entry(cls: type) -> bool:
    bases = (messages.Record, messages.Message, messages.EpSignalMessage, messages.Signal, messages.Facility)
    return cls not in bases and not cls.__name__.startswith("Unknown") and cls is not messages.NumberType


def _group(cls: type) -> str:
    # The narrowest base counts: an EpSignal message is a message, and all of them are records.
    fitting = [name for name, base in GROUPS.items() if issubclass(cls, base)]
    return "EpSignal messages" if "EpSignal messages" in fitting else fitting[0]


def _first_line(cls: type) -> str:
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def _fields(cls: type) -> tuple[Field, ...]:
    texts = dict(_texts(cls))
    if issubclass(cls, Enum):
        return tuple(Field(name=member.name, wire=str(member.value), type="", text=texts.get(member.name, ("", ""))[1]) for member in cls)
    if not issubclass(cls, Record):
        return ()
    return tuple(
        Field(name=one.name, wire=one.wire, type=texts[one.name][0], text=texts[one.name][1])
        for one in wire_fields(cls)
        if one.name not in ("api", "src")
    )


def _texts(cls: type) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield (attribute, (declared type, docstring under it)) of a class and its bases; Python keeps neither at run time."""
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("epsignal_sync.messages"):
            continue
        body = _bodies(base.__module__).get(base.__name__, [])
        for node, below in zip(body, [*body[1:], None], strict=True):
            text = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
                text = " ".join(below.value.value.split())
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id, (ast.unparse(node.annotation).removesuffix(" | None"), text)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                yield node.targets[0].id, ("", text)


@functools.cache
def _bodies(module: str) -> dict[str, list[ast.stmt]]:
    """Return, by class, what stands in its body."""
    parsed = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node.body for node in parsed.body if isinstance(node, ast.ClassDef)}
