"""What pages can have made for them: the help of the commands, the decisions in the source, the pictures of states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from docutils.transforms import Transform

from epsignal_sync.cli import run as _run  # noqa: F401  # brings every command in
from epsignal_sync.cli.group import commands

from . import decisions
from .states import PICTURE_OF

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WIDTH = 88
"""Columns of a help text."""


def all_commands(command: click.Command = commands, parent: click.Context | None = None) -> list[tuple[str, click.Command, str]]:
    """Return for a command, and each one below it, its full name, itself and its help."""
    name = "epsignal" if parent is None else command.name
    context = click.Context(command, info_name=name, parent=parent, **{**command.context_settings, "max_content_width": WIDTH})
    context.terminal_width = WIDTH
    found = [(context.command_path, command, context.get_help())]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                found += all_commands(below, context)
    return found


def variables() -> list[tuple[str, str, str]]:
    """Return the variables of the environment: the name, the option that it stands for, and the commands that have it."""
    found: dict[tuple[str, str], list[str]] = {}
    for path, command, _ in all_commands():
        for option in command.params:
            if isinstance(option.envvar, str):
                found.setdefault((option.envvar, option.opts[0]), []).append(path.removeprefix("epsignal "))
    return [(name, option, ", ".join(paths)) for (name, option), paths in found.items()]


class CommandLine(Directive):
    """Shows the help of each command."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each command."""
        sections: list[nodes.Node] = []
        for path, _, text in all_commands():
            section = nodes.section(ids=[nodes.make_id(path)], names=[nodes.fully_normalize_name(path)])
            section += nodes.title(path, path)
            section += nodes.literal_block(text, text, language="text")
            self.state.document.note_implicit_target(section, section)
            sections.append(section)
        return sections


class Variables(Directive):
    """Shows the variables that stand for options."""

    def run(self) -> list[nodes.Node]:
        """Return a list of them."""
        rows = [f"* `{name}` is `{option}` of {paths}." for name, option, paths in variables()]
        return _parsed(self, "\n".join(rows))


class Decisions(Directive):
    """Lists the decisions on an unclear specification that the source marks."""

    def run(self) -> list[nodes.Node]:
        """Return a list for each module."""
        return _parsed(self, decisions.markdown())


def _parsed(directive: Directive, text: str) -> list[nodes.Node]:
    place = nodes.Element()
    directive.state.nested_parse(StringList(text.splitlines(), "made of the source"), 0, place)
    return place.children


class InlinePictures(Transform):
    """Puts the pictures of states into the page itself, drawn anew, where they take its colour."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Take the place of the image that shows the stored file."""
        for image in list(self.document.findall(nodes.image)):
            draw = PICTURE_OF.get(image["uri"].rpartition("/")[2])
            if draw is not None:
                image.parent.replace(image, nodes.raw("", draw().svg(alone=False), format="html"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("command-line", CommandLine)
    app.add_directive("variables", Variables)
    app.add_directive("decisions", Decisions)
    app.add_transform(InlinePictures)
    return {"parallel_read_safe": True}
