"""Connecting, logging in, attaching, sending and closing, as a program does it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import ssl
import threading
import time

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Alert, Attached, AttachResult, PbxInfo, Setup, Signaling, Sync
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, PATIENCE, open_descriptors, wait_until
from .peer import Peer, frame

Phones = tuple[SimulatedPhone, SimulatedPhone]


def in_thread(work: object) -> threading.Thread:
    thread = threading.Thread(target=work)  # type: ignore[arg-type]
    thread.start()
    return thread


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"password": "p"}, "app="),
        ({"app": "a", "password": None}, "password="),
        ({"app": "a", "password": "p", "timeout": 0}, "timeout="),
        ({"app": "a", "password": "p", "ping_timeout": None}, "ping_timeout="),
        ({"app": "a", "password": "p", "keepalive": -1}, "keepalive="),
        ({"app": "a", "password": "p", "info": {"x": 1.5}}, "info.x"),
        ({"app": "a", "password": "p", "info": {"x": "\ud800"}}, "info.x"),
        ({"app": "a", "password": "p", "reconnect": 1}, "reconnect="),
        ({"app": "a", "password": "p", "per_device": None}, "per_device="),
        ({"app": "a", "password": "p", "reconnect_attempts": 0}, "reconnect_attempts="),
        ({"app": "a", "password": "p", "standby_time": 0}, "standby_time="),
        ({"app": "a", "password": "p", "info": [1]}, "info="),
        ({"app": 5, "password": "p"}, "app="),
        ({"app": "a", "password": "p", "domain": None}, "domain="),
        ({"app": "a\udce4", "password": "p"}, "app="),
        ({"app": "a", "password": "p\udce4"}, "password="),
        ({"app": "a", "password": "p", "timeout": 10**400}, "timeout="),
        ({"app": "a", "password": "p", "max_message_size": "1"}, "max_message_size="),
        ({"app": "a", "password": "p", "max_outbox_size": 0}, "max_outbox_size="),
        ({"app": "a", "password": "p", "guid": "{00ff}"}, r"AppLogin\.guid .* hex digits"),
    ],
)
def test_unusable_option_is_named(options: dict[str, object], names: str) -> None:
    with pytest.raises(eps.UsageError, match=names):
        eps.connect("ws://127.0.0.1:1/", **options)  # type: ignore[arg-type]


def test_no_thread_before_connect() -> None:
    before = threading.active_count()
    descriptors = open_descriptors()
    eps.Client("ws://127.0.0.1:1/", app="a", password="p")
    assert threading.active_count() == before
    assert open_descriptors() == descriptors


def test_run_forever_without_connect() -> None:
    with pytest.raises(eps.UsageError, match="connect\\(\\) first"):
        eps.Client("ws://127.0.0.1:1/", app="a", password="p").run_forever()


def test_no_descriptor_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("socket.socketpair", refuse)
    with pytest.raises(eps.ConnectError, match="Too many open files"):
        eps.connect("ws://127.0.0.1:1/", app="a", password="p")


@pytest.mark.parametrize("name", ["epsignal-link", "epsignal-callbacks"])
def test_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name == name:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    descriptors = open_descriptors()
    with pytest.raises(eps.ConnectError, match="thread"):
        eps.connect("ws://127.0.0.1:1/", app="a", password="p")
    assert open_descriptors() <= descriptors


# ---------------------------------------------------------------- login


def test_app_login(client: eps.Client) -> None:
    assert client.connected
    assert "connected" in repr(client)


def test_user_login(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_user("alice", password="secret")
    with eps.connect(pbx.url, sip="alice", password="secret") as client:
        client.attach(HW1)
        with pytest.raises(eps.AttachError):
            client.attach(HW2)


def test_app_login_on_behalf_of_user(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_user("alice", password="secret")
    with eps.connect(pbx.url, app="phones", sip="alice", password="pwd") as client:
        assert client.attach(HW1).hw == HW1


def test_login_with_info(pbx: SimulatedPBX) -> None:
    with eps.connect(pbx.url, app="phones", password="pwd", info={"cn": "Jürgen R&D <Lab>/ß", "n": [1, None, True]}) as client:
        assert client.connected


def test_wrong_password_names_the_reason(pbx: SimulatedPBX) -> None:
    descriptors = open_descriptors()
    with pytest.raises(eps.LoginError, match="phones.*check the name and the password") as error:
        eps.connect(pbx.url, app="phones", password="wrong-secret")
    assert "wrong-secret" not in str(error.value)
    wait_until(lambda: open_descriptors() <= descriptors)  # the simulator's side may take a moment


def test_login_refused_by_closing(pbx: SimulatedPBX) -> None:
    pbx.login_refusal = "close"
    with pytest.raises(eps.LoginError, match="did not answer the login"):
        eps.connect(pbx.url, app="phones", password="wrong")


def test_internal_error_shows_nothing_of_what_was_received(peer: Peer, peer_client: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("canary")

    carrier = peer_client._connections[0].link._carrier
    assert carrier is not None
    monkeypatch.setattr(carrier._forwarding, "receive", fail)
    peer.send({"mt": "PbxInfo"})
    with pytest.raises(eps.ConnectionLostError, match="internal error .ValueError.") as error:
        peer_client.run_forever()
    assert "canary" not in str(error.value)


def test_message_larger_than_allowed_is_not_sent(peer: Peer) -> None:
    with peer.client(max_message_size=1000) as client:
        device = peer.attach(client)
        with pytest.raises(eps.UsageError, match="1000"):
            device.send(Setup(dsp="x" * 1000), call=1, to_device=True)
        device.send(Alert(), call=1, to_device=True)
        assert peer.receive()["sig"] == {"type": "alert"}
        peer.drop()


def test_refusal_carries_the_pbx_reason(peer: Peer) -> None:
    def refuse() -> None:
        peer.upgrade()
        peer.receive()
        peer.send({"mt": "AppChallengeResult", "challenge": "x"})
        peer.receive()
        peer.send({"mt": "AppLoginResult", "ok": False, "error": 17, "errorText": "app\ndisabled"})

    server = in_thread(refuse)
    with pytest.raises(eps.LoginError, match="app.disabled, 17"):
        eps.connect(peer.url, app="phones", password="p")
    server.join(PATIENCE)


@pytest.mark.parametrize("result", [{}, {"ok": None}, {"ok": 1}, {"ok": "true"}])
def test_only_ok_true_is_a_login(peer: Peer, result: dict[str, object]) -> None:
    def answer() -> None:
        peer.upgrade()
        peer.receive()
        peer.send({"mt": "AppChallengeResult", "challenge": "x"})
        peer.receive()
        peer.send({"mt": "AppLoginResult", **result})

    server = in_thread(answer)
    with pytest.raises(eps.LoginError):
        eps.connect(peer.url, app="phones", password="p")
    server.join(PATIENCE)


@pytest.mark.parametrize("step", ["challenge", "login"])
def test_silence_during_login_times_out(peer: Peer, step: str) -> None:
    def answer() -> None:
        peer.upgrade()
        peer.receive()
        if step == "login":
            peer.send({"mt": "AppChallengeResult", "challenge": "x"})
            peer.receive()

    server = in_thread(answer)
    with pytest.raises(eps.ConnectTimeout, match=step):
        eps.connect(peer.url, app="phones", password="p", timeout=0.5)
    server.join(PATIENCE)


def test_close_during_challenge_is_a_connect_error(peer: Peer) -> None:
    def answer() -> None:
        peer.upgrade()
        peer.receive()
        peer.drop()

    server = in_thread(answer)
    with pytest.raises(eps.ConnectError, match="before the login"):
        eps.connect(peer.url, app="phones", password="p")
    server.join(PATIENCE)


def test_unknown_messages_are_taken_at_any_time(peer: Peer) -> None:
    def answer() -> None:
        peer.upgrade()
        peer.send({"mt": "PbxInfo", "pbx": "master"})
        peer.receive()
        peer.send({"mt": "AppLoginResult", "ok": True})  # nobody asked yet: it must not count as a login
        peer.send({"mt": "AppChallengeResult", "challenge": "x"})
        peer.send({"mt": "Whatever", "api": "New"})
        assert peer.receive()["mt"] == "AppLogin"
        peer.send({"mt": "AppChallengeResult", "challenge": "again"})
        peer.send({"mt": "AppLoginResult", "ok": True})
        peer.send({"mt": "AppChallengeResult", "challenge": "and again"})
        peer.send({"mt": "PbxInfo", "pbx": "late"})

    server = in_thread(answer)
    seen = threading.Event()
    client = eps.Client(peer.url, app="phones", password="p")
    client.on(PbxInfo, lambda event: seen.set() if event.message.pbx == "late" else None)
    with client:
        client.connect()
        server.join(PATIENCE)
        assert seen.wait(PATIENCE)
        assert client.connected


def test_connect_twice_is_refused(client: eps.Client) -> None:
    with pytest.raises(eps.UsageError, match="already"):
        client.connect()
    assert client.connected


# ---------------------------------------------------------------- attach


def test_attach_result(client: eps.Client) -> None:
    device = client.attach(HW1)
    device.wait_attached(timeout=PATIENCE)
    assert device.attached
    assert device.hw == HW1
    result = device.result
    assert result.stun is not None and result.stun_servers == tuple(result.stun.split(";"))
    assert result.turn is not None and result.turn_servers == tuple(result.turn.split(";"))
    assert result.turn_pwd and result.turn_pwd not in repr(result)
    assert isinstance(result.max_intern, int)


def test_attach_again_returns_the_same_device(client: eps.Client) -> None:
    assert client.attach(HW1) is client.attach(HW1)
    with pytest.raises(eps.UsageError, match="forward=True"):
        client.attach(HW1, forward=False)


def test_attach_many_in_order(client: eps.Client) -> None:
    devices = client.attach_many([HW2, HW1])
    assert [device.hw for device in devices] == [HW2, HW1]
    with pytest.raises(eps.UsageError, match="list"):
        client.attach_many(HW1)


def test_attach_many_keeps_those_that_worked(client: eps.Client) -> None:
    with pytest.raises(eps.AttachError) as error:
        client.attach_many([HW1, "unknown", HW2])
    assert error.value.hw == "unknown"
    client.attach(HW2).wait_attached(timeout=PATIENCE)


def test_attach_refused_carries_err(client: eps.Client) -> None:
    with pytest.raises(eps.AttachError, match="hw is spelled") as error:
        client.attach("unknown")
    assert error.value.err is not None
    with pytest.raises(eps.AttachError):  # asked anew
        client.attach("unknown")


@pytest.mark.parametrize("hw", ["", None, 5])
def test_attach_to_nothing(client: eps.Client, hw: object) -> None:
    with pytest.raises(eps.UsageError, match="hardware id"):
        client.attach(hw)  # type: ignore[arg-type]


def test_attach_sends_nothing_for_a_wrong_time_out(peer: Peer, peer_client: eps.Client) -> None:
    with pytest.raises(eps.UsageError, match="time-out"):
        peer_client.attach(HW1, timeout="10")  # type: ignore[arg-type]
    with pytest.raises(eps.UsageError, match="hw="):
        peer_client.attach("Swphone_\udce4")
    peer.attach(peer_client, HW2)  # whose Attach is the first that comes
    assert peer_client.connected


def test_err_that_is_nested_deep(peer: Peer, peer_client: eps.Client) -> None:
    def answer() -> None:
        src = peer.receive()["src"]
        peer.send('{"mt":"AttachResult","src":"' + src + '","err":' + "[" * 500 + "]" * 500 + "}")

    server = in_thread(answer)
    with pytest.raises(eps.AttachError, match="err is"):
        peer_client.attach(HW1)
    server.join(PATIENCE)


def test_device_that_is_refused_later(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    peer.send({"mt": "AttachResult", "api": "EpSignal", "src": peer.src, "err": "gone"})
    wait_until(lambda: not device.attached)


def test_attach_without_answer_says_what_to_check(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_app("unticked", password="p", epsignal=False)
    with eps.connect(pbx.url, app="unticked", password="p") as client:
        with pytest.raises(eps.ReplyTimeout, match="EpSignal is ticked.*hw is spelled"):
            client.attach(HW1, timeout=0.3)


def test_late_answer_is_adopted_by_the_next_attach(peer: Peer, peer_client: eps.Client) -> None:
    for _ in range(2):
        with pytest.raises(eps.ReplyTimeout):
            peer_client.attach(HW1, timeout=0.1)
    src = peer.receive()["src"]
    peer.send({"mt": "AttachResult", "api": "EpSignal", "src": src, "area": "7031"})
    peer.send({"mt": "Attached", "api": "EpSignal", "src": src})
    text = f'{{"mt":"Signaling","api":"EpSignal","src":"{src}","call":3,"sig":{{"type":"setup"}}}}'
    peer.send(text)
    assert peer.receive_text() == text.encode()  # forwarded before anybody has the device
    device = peer_client.attach(HW1)
    assert device.result.area == "7031"
    assert peer_client.stats.late_replies == 1
    device.wait_attached(timeout=PATIENCE)
    wait_until(lambda: 3 in device.calls)
    peer.send(text)
    assert peer.receive_text() == text.encode()  # and no second Attach came before it


def test_attach_result_without_src_belongs_to_the_oldest(peer: Peer, peer_client: eps.Client) -> None:
    def answer() -> None:
        for _ in range(2):
            peer.receive()
        for area in ("1", "2"):
            peer.send({"mt": "AttachResult", "api": "EpSignal", "area": area})

    server = in_thread(answer)
    first, second = peer_client.attach_many([HW1, HW2])
    server.join(PATIENCE)
    assert (first.result.area, second.result.area) == ("1", "2")


def test_no_attached_in_time_warns(pbx: SimulatedPBX, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.attaching.ATTACHED_TIME", 0.1)
    pbx.unknown_hw = "accepted"
    with caplog.at_level(logging.WARNING, "epsignal_sync"), eps.connect(pbx.url, app="phones", password="pwd") as client:
        device = client.attach("misspelt")
        wait_until(lambda: any("misspelt" in record.getMessage() for record in caplog.records))
        with pytest.raises(eps.ReplyTimeout, match="misspelt.*spelled exactly"):
            device.wait_attached(timeout=0.1)


def test_nothing_is_lost_before_the_caller_has_its_device(peer: Peer, peer_client: eps.Client) -> None:
    seen: list[type] = []
    done = threading.Event()
    for kind in (AttachResult, Attached, Sync, Signaling):
        peer_client.on(kind, lambda event: seen.append(type(event.message)) or (done.set() if len(seen) == 4 else None))  # type: ignore[func-returns-value]

    def answer() -> None:
        peer.src = peer.receive()["src"]
        # Any order is taken: here all of it comes in one segment, the answer last.
        head = {"api": "EpSignal", "src": peer.src}
        messages: list[dict[str, object]] = [
            {"mt": "Attached", **head},
            {"mt": "Sync", **head, "call": 7, "info": {"channel": -1, "in": True, "state": "alert", "remote": {"num": "99", "dn": "Zoe"}}},
            peer.signaling(8, {"type": "setup", "cd": {"num": "23"}}),
            {"mt": "AttachResult", **head},
        ]
        peer.sock.sendall(b"".join(frame(message) for message in messages))

    server = in_thread(answer)
    device = peer_client.attach(HW1)
    server.join(PATIENCE)
    calls = device.calls
    assert set(calls) == {7, 8}
    assert (calls[7].state, calls[7].incoming, str(calls[7].remote)) == ("alert", True, "Zoe (99)")
    assert (calls[8].state, calls[8].incoming, calls[8].remote.num) == ("setup", False, "23")
    assert peer.receive()["call"] == 8
    assert done.wait(PATIENCE)
    assert seen == [Attached, Sync, Signaling, AttachResult]


@pytest.mark.parametrize("api", ["Api", "Other"])
def test_api_under_another_name(peer: Peer, api: str) -> None:
    with peer.client(api=api) as client:
        answer = in_thread(lambda: peer.attach(client))
        answer.join(PATIENCE)
        text = f'{{"mt":"Signaling","api":"{api}","src":"{peer.src}","call":1,"sig":{{"type":"alert"}}}}'
        peer.send(text)
        assert peer.receive_text() == text.encode()
        client.attach(HW1).send(Alert(), call=1, to_device=True)
        assert peer.receive()["api"] == api
        peer.drop()


# ---------------------------------------------------------------- life


def test_keepalive_after_silence(peer: Peer) -> None:
    with peer.client(keepalive=0.1, ping_interval=None):
        assert peer.receive() == {"mt": "KeepAlive"}
        assert peer.receive() == {"mt": "KeepAlive"}


def test_ping_after_silence_and_loss_without_answer(peer: Peer) -> None:
    lost: list[eps.ConnectionLost] = []
    with peer.client(ping_interval=0.1, ping_timeout=0.3) as client:
        client.on(eps.ConnectionLost, lost.append)
        opcode, payload = peer.receive_frame()
        assert opcode == 9
        peer.sock.sendall(b"\x8a\x00")  # a pong: alive
        assert peer.receive_frame()[0] == 9
        with pytest.raises(eps.ConnectionLostError, match="no sign of life"):
            client.run_forever()
        wait_until(lambda: lost)
        assert not client.connected


def test_any_frame_is_a_sign_of_life(peer: Peer) -> None:
    with peer.client(ping_interval=0.2, ping_timeout=0.6) as client:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            peer.send({"mt": "PbxInfo"})
            time.sleep(0.05)
        assert client.connected


def test_peer_that_stops_reading_is_given_up(peer: Peer) -> None:
    with peer.client(ping_timeout=0.5, ping_interval=None) as client:
        device = peer.attach(client)
        with pytest.raises((eps.ReplyTimeout, eps.ConnectionLostError)):
            for _ in range(200):
                device.send(Setup(dsp="x" * 100_000), call=1, to_device=False, timeout=PATIENCE)
        with pytest.raises(eps.ConnectionLostError, match="stopped reading"):
            client.run_forever()


def test_while_nothing_is_read_silence_is_no_death(peer: Peer) -> None:
    # Reading pauses while much waits to be written; the pongs that are not read then must not be missed.
    with peer.client(ping_interval=0.1, ping_timeout=0.5, max_outbox_size=1) as client:
        device = peer.attach(client)
        stop = threading.Event()

        def send() -> None:
            with contextlib.suppress(eps.ConnectionLostError):  # the end of the test
                while not stop.is_set():
                    device.send(Setup(dsp="x" * 100_000), call=1, to_device=False, timeout=PATIENCE)

        sender = in_thread(send)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for _ in range(4):
                if peer.receive_frame()[0] == 9:
                    peer.sock.sendall(frame(b"", 10))
            time.sleep(0.02)
        assert client.connected
        stop.set()
        peer.drop()
        sender.join(PATIENCE)


def test_send_waits_and_forwarding_does_not(peer: Peer) -> None:
    with peer.client(ping_timeout=60) as client:
        device = peer.attach(client)
        with pytest.raises(eps.ReplyTimeout, match="has not taken"):
            for _ in range(400):
                device.send(Setup(dsp="x" * 100_000), call=1, to_device=False, timeout=0.2)
        text = peer.signaling(3, {"type": "alert"})
        peer.send(text)
        wait_until(lambda: client.stats.forwarded == 1)


# ---------------------------------------------------------------- the end


def test_loss_ends_the_client_and_every_waiter(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    peer.send({"mt": "Detached", "api": "EpSignal", "src": peer.src})
    wait_until(lambda: not device.attached)
    errors: list[BaseException] = []
    lost = threading.Event()
    peer_client.on(eps.ConnectionLost, lambda event: lost.set())

    def waiting(work: object) -> threading.Thread:
        def run() -> None:
            try:
                work()  # type: ignore[operator]
            except eps.EpSignalError as error:
                errors.append(error)

        return in_thread(run)

    threads = [
        waiting(lambda: device.wait_attached(timeout=None)),
        waiting(lambda: peer_client.attach("other", timeout=None)),
        waiting(lambda: peer_client.run_forever()),
    ]
    peer.receive()  # the Attach of "other"
    peer.drop()
    for thread in threads:
        thread.join(PATIENCE)
    assert [type(error) for error in errors] == [eps.ConnectionLostError] * 3
    assert lost.wait(PATIENCE)
    assert not peer_client.connected and not device.attached
    with pytest.raises(eps.ConnectionLostError, match="lost"):
        device.send(Alert(), call=1, to_device=True)
    for hw in (HW1, "third"):
        with pytest.raises(eps.ConnectionLostError):
            peer_client.attach(hw)


def test_clean_close_by_the_pbx_is_a_loss(peer: Peer, peer_client: eps.Client) -> None:
    peer.sock.sendall(b"\x88\x0b\x03\xe9restart..")
    assert peer.receive_frame() == (8, b"\x03\xe9")
    with pytest.raises(eps.ConnectionLostError, match="1001.*restart"):
        peer_client.run_forever()


def test_close_is_idempotent_and_leaves_nothing(pbx: SimulatedPBX, phones: Phones) -> None:
    descriptors = open_descriptors()
    client = eps.connect(pbx.url, app="phones", password="pwd")
    client.attach(HW1)
    client.close()
    client.close()
    assert not client.connected
    with pytest.raises(eps.ClosedError):
        client.attach(HW2)
    with pytest.raises(eps.ClosedError):
        client.connect()
    wait_until(lambda: open_descriptors() <= descriptors)


def test_close_sends_what_waits_then_a_close_frame(peer: Peer) -> None:
    client = peer.client()
    device = peer.attach(client)
    for number in range(50):
        device.send(Alert(), call=number, to_device=True)
    closer = in_thread(client.close)
    for number in range(50):
        assert peer.receive()["call"] == number
    assert peer.receive_frame() == (8, b"\x03\xe8")
    peer.drop()
    closer.join(PATIENCE)


def assert_closes_in_time(client: eps.Client) -> None:
    """close() has a bound of 2 s by the clock; the CPU's share of a busy machine comes on top."""
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 4


def test_close_with_silent_peer(peer: Peer) -> None:
    client = peer.client(keepalive=0.01)  # which is overdue all the while
    before = time.thread_time()
    used = time.process_time()
    assert_closes_in_time(client)
    assert time.process_time() - used < 0.5 + time.thread_time() - before  # it waits, and does not spin


def test_close_with_peer_that_does_not_read(peer: Peer) -> None:
    client = peer.client()
    device = peer.attach(client)
    with pytest.raises(eps.ReplyTimeout):
        while True:
            device.send(Setup(dsp="x" * 100_000), call=1, to_device=False, timeout=0.2)
    assert_closes_in_time(client)


@pytest.mark.parametrize("step", ["tcp", "tls", "upgrade", "challenge", "login"])
def test_close_interrupts_connect(peer: Peer, step: str) -> None:
    url = peer.url.replace("ws://", "wss://") if step == "tls" else peer.url
    client = eps.Client(url, app="phones", password="p", timeout=60)
    errors: list[BaseException] = []

    def connect() -> None:
        try:
            client.connect()
        except eps.EpSignalError as error:
            errors.append(error)

    connecting = in_thread(connect)
    if step == "upgrade":
        peer.accept()
    elif step in ("challenge", "login"):
        peer.upgrade()
        peer.receive()
        if step == "login":
            peer.send({"mt": "AppChallengeResult", "challenge": "x"})
            peer.receive()
    else:
        peer.accept() if step == "tls" else wait_until(lambda: threading.active_count() > 2)
    assert_closes_in_time(client)
    connecting.join(PATIENCE)
    assert [type(error) for error in errors] == [eps.ClosedError]


def test_close_before_connect() -> None:
    client = eps.Client("ws://127.0.0.1:1/", app="a", password="p")
    client.close()
    with pytest.raises(eps.ClosedError):
        client.connect()


def test_close_from_many_threads(client: eps.Client) -> None:
    threads = [in_thread(client.close) for _ in range(8)]
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_cycles_leave_no_descriptor(pbx: SimulatedPBX, phones: Phones) -> None:
    descriptors = open_descriptors()
    for _ in range(20):
        with eps.connect(pbx.url, app="phones", password="pwd") as client:
            client.attach(HW1)
    wait_until(lambda: open_descriptors() <= descriptors)


def test_run_forever_returns_after_close(client: eps.Client) -> None:
    runner = in_thread(client.run_forever)
    client.close()
    runner.join(PATIENCE)
    assert not runner.is_alive()


def test_ctrl_c_ends_run_forever(client: eps.Client) -> None:
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        client.run_forever()
    timer.join()
    assert client.connected


def test_ctrl_c_during_connect_leaves_nothing(peer: Peer) -> None:
    descriptors = open_descriptors()  # collects garbage, where a KeyboardInterrupt would be swallowed: so before the timer runs
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        eps.connect(peer.url, app="a", password="p", timeout=60)
    timer.join()
    assert open_descriptors() <= descriptors


# ---------------------------------------------------------------- secrets


def test_no_secret_in_log_repr_or_exception(
    pbx: SimulatedPBX, phones: Phones, caplog: pytest.LogCaptureFixture, server_context: ssl.SSLContext
) -> None:
    pbx.add_app("secretive", password="canary-password")
    shown: list[str] = []
    done = threading.Event()
    with caplog.at_level(logging.DEBUG):
        with eps.connect(pbx.url, app="secretive", password="canary-password") as client:
            client.on(AttachResult, lambda event: shown.append(repr(event)))

            @client.on(Setup)
            def ringing(event: eps.SignalEvent[Setup]) -> None:
                shown.append(repr(event) + repr(event.call) + repr(event.device))
                channels = event.signal.channels
                assert channels is not None and channels.key is not None and channels.audio_ice is not None
                secrets.extend(str(secret) for secret in (channels.key.b, channels.audio_ice.pwd))
                done.set()
                raise RuntimeError("with a traceback in the log")

            secrets = ["canary-password"]
            device = client.attach(HW1)
            secrets.append(str(device.result.turn_pwd))
            call = phones[0].call("23")
            assert done.wait(PATIENCE)
            call.hangup()
            shown += [repr(client), repr(device), repr(client.stats), repr(client.__dict__)]
        with pytest.raises(eps.LoginError) as error:
            eps.connect(pbx.url, app="secretive", password="canary-password2")
        shown.append(repr(error.value))
    digests = [entry.message["digest"] for entry in pbx.log if entry.message and entry.message.get("mt") == "AppLogin"]
    assert len(digests) >= 1
    text = "\n".join([*shown, *(record.getMessage() + str(record.exc_text) for record in caplog.records), caplog.text])
    for secret in [*secrets, *digests]:
        assert len(secret) > 7 and secret not in text


def test_descriptor_is_closed_at_the_peer(peer: Peer) -> None:
    client = peer.client()
    client.close()
    assert peer.receive_frame()[0] == 8
    peer.sock.settimeout(PATIENCE)
    assert peer.sock.recv(1) == b""
    assert isinstance(peer.sock, socket.socket)
