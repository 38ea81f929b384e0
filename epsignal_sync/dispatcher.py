"""Who wants to know what, and the thread that tells them.

One queue, one thread: callbacks run one after the other, in the order in which the messages went on. The link thread
only appends to the queue. This module knows nothing of what an event means, and nothing of the connection.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable

from . import notes
from .deadline import Deadline
from .errors import without_text
from .loop_end import LoopEnd
from .relay.inbox import WAKE_INTERVAL
from .watchdog import Run, Watchdog

SLICE = 0.010
"""Seconds for which callbacks run in a program's own loop before they let it go on."""
LONGEST_LOG = 1000
"""Notes for the log that are kept while it cannot be written; the oldest go."""
RETRY_INTERVAL = 0.5
"""Seconds after which a dispatcher that raised is tried again."""

MOST_MESSAGES = 100_000
"""Received messages that may wait for callbacks; more are dropped for the application, never for the phone."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes of their texts that may wait."""
HIGH_WATER = 0.5
"""Share of these limits at which the log is told once, until the queue has been empty again."""

LOOP_ENDED = (
    "the event loop that ran the callbacks has ended, that of a closed window for example: those that wait are not run, and no other "
    "one will be; the phones go on, and close() ends the client"
)

WATCHDOG_TIME = 0.1
"""Seconds that close() waits for the thread that watches, which a log may hold."""

Job = Callable[[], None]


class MessageJob:
    """Base of a job for one received message, of which only so many may wait. ``size``: bytes of its text."""

    __slots__ = ("size",)

    size: int

    def __call__(self) -> None:
        """Run it."""
        raise NotImplementedError


RunPending = Callable[[], int]
Dispatcher = Callable[[RunPending], object]


class CallbackThread:
    """The queue of jobs and the thread ``epsignal-callbacks`` that runs them, or has a dispatcher run them.

    A job is a callable that isolates its callbacks itself. The log's notes are written here, too, whatever a
    dispatcher does: the link thread must not wait for a log.
    """

    def __init__(self, dispatcher: Dispatcher | None) -> None:
        self._dispatcher = dispatcher
        loop_end = getattr(dispatcher, "loop_end", None)
        self._loop_end = loop_end if isinstance(loop_end, LoopEnd) else None
        self._jobs: deque[Job] = deque()
        self._notes: deque[tuple[str, int, str]] = deque(maxlen=LONGEST_LOG)
        # Re-entrant: a finalizer may put something in the middle of put().
        self._jobs_lock = threading.RLock()
        # By this the thread is woken: a Condition, which is written in Python, would take longer than most callbacks.
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._asleep = False
        # Each is written in one place, so that they need no lock: what was put, and what was taken.
        self._put_messages = self._put_bytes = 0
        self._taken_messages = self._taken_bytes = 0
        self.peak = 0
        """The most messages that ever waited."""
        self._running = False
        self._runner = 0
        self.run: Run | None = None
        """The callback that runs now; set by who runs it."""
        self.interrupt: KeyboardInterrupt | None = None
        """Ctrl-C in a callback; set by who runs it, and raised when what else belongs to its job has run."""
        self._closing = False
        self.closed = False
        """Whether no callback starts any more: close() is through, or the dispatcher's loop has ended."""
        self._handed_back = False
        """Whether the dispatcher has run what it was given."""
        self._handed_back_lock = threading.Condition()  # no Event: a signal handler's close() could not pass its lock
        self._dispatcher_failed = False
        self._watchdog = Watchdog(lambda: self.run, lambda: self.idle)
        self._thread = threading.Thread(target=self._run, name="epsignal-callbacks", daemon=True)

    def start(self) -> None:
        """Start the thread, and the one that watches it."""
        self._thread.start()
        self._watchdog.start()
        if self._loop_end is not None:
            self._loop_end.add(self)

    @property
    def idle(self) -> bool:
        """Whether no callback runs and none waits. A callback may register others for what comes after it."""
        return not self._jobs and not self._running  # in this order: a job is taken by who runs already

    @property
    def backlog(self) -> tuple[int, int]:
        """How many received messages wait for callbacks, and the bytes of their texts."""
        return self._put_messages - self._taken_messages, self._put_bytes - self._taken_bytes

    def put(self, jobs: list[Job], messages: int = 0, size: int = 0) -> None:
        """Append jobs, among them so many messages of a ``size`` in bytes. Does not block; any thread."""
        with self._jobs_lock:
            if not (self._closing or self.closed):
                self._jobs.extend(jobs)
                self._put_messages += messages
                self._put_bytes += size
                self.peak = max(self.peak, self._put_messages - self._taken_messages)
        self._wake()
        self._watchdog.wake()

    def put_note(self, level: int, text: str, layer: str = "session") -> None:
        """Have a note of a layer written to the log. Does not block; any thread."""
        with self._jobs_lock:
            if not (self._closing and self.closed):
                self._notes.append((layer, level, text))
        self._wake()

    @property
    def runs_here(self) -> bool:
        """Whether the calling thread is running callbacks at this moment: inside a callback, that is."""
        return self._running and self._runner == threading.get_ident()

    def wait_idle(self, deadline: Deadline) -> None:
        """Block until what waits now has run, or the time is over; at once inside a callback, and after close(). Any thread."""
        if self.runs_here or threading.current_thread() is self._thread:
            return
        done = threading.Event()
        self.put([done.set])
        while not (done.is_set() or self._closing or deadline.expired):
            done.wait(deadline.remaining(WAKE_INTERVAL))

    def run_pending(self) -> int:
        """Run jobs for about 10 ms and return how many; called by a dispatcher, in the thread it likes."""
        try:
            return self._run_jobs(time.monotonic() + SLICE)
        finally:
            self._hand_back()

    def abandon(self) -> None:
        """Start no callback any more: the loop that ran them has ended. What waits goes; notes are still written. Any thread."""
        with self._jobs_lock:
            if self.closed or self._closing:
                return
            self.closed = True
            self._jobs.clear()
            self._taken_messages, self._taken_bytes = self._put_messages, self._put_bytes
        self._hand_back()
        self.put_note(logging.INFO, LOOP_ENDED, notes.CALLBACKS)

    def close(self, timeout: float) -> None:
        """End: what waits may still run for ``timeout`` seconds, then nothing more starts. Any thread, the callbacks' too."""
        deadline = Deadline(timeout)
        with self._jobs_lock:
            self._closing = True
            # A dispatcher's loop may be the very one that waits here.
            self.closed = self.closed or self._dispatcher is not None or self._thread is threading.current_thread()
        self._wakes.put(None)
        self._hand_back()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(deadline.remaining())
        with self._jobs_lock:
            self.closed = True
            self._jobs.clear()
        self._watchdog.close(deadline.remaining(WATCHDOG_TIME))

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            self._sleep()
            self._write_notes()
            if not self._jobs or self.closed:
                if self._closing:
                    return
                continue
            if self._dispatcher is None:
                self._run_jobs(math.inf)
            else:
                self._hand_over(self._dispatcher)

    def _sleep(self) -> None:
        """Wait until there is something to do. It may end too early, never too late."""
        self._asleep = True  # before looking: whoever has something to do sees this, or is seen
        if not self._jobs and not self._notes and not self._closing:
            self._wakes.get()
        self._asleep = False

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            self._wakes.put(None)

    def _run_jobs(self, until: float) -> int:
        """Run jobs until there is none or the time is over, and return how many. ``until``: by the monotonic clock."""
        with self._jobs_lock:
            if self._running:  # a callback that runs the loop it was called from
                return 0
            self._running = True
            self._runner = threading.get_ident()
        count = 0
        try:
            while self._jobs and (until == math.inf or time.monotonic() < until):  # close() empties the queue
                try:
                    job = self._jobs.popleft()
                except IndexError:  # close() was quicker
                    break
                count += 1
                if isinstance(job, MessageJob):
                    self._taken_messages += 1
                    self._taken_bytes += job.size
                try:
                    job()
                except BaseException as error:  # a job isolates its callbacks itself; whatever comes through must not end them all
                    self._note_failure(error)
                if self.interrupt is not None:
                    interrupt, self.interrupt = self.interrupt, None
                    raise interrupt
                if self._notes and self._dispatcher is None:
                    self._write_notes()
        finally:
            self._running = False
        return count

    @staticmethod
    def _note_failure(error: BaseException) -> None:
        if notes.is_interrupt(error):
            raise error
        text = f"something around a callback failed ({type(error).__name__}); the next callback runs: please report it"
        notes.write(notes.CALLBACKS, logging.ERROR, text, without_text(error))

    def _write_notes(self) -> None:
        while self._notes:
            notes.write(*self._notes.popleft())

    def _hand_over(self, dispatcher: Dispatcher) -> None:
        """Give the dispatcher one ``run_pending`` and wait until it has run: never two are outstanding."""
        self._handed_back = False
        try:
            dispatcher(self.run_pending)
        except BaseException as error:  # user code: whatever it raises, this thread has to go on
            if not self._dispatcher_failed:
                text = f"the dispatcher raised; it is tried again every {RETRY_INTERVAL} s"
                notes.write(notes.CALLBACKS, logging.ERROR, text, error)
            self._dispatcher_failed = True
            pause = Deadline(RETRY_INTERVAL)
            while not self._closing and not pause.expired:
                try:
                    self._wakes.get(timeout=pause.remaining())
                except queue.Empty:
                    break
            return
        self._dispatcher_failed = False
        while not self._wait_handed_back():
            self._write_notes()
            if self._loop_end is not None:
                self._loop_end.look()

    def _wait_handed_back(self) -> bool:
        """Wait a while until the dispatcher has run what it was given; True where there is nothing to wait for any more."""
        with self._handed_back_lock:
            if not (self._closing or self._handed_back):
                self._handed_back_lock.wait(WAKE_INTERVAL)
        return self._closing or self._handed_back or self.closed

    def _hand_back(self) -> None:
        with self._handed_back_lock:
            self._handed_back = True
            self._handed_back_lock.notify_all()
