"""Overlap dialing, and what comes late or crosses at the end of a call."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .test_app_calls import NO_MEDIA, SETUP
from .test_path import connect, signaling
from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401


@pytest.fixture
def alice(pbx: SimulatedPBX, request: pytest.FixtureRequest) -> SimulatedPhone:
    return pbx.add_phone("aa", number="22", sip="alice", name="Älice", kind=getattr(request, "param", "h323"))


@pytest.fixture
def bob(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("bb", number="2345", sip="bob", name="Bob")


@pytest.fixture
def quick(no_leaks: None) -> Iterator[SimulatedPBX]:
    with SimulatedPBX(digit_timeout=0.2) as pbx:
        pbx.add_phone("bb", number="2345", sip="bob")
        yield pbx


def test_digits_one_after_the_other(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("2", overlap=True)
    sent = pbx.log.last("from-phone", "aa", type="setup")
    assert sent is not None and "complete" not in sent.sig and sent.sig["cd"] == {"num": "2"}
    call.wait("setup-ack")
    for digits in ("3", "4"):
        call.dial(digits)
        assert call.reached == ("setup", "setup-ack") and bob.calls == []
    with RawApp(pbx).login() as app:
        app.attach("aa")
        sync = app.wait(lambda message: message["mt"] == "Sync" and message["info"]["channel"] == -1)
        assert sync["info"] == {"channel": -1, "in": False, "state": "setup-ack", "remote": {"num": "234"}}
        pbx.drop_connections()
    call.dial("5")
    call.wait("alert")
    assert call.reached == ("setup", "setup-ack", "call-proc", "alert")
    assert call.remote == {"num": "2345", "dn": "Bob"}
    setup = pbx.log.last("to-phone", "bb", type="setup")
    assert setup is not None and setup.sig["complete"] is True and setup.sig["cd"] == {"num": "2345", "sip": "bob"}
    assert [entry.sig for entry in pbx.log.entries(place="to-pbx", type="info")] == [
        {"type": "info", "cd": {"num": digit}} for digit in "345"
    ]
    bob.answer()
    call.wait("connected")
    assert not pbx.log.entries(place="to-phone", type="info")
    call.send({"type": "info", "cd": {"num": "9"}})
    assert pbx.log.entries(place="to-phone", device="bb", type="info") and call.state == "connected", "later digits are the other party's"


def test_overlap_dialing_without_a_first_digit(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("", overlap=True)
    sent = pbx.log.last("from-phone", "aa", type="setup")
    assert sent is not None and "cd" not in sent.sig
    call.dial("2345")
    call.wait("alert")


@pytest.mark.parametrize("alice", ["h323", "sip"], indirect=True)
def test_digits_that_no_number_begins_with(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("2", overlap=True)
    call.dial("9")
    call.wait("null")
    assert call.cause == 1


def test_longer_number_is_waited_for(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    longer = pbx.add_phone("cc", number="23456", sip="carol")
    call = alice.call("2", overlap=True)
    call.dial("345")
    assert call.state == "setup-ack"
    call.dial("6")
    longer.wait("alert")
    assert bob.calls == []


def test_complete_ends_the_wait_for_a_longer_number(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.add_phone("cc", number="23456", sip="carol")
    call = alice.call("2345", overlap=True)
    assert call.state == "setup-ack", "the PBX waits even for a number that it knows"
    call.dial("", complete=True)
    bob.wait("alert")
    unknown = alice.call("2", overlap=True)
    unknown.dial("3", complete=True)
    unknown.wait("null")
    assert unknown.cause == 1


@pytest.mark.parametrize("number", ["", "234"])
def test_timeout_with_a_part_of_a_number(quick: SimulatedPBX, number: str) -> None:
    call = quick.add_phone("aa", number="22", sip="alice").call(number, overlap=True)
    call.wait("null")
    assert call.cause == 28 and "call-proc" not in call.reached


def test_timeout_with_a_number(quick: SimulatedPBX) -> None:
    call = quick.add_phone("aa", number="22", sip="alice").call("2345", overlap=True)
    assert call.wait("alert") == "alert"


def test_timeout_counts_from_the_last_digit(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("2", overlap=True)
    leg = pbx._lines["aa"].legs[call.id]
    before = leg.timer
    call.dial("3")
    assert before is not None and before is not leg.timer and leg.timer is not None
    pbx._actor.run(before.fire)
    assert call.state == "setup-ack", "the first timer is cancelled"
    last = leg.timer
    call.dial("45")
    pbx._actor.run(last.fire)
    assert call.state == "alert", "and so is the last one when the number is complete"


def test_hangup_while_dialing(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("2", overlap=True)
    call.hangup()
    assert call.ended and alice.calls == [] and call.cause == 16


def test_digits_that_cannot_be_dialed(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("2", overlap=True)
    with pytest.raises(UsageError, match="nothing to dial"):
        call.dial("")
    call.dial("345")
    ringing = bob.wait("alert")
    for each in (call, ringing):
        with pytest.raises(UsageError, match="takes no digits"):
            each.dial("1")


@pytest.mark.parametrize("setup", [SETUP, NO_MEDIA, {"type": "setup"}])
def test_app_that_does_not_say_complete_gets_setup_ack(pbx: SimulatedPBX, alice: SimulatedPhone, setup: dict[str, Any]) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        app.send(signaling(-1, {**setup, "complete": False}, to=False))
        ack = app.wait_signal("setup_ack", to=True, call=-1)
        assert ack["sig"] == {"type": "setup_ack", "inband_info": True, "channel": setup.get("channel", -1)}
        app.challenge()
        assert [message["sig"]["type"] for message in app.messages if message.get("call") == -1] == ["setup_ack"]


def test_app_dials_on(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        app.send(signaling(-1, {"type": "setup", "channel": -1}, to=False))
        app.send(signaling(-1, {"type": "info", "cd": {"num": "2345"}}, to=False))
        app.wait_signal("alert", to=True, call=-1)
        assert [call.state for call in bob.calls] == ["alert"]


@pytest.mark.parametrize("alice", ["h323", "sip"], indirect=True)
def test_rels_cross(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("bb")
        for _ in range(5):
            call = alice.call("2345")
            call.wait("alert")
            ringing = bob.wait("alert")
            pbx.log.clear()
            pbx.cross_rels(ringing, cause=31)
            call.wait("null")
            assert call.cause == 31 and ringing.ended
            pbx.wait_for(lambda log: log.last("to-pbx", "bb", type="rel") and log.last("to-phone", "bb", type="rel"))
            app.challenge()
            rels = [(entry.type, entry.message.get("to")) for entry in pbx.log.entries(place="to-app", device="bb")]
            assert rels == [("rel", None), ("rel", True)], "and no rel was answered"
        with pytest.raises(UsageError, match="no rels can cross"):
            pbx.cross_rels(ringing)


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("crossing", [True, False])
def test_late_facility_is_taken_quietly(
    pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, attached: bool, crossing: bool
) -> None:
    pbx.late_facilities = True
    with RawApp(pbx).login() as app:
        if attached:
            app.attach("bb")
        call, ringing = connect_to(alice, bob, "2345")
        if crossing:
            pbx.cross_rels(ringing)
        else:
            ringing.hangup()
        call.wait("null")
        places = ("to-pbx", "to-phone") if crossing else ("to-pbx",)
        for place in places:
            pbx.wait_for(lambda log, place=place: log.entries(place=place, device="bb", call=ringing.id, type="facility"))  # type: ignore[misc]
        late = pbx.log.last("to-pbx", "bb", type="facility")
        assert late is not None and late.sig["fty"][0]["type"] == "ct_complete"
        app.challenge()
        assert not [entry for entry in pbx.log if entry.sig.get("cau", {}).get("num") == 81]
        assert ringing.remote["num"] == "22"


def connect_to(alice: SimulatedPhone, bob: SimulatedPhone, number: str) -> tuple[Any, Any]:
    call = alice.call(number)
    ringing = bob.wait("alert")
    bob.answer()
    call.wait("connected")
    return call, ringing


def test_late_facility_is_not_sent_unless_wanted(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    bob = pbx.add_phone("cc", number="23", sip="bob")
    call, _ = connect(alice, bob)
    call.hangup()
    bob.wait("null")
    assert not [entry for entry in pbx.log.entries(type="facility") if entry.call > 2]


def test_other_late_signals_are_answered(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        call = alice.call("2345")
        app.send(app.wait_signal("setup", to=False, call=call.id))
        app.wait_signal("alert", to=True)
        call.hangup()
        app.send(signaling(call.id, {"type": "disc"}, to=True))
        assert app.wait_signal("rel", to=False, call=call.id, count=2)["sig"]["cau"]["num"] == 81


def test_id_rests_until_the_late_facility_is_through(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("bb")
        _, ringing = connect_to(alice, bob, "2345")
        app.wait_signal("conn", to=False)
        pbx.wait_for(lambda log: log.last("to-pbx", "bb", type="conn"))
        app.forward = False
        pbx.late_facilities = True
        bob.hangup()
        facility = app.wait_signal("facility", to=False, call=ringing.id)
        app.send(app.wait_signal("rel", to=False, call=ringing.id))
        pbx.wait_for(lambda log: log.last("to-pbx", "bb", type="rel"))
        alice.wait("null")
        assert bob.call("22").id != ringing.id
        app.send(facility)
        pbx.wait_for(lambda log: log.last("to-pbx", "bb", type="facility"))
        assert bob.call("22").id == ringing.id


def test_facility_for_a_new_call_that_the_phone_never_saw(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    ended, _ = connect_to(alice, bob, "2345")
    ended.hangup()
    bob.wait("null")
    with RawApp(pbx, forward=False).login() as app:
        app.attach("bb")
        call = alice.call("2345")
        id = app.wait_signal("setup", to=True)["call"]
        app.send(signaling(id, {"type": "conn"}, to=False))
        call.wait("connected")
        call.send({"type": "facility", "fty": []})
        app.send(app.wait_signal("facility", to=True, call=id))
        assert app.wait_signal("rel", to=False, call=id)["sig"]["cau"]["num"] == 81
