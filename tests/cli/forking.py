"""Starting ``epsignal`` without its half second of imports, which some two hundred starts in the suite would otherwise wait for.

One process imports what ``epsignal`` imports and then forks for each command. The forked process runs ``main()`` as the last
thing of its main module, so that it ends as a program of its own does: with what Python does at its exit, and with its signals.
What begins before ``main()`` cannot be seen this way: for that, a test starts a Python (``Running``, ``start=``).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import io
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from subprocess import DEVNULL, PIPE
from typing import IO, Any

ROOT = pathlib.Path(__file__).parents[2]
START_TIME = 30.0
"""Seconds that the first process has for its imports, and for a fork."""
LONGEST = 1 << 20
"""Bytes of a command line with its environment."""


class ForkedCommand:
    """A running ``epsignal``, with what the tests use of ``subprocess.Popen``; ``streams``: descriptors, PIPE or DEVNULL."""

    def __init__(
        self, arguments: Sequence[str], variables: Mapping[str, str], streams: Sequence[int], *, new_session: bool
    ) -> None:
        self.returncode: int | None = None
        self._ended, ended = os.pipe()
        ours: list[IO[bytes] | None] = [None, None, None]
        theirs, opened = [], [ended]
        for number, stream in enumerate(streams):
            if stream == PIPE:
                reader, writer = os.pipe()
                ours[number] = os.fdopen(writer, "wb", 0) if number == 0 else os.fdopen(reader, "rb")
                stream = reader if number == 0 else writer
                opened.append(stream)
            elif stream == DEVNULL:
                stream = os.open(os.devnull, os.O_RDWR)
                opened.append(stream)
            theirs.append(stream)
        self.stdin, self.stdout, self.stderr = ours
        request = json.dumps({"arguments": list(arguments), "variables": dict(variables), "new_session": new_session}).encode()
        control = _forking_process()
        socket.send_fds(control, [request], [*theirs, ended])
        self.pid = int(control.recv(100))
        for descriptor in opened:
            os.close(descriptor)

    def wait(self, timeout: float) -> int:
        """Return the exit code; negative: the signal that ended it. Raises TimeoutExpired."""
        if self.returncode is None:
            ready, _, _ = select.select([self._ended], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired("epsignal", timeout)
            self.returncode = int(os.read(self._ended, 100))
            os.close(self._ended)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None and not select.select([self._ended], [], [], 0)[0]:
            with contextlib.suppress(ProcessLookupError):  # it has ended this very moment
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)


@functools.cache
def _forking_process() -> socket.socket:
    """Return the socket of the process that forks, which is started once; it ends with this process."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (control, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONGEST)
    control.settimeout(START_TIME)
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(theirs.fileno())], cwd=ROOT, pass_fds=[theirs.fileno()], start_new_session=True
    )  # fmt: skip
    theirs.close()

    def end_it() -> None:
        control.close()
        process.wait(START_TIME)

    atexit.register(end_it)
    return control


# ------------------------------------------------------------ the process that forks


def _next_command(control: socket.socket) -> None:
    """Fork for each request; returns in a forked process only, which is the command from then on. Ends with the socket."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are forked here
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, LONGEST, 4)
        if not request:
            sys.exit()
        if os.fork() == 0:
            _keep(control, descriptors)
            control.close()
            _become(json.loads(request), descriptors[:3])
            return
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(control: socket.socket, descriptors: list[int]) -> None:
    """Fork once more: this process waits for the command, and tells its exit code. Returns in the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, ended = descriptors
    command = os.fork()
    if command == 0:
        os.close(ended)
        return
    for descriptor in (0, 1, 2, *streams):
        os.close(descriptor)
    control.send(str(command).encode())
    control.close()
    _, status = os.waitpid(command, 0)
    os.write(ended, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Take over a command's arguments, environment and standard streams, as Python does where it starts."""
    if request["new_session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["variables"])
    sys.argv[:] = ["epsignal", *request["arguments"]]
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(os.fdopen(0, "rb"), "utf-8")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(os.fdopen(1, "wb"), "utf-8", line_buffering=os.isatty(1))  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(os.fdopen(2, "wb"), "utf-8", "backslashreplace", line_buffering=True)  # type: ignore[misc]


if __name__ == "__main__":
    from epsignal_sync.cli import main
    from epsignal_sync.cli import run as _run  # noqa: F401  # what main() imports

    gc.freeze()  # or each forked process would copy all of it when it collects garbage
    _next_command(socket.socket(fileno=int(sys.argv[1])))
    main()
