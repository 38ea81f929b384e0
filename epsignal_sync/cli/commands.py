"""The commands for calls and for the simulated PBX, and their options. Those for recordings stand in modules of their own."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from typing import Any

import click

from ..client import Client
from ..errors import EpSignalError
from . import model
from .call import control_calls
from .dial import check_called, place_call
from .group import commands
from .login import client_maker, connection_options, make_client
from .monitor import follow, show_warnings
from .outputs import Screen
from .record import recording_options
from .verify import verify as verify_pbx
from .view import View, view_options

WIDTH_OF_A_PIPE = 140
"""Columns of a table that goes to a file or another program."""


@commands.command()
@click.argument("hw", nargs=-1, required=True)
@view_options
@click.option("--all", "show_all", is_flag=True, help="Calls without media, too, such as phones keep open for presence.")
@recording_options
@connection_options
def monitor(hw: tuple[str, ...], view: View, show_all: bool, start_recording: Callable[[Client], None], **options: Any) -> None:
    """Show the calls of some phones as they happen.

    HW is the name with which a phone registers, often its MAC address; give several for several phones. On a terminal it is a
    live table, on a pipe one line a step of a call. Ctrl-C ends it and leaves the calls alone.

    \b
    Example:
      export EPSIGNAL_URL=pbx.example.com EPSIGNAL_APP=phones
      export EPSIGNAL_PASSWORD=...
      epsignal monitor 0090334f1a2b
      epsignal monitor 0090334f1a2b 0090334f1a2c --number "0*" --csv > calls.csv
    """
    show_warnings()
    with make_client(**options) as client:
        start_recording(client)
        follow(client, hw, view=view, show_all=show_all, timeout=options["timeout"])


@commands.command()
@click.argument("hw")
@click.argument("number")
@connection_options
@click.option("--as-sip", is_flag=True, help="NUMBER is a SIP name, such as alice. (--sip says who logs in.)")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as with monitor.")
def dial(hw: str, number: str, as_sip: bool, as_json: bool, **options: Any) -> None:
    """Call NUMBER on behalf of the phone HW.

    It shows what becomes of the call, for trying out what the PBX does with a number: whether it is reached, where it is
    diverted to, with which cause it is refused. The call is this command's: the phone itself neither rings nor shows it,
    there is no audio, whoever answers hears nothing, and it lives only as long as the command runs. Ctrl-C hangs up and
    waits for the end.

    Exit code: 0 if it was connected, 1 if it was not (with the cause in words), 2 for a wrong command line.

    \b
    Example:
      export EPSIGNAL_PASSWORD=...
      epsignal dial 0090334f1a2b 23 --url pbx.example.com --app phones
    """
    check_called(number, as_sip=as_sip)
    show_warnings()
    with make_client(reconnect=False, **options) as client:  # the call lives as long as the connection
        place_call(client, hw, number, as_sip=as_sip, as_json=as_json, timeout=options["timeout"])


@commands.command()
@click.argument("hw")
@connection_options
def call(hw: str, **options: Any) -> None:
    """Show the calls of a phone, and do what is typed.

    HW is the phone. What can be typed: answer, hangup, hold, retrieve, transfer NUMBER, dtmf DIGITS, dial NUMBER; help
    shows them all. On a terminal the calls are a live table above the line that is typed; from a pipe or a file the
    commands are a script, and each event is one line. A command that cannot be done is one sentence, and the next one is
    taken. quit, the end of the input, or Ctrl-C ends it: the calls of the phone go on, and what dial has started is hung
    up. With no input at all (< /dev/null) it shows the calls until Ctrl-C.

    \b
    Example:
      export EPSIGNAL_PASSWORD=...
      epsignal call 0090334f1a2b --url pbx.example.com --app phones
    """
    show_warnings()
    with make_client(**options) as client:
        control_calls(client, hw, timeout=options["timeout"])


@commands.command()
@view_options
@recording_options
def demo(view: View, start_recording: Callable[[Client], None]) -> None:
    """Show three calls on a simulated PBX.

    It is the ordinary monitor on two of three phones, and ends by itself after some seconds. It needs neither a PBX nor a phone.

    \b
    Example:
      epsignal demo
      epsignal demo --state connected --json
    """
    try:
        from .demo import run_demo
    except ImportError:
        raise EpSignalError("the demo needs websockets for its simulated PBX: pip install 'epsignal-sync[cli,simulator]'") from None
    show_warnings()
    run_demo(view=view, start_recording=start_recording)


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port to listen on; 0: any that is free.")
@click.option("--phone", "phones", multiple=True, metavar="HW,NUMBER,NAME", help="A phone; once for each. Without: Alice, Bob and Carol.")
@click.option("--app", default="demo", show_default=True, help="Name of the App object to log in to.")
@click.option("--password", default="demo", show_default=True, help="Its password; it is shown.")
def simulate(host: str, port: int, phones: tuple[str, ...], app: str, password: str) -> None:
    """Run a simulated PBX for experiments by hand.

    It shows how to log in, and then each thing that is said: who to whom, which phone, which call, the message; on a
    terminal cut to its width. Meanwhile it takes commands for what people do at the phones; help shows them all.
    Ctrl-C or quit ends it.

    From a pipe or a file the commands are a script: between two of them it becomes quiet, wait and pause take longer, the
    first wrong one ends it, and so does the end. With no input at all (< /dev/null) it runs until Ctrl-C.

    \b
    Example:
      epsignal simulate
      (echo call 22 23; echo answer 23; echo hangup 22) | epsignal simulate
    """
    try:
        from . import simulate as simulation
    except ImportError:
        raise EpSignalError("simulate needs websockets for its simulated PBX: pip install 'epsignal-sync[cli,simulator]'") from None
    simulation.simulate(host=host, port=port, phones=phones, app=app, password=password)


@commands.command()
@click.argument("name", required=False, shell_complete=lambda context, argument, begun: model.names(begun))
@click.option("--markdown", "as_markdown", is_flag=True, help="The whole model as Markdown.")
def types(name: str | None, as_markdown: bool) -> None:
    """Show what can be said in the signaling, and with which fields.

    NAME is a message, signal, facility, object or enumeration, as Python or the wire spells it; without, all of them are shown as
    a tree.

    \b
    Example:
      epsignal types setup
    """
    if as_markdown:
        click.echo(model.markdown(), nl=False)
    else:
        Screen(width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE).print(model.one(model.find(name)) if name else model.tree())


@commands.command()
@click.argument("hw")
@click.argument("hw2", required=False, default="")
@connection_options
@click.option("--report", type=click.Path(path_type=pathlib.Path), metavar="FILE", help="Where to write the report; without: it is shown.")
def verify(hw: str, hw2: str, report: pathlib.Path | None, **options: Any) -> None:
    """Find out what a real PBX does, for a bug report.

    It finds out what the documentation leaves open, with the phone HW. It asks for a few things to be done at the phone,
    each of which can be skipped, and takes about ten minutes. The phone rings, and is attached to, cut off and attached to
    again meanwhile: take one that nobody needs. HW2 is a second one, which rings once. The report at the end holds no
    numbers and no names. docs/verify-on-a-pbx.md tells more.

    \b
    Example:
      export EPSIGNAL_URL=pbx.example.com EPSIGNAL_APP=phones
      export EPSIGNAL_PASSWORD=...
      epsignal verify 0090334f1a2b --report report.txt
    """
    show_warnings()
    maker = client_maker(**options)
    address = options["url"].rpartition("//")[2].partition("/")[0]
    secrets = {
        options["app"]: "<app>", options["sip"]: "<user>", str(maker.keywords["password"]): "<password>",
        address: "<host>", address.partition(":")[0]: "<host>",
    }  # fmt: skip
    verify_pbx(maker, hw, hw2, secrets, report)
