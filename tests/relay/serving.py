"""A server for the tests of opening a connection: a listening socket, threads, and handlers for the websocket upgrade."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable

LONG = 40.0
"""Seconds that a test waits for what has to come; only a failing test ever waits so long."""
Handler = Callable[[socket.socket], object]


class Server:
    """A listening socket with one handler for each connection, and no protocol of its own."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.connected = threading.Event()
        self._handler, self._tls = handler, tls
        self._failures: list[BaseException] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Server:
        self._acceptor = threading.Thread(target=self._accept, name="server", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(LONG)
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(LONG)
            assert not thread.is_alive()
        self._listener.close()
        assert not self._failures, self._failures

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), name="server", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                self._sockets.append(sock)
                sock.do_handshake()
            self.connected.set()
            self._handler(sock)
        except OSError:
            pass  # The client hangs up whenever it likes.
        except BaseException as error:
            self._failures.append(error)
        finally:
            sock.close()


def read_request(sock: socket.socket) -> bytes:
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        chunk = sock.recv(1_000_000)
        if not chunk:
            raise ConnectionError("the client hung up")
        request += chunk
    return request


def stall(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


def upgrade_response(request: bytes, headers: str = "") -> bytes:
    key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
    lines = f"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
    return lines.encode()


def upgrading(rest: bytes = b"", headers: str = "", requests: list[bytes] | None = None) -> Handler:
    def handle(sock: socket.socket) -> None:
        request = read_request(sock)
        if requests is not None:
            requests.append(request)
        sock.sendall(upgrade_response(request, headers) + rest)
        stall(sock)

    return handle
