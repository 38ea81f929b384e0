"""Attach and what follows from it: results, Attached, Detached, Sync, who may attach what."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from typing import Any

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedPBX

from .test_path import signaling
from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401


def test_attach_result_attached_and_sync_carry_the_src(pbx: SimulatedPBX) -> None:
    pbx.add_phone("aa", number="22", sip="alice", name="Älice")
    pbx.add_phone("bb", number="23", sip="bob")
    call = pbx._lines["aa"].phone.call("23")  # type: ignore[union-attr]
    with RawApp(pbx).login() as app:
        result = app.attach("aa", src={"id": [1, "é"]})
        assert set(result) == {
            "mt", "api", "src", "stun", "turn", "turnUsr", "turnPwd", "prefixIntl", "prefixNtl", "prefixSubs",
            "area", "country", "maxIntern", "tones",
        }  # fmt: skip
        assert ";" in result["stun"] and ";" in result["turn"]
        app.wait_mt("Sync", 3)
        indications = app.messages[-4:]
        assert [message["mt"] for message in indications] == ["Attached", "Sync", "Sync", "Sync"]
        assert all(message["src"] == {"id": [1, "é"]} and message["api"] == "EpSignal" for message in indications)
        assert [message["call"] for message in indications[1:]] == [1, 2, 3]
        assert [message["info"]["channel"] for message in indications[1:]] == [0, 0, -1]
        assert indications[3]["info"] == {"channel": -1, "in": False, "state": "alert", "remote": {"num": "23", "sip": "bob", "dn": "bob"}}
        assert call.id == 3


def test_sync_of_an_incoming_call(pbx: SimulatedPBX) -> None:
    alice = pbx.add_phone("aa", number="22", sip="alice", name="Älice")
    bob = pbx.add_phone("bb", number="23", sip="bob")
    alice.call("23")
    bob.answer()
    with RawApp(pbx).login() as app:
        app.attach("bb")
        info = app.wait_mt("Sync", 3)["info"]
        assert info == {"channel": -1, "in": True, "state": "connected", "remote": {"num": "22", "sip": "alice", "dn": "Älice"}}


def test_the_other_name_of_the_api(pbx: SimulatedPBX) -> None:
    pbx.add_phone("aa", number="22", sip="alice")
    with RawApp(pbx).login() as app:
        assert app.attach("aa", api="Api")["api"] == "Api"
        assert app.wait_mt("Attached")["api"] == "Api"


def test_calls_of_apps_are_in_no_sync(pbx: SimulatedPBX) -> None:
    pbx.add_phone("aa", number="22", sip="alice")
    with RawApp(pbx).login() as app:
        app.attach("aa")
        app.send(signaling(-1, {"type": "setup", "channel": -1, "cd": {"num": "2"}}, to=False))
        app.wait_signal("setup_ack", to=True, call=-1)
        app.attach("aa", "2")
        app.wait_mt("Sync", 4)
        app.challenge()
        assert [message["call"] for message in app.messages if message["mt"] == "Sync"] == [1, 2] * 2


def test_attach_without_src(pbx: SimulatedPBX) -> None:
    pbx.add_phone("aa", number="22", sip="alice")
    with RawApp(pbx).login() as app:
        app.send({"mt": "Attach", "api": "EpSignal", "hw": "aa"})
        app.wait_mt("Sync", 2)
        assert not any("src" in message for message in app.messages)


@pytest.mark.parametrize("hw", ["nothing", 5, None, ["aa"]])
def test_unknown_device_with_err(pbx: SimulatedPBX, hw: Any) -> None:
    with RawApp(pbx).login() as app:
        assert "stun" not in app.attach(hw) and app.wait_mt("AttachResult")["err"]


def test_unknown_device_with_silence(pbx: SimulatedPBX) -> None:
    pbx.unknown_hw = "silent"
    with RawApp(pbx).login() as app:
        app.send({"mt": "Attach", "api": "EpSignal", "src": "1", "hw": "nothing"})
        app.challenge()
        assert not any(message["mt"] == "AttachResult" for message in app.messages)


def test_unknown_device_that_is_accepted(pbx: SimulatedPBX) -> None:
    pbx.unknown_hw = "accepted"
    with RawApp(pbx).login() as app:
        assert "err" not in app.attach("nothing")
        app.challenge()
        assert not any(message["mt"] == "Attached" for message in app.messages)
        pbx.add_phone("nothing", number="22", sip="alice")
        app.wait_mt("Attached")
        assert app.attach(5, "2")["err"], "what is no text is no device, however kind the PBX"


def test_unknown_hw_of_no_known_kind(pbx: SimulatedPBX) -> None:
    with pytest.raises(UsageError, match="silent"):
        pbx.unknown_hw = "crash"


@pytest.mark.parametrize("login", [{"password": "secret", "app": "", "sip": "alice"}, {"sip": "alice"}])
def test_user_attaches_own_devices_only(pbx: SimulatedPBX, login: dict[str, str]) -> None:
    pbx.add_user("alice", password="secret")
    pbx.add_phone("aa", number="22", sip="alice")
    pbx.add_phone("bb", number="23", sip="bob")
    with RawApp(pbx).login(**login) as app:
        assert "err" not in app.attach("aa", "1")
        assert app.attach("bb", "2")["err"]


def test_app_without_the_tick_is_not_answered(pbx: SimulatedPBX) -> None:
    pbx.add_phone("aa", number="22", sip="alice")
    pbx.add_app("plain", password="pwd", epsignal=False)
    with RawApp(pbx).login(app="plain") as app:
        app.send({"mt": "Attach", "api": "EpSignal", "src": "1", "hw": "aa"})
        app.challenge()
        assert [message["mt"] for message in app.messages][-1] == "AppChallengeResult"
        assert not any(message["mt"] == "AttachResult" for message in app.messages)


def test_app_without_the_tick_that_is_answered(pbx: SimulatedPBX) -> None:
    pbx.add_phone("aa", number="22", sip="alice")
    pbx.add_app("plain", password="pwd", epsignal=False, answer_unticked=True)
    with RawApp(pbx).login(app="plain") as app:
        assert app.attach("aa")["err"]


def test_attached_and_detached_follow_the_registration(pbx: SimulatedPBX) -> None:
    phone = pbx.add_phone("aa", number="22", sip="alice", registered=False)
    with RawApp(pbx).login() as app:
        assert "err" not in app.attach("aa")
        app.challenge()
        assert not any(message["mt"] == "Attached" for message in app.messages)
        phone.register()
        app.wait_mt("Attached")
        phone.unregister()
        assert app.wait_mt("Detached") == {"mt": "Detached", "api": "EpSignal", "src": "1"}
        assert not phone.registered and phone.calls == phone.standing_calls == []
        phone.register()
        app.wait_mt("Attached", 2)
        assert phone.registered


def test_registration_with_an_app_takes_the_standing_calls_through_it(pbx: SimulatedPBX) -> None:
    phone = pbx.add_phone("aa", number="22", sip="alice", registered=False)
    with RawApp(pbx).login() as app:
        app.attach("aa")
        phone.register()
        pbx.wait_for(lambda log: [call.state for call in phone.standing_calls] == ["connected", "call-proc"])
        app.wait_signal("setup", to=False, call=1)
        app.wait_signal("setup", to=False, call=2)
        assert app.wait_signal("facility", to=True, call=1)["sig"]["fty"][0]["type"] == "presence_notify"


def test_second_attach_takes_the_place_of_the_first(pbx: SimulatedPBX) -> None:
    alice = pbx.add_phone("aa", number="22", sip="alice")
    with RawApp(pbx, forward=False).login() as older, RawApp(pbx).login() as newer:
        older.attach("aa")
        older.wait_mt("Sync", 2)
        newer.attach("aa", "new")
        before = len(older.texts)
        assert alice.call("99").wait("null")
        newer.wait_signal("setup", to=False)
        assert len(older.texts) == before
        older.send({"mt": "Signaling", "api": "EpSignal", "src": "1", "to": True, "call": 1, "sig": {"type": "rel"}})
        older.challenge()
        assert [call.state for call in alice.standing_calls] == ["connected", "call-proc"]


def test_connection_that_dies_leaves_the_path(pbx: SimulatedPBX) -> None:
    alice = pbx.add_phone("aa", number="22", sip="alice")
    bob = pbx.add_phone("bb", number="23", sip="bob")
    with RawApp(pbx).login() as app:
        app.attach("aa")
        call = alice.call("23")
        bob.wait("alert")
        bob.answer()
        call.wait("connected")
        pbx.drop_connections()
        app.wait_closed()
        assert pbx.connections == 0
        before = len(app.texts)
        call.send({"type": "user_info", "uui": "straight"})
        assert pbx.log.last("to-phone", "bb").sig == {"type": "user_info", "uui": "straight"}  # type: ignore[union-attr]
        call.hangup()
        bob.wait("null")
        assert len(app.texts) == before
