"""The command that shows what two runs of an app have done differently to the same signaling."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Sequence

import click
from rich.text import Text

from ..errors import EpSignalError
from ..recording.differences import ABSENT, AS_IT_CAME, CallPair, MessagePair, compare, effect, party
from .group import commands
from .monitor import show_warnings
from .outputs import Screen, plain
from .recordings import read_recording

DIFFERENT = 1
TROUBLE = 2
"""As the exit codes of diff."""
CONTEXT = 2
"""Messages around a difference that are shown, too."""
LONGEST_VALUE = 60
"""Characters of a value that are shown."""
STYLES = {"-": "red", "+": "green", "!": "yellow"}
NAMES = {"pbx": "PBX", "app": "app", "phone": "phone"}

Row = tuple[str, str]
"""The mark of a line, and the line itself."""


@commands.command()
@click.argument("a", metavar="A", type=click.Path(path_type=pathlib.Path))
@click.argument("b", metavar="B", type=click.Path(path_type=pathlib.Path))
@click.pass_context
def diff(context: click.Context, a: pathlib.Path, b: pathlib.Path) -> None:
    """Show what an app did differently in B than in A.

    Both are recordings.

    It is for two runs that met the same calls, such as a recording and its replay into a changed app. Calls belong together
    by phone, direction, other party and order, their messages by sender and type. Shown is what is in one run only (- in A,
    + in B), and with ! a message that was forwarded, changed or dropped in one run and not in the other, that was changed in
    another way, or that the app sent with other contents. Call ids, src, times
    and secrets are no differences.

    Exit code: 0 where nothing is different, 1 where something is, 2 for trouble, such as a file that is no recording.

    \b
    Example:
      epsignal replay calls.jsonl --record new.jsonl -- python my_app.py
      epsignal diff calls.jsonl new.jsonl
    """
    show_warnings()
    try:
        pairs = compare(read_recording(a).calls, read_recording(b).calls)
    except EpSignalError as error:
        click.echo(f"epsignal: {plain(str(error))}", err=True)
        context.exit(TROUBLE)
    if show_differences(pairs, str(a), str(b)):
        context.exit(DIFFERENT)


def show_differences(pairs: Sequence[CallPair], a: str, b: str) -> bool:
    """Write what is different, with the names of the two runs; returns whether anything is."""
    different = [pair for pair in pairs if pair.differs]
    if not different:
        click.echo(f"Nothing different: {counted(len(pairs), 'call')}, {counted(sum(len(pair.messages) for pair in pairs), 'message')}.")
        return False
    console = Screen(soft_wrap=True, highlight=False)
    for mark, line in [("-", f"--- {a}"), ("+", f"+++ {b}"), *(row for pair in different for row in call_rows(pair))]:
        console.print(Text(plain(line), style=STYLES.get(mark, "bold" if mark == "=" else "")))
    click.echo(f"\n{len(different)} of {counted(len(pairs), 'call')} {'is' if len(different) == 1 else 'are'} different.")
    return True


def call_rows(pair: CallPair) -> Iterator[Row]:
    """Yield the lines for a call: its heading, the messages that differ, and a few around them."""
    yield "", ""
    yield "=", _heading(pair)
    mark = "-" if pair.b is None else "+" if pair.a is None else ""
    if mark:
        yield mark, f"{mark} the whole call, {counted(len(pair.messages), 'message')}, is in {'A' if mark == '-' else 'B'} only:"
    last = -1
    for index in _shown(pair.messages):
        if index != last + 1:
            yield "", "    ..."
        last = index
        yield from _message_rows(pair.messages[index])
    if last + 1 < len(pair.messages):
        yield "", "    ..."


def _shown(messages: Sequence[MessagePair]) -> list[int]:
    """Return which messages are shown."""
    near: set[int] = set()
    for index, message in enumerate(messages):
        if message.differs:
            near.update(range(max(0, index - CONTEXT), min(len(messages), index + CONTEXT + 1)))
    return sorted(near)


def _heading(pair: CallPair) -> str:
    call = pair.call
    direction = {True: "from", False: "to", None: "with"}[call.incoming]
    who = "the app's own call" if call.own else "call"
    numbers = ", ".join(f"number {one.number} in {name}" for one, name in ((pair.a, "A"), (pair.b, "B")) if one is not None)
    other = party(call)
    return f"Phone {_short(call.device)}: {who} {direction} {_short(other) if other else 'somebody unknown'} ({numbers})"


def _message_rows(pair: MessagePair) -> Iterator[Row]:
    message = pair.message
    mark = "-" if pair.b is None else "+" if pair.a is None else "!" if pair.differs else " "
    way = f"{NAMES[message.sender]} > {NAMES[message.receiver]}"
    line = f"{mark} {way:<11}  {_short(message.type or message.mt)}"
    if pair.verdicts is not None:
        line = f"{line}: {pair.verdicts[0]} in A, {pair.verdicts[1]} in B"
    elif pair.a is None or pair.b is None:
        said = message.sender == "app" or message.verdict == "own"
        line = f"{line}{'' if said else f': {effect(message)}'}, in {'A' if pair.b is None else 'B'} only"
    elif pair.fields:
        line = f"{line}: {'sent with other contents' if message.sender == 'app' else 'changed in another way'}"
    yield mark.strip(), line
    for field in pair.fields:
        yield mark, f"      {_short(field.path or 'sig')}: {_value(field.a)} in A, {_value(field.b)} in B"


def _value(value: object) -> str:
    if value is ABSENT:
        return "nothing"
    if value is AS_IT_CAME:
        return "as it came"
    return _short(json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
