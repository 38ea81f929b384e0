"""Calls that an app starts or takes over: who hears of them, and how they end."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedCall, SimulatedPBX, SimulatedPhone

from .test_path import signaling
from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401

SETUP = {"type": "setup", "cg": {"num": "110", "sip": "police"}, "cd": {"num": "23"}, "complete": True, "channel": -1}
NO_MEDIA = {"type": "setup", "bc": "a880", "cd": {"sip": "bob"}, "complete": True, "channel": 0}


@pytest.fixture
def alice(pbx: SimulatedPBX, request: pytest.FixtureRequest) -> SimulatedPhone:
    return pbx.add_phone("aa", number="22", sip="alice", name="Älice", kind=getattr(request, "param", "h323"))


@pytest.fixture
def bob(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("bb", number="23", sip="bob", name="Bob")


@pytest.fixture
def app(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> Iterator[RawApp]:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        yield app


def setup_of(pbx: SimulatedPBX, phone: SimulatedPhone) -> dict[str, Any]:
    """Return the last setup that arrived at a phone."""
    entry = pbx.log.last("to-phone", phone.hw, type="setup")
    assert entry is not None
    return entry.sig


def places_of(pbx: SimulatedPBX, call: int) -> set[str]:
    return {entry.place for entry in pbx.log.entries(device="aa", call=call)}


def test_call_towards_the_pbx(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-5, SETUP, to=False))
    ringing = bob.wait("alert")
    assert ringing.remote == {"num": "22", "sip": "alice", "dn": "Älice"} and ringing.id > 0
    bob.answer()
    conn = app.wait_signal("conn", src="1", to=True, call=-5)
    assert set(conn) == {"mt", "api", "src", "to", "call", "sig"} and conn["sig"]["fty"] == [{"type": "name_identification", "name": "Bob"}]
    app.send(signaling(-5, {"type": "user_info", "uui": "hello"}, to=False))
    assert pbx.wait_for(lambda log: log.last("to-phone", "bb", type="user_info")).sig["uui"] == "hello"
    app.send(signaling(-5, {"type": "rel", "cau": {"num": 16}}, to=False))
    ringing.wait("null")
    assert [message["sig"]["type"] for message in app.messages if message.get("call") == -5] == ["call_proc", "alert", "conn"]
    assert places_of(pbx, -5) == {"from-app", "to-pbx", "from-pbx", "to-app"}, "the phone knows nothing of it"
    assert alice.calls == []


@pytest.mark.parametrize("alice", ["h323", "sip"], indirect=True)
def test_other_party_hangs_up_the_apps_call(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, {**SETUP, "cd": {"sip": "bob"}}, to=False))
    bob.wait("alert")
    bob.reject()
    end = app.wait_signal("disc" if alice.kind == "h323" else "rel", to=True, call=-1)
    assert end["sig"]["cau"]["num"] == 21
    if alice.kind == "h323":
        app.send(signaling(-1, {"type": "rel"}, to=False))
    app.challenge()
    app.send(signaling(-1, {"type": "info"}, to=False))
    assert app.wait_signal("rel", to=True, call=-1, count=1 if alice.kind == "h323" else 2)["sig"]["cau"]["num"] == 81


@pytest.mark.parametrize("alice", ["h323", "sip"], indirect=True)
@pytest.mark.parametrize(("called", "cause"), [({"num": "99"}, 1), ({"sip": "nobody"}, 1), ({}, 1), ({"num": "23"}, 20)])
def test_call_of_an_app_that_fails(
    pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone, called: dict[str, str], cause: int
) -> None:
    bob.unregister()
    app.send(signaling(-1, {**SETUP, "cd": called}, to=False))
    assert app.wait_signal("disc" if alice.kind == "h323" else "rel", to=True, call=-1)["sig"]["cau"]["num"] == cause


@pytest.mark.parametrize("alice", ["h323", "sip"], indirect=True)
def test_call_towards_the_phone(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone) -> None:
    app.send(signaling(-7, SETUP, to=True))
    ringing = alice.wait("alert")
    assert (ringing.id, ringing.incoming, ringing.remote) == (-7, True, {"num": "110", "sip": "police"})
    app.wait_signal("alert", to=False, call=-7)
    alice.answer()
    app.wait_signal("conn", src="1", to=False, call=-7)
    app.send(signaling(-7, {"type": "disc"}, to=True))
    app.wait_signal("rel", to=False, call=-7)
    assert ringing.ended
    assert places_of(pbx, -7) == {"from-app", "to-phone", "from-phone", "to-app"}, "the PBX knows nothing of it"


def test_busy_phone_refuses_the_apps_call(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone) -> None:
    alice.busy = True
    app.send(signaling(-1, SETUP, to=True))
    assert app.wait_signal("rel", to=False, call=-1)["sig"]["cau"]["num"] == 17
    assert alice.calls == []


def test_two_legs_with_two_ids_make_a_conversation(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, SETUP, to=True))
    app.send(signaling(-2, SETUP, to=False))
    bob.wait("alert")
    for phone in (alice, bob):
        phone.answer()
    app.wait_signal("conn", to=False, call=-1)
    app.wait_signal("conn", to=True, call=-2)
    assert alice.call_now is not None and alice.call_now.id == -1


@pytest.mark.parametrize("first", [True, False])
def test_one_id_has_one_far_end(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone, first: bool) -> None:
    app.send(signaling(-1, SETUP, to=first))
    app.wait_signal("alert", to=not first, call=-1)
    app.send(signaling(-1, SETUP, to=not first))
    assert app.wait_signal("rel", to=first, call=-1)["sig"]["cau"]["num"] == 81
    assert len([*alice.calls, *bob.calls]) == 1


def test_id_of_the_app_can_be_used_at_two_devices(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.attach("bb", "2")
    app.send(signaling(-1, SETUP, to=True))
    app.send({**signaling(-1, SETUP, to=True), "src": "2"})
    app.wait_signal("alert", src="1", to=False, call=-1)
    app.wait_signal("alert", src="2", to=False, call=-1)
    assert [call.id for call in (*alice.calls, *bob.calls)] == [-1, -1]


def test_forwarding_the_apps_own_message_is_answered(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, SETUP, to=False))
    app.send(app.wait_signal("alert", to=True, call=-1))
    assert app.wait_signal("rel", to=False, call=-1)["sig"]["cau"]["num"] == 81
    assert bob.call_now is not None and bob.call_now.state == "alert"


@pytest.mark.parametrize(
    ("facility", "answers"), [("presence_subscribe", ["conn", "facility"]), ("mwi_interrogate", ["call_proc", "facility"])]
)
def test_no_media_call_of_an_app(pbx: SimulatedPBX, app: RawApp, bob: SimulatedPhone, facility: str, answers: list[str]) -> None:
    app.send(signaling(-1, {**NO_MEDIA, "fty": [{"type": facility}]}, to=False))
    app.wait_signal(answers[-1], to=True, call=-1)
    assert [message["sig"]["type"] for message in app.messages if message.get("call") == -1] == answers
    assert bob.calls == []


def test_no_media_call_to_the_phone_does_not_ring(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone) -> None:
    alice.busy = True
    app.send(signaling(-1, {**NO_MEDIA, "fty": [{"type": "mwi_activate"}]}, to=True))
    assert app.wait_signal("conn", to=False, call=-1)["sig"]["channel"] == 0
    assert alice.calls == [] and [call.id for call in alice.standing_calls] == [1, 2, -1]


@pytest.mark.parametrize("alice", ["h323", "sip"], indirect=True)
@pytest.mark.parametrize("how", ["dropped", "another app attaches"])
def test_end_of_the_connection_ends_the_apps_calls_alone(
    pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone, how: str
) -> None:
    app.forward = True
    carol = pbx.add_phone("cc", number="24", sip="carol")
    own = alice.call("24")
    carol.wait("alert")
    carol.answer()
    own.wait("connected")
    app.forward = False
    app.send(signaling(-1, SETUP, to=False))
    app.send(signaling(-2, SETUP, to=True))
    called = bob.wait("alert")
    pbx.wait_for(lambda log: len(alice.calls) == 2)
    rung = alice.calls[1]
    with contextlib.ExitStack() as stack:
        if how == "dropped":
            pbx.drop_connections()
        else:
            stack.enter_context(RawApp(pbx)).login().attach("aa")
        assert (called.wait("null"), called.cause) == ("null", 41)
        assert (rung.wait("null"), rung.cause) == ("null", 41)
        assert own.state == "connected" and alice.calls == [own]
        assert carol.call_now is not None and carol.call_now.state == "connected"
        own.hangup()
        carol.wait("null")


def test_sync_leaves_out_the_apps_own_call(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, SETUP, to=False))
    ringing = bob.wait("alert")
    app.attach("aa", "1")
    app.wait_mt("Sync", 4)
    assert [message["call"] for message in app.messages if message["mt"] == "Sync"] == [1, 2, 1, 2]
    assert ringing.state == "alert", "the connection is the same one, so its call goes on"


def test_unregistering_ends_the_apps_call(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, SETUP, to=False))
    app.send(signaling(-2, SETUP, to=True))
    ringing, rung = bob.wait("alert"), alice.wait("alert")
    alice.unregister()
    ringing.wait("null")
    assert ringing.cause == 27 and rung.ended


def take_over(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> SimulatedCall:
    """Have the app answer a call to Alice itself; returns Bob's call."""
    call = bob.call("22")
    app.send(signaling(app.wait_signal("setup", to=True)["call"], {"type": "conn"}, to=False))
    call.wait("connected")
    assert alice.calls == []
    return call


def test_what_the_phone_never_saw_is_answered_with_cause_81(
    pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone
) -> None:
    call = take_over(pbx, app, alice, bob)
    call.send({"type": "facility", "fty": []})
    forwarded = app.wait_signal("facility", to=True)
    app.send(forwarded)
    assert app.wait_signal("rel", to=False, call=forwarded["call"])["sig"]["cau"]["num"] == 81


@pytest.mark.parametrize("alice", ["h323", "sip"], indirect=True)
def test_app_ends_the_side_it_has_taken_over(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = take_over(pbx, app, alice, bob)
    id = app.wait_signal("setup", to=True)["call"]
    app.send(signaling(id, {"type": "rel", "cau": {"num": 31}}, to=False))
    call.wait("null")
    assert call.cause == 31
    # The call ended at the PBX alone: to the phone, which never had it, a late facility is as strange as any.
    app.send(signaling(id, {"type": "facility", "fty": []}, to=True))
    assert app.wait_signal("rel", to=False, call=id)["sig"]["cau"]["num"] == 81


def test_setup_towards_the_pbx_in_an_incoming_call_of_the_phone(
    pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone
) -> None:
    call = bob.call("22")
    id = app.wait_signal("setup", to=True)["call"]
    app.send(app.wait_signal("setup", to=True))
    ringing = alice.wait("alert")
    app.send(signaling(id, {"type": "rel"}, to=False))
    call.wait("null")
    app.send(signaling(id, SETUP, to=False))
    assert app.wait_signal("rel", to=True, call=id)["sig"]["cau"]["num"] == 81
    assert ringing.state == "alert" and bob.calls == []


def test_setup_of_the_phone_back_to_the_phone(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone) -> None:
    call = alice.call("23")
    app.send(app.wait_signal("setup", to=False, call=call.id))
    app.wait_signal("alert", to=True, call=call.id)
    app.send(signaling(call.id, {"type": "rel"}, to=True))
    call.wait("null")
    app.send(signaling(call.id, SETUP, to=True))
    assert app.wait_signal("rel", to=False, call=call.id)["sig"]["cau"]["num"] == 81


@pytest.mark.parametrize("by_app", [True, False])
def test_number_of_the_caller_is_the_devices(
    pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone, by_app: bool
) -> None:
    named = {**SETUP, "fty": [{"type": "name_identification", "name": "Police"}]}
    for facilities, expected, name in (([], {"num": "22", "sip": "alice"}, "Älice"), ([{"type": "cli_override"}], SETUP["cg"], "Police")):
        call = -1 if by_app else alice.call("23").id
        app.send(signaling(call, {**named, "fty": [*named["fty"], *facilities]}, to=False))  # type: ignore[misc]
        ringing = bob.wait("alert")
        setup = setup_of(pbx, bob)
        assert setup["cg"] == expected and setup["fty"] == [{"type": "name_identification", "name": name}, *facilities]
        assert ringing.remote == {**expected, "dn": name}  # type: ignore[dict-item]
        app.send(signaling(call, {"type": "rel"}, to=False))
        ringing.wait("null")


def test_cli_override_without_a_number(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, {**SETUP, "cg": None, "fty": [{"type": "cli_override"}]}, to=False))
    assert bob.wait("alert").remote == {"num": "22", "sip": "alice", "dn": "Älice"}


def test_overridden_number_is_in_the_sync(pbx: SimulatedPBX, app: RawApp, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, {**SETUP, "fty": [{"type": "cli_override"}]}, to=False))
    bob.wait("alert")
    app.attach("bb", "2")
    sync = app.wait(lambda message: message["mt"] == "Sync" and message["info"]["channel"] == -1)
    assert sync["info"]["remote"] == {"num": "110", "sip": "police", "dn": ""}


def test_rels_of_the_apps_call_cross(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, SETUP, to=True))
    rung = alice.wait("alert")
    with pytest.raises(UsageError, match="PBX"):
        pbx.cross_rels(rung)
    rung.hangup()
    app.wait_signal("rel", to=False, call=-1)
    app.send(signaling(-1, {"type": "rel"}, to=True))
    app.challenge()
    assert [message["sig"]["type"] for message in app.messages if message.get("call") == -1] == ["alert", "rel"]
