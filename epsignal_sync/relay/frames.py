"""Websocket frames (RFC 6455), as a client reads and writes them.

Bytes in, messages out, and the other way round. Knows nothing of sockets, threads, clocks, the upgrade, the closing handshake or of
what a text means: UTF-8 is not checked here, because whoever decodes the JSON does it anyway.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct

OPCODE_CONTINUATION = 0x0
OPCODE_TEXT = 0x1
OPCODE_BINARY = 0x2
OPCODE_CLOSE = 0x8
OPCODE_PING = 0x9
OPCODE_PONG = 0xA

CLOSE_PROTOCOL_ERROR = 1002
CLOSE_NO_CODE = 1005
CLOSE_BAD_DATA = 1007
CLOSE_TOO_BIG = 1009

_FINAL = 0x80
_RESERVED_BITS = 0x70
_CONTROL = 0x08
_MASKED = 0x80
_FINAL_TEXT = _FINAL | OPCODE_TEXT
_OPCODES = frozenset({OPCODE_CONTINUATION, OPCODE_TEXT, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG})
_LARGEST_CONTROL_PAYLOAD = 125
_LARGEST_LENGTH = 2**63 - 1

_pack_close_code = Struct("!H").pack
_pack_medium_header = Struct("!BBH").pack
_pack_long_header = Struct("!BBQ").pack
_unpack_long_length = Struct("!Q").unpack_from


class ProtocolError(Exception):
    """The peer broke RFC 6455; internal to the relay, it never leaves the library.

    ``code`` is the code to close the connection with. ``messages`` is what :meth:`FrameReader.receive` had completed from
    the same bytes before the error: it counts, and nothing else will return it.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.messages: list[tuple[int, bytes]] = []


class FrameReader:
    """What a server sends on one connection, cut into messages. Not thread-safe; never blocks.

    ``max_message_size`` is in bytes, for a message as a whole: the sum of its fragments.
    What follows a CLOSE frame is returned like all else; to ignore it is up to the caller.
    """

    def __init__(self, max_message_size: int) -> None:
        self._max_message_size = max_message_size
        self._rest = bytearray()  # the beginning of a frame that is not complete
        self._rest_needed = 0  # how long it has to be before another look at it is worth while
        self._message_opcode: int | None = None  # of the fragmented message that has begun
        # One growing array and no list of fragments: neither empty fragments nor tiny ones then take more memory than their bytes.
        self._message = bytearray()
        self._failed: tuple[int, str] | None = None

    def receive(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the messages and control frames that ``data`` completes, in order, as (opcode, payload).

        Fragments are joined, under the opcode of the first one. Raises ProtocolError, with the messages before the error in its
        ``messages``; every later call raises it again, with no messages.
        """
        if self._failed is not None:
            raise ProtocolError(*self._failed)
        if self._rest:
            self._rest += data
            if len(self._rest) < self._rest_needed:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        messages: list[tuple[int, bytes]] = []
        try:
            consumed = self._take_frames(data, messages)
        except ProtocolError as error:
            self._failed = error.code, str(error)
            error.messages = messages
            raise
        if consumed < len(data):
            self._rest += memoryview(data)[consumed:]
        return messages

    def _take_frames(self, data: bytes, messages: list[tuple[int, bytes]]) -> int:
        """Append what the complete frames in ``data`` hold; return how many bytes they take."""
        # This loop runs for every message of every phone: the usual text frame passes through it without a single call.
        position = 0
        size = len(data)
        largest = self._max_message_size
        while size - position >= 2:
            first = data[position]
            length = data[position + 1]
            start = position + 2
            if length > 125:
                if length == 126 and size - position >= 4:
                    length = data[start] << 8 | data[start + 1]
                    start += 2
                elif length == 127 and size - position >= 10:
                    length = _unpack_long_length(data, start)[0]
                    start += 8
                elif length & _MASKED:
                    raise ProtocolError(CLOSE_PROTOCOL_ERROR, "the PBX sent a masked frame, which only a client may do")
                else:
                    self._rest_needed = 0  # the header is still incomplete
                    return position
            end = start + length
            if first != _FINAL_TEXT or self._message_opcode is not None or length > largest:
                self._check(first, length)
            if end > size:
                self._rest_needed = end - position
                return position
            if first == _FINAL_TEXT:
                messages.append((OPCODE_TEXT, data[start:end]))
            else:
                self._take_unusual(first, data[start:end], messages)
            position = end
        self._rest_needed = 0
        return position

    def _check(self, first: int, length: int) -> None:
        """Judge a frame by its header alone, so that a forbidden one is never collected."""
        # Spec: a length in more bytes than needed is forbidden to the sender (5.2), but it does no harm, so it is taken.
        opcode = first & 0x0F
        if first & _RESERVED_BITS:
            raise ProtocolError(CLOSE_PROTOCOL_ERROR, "the PBX sent a frame with reserved bits set, but no extension was agreed on")
        if opcode not in _OPCODES:
            raise ProtocolError(CLOSE_PROTOCOL_ERROR, f"the PBX sent a frame with the unknown opcode {opcode}")
        if opcode & _CONTROL:
            if not first & _FINAL:
                raise ProtocolError(CLOSE_PROTOCOL_ERROR, f"the PBX sent a fragmented control frame (opcode {opcode})")
            if length > _LARGEST_CONTROL_PAYLOAD:
                raise ProtocolError(CLOSE_PROTOCOL_ERROR, f"the PBX sent a control frame (opcode {opcode}) of {length} bytes; 125 may be")
            return
        if length > _LARGEST_LENGTH:
            raise ProtocolError(CLOSE_PROTOCOL_ERROR, "the PBX sent a frame length with the top bit set")
        if opcode == OPCODE_CONTINUATION and self._message_opcode is None:
            raise ProtocolError(CLOSE_PROTOCOL_ERROR, "the PBX sent a continuation frame, but no message had begun")
        if opcode != OPCODE_CONTINUATION and self._message_opcode is not None:
            raise ProtocolError(CLOSE_PROTOCOL_ERROR, "the PBX began a new message within a fragmented one")
        message_size = len(self._message) + length
        if message_size > self._max_message_size:
            raise ProtocolError(CLOSE_TOO_BIG, f"the PBX sent a message of {message_size} bytes or more; {self._max_message_size} may be")

    def _take_unusual(self, first: int, payload: bytes, messages: list[tuple[int, bytes]]) -> None:
        """Take a control frame, a fragment or an unfragmented binary message that :meth:`_check` let pass."""
        opcode = first & 0x0F
        if opcode & _CONTROL:
            messages.append((opcode, payload))
        elif not first & _FINAL:
            self._message += payload
            if opcode != OPCODE_CONTINUATION:
                self._message_opcode = opcode
        elif self._message_opcode is None:
            messages.append((opcode, payload))
        else:
            self._message += payload
            messages.append((self._message_opcode, bytes(self._message)))
            self._message_opcode = None
            self._message = bytearray()


def encode_frame(opcode: int, payload: bytes, masking_key: bytes) -> bytes:
    """Return one final frame, masked as a client has to (RFC 6455 5.3). ``masking_key``: 4 bytes that nobody can foresee."""
    length = len(payload)
    if length < 126:
        header = bytes((_FINAL | opcode, _MASKED | length))
    elif length < 65536:
        header = _pack_medium_header(_FINAL | opcode, _MASKED | 126, length)
    else:
        header = _pack_long_header(_FINAL | opcode, _MASKED | 127, length)
    # One XOR of two big integers; any byte order will do, as long as it is the same three times.
    mask = int.from_bytes((masking_key * (length // 4 + 1))[:length], "little")
    return header + masking_key + (int.from_bytes(payload, "little") ^ mask).to_bytes(length, "little")


def masking_keys() -> Iterator[bytes]:
    """Yield masking keys for ever: 4 bytes each from the system's random source, which is asked for 1024 keys at a time.

    For one thread; every connection has its own.
    """
    while True:
        block = os.urandom(4096)
        for start in range(0, 4096, 4):
            yield block[start : start + 4]


def close_payload(code: int, reason: str = "") -> bytes:
    """Return the payload of a CLOSE frame; ``reason`` is cut to what fits. Code 1005 ("none was given") gives an empty one."""
    if code == CLOSE_NO_CODE:
        return b""
    encoded = reason.encode("utf-8", "replace")[: _LARGEST_CONTROL_PAYLOAD - 2]
    # The cut may have split a character.
    return _pack_close_code(code) + encoded.decode("utf-8", "ignore").encode("utf-8")


def parse_close(payload: bytes) -> tuple[int, str]:
    """Return (code, reason) of a CLOSE frame's payload; (1005, "") for an empty one. Raises ProtocolError."""
    if not payload:
        return CLOSE_NO_CODE, ""
    if len(payload) == 1:
        raise ProtocolError(CLOSE_PROTOCOL_ERROR, "the PBX sent a close frame of one byte; a close code has two")
    code = payload[0] << 8 | payload[1]
    # RFC 6455 7.4 and the IANA registry: 1004 to 1006 and 1015 must not be on the wire, what is not listed is not assigned.
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ProtocolError(CLOSE_PROTOCOL_ERROR, f"the PBX sent a close frame with the forbidden code {code}")
    try:
        return code, payload[2:].decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError(CLOSE_BAD_DATA, f"the PBX sent a close frame with code {code} and a reason that is not UTF-8") from None
