"""The PBX side of the forwarding benchmark: a process of its own, told on its standard input what to do, one JSON object a line.

    python benchmarks/pbx_side.py [CERTIFICATE]

It pumps frames that were built before, over a plain socket, and counts what comes back. It shares no code with the library, and it
knows nothing of who the peer is: a peer that asks for ``/plain`` gets Signaling at once, any other has to log in and attach first.

    {"do": "accept", "tls": false}                                  -> {"src": ...}
    {"do": "pump", "size": "small", "seconds": 1, "messages": null} -> {"messages", "began", "ended", "cpu"}
    {"do": "ping", "size": "big", "seconds": 1, "messages": null}   -> {"microseconds": [...]}
    {"do": "attach", "count": 1000}                                 -> {}, when so many more devices are attached
    {"do": "close"}                                                 -> {}

``CERTIFICATE`` is a file with the key and the certificates for connections with TLS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import struct
import sys
import time
from typing import Any

TIMEOUT = 20.0  # seconds without a byte after which the measurement is given up
IN_FLIGHT = 256 * 1024  # bytes on the way: several reads of any peer, and below what the sockets' buffers hold
BLOCK = 16 * 1024  # bytes sent at once
READ_SIZE = 256 * 1024

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

Json = dict[str, Any]


def small_message(src: Any) -> Json:
    """Return an alert, as the phone sends it."""
    name = {"type": "name_identification", "name": "Anna Example"}
    sig = {"type": "alert", "inband_info": False, "channel": -1, "fty": [name]}
    return {"mt": "Signaling", "api": "EpSignal", "src": src, "call": 17, "sig": sig}


def big_message(src: Any) -> Json:
    """Return a setup to the phone with a media offer, ICE candidates and facilities."""
    coders = ["G711A", "G711u", "G722", "OPUS-WB", "G729A", "OPUS-NB"]
    candidates = [
        {"type": kind, "foundation": str(last), "addr": f"192.0.2.{last}", "rtp": 50000 + last, "rtcp": 50001 + last, "rtp_prio": 2**31}
        for last, kind in enumerate(["host", "srflx", "relay"], 10)
    ]
    channels = {
        "source": "LOCAL",
        "id": 4711,
        "guid": "0123456789abcdef0123456789abcdef",
        "key": {"tag": 1, "mode": "AES128/80", "b": "00112233445566778899aabbccddeeff00112233445566778899aabbccdd"},
        "audio_rtcp_mux": True,
        "audio_setup_role": "actpass",
        "audio_ice": {"lite": False, "fingerprint": "ab" * 32, "usr": "f3a1", "pwd": "0123456789abcdefghijkl", "candidate": candidates},
        "ch": [{"coder": coder, "xmit": 20, "rate": 64000, "addr": "192.0.2.10", "port": 50010} for coder in coders],
    }
    facilities = [
        {"type": "name_identification", "name": "Anna Example"},
        {"type": "diverting_leg2", "diverting": {"num": "42", "sip": "bob"}, "original_called": {"num": "43"}, "diverting_name": "Bob"},
    ]
    sig = {"type": "setup", "bc": "8090a2", "cg": {"num": "N891234", "sip": "anna"}, "cd": {"num": "11"}, "complete": True, "channel": -1}
    sig.update(fty=facilities, channels_cmd="PROPOSAL", channels=channels, callId="fedcba9876543210")
    return {"mt": "Signaling", "api": "EpSignal", "src": src, "to": True, "call": 17, "sig": sig}


MESSAGES = {"small": small_message, "big": big_message}


def frame(opcode: int, payload: bytes) -> bytes:
    """Return an unmasked frame, as a server sends it."""
    length = len(payload)
    if length < 126:
        return struct.pack("!BB", 0x80 | opcode, length) + payload
    return struct.pack("!BBH", 0x80 | opcode, 126, length) + payload


def compact(message: Json) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def attach_answers(src: Any) -> bytes:
    """Return the frames that answer the Attach of a device that is registered."""
    return b"".join(frame(TEXT, compact({"mt": answer, "api": "EpSignal", "src": src})) for answer in ("AttachResult", "Attached"))


class Peer:
    """One connection that a peer has made."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self.src: Any = "bench"

    def welcome(self) -> None:
        """Do the upgrade and, unless the peer asked for /plain, the login and the attach."""
        while b"\r\n\r\n" not in self._rest:
            self._receive()
        head, self._rest = self._rest.split(b"\r\n\r\n", 1)
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._socket.sendall(upgrade + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        while request.split()[1] != "/plain" and self._log_in_step() != "Attach":
            pass

    def _log_in_step(self) -> str:
        """Answer the peer's next message; return its type."""
        message = json.loads(self._next_text())
        kind: str = message["mt"]
        if kind == "AppChallenge":
            self._send({"mt": "AppChallengeResult", "challenge": "0123456789abcdef"})
        elif kind == "AppLogin":
            self._send({"mt": "AppLoginResult", "ok": True})
        elif kind == "Attach":
            self.src = message["src"]
            self._socket.sendall(attach_answers(self.src))
        return kind

    def attach(self, count: int) -> Json:
        """Answer so many more Attach."""
        while count:
            self._receive()
            messages = map(json.loads, self._whole_texts())
            answers = [attach_answers(message["src"]) for message in messages if message["mt"] == "Attach"]
            self._socket.sendall(b"".join(answers))
            count -= len(answers)
        return {}

    def pump(self, size: str, seconds: float, messages: int | None) -> Json:
        """Keep the peer busy for ``seconds``, or with that many messages, and wait until all have come back."""
        expected = MESSAGES[size](self.src)
        one = frame(TEXT, compact(expected))
        many = max(1, BLOCK // len(one))
        window = max(2, IN_FLIGHT // len(one))
        block, view = one * many, self._returned(one, expected)
        sent, returned = 1, 1  # the one with which _returned() found out what a returned frame looks like
        began, cpu = time.monotonic(), time.process_time()
        while True:
            while sent - returned + many <= window and (time.monotonic() - began < seconds if messages is None else sent <= messages):
                self._socket.sendall(block)
                sent += many
            if returned == sent:
                break
            returned += self._count(view)
        ended = time.monotonic()
        return {"messages": sent - 1, "began": began, "ended": ended, "cpu": time.process_time() - cpu}

    def ping(self, size: str, seconds: float, messages: int | None) -> Json:
        """Send one message at a time; return how long each took to come back."""
        expected = MESSAGES[size](self.src)
        one = frame(TEXT, compact(expected))
        view = self._returned(one, expected)
        taken: list[int] = []
        began = time.monotonic()
        while time.monotonic() - began < seconds if messages is None else len(taken) < messages:
            start = time.perf_counter_ns()
            self._socket.sendall(one)
            while not self._count(view):
                pass
            taken.append(time.perf_counter_ns() - start)
        return {"microseconds": [nanoseconds / 1000 for nanoseconds in taken]}

    def close(self) -> None:
        self._socket.close()

    def _returned(self, one: bytes, expected: Json) -> tuple[bytes, int]:
        """Send one message, check that it comes back, and return the header and the length of the frame in which it does."""
        # Frames of one message are alike but for masking key and masked bytes, so to count them is to step over them.
        self._socket.sendall(one)
        while True:
            text, header, length = self._next_frame()
            if text and json.loads(text) == expected:
                return header, length

    def _count(self, view: tuple[bytes, int]) -> int:
        """Read once; return how many returned messages that has completed."""
        header, length = view
        self._receive()
        count = 0
        while True:
            data, position = self._rest, 0
            size = len(data)
            while size - position >= length and data.startswith(header, position):
                position += length
                count += 1
            self._rest = data[position:]
            if self._rest.startswith(header[: len(self._rest)]):
                return count
            self._next_frame()  # something else in between: the peer's own ping or keep-alive

    def _whole_texts(self) -> list[bytes]:
        """Return the texts of the short masked frames that have come as a whole; fast, for there may be many."""
        data, position, texts = self._rest, 0, []
        while len(data) >= position + 4:
            short = data[position + 1] & 0x7F
            start = position + (8 if short == 126 else 6)
            end = start + (int.from_bytes(data[position + 2 : position + 4], "big") if short == 126 else short)
            if len(data) < end:
                break
            mask = (data[start - 4 : start] * ((end - start) // 4 + 1))[: end - start]
            payload = (int.from_bytes(data[start:end], "big") ^ int.from_bytes(mask, "big")).to_bytes(end - start, "big")
            if data[position] & 0x0F == TEXT:
                texts.append(payload)
            position = end
        self._rest = data[position:]
        return texts

    def _next_text(self) -> str:
        while True:
            text, _, _ = self._next_frame()
            if text:
                return text

    def _next_frame(self) -> tuple[str, bytes, int]:
        """Return the text of the next frame ("" if it is no text), its header up to the masking key, and its length; answer a ping."""
        first, second = self._peek(2)
        header_size = {126: 4, 127: 10}.get(second & 0x7F, 2)
        header = self._peek(header_size)
        length = int.from_bytes(header[2:], "big") if header_size > 2 else second & 0x7F
        key_size = second >> 5 & 4  # 4 where the mask bit is set
        total = header_size + key_size + length
        whole = self._peek(total)
        self._rest = self._rest[total:]
        key = whole[header_size : header_size + key_size] or bytes(4)
        payload = bytes(byte ^ key[index & 3] for index, byte in enumerate(whole[header_size + key_size :]))
        opcode = first & 0x0F
        if opcode == CLOSE:
            raise ConnectionError("the peer closed the connection in the middle of a measurement")
        if opcode == PING:
            self._socket.sendall(frame(PONG, payload))
        return payload.decode() if opcode == TEXT else "", header, total

    def _peek(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._receive()
        return self._rest[:size]

    def _receive(self) -> None:
        data = self._socket.recv(READ_SIZE)
        if not data:
            raise ConnectionError("the peer dropped the connection in the middle of a measurement")
        self._rest = self._rest + data if self._rest else data

    def _send(self, message: Json) -> None:
        self._socket.sendall(frame(TEXT, compact(message)))


def tell(answer: Json) -> None:
    print(json.dumps(answer), flush=True)


def accept(listener: socket.socket, certificate: str) -> Peer:
    """Take the next connection as far as its measurements can begin; with TLS where there is a certificate."""
    connection, _ = listener.accept()
    connection.settimeout(TIMEOUT)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        connection = context.wrap_socket(connection, server_side=True)
    peer = Peer(connection)
    peer.welcome()
    return peer


def main() -> None:
    certificate = sys.argv[1] if len(sys.argv) > 1 else ""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(TIMEOUT)
    tell({"port": listener.getsockname()[1], "bytes": {size: len(compact(build("bench"))) for size, build in MESSAGES.items()}})
    peer: Peer | None = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "accept":
            peer = accept(listener, certificate if command["tls"] else "")
            tell({"src": peer.src})
            continue
        assert peer is not None, "accept comes first"
        if command["do"] == "close":
            peer.close()
            tell({})
        elif command["do"] == "attach":
            tell(peer.attach(command["count"]))
        else:
            measure = peer.pump if command["do"] == "pump" else peer.ping
            tell(measure(command["size"], command["seconds"], command["messages"]))


if __name__ == "__main__":
    main()
