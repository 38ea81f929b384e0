"""Open one websocket, or say in one sentence why not: name, TCP, TLS, certificate, upgrade.

Runs on the link thread, under one deadline, and is ended by ``Wakeup.cancel()`` in every step. The only importer of
websocket-client, which makes the upgrade and nothing else here. Knows nothing of frames, messages or reconnecting.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urljoin

import websocket

from ..deadline import Deadline
from ..errors import ConnectError, ConnectTimeout, UsageError
from .endpoint import Endpoint, TLSSettings, error_text, handshake_failure, parse_url, show_fingerprint, unverified_context
from .wakeup import Wakeup

LARGEST_RESPONSE = 64 * 1024
"""Bytes of an HTTP response header that are read before the server is given up."""

LONGEST_FETCH = 5.0
"""Seconds spent on fetching a refused certificate only to name its fingerprint."""

_log = logging.getLogger(__name__)
_READ_SIZE = 16 * 1024
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_HEADERS_OF_AN_UPGRADE = ("upgrade", "connection", "sec-websocket-accept")
_STATUS_LINE = re.compile(r"HTTP/\d\.\d (\d{3})(?: .*)?", re.ASCII)
_REDIRECTS = (301, 302, 303, 307, 308)

Address = tuple[socket.AddressFamily, Any]
Result = TypeVar("Result")


class _TimeIsUp(Exception):
    """The deadline is over. No TimeoutError: websocket-client would take that for one of its own."""


class _Waiter:
    """Repeats non-blocking calls until they succeed, the deadline is over or the client is closed."""

    def __init__(self, wakeup: Wakeup, deadline: Deadline) -> None:
        self.wakeup = wakeup
        self.deadline = deadline

    def wait(self, sock: socket.socket | None, *, read: bool = False, write: bool = False) -> bool:
        # Looked at before each wait: one byte every 50 ms, each of them in time, must not outlast the deadline.
        if self.deadline.expired:
            raise _TimeIsUp
        return self.wakeup.wait_cancellable(sock, read=read, write=write, timeout=self.deadline.remaining())

    def repeat(self, sock: socket.socket, attempt: Callable[[], Result], *, write: bool = False) -> Result:
        """Return what ``attempt`` returns in the end. It is tried before waiting: poll does not see what TLS holds."""
        while True:
            try:
                return attempt()
            except ssl.SSLWantReadError:
                self.wait(sock, read=True)
            except ssl.SSLWantWriteError:
                self.wait(sock, write=True)
            except BlockingIOError:
                self.wait(sock, read=not write, write=write)


def open_websocket(endpoint: Endpoint, tls: TLSSettings, deadline: Deadline, wakeup: Wakeup) -> tuple[socket.socket, bytes]:
    """Return a connected non-blocking socket after the upgrade, and the bytes that followed the HTTP response.

    Those bytes belong to the first frames. Of an ``ssl.SSLSocket`` more may be pending that no poll shows: read it
    until it wants more before waiting. Blocks until ``deadline``; belongs to the link thread. Raises ConnectError,
    ConnectTimeout, ClosedError after ``wakeup.cancel()``, and UsageError for certificate settings with ws://.
    """
    tls.check_endpoint(endpoint)
    opening = _Opening(endpoint, tls, deadline, wakeup)
    try:
        rest = opening.run()
    except BaseException as error:
        opening.close()
        if isinstance(error, _TimeIsUp):
            raise ConnectTimeout(
                f"timed out in the {opening.step} to {endpoint.address} after {deadline.timeout:g} s: check that a PBX "
                "is there and that no firewall is in between, or allow a longer timeout="
            ) from None
        raise
    wakeup.forget()
    assert opening.sock is not None
    return opening.sock, rest


class _Opening:
    """One attempt. Owns the socket until it succeeded."""

    def __init__(self, endpoint: Endpoint, tls: TLSSettings, deadline: Deadline, wakeup: Wakeup) -> None:
        self.endpoint = endpoint
        self.tls = tls
        self.waiter = _Waiter(wakeup, deadline)
        self.sock: socket.socket | None = None
        self.step = ""

    def run(self) -> bytes:
        self.step = "name lookup"
        addresses = _resolve(self.endpoint, self.waiter)
        self.step = "TCP connect"
        self.sock, address = self._connect(addresses)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.endpoint.scheme == "wss":
            self.step = "TLS handshake"
            self._secure(address)
        self.step = "websocket upgrade"
        return _upgrade(self.endpoint, self.sock, self.waiter)

    def close(self) -> None:
        self.waiter.wakeup.forget()
        if self.sock is not None:
            self.sock.close()

    def _connect(self, addresses: list[Address]) -> tuple[socket.socket, Address]:
        failures = []
        for index, address in enumerate(addresses):
            try:
                return _connect_to(address, self._share(len(addresses) - index)), address
            except _TimeIsUp:
                failures.append(f"{address[1][0]} did not answer")
            except ConnectionRefusedError:
                failures.append(f"{address[1][0]} refused it")
            except OSError as error:
                failures.append(f"{address[1][0]}: {error_text(error)}")
        if self.waiter.deadline.expired:
            raise _TimeIsUp
        raise ConnectError(
            f"the TCP connect to {self.endpoint.address} failed ({', '.join(failures)}): check that the PBX runs, "
            "that host and port are right and that no firewall is in between"
        )

    def _share(self, addresses_left: int) -> _Waiter:
        """Return a waiter with a fair share of the time: an address that swallows everything must leave some for the next."""
        remaining = self.waiter.deadline.remaining()
        if remaining is None or addresses_left == 1:
            return self.waiter
        return _Waiter(self.waiter.wakeup, Deadline(remaining / addresses_left))

    def _secure(self, address: Address) -> None:
        assert self.sock is not None
        if not self.tls.verifies:
            _log.warning("verify=False: the certificate of %s is not checked, anybody in between can listen", self.endpoint.address)
        try:
            # wrap_socket() takes the descriptor over, also where it fails.
            self.sock = secured = self.tls.context.wrap_socket(
                self.sock, server_hostname=self.endpoint.host, do_handshake_on_connect=False
            )
            self.waiter.repeat(secured, secured.do_handshake)
            certificate = secured.getpeercert(binary_form=True) or b""
        except ssl.SSLCertVerificationError as error:
            raise self._certificate_error(error, address) from error
        except OSError as error:
            raise ConnectError(handshake_failure(error, self.endpoint)) from error
        if not self.tls.accepts(certificate):
            raise ConnectError(
                f"the certificate of {self.endpoint.address} has the fingerprint {show_fingerprint(certificate)} and not the one "
                "given: pass it as fingerprint= if the PBX itself shows the same one, else somebody may be in between"
            )

    def _certificate_error(self, error: ssl.SSLCertVerificationError, address: Address) -> ConnectError:
        self.close()
        certificate = self._fetch_certificate(address)
        pin = "fingerprint= with its SHA-256"
        if certificate:
            pin = f"fingerprint={show_fingerprint(certificate)!r} once you compared it with the PBX's own"
        return ConnectError(
            f"the certificate of {self.endpoint.address} was refused because it {self.tls.reason(error)}: pass {pin}, "
            "or ca_file= with the certificate of its issuer, or as the last resort verify=False"
        )

    def _fetch_certificate(self, address: Address) -> bytes | None:
        """Return the certificate the server shows, read over a connection that is used for nothing else."""
        waiter = _Waiter(self.waiter.wakeup, Deadline(self.waiter.deadline.remaining(at_most=LONGEST_FETCH)))
        sock: socket.socket | None = None
        try:
            sock = _connect_to(address, waiter)
            sock = secured = unverified_context().wrap_socket(
                sock, server_hostname=self.endpoint.host, do_handshake_on_connect=False
            )
            waiter.repeat(secured, secured.do_handshake)
            return secured.getpeercert(binary_form=True)
        except (OSError, _TimeIsUp):
            return None
        finally:
            waiter.wakeup.forget()
            if sock is not None:
                sock.close()


def _resolve(endpoint: Endpoint, waiter: _Waiter) -> list[Address]:
    try:
        version = ipaddress.ip_address(endpoint.host).version
    except ValueError:
        return _Lookup(endpoint, waiter.wakeup).result(waiter)
    return [(socket.AF_INET if version == 4 else socket.AF_INET6, (endpoint.host, endpoint.port))]


class _Lookup:
    """A name lookup on a thread of its own, since getaddrinfo() can neither be given a time-out nor be interrupted."""

    def __init__(self, endpoint: Endpoint, wakeup: Wakeup) -> None:
        self._endpoint = endpoint
        self._wakeup: Wakeup | None = wakeup
        self._lock = threading.Lock()
        self._outcome: list[Address] | Exception | None = None

    def result(self, waiter: _Waiter) -> list[Address]:
        threading.Thread(target=self._run, name="epsignal-resolver", daemon=True).start()
        try:
            while self._outcome is None:
                waiter.wait(None)
        finally:
            with self._lock:
                # From here on the thread, which may hang for ever, touches nothing any more.
                self._wakeup = None
        if isinstance(self._outcome, list):
            return self._outcome
        raise ConnectError(
            f"the name {self._endpoint.host} was not found ({error_text(self._outcome)}): check its spelling and the name server, "
            "or write the address of the PBX"
        ) from self._outcome

    def _run(self) -> None:
        outcome: list[Address] | Exception
        try:
            found = socket.getaddrinfo(self._endpoint.host, self._endpoint.port, type=socket.SOCK_STREAM)
            outcome = list(dict.fromkeys((entry[0], entry[4]) for entry in found))
        except Exception as error:
            outcome = error
        with self._lock:
            self._outcome = outcome
            if self._wakeup is not None:
                self._wakeup.wake()


def _connect_to(address: Address, waiter: _Waiter) -> socket.socket:
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        try:
            sock.connect(where)
        except BlockingIOError:
            while not waiter.wait(sock, write=True):
                pass
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None
        return sock
    except BaseException:
        waiter.wakeup.forget()
        sock.close()
        raise


def _upgrade(endpoint: Endpoint, sock: socket.socket, waiter: _Waiter) -> bytes:
    stream = _UpgradeStream(endpoint, sock, waiter)
    try:
        # No Origin: that names the page a browser shows, and there is none here.
        websocket.create_connection(
            f"{endpoint.scheme}://{endpoint.address}/", socket=stream, redirect_limit=0, host=endpoint.host_header, suppress_origin=True
        )
    except websocket.WebSocketException as error:
        raise _no_websocket(endpoint, "its upgrade lacks the right Upgrade, Connection or Sec-WebSocket-Accept") from error
    return stream.rest


class _UpgradeStream:
    """What websocket-client takes for its socket. It never gets at the real one, nor at most of the response."""

    def __init__(self, endpoint: Endpoint, sock: socket.socket, waiter: _Waiter) -> None:
        self._endpoint = endpoint
        self._sock = sock
        self._waiter = waiter
        self._response = b""
        self.rest = b""

    def gettimeout(self) -> int:
        return 0  # Makes websocket-client call us and nothing else; all the waiting is done here.

    def close(self) -> None:
        """Do nothing: whoever opened the socket closes it."""

    def send(self, request: bytes) -> int:
        """Send all of the request, with our resource and without a cookie."""
        lines = request.split(b"\r\n")
        # websocket-client loses what follows a ";" in the path, and one jar for the whole process adds the cookies.
        lines[0] = f"GET {self._endpoint.resource} HTTP/1.1".encode("ascii")
        data = b"\r\n".join(line for line in lines if not line.lower().startswith(b"cookie:"))
        while data:
            data = data[self._repeat(partial(self._sock.send, data), write=True) :]
        return len(request)

    def recv(self, size: int) -> bytes:
        if not self._response:
            self._response = self._read_response()
        data, self._response = self._response[:size], self._response[size:]
        return data

    def _read_response(self) -> bytes:
        """Return a response of the few lines that websocket-client has to judge; all else is judged here.

        That keeps Set-Cookie out of its jar, and it away from a body that may be endless.
        """
        received = b""
        while True:
            chunk = self._repeat(partial(self._sock.recv, _READ_SIZE))
            searched = max(0, len(received) - 3)
            received += chunk
            if not received.startswith(b"HTTP/"[: len(received)]):
                raise _no_http(self._endpoint, received)
            if not chunk:
                raise _closed(self._endpoint)
            end = _END_OF_HEADER.search(received, searched)
            if (end.end() if end else len(received)) > LARGEST_RESPONSE:
                raise _no_websocket(self._endpoint, f"its HTTP header is longer than {LARGEST_RESPONSE} bytes")
            if end:
                break
        self.rest = received[end.end() :]
        lines = re.split("\r?\n", received[: end.start()].decode("latin-1"))
        headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        _check_response(self._endpoint, lines[0], headers)
        kept = [f"{name}: {value}" for name, value in headers if name in _HEADERS_OF_AN_UPGRADE]
        return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *kept, "", ""]).encode("ascii", "replace")

    def _repeat(self, attempt: Callable[[], Result], *, write: bool = False) -> Result:
        try:
            return self._waiter.repeat(self._sock, attempt, write=write)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise _closed(self._endpoint) from error
        except OSError as error:
            raise ConnectError(
                f"the websocket upgrade at {self._endpoint.address} failed ({error_text(error)}): check the network and try again"
            ) from error


def _check_response(endpoint: Endpoint, status_line: str, headers: list[tuple[str, str]]) -> None:
    """Raise ConnectError unless the server switches to a plain websocket."""
    match = _STATUS_LINE.fullmatch(status_line)
    if not match:
        raise _no_websocket(endpoint, "its HTTP status line is not valid")
    status = int(match[1])
    if status in _REDIRECTS:
        target = _redirect_target(endpoint, dict(headers).get("location", ""))
        raise ConnectError(
            f"{endpoint.address} redirects {endpoint.path} to {target} (HTTP {status}), which is not followed: "
            "pass that URL if you trust it"
        )
    if status != HTTPStatus.SWITCHING_PROTOCOLS:
        raise _refused(endpoint, status)
    # Decoding frames of an extension that nobody asked for would give nonsense (RFC 6455, section 4.1).
    if any(name == "sec-websocket-extensions" and value for name, value in headers):
        raise _no_websocket(endpoint, "it claims a websocket extension that was not asked for")


def _redirect_target(endpoint: Endpoint, location: str) -> str:
    """Return what may be shown of a Location: as a websocket URL, without query, and nothing that is no URL."""
    scheme = "https" if endpoint.scheme == "wss" else "http"
    try:
        joined = urljoin(f"{scheme}://{endpoint.address}{endpoint.path}", location.partition("#")[0])
        target = parse_url(re.sub("^http", "ws", joined, flags=re.IGNORECASE))
    except (UsageError, ValueError):
        return "a place that is no usable URL"
    return f"{target.scheme}://{target.host_header}{target.path}"


def _refused(endpoint: Endpoint, status: int) -> ConnectError:
    name = f" ({HTTPStatus(status).phrase})" if status in set(HTTPStatus) else ""
    if status in (401, 403):
        advice = "the path must be published and allowed, on the PBX and on a reverse proxy before it"
    elif status >= 500:
        advice = "try again when the PBX is up, and check that the path is published on a reverse proxy before it"
    elif status == 400 and endpoint.scheme == "ws":
        advice = "write wss:// if this port speaks TLS, else check that the path is right and published"
    else:
        advice = "check the path (its module need not be PBX0), and that it is published, also on a reverse proxy before the PBX"
    return ConnectError(f"{endpoint.address} answered HTTP {status}{name} for {endpoint.path} instead of opening a websocket: {advice}")


def _no_http(endpoint: Endpoint, received: bytes) -> ConnectError:
    # A TLS record starts with its type: 21 is an alert, 22 a handshake message (RFC 8446, section 5.1).
    if endpoint.scheme == "ws" and received[:1] in (b"\x15", b"\x16"):
        return ConnectError(f"{endpoint.address} speaks TLS on this port: write wss:// instead of ws://")
    return ConnectError(f"{endpoint.address} does not speak HTTP: check that host and port are those of the PBX's web service")


def _no_websocket(endpoint: Endpoint, why: str) -> ConnectError:
    return ConnectError(f"{endpoint.address} did not open a websocket for {endpoint.path} because {why}: check that this is the PBX's URL")


def _closed(endpoint: Endpoint) -> ConnectError:
    hint = " and that this port does not need wss://" if endpoint.scheme == "ws" else ""
    return ConnectError(
        f"{endpoint.address} closed the connection before it answered the websocket upgrade for {endpoint.path}: "
        f"check that the path is right and published{hint}"
    )
