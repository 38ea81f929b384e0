"""The callback thread by itself: it wakes for whatever is put, and what ends it. What it runs stands in test_delivery.py."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Iterator

import pytest

from epsignal_sync.deadline import Deadline
from epsignal_sync.dispatcher import CallbackThread, Job

from .conftest import PATIENCE, wait_until


@pytest.fixture
def callbacks() -> Iterator[CallbackThread]:
    thread = CallbackThread(None)
    yield thread
    thread.close(PATIENCE)


class JobsThatGrow(deque[Job]):
    """Finds nothing, and just then another thread puts something."""

    def __init__(self, callbacks: CallbackThread, job: Job) -> None:
        super().__init__()
        self.callbacks = callbacks
        self.job: Job | None = job

    def __bool__(self) -> bool:
        size, job = len(self), self.job
        if size == 0 and job is not None and threading.current_thread().name == "epsignal-callbacks":
            self.job = None
            other = threading.Thread(target=self.callbacks.put, args=([job],), daemon=True)
            other.start()
            other.join(PATIENCE)
        return size > 0


def test_job_that_comes_while_the_thread_falls_asleep_is_run(callbacks: CallbackThread) -> None:
    ran = threading.Event()
    callbacks._jobs = JobsThatGrow(callbacks, ran.set)
    callbacks.start()
    assert ran.wait(PATIENCE)


def test_every_job_wakes_the_thread(callbacks: CallbackThread) -> None:
    callbacks.start()
    for _ in range(200):
        ran = threading.Event()
        callbacks.put([ran.set])
        assert ran.wait(PATIENCE)
        wait_until(lambda: callbacks._asleep)


def test_note_wakes_the_thread(callbacks: CallbackThread, caplog: pytest.LogCaptureFixture) -> None:
    callbacks.start()
    wait_until(lambda: callbacks._asleep)
    with caplog.at_level("WARNING", "epsignal_sync"):
        callbacks.put_note(30, "something is wrong")
        wait_until(lambda: "something is wrong" in caplog.text)


def test_wait_idle_returns_when_what_waits_has_run(callbacks: CallbackThread) -> None:
    callbacks.start()
    ran: list[int] = []
    callbacks.put([functools.partial(ran.append, number) for number in range(1000)])
    callbacks.wait_idle(Deadline(PATIENCE))
    assert ran == list(range(1000))


def test_close_wakes_the_thread_that_sleeps(callbacks: CallbackThread) -> None:
    callbacks.start()
    wait_until(lambda: callbacks._asleep)
    callbacks.close(PATIENCE)
    assert not callbacks._thread.is_alive()
