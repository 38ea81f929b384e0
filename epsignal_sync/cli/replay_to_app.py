"""``epsignal replay`` to an app that is started for it, or that somebody starts. How it is played stands in :mod:`..replay`."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NoReturn

import click

from ..errors import EpSignalError, RecordingError
from ..replay import ReplayPBX
from ..replay.writing import create, write
from .outputs import plain
from .progress import progress
from .recordings import read_recording

LOGIN = "replay"
"""Name and password for the app; it may take any others."""
END_TIME = 5.0
"""Seconds that the app gets to end by itself."""
LOOK = 0.1
"""Seconds between two looks at the app and at the recording."""
MOST_PHONES = 10
"""Phones that are named."""
TERMINATED = 128 + signal.SIGTERM
"""The exit code after SIGTERM, as shells give it."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM came, which the app has not got: what went through until then is written, too, and the app must not be left behind."""


def play_to_app(file: pathlib.Path, speed: float, out: pathlib.Path | None, command: Sequence[str]) -> int:
    """Play a recording to an app and return the exit code. Blocks; main thread only. Raises EpSignalError."""
    pbx = ReplayPBX(read_recording(file), speed=speed)
    if not pbx.devices:
        raise RecordingError(f"{file} has no message of a phone, so there is nothing to play: record while the app is attached to one")
    if out is not None:
        create(out)
    code = 0
    with pbx, _terminable():
        try:
            if command:
                code = _run(pbx, command)
            else:
                _wait(pbx, file)
            if pbx.over:
                pbx.wait_over()  # raises what has gone wrong, if anything has
        except KeyboardInterrupt as end:  # what went through until then is worth something
            code = TERMINATED if isinstance(end, _Terminated) else 0
        except EpSignalError:
            if out is not None:
                out.unlink(missing_ok=True)  # made above, and empty: it would be in the way of the next try
            raise
    try:
        _summarize(pbx, file, out)
    finally:  # what went wrong with the one is no reason to lose the other
        if out is not None:
            write(out, pbx.result())
    return code


def _run(pbx: ReplayPBX, command: Sequence[str]) -> int:
    """Run the app until it ends, or the recording is over; returns its exit code."""
    variables = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": LOGIN, "EPSIGNAL_PASSWORD": LOGIN}
    try:
        app = subprocess.Popen(list(command), env={**os.environ, **variables})
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise EpSignalError(f"{shlex.join(command)} could not be started ({reason}): check how it is spelled") from None
    with _ended(app):
        while app.poll() is None and not pbx.over:
            time.sleep(LOOK)
        code = app.poll()
    if code is None:  # it was ended here, and that is no fault of its own
        return max(0, app.returncode)
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM end it in order."""

    def end(*_: object) -> NoReturn:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _ended(app: subprocess.Popen[bytes]) -> Iterator[None]:
    """See that the app is gone afterwards: it is asked to end, and if it does not, it is ended."""
    try:
        yield
    except _Terminated:
        raise
    except KeyboardInterrupt:  # the app got it, too
        with contextlib.suppress(subprocess.TimeoutExpired):
            app.wait(END_TIME)
        raise
    finally:
        if app.poll() is None:
            app.terminate()
            try:
                app.wait(END_TIME)
            except subprocess.TimeoutExpired:
                app.kill()
                app.wait(END_TIME)


def _wait(pbx: ReplayPBX, file: pathlib.Path) -> None:
    """Say how to log in, and wait until the recording is over."""
    click.echo(_heading(pbx, file))
    sys.stdout.flush()
    with progress(f"Playing {file.name}", pbx.progress[1]) as advance:
        while not pbx.over:
            time.sleep(LOOK)
            advance(pbx.progress[0])


def _heading(pbx: ReplayPBX, file: pathlib.Path) -> str:
    variables = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": LOGIN, "EPSIGNAL_PASSWORD": LOGIN}
    phones = [plain(hw) for hw in pbx.devices]
    more = [f"  and {len(phones) - MOST_PHONES} more"] if len(phones) > MOST_PHONES else []
    return "\n".join([
        f"A PBX that plays {plain(str(file))} at {pbx.url}",
        *(f"  phone {hw}" for hw in phones[:MOST_PHONES]),
        *more,
        "In another terminal:",
        *(f"  export {name}={value}" for name, value in variables.items()),
        f"  epsignal monitor {shlex.join(phones[:MOST_PHONES])}",
        "It begins when an app has attached to the phones; Ctrl-C ends it.",
    ])  # fmt: skip


def _summarize(pbx: ReplayPBX, file: pathlib.Path, out: pathlib.Path | None) -> None:
    position, count = pbx.progress
    for note in pbx.notes:
        click.echo(f"epsignal: {plain(note)}", err=True)
    if position < count:
        click.echo(f"epsignal: it ended before the recording was over: {position} of its {count} lines were", err=True)
    different = len(pbx.differences())
    if not different:
        text = "the app did in every call what it did when that was recorded"
    else:
        how = "with --record OUT, epsignal diff shows it"
        if out is not None:
            how = f"epsignal diff {shlex.quote(str(file))} {shlex.quote(str(out))} shows it"
        text = f"{different} {'call is' if different == 1 else 'calls are'} different: {how}"
    click.echo(f"epsignal: {plain(text)}", err=True)
