"""``epsignal completion``: what a shell needs in order to complete commands and options with the tab key."""

from __future__ import annotations

import os
import pathlib

import click
from click.shell_completion import ShellComplete, get_completion_class, shell_complete

from ..errors import UsageError
from .group import commands

PROGRAM = "epsignal"
VARIABLE = "_EPSIGNAL_COMPLETE"
"""With this variable the shell asks what there is to complete: click's own way."""
SHELLS = ("bash", "zsh", "fish")


@commands.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print what makes the tab key complete commands and options.

    SHELL is the one that it is for; without, the one in the variable SHELL. It goes where that shell reads it when it starts; from
    the next shell on the tab key then knows the commands, the options and what some of them take, such as states and files.

    \b
    Example:
      epsignal completion bash >> ~/.bashrc
      epsignal completion zsh >> ~/.zshrc
      epsignal completion fish > ~/.config/fish/completions/epsignal.fish

    With zsh a line "autoload -Uz compinit && compinit" has to stand above it.
    """
    name = shell or pathlib.PurePath(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise UsageError(f"there is no completion for the shell {name!r}: give one of {', '.join(SHELLS)}")
    kind = get_completion_class(name)
    assert kind is not None
    # Not its own source(): that of bash runs bash, to see its version.
    click.echo(ShellComplete.source(kind(commands, {}, PROGRAM, VARIABLE)))


def answer_shell() -> int | None:
    """Answer a shell that asks what there is to complete, and return the exit code; None: no shell asks."""
    instruction = os.environ.get(VARIABLE)
    return shell_complete(commands, {}, PROGRAM, VARIABLE, instruction) if instruction else None
