from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.relay.outbox import CHUNK, Outbox


def drain(outbox: Outbox, largest: int = 10**9) -> bytes:
    """Write everything, at most ``largest`` bytes at a time."""
    out = b""
    while chunk := outbox.chunk():
        part = bytes(chunk[:largest])
        outbox.written(len(part))
        out += part
    return out


def test_empty() -> None:
    outbox = Outbox()
    assert outbox.size == 0 and not outbox.chunk()


def test_small_frames_are_joined() -> None:
    outbox = Outbox()
    for index in range(10):
        outbox.append(b"%d" % index)
    assert outbox.size == 10 and bytes(outbox.chunk()) == b"0123456789"
    assert outbox.written(10) == 0 and outbox.size == 0 and not outbox.chunk()


def test_chunk_is_bounded() -> None:
    outbox = Outbox()
    for _ in range(3):
        outbox.append(b"x" * (CHUNK // 2))
    assert len(outbox.chunk()) == CHUNK
    outbox.written(CHUNK)
    assert len(outbox.chunk()) == CHUNK // 2


def test_frame_larger_than_a_chunk_goes_alone() -> None:
    outbox = Outbox()
    for frame in (b"a", b"b" * (CHUNK + 1), b"c"):
        outbox.append(frame)
    sizes = []
    while chunk := outbox.chunk():
        sizes.append(len(chunk))
        outbox.written(len(chunk))
    assert sizes == [1, CHUNK + 1, 1]


def test_chunk_stays_the_same_until_it_is_written() -> None:
    outbox = Outbox()
    outbox.append(b"abc")
    first = outbox.chunk()
    outbox.append(b"def")
    assert bytes(outbox.chunk()) == bytes(first) == b"abc"
    outbox.written(1)
    outbox.append(b"ghi")
    assert bytes(outbox.chunk()) == b"bc" and outbox.size == 8
    outbox.written(2)
    assert bytes(outbox.chunk()) == b"defghi"


def test_application_is_relieved_when_its_frame_is_written_to_its_end() -> None:
    outbox = Outbox()
    outbox.append(b"ab", own=0)
    outbox.append(b"cde", own=2)
    outbox.append(b"fg")
    outbox.append(b"h", own=1)
    outbox.chunk()
    assert [outbox.written(1) for _ in range(8)] == [0, 0, 0, 0, 2, 0, 0, 1]


frames = st.lists(st.tuples(st.binary(min_size=1, max_size=8), st.integers(0, 5)), max_size=20)


@given(frames, st.lists(st.integers(1, 10)))
def test_any_writes_keep_order_sizes_and_charges(frames: list[tuple[bytes, int]], writes: list[int]) -> None:
    outbox, written, relieved, given_out = Outbox(), b"", 0, 0
    queue = list(frames)
    while queue or outbox.size:
        if queue and (not outbox.size or len(queue) % 2):
            frame, own = queue.pop(0)
            outbox.append(frame, own)
            given_out += own
        chunk = outbox.chunk()
        count = min(len(chunk), writes.pop() if writes else 3)
        written += bytes(chunk[:count])
        relieved += outbox.written(count)
        assert outbox.size == sum(len(frame) for frame, _ in frames[: len(frames) - len(queue)]) - len(written)
        assert relieved <= given_out
    assert written == b"".join(frame for frame, _ in frames)
    assert relieved == given_out == sum(own for _, own in frames)


def test_many_small_frames_are_written_in_a_few_chunks() -> None:
    outbox = Outbox()
    for _ in range(50_000):
        outbox.append(b"x" * 200)
    chunks = 0
    while chunk := outbox.chunk():
        outbox.written(len(chunk))
        chunks += 1
    assert chunks <= 50_000 * 200 // CHUNK + 2


def test_drained_outbox_takes_more() -> None:
    outbox = Outbox()
    outbox.append(b"abc", own=3)
    assert drain(outbox, 2) == b"abc"
    outbox.append(b"def", own=3)
    outbox.chunk()
    assert outbox.written(3) == 3


def test_mark_has_passed_when_all_before_it_is_written() -> None:
    outbox = Outbox()
    outbox.append(b"abc")
    outbox.mark(1.0, 2)
    outbox.append(b"def")
    outbox.mark(2.0, 1)
    outbox.append(b"g")
    outbox.chunk()
    outbox.written(2)
    assert outbox.passed() == []
    outbox.written(2)
    assert outbox.passed() == [(1.0, 2)]
    outbox.written(2)
    assert outbox.passed() == [(2.0, 1)] and outbox.passed() == []
