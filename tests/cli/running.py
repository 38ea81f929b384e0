"""Running ``epsignal`` as its user does: a process of its own, on pipes or on a terminal."""

from __future__ import annotations

import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from subprocess import DEVNULL, PIPE
from types import TracebackType

from .forking import ForkedCommand

ROOT = pathlib.Path(__file__).parents[2]
PASSWORD = "s3cret-p4ssword"
PATIENCE = 30.0
"""Seconds that a test waits for what has to come; only a failing test ever waits so long."""
START = "from epsignal_sync.cli import main; main()"
NOTHING: Mapping[str, str] = {}

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which nothing but ``variables`` speaks to epsignal or to its terminal."""
    foreign = ("EPSIGNAL_", "PYTEST_", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **variables}


class Running:
    """A running ``epsignal``; killed at the end of the ``with`` block if it is still there.

    ``columns``: on a terminal of that width instead of on pipes. ``script``: what it reads there from standard input.
    """

    def __init__(
        self, *arguments: str, variables: Mapping[str, str] = NOTHING, columns: int | None = None, start: str = START, stdout: int = PIPE,
        script: bytes | None = None,
    ) -> None:  # fmt: skip
        self.output = ""
        self._master = -1
        streams: list[int] = [PIPE if script is not None else DEVNULL, stdout, PIPE]
        if columns is not None:
            self._master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            streams = [slave] * 3
        self._process: subprocess.Popen[bytes] | ForkedCommand
        # In a session of its own a prompt cannot find the terminal of whoever runs the tests.
        if start == START and not any(name.startswith("PYTHON") for name in variables):
            self._process = ForkedCommand(arguments, environment(variables), streams, new_session=columns is not None)
        else:
            self._process = subprocess.Popen(
                [sys.executable, "-c", start, *arguments], cwd=ROOT, env=environment(variables),
                stdin=streams[0], stdout=streams[1], stderr=streams[2], start_new_session=columns is not None,
            )  # fmt: skip
        if columns is not None:
            os.close(slave)
        elif self._process.stdin is not None:
            self._process.stdin.write(script or b"")
            self._process.stdin.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        if self._master >= 0:
            os.close(self._master)

    def read_until(self, text: str) -> str:
        """Read the output until it holds ``text``; returns all of it so far."""
        end = time.monotonic() + PATIENCE
        while text not in self.output:
            assert self._read(end), f"{text!r} is not in the output: {self.output!r}"
        return self.output

    def read_more(self) -> None:
        """Read what comes next; it is a failure if nothing does."""
        assert self._read(time.monotonic() + PATIENCE), f"the output has ended: {self.output!r}"

    def type(self, text: str) -> None:
        """Type on the terminal."""
        os.write(self._master, text.encode())

    def stop_echo(self) -> None:
        """Have the terminal no longer echo what is typed: it does so wherever the output is at that moment, in the middle of a line."""
        attributes = termios.tcgetattr(self._master)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self._master, termios.TCSANOW, attributes)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """Send SIGTERM, as service managers do."""
        self._process.send_signal(signal.SIGTERM)

    def stop_reading(self) -> None:
        """Close our end of the output, as ``head -1`` does."""
        assert self._process.stdout is not None
        self._process.stdout.close()

    def wait_until_full(self) -> None:
        """Wait until about as much of the output waits to be read as the pipe holds."""
        assert self._process.stdout is not None
        end = time.monotonic() + PATIENCE
        while struct.unpack("i", fcntl.ioctl(self._process.stdout, termios.FIONREAD, bytes(4)))[0] < 60_000:
            assert time.monotonic() < end, "nobody writes so much"
            time.sleep(0.005)

    def end_unread(self, code: int) -> None:
        """Wait for the end, and check the exit code; the output stays where it is."""
        returned = self._process.wait(PATIENCE)
        assert returned == code, (returned, self._process.stderr and self._process.stderr.read())

    def end(self, code: int) -> str:
        """Read to the end, check the exit code and what holds for every run, and return what stands on standard error."""
        end = time.monotonic() + PATIENCE
        while self._read(end):
            pass
        errors = self._process.stderr.read().decode() if self._process.stderr is not None else ""
        returned = self._process.wait(max(0.1, end - time.monotonic()))
        assert returned == code, (returned, self.output, errors)
        for text in (self.output, errors):
            assert "Traceback" not in text, text
            assert PASSWORD not in text
        return errors

    @property
    def screen_lines(self) -> list[str]:
        """All lines that were ever written, without what moves the cursor or colours them."""
        return re.split(r"[\r\n]+", _ESCAPES.sub("", self.output))

    def _read(self, end: float) -> bool:
        """Read what comes next; False at the end of the output."""
        stream = self._process.stdout
        if self._master < 0 and (stream is None or stream.closed):
            return False
        descriptor = self._master if stream is None else stream.fileno()
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"nothing more came; the output so far: {self.output!r}"
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # so a pty says that nobody has its other end open any more
            return False
        self.output += data.decode("utf-8", "replace")
        return bool(data)


def failure(*arguments: str, code: int, variables: Mapping[str, str] = NOTHING, start: str = START) -> str:
    """Run what must fail; returns its one sentence."""
    with Running(*arguments, variables=variables, start=start) as epsignal:
        return sentence(epsignal, code)


def sentence(epsignal: Running, code: int) -> str:
    """Wait for the end of what must fail; returns its one sentence."""
    errors = epsignal.end(code)
    assert epsignal.output == ""
    assert errors.startswith("epsignal: ") and errors.count("\n") == 1, errors
    return errors
