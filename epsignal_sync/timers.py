"""What is to be done later on the link thread. Knows no clock, and not what is done."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable

Job = Callable[[float], None]


class Timers:
    """Jobs by the time at which they are due, of a monotonic clock. What is out of date has to see so itself.

    Any thread may put jobs in; one of them runs them, and is to be woken where the job was put in by another.
    """

    def __init__(self) -> None:
        self._new: deque[tuple[float, Job]] = deque()
        self._jobs: list[tuple[float, int, Job]] = []
        self._serials = itertools.count()

    def at(self, time: float, job: Job) -> None:
        """Have a job called, with the time, as soon as that time has come."""
        self._new.append((time, job))

    def run(self, now: float) -> float | None:
        """Call what is due; returns when to be called again, or None."""
        self._take_new()
        while self._jobs and self._jobs[0][0] <= now:
            heapq.heappop(self._jobs)[2](now)
            self._take_new()
        return self._jobs[0][0] if self._jobs else None

    def _take_new(self) -> None:
        while self._new:
            time, job = self._new.popleft()
            heapq.heappush(self._jobs, (time, next(self._serials), job))
