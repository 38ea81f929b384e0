"""Non-blocking reads and writes on a connected socket, plain or TLS. Knows nothing of what the bytes mean."""

from __future__ import annotations

import socket
import ssl

READ_SIZE = 64 * 1024


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

    def receive(self) -> bytes | None:
        """Return the bytes that are there, at most about 64 KiB; None: none now; b"": the peer has ended.

        Raises OSError when the connection is broken. Does not block.
        """
        if not self._tls:
            try:
                return self.sock.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return None
        self.receive_wants_write = self.has_more = False
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
            except OSError:
                if not parts:
                    raise
                self.has_more = True  # the error comes again, after what was read before it
                break
            if not part:
                self.has_more = bool(parts)
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        else:
            self.has_more = True
        return b"".join(parts) if parts else None

    def send(self, chunk: memoryview) -> int:
        """Write what fits and return how many bytes that was, 0 for none now. Raises OSError. Does not block."""
        self.send_wants_read = False
        try:
            return self.sock.send(chunk)
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLWantReadError:
            self.send_wants_read = True
            return 0
