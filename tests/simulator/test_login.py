"""Login, refusals, and what is said before and around a login."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

import re
import subprocess
import sys

import pytest
import websocket

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedPBX

from .test_raw_app import TIMEOUT, RawApp, digest, no_leaks, pbx  # noqa: F401


def test_app_login(pbx: SimulatedPBX) -> None:
    with RawApp(pbx) as app:
        assert re.fullmatch("[0-9a-f]{16}", app.challenge())
        assert app.try_login() == {"mt": "AppLoginResult", "ok": True}
        assert pbx.connections == 1


def test_user_login(pbx: SimulatedPBX) -> None:
    pbx.add_user("alice", password="secret")
    with RawApp(pbx) as app:
        assert app.try_login("secret", app="", sip="alice")["ok"] is True


def test_app_login_on_behalf_of_a_user(pbx: SimulatedPBX) -> None:
    with RawApp(pbx) as app:
        assert app.try_login(sip="alice")["ok"] is True


@pytest.mark.parametrize("info", ["{}", '{"cn":"Test User"}', '{"name":"Zoë/東京","list":[1,null,true,{"b":1,"a":2}]}'])
def test_info_is_part_of_the_digest(pbx: SimulatedPBX, info: str) -> None:
    with RawApp(pbx) as app:
        assert app.try_login(info=info)["ok"] is True


def test_login_whose_digest_leaves_out_the_info(pbx: SimulatedPBX) -> None:
    with RawApp(pbx) as app:
        proof = digest(app.challenge(), "pwd", app="phones")
        app.send({"mt": "AppLogin", "app": "phones", "digest": proof, "info": {"cn": "Test User"}})
        assert app.wait_mt("AppLoginResult")["ok"] is False


def test_absent_and_null_strings_count_as_empty(pbx: SimulatedPBX) -> None:
    with RawApp(pbx) as app:
        proof = digest(app.challenge(), "pwd", app="phones")
        app.send({"mt": "AppLogin", "app": "phones", "sip": None, "info": None, "digest": proof, "src": {"any": 1}})
        assert app.wait_mt("AppLoginResult") == {"mt": "AppLoginResult", "ok": True, "src": {"any": 1}}


@pytest.mark.parametrize(
    ("password", "app_name", "sip"),
    [("wrong", "phones", ""), ("pwd", "other", ""), ("pwd", "", "alice"), ("pwd", "", "nobody"), ("pwd", "", "")],
)
def test_refused_login(pbx: SimulatedPBX, password: str, app_name: str, sip: str) -> None:
    pbx.add_user("alice", password="secret")
    with RawApp(pbx) as app:
        result = app.try_login(password, app=app_name, sip=sip)
        assert result["ok"] is False and result["error"] and result["errorText"]
        assert pbx.connections == 0
        assert app.try_login()["ok"] is True


def test_refusal_by_closing_the_websocket(pbx: SimulatedPBX) -> None:
    pbx.login_refusal = "close"
    with RawApp(pbx) as app:
        app.challenge()
        app.send({"mt": "AppLogin", "app": "phones", "digest": "00"})
        app.wait_closed()
        assert not any(message["mt"] == "AppLoginResult" for message in app.messages)


def test_challenge_is_good_for_one_login(pbx: SimulatedPBX) -> None:
    with RawApp(pbx) as app:
        proof = digest(app.challenge(), "pwd", app="phones")
        app.send({"mt": "AppLogin", "app": "phones", "digest": "00" * 32})
        app.send({"mt": "AppLogin", "app": "phones", "digest": proof})
        assert app.wait_mt("AppLoginResult", 2)["ok"] is False


@pytest.mark.parametrize("fields", [{"app": 7}, {"info": "text"}, {"info": {"a": 1.5}}, {"digest": 5}, {"digest": "é"}])
def test_malformed_login(pbx: SimulatedPBX, fields: dict[str, object]) -> None:
    with RawApp(pbx) as app:
        app.challenge()
        app.send({"mt": "AppLogin", "app": "phones", "digest": "00", **fields})
        assert app.wait_mt("AppLoginResult")["ok"] is False


@pytest.mark.parametrize("message", [{"mt": "Attach", "api": "EpSignal", "hw": "a"}, {"mt": "KeepAlive"}, {"no": "mt"}])
def test_anything_before_the_login_is_refused(pbx: SimulatedPBX, message: dict[str, object]) -> None:
    with RawApp(pbx) as app:
        app.send(message)
        app.wait_closed()
        assert app.texts == []


def test_keep_alive_unknown_messages_and_bad_json_are_not_answered(pbx: SimulatedPBX) -> None:
    with RawApp(pbx).login() as app:
        before = len(app.texts)
        for text in ('{"mt":"KeepAlive"}', '{"mt":"Future","api":"EpSignal"}', '{"mt":"X","api":"Other"}', "{bad", "[" * 100000, "[]", "7"):
            app.send(text)
        app.challenge()
        assert len(app.texts) == before + 1
        notes = pbx.log.texts("note")
        assert sum("no JSON object" in note for note in notes) == 4
        assert not any("bad" in note for note in notes), "it may hold a secret"


def test_other_path_is_not_found(pbx: SimulatedPBX) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(pbx.url + "x", timeout=TIMEOUT)
    assert caught.value.status_code == 404


def test_unknown_choice_is_a_usage_error(pbx: SimulatedPBX) -> None:
    with pytest.raises(UsageError, match="close"):
        pbx.login_refusal = "maybe"


def test_without_websockets_the_import_says_what_to_install() -> None:
    program = "import sys; sys.modules['websockets'] = None\nimport epsignal_sync.simulator"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "ImportError" in result.stderr and "epsignal-sync[simulator]" in result.stderr
