"""Who wants to know what, and the thread that tells them.

One queue, one thread: callbacks run one after the other, in the order in which the messages went on. The link thread
only appends to the queue. This module knows nothing of what an event means, and nothing of the connection.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable

from .deadline import Deadline
from .relay.inbox import WAKE_INTERVAL

logger = logging.getLogger("epsignal_sync.callbacks")

SLICE = 0.010
"""Seconds for which callbacks run in a program's own loop before they let it go on."""
RETRY_INTERVAL = 0.5
"""Seconds after which a dispatcher that raised is tried again."""

Job = Callable[[], None]
RunPending = Callable[[], int]
Dispatcher = Callable[[RunPending], object]


class ManualDispatcher:
    """For programs with a loop of their own: callbacks run inside ``client.process_events()`` and nowhere else.

    Pass one as ``dispatcher=``; it may serve several clients.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[RunPending] = queue.SimpleQueue()

    def __call__(self, run_pending: RunPending) -> None:
        """Take callbacks that are to run; called by the library."""
        self._waiting.put(run_pending)

    def process(self, timeout: float | None = 0) -> int:
        """Run what waits, at most for about 10 ms; wait at most ``timeout`` seconds (None: for ever) for the first.

        Returns the number of events that were handled. Any one thread.
        """
        deadline = Deadline(timeout)
        while True:
            remaining = deadline.remaining(WAKE_INTERVAL)
            try:
                return self._waiting.get(timeout=remaining)() if remaining else self._waiting.get_nowait()()
            except queue.Empty:
                if deadline.expired:
                    return 0


class CallbackThread:
    """The queue of jobs and the thread ``epsignal-callbacks`` that runs them, or has a dispatcher run them.

    A job is a callable that isolates its callbacks itself: only KeyboardInterrupt comes out of it.
    """

    def __init__(self, dispatcher: Dispatcher | None) -> None:
        self._dispatcher = dispatcher
        self._jobs: deque[Job] = deque()
        self._jobs_lock = threading.Condition()
        self._running = False
        self._closing = False
        self._closed = False
        self._handed_back = threading.Event()
        self._dispatcher_failed = False
        self._thread = threading.Thread(target=self._run, name="epsignal-callbacks", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether no callback runs and none waits. A callback may register others for what comes after it."""
        return not self._running and not self._jobs

    def put(self, jobs: list[Job]) -> None:
        """Append jobs. Does not block; any thread."""
        with self._jobs_lock:
            if not self._closing:
                self._jobs.extend(jobs)
                self._jobs_lock.notify_all()

    def run_pending(self) -> int:
        """Run jobs for about 10 ms and return how many; called by a dispatcher, in the thread it likes."""
        try:
            return self._run_jobs(Deadline(SLICE))
        finally:
            self._handed_back.set()

    def close(self, timeout: float) -> None:
        """End: what waits may still run for ``timeout`` seconds, then nothing more starts. Any thread, the callbacks' too."""
        deadline = Deadline(timeout)
        with self._jobs_lock:
            self._closing = True
            # A dispatcher's loop may be the very one that waits here.
            self._closed = self._closed or self._dispatcher is not None or self._thread is threading.current_thread()
            self._jobs_lock.notify_all()
        self._handed_back.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(deadline.remaining())
        with self._jobs_lock:
            self._closed = True
            if self._jobs:
                logger.info("%d events were not delivered: the client is closed", len(self._jobs))
            self._jobs.clear()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            with self._jobs_lock:
                while not self._jobs and not self._closing:
                    self._jobs_lock.wait()
                if self._closed or not self._jobs:
                    return
            if self._dispatcher is None:
                self._run_jobs(Deadline(None))
            else:
                self._hand_over(self._dispatcher)

    def _run_jobs(self, deadline: Deadline) -> int:
        with self._jobs_lock:
            if self._running:  # a callback that runs the loop it was called from
                return 0
            self._running = True
        count = 0
        try:
            while self._jobs and not deadline.expired:  # close() empties the queue
                job = self._jobs.popleft()
                count += 1
                job()
        except IndexError:
            pass  # close() was quicker
        finally:
            self._running = False
        return count

    def _hand_over(self, dispatcher: Dispatcher) -> None:
        """Give the dispatcher one ``run_pending`` and wait until it has run: never two are outstanding."""
        self._handed_back.clear()
        try:
            dispatcher(self.run_pending)
        except BaseException:  # user code: whatever it raises, this thread has to go on
            if not self._dispatcher_failed:
                logger.exception("the dispatcher raised; it is tried again every %s s", RETRY_INTERVAL)
            self._dispatcher_failed = True
            with self._jobs_lock:
                if not self._closing:
                    self._jobs_lock.wait(RETRY_INTERVAL)
            return
        self._dispatcher_failed = False
        while not self._handed_back.wait(WAKE_INTERVAL):
            if self._closed:
                return
