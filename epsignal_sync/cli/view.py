"""What of the calls is shown, and as what: the options for it, and the filters. Knows not how it looks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click
from attrs import frozen

from ..errors import UsageError
from ..messages import CallState
from .outputs import Output, Progress

PREFIXES = "RSNI"
"""What may stand before the digits of a number: see EP.num."""


@frozen(kw_only=True)
class View:
    """What is shown of the calls: all of them without ``numbers``, all of their steps without ``states``."""

    as_json: bool = False
    as_csv: bool = False
    numbers: tuple[str, ...] = ()
    states: tuple[str, ...] = ()

    def shows(self, progress: Progress) -> bool:
        """Whether a step is one of those that are wanted."""
        if self.states and progress.state not in self.states:
            return False
        remote = progress.remote
        names = [one for one in (remote.num, (remote.num or "").lstrip(PREFIXES), remote.sip) if one]
        return not self.numbers or any(_fits(pattern, name) for pattern in self.numbers for name in names)


@frozen
class Filtered:
    """An output that gets just what a view shows of the calls, and is told what it does not show any more."""

    output: Output
    view: View

    def show(self, progress: Progress) -> None:
        """Show a step if it is wanted."""
        if self.view.shows(progress):
            self.output.show(progress)
        else:
            self.output.leave_out(progress)

    def leave_out(self, progress: Progress) -> None:
        """Have a call not shown any more."""
        self.output.leave_out(progress)

    def refresh(self) -> None:
        """Show the time going on."""
        self.output.refresh()


def view_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is shown and as what; the command gets them as one ``view``."""

    @functools.wraps(command)
    def with_view(*, as_json: bool, as_csv: bool, number: tuple[str, ...], state: tuple[str, ...], **options: Any) -> Any:
        if as_json and as_csv:
            raise UsageError("--json and --csv cannot be had at the same time: give one of them")
        for one in number:
            if not one.strip("*") and one != "*":
                raise UsageError(f"--number {one!r} is no number: give one such as 23, 0*, or the SIP name of the other party")
        return command(view=View(as_json=as_json, as_csv=as_csv, numbers=number, states=state), **options)

    for option in reversed(
        [
            click.option(
                "--number", multiple=True, metavar="NUMBER",
                help="Only calls whose other party has this number or SIP name; several times for several. It is compared as a whole; "
                "* at its beginning or end stands for anything: 0* for all that begins with 0.",
            ),
            click.option(
                "--state", multiple=True, metavar="STATE", type=click.Choice([state.value for state in CallState]),
                help="Only calls while they are in this state; several times for several. Where each step is a line, only the steps into "
                f"it. One of {', '.join(state.value for state in CallState if state != CallState.NULL)}; null: calls that have ended.",
            ),
            click.option("--json", "as_json", is_flag=True, help="One JSON object a line."),
            click.option(
                "--csv", "as_csv", is_flag=True,
                help="A table for a spreadsheet, one row a step. A text that begins with = + - @, which would be taken for a formula, "
                "gets an ' in front.",
            ),
        ]
    ):  # fmt: skip
        with_view = option(with_view)
    return with_view


def _fits(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern with * at its beginning, its end or both."""
    wanted = pattern.strip("*")
    if pattern.startswith("*") and pattern.endswith("*"):
        return wanted in name
    if pattern.startswith("*"):
        return name.endswith(wanted)
    return name.startswith(wanted) if pattern.endswith("*") else name == pattern
