"""How long to wait before connecting again (protocol page, section 1: "reconnect"). Pure: knows no clock and no connection."""

from __future__ import annotations

import random

FIRST_DELAY = 1.0
"""Seconds before the first attempt."""
LONGEST_DELAY = 32.0
"""Seconds; each attempt that fails doubles the delay up to this."""
JITTER = 0.25
"""Share of the delay by which it is longer or shorter, so that the apps of a PBX that restarts do not all come back at once."""


class Backoff:
    """The delays of one connection. ``limit``: attempts without success after which it is given up; None: never."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.attempts = 0
        """Attempts since the last success."""

    def next(self) -> float | None:
        """Return the seconds to wait before the next attempt, or None where there is to be none."""
        if self.limit is not None and self.attempts >= self.limit:
            return None
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(self.attempts, 16))  # the exponent is bounded: 2.0 ** 1024 overflows
        self.attempts += 1
        return delay * random.uniform(1 - JITTER, 1 + JITTER)

    def succeed(self) -> None:
        """Start over: the connection is there."""
        self.attempts = 0
