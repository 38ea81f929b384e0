"""``epsignal verify`` against simulated PBXs that behave differently, with a person who is a script; and as a process of its own."""

from __future__ import annotations

import functools
import json
import pathlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import epsignal_sync as eps
from epsignal_sync.cli import commands
from epsignal_sync.cli.run import run
from epsignal_sync.cli.verification import attaching, calling
from epsignal_sync.cli.verification.bench import Bench, Check, Finding
from epsignal_sync.cli.verification.masking import Mask, cause_part, protocol_word
from epsignal_sync.cli.verification.person import Finished, Person, Skipped, TimedOut
from epsignal_sync.cli.verification.report import LONGEST_TRACE, report_text
from epsignal_sync.cli.verification.trace import Seen, counted
from epsignal_sync.cli.verify import CHECKS, run_checks
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, wait_until
from ..peer import Peer
from .running import PASSWORD, Running

Phones = tuple[SimulatedPhone, SimulatedPhone]
ALL = {check.name: check for _, checks in CHECKS for check in checks}


class Script:
    """What the person does: ``acts`` has what is done where a part of a text is said to the person."""

    def __init__(self, *, patience: float = 2.0) -> None:
        self.said: list[str] = []
        self.acts: dict[str, Callable[[], object]] = {}
        self.person = Person(self._say, patience=patience, pace=0.02)

    def answer(self, part: str, *lines: str) -> None:
        """Have lines typed."""

        def enter() -> None:
            for line in lines:
                self.person.enter(line)

        self.acts[part] = enter

    def _say(self, text: str) -> None:
        self.said.append(text)
        for part, act in self.acts.items():
            if part in text:
                act()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def bench(pbx: SimulatedPBX, phones: Phones, script: Script) -> Iterator[Bench]:
    """A bench for Bob's phone, whom Alice calls; he answers by hand, holds by his own key, and hangs up."""
    alice, bob = phones
    mask = Mask({HW2: "<phone>"})
    bench = Bench(functools.partial(eps.Client, pbx.url, app="phones", password="pwd"), HW2, HW1, script.person, mask)

    def call_and_answer() -> None:
        if any(call.state == "connected" for call in bob.calls):
            return  # it was asked for before the PBX had named it: the person sees that there is one
        alice.call("23")
        bob.wait("alert")
        bob.answer()

    def hold_and_retrieve() -> None:
        bob.hold()
        bob.retrieve()

    script.acts = {
        "Call the phone from another one, and let it ring": lambda: alice.call("23"),
        "answer it by hand": bob.answer,
        "There is no call now": call_and_answer,
        "with the phone's own key": hold_and_retrieve,
        "Hang up at the phone": bob.hangup,
        "Restart the phone": bob.unregister,
        "registered again": bob.register,
    }
    yield bench
    bench.close()


def find(bench: Bench, name: str) -> Finding:
    return ALL[name].run(bench)


def enter_when(bench: Bench, facility: str, count: int) -> None:
    """Press Enter when the facility has come that often."""
    wait_until(lambda: sum(facility in one.facilities for one in bench.trace.since()) >= count)
    bench.person.enter("")


def dial_and_hang_up(bench: Bench, phone: SimulatedPhone) -> None:
    """Dial 22 digit by digit, hang up, and press Enter when all that was seen."""
    call = phone.call("", overlap=True)
    call.wait("setup-ack")
    call.dial("2")
    call.dial("2")
    call.wait("alert")
    call.hangup()
    wait_until(lambda: any(one.type == "rel" and one.data["call"] == call.id for one in bench.trace.since(connection=bench.name)))
    bench.person.enter("")


def everything(finding: Finding) -> str:
    return " | ".join((finding.answer, *finding.seen))


# ------------------------------------------------------------ all of it


def test_all_checks(bench: Bench, phones: Phones, script: Script) -> None:
    script.acts["take it back after a moment"] = lambda: enter_when(bench, "retrieve_notify", 2)
    script.acts["digit by digit"] = lambda: dial_and_hang_up(bench, phones[1])
    script.acts["Was the call put on hold"] = lambda: script.person.enter("y")
    script.acts["hear the tones"] = lambda: script.person.enter("n")
    script.acts["Is the call still up"] = lambda: script.person.enter("y")
    rows = run_checks(bench, CHECKS)
    answers = {row.check.name: row.finding.answer for row in rows}
    assert list(answers) == list(ALL)
    assert answers.pop("order").startswith("AttachResult, Attached")
    assert answers.pop("types").endswith(" such values came, see the report")
    assert answers.pop("unknown") in ("none", "1 are unknown", "2 are unknown")  # what the simulated phones strew in
    assert answers == {
        "wrong hw": "refused",
        "api": "EpSignal and Api",
        "own call": "yes",
        "two phones": "yes",
        "answer": "yes",
        "told to hold": "yes, and it is told",
        "hold key": "hold_notify, retrieve_notify",
        "DTMF": "no",
        "reattach": "yes, under the same id",
        "dying app": "the call goes on",
        "second attach": "the newer one takes the path",
        "hang up": "rel from the phone",
        "dialing": "by setup and info",
        "fields": "info, setup_ack came",
        "register": "yes: Detached, then Attached without another Attach",
        "src": "yes",
        "Attached twice": "no",
    }
    bench.close()
    assert phones[0].calls == phones[1].calls == []
    report = report_text(rows, bench.trace.since(), bench.mask, version="0.1.0", date="2026-11-23")
    for secret in (HW1, HW2, "Alice", "alice", "bob", "Bob", '"22"', '"23"', "pwd", "stun", "127.0.0.1"):
        assert secret not in re.sub('"(stun|pwd)":', "", report), secret
    assert "answer: the newer one takes the path" in report and '"mt":"Sync"' in report and '"src":"<of the phone>"' in report


# ------------------------------------------------------------ attaching


@pytest.mark.parametrize(
    ("unknown_hw", "patience", "answer", "seen"),
    [
        ("error", 4.0, "refused", 'AttachResult with err "no device <text>"'),
        ("silent", 0.05, "not answered", "nothing came within 5 s"),
        ("accepted", 0.2, "accepted, and never attached", ""),
    ],
)
def test_wrong_hw(bench: Bench, pbx: SimulatedPBX, script: Script, unknown_hw: str, patience: float, answer: str, seen: str) -> None:
    pbx.unknown_hw = unknown_hw
    script.person.patience = patience
    assert everything(find(bench, "wrong hw")) == " | ".join(part for part in (answer, seen) if part)
    assert bench.clients == {}


def test_api(bench: Bench) -> None:
    finding = find(bench, "api")
    assert finding.answer == "EpSignal and Api"
    assert finding.seen == tuple(f"Attach with api {api}: accepted; what came had api {api}" for api in ("EpSignal", "Api"))


@pytest.mark.parametrize("name", ["api", "order", "own call"])
def test_app_object_without_the_tick(bench: Bench, pbx: SimulatedPBX, script: Script, name: str) -> None:
    pbx.add_app("phones", password="pwd", epsignal=False)
    script.person.patience = 0.05
    rows = run_checks(bench, [("", [ALL[name]])])
    assert rows[0].finding.answer in ("neither", "not known: the Attach for the phone is not answered")
    assert "nothing came within 5 s" in everything(rows[0].finding)


def test_order_and_a_phone_that_is_not_there(bench: Bench, phones: Phones, script: Script) -> None:
    phones[1].unregister()
    script.person.patience = 0.2
    script.acts["is not registered at this PBX"] = phones[1].register
    script.person.patience = 0.5
    finding = find(bench, "order")
    assert finding.answer.startswith("AttachResult, Attached") and finding.seen[0] == "number of Attached: 1"


def test_own_call_that_is_refused(bench: Bench, phones: Phones) -> None:
    phones[1].busy = True
    assert everything(find(bench, "own call")) == "no, it is refused | with cause int 17"


def test_two_phones(bench: Bench, pbx: SimulatedPBX) -> None:
    assert find(bench, "two phones").answer == "yes"
    assert bench.clients == {}
    pbx.without_src = True
    bench.person.patience = 0.1
    assert find(bench, "two phones").answer == "no"


def test_two_phones_with_one(bench: Bench) -> None:
    bench.second = ""
    assert find(bench, "two phones").answer.startswith("not checked: it takes a second phone")
    bench.second = "nobody's"
    assert find(bench, "two phones").answer == "not checked: the Attach for the second phone is refused"


@pytest.mark.parametrize(
    ("second_attach", "answer"),
    [
        ("replacing", "the newer one takes the path"),
        ("refused", "it is refused, and the first stays"),
        ("chaining", "both get the signaling"),
    ],
)
def test_second_attach(bench: Bench, pbx: SimulatedPBX, phones: Phones, second_attach: str, answer: str) -> None:
    pbx.second_attach = second_attach
    finding = find(bench, "second attach")
    assert finding.answer == answer
    assert phones[1].calls[0].state == "connected" and not phones[1].calls[0].on_hold
    if second_attach == "refused":
        assert finding.seen == ("AttachResult with err \"another app is attached to device '<phone>'\"",)


def test_reattach_to_a_call_that_goes_on(bench: Bench) -> None:
    finding = find(bench, "reattach")
    assert finding.answer == "yes, under the same id"
    assert "its state is connected; its info has channel, in, state, remote" in finding.seen


@pytest.mark.parametrize(("calls", "answer"), [("lost", "no"), ("renumbered", "yes, under another id")])
def test_reattach_to_a_call_that_is_gone(bench: Bench, phones: Phones, monkeypatch: pytest.MonkeyPatch, calls: str, answer: str) -> None:
    close = bench.close

    def close_and_lose() -> None:
        close()
        phones[1].reregister(calls=calls)

    monkeypatch.setattr(bench, "close", close_and_lose)
    bench.person.patience = 0.5
    assert find(bench, "reattach").answer == answer


@pytest.mark.parametrize(("afterwards", "typed", "answer"), [("kept", "y", "the call goes on"), ("released", "n", "the call ends")])
def test_dying_app(bench: Bench, pbx: SimulatedPBX, phones: Phones, script: Script, afterwards: str, typed: str, answer: str) -> None:
    pbx.calls_without_app = afterwards
    script.answer("Is the call still up", "what?", typed)
    bench.person.patience = 0.5
    finding = find(bench, "dying app")
    assert finding.answer == answer
    assert finding.seen[0].endswith("yes, under the same id" if afterwards == "kept" else "no")
    assert "  y for yes, n for no, s for neither, q for the end, and Enter" in script.said
    ended = [entry for entry in pbx.log.entries(place="note") if entry.text == "connection ended"]
    assert len(ended) == 1 and len(phones[1].calls) == (afterwards == "kept")


def test_cut_is_no_close(peer: Peer) -> None:
    """The PBX gets no close frame, and the library takes it for a loss."""
    client = peer.client(reconnect=False)
    bench = Bench(lambda **_: client, HW1, "", Person(lambda text: None), Mask({}))
    try:
        bench.clients["1"] = client
        bench.cut("1")
        wait_until(lambda: not client.connected)
        assert peer.sock.recv(100) == b""
    finally:
        client.close()


def test_register(bench: Bench) -> None:
    finding = find(bench, "register")
    assert finding.answer.startswith("yes: Detached, then Attached")
    assert "Detached, Attached" in finding.seen[0] and finding.seen[1].startswith("0 Signaling")  # a Sync may have been on its way


def test_connection_that_the_pbx_ends(bench: Bench, pbx: SimulatedPBX) -> None:
    """The next check attaches anew."""
    client = bench.phone().client
    pbx.drop_connections()
    wait_until(lambda: client.state == "closed")
    assert bench.phone().client is not client and len(bench.clients) == 1


# ------------------------------------------------------------ with a call


def test_answer(bench: Bench, phones: Phones) -> None:
    finding = find(bench, "answer")
    assert finding.answer == "yes" and finding.seen[0].endswith("conn from the phone")
    assert phones[1].remote_controls[-1][1] == "CONNECT"


def test_phone_that_does_not_obey(bench: Bench, phones: Phones, script: Script) -> None:
    for control in ("CONNECT", "HOLD", "RETRIEVE"):
        phones[1].answers[control] = "silent"
    bench.person.patience = 0.1
    script.acts["answer it by hand"] = phones[1].answer
    assert everything(find(bench, "answer")) == "no | no conn within 5 s"
    assert phones[1].calls[0].state == "connected"
    script.answer("Was the call put on hold", "no")
    assert everything(find(bench, "told to hold")) == (
        "no | HOLD: no facility within 5 s | RETRIEVE: no facility within 5 s | the person says no"
    )


def test_phone_that_obeys_without_a_word(bench: Bench, phones: Phones, script: Script) -> None:
    phones[1].hold_by_media = True
    script.answer("Was the call put on hold", "y")
    find(bench, "answer")
    bench.person.patience = 0.1
    assert find(bench, "told to hold").answer == "yes, but it is not told by a facility"


def test_hold_key_of_a_phone_that_holds_by_media(bench: Bench, phones: Phones, script: Script) -> None:
    phones[1].hold_by_media = True

    def enter_when_told() -> None:
        wait_until(lambda: sum(one.type == "channels" and not one.to_device for one in bench.trace.since()) >= 2)
        bench.person.enter("")

    script.acts["take it back after a moment"] = enter_when_told
    assert find(bench, "hold key").answer == "by media alone"


def test_hold_key_that_says_nothing(bench: Bench, script: Script) -> None:
    script.acts["with the phone's own key"] = lambda: bench.person.enter("")
    assert everything(find(bench, "hold key")) == "not at all | nothing"


def test_call_that_ends_while_it_is_to_be_answered(bench: Bench, phones: Phones, script: Script) -> None:
    phones[1].answers["CONNECT"] = "silent"
    wait_until(lambda: bench.phone().attached)
    original = phones[0].call

    def call_and_give_up() -> None:
        call = original("23")
        phones[1].wait("alert")
        threading.Timer(0.3, call.hangup).start()

    script.acts["Call the phone"] = call_and_give_up
    script.acts.pop("Call the phone from another one, and let it ring")
    assert find(bench, "answer").answer == "not known: the call ended meanwhile"


def test_dtmf(bench: Bench, phones: Phones, script: Script) -> None:
    script.answer("hear the tones", "y")
    assert find(bench, "DTMF").answer == "yes"
    wait_until(lambda: phones[0].calls[0].digits == "123")


@pytest.mark.parametrize("kind", ["phone", "pbx"])
def test_hang_up(bench: Bench, phones: Phones, script: Script, kind: str) -> None:
    if kind == "pbx":
        script.acts["Hang up at the phone"] = phones[0].hangup
    finding = find(bench, "hang up")
    who = "PBX" if kind == "pbx" else "phone"
    assert f"rel from the {who}" in finding.answer and f"cau of rel from the {who}: num is int 16" in finding.seen


# ------------------------------------------------------------ what was received


def seen(*messages: dict[str, Any], hw: str | None = HW2) -> list[Seen]:
    return [Seen("1", 100.0 + number, hw, data) for number, data in enumerate(messages)]


def received(bench: Bench, *messages: dict[str, Any], hw: str | None = HW2) -> None:
    bench.trace._seen += seen(*messages, hw=hw)


def test_src(bench: Bench, pbx: SimulatedPBX) -> None:
    assert find(bench, "src").answer == "not known: nothing was received"
    received(bench, {"mt": "Attached", "src": "a"}, {"mt": "Sync", "src": "a"}, {"mt": "PbxInfo"})
    assert everything(find(bench, "src")) == (
        "yes | Attached: 1 with the src of a phone, 0 without, 0 with another | Sync: 1 with the src of a phone, 0 without, 0 with another"
    )
    received(bench, {"mt": "Sync"})
    assert find(bench, "src").answer == "not all of them"
    bench.trace._seen.clear()
    received(bench, {"mt": "Sync", "src": "b"}, hw=None)
    assert everything(find(bench, "src")) == "not all of them | Sync: 0 with the src of a phone, 0 without, 1 with another"


def test_pbx_without_src(bench: Bench, pbx: SimulatedPBX) -> None:
    pbx.without_src = True
    find(bench, "order")
    bench.close()
    assert find(bench, "src").answer == "no, none has"


def test_what_is_not_documented(bench: Bench) -> None:
    received(
        bench, {"mt": "News"}, {"mt": "Anna 22"},
        {"mt": "Signaling", "sig": {"type": "wink", "fty": [{"type": "x_new"}, {"type": "Secret Name 22"}]}},
        {"mt": "Signaling", "sig": {"type": "alert", "fty": [17]}},
    )  # fmt: skip
    assert find(bench, "unknown").answer == "6 are unknown"
    assert find(bench, "unknown").seen == (
        "facility <text>", "facility x_new", "message <text>", "message News", "signal wink",
        "value of an unexpected type at alert from the phone, sig.fty[0]",
    )  # fmt: skip


def test_messages_that_make_no_sense(bench: Bench, script: Script) -> None:
    strange: list[Any] = [
        None,
        [],
        {},
        "",
        -1,
        [["x"]],
        {"type": ["x"]},
        {"type": "setup", "fty": {}},
        {"type": "info", "cau": [1], "fty": [[]]},
    ]
    for value in strange:
        received(bench, {"mt": "Signaling", "call": value, "sig": value, "to": value}, {"mt": "Sync", "call": value, "info": value})
        received(bench, {"mt": "Attached", "src": value}, {"mt": str(value), "err": value}, hw=None)
    script.answer("digit by digit", "")
    for check in (*CHECKS[3][1], ALL["dialing"]):
        assert check.run(bench).answer
    assert report_text([], bench.trace.since(), bench.mask, version="0.1.0", date="2026-11-23")


def test_fields_and_types(bench: Bench) -> None:
    assert find(bench, "fields").answer == "none of them came" and find(bench, "types").answer == "none came"
    candidates = {"audio_ice": {"candidate": [{"addr": "10.0.0.1", "rtp_prio": 7}, {"rtp_prio": "7"}]}}
    received(
        bench, {"mt": "Signaling", "sig": {"type": "media_info", "+49 30": 1, "stats": {}}}, {"mt": "AttachResult", "err": 3},
        {"mt": "Signaling", "sig": {"type": "info"}}, {"mt": "Signaling", "sig": {"type": "disc", "cau": {"num": 16, "Anna 2": None}}},
        {"mt": "Signaling", "sig": {"type": "conn", "channels": candidates, "flags": True}},
        {"mt": "Signaling", "sig": {"type": "setup", "fty": [{"type": "mwi_activate", "priority": 1.5}]}},
    )  # fmt: skip
    assert everything(find(bench, "fields")) == "info, media_info came | media_info: <text>, stats | info: no fields"
    assert find(bench, "types").seen == (
        "candidate.addr: str", "candidate.rtp_prio: int, str", "cau.<text>: NoneType", "cau.num: int", "err: int", "flags: bool",
        "priority: float",
    )  # fmt: skip


def test_attached_twice(bench: Bench) -> None:
    received(bench, {"mt": "Attached"}, {"mt": "Detached"}, {"mt": "Attached"})
    assert find(bench, "Attached twice").answer == "no"
    received(bench, {"mt": "Sync"}, {"mt": "Attached"})
    assert find(bench, "Attached twice").answer.startswith("yes")


def test_counted() -> None:
    assert counted([]) == "nothing"
    assert counted(["a", "a", "b", "a"]) == "a (2), b, a"


# ------------------------------------------------------------ the person


def checks(*runs: Callable[[Bench], Finding]) -> Sequence[Check]:
    return [Check(name=f"check {number}", question="?", run=run) for number, run in enumerate(runs)]


def test_skipping_and_finishing(bench: Bench, script: Script) -> None:
    def waits(bench: Bench) -> Finding:
        bench.person.wait(lambda: None, 90, to_do="Do something.")
        raise AssertionError

    def interrupted(bench: Bench) -> Finding:
        raise KeyboardInterrupt

    good = Finding(answer="good")
    lines = iter(["s", "hm", "q"])
    script.acts["Do something"] = lambda: script.person.enter(next(lines))
    rows = run_checks(bench, [("first", checks(waits, lambda _: good)), ("last", checks(lambda _: good))])
    assert [row.finding.answer for row in rows] == ["skipped", "good", "good"]
    script.acts["  s and Enter skips this"] = lambda: script.person.enter(next(lines))
    rows = run_checks(bench, [("first", checks(waits, waits, lambda _: good)), ("last", checks(lambda _: good))])
    assert [row.finding.answer for row in rows] == ["not done", "not done", "not done", "good"]
    rows = run_checks(bench, [("first", checks(interrupted, lambda _: good)), ("last", checks(lambda _: good))])
    assert [row.finding.answer for row in rows] == ["not done", "not done", "good"]


def test_nothing_happens_in_time(bench: Bench, script: Script) -> None:
    script.person.patience = 0.001
    script.acts.clear()
    rows = run_checks(bench, CHECKS[1:3])
    assert {row.finding.answer for row in rows} <= {
        "not known: it did not happen in time", "not known: the Attach for the phone is not answered"
    }  # fmt: skip


def test_failure_of_a_check_is_masked(bench: Bench) -> None:
    def fails(bench: Bench) -> Finding:
        raise eps.CallError(f"call 3 of {HW2} with 'Alice' was refused")

    rows = run_checks(bench, [("", checks(fails))])
    assert everything(rows[0].finding) == "not known: CallError | call <number> of <phone> with <text> was refused"


def test_nobody_types_any_more() -> None:
    person = Person(lambda text: None, patience=0.5, pace=0.01)
    person.enter("Y")
    person.leave()
    assert person.ask("still there?")
    with pytest.raises(Skipped):
        person.ask("and now?")
    with pytest.raises(Skipped):
        person.done("do it.")
    with pytest.raises(TimedOut):  # the phone may still do something
        person.wait(lambda: None, 0.2, to_do="do it")
    person.enter(" Q ")
    with pytest.raises(Finished):
        person.pause(1.0)


# ------------------------------------------------------------ the report


def test_shape_of_a_message() -> None:
    message = {
        "mt": "Signaling", "api": "EpSignal", "src": f"{HW2}-1", "to": True, "call": 3, "+49 30": "x",
        "sig": {
            "type": "setup", "cg": {"num": 22, "sip": "alice"}, "channel": -1, "cau": {"num": 16, "loc": "u"}, "uui": "",
            "x": 4711, "y": 2.5, "complete": True,
            "fty": [{"type": "name_identification", "name": "Alice"}, {"type": "cti 22"}, "Alice", None],
        },
    }  # fmt: skip
    assert Mask({}).message(message) == {
        "mt": "Signaling", "api": "EpSignal", "src": "<text>", "to": True, "call": 3, "<field>": "<text>",
        "sig": {
            "type": "setup", "cg": {"num": "<number>", "sip": "<text>"}, "channel": -1, "cau": {"num": 16, "loc": "<text>"}, "uui": "",
            "x": "<number>", "y": "<number>", "complete": True,
            "fty": [{"type": "name_identification", "name": "<text>"}, {"type": "<text>"}, "<text>", None],
        },
    }  # fmt: skip


def test_type_that_is_a_name_seen_elsewhere() -> None:
    mask = Mask({})
    mask.learn([{"sig": {"fty": [{"name": "Alice Beispiel"}]}}])
    assert mask.message({"mt": "alice", "Beispiel": 1, "type": "Alice"}) == {"mt": "<text>", "<field>": "<number>", "type": "<text>"}
    assert mask.text("the user ALICE, beispiel and Malice") == "the user <name>, <name> and Malice"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no device '0090334f1a2b'", "no device <text>"),
        ("call +4930123 (x22) at 10.0.0.1:443", "call <number> (<number>) at <number>"),
        ("busy\x1b[2J\n", "busy?[<number>?"),
        ("swordfish is wrong", "<password> is wrong"),
        ("a" * 1000, "a" * 300),
    ],
)
def test_text_of_the_pbx(text: str, masked: str) -> None:
    assert Mask({"swordfish": "<password>", "": "<empty>"}).text(text) == masked


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(1000, 10**12) | st.floats() | st.just("Anna22") | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["mt", "type", "num", "api", "call", "name", "Anna22"]), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["sig", "fty", "sip", "cau", "x"]), json_values))
def test_name_never_gets_out(message: dict[str, Any]) -> None:
    """A name that is known, wherever it stands."""
    mask = Mask({"Anna22": "<name>"})
    shape = json.dumps(mask.message(message))
    assert "anna22" not in shape.casefold()


def test_deep_nesting() -> None:
    deep: Any = "Alice"
    for _ in range(5000):
        deep = {"sig": [deep]}
    mask = Mask({})
    mask.learn([deep])
    assert "<deeper>" in json.dumps(mask.message(deep))


@pytest.mark.parametrize(
    ("value", "part"), [(16, "int 16"), (4930, "int"), (True, "bool"), ("16", "str"), (None, "NoneType"), ([], "list")]
)
def test_part_of_a_cause(value: object, part: str) -> None:
    assert cause_part(value) == part


@pytest.mark.parametrize(
    ("value", "word"), [("ct_setup", "ct_setup"), ("call-proc", "call-proc"), ("22", "<text>"), ("a b", "<text>"), (3, "<text>")]
)
def test_word_of_the_protocol(value: object, word: str) -> None:
    assert protocol_word(value) == word


def test_long_report() -> None:
    messages = seen(*({"mt": "Signaling", "sig": {f"key{number}": [True] * 50 for number in range(9)}} for _ in range(LONGEST_TRACE + 7)))
    text = report_text([], messages, Mask({}), version="0.1.0", date="2026-11-23")
    lines = text.splitlines()
    assert len([line for line in lines if '"mt"' in line]) == LONGEST_TRACE
    assert lines[-1] == "and 7 more" and max(map(len, lines)) < 500 and lines[-2].endswith("…")
    assert report_text([], [], Mask({}), version="0.1.0", date="2026-11-23").endswith("message\n")


def test_every_open_question_has_its_own_name() -> None:
    assert len(ALL) == sum(len(checks) for _, checks in CHECKS)
    page = (pathlib.Path(__file__).parents[2] / "docs" / "verify-on-a-pbx.md").read_text(encoding="utf-8")
    for check in ALL.values():
        assert f"| {check.name} |" in page
    assert attaching.WRONG_HW in page and ", ".join(calling.TONES)[:4] in page


# ------------------------------------------------------------ as a process


@pytest.fixture
def login(pbx: SimulatedPBX, phones: Phones) -> dict[str, str]:
    pbx.add_app("verify", password=PASSWORD)
    return {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "verify", "EPSIGNAL_PASSWORD": PASSWORD}


def test_on_a_terminal(login: dict[str, str], phones: Phones, tmp_path: pathlib.Path) -> None:
    report = tmp_path / "report.txt"
    with Running("verify", HW2, HW1, "--report", str(report), variables=login, columns=80) as epsignal:
        epsignal.stop_echo()
        epsignal.read_until("Then press Enter.")
        epsignal.type("\n")
        epsignal.read_until("let it ring: it is")
        phones[0].call("23")
        epsignal.read_until("put on hold just now")
        epsignal.type("y\n")
        epsignal.read_until("after a")
        epsignal.type("q\n")
        epsignal.end(0)
    assert max(map(len, epsignal.screen_lines)) <= 80
    text = report.read_text(encoding="utf-8")
    assert "answer: EpSignal and Api" in text and "answer: yes, and it is told" in text and "answer: not done" in text
    for secret in (HW1, HW2, "Alice", "alice", PASSWORD, "127.0.0.1"):
        assert secret not in text


def test_end_before_the_beginning(login: dict[str, str], pbx: SimulatedPBX) -> None:
    with Running("verify", HW2, variables=login, script=b"q\n") as epsignal:
        assert epsignal.end(1) == "epsignal: nothing was checked: it was ended before it began\n"
    with Running("verify", HW2, variables=login) as epsignal:
        assert epsignal.end(1) == "epsignal: nothing was checked: nobody said that it may begin\n"
    assert not pbx.log.texts("from-app", mt="Attach")


def test_report_that_cannot_be(login: dict[str, str], tmp_path: pathlib.Path, pbx: SimulatedPBX) -> None:
    there = tmp_path / "there"
    there.write_text("mine", encoding="utf-8")
    with Running("verify", HW2, "--report", str(there), variables=login) as epsignal:
        assert "there is something of that name already; nothing was checked" in epsignal.end(2)
    assert there.read_text(encoding="utf-8") == "mine" and not pbx.log.texts("from-app")
    nowhere = str(tmp_path / "no" / "such")
    with Running("verify", HW2, "--report", nowhere, variables=login, script=b"\nq\n") as epsignal:
        assert f"the report could not be written to {nowhere} (No such file or directory): it stands above" in epsignal.end(1)
    assert "epsignal verify: what this PBX does" in epsignal.output


def test_what_must_not_be_in_the_report(login: dict[str, str], monkeypatch: pytest.MonkeyPatch, pbx: SimulatedPBX) -> None:
    told: dict[str, str] = {}
    monkeypatch.setattr(commands, "verify_pbx", lambda maker, hw, second, secrets, report: told.update(secrets))
    monkeypatch.setattr(commands, "show_warnings", lambda: None)
    for name, value in login.items():
        monkeypatch.setenv(name, value)
    assert run(["verify", HW2, "--sip", "alice"]) == 0
    host = pbx.url.split("/")[2]
    assert told == {PASSWORD: "<password>", "verify": "<app>", "alice": "<user>", host: "<host>", host.split(":")[0]: "<host>"}


def test_wrong_password(login: dict[str, str]) -> None:
    with Running("verify", HW2, variables={**login, "EPSIGNAL_PASSWORD": "wr0ng"}) as epsignal:
        assert "password" in epsignal.end(1)
    assert epsignal.output == ""
