from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from epsignal_sync.deadline import Deadline
from epsignal_sync.errors import ClosedError, ConnectionLostError, EpSignalError, ReplyTimeout
from epsignal_sync.replies import Replies, Reply

PATIENCE = 20.0
"""Seconds that a test waits for what has to come; only a failing test ever waits so long."""


def outcome(reply: Reply, timeout: float | None) -> EpSignalError | None:
    try:
        reply.wait(Deadline(timeout), "it did not come")
    except EpSignalError as error:
        return error
    return None


class Waiters:
    """Threads that wait for one reply each, without an end."""

    def __init__(self, *replies: Reply) -> None:
        self.outcomes: list[EpSignalError | None] = []
        self._threads = [threading.Thread(target=self._run, args=(one,), daemon=True) for one in replies]
        for thread in self._threads:
            thread.start()

    def _run(self, reply: Reply) -> None:
        self.outcomes.append(outcome(reply, None))

    def join(self) -> list[EpSignalError | None]:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        return self.outcomes


def closed(text: str = "closed") -> Callable[[], EpSignalError]:
    return lambda: ClosedError(text)


def test_settled_before_the_wait() -> None:
    reply = Reply()
    assert not reply.done
    reply.settle()
    assert reply.done and outcome(reply, 0) is None


def test_settled_during_the_wait() -> None:
    reply = Reply()
    waiters = Waiters(reply, reply, reply)
    reply.settle()
    assert waiters.join() == [None] * 3


def test_failed_during_the_wait() -> None:
    reply = Reply()
    waiters = Waiters(reply, reply)
    reply.fail(closed())
    first, second = waiters.join()
    assert isinstance(first, ClosedError) and isinstance(second, ClosedError)
    assert first is not second, "each thread gets an exception of its own"
    assert reply.done


@pytest.mark.parametrize("timeout", [0, 0.02, -5])
def test_time_out_is_an_error(timeout: float) -> None:
    error = outcome(Reply(), timeout)
    assert isinstance(error, ReplyTimeout) and isinstance(error, TimeoutError) and str(error) == "it did not come"


def test_late_reply_after_a_time_out() -> None:
    reply = Reply()
    assert isinstance(outcome(reply, 0), ReplyTimeout)
    reply.settle()
    assert outcome(reply, 0) is None


def test_first_outcome_counts() -> None:
    settled, failed = Reply(), Reply()
    settled.settle()
    settled.fail(closed())
    assert outcome(settled, 0) is None
    failed.fail(closed("first"))
    failed.fail(closed("second"))
    failed.settle()
    assert str(outcome(failed, 0)) == "first"


def test_first_outcome_counts_between_threads() -> None:
    for _ in range(200):
        reply, start = Reply(), threading.Barrier(3)

        def settle(reply: Reply = reply, start: threading.Barrier = start) -> None:
            start.wait(PATIENCE)
            reply.settle()

        def fail(reply: Reply = reply, start: threading.Barrier = start) -> None:
            start.wait(PATIENCE)
            reply.fail(closed())

        threads = [threading.Thread(target=job, daemon=True) for job in (settle, fail)]
        for thread in threads:
            thread.start()
        start.wait(PATIENCE)
        seen = outcome(reply, PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
        assert type(outcome(reply, 0)) is type(seen), "two waiters must not see two outcomes"


# ------------------------------------------------------------ all replies


def test_end_fails_every_open_reply() -> None:
    replies, ours = Replies(), [Reply() for _ in range(3)]
    for one in ours:
        replies.add(one)
    waiters = Waiters(*ours)
    replies.end(lambda: ConnectionLostError("gone"))
    assert [type(one) for one in waiters.join()] == [ConnectionLostError] * 3


def test_reply_added_after_the_end_fails_at_once() -> None:
    replies, late = Replies(), Reply()
    replies.end(closed())
    replies.add(late)
    assert isinstance(outcome(late, 0), ClosedError)


def test_removed_reply_is_left_alone() -> None:
    replies, reply = Replies(), Reply()
    replies.add(reply)
    replies.remove(reply)
    replies.remove(reply)
    replies.end(closed())
    assert not reply.done


def test_settled_reply_is_not_failed_by_the_end() -> None:
    replies, reply = Replies(), Reply()
    replies.add(reply)
    reply.settle()
    replies.end(closed())
    assert outcome(reply, 0) is None


def test_end_may_come_twice() -> None:
    replies, reply = Replies(), Reply()
    replies.add(reply)
    replies.end(closed("first"))
    replies.end(closed("second"))
    assert str(outcome(reply, 0)) == "first"


def test_add_and_end_at_once_leave_no_waiter() -> None:
    for _ in range(100):
        replies, reply, start = Replies(), Reply(), threading.Barrier(2)

        def add(replies: Replies = replies, reply: Reply = reply, start: threading.Barrier = start) -> None:
            start.wait(PATIENCE)
            replies.add(reply)

        thread = threading.Thread(target=add, daemon=True)
        thread.start()
        start.wait(PATIENCE)
        replies.end(closed())
        thread.join(PATIENCE)
        assert reply.done
