from __future__ import annotations

import pytest

from epsignal_sync.relay.backoff import FIRST_DELAY, JITTER, LONGEST_DELAY, Backoff


def test_doubles_from_one_second_to_32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    backoff = Backoff()
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 32, 32]
    assert backoff.attempts == 8


def test_success_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: (low + high) / 2)
    backoff = Backoff()
    for _ in range(4):
        backoff.next()
    backoff.succeed()
    assert (backoff.next(), backoff.attempts) == (1, 1)


def test_jitter_is_a_share_of_the_delay() -> None:
    first = [Backoff().next() or 0.0 for _ in range(200)]
    assert all(FIRST_DELAY * (1 - JITTER) <= delay <= FIRST_DELAY * (1 + JITTER) for delay in first)
    assert len(set(first)) > 100, "the apps of a PBX that restarts must not all come back at once"


def test_limit() -> None:
    backoff = Backoff(limit=2)
    assert [delay is None for delay in (backoff.next(), backoff.next(), backoff.next())] == [False, False, True]
    assert backoff.attempts == 2
    backoff.succeed()
    assert backoff.next() is not None


def test_after_a_year_without_success() -> None:
    backoff = Backoff()
    delays = [backoff.next() for _ in range(20_000)]
    assert all(delay is not None and delay <= LONGEST_DELAY * (1 + JITTER) for delay in delays)
