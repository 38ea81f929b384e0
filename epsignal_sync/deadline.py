"""One point in time by which something must have happened. Knows nothing of what that is."""

from __future__ import annotations

import math
import time

from .errors import UsageError


def is_seconds(value: object) -> bool:
    """Whether a value is a number of seconds, infinity included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:  # an integer beyond every float
        return False


class Deadline:
    """A time-out that is started once and shared by all the steps of one job.

    ``timeout`` is in seconds from now; None never expires. Raises UsageError for what is no number.
    """

    __slots__ = ("_at", "timeout")

    def __init__(self, timeout: float | None) -> None:
        # NaN compares as neither over nor not over: whoever waited for it would spin for ever.
        if timeout is not None and not is_seconds(timeout):
            raise UsageError(f"a time-out is a number of seconds or None, not {timeout!r:.80}")
        self.timeout = timeout
        self._at = None if timeout is None else time.monotonic() + timeout

    def remaining(self, at_most: float | None = None) -> float | None:
        """Return the seconds left, never below 0 and never above ``at_most``; None: no limit at all."""
        if self._at is None:
            return at_most
        left = max(0.0, self._at - time.monotonic())
        return left if at_most is None else min(left, at_most)

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        return self._at is not None and time.monotonic() >= self._at
