"""Calls to a user with two phones."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from typing import Any

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture
def bob(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("bb", number="23", sip="bob", name="Bob", kind="sip")


@pytest.fixture(params=["h323", "sip"])
def desk_and_room(pbx: SimulatedPBX, request: pytest.FixtureRequest) -> Phones:
    """Two phones of Alice; the parameter is the kind of the second."""
    return (
        pbx.add_phone("a1", number="22", sip="alice", name="Alice", kind="sip"),
        pbx.add_phone("a2", number="22", sip="alice", name="Alice", kind=request.param),
    )


def heard(pbx: SimulatedPBX, hw: str, place: str = "to-phone") -> list[tuple[Any, Any]]:
    """Return type and cause of what arrived at a phone, without its no-media calls."""
    entries = [entry for entry in pbx.log.entries(place=place, device=hw) if entry.call > 2]
    return [(entry.type, entry.sig.get("cau", {}).get("num")) for entry in entries]


def test_all_phones_ring_and_the_first_answer_wins(pbx: SimulatedPBX, bob: SimulatedPhone, desk_and_room: Phones) -> None:
    desk, room = desk_and_room
    call = bob.call("22")
    winner, loser = desk.wait("alert"), room.wait("alert")
    assert [kind for kind, _ in heard(pbx, "bb")] == ["call_proc", "alert"], "the caller is told once"
    desk.answer()
    loser.wait("null")
    assert loser.cause == 26
    assert heard(pbx, "a2") == [("setup", None), ("disc" if room.kind == "h323" else "rel", 26)]
    assert heard(pbx, "a2", "from-phone") == [("alert", None), *([("rel", 16)] if room.kind == "h323" else [])]
    assert call.state == winner.state == "connected"
    call.send({"type": "user_info", "uui": "for the winner"})
    assert heard(pbx, "a1")[-1] == ("user_info", None) and len(heard(pbx, "a2")) == 2
    desk.hangup(31)
    call.wait("null")
    assert call.cause == 31 and room.calls == []


@pytest.mark.parametrize("how", ["busy", "rejects", "unregisters"])
def test_one_phone_refuses_and_the_other_rings_on(pbx: SimulatedPBX, bob: SimulatedPhone, desk_and_room: Phones, how: str) -> None:
    desk, room = desk_and_room
    desk.busy = how == "busy"
    call = bob.call("22")
    ringing = room.wait("alert")
    if how == "rejects":
        desk.reject()
    elif how == "unregisters":
        desk.unregister()
    assert desk.calls == [] and ringing.state == "alert" and call.state == "alert" and call.cause is None
    room.answer()
    call.wait("connected")


def test_caller_gets_the_cause_of_the_last_when_all_refuse(pbx: SimulatedPBX, bob: SimulatedPhone, desk_and_room: Phones) -> None:
    desk, room = desk_and_room
    desk.busy = True
    call = bob.call("22")
    room.reject()
    call.wait("null")
    assert call.cause == 21


def test_caller_hangs_up_while_two_phones_ring(pbx: SimulatedPBX, bob: SimulatedPhone, desk_and_room: Phones) -> None:
    call = bob.call("22")
    ringing = [phone.wait("alert") for phone in desk_and_room]
    call.hangup()
    for each in ringing:
        each.wait("null")
        assert each.cause == 16


def test_unregistered_phones_do_not_ring(pbx: SimulatedPBX, bob: SimulatedPhone, desk_and_room: Phones) -> None:
    desk, room = desk_and_room
    desk.unregister()
    call = bob.call("22")
    room.wait("alert")
    assert desk.calls == []
    room.unregister()
    call.wait("null")
    assert call.cause == 27
    absent = bob.call("22")
    absent.wait("null")
    assert absent.cause == 20


def test_no_answer_at_any_phone(no_leaks: None) -> None:
    with SimulatedPBX(no_answer_timeout=0.2) as pbx:
        desk, room = (pbx.add_phone(hw, number="22", sip="alice") for hw in ("a1", "a2"))
        call = pbx.add_phone("bb", number="23", sip="bob").call("22")
        call.wait("null")
        assert call.cause == 19 and desk.calls == room.calls == []


def test_setup_withheld_from_one_phone(no_leaks: None) -> None:
    with SimulatedPBX(setup_timeout=0.2) as pbx:
        pbx.add_app("phones", password="pwd")
        desk, room = (pbx.add_phone(hw, number="22", sip="alice") for hw in ("a1", "a2"))
        with RawApp(pbx, forward=False).login() as app:
            app.attach("a1")
            call = pbx.add_phone("bb", number="23", sip="bob").call("22")
            assert app.wait_signal("rel", to=True)["sig"]["cau"]["num"] == 102
            assert call.state == "alert" and desk.calls == []
            room.answer()
            call.wait("connected")


def test_answer_crosses_the_rel_for_the_loser(pbx: SimulatedPBX, bob: SimulatedPhone, desk_and_room: Phones) -> None:
    desk, room = desk_and_room
    with RawApp(pbx).login() as app:
        app.attach("a2")
        call = bob.call("22")
        late = room.wait("alert")
        app.forward = False
        call.wait("alert")
        room.answer()
        conn = app.wait_signal("conn", to=False)
        desk.answer()
        call.wait("connected")
        end = app.wait_signal("disc" if room.kind == "h323" else "rel", to=True)
        assert end["sig"]["cau"]["num"] == 26
        app.forward = True
        app.send(conn)
        app.send(end)
        late.wait("null")
        app.challenge()
        assert call.state == "connected" and desk.call_now is not None and desk.call_now.state == "connected"
        if room.kind == "sip":  # The PBX has forgotten that leg.
            assert app.wait_signal("rel", to=True, count=2)["sig"]["cau"]["num"] == 81


def test_winner_hangs_up_before_the_loser_is_cleared(pbx: SimulatedPBX, bob: SimulatedPhone, desk_and_room: Phones) -> None:
    desk, room = desk_and_room
    call = bob.call("22")
    with RawApp(pbx, forward=False).login() as app:
        app.attach("a2")
        desk.answer()
        app.wait_signal("disc" if room.kind == "h323" else "rel", to=True)
        call.wait("connected")
        call.send({"type": "user_info", "uui": "for the winner"})
        desk.hangup()
        call.wait("null")
        app.challenge()
        assert not any(message.get("sig", {}).get("type") == "user_info" for message in app.messages)


def test_second_alert_of_one_phone_is_passed_on(pbx: SimulatedPBX, bob: SimulatedPhone) -> None:
    call = pbx.add_phone("a1", number="22", sip="alice").call("23")
    bob.wait("alert").send({"type": "alert", "inband_info": True})
    assert [kind for kind, _ in heard(pbx, "a1")] == ["call_proc", "alert", "alert"] and call.state == "alert"


def test_number_belongs_to_one_user(pbx: SimulatedPBX, bob: SimulatedPhone) -> None:
    with pytest.raises(UsageError, match="23"):
        pbx.add_phone("b2", number="23", sip="robert")
