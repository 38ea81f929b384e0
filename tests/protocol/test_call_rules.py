"""What each message does to a call."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from epsignal_sync.messages import CallState
from epsignal_sync.protocol.call_record import LONGEST_NAME, NOBODY, Party
from epsignal_sync.protocol.call_rules import RULES
from epsignal_sync.protocol.codec import SIGNALS

from .steps import FROM, STARTED, TO, Steps, moves

STEPS = [("setup_ack", "setup-ack"), ("call_proc", "call-proc"), ("alert", "alert"), ("conn", "connected")]
NEUTRAL = ["info", "channels", "facility", "user_info", "media_info", "accept", "progress", "brand_new"]


def test_every_known_message_is_judged() -> None:
    assert {kind for kind, _ in RULES if isinstance(kind, str)} | set(NEUTRAL[1:-1]) == set(SIGNALS) | {""}


def test_setup_towards_the_device_is_incoming() -> None:
    fty = [{"type": "x"}, 5, {"type": "name_identification", "name": "Bob"}]
    steps = Steps((TO, "setup"), cg={"num": "22", "sip": "bob"}, cd={"num": "33"}, channel=-1, confId="ab12", fty=fty)
    call = steps.call
    assert (call.id, call.state, call.incoming, call.media, call.channel, call.started_at) == (3, "setup", True, True, -1, STARTED)
    assert (call.remote, call.local, call.dialed) == (Party("22", "bob", "Bob"), Party("33"), "33")
    assert call.conference_id == "ab12"
    assert (call.connected_at, call.ended_at, call.ended_by, call.cause) == (None, None, None, None)


def test_setup_from_the_device_is_outgoing() -> None:
    me = {"type": "name_identification", "name": "me"}
    call = Steps((FROM, "setup"), cg={"num": "22"}, cd={"num": "33", "sip": "carl"}, fty=[me]).call
    assert (call.incoming, call.remote, call.local) == (False, Party("33", "carl"), Party("22", None, "me"))
    assert call.dialed == "33"


def test_setup_that_says_nothing() -> None:
    call = Steps((TO, "setup")).call
    assert (call.remote, call.local, call.dialed, call.channel, call.media) == (NOBODY, NOBODY, "", None, True)


@pytest.mark.parametrize("odd", [None, 5, [], "x", {"num": 5, "sip": []}, {"num": "", "sip": None}])
def test_parties_of_wrong_types_are_nobody(odd: object) -> None:
    call = Steps((TO, "setup"), cg=odd, cd=odd, confId=odd if odd != "x" else 5).call
    assert (call.remote, call.local, call.dialed, call.conference_id) == (NOBODY, NOBODY, "", None)


def test_texts_are_kept_up_to_a_limit() -> None:
    long = "1" * 100_000
    steps = Steps((FROM, "setup"), cd={"num": long, "sip": long}, fty=[{"type": "name_identification", "name": long}], confId=long)
    steps.receive(FROM, "info", cd={"num": long})
    steps.sync({"state": "x" * 100_000, "remote": {"dn": long}})
    call = steps.call
    texts = [call.remote.num, call.remote.sip, call.remote.name, call.local.name, call.dialed, call.conference_id, call.state]
    assert {len(text or "") for text in texts} == {LONGEST_NAME}


@pytest.mark.parametrize(
    ("channel", "media"),
    [({}, True), ({"channel": -1}, True), ({"channel": 5}, True), ({"channel": 0}, False), ({"channel": None}, True),
     ({"channel": False}, True), ({"channel": 0.0}, True), ({"channel": "0"}, True)],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["setup", "alert"])
def test_channel_0_is_a_call_without_media(kind: str, channel: dict[str, Any], media: bool) -> None:
    # A channel of a wrong type reads as not set.
    change = Steps().receive(TO, kind, **channel)
    assert change.call is not None and change.call.media is media


def test_first_channel_counts() -> None:
    steps = Steps((FROM, "setup"), channel="1")
    steps.receive(TO, "call_proc", channel=5)
    steps.receive(TO, "conn", channel=0)
    assert (steps.call.channel, steps.call.media) == (5, True)


@pytest.mark.parametrize("kind", ["setup_ack", "call_proc", "alert", "conn"])
@pytest.mark.parametrize("to_device", [TO, FROM])
def test_call_first_seen_in_the_middle_by_an_answer(kind: str, to_device: bool) -> None:
    change = Steps().receive(to_device, kind)
    assert change.call is not None and change.started
    assert change.call.incoming is (not to_device) and change.call.state == dict(STEPS)[kind]
    assert moves(change) == [("null", dict(STEPS)[kind])]


@pytest.mark.parametrize("kind", NEUTRAL)
@pytest.mark.parametrize("to_device", [TO, FROM])
def test_call_first_seen_in_the_middle_by_something_else(kind: str, to_device: bool) -> None:
    change = Steps().receive(to_device, kind)
    assert change.call is not None and change.started and change.call.incoming is None
    assert change.call.state == "null" and not change.moves


@pytest.mark.parametrize("to_device", [TO, FROM])
def test_call_first_seen_in_a_failed_progress(to_device: bool) -> None:
    change = Steps().receive(to_device, "progress", cau={"num": 17})
    assert change.call is not None and change.started and change.call.incoming is None
    assert change.call.state == ("disconnected" if to_device else "disconnecting")


@pytest.mark.parametrize("to_device", [TO, FROM])
def test_states_of_a_call(to_device: bool) -> None:
    steps = Steps((not to_device, "setup"))
    for kind, state in STEPS:
        before = steps.call.state
        change = steps.receive(to_device, kind)
        assert change.call is steps.call and moves(change) == [(before, state)]
        assert isinstance(steps.call.state, CallState) and steps.call.state == state
    assert steps.call.connected_at == STARTED + len(STEPS)


@pytest.mark.parametrize(("late", "first"), list(itertools.combinations([kind for kind, _ in STEPS], 2)))
def test_late_message_changes_nothing(late: str, first: str) -> None:
    steps = Steps((TO, "setup"), (FROM, first))
    before = steps.call.state
    for to_device, kind in [(FROM, late), (TO, first)]:
        change = steps.receive(to_device, kind)
        assert (steps.call.state, moves(change), change.call) == (before, [], steps.call)


@pytest.mark.parametrize(("to_device", "state", "who"), [(TO, "disconnected", "pbx"), (FROM, "disconnecting", "device")])
@pytest.mark.parametrize("sig", [{"type": "disc"}, {"type": "disc", "cau": {"num": 17}}, {"type": "progress", "cau": {"num": 17}}])
def test_disc_and_failed_progress(to_device: bool, state: str, who: str, sig: dict[str, Any]) -> None:
    steps = Steps((TO, "setup"), (FROM, "conn"))
    assert moves(steps.receive(to_device, sig)) == [("connected", state)]
    assert (steps.call.ended_by, steps.call.ended_at) == (who, None) and 3 in steps.table.live
    for direction, kind in [(not to_device, "disc"), (FROM, "conn"), (TO, "setup_ack")]:
        assert moves(steps.receive(direction, kind)) == [] and steps.call.state == state
    assert steps.receive(not to_device, "rel").ended and steps.call.ended_by == who


@pytest.mark.parametrize(
    "sig",
    [{"type": one} for one in NEUTRAL] + [{"type": "progress", "cau": None}, {"type": None}, {"type": []}, {"type": ""}, {}],
)
def test_the_others_leave_the_state_alone(sig: dict[str, Any]) -> None:
    steps = Steps((TO, "setup"), (FROM, "alert"))
    change = steps.receive(TO, sig)
    assert (change.call, moves(change), steps.call.state, steps.call.ended_by) == (steps.call, [], "alert", None)


def test_connected_and_parked_may_alternate() -> None:
    steps = Steps((TO, "setup"), (FROM, "conn"))
    assert moves(steps.sync({"state": "parked"})) == [("connected", "parked")]
    assert moves(steps.receive(FROM, "alert")) == []
    assert moves(steps.receive(FROM, "conn")) == [("parked", "connected")]
    assert steps.call.connected_at == STARTED + 1


def test_state_of_a_newer_pbx_is_followed_by_any() -> None:
    steps = Steps((TO, "setup"), (FROM, "conn"))
    steps.sync({"state": "queued"})
    assert moves(steps.receive(FROM, "alert")) == [("queued", "alert")]


def test_first_cause_counts() -> None:
    steps = Steps((TO, "setup"))
    steps.receive(TO, "disc", cau={"num": 17})
    steps.receive(FROM, "rel", cau={"num": 16})
    assert steps.call.cause == {"num": 17}


@pytest.mark.parametrize("cau", [None, 17, "17", [], True])
def test_cause_of_a_wrong_type_is_none(cau: object) -> None:
    steps = Steps((TO, "setup"))
    steps.receive(TO, "disc", cau=cau)
    assert steps.call.cause is None and steps.call.state == "disconnected"
    steps.receive(TO, "rel", cau={"num": 16})
    assert steps.call.cause == {"num": 16}


@pytest.mark.parametrize("direction", [TO, FROM])
def test_dialed_digits_in_the_direction_of_the_setup(direction: bool) -> None:
    steps = Steps((direction, "setup"), cd={"num": "0", "sip": "x"})
    for to_device, num in [(direction, "1"), (not direction, "9"), (direction, "23"), (direction, None), (direction, 4), (direction, "")]:
        steps.receive(to_device, "info", cd={"num": num})
    steps.receive(direction, "info", dsp="x")
    call = steps.call
    assert call.dialed == "0123"
    assert (call.local if direction is TO else call.remote) == Party("0123", "x")
    assert (call.remote if direction is TO else call.local) == NOBODY


def test_digits_of_a_call_of_unknown_direction_are_not_counted() -> None:
    steps = Steps((TO, "facility"))
    steps.receive(FROM, "info", cd={"num": "1"})
    assert steps.call.dialed == "" and steps.call.remote == NOBODY


def test_digits_do_not_undo_a_new_remote_party() -> None:
    steps = Steps((FROM, "setup"), cd={"num": "0"})
    steps.receive(TO, "facility", fty=[{"type": "ct_complete", "remote": {"num": "77"}}])
    steps.receive(FROM, "info", cd={"num": "1"})
    assert (steps.call.dialed, steps.call.remote.num) == ("01", "77")


def test_direction_is_told_by_the_first_message_that_tells_it() -> None:
    steps = Steps((FROM, "facility"))
    assert steps.call.incoming is None
    steps.receive(TO, "alert")
    assert steps.call.incoming is False
    steps.receive(FROM, "conn")
    assert steps.call.incoming is False
