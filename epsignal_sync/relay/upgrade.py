"""The websocket upgrade on a socket that is connected, and secured where it should be (RFC 6455, section 4).

The only importer of websocket-client, which makes the upgrade and nothing else here: it gets neither at the socket nor
at the network, the environment's proxies, redirects or cookies.
"""

from __future__ import annotations

import re
import socket
import ssl
from functools import partial
from http import HTTPStatus
from urllib.parse import urljoin

import websocket

from ..errors import ConnectError, UsageError
from .endpoint import Endpoint, TLSSettings, parse_url
from .refusals import client_certificate_refused, error_text
from .waiting import Waiter

LARGEST_RESPONSE = 64 * 1024
"""Bytes of an HTTP response header that are read before the server is given up."""

_READ_SIZE = 16 * 1024
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_HEADERS_OF_AN_UPGRADE = ("upgrade", "connection", "sec-websocket-accept")
_STATUS_LINE = re.compile(r"HTTP/\d\.\d (\d{3})(?: .*)?", re.ASCII)
_REDIRECTS = (301, 302, 303, 307, 308)


def upgrade(endpoint: Endpoint, tls: TLSSettings, sock: socket.socket, waiter: Waiter) -> bytes:
    """Make the upgrade and return the bytes that followed the response: they belong to the first frames. Raises ConnectError."""
    stream = UpgradeStream(endpoint, tls, sock, waiter)
    try:
        # No Origin: that names the page a browser shows, and there is none here.
        websocket.create_connection(
            f"{endpoint.scheme}://{endpoint.address}/", socket=stream, redirect_limit=0, host=endpoint.host_header, suppress_origin=True
        )
    except websocket.WebSocketException as error:
        raise _no_websocket(endpoint, "its upgrade lacks the right Upgrade, Connection or Sec-WebSocket-Accept") from error
    return stream.rest


class UpgradeStream:
    """What websocket-client takes for its socket. It never gets at the real one, nor at most of the response."""

    def __init__(self, endpoint: Endpoint, tls: TLSSettings, sock: socket.socket, waiter: Waiter) -> None:
        self._endpoint = endpoint
        self._tls = tls
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
        try:
            while data:
                data = data[self._waiter.repeat(self._sock, partial(self._sock.send, data), write=True) :]
        except OSError:
            pass  # Why the server hung up can often still be read: with TLS 1.3 that it demands a client certificate.
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
            chunk = self._receive()
            searched = max(0, len(received) - 3)
            received += chunk
            if not received.startswith(b"HTTP/"[: len(received)]):
                raise _no_http(self._endpoint, received)
            if not chunk:
                raise _closed(self._endpoint, self._tls)
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

    def _receive(self) -> bytes:
        try:
            return self._waiter.repeat(self._sock, partial(self._sock.recv, _READ_SIZE))
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise _closed(self._endpoint, self._tls) from error
        except OSError as error:
            raise ConnectError(
                client_certificate_refused(error, self._endpoint, self._tls)
                or f"the websocket upgrade at {self._endpoint.address} failed ({error_text(error)}): check the network and try again"
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


def _closed(endpoint: Endpoint, tls: TLSSettings) -> ConnectError:
    hint = ""
    if endpoint.scheme == "ws":
        hint = " and that this port does not need wss://"
    elif tls.client_certificate is None:
        hint = ", and pass client_certificate= if the PBX demands one"
    return ConnectError(
        f"{endpoint.address} closed the connection before it answered the websocket upgrade for {endpoint.path}: "
        f"check that the path is right and published{hint}"
    )
