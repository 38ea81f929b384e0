"""One connection through the fault proxy: the sockets at its two ends, and what is on its way between them.

Lives on the proxy's thread. Never blocks, and knows nothing of what the bytes mean.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Iterable
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

READ_SIZE = 65536
MOST_WAITING = 1024 * 1024
"""Bytes that one direction holds before its sender has to wait."""

LINGER_NOT = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""SO_LINGER with 0 s: closing resets the connection, and what is still to be sent is lost."""

Address = tuple[socket.AddressFamily, Any]


class Weather:
    """What the proxy does to all its connections at present; ``delay`` in seconds."""

    def __init__(self) -> None:
        self.stalled = False
        self.swallowing = False
        self.delay = 0.0


class Way:
    """One direction: what was read at one end, with the time at which it is to be written at the other."""

    def __init__(self) -> None:
        self.ended = False
        """Whether the sender has said that it sends no more."""
        self.finished = False
        """Whether the receiver was told so."""
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._size = 0

    @property
    def may_read(self) -> bool:
        """Whether the sender may send more."""
        return not self.ended and self._size < MOST_WAITING

    @property
    def due(self) -> float | None:
        """When something is to be written, or None for never."""
        return self._chunks[0][0] if self._chunks else None

    def put(self, data: bytes, due: float) -> None:
        """Add bytes, or, empty, the end of the stream."""
        self._chunks.append((due, data))
        self._size += len(data)

    def hasten(self) -> None:
        """Have everything written now."""
        self._chunks = deque((0.0, data) for _, data in self._chunks)

    def lose(self) -> bool:
        """Forget what was not written; returns whether that was anything."""
        lost = bool(self._chunks)
        self._chunks.clear()
        self._size = 0
        return lost

    def write(self, target: socket.socket, now: float) -> None:
        """Write what is due, as much as goes; raises OSError where the receiver is gone."""
        while self._chunks and self._chunks[0][0] <= now:
            due, data = self._chunks.popleft()
            if not data:
                target.shutdown(socket.SHUT_WR)
                self.finished = True
                return
            try:
                sent = target.send(data)
            except BlockingIOError:
                sent = 0
            self._size -= sent
            if sent < len(data):
                self._chunks.appendleft((due, data[sent:]))
                return


class Tunnel:
    """A connection from a client to the proxy, and the one that the proxy makes to the server for it.

    Every method may raise OSError: then the connection has failed, and :meth:`close` is all that can be done with it.
    """

    def __init__(self, client: socket.socket, addresses: Iterable[Address], weather: Weather) -> None:
        client.setblocking(False)
        _send_at_once(client)
        self.client = client
        self.server: socket.socket | None = None
        self.connecting = True
        self.holed = False
        """Whether bytes were swallowed: what followed would make no sense to the receiver."""
        self.up, self.down = Way(), Way()
        self._addresses = iter(addresses)
        self._weather = weather

    @property
    def finished(self) -> bool:
        """Whether both ends have said their last, and both were told."""
        return self.up.finished and self.down.finished

    def connect(self) -> None:
        """Begin to connect to the server's next address."""
        if self.server is not None:
            self.server.close()
        for family, address in self._addresses:
            self.server = socket.socket(family, socket.SOCK_STREAM)
            self.server.setblocking(False)
            _send_at_once(self.server)
            if self.server.connect_ex(address) in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                return
            self.server.close()
        raise ConnectionRefusedError

    def wanted(self, now: float) -> list[tuple[socket.socket, int]]:
        """Return which events of which socket are to be waited for."""
        assert self.server is not None
        if self._weather.stalled:
            return [(self.client, 0), (self.server, 0)]
        at_client = _events(self.up, self.down, now)
        at_server = EVENT_WRITE if self.connecting else _events(self.down, self.up, now)
        return [(self.client, at_client), (self.server, at_server)]

    def handle(self, sock: socket.socket, events: int, now: float) -> None:
        """Go on connecting, or read, now that a socket is ready."""
        if sock is self.server and self.connecting:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.connect()
                return
            self.connecting = False
        elif events & EVENT_READ:
            self._read(sock, self.up if sock is self.client else self.down, now)

    def write(self, now: float) -> None:
        """Write what is due in both directions."""
        assert self.server is not None
        if not self._weather.stalled:
            self.down.write(self.client, now)
            if not self.connecting:
                self.up.write(self.server, now)

    def lose(self) -> None:
        """Swallow what is on its way."""
        for way in (self.up, self.down):
            self.holed = way.lose() or self.holed

    def close(self) -> None:
        """End the connection: where both ways are finished, with all that was written; else at once, by a reset."""
        for sock in (self.client, self.server):
            if sock is not None:
                if not self.finished:
                    with contextlib.suppress(OSError):  # The other side was faster.
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
                sock.close()

    def _read(self, sock: socket.socket, way: Way, now: float) -> None:
        try:
            data = sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            if not self._weather.swallowing:
                raise
            data = b""  # A reset is swallowed, too.
        way.ended = not data
        if self._weather.swallowing:
            self.holed = True
        else:
            way.put(data, now + self._weather.delay)


def _send_at_once(sock: socket.socket) -> None:
    """Have small messages not wait for the acknowledgement of those before them: the ends do not do that either."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _events(received: Way, sent: Way, now: float) -> int:
    due = sent.due
    return (EVENT_READ if received.may_read else 0) | (EVENT_WRITE if due is not None and due <= now else 0)
