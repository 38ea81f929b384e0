"""What is to be done later on the link thread. Knows no clock, and not what is done."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

Job = Callable[[float], None]


class Timers:
    """Jobs by the time at which they are due, of a monotonic clock. Belongs to one thread. What is out of date has to see so itself."""

    def __init__(self) -> None:
        self._jobs: list[tuple[float, int, Job]] = []
        self._serials = itertools.count()

    def at(self, time: float, job: Job) -> None:
        """Have a job called, with the time, as soon as that time has come."""
        heapq.heappush(self._jobs, (time, next(self._serials), job))

    def run(self, now: float) -> float | None:
        """Call what is due; returns when to be called again, or None."""
        while self._jobs and self._jobs[0][0] <= now:
            heapq.heappop(self._jobs)[2](now)
        return self._jobs[0][0] if self._jobs else None
