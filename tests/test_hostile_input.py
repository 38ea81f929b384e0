"""A PBX that sends what it must not: at every stage of a connection it lives, or ends with a typed error, and nothing else is disturbed.

What is sent stands in :mod:`.hostile_cases`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import logging
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any, Literal

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Message, Signaling
from epsignal_sync.protocol.digest import login_digest

from .conftest import PATIENCE, wait_until
from .hostile_cases import (
    CLOSING,
    FORWARDED_TEXTS,
    LIVING,
    MEBIBYTE,
    SRC,
    TAKEN_TEXTS,
    Case,
    Fate,
    message,
    signaling,
)
from .peer import GUID, Peer, frame

pytestmark = pytest.mark.timeout(100)

WHO: dict[str, Any] = {"app": "phones", "password": "pwd", "timeout": 60}
CHALLENGE = {"mt": "AppChallengeResult", "challenge": "0123456789abcdef"}
LOGGED_IN = {"mt": "AppLoginResult", "ok": True}
LIVE_CALL = 3
PHASES: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")
"""Of a test, for its log."""
GROUPS = {
    "forwarded": [case for case in LIVING if case.name in FORWARDED_TEXTS],
    "taken": [case for case in LIVING if case.name in TAKEN_TEXTS],
    "frames": [case for case in LIVING if case.name not in {*FORWARDED_TEXTS, *TAKEN_TEXTS}],
}
ENDS: dict[str, type[eps.EpSignalError]] = {
    "before the challenge": eps.ConnectError, "before the login": eps.LoginError, "with a live call": eps.ConnectionLostError,
}  # fmt: skip
"""How far a connection is, and with which error it ends there."""


class Attempt:
    """connect() on a thread of its own, since the PBX's side is played in the test's thread."""

    def __init__(self, peer: Peer, **options: Any) -> None:
        self._client: eps.Client | None = None
        self._error: Exception | None = None
        self._url = peer.url
        self._options = {**WHO, **options}
        self._thread = threading.Thread(target=self._connect, name="attempt")
        self._thread.start()

    def _connect(self) -> None:
        try:
            self._client = eps.connect(self._url, **self._options)
        except Exception as error:
            self._error = error

    def result(self) -> eps.Client:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "connect() hangs"
        if self._error is not None:
            raise self._error
        assert self._client is not None
        return self._client


class Bystander:
    """Another client of the process, with a PBX of its own."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.peer = Peer()
        self.client = self.peer.client()
        self.peer.attach(self.client)

    def check(self) -> None:
        text = json.dumps(self.peer.signaling(3, {"type": "info", "dsp": str(next(self._numbers))})).encode()
        self.peer.send(text)
        assert self.peer.receive_text() == text and self.client.connected

    def end(self) -> None:
        self.peer.drop()
        self.client.close()
        self.peer.__exit__(None, None, None)


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[Bystander]:
    bystander = Bystander()
    yield bystander
    bystander.end()


@pytest.fixture(autouse=True)
def nothing_else_is_disturbed(undisturbed: Bystander, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """After every test: the other client works, and no log asks to report a fault of this library."""
    caplog.set_level(logging.DEBUG, logger="epsignal_sync")
    yield
    undisturbed.check()
    records = [one for phase in PHASES for one in caplog.get_records(phase)]
    assert not [one.getMessage() for one in records if "report it" in one.getMessage() or one.levelno >= logging.ERROR]


def read_everything(event: Any) -> None:
    """What an application may do with a message."""
    one = event.message
    repr(one), one.problems, one.extra, one.api, event.raw, event.call, event.verdict
    if isinstance(one, Signaling):
        repr((one.sig, one.call, one.to, event.device))
        for facility in (one.sig.fty if one.sig is not None else None) or ():
            repr(facility)


def probes() -> Iterator[bytes]:
    """Yield messages that have to go back, each of them another one."""
    for number in itertools.count():
        yield signaling(call=str(LIVE_CALL), sig=json.dumps({"type": "info", "dsp": str(number)})).encode()


def receive_text(peer: Peer) -> bytes:
    """Return the next text; answers to pings are skipped."""
    while True:
        opcode, payload = peer.receive_frame()
        if opcode != 10:
            assert opcode == 1, (opcode, payload)
            return payload


def survive(peer: Peer, cases: list[Case]) -> None:
    """Send each case and a message that has to go back, and see that nothing else than what has to comes."""
    for case, probe in zip(cases, probes(), strict=False):
        peer.sock.sendall(case.data + frame(probe))
        if case.fate is Fate.FORWARDED:
            assert receive_text(peer) == case.text, case.name
        assert receive_text(peer) == probe, case.name


def log_in_further(peer: Peer) -> None:
    peer.send(CHALLENGE)
    assert json.loads(receive_text(peer))["mt"] == "AppLogin"
    peer.send(LOGGED_IN)


def begin_call(peer: Peer, client: eps.Client) -> eps.Device:
    """Attach a device and begin a call on it."""
    device = peer.attach(client)
    assert peer.src == SRC
    peer.send(signaling(call=str(LIVE_CALL), sig='{"type":"setup","cg":{"num":"22"},"cd":{"num":"23"}}', raw='"to":true,'))
    assert json.loads(peer.receive_text())["sig"]["type"] == "setup"
    wait_until(lambda: LIVE_CALL in device.calls)
    return device


def check_call_goes_on(peer: Peer, device: eps.Device) -> None:
    call = device.calls[LIVE_CALL]
    text = signaling(call=str(LIVE_CALL), sig='{"type":"alert"}').encode()
    peer.send(text)
    assert peer.receive_text() == text
    call.wait("alert", timeout=PATIENCE)


# -- what a connection survives ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
def test_before_the_challenge_it_lives(peer: Peer, group: str) -> None:
    attempt = Attempt(peer)
    peer.upgrade()
    assert peer.receive()["mt"] == "AppChallenge"
    survive(peer, GROUPS[group])

    log_in_further(peer)

    with attempt.result() as client:
        device = begin_call(peer, client)
        check_call_goes_on(peer, device)
        peer.drop()


@pytest.mark.parametrize("group", GROUPS)
def test_between_challenge_and_login_it_lives(peer: Peer, group: str) -> None:
    attempt = Attempt(peer)
    peer.upgrade()
    assert peer.receive()["mt"] == "AppChallenge"
    peer.send(CHALLENGE)
    assert peer.receive()["mt"] == "AppLogin"
    survive(peer, GROUPS[group])

    peer.send(LOGGED_IN)

    with attempt.result() as client:
        device = begin_call(peer, client)
        check_call_goes_on(peer, device)
        peer.drop()


@pytest.mark.parametrize("asked", [False, True], ids=["callbacks", "interceptor"])
@pytest.mark.parametrize("group", GROUPS)
def test_with_a_live_call_it_lives(peer: Peer, peer_client: eps.Client, group: str, asked: bool) -> None:
    device = begin_call(peer, peer_client)
    if asked:
        device.intercept(Signaling, read_everything)
    else:
        peer_client.on(Message, read_everything)

    survive(peer, GROUPS[group])

    check_call_goes_on(peer, device)
    repr(device.calls)
    wait_until(lambda: peer_client.stats.queue_depth == 0)
    assert peer_client.stats.callback_failures == 0 and peer_client.connected


LATE_CHALLENGES: list[dict[str, Any]] = [{}, {"challenge": "again"}, {"challenge": 5}, {"challenge": "c" * MEBIBYTE}]
LATE_RESULTS: list[dict[str, Any]] = [{}, {"ok": True}, {"ok": False, "error": [5]}, {"ok": "x", "errorText": {}}]
LATE_LOGIN = [
    *(json.dumps({"mt": "AppChallengeResult", **more}) for more in LATE_CHALLENGES),
    *(json.dumps({"mt": "AppLoginResult", **more}) for more in LATE_RESULTS),
]
"""Messages of a login at a time when they mean nothing."""


def test_messages_of_the_login_after_it(peer: Peer, peer_client: eps.Client) -> None:
    device = begin_call(peer, peer_client)

    survive(peer, [Case(text[:60], frame(text), Fate.TAKEN) for text in LATE_LOGIN])

    check_call_goes_on(peer, device)


def test_result_before_the_challenge_and_two_challenges(peer: Peer) -> None:
    """Neither logs in early, nor answers twice."""
    attempt = Attempt(peer)
    peer.upgrade()
    assert peer.receive()["mt"] == "AppChallenge"
    survive(peer, [Case(text[:60], frame(text), Fate.TAKEN) for text in LATE_LOGIN[4:]])
    peer.send(CHALLENGE)
    assert peer.receive()["mt"] == "AppLogin"
    survive(peer, [Case(text[:60], frame(text), Fate.TAKEN) for text in LATE_LOGIN[:4]])
    peer.send(LOGGED_IN)

    with attempt.result() as client:
        check_call_goes_on(peer, begin_call(peer, client))
        peer.drop()


@pytest.mark.parametrize("challenge", ["c" * MEBIBYTE, "", "\ud800\0ä"], ids=["1 MB", "empty", "odd"])
def test_odd_challenge_is_answered(peer: Peer, challenge: str) -> None:
    attempt = Attempt(peer)
    peer.upgrade()
    assert peer.receive()["mt"] == "AppChallenge"
    peer.send(json.dumps({"mt": "AppChallengeResult", "challenge": challenge}))

    assert peer.receive()["digest"] == login_digest(challenge, "pwd", app="phones")
    peer.send(LOGGED_IN)

    with attempt.result() as client:
        check_call_goes_on(peer, begin_call(peer, client))
        peer.drop()


def test_device_that_is_detached_by_rubbish_is_still_forwarded(peer: Peer, peer_client: eps.Client) -> None:
    device = begin_call(peer, peer_client)
    rubbish = [message("Detached", call=[], info=5), message("Detached"), message("Attached", err=5), message("Sync", call=LIVE_CALL)]

    survive(peer, [Case(text, frame(text), Fate.TAKEN) for text in rubbish])

    check_call_goes_on(peer, device)


@pytest.mark.parametrize("err", ["5", "false", "[]", "{}", '""', "[" * 400 + "]" * 400, '"' + "e" * MEBIBYTE + '"', '"\\ud800\\u001b"'],
                         ids=lambda err: err[:8])  # fmt: skip
def test_attach_refused_with_rubbish(peer: Peer, peer_client: eps.Client, err: str) -> None:
    def refuse() -> None:
        src = peer.receive()["src"]
        peer.send(f'{{"mt":"AttachResult","api":"EpSignal","src":"{src}","err":{err},"stun":[5],"tones":"x"}}')

    server = threading.Thread(target=refuse, name="refuse")
    server.start()
    with pytest.raises(eps.AttachError) as refused:
        peer_client.attach("0090334f1a2b")
    server.join(PATIENCE)

    assert len(str(refused.value)) < 1000
    survive(peer, [Case("afterwards", frame(b"{}"), Fate.TAKEN)])


def test_rubbish_for_a_call_of_the_application(peer: Peer, peer_client: eps.Client) -> None:
    """Nothing of it is forwarded, and the call goes on."""
    device = begin_call(peer, peer_client)
    peer_client.on(Message, read_everything)
    own = device.dial("23")
    assert peer.receive()["call"] == own.id
    number = str(own.id)
    rubbish = [
        *(signaling(call=number, sig=sig) for sig in ("5", "[]", "{}", '{"type":5}', '{"type":"setup"}', '{"type":"alert","fty":5}')),
        *(signaling(call=number, raw='"to":true,', sig=sig) for sig in ('{"type":[]}', '{"type":"setup"}', '{"type":"progress","cau":5}')),
        message("Sync", call=own.id, info={"state": "null"}),
    ]

    survive(peer, [Case(text, frame(text), Fate.TAKEN) for text in rubbish])

    check_call_goes_on(peer, device)
    assert not own.ended and peer_client.stats.callback_failures == 0


# -- what ends a connection --------------------------------------------------------------------------------------------


def reach(stage: str, peer: Peer) -> Attempt | eps.Client:
    """Bring a connection as far as a stage."""
    if stage == "with a live call":
        client = peer.client()
        begin_call(peer, client)
        return client
    attempt = Attempt(peer)
    peer.upgrade()
    assert peer.receive()["mt"] == "AppChallenge"
    if stage == "before the login":
        peer.send(CHALLENGE)
        assert peer.receive()["mt"] == "AppLogin"
    return attempt


def end_of(reached: Attempt | eps.Client) -> eps.EpSignalError:
    """Return the error with which a connection ended; everything is closed afterwards."""
    try:
        with reached.result() if isinstance(reached, Attempt) else reached as client:
            client.run_forever()
    except eps.EpSignalError as error:
        return error
    raise AssertionError("it ended without an error")


def send_quietly(peer: Peer, data: bytes) -> None:
    try:
        peer.sock.sendall(data)
    except OSError:
        pass  # the client has hung up before it had all


@pytest.mark.parametrize("stage", ENDS)
@pytest.mark.parametrize("case", CLOSING, ids=str)
def test_it_ends_with_a_typed_error(peer: Peer, case: Case, stage: str) -> None:
    reached = reach(stage, peer)
    last = signaling(call=str(LIVE_CALL), sig='{"type":"info","dsp":"last"}').encode()

    send_quietly(peer, frame(last) + case.data)

    assert receive_text(peer) == last  # what came before it still goes on
    opcode, payload = peer.receive_frame()
    assert opcode == 8 and payload[:2] == (b"" if case.code == 1005 else struct.pack("!H", case.code or 0))
    error = end_of(reached)
    assert type(error) is ENDS[stage]
    assert str(error).isprintable() and "report it" not in str(error)


@pytest.mark.parametrize("stage", ENDS)
@pytest.mark.parametrize("part", [b"\x81", b"\x81\x7e\x01", b"\x81\x7f\0\0", frame("x" * 300)[:100], frame("x", first=1), b""], ids=repr)
@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
def test_it_breaks_off_in_the_middle(peer: Peer, stage: str, part: bytes, reset: bool) -> None:
    reached = reach(stage, peer)

    peer.sock.sendall(part)
    if reset:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.drop()

    assert type(end_of(reached)) is ENDS[stage]


WRONG_CHALLENGES = ["5", "null", "[]", '["c"]', "{}", "true", "1e400", "9" * 5000]


@pytest.mark.parametrize("challenge", WRONG_CHALLENGES, ids=lambda one: one[:8])
def test_challenge_that_is_no_text(peer: Peer, challenge: str) -> None:
    reached = reach("before the challenge", peer)

    peer.send(f'{{"mt":"AppChallengeResult","challenge":{challenge}}}')

    assert type(end_of(reached)) is eps.LoginError


WRONG_RESULTS: list[dict[str, Any]] = [
    {"ok": "true"}, {"ok": 1}, {"ok": [True]}, {"ok": {}}, {"ok": None},
    {"error": 5, "errorText": 5}, {"error": [[[]]], "errorText": {"a": []}}, {"error": 10**400},
    {"errorText": "e" * MEBIBYTE}, {"error": {"e" * MEBIBYTE: 1}}, {"error": "\x1b[2J\r\n", "errorText": "\ud800"},
]  # fmt: skip


@pytest.mark.parametrize("result", WRONG_RESULTS, ids=lambda one: str(one)[:40])
def test_result_that_is_no_login(peer: Peer, result: dict[str, Any]) -> None:
    reached = reach("before the login", peer)

    peer.send(json.dumps({"mt": "AppLoginResult", **result}))

    error = end_of(reached)
    assert type(error) is eps.LoginError and len(str(error)) < 1000 and str(error).isprintable()


def test_refusal_that_is_nested_deep(peer: Peer) -> None:
    reached = reach("before the login", peer)

    peer.send('{"mt":"AppLoginResult","error":' + "[" * 500 + "]" * 500 + "}")

    assert type(end_of(reached)) is eps.LoginError


def test_close_while_texts_are_read_that_take_long(peer: Peer, peer_client: eps.Client) -> None:
    """It returns, and the thread ends; how long a machine takes is not judged."""
    begin_call(peer, peer_client)
    hostile = frame(signaling('"zz":[{}' + ",{}" * 490_000 + "],"))
    sender = threading.Thread(target=send_quietly, args=(peer, hostile * 20), name="hostile")
    sender.start()
    assert peer.receive_frame()[0] == 1

    peer_client.close()

    assert not peer_client.connected
    sender.join(PATIENCE)
    assert not sender.is_alive()


# -- the upgrade -------------------------------------------------------------------------------------------------------


def accept_line(peer: Peer) -> bytes:
    """Take a connection and the upgrade request; return the right Sec-WebSocket-Accept."""
    peer.accept()
    request = b""
    while b"\r\n\r\n" not in request:
        data = peer.sock.recv(65536)
        if not data:
            return b""  # the client's time was over already
        request += data
    key = next(line.split(b":")[1].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    return b"Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1(key + GUID).digest()) + b"\r\n"


RIGHT = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
UPGRADES: dict[str, bytes] = {
    "of 1 MB": RIGHT + b"X: " + b"x" * MEBIBYTE + b"\r\n%s\r\n",
    "of 1 MB in many lines": RIGHT + b"X: y\r\n" * (MEBIBYTE // 6) + b"%s\r\n",
    "wrong accept": RIGHT + b"Sec-WebSocket-Accept: d3Jvbmc=\r\n\r\n",
    "no accept": RIGHT + b"\r\n",
    "accept that is no ASCII": RIGHT + b"Sec-WebSocket-Accept: \xff\xfe\r\n\r\n",
    "no upgrade": b"HTTP/1.1 101 Switching Protocols\r\n%s\r\n",
    "100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n" + RIGHT + b"%s\r\n",
    "103 Early Hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + RIGHT + b"%s\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: wss://evil.example.com/\r\n\r\n",
    "redirect to a file": b"HTTP/1.1 301 Moved\r\nLocation: file:///etc/passwd\r\n\r\n",
    "redirect to nonsense": b"HTTP/1.1 308 Moved\r\nLocation: http://[\xff\r\n\r\n",
    "redirect of 60 kB": b"HTTP/1.1 307 Moved\r\nLocation: /" + b"x" * 60_000 + b"\r\n\r\n",
    "redirect without a place": b"HTTP/1.1 302 Found\r\n\r\n",
    "compression that nobody asked for": RIGHT + b"Sec-WebSocket-Extensions: permessage-deflate\r\n%s\r\n",
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>",
    "all of it right but the status": RIGHT.replace(b"101", b"200") + b"%s\r\n",
    "a status of six digits": b"HTTP/1.1 101101 OK\r\n\r\n",
    "no status": b"HTTP/1.1\r\n\r\n",
    "HTTP/2": b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d",
    "zero bytes": bytes(1000),
    "one line feed too few": RIGHT + b"%s",
}


@pytest.mark.parametrize("response", UPGRADES.values(), ids=UPGRADES)
def test_hostile_upgrade(peer: Peer, response: bytes) -> None:
    attempt = Attempt(peer)
    line = accept_line(peer)

    send_quietly(peer, response.replace(b"%s", line))
    with contextlib.suppress(OSError):  # the client has hung up before
        peer.sock.shutdown(socket.SHUT_WR)

    error = end_of(attempt)
    assert type(error) is eps.ConnectError and str(error).isprintable() and len(str(error)) < 70_000
    assert "took the websocket" not in str(error)


@pytest.mark.parametrize("start", [b"", RIGHT, RIGHT + b"X: "], ids=["nothing", "some lines", "half a line"])
def test_upgrade_that_never_ends(peer: Peer, start: bytes) -> None:
    attempt = Attempt(peer, timeout=0.3)
    accept_line(peer)

    send_quietly(peer, start)

    assert type(end_of(attempt)) is eps.ConnectTimeout


def test_odd_upgrade_that_is_right(peer: Peer) -> None:
    """Odd lines that mean nothing here, and the first frames in the same bytes."""
    attempt = Attempt(peer)
    line = accept_line(peer)
    probe = next(probes())

    peer.sock.sendall(RIGHT + b"Set-Cookie: \xff\r\n: \r\nX\r\n" + line + b"\r\n" + frame(probe) + frame(b"x", 9))

    assert {peer.receive_frame() for _ in range(2)} >= {(1, b'{"mt":"AppChallenge"}')}
    assert peer.receive_frame() == (10, b"x")
    peer.send(CHALLENGE)
    assert peer.receive()["mt"] == "AppLogin"
    peer.send(LOGGED_IN)
    with attempt.result() as client:
        check_call_goes_on(peer, begin_call(peer, client))
        peer.drop()
