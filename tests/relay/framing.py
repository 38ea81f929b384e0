"""The other end of a websocket, for tests and for the fuzzing: what a server sends, what a client wrote, and how websocket-client reads."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

from websocket import WebSocketException
from websocket._abnf import ABNF, continuous_frame, frame_buffer

from epsignal_sync.relay.frames import FrameReader, ProtocolError

Messages = list[tuple[int, bytes]]
CONTROL = (ABNF.OPCODE_CLOSE, ABNF.OPCODE_PING, ABNF.OPCODE_PONG)


def server_frame(opcode: int, payload: bytes = b"", *, final: bool = True, bits: int = 0) -> bytes:
    """Return an unmasked frame; ``bits`` are set in its first byte in addition."""
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", final << 7 | bits | opcode, length)
    elif length < 65536:
        header = struct.pack("!BBH", final << 7 | bits | opcode, 126, length)
    else:
        header = struct.pack("!BBQ", final << 7 | bits | opcode, 127, length)
    return header + payload


def client_frames(data: bytes) -> Messages:
    """Read what a client wrote: final, masked frames only."""
    found = []
    while data:
        assert data[0] & 0x80 and data[1] & 0x80
        length, start = data[1] & 0x7F, 2
        if length == 126:
            [length], start = struct.unpack_from("!H", data, 2), 4
        elif length == 127:
            [length], start = struct.unpack_from("!Q", data, 2), 10
        key, payload = data[start : start + 4], data[start + 4 : start + 4 + length]
        mask = (key * (length // 4 + 1))[:length]
        found.append((data[0] & 0x0F, (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")))
        data = data[start + 4 + length :]
    return found


def read_frames(pieces: list[bytes], largest: int) -> tuple[Messages, int | None]:
    """Return the messages that we read, those in the error included, and the code of the error."""
    reader = FrameReader(largest)
    messages: Messages = []
    try:
        for piece in pieces:
            messages += reader.receive(piece)
    except ProtocolError as error:
        return messages + error.messages, error.code
    return messages, None


def read_by_websocket_client(stream: bytes, takes: Callable[[ABNF], bool] = lambda frame: True) -> tuple[Messages, bool]:
    """Return what websocket-client reads up to what it refuses, or ``takes`` does, and whether it has read all of it."""
    source = io.BytesIO(stream)

    def receive(size: int) -> bytes:
        data = source.read(size)
        if not data:
            raise EOFError
        return data

    frames = frame_buffer(receive, skip_utf8_validation=True)
    joiner = continuous_frame(fire_cont_frame=False, skip_utf8_validation=True)
    messages: Messages = []
    read = 0
    try:
        while True:
            read = source.tell()
            frame = frames.recv_frame()
            if not takes(frame):
                return messages, False
            if frame.opcode in CONTROL:
                messages.append((frame.opcode, _bytes(frame)))
                continue
            joiner.validate(frame)
            joiner.add(frame)
            if joiner.is_fire(frame):
                opcode, joined = joiner.extract(frame)
                messages.append((opcode, bytes(joined.data)))
    except EOFError:
        return messages, read == len(stream)
    except WebSocketException:
        return messages, False


def _bytes(frame: ABNF) -> bytes:
    return frame.data if isinstance(frame.data, bytes) else frame.data.encode()
