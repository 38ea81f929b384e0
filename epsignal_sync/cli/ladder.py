"""``epsignal ladder``: the calls of a recording as sequence diagrams. Knows nothing of how one is drawn."""

from __future__ import annotations

import html
import pathlib
import re
import shutil
from collections.abc import Sequence

import attrs
import click
from rich.text import Text

from ..errors import EpSignalError, UsageError
from ..ladder import Ladder
from ..ladder.svg import svg as svg_of
from ..ladder.text import NEEDED, USUAL_WIDTH, lines
from ..recording import RecordedCall, Recording
from ..recording.reading import older_parts
from .group import commands
from .monitor import show_warnings
from .outputs import Screen, can_show
from .recordings import read_recording

MOST_IN_A_PICTURE = 50
"""Calls that are drawn in one SVG file."""
COLORS = {"good": "green", "waiting": "yellow", "bad": "red", "busy": "cyan", "past": "dim"}


@commands.command()
@click.argument("file", type=click.Path(path_type=pathlib.Path))
@click.option("--call", "number", type=int, metavar="N", help="One call alone; without: all telephone calls, each with its number N.")
@click.option("--svg", "out", type=click.Path(path_type=pathlib.Path), metavar="OUT", help="Write a picture to the file OUT.")
@click.option("--mermaid", is_flag=True, help="For a wiki: one call as a Mermaid diagram, several as Markdown with one each.")
@click.option("--text", is_flag=True, help="For a terminal, as wide as that; it is what is shown without an option.")
def ladder(file: pathlib.Path, number: int | None, out: pathlib.Path | None, mermaid: bool, text: bool) -> None:
    """Show the calls of the recording FILE as sequence diagrams.

    Each signal is an arrow between PBX, app and phone, with its time; beside it stands what it says, and what an interceptor
    changed or dropped. Media are shown in short; in an SVG picture at length where the mouse rests.

    \b
    Example:
      epsignal ladder calls.jsonl
      epsignal ladder calls.jsonl --call 2 --svg call.svg
    """
    if (out is not None) + mermaid + text > 1:
        raise UsageError("--svg, --mermaid and --text exclude each other: give one of them")
    if out is not None and any(_is_same(out, part) for part in (file, *older_parts(file))):
        raise UsageError(f"--svg {out} is the recording itself, or a part of it: give another file")
    show_warnings()
    calls = _chosen(read_recording(file), file, number)
    ladders = [call.ladder() if number is not None else _numbered(call) for call in calls]
    if out is not None:
        _write(ladders, out)
    elif mermaid:
        click.echo(ladders[0].mermaid() if number is not None else _markdown(ladders))
    else:
        _show(ladders)


def _is_same(one: pathlib.Path, other: pathlib.Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False


def _chosen(recording: Recording, file: pathlib.Path, number: int | None) -> Sequence[RecordedCall]:
    calls = recording.calls
    if not calls:
        raise EpSignalError(f"there is no call in {file}: record while an attached phone has one")
    if number is not None:
        found = [call for call in calls if call.number == number]
        if not found:
            there = "only call 1" if len(calls) == 1 else f"calls 1 to {len(calls)}"
            raise UsageError(f"there is no call {number} in {file}: it holds {there}, which epsignal ladder shows without --call")
        return found
    with_media = [call for call in calls if call.media]
    if len(with_media) < len(calls) and with_media:
        others = [str(call.number) for call in calls if not call.media]
        named = ", ".join(others[:10]) + (", ..." if len(others) > 10 else "")
        click.echo(f"epsignal: calls without media (presence and the like) are not shown: --call shows one of {named}", err=True)
    return with_media or calls


def _numbered(call: RecordedCall) -> Ladder:
    made = call.ladder()
    return attrs.evolve(made, title=f"{call.number}. {made.title}")


def _show(ladders: Sequence[Ladder]) -> None:
    console = Screen(highlight=False)
    ascii_only = not can_show(NEEDED)
    width = shutil.get_terminal_size((USUAL_WIDTH, 24)).columns
    for index, one in enumerate(ladders):
        if index:
            console.print()
        for line in lines(one, width, ascii_only=ascii_only):
            pieces = Text.assemble(*((piece, COLORS.get(style, style)) for piece, style in line))
            pieces.rstrip()
            console.print(pieces, soft_wrap=True)


def _write(ladders: Sequence[Ladder], out: pathlib.Path) -> None:
    shown = ladders[:MOST_IN_A_PICTURE]
    try:
        out.write_text(svg_of(shown), encoding="utf-8")
    except OSError as error:
        raise EpSignalError(f"{out} could not be written ({error.strerror}): give --svg another file") from None
    if len(shown) < len(ladders):
        click.echo(f"epsignal: {out} holds the first {len(shown)} of {len(ladders):,} calls: --call draws any other one", err=True)


def _markdown(ladders: Sequence[Ladder]) -> str:
    return "\n\n".join(f"## {_plain_markdown(one.title)}\n\n```mermaid\n{one.mermaid()}\n```" for one in ladders)


def _plain_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]#+!|~$@])", r"\\\1", html.escape(text, quote=False))
