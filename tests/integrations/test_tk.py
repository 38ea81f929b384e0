"""Callbacks on Tk's thread, in real windows. The programs stand in tk_programs.py and run in a process of their own."""

from __future__ import annotations

import os
import pathlib
import select
import subprocess
import sys
from collections.abc import Iterator

import pytest

from . import tk_programs
from .conftest import PATIENCE

ROOT = pathlib.Path(__file__).parents[2]


class Runner:
    """The process in which the programs run, one after the other: what they import takes longer than they do."""

    def __init__(self, display: str) -> None:
        self._environment = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, program: str, way: str) -> str:
        """Run a program, and return what it said: "passed", or what went wrong."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.integrations.tk_programs"], env=self._environment, cwd=ROOT,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{program} {way}\n".encode())
        process.stdin.flush()
        said = ""
        while not said.endswith((tk_programs.PASSED, tk_programs.FAILED)):
            ready = select.select([process.stdout], [], [], PATIENCE)[0]
            part = os.read(process.stdout.fileno(), 65536) if ready else b""
            said += part.decode(errors="replace")
            if not part:
                said += "it hangs" if not ready else "its process has ended"
                break
        if said != tk_programs.PASSED:
            self.close()  # nothing is known of its state
        return said

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="module")
def runner(display: str) -> Iterator[Runner]:
    runner = Runner(display)
    yield runner
    runner.close()


@pytest.mark.parametrize("way", tk_programs.WAYS)
@pytest.mark.parametrize("program", tk_programs.PROGRAMS)
def test_tk(runner: Runner, program: str, way: str) -> None:
    said = runner.run(program, way)
    if said != tk_programs.PASSED:
        pytest.fail(said, pytrace=False)
