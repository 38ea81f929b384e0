from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epsignal_sync.messages import AppChallenge, AppLogin
from epsignal_sync.protocol.session import Attachment, Credentials, LifeSigns, LoginState, Session, keepalive_text

from ..messages.strategies import json_values

CHALLENGE = {"mt": "AppChallengeResult", "challenge": "0123456789abcdef"}
RESULT = {"mt": "AppLoginResult", "ok": True}
TYPES = st.sampled_from(["AppChallengeResult", "AppLoginResult", "PbxInfo", "AttachResult", "new"])


def session(**options: Any) -> Session:
    return Session(Credentials(app="pbxadminapi", password="pwd"), **options)


def logged_in(*attachments: Attachment, **options: Any) -> Session:
    one = session(**options)
    one.start()
    one.receive(CHALLENGE)
    one.receive(RESULT)
    for attachment in attachments:
        one.attach(attachment)
    return one


def parsed(texts: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in texts]


# ------------------------------------------------------------ login


def test_login_step_by_step() -> None:
    one = session()
    assert one.start() == [b'{"mt":"AppChallenge"}']
    [login] = parsed(one.receive(CHALLENGE))
    # The digest is the one of the table on the protocol page.
    assert login == {
        "mt": "AppLogin", "app": "pbxadminapi", "domain": "", "sip": "", "guid": "", "dn": "",
        "digest": "a205299ed2ef2786c311e0be1b14db343f2cadd906a6ae7b564eee34bda5e9a1",
    }  # fmt: skip
    assert one.receive(RESULT) == []
    assert one.state is LoginState.READY


@pytest.mark.parametrize(
    ("who", "digest"),
    [
        ({"app": "pbxadminapi", "info": {}}, "57b23fe824b9222a7ac879597cb509bcdc865a1bfeb057d9d12118cef0c3ba34"),
        ({"app": "pbxadminapi", "info": {"cn": "Test User"}}, "96db3c3f657230c2b68194becc6d2a77f05de9f79f01fc81e9ca0fb196b10d9d"),
        ({"sip": "alice"}, "b5f4c0a69dbc2f6d71e1e633165d16697ac6339783441c3c0815a0b487e1c42e"),
    ],
)
def test_login_with_info_and_as_a_user(who: dict[str, Any], digest: str) -> None:
    one = Session(Credentials(**who, password="pwd"))
    one.start()
    [login] = parsed(one.receive(CHALLENGE))
    assert login["digest"] == digest and login.get("info") == who.get("info")
    assert {name: login[name] for name in who} == who


def test_neither_password_nor_session_key_is_sent() -> None:
    one = Session(Credentials(app="a", sip="b", password="top-secret", info={"x": "ä/"}))
    texts = one.start() + one.receive(CHALLENGE) + one.receive(RESULT) + one.attach(Attachment("1", "hw"))
    assert len(texts) == 3 and b"top-secret" not in b"".join(texts)
    assert '"info":{"x":"ä/"}'.encode() in texts[1]


@pytest.mark.parametrize(
    ("result", "refusal"),
    [
        ({}, "the PBX gave no reason"), ({"ok": False}, "the PBX gave no reason"), ({"ok": 1}, "the PBX gave no reason"),
        ({"ok": "true"}, "the PBX gave no reason"), ({"ok": False, "error": None, "errorText": ""}, "the PBX gave no reason"),
        ({"ok": False, "error": 3}, "the PBX says: 3"), ({"error": 0}, "the PBX says: 0"),
        ({"error": 3, "errorText": "no such app"}, "the PBX says: no such app, 3"), ({"error": {"a": 1}}, "the PBX says: {'a': 1}"),
    ],
)  # fmt: skip
def test_login_refused(result: dict[str, Any], refusal: str) -> None:
    one = session()
    one.start()
    one.receive(CHALLENGE)
    assert one.receive({"mt": "AppLoginResult", **result}) == []
    assert one.state is LoginState.REFUSED and one.refusal == refusal
    assert one.attach(Attachment("1", "hw")) == []


def test_reason_of_a_refusal_is_bounded_and_holds_no_secret() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    for error in ("x" * 10_000, deep, {"password": "s3cret"}):
        one = session()
        one.start()
        one.receive(CHALLENGE)
        one.receive({"mt": "AppLoginResult", "error": error, "errorText": error})
        assert one.state is LoginState.REFUSED and len(one.refusal) < 300 and "s3cret" not in one.refusal


@pytest.mark.parametrize("challenge", [None, 5, [], {}, True])
def test_challenge_that_is_no_text(challenge: object) -> None:
    one = session()
    one.start()
    assert one.receive({"mt": "AppChallengeResult", "challenge": challenge}) == []
    assert one.state is LoginState.REFUSED and "no text" in one.refusal


@pytest.mark.parametrize("challenge", ["", "ä" * 1000, "\ud800", "a:b\n\x00"])
def test_odd_challenge_is_answered(challenge: str) -> None:
    one = session()
    one.start()
    [login] = parsed(one.receive({"mt": "AppChallengeResult", "challenge": challenge}))
    assert len(login["digest"]) == 64 and one.state is LoginState.LOGIN


def test_result_before_the_challenge_does_not_log_in() -> None:
    one = session()
    one.start()
    assert one.receive(RESULT) == []
    assert one.state is LoginState.CHALLENGE


def test_second_challenge_is_ignored() -> None:
    one = session()
    one.start()
    one.receive(CHALLENGE)
    assert one.receive(CHALLENGE) == []
    one.receive(RESULT)
    assert one.receive(CHALLENGE) == [] and one.receive(RESULT | {"ok": False}) == []
    assert one.state is LoginState.READY


@pytest.mark.parametrize("state", list(LoginState))
def test_other_messages_are_taken_at_any_time(state: LoginState) -> None:
    one = session()
    one.state = state
    for data in ({"mt": "PbxInfo", "domain": "x"}, {"mt": "new"}, {"mt": "KeepAlive"}, {"mt": "CheckBuildResult"}):
        assert one.receive(data) == []
    assert one.state is state


def test_new_connection_begins_anew() -> None:
    one = logged_in(Attachment("1", "hw"))
    assert one.start() == [b'{"mt":"AppChallenge"}'] and one.state is LoginState.CHALLENGE
    one.receive(CHALLENGE)
    assert [text["src"] for text in parsed(one.receive(RESULT))] == ["1"]


@settings(max_examples=60)
@given(st.lists(st.tuples(TYPES, st.dictionaries(st.sampled_from(["challenge", "ok", "error"]), json_values, max_size=2)), max_size=8))
def test_any_messages_never_raise_and_never_skip_a_step(steps: list[tuple[str, dict[str, Any]]]) -> None:
    one = session()
    one.start()
    order = [LoginState.CHALLENGE, LoginState.LOGIN, LoginState.READY]
    for kind, data in steps:
        before = one.state
        texts = one.receive({**data, "mt": kind})
        if before is not one.state and one.state is not LoginState.REFUSED:
            assert order.index(one.state) == order.index(before) + 1
        assert all(json.loads(text)["mt"] == "AppLogin" for text in texts)


# ------------------------------------------------------------ attach


def test_attach_before_the_login_is_sent_after_it() -> None:
    one = session()
    one.start()
    assert one.attach(Attachment("1", "hw1")) == []
    one.receive(CHALLENGE)
    assert one.attach(Attachment("2", "hw2")) == []
    assert parsed(one.receive(RESULT)) == [
        {"mt": "Attach", "api": "EpSignal", "src": "1", "hw": "hw1"},
        {"mt": "Attach", "api": "EpSignal", "src": "2", "hw": "hw2"},
    ]


def test_attach_after_the_login_is_sent_at_once() -> None:
    assert logged_in().attach(Attachment("7", "hw")) == [b'{"mt":"Attach","api":"EpSignal","src":"7","hw":"hw"}']


def test_api_under_another_name() -> None:
    one = logged_in(api="Api")
    assert parsed(one.attach(Attachment("1", "hw")))[0]["api"] == "Api"
    assert one.apis == {"Api", "EpSignal"}


def test_src_names_the_device() -> None:
    first, second = Attachment("1", "hw1"), Attachment("2", "hw2")
    one = logged_in(first, second)
    for kind in ("AttachResult", "Attached", "Detached", "Sync", "Signaling"):
        assert one.route({"mt": kind, "src": "1"}) is first and one.route({"mt": kind, "src": "2"}) is second


@pytest.mark.parametrize("src", ["3", "", 1, 1.0, True, [], {}, ["1"]])
def test_unknown_src_names_no_device(src: object) -> None:
    one = logged_in(Attachment("1", "hw1"))
    assert one.route({"mt": "Signaling", "src": src}) is None
    assert one.route({"mt": "AttachResult", "src": src}) is None


@pytest.mark.parametrize("data", [{}, {"src": None}])
def test_no_src_is_the_only_device(data: dict[str, Any]) -> None:
    first = Attachment("1", "hw1")
    one = logged_in()
    assert one.route({"mt": "Signaling", **data}) is None
    one.attach(first)
    assert one.route({"mt": "Signaling", **data}) is first
    one.attach(Attachment("2", "hw2"))
    assert one.route({"mt": "Signaling", **data}) is None


def test_result_without_src_belongs_to_the_oldest_attach_without_an_answer() -> None:
    first, second = Attachment("1", "hw1"), Attachment("2", "hw2")
    one = logged_in(first, second)
    result = {"mt": "AttachResult"}
    for wanted in (first, second):
        assert one.route(result) is wanted
        one.answer(result, wanted)
    assert one.route(result) is None


def test_result_with_src_in_between() -> None:
    first, second = Attachment("1", "hw1"), Attachment("2", "hw2")
    one = logged_in(first, second)
    one.answer({"mt": "AttachResult", "src": "1"}, first)
    assert one.route({"mt": "AttachResult"}) is second


@pytest.mark.parametrize("err", ["no", 0, False, {}, []])
def test_refused_device_is_forgotten(err: object) -> None:
    first, second = Attachment("1", "hw1"), Attachment("2", "hw2")
    one = logged_in(first, second)
    one.answer({"mt": "AttachResult", "err": err}, first)
    assert first.answered and one.route({"mt": "Signaling", "src": "1"}) is None
    assert one.route({"mt": "Signaling"}) is second
    one.answer({"mt": "AttachResult", "err": err}, first)  # the answer may come twice


def test_null_err_is_no_refusal() -> None:
    first = Attachment("1", "hw1")
    one = logged_in(first)
    one.answer({"mt": "AttachResult", "err": None}, first)
    assert one.route({"mt": "Attached", "src": "1"}) is first


# ------------------------------------------------------------ credentials


def test_password_is_in_no_repr() -> None:
    who = Credentials(app="a", password="s3cret", info={"password": "s3cret", "x": [{"pwd": "s3cret"}], "cn": "Ann"})
    assert "s3cret" not in repr(who) and "Ann" in repr(who)
    assert "s3cret" not in repr(Session(who).__dict__) and "s3cret" not in who.describe()
    assert "s3cret" not in repr(Session(who)) + repr(AppLogin(info=who.info)) + repr(AppChallenge())


@pytest.mark.parametrize(
    ("who", "text"),
    [
        ({"app": "a"}, "to the App object 'a'"), ({"sip": "s"}, "as the user 's'"),
        ({"app": "a", "sip": "s"}, "to the App object 'a' on behalf of 's'"),
    ],
)  # fmt: skip
def test_who_logs_in_is_described(who: dict[str, Any], text: str) -> None:
    assert Credentials(**who, password="x").describe() == text


# ------------------------------------------------------------ signs of life


def life(**options: Any) -> LifeSigns:
    return LifeSigns(**{"keepalive": 60, "ping_interval": 20, "ping_timeout": 10, "now": 1000, **options})


def test_nothing_is_due_at_first() -> None:
    assert life().due(1019.9) == (False, False, False)
    assert life().next_at() == 1020


def test_ping_after_a_silence_and_giving_up() -> None:
    one = life()
    assert one.due(1020) == (False, True, False)
    assert one.next_at() == 1030
    assert one.due(1029.9) == (False, False, False)
    assert one.due(1030) == (False, False, True)


def test_any_frame_after_the_ping_is_a_sign_of_life() -> None:
    one = life()
    one.due(1020)
    one.last_received = 1020
    assert one.next_at() == 1040
    assert one.due(1035) == (False, False, False)
    assert one.due(1040) == (False, True, False)
    assert one.due(1050) == (False, False, True)


def test_frames_put_off_the_ping() -> None:
    one = life(keepalive=None)
    for now in range(1000, 2000, 10):
        one.last_received = now
        assert one.due(now + 9) == (False, False, False)


def test_keepalive_after_a_time_without_messages() -> None:
    one = life(ping_interval=None)
    assert one.next_at() == 1060
    assert one.due(1059) == (False, False, False)
    assert one.due(1060) == (True, False, False)
    assert one.due(1061) == (False, False, False) and one.next_at() == 1120
    one.last_message = 1100
    assert one.due(1159) == (False, False, False) and one.due(1160) == (True, False, False)


def test_pings_do_not_put_off_the_keepalive() -> None:
    one = life()
    one.last_received = 1055
    assert one.due(1060)[0]


def test_neither_keepalive_nor_ping() -> None:
    one = life(keepalive=None, ping_interval=None)
    assert one.next_at() is None
    assert one.due(1e9) == (False, False, False)


def test_what_is_not_read_is_not_held_against_the_peer() -> None:
    one = life()
    one.due(1020)
    one.excuse(1029)
    assert one.due(1031) == (False, False, False) and one.next_at() == 1049
    assert one.due(1049) == (False, True, False)


def test_long_sleep_asks_before_it_gives_up() -> None:
    # The computer was suspended: the peer gets a ping and its time to answer.
    assert life().due(99_999) == (True, True, False)


@given(st.lists(st.tuples(st.sampled_from(["due", "frame", "message", "excuse"]), st.floats(0, 30))))
def test_next_time_is_when_something_is_due(steps: list[tuple[str, float]]) -> None:
    one, now = life(), 1000.0
    for kind, seconds in steps:
        now += seconds
        if kind == "frame":
            one.last_received = now
        elif kind == "message":
            one.last_message = now
        elif kind == "excuse":
            one.excuse(now)
        else:
            expected = one.next_at()
            assert expected is not None and any(one.due(now)) == (now >= expected)
            if any(one.due(now)):
                return  # dead: the link ends here


def test_keepalive_text() -> None:
    assert keepalive_text() == b'{"mt":"KeepAlive"}'


def test_results_without_src_after_a_reconnect() -> None:
    first, second = Attachment("1", "hw1"), Attachment("2", "hw2")
    one = logged_in(first, second)
    for attachment in (first, second):
        one.answer({"mt": "AttachResult"}, attachment)
    one.start()
    one.receive(CHALLENGE)
    assert [text["src"] for text in parsed(one.receive(RESULT))] == ["1", "2"], "each is attached again, once"
    assert one.route({"mt": "AttachResult"}) is first, "both wait for their answer again"
    one.answer({"mt": "AttachResult"}, first)
    assert one.route({"mt": "AttachResult"}) is second


def test_device_that_was_accepted_once_is_not_forgotten() -> None:
    accepted, new = Attachment("1", "hw1"), Attachment("2", "hw2")
    one = logged_in(accepted, new)
    one.answer({"mt": "AttachResult"}, accepted)
    for attachment in (accepted, new):
        one.answer({"mt": "AttachResult", "err": "no"}, attachment)
    assert one.route({"src": "1"}) is accepted and one.route({"src": "2"}) is None
    one.start()
    one.receive(CHALLENGE)
    assert [text["src"] for text in parsed(one.receive(RESULT))] == ["1"]
