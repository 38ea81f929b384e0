"""What people do in a call, and what an app has a phone do: hold and retrieve, DTMF, remote control."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from typing import Any

import pytest

from epsignal_sync.errors import ReplyTimeout, UsageError
from epsignal_sync.messages import RemoteControl
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .test_path import alice, bob, connect, signaling  # noqa: F401
from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401


def facility(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "facility", "fty": [{"type": name, **fields}]}


def control(what: str, **fields: Any) -> dict[str, Any]:
    return facility("innovaphone_remote_control", control=what, **fields)


def call_of_the_app(pbx: SimulatedPBX, app: RawApp, bob: SimulatedPhone, *fty: dict[str, Any]) -> Any:
    """Have the app call Bob on Alice's behalf, under -1, and return Bob's connected call."""
    setup = {"type": "setup", "cd": {"num": "23"}, "complete": True, "channel": -1, "fty": list(fty)}
    app.send(signaling(-1, setup, to=False))
    ringing = bob.wait("alert")
    bob.answer()
    app.wait_signal("conn", to=True, call=-1)
    return ringing


def test_hold_and_retrieve_are_told_to_the_peer(alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connect(alice, bob)
    call.hold()
    assert ringing.wait_until(lambda each: each.held) and call.on_hold and not (call.held or ringing.on_hold)
    bob.hold()
    assert call.wait_until(lambda each: each.held) and call.on_hold
    call.retrieve()
    ringing.wait_until(lambda each: not each.held)
    assert call.held and not call.on_hold, "he still holds her"
    assert [each["type"] for each in ringing.facilities if "notify" in each["type"]] == ["hold_notify", "retrieve_notify"]


def test_hold_out_of_turn(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    with pytest.raises(UsageError, match="no connected call"):
        call.hold()
    bob.wait("alert").answer()
    call.wait("connected")
    with pytest.raises(UsageError, match="not on hold"):
        alice.retrieve()
    alice.hold()
    with pytest.raises(UsageError, match="on hold already"):
        alice.hold()
    assert len(pbx.log.entries(place="from-phone", device="aa", type="facility")) == 1


def test_hold_by_media_alone_shows_no_facility(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connect(alice, bob)
    bob.hold_by_media = True
    ringing.hold()
    offer = pbx.log.last("to-phone", "aa", type="channels")
    assert offer is not None and offer.sig["channels_cmd"] == "PROPOSAL"
    assert ringing.on_hold and not call.held
    assert not pbx.log.entries(device="bb", type="facility", call=ringing.id)


@pytest.mark.parametrize("turn", [("remote_hold", True), ("remote_retrieve", False)])
def test_remote_hold_of_the_apps_own_call(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, turn: tuple[str, bool]) -> None:
    name, on_hold = turn
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        call = call_of_the_app(pbx, app, bob)
        if not on_hold:
            bob.hold()
            app.wait_signal("facility", to=True, call=-1)
        app.send(signaling(-1, facility(name), to=False))
        app.wait(lambda message: message.get("sig", {}).get("fty") == [{"type": f"{name}_result"}])
        assert call.on_hold is on_hold
        bob.answers[name] = "silent"
        app.send(signaling(-1, facility(name), to=False))
        call.wait_facility(name, count=2)
        app.challenge()
        assert len([message for message in app.messages if f"{name}_result" in str(message)]) == 1


def test_digits_are_heard_by_the_other_phone(alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connect(alice, bob)
    alice.press("123#")
    assert ringing.wait_until(lambda each: each.digits == "123#") and not call.digits
    ringing.press("A")
    call.wait_until(lambda each: each.digits == "A")
    alice.hold()
    bob.press("5")
    alice.press("6")
    assert (call.digits, ringing.digits) == ("A", "123#"), "nobody hears anything on hold"
    with pytest.raises(ReplyTimeout, match="'A'"):
        call.wait_until(lambda each: each.digits == "5", timeout=0.01)


@pytest.mark.parametrize("digits", ["", "12x", 5, "١"])
def test_digits_that_nobody_has(alice: SimulatedPhone, bob: SimulatedPhone, digits: Any) -> None:
    connect(alice, bob)
    with pytest.raises(UsageError, match="DTMF"):
        alice.press(digits)


def test_digits_without_a_call(alice: SimulatedPhone) -> None:
    with pytest.raises(UsageError, match="no connected call"):
        alice.press("1")


def test_remote_control_of_a_devices_call(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("aa")
        call = bob.call("22")
        mine = alice.wait("alert")
        app.send(signaling(mine.id, control("CONNECT"), to=True))
        call.wait("connected")
        app.send(signaling(mine.id, control("HOLD"), to=True))
        call.wait_until(lambda each: each.held)
        app.send(signaling(mine.id, control("RETRIEVE"), to=True))
        call.wait_until(lambda each: not each.held)
        for digit in ("1", "23", "x", "", None, "#"):
            app.send(signaling(mine.id, control("DTMF_DIGIT", digit=digit), to=True))
        call.wait_until(lambda each: each.digits == "1#")
    controls = [each[1:] for each in alice.remote_controls]
    assert controls[:4] == [("CONNECT", None), ("HOLD", None), ("RETRIEVE", None), ("DTMF_DIGIT", "1")] and len(controls) == 9


def test_remote_control_that_cannot_be_done_now(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("aa")
        call = alice.call("23")
        call.wait("alert")
        for what in ("CONNECT", "HOLD", "RETRIEVE", "DTMF_DIGIT", None, 5, "NOT_KNOWN"):
            app.send(signaling(call.id, control(what, digit="12"), to=True))  # type: ignore[arg-type]
        pbx.wait_for(lambda log: len(alice.remote_controls) == 5)
        assert call.state == "alert" and not pbx.log.entries(place="from-phone", device="aa", type="facility")


def test_remote_control_in_a_setup_answers_at_once(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        setup = {"type": "setup", "cg": {"num": "23"}, "complete": True, "channel": -1, "fty": control("CONNECT")["fty"]}
        app.send(signaling(-1, setup, to=True))
        app.wait_signal("conn", to=False, call=-1)
        assert alice.calls[0].reached == ("setup", "alert", "connected")


def test_switches(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, _ = connect(alice, bob)
    with RawApp(pbx).login() as app:
        app.attach("aa")
        for what in RemoteControl:
            app.send(signaling(call.id, control(what.value), to=True))
        app.send(signaling(call.id, control("3PTY_TOGGLE"), to=True))
        pbx.wait_for(lambda log: len(alice.remote_controls) == len(RemoteControl) + 1)
    assert {key: alice.switches[key] for key in ("microphone", "audio", "three_party", "app")} == {
        "microphone": False, "audio": "HANDSFREE", "three_party": True, "app": "CAMERA",
    }  # fmt: skip
    assert call.state == "connected"


@pytest.mark.parametrize("what", ["CONNECT", "HOLD", "DTMF_DIGIT", "MIC_OFF"])
def test_phone_that_does_not_obey(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, what: str) -> None:
    alice.answers[what] = "silent"
    with RawApp(pbx).login() as app:
        app.attach("aa")
        call = bob.call("22")
        mine = alice.wait("alert")
        if what != "CONNECT":
            mine.answer()
            call.wait("connected")
        before = mine.state
        app.send(signaling(mine.id, control(what, digit="1"), to=True))
        pbx.wait_for(lambda log: alice.remote_controls)
        assert mine.state == before and not (mine.on_hold or call.digits or alice.switches)


@pytest.mark.parametrize(
    ("name", "answer"), [("HOLD", "conn"), ("HOLD", 21), ("hold", "silent"), ("im_message", "no"), ("im_message", 0), ("im_message", True)]
)
def test_answer_that_cannot_be(alice: SimulatedPhone, name: str, answer: Any) -> None:
    with pytest.raises(UsageError):
        alice.answers[name] = answer
    assert not alice.answers


def test_facility_that_does_not_come(alice: SimulatedPhone) -> None:
    assert alice.wait_facility("presence_notify")["contact"] == "tel:"
    with pytest.raises(ReplyTimeout, match="presence_notify 2 times"):
        alice.wait_facility("presence_notify", count=2, timeout=0.01)
    with pytest.raises(UsageError):
        alice.wait_facility("presence_notify", count=0)
