from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.messages import CallState
from epsignal_sync.protocol.calls import MEMORY, CallRecord, CallTable, Change

TO, FROM = True, False
"""Towards the device, from the device."""

FORWARD_ORDER = ["null", "setup", "setup-ack", "call-proc", "alert", "connected", "disconnected"]
STEPS = [("setup_ack", "setup-ack"), ("call_proc", "call-proc"), ("alert", "alert"), ("conn", "connected")]


def table_with(*steps: tuple[bool, str], **setup: Any) -> tuple[CallTable, CallRecord]:
    """A call with id 3 that has seen these messages; the first is the setup."""
    table = CallTable()
    for now, (to_device, kind) in enumerate(steps, 1000):
        sig = {"type": kind, **(setup if kind == "setup" else {})}
        change = table.receive(3, to_device, sig, now)
    assert change.call is not None
    return table, change.call


def rank(state: str) -> int:
    return {"disconnecting": 6, "parked": 5}.get(state, FORWARD_ORDER.index(state) if state in FORWARD_ORDER else 0)


# ------------------------------------------------------------ how a call begins


def test_setup_towards_the_device_is_incoming() -> None:
    table = CallTable()
    sig = {"type": "setup", "cg": {"num": "22", "sip": "bob"}, "cd": {"num": "33"}, "channel": -1,
           "fty": [{"type": "x"}, 5, {"type": "name_identification", "name": "Bob"}]}  # fmt: skip
    change = table.receive(3, TO, sig, 1000)
    call = change.call
    assert call is not None and table.live == {3: call} and (change.started, change.ended) == (True, None)
    assert (call.id, call.state, call.incoming, call.media, call.started_at) == (3, "setup", True, True, 1000)
    assert (call.num, call.sip, call.name, call.dialed) == ("22", "bob", "Bob", "33")
    assert change.previous is CallState.NULL


def test_setup_from_the_device_is_outgoing() -> None:
    me = {"type": "name_identification", "name": "me"}
    _, call = table_with((FROM, "setup"), cg={"num": "22"}, cd={"num": "33", "sip": "carl"}, fty=[me])
    assert (call.incoming, call.num, call.sip, call.name) == (False, "33", "carl", None)


@pytest.mark.parametrize(
    ("channel", "media"),
    [({}, True), ({"channel": -1}, True), ({"channel": 5}, True), ({"channel": 0}, False), ({"channel": None}, True),
     ({"channel": False}, True), ({"channel": 0.0}, True), ({"channel": "0"}, True)],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["setup", "alert"])
def test_channel_0_is_a_call_without_media(kind: str, channel: dict[str, Any], media: bool) -> None:
    # A channel of a wrong type reads as not set.
    change = CallTable().receive(3, TO, {"type": kind, **channel}, 1000)
    assert change.call is not None and change.call.media is media


@pytest.mark.parametrize("kind", ["setup_ack", "call_proc", "alert", "conn"])
@pytest.mark.parametrize("to_device", [TO, FROM])
def test_call_first_seen_in_the_middle_by_an_answer(kind: str, to_device: bool) -> None:
    change = CallTable().receive(3, to_device, {"type": kind}, 1000)
    assert change.call is not None and change.started
    assert change.call.incoming is (not to_device) and change.call.state == dict(STEPS)[kind]


@pytest.mark.parametrize("kind", ["info", "channels", "facility", "user_info", "media_info", "accept", "progress", "brand_new"])
@pytest.mark.parametrize("to_device", [TO, FROM])
def test_call_first_seen_in_the_middle_by_something_else(kind: str, to_device: bool) -> None:
    change = CallTable().receive(3, to_device, {"type": kind}, 1000)
    assert change.call is not None and change.started and change.call.incoming is None
    assert change.call.state == "null"


@pytest.mark.parametrize("kind", ["rel", "disc"])
@pytest.mark.parametrize("to_device", [TO, FROM])
def test_end_of_an_unknown_call_makes_none(kind: str, to_device: bool) -> None:
    table = CallTable()
    assert vars_of(table.receive(3, to_device, {"type": kind, "cau": {"num": 16}}, 1000)) == (None, False, None, None)
    assert not table.live


def vars_of(change: Change) -> tuple[Any, ...]:
    return change.call, change.started, change.previous, change.ended


def test_setup_on_a_live_id_ends_the_old_call() -> None:
    table, old = table_with((TO, "setup"), (FROM, "conn"))
    change = table.receive(3, FROM, {"type": "setup"}, 2000)
    assert change.ended is old and change.started and change.call is not old
    assert (old.state, old.ended_at) == ("null", 2000)
    assert table.live == {3: change.call} and change.call is not None and change.call.incoming is False


def test_two_devices_have_tables_of_their_own_ids() -> None:
    first, _ = table_with((TO, "setup"))
    assert not CallTable().live and list(first.live) == [3]


# ------------------------------------------------------------ how it goes on


def test_states_of_a_call() -> None:
    table, call = table_with((TO, "setup"))
    for kind, state in STEPS:
        before = call.state
        change = table.receive(3, FROM, {"type": kind}, 1010)
        assert change.call is call and (change.previous, call.state) == (before, state)
        assert isinstance(call.state, CallState)
    assert call.connected_at == 1010


@pytest.mark.parametrize(("late", "first"), list(itertools.combinations([kind for kind, _ in STEPS], 2)))
def test_late_message_changes_nothing(late: str, first: str) -> None:
    table, call = table_with((TO, "setup"), (FROM, first))
    before = call.state
    change = table.receive(3, FROM, {"type": late}, 1100)
    assert (call.state, change.previous, change.call) == (before, None, call)
    again = table.receive(3, TO, {"type": first}, 1100)
    assert (call.state, again.previous) == (before, None)


@pytest.mark.parametrize(("to_device", "state"), [(TO, "disconnected"), (FROM, "disconnecting")])
@pytest.mark.parametrize("sig", [{"type": "disc"}, {"type": "disc", "cau": {"num": 17}}, {"type": "progress", "cau": {"num": 17}}])
def test_disc_and_failed_progress(to_device: bool, state: str, sig: dict[str, Any]) -> None:
    table, call = table_with((TO, "setup"), (FROM, "conn"))
    assert table.receive(3, to_device, sig, 1100).previous == "connected"
    assert call.state == state and 3 in table.live
    assert table.receive(3, not to_device, sig, 1101).previous is None and call.state == state
    assert table.receive(3, FROM, {"type": "conn"}, 1102).previous is None and call.state == state


@pytest.mark.parametrize(
    "sig",
    [{"type": one} for one in ("info", "channels", "facility", "user_info", "media_info", "accept", "progress", "new")]
    + [{"type": "progress", "cau": None}, {"type": None}, {"type": []}, {}],
)
def test_the_others_leave_the_state_alone(sig: dict[str, Any]) -> None:
    table, call = table_with((TO, "setup"), (FROM, "alert"))
    change = table.receive(3, TO, sig, 1100)
    assert (change.call, change.previous, call.state) == (call, None, "alert")


def test_connected_and_parked_may_alternate() -> None:
    table, call = table_with((TO, "setup"), (FROM, "conn"))
    table.sync(3, {"state": "parked"}, 1100)
    assert call.state == "parked"
    assert table.receive(3, FROM, {"type": "alert"}, 1101).previous is None
    assert table.receive(3, FROM, {"type": "conn"}, 1102).previous == "parked" and call.state == "connected"
    assert call.connected_at == 1001


@pytest.mark.parametrize("to_device", [TO, FROM])
@pytest.mark.parametrize("last", ["setup", "alert", "conn", "disc"])
def test_rel_ends_the_call(last: str, to_device: bool) -> None:
    table, call = table_with((TO, "setup"), *([(FROM, last)] if last != "setup" else []))
    before = call.state
    change = table.receive(3, to_device, {"type": "rel"}, 1100)
    assert change.call is change.ended is call and change.previous == before
    assert (call.state, call.ended_at, table.live) == ("null", 1100, {})
    crossing = table.receive(3, not to_device, {"type": "rel"}, 1100)
    assert vars_of(crossing) == (None, False, None, None)


def test_first_cause_counts() -> None:
    table, call = table_with((TO, "setup"))
    table.receive(3, TO, {"type": "disc", "cau": {"num": 17}}, 1100)
    table.receive(3, FROM, {"type": "rel", "cau": {"num": 16}}, 1101)
    assert call.cause == {"num": 17}


@pytest.mark.parametrize("cau", [None, 17, "17", [], True])
def test_cause_of_a_wrong_type_is_none(cau: object) -> None:
    table, call = table_with((TO, "setup"))
    table.receive(3, TO, {"type": "disc", "cau": cau}, 1100)
    assert call.cause is None and call.state == "disconnected"
    table.receive(3, TO, {"type": "rel", "cau": {"num": 16}}, 1101)
    assert call.cause == {"num": 16}


@pytest.mark.parametrize("direction", [TO, FROM])
def test_dialed_digits_in_the_direction_of_the_setup(direction: bool) -> None:
    table, call = table_with((direction, "setup"), cd={"num": "0"})
    for to_device, num in [(direction, "1"), (not direction, "9"), (direction, "23"), (direction, None), (direction, 4)]:
        table.receive(3, to_device, {"type": "info", "cd": {"num": num}}, 1100)
    table.receive(3, direction, {"type": "info", "dsp": "x"}, 1100)
    assert call.dialed == "0123"


def test_name_of_the_other_party_comes_towards_the_device() -> None:
    table, call = table_with((FROM, "setup"))
    table.receive(3, FROM, {"type": "facility", "fty": [{"type": "name_identification", "name": "me"}]}, 1100)
    assert call.name is None
    table.receive(3, TO, {"type": "conn", "fty": [{"type": "name_identification", "name": "Bob"}]}, 1100)
    table.receive(3, TO, {"type": "facility", "fty": [{"type": "name_identification", "name": 5}]}, 1100)
    assert call.name == "Bob"


# ------------------------------------------------------------ after its end


@pytest.mark.parametrize("kind", ["alert", "conn", "info", "facility", "disc", "new"])
def test_late_message_makes_no_call(kind: str) -> None:
    table, _ = table_with((TO, "setup"), (FROM, "rel"))
    assert vars_of(table.receive(3, FROM, {"type": kind}, 1001 + MEMORY)) == (None, False, None, None)
    assert vars_of(table.sync(3, {"state": "alert"}, 1001 + MEMORY)) == (None, False, None, None)
    assert not table.live


def test_after_its_time_an_id_may_come_again() -> None:
    table, old = table_with((TO, "setup"), (FROM, "rel"))
    change = table.receive(3, FROM, {"type": "alert"}, 1002 + MEMORY)
    assert change.started and change.call is not old


def test_setup_may_use_an_id_at_once() -> None:
    table, old = table_with((TO, "setup"), (FROM, "rel"))
    change = table.receive(3, TO, {"type": "setup"}, 1002)
    assert change.started and change.ended is None and change.call is not old
    assert table.receive(3, FROM, {"type": "alert"}, 1003).call is change.call


def test_ended_calls_are_not_kept_for_ever() -> None:
    table = CallTable()
    for call_id in range(5000):
        table.receive(call_id, TO, {"type": "setup"}, call_id)
        table.receive(call_id, TO, {"type": "rel"}, call_id)
        table.sync(call_id, {}, call_id)
    assert not table.live and len(table._ended) <= MEMORY + 2


# ------------------------------------------------------------ sync


def test_sync_of_an_unknown_call() -> None:
    table = CallTable()
    info = {"channel": 0, "in": True, "state": "connected", "remote": {"num": "22", "sip": "bob", "dn": "Bob"}}
    change = table.sync(3, info, 1000)
    call = change.call
    assert call is not None and change.started and table.live == {3: call}
    assert (call.state, call.incoming, call.media, call.num, call.sip, call.name) == ("connected", True, False, "22", "bob", "Bob")


def test_sync_of_a_known_call_updates_it() -> None:
    table, call = table_with((TO, "setup"), cg={"num": "22"})
    change = table.sync(3, {"state": "alert", "remote": {"dn": "Bob"}}, 1001)
    assert vars_of(change) == (call, False, "setup", None)
    assert (call.state, call.num, call.name) == ("alert", "22", "Bob")
    assert table.sync(3, {"state": "alert"}, 1002).previous is None


def test_sync_with_a_state_of_a_newer_pbx() -> None:
    table = CallTable()
    call = table.sync(3, {"state": "queued"}, 1000).call
    assert call is not None and call.state == "queued"
    assert table.receive(3, FROM, {"type": "alert"}, 1001).previous == "queued"


@pytest.mark.parametrize(
    "info", [{}, {"channel": "0", "in": 1, "state": 5, "remote": []}, {"remote": {"num": 1, "sip": [], "dn": {}}, "channel": False}]
)
def test_sync_with_wrong_types_is_a_call_all_the_same(info: dict[str, Any]) -> None:
    call = CallTable().sync(3, info, 1000).call
    assert call is not None
    assert (call.state, call.incoming, call.media, call.num, call.sip, call.name) == ("null", None, True, None, None, None)


# ------------------------------------------------------------ any order


@pytest.mark.parametrize("call_id", [None, "3", 3.0, True, [], {}])
def test_call_of_a_wrong_type_is_no_call(call_id: object) -> None:
    table = CallTable()
    assert vars_of(table.receive(call_id, TO, {"type": "setup"}, 1000)) == (None, False, None, None)
    assert vars_of(table.sync(call_id, {"state": "alert"}, 1000)) == (None, False, None, None)
    assert not table.live


@pytest.mark.parametrize("sig", [None, [], "setup", 1])
def test_signal_that_is_no_object_is_no_call(sig: object) -> None:
    table = CallTable()
    assert vars_of(table.receive(3, TO, sig, 1000)) == (None, False, None, None)
    assert vars_of(table.sync(3, sig, 1000)) == (None, False, None, None)


ids = st.sampled_from([0, 1, -1])
odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 0.0, "x", [], {}, [{}], {"num": 5}, {"num": "1"}, [{"type": "name_identification", "name": []}]]
)
kinds = st.sampled_from(
    ["setup", "setup_ack", "call_proc", "alert", "conn", "disc", "rel", "progress", "info", "facility", "new", None, 5]
)
signals = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    kinds,
    st.dictionaries(st.sampled_from(["cau", "cd", "cg", "channel", "fty"]), odd, max_size=2),
)
infos = st.fixed_dictionaries(
    {}, optional={"state": st.sampled_from([*CallState, "queued", 5]), "in": odd, "remote": odd, "channel": odd}
)
steps = st.lists(
    st.tuples(st.sampled_from(["receive"] * 3 + ["sync"]), ids | odd, st.booleans(), signals, infos | odd, st.floats(-1, 20)),
    max_size=25,
)


@given(steps)
def test_any_order_of_messages(sequence: list[tuple[str, Any, bool, Any, Any, float]]) -> None:
    table, now = CallTable(), 1000.0
    for verb, call_id, to_device, sig, info, seconds in sequence:
        now += seconds
        value = sig if verb == "receive" else info
        known = dict(table.live)
        states = {one: (record, str(record.state)) for one, record in known.items()}
        change = table.receive(call_id, to_device, value, now) if verb == "receive" else table.sync(call_id, value, now)
        check_step(verb, change, value, known, table)
        for one, (record, before) in states.items():
            if table.live.get(one) is record and verb == "receive":
                assert rank(str(record.state)) >= rank(before), (before, record.state)
            elif table.live.get(one) is not record:
                assert record.state is CallState.NULL and record.ended_at is not None and change.ended is record


def check_step(verb: str, change: Change, value: Any, known: dict[int, CallRecord], table: CallTable) -> None:
    """Compare what a step says that it did with what it did."""
    began = [record for one, record in table.live.items() if known.get(one) is not record]
    assert began == ([change.call] if change.started else [])
    gone = [record for one, record in known.items() if table.live.get(one) is not record]
    assert gone == ([change.ended] if change.ended else [])
    if change.started and verb == "receive":
        assert isinstance(value, dict) and value.get("type") not in ("rel", "disc")
    if gone:
        assert verb == "receive" and value["type"] in ("rel", "setup")
    if change.call is not None and not change.ended:
        assert change.previous != change.call.state
    for one, record in table.live.items():
        assert record.id == one and record.ended_at is None


def test_memory_of_ended_calls_is_bounded() -> None:
    table = CallTable()
    for number in range(10_000):
        table.receive(number, True, {"type": "setup"}, number)
        table.receive(number, True, {"type": "rel"}, number)
    assert len(table._ended) < 100
