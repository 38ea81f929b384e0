from __future__ import annotations

import random
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from epsignal_sync.relay.outbox import Outbox
from epsignal_sync.relay.transport import READ_SIZE, Transport

PATIENCE = 20.0
"""Seconds that a test waits for what has to come; only a failing test ever waits so long."""
MEGABYTE = 1024 * 1024


class Pair:
    """A transport and the socket of its peer, which blocks."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.transport = Transport(ours)
        self.theirs = theirs
        self.secure = isinstance(ours, ssl.SSLSocket)

    def receive(self) -> bytes:
        """Read as the link does: when has_more says so, else after a poll."""
        while True:
            assert self.transport.has_more or select.select([self.transport.sock], [], [], PATIENCE)[0]
            data = self.transport.receive()
            if data is not None:
                return data

    def close(self) -> None:
        self.transport.sock.close()
        self.theirs.close()


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(client)
    authority.issue_cert("pbx.example.com").configure_cert(server)
    return client, server


CONTEXTS = contexts()


def secured(ours: socket.socket, theirs: socket.socket, version: ssl.TLSVersion) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    client, server = CONTEXTS
    client.maximum_version = version
    accepted: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: accepted.append(server.wrap_socket(theirs, server_side=True)), daemon=True)
    thread.start()
    wrapped = client.wrap_socket(ours, server_hostname="pbx.example.com")
    thread.join(PATIENCE)
    return wrapped, accepted[0]


@pytest.fixture(params=["plain", "TLS 1.2", "TLS 1.3"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    theirs.settimeout(PATIENCE)
    if request.param != "plain":
        ours, theirs = secured(ours, theirs, ssl.TLSVersion.TLSv1_2 if request.param == "TLS 1.2" else ssl.TLSVersion.TLSv1_3)
    ours.setblocking(False)
    pair = Pair(ours, theirs)
    yield pair
    pair.close()


def in_thread(job: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    return thread


def test_nothing_is_there(pair: Pair) -> None:
    assert pair.transport.receive() is None
    assert not pair.transport.has_more and not pair.transport.receive_wants_write


def test_what_is_there_is_returned(pair: Pair) -> None:
    pair.theirs.sendall(b"hello")
    assert pair.receive() == b"hello"
    assert pair.transport.receive() is None
    assert pair.transport.send(memoryview(b"world")) == 5
    assert pair.theirs.recv(100) == b"world"


def test_read_is_bounded(pair: Pair) -> None:
    sender = in_thread(lambda: pair.theirs.sendall(b"x" * MEGABYTE))
    total = 0
    while total < MEGABYTE:
        data = pair.receive()
        assert len(data) <= READ_SIZE + 16384
        total += len(data)
    sender.join(PATIENCE)


def test_plaintext_that_no_poll_sees_is_announced(pair: Pair) -> None:
    """Small records that OpenSSL may take from the socket together are read in one go, or has_more says that there is more."""
    for _ in range(40):
        pair.theirs.sendall(b"x" * 100)
    total = len(pair.receive())
    while total < 4000:
        if not pair.transport.has_more:
            assert select.select([pair.transport.sock], [], [], 0)[0], "bytes are hidden in the TLS layer"
        total += len(pair.transport.receive() or b"")
    assert total == 4000 and pair.transport.receive() is None


def test_rest_of_a_record_is_announced(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.relay.transport.READ_SIZE", 1000)
    pair.theirs.sendall(b"x" * 10_000)
    assert sum(len(pair.receive()) for _ in range(10)) == 10_000


def test_poll_after_every_read_sees_everything(pair: Pair) -> None:
    sent = random.Random(1).randbytes(3 * MEGABYTE)
    sender = in_thread(lambda: pair.theirs.sendall(sent))
    got = bytearray()
    while len(got) < len(sent):
        assert pair.transport.has_more or select.select([pair.transport.sock], [], [], PATIENCE)[0]
        got += pair.transport.receive() or b""
    assert got == sent
    sender.join(PATIENCE)


def test_send_says_what_fits(pair: Pair) -> None:
    chunk = memoryview(b"x" * (8 * MEGABYTE))
    taken = 0
    while count := pair.transport.send(chunk[taken : taken + 256 * 1024]):
        taken += count
    assert 0 < taken < len(chunk)
    assert not pair.transport.send_wants_read
    got = 0
    while got < taken:
        got += len(pair.theirs.recv(MEGABYTE))
    # The same bytes again, now that there is room.
    assert pair.transport.send(chunk[taken : taken + 256 * 1024]) > 0


def test_big_traffic_both_ways(pair: Pair) -> None:
    """One thread writes and reads without blocking, as the link does, while the peer does both at full speed."""
    to_peer, from_peer = random.Random(2).randbytes(6 * MEGABYTE), random.Random(3).randbytes(6 * MEGABYTE)
    arrived = bytearray()
    peer = run_peer(pair, from_peer, len(to_peer), arrived)
    outbox = Outbox()
    for start in range(0, len(to_peer), 1000):
        outbox.append(to_peer[start : start + 1000])
    got = bytearray()
    transport = pair.transport
    while outbox.size or len(got) < len(from_peer):
        want_write = bool(outbox.size and not transport.send_wants_read) or transport.receive_wants_write
        if not transport.has_more:
            ready = select.select([transport.sock], [transport.sock] if want_write else [], [], PATIENCE)
            assert ready[0] or ready[1], "stuck"
        data = transport.receive()
        assert data != b""
        got += data or b""
        if outbox.size:
            outbox.written(transport.send(outbox.chunk()))
    peer.join(PATIENCE)
    assert got == from_peer and arrived == to_peer


def run_peer(pair: Pair, sends: bytes, expects: int, arrived: bytearray) -> threading.Thread:
    """Read and write in one thread: two threads on one TLS socket are what the transport is there to avoid."""

    def run() -> None:
        sock, rest = pair.theirs, memoryview(sends)
        sock.setblocking(False)
        while rest or len(arrived) < expects:
            try:
                if rest:
                    rest = rest[sock.send(rest[: 64 * 1024]) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            try:
                arrived.extend(sock.recv(READ_SIZE))
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([sock], [sock] if rest else [], [], 0.5)

    return in_thread(run)


def test_end_of_the_stream(pair: Pair) -> None:
    pair.theirs.sendall(b"last words")
    if isinstance(pair.theirs, ssl.SSLSocket):
        pair.theirs.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):  # it has sent its end and would wait for ours
            pair.theirs.unwrap()
    else:
        pair.theirs.shutdown(socket.SHUT_WR)
    assert pair.receive() == b"last words"
    assert pair.receive() == b""
    assert pair.transport.receive() == b""


def test_end_without_a_tls_end(pair: Pair) -> None:
    pair.theirs.sendall(b"last words")
    pair.theirs.close()
    assert pair.receive() == b"last words"
    try:
        assert pair.receive() == b""
    except OSError:
        assert pair.secure


def test_end_behind_much_data(pair: Pair) -> None:
    def send() -> None:
        pair.theirs.sendall(b"x" * MEGABYTE)
        pair.theirs.close()

    sender = in_thread(send)
    total = 0
    while data := pair.receive():
        total += len(data)
    assert total == MEGABYTE
    sender.join(PATIENCE)


def test_broken_connection_raises_os_error(pair: Pair) -> None:
    pair.theirs.close()
    with pytest.raises(OSError):
        for _ in range(3):
            pair.transport.send(memoryview(b"x" * 1000))


def test_record_that_is_no_tls(pair: Pair) -> None:
    if not pair.secure:
        raw = b"\x17\x03\x03\x00\x05hello"
        pair.theirs.sendall(raw)
        assert pair.receive() == raw
        return
    pair.theirs.sendall(b"good")
    assert pair.receive() == b"good"
    with socket.socket(fileno=pair.theirs.detach()) as raw_socket:
        raw_socket.sendall(b"\x17\x03\x03\x00\x05hello")
        with pytest.raises(OSError):
            pair.receive()


def test_data_before_a_broken_record_is_returned(pair: Pair) -> None:
    if not pair.secure:
        return
    pair.theirs.sendall(b"good")
    with socket.socket(fileno=pair.theirs.detach()) as raw_socket:
        raw_socket.sendall(b"\x17\x03\x03\x00\x05hello")
        assert pair.receive() == b"good"
        assert pair.transport.has_more
        with pytest.raises(OSError):
            pair.receive()


class Stubborn(ssl.SSLSocket):
    """A TLS socket that fails once as in a renegotiation, or a key update, which Python cannot begin."""

    fails_with: ssl.SSLError | None = None
    calls = 0

    def fail(self) -> None:
        self.calls += 1
        error, self.fails_with = self.fails_with, None
        if error is not None:
            raise error

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        self.fail()
        return super().recv(buflen, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        self.fail()
        return super().send(data, flags)


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pair, Stubborn]]:
    monkeypatch.setattr(CONTEXTS[0], "sslsocket_class", Stubborn)
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    theirs.settimeout(PATIENCE)
    ours, theirs = secured(ours, theirs, ssl.TLSVersion.TLSv1_3)
    ours.setblocking(False)
    pair = Pair(ours, theirs)
    assert isinstance(ours, Stubborn)
    yield pair, ours
    pair.close()


def test_send_that_has_to_read_first(stubborn: tuple[Pair, Stubborn]) -> None:
    pair, sock = stubborn
    sock.fails_with = ssl.SSLWantReadError()
    assert pair.transport.send(memoryview(b"hello")) == 0 and pair.transport.send_wants_read
    assert pair.transport.send(memoryview(b"hello")) == 5 and not pair.transport.send_wants_read
    assert pair.theirs.recv(100) == b"hello"


def test_receive_that_has_to_write_first(stubborn: tuple[Pair, Stubborn]) -> None:
    pair, sock = stubborn
    pair.theirs.sendall(b"hello")
    sock.fails_with = ssl.SSLWantWriteError()
    assert pair.transport.receive() is None and pair.transport.receive_wants_write
    assert pair.receive() == b"hello" and not pair.transport.receive_wants_write


def test_socket_that_has_ended_is_not_asked_again(stubborn: tuple[Pair, Stubborn]) -> None:
    """OpenSSL need not say the same a second time."""
    pair, sock = stubborn
    pair.theirs.close()
    assert pair.receive() == b""
    calls = sock.calls
    assert pair.transport.receive() == b"" and sock.calls == calls
