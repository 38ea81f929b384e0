"""Which call a message belongs to, when one begins and when it is over."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from epsignal_sync.protocol.call_record import LONGEST_HISTORY, LONGEST_NAME, LONGEST_TEXT, Party
from epsignal_sync.protocol.calls import MEMORY, MOST_ENDED, MOST_PREPARED, NOTHING, CallRecord, CallTable
from epsignal_sync.protocol.envelope import OWN_CALL_IDS

from .steps import FROM, STARTED, TO, Steps, moves

BOTH = pytest.mark.parametrize("to_device", [TO, FROM])

# ------------------------------------------------------------ beginning


@BOTH
def test_setup_starts_a_call(to_device: bool) -> None:
    steps = Steps()
    change = steps.receive(to_device, "setup")
    assert change.call is not None and steps.table.live == {3: change.call}
    assert (change.started, change.ended, change.replaced, moves(change)) == (True, False, None, [("null", "setup")])


@pytest.mark.parametrize("kind", ["rel", "disc"])
@BOTH
def test_end_of_an_unknown_call_makes_none(kind: str, to_device: bool) -> None:
    steps = Steps()
    assert steps.receive(to_device, kind, cau={"num": 16}) == NOTHING
    assert not steps.table.live


@BOTH
def test_setup_on_a_live_id_ends_the_old_call(to_device: bool) -> None:
    steps = Steps((TO, "setup"), (FROM, "conn"))
    old = steps.call
    change = steps.receive(to_device, "setup")
    assert change.replaced is old and change.started and not change.ended and change.call is not old
    assert (old.state, old.ended_at, old.ended_by) == ("null", STARTED + 2, "replaced")
    assert steps.table.live == {3: change.call} and change.call is not None and change.call.incoming is to_device


def test_replaced_call_that_was_ending_keeps_who_ended_it() -> None:
    steps = Steps((TO, "setup"), (TO, "disc"))
    assert steps.receive(TO, "setup").replaced is steps.call and steps.call.ended_by == "pbx"


@pytest.mark.parametrize("end", ["rel", "setup"])
def test_ended_call_needs_no_garbage_collector(end: str) -> None:
    table = CallTable()
    for kind in ("setup", "info", "info"):
        table.receive(3, TO, {"type": kind}, 1000, 0)
    record = weakref.ref(table.live[3])
    gc.disable()
    try:
        table.receive(3, TO, {"type": end}, 1000, 0)
        assert record() is None
    finally:
        gc.enable()


def test_two_devices_have_tables_of_their_own_ids() -> None:
    steps = Steps((TO, "setup"))
    assert not Steps().table.live and list(steps.table.live) == [3]


@pytest.mark.parametrize("call_id", [None, "3", 3.0, True, [], {}])
def test_call_of_a_wrong_type_is_no_call(call_id: object) -> None:
    steps = Steps()
    assert steps.receive(TO, "setup", call_id) == steps.sync({"state": "alert"}, call_id) == NOTHING
    assert steps.table.prepare(call_id, TO, {"type": "setup"}, 1000) is None
    assert not steps.table.live


@pytest.mark.parametrize("sig", [None, [], 1, 0.5, True])
def test_signal_that_is_no_object_is_no_call(sig: object) -> None:
    steps = Steps()
    assert steps.receive(TO, sig) == steps.sync(sig) == NOTHING
    assert steps.table.prepare(3, TO, sig, 1000) is None


@pytest.mark.parametrize("sig", [{}, {"type": None}, {"type": 5}, {"type": []}, {"type": ""}])
def test_signal_without_a_type_makes_no_call(sig: dict[str, Any]) -> None:
    steps = Steps()
    assert steps.receive(TO, sig) == NOTHING and not steps.table.live


# ------------------------------------------------------------ its end


@BOTH
@pytest.mark.parametrize("last", ["setup", "alert", "conn", "disc"])
def test_rel_ends_the_call(last: str, to_device: bool) -> None:
    steps = Steps((TO, "setup"), *([(FROM, last)] if last != "setup" else []))
    call, before = steps.call, steps.call.state
    ended_at = steps.now
    change = steps.receive(to_device, "rel", cau={"num": 16})
    assert change.call is call and change.ended and moves(change) == [(before, "null")]
    assert (call.state, call.ended_at, steps.table.live, call.cause) == ("null", ended_at, {}, {"num": 16})
    assert call.ended_by == ("device" if last == "disc" else "pbx" if to_device else "device")
    assert steps.receive(not to_device, "rel") == NOTHING


def test_end_of_a_call_that_never_had_a_state() -> None:
    steps = Steps((TO, "facility"))
    change = steps.receive(TO, "rel")
    assert change.ended and moves(change) == []


def test_rel_in_the_segment_of_its_setup() -> None:
    steps = Steps((TO, "setup"), (TO, "rel"))
    assert steps.call.ended_by == "pbx" and steps.call.ended_at is not None and not steps.table.live


@pytest.mark.parametrize("kind", ["alert", "conn", "info", "facility", "disc", "new"])
def test_late_message_makes_no_call(kind: str) -> None:
    steps = Steps((TO, "setup"), (FROM, "rel"))
    steps.wait(MEMORY - 2)
    assert steps.receive(FROM, kind) == steps.sync({"state": "alert"}) == NOTHING
    assert steps.table.prepare(3, FROM, {"type": kind}, 1000, steps.monotonic) is None
    assert not steps.table.live


def test_after_its_time_an_id_may_come_again() -> None:
    steps = Steps((TO, "setup"), (FROM, "rel"))
    steps.wait(MEMORY)
    change = steps.receive(FROM, "alert")
    assert change.started and change.call is not steps.call


def test_setup_may_use_an_id_at_once() -> None:
    steps = Steps((TO, "setup"), (FROM, "rel"))
    change = steps.receive(TO, "setup")
    assert change.started and change.replaced is None and change.call is not steps.call
    assert steps.receive(FROM, "alert").call is change.call


def test_clock_that_is_set_does_not_change_the_memory() -> None:
    steps = Steps((TO, "setup"), (FROM, "rel"))
    steps.now += 1e6
    assert steps.receive(FROM, "alert") == NOTHING
    steps.now -= 2e6
    steps.wait(MEMORY)
    assert steps.receive(FROM, "alert").started


@pytest.mark.parametrize("verdict", ["forwarded", "dropped"])
def test_id_that_ended_twice_is_remembered_from_the_last_end(verdict: str) -> None:
    steps = Steps((TO, "setup"), (FROM, "rel"))
    steps.receive(TO, "setup", 4)
    steps.receive(TO, "rel", 4)
    steps.wait(MEMORY / 2)
    steps.receive(TO, "setup", verdict=verdict)
    steps.receive(TO, "rel")
    steps.wait(MEMORY - 5)
    assert steps.receive(FROM, "alert") == NOTHING
    assert steps.receive(FROM, "alert", 4).started


def test_ended_calls_are_not_kept_for_ever() -> None:
    steps = Steps()
    for call_id in range(1000):
        steps.receive(TO, "setup", call_id)
        steps.receive(TO, "rel", call_id)
    assert not steps.table.live and len(steps.table._ended) <= MEMORY / 2 + 1


def test_number_of_ended_calls_that_are_kept_is_bounded() -> None:
    table = CallTable()
    for call_id in range(MOST_ENDED + 10):
        table.receive(call_id, TO, {"type": "setup"}, 1.0, 1.0)
        table.receive(call_id, TO, {"type": "rel"}, 1.0, 1.0)
    assert len(table._ended) == MOST_ENDED
    assert table.receive(MOST_ENDED, TO, {"type": "alert"}, 1.0, 1.0) == NOTHING


# ------------------------------------------------------------ sync


def test_sync_of_an_unknown_call() -> None:
    steps = Steps()
    change = steps.sync({"channel": 0, "in": True, "state": "connected", "remote": {"num": "22", "sip": "bob", "dn": "Bob"}})
    call = change.call
    assert call is not None and change.started and moves(change) == [("null", "connected")] and steps.table.live == {3: call}
    assert (call.state, call.incoming, call.media, call.channel, call.remote) == ("connected", True, False, 0, Party("22", "bob", "Bob"))
    assert call.connected_at is None


def test_sync_of_a_known_call_updates_it() -> None:
    steps = Steps((TO, "setup"), cg={"num": "22"})
    change = steps.sync({"state": "alert", "remote": {"dn": "Bob"}})
    assert (change.call, change.started, moves(change)) == (steps.call, False, [("setup", "alert")])
    assert steps.call.remote == Party("22", None, "Bob")
    assert moves(steps.sync({"state": "alert"})) == []
    assert moves(steps.sync({"state": "setup"})) == [("alert", "setup")]  # what the PBX says is taken as it is


def test_sync_with_a_state_of_a_newer_pbx() -> None:
    call = Steps().sync({"state": "queued"}).call
    assert call is not None and call.state == "queued"


@pytest.mark.parametrize(
    "info", [{}, {"channel": "0", "in": 1, "state": 5, "remote": []}, {"remote": {"num": 1, "sip": [], "dn": {}}, "channel": False}]
)
def test_sync_with_wrong_types_is_a_call_all_the_same(info: dict[str, Any]) -> None:
    call = Steps().sync(info).call
    assert call is not None
    assert (call.state, call.incoming, call.media, call.remote) == ("null", None, True, Party())


# ------------------------------------------------------------ setups that are dropped, and messages that wait for an answer


def test_dropped_setup_ends_its_call() -> None:
    steps = Steps()
    change = steps.receive(TO, "setup", verdict="dropped", cg={"num": "22"})
    call = change.call
    assert call is not None and change.started and change.ended and change.replaced is None
    assert moves(change) == [("null", "setup"), ("setup", "null")]
    assert (call.ended_by, call.ended_at, call.cause, call.remote.num, steps.table.live) == ("dropped", STARTED, None, "22", {})
    for kind in ("alert", "facility", "disc", "rel"):
        assert steps.receive(TO, kind, verdict="dropped") == NOTHING
    assert steps.receive(TO, "setup").started


def test_refused_call_has_the_cause_of_the_refusal() -> None:
    steps = Steps()
    call = steps.receive(TO, "setup", verdict="dropped").call
    assert call is not None
    assert steps.send(FROM, "rel", 4, refused=True, cau={"num": 21}) == NOTHING
    change = steps.send(FROM, "rel", refused=True, cau={"num": 21})
    assert (change.call, change.ended, moves(change)) == (call, False, [])
    assert call.cause == {"num": 21}
    assert call.history is not None and [entry[4] for entry in call.history] == ["dropped", "own"]


def test_dropped_setup_on_a_live_id_ends_both() -> None:
    steps = Steps((TO, "setup"))
    change = steps.receive(TO, "setup", verdict="dropped")
    assert change.replaced is steps.call and change.ended and not steps.table.live


def test_prepared_call_is_taken_with_its_setup() -> None:
    steps = Steps()
    sig = {"type": "setup", "cg": {"num": "22"}, "cd": {"num": "3"}}
    record = steps.table.prepare(3, TO, sig, 900)
    assert record is not None and not steps.table.live
    assert (record.state, record.remote.num, record.started_at, record.incoming, record.history) == ("setup", "22", 900, True, None)
    assert steps.table.prepare(3, TO, sig, 900) is record
    assert steps.table.prepare(3, FROM, {"type": "info"}, 900) is record  # it will be that call's
    change = steps.receive(TO, sig)
    assert change.call is record and change.started and moves(change) == [("null", "setup")] and record.dialed == "3"
    assert steps.table.live == {3: record} and not steps.table._prepared


def test_prepared_call_of_a_setup_that_is_dropped() -> None:
    steps = Steps()
    sig = {"type": "setup"}
    record = steps.table.prepare(3, TO, sig, 900)
    change = steps.receive(TO, sig, verdict="dropped")
    assert change.call is record and change.ended and not steps.table.live and not steps.table._prepared


def test_prepare_leaves_a_live_call_alone() -> None:
    steps = Steps((TO, "setup"), (FROM, "alert"))
    assert steps.table.prepare(3, FROM, {"type": "rel"}, 900) is steps.call
    sig = {"type": "setup"}
    record = steps.table.prepare(3, TO, sig, 900)
    assert record is not steps.call and steps.table.live == {3: steps.call} and steps.call.state == "alert"
    change = steps.receive(TO, sig)
    assert change.call is record and change.replaced is steps.call


def test_prepare_for_what_makes_no_call() -> None:
    steps = Steps((TO, "setup"), (FROM, "rel"))
    for call_id, sig in [(3, {"type": "alert"}), (4, {"type": "rel"}), (4, {"type": "disc"}), (4, {})]:
        assert steps.table.prepare(call_id, TO, sig, 900) is None
    own = steps.ids.issue()
    assert steps.table.prepare(own, TO, {"type": "alert"}, 900) is None
    assert steps.table.prepare(own, TO, {"type": "setup"}, 900) is None
    assert not steps.table._prepared


@pytest.mark.parametrize("first", ["alert", "conn"])
def test_prepared_call_that_is_first_seen_in_the_middle(first: str) -> None:
    steps = Steps()
    sig = {"type": "alert"}
    record = steps.table.prepare(3, FROM, sig, 900)
    assert record is not None and (record.state, record.incoming) == ("null", True)
    # Another message may pass it in the other direction: it is the same call.
    change = steps.receive(FROM, sig if first == "alert" else {"type": first})
    assert change.call is record and change.started and len(change.moves) == 1
    assert steps.receive(FROM, sig).call is record and not steps.table._prepared


def test_prepared_setup_is_not_taken_by_another_message() -> None:
    steps = Steps()
    sig = {"type": "setup"}
    record = steps.table.prepare(3, TO, sig, 900)
    assert steps.receive(FROM, "alert").call is not record
    other = steps.receive(TO, "setup").call
    assert other is not record
    assert steps.receive(TO, sig).call is record


def test_prepared_calls_whose_message_never_comes_are_forgotten() -> None:
    steps = Steps()
    kept = [steps.table.prepare(call_id % 100, TO, {"type": "setup"}, 900) for call_id in range(1000)]
    assert len({id(one) for one in kept}) == 1000 and len(steps.table._prepared) <= MOST_PREPARED


# ------------------------------------------------------------ calls of the application


@BOTH
def test_own_call_goes_its_way(to_device: bool) -> None:
    steps = Steps()
    call = steps.start_own(to_device, cg={"num": "1"}, cd={"num": "2"}, channel=-1)
    assert (call.own, call.incoming, call.state, steps.table.live) == (True, to_device, "setup", {call.id: call})
    assert (call.remote.num, call.local.num) == (("1", "2") if to_device else ("2", "1"))
    for kind, state in [("alert", "alert"), ("conn", "connected")]:
        assert steps.receive(not to_device, kind, call.id, verdict="own").call is call and call.state == state
    change = steps.receive(not to_device, "rel", call.id, verdict="own", cau={"num": 16})
    assert change.ended and call.ended_by == ("device" if to_device else "pbx") and call.cause == {"num": 16} and not steps.table.live


@BOTH
def test_own_call_that_the_app_hangs_up(to_device: bool) -> None:
    steps = Steps()
    call = steps.start_own(to_device)
    assert steps.send(to_device, "conn", call.id).call is call and call.state == "connected"
    change = steps.send(to_device, "rel", call.id, cau={"num": 17})
    assert change.ended and (call.ended_by, call.cause) == ("app", {"num": 17}) and not steps.table.live


@pytest.mark.parametrize("cau", [{"num": 17}, None, 5])
def test_disc_of_an_own_call_is_to_be_answered(cau: object) -> None:
    steps = Steps()
    call = steps.start_own(FROM)
    assert call.disc is None
    change = steps.receive(TO, "disc", call.id, verdict="own", cau=cau)
    assert (change.ended, moves(change)) == (False, [("setup", "disconnected")])
    assert call.disc == (cau if isinstance(cau, dict) else {})
    assert steps.send(FROM, "rel", call.id).ended and call.ended_by == "pbx"


def test_disc_of_a_device_s_call_is_not() -> None:
    steps = Steps((TO, "setup"), (TO, "disc"))
    assert steps.call.disc is None


@BOTH
def test_own_call_has_one_far_end(to_device: bool) -> None:
    steps = Steps()
    call = steps.start_own(to_device)
    for kind in ("conn", "disc", "rel", "setup"):
        change = steps.receive(to_device, kind, call.id, verdict="own")
        assert (change.call, moves(change), change.ended, call.disc) == (call, [], False, None)
        sent = steps.send(not to_device, kind, call.id)
        assert (sent.call, moves(sent), sent.ended) == (call, [], False)
    assert steps.table.live == {call.id: call} and call.state == "setup" and call.ended_by is None


@BOTH
def test_setup_in_an_own_call_starts_none(to_device: bool) -> None:
    steps = Steps()
    call = steps.start_own(to_device)
    other: dict[str, Any] = {"cg": {"num": "66"}, "cd": {"num": "66"}}
    for change in (steps.receive(not to_device, "setup", call.id, **other), steps.send(to_device, "setup", call.id, **other)):
        assert (change.call, change.started, change.replaced, moves(change)) == (call, False, None, [])
        assert (call.incoming, call.remote, call.local) == (to_device, Party(), Party())


@pytest.mark.parametrize("kind", ["setup", "alert", "conn", "info", "disc", "rel"])
@BOTH
def test_own_id_that_is_over_makes_no_call(kind: str, to_device: bool) -> None:
    steps = Steps()
    call = steps.start_own(FROM)
    steps.send(FROM, "rel", call.id)
    steps.wait(2 * MEMORY)
    assert steps.receive(to_device, kind, call.id, verdict="own") == steps.sync({"state": "alert"}, call.id) == NOTHING
    assert steps.send(to_device, kind, call.id) == NOTHING
    never_begun = steps.ids.issue()
    assert steps.receive(to_device, kind, never_begun, verdict="own") == steps.sync({}, never_begun) == NOTHING
    assert not steps.table.live and not steps.table._ended


def test_sync_for_a_live_own_call_changes_nothing() -> None:
    steps = Steps()
    call = steps.start_own(FROM)
    assert steps.sync({"state": "connected"}, call.id) == NOTHING and call.state == "setup"


def test_negative_id_of_somebody_else_is_like_any_other() -> None:
    steps = Steps()
    steps.start_own(FROM)
    change = steps.receive(TO, "setup", -2)
    assert change.started and change.call is not None and not change.call.own
    assert steps.receive(FROM, "rel", -2).ended


@BOTH
def test_own_call_of_which_nobody_can_have_heard(to_device: bool) -> None:
    steps = Steps()
    call = steps.table.begin_own(steps.ids.issue(), to_device, {"type": "setup"}, 900)
    for kind in ("setup", "conn", "disc", "rel"):
        assert steps.receive(not to_device, kind, call.id, verdict="own") == NOTHING
        assert steps.send(not to_device, kind, call.id) == NOTHING
    assert steps.send(to_device, "rel", call.id) == NOTHING
    assert steps.table.live == {call.id: call} and (call.state, call.history) == ("setup", None)
    assert steps.send(to_device, "setup", call.id).started


def test_own_call_whose_setup_could_not_be_sent() -> None:
    steps = Steps()
    call = steps.table.begin_own(steps.ids.issue(), FROM, {"type": "setup"}, 900)
    steps.table.forget_own(call)
    assert not steps.table.live and call.state == "null" and call.ended_at is not None


def test_table_knows_the_ids_of_this_process() -> None:
    own = OWN_CALL_IDS.issue()
    assert CallTable().receive(own, TO, {"type": "setup"}, 1, 1) == NOTHING


# ------------------------------------------------------------ what the application says in a device's call


@pytest.mark.parametrize("order", [(TO, FROM), (FROM, TO)])
def test_call_that_the_app_releases_on_both_sides(order: tuple[bool, bool]) -> None:
    steps = Steps((TO, "setup"), (FROM, "conn"))
    first = steps.send(order[0], "rel", cau={"num": 17})
    assert (first.call, first.ended, moves(first), steps.call.ended_by) == (steps.call, False, [], None)
    assert not steps.send(order[0], "rel").ended
    change = steps.send(order[1], "rel", cau={"num": 17})
    assert change.ended and moves(change) == [("connected", "null")] and not steps.table.live
    assert (steps.call.ended_by, steps.call.cause) == ("app", {"num": 17})


@BOTH
def test_call_that_the_app_releases_on_one_side(to_device: bool) -> None:
    """What this side still says crossed the rel, and the call with the other side goes on until that has ended it."""
    steps = Steps((TO, "setup"), (FROM, "alert"))
    steps.send(to_device, "rel", cau={"num": 26})
    for kind in ("conn", "disc", "rel"):
        crossing = steps.receive(not to_device, kind, verdict="dropped", cau={"num": 1})
        assert (crossing.call, crossing.ended, moves(crossing)) == (steps.call, False, [])
    assert (steps.call.state, steps.call.ended_by, steps.call.cause) == ("alert", None, None) and steps.table.live
    change = steps.receive(to_device, "rel", verdict="dropped", cau={"num": 16})
    assert change.ended and (steps.call.ended_by, steps.call.cause) == ("pbx" if to_device else "device", {"num": 16})


@pytest.mark.parametrize("kind", ["setup", "conn", "disc", "info", "facility"])
@BOTH
def test_other_messages_of_the_app_do_not_move_a_device_s_call(kind: str, to_device: bool) -> None:
    steps = Steps((TO, "setup"))
    change = steps.send(to_device, kind, cau={"num": 17}, fty=[{"type": "hold_notify"}])
    assert (change.call, change.started, moves(change), change.ended) == (steps.call, False, [], False)
    assert (steps.call.state, steps.call.cause, steps.call.ended_by, steps.call.on_hold) == ("setup", None, None, False)


@BOTH
def test_message_of_the_app_for_no_call(to_device: bool) -> None:
    steps = Steps()
    for kind in ("setup", "alert", "rel"):
        assert steps.send(to_device, kind) == steps.send(to_device, kind, -1) == NOTHING
    assert not steps.table.live


# ------------------------------------------------------------ history and memory


def test_history_is_what_was_said() -> None:
    steps = Steps((TO, "setup"))
    steps.receive(FROM, "alert", verdict="changed")
    steps.send(TO, "info")
    steps.receive(TO, {"type": 5}, verdict="bypassed")
    assert steps.call.history == [
        (STARTED, True, "setup", b'{"type": "setup"}', "forwarded", ()),
        (STARTED + 1, False, "alert", b'{"type": "alert"}', "changed", ()),
        (STARTED + 2, True, "info", b'{"type": "info"}', "own", ()),
        (STARTED + 3, True, "", b'{"type": 5}', "bypassed", ()),
    ]


def test_history_is_bounded() -> None:
    steps = Steps((TO, "setup"))
    for number in range(LONGEST_HISTORY + 20):
        steps.receive(TO, "x" * 5000, number=number, more="y" * 10_000)
    history = steps.call.history
    assert history is not None and len(history) == LONGEST_HISTORY
    assert history[0][0] == STARTED + 21 and {len(entry[3]) for entry in history} == {LONGEST_TEXT}
    assert {len(entry[2]) for entry in history} == {LONGEST_NAME}


def test_synced_call_has_no_history_yet() -> None:
    steps = Steps()
    call = steps.sync({"state": "alert"}).call
    assert call is not None and call.history is None


def test_record_takes_little_memory() -> None:
    record = CallRecord(3, 1000)
    assert len(vars(record)) == 3, "what is not known stands in the class only"


def test_more_calls_than_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.protocol.calls.MOST_LIVE", 3)
    table = CallTable()
    for call in range(6):
        table.receive(call, True, {"type": "setup"}, 0.0, 0.0)
    table.receive(7, True, {"type": "alert"}, 0.0, 0.0)
    table.sync(8, {"state": "alert"}, 0.0, 0.0)
    assert list(table.live) == [0, 1, 2]
    table.receive(1, True, {"type": "setup"}, 0.0, 0.0)
    table.receive(0, True, {"type": "rel"}, 0.0, 0.0)
    table.sync(8, {"state": "alert"}, 0.0, 0.0)
    assert sorted(table.live) == [1, 2, 8]
