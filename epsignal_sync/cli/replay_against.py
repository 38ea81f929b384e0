"""``epsignal replay --against`` a PBX: says what it will do, asks, does it, and shows what came differently.

How it is done stands in :mod:`..reenactment`.
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..client import Client
from ..device import Device
from ..errors import AttachError, ConnectionLostError, EpSignalError, RecordingError, UsageError
from ..recording.differences import compare
from ..recording.reading import Recording
from ..reenactment.acting import Actor
from ..reenactment.parts import Script, read_script
from .diff import counted, show_differences
from .login import make_client
from .outputs import plain
from .progress import progress
from .recordings import read_recording

LOOK = 0.25
"""Seconds between two looks at how far it is."""


def play_against(
    file: pathlib.Path, options: dict[str, Any], *, speed: float, out: pathlib.Path | None, phones: Sequence[str], sure: bool
) -> None:
    """Play the app's part until all its calls have happened, or Ctrl-C. Main thread only; raises EpSignalError."""
    recording = read_recording(file)
    script = read_script(recording.calls, next((message.at for message in recording), 0.0))
    if not script.awaited:
        what = "only calls that had begun before" if script.parts else "no call"
        raise RecordingError(f"{file} has {what}, so there is nothing to play: record while a phone is called")
    names = _names(script, phones)
    if out is not None and out.exists():
        raise RecordingError(f"{out} is there already, and nothing is written over: give another name, or remove it first")
    for line in _intentions(script, names, str(options["url"])):
        click.echo(plain(line), err=True)
    if not sure:
        if not sys.stdin.isatty():
            raise UsageError("nobody can be asked without a terminal whether that is to be done: --yes says that it is")
        click.confirm("Do that?", abort=True, err=True)
    with tempfile.TemporaryDirectory() as directory:
        target = pathlib.Path(directory, "now.jsonl") if out is None else out
        failures: list[str] = []
        with make_client(reconnect=False, **options) as client:
            client.connect()
            recorder = client.record(target)  # not before: where nobody can log in, nothing is to be left behind
            with contextlib.suppress(KeyboardInterrupt):  # what has come until then is shown
                actor = Actor(script, client, names, speed, failures)
                actor.listen()
                try:
                    devices = _attached(client, names, options["timeout"])
                except EpSignalError:
                    recorder.close()
                    target.unlink(missing_ok=True)  # as nothing was played: it would be in the way of the next try
                    raise
                actor.start(devices)
                _play(client, actor, failures)
        for failure in failures:
            click.echo(f"epsignal: {plain(failure)}", err=True)
        show_differences(compare(recording.calls, Recording(target).calls, names), str(file), "what came now")


def _names(script: Script, phones: Sequence[str]) -> dict[str, str]:
    """Return the phone to take for each of the recording. Raises UsageError."""
    names = {hw: hw for hw in script.devices}
    for text in phones:
        old, mark, new = text.partition("=")
        if not (mark and new) or old not in names:
            known = ", ".join(script.devices[:10])
            raise UsageError(f"--hw takes OLD=NEW with a phone of the recording as OLD, not {text!r:.80}: there are {known:.400}")
        names[old] = new
    if len(set(names.values())) < len(names):
        raise UsageError("one phone cannot be taken for two of the recording: give each another one with --hw OLD=NEW")
    return names


def _intentions(script: Script, names: Mapping[str, str], url: str) -> list[str]:
    count = script.count()
    own = [part for part in script.parts if part.own]
    return [
        f"At {url}, this will",
        *(f"  attach to the phone {new}{f', for {old}' if new != old else ''}" for old, new in names.items()),
        *(f"  call {part.named} {'at' if part.incoming else 'from'} {names[part.device]}" for part in own[:10]),
        *([f"  and make {len(own) - 10} more calls"] if len(own) > 10 else []),
        f"  in {counted(len(script.parts) - len(own), 'call')} of the phones: {counted(count['change'], 'message')} changed, "
        f"{count['drop']} dropped, {count['say']} of its own said",
        *(["Secrets are masked in the recording: *** is sent in their places."] if script.masked else []),
        "Phones ring, and whoever is called is called in earnest. All else is forwarded at once. Ctrl-C ends it.",
    ]  # fmt: skip


def _attached(client: Client, names: Mapping[str, str], timeout: float) -> dict[str, Device]:
    """Return the phones by their names in the recording, registered and attached. Raises EpSignalError."""
    devices: dict[str, Device] = {}
    for old, new in names.items():
        try:
            devices[old] = client.attach(new, timeout=timeout)
        except AttachError as error:
            raise AttachError(f"{error}; --hw {old}=NEW takes another phone for it", hw=error.hw, err=error.err) from None
    for device in devices.values():
        device.wait_attached(timeout=timeout)
    return devices


def _play(client: Client, actor: Actor, failures: list[str]) -> None:
    """Do it until all calls are over, or the connection is: what was lost with one could not be played on the next."""
    try:
        with progress("Calls that have happened", actor.progress[1]) as advance:
            while not actor.wait_over(LOOK):
                if not client.connected:
                    client.run_forever()  # raises why
                advance(actor.progress[0])
    except ConnectionLostError as error:
        failures.append(f"{error}; what came until then is shown")
    finally:
        actor.close()
