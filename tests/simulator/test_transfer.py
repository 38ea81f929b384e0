"""Blind and attended transfer: who talks to whom afterwards, what each is told, and how it fails."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from typing import Any

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedCall, SimulatedPBX, SimulatedPhone

from .test_path import alice, bob, connect, signaling  # noqa: F401
from .test_phone_features import call_of_the_app, facility
from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401

CAROL = {"num": "24", "sip": "carol"}


@pytest.fixture
def carol(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("cc", number="24", sip="carol", name="Carol")


def consult(alice: SimulatedPhone, carol: SimulatedPhone, *, answered: bool = True) -> SimulatedCall:
    second = alice.call("24")
    carol.wait("alert")
    if answered:
        carol.answer()
        second.wait("connected")
    return second


def check_joined(pbx: SimulatedPBX, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    """Bob and Carol talk to each other, know it, and hear each other; then one hangs up, and nothing is left."""
    his, hers = bob.wait("connected"), carol.wait("connected")
    his.wait_facility("ct_complete")
    hers.wait_facility("ct_complete")
    assert his.remote == {**CAROL, "dn": "Carol"} and hers.remote == {"num": "23", "sip": "bob", "dn": "Bob"}
    pbx.wait_for(lambda log: his.media.joined_to(hers.media))
    his.press("1")
    hers.press("2")
    assert (his.digits, hers.digits) == ("2", "1")
    his.hangup()
    hers.wait("null")
    pbx.wait_for(lambda log: not (bob.calls or carol.calls))


def test_blind(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call, _ = connect(alice, bob)
    call.transfer("24")
    assert (call.wait("null"), call.cause) == ("null", 16)
    assert call.facilities[-1] == {"type": "ct_initiate_result"} and not alice.calls
    ringing = carol.wait("alert")
    assert ringing.remote == {"num": "23", "sip": "bob", "dn": "Bob"}
    assert ringing.wait_facility("ct_setup")["dst"] == {"num": "24"}
    his = bob.calls[0]
    assert [entry.type for entry in pbx.log.entries(place="to-phone", device="bb", call=his.id)] == ["setup"], "she has not answered yet"
    carol.answer()
    check_joined(pbx, bob, carol)


def test_blind_by_who_was_called(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call = bob.call("22")
    alice.wait("alert").answer()
    call.wait("connected")
    alice.transfer("24")
    carol.wait("alert").answer()
    check_joined(pbx, bob, carol)


def test_blind_to_who_refuses(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call, his = connect(alice, bob)
    carol.busy = True
    call.transfer("24")
    assert (his.wait("null"), his.cause) == ("null", 17)


def test_blind_to_a_phone_that_must_be_asked_for_an_offer(
    pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone
) -> None:
    carol.media_offers = "request"
    call, _ = connect(alice, bob)
    call.transfer("24")
    carol.wait("alert").answer()
    check_joined(pbx, bob, carol)


def test_party_hangs_up_before_the_new_one_answers(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call, his = connect(alice, bob)
    call.transfer("24")
    carol.wait("alert")
    his.hangup()
    carol.wait("null")
    assert not (alice.calls or bob.calls or carol.calls)


@pytest.mark.parametrize(
    ("facilities", "error", "cause"),
    [
        ({"dst": {"num": "99"}}, 1004, 1), ({"dst": {"sip": "nobody"}}, 1004, 1), ({}, 1005, 86), ({"id": 5}, 1005, 86),
        ({"id": "x", "dst": {}}, 1005, 86), ({"dst": "24"}, 1005, 86),
    ],
)  # fmt: skip
def test_transfer_to_nothing(alice: SimulatedPhone, bob: SimulatedPhone, facilities: dict[str, Any], error: int, cause: int) -> None:
    call, his = connect(alice, bob)
    call.send(facility("ct_initiate", **facilities))
    assert call.wait_facility("ct_initiate_result") == {"type": "ct_initiate_result", "error": error, "cause": cause}
    assert call.state == his.state == "connected"


def test_transfer_before_the_answer(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call = alice.call("23")
    bob.wait("alert")
    with pytest.raises(UsageError):
        call.transfer("24")
    call.send(facility("ct_initiate", dst=CAROL))
    assert call.wait_facility("ct_initiate_result")["error"] == 7
    assert bob.calls[0].state == "alert" and not carol.calls


def test_attended(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    first, _ = connect(alice, bob)
    first.hold()
    second = consult(alice, carol)
    first.transfer(second)
    for call in (first, second):
        assert (call.wait("null"), call.cause) == ("null", 16)
    result = second.wait_facility("ct_identify_result")
    assert result["id"] > 0 and result["dst"] == CAROL
    assert first.wait_facility("ct_initiate_result") == {"type": "ct_initiate_result"}
    bob.calls[0].wait_until(lambda call: not call.held)
    check_joined(pbx, bob, carol)


def test_attended_to_who_still_rings(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    first, _ = connect(alice, bob)
    second = consult(alice, carol, answered=False)
    alice.transfer(second)
    first.wait("null")
    assert carol.calls[0].wait_until(lambda call: call.remote["dn"] == "Bob")
    carol.answer()
    check_joined(pbx, bob, carol)


def test_attended_out_of_turn(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    first, his = connect(alice, bob)
    for other in (first, his):
        with pytest.raises(UsageError):
            alice.transfer(other, first)
    second = consult(alice, carol)
    second.send(facility("ct_identify"))
    result = second.wait_facility("ct_identify_result")
    second.send(facility("ct_initiate", id=result["id"], dst=result["dst"]))
    assert second.wait_facility("ct_initiate_result")["error"] == 1005, "to itself"
    second.hangup()
    first.send(facility("ct_initiate", id=result["id"]))
    assert first.wait_facility("ct_initiate_result")["error"] == 1005, "the consultation is over"
    assert first.state == "connected"


def test_id_is_of_the_last_question_only(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    first, _ = connect(alice, bob)
    second = consult(alice, carol)
    for count in (1, 2):
        second.send(facility("ct_identify"))
        second.wait_facility("ct_identify_result", count=count)
    first.send(facility("ct_initiate", id=second.wait_facility("ct_identify_result")["id"]))
    assert first.wait_facility("ct_initiate_result")["error"] == 1005


def test_call_of_an_app_is_transferred(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        call_of_the_app(pbx, app, bob)
        app.send(signaling(-1, facility("ct_initiate", dst=CAROL), to=False))
        app.wait(lambda message: message.get("sig", {}).get("fty") == [{"type": "ct_initiate_result"}])
        assert app.wait_signal("disc", to=True, call=-1)["sig"]["cau"]["num"] == 16
        carol.wait("alert").answer()
        pbx.wait_for(lambda log: bob.calls[0].remote.get("num") == "24")


def test_transfer_that_is_refused(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    pbx.answers["ct_initiate"] = 29
    call, _ = connect(alice, bob)
    call.transfer("24")
    result = call.wait_facility("ct_initiate_result")
    assert result["cause"] == 29 and "error" in result and call.state == "connected" and not carol.calls


def test_transfer_without_a_result(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    pbx.answers["ct_initiate"] = "rel"
    call, _ = connect(alice, bob)
    call.transfer("24")
    call.wait("null")
    carol.wait("alert")
    assert not call.facilities or call.facilities[-1]["type"] != "ct_initiate_result"


@pytest.mark.parametrize("name", ["ct_identify", "ct_initiate"])
def test_transfer_without_an_answer(
    pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone, name: str
) -> None:
    pbx.answers[name] = "silent"
    first, his = connect(alice, bob)
    second = consult(alice, carol)
    first.transfer(second)
    assert not first.ended and not second.ended and his.remote["num"] == "22"
    assert not [each for each in first.facilities if each["type"].startswith("ct_")]


def test_other_facilities_beside_a_transfer_go_on(alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, his = connect(alice, bob)
    call.send({"type": "facility", "fty": [{"type": "ct_identify"}, {"type": "x_new"}]})
    his.wait_facility("x_new")
    assert not [each for each in his.facilities if each["type"] == "ct_identify"]
