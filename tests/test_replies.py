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


def waiting(replies: Replies, reply: Reply) -> tuple[threading.Thread, list[EpSignalError | None]]:
    """Start a thread that waits for a reply among all; returns it and the list that its outcome comes into."""
    seen: list[EpSignalError | None] = []

    def wait() -> None:
        try:
            replies.wait(reply, Deadline(PATIENCE), "it did not come")
            seen.append(None)
        except EpSignalError as error:
            seen.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread, seen


def test_end_fails_every_wait() -> None:
    replies = Replies()
    waits = [waiting(replies, Reply()) for _ in range(3)]
    replies.end(lambda: ConnectionLostError("gone"))
    for thread, seen in waits:
        thread.join(PATIENCE)
        assert [type(one) for one in seen] == [ConnectionLostError]


def test_wait_after_the_end_fails_at_once() -> None:
    replies = Replies()
    replies.end(closed("first"))
    replies.end(closed("second"))
    with pytest.raises(ClosedError, match="first"):
        replies.wait(Reply(), Deadline(None), "it did not come")


def test_what_has_come_is_not_failed_by_the_end() -> None:
    replies, reply = Replies(), Reply()
    reply.settle()
    replies.end(closed())
    replies.wait(reply, Deadline(0), "it did not come")
    assert reply._error is None


def test_no_reply_is_kept_after_its_wait() -> None:
    replies, settled = Replies(), Reply()
    settled.settle()
    replies.wait(settled, Deadline(0), "it did not come")
    with pytest.raises(ReplyTimeout):
        replies.wait(Reply(), Deadline(0), "it did not come")
    assert not replies._open


def test_wait_and_end_at_once_leave_no_waiter() -> None:
    for _ in range(100):
        replies = Replies()
        thread, seen = waiting(replies, Reply())
        replies.end(closed())
        thread.join(PATIENCE)
        assert [type(one) for one in seen] == [ClosedError]


def test_close_from_a_signal_handler_in_the_middle_of_a_change() -> None:
    # A handler runs on the main thread between any two instructions, also where a lock is held.
    replies, reply = Replies(), Reply()
    with replies._replies_lock, reply._changed:
        replies.end(closed())
        reply.fail(closed())
    assert reply.done
