from __future__ import annotations

import time

import pytest

from epsignal_sync.deadline import Deadline
from epsignal_sync.errors import UsageError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets; the one thing here that real time would make slow and uncertain."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_counts_down_to_zero_and_not_below(clock: list[float]) -> None:
    deadline = Deadline(10)
    assert deadline.remaining() == 10.0 and not deadline.expired
    clock[0] += 4
    assert deadline.remaining() == 6.0 and deadline.remaining(at_most=2) == 2 and deadline.remaining(at_most=8) == 6.0
    clock[0] += 6
    assert deadline.remaining() == 0.0 and deadline.expired
    clock[0] += 100
    assert deadline.remaining() == 0.0 and deadline.remaining(at_most=5) == 0.0 and deadline.expired


def test_none_never_expires(clock: list[float]) -> None:
    deadline = Deadline(None)
    clock[0] += 1e9
    assert deadline.remaining() is None and deadline.remaining(at_most=0.5) == 0.5 and not deadline.expired


@pytest.mark.parametrize("timeout", [0, -1, 0.0])
def test_nothing_left_from_the_start(timeout: float) -> None:
    deadline = Deadline(timeout)
    assert deadline.expired and deadline.remaining() == 0.0


def test_infinity_never_expires(clock: list[float]) -> None:
    deadline = Deadline(float("inf"))
    assert deadline.remaining() == float("inf") and deadline.remaining(at_most=1) == 1 and not deadline.expired


@pytest.mark.parametrize("timeout", [float("nan"), "10", b"1", [1]])
def test_no_number(timeout: float) -> None:
    with pytest.raises(UsageError, match="seconds"):
        Deadline(timeout)
