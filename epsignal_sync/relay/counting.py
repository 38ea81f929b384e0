"""Counting what passes: messages by type, and how long forwarding takes. Pure; knows no clock and nothing of what a type means.

A peer may make up types, and each would be a name to remember: those that no specification knows are counted by name
up to a limit, and together beyond it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Container, Iterable
from typing import Any

from ..protocol.codec import APPWEBSOCKET_MESSAGES, EPSIGNAL_MESSAGES, SIGNALS
from ..protocol.jsontext import loads

MOST_UNKNOWN_TYPES = 50
"""Types that no specification knows and that are counted by their name."""
LONGEST_TYPE = 64
"""Characters of such a name."""
OTHER = "other"
"""What all further ones are counted as."""

SIGNALING = "Signaling"
_KNOWN_TYPES = frozenset({*EPSIGNAL_MESSAGES, *APPWEBSOCKET_MESSAGES})


class TypeCounts:
    """Messages by type. Written by one thread; any thread may read :meth:`totals`."""

    __slots__ = ("_messages", "_unknown", "signals")

    def __init__(self) -> None:
        self.signals: dict[Any, int] = dict.fromkeys(SIGNALS, 0)
        """By the type of the signal. Who is in a hurry adds to it here, and calls :meth:`add` on KeyError and TypeError."""
        self._messages: dict[str, int] = {}
        self._unknown = 0

    def add(self, data: dict[str, Any]) -> None:
        """Count a message."""
        kind = data.get("mt")
        if kind != SIGNALING:
            self._add(self._messages, kind, _KNOWN_TYPES)
            return
        sig = data.get("sig")
        self._add(self.signals, sig.get("type") if isinstance(sig, dict) else None, SIGNALS)

    def add_text(self, text: bytes) -> None:
        """Count a message by its text."""
        try:
            data = loads(text)
        except ValueError:
            data = None
        self.add(data if isinstance(data, dict) else {})

    def _add(self, counts: dict[Any, int], kind: Any, known: Container[str]) -> None:
        if type(kind) is not str or (kind not in counts and kind not in known and not self._may_remember(kind)):
            kind = OTHER
        counts[kind] = counts.get(kind, 0) + 1

    def _may_remember(self, kind: str) -> bool:
        if self._unknown >= MOST_UNKNOWN_TYPES or len(kind) > LONGEST_TYPE:
            return False
        self._unknown += 1
        return True

    def totals(self) -> dict[str, int]:
        """Return the counts: ``Attached`` and the like, and for Signaling ``Signaling/setup`` and the like."""
        totals = self._messages.copy()
        for kind, count in self.signals.copy().items():
            if count:
                totals[f"{SIGNALING}/{kind}"] = count
        return totals


STEPS = 8
"""Buckets for each doubling of the time: a bucket is 9 % wide."""
SHORTEST = 1e-6
"""Seconds; what is shorter counts as this."""
_BUCKETS = 30 * STEPS + 1
"""Up to 18 minutes; what is longer counts as this."""


class Latencies:
    """A histogram of times with logarithmic buckets. Written by one thread; any thread may read."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS

    @classmethod
    def sum(cls, parts: Iterable[Latencies]) -> Latencies:
        """Return the times of several histograms in one."""
        total = cls()
        for part in parts:
            total._counts = [one + other for one, other in zip(total._counts, part._counts, strict=True)]
        return total

    def add(self, seconds: float, count: int) -> None:
        """Count a time, as often as ``count``."""
        bucket = math.ceil(STEPS * math.log2(seconds / SHORTEST)) if seconds > SHORTEST else 0
        self._counts[min(bucket, _BUCKETS - 1)] += count

    def percentile(self, share: float) -> float | None:
        """Return the microseconds within which this share (0 to 1) of all times lies, at most 9 % too much; None without any."""
        counts = self._counts.copy()
        wanted = share * sum(counts)
        if not wanted:
            return None
        bucket = next(bucket for bucket, seen in enumerate(itertools.accumulate(counts)) if seen >= wanted)
        return float(round(SHORTEST * 1e6 * 2.0 ** (bucket / STEPS), 1))
