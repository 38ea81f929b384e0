"""docs/first-blocked-call.md, followed as its reader follows it: what is typed does what the page shows."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from epsignal_sync.cli import demo
from epsignal_sync.cli.run import run as run_command

from .cli.running import Running
from .conftest import PATIENCE
from .pages import Page, declared_extras, stable
from .test_pytest_plugin import PLUGIN
from .test_pytest_plugin import run as run_pytest
from .test_samples import finish, start

PAGE = Page("first-blocked-call.md")
CALL, BLOCK, TEST = "5. Make a call", "6. Block a caller", "7. Write a test for it"
WIDTH = 88
"""Columns of the terminal that the page shows."""


@pytest.fixture
def pbx_terminal() -> Iterator[Running]:
    """The terminal in which the simulated PBX runs, on a port that is free."""
    with Running("simulate", columns=WIDTH) as terminal:
        terminal.stop_echo()
        terminal.read_until("help shows them all.")
        yield terminal


@pytest.fixture
def variables(pbx_terminal: Running) -> dict[str, str]:
    """What the three lines say that the reader copies."""
    return dict(re.findall(r"export (\w+)=(\S+)", pbx_terminal.output))


def shown(command: str) -> list[list[str]]:
    """Return what the page shows below a command, wherever it does."""
    return [step.output for step in PAGE.steps() if step.command == command]


def wait_for_lines(terminal: Running, lines: list[str]) -> None:
    """Wait until these lines have come, each behind the one before; others may be between."""
    end = time.monotonic() + PATIENCE
    place = 0
    for line in map(stable, lines):
        while (found := stable("\n".join(terminal.screen_lines)).find(line, place)) < 0:
            assert time.monotonic() < end, (line, terminal.screen_lines)
            terminal.read_more()
        place = found + len(line)


def type_and_see(terminal: Running, block: str) -> None:
    """Type the lines of a block that begin with no time, and wait for what the page shows below each."""
    for typed, log in re.findall(r"^((?!\d\d:).+)\n((?:\d\d:.*\n)*)", block, re.MULTILINE):
        terminal.type(f"{typed}\n")
        wait_for_lines(terminal, log.splitlines())


def program(name: str) -> str:
    """Return a program of the page, whose interceptor may take the longest time there is: a busy machine has others to run, too."""
    text = PAGE.file(name)
    assert ("intercept(" in text) == ("to_device=True)" in text)
    return text.replace("to_device=True)", "to_device=True, deadline=2)")


def save(name: str, directory: pathlib.Path) -> str:
    (directory / name).write_text(program(name), encoding="utf-8")
    return str(directory / name)


@contextlib.contextmanager
def running(name: str, directory: pathlib.Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start a program of the page, wait for its first line, and press Ctrl-C at the end: it shows that nothing is wrong."""
    process = start(save(name, directory), **variables)
    try:
        assert lines_until(process, 1) == shown(f"python {name}")[0]
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        code, output, errors = finish(process)
    assert (code, output, errors) == (0, "the phone goes on without us\n", "")


def lines_until(process: subprocess.Popen[str], count: int) -> list[str]:
    """Read as many lines of a program, however they come."""
    assert process.stdout is not None
    data = b""
    end = time.monotonic() + PATIENCE
    while data.count(b"\n") < count:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
        assert ready and (more := os.read(process.stdout.fileno(), 65536)), (data, process.poll())
        data += more
    return data.decode().splitlines()


def test_what_is_installed() -> None:
    commands = [shlex.split(step.command) for step in PAGE.steps("1. Install it")]
    (install,) = [words for words in commands if words[:2] == ["pip", "install"]]
    extras = re.findall(r"\[(.*)\]", install[-2])[0].split(",")
    assert install[-2].startswith("../epsignal_sync[") and set(extras) <= declared_extras()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert [capsys.readouterr().out.splitlines()] == shown("epsignal --version")


def test_demo(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "STEP", 0.01)
    (picture,) = shown("epsignal demo")
    assert run_command(["demo"]) == 0
    output, errors = capsys.readouterr()
    ended = [line for line in output.splitlines() if " null " in line]
    without_times = [re.sub(r"\d+:\d\d(:\d\d)?", "", line).split() for line in ended]
    assert sorted(without_times) == sorted(re.sub(r"\d+:\d\d(:\d\d)?", "", line).split() for line in picture[3:])
    assert errors.splitlines() == picture[:1]


def test_watching_a_call(pbx_terminal: Running, variables: dict[str, str], tmp_path: pathlib.Path) -> None:
    (heading,) = shown("epsignal simulate --port 8080")
    wait_for_lines(pbx_terminal, heading)
    copied = [step.command for step in PAGE.steps("3. Start a PBX to play with")][1:]
    assert [stable(line) for line in copied] == [stable(f"export {name}={value}") for name, value in variables.items()]
    before, after = shown("python watch.py")
    with running("watch.py", tmp_path, variables) as process:
        wait_for_lines(pbx_terminal, PAGE.blocks("console", "4. The first program")[1].splitlines())
        type_and_see(pbx_terminal, PAGE.blocks("console", CALL)[0])
        assert before + lines_until(process, len(after) - 1) == after


def test_blocking_a_caller(pbx_terminal: Running, variables: dict[str, str], tmp_path: pathlib.Path) -> None:
    before, after = shown("python block.py")
    with running("block.py", tmp_path, variables) as process:
        type_and_see(pbx_terminal, PAGE.blocks("console", BLOCK)[1])
        assert before + lines_until(process, len(after) - 1) == after
        (step,) = [step for step in PAGE.steps(BLOCK) if step.command.startswith("epsignal monitor")]
        with Running(*step.command.split()[1:], columns=80, variables=variables) as monitor:
            wait_for_lines(pbx_terminal, ["PBX > app    22        Attached"])
            pbx_terminal.type("call 22 23\n")
            wait_for_lines(monitor, step.output)
        assert lines_until(process, 1) == after[-1:]


def test_the_test(tmp_path: pathlib.Path) -> None:
    for name in ("block.py", "test_block.py"):
        save(name, tmp_path)
    # And beside it the same of a program with a fault, which the test has to find.
    (tmp_path / "broken.py").write_text(program("block.py").replace("refuse(21)", "refuse(17)"), encoding="utf-8")
    (tmp_path / "test_broken.py").write_text(program("test_block.py").replace("from block", "from broken"), encoding="utf-8")
    code, output = run_pytest(tmp_path, "-p", PLUGIN, "test_block.py", "test_broken.py")
    assert code == 1 and "1 failed, 3 passed" in output and "FAILED test_broken.py::test_unwanted" in output, output
    assert "\n2 passed in" in "\n".join(shown("python -m pytest -q test_block.py")[0])
