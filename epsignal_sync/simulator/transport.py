"""The websocket server: sockets, TLS, frames, and getting rid of them in bounded time.

The only module that uses ``websockets``. Knows nothing of JSON or of what the messages say.
"""

from __future__ import annotations

import functools
import logging
import os
import queue
import selectors
import socket
import ssl
import threading
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

try:
    from websockets.exceptions import ConnectionClosed
    from websockets.http11 import Request, Response
    from websockets.sync.server import Server, ServerConnection, serve
except ImportError as error:
    raise ImportError("the simulator needs the websockets package: pip install epsignal-sync[simulator]") from error

from ..deadline import Deadline

FRAME_SIZE = 16384
"""The most bytes in one frame: a longer message goes out in several, as innovaphone's own SDK does."""

MAX_MESSAGE = 16 * 1024 * 1024
MAX_WAITING = 64 * 1024 * 1024
"""The most bytes, in and out: an app that stops reading is dropped when so much waits for it."""

OPEN_TIMEOUT = 10.0
GRACE = 0.5
"""Seconds for the closing handshake of RFC 6455."""

_log = logging.getLogger("epsignal_sync.simulator.websockets")
_log.setLevel(logging.INFO)  # at DEBUG the library writes what is in the frames: digests, keys and chats


def _in_one_line(record: logging.LogRecord) -> bool:
    """Take the traceback from what websockets before version 17 logs where a client goes, or says something else, before the upgrade."""
    if record.exc_info and record.getMessage() == "opening handshake failed":
        record.msg = f"a client did not open a websocket ({record.exc_info[1]}); with TLS it may have refused the certificate"
        record.args, record.exc_info = (), None
    return True


_log.addFilter(_in_one_line)


class TLSSocket:
    """A TLS socket that one thread may read while another one writes.

    OpenSSL does not allow two calls on one connection at a time, and the websocket server makes them: so no call
    blocks inside OpenSSL, each is made under a lock, and waiting is done outside.
    """

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self._socket = sock
        self._socket.setblocking(False)
        self._lock = threading.Lock()
        self._timeout: float | None = None

    def recv(self, size: int) -> bytes:
        """Return up to ``size`` bytes, or none at the end of the stream."""
        return cast(bytes, self._retry(functools.partial(self._socket.recv, size)))

    def sendall(self, data: Any) -> None:
        """Send all of ``data``."""
        rest = memoryview(data)
        while rest:
            part = rest[:FRAME_SIZE]
            rest = rest[self._retry(functools.partial(self._socket.send, part)) :]

    def settimeout(self, timeout: float | None) -> None:
        """Set the most seconds that one call may take."""
        self._timeout = timeout

    def shutdown(self, how: int) -> None:
        """Shut the connection down without a word from TLS, whatever the other threads are at."""
        socket.socket.shutdown(self._socket, how)

    def close(self) -> None:
        """Close the descriptor."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def _retry(self, step: Callable[[], Any]) -> Any:
        deadline = Deadline(self._timeout)
        while True:
            try:
                with self._lock:
                    return step()
            except ssl.SSLWantReadError:
                events = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                events = selectors.EVENT_WRITE
            if deadline.expired:
                raise TimeoutError("the peer did not take or send a byte in time")
            with selectors.DefaultSelector() as selector:
                # In slices: another thread may have read what this one waits for, or closed the socket.
                selector.register(self._socket, events)
                selector.select(deadline.remaining(0.2))


class Transport:
    """Accept websockets at one path; ``serve_app`` is called with a :class:`Wire` on the connection's own thread.

    All methods may be called from any thread.
    """

    def __init__(self, host: str, port: int, path: str, context: ssl.SSLContext | None, serve_app: Callable[[Wire], None]) -> None:
        self._path = path
        self._context = context
        self._serve_app = serve_app
        self._lock = threading.Lock()
        self._closing = False
        self._threads: dict[threading.Thread, socket.socket] = {}
        self._server = self._listen(host, port)
        # The server's threads inherit being daemons from this one.
        self._thread = threading.Thread(target=self._accept, name="simulated-pbx-accept", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._address[1])

    def drop(self) -> None:
        """Kill every connection without a close frame. Does not block."""
        with self._lock:
            sockets = list(self._threads.values())
        for sock in sockets:
            try:
                # Not the method of an SSL socket, which is not made for being called while others read and write.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass  # It is closed already.

    def close(self, wires: list[Wire], timeout: float) -> None:
        """Close all connections, politely where the other side plays along, and the server; at most ``timeout`` seconds."""
        deadline = Deadline(timeout)
        with self._lock:
            self._closing = True
        stop_thread = threading.Thread(target=self._shut_down, name="simulated-pbx-shutdown", daemon=True)
        for wire in wires:
            wire.finish()
        self._join(Deadline(min(GRACE, timeout)))
        self.drop()
        stop_thread.start()
        self._join(deadline)
        stop_thread.join(deadline.remaining())

    def _shut_down(self) -> None:
        """End the server, however long that takes; on the thread ``simulated-pbx-shutdown``."""
        self._server.shutdown()
        self._thread.join()
        # What websockets before version 17 leaves open: the pipe that wakes its accepting thread.
        for name in ("shutdown_watcher", "shutdown_notifier"):
            descriptor = getattr(self._server, name, None)
            if isinstance(descriptor, int):
                os.close(descriptor)

    def _listen(self, host: str, port: int) -> Server:
        server = serve(
            self._handle,
            host,
            port,
            compression=None,
            process_request=self._check_path,
            open_timeout=OPEN_TIMEOUT,
            ping_interval=None,
            close_timeout=GRACE,
            max_size=MAX_MESSAGE,
            logger=_log,
            create_connection=cast("type[ServerConnection]", self._open),
        )
        self._address = server.socket.getsockname()
        return server

    def _accept(self) -> None:
        try:
            self._server.serve_forever()
        except OSError:
            if not self._closing:  # websockets before version 17 raises it where it is shut down while it begins
                raise

    def _join(self, deadline: Deadline) -> None:
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(deadline.remaining())

    def _check_path(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path.split("?")[0] != self._path:
            return connection.respond(HTTPStatus.NOT_FOUND, f"There is only {self._path} here.\n")
        return None

    def _open(self, sock: socket.socket, *args: Any, **options: Any) -> ServerConnection:
        """Make the server's connection object: TLS is done here, so that a connection is known from its first byte."""
        threading.current_thread().name = "simulated-pbx-connection"
        stream: Any = sock
        self._track(sock)
        if self._context is not None:
            try:
                secured = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            except OSError as error:
                _close_lost(error)
                raise
            self._track(secured)
            try:
                secured.settimeout(OPEN_TIMEOUT)
                secured.do_handshake()
            except Exception:
                secured.close()
                raise
            stream = TLSSocket(secured)
        connection = ServerConnection(stream, *args, **options)
        connection.recv_events_thread.name = "simulated-pbx-reader"
        return connection

    def _track(self, sock: socket.socket) -> None:
        with self._lock:
            self._threads = {thread: known for thread, known in self._threads.items() if thread.is_alive()}
            self._threads[threading.current_thread()] = sock
            if self._closing:
                sock.close()
                raise ConnectionAbortedError("the simulated PBX is closing")

    def _handle(self, connection: ServerConnection) -> None:
        wire = Wire(connection)
        try:
            self._serve_app(wire)
        finally:
            wire.end()


def _close_lost(error: OSError) -> None:
    """Close the socket that ssl, before Python 3.13, loses where the app has reset the connection before it is wrapped."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        lost = frame.f_locals.get("self")
        if isinstance(lost, ssl.SSLSocket):
            lost.close()


class Wire:
    """One app's websocket: texts in, texts out; a thread of its own writes, so that sending never blocks."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._finished = False
        self._code = 1001
        self._thread = threading.Thread(target=self._write, name="simulated-pbx-writer", daemon=True)
        self._thread.start()

    def receive(self) -> str | None:
        """Return the next text, or None at the end. Blocks until there is one; a binary message ends the connection."""
        try:
            message = self._connection.recv()
        except ConnectionClosed:
            return None
        return message if isinstance(message, str) else None

    def send(self, text: str) -> None:
        """Queue a text; dropped after :meth:`finish`. Does not block."""
        data = text.encode("utf-8", "replace")
        with self._lock:
            self._waiting += len(data)
            too_much = self._waiting > MAX_WAITING
            if not self._finished and not too_much:
                self._outgoing.put(data)
        if too_much:
            self.kill()

    def finish(self, code: int = 1001) -> None:
        """Send what waits, then the close frame; sends nothing more. Does not block."""
        with self._lock:
            if not self._finished:
                self._finished = True
                self._code = code
                self._outgoing.put(None)

    def kill(self) -> None:
        """Cut the connection. Does not block."""
        try:
            raw: Any = self._connection.socket
            raw.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It is closed already.

    def end(self) -> None:
        """End the writer thread after the connection ended."""
        self.finish()
        self._thread.join(2 * GRACE)

    def _write(self) -> None:
        try:
            while True:
                data = self._outgoing.get()
                if data is None:
                    break
                if len(data) <= FRAME_SIZE:
                    self._connection.send(data, text=True)
                else:
                    self._connection.send((data[at : at + FRAME_SIZE] for at in range(0, len(data), FRAME_SIZE)), text=True)
                with self._lock:
                    self._waiting -= len(data)
            self._connection.close(self._code)
        except (ConnectionClosed, OSError):
            pass  # The reading side finds out too, and says so.
