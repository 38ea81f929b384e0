"""The proxy that fails on demand: what each fault does to the two ends of a connection, seen with plain sockets and with a client."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

import concurrent.futures
import contextlib
import random
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.errors import ClosedError, ConnectError, UsageError
from epsignal_sync.relay.frames import FrameReader, ProtocolError
from epsignal_sync.simulator import Faults, SimulatedPBX
from epsignal_sync.simulator.faults import GARBAGE

from .test_raw_app import TIMEOUT, no_leaks, until  # noqa: F401

MEGABYTE = b"".join(struct.pack(">I", number) for number in range(262144))


class Ends:
    """A server of nothing but TCP, a proxy in front of it, and connections through it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(TIMEOUT)
        self.port: int = self.listener.getsockname()[1]
        self.faults = Faults(f"ws://127.0.0.1:{self.port}/PBX0/APPS/websocket?a=1")
        self.sockets: list[socket.socket] = []

    def connect(self) -> socket.socket:
        """Connect to the proxy, whatever it does then."""
        port = int(self.faults.url.split(":")[2].split("/")[0])
        client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.sockets.append(client)
        return client

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a new connection through the proxy: the client's and the server's."""
        client = self.connect()
        server, _ = self.listener.accept()
        server.settimeout(TIMEOUT)
        self.sockets.append(server)
        return client, server

    def close(self) -> None:
        self.faults.close()
        for sock in (self.listener, *self.sockets):
            sock.close()


@pytest.fixture
def ends(no_leaks: None) -> Iterator[Ends]:
    with contextlib.closing(Ends()) as ends:
        yield ends


def read(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (chunk := sock.recv(min(65536, size - len(data)))):
        data += chunk
    return bytes(data)


def is_silent(*sockets: socket.socket) -> bool:
    """Whether nothing comes, no end of the stream either; a slow machine can only make it true."""
    return not select.select(sockets, [], [], 0.1)[0]


def assert_reset(*sockets: socket.socket) -> None:
    for sock in sockets:
        with pytest.raises(ConnectionResetError):
            while sock.recv(65536):
                pass
            raise AssertionError("the stream has a proper end")


def assert_passes(client: socket.socket, server: socket.socket) -> None:
    for sender, receiver in ((client, server), (server, client)):
        sender.sendall(b"hello")
        assert read(receiver, 5) == b"hello"


def send_until_it_blocks(sock: socket.socket, at_most: int) -> int:
    """Send until nothing more is taken for a while, or so much was sent; returns how much."""
    sent = 0
    while sent < at_most and select.select([], [sock], [], 0.2)[1]:
        begin = sent % len(MEGABYTE)
        sent += sock.send(MEGABYTE[begin : begin + 65536])
    return sent


def is_at_rest(faults: Faults) -> bool:
    """Whether nothing is ready that the thread waits for, nor soon due: then its next wait is a long one."""
    proxy = faults._proxy
    found: list[bool] = []

    def look() -> None:
        ready = [key for key, _ in proxy._selector.select(0) if key.fileobj is not proxy._woken]
        wait = proxy._next_wait()
        found.append(not ready and (wait is None or wait > 60))

    proxy.run(lambda: None)  # What it waits for is settled behind a job.
    proxy.run(look)
    return found[0]


def test_url_is_that_of_the_pbx_with_another_port(ends: Ends) -> None:
    assert ends.faults.url.startswith("ws://127.0.0.1:") and ends.faults.url.endswith("/PBX0/APPS/websocket?a=1")
    assert f":{ends.port}/" not in ends.faults.url
    with Faults(f"wss://localhost:{ends.port}/x") as faults:
        assert faults.url.startswith("wss://localhost:") and faults.url.endswith("/x")


@pytest.mark.parametrize(
    "target", ["", "pbx.example.com", "https://127.0.0.1/secret", "ws:///secret", "ws://127.0.0.1:secret/", None, b"ws://x"]
)
def test_target_that_is_no_url_of_a_pbx(target: Any, no_leaks: None) -> None:
    with pytest.raises(UsageError, match="wss://") as raised:
        Faults(target)
    assert "secret" not in str(raised.value)


def test_target_host_that_is_not_known(no_leaks: None) -> None:
    with pytest.raises(ConnectError, match="is not known"):
        Faults(f"wss://{'a' * 70}.example/")  # No name can have such a part, so nobody is asked.


def test_much_in_both_directions_at_once(ends: Ends) -> None:
    client, server = ends.pair()
    threads = [threading.Thread(target=sock.sendall, args=(MEGABYTE * 4,)) for sock in (client, server)]
    received: list[bytes] = []
    for sock in (client, server):
        threads.append(threading.Thread(target=lambda sock: received.append(read(sock, len(MEGABYTE) * 4)), args=(sock,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert received == [MEGABYTE * 4] * 2


def test_small_messages_do_not_wait_for_an_acknowledgement(ends: Ends) -> None:
    assert_passes(*ends.pair())
    (tunnel,) = ends.faults._proxy.tunnels
    for sock in (tunnel.client, tunnel.server):
        assert sock is not None and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_end_of_one_direction_leaves_the_other_open(ends: Ends) -> None:
    client, server = ends.pair()
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert read(server, 100) == b"last"

    server.sendall(MEGABYTE[:200000])  # More than the client's buffer takes, less than it and the proxy's.
    server.close()
    until(lambda: ends.faults.connections == 0, "an ended connection is kept")
    assert read(client, len(MEGABYTE)) == MEGABYTE[:200000], "all of it, and then the end"


def test_client_that_closed_and_the_server_sends_on(ends: Ends) -> None:
    client, server = ends.pair()
    client.close()
    assert read(server, 1) == b""
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _ in range(64):
            server.sendall(MEGABYTE)
    until(lambda: ends.faults.connections == 0, "a failed connection is kept")


def test_reset_by_one_end_reaches_the_other(ends: Ends) -> None:
    client, server = ends.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    assert_reset(client)
    until(lambda: ends.faults.connections == 0, "a failed connection is kept")


def test_server_that_does_not_read_holds_the_sender_up(ends: Ends) -> None:
    client, server = ends.pair()
    sent = send_until_it_blocks(client, 64 * len(MEGABYTE))
    assert sent < 64 * len(MEGABYTE), "the proxy takes without end"
    assert read(server, sent) == (MEGABYTE * 64)[:sent]


def test_server_that_cannot_be_reached(ends: Ends) -> None:
    ends.listener.close()
    with pytest.raises(ConnectionResetError):  # perhaps so soon that it cannot connect
        ends.connect().recv(1)
    until(lambda: ends.faults.connections == 0, "a failed connection is kept")


def test_server_to_which_no_way_leads(ends: Ends) -> None:
    ends.faults._proxy.addresses[:] = [(socket.AF_INET, ("255.255.255.255", 9))]  # refused at once, not after a try
    with pytest.raises(ConnectionResetError):
        ends.connect().recv(1)
    until(lambda: ends.faults.connections == 0, "a failed connection is kept")


def test_server_with_a_second_address(ends: Ends) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        dead = (socket.AF_INET, unused.getsockname())
    ends.faults._proxy.addresses.insert(0, dead)
    assert_passes(*ends.pair())


def test_drop(ends: Ends) -> None:
    first, second = ends.pair(), ends.pair()
    assert_passes(*first)
    ends.faults.drop()
    assert ends.faults.connections == 0
    assert_reset(*first, *second)
    assert_passes(*ends.pair())


def test_drop_of_those_who_have_just_connected(ends: Ends) -> None:
    clients = [ends.connect() for _ in range(20)]
    ends.faults.drop()
    assert_reset(*clients)


def test_drop_amid_much(ends: Ends) -> None:
    client, server = ends.pair()
    send_until_it_blocks(client, 64 * len(MEGABYTE))
    ends.faults.drop()
    assert_reset(server)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.send(b"x")


def test_stall_and_resume(ends: Ends) -> None:
    client, server = ends.pair()
    assert_passes(client, server)
    ends.faults.stall()
    client.sendall(b"up")
    server.sendall(b"down")
    server.shutdown(socket.SHUT_WR)
    ends.faults.garbage(b"rubbish")
    assert is_silent(client, server)
    assert send_until_it_blocks(client, 64 * len(MEGABYTE)) < 64 * len(MEGABYTE), "it reads on"
    assert ends.faults.connections == 1
    ends.faults.resume()
    assert read(client, 100) == b"rubbishdown" and read(server, 2) == b"up"


def test_connection_made_while_it_stalls(ends: Ends) -> None:
    ends.faults.stall()
    client = ends.connect()
    client.sendall(b"up")
    server, _ = ends.listener.accept()
    ends.sockets.append(server)
    assert is_silent(server)
    ends.faults.heal()
    assert read(server, 2) == b"up"


def test_swallow(ends: Ends) -> None:
    client, server = ends.pair()
    ends.faults.swallow()
    server.sendall(b"lost")
    client.sendall(MEGABYTE * 32)  # More than all buffers hold.
    assert is_silent(client, server)
    client.close()
    assert is_silent(server), "the other end is told that one closed"
    ends.faults.heal()
    assert_reset(server)
    assert_passes(*ends.pair())


def test_swallow_takes_what_is_on_its_way(ends: Ends) -> None:
    client, server = ends.pair()
    ends.faults.delay(60)
    client.sendall(b"lost")
    assert is_silent(server)
    ends.faults.swallow()
    ends.faults.heal()
    assert_reset(client, server)


def test_swallow_of_as_much_as_there_can_be_on_its_way(ends: Ends) -> None:
    client, server = ends.pair()
    ends.faults.delay(60)
    send_until_it_blocks(client, 64 * len(MEGABYTE))
    ends.faults.swallow()
    client.sendall(MEGABYTE * 32)  # More than all buffers hold.
    assert is_silent(server)


def test_swallow_of_nothing_leaves_the_connection(ends: Ends) -> None:
    client, server = ends.pair()
    ends.faults.swallow()
    ends.faults.garbage()
    assert is_silent(client, server)
    ends.faults.heal()
    assert_passes(client, server)


def test_swallowed_reset(ends: Ends) -> None:
    client, server = ends.pair()
    ends.faults.swallow()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert is_silent(server)
    ends.faults.heal()
    assert_reset(server)


def test_delay_is_in_order_and_in_both_directions(ends: Ends) -> None:
    client, server = ends.pair()
    assert_passes(client, server)
    ends.faults.delay(0.2)
    for sender, receiver in ((client, server), (server, client)):
        begin = time.monotonic()
        for part in (b"one", b"two", b"six"):
            sender.sendall(part)
        assert read(receiver, 9) == b"onetwosix"
        assert time.monotonic() - begin >= 0.2
    client.close()
    assert read(server, 1) == b""


def test_shorter_delay_does_not_overtake(ends: Ends) -> None:
    client, server = ends.pair()
    ends.faults.delay(0.3)
    client.sendall(b"one")
    assert is_silent(server)
    ends.faults.delay(0)
    client.sendall(b"two")
    assert read(server, 6) == b"onetwo"


def test_heal_hastens_what_was_delayed(ends: Ends) -> None:
    client, server = ends.pair()
    ends.faults.delay(3600)
    client.sendall(b"one")
    server.sendall(b"two")
    assert is_silent(client, server)
    ends.faults.heal()
    assert read(server, 3) == b"one" and read(client, 3) == b"two"
    assert_passes(client, server)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", None, True])
def test_delay_that_cannot_be(ends: Ends, seconds: Any) -> None:
    with pytest.raises(UsageError, match="seconds"):
        ends.faults.delay(seconds)


def test_garbage_goes_to_the_client_between_what_is_sent(ends: Ends) -> None:
    client, server = ends.pair()
    server.sendall(b"before")
    assert read(client, 6) == b"before"
    ends.faults.garbage()
    ends.faults.garbage(b"more")
    server.sendall(b"after")
    assert read(client, len(GARBAGE) + 9) == GARBAGE + b"moreafter"
    assert is_silent(server)


def test_garbage_is_nothing_that_anybody_could_read() -> None:
    with pytest.raises(ProtocolError):
        FrameReader(len(GARBAGE)).receive(GARBAGE)
    with pytest.raises(UnicodeDecodeError):
        GARBAGE.decode()
    assert GARBAGE[0] not in range(20, 25), "the content types of TLS"


def test_garbage_after_the_end_of_the_stream(ends: Ends) -> None:
    client, server = ends.pair()
    server.sendall(b"last")
    server.shutdown(socket.SHUT_WR)
    assert read(client, 100) == b"last"
    ends.faults.garbage()
    client.sendall(b"still there")
    assert read(server, 11) == b"still there" and ends.faults.connections == 1


@pytest.mark.parametrize("data", ["text", b"", 5])
def test_garbage_that_is_no_bytes(ends: Ends, data: Any) -> None:
    with pytest.raises(UsageError, match="bytes"):
        ends.faults.garbage(data)


def test_refuse(ends: Ends) -> None:
    client, server = ends.pair()
    ends.faults.refuse()
    ends.faults.refuse()
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            ends.connect()
    assert_passes(client, server)
    ends.faults.heal()
    ends.faults.heal()
    assert_passes(*ends.pair())


@pytest.mark.parametrize(
    "situation", ["idle", "stalled, and an end has closed", "receiver does not read", "delayed", "swallowed both ends", "half closed"]
)
def test_waiting_takes_no_processor_time(ends: Ends, situation: str) -> None:
    client, server = ends.pair()
    assert_passes(client, server)
    if situation == "stalled, and an end has closed":
        ends.faults.stall()
        client.close()
    elif situation == "receiver does not read":
        send_until_it_blocks(client, 64 * len(MEGABYTE))
    elif situation == "delayed":
        ends.faults.delay(1e300)
        client.sendall(b"x")
    elif situation == "swallowed both ends":
        ends.faults.swallow()
        client.close()
        server.close()
    elif situation == "half closed":
        client.shutdown(socket.SHUT_WR)
        assert read(server, 1) == b""
    until(lambda: is_at_rest(ends.faults), "the thread goes round and round")


def test_close_with_connections_from_several_threads(ends: Ends) -> None:
    client, server = ends.pair()
    send_until_it_blocks(client, 64 * len(MEGABYTE))
    ends.faults.stall()
    threads = [threading.Thread(target=ends.faults.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    ends.faults.close()
    assert_reset(server)
    with pytest.raises(ConnectionRefusedError):
        ends.connect()
    for method in (ends.faults.drop, ends.faults.heal, ends.faults.garbage):
        with pytest.raises(ClosedError, match="new one"):
            method()


def test_close_waits_for_its_thread_and_ends_what_waits_for_it(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = ends.faults._proxy
    assert proxy._thread.daemon and proxy._thread.name == "simulated-faults"
    late: concurrent.futures.Future[None] = concurrent.futures.Future()
    busy, go_on = threading.Event(), threading.Event()

    def job() -> None:
        busy.set()
        go_on.wait(TIMEOUT)
        monkeypatch.setattr(proxy, "_move", lambda tunnels: proxy._jobs.append((go_on.clear, late)))  # when it looks for no more

    join, waited = proxy._thread.join, []

    def joined(timeout: float) -> None:
        waited.append(timeout)
        go_on.set()
        join(TIMEOUT)

    monkeypatch.setattr(proxy._thread, "join", joined)
    thread = threading.Thread(target=proxy.run, args=(job,))
    thread.start()
    assert busy.wait(TIMEOUT)
    ends.faults.close()
    thread.join(TIMEOUT)
    assert waited == [2.0] and go_on.is_set()
    with pytest.raises(ClosedError, match="new one"):
        late.result(0)


def test_fault_that_cannot_be_made(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(port: int) -> socket.socket:
        raise ConnectError("it is somebody else's by now")

    client, server = ends.pair()
    monkeypatch.setattr("epsignal_sync.simulator.proxy._bind", taken)
    with pytest.raises(ConnectError, match="somebody else"):
        ends.faults.refuse()
    assert_passes(client, server)


def test_all_methods_from_all_threads(ends: Ends) -> None:
    faults = ends.faults
    ends.listener.settimeout(0.2)
    faults_of_all_kinds = (faults.drop, faults.stall, faults.resume, faults.swallow, faults.garbage, faults.refuse, faults.heal)

    def trouble(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(30):
            chosen.choice(faults_of_all_kinds)()
            faults.delay(chosen.choice((0, 0.01)))

    threads = [threading.Thread(target=trouble, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with contextlib.suppress(OSError):
            client, server = ends.pair()
            client.sendall(b"x" * 1000)
            server.sendall(b"y" * 1000)
    faults.drop()
    faults.heal()
    with contextlib.suppress(TimeoutError):
        while True:
            ends.sockets.append(ends.listener.accept()[0])
    ends.listener.settimeout(TIMEOUT)
    assert_passes(*ends.pair())


@contextlib.contextmanager
def simulated(context: ssl.SSLContext | None) -> Iterator[SimulatedPBX]:
    with SimulatedPBX(ssl_context=context) as pbx:
        pbx.add_app("phones", password="pwd")
        pbx.add_phone("aa", number="22", sip="alice")
        pbx.add_phone("bb", number="23", sip="bob")
        yield pbx


def test_app_with_tls_and_its_certificate_check(server_context: ssl.SSLContext, ca_file: str) -> None:
    with simulated(server_context) as pbx, Faults(pbx.url) as faults:
        with eps.connect(faults.url, app="phones", password="pwd", ca_file=ca_file) as client:
            client.attach("aa")
            phone = pbx._lines["aa"].phone
            assert phone is not None
            call = phone.call("23")
            call.wait("alert")
            faults.delay(0.01)
            call.hangup()
            pbx.wait_for(lambda log: log.last("to-pbx", "aa", type="rel"))
            assert faults.connections == 1 and client.connected


@pytest.mark.parametrize("fault", ["drop", "garbage", "swallow"])
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_app_finds_out(fault: str, tls: bool, server_context: ssl.SSLContext, ca_file: str) -> None:
    lost = threading.Event()
    options: dict[str, Any] = {"ca_file": ca_file} if tls else {}
    with simulated(server_context if tls else None) as pbx, Faults(pbx.url) as faults:
        with eps.connect(faults.url, app="phones", password="pwd", ping_interval=0.3, ping_timeout=0.3, **options) as client:
            client.on(eps.ConnectionLost, lambda event: lost.set())
            getattr(faults, fault)()
            assert lost.wait(TIMEOUT)
