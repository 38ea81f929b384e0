"""What waits to be written, and its limits. Pure: knows frames as bytes, no socket and no clock."""

from __future__ import annotations

from collections import deque

CHUNK = 256 * 1024
"""Bytes that one write takes at the most; many small frames are joined up to here."""


class Outbox:
    """A queue of frames. Belongs to the link thread.

    ``size`` is the number of bytes that wait. Frames that the application sent are counted apart, so that it can be
    slowed down without slowing down forwarding.
    """

    def __init__(self) -> None:
        self.size = 0
        self._frames: deque[bytes] = deque()
        self._chunk = memoryview(b"")
        self._appended = 0
        self._written = 0
        self._own_ends: deque[tuple[int, int]] = deque()
        self._marks: deque[tuple[int, float, int]] = deque()

    def append(self, frame: bytes, own: int = 0) -> None:
        """Add a frame; ``own`` is the size that the application is charged for it until it is written."""
        self._frames.append(frame)
        self.size += len(frame)
        self._appended += len(frame)
        if own:
            self._own_ends.append((self._appended, own))

    def chunk(self) -> memoryview:
        """Return what is to be written next.

        It stays the same until it is written to its end: TLS wants a failed write repeated with the same bytes.
        """
        if not self._chunk:
            size = 0
            frames: list[bytes] = []
            while self._frames and (not frames or size + len(self._frames[0]) <= CHUNK):
                frames.append(self._frames.popleft())
                size += len(frames[-1])
            self._chunk = memoryview(frames[0] if len(frames) == 1 else b"".join(frames))
        return self._chunk

    def written(self, count: int) -> int:
        """Note that ``count`` bytes of the chunk are written; returns the size the application is relieved of."""
        self._chunk = self._chunk[count:]
        self.size -= count
        self._written += count
        relieved = 0
        while self._own_ends and self._own_ends[0][0] <= self._written:
            relieved += self._own_ends.popleft()[1]
        return relieved

    def mark(self, since: float, count: int) -> None:
        """Have :meth:`passed` tell when all that waits now is written, for ``count`` messages that came at the time ``since``."""
        self._marks.append((self._appended, since, count))

    def passed(self) -> list[tuple[float, int]]:
        """Return and forget each (since, count) of :meth:`mark` behind which nothing is left to be written."""
        passed = []
        while self._marks and self._marks[0][0] <= self._written:
            _, since, count = self._marks.popleft()
            passed.append((since, count))
        return passed
