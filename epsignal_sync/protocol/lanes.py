"""Order and deadlines of the messages that wait for the application's answer.

A lane is the messages of one device in one direction, first in, first out. The head of a lane is asked about; the
first of answer and deadline lets it go on. For one device there is one run of the application's code at a time, and
for all devices together at most ``MOST_RUNS``; where one overruns its deadline, the device's messages pass unasked
until it has ended.

Pure: gets messages and times, says which may go on and which are to be asked about. Knows nothing of what a message
or an answer is.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import Any

from attrs import define

MOST_RUNS = 8
"""Runs of interceptors at a time, all devices together."""

Lane = tuple[str, bool]
"""A device, by its src, and a direction: True towards the device."""


@define(eq=False)
class Held:
    """A message in its lane.

    ``due``: the time at which it goes on in any case, None for one that nobody wants to be asked about.
    """

    lane: Lane
    item: Any
    due: float | None
    seconds: float = 0.0
    """How long it may be kept."""
    since: float = 0.0
    """When it came; not used here."""
    asked: bool = False
    answer: Any = None
    """What the application said; None: nothing, or to leave it as it is."""
    settled: bool = False
    """Whether it has gone on, or may."""
    late: bool = False
    """Whether its time was over before the answer came."""
    context: Any = None
    """What the application side keeps with it; not used here."""

    @property
    def bypassed(self) -> bool:
        """Whether it went on without a question that somebody wanted to be asked."""
        return self.due is not None and not self.asked


class Lanes:
    """All the lanes of one link. What may go on is returned, in order; what is to be asked about stands in ``to_ask``."""

    def __init__(self) -> None:
        self.to_ask: list[Held] = []
        self.lanes: dict[Lane, deque[Held]] = {}
        """What waits, by lane; a lane in which nothing waits is not there. To be looked at only."""
        self._runs: dict[str, Held] = {}
        """What is being asked about, by device; an overrun one is settled already."""
        self._waiting: dict[Lane, None] = {}
        """Lanes whose head waits for a run of another device to end, in the order in which they came."""
        self._due: list[tuple[float, int, Held]] = []
        self._serials = itertools.count()

    def occupied(self, lane: Lane) -> bool:
        """Whether something waits in a lane, so that nothing may pass it."""
        return lane in self.lanes

    def put(self, held: Held, now: float) -> list[Held]:
        """Add a message; returns what may go on."""
        if held.due is not None:
            heapq.heappush(self._due, (held.due, next(self._serials), held))
        lane = self.lanes.get(held.lane)
        if lane is not None:
            lane.append(held)
            return []
        self.lanes[held.lane] = deque([held])
        return self._advance([held.lane], now)

    def end_run(self, held: Held, answer: Any, now: float) -> list[Held]:
        """Take the answer to a question, which ends its run; returns what may go on. A late answer is not looked at."""
        device = held.lane[0]
        if self._runs.get(device) is not held:
            return []  # answered twice, or of before a flush
        del self._runs[device]
        if not held.settled:
            held.answer = answer
            held.settled = True
        return self._advance([(device, not held.lane[1]), held.lane], now)  # the directions take turns

    def expire(self, now: float) -> list[Held]:
        """Let go what has waited for long enough; returns what may go on."""
        lanes = []
        while self._due and self._due[0][0] <= now:
            held = heapq.heappop(self._due)[2]
            if not held.settled:
                device, to_device = held.lane
                lanes += [held.lane, (device, not to_device)]
        return self._advance(lanes, now) if lanes else []

    def next_at(self) -> float | None:
        """Return the time at which :meth:`expire` wants to be called, or None."""
        while self._due and self._due[0][2].settled:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def waiting(self, lane: Lane) -> list[Any]:
        """Return the messages in a lane, in order."""
        return [held.item for held in self.lanes.get(lane, ())]

    def let_go(self, device: str | None = None, to_device: bool | None = None) -> list[Held]:
        """Return what waits of one device or direction, as it came. A run that goes on counts as one that overruns."""
        names = [name for name in self.lanes if device in (None, name[0]) and to_device in (None, name[1])]
        waiting = [held for name in names for held in self.lanes.pop(name)]
        for held in waiting:
            held.settled = True
        for held in [held for held in self.to_ask if held.settled]:  # nobody has been asked yet, so no run will end
            self.to_ask.remove(held)
            del self._runs[held.lane[0]]
        return waiting

    def flush(self) -> list[Held]:
        """Return everything that waits, as it came: the end of the connection. Runs that go on count as ones that overrun."""
        waiting = self.let_go()
        self._waiting.clear()
        self._due.clear()
        return waiting

    # ------------------------------------------------------------ the rules

    def _advance(self, lanes: list[Lane], now: float) -> list[Held]:
        """Move the lanes named, and then those that wait for a run to end: a device that has had one comes after them."""
        released: list[Held] = []
        for lane in lanes:
            self._advance_lane(lane, now, released)
        while self._waiting and (len(self._runs) < MOST_RUNS or self._all_overrun()):
            name = next(iter(self._waiting))
            del self._waiting[name]
            self._advance_lane(name, now, released, its_turn=True)
        return released

    def _advance_lane(self, name: Lane, now: float, released: list[Held], its_turn: bool = False) -> None:
        lane = self.lanes.get(name)
        if lane is None:
            return
        while lane and self._may_go(lane[0], now, its_turn):
            held = lane.popleft()
            held.settled = True
            released.append(held)
        if not lane:
            del self.lanes[name]

    def _may_go(self, held: Held, now: float, its_turn: bool) -> bool:
        """Whether the head of a lane may go on now; starts its run where that is what comes next."""
        if held.settled or held.due is None:
            return True
        if now >= held.due:
            held.late = held.asked
            return True
        if held.asked:
            return False
        run = self._runs.get(held.lane[0])
        if run is not None:
            return run.settled  # settled: it overruns. Never a second run beside it, and no waiting for it either.
        full = len(self._runs) >= MOST_RUNS
        if not full and (its_turn or not self._waiting):
            held.asked = True
            self._runs[held.lane[0]] = held
            self.to_ask.append(held)
            return False
        if full and self._all_overrun():
            return True
        self._waiting[held.lane] = None
        return False

    def _all_overrun(self) -> bool:
        return all(run.settled for run in self._runs.values())
