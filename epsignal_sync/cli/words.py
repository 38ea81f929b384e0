"""Typed lines as commands from a table: which one a line means, with which arguments. Knows nothing of what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from ..errors import UsageError

QUIT = "quit"


@frozen
class Command:
    """One command of the table."""

    run: Callable[..., None]
    arguments: str
    """What follows the name; in brackets what may be left out."""
    meaning: str


def do_line(commands: Mapping[str, Command], line: str) -> bool:
    """Run the command that a line means, and return False for quit; an empty line and one that begins with # mean nothing.

    Raises UsageError for a command that cannot be, and what the command raises.
    """
    words = line.split()
    if not words or words[0].startswith("#"):
        return True
    name, arguments = words[0].lower(), words[1:]
    command = commands.get(name)
    if command is None:
        raise UsageError(f"there is no command {words[0]!r}: help shows those there are")
    expected = command.arguments.split()
    needed = [one for one in expected if not one.startswith("[")]
    if not len(needed) <= len(arguments) <= len(expected):
        raise UsageError(f"this is how {name} is called: {f'{name} {command.arguments}'.rstrip()}")
    command.run(*arguments)
    return name != QUIT


def help_lines(commands: Mapping[str, Command]) -> list[str]:
    """Return a line for each command."""
    width = max(len(f"{name} {command.arguments}") for name, command in commands.items())
    return [f"  {f'{name} {command.arguments}':<{width}}  {command.meaning}" for name, command in commands.items()]
