"""``epsignal dial`` against the simulated PBX: a process of its own, but for what says one sentence only."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator

import pytest

import epsignal_sync as eps
from epsignal_sync.cli.dial import _one_interrupt, check_called
from epsignal_sync.cli.run import run
from epsignal_sync.cli.steps import Steps
from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1
from .running import PASSWORD, Running

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture(autouse=True)
def app(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_app("dial", password=PASSWORD)


def login(pbx: SimulatedPBX) -> dict[str, str]:
    return {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "dial", "EPSIGNAL_PASSWORD": PASSWORD}


def set_login(monkeypatch: pytest.MonkeyPatch, pbx: SimulatedPBX) -> None:
    for name, value in login(pbx).items():
        monkeypatch.setenv(name, value)


def dial(pbx: SimulatedPBX, *arguments: str, columns: int | None = None, **variables: str) -> Running:
    return Running("dial", HW1, *arguments, columns=columns, variables={**login(pbx), **variables})


@pytest.fixture
def logger() -> Iterator[None]:
    """Take away what the command line adds to the library's logger."""
    logger = logging.getLogger("epsignal_sync")
    before = list(logger.handlers)
    yield
    logger.handlers[:] = before


def sentence_of(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run the command here; returns its one sentence."""
    assert run(["dial", HW1, *arguments]) == code
    errors = capsys.readouterr().err
    assert errors.startswith("epsignal: ") and errors.count("\n") == 1, errors
    return errors


def answer(phones: Phones) -> None:
    phones[1].wait("alert", timeout=20)
    phones[1].answer()


STATES = {"setup", "call-proc", "alert", "connected", "disconnected", "null"}


def sent_types(pbx: SimulatedPBX) -> list[str]:
    return [entry.type for entry in pbx.log.entries(place="from-app", mt="Signaling")]


def test_call_that_is_answered(pbx: SimulatedPBX, phones: Phones) -> None:
    with dial(pbx, "23") as epsignal:
        answer(phones)
        epsignal.read_until(" connected ")
        phones[1].hangup()
        assert epsignal.end(0) == ""
    lines = epsignal.output.splitlines()
    assert [line.split()[1:3] for line in lines] == [[HW1, "to"]] * len(lines)
    found = [next(word for word in line.split() if word in STATES) for line in lines]
    assert found == ["setup", "call-proc", "alert", "connected", "disconnected", "null"]
    assert "Bob (23)" in lines[-1] and lines[-1].endswith("Normal call clearing")
    assert phones[0].calls == [] and not pbx.log.entries(place="to-phone", device=HW1, type="setup")  # the phone knows nothing of it


def test_call_that_is_refused(pbx: SimulatedPBX, phones: Phones) -> None:
    phones[1].busy = True
    with dial(pbx, "23", "--json") as epsignal:
        assert epsignal.end(1) == "epsignal: the call to 23 was not connected: User busy (cause 17)\n"
    steps = [json.loads(line) for line in epsignal.output.splitlines()]
    assert steps[-1]["state"] == "null" and steps[-1]["cause"] == {"num": 17, "text": "User busy"}
    assert {step["call"] < 0 for step in steps} == {True} and steps[0]["state"] == "setup" and not steps[0]["incoming"]


def test_interrupt_of_a_connected_call(pbx: SimulatedPBX, phones: Phones) -> None:
    with dial(pbx, "bob", "--as-sip", columns=80) as epsignal:
        epsignal.read_until("Calling bob (Ctrl-C hangs up)")
        answer(phones)
        epsignal.read_until("connected")
        epsignal.interrupt()
        epsignal.end(0)
    assert phones[1].wait("null", timeout=20).cause == 16
    assert sent_types(pbx) == ["setup", "rel"]
    last = [line for line in epsignal.screen_lines if line.strip()][-1]
    assert " null " in last and last.rstrip().endswith("Normal call clearing")
    assert max(map(len, epsignal.screen_lines)) <= 80


def test_interrupt_while_it_rings(pbx: SimulatedPBX, phones: Phones) -> None:
    with dial(pbx, "23") as epsignal:
        phones[1].wait("alert", timeout=20)
        epsignal.read_until(" alert ")
        epsignal.interrupt()
        assert epsignal.end(1) == "epsignal: the call to 23 was not connected: it was hung up here before\n"
    assert " null " in epsignal.output.splitlines()[-1]
    phones[1].wait("null", timeout=20)
    assert sent_types(pbx) == ["setup", "rel"]


def test_reader_of_the_output_goes(pbx: SimulatedPBX, phones: Phones) -> None:
    with dial(pbx, "23") as epsignal:
        epsignal.read_until(" alert ")
        epsignal.stop_reading()
        answer(phones)
        assert epsignal.end(0) == ""
    phones[1].wait("null", timeout=20)
    assert sent_types(pbx) == ["setup", "rel"]  # it is not left to the PBX to notice


def test_loss_of_the_connection(pbx: SimulatedPBX, phones: Phones) -> None:
    with dial(pbx, "23") as epsignal:
        epsignal.read_until(" alert ")
        pbx.drop_connections()
        errors = epsignal.end(1)
    assert errors.count("\n") == 1 and "was lost" in errors


def test_phone_that_is_not_registered(
    pbx: SimulatedPBX, phones: Phones, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, logger: None
) -> None:
    set_login(monkeypatch, pbx)
    phones[0].unregister()
    assert f"{HW1} was not attached within 0.5 s" in sentence_of(capsys, 1, "23", "--timeout", "0.5")
    assert sent_types(pbx) == []


def test_interrupt_before_the_call(pbx: SimulatedPBX, phones: Phones) -> None:
    phones[0].unregister()
    with dial(pbx, "23", "--timeout", "30") as epsignal:
        pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="AttachResult"), timeout=20)
        epsignal.interrupt()
        assert epsignal.end(1) == "epsignal: 23 was not called: Ctrl-C came before that\n"
    assert sent_types(pbx) == []


def test_second_interrupt_does_not_wait(client: eps.Client) -> None:
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with _one_interrupt(Steps(client, lambda call: True)):
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)


def test_call_of_the_phone_itself_is_not_shown(pbx: SimulatedPBX, phones: Phones) -> None:
    with dial(pbx, "23") as epsignal:
        epsignal.read_until(" alert ")
        phones[0].call("99").wait("null", timeout=20)
        phones[1].reject()
        assert "Call rejected (cause 21)" in epsignal.end(1)
    assert "99" not in epsignal.output


def test_login_as_a_user(
    pbx: SimulatedPBX, phones: Phones, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, logger: None
) -> None:
    set_login(monkeypatch, pbx)
    monkeypatch.setenv("EPSIGNAL_APP", "")
    pbx.add_user("alice", password=PASSWORD)
    assert "Unallocated (unassigned) number (cause 1)" in sentence_of(capsys, 1, "99", "--sip", "alice")


def test_malformed_number(
    pbx: SimulatedPBX, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, logger: None
) -> None:
    set_login(monkeypatch, pbx)
    text = sentence_of(capsys, 2, "+49 30")
    assert "'+49 30' is no number" in text and "nothing was sent" in text
    assert not pbx.log.entries(place="from-app")


@pytest.mark.parametrize("number", ["", " ", "alice", "2 3", "R", "RR23", "23\n", "２３"])
def test_what_is_no_number(number: str) -> None:
    with pytest.raises(UsageError, match="is no number.*--as-sip.*nothing was sent"):
        check_called(number, as_sip=False)


@pytest.mark.parametrize("number", ["", " ", "bob smith", "bob\n", "\x1b"])
def test_what_is_no_sip_name(number: str) -> None:
    with pytest.raises(UsageError, match="is no SIP name.*nothing was sent"):
        check_called(number, as_sip=True)


@pytest.mark.parametrize("number", ["23", "*21#", "RN30123", "I4930123"])
def test_number_is_not_refused(number: str) -> None:
    check_called(number, as_sip=False)
