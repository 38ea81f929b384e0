"""What the PBX does where the documentation leaves it open: a second Attach, no src, calls without their app."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .test_app_calls import SETUP
from .test_path import alice, bob, signaling  # noqa: F401
from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401
from .test_restart import connected


@pytest.mark.parametrize("name", ["unknown_hw", "login_refusal", "second_attach", "calls_without_app"])
def test_value_that_is_none_of_the_choices(pbx: SimulatedPBX, name: str) -> None:
    before = getattr(pbx, name)
    with pytest.raises(UsageError, match=before):
        setattr(pbx, name, "crash")
    assert getattr(pbx, name) == before


def test_choices_from_the_start() -> None:
    pbx = SimulatedPBX(unknown_hw="silent", login_refusal="close")
    assert (pbx.unknown_hw, pbx.login_refusal) == ("silent", "close")


def test_without_src(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.without_src = True
    with RawApp(pbx).login() as app:
        app.send({"mt": "Attach", "api": "EpSignal", "src": "1", "hw": "aa"})
        assert "err" not in app.wait_mt("AttachResult")
        call, ringing = connected(alice, bob)
        ringing.hangup()
        call.wait("null")
        assert {message["mt"] for message in app.messages} >= {"Attached", "Sync", "Signaling"}
        assert not any("src" in message for message in app.messages)
        app.send({**signaling(1, {"type": "rel"}, to=True), "src": "another"})
        app.challenge()
        assert len(alice.standing_calls) == 2, "what names a device that nobody attached is not meant for this one"
        app.send({"mt": "Attach", "api": "EpSignal", "src": "2", "hw": "nothing"})
        assert "src" not in app.wait(lambda message: "err" in message)


def test_without_src_and_two_devices_nobody_can_tell(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("aa", "1")
        app.attach("bb", "2")
        pbx.without_src = True
        alice.call("99")
        note = pbx.wait_for(lambda log: next((entry for entry in log.entries(place="note") if "no device" in entry.text), None))
        assert "None" in note.text
        # What names its device goes on.
        app.send({**app.wait_signal("setup", call=3), "src": "1"})
        app.wait_signal("disc", call=3)


def test_second_attach_that_is_refused(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.second_attach = "refused"
    with RawApp(pbx).login() as older:
        older.attach("aa")
        with RawApp(pbx).login() as newer:
            assert "another app" in newer.attach("aa")["err"]
            assert "err" not in newer.attach("bb", "2")
            assert "err" not in older.attach("aa", "again"), "its own device is not refused"
            connected(alice, bob)
            older.wait_signal("setup", src="again")
            assert not any(message.get("src") == "1" for message in newer.messages if message["mt"] == "Signaling")
    with RawApp(pbx).login() as later:
        pbx.wait_for(lambda log: pbx.connections == 1)
        assert "err" not in later.attach("aa")


def test_second_attach_that_is_chained(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.second_attach = "chaining"
    with RawApp(pbx).login() as older, RawApp(pbx).login() as newer:
        older.attach("aa", "old")
        newer.attach("aa", "new")
        call, ringing = connected(alice, bob)
        for app, src in ((older, "old"), (newer, "new")):
            app.wait_signal("setup", src=src, to=False, call=3)
            app.wait_signal("conn", src=src, to=True, call=3)
        places = [(entry.place, entry.connection) for entry in pbx.log.entries(device="aa", call=3, type="conn")]
        assert places == [("from-pbx", None), ("to-app", 1), ("from-app", 1), ("to-app", 2), ("from-app", 2), ("to-phone", None)]
        places = [(entry.place, entry.connection) for entry in pbx.log.entries(device="aa", call=3, type="setup")]
        assert places == [("from-phone", None), ("to-app", 2), ("from-app", 2), ("to-app", 1), ("from-app", 1), ("to-pbx", None)]
        newer.forward = False
        pbx.cross_rels(call)
        ringing.wait("null")
        newer.wait_signal("rel", to=True)
        newer.send(newer.wait_signal("rel", to=False))
        pbx.wait_for(lambda log: log.last("to-pbx", "aa", type="rel"))
        assert alice.call("23").id == 4, "the other rel has passed one app, and is still in the hands of the other"


def test_one_of_two_chained_apps_goes(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.second_attach = "chaining"
    with RawApp(pbx, forward=False).login() as older:
        older.attach("aa", "old")
        with RawApp(pbx, forward=False).login() as newer:
            newer.attach("aa", "new")
            newer.send({**signaling(-7, SETUP, to=False), "src": "new"})
            older.send(older.wait_signal("setup", src="old", to=False, call=-7))
            of_newer = bob.wait("alert")
            older.send({**signaling(-1, SETUP, to=False), "src": "old"})
            of_older = pbx.wait_for(lambda log: next((call for call in bob.calls if call is not of_newer and call.state == "alert"), None))
        of_newer.wait("null")
        assert of_newer.cause == 41 and not of_older.ended, "the calls of the other app go on"
        older.forward = True
        call, ringing = connected(alice, pbx.add_phone("cc", number="24", sip="carol"))
        ringing.hangup()
        call.wait("null")
    of_older.wait("null")


@pytest.mark.parametrize("choice", ["kept", "released"])
def test_calls_without_their_app(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, choice: str) -> None:
    pbx.calls_without_app = choice
    with RawApp(pbx).login() as app:
        app.attach("aa")
        app.attach("bb", "2")
        call, ringing = connected(alice, bob)
        pbx.drop_connections()
        app.wait_closed()
    if choice == "kept":
        call.send({"type": "user_info", "uui": "x"})
        assert pbx.log.last("to-phone", "bb", type="user_info") and call.state == "connected"
        return
    ringing.wait("null")
    call.wait("null")
    assert call.cause == ringing.cause == 41
    assert len(alice.standing_calls) == 2, "they are no telephone calls"
    assert not connected(alice, bob)[0].ended


def test_app_dies_and_so_does_its_call_between_two_of_its_devices(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        app.attach("bb", "2")
        app.send(signaling(-1, SETUP, to=False))
        app.send(app.wait_signal("setup", src="2", to=True))
        ringing = bob.wait("alert")
    ringing.wait("null")
    assert ringing.cause == 41
