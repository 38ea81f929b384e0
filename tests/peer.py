"""A scripted PBX on a plain socket: it says exactly what a test makes it say, however wrong, or nothing at all."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import epsignal_sync as eps

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PATIENCE = 20.0


def frame(payload: bytes | str | Mapping[str, Any], opcode: int = 1, *, first: int | None = None) -> bytes:
    """Return one server frame; ``first`` replaces the whole first byte."""
    if isinstance(payload, Mapping):
        payload = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    if isinstance(payload, str):
        payload = payload.encode("utf-8", "surrogatepass")
    start = bytes([0x80 | opcode if first is None else first])
    if len(payload) < 126:
        return start + bytes([len(payload)]) + payload
    if len(payload) < 65536:
        return start + struct.pack("!BH", 126, len(payload)) + payload
    return start + struct.pack("!BQ", 127, len(payload)) + payload


class Peer:
    """Listens on a free port of this machine and serves one connection, step by step, from the test's thread."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._sock: socket.socket | None = None
        self._buffer = b""
        self.url = f"{'wss' if context else 'ws'}://127.0.0.1:{self._listener.getsockname()[1]}/PBX0/APPS/websocket"
        self.src = ""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.drop()
        self._listener.close()

    @property
    def sock(self) -> socket.socket:
        """The accepted connection."""
        assert self._sock is not None
        return self._sock

    def accept(self) -> None:
        """Take a TCP connection."""
        self._sock, _ = self._listener.accept()
        self._sock.settimeout(PATIENCE)
        if self.context is not None:
            self._sock = self.context.wrap_socket(self._sock, server_side=True)

    def upgrade(self) -> None:
        """Take a TCP connection and make it a websocket."""
        self.accept()
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        key = next(line.split(b":")[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        lines = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + accept)
        self.sock.sendall(b"\r\n".join(lines) + b"\r\n\r\n")

    def login(self) -> None:
        """Take a connection up to the end of a login, whatever the password is."""
        self.upgrade()
        assert self.receive()["mt"] == "AppChallenge"
        self.send({"mt": "AppChallengeResult", "challenge": "0123456789abcdef"})
        assert self.receive()["mt"] == "AppLogin"
        self.send({"mt": "AppLoginResult", "ok": True})

    def client(self, **options: Any) -> eps.Client:
        """Return a client that is logged in here; without ``reconnect=True`` it ends with the connection."""
        options.setdefault("reconnect", False)
        server = threading.Thread(target=self.login, name="peer-login")
        server.start()
        try:
            return eps.connect(self.url, app="phones", password="pwd", **options)
        finally:
            server.join(PATIENCE)

    def attach(self, client: eps.Client, hw: str = "0090334f1a2b", *, forward: bool = True) -> eps.Device:
        """Attach a device through the client, with the answer and Attached from here; sets ``src``."""

        def answer() -> None:
            attach = self.receive()
            assert attach["mt"] == "Attach"
            self.src = attach["src"]
            self.send({"mt": "AttachResult", "api": "EpSignal", "src": self.src})
            self.send({"mt": "Attached", "api": "EpSignal", "src": self.src})

        server = threading.Thread(target=answer, name="peer-attach")
        server.start()
        try:
            device = client.attach(hw, forward=forward)
            device.wait_attached()
        finally:
            server.join(PATIENCE)
        return device

    def signaling(self, call: Any, sig: dict[str, Any], *, to: bool = False, **more: Any) -> dict[str, Any]:
        """Return a Signaling of the attached device."""
        head: dict[str, Any] = {"mt": "Signaling", "api": "EpSignal", "src": self.src}
        return {**head, **({"to": True} if to else {}), "call": call, "sig": sig, **more}

    def send(self, message: bytes | str | dict[str, Any]) -> None:
        """Send one text message."""
        self.sock.sendall(frame(message))

    def receive(self) -> dict[str, Any]:
        """Return the next text message; answers pings on the way."""
        while True:
            opcode, payload = self.receive_frame()
            if opcode == 1:
                message = json.loads(payload)
                assert isinstance(message, dict)
                return message
            assert opcode in (9, 10), f"a text was expected, not opcode {opcode}: {payload!r}"
            if opcode == 9:
                self.sock.sendall(frame(payload, 10))

    def receive_text(self) -> bytes:
        """Return the next frame's payload, which has to be a text."""
        opcode, payload = self.receive_frame()
        assert opcode == 1
        return payload

    def receive_frame(self) -> tuple[int, bytes]:
        """Return (opcode, payload) of the next frame; raises EOFError at the end."""
        first, second = self._take(2)
        length = second & 127
        if length == 126:
            length = struct.unpack("!H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self._take(8))[0]
        assert second & 128, "a client has to mask"
        key = self._take(4)
        payload = self._take(length)
        mask = (key * (length // 4 + 1))[:length]
        return first & 15, (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")

    def send_close(self, code: int) -> None:
        """Send a close frame."""
        self.sock.sendall(frame(struct.pack("!H", code), 8))

    def drop(self) -> None:
        """Close the connection without a word."""
        self._buffer = b""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def stop_listening(self) -> None:
        """Let no further connection come about."""
        self._listener.close()

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _fill(self) -> None:
        data = self.sock.recv(1 << 20)
        if not data:
            raise EOFError
        self._buffer += data
