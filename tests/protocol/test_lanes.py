"""Lanes keep order and deadlines: each rule on its own, then all of them together against a model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from epsignal_sync.protocol import lanes as lanes_module
from epsignal_sync.protocol.lanes import MOST_RUNS, Held, Lane, Lanes

TO_DEVICE, FROM_DEVICE = ("1", True), ("1", False)
DEVICES = [str(number) for number in range(MOST_RUNS)]
"""As many as there may be runs."""


def put(lanes: Lanes, lane: Lane, due: float | None = None, now: float = 0.0, item: Any = None) -> tuple[Held, list[Held]]:
    held = Held(lane, item, due)
    return held, lanes.put(held, now)


def asked(lanes: Lanes) -> list[Held]:
    """Return what is to be asked about now, and take it."""
    found, lanes.to_ask = lanes.to_ask, []
    return found


def ask(lanes: Lanes, lane: Lane, due: float, now: float = 0.0) -> Held:
    """Put a message that is asked about at once."""
    held, released = put(lanes, lane, due, now)
    assert not released and asked(lanes) == [held] and held.asked
    return held


def overrun(lanes: Lanes, device: str, now: float = 0.0) -> Held:
    """Return a message of a device whose run overruns its deadline, which was ``now`` + 1."""
    held = ask(lanes, (device, True), now + 1, now)
    assert lanes.expire(now + 1) == [held] and held.late
    return held


def check_empty(lanes: Lanes) -> None:
    """Assert that nothing at all is kept."""
    assert lanes.next_at() is None and not lanes.lanes
    assert (lanes.to_ask, lanes.lanes, lanes._runs, lanes._waiting, lanes._due) == ([], {}, {}, {}, [])


# ------------------------------------------------------------ one lane


def test_message_that_nobody_intercepts_goes_at_once() -> None:
    lanes = Lanes()
    held, released = put(lanes, TO_DEVICE)
    assert released == [held] and held.settled and not held.bypassed and not held.late
    assert not asked(lanes)
    check_empty(lanes)


def test_head_is_asked_about_once_and_held() -> None:
    lanes = Lanes()
    ask(lanes, TO_DEVICE, 1.0)
    assert lanes.lanes and lanes.occupied(TO_DEVICE) and not lanes.occupied(FROM_DEVICE) and not lanes.occupied(("2", True))
    assert lanes.expire(0.5) == [] and not asked(lanes)


def test_answer_in_time_lets_it_go_with_the_answer() -> None:
    lanes = Lanes()
    held = ask(lanes, TO_DEVICE, 1.0)
    assert lanes.end_run(held, "the answer", 0.5) == [held]
    assert held.answer == "the answer" and held.settled and not held.late and not held.bypassed
    check_empty(lanes)


def test_deadline_lets_it_go_without_an_answer() -> None:
    lanes = Lanes()
    held = ask(lanes, TO_DEVICE, 1.0)
    assert lanes.expire(0.999) == []
    assert lanes.expire(1.0) == [held]
    assert held.answer is None and held.late and held.settled and not held.bypassed
    assert lanes.expire(2.0) == [], "it goes once"
    lanes.end_run(held, None, 2.0)
    check_empty(lanes)


def test_late_answer_is_not_looked_at() -> None:
    lanes = Lanes()
    held = overrun(lanes, "1")
    assert lanes.end_run(held, "late", 1.5) == []
    assert held.answer is None and held.late
    check_empty(lanes)


def test_answer_that_is_seen_before_the_deadline_is_wins_even_when_both_are_due() -> None:
    lanes = Lanes()
    held = ask(lanes, TO_DEVICE, 1.0)
    assert lanes.end_run(held, "the answer", 7.0) == [held]
    assert held.answer == "the answer" and not held.late
    assert lanes.expire(7.0) == []
    check_empty(lanes)


def test_second_answer_changes_nothing() -> None:
    lanes = Lanes()
    held = ask(lanes, TO_DEVICE, 1.0)
    lanes.end_run(held, "the first", 0.1)
    following = ask(lanes, TO_DEVICE, 2.0, 0.2)
    assert lanes.end_run(held, "the second", 0.3) == []
    assert held.answer == "the first" and not following.settled
    assert lanes.end_run(following, "its own", 0.4) == [following]
    check_empty(lanes)


def test_deadline_that_is_over_on_arrival() -> None:
    lanes = Lanes()
    held, released = put(lanes, TO_DEVICE, due=5.0, now=5.0)
    assert released == [held] and held.bypassed and not held.late and not asked(lanes)
    check_empty(lanes)


def test_nothing_passes_a_held_message() -> None:
    lanes = Lanes()
    head = ask(lanes, TO_DEVICE, 1.0)
    behind = [put(lanes, TO_DEVICE, item=number) for number in range(5)]
    assert all(released == [] for _, released in behind)
    assert lanes.waiting(TO_DEVICE) == [None, 0, 1, 2, 3, 4] and lanes.waiting(FROM_DEVICE) == []
    released = lanes.end_run(head, None, 0.5)
    assert released == [head, *(held for held, _ in behind)]
    assert not any(held.bypassed or held.late for held in released), "nobody wanted to be asked about those behind"
    check_empty(lanes)


def test_next_one_is_asked_about_after_the_answer_to_the_head() -> None:
    lanes = Lanes()
    head = ask(lanes, TO_DEVICE, 1.0)
    free, _ = put(lanes, TO_DEVICE)
    second, _ = put(lanes, TO_DEVICE, due=1.5)
    last, _ = put(lanes, TO_DEVICE)
    assert not asked(lanes)
    assert lanes.end_run(head, None, 0.5) == [head, free]
    assert asked(lanes) == [second]
    assert lanes.end_run(second, None, 0.6) == [second, last]
    check_empty(lanes)


def test_deadline_counts_from_arrival_and_not_from_the_question() -> None:
    lanes = Lanes()
    head = ask(lanes, TO_DEVICE, 2.0)
    second, _ = put(lanes, TO_DEVICE, due=1.0)
    third, _ = put(lanes, TO_DEVICE, due=3.0)
    assert lanes.expire(1.0) == [], "it may not pass the head, whose deadline is larger"
    assert lanes.end_run(head, None, 1.5) == [head, second]
    assert second.bypassed and not second.late, "its time was over before it could be asked about"
    assert asked(lanes) == [third] and not third.bypassed


def test_largest_deadline_in_force_is_the_bound() -> None:
    lanes = Lanes()
    head = ask(lanes, TO_DEVICE, 2.0)
    second, _ = put(lanes, TO_DEVICE, due=1.0)
    third, _ = put(lanes, TO_DEVICE)
    assert lanes.expire(1.9) == []
    assert lanes.expire(2.0) == [head, second, third]
    assert (head.late, second.late, third.late) == (True, False, False)


# ------------------------------------------------------------ a device


def test_other_direction_goes_at_once_where_nobody_intercepts() -> None:
    lanes = Lanes()
    ask(lanes, TO_DEVICE, 1.0)
    held, released = put(lanes, FROM_DEVICE)
    assert released == [held]


def test_one_run_for_a_device_whatever_the_direction() -> None:
    lanes = Lanes()
    head = ask(lanes, TO_DEVICE, 1.0)
    other, released = put(lanes, FROM_DEVICE, due=1.0)
    assert not released and not asked(lanes)
    assert lanes.end_run(head, None, 0.5) == [head]
    assert asked(lanes) == [other]
    assert lanes.end_run(other, "answer", 0.6) == [other]
    check_empty(lanes)


def test_directions_take_turns() -> None:
    lanes = Lanes()
    head = ask(lanes, TO_DEVICE, 9.0)
    there = [put(lanes, TO_DEVICE, due=9.0)[0] for _ in range(3)]
    back = [put(lanes, FROM_DEVICE, due=9.0)[0] for _ in range(3)]
    for expected in (back[0], there[0], back[1], there[1], back[2], there[2]):
        assert lanes.end_run(head, None, 1.0) == [head]
        assert asked(lanes) == [expected]
        head = expected


def test_other_direction_passes_unasked_when_the_run_overruns() -> None:
    lanes = Lanes()
    head = ask(lanes, TO_DEVICE, 1.0)
    behind, _ = put(lanes, TO_DEVICE, due=1.9)
    other, _ = put(lanes, FROM_DEVICE, due=2.0)
    assert lanes.expire(1.0) == [head, behind, other], "never a second run beside it, and no waiting for it either"
    assert (behind.bypassed, other.bypassed, behind.late, other.late) == (True, True, False, False)
    assert not asked(lanes)


def test_messages_pass_unasked_and_at_once_while_a_run_overruns() -> None:
    lanes = Lanes()
    run = overrun(lanes, "1")
    for lane in (TO_DEVICE, FROM_DEVICE, TO_DEVICE):
        held, released = put(lanes, lane, due=2.0, now=1.2)
        assert released == [held] and held.bypassed and not held.late
        plain, released = put(lanes, lane, now=1.2)
        assert released == [plain] and not plain.bypassed
    assert not asked(lanes) and lanes.next_at() is None
    lanes.end_run(run, "late", 5.0)
    ask(lanes, FROM_DEVICE, 6.0, 5.0)


def test_own_deadline_lets_the_other_direction_go_while_the_run_is_in_time() -> None:
    lanes = Lanes()
    head = ask(lanes, TO_DEVICE, 2.0)
    other, _ = put(lanes, FROM_DEVICE, due=1.0)
    assert lanes.expire(1.0) == [other] and other.bypassed
    assert lanes.end_run(head, None, 1.1) == [head]
    assert not asked(lanes)
    check_empty(lanes)


# ------------------------------------------------------------ many devices


def test_hanging_device_does_not_hold_up_another() -> None:
    lanes = Lanes()
    for device in DEVICES[:-1]:
        overrun(lanes, device)
    for now in (3.0, 4.0, 5.0):
        held = ask(lanes, ("free", True), now + 2, now)
        assert lanes.end_run(held, "asked", now + 1) == [held] and held.answer == "asked"


def test_most_runs_and_those_that_wait_get_one_in_their_order() -> None:
    lanes = Lanes()
    runs = [ask(lanes, (device, True), 2.0) for device in DEVICES]
    waiting = [put(lanes, (device, False), 2.0)[0] for device in ("a", "b", "c")]
    assert not asked(lanes)
    for ended, begun in zip(runs, waiting, strict=False):
        assert lanes.end_run(ended, None, 0.5) == [ended]
        assert asked(lanes) == [begun]
    assert sum(lanes.occupied((device, False)) for device in ("a", "b", "c")) == 3


def test_busy_devices_leave_their_turn_to_those_that_wait() -> None:
    lanes = Lanes()
    devices = [*DEVICES, "a", "b", "c"]
    for _ in range(10):
        for device in devices:
            put(lanes, (device, True), due=9.0)
    runs, turns = asked(lanes), dict.fromkeys(devices, 0)
    while runs:
        head = runs.pop(0)
        turns[head.lane[0]] += 1
        assert max(turns.values()) - min(turns.values()) <= 2
        lanes.end_run(head, None, 1.0)
        runs += asked(lanes)
    assert set(turns.values()) == {10}
    check_empty(lanes)


def test_device_that_leaves_its_turn_is_not_bypassed() -> None:
    """All other runs overrun, but there is one that others may have."""
    lanes = Lanes()
    for device in DEVICES[1:]:
        overrun(lanes, device)
    head = ask(lanes, (DEVICES[0], True), 9.0, 2.0)
    behind, _ = put(lanes, (DEVICES[0], True), 9.0, 2.0)
    other, _ = put(lanes, ("a", True), 9.0, 2.0)
    assert lanes.end_run(head, None, 3.0) == [head] and asked(lanes) == [other]
    assert lanes.end_run(other, None, 4.0) == [other] and asked(lanes) == [behind]


def test_late_end_of_a_run_makes_room_for_another_device() -> None:
    lanes = Lanes()
    hanging = overrun(lanes, DEVICES[0])
    for device in DEVICES[1:]:
        ask(lanes, (device, True), 9.0, 1.0)
    waiting, released = put(lanes, ("a", True), due=9.0, now=2.0)
    assert not released and not asked(lanes)
    assert lanes.end_run(hanging, "late", 3.0) == []
    assert asked(lanes) == [waiting]


def test_one_that_waits_for_a_run_goes_at_its_own_deadline() -> None:
    lanes = Lanes()
    runs = [ask(lanes, (device, True), 2.0) for device in DEVICES]
    waiting, _ = put(lanes, ("a", True), due=1.0)
    assert lanes.next_at() == 1.0
    assert lanes.expire(1.0) == [waiting] and waiting.bypassed and not waiting.late
    for held in runs:
        lanes.end_run(held, None, 1.5)
    assert not asked(lanes)
    check_empty(lanes)


def test_everything_passes_at_once_while_all_runs_overrun() -> None:
    lanes = Lanes()
    runs = [ask(lanes, (device, True), 1.0) for device in DEVICES]
    waiting = [put(lanes, (device, True), 2.0)[0] for device in ("a", "b", "a")]
    released = lanes.expire(1.0)
    assert set(map(id, released)) == set(map(id, [*runs, *waiting]))
    assert all(held.bypassed for held in waiting)
    held, released = put(lanes, ("c", True), due=3.0, now=1.5)
    assert released == [held] and held.bypassed and not asked(lanes)
    lanes.end_run(runs[3], None, 2.0)
    ask(lanes, ("c", True), 3.0, 2.0)
    held, released = put(lanes, ("d", True), due=3.0, now=2.0)
    assert not released, "one of the runs is in time again, so that it is worth waiting"


def test_those_that_wait_pass_when_the_last_run_in_time_overruns() -> None:
    lanes = Lanes()
    for device in DEVICES[1:]:
        ask(lanes, (device, True), 1.0)
    ask(lanes, (DEVICES[0], True), 1.5)
    waiting, _ = put(lanes, ("a", True), due=2.0)
    assert waiting not in lanes.expire(1.0)
    assert waiting in lanes.expire(1.5) and waiting.bypassed


# ------------------------------------------------------------ times, the end


def test_next_at_is_the_earliest_of_what_still_waits() -> None:
    lanes = Lanes()
    assert lanes.next_at() is None
    late = ask(lanes, ("1", True), 3.0)
    early = ask(lanes, ("2", True), 1.0)
    assert lanes.next_at() == 1.0
    lanes.end_run(early, None, 0.5)
    assert lanes.next_at() == 3.0
    lanes.end_run(late, None, 0.6)
    check_empty(lanes)


def test_flush_lets_everything_go_as_it_came() -> None:
    lanes = Lanes()
    runs = [ask(lanes, (device, True), 1.0) for device in DEVICES]
    behind = [put(lanes, (DEVICES[0], True), due, item=due)[0] for due in (0.5, None, 2.0)]
    other, _ = put(lanes, ("a", False), 2.0)
    flushed = lanes.flush()
    assert len(flushed) == len(runs) + 4 and [held for held in flushed if held.lane == (DEVICES[0], True)] == [runs[0], *behind]
    assert all(held.settled and held.answer is None and not held.late for held in flushed)
    assert other.bypassed and not runs[0].bypassed
    assert lanes._due == [], "not even until the next deadline"
    assert not lanes.lanes
    assert [lanes.end_run(held, "late", 0.5) for held in runs] == [[]] * len(runs) and runs[0].answer is None
    assert lanes.expire(9.0) == [] and lanes.flush() == []
    check_empty(lanes)


def test_run_from_before_a_flush_overruns() -> None:
    lanes = Lanes()
    run = ask(lanes, TO_DEVICE, 1.0)
    lanes.flush()
    _, released = put(lanes, TO_DEVICE, 3.0)
    assert [held.bypassed for held in released] == [True] and not asked(lanes), "never a second run beside it"
    lanes.end_run(run, "late", 2.0)
    ask(lanes, TO_DEVICE, 3.0)


def test_flush_before_the_question_is_put() -> None:
    lanes = Lanes()
    put(lanes, TO_DEVICE, due=1.0)
    lanes.flush()
    assert not asked(lanes)


# ------------------------------------------------------------ cost


def lines_run(work: Callable[[], object], module: ModuleType = lanes_module) -> int:
    """Return how many lines of a module run for a piece of work."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != module.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def costs(devices: int) -> list[int]:
    """Return what each operation costs while messages of many devices wait."""
    lanes = Lanes()
    runs = [ask(lanes, (str(device), True), 50.0) for device in range(MOST_RUNS)]
    for device in range(MOST_RUNS, devices):
        put(lanes, (str(device), device % 2 == 0), due=60.0)
    short, _ = put(lanes, ("short", True), due=1.0)
    work: list[Callable[[], object]] = [
        lambda: lanes.expire(1.0),
        lambda: put(lanes, ("new", True), 60.0),
        lambda: put(lanes, ("new", True)),
        lambda: put(lanes, ("plain", True)),
        lambda: lanes.end_run(runs[0], None, 2.0),
        lambda: lanes.occupied(("new", True)),
        lanes.next_at,
    ]
    found = [lines_run(one) for one in work]
    assert short.settled and runs[0].settled and lanes.occupied(("new", True))
    return found


def test_cost_does_not_grow_with_the_number_of_lanes() -> None:
    few, many = costs(20), costs(2000)
    assert few == many and min(few) > 0


def test_cost_of_releasing_a_long_lane_is_in_proportion() -> None:
    def cost(length: int) -> int:
        lanes = Lanes()
        head = ask(lanes, TO_DEVICE, 1.0)
        for _ in range(length):
            put(lanes, TO_DEVICE)
        return lines_run(lambda: lanes.end_run(head, None, 0.5))

    few, more, most = cost(0), cost(100), cost(200)
    assert most - more == more - few


# ------------------------------------------------------------ everything together, against a model

TICKS = st.integers(0, 16)
"""Times in eighths of a second: exact in binary, so that equal times are equal."""


class LanesMachine(RuleBasedStateMachine):
    """Any use of lanes. The model is the list of all messages of each lane, and what is being asked about.

    Nothing is foretold: after each step everything that has gone must have had a reason to go, and everything that waits
    a reason to wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.now = 100.0
        self.expired_at = self.now
        self.waiting: dict[Lane, list[Held]] = {}
        self.bounds: dict[int, float] = {}
        self.runs: dict[str, Held] = {}
        self.ended: list[Held] = []
        self.given: dict[int, str] = {}
        self.all: list[Held] = []
        self.gone: set[int] = set()

    # -- what happens

    @initialize(prefilled=st.integers(0, 12), due=st.integers(1, 16))
    def begin(self, prefilled: int, due: int) -> None:
        for device in range(prefilled):
            self.put(device, True, due)

    @rule(device=st.integers(0, 11), to_device=st.booleans(), due=st.one_of(st.none(), TICKS))
    def put(self, device: int, to_device: bool, due: int | None) -> None:
        lane = (str(device), to_device)
        held = Held(lane, len(self.all), None if due is None else self.now + due / 8)
        ahead = self.waiting.setdefault(lane, [])
        self.bounds[id(held)] = max([self.now, *(one.due for one in [*ahead, held] if one.due is not None)])
        ahead.append(held)
        self.all.append(held)
        assert self.lanes.occupied(lane) is (len(ahead) > 1)
        self.see(self.lanes.put(held, self.now))

    @precondition(lambda self: self.runs)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.runs))))

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.ended))
        before = held.answer
        assert self.lanes.end_run(held, "again", self.now) == []
        assert held.answer is before
        self.see([])

    @rule(ticks=TICKS)
    def pass_time(self, ticks: int) -> None:
        """Time goes on, and expire() is called at the very times that it wants."""
        self.pass_time_to(self.now + ticks / 8)

    @rule(ticks=TICKS)
    def stall(self, ticks: int) -> None:
        """Time goes on, and nobody has called expire() yet."""
        self.now += ticks / 8

    @rule()
    def expire(self) -> None:
        self.expired_at = self.now
        self.see(self.lanes.expire(self.now))
        for lane in self.waiting.values():
            assert all(self.bounds[id(held)] > self.now for held in lane), "kept beyond the largest deadline in its lane"
        next_at = self.lanes.next_at()
        assert next_at is None or next_at > self.now

    @rule()
    def flush(self) -> None:
        flushed = self.lanes.flush()
        for held in flushed:
            assert self.waiting[held.lane].pop(0) is held and held.settled and not held.late
            assert id(held) not in self.gone
            self.gone.add(id(held))
        assert not any(self.waiting.values()) and not self.lanes.lanes

    # -- what it must be like

    def end(self, device: str) -> None:
        held = self.runs.pop(device)
        self.ended.append(held)
        if id(held) not in self.gone:
            self.given[id(held)] = f"answer {len(self.given)}"
        self.see(self.lanes.end_run(held, self.given.get(id(held), "late"), self.now))

    def pass_time_to(self, then: float) -> None:
        while (at := self.lanes.next_at()) is not None and at <= then:
            self.now = max(at, self.now)
            self.expire()
        self.now = max(then, self.now)

    def see(self, released: list[Held]) -> None:
        hanging = self.overrun()
        for held in released:
            assert self.waiting[held.lane].pop(0) is held, "out of order, or twice"
            assert id(held) not in self.gone
            self.gone.add(id(held))
            self.check_reason_to_go(held, hanging)
        for held in asked(self.lanes):
            device = held.lane[0]
            assert device not in self.runs and len(self.runs) < MOST_RUNS
            assert self.waiting[held.lane][0] is held and held.due is not None and held.due > self.now
            self.runs[device] = held
        self.check_reasons_to_wait()
        assert bool(self.lanes.lanes) is any(self.waiting.values())
        assert (self.lanes.next_at() is not None) or not any(self.waiting.values())

    def overrun(self) -> set[str]:
        """Return the devices with a run whose message has gone, with those included that go now."""
        return {device for device, held in self.runs.items() if held.settled}

    def check_reason_to_go(self, held: Held, hanging: set[str]) -> None:
        answer = self.given.get(id(held))
        assert held.settled and held.answer is answer
        if held.due is None or answer is not None:
            assert not held.late and not held.bypassed
        elif held.asked:
            assert held.late and self.now >= held.due
        else:
            assert held.bypassed and not held.late
            assert self.now >= held.due or held.lane[0] in hanging or len(hanging) == MOST_RUNS

    def check_reasons_to_wait(self) -> None:
        hanging = self.overrun()
        for lane, messages in self.waiting.items():
            assert self.lanes.waiting(lane) == [held.item for held in messages]
            if not messages:
                continue
            head, run = messages[0], self.runs.get(lane[0])
            assert head.due is not None and head.due > self.expired_at and not head.settled
            if run is not None:
                assert lane[0] not in hanging and (run is head or run.lane != lane)
            else:
                assert len(self.runs) == MOST_RUNS and len(hanging) < MOST_RUNS

    def teardown(self) -> None:
        self.expire()
        self.pass_time_to(self.now + 10)
        for device in list(self.runs):
            self.end(device)
        assert {id(held) for held in self.all} == self.gone
        check_empty(self.lanes)


TestLanes = LanesMachine.TestCase
TestLanes.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("order", [range(12), reversed(range(12))], ids=["in order", "in reverse"])
def test_more_devices_than_runs_all_get_their_turn(order: Iterable[int]) -> None:
    """The machine rarely keeps all runs at work for long: here they always are."""
    machine = LanesMachine()
    for device in order:
        for to_device in (True, False, True):
            machine.put(device, to_device, 16)
    while machine.runs:
        machine.end(min(machine.runs))
    assert {held.asked for held in machine.all} == {True} and len(machine.gone) == 36
    machine.teardown()
