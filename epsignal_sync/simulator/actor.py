"""The one thread that owns the state of the PBX and its phones: a queue of jobs and timers.

Knows nothing of what the jobs do.
"""

from __future__ import annotations

import concurrent.futures
import heapq
import itertools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ClosedError, ReplyTimeout

T = TypeVar("T")
Job = Callable[[], Any]

RUN_TIMEOUT = 5.0
"""Seconds after which a public call gives up on the actor thread."""

_log = logging.getLogger("epsignal_sync.simulator")


class Timer:
    """A job that runs later, unless :meth:`cancel` is called first (on the actor thread)."""

    __slots__ = ("_job",)

    def __init__(self, job: Job) -> None:
        self._job: Job | None = job

    def cancel(self) -> None:
        """Never run the job; does nothing after it ran."""
        self._job = None

    def fire(self) -> None:
        """Run the job, once."""
        job, self._job = self._job, None
        if job is not None:
            job()


class Actor:
    """Run jobs one after the other on one daemon thread.

    :meth:`post` and :meth:`run` may be called from any other thread, :meth:`soon` and :meth:`later` on the actor
    thread only. ``after_job`` is called on the actor thread after each job.
    """

    def __init__(self, name: str, after_job: Job) -> None:
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._after_job = after_job
        self._jobs: queue.SimpleQueue[tuple[Job, concurrent.futures.Future[Any] | None] | None] = queue.SimpleQueue()
        self._soon: deque[Job] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._ties = itertools.count()
        self._lock = threading.Lock()
        self._started = self._stopped = False

    def start(self) -> None:
        """Start the thread."""
        self._started = True
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Finish what was posted and end the thread; waits at most ``timeout`` seconds. Idempotent."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._jobs.put(None)
        if self._started:
            self._thread.join(timeout)

    def post(self, job: Job) -> None:
        """Have ``job`` run, in order; dropped after :meth:`stop`. Does not block."""
        with self._lock:
            if not self._stopped:
                self._jobs.put((job, None))

    def run(self, job: Callable[[], T]) -> T:
        """Run ``job`` and all that follows from it at once, and return its result or raise what it raised.

        Blocks for at most 5 s, then raises ReplyTimeout; ClosedError after :meth:`stop`.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        with self._lock:
            if self._stopped:
                raise ClosedError("the simulated PBX is closed: make a new SimulatedPBX")
            if self._started:
                self._jobs.put((job, future))
        if not self._started:  # The PBX is being set up, and there is one thread only.
            self._perform(job, future)
        try:
            return future.result(RUN_TIMEOUT)
        except concurrent.futures.TimeoutError:
            raise ReplyTimeout(f"the simulated PBX did not do its job within {RUN_TIMEOUT:g} s: is the machine overloaded?") from None

    def soon(self, job: Job) -> None:
        """Run ``job`` right after the current one, before anything else."""
        self._soon.append(job)

    def later(self, seconds: float, job: Job) -> Timer:
        """Run ``job`` in ``seconds``; returns its timer."""
        timer = Timer(job)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._ties), timer))
        return timer

    def _loop(self) -> None:
        while True:
            try:
                item = self._jobs.get(timeout=self._next_wait())
            except queue.Empty:
                self._run_timers()
                continue
            if item is None:
                return
            self._perform(*item)
            self._run_timers()

    def _next_wait(self) -> float | None:
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            self._perform(heapq.heappop(self._timers)[2].fire, None)

    def _perform(self, job: Job, future: concurrent.futures.Future[Any] | None) -> None:
        result, error = _attempt(job)
        while self._soon:
            _, later_error = _attempt(self._soon.popleft())
            if later_error is not None:
                _log.error("a job of the simulated PBX failed", exc_info=later_error)
        self._after_job()
        # The result comes last: who called run() finds everything done that follows at once.
        if future is None:
            if error is not None:
                _log.error("a job of the simulated PBX failed", exc_info=error)
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _attempt(job: Job) -> tuple[Any, Exception | None]:
    try:
        return job(), None
    except Exception as error:
        return None, error
