"""Non-blocking reads and writes on a connected socket, plain or TLS. Knows nothing of what the bytes mean."""

from __future__ import annotations

import os
import socket
import ssl
import weakref

READ_SIZE = 64 * 1024
RECORD_SIZE = 16 * 1024
"""Bytes of plaintext in one TLS record (RFC 8446, section 5.1)."""


class Transport:
    """One socket, used by one thread alone: two threads on one TLS socket end in false EOFs and bad records.

    TLS may have to write in order to read and the other way round; ``receive_wants_write`` and ``send_wants_read`` say
    so. ``has_more`` is True while plaintext may wait inside the TLS layer, where no poll can see it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.receive_wants_write = False
        self.send_wants_read = False
        self.has_more = False
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._broken: OSError | None = None
        self._ended = False
        _open.add(self)

    def receive(self) -> bytes | None:
        """Return the bytes that are there, at most about 64 KiB; None: none now; b"": the peer has ended.

        Raises OSError when the connection is broken. Does not block.
        """
        if not self._tls:
            try:
                return self.sock.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return None
        if self._broken is not None:
            raise self._broken
        self.receive_wants_write = self.has_more = False
        if self._ended:
            # Not every OpenSSL says a second time that the peer has ended: from version 4 on that is an error.
            return b""
        parts: list[bytes] = []
        size = 0
        while size < READ_SIZE:
            try:
                part = self.sock.recv(READ_SIZE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLWantWriteError:
                self.receive_wants_write = True
                break
            except OSError as error:
                if not parts:
                    raise
                # What was read before it comes first. OpenSSL says it only once: the next read would look like an end.
                self._broken, self.has_more = error, True
                break
            if not part:
                # With a close_notify or without: whether a message is missing is told by the websocket's close frame.
                self._ended, self.has_more = True, bool(parts)
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        else:
            self.has_more = True
        return b"".join(parts) if parts else None

    def send(self, chunk: memoryview) -> int:
        """Write what fits and return how many bytes that was, 0 for none now. Raises OSError. Does not block."""
        self.send_wants_read = False
        sent = 0
        try:
            if not self._tls:
                return self.sock.send(chunk)
            # Record by record: one call with all of it would report nothing until the last byte fits, and a peer that
            # reads slowly would look like one that has stopped reading.
            while sent < len(chunk):
                sent += self.sock.send(chunk[sent : sent + RECORD_SIZE])
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLWantReadError:
            self.send_wants_read = True
        return sent

    def close(self) -> None:
        """End the connection. A forked child may hold a copy of the socket, which would keep the app in the phones' path."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer has ended it already
        self.sock.close()


_open: weakref.WeakSet[Transport] = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Close what a forked child has got: if its parent is killed, the PBX must see the connection end while the child lives on."""
    for transport in list(_open):
        transport.sock.close()


if hasattr(os, "register_at_fork"):  # not on Windows, which knows no fork
    os.register_at_fork(after_in_child=_let_go_in_child)
