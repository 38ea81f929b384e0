"""``epsignal call``: the commands and the line that is typed here, the rest as a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from rich.console import Console

import epsignal_sync as eps
from epsignal_sync.cli.call_screen import LineScreen, LiveScreen, change_line
from epsignal_sync.cli.call_verbs import CallVerbs
from epsignal_sync.cli.line_editor import END_OF_INPUT, LineEditor
from epsignal_sync.errors import CallError, DetachedError, ReplyTimeout, UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, wait_until
from .running import PASSWORD, Running

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture(autouse=True)
def app(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_app("call", password=PASSWORD)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def bobs(client: eps.Client) -> eps.Device:
    phone = client.attach(HW2)
    phone.wait_attached(timeout=20)
    return phone


@pytest.fixture
def verbs(bobs: eps.Device, said: list[str]) -> CallVerbs:
    return CallVerbs(bobs, said.append, timeout=20)


def running(pbx: SimulatedPBX, *, columns: int | None = None, script: bytes | None = None) -> Running:
    """Start the command for Bob's phone, and return it when it is attached."""
    variables = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "call", "EPSIGNAL_PASSWORD": PASSWORD}
    epsignal = Running("call", HW2, variables=variables, columns=columns, script=script)
    pbx.wait_for(lambda log: log.texts("to-app", HW2, mt="Attached"), timeout=20)
    return epsignal


def ring(phones: Phones, bobs: eps.Device) -> eps.Call:
    """Have Alice call Bob; returns the call as the app has it."""
    before = set(bobs.media_calls)
    phones[0].call("23")
    wait_until(lambda: any(call.state == "alert" for id, call in bobs.media_calls.items() if id not in before))
    return next(call for id, call in bobs.media_calls.items() if id not in before)


# ------------------------------------------------------------ the commands


def test_verbs_of_one_call(verbs: CallVerbs, bobs: eps.Device, phones: Phones, said: list[str]) -> None:
    alice, bob = phones
    call = ring(phones, bobs)
    for line in ("answer", "HOLD", "retrieve", "dtmf 12#"):
        assert verbs.do(line)
    wait_until(lambda: alice.calls[0].digits == "12#")
    assert not call.on_hold and call.state == "connected"
    verbs.do(f"hangup {call.id}")
    bob.wait("null")
    number = call.id
    assert said == [f"call {number} is {what}" for what in ("answered", "on hold", "taken back")] + [
        f"call {number}: 12# sent", f"call {number} is hung up"
    ]  # fmt: skip


def test_transfer(verbs: CallVerbs, bobs: eps.Device, phones: Phones, pbx: SimulatedPBX, said: list[str]) -> None:
    carol = pbx.add_phone("0090334f1a2d", number="24", sip="carol", name="Carol")
    call = ring(phones, bobs)
    verbs.do("answer")
    with pytest.raises(CallError, match="cause 1,"):
        verbs.do("transfer 99")
    verbs.do("transfer 24")
    assert said[-1] == f"call {call.id} is transferred to 24"
    carol.wait("alert")


def test_calls_that_dial_starts(verbs: CallVerbs, bobs: eps.Device, phones: Phones, said: list[str]) -> None:
    alice = phones[0]
    verbs.do("dial 22")
    call = next(iter(bobs.media_calls.values()))
    assert call.own and said == [f"call {call.id} goes to 22"]
    alice.wait("alert")
    alice.answer()
    call.wait("connected")
    verbs.do("hold")
    verbs.do("retrieve")  # that it is on hold does not show
    verbs.do("hangup")
    assert alice.wait("null").cause == 16


def test_which_call_is_meant(verbs: CallVerbs, bobs: eps.Device, phones: Phones) -> None:
    first = ring(phones, bobs)
    verbs.do("answer")
    second = ring(phones, bobs)
    for line, text in (
        ("hangup", f"hangup may mean {first.id} \\(from Alice Ä \\(22\\)\\) or {second.id} .*: say which, such as hangup {first.id}"),
        ("hangup 77", f"there is no call 77: {first.id} .* or {second.id} "),
        ("hold -x", "there is no call -x"),
        ("retrieve", "no call is known to be on hold"),
    ):
        with pytest.raises(UsageError, match=text):
            verbs.do(line)
    verbs.do("hold")  # only the first is connected
    assert first.on_hold
    verbs.do("answer")
    with pytest.raises(UsageError, match=f"say which, such as transfer 99 {first.id}$"):
        verbs.do("transfer 99")
    verbs.do("retrieve")
    assert not first.on_hold and second.state == "connected"
    verbs.do(f"hangup {second.id}")
    wait_until(lambda: list(bobs.media_calls) == [first.id])


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("nonsense", "there is no command 'nonsense': help shows"),
        ("transfer", "this is how transfer is called: transfer NUMBER \\[CALL\\]"),
        ("quit now", "this is how quit is called: quit$"),
        ("dial bob", "'bob' is no number: .* if need be; nothing was sent"),
        ("transfer 1+1", "'1\\+1' is no number"),
        ("answer", "answer found nothing to do: no call rings at the phone"),
        ("hangup", "no call is up"),
        ("hold", "no connected call is off hold"),
        ("dtmf 1", "no call is connected"),
        ("hangup 1", "there is no call 1: none is up"),
    ],
)
def test_what_cannot_be(verbs: CallVerbs, pbx: SimulatedPBX, line: str, text: str) -> None:
    with pytest.raises(UsageError, match=text) as raised:
        verbs.do(line)
    assert "\n" not in str(raised.value)
    assert not pbx.log.entries(place="from-app", mt="Signaling", type="setup")


def test_digits_that_are_none(verbs: CallVerbs, bobs: eps.Device, phones: Phones) -> None:
    ring(phones, bobs)
    verbs.do("answer")
    with pytest.raises(UsageError, match="digits, \\* and #, not '1a'"):
        verbs.do("dtmf 1a")


def test_phone_that_is_not_registered(verbs: CallVerbs, bobs: eps.Device, phones: Phones) -> None:
    phones[1].unregister()
    wait_until(lambda: not bobs.attached)
    with pytest.raises(DetachedError):
        verbs.do("dial 22")


def test_lines_that_mean_nothing_and_help(verbs: CallVerbs, said: list[str]) -> None:
    assert verbs.do("") and verbs.do("   ") and verbs.do("# a remark") and said == []
    assert verbs.do("help")
    assert [line.split()[0] for line in said[:-1]] == [
        "answer", "hangup", "hold", "retrieve", "transfer", "dtmf", "dial", "help", "quit"
    ]  # fmt: skip
    assert max(map(len, said)) <= 80
    assert not verbs.do("QUIT")


# ------------------------------------------------------------ the line that is typed


@pytest.mark.parametrize(
    ("typed", "lines", "left"),
    [
        ("hold 3\r", ["hold 3"], ""),
        ("hold\nretr", ["hold"], "retr"),
        ("holf\x7fd\x08\x08ld\n", ["hold"], ""),
        ("\x7f\x7fx", [], "x"),
        ("hold\x15quit\n", ["quit"], ""),
        ("transfer 22 \x17", [], "transfer "),
        ("hold\x17", [], ""),
        ("a\x1b[D\x1b[1;5C\x1bOH\x1b[3~b", [], "ab"),
        ("\x1bx", [], "x"),
        ("\x1b\x1b[Ax", [], "x"),
        ("\x00\x01\t\x9bM", [], "M"),
        ("é日", [], "é日"),
        ("x" * 1000, [], "x" * 500),
        ("\x04", [END_OF_INPUT], ""),
        ("x\x04", [], "x"),
    ],
)  # fmt: skip
def test_keys(typed: str, lines: list[str | None], left: str) -> None:
    together = LineEditor()
    assert together.feed(typed) == lines and together.text == left
    single = LineEditor()
    assert [line for key in typed for line in single.feed(key)] == lines and single.text == left


def test_lines_before() -> None:
    up, down = "\x1b[A", "\x1b[B"
    editor = LineEditor()
    editor.feed("hold\nhold\n\nretrieve\n")
    for keys, text in ((up, "retrieve"), (up, "hold"), (up, "hold"), (down, "retrieve"), (down, ""), (down, ""), (up, "retrieve")):
        editor.feed(keys)
        assert editor.text == text
    assert editor.feed(" 3\n") == ["retrieve 3"]
    assert editor.feed(f"{up}{up}\n") == ["retrieve"]


# ------------------------------------------------------------ the screen


@pytest.fixture
def many(phones: Phones, bobs: eps.Device) -> Iterator[eps.Device]:
    for _ in range(12):
        ring(phones, bobs)
    yield bobs


def test_more_calls_than_the_terminal_has_room_for(many: eps.Device) -> None:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(file=nowhere, width=40, height=14, force_terminal=True)
        editor = LineEditor()
        editor.feed("transfer " + "9" * 60)
        screen = LiveScreen(console, many, editor)
        with console.capture() as captured:
            console.print(screen._draw())
    lines = captured.get().splitlines()
    assert len(lines) < console.height
    assert any("and 5 more" in line for line in lines)
    assert "> …99" in lines[-1]
    assert not any("\x1b[2J" in line for line in lines)


def test_name_that_a_terminal_would_obey(pbx: SimulatedPBX, phones: Phones, bobs: eps.Device, capsys: pytest.CaptureFixture[str]) -> None:
    mallory = pbx.add_phone("0090334f1a2d", number="66", sip="mallory", name="\x1b[2JM\nallory")
    mallory.call("23")
    phones[1].wait("alert")
    wait_until(lambda: bobs.media_calls and "allory" in str(next(iter(bobs.media_calls.values())).remote))
    console = Console(width=100, height=20)
    screen = LiveScreen(console, bobs, LineEditor())
    with console.capture() as captured:
        console.print(screen._draw())
        screen.say("\x1b[2J")
    LineScreen().changed(next(iter(bobs.media_calls.values())), "alert")
    assert "?[2JM?allory" in captured.get() and "?[2JM?allory" in capsys.readouterr().out
    assert "\x1b" not in captured.get()


def test_line_that_says_nothing_new(many: eps.Device, capsys: pytest.CaptureFixture[str]) -> None:
    call = next(iter(many.media_calls.values()))
    screen = LineScreen()
    for state in ("alert", "alert", "connected", "connected", "null"):
        screen.changed(call, state)
    assert [line.split()[-2] for line in capsys.readouterr().out.splitlines()] == ["alert", "connected", "null"]


def test_line_of_a_change(many: eps.Device) -> None:
    call = next(iter(many.media_calls.values()))
    assert change_line(call, "alert").split()[1:] == ["call", str(call.id), "from", "Alice", "Ä", "(22)", "alert", "0:00"]


# ------------------------------------------------------------ as a process


def test_on_a_terminal(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    with running(pbx, columns=80) as epsignal:
        epsignal.read_until("no call is up")
        alice.call("23")
        bob.wait("alert", timeout=20)
        epsignal.read_until("alert")
        epsignal.type("answer\n")
        epsignal.read_until("is answered")
        epsignal.type("nonsense\nhold\n")
        epsignal.read_until("there is no command 'nonsense'")
        epsignal.read_until("connected, on hold")
        epsignal.type("hangup\n")
        epsignal.read_until("is over after 0:0")
        epsignal.type("qui\x7fit\n")
        epsignal.end(0)
    assert bob.wait("null").cause == 16
    assert max(map(len, epsignal.screen_lines)) <= 80


def test_terminal_is_as_before(pbx: SimulatedPBX) -> None:
    """Typed keys are seen again, a line at a time, after Ctrl-C."""
    start = (
        "import sys, termios; mode = lambda: [flag & (termios.ECHO | termios.ICANON) for flag in termios.tcgetattr(0)[3:4]]; "
        "before = mode(); from epsignal_sync.cli.run import run; code = run(sys.argv[1:]); "
        "print('the same' if mode() == before else 'changed'); sys.exit(code)"
    )
    variables = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "call", "EPSIGNAL_PASSWORD": PASSWORD}
    with Running("call", HW2, variables=variables, columns=80, start=start) as epsignal:
        epsignal.read_until("no call is up")
        epsignal.interrupt()
        epsignal.read_until("the same")
        epsignal.end(0)


def test_end_of_the_keys(pbx: SimulatedPBX) -> None:
    with running(pbx, columns=80) as epsignal:
        epsignal.read_until("no call is up")
        epsignal.type("\x04")
        epsignal.end(0)


def test_script_on_a_pipe(pbx: SimulatedPBX, phones: Phones) -> None:
    with running(pbx, script=b"# a remark\nnonsense\n\xff\nhold 7\ndial 22\nquit\nhelp\n") as epsignal:
        assert epsignal.end(0) == ""
    lines = epsignal.output.splitlines()
    said = [line for line in lines if not line[:2].isdigit()]
    assert said[:2] == ["> # a remark", "> nonsense"] and said[-1] == "> quit"
    assert "there is no command 'nonsense': help shows those there are" in said and "there is no call 7: none is up" in said
    call = next(line.split()[1] for line in said if line.endswith(" goes to 22"))
    assert any(f"call {call} " in line and " setup " in line for line in lines)
    assert phones[0].wait("null", timeout=20).cause == 16  # what dial has started is hung up at the end, and politely
    assert [entry.type for entry in pbx.log.entries(place="from-app", mt="Signaling") if entry.call == int(call)] == ["setup", "rel"]


def test_no_input_at_all(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    with running(pbx) as epsignal:
        with pytest.raises(ReplyTimeout):  # it does not end by itself
            pbx.wait_for(lambda log: pbx.connections == 0, timeout=1)
        call = alice.call("23")
        bob.wait("alert", timeout=20)
        epsignal.read_until(" alert ")
        bob.answer()
        call.wait("connected")
        bob.hold()
        epsignal.read_until(" connected, on hold ")
        call.hangup()
        epsignal.read_until("Normal call clearing\n")
        epsignal.interrupt()
        assert epsignal.end(0) == ""
    lines = epsignal.output.splitlines()
    assert len(lines) >= 4 and all(" from Alice Ä (22) " in line for line in lines)  # and no call without media


def test_interrupt_leaves_the_calls_alone(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    alice.call("23")
    bob.wait("alert")
    bob.answer()
    with running(pbx) as epsignal:
        pbx.wait_for(lambda log: log.texts("to-app", HW2, mt="Sync"), timeout=20)
        epsignal.interrupt()
        epsignal.end(0)
    assert bob.calls[0].state == "connected"
    assert not [entry for entry in pbx.log.entries(place="from-app", mt="Signaling") if entry.type == "rel"]


def test_reader_of_the_output_goes(pbx: SimulatedPBX, phones: Phones) -> None:
    with running(pbx) as epsignal:
        epsignal.stop_reading()
        phones[0].call("23")
        assert epsignal.end(0) == ""


def test_connection_that_comes_back(pbx: SimulatedPBX, phones: Phones) -> None:
    with running(pbx, columns=80) as epsignal:
        epsignal.read_until("no call is up")
        pbx.drop_connections()
        epsignal.read_until("there is no connection to the PBX now")
        epsignal.type("dial 22\n")
        epsignal.read_until("nothing was sent, since there is no connection now")
        epsignal.read_until("connected again to")
        epsignal.type("quit\n")
        epsignal.end(0)
    text = " ".join(epsignal.screen_lines)
    assert "wait_attached" not in text and "wait until it is" in text


def test_unknown_device(pbx: SimulatedPBX) -> None:
    variables = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "call", "EPSIGNAL_PASSWORD": PASSWORD}
    with Running("call", HW1[::-1], variables=variables) as epsignal:
        assert "refused to attach" in epsignal.end(1)
