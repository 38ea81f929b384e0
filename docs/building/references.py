"""Finds what a docstring or a signature refers to, and the public names that no page of the reference describes.

A signature names a class by the module that it is written in, a reader by the one that it is imported from: this leads from the
one to the other. What belongs to Python itself, or is none of the public names, stands in a signature without a link; in a
docstring a reference that leads nowhere stays a warning.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Protocol

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from .public import PUBLIC, public_names

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)


class PublicNames:
    """The names under which each public object can be imported."""

    def __init__(self) -> None:
        self._by_place: dict[str, list[str]] = {}
        self._by_object: dict[int, list[str]] = {}
        for module in PUBLIC:
            for name in public_names(module):
                self._add(module, name, getattr(importlib.import_module(module), name))

    def _add(self, module: str, name: str, value: Any) -> None:
        known = self._by_object.setdefault(id(value), [])
        known.append(f"{module}.{name}")
        written = f"{getattr(value, '__module__', module)}.{getattr(value, '__qualname__', name)}"
        for place in {written, name}:
            self._by_place.setdefault(place, known)

    def of(self, target: str) -> list[str]:
        """Return under which names something can be imported that is named by its module, or by its name alone."""
        return self._by_place.get(target, [])

    def groups(self) -> list[list[str]]:
        """Return for each public object its names."""
        return list(self._by_object.values())


def is_pythons(target: str) -> bool:
    """Whether a name belongs to Python itself."""
    return hasattr(builtins, target) or target.partition(".")[0] in sys.stdlib_module_names


def in_signature(node: nodes.Node) -> bool:
    """Whether a reference stands in a signature, where nobody wrote it as a link."""
    place: nodes.Node | None = node
    while place is not None and not isinstance(place, addnodes.desc_signature):
        place = place.parent
    return place is not None


class KnownNames(SphinxPostTransform):
    """Leads what stands in a signature to where it is described; what belongs to Python itself, or is not public, becomes text.

    Sphinx would look for each of them among the endings of all names: that takes longest of all, and finds ``type`` to be the
    attribute of a class.
    """

    default_priority = 5  # before links are made

    def run(self, **_: Any) -> None:
        """Look at each link of the page."""
        described = self.env.domains.python_domain.objects
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("refdomain") != "py":
                continue
            target = str(node.get("reftarget", ""))
            found = next((name for name in names.of(target) if name in described), None)
            if found is not None:
                node["reftarget"], node["reftype"] = found, "obj"
                node.attributes.pop("refspecific", None)
            elif is_pythons(target) or in_signature(node):
                # Several texts are there where the type has a short name, and a long one for a link that cannot be made.
                shown = [one for one in node.findall(addnodes.pending_xref_condition) if one.get("condition") == "resolved"]
                node.replace_self(shown[0].children if shown else node.children)


def public_bases(bases: Iterable[Any]) -> list[type]:
    """Return base classes, each one that is not public replaced by its own ones; what every class has is left out."""
    found: dict[type, None] = {}
    for base in bases:
        one = getattr(base, "__origin__", base)
        if one.__module__.startswith("epsignal_sync") and not names.of(f"{one.__module__}.{one.__qualname__}"):
            found.update(dict.fromkeys(public_bases(one.__bases__)))
        elif one not in (object, Generic, Protocol):
            found[one] = None
    return list(found)


def show_public_bases(app: Sphinx, name: str, value: Any, options: Any, bases: list[Any]) -> None:
    """Show only base classes that a reader can look up."""
    bases[:] = public_bases(bases) or [object]


class NoBases(SphinxPostTransform):
    """Takes out the line which says that a class is an object."""

    default_priority = 900

    def run(self, **_: Any) -> None:
        """Look at each class of the page."""
        for content in list(self.document.findall(addnodes.desc_content)):
            if content.children and content.children[0].astext() == "Bases: object":
                del content[0]


MADE_BY_PROGRAMS = frozenset(
    {"ManualDispatcher", "TkDispatcher", "QtDispatcher", "AsyncioDispatcher", "SimulatedPBX", "Faults", "Drop", "Party", "Recording"}
)
"""Besides messages: all other objects come from a method, an event or a fixture, and what their classes take is nobody's business."""


def hide_signatures(
    app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str | None, result: str | None
) -> tuple[str, str] | None:
    """Show what a class takes only where programs make objects of it."""
    if what != "class" or name.rpartition(".")[2] in MADE_BY_PROGRAMS:
        return None
    if name.startswith("epsignal_sync.messages."):
        return re.sub(r"_origin: [^,]*, ", "", signature or ""), result or ""  # of no use to a program
    return "", ""


def show_examples(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Have an indented example shown as code: in the docstrings nothing announces it but the indentation."""
    shown: list[str] = []
    before = ""  # the last line that is not empty
    for line in lines:
        indent = len(line) - len(line.lstrip())
        here = len(before) - len(before.lstrip())
        begins = bool(line.strip()) and bool(shown) and not shown[-1].strip() and indent > here
        if begins and not before.lstrip().startswith(("* ", "- ", "..")) and not before.endswith("::"):
            shown += [" " * here + ".. code-block:: python", ""]
        shown.append(line)
        before = line if line.strip() else before
    lines[:] = shown


def tell_missing(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of each public name that no page describes."""
    described = env.domains.python_domain.objects
    for group in names.groups():
        if not any(name in described for name in group):
            logger.warning("the reference lacks %s: describe it on a page of docs/reference/", group[0])


names = PublicNames()


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("autodoc-process-bases", show_public_bases)
    app.connect("autodoc-process-signature", hide_signatures)
    app.connect("autodoc-process-docstring", show_examples)
    app.add_post_transform(KnownNames)
    app.add_post_transform(NoBases)
    app.connect("env-check-consistency", tell_missing)
    return {"parallel_read_safe": True}
