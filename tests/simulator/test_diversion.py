"""Diversions: set at the phone, asked for by an app, and an app that sends a call elsewhere."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .test_no_media_calls import ask, facilities_of, say, wait_facility
from .test_path import alice, bob, signaling  # noqa: F401
from .test_phone_features import facility
from .test_raw_app import RawApp, no_leaks  # noqa: F401

ALICE, BOB, CAROL = {"num": "22", "sip": "alice"}, {"num": "23", "sip": "bob"}, {"num": "24", "sip": "carol"}


@pytest.fixture
def pbx(no_leaks: None) -> Iterator[SimulatedPBX]:
    with SimulatedPBX(setup_timeout=120.0, diversion_timeout=0.2) as pbx:
        pbx.add_app("phones", password="pwd")
        yield pbx


@pytest.fixture
def carol(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("cc", number="24", sip="carol", name="Carol")


def check_diverted(alice: SimulatedPhone, carol: SimulatedPhone, reason: str) -> None:
    """Alice called Bob, and it rings at Carol; both know by whom, and they talk."""
    ringing = carol.wait("alert")
    assert ringing.remote == {**ALICE, "dn": "Älice"}
    leg2 = {"diverting": BOB, "original_called": BOB, "diverting_name": "Bob", "original_called_name": "Bob"}
    assert ringing.wait_facility("diverting_leg2") == {"type": "diverting_leg2", **leg2}
    call = alice.calls[0]
    leg1 = {"type": "diverting_leg1", "reason": reason, "nominated": {"num": "24"}, "redirecting": BOB}
    assert call.wait_facility("diverting_leg1")["reason"] == reason
    assert call.wait_facility("diverting_leg1") == {**leg1, "nominated": call.wait_facility("diverting_leg1")["nominated"]}
    assert call.wait_facility("diverting_leg3") == {"type": "diverting_leg3", "redirection": CAROL}
    carol.answer()
    call.wait("connected")
    call.press("1")
    assert ringing.digits == "1"


def test_always(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    bob.divert("ALWAYS", "24")
    alice.call("23")
    check_diverted(alice, carol, "ALWAYS")
    assert not bob.calls
    bob.divert("ALWAYS", None)
    alice.call("23")
    bob.wait("alert")


def test_busy(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    bob.divert("BUSY", "24")
    alice.call("23").hangup()
    bob.busy = True
    alice.call("23")
    check_diverted(alice, carol, "BUSY")


def test_refused_is_not_busy(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    bob.divert("BUSY", "24")
    call = alice.call("23")
    bob.wait("alert")
    bob.reject()
    assert (call.wait("null"), call.cause) == ("null", 21) and not carol.calls


def test_connected_call_that_ends_with_busy(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    bob.divert("BUSY", "24")
    call = alice.call("23")
    bob.wait("alert").answer()
    call.wait("connected")
    bob.hangup(cause=17)
    call.wait("null")
    assert not carol.calls


def test_no_answer(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    bob.divert("NO_ANSWER", "24")
    alice.call("23")
    check_diverted(alice, carol, "NO_ANSWER")
    rang = bob.wait("null")
    assert rang.cause == 16 and "alert" in rang.reached


def test_diverted_twice(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone, pbx: SimulatedPBX) -> None:
    dave = pbx.add_phone("dd", number="25", sip="dave", name="Dave")
    bob.divert("ALWAYS", "24")
    carol.divert("ALWAYS", "25")
    alice.call("23")
    told = dave.wait("alert").wait_facility("diverting_leg2")
    assert (told["diverting"], told["original_called"]) == (CAROL, BOB)
    assert alice.calls[0].wait_facility("diverting_leg1", count=2)["redirecting"] == CAROL


@pytest.mark.parametrize("procedure", ["ALWAYS", "BUSY"])
def test_diverted_in_a_circle(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone, procedure: str) -> None:
    bob.busy = carol.busy = True
    bob.divert(procedure, "24")
    carol.divert(procedure, "23")
    call = alice.call("23")
    assert (call.wait("null"), call.cause) == ("null", 25)
    assert not (bob.calls or carol.calls)


def test_diverted_to_nobody(alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    bob.divert("ALWAYS", "99")
    call = alice.call("23")
    assert (call.wait("null"), call.cause) == ("null", 1)


@pytest.mark.parametrize("procedure", ["", "always", None])
def test_diversion_that_cannot_be(alice: SimulatedPhone, procedure: Any) -> None:
    with pytest.raises(UsageError, match="ALWAYS"):
        alice.divert(procedure, "23")


def test_app_asks_for_diversions(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    alice.divert("BUSY", "23")
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        ask(app, {"type": "diversion_interrogate", "procedure": "BUSY", "served": ALICE})
        entry = {"procedure": "BUSY", "remote_enabled": False, "served": ALICE, "diverted_to": {"num": "23"}}
        assert wait_facility(app, "diversion_interrogate_result") == {
            "type": "diversion_interrogate_result", "procedure": "BUSY", "num": 1, "list": [entry],
        }  # fmt: skip
        assert app.wait_signal("conn", to=True, call=-1)
        for count, (procedure, served) in enumerate([("ALWAYS", None), ("ALWAYS", {"sip": "nobody"}), ("SOMETIMES", ALICE)], 2):
            say(app, {"type": "diversion_interrogate", "procedure": procedure, "served": served})
            wait_facility(app, "diversion_interrogate_result", count)
        results = facilities_of(app, "diversion_interrogate_result")[1:]
        assert [(each.get("num"), each.get("list"), "error" in each) for each in results] == [(0, [], False), *[(None, None, True)] * 2]


def reroute(app: RawApp, call: int, number: str) -> None:
    app.send(signaling(call, facility("diversion_callreroute", called={"num": number}, served=BOB, reason="ALWAYS"), to=False))


def test_app_sends_a_ringing_call_elsewhere(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("bb", "1")
        alice.call("23")
        ringing = bob.wait("alert")
        reroute(app, ringing.id, "24")
        assert (ringing.wait("null"), ringing.cause) == ("null", 16)
        check_diverted(alice, carol, "ALWAYS")


@pytest.mark.parametrize("why", ["unknown", "connected", "silent"])
def test_call_that_cannot_go_elsewhere_stays(
    pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone, why: str
) -> None:
    with RawApp(pbx).login() as app:
        app.attach("bb", "1")
        call = alice.call("23")
        ringing = bob.wait("alert")
        if why == "connected":
            ringing.answer()
            call.wait("connected")
        elif why == "silent":
            pbx.answers["diversion_callreroute"] = "silent"
        before = ringing.state
        reroute(app, ringing.id, "99" if why == "unknown" else "24")
        pbx.wait_for(lambda log: log.last("to-pbx", "bb", type="facility"))
        assert ringing.state == before and not call.ended and not carol.calls
