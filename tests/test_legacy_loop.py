"""The sample with a loop of its own around select(), run as a stranger runs it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import select
import socket
import subprocess
from collections.abc import Iterator
from typing import TextIO

import pytest

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, wait_until
from .test_samples import PATIENCE, ROOT, end_of, finish, interrupt, line_of, running, start

SAMPLE = str(ROOT / "samples" / "legacy_loop.py")
Phones = tuple[SimulatedPhone, SimulatedPhone]


@contextlib.contextmanager
def service(pbx: SimulatedPBX, report: pathlib.Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the sample at the PBX; gives its process and its port."""
    with running(pbx, "-X", "dev", "-W", "error", SAMPLE, pbx.url, "phones", HW1, "0", str(report)) as process:
        line = line_of(process)
        assert line.startswith("listening on port ")
        yield process, int(line.split()[-1])


@contextlib.contextmanager
def person(port: int) -> Iterator[tuple[socket.socket, TextIO]]:
    """Somebody who is connected to the service: where to write, and what is told."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock, sock.makefile("r", encoding="utf-8", newline="\n") as told:
        yield sock, told


def line(told: TextIO) -> str:
    return told.readline().rstrip("\n")


def connect(phones: Phones) -> None:
    alice, bob = phones
    call = bob.call("22")
    alice.wait("alert", timeout=PATIENCE)
    alice.answer()
    call.wait("connected", timeout=PATIENCE)


def test_without_arguments() -> None:
    code, output, errors = finish(start("-X", "dev", "-W", "error", SAMPLE))
    assert code == 0 and "Traceback" not in errors, errors
    told = [one for one in output.splitlines() if one.startswith("told: ")]  # by another thread than the rest
    assert [one for one in output.splitlines()[1:] if one not in told] == [
        "the loop is busy with a report", "Bob and Alice are connected", "the loop has time again", "the simulated PBX has closed",
    ]  # fmt: skip
    assert told == [
        "told: a report is being written", "told: report written", "told: Bob (23) alert", "told: Bob (23) connected",
        "told: Bob (23) null",
    ]  # fmt: skip


def test_call_goes_on_while_the_loop_is_busy(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    report = tmp_path / "report"
    os.mkfifo(report)  # until somebody reads it, to open it takes as long as a disk that hangs
    with service(pbx, report) as (process, port), person(port) as (sock, told):
        sock.sendall(b"report\n")
        assert line(told) == "a report is being written"
        with person(port) as (other, _):
            other.sendall(b"nonsense\n")  # nothing is done before the report
            connect(phones)
            phones[0].hangup()
            phones[1].wait("null", timeout=PATIENCE)
            assert select.select([sock], [], [], 0)[0] == []
            assert report.read_text(encoding="utf-8") == "a report is being written\n"
            assert line(told) == "report written"
            lines = [line(told) for _ in range(4)]
        assert [one for one in lines if one.startswith("Bob")] == ["Bob (23) alert", "Bob (23) connected", "Bob (23) null"]
        assert [one for one in lines if not one.startswith("Bob")] == [
            "not now, or not known; there are: call NUMBER, hold, hangup, report, quit"
        ]
        assert interrupt(process) == []


def test_what_people_type(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    alice, bob = phones
    report = tmp_path / "report"
    with service(pbx, report) as (process, port), person(port) as (sock, told):
        sock.sendall(b"\n")
        assert line(told).startswith("not now, or not known")
        connect(phones)
        assert [line(told) for _ in range(2)] == ["Bob (23) alert", "Bob (23) connected"]
        sock.sendall(b"hold\n")
        assert line(told) == "on hold"
        assert bob.wait("connected").wait_until(lambda call: call.held)
        sock.sendall(b"hang")
        sock.sendall(b"up\nreport\n")
        assert sorted(line(told) for _ in range(3)) == ["Bob (23) null", "a report is being written", "report written"]
        assert report.read_text(encoding="utf-8").splitlines()[1:4] == ["Bob (23) alert", "Bob (23) connected", "on hold"]
        sock.sendall(b"call 23\n")  # Alice's phone answers by itself
        bob.wait("alert", timeout=PATIENCE)
        sock.sendall(b"hangup\n")
        bob.wait("null", timeout=PATIENCE)
        report.unlink()
        report.mkdir()
        sock.sendall(b"report\nquit\n")
        lines = [one.rstrip("\n") for one in told]  # to the end
        assert any(one.startswith("error: ") and str(report) in one for one in lines), lines
        assert interrupt(process) == []


def test_hostile_people_and_names(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    mallory = pbx.add_phone("0090334f1a2d", number="24", sip="mallory", name="M\nBob (23) null\x1b[2J")
    with service(pbx, tmp_path / "report") as (process, port), person(port) as (_, told):
        with person(port) as (sock, answer):
            sock.sendall(b"call " + b"9" * 5000)  # a line without an end
            with contextlib.suppress(ConnectionResetError):  # where a part of it was not read
                assert answer.read() == "", "he is sent away"
        with person(port) as (sock, _):
            sock.sendall(b"\xff\xfe\x00 call\n")
        assert line(told).startswith("not now")
        with person(port) as (sock, _):
            sock.sendall(b"call \x07\xc3\xa4 \n")
        mallory.call("22")
        lines = [line(told)]
        while not lines[-1].startswith("M"):
            assert lines[-1], "the service has ended"
            lines.append(line(told))
        assert lines[-1] == "M?Bob (23) null?[2J (24) alert"
        assert interrupt(process) == []


def test_too_many_people(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    with service(pbx, tmp_path / "report") as (process, port), person(port) as (_, told), contextlib.ExitStack() as others:
        crowd = [others.enter_context(person(port)) for _ in range(99)]
        crowd[-1][0].sendall(b"hello\n")
        assert line(told).startswith("not now")  # they are all there
        with person(port) as (_, answer):
            assert answer.read() == "", "he is sent away"
        assert interrupt(process) == []


def test_connection_is_lost_meanwhile(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    with service(pbx, tmp_path / "report") as (process, port), person(port) as (sock, told):
        pbx.drop_connections()
        wait_until(lambda: len(pbx.log.texts("to-app", HW1, mt="Attached")) == 2)
        connect(phones)
        assert line(told) == "Bob (23) alert"
        pbx.add_app("phones", password="changed")
        pbx.drop_connections()
        while one := line(told):
            assert one.startswith("Bob")
        code, output, errors = finish(process)  # a login that is refused is the end
        assert (code, output) == (1, "") and errors.splitlines()[-1].startswith("legacy_loop: ") and "Traceback" not in errors


def test_called_wrongly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, said in (
            (["one"], "usage: "), (["ws://127.0.0.1:1", "phones", HW1, "x", "report"], "usage: "),
            (["ws://127.0.0.1:1", "phones", HW1, port, "report"], "legacy_loop: "),
            (["ws://127.0.0.1:1", "phones", HW1, "99999", "report"], "usage: "),
        ):  # fmt: skip
            end = end_of(monkeypatch, SAMPLE, *arguments, EPSIGNAL_PASSWORD="pwd")
            assert end.startswith(said) and "\n" not in end, end
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("sample", ["legacy_loop", "wsgi_service"])
def test_sample_says_in_its_first_lines_how_it_is_called(sample: str) -> None:
    first = (ROOT / "samples" / f"{sample}.py").read_text(encoding="utf-8").splitlines()[:5]
    assert any(one.startswith(f"    python samples/{sample}.py ") for one in first)
