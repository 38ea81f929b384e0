"""Websocket frames, with websocket-client's own framing as the oracle."""

from __future__ import annotations

import itertools
import struct
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websocket._abnf import ABNF

from epsignal_sync.relay.frames import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    FrameReader,
    ProtocolError,
    close_payload,
    encode_frame,
    masking_keys,
    parse_close,
)

from .framing import Messages, read_by_websocket_client, read_frames, server_frame

LARGEST = 16 * 1024 * 1024
CLOSE_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]


def read(stream: bytes, *, chunk: int = 65536, largest: int = LARGEST) -> Messages:
    reader = FrameReader(largest)
    return [message for start in range(0, len(stream), chunk) for message in reader.receive(stream[start : start + chunk])]


def outcome(stream: bytes, cuts: list[int], largest: int = LARGEST) -> tuple[Messages, int | None]:
    """Return the messages, those in the error included, and the code of the error."""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return read_frames([stream[start:end] for start, end in itertools.pairwise(edges)], largest)


def assert_refused(stream: bytes, code: int, text: str, *, largest: int = LARGEST) -> None:
    """Assert the same error whether the bytes come together or one by one."""
    for chunk in (len(stream), 1):
        with pytest.raises(ProtocolError, match=text) as refused:
            read(stream, chunk=chunk, largest=largest)
        assert refused.value.code == code


# -- against the oracle ------------------------------------------------------------------------------------------------

# How long an example takes says something about the machine and nothing about the frames.
at_any_speed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
lengths = st.sampled_from([125, 126, 127, 65535, 65536, 70000])
seeds = st.binary(min_size=1, max_size=7)
payloads = st.one_of(st.binary(max_size=200), st.builds(lambda seed, length: (seed * length)[:length], seeds, lengths))
reasons = st.text("aü€😀", max_size=30)  # a small alphabet: the tables of all of Unicode take seconds to build
controls = st.one_of(
    st.tuples(st.sampled_from([OPCODE_PING, OPCODE_PONG]), st.binary(max_size=125)),
    st.tuples(st.just(OPCODE_CLOSE), st.one_of(st.just(b""), st.builds(close_payload, st.sampled_from(CLOSE_CODES), reasons))),
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Any legal sequence of frames: whole messages, fragmented ones, control frames anywhere."""
    frames: list[bytes] = []
    for fragments in draw(st.lists(st.lists(payloads, min_size=1, max_size=4), max_size=5)):
        opcode = draw(st.sampled_from([OPCODE_TEXT, OPCODE_BINARY]))
        for index, fragment in enumerate(fragments):
            frames += [server_frame(*control) for control in draw(st.lists(controls, max_size=2))]
            last = index == len(fragments) - 1
            frames.append(server_frame(OPCODE_CONTINUATION if index else opcode, fragment, final=last))
    return frames


cut_points = st.lists(st.integers(0, 2**20), max_size=12)


@at_any_speed
@given(streams(), cut_points)
def test_any_frames_cut_anywhere_read_as_by_websocket_client(frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frames)

    messages, complete = read_by_websocket_client(stream)
    assert complete and outcome(stream, cuts) == (messages, None)


@at_any_speed
@given(streams())
def test_frames_that_come_byte_by_byte(frames: list[bytes]) -> None:
    stream = b"".join(frame for frame in frames if len(frame) < 500 and frame[0] & 0x80 and frame[0] & 0x0F)

    assert (read(stream, chunk=1), True) == read_by_websocket_client(stream)


@at_any_speed
@given(st.sampled_from([OPCODE_TEXT, OPCODE_BINARY, OPCODE_PING, OPCODE_PONG, OPCODE_CLOSE]), payloads, st.binary(min_size=4, max_size=4))
def test_frames_are_encoded_as_by_websocket_client(opcode: int, payload: bytes, key: bytes) -> None:
    theirs = ABNF(1, 0, 0, 0, opcode, 1, payload)
    theirs.get_mask_key = lambda length: key

    ours = encode_frame(opcode, payload, key)

    assert ours == theirs.format()


@at_any_speed
@given(st.lists(st.tuples(st.sampled_from([OPCODE_TEXT, OPCODE_BINARY, OPCODE_PING]), payloads), max_size=5))
def test_websocket_client_reads_what_was_encoded(messages: Messages) -> None:
    keys = masking_keys()
    stream = b"".join(encode_frame(opcode, payload, next(keys)) for opcode, payload in messages)

    assert read_by_websocket_client(stream) == (messages, True)


@at_any_speed
@given(st.binary(max_size=300), cut_points, st.sampled_from([10, LARGEST]))
def test_random_bytes_give_the_same_however_they_are_cut(stream: bytes, cuts: list[int], largest: int) -> None:
    assert outcome(stream, cuts, largest) == outcome(stream, [], largest)


@at_any_speed
@given(streams(), st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=3), cut_points)
def test_damaged_frames_give_the_same_however_they_are_cut(frames: list[bytes], damage: list[tuple[int, int]], cuts: list[int]) -> None:
    stream = bytearray(b"".join(frames) or b"\0")
    for place, value in damage:
        stream[place % len(stream)] = value

    assert outcome(bytes(stream), cuts) == outcome(bytes(stream), [])


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_every_form_of_length(length: int, chunk: int) -> None:
    payload = bytes(range(256)) * (length // 256) + bytes(length % 256)

    assert read(server_frame(OPCODE_TEXT, payload) * 2, chunk=chunk) == [(OPCODE_TEXT, payload)] * 2


@pytest.mark.parametrize("header", [b"\x81\x7e\0\x02", b"\x81\x7f\0\0\0\0\0\0\0\x02"], ids=["16 bits", "64 bits"])
def test_length_in_more_bytes_than_needed(header: bytes) -> None:
    assert read(header + b"ab") == [(OPCODE_TEXT, b"ab")]


def test_nothing_received() -> None:
    assert FrameReader(LARGEST).receive(b"") == []


def test_text_that_is_not_utf8_is_passed_on() -> None:
    assert read(server_frame(OPCODE_TEXT, b"\xff\xfe")) == [(OPCODE_TEXT, b"\xff\xfe")]


def test_control_frames_within_a_fragmented_message() -> None:
    stream = (
        server_frame(OPCODE_BINARY, b"one ", final=False)
        + server_frame(OPCODE_PING, b"?")
        + server_frame(OPCODE_CONTINUATION, b"two ", final=False)
        + server_frame(OPCODE_PONG, b"!")
        + server_frame(OPCODE_CONTINUATION, b"three")
        + server_frame(OPCODE_TEXT, b"next")
    )

    assert read(stream) == [(OPCODE_PING, b"?"), (OPCODE_PONG, b"!"), (OPCODE_BINARY, b"one two three"), (OPCODE_TEXT, b"next")]


def test_fragments_that_are_all_empty() -> None:
    stream = server_frame(OPCODE_TEXT, final=False) + server_frame(OPCODE_CONTINUATION, final=False) + server_frame(OPCODE_CONTINUATION)

    assert read(stream) == [(OPCODE_TEXT, b"")]


def test_messages_before_an_error_in_the_same_bytes() -> None:
    reader = FrameReader(LARGEST)
    good = server_frame(OPCODE_TEXT, b"a") + server_frame(OPCODE_PING, b"b")

    with pytest.raises(ProtocolError) as refused:
        reader.receive(good + server_frame(3) + server_frame(OPCODE_TEXT, b"lost"))

    assert refused.value.messages == [(OPCODE_TEXT, b"a"), (OPCODE_PING, b"b")]


def test_every_call_after_an_error_raises_it_again() -> None:
    reader = FrameReader(LARGEST)
    with pytest.raises(ProtocolError):
        reader.receive(server_frame(OPCODE_TEXT, b"a") + server_frame(3))

    with pytest.raises(ProtocolError, match="unknown opcode 3") as refused:
        reader.receive(server_frame(OPCODE_TEXT, b"b"))

    assert (refused.value.code, refused.value.messages) == (1002, [])


# -- what RFC 6455 forbids ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [0x10, 0x20, 0x40, 0x70])
@pytest.mark.parametrize("opcode", [OPCODE_TEXT, OPCODE_PING])
def test_reserved_bits(bits: int, opcode: int) -> None:
    assert_refused(server_frame(opcode, b"x", bits=bits), 1002, "reserved bits")


@pytest.mark.parametrize("opcode", [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF])
def test_unknown_opcode(opcode: int) -> None:
    assert_refused(server_frame(opcode, b"x"), 1002, f"unknown opcode {opcode}")


@pytest.mark.parametrize("size", [0, 125, 126, 70000])
def test_masked_frame(size: int) -> None:
    assert_refused(encode_frame(OPCODE_TEXT, bytes(size), b"abcd"), 1002, "masked")


@pytest.mark.parametrize("opcode", [OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG])
def test_control_frame_of_126_bytes(opcode: int) -> None:
    assert read(server_frame(opcode, bytes(125))) == [(opcode, bytes(125))]
    assert_refused(server_frame(opcode, bytes(126))[:4], 1002, "126 bytes")


@pytest.mark.parametrize("opcode", [OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG])
def test_fragmented_control_frame(opcode: int) -> None:
    assert_refused(server_frame(opcode, b"", final=False), 1002, "fragmented control frame")


@pytest.mark.parametrize("final", [True, False])
def test_continuation_without_a_start(final: bool) -> None:
    assert_refused(server_frame(OPCODE_CONTINUATION, b"x", final=final), 1002, "no message had begun")


def test_continuation_after_the_message_was_complete() -> None:
    whole = server_frame(OPCODE_TEXT, final=False) + server_frame(OPCODE_CONTINUATION)

    assert_refused(whole + server_frame(OPCODE_CONTINUATION), 1002, "no message had begun")


@pytest.mark.parametrize("opcode", [OPCODE_TEXT, OPCODE_BINARY])
@pytest.mark.parametrize("final", [True, False])
def test_new_message_within_a_fragmented_one(opcode: int, final: bool) -> None:
    start = server_frame(OPCODE_TEXT, b"a", final=False)

    assert_refused(start + server_frame(opcode, b"b", final=final), 1002, "within a fragmented one")


@pytest.mark.parametrize("first", [b"\x81", b"\x01"], ids=["whole", "fragment"])
def test_length_with_the_top_bit_set(first: bytes) -> None:
    assert_refused(first + b"\x7f" + struct.pack("!Q", 2**63), 1002, "top bit")


def test_largest_length_is_only_too_big() -> None:
    assert_refused(b"\x81\x7f" + struct.pack("!Q", 2**63 - 1), 1009, "message of")


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [OPCODE_TEXT, OPCODE_BINARY])
@pytest.mark.parametrize("largest", [50, 1000, 100_000])
def test_message_too_big_is_refused_by_its_header(opcode: int, largest: int) -> None:
    fits, too_big = server_frame(opcode, bytes(largest)), server_frame(opcode, bytes(largest + 1))
    header = len(too_big) - largest - 1

    assert read(fits, largest=largest) == [(opcode, bytes(largest))]
    assert_refused(too_big[:header], 1009, f"{largest + 1} bytes", largest=largest)


@pytest.mark.parametrize("final", [True, False])
def test_fragments_too_big_together(final: bool) -> None:
    start = server_frame(OPCODE_TEXT, bytes(60), final=False)

    assert read(start + server_frame(OPCODE_CONTINUATION, bytes(40)), largest=100) == [(OPCODE_TEXT, bytes(100))]
    assert_refused(start + server_frame(OPCODE_CONTINUATION, bytes(41), final=final)[:2], 1009, "101 bytes", largest=100)


def test_limit_is_for_each_message_alone() -> None:
    fragmented = server_frame(OPCODE_TEXT, bytes(60), final=False) + server_frame(OPCODE_CONTINUATION, bytes(40))

    assert read(fragmented * 3 + server_frame(OPCODE_BINARY, bytes(100)), largest=100) == [(OPCODE_TEXT, bytes(100))] * 3 + [
        (OPCODE_BINARY, bytes(100))
    ]


def peak_memory(start: bytes, chunks: int, chunk: bytes) -> int:
    """Return the bytes that a reader holds at most while it receives ``chunk`` again and again."""
    reader = FrameReader(LARGEST)
    tracemalloc.start()
    try:
        assert reader.receive(start) == []
        for _ in range(chunks):
            assert reader.receive(bytes(bytearray(chunk))) == []  # a copy, as every read of a socket gives a new object
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_endless_empty_fragments_take_no_memory() -> None:
    start, empty = server_frame(OPCODE_TEXT, b"a", final=False), server_frame(OPCODE_CONTINUATION, final=False)

    assert peak_memory(start, 20, empty * 5000) < 100_000


def test_tiny_fragments_take_no_more_memory_than_their_bytes() -> None:
    start, tiny = server_frame(OPCODE_TEXT, b"a", final=False), server_frame(OPCODE_CONTINUATION, b"bc", final=False)

    assert peak_memory(start, 50, tiny * 2000) < 1_000_000  # for 200 000 bytes; as objects in a list they are above 4 MB


def test_frame_in_tiny_pieces_takes_no_more_memory_than_its_bytes() -> None:
    header = server_frame(OPCODE_TEXT, bytes(300_000))[:10]

    assert peak_memory(header, 100_000, b"bc") < 1_000_000


# -- CPU time: whatever is quadratic takes many seconds here, what is linear takes some hundredths -----------------------


def cpu_seconds(stream: bytes, *, chunk: int, expected: Messages) -> float:
    begin = time.process_time()
    messages = read(stream, chunk=chunk)
    used = time.process_time() - begin
    assert messages == expected
    return used


def test_20000_fragments_of_10_megabytes() -> None:
    fragment = bytes(500)
    middle = server_frame(OPCODE_CONTINUATION, fragment, final=False) * 19_998
    stream = server_frame(OPCODE_TEXT, fragment, final=False) + middle + server_frame(OPCODE_CONTINUATION, fragment)

    assert cpu_seconds(stream, chunk=65536, expected=[(OPCODE_TEXT, bytes(10_000_000))]) < 1.0


def test_one_frame_of_10_megabytes_in_small_pieces() -> None:
    payload = bytes(10_000_000)

    assert cpu_seconds(server_frame(OPCODE_TEXT, payload), chunk=1000, expected=[(OPCODE_TEXT, payload)]) < 1.0


def test_100000_small_frames_in_one_read() -> None:
    payload = bytes(100)

    used = cpu_seconds(server_frame(OPCODE_TEXT, payload) * 100_000, chunk=LARGEST, expected=[(OPCODE_TEXT, payload)] * 100_000)

    assert used < 1.0


def test_encoding_10_megabytes() -> None:
    begin = time.process_time()
    encode_frame(OPCODE_TEXT, bytes(10_000_000), b"abcd")

    assert time.process_time() - begin < 1.0


# -- masking keys ------------------------------------------------------------------------------------------------------


def test_masking_keys_are_not_predictable() -> None:
    drawn = [key for connection in range(2) for key in itertools.islice(masking_keys(), 3000)]

    assert all(len(key) == 4 for key in drawn)
    assert len(set(drawn)) > 5950  # with 6000 random keys, even one collision is rare
    for position in range(4):
        assert len({key[position] for key in drawn}) == 256


# -- close frames ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_close_code_and_reason(code: int) -> None:
    assert parse_close(close_payload(code, "för heute Schluß")) == (code, "för heute Schluß")
    assert parse_close(close_payload(code)) == (code, "")


def test_close_without_a_code() -> None:
    assert parse_close(b"") == (1005, "")
    assert close_payload(1005) == b""


def test_close_reason_too_long_is_cut_between_characters() -> None:
    payload = close_payload(1000, "xx" + "ü" * 100)

    assert len(payload) == 124
    assert parse_close(payload) == (1000, "xx" + "ü" * 60)


def test_close_reason_that_has_no_utf8_form() -> None:
    assert parse_close(close_payload(1000, "a\ud800b")) == (1000, "a?b")


def assert_close_refused(payload: bytes, code: int, text: str) -> None:
    with pytest.raises(ProtocolError, match=text) as refused:
        parse_close(payload)
    assert refused.value.code == code


def test_close_payload_of_one_byte() -> None:
    assert_close_refused(b"\x03", 1002, "one byte")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_forbidden_close_code(code: int) -> None:
    assert_close_refused(struct.pack("!H", code) + b"x", 1002, f"code {code}")


def test_close_reason_that_is_not_utf8() -> None:
    assert_close_refused(struct.pack("!H", 1000) + b"\xff", 1007, "not UTF-8")


@at_any_speed
@given(st.binary(max_size=125))
def test_any_close_payload_is_read_or_refused(payload: bytes) -> None:
    try:
        code, reason = parse_close(payload)
    except ProtocolError as error:
        assert error.code in (1002, 1007)
    else:
        assert close_payload(code, reason) == payload
