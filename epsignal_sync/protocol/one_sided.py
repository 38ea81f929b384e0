"""Calls that only one side knows, because the application dropped their setup or released the other side.

What still comes on such an id is consumed: forwarded, the side that knows nothing would answer with a rel of cause 81.
Pure; belongs to the forwarding and knows nothing of the application (protocol page, section 2, "One-sided calls").
"""

from __future__ import annotations

import math
from collections import deque

from attrs import define, field

MEMORY = 30.0
"""Seconds after a rel in which more of that call is consumed."""
MOST_CALLS = 10_000
"""One-sided calls that are remembered at a time; beyond it the oldest are forgotten."""


@define(eq=False)
class _OneSided:
    since: int
    """The number of the message at which it became one-sided: a setup that came later starts a new call."""
    before: float = math.inf
    """The number of that setup; what came before it may still be held, and belongs to this call."""
    unheard: bool | None = None
    """The side that never got the setup (True: the device), None where both know the call."""
    until: dict[bool, float | None] = field(factory=dict)
    """By the direction of what is consumed (True: towards the device): the time of its end, None before the rel."""


class OneSidedCalls:
    """The one-sided calls of one connection, by the src of the device and the call's id. Times of a monotonic clock."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, int], _OneSided] = {}
        """To be looked at only: whether there are any."""
        self._ends: deque[tuple[float, tuple[str, int]]] = deque()

    def drop_setup(self, src: str, call: int, to_device: bool, number: int) -> None:
        """A setup was dropped: what comes from its sender is consumed. ``number``: how many messages came until now."""
        entry = self._entry(src, call, number)
        entry.unheard = to_device
        entry.until.setdefault(to_device, None)

    def hear(self, src: str, call: int, to_device: bool) -> None:
        """The application has sent the setup that it dropped to the side that never got it: both sides know the call now."""
        entry = self.calls.get((src, call))
        if entry is not None and entry.unheard is to_device:
            del self.calls[src, call]

    def release(self, src: str, call: int, to_device: bool, number: int, now: float) -> None:
        """One side was told that the call is over: by the application with a rel, or by itself with a rel that was dropped.

        ``to_device``: which side that is. Whatever either side still says was said without knowing.
        """
        until = self._entry(src, call, number).until
        if not until:
            until[to_device] = None  # the other side still knows the call; one that never heard of it says nothing
        self._end(src, call, not to_device, now)

    def is_unheard(self, src: str, call: int, to_device: bool, number: int) -> bool:
        """Whether a side (True: the device) never got the setup of the call. ``number``: as for :meth:`takes`."""
        entry = self.calls.get((src, call))
        return entry is not None and number < entry.before and entry.unheard is to_device

    def is_released(self, src: str, call: int, to_device: bool, number: int) -> bool:
        """Whether a side (True: the device) knows that the call is over. ``number``: as for :meth:`takes`."""
        entry = self.calls.get((src, call))
        return entry is not None and number < entry.before and entry.until.get(not to_device) is not None

    def takes(self, src: str, call: int, to_device: bool, kind: object, number: int, now: float) -> bool:
        """Whether a message is consumed. ``number``: how many messages had come when it came, itself included."""
        self._forget_old(now)
        entry = self.calls.get((src, call))
        if entry is None or number >= entry.before:
            return False
        if kind == "setup" and number > entry.since:
            entry.before = number
            for side in [side for side, until in entry.until.items() if until is None]:
                self._end(src, call, side, now)
            return False
        if to_device not in entry.until or _is_over(entry.until[to_device], now):
            return False
        if kind == "rel":
            self._end(src, call, to_device, now)
        return True

    def _end(self, src: str, call: int, to_device: bool, now: float) -> None:
        self.calls[src, call].until[to_device] = now + MEMORY
        self._ends.append((now + MEMORY, (src, call)))

    def _forget_old(self, now: float) -> None:
        while self._ends and _is_over(self._ends[0][0], now):
            key = self._ends.popleft()[1]
            entry = self.calls.get(key)
            if entry is not None and all(_is_over(until, now) for until in entry.until.values()):
                del self.calls[key]

    def _entry(self, src: str, call: int, number: int) -> _OneSided:
        entry = self.calls.get((src, call))
        if entry is None or number >= entry.before:
            self.calls.pop((src, call), None)
            if len(self.calls) >= MOST_CALLS:
                del self.calls[next(iter(self.calls))]
            entry = self.calls[src, call] = _OneSided(number)
        return entry


def _is_over(until: float | None, now: float) -> bool:
    return until is not None and now > until
