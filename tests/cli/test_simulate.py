"""``epsignal simulate``: the commands here, the rest as a process of its own."""

from __future__ import annotations

import socket

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync.cli.people import People
from epsignal_sync.cli.run import run
from epsignal_sync.cli.signal_log import SignalLog
from epsignal_sync.cli.simulate import PhoneOption
from epsignal_sync.errors import EpSignalError, ReplyTimeout, UsageError
from epsignal_sync.looks import cells
from epsignal_sync.messages import Setup, UserInfo
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, wait_until
from .running import START, Running, failure

Phones = tuple[SimulatedPhone, SimulatedPhone]


def script(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def people(pbx: SimulatedPBX, phones: Phones, said: list[str]) -> People:
    return People(pbx, phones, said.append)


# ------------------------------------------------------------ as a process


def test_script() -> None:
    typed = script("# a short talk", "", "call 22 23", "answer Bob", "calls", "hangup 0090334f1a2b", "calls")
    with Running("simulate", script=typed) as epsignal:
        assert epsignal.end(0) == ""
    heading, lines = epsignal.output.split("# a short talk\n")
    assert "A simulated PBX at ws://127.0.0.1:" in heading and "export EPSIGNAL_PASSWORD=demo" in heading
    assert "  epsignal monitor 0090334f1a2b 0090334f1a2c 0090334f1a2d\n  epsignal dial 0090334f1a2b 23\n" in heading
    shown = [line for line in lines.splitlines() if line.strip(" >")]
    assert [" ".join(line.split()[1:7]) for line in shown if line[0].isdigit() and line[2] == ":" and " > " in line] == [
        "phone > PBX 22 3 setup", "PBX > phone 22 3 call_proc", "PBX > phone 23 3 setup", "phone > PBX 23 3 alert",
        "PBX > phone 22 3 alert", "phone > PBX 23 3 conn", "PBX > phone 22 3 conn", "phone > PBX 22 3 rel",
        "PBX > phone 23 3 disc", "phone > PBX 23 3 rel",
    ]  # fmt: skip
    at_calls = shown.index("> calls")
    assert shown[at_calls + 1 : at_calls + 3] == ["22: call 3 to 23 Bob: connected", "23: call 3 from 22 Alice: connected"]
    assert shown[-2:] == ["> calls", "no call is up"]
    assert shown[0] == "> call 22 23" and shown[1].endswith("}")  # whole, on a pipe


def test_options_and_a_script_with_a_wrong_command() -> None:
    phones = ["--phone", "hw1,31,Dora", "--phone", "hw2,32,Émile B."]
    with Running("simulate", *phones, "--app", "two words", "--password", "it's", script=b"call 31 32\n\xff\ncalls\n") as epsignal:
        assert epsignal.end(2) == "epsignal: line 2 of the commands: there is no command '�': help shows those there are\n"
    assert "phone > PBX  32" in epsignal.output and "> calls" not in epsignal.output
    assert "  phone hw2  number 32  Émile B.\n" in epsignal.output
    assert "export EPSIGNAL_APP='two words'\n" in epsignal.output and "export EPSIGNAL_PASSWORD='it'\"'\"'s'\n" in epsignal.output
    assert "  epsignal dial hw1 32\n" in epsignal.output


def test_commands_on_a_terminal() -> None:
    with Running("simulate", columns=80) as epsignal:
        epsignal.stop_echo()
        epsignal.read_until("help shows them all.")
        epsignal.type("nonsense\n")
        epsignal.read_until("there is no command 'nonsense': help shows those there are")
        epsignal.type("call 22 23\n")
        epsignal.read_until("…")
        epsignal.type("wait 23 alert\nquit\n")
        epsignal.end(0)
    assert max(map(len, epsignal.screen_lines)) <= 80


def test_wide_characters_take_two_columns() -> None:
    with Running("simulate", "--phone", "hw1,22,Alice", "--phone", f"hw2,23,{'日本' * 30}", columns=110) as epsignal:
        epsignal.stop_echo()
        epsignal.read_until("help shows them all.")
        epsignal.type("call 22 23\n")
        epsignal.read_until(" alert {")
        epsignal.type("quit\n")
        epsignal.end(0)
    cut = [line.partition("…")[0] for line in epsignal.screen_lines if "日" in line and "…" in line]
    assert cut and max(len(cells(line)) for line in cut) < 110


def test_no_input_at_all_and_an_app() -> None:
    with Running("simulate") as epsignal:
        url = epsignal.read_until("help shows").partition("EPSIGNAL_URL=")[2].split()[0]
        with eps.connect(url, app="demo", password="demo") as client:
            phone = client.attach(HW1)
            phone.wait_attached()
            call = phone.dial("23")
            call.wait("alert")
            epsignal.read_until(f"PBX > app    22    {call.id:>2}  alert")
            call.hangup()
            call.wait_ended()
        epsignal.read_until("note         -")
        epsignal.interrupt()
        assert epsignal.end(0) == ""
    lines = [" ".join(line.split()[1:7]) for line in epsignal.output.splitlines()]
    assert {f"app > PBX 22 {call.id} setup", f"app > PBX 22 {call.id} rel", "PBX > phone 23 3 setup"} <= set(lines)
    assert any(line.startswith("app > PBX - AppLogin") for line in lines) and '"digest"' not in epsignal.output


def test_ctrl_c_where_the_output_is_not_read() -> None:
    with Running("simulate") as epsignal:
        url = epsignal.read_until("help shows them all.").partition("EPSIGNAL_URL=")[2].split()[0]
        with eps.connect(url, app="demo", password="demo") as client:
            phone = client.attach(HW1)
            phone.send(Setup(dsp="x" * 100_000), call=-1, to_device=False)
            epsignal.wait_until_full()
            epsignal.interrupt()
            epsignal.end_unread(0)


def test_ctrl_c_while_a_line_is_written() -> None:
    slow = (
        "import threading; from epsignal_sync.cli import signal_log, simulate; signal_log.SETTLE_TIME = 60; write = simulate._say_cut; "
        "simulate._say_cut = lambda line: (print('begun', flush=True), threading.Event().wait(2.5), write(line))\n"
    )
    with Running("simulate", start=slow + START) as epsignal:
        url = epsignal.read_until("help shows them all.").partition("EPSIGNAL_URL=")[2].split()[0]
        with eps.connect(url, app="demo", password="demo"):
            epsignal.read_until("begun")
            epsignal.interrupt()
            epsignal.end(0)
    assert "AppChallenge" in epsignal.output, "it is written to its end"


def test_reader_of_the_output_goes() -> None:
    with Running("simulate", script=script("wait 22 attached 60")) as epsignal:
        url = epsignal.read_until("> wait").partition("EPSIGNAL_URL=")[2].split()[0]
        epsignal.stop_reading()
        with pytest.raises(EpSignalError):  # the log cannot say that somebody connects, and so all ends
            with eps.connect(url, app="demo", password="demo", reconnect=False) as client:
                client.run_forever()
        assert epsignal.end(0) == ""


def test_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["simulate", "--port", str(port)]) == 1
    output, errors = capsys.readouterr()
    assert output == "" and errors.count("\n") == 1
    assert f"nobody can listen on 127.0.0.1, port {port}" in errors and "--port" in errors


def test_without_the_extra_simulator() -> None:
    text = failure("simulate", code=1, start=f"import sys; sys.modules['websockets'] = None; {START}")
    assert "websockets" in text and "pip install 'epsignal-sync[cli,simulator]'" in text


# ------------------------------------------------------------ the commands


@pytest.mark.parametrize("text", ["", "hw", "hw,22", "hw,,Alice", ",22,Alice", "hw,twenty,Alice", "hw,22, "])
def test_phone_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="HW,NUMBER,NAME"):
        PhoneOption.parse(text)


def test_people(people: People, phones: Phones, said: list[str]) -> None:
    alice, bob = phones
    assert people.do("call 22 23") and people.do("wait 23 alert")
    assert people.do("reject bob")
    assert alice.wait("null").cause == 21
    people.do("busy 23")
    people.do("call 22 23")
    assert alice.wait("null").cause == 17
    people.do("free 23")
    people.do("CALL 22 23")
    people.do("wait 23 alert 20")
    people.do("answer 23")
    people.do("wait 23 connected")
    for line, on_hold in (("hold 23", True), ("retrieve 23", False)):
        people.do(line)
        assert bob.calls[0].on_hold is on_hold
        with pytest.raises(UsageError, match="on hold"):
            people.do(line)
    for line in ("answer 23", "reject 23"):
        with pytest.raises(UsageError, match="phone 23 has no call that rings"):
            people.do(line)
    people.do("unregister 23")
    alice.wait("null")
    assert not bob.registered
    people.do("register 23")
    assert bob.registered
    people.do("help")
    assert len(said) == 17 and said[0].split()[0] == "call"
    assert max(map(len, said)) <= 80
    assert not people.do("quit")


def test_wait_for_an_app(people: People, client: eps.Client) -> None:
    client.attach(HW1)
    assert people.do("wait 22 attached")
    with pytest.raises(ReplyTimeout):
        people.do("wait 23 attached 0")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("call 22", "this is how call is called: call PHONE NUMBER"),
        ("calls 22", "this is how calls is called: calls"),
        ("call 99 23", "there is no phone '99': there are 22, 23"),
        ("call 22 bob", "'bob' is no number"),
        ("answer 23", "phone 23 has no call that rings"),
        ("reject 23", "phone 23 has no call that rings"),
        ("hold 22", "phone 22 has no connected call"),
        ("hangup 22", "phone 22 has no call to hang up"),
        ("wait 22 ringing", "there is no state 'ringing' to wait for: it is one of setup, .*, attached"),
        ("wait 22 alert nan", "'nan' are no seconds"),
        ("pause -1", "'-1' are no seconds"),
        ("pause soon", "'soon' are no seconds"),
    ],
)
def test_wrong_command(line: str, text: str, people: People) -> None:
    with pytest.raises(UsageError, match=text):
        people.do(line)


def test_call_from_a_phone_that_is_not_registered(people: People) -> None:
    people.do("unregister 22")
    with pytest.raises(UsageError, match="phone 22 is not registered"):
        people.do("call 22 23")


def test_two_phones_with_one_number(pbx: SimulatedPBX, phones: Phones, said: list[str]) -> None:
    other = pbx.add_phone("0090334f1a2e", number="23", sip="bob", name="Bob")
    people = People(pbx, [*phones, other], said.append)
    with pytest.raises(UsageError, match=f"23 may be {HW2} or 0090334f1a2e"):
        people.do("answer 23")
    assert [people.label(phone.hw) for phone in (*phones, other)] == ["22", HW2, "0090334f1a2e"]


# ------------------------------------------------------------ the log


def test_what_an_app_changes_is_a_line_of_its_own(pbx: SimulatedPBX, phones: Phones, people: People, client: eps.Client) -> None:
    lines: list[str] = []
    phone = client.attach(HW1)
    phone.wait_attached()
    phone.intercept(Setup, lambda event: attrs.evolve(event.signal, dsp="changed"))
    log = SignalLog(pbx, people.label, lines.append, lambda error: None)
    try:
        call = phones[0].call("23")
        call.wait("alert")
        wait_until(lambda: call.id in phone.calls)  # a message goes on before the client takes note of it
        phone.calls[call.id].send(UserInfo(), to_device=True)
        pbx.wait_for(lambda log: log.last("to-phone", HW1, type="user_info"))
        log.settle()
    finally:
        log.close()
    of_alice = [line for line in lines if line[23:].startswith("22 ")]
    assert [" ".join(line.split()[1:4] + line.split()[6:7]) for line in of_alice] == [
        "phone > PBX setup", "app > PBX setup", "PBX > phone call_proc", "PBX > phone alert", "app > phone user_info",
    ]  # fmt: skip
    assert '"dsp":"changed"' in of_alice[1] and '"dsp"' not in of_alice[0]
