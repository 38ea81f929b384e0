"""Calls between phones: how they go, how they fail, what the signals carry."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from epsignal_sync.errors import ClosedError, DetachedError, ReplyTimeout, UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone
from epsignal_sync.simulator.signals import CALL_STATES, next_state

from .test_raw_app import no_leaks  # noqa: F401


@pytest.fixture
def pbx(no_leaks: None, request: pytest.FixtureRequest) -> Iterator[SimulatedPBX]:
    with SimulatedPBX(no_answer_timeout=getattr(request, "param", 30.0)) as pbx:
        yield pbx


@pytest.fixture(params=["h323", "sip"])
def alice(pbx: SimulatedPBX, request: pytest.FixtureRequest) -> SimulatedPhone:
    return pbx.add_phone("aa", number="22", sip="alice", name="Älice", kind=request.param)


@pytest.fixture
def bob(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("bb", number="23", sip="bob", name="Bob")


def ends_of(pbx: SimulatedPBX, hw: str, call: int) -> list[tuple[str, str, Any]]:
    """Return the disc and rel signals of a call, as (place, type, cause)."""
    entries = pbx.log.entries(device=hw, call=call)
    return [
        (entry.place, entry.type, entry.sig.get("cau", {}).get("num"))
        for entry in entries
        if entry.type in ("disc", "rel") and entry.place in ("from-phone", "to-phone")
    ]


def check_failure(pbx: SimulatedPBX, alice: SimulatedPhone, number: str, cause: int) -> None:
    call = alice.call(number)
    call.wait("null")
    assert call.cause == cause
    if alice.kind == "h323":
        assert ends_of(pbx, "aa", call.id) == [("to-phone", "disc", cause), ("from-phone", "rel", 16)]
        assert "disconnected" in call.reached
        disc = pbx.log.last("to-phone", "aa", type="disc")
        assert disc is not None and disc.sig["inband_info"] is True
    else:
        assert ends_of(pbx, "aa", call.id) == [("to-phone", "rel", cause)]
        assert "disconnected" not in call.reached
    assert alice.calls == []


def test_call_from_setup_to_hangup(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    ringing = bob.wait("alert")
    assert ringing.incoming and ringing.remote == {"num": "22", "sip": "alice", "dn": "Älice"}
    assert call.state == "alert" and call is alice.call_now
    bob.answer()
    call.wait("connected")
    assert call.reached == ("setup", "call-proc", "alert", "connected")
    assert call.remote == {"num": "23", "dn": "Bob"}
    alice.hangup()
    ringing.wait("null")
    assert ringing.reached == ("setup", "alert", "connected", "disconnected", "null")
    assert bob.call_now is None and bob.calls == [] and call.ended
    call.hangup()


def test_hangup_of_the_other_party(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    bob.answer()
    bob.hangup(cause=31)
    call.wait("null")
    assert call.cause == 31
    expected = [("to-phone", "disc", 31), ("from-phone", "rel", 16)] if alice.kind == "h323" else [("to-phone", "rel", 31)]
    assert ends_of(pbx, "aa", call.id) == expected


def test_busy(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    bob.busy = True
    check_failure(pbx, alice, "23", 17)


def test_rejected(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    bob.reject()
    call.wait("null")
    assert call.cause == 21


@pytest.mark.parametrize("pbx", [0.2], indirect=True)
def test_no_answer(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    check_failure(pbx, alice, "23", 19)
    bob.wait("null")
    assert bob.calls == []


@pytest.mark.parametrize("pbx", [1.0], indirect=True)
def test_answered_call_outlives_the_no_answer_timeout(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    bob.answer()
    with pytest.raises(ReplyTimeout):
        call.wait("null", timeout=1.3)
    assert call.state == "connected"


def test_unknown_number(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    check_failure(pbx, alice, "99", 1)


def test_unregistered_phone(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    bob.unregister()
    check_failure(pbx, alice, "23", 20)


def test_unregistering_during_a_call(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    bob.answer()
    bob.unregister()
    call.wait("null")
    assert call.cause == 27
    bob.register()
    assert [each.id for each in bob.standing_calls] == [1, 2]


def test_caller_hangs_up_while_it_rings(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    alice.call("23")
    alice.hangup()
    bob.wait("null")
    assert bob.calls == []


def test_ids_are_small_overlap_between_devices_and_are_reused(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    assert [call.id for call in alice.standing_calls] == [call.id for call in bob.standing_calls] == [1, 2]
    first = alice.call("23")
    assert first.id == bob.wait("alert").id == 3
    second = alice.call("23")
    assert second.id == 4 and [call.id for call in bob.calls] == [3, 4]
    first.hangup()
    first.wait("null")
    third = alice.call("23")
    assert third.id == 3 and third is not first and bob.call_now is not None and bob.call_now.id == 3


def test_offer_and_answer(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    bob.answer()
    call.wait("connected")
    sent = pbx.log.last("from-phone", "aa", type="setup")
    offer = pbx.log.last("to-phone", "bb", type="setup")
    answer = pbx.log.last("to-phone", "aa", type="conn")
    assert sent is not None and offer is not None and answer is not None
    assert sent.sig["bc"] == "8090a2" and sent.sig["complete"] is True and sent.sig["channel"] == -1
    assert offer.sig["channels_cmd"] == "PROPOSAL" and offer.sig["channels"] == sent.sig["channels"]
    assert set(offer.sig["channels"]) >= {"source", "id", "guid", "key", "audio_ice", "ch"}
    assert offer.sig["channels"]["audio_ice"]["candidate"]
    assert offer.sig["fty"][0] == {"type": "name_identification", "name": "Älice"}
    assert answer.sig["channels_cmd"] == "SELECT"
    (chosen,) = answer.sig["channels"]["ch"]
    assert chosen["coder"] in [channel["coder"] for channel in offer.sig["channels"]["ch"]]
    assert answer.sig["channels"]["guid"] != offer.sig["channels"]["guid"]


def test_every_second_setup_and_alert_holds_surprises(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    for _ in range(4):
        alice.call("23")
        bob.reject()
    places = [("from-phone", "aa", "setup"), ("to-phone", "bb", "setup"), ("from-phone", "bb", "alert"), ("to-phone", "aa", "alert")]
    for place, device, kind in places:
        signals = [entry.sig for entry in pbx.log.entries(place=place, device=device, type=kind) if entry.sig["channel"] == -1]
        assert ["x_restart" in sig for sig in signals] == [False, True, False, True]
        for sig in signals[1::2]:
            assert sig["uui"] is None and any(facility["type"] == "x_call_survival" for facility in sig["fty"])


def test_other_signals_pass_between_the_phones(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    bob.answer()
    for sig in ({"type": "facility", "fty": [{"type": "hold_notify"}]}, {"type": "media_info", "x": 1}, {"type": "future"}):
        call.send(sig)
        entry = pbx.log.last("to-phone", "bb", type=str(sig["type"]))
        assert entry is not None and entry.sig == sig


def test_wait_does_not_return_an_older_call(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    first = alice.call("23")
    bob.reject()
    first.wait("null")
    with pytest.raises(ReplyTimeout, match="aa"):
        alice.wait("alert", timeout=0.01)


def test_wait_sees_a_state_that_is_over_at_once(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    dialing = threading.Timer(0.05, alice.call, ["99"])
    dialing.start()
    assert alice.wait("call-proc").cause == 1
    dialing.join()


def test_wait_for_a_state_of_a_call_that_is_over(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    call = alice.call("99")
    with pytest.raises(ReplyTimeout, match="ended with cause 1"):
        call.wait("connected")
    with pytest.raises(UsageError, match="ringing"):
        call.wait("ringing")


def test_wait_for_raises_reply_timeout(pbx: SimulatedPBX) -> None:
    with pytest.raises(ReplyTimeout, match="within 0.01 s"):
        pbx.wait_for(lambda log: False, timeout=0.01)


def test_predicate_may_use_the_pbx(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    threads: list[threading.Thread] = []

    def predicate(log: object) -> bool:
        threads.append(threading.current_thread())
        call = alice.call("23")
        call.hangup()
        return call.ended

    assert pbx.wait_for(predicate)
    assert threads == [threading.current_thread()]


def test_mistakes_are_usage_errors(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    with pytest.raises(UsageError, match="ringing"):
        alice.answer()
    with pytest.raises(UsageError, match="hang up"):
        alice.hangup()
    with pytest.raises(UsageError, match="setup"):
        alice.standing_calls[0].send({"type": "setup"})
    with pytest.raises(UsageError, match="aa"):
        pbx.add_phone("aa", number="24", sip="x")
    with pytest.raises(UsageError, match="22"):
        pbx.add_phone("cc", number="22", sip="x")
    with pytest.raises(UsageError, match="h323"):
        pbx.add_phone("cc", number="24", sip="x", kind="fax")
    alice.unregister()
    with pytest.raises(DetachedError, match="register"):
        alice.call("23")


def test_phone_of_a_closed_pbx() -> None:
    with SimulatedPBX() as pbx:
        phone = pbx.add_phone("aa", number="22", sip="alice")
    with pytest.raises(ClosedError):
        phone.call("23")


@pytest.mark.parametrize(
    ("state", "sig", "to_device", "expected"),
    [
        ("connected", {"type": "alert"}, True, "connected"),
        ("alert", {"type": "call_proc"}, True, "alert"),
        ("setup", {"type": "setup_ack"}, True, "setup-ack"),
        ("alert", {"type": "progress"}, True, "alert"),
        ("alert", {"type": "progress", "cau": {"num": 3}}, True, "disconnected"),
        ("connected", {"type": "disc"}, False, "disconnecting"),
        ("disconnected", {"type": "conn"}, True, "disconnected"),
        ("connected", {"type": ["x"]}, True, "connected"),
        ("disconnected", {"type": "rel"}, False, "null"),
    ],
)
def test_next_state(state: str, sig: dict[str, Any], to_device: bool, expected: str) -> None:
    assert next_state(state, sig, to_device=to_device) == expected
    assert expected in CALL_STATES
