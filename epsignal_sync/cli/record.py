"""Recording from the command line: the command for it, and the options with which other commands record besides."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..client import Client
from ..events import CallStarted
from ..manual_dispatcher import ManualDispatcher
from ..options import MEBIBYTE
from ..recording import Recorder
from .diff import counted
from .group import commands
from .login import client_maker, connection_options
from .monitor import show_warnings
from .outputs import plain

REFRESH = 0.5
"""Seconds between two looks of the line that says how far it is."""

_secrets = click.option("--secrets", is_flag=True, help="Leave passwords and keys in the recording; without, they are masked.")
_max_size = click.option(
    "--max-size", type=click.IntRange(1), default=100, show_default=True, metavar="MB",
    help="How large FILE may become, in MiB; then it is FILE.1, and so on up to FILE.4.",
)  # fmt: skip


def recording_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --record FILE and what belongs to it; the command gets ``start_recording``, to be called with its client."""

    @click.option("--record", metavar="FILE", help="Write each message to FILE, too; epsignal ladder shows the calls in it.")
    @_secrets
    @_max_size
    @functools.wraps(command)
    def with_recording(*arguments: Any, record: str | None, secrets: bool, max_size: int, **options: Any) -> Any:
        def start_recording(client: Client) -> None:
            if record is not None:
                client.record(record, secrets=secrets, max_size=max_size * MEBIBYTE)

        return command(*arguments, start_recording=start_recording, **options)

    return with_recording


@commands.command()
@click.argument("file", metavar="FILE")
@click.argument("hw", nargs=-1, required=True)
@connection_options
@_secrets
@_max_size
def record(file: str, hw: tuple[str, ...], secrets: bool, max_size: int, **options: Any) -> None:
    """Write each call message of some phones to FILE, until Ctrl-C.

    HW is the name with which a phone registers, often its MAC address. FILE gets one JSON object a line; numbers and names
    of callers stand in it. Where FILE is a recording already, it is gone on with. epsignal ladder FILE shows the calls in it.

    \b
    Example:
      export EPSIGNAL_PASSWORD=...
      epsignal record calls.jsonl 0090334f1a2b --url pbx.example.com --app phones
    """
    show_warnings()
    with client_maker(**options)(dispatcher=ManualDispatcher()) as client:
        recorder = client.record(file, secrets=secrets, max_size=max_size * MEBIBYTE)
        screen = _Screen(client, recorder)
        client.connect()
        client.attach_many(hw, timeout=options["timeout"])
        try:
            screen.show()
        finally:
            client.close()
            screen.say_what_is_there()


class _Screen:
    """How far it is: a line that changes on a terminal, nothing meanwhile elsewhere, and a last line at the end."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self._client = client
        self._recorder = recorder
        self._calls = 0
        client.on(CallStarted, self._count)

    def _count(self, event: CallStarted) -> None:
        self._calls += event.call.media

    def show(self) -> None:
        """Show it until Ctrl-C, or until the connection is lost for good, which raises why."""
        console = Console()
        if not (sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal):
            print(f"recording to {plain(str(self._recorder.path))}; Ctrl-C ends it, and the calls go on", flush=True)
            while True:
                self._client.process_events(None)
        with Live(self._line(), console=console, auto_refresh=False, transient=True) as live:
            while True:
                until = time.monotonic() + REFRESH
                while (left := until - time.monotonic()) > 0:
                    self._client.process_events(left)
                live.update(self._line(), refresh=True)

    def _line(self) -> Text:
        # The path last: it may be long, and what does not fit is cut off.
        text = f"{self._what()} recorded (Ctrl-C ends it; the calls go on) in {plain(str(self._recorder.path))}"
        return Text(text, no_wrap=True, overflow="ellipsis")

    def _what(self) -> str:
        recorder = self._recorder
        missing = f", {recorder.missing:,} missing" if recorder.missing else ""
        return f"{counted(recorder.written, 'message')}, {counted(self._calls, 'call')}, {_size(recorder.size)}{missing}"

    def say_what_is_there(self) -> None:
        """Print the last line."""
        print(f"{plain(str(self._recorder.path))}: {self._what()}", flush=True)


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1000:.1f} kB"
