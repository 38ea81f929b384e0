"""A terminal of tmux for tests: what stands on its screen at last, and not what was written to it on the way."""

from __future__ import annotations

import os
import pathlib
import shlex
import subprocess
import sys
import time
from types import TracebackType

from .running import PATIENCE, ROOT, START, environment


def shim(folder: pathlib.Path) -> pathlib.Path:
    """Return a folder for PATH in which ``epsignal`` is this one."""
    script = folder / "epsignal"
    # The package of this clone, not of wherever the shell stands.
    script.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -c {shlex.quote(START)} "$@"\n')
    script.chmod(0o755)
    return folder


class Screen:
    """A tmux server of its own with one window; ended at the end of the ``with`` block, with what runs in it."""

    def __init__(
        self, folder: pathlib.Path, command: str, *, columns: int = 80, rows: int = 24, variables: dict[str, str] | None = None
    ) -> None:
        self._socket = str(folder / "tmux")
        path = f"{shim(folder)}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**environment({"PATH": path, **(variables or {})}), "LC_ALL": "C.UTF-8"}
        self._environment.pop("TMUX", None)
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", str(columns), "-y", str(rows), command)
        self._tmux("set-option", "-g", "remain-on-exit", "on")

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tmux("kill-server")

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names for them."""
        self._tmux("send-keys", "--", *keys)

    def lines(self, *options: str) -> list[str]:
        """Return what stands on the screen now, without the empty lines below it."""
        return self._tmux("capture-pane", "-p", *options).rstrip("\n").split("\n")

    def wait_for(self, text: str, *options: str) -> list[str]:
        """Wait until a text stands on the screen, and return the screen's lines."""
        end = time.monotonic() + PATIENCE
        while True:
            lines = self.lines(*options)
            if any(text in line for line in lines):
                return lines
            assert time.monotonic() < end, f"{text!r} is not on the screen:\n" + "\n".join(lines)
            time.sleep(0.05)

    def wait_end(self) -> None:
        """Wait until what runs in the window has ended."""
        end = time.monotonic() + PATIENCE
        # Not by the words on the screen: tmux 3.3 does not always write them.
        while self._tmux("display-message", "-p", "#{pane_dead}").strip() != "1":
            assert time.monotonic() < end, "it does not end:\n" + "\n".join(self.lines())
            time.sleep(0.05)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-S", self._socket, *arguments]
        return subprocess.run(command, env=self._environment, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout
