"""What docs/old-programs.md says is so: its programs run as they stand, its unit names what they use, its names and files exist."""

from __future__ import annotations

import configparser
import contextlib
import pathlib
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

import epsignal_sync as eps
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, wait_until
from .test_samples import PATIENCE, ROOT, STEPS, assert_shown, call_and_hang_up, finish, line_of, start, wait_until_it_prints

PAGE = (ROOT / "docs" / "old-programs.md").read_text(encoding="utf-8")
URL = '"wss://pbx.example.com/PBX0/APPS/websocket"'
Phones = tuple[SimulatedPhone, SimulatedPhone]


def block(title: str, language: str = "python") -> str:
    """Return the one code block of a section."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert isinstance(found, str)
    return found


@contextlib.contextmanager
def running(title: str, directory: pathlib.Path, *places: tuple[str, str], **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program of a section, with other values in some places; it is killed if it is still there at the end."""
    program = block(title)
    for place, value in places:
        assert program.count(place) == 1, place
        program = program.replace(place, value)
    (directory / "program.py").write_text(program, encoding="utf-8")
    process = start("-X", "dev", "-W", "error", str(directory / "program.py"), **variables)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def places(pbx: SimulatedPBX) -> tuple[tuple[str, str], tuple[str, str]]:
    return (URL, repr(pbx.url)), ('"secret"', '"pwd"')


@pytest.mark.parametrize("title", ["A loop around select()", "A loop that goes round anyway"])
def test_loop(title: str, pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    with running(title, tmp_path, *places(pbx)) as process:
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
    with running("A script that cron starts", tmp_path, *places(pbx)) as process:
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
    with running("Threads, fork and multiprocessing", tmp_path, *places(pbx)) as process:
        assert finish(process) == (0, f"{HW1} is watched by watcher\n", "")


def test_service_under_systemd(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    (tmp_path / "epsignal").write_text("pwd\n", encoding="utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(PATIENCE)
        systemd.bind(str(tmp_path / "notify"))
        variables = dict(NOTIFY_SOCKET=str(tmp_path / "notify"), CREDENTIALS_DIRECTORY=str(tmp_path), EPSIGNAL_URL=pbx.url)
        with running("systemd", tmp_path, ("time.sleep(3)", "time.sleep(0.02)"), **variables) as process:
            assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            assert pbx.connections == 1
            pbx.close()
            assert {systemd.recv(100) for _ in range(50)} == {b"WATCHDOG=1"}  # more than were under way: it is alive all the while
            process.send_signal(signal.SIGTERM)
            code, output, errors = finish(process)
            assert (code, output) == (0, "") and "Traceback" not in errors and "Warning:" not in errors
        with running("systemd", tmp_path, **{**variables, "NOTIFY_SOCKET": "@"}) as process:  # there is nobody to tell
            assert finish(process)[0] == 1


def test_unit() -> None:
    text, program = block("systemd", "ini"), block("systemd")
    unit = configparser.ConfigParser(strict=True, interpolation=None, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    service = unit["Service"]
    assert unit.sections() == ["Unit", "Service", "Install"] and service["Type"] == "notify"
    assert service["LoadCredential"].split(":")[0] == "epsignal" and '"CREDENTIALS_DIRECTORY"], "epsignal"' in program
    name, _, url = service["Environment"].partition("=")
    assert f'os.environ["{name}"]' in program and url.startswith("wss://")
    command = shlex.split(service["ExecStart"])
    assert f"`{command[-1]}`" in PAGE and not any("password" in word.lower() for word in command)
    (interval,) = re.findall(r"time\.sleep\((\d+)\)", program)
    assert int(service["WatchdogSec"]) >= 3 * int(interval)
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} == {*service["RestrictAddressFamilies"].split()}


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
    (tmp_path / "program.py").write_text(f"import os, sys\nos.chdir(sys.argv[1])\n{before}{block('Logging')}{use}", encoding="utf-8")
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
    named = set(re.findall(r'"(epsignal_sync\.\w+)"', block("Logging")))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert named == set(re.findall(r"^\| `(epsignal_sync\.\w+)`", readme, re.MULTILINE)) - {"epsignal_sync.simulator"}


def test_every_file_and_every_name_exists() -> None:
    for name in re.findall(r"`((?:samples|docs)/[\w-]+\.\w+)`", PAGE):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"\beps\.([A-Za-z_]+)", PAGE):
        assert hasattr(eps, name), name
    for name in re.findall(r"`client\.(\w+)\(", PAGE):
        assert hasattr(eps.Client, name), name


def test_every_program_is_run() -> None:
    assert len(re.findall(r"^```python$", PAGE, re.MULTILINE)) == 6 and len(re.findall(r"^```", PAGE, re.MULTILINE)) == 2 * 7
