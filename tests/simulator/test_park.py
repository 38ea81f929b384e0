"""Park, pick-up and dialog information: who waits where, who gets whom, and who is told."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from epsignal_sync.errors import DetachedError, UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .test_no_media_calls import ask, facilities_of, release, wait_facility
from .test_path import alice, bob, connect, signaling  # noqa: F401
from .test_phone_features import facility
from .test_raw_app import RawApp, no_leaks, pbx, until  # noqa: F401

BOB, CAROL = {"num": "23", "sip": "bob"}, {"num": "24", "sip": "carol"}


@pytest.fixture
def carol(pbx: SimulatedPBX) -> SimulatedPhone:
    return pbx.add_phone("cc", number="24", sip="carol", name="Carol")


@pytest.fixture
def app(pbx: SimulatedPBX, carol: SimulatedPhone) -> Iterator[RawApp]:
    """An app at Carol's phone."""
    with RawApp(pbx, keep_own=True).login() as app:
        app.attach("cc")
        yield app


def test_park_and_pick_up(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call, his = connect(alice, bob)
    call.park("24", 3)
    assert (call.wait("null"), call.cause) == ("null", 16) and his.wait("parked")
    told = his.wait_facility("cp_park")
    assert (told["parked_to"], told["park_position"], told["parked"]) == (CAROL, 3, BOB)
    request = carol.pick_up("24", position=3)
    assert (request.wait("null"), request.cause) == ("null", 16)
    hers = carol.wait("connected")
    assert hers.remote == {**BOB, "dn": "Bob"} and hers.wait_facility("cp_pick_exe")["parked_calling"] == BOB
    his.wait_until(lambda each: each.state == "connected" and each.remote == {**CAROL, "dn": "Carol"})
    pbx.wait_for(lambda log: his.media.joined_to(hers.media))
    his.press("1")
    assert hers.digits == "1"
    his.hangup()
    hers.wait("null")


def test_first_free_position(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    for position in (1, 2):
        call = alice.call("23")
        bob.calls[-1].answer()
        call.wait("connected")
        call.park("24")
        call.wait("null")
        assert bob.calls[-1].wait_facility("cp_park")["park_position"] == position
    bob.calls[0].hangup()
    third = alice.call("23")
    bob.wait("alert").answer()
    third.wait("connected")
    third.park("24", 2)
    third.park("99")
    assert third.state == "connected", "it is taken, and nobody has 99"
    third.park("24", 1)
    third.wait("null")


@pytest.mark.parametrize("unregisters", [False, True])
def test_parked_party_goes(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone, unregisters: bool) -> None:
    call, his = connect(alice, bob)
    call.park("24", 1)
    his.wait("parked")
    if unregisters:
        bob.unregister()
    else:
        his.hangup()
    request = carol.pick_up("24", position=1)
    assert (request.wait("null"), request.cause) == ("null", 86)


def test_park_out_of_turn(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = alice.call("23")
    with pytest.raises(UsageError, match="no connected call"):
        call.park("23")
    call.send(facility("cp_park", parked_to=BOB))
    assert bob.wait("alert").state == call.state == "alert"


def test_park_while_the_other_end_of_a_transfer_rings(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call, his = connect(alice, bob)
    call.transfer("24")
    hers = carol.wait("alert")
    for one in (his, hers):
        one.send(facility("cp_park", parked_to={"num": "22"}))
    assert (his.state, hers.state) == ("connected", "alert")


def test_park_without_an_answer(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.answers["cp_park"] = "silent"
    call, his = connect(alice, bob)
    call.park("22")
    assert call.state == his.state == "connected"


def test_pick_up_of_what_rings(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call = alice.call("23")
    ringing = bob.wait("alert")
    carol.pick_up("23")
    hers = carol.wait("connected")
    assert (ringing.wait("null"), ringing.cause) == ("null", 26)
    call.wait("connected")
    assert call.wait_facility("ct_complete")["remote"] == CAROL and call.remote["dn"] == "Carol"
    call.press("1")
    assert hers.digits == "1"


def test_app_picks_up_for_its_phone_which_rings(
    pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone
) -> None:
    call = alice.call("23")
    bob.wait("alert")
    ask(app, {"type": "dialog_info_subscribe"}, cd={"sip": "bob"})
    call_id = wait_facility(app, "cp_group_indication_on")["callId"]
    ask(app, {"type": "cp_pick_req", "callId": call_id}, call=-2)
    assert app.wait_signal("rel", to=True, call=-2)["sig"]["cau"]["num"] == 16
    ringing = carol.wait("alert")
    assert ringing.wait_facility("cp_pick_exe")["callId"] == call_id
    carol.answer()
    call.wait("connected")
    pbx.wait_for(lambda log: not bob.calls)


def test_who_picks_up_does_not_answer(alice: SimulatedPhone, bob: SimulatedPhone, carol: SimulatedPhone) -> None:
    call, his = connect(alice, bob)
    call.park("24", 1)
    carol.busy = True
    assert carol.pick_up("24").wait("null")
    carol.wait("null")
    assert his.state == "parked", "he still waits"
    carol.busy = False
    carol.pick_up("24")
    carol.wait("connected")


@pytest.mark.parametrize("wanted", [{"number": "23"}, {"call_id": "00"}, {"number": "23", "position": 7}])
def test_nothing_to_pick_up(alice: SimulatedPhone, bob: SimulatedPhone, wanted: dict[str, Any]) -> None:
    request = alice.pick_up(**wanted)
    assert (request.wait("null"), request.cause) == ("null", 86)


def test_pick_up_that_cannot_be(alice: SimulatedPhone) -> None:
    with pytest.raises(UsageError):
        alice.pick_up()
    alice.unregister()
    with pytest.raises(DetachedError):
        alice.pick_up("23")


def test_dialogs_are_told(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    ask(app, {"type": "dialog_info_subscribe"}, cd={"sip": "bob"})
    call = alice.call("23")
    wait_facility(app, "cp_group_indication_on")
    bob.wait("alert").answer()
    call.wait("connected")
    bob.hold()
    app.wait(lambda message: '"sig_call_state":389' in str(message).replace("'", '"').replace(" ", ""))
    told = facilities_of(app, "cp_group_indication_on")
    assert [each["sig_call_state"] for each in told if each["sig_call_state"] != 129] == [132, 133, 389]
    assert told[-1] == {
        **told[-1], "member": BOB, "parked_calling": {"num": "22", "sip": "alice"}, "parked_to_alerting": BOB, "inbound_call": True,
        "name_id_calling": "Älice", "name_id_alerting": "Bob",
    }  # fmt: skip
    call.hangup()
    off = wait_facility(app, "cp_group_indication_off")
    assert off["callId"] == told[0]["callId"] and off["member"] == BOB
    release(app)
    alice.call("23")
    bob.wait("alert")
    assert len(facilities_of(app, "cp_group_indication_off")) == 1
    assert len(facilities_of(app, "cp_group_indication_on")) == len(told)


def test_dialogs_that_are_there_already_and_outgoing_ones(app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call = bob.call("22")
    alice.wait("alert").answer()
    call.wait("connected")
    ask(app, {"type": "dialog_info_subscribe"}, cd={"num": "23"})
    told = wait_facility(app, "cp_group_indication_on")
    assert told["sig_call_state"] == 5 and told["inbound_call"] is False and told["parked_calling"] == BOB


def test_dialog_of_two_phones_of_one_user(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    second = pbx.add_phone("b2", number="23", sip="bob", name="Bob")
    ask(app, {"type": "dialog_info_subscribe"}, cd={"sip": "bob"})
    alice.call("23")
    bob.wait("alert")
    second.wait("alert").answer()
    app.wait(lambda message: "'sig_call_state': 133" in str(message))
    assert not facilities_of(app, "cp_group_indication_off")
    assert len({each["callId"] for each in facilities_of(app, "cp_group_indication_on")}) == 1


def test_parked_call_is_told_to_who_watches_the_place(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.add_phone("dd", number="25", sip="place")
    ask(app, {"type": "dialog_info_subscribe"}, cd={"sip": "place"})
    call, his = connect(alice, bob)
    call.park("25", 4)
    told = wait_facility(app, "cp_group_indication_on")
    assert (told["park_position"], told["sig_call_state"], told["parked_calling"]) == (4, 136, BOB)
    his.hangup()
    assert wait_facility(app, "cp_group_indication_off")["callId"] == told["callId"]


def test_dialog_of_who_is_held_and_transferred(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.add_phone("dd", number="25", sip="dave")
    ask(app, {"type": "dialog_info_subscribe"}, cd={"sip": "bob"})
    first, _ = connect(alice, bob)

    def states() -> list[int]:
        return [each["sig_call_state"] for each in facilities_of(app, "cp_group_indication_on")]

    first.hold()
    until(lambda: states()[-1:] == [128 + 512 + 5], "Bob is held")
    second = alice.call("25")
    assert second.wait("alert")
    first.transfer(second)
    first.wait("null")
    until(lambda: states()[-1] == 128 + 5, "Bob is transferred")


def test_phone_is_not_told_of_its_own_calls(alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    connect(alice, bob)
    assert not [each for _, each in alice.facilities if each["type"].startswith("cp_")]


def test_user_info_of_128_bytes_at_most(alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, his = connect(alice, bob)
    for text in ("x" * 129, "ü" * 65, "ü" * 64, "last"):
        call.send({"type": "user_info", "uui": text})
    assert his.wait_until(lambda each: "last" in each.user_infos) and his.user_infos == ("ü" * 64, "last")
