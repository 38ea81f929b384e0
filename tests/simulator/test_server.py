"""The server: frames, TLS, apps that do not read, and leaving nothing behind."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

import errno
import json
import logging
import os
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
import trustme
import websocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from epsignal_sync.errors import ClosedError, UsageError
from epsignal_sync.simulator import SimulatedPBX
from epsignal_sync.simulator.transport import Transport

from .test_raw_app import TIMEOUT, RawApp, abort, compact, digest, no_leaks, pbx, until  # noqa: F401


@pytest.fixture
def certificate() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def log_in(app: Any) -> None:
    """Log in and attach device aa on a connection of either library."""
    app.send(compact({"mt": "AppChallenge"}))
    challenge = json.loads(app.recv())["challenge"]
    app.send(compact({"mt": "AppLogin", "app": "phones", "digest": digest(challenge, "pwd", app="phones")}))
    assert json.loads(app.recv())["ok"] is True
    app.send(compact({"mt": "Attach", "api": "EpSignal", "src": "1", "hw": "aa"}))
    while json.loads(app.recv()).get("call") != 2:
        pass


def signaling(call: Any, sig: dict[str, Any], *, to: bool = False) -> str:
    return compact({"mt": "Signaling", "api": "EpSignal", "src": "1", **({"to": True} if to else {}), "call": call, "sig": sig})


def test_url(no_leaks: None) -> None:
    pbx = SimulatedPBX(path="/other")
    with pytest.raises(UsageError, match="start"):
        _ = pbx.url
    with pbx:
        assert pbx.url.startswith("ws://127.0.0.1:") and pbx.url.endswith("/other")
        with pytest.raises(UsageError, match="new one"):
            pbx.start()


def test_set_up_before_the_start(no_leaks: None) -> None:
    pbx = SimulatedPBX()
    pbx.add_app("phones", password="pwd")
    phone = pbx.add_phone("aa", number="22", sip="alice")
    with pbx, RawApp(pbx).login() as app:
        app.attach("aa")
        app.wait_mt("Sync", 2)
        assert phone.registered


def test_long_message_is_fragmented_anywhere(pbx: SimulatedPBX) -> None:
    phone = pbx.add_phone("aa", number="22", sip="alice")
    with connect(pbx.url, compression=None) as app:
        log_in(app)
        text = "é東☎" * 10000
        phone.standing_calls[0].send({"type": "user_info", "uui": text})
        frames = list(app.recv_streaming(decode=False))
        assert max(map(len, frames)) == 16384 and len(frames) > 4
        assert json.loads(b"".join(frames))["sig"]["uui"] == text
        with pytest.raises(UnicodeDecodeError):
            [frame.decode() for frame in frames]
        app.send(b"".join(frames), text=True)
        entry = pbx.wait_for(lambda log: log.last("to-pbx", "aa", type="user_info"))
        assert entry.sig["uui"] == text


def test_fragments_of_the_app_are_joined(pbx: SimulatedPBX) -> None:
    pbx.add_phone("aa", number="22", sip="alice")
    with connect(pbx.url) as app:
        log_in(app)
        app.send(iter(signaling(1, {"type": "user_info", "uui": "y"})))
        entry = pbx.wait_for(lambda log: log.last("to-pbx", "aa", type="user_info"))
        assert entry.sig["uui"] == "y"


def test_refusal_by_closing_says_that_it_is_one(pbx: SimulatedPBX) -> None:
    pbx.login_refusal = "close"
    with connect(pbx.url) as app:
        app.send(compact({"mt": "AppLogin", "app": "phones", "digest": "00"}))
        with pytest.raises(ConnectionClosed):
            app.recv(TIMEOUT)
        assert app.close_code == 1008


def test_no_compression(pbx: SimulatedPBX) -> None:
    with connect(pbx.url, compression="deflate") as app:
        assert app.protocol.extensions == []


def test_tls(no_leaks: None, certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    with SimulatedPBX(ssl_context=server) as pbx:
        pbx.add_app("phones", password="pwd")
        pbx.add_phone("aa", number="22", sip="alice")
        assert pbx.url.startswith("wss://")
        app = websocket.create_connection(pbx.url, timeout=TIMEOUT, sslopt={"context": client})
        log_in(app)
        assert pbx.connections == 1
        app.close()


def pump(sock: ssl.SSLSocket, outgoing: bytes, frames: int) -> list[bytes]:
    """Write and read at the same time, on this one thread; returns the payloads of that many frames of 126 to 65535 bytes."""
    sock.setblocking(False)
    rest, received = memoryview(outgoing), bytearray()
    payloads: list[bytes] = []
    end = time.monotonic() + 60
    while len(payloads) < frames:
        assert time.monotonic() < end, f"{len(payloads)} of {frames} answers came"
        select.select([sock], [sock] if rest else [], [], 0.5)
        try:
            rest = rest[sock.send(rest[:16384]) :] if rest else rest
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            while data := sock.recv(65536):
                received += data
            raise AssertionError(f"the connection ended after {len(payloads)} of {frames} answers")
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        at = 0
        while len(received) >= at + 4 and len(received) >= (following := at + 4 + int.from_bytes(received[at + 2 : at + 4], "big")):
            assert received[at : at + 2] == b"\x81\x7e"
            payloads.append(bytes(received[at + 4 : following]))
            at = following
        del received[:at]
    return payloads


class ProbingSocket(ssl.SSLSocket):
    """A TLS socket that takes note when a call is made while another one is not over: OpenSSL allows no such thing."""

    overlaps = 0
    _inside = 0

    def recv(self, *args: Any) -> bytes:
        return cast(bytes, self._probe(super().recv, *args))

    def send(self, *args: Any) -> int:
        return cast(int, self._probe(super().send, *args))

    def _probe(self, method: Callable[..., Any], *args: Any) -> Any:
        ProbingSocket.overlaps += self._inside
        self._inside += 1
        try:
            time.sleep(0.0005)  # So that others get their chance.
            return method(*args)
        finally:
            self._inside -= 1


def test_tls_with_load_in_both_directions(no_leaks: None, certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    server.sslsocket_class = ProbingSocket
    count = 1000
    with SimulatedPBX(ssl_context=server, log_limit=100) as pbx:
        pbx.add_app("phones", password="pwd")
        pbx.add_phone("aa", number="22", sip="alice")
        app = websocket.create_connection(pbx.url, timeout=TIMEOUT, sslopt={"context": client})
        log_in(app)
        # Every message has an answer of cause 81 that repeats its call, here a long text.
        calls = [f"{number} {'x' * 5000}" for number in range(count)]
        texts = [signaling(call, {"type": "user_info"}, to=True) for call in calls]
        frames = [websocket.ABNF.create_frame(text, websocket.ABNF.OPCODE_TEXT).format() for text in texts]
        sock: Any = app.sock
        answers = pump(sock, b"".join(frames), count)
        assert [json.loads(answer)["call"] for answer in answers] == calls
        abort(app)
    assert ProbingSocket.overlaps == 0


def test_app_that_does_not_read_stops_nobody(pbx: SimulatedPBX) -> None:
    phone = pbx.add_phone("aa", number="22", sip="alice")
    other = pbx.add_phone("bb", number="23", sip="bob")
    with RawApp(pbx).login() as reading:
        reading.attach("bb")
        stuck = websocket.create_connection(pbx.url, timeout=TIMEOUT)
        log_in(stuck)
        for _ in range(100):
            phone.standing_calls[0].send({"type": "user_info", "uui": "x" * 100000})
        call = other.call("99")
        assert call.wait("null") == "null"
        assert reading.wait_signal("rel", to=False)["call"] == call.id
        abort(stuck)


def test_app_that_never_reads_is_dropped(pbx: SimulatedPBX, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.simulator.transport.MAX_WAITING", 20_000_000)
    phone = pbx.add_phone("aa", number="22", sip="alice")
    stuck = websocket.create_connection(pbx.url, timeout=TIMEOUT)
    log_in(stuck)
    for _ in range(60):
        phone.standing_calls[0].send({"type": "user_info", "uui": "x" * 500_000})
    assert pbx.wait_for(lambda log: pbx.connections == 0, timeout=TIMEOUT)
    abort(stuck)


def close_and_check(pbx: SimulatedPBX) -> None:
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("simulated-pbx")]
    pbx.close()
    for thread in threads:
        thread.join(TIMEOUT)  # close() itself waits for 2 s at most, which a machine that stalls may miss
    assert not [thread for thread in threads if thread.is_alive()]
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(pbx.url.split(":")[2].split("/")[0])), timeout=TIMEOUT).close()


def test_close_with_an_app_that_does_not_read(pbx: SimulatedPBX) -> None:
    phone = pbx.add_phone("aa", number="22", sip="alice")
    stuck = websocket.create_connection(pbx.url, timeout=TIMEOUT)
    log_in(stuck)
    for _ in range(100):
        phone.standing_calls[0].send({"type": "user_info", "uui": "x" * 100000})
    close_and_check(pbx)
    abort(stuck)


def test_close_with_a_tls_app_that_does_not_read(no_leaks: None, certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = certificate
    with SimulatedPBX(ssl_context=server) as pbx:
        pbx.add_app("phones", password="pwd")
        phone = pbx.add_phone("aa", number="22", sip="alice")
        stuck = websocket.create_connection(pbx.url, timeout=TIMEOUT, sslopt={"context": client})
        log_in(stuck)
        for _ in range(100):
            phone.standing_calls[0].send({"type": "user_info", "uui": "x" * 100000})
        close_and_check(pbx)
        abort(stuck)


@pytest.mark.parametrize("tls", [False, True])
def test_close_during_the_opening_handshake(no_leaks: None, certificate: tuple[ssl.SSLContext, ssl.SSLContext], tls: bool) -> None:
    with SimulatedPBX(ssl_context=certificate[0] if tls else None) as pbx:
        port = int(pbx.url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT):
            until(lambda: any(thread.name == "simulated-pbx-connection" for thread in threading.enumerate()), "not accepted")
            close_and_check(pbx)


def test_tls_connection_that_is_reset_before_it_begins(no_leaks: None, certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    outcome: list[type[BaseException]] = []

    def accept(transport: Transport, sock: socket.socket) -> None:
        try:
            transport._open(sock)
        except OSError as error:
            outcome.append(type(error))

    with SimulatedPBX(ssl_context=certificate[0]) as pbx, socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=TIMEOUT)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server, _ = listener.accept()
        client.close()
        thread = threading.Thread(target=accept, args=(pbx._transport, server))  # it names the thread that it runs on
        thread.start()
        thread.join(TIMEOUT)
    assert outcome == [ConnectionResetError]


def test_connection_that_is_accepted_during_close(pbx: SimulatedPBX) -> None:
    pbx.close()
    ours, theirs = socket.socketpair()
    transport = pbx._transport
    assert transport is not None
    refused: list[type[BaseException]] = []

    def accept() -> None:
        with pytest.raises(ConnectionAbortedError) as error:
            transport._open(theirs)
        refused.append(error.type)

    with ours:
        thread = threading.Thread(target=accept)  # it names the thread that it runs on
        thread.start()
        thread.join(TIMEOUT)
    assert refused == [ConnectionAbortedError]
    assert theirs.fileno() == -1


def test_close_sends_what_waits_and_a_close_frame(pbx: SimulatedPBX) -> None:
    phone = pbx.add_phone("aa", number="22", sip="alice")
    app = websocket.create_connection(pbx.url, timeout=TIMEOUT)
    log_in(app)
    phone.standing_calls[0].send({"type": "user_info", "uui": "last words"})
    closing = threading.Thread(target=pbx.close)
    closing.start()
    assert json.loads(app.recv())["sig"]["uui"] == "last words"
    opcode, data = app.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_CLOSE and data[:2] == (1001).to_bytes(2, "big")
    closing.join(TIMEOUT)
    abort(app)


def test_close_from_many_threads_and_again(pbx: SimulatedPBX) -> None:
    with RawApp(pbx).login():
        threads = [threading.Thread(target=pbx.close) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()
        pbx.close()
        with pytest.raises(ClosedError, match="closed"):
            pbx.add_app("late", password="pwd")


def test_close_that_has_no_time_leaves_nothing(no_leaks: None) -> None:
    transport = Transport("127.0.0.1", 0, "/", None, lambda wire: None)
    transport.close([], 0.0)  # what no_leaks looks for ends afterwards


def test_close_while_it_begins_to_listen(no_leaks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad_file_descriptor() -> None:  # so does websockets before version 17 now and then
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    transport = Transport("127.0.0.1", 0, "/", None, lambda wire: None)
    monkeypatch.setattr(transport._server, "serve_forever", bad_file_descriptor)
    with pytest.raises(OSError):
        transport._accept()
    transport.close([], TIMEOUT)
    transport._accept()


def test_close_before_start(no_leaks: None) -> None:
    pbx = SimulatedPBX()
    pbx.close()
    with pytest.raises(UsageError):
        pbx.start()


def test_port_is_free_after_close(no_leaks: None) -> None:
    with SimulatedPBX() as first:
        port = int(first.url.split(":")[2].split("/")[0])
        app = websocket.create_connection(first.url, timeout=TIMEOUT)
    abort(app)
    with SimulatedPBX(port=port) as second:
        websocket.create_connection(second.url, timeout=TIMEOUT).close()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        SimulatedPBX(port=taken.getsockname()[1]).start()


def test_fifty_cycles_leave_nothing(no_leaks: None) -> None:
    for _ in range(50):
        with SimulatedPBX() as pbx:
            pbx.add_app("phones", password="pwd")
            pbx.add_phone("aa", number="22", sip="alice")
            app = websocket.create_connection(pbx.url, timeout=TIMEOUT)
            log_in(app)
            abort(app)


def test_threads_are_named_and_daemons(pbx: SimulatedPBX) -> None:
    before = set(threading.enumerate())
    with RawApp(pbx).login():
        names = set()
        for thread in threading.enumerate():
            if thread not in before and thread.name != "raw-app":
                assert thread.daemon
                names.add(thread.name)
        assert names == {"simulated-pbx-connection", "simulated-pbx-reader", "simulated-pbx-writer"}


def test_dropped_connections_get_no_close_frame(pbx: SimulatedPBX) -> None:
    app = websocket.create_connection(pbx.url, timeout=TIMEOUT)
    pbx.wait_for(lambda log: pbx._connections)
    pbx.drop_connections()
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        app.recv_data(control_frame=True)
    abort(app)


def test_log_is_bounded_and_can_be_cleared(no_leaks: None) -> None:
    with SimulatedPBX(log_limit=50) as pbx:
        alice = pbx.add_phone("aa", number="22", sip="alice")
        for _ in range(20):
            alice.call("99")
        assert len(pbx.log) == 50
        times = [entry.time for entry in pbx.log]
        assert times == sorted(times) and times[-1] <= time.monotonic()
        with pytest.raises(ValueError, match="to-app"):
            pbx.log.entries(place="somewhere")
        pbx.log.clear()
        assert pbx.log.entries() == []


def test_log_that_is_not_wanted(no_leaks: None) -> None:
    with SimulatedPBX(log_limit=0) as pbx:
        alice, bob = pbx.add_phone("aa", number="22", sip="alice"), pbx.add_phone("bb", number="23", sip="bob")
        call = alice.call("23")
        bob.wait("alert")
        bob.reject()
        call.wait("null")
        assert len(pbx.log) == 0 and pbx.wait_for(lambda log: call.cause) == 21


def test_job_that_fails_does_not_stop_the_pbx(pbx: SimulatedPBX, caplog: pytest.LogCaptureFixture) -> None:
    pbx._actor.post(lambda: 1 / 0)
    pbx._actor.run(lambda: pbx._actor.later(0.0, lambda: 1 / 0))
    phone = pbx.add_phone("aa", number="22", sip="alice")
    assert phone.call("99").wait("null") == "null"
    until(lambda: sum("failed" in record.message for record in caplog.records) == 2, "not logged")


def test_connection_that_is_no_websocket_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("no HTTP request")
    except ValueError:  # as websockets 16 does it; 17 says nothing
        logging.getLogger("epsignal_sync.simulator.websockets").error("opening handshake failed", exc_info=True)
    assert [record.exc_info for record in caplog.records] == [None]
    assert "did not open a websocket (no HTTP request)" in caplog.text and "Traceback" not in caplog.text


def test_log_can_be_followed(no_leaks: None) -> None:
    with SimulatedPBX(log_limit=50) as pbx:
        assert pbx.log.newer(timeout=0.01) == []
        phone = pbx.add_phone("aa", number="22", sip="alice")
        first = pbx.log.newer(timeout=TIMEOUT)
        assert [entry.number for entry in first] == list(range(1, len(first) + 1)) and first == pbx.log.entries()
        calling = threading.Timer(0.05, phone.call, ["99"])
        calling.start()
        rest = pbx.log.newer(first[-1].number, timeout=TIMEOUT)
        calling.join()
        assert rest[0].number == first[-1].number + 1 and rest[0].type == "setup"
        for _ in range(30):
            phone.call("99")
        kept = pbx.log.newer(timeout=0)
        assert len(kept) == 50 and kept[0].number > 1, "the oldest are gone, the numbers stay"
