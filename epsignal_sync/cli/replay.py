"""The command ``epsignal replay``: its options, and which side of the recording it plays, to an app or with --against to a PBX."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from typing import Any

import click

from ..errors import EpSignalError, UsageError
from .group import commands
from .login import connection_options
from .monitor import show_warnings


def _login_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to log in; where, --against says."""
    command = connection_options(command)
    command.__click_params__ = [one for one in command.__click_params__ if one.name != "url"]  # type: ignore[attr-defined]
    return command


@commands.command()
@click.argument("file", type=click.Path(path_type=pathlib.Path))
@click.argument("command", nargs=-1, metavar="[-- COMMAND...]", type=click.UNPROCESSED)
@click.option("--speed", type=click.FloatRange(0), default=1, show_default=True, help="Times as fast; 0: as fast as the app takes it.")
@click.option(
    "--record", type=click.Path(path_type=pathlib.Path), metavar="OUT", help="Write what goes through as a recording, for diff and ladder."
)
@click.option("--against", metavar="URL", help="The other way round: log in to this PBX and do there what the app did.")
@click.option("--hw", "phones", multiple=True, metavar="OLD=NEW", help="With --against: the phone to take for a recorded one.")
@click.option("--yes", is_flag=True, help="With --against: do not ask first.")
@_login_options
def replay(
    file: pathlib.Path, command: tuple[str, ...], speed: float, record: pathlib.Path | None, against: str | None,
    phones: tuple[str, ...], yes: bool, **options: Any,
) -> None:  # fmt: skip
    """Play a recording to an app.

    FILE is the recording; the app need not be changed for that. It says where the app now does something else.

    COMMAND is the app: it is started with EPSIGNAL_URL, EPSIGNAL_APP and EPSIGNAL_PASSWORD set to a PBX that plays the recording,
    and ended (SIGTERM) when that is over and it is quiet; its exit code becomes this one's. Without COMMAND it is shown how to log in, and
    an app is waited for. The phones and the PBX say what they said then, in order and at the same distances divided by --speed;
    what the app sends reaches nobody. Its own calls are answered where the recording has the same ones. Ctrl-C ends it.

    With --against the app's part is played, to a simulated or a real PBX: real phones ring. It attaches to the phones, starts
    the app's own calls, and changes, drops and adds in the calls that happen there what the app did in the same calls
    of the recording; all else is forwarded at once. It ends when all of those that began in the recording have happened and are
    over, or with Ctrl-C; then what came differently is shown.

    \b
    Example:
      epsignal replay calls.jsonl --speed 10 --record new.jsonl -- python app.py
      epsignal diff calls.jsonl new.jsonl
      epsignal replay calls.jsonl --against pbx.example.com --app phones
    """
    show_warnings()
    if math.isnan(speed):
        raise UsageError("--speed takes a number from 0 on, and nan is none")
    if against is None:
        if phones or yes:
            raise UsageError("--hw and --yes are for --against URL, which was not given")
        _to_app(file, speed, record, command)
        return
    if command:
        raise UsageError("--against plays the app's part itself: no COMMAND can be given with it")
    from .replay_against import play_against

    play_against(file, {**options, "url": against}, speed=speed, out=record, phones=phones, sure=yes)


def _to_app(file: pathlib.Path, speed: float, out: pathlib.Path | None, command: tuple[str, ...]) -> None:
    try:
        from .replay_to_app import play_to_app
    except ImportError:
        raise EpSignalError("replay needs websockets for its PBX: pip install 'epsignal-sync[cli,simulator]'") from None
    code = play_to_app(file, speed, out, command)
    if code:
        click.get_current_context().exit(code)
