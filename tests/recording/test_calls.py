"""The calls of a recording: by the same rules as live ones, with everything that can come between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Setup
from epsignal_sync.protocol.gap import STALE_TIME
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, wait_until
from ..talking import call_through
from .writing import HW, Lines, call_of_three

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


def calls(lines: Lines, path: Path) -> tuple[eps.RecordedCall, ...]:
    return eps.Recording(lines.write(path)).calls


def test_facts_of_a_call(lines: Lines, path: Path) -> None:
    call_of_three(lines)
    [call] = calls(lines, path)
    assert (call.number, call.device, call.id, call.own, call.incoming, call.media) == (1, HW, 3, False, True, True)
    assert call.state == "null" and call.ended and call.remote.num == "22" and call.local.num == "23"
    assert call.cause is not None and call.cause.num == 17 and call.ended_by == "device"
    begun = lines.at - 2
    assert (call.started_at, call.connected_at, call.ended_at) == (begun, None, begun + 2)
    assert [message.type for message in call.messages] == ["setup", "alert", "rel"]
    assert repr(call) == f"<RecordedCall 1 of {HW} from 22: null>"


def test_calls_are_numbered_as_they_begin(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup", cg={"num": "1"})
    lines.signal("in", 3, "setup", hw="other", cg={"num": "2"})
    lines.signal("out", 3, "rel")
    call_of_three(lines, 3, "3")
    found = calls(lines, path)
    assert [(call.number, call.device, call.remote.num) for call in found] == [(1, HW, "1"), (2, "other", "2"), (3, HW, "3")]
    assert [len(call.messages) for call in found] == [2, 1, 3]


def test_setup_on_a_live_id(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup", cg={"num": "1"})
    call_of_three(lines, 3)
    first, second = calls(lines, path)
    assert first.ended_by == "replaced" and len(first.messages) == 1 and len(second.messages) == 3


def test_what_comes_after_the_end_belongs_to_the_call(lines: Lines, path: Path) -> None:
    call_of_three(lines)
    lines.signal("in", 3, "rel")
    lines.wait(31)
    lines.signal("in", 3, "rel")
    [call] = calls(lines, path)
    assert len(call.messages) == 4 and call.ended_by == "device"


def test_call_of_the_app(lines: Lines, path: Path) -> None:
    lines.signal("app-in", -1, "setup", cg={"num": "99"})
    lines.signal("own-out", -1, "conn")
    lines.signal("own-out", -1, "rel", cau={"num": 16})
    [call] = calls(lines, path)
    assert call.own and call.incoming and call.connected_at == lines.at - 1 and call.ended_by == "device" and len(call.messages) == 3


def test_negative_id_of_somebody_else_is_no_call_of_the_app(lines: Lines, path: Path) -> None:
    call_of_three(lines, -7)
    [call] = calls(lines, path)
    assert not call.own and len(call.messages) == 3


def test_call_of_the_app_that_began_before_the_recording(lines: Lines, path: Path) -> None:
    lines.signal("own-out", -1, "conn")
    assert calls(lines, path) == ()


def test_refused_setup(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup", verdict="dropped", cg={"num": "0900"})
    lines.signal("app-out", 3, "rel", refusal=True, cau={"num": 21})
    [call] = calls(lines, path)
    assert call.ended_by == "dropped" and call.cause is not None and call.cause.num == 21 and len(call.messages) == 2


def test_what_the_app_has_sent_on_itself_is_counted_once(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup", verdict=None, cg={"num": "22"}, cd={"num": "1"})
    lines.signal("app-in", 3, "setup", verdict="forwarded", cg={"num": "22"}, cd={"num": "1"})
    [call] = calls(lines, path)
    assert len(call.messages) == 2 and [entry.verdict for entry in call.history] == [None]


def test_history_has_all_signals_and_their_whole_text(lines: Lines, path: Path) -> None:
    lines.sync(3)
    for _ in range(150):
        lines.signal("in", 3, "info", dsp="x" * 5000, verdict="changed", sent=(b'{"mt":"Signaling"}',))
    [call] = calls(lines, path)
    assert len(call.messages) == 151 and len(call.history) == 150
    entry = call.history[0]
    assert entry.type == "info" and entry.to_device and entry.verdict == "changed" and entry.sent == ('{"mt":"Signaling"}',)
    assert len(entry.text) > 5000


# ------------------------------------------------------------ when the app was not in the path


def test_later_run_knows_nothing_of_the_calls_before(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.signal("app-in", -1, "setup")
    heard = lines.at
    lines.wait(1000)
    lines.begin()
    lines.signal("in", 3, "alert")
    lines.signal("app-in", -1, "setup")
    first, own, second, second_own = calls(lines, path)
    assert [(call.ended_by, call.ended_at) for call in (first, own)] == [("gap", heard)] * 2
    assert not second.ended and not second_own.ended and second_own.own


def test_rotation_ends_nothing(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.begin(continued=True)
    lines.signal("out", 3, "rel")
    [call] = calls(lines, path)
    assert len(call.messages) == 2 and call.ended_by == "device"


def test_loss_of_the_connection(lines: Lines, path: Path) -> None:
    lines.session("Attached")
    lines.signal("in", 3, "setup", cg={"num": "22"})
    lines.signal("in", 4, "setup", cg={"num": "24"})
    lines.signal("app-in", -1, "setup")
    lines.event("lost")
    own_end = lines.at
    lines.event("connected")
    lines.session("Attached")
    attached = lines.at
    lines.at -= 0.5
    lines.sync(3)
    lines.wait(5)
    lines.signal("out", 3, "conn")
    kept, lost, own = calls(lines, path)
    assert not kept.ended and not kept.stale and kept.state == "connected" and [m.mt for m in kept.messages].count("Sync") == 1
    assert lost.ended_by == "gap" and lost.ended_at == attached + 1
    assert own.ended_by == "gap" and own.ended_at == own_end


def test_recording_that_ends_while_the_connection_is_lost(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.event("lost")
    [call] = calls(lines, path)
    assert call.stale and not call.ended


def test_loss_for_good(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.event("ended")
    [call] = calls(lines, path)
    assert call.ended_by == "gap" and call.ended_at == lines.at


def test_app_that_closes_leaves_the_calls_alone(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.signal("app-in", -1, "setup")
    lines.event("closed")
    call, own = calls(lines, path)
    assert call.stale and not call.ended and own.ended_by == "gap"


def test_loss_of_the_connection_of_one_phone(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.signal("in", 3, "setup", hw="other")
    lines.event("ended", "other")
    call, other = calls(lines, path)
    assert not call.ended and not call.stale and other.ended


def test_phone_that_unregisters_and_comes_back(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup", cg={"num": "22"})
    lines.session("Detached")
    lines.session("Attached")
    lines.sync(3, num="24")
    first, second = calls(lines, path)
    assert first.ended_by == "gap" and second.remote.num == "24" and second.state == "connected"


def test_phone_that_comes_back_late(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.session("Detached")
    gone = lines.at
    lines.wait(STALE_TIME)
    lines.signal("in", 3, "setup")
    first, second = calls(lines, path)
    assert first.ended_by == "gap" and first.ended_at == gone + STALE_TIME and not second.ended


def test_phone_that_does_not_come_back(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.session("Detached")
    detached = lines.at
    lines.wait(500)
    lines.event("closed")
    [call] = calls(lines, path)
    assert call.ended_by == "gap" and call.ended_at == detached + 120


def test_missing_messages_may_hold_an_end(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup")
    lines.signal("in", 4, "setup")
    lines.event("missing")
    lines.signal("out", 4, "alert")
    first, second = calls(lines, path)
    assert first.stale and not second.stale


def test_unrouted_messages_belong_to_no_call(lines: Lines, path: Path) -> None:
    lines.signal("in", 3, "setup", hw=None)
    assert calls(lines, path) == ()


def test_hostile_messages(lines: Lines, path: Path) -> None:
    ids: list[object] = [True, 1.0, None, "3", 2**70, []]
    signals: list[object] = [None, [], {"type": []}, {"type": "setup", "cg": 3, "cd": []}, {"type": "rel", "cau": []}]
    for call in ids:
        for sig in signals:
            for way in ("in", "out", "app-in", "own-out"):
                lines.message(way, {"mt": "Signaling", "to": True, "call": call, "sig": sig})
    lines.message("in", {"mt": "Sync", "call": [], "info": 3})
    for one in calls(lines, path):
        assert len(one.history) <= len(one.messages) and repr(one)


# ------------------------------------------------------------ against live ones

FACTS = (
    "id", "own", "incoming", "state", "ended", "stale", "on_hold", "held", "media", "channel", "remote", "local", "dialed", "diverted_from",
    "diverted_to", "conference_id", "cause", "answered_elsewhere", "ended_by", "started_at", "connected_at", "ended_at",
)  # fmt: skip
ABOUT = {"started_at", "ended_at"}
"""Times that the library takes itself where the app begins a call or is asked about one: what is recorded is when the message passed."""
CALLS = 11
"""Four that the phones keep open, six of the two phones below, and one of the app."""


def test_recorded_calls_are_the_live_ones(pbx: SimulatedPBX, phones: Phones, path: Path) -> None:
    alice, bob = phones
    live: list[eps.Call] = []
    with eps.Client(pbx.url, app="phones", password="pwd") as client:
        client.record(path, secrets=True)
        client.on(eps.CallStarted, lambda event: live.append(event.call))
        client.connect()
        alice_device, bob_device = client.attach_many([HW1, HW2])
        alice_device.wait_attached(timeout=20)
        bob_device.wait_attached(timeout=20)
        call_through(alice, bob)
        bob.busy = True
        alice.call("23").wait("null")
        with alice_device.intercept(Setup, eps.block_callers(lambda caller: True, cause=21)):
            bob.call("22").wait("null")
        own = alice_device.ring(number="99")
        own.wait("alert", timeout=20)
        own.hangup()
        wait_until(lambda: len(live) >= CALLS and all(call.ended for call in live if call.media))
    recorded = eps.Recording(path).calls
    assert len(live) == len(recorded) == CALLS
    for hw in (HW1, HW2):
        twins = zip([one for one in live if one.device.hw == hw], [one for one in recorded if one.device == hw], strict=True)
        for one, twin in twins:
            taken_anew = ABOUT if one.own or one.ended_by == "dropped" else set()
            for fact in FACTS:
                if fact not in taken_anew:
                    assert rounded(getattr(twin, fact)) == rounded(getattr(one, fact)), (fact, one)
            assert list(map(shown, twin.history)) == list(map(shown, one.history))


def rounded(value: object) -> object:
    """A recording has times to the microsecond."""
    return pytest.approx(value, rel=0, abs=2e-6) if type(value) is float else value


def shown(entry: eps.HistoryEntry) -> object:
    return entry.to_device, entry.type, entry.verdict, json.loads(entry.text)
