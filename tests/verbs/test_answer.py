from __future__ import annotations

import threading

import pytest

from epsignal_sync.deadline import Deadline
from epsignal_sync.errors import ClosedError, ConnectionLostError
from epsignal_sync.verbs.answer import Answer

from ..conftest import PATIENCE


def test_success_has_a_value() -> None:
    answer: Answer[int] = Answer()
    assert (answer.done, answer.value, answer.failed, answer.error()) == (False, None, False, None)
    assert answer.succeed(5)
    answer.wait(Deadline(0), "it did not come")
    assert (answer.done, answer.value, answer.failed, answer.error()) == (True, 5, False, None)


def test_failure_is_a_new_exception_each_time() -> None:
    answer: Answer[int] = Answer()
    answer.fail(lambda: ClosedError("closed"))
    with pytest.raises(ClosedError):
        answer.wait(Deadline(0), "it did not come")
    assert answer.failed and isinstance(answer.error(), ClosedError) and answer.error() is not answer.error()


def test_first_counts() -> None:
    jobs: list[str] = []
    succeeded: Answer[int] = Answer()
    succeeded.at_end(lambda: jobs.append("succeeded"))
    assert succeeded.succeed(1) and not succeeded.succeed(2)
    succeeded.fail(lambda: ClosedError("late"))
    failed: Answer[int] = Answer()
    failed.at_end(lambda: jobs.append("failed"))
    failed.fail(lambda: ClosedError("first"))
    failed.fail(lambda: ConnectionLostError("second"))
    assert not failed.succeed(1)
    assert (succeeded.value, succeeded.failed, failed.value, str(failed.error())) == (1, False, None, "first")
    assert jobs == ["succeeded", "failed"]


def test_job_for_an_end_that_was_before() -> None:
    answer: Answer[int] = Answer()
    jobs: list[int | None] = []
    answer.succeed(1)
    answer.at_end(lambda: jobs.append(answer.value))
    assert jobs == [1]


def test_one_end_between_threads() -> None:
    for _ in range(200):
        answer: Answer[int] = Answer()
        start = threading.Barrier(2)
        ends: list[int | None] = []
        answer.at_end(lambda ends=ends, answer=answer: ends.append(answer.value))  # type: ignore[misc]

        def fail(answer: Answer[int] = answer, start: threading.Barrier = start) -> None:
            start.wait(PATIENCE)
            answer.fail(lambda: ClosedError("closed"))

        thread = threading.Thread(target=fail)
        thread.start()
        start.wait(PATIENCE)
        won = answer.succeed(5)
        thread.join(PATIENCE)
        assert ends == [5 if won else None] and answer.failed is not won
