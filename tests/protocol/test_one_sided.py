"""What is consumed of a call that only one side knows: each line of the protocol page, section 2, "One-sided calls"."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.protocol import one_sided
from epsignal_sync.protocol.one_sided import MEMORY, MOST_CALLS, OneSidedCalls

DIRECTIONS = pytest.mark.parametrize("to", [True, False], ids=["to the device", "from the device"])
KINDS: list[Any] = ["alert", "conn", "disc", "rel", "facility", "brand_new", None, 17, {"type": "setup"}, ["setup"]]


class Calls:
    """One-sided calls of the device "1", with the messages numbered as they come."""

    def __init__(self) -> None:
        self.one_sided = OneSidedCalls()
        self.number = 0
        self.now = 1000.0

    def takes(self, to_device: bool, kind: object = "facility", call: int = 3, src: str = "1") -> bool:
        self.number += 1
        return self.one_sided.takes(src, call, to_device, kind, self.number, self.now)

    def drop_setup(self, to_device: bool, call: int = 3) -> None:
        assert not self.takes(to_device, "setup", call)
        self.one_sided.drop_setup("1", call, to_device, self.number)

    def release(self, to_device: bool, call: int = 3) -> None:
        self.one_sided.release("1", call, to_device, self.number, self.now)

    def is_unheard(self, to_device: bool) -> bool:
        return self.one_sided.is_unheard("1", 3, to_device, self.number)

    def is_released(self, to_device: bool) -> bool:
        return self.one_sided.is_released("1", 3, to_device, self.number)


def check_empty(calls: Calls) -> None:
    assert not calls.one_sided.calls and not calls.one_sided._ends


def test_nothing_is_consumed_before_anything_is_one_sided() -> None:
    calls = Calls()
    assert not any(calls.takes(to, kind) for to in (True, False) for kind in [*KINDS, "setup"])
    assert not calls.is_unheard(True) and not calls.is_released(True)
    check_empty(calls)


# ------------------------------------------------------------ a setup was dropped


@DIRECTIONS
def test_dropped_setup_has_everything_of_its_sender_consumed(to: bool) -> None:
    calls = Calls()
    calls.drop_setup(to)
    for kind in KINDS:
        assert calls.takes(to, kind)
    assert calls.one_sided.calls


@DIRECTIONS
def test_side_that_does_not_know_is_not_consumed(to: bool) -> None:
    calls = Calls()
    calls.drop_setup(to)
    assert not any(calls.takes(not to, kind) for kind in KINDS)


@DIRECTIONS
def test_other_call_and_other_device_are_not_consumed(to: bool) -> None:
    calls = Calls()
    calls.drop_setup(to)
    calls.release(not to, call=4)
    assert not calls.takes(to, call=5) and not calls.takes(to, call=-3)
    assert not calls.takes(to, src="2") and not calls.takes(to, src="")
    assert calls.takes(to) and calls.takes(to, call=4)


@DIRECTIONS
def test_sender_of_a_dropped_setup_is_consumed_for_as_long_as_it_sends_no_rel(to: bool) -> None:
    calls = Calls()
    calls.drop_setup(to)
    calls.now += 10_000
    assert calls.takes(to)


@DIRECTIONS
@pytest.mark.parametrize("who", ["sender", "application"])
def test_consumed_until_30_s_after_the_rel(to: bool, who: str) -> None:
    calls = Calls()
    calls.drop_setup(to)
    calls.now += 100
    if who == "sender":
        assert calls.takes(to, "rel")
    else:
        calls.release(not to)
    calls.now += 30
    assert calls.takes(to) and MEMORY == 30
    calls.now += 0.001
    assert not calls.takes(to)
    check_empty(calls)


@DIRECTIONS
def test_rel_that_crosses_ours_is_consumed_and_30_s_count_from_it(to: bool) -> None:
    calls = Calls()
    calls.drop_setup(to)
    calls.release(not to)
    calls.now += 20
    assert calls.takes(to, "rel")
    calls.now += 20
    assert calls.takes(to, "facility")
    calls.now += 11
    assert not calls.takes(to, "facility")
    check_empty(calls)


@DIRECTIONS
def test_who_has_heard_of_a_dropped_setup(to: bool) -> None:
    calls = Calls()
    calls.drop_setup(to)
    assert calls.is_unheard(to) and not calls.is_unheard(not to)
    assert not calls.is_released(not to)
    calls.release(not to)
    assert calls.is_released(not to) and not calls.is_released(to)
    calls.now += MEMORY + 1
    assert not calls.takes(to) and not calls.is_unheard(to) and not calls.is_released(not to)


# ------------------------------------------------------------ one side was released


@DIRECTIONS
def test_call_released_on_one_side_has_the_other_side_consumed(to: bool) -> None:
    calls = Calls()
    calls.release(to)
    for _ in range(3):
        assert calls.takes(to), "the other side still knows the call"
        calls.now += 1000
    assert calls.takes(to, "rel")
    calls.now += MEMORY
    assert calls.takes(to)
    calls.now += 1
    assert not calls.takes(to)


@DIRECTIONS
def test_what_the_released_side_had_on_its_way_is_consumed(to: bool) -> None:
    calls = Calls()
    calls.release(to)
    calls.now += MEMORY
    assert calls.takes(not to, "conn")
    calls.now += 0.001
    assert not calls.takes(not to, "conn")
    assert calls.takes(to), "that was the released side; the other one has not ended yet"


def test_call_released_on_both_sides_is_consumed_in_both_directions_and_forgotten() -> None:
    for first in (True, False):
        calls = Calls()
        calls.release(first)
        calls.release(not first)
        assert calls.is_released(True) and calls.is_released(False)
        calls.now += MEMORY
        assert calls.takes(True) and calls.takes(False)
        calls.now += 1
        assert not calls.takes(True) and not calls.takes(False)
        check_empty(calls)


@DIRECTIONS
def test_both_sides_know_a_call_that_was_released(to: bool) -> None:
    calls = Calls()
    calls.release(to)
    assert not calls.is_unheard(True) and not calls.is_unheard(False)
    assert calls.is_released(to) and not calls.is_released(not to)


# ------------------------------------------------------------ a new call on the id


def new_calls() -> list[Calls]:
    """Return calls that are one-sided in every way."""
    found = []
    for to in (True, False):
        dropped, refused, released, both = Calls(), Calls(), Calls(), Calls()
        dropped.drop_setup(to)
        refused.drop_setup(to)
        refused.release(not to)
        released.release(to)
        both.release(to)
        both.release(not to)
        found += [dropped, refused, released, both]
    return found


@DIRECTIONS
def test_new_setup_on_the_id_is_a_new_call(to: bool) -> None:
    for calls in new_calls():
        assert not calls.takes(to, "setup")
        assert not any(calls.takes(side, kind) for kind in KINDS for side in (True, False))
        assert not calls.takes(to, "setup"), "and so is the next one"
        assert not any(calls.is_unheard(side) or calls.is_released(side) for side in (True, False))


@DIRECTIONS
def test_setup_that_came_before_the_release_is_no_new_call(to: bool) -> None:
    """It was held for the application, which hung up meanwhile."""
    calls = Calls()
    calls.number = 9
    calls.release(to)
    for number in (8, 9):
        assert calls.one_sided.takes("1", 3, to, "setup", number, calls.now)
    assert not calls.one_sided.takes("1", 3, to, "setup", 10, calls.now)


def test_what_came_before_the_new_setup_still_belongs_to_the_old_call() -> None:
    """It waits in the other lane, or behind a message of another call, while the new setup goes on."""
    for calls in new_calls():
        # Those of the old call that were consumed then, and the setup of the new one, which is seen first.
        old = [(to, number) for number in (10, 11) for to in (True, False) if calls.one_sided.takes("1", 3, to, "info", number, calls.now)]
        assert old
        calls.number = 19
        assert not calls.takes(True, "setup")
        assert all(calls.one_sided.takes("1", 3, to, "info", number, calls.now) for to, number in old)
        assert not calls.takes(True) and not calls.takes(False)
        calls.now += MEMORY + 1
        assert not calls.takes(True)
        check_empty(calls)


@DIRECTIONS
def test_new_call_becomes_one_sided_itself(to: bool) -> None:
    for calls in new_calls():
        calls.drop_setup(to)
        assert calls.takes(to) and not calls.takes(not to)
        assert calls.is_unheard(to) and not calls.is_released(not to)
        assert not calls.takes(to, "setup")
        calls.release(to)
        assert calls.takes(to) and calls.takes(not to)
        assert calls.is_released(to) and not calls.is_unheard(to)


def test_old_end_does_not_end_the_new_call_on_the_id() -> None:
    calls = Calls()
    calls.drop_setup(True)
    assert calls.takes(True, "rel")
    calls.now += 20
    calls.drop_setup(True)
    calls.now += 20
    assert calls.takes(True), "30 s of the old one are over, but not of this one"


# ------------------------------------------------------------ memory


def test_cap_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_CALLS == 10_000
    monkeypatch.setattr(one_sided, "MOST_CALLS", 5)
    calls = Calls()
    for call in range(5):
        calls.drop_setup(True, call)
    calls.drop_setup(True, 1)  # a new call on an id that is there takes no place, but is the newest
    assert all(calls.takes(True, call=call) for call in range(5))
    calls.release(True, 98)
    calls.release(True, 99)
    assert [call for call in [*range(5), 98, 99] if calls.takes(True, call=call)] == [1, 3, 4, 98, 99]


def test_nothing_is_left_of_many_calls() -> None:
    calls = Calls()
    for call in range(20_000):
        calls.drop_setup(call % 2 == 0, call % 700)
        calls.release(call % 2 == 1, call % 700)
        calls.now += 0.01
        if call % 3:
            assert calls.takes(call % 2 == 0, "rel", call % 700)
    assert len(calls.one_sided.calls) == 700 and len(calls.one_sided._ends) < 2 * 3000 * 2
    calls.now += MEMORY + 1
    assert not calls.takes(True, call=1_000_000)
    check_empty(calls)


# ------------------------------------------------------------ any order

KINDS_OF_STEPS = ("facility", "rel", "setup", "dropped setup", "release by the application")
Step = tuple[str, bool]
STEPS: list[Step] = list(itertools.product(KINDS_OF_STEPS, (True, False)))


def test_any_order_of_messages_matches_the_page() -> None:
    """All stories of four steps, after the page read literally: the last setup and what was dropped and released since."""
    for steps in itertools.product(STEPS, repeat=4):
        calls = OneSidedCalls()
        dropped: bool | None = None
        released: set[bool] = set()
        for number, (kind, to) in enumerate(steps, 1):
            if kind in ("setup", "dropped setup"):
                assert not calls.takes("1", 3, to, "setup", number, 5.0), steps
                released.clear()
                dropped = None
                if kind == "dropped setup":
                    calls.drop_setup("1", 3, to, number)
                    dropped = to
            elif kind == "release by the application":
                calls.release("1", 3, to, number, 5.0)
                released.add(to)
            else:
                expected = bool(released)
                if dropped is not None:  # the side that never heard of it is as if there were no call, until it is told of its end
                    expected = to is dropped or dropped in released
                assert calls.takes("1", 3, to, kind, number, 5.0) is expected, steps


@given(st.lists(st.sampled_from(STEPS), min_size=4, max_size=16), st.data())
def test_held_messages_are_decided_as_on_arrival(steps: list[Step], data: st.DataObject) -> None:
    """A message is decided when it comes, and again when its lane lets it go: late, but in order with its lane."""
    calls = OneSidedCalls()
    lanes: dict[bool, list[tuple[str, int, bool, int]]] = {True: [], False: []}
    acted = 0

    def let_go(to: bool) -> None:
        kind, number, on_arrival, acted_then = lanes[to].pop(0)
        later = calls.takes("1", 3, to, kind, number, 5.0)
        assert later is on_arrival or acted > acted_then, "only what the application did meanwhile makes a difference"

    for number, (kind, to) in enumerate(steps, 1):
        if kind == "dropped setup":
            calls.drop_setup("1", 3, to, number)
            acted += 1
        elif kind == "release by the application":
            calls.release("1", 3, to, number, 5.0)
            acted += 1
        else:
            lanes[to].append((kind, number, calls.takes("1", 3, to, kind, number, 5.0), acted))
        if data.draw(st.booleans()) and lanes[to]:
            let_go(to)
    for direction, lane in lanes.items():
        while lane:
            let_go(direction)


def test_setup_that_the_application_sends_on_later() -> None:
    calls = OneSidedCalls()
    calls.drop_setup("a", 3, True, 1)
    calls.hear("a", 3, False)
    calls.hear("a", 4, True)
    assert calls.takes("a", 3, True, "info", 2, 0)
    calls.hear("a", 3, True)
    assert not calls.takes("a", 3, True, "info", 3, 0) and not calls.calls
