"""The path: what an attached app gets, and that only what it sends back arrives."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from typing import Any

import pytest

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401


@pytest.fixture
def alice(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("aa", number="22", sip="alice", name="Älice")


@pytest.fixture
def bob(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("bb", number="23", sip="bob", name="Bob", kind="sip")


@pytest.fixture
def quick() -> Any:
    with SimulatedPBX(setup_timeout=0.3) as pbx:
        pbx.add_app("phones", password="pwd")
        yield pbx


def connect(alice: SimulatedPhone, bob: SimulatedPhone) -> tuple[Any, Any]:
    call = alice.call("23")
    ringing = bob.wait("alert")
    bob.answer()
    call.wait("connected")
    ringing.wait("connected")
    return call, ringing


def signaling_texts(pbx: SimulatedPBX, hw: str) -> tuple[list[str], list[str]]:
    return pbx.log.texts("to-app", hw, mt="Signaling"), pbx.log.texts("from-app", hw, mt="Signaling")


def signaling(call: Any, sig: dict[str, Any], *, to: bool) -> dict[str, Any]:
    return {"mt": "Signaling", "api": "EpSignal", "src": "1", **({"to": True} if to else {}), "call": call, "sig": sig}


def test_two_phones_through_one_connection(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("aa", "A")
        app.attach("bb", {"b": 2})
        call, ringing = connect(alice, bob)
        alice.hangup()
        ringing.wait("null")
        pbx.wait_for(lambda log: all(len(to) == len(back) for to, back in (signaling_texts(pbx, "aa"), signaling_texts(pbx, "bb"))))
        for hw in ("aa", "bb"):
            to, back = signaling_texts(pbx, hw)
            assert to == back and to
        types = [(entry.message.get("to"), entry.type) for entry in pbx.log.entries(place="to-app", device="aa", mt="Signaling")]
        assert types == [(None, "setup"), (True, "call_proc"), (True, "alert"), (True, "conn"), (None, "rel")]
        setup = app.wait_signal("setup", src={"b": 2}, to=True)
        assert setup["call"] == ringing.id and setup["api"] == "EpSignal" and setup["sig"]["cg"] == {"num": "22", "sip": "alice"}
        assert call.cause == ringing.cause == 16


def test_what_arrives_is_what_the_app_sent(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connect(alice, bob)
    with RawApp(pbx, forward=False).login() as app:
        app.attach("bb")
        call.send({"type": "user_info", "uui": "original"})
        assert app.wait_signal("user_info")["to"] is True
        assert not pbx.log.entries(place="to-phone", device="bb", type="user_info")
        app.send(signaling(ringing.id, {"type": "user_info", "uui": "changed"}, to=True))
        entry = pbx.wait_for(lambda log: log.last("to-phone", "bb", type="user_info"))
        assert entry.sig["uui"] == "changed"
        app.send(signaling(ringing.id, {"type": "user_info", "uui": "back"}, to=False))
        assert pbx.wait_for(lambda log: log.last("to-phone", "aa", type="user_info")).sig["uui"] == "back"


def test_setup_of_the_phone_withheld(quick: SimulatedPBX) -> None:
    alice = quick.add_phone("aa", number="22", sip="alice")
    bob = quick.add_phone("bb", number="23", sip="bob")
    with RawApp(quick, forward=False).login() as app:
        app.attach("aa")
        call = alice.call("23")
        call.wait("null")
        assert call.cause == 102 and call.reached == ("setup", "null")
        assert app.wait_signal("rel", to=False, call=call.id)["sig"]["cau"]["num"] == 102
        assert bob.calls == []
        assert not quick.log.entries(place="to-pbx", device="aa", type="setup", call=call.id)


def test_setup_to_the_phone_withheld(quick: SimulatedPBX) -> None:
    alice = quick.add_phone("aa", number="22", sip="alice", kind="sip")
    bob = quick.add_phone("bb", number="23", sip="bob")
    with RawApp(quick, forward=False).login() as app:
        app.attach("bb")
        call = alice.call("23")
        call.wait("null")
        assert call.cause == 102
        assert app.wait_signal("rel", to=True)["sig"]["cau"]["num"] == 102
        assert bob.calls == []


def test_call_whose_rel_is_withheld_is_cleared_all_the_same(quick: SimulatedPBX) -> None:
    alice = quick.add_phone("aa", number="22", sip="alice")
    bob = quick.add_phone("bb", number="23", sip="bob")
    call, ringing = connect(alice, bob)
    with RawApp(quick, forward=False).login() as app:
        app.attach("aa")
        bob.hangup()
        assert app.wait_signal("disc", to=True)["sig"]["cau"]["num"] == 16
        for kind in ("conn", "disc"):
            app.send(signaling(call.id, {"type": kind}, to=False))
        assert app.wait_signal("rel", to=True)["sig"]["cau"]["num"] == 102
        assert call.state == "connected" and ringing.ended


def test_answer_withheld_after_alert(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("bb")
        call = alice.call("23")
        call.wait("alert")
        app.forward = False
        bob.answer()
        app.wait_signal("conn", to=False)
        assert call.state == "alert" and bob.call_now.state == "connected"  # type: ignore[union-attr]


@pytest.mark.parametrize("call", [77, -1, 0, "text", None, 3.0, True, [3], {"a": 1}])
@pytest.mark.parametrize("to", [True, False])
def test_unknown_call_is_answered_with_cause_81(pbx: SimulatedPBX, alice: SimulatedPhone, call: Any, to: bool) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        # With a negative number a setup would be one of the app's own calls.
        for kind in ("setup" if call != -1 else "facility", "alert", "disc", "future"):
            app.send(signaling(call, {"type": kind}, to=to))
        # The answer comes from the side that was spoken to, so a phone's without `to`.
        app.wait_signal("rel", to=not to, count=4)
        rels = [message for message in app.messages if message["mt"] == "Signaling"]
        assert [message["sig"] for message in rels] == [{"type": "rel", "cau": {"num": 81}}] * 4
        assert all(message["call"] == call for message in rels)


def test_rel_is_never_answered(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        for to in (True, False):
            app.send(signaling(77, {"type": "rel"}, to=to))
        app.challenge()
        assert not any(message["mt"] == "Signaling" for message in app.messages)


def test_rel_for_a_live_call_is_not_answered(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connect(alice, bob)
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        app.send(signaling(call.id, {"type": "rel"}, to=True))
        call.wait("null")
        assert bob.calls == [ringing], "the PBX was told nothing"
        app.send(signaling(call.id, {"type": "rel"}, to=False))
        ringing.wait("null")
        app.challenge()
        assert not any(message["mt"] == "Signaling" for message in app.messages)


@pytest.mark.parametrize("extra", [{"src": "other"}, {}, {"src": "1", "sig": 5}, {"src": "1", "sig": None}])
def test_signaling_that_belongs_nowhere_is_ignored(pbx: SimulatedPBX, alice: SimulatedPhone, extra: dict[str, Any]) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        app.send({"mt": "Signaling", "api": "EpSignal", "to": True, "call": 1, "sig": {"type": "rel"}, **extra})
        app.challenge()
        assert len(alice.standing_calls) == 2
        assert any(note.startswith("ignored: Signaling") for note in pbx.log.texts("note"))


def test_app_that_answers_a_setup_itself(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        call = alice.call("23")
        assert app.wait_signal("setup")["call"] == call.id
        for kind in ("call_proc", "conn"):
            app.send(signaling(call.id, {"type": kind}, to=True))
        call.wait("connected")
        call.hangup()
        app.wait_signal("rel", to=False)
        assert not pbx.log.entries(place="to-pbx", device="aa", call=call.id)


def test_id_is_not_reused_while_its_rel_is_on_the_way(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connect(alice, bob)
    with RawApp(pbx, forward=False).login() as app:
        app.attach("bb")
        bob.hangup()
        alice.hangup()
        # The two rels cross in the app: neither side has the call any more, and both rels are still to arrive.
        app.wait_signal("rel", to=False)
        app.wait_signal("rel", to=True)
        app.forward = True
        second = bob.call("22")
        assert second.id != ringing.id
        for message in [message for message in app.messages if message["mt"] == "Signaling" and message["call"] == ringing.id]:
            app.send(message)
        places = ("to-phone", "to-pbx")
        pbx.wait_for(lambda log: all(log.entries(place=place, device="bb", call=ringing.id, type="rel") for place in places))
        third = bob.call("22")
        assert third.id == ringing.id


def test_id_is_free_when_the_app_goes_that_has_its_rel_in_hand(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    _, ringing = connect(alice, bob)
    with RawApp(pbx, forward=False).login() as app:
        app.attach("bb")
        bob.hangup()
        alice.hangup()
        app.wait_signal("rel", to=False)
        app.wait_signal("rel", to=True)
        pbx.drop_connections()
    assert bob.call("22").id == ringing.id


def test_signaling_for_an_unregistered_phone_is_ignored(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("aa")
        alice.unregister()
        app.wait_mt("Detached")
        before = len(app.texts)
        app.send(signaling(9, {"type": "alert"}, to=True))
        app.challenge()
        assert len(app.texts) == before + 1
