"""What docs/old-programs.md says is so: its programs run as they stand, its names and files exist."""

from __future__ import annotations

import pathlib
import re

import pytest

import epsignal_sync as eps
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, wait_until
from .pages import Page
from .test_samples import PATIENCE, ROOT, STEPS, assert_shown, call_and_hang_up, finish, line_of, start, wait_until_it_prints

PAGE = Page("old-programs.md")
URL = '"wss://pbx.example.com/PBX0/APPS/websocket"'
Phones = tuple[SimulatedPhone, SimulatedPhone]


def places(pbx: SimulatedPBX) -> tuple[tuple[str, str], tuple[str, str]]:
    return (URL, repr(pbx.url)), ('"secret"', '"pwd"')


@pytest.mark.parametrize("title", ["A loop around select()", "A loop that goes round anyway"])
def test_loop(title: str, pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    with PAGE.running(title, tmp_path, *places(pbx)) as process:
        wait_until_it_prints(process, pbx, phones)
        call_and_hang_up(pbx, phones)
        assert_shown([line_of(process) for _ in STEPS])
        pbx.add_app("phones", password="changed")
        pbx.drop_connections()  # a login that is refused is the end, and the loop notices
        code, _, errors = finish(process)
        assert code == 1 and errors.splitlines()[-1].startswith("epsignal_sync.errors.LoginError: ") and "Warning" not in errors


@pytest.mark.parametrize("answered", [True, False])
def test_script_that_cron_starts(answered: bool, pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    alice, _ = phones
    with PAGE.running("A script that cron starts", tmp_path, *places(pbx)) as process:
        alice.wait("alert", timeout=PATIENCE)
        if answered:
            alice.answer()
        else:
            alice.reject()
        code, output, errors = finish(process)
    assert (code, output) == (0 if answered else 1, "")
    assert errors == "" if answered else (errors.startswith("nobody was told: ") and "Call rejected" in errors and errors.count("\n") == 1)
    wait_until(lambda: not alice.calls)


def test_process_that_connects_by_itself(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    with PAGE.running("Threads, fork and multiprocessing", tmp_path, *places(pbx)) as process:
        assert finish(process) == (0, f"{HW1} is watched by watcher\n", "")


def test_logging_configuration(tmp_path: pathlib.Path) -> None:
    """The loggers are those of the library, one that was there before goes on, and any text can be written."""
    use = """
from epsignal_sync import notes
for layer in ("session", "relay", "callbacks"):
    notes.write(layer, logging.DEBUG, f"{layer}: only for us")
    notes.write(layer, logging.INFO, f"{layer}: told")
    notes.write(layer, logging.ERROR, f"{layer}: wrong \\ud800", ValueError("why"))
older.error("heard")
"""
    before = 'import logging\nolder = logging.getLogger("older")\n'
    (tmp_path / "program.py").write_text(f"import os, sys\nos.chdir(sys.argv[1])\n{before}{PAGE.block('Logging')}{use}", encoding="utf-8")
    code, output, errors = finish(start("-X", "dev", "-W", "error", str(tmp_path / "program.py"), str(tmp_path)))
    assert (code, output) == (0, "")
    lines = (tmp_path / "phones.log").read_text(encoding="utf-8").splitlines()
    heads = [line.split(" ", 2)[2] for line in lines if "epsignal_sync." in line]
    assert heads == ["INFO    epsignal_sync.session: session: told"] + [
        f"ERROR   epsignal_sync.{layer}: {layer}: wrong \\ud800" for layer in ("session", "relay", "callbacks")
    ]
    assert lines[-1].endswith("ERROR   older: heard")
    assert lines.count("ValueError: why") == errors.splitlines().count("ValueError: why") == 3
    assert "told" not in errors and "ERROR epsignal_sync.relay: relay: wrong" in errors


def test_loggers_are_those_of_the_readme() -> None:
    named = set(re.findall(r'"(epsignal_sync\.\w+)"', PAGE.block("Logging")))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert named == set(re.findall(r"^\| `(epsignal_sync\.\w+)`", readme, re.MULTILINE)) - {"epsignal_sync.simulator"}


def test_every_file_and_every_name_exists() -> None:
    for name in re.findall(r"`((?:samples|docs)/[\w-]+\.\w+)`", PAGE.text):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"\beps\.([A-Za-z_]+)", PAGE.text):
        assert hasattr(eps, name), name
    for name in re.findall(r"`client\.(\w+)\(", PAGE.text):
        assert hasattr(eps.Client, name), name


def test_every_program_is_run() -> None:
    assert len(PAGE.blocks("python")) == 5 and len(re.findall(r"^```", PAGE.text, re.MULTILINE)) == 2 * 5
