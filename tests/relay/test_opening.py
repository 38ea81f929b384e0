from __future__ import annotations

import datetime
import gc
import ipaddress
import logging
import os
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import websocket
from cryptography import x509
from websocket._cookiejar import SimpleCookieJar

from epsignal_sync.deadline import Deadline
from epsignal_sync.errors import ClosedError, ConnectError, ConnectTimeout, UsageError
from epsignal_sync.relay import opening
from epsignal_sync.relay.endpoint import TLSSettings, parse_url
from epsignal_sync.relay.opening import open_websocket
from epsignal_sync.relay.wakeup import Wakeup

from .certified import Certified, fingerprint_of
from .serving import LONG, Handler, Server, read_request, stall, upgrade_response, upgrading

pytestmark = [
    pytest.mark.timeout(60),
    # A socket that only the garbage collector closes is a leak, too.
    pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning"),
]
PATH = "/PBX0/APPS/websocket;v=1"
RESOURCE = f"{PATH}?token=geheim"


def answering(response: bytes) -> Handler:
    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(response)
        stall(sock)

    return handle


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True, scope="module")
def garbage_of_other_modules_is_gone() -> None:
    """Collected during a test of this module it would make the number of descriptors fall."""
    gc.collect()


@pytest.fixture(autouse=True)
def nothing_is_left(garbage_of_other_modules_is_gone: None) -> Iterator[None]:
    before = descriptors()
    yield
    assert descriptors() == before
    assert not [thread for thread in threading.enumerate() if thread.name in ("epsignal-resolver", "server")]


class WatchedWakeup(Wakeup):
    """A Wakeup that tells when somebody waits, and counts how often it was woken."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()
        self.wakes = 0

    def wait(self, sock: socket.socket | None, **options: Any) -> tuple[bool, bool]:
        self.waiting.set()
        return super().wait(sock, **options)

    def wake(self) -> None:
        self.wakes += 1
        super().wake()


@pytest.fixture
def wakeup(nothing_is_left: None) -> Iterator[WatchedWakeup]:
    wakeup = WatchedWakeup()
    yield wakeup
    wakeup.close()


NO_TLS = TLSSettings()


def url(port: int, host: str = "127.0.0.1", scheme: str = "ws") -> str:
    return f"{scheme}://{host}:{port}{RESOURCE}"


def failure(where: str, wakeup: Wakeup, tls: TLSSettings = NO_TLS, timeout: float = LONG) -> ConnectError:
    """Return the error of an attempt that must fail, after checking what holds for every such error."""
    endpoint = parse_url(where)
    with pytest.raises(ConnectError) as caught:
        open_websocket(endpoint, tls, Deadline(timeout), wakeup)
    text = str(caught.value)
    assert endpoint.host in text
    assert "geheim" not in text and "\n" not in text and ". " not in text and not text.endswith(".")
    return caught.value


def fails(handler: Handler, wakeup: Wakeup, *, server_tls: ssl.SSLContext | None = None, scheme: str = "ws", **options: Any) -> str:
    before = descriptors()
    with Server(handler, server_tls) as server:
        error = failure(url(server.port, scheme=scheme), wakeup, **options)
        assert f"127.0.0.1:{server.port}" in str(error)
    # The error, and with it every local variable of its traceback, still lives: this is no work of the garbage collector.
    assert descriptors() == before
    assert isinstance(error, ConnectTimeout) == ("timed out" in str(error))
    return str(error)


def assert_opens(where: str, wakeup: Wakeup, tls: TLSSettings = NO_TLS, timeout: float | None = LONG) -> None:
    """Assert that an attempt makes a websocket, on which nothing was said yet."""
    sock, rest = open_websocket(parse_url(where), tls, Deadline(timeout), wakeup)
    with sock:
        assert rest == b"" and sock.gettimeout() == 0


# The upgrade


def test_upgrade(wakeup: Wakeup) -> None:
    requests: list[bytes] = []
    with Server(upgrading(requests=requests)) as server:
        sock, rest = open_websocket(parse_url(url(server.port)), NO_TLS, Deadline(LONG), wakeup)
        with sock:
            assert rest == b""
            assert sock.gettimeout() == 0
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        lines = requests[0].decode().split("\r\n")
    assert lines[0] == f"GET {RESOURCE} HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert not [line for line in lines if line.lower().startswith(("origin", "cookie", "sec-websocket-extensions"))]


def test_bytes_after_the_upgrade_in_the_same_segment(wakeup: Wakeup) -> None:
    frame = b"\x81\x7e\x40\x00" + b"x" * 0x4000
    with Server(upgrading(frame)) as server:
        sock, rest = open_websocket(parse_url(url(server.port)), NO_TLS, Deadline(LONG), wakeup)
        with sock:
            assert rest
            while len(rest) < len(frame):
                wakeup.wait(sock, read=True, write=False, timeout=LONG)
                rest += sock.recv(100_000)
            wakeup.forget()
    assert rest == frame


def test_response_in_single_bytes(wakeup: Wakeup) -> None:
    def drip(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in upgrade_response(read_request(sock)):
            sock.send(bytes([byte]))
        stall(sock)

    with Server(drip) as server:
        sock, rest = open_websocket(parse_url(url(server.port)), NO_TLS, Deadline(LONG), wakeup)
        sock.close()
    assert rest == b""


def test_proxies_in_the_environment(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy, Server(upgrading()) as server:
        proxy.setblocking(False)
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
            monkeypatch.setenv(name.upper(), f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        sock, _ = open_websocket(parse_url(url(server.port)), NO_TLS, Deadline(LONG), wakeup)
        sock.close()
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_cookie_of_another_connection(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = SimpleCookieJar()
    monkeypatch.setattr(websocket._handshake, "CookieJar", jar)
    jar.add("foreign=1; Domain=127.0.0.1")
    before = str(jar.jar)
    requests: list[bytes] = []
    with Server(upgrading(headers="Set-Cookie: ours=1; Domain=127.0.0.1\r\n", requests=requests)) as server:
        for _ in range(2):
            sock, _ = open_websocket(parse_url(url(server.port)), NO_TLS, Deadline(LONG), wakeup)
            sock.close()
    assert len(requests) == 2
    assert not [request for request in requests if b"cookie" in request.lower()]
    assert str(jar.jar) == before


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://other.example/x?token=geheim#y", "wss://other.example/x "),
        ("http://other.example:8080/", "ws://other.example:8080/ "),
        ("/PBX1/APPS/websocket?geheim", "/PBX1/APPS/websocket "),
        ("https://user:geheim@other.example/", "a place that is no usable URL"),
        ("https://[geheim/", "a place that is no usable URL"),
        ("javascript:geheim", "a place that is no usable URL"),
    ],
)
def test_redirect(wakeup: Wakeup, location: str, shown: str) -> None:
    text = fails(answering(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()), wakeup)
    assert f"redirects {PATH}" in text and shown in text and "pass that URL" in text


def test_redirect_is_not_followed(wakeup: Wakeup) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        fails(answering(f"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:{other.getsockname()[1]}/\r\n\r\n".encode()), wakeup)
        with pytest.raises(BlockingIOError):
            other.accept()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "(Unauthorized)"),
        (403, "(Forbidden)"),
        (404, "(Not Found)"),
        (426, "(Upgrade Required)"),
        (400, "wss://"),
        (500, "try again"),
        (503, "try again"),
        (200, "(OK)"),
        (299, "HTTP 299 for"),
    ],
)
def test_http_status(wakeup: Wakeup, status: int, says: str) -> None:
    # A body that is announced and never comes must not turn the answer into a time-out.
    text = fails(answering(f"HTTP/1.1 {status} \x1b[31mred\r\nContent-Length: 100000\r\n\r\nsome".encode()), wakeup)
    assert f"HTTP {status}" in text and f"for {PATH} " in text and says in text and "published" in text and "\x1b" not in text


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
        (b"\x00\xff\xfe", "does not speak HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "status line"),
        (b"HTTP/1.1\r\n\r\n", "status line"),
        (b"HTTP/1.1 101 OK\r\n\r\n", "lacks the right Upgrade"),
        (b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: eA==\r\n\r\n", "lacks the right Upgrade"),
        (b"HTTP/1.1 101 OK\r\n\xff\xfe\r\nno colon\r\nUpgrade: \xff\r\n\r\n", "lacks the right Upgrade"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "write wss://"),
    ],
)
def test_server_without_websocket(wakeup: Wakeup, response: bytes, says: str) -> None:
    assert says in fails(answering(response), wakeup)


def test_extension_that_nobody_asked_for(wakeup: Wakeup) -> None:
    assert "extension" in fails(upgrading(headers="Sec-WebSocket-Extensions: permessage-deflate\r\n"), wakeup)


def test_closed_before_the_answer(wakeup: Wakeup) -> None:
    def half(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 101")

    assert "closed the connection before" in fails(read_request, wakeup)
    assert "closed the connection before" in fails(half, wakeup)


def test_reset_before_the_answer(wakeup: Wakeup) -> None:
    def reset(sock: socket.socket) -> None:
        read_request(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert "closed the connection before" in fails(reset, wakeup)


def test_endless_header(wakeup: Wakeup) -> None:
    def endless(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 101 OK\r\n")
        while True:
            sock.sendall(b"X: y\r\n" * 1000)

    assert "65536 bytes" in fails(endless, wakeup)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 101 OK\r\nX: "])
def test_stalled_upgrade(wakeup: Wakeup, start: bytes) -> None:
    assert "timed out in the websocket upgrade" in fails(answering(start), wakeup, timeout=0.5)


def test_dripping_upgrade(wakeup: Wakeup) -> None:
    def drip(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 101 OK\r\nX: ")
        while not select.select([], [], [], 0.05)[0]:
            sock.sendall(b"x")

    assert "timed out in the websocket upgrade" in fails(drip, wakeup, timeout=0.7)


def test_request_longer_than_the_socket_takes(wakeup: Wakeup) -> None:
    requests: list[bytes] = []

    with Server(upgrading(requests=requests)) as server:
        long = f"ws://127.0.0.1:{server.port}/" + "x" * 8_000_000
        sock, _ = open_websocket(parse_url(long), NO_TLS, Deadline(LONG), wakeup)
        sock.close()
    assert len(requests[0]) > 8_000_000 and requests[0].endswith(b"\r\n\r\n")


# Name and TCP


def resolving_to(*addresses: tuple[str, int]) -> Callable[..., list[Any]]:
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]


class FullServer:
    """A listening socket whose queue is full: it swallows every further connect, like a firewall that drops."""

    def __enter__(self) -> tuple[str, int]:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        where: tuple[str, int] = self._listener.getsockname()
        self._fillers = [socket.socket() for _ in range(4)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex(where)
            select.select([], [filler], [], 0.2)
        return where

    def __exit__(self, *_: object) -> None:
        for sock in (*self._fillers, self._listener):
            sock.close()


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_connection_refused(wakeup: Wakeup, closed_port: int) -> None:
    text = str(failure(url(closed_port), wakeup))
    assert "TCP connect" in text and f"127.0.0.1:{closed_port}" in text and "refused" in text


def test_unreachable(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    # TCP to the broadcast address is refused by the kernel at once, with or without a network.
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(("255.255.255.255", 9)))
    assert "TCP connect to pbx.example:9 failed (255.255.255.255: " in str(failure(url(9, "pbx.example"), wakeup))


def test_name_not_found(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    text = str(failure(url(9, "pbx.example"), wakeup))
    assert "pbx.example was not found" in text and "Name or service not known" in text


def test_resolver_that_crashes(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: 1 // 0)
    assert "was not found" in str(failure(url(9, "pbx.example"), wakeup))


def test_numeric_address_needs_no_resolver(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with Server(upgrading()) as server:
        assert_opens(url(server.port), wakeup)


def test_name_is_resolved(wakeup: Wakeup) -> None:
    with Server(upgrading()) as server:
        assert_opens(url(server.port, "localhost"), wakeup)


def hanging(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    asked, release = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        asked.set()
        release.wait(LONG)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    return asked, release


def resolvers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "epsignal-resolver"]


def test_resolver_that_hangs(wakeup: WatchedWakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    _, release = hanging(monkeypatch)
    error = failure(url(9, "pbx.example"), wakeup, timeout=0.3)
    assert isinstance(error, ConnectTimeout) and "timed out in the name lookup to pbx.example:9 after 0.3 s" in str(error)
    (resolver,) = resolvers()
    assert resolver.daemon and not wakeup.wakes
    release.set()
    resolver.join(LONG)
    assert not wakeup.wakes, "a lookup that nobody waits for any more touched its wakeup"


def test_tcp_connect_that_hangs(wakeup: Wakeup) -> None:
    with FullServer() as where:
        error = failure(url(where[1]), wakeup, timeout=0.4)
    assert isinstance(error, ConnectTimeout) and "timed out in the TCP connect" in str(error)


def test_first_address_swallows_everything(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    with FullServer() as black_hole, Server(upgrading()) as server:
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to(black_hole, ("127.0.0.1", server.port)))
        assert_opens(url(server.port, "pbx.example"), wakeup, timeout=6)


def test_first_address_refuses(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    with Server(upgrading()) as server:
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to(("127.0.0.1", closed_port), ("127.0.0.1", server.port)))
        assert_opens(url(server.port, "pbx.example"), wakeup, timeout=None)


def test_every_address_fails(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    with FullServer() as black_hole:
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to(black_hole, ("127.0.0.1", closed_port)))
        error = failure(url(9, "pbx.example"), wakeup, timeout=2)
    assert not isinstance(error, ConnectTimeout)
    assert "127.0.0.1 did not answer, 127.0.0.1 refused" in str(error)


# TLS


class Certificates:
    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.trusting = TLSSettings(ca_file=self.ca_file)
        self.good = self.ca.issue_cert("127.0.0.1", "localhost")
        self.fingerprint = fingerprint_of(self.good.cert_chain_pems[0].bytes())


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(wakeup: Wakeup, certificates: Certificates, version: ssl.TLSVersion) -> None:
    names: list[str | None] = []
    context = serving(certificates.good)
    context.minimum_version = context.maximum_version = version
    context.sni_callback = lambda sock, name, context: names.append(name)
    rest_sent = b"y" * 60_000
    with Server(upgrading(rest_sent), context) as server:
        where = parse_url(url(server.port, "localhost", "wss"))
        sock, rest = open_websocket(where, certificates.trusting, Deadline(LONG), wakeup)
        with sock:
            assert isinstance(sock, ssl.SSLSocket) and sock.gettimeout() == 0 and sock.version() == version.name.replace("_", ".")
            while len(rest) < len(rest_sent):
                try:
                    rest += sock.recv(16384)
                except ssl.SSLWantReadError:
                    wakeup.wait(sock, read=True, write=False, timeout=LONG)
            wakeup.forget()
    assert rest == rest_sent and names == ["localhost"]


def test_fingerprint_instead_of_the_chain(wakeup: Wakeup, tmp_path: Path) -> None:
    own = Certified(None)
    with Server(upgrading(), own.context(tmp_path)) as server:
        for written in (own.fingerprint, own.fingerprint.lower().replace(":", "")):
            assert_opens(url(server.port, scheme="wss"), wakeup, TLSSettings(fingerprint=written))


def test_wrong_fingerprint_sends_nothing(wakeup: Wakeup, certificates: Certificates) -> None:
    received: list[bytes] = []
    text = fails(
        lambda sock: received.append(sock.recv(4096)),
        wakeup,
        server_tls=serving(certificates.good),
        scheme="wss",
        tls=TLSSettings(fingerprint="00" * 32),
    )
    assert certificates.fingerprint in text
    assert received in ([], [b""]), "the request was sent to a server with the wrong certificate"


def test_verify_false_warns_once_for_each_connection(
    wakeup: Wakeup, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = Certified(None)
    with Server(upgrading(), own.context(tmp_path)) as server, caplog.at_level(logging.WARNING):
        where = parse_url(url(server.port, scheme="wss"))
        open_websocket(where, TLSSettings(verify=False), Deadline(LONG), wakeup)[0].close()
        assert len(caplog.records) == 1 and "verify=False" in caplog.text and "geheim" not in caplog.text
        open_websocket(where, TLSSettings(verify=False), Deadline(LONG), wakeup)[0].close()
        open_websocket(where, TLSSettings(fingerprint=own.fingerprint), Deadline(LONG), wakeup)[0].close()
    assert len(caplog.records) == 2


def assert_certificate_refused(wakeup: Wakeup, context: ssl.SSLContext, tls: TLSSettings, fingerprint: str, says: str) -> None:
    received: list[bytes] = []
    text = fails(lambda sock: received.append(sock.recv(4096)), wakeup, server_tls=context, scheme="wss", tls=tls)
    assert "certificate of 127.0.0.1:" in text and says in text
    assert f"fingerprint='{fingerprint}'" in text and "verify=False" in text
    assert not any(received), "the request was sent to a server whose certificate was refused"


def test_certificate_expired(wakeup: Wakeup, certificates: Certificates) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    old = certificates.ca.issue_cert("127.0.0.1", not_before=past - datetime.timedelta(9), not_after=past)
    pin = fingerprint_of(old.cert_chain_pems[0].bytes())
    assert_certificate_refused(wakeup, serving(old), certificates.trusting, pin, "it has expired")


def test_certificate_of_another_host(wakeup: Wakeup, certificates: Certificates) -> None:
    other = certificates.ca.issue_cert("other.example", "192.0.2.1")
    pin = fingerprint_of(other.cert_chain_pems[0].bytes())
    assert_certificate_refused(wakeup, serving(other), certificates.trusting, pin, "made for another IP address")
    with Server(stall, serving(other)) as server:
        text = str(failure(url(server.port, "localhost", "wss"), wakeup, certificates.trusting))
    assert "made for another host name" in text


def test_certificate_of_an_unknown_issuer(wakeup: Wakeup, certificates: Certificates) -> None:
    assert_certificate_refused(wakeup, serving(certificates.good), TLSSettings(), certificates.fingerprint, "an issuer that is not among")


def test_certificate_self_signed(wakeup: Wakeup, tmp_path: Path) -> None:
    own = Certified(None)
    assert_certificate_refused(wakeup, own.context(tmp_path), TLSSettings(), own.fingerprint, "it is self-signed")


def test_certificate_that_only_python_3_13_refuses(wakeup: Wakeup, tmp_path: Path) -> None:
    issuer = Certified(None, x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    device = Certified(issuer, names)
    (tmp_path / "ca.pem").write_bytes(issuer.pem)
    tls = TLSSettings(ca_file=str(tmp_path / "ca.pem"))
    # The flag is what Python 3.13 sets: with it set and cleared here, every version tests both.
    tls.context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    with Server(upgrading(), device.context(tmp_path)) as server:
        assert_opens(url(server.port, scheme="wss"), wakeup, tls)
    tls.context.verify_flags |= ssl.VERIFY_X509_STRICT
    says = "Python 3.13 and newer enforce while 3.12 takes"
    assert_certificate_refused(wakeup, device.context(tmp_path), tls, device.fingerprint, says)


def test_certificate_that_cannot_be_fetched_again(wakeup: Wakeup, certificates: Certificates) -> None:
    first = threading.Lock()
    context = serving(certificates.good)

    def once(sock: socket.socket) -> None:
        if first.acquire(blocking=False):
            with context.wrap_socket(sock, server_side=True) as secured:
                stall(secured)

    text = fails(once, wakeup, scheme="wss")
    assert "issuer" in text and "fingerprint= with its SHA-256" in text


def test_fetching_a_certificate_is_bounded(wakeup: Wakeup, certificates: Certificates) -> None:
    first = threading.Lock()
    context = serving(certificates.good)

    def once(sock: socket.socket) -> None:
        if first.acquire(blocking=False):
            with context.wrap_socket(sock, server_side=True) as secured:
                stall(secured)
        stall(sock)

    assert "issuer" in fails(once, wakeup, scheme="wss", timeout=2)


def test_stalled_tls(wakeup: Wakeup, certificates: Certificates) -> None:
    assert "timed out in the TLS handshake" in fails(stall, wakeup, scheme="wss", timeout=0.5)


def test_stalled_upgrade_in_tls(wakeup: Wakeup, certificates: Certificates) -> None:
    text = fails(stall, wakeup, server_tls=serving(certificates.good), scheme="wss", tls=certificates.trusting, timeout=1.5)
    assert "timed out in the websocket upgrade" in text


@pytest.fixture
def reset_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Return the port of a server that resets each connection, which the client sees before it goes on."""
    real = opening._connect_to
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def connect_to(address: Any, waiter: Any) -> socket.socket:
            sock = real(address, waiter)
            accepted = listener.accept()[0]
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            assert select.select([sock], [], [], LONG)[0]
            return sock

        monkeypatch.setattr(opening, "_connect_to", connect_to)
        yield listener.getsockname()[1]


def test_reset_before_tls_begins(wakeup: Wakeup, reset_at_once: int) -> None:
    assert "TLS" in str(failure(url(reset_at_once, scheme="wss"), wakeup))


def test_fetching_a_certificate_from_a_server_that_resets(wakeup: Wakeup, reset_at_once: int) -> None:
    connection = opening.Opening(parse_url(url(reset_at_once, scheme="wss")), NO_TLS, Deadline(LONG), wakeup)
    assert connection.fetch_certificate((socket.AF_INET, ("127.0.0.1", reset_at_once))) is None


def test_closed_in_the_tls_handshake(wakeup: Wakeup) -> None:
    assert "closed the connection in the TLS handshake" in fails(lambda sock: sock.recv(4096), wakeup, scheme="wss")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_tls_to_a_port_without(wakeup: Wakeup, answer: bytes) -> None:
    def plain(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(answer)
        stall(sock)

    assert "does not speak TLS: write ws://" in fails(plain, wakeup, scheme="wss")


def test_plain_to_a_port_with_tls(wakeup: Wakeup, certificates: Certificates) -> None:
    assert "wss://" in fails(stall, wakeup, server_tls=serving(certificates.good))


def test_tls_version_that_is_too_old(wakeup: Wakeup, certificates: Certificates) -> None:
    # The alert of a server that takes nothing newer than TLS 1.0.
    def old(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"\x15\x03\x01\x00\x02\x02\x46")
        stall(sock)

    assert "TLS versions" in fails(old, wakeup, scheme="wss")


def test_other_tls_alert(wakeup: Wakeup, certificates: Certificates) -> None:
    def alert(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"\x15\x03\x03\x00\x02\x02\x28")
        stall(sock)

    text = fails(alert, wakeup, scheme="wss")
    assert "TLS handshake with" in text and "handshake failure" in text


def test_certificate_settings_without_tls(wakeup: Wakeup) -> None:
    with pytest.raises(UsageError, match="wss://"):
        open_websocket(parse_url("ws://127.0.0.1:9/"), TLSSettings(fingerprint="00" * 32), Deadline(LONG), wakeup)


# Cancel, from another thread, in each step


def assert_cancelled(where: str, tls: TLSSettings, wakeup: WatchedWakeup, reached: threading.Event) -> None:
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            open_websocket(parse_url(where), tls, Deadline(None), wakeup)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert reached.wait(LONG) and wakeup.waiting.wait(LONG)
    wakeup.cancel()
    thread.join(LONG)
    assert not thread.is_alive()
    assert isinstance(outcome[0], ClosedError)


def test_cancel_in_the_name_lookup(wakeup: WatchedWakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, release = hanging(monkeypatch)
    assert_cancelled(url(9, "pbx.example"), NO_TLS, wakeup, asked)
    release.set()
    for resolver in resolvers():
        resolver.join(LONG)


def test_cancel_in_the_tcp_connect(wakeup: WatchedWakeup) -> None:
    with FullServer() as where:
        before = descriptors()
        assert_cancelled(url(where[1]), NO_TLS, wakeup, wakeup.waiting)
        assert descriptors() == before


def test_cancel_in_the_tls_handshake(wakeup: WatchedWakeup) -> None:
    with Server(stall) as server:
        assert_cancelled(url(server.port, scheme="wss"), NO_TLS, wakeup, server.connected)


def test_cancel_in_the_upgrade(wakeup: WatchedWakeup) -> None:
    requested = threading.Event()

    def request(sock: socket.socket) -> None:
        read_request(sock)
        requested.set()
        stall(sock)

    with Server(request) as server:
        assert_cancelled(url(server.port), NO_TLS, wakeup, requested)


def test_cancel_before_the_start(wakeup: Wakeup) -> None:
    wakeup.cancel()
    with Server(upgrading()) as server, pytest.raises(ClosedError):
        open_websocket(parse_url(url(server.port)), NO_TLS, Deadline(LONG), wakeup)


def test_wake_does_not_end_an_attempt(wakeup: WatchedWakeup) -> None:
    def wake(sock: socket.socket) -> None:
        for _ in range(100):
            wakeup.wake()
        upgrading()(sock)

    with Server(wake) as server:
        assert_opens(url(server.port), wakeup)
