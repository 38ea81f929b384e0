"""``epsignal replay`` to an app: one that it starts, and one that somebody starts."""

from __future__ import annotations

import os
import pathlib
import sys
import threading

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Setup
from epsignal_sync.recording.reading import Recording

from ..conftest import HW1, HW2, PATIENCE
from ..replay.script import Script
from .running import START, Running, failure

TELLS = "import sys; sys.excepthook = lambda kind, error, trace: print(kind.__name__, file=sys.stderr)\n"
"""Instead of a traceback, which no run of these tests may show."""
MONITOR = (sys.executable, "-c", START, "monitor")


def calls(directory: pathlib.Path, **options: float) -> pathlib.Path:
    script = Script(**options).event("connected").attached(HW1, HW2)  # type: ignore[arg-type]
    return script.call_through(3).call_through(3, hw=HW2).write(directory)


def test_app_that_is_started(tmp_path: pathlib.Path) -> None:
    path, out = calls(tmp_path), tmp_path / "out.jsonl"
    with Running("replay", str(path), "--speed", "0", "--record", str(out), "--", *MONITOR, HW1, HW2) as epsignal:
        assert epsignal.end(0) == "epsignal: the app did in every call what it did when that was recorded\n"
    assert epsignal.output.count(" null ") == 2
    recording, again = Recording(path), Recording(out)
    assert [(one.at, one.sender, one.verdict, one.type) for one in again] == [
        (one.at, one.sender, one.verdict, one.type) for one in recording
    ]
    assert again.events == recording.events
    with Running("diff", str(path), str(out)) as epsignal:
        epsignal.end(0)


@pytest.mark.parametrize("program, code", [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", 143)])
def test_app_that_ends_by_itself(tmp_path: pathlib.Path, program: str, code: int) -> None:
    with Running("replay", str(calls(tmp_path)), "--", sys.executable, "-c", program) as epsignal:
        errors = epsignal.end(code)
    assert "it ended before the recording was over: " in errors and "2 calls are different: with --record OUT" in errors


def test_app_that_cannot_be_started(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.jsonl"
    command = ("replay", str(calls(tmp_path)), "--record", str(out), "--", "no-such-app", "-v")
    assert "no-such-app -v could not be started (No such file" in failure(*command, code=1)
    assert not out.exists(), "it would be in the way of the next try"


def test_somebody_elses_app(tmp_path: pathlib.Path) -> None:
    with Running("replay", str(calls(tmp_path)), "--speed", "0") as epsignal:
        heading = epsignal.read_until("Ctrl-C ends it.")
        variables = dict(line.split()[1].split("=", 1) for line in heading.splitlines() if "export" in line)
        assert f"  phone {HW1}\n  phone {HW2}\n" in heading and f"  epsignal monitor {HW1} {HW2}\n" in heading
        with eps.connect(variables["EPSIGNAL_URL"], app=variables["EPSIGNAL_APP"], password=variables["EPSIGNAL_PASSWORD"]) as client:
            client.attach_many([HW1, HW2])
            assert epsignal.end(0) == "epsignal: the app did in every call what it did when that was recorded\n"


def test_ctrl_c_writes_what_went_through(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.jsonl"
    with Running("replay", str(calls(tmp_path, gap=1000)), "--speed", "10000", "--record", str(out)) as epsignal:
        heading = epsignal.read_until("Ctrl-C ends it.")
        url = heading.partition("EPSIGNAL_URL=")[2].split()[0]
        with eps.connect(url, app="a", password="b", reconnect=False) as client:
            begun = threading.Event()
            client.on(Setup, lambda event: begun.set())
            client.attach_many([HW1, HW2])
            assert begun.wait(PATIENCE)
            epsignal.interrupt()
            errors = epsignal.end(0)
    assert "it ended before the recording was over" in errors or "did in every call" in errors
    assert len(Recording(out)) >= 5


def test_sigterm_ends_the_app_and_writes_what_went_through(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.jsonl"
    program = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"
    with Running("replay", str(calls(tmp_path)), "--record", str(out), "--", sys.executable, "-c", program) as epsignal:
        app = int(epsignal.read_until("\n"))
        epsignal.terminate()
        assert "it ended before the recording was over" in epsignal.end(143)
    with pytest.raises(ProcessLookupError):
        os.kill(app, 0)
    assert out.stat().st_size and not len(Recording(out))


def test_fault_while_it_is_played_is_told(tmp_path: pathlib.Path) -> None:
    fails = "from epsignal_sync.replay import player\nplayer.Player._finish = lambda self: self.no_such_thing\n"
    with Running("replay", str(calls(tmp_path)), "--speed", "0", "--", *MONITOR, HW1, HW2, start=f"{fails}{TELLS}{START}") as epsignal:
        assert epsignal.end(1).endswith("AttributeError\n")


def test_disk_that_is_full_at_the_end(tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.jsonl"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
    command = ("replay", str(calls(tmp_path)), "--speed", "0", "--record", str(out), "--", sys.executable, "-c", "")
    with Running(*command, start=f"{limit}{START}") as epsignal:
        errors = epsignal.end(1)
    assert "2 calls are different" in errors and f"{out} could not be written to its end (File too large): what is there" in errors


def test_ctrl_c_before_any_app(tmp_path: pathlib.Path) -> None:
    with Running("replay", str(calls(tmp_path))) as epsignal:
        epsignal.read_until("Ctrl-C ends it.")
        epsignal.interrupt()
        assert "the app did not attach to" in epsignal.end(0)


@pytest.mark.parametrize(
    "arguments, code, text",
    [
        (("--speed", "-1"), 2, "Invalid value for '--speed'"),
        (("--speed", "nan"), 2, "nan is none"), (("--hw", "a=b"), 2, "--hw and --yes are for --against URL"),
        (("--record", "{path}"), 1, "is there already, and nothing is written over"),
        (("--record", "{path}/in/it"), 1, "cannot be made"), (("--against", "h", "--", "app"), 2, "no COMMAND can be given with it"),
    ],
)  # fmt: skip
def test_wrong_command_line(tmp_path: pathlib.Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    path = calls(tmp_path)
    before = path.read_bytes()
    with Running("replay", str(path), *(one.format(path=path) for one in arguments)) as epsignal:
        assert text in epsignal.end(code) and epsignal.output == ""
    assert path.read_bytes() == before


def test_recordings_that_cannot_be_played(tmp_path: pathlib.Path) -> None:
    empty, none = Script().write(tmp_path, "empty"), tmp_path / "none"
    assert "has no message of a phone" in failure("replay", str(empty), code=1)
    assert "cannot be read" in failure("replay", str(none), code=1)


def test_demo_that_is_replayed_is_the_same(tmp_path: pathlib.Path) -> None:
    """Then its ladder is the same, too: that is made of these messages and nothing else."""
    path, out = tmp_path / "demo.jsonl", tmp_path / "again.jsonl"
    with Running("demo", "--record", str(path)) as epsignal:
        epsignal.end(0)
    with Running("replay", str(path), "--speed", "0", "--record", str(out), "--", *MONITOR, "0090334f1a2b", "0090334f1a2c") as epsignal:
        epsignal.end(0)
    ways = [[attrs.evolve(one, data={**one.data, "src": None}) for one in Recording(each)] for each in (path, out)]
    assert len(ways[0]) > 20 and ways[0] == ways[1]
    assert Recording(path).events == Recording(out).events
