"""From the link thread to the callbacks: what is worth queuing, in which order, and how much of it at the most.

Runs on the link thread and runs no user code. What the jobs do when their turn comes stands in :mod:`.delivery`.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from . import notes
from .delivery import Lost, ReceivedJob, run_change, run_event
from .device import Device
from .dispatcher import HIGH_WATER, MOST_BYTES, MOST_MESSAGES, CallbackThread, Job, MessageJob
from .events import Event
from .protocol.calls import CallRecord, Change
from .relay.deliveries import Received

if TYPE_CHECKING:
    from .client import Client


class Postbox:
    """Collects the jobs of one batch, so that the callback thread is woken once for it. Link thread."""

    def __init__(self, client: Client, callbacks: CallbackThread) -> None:
        self._client = client
        self._callbacks = callbacks
        self._jobs: list[Job] = []
        self._messages = self._size = 0
        """What of the jobs are messages, and the bytes of their texts."""
        self._held: dict[Device, _Held] = {}
        self._lost: Lost | None = None
        self._warned = False
        self.lost = 0
        """Messages that were dropped for the callbacks so far."""

    def wanted(self, device: Device | None = None, record: CallRecord | None = None) -> bool:
        """Whether anybody could want an event of this scope: a callback is there, or one runs that may register others."""
        return bool(
            self._client._subscriptions  # the usual case, and the quickest
            or self._jobs
            or self._held
            or not self._callbacks.idle
            # Only now, and once more: the last callback that ran may have registered some meanwhile.
            or self._client._subscriptions
            or (device is not None and device._subscriptions)
            or (record is not None and record.view is not None and record.view._subscriptions)
        )

    def put_message(self, received: Received, device: Device | None, change: Change, *, unrouted: bool = False) -> None:
        """Queue a received message, and what it did to its call, if anything.

        Beyond the limits the message is dropped for the callbacks, and EventsLost stands in its place. ``unrouted``: it
        belongs to no device that is known, so that Unrouted follows.
        """
        waiting, size = self._callbacks.backlog
        waiting += self._messages
        size += self._size
        held = None
        if self._held:
            for other in self._held.values():
                waiting += other.messages
                size += other.size
            held = self._held.get(device) if device is not None else None
        if waiting >= MOST_MESSAGES or size >= MOST_BYTES:
            self._lose(held)
            if device is not None and change.tells:
                self.put_change(device, change)
            return
        job = ReceivedJob(self._client, device, change, received, unrouted)
        if held is not None:
            held.put(job)
            return
        self._lost = None
        self._messages += 1
        self._size += job.size
        self._jobs.append(job)

    def _lose(self, held: _Held | None) -> None:
        """Drop a message; what tells of it stands where the message would."""
        self.lost += 1
        before = self._lost if held is None else held.lost
        if before is not None and before.add():
            return
        lost = Lost(self._client)
        if held is None:
            self._lost = lost
            self._jobs.append(lost)
        else:
            held.lost = lost
            held.jobs.append(lost)

    def _watch_backlog(self) -> None:
        waiting, size = self._callbacks.backlog
        high = waiting >= MOST_MESSAGES * HIGH_WATER or size >= MOST_BYTES * HIGH_WATER
        if high and not self._warned:
            text = f"callbacks are behind: {waiting} messages ({size} bytes) wait for them; see which one takes so long"
            self._callbacks.put_note(logging.WARNING, text, notes.CALLBACKS)
        self._warned = high or (self._warned and waiting > 0)

    def put_event(self, event: Event) -> None:
        """Queue an event."""
        self._put(event.device, functools.partial(run_event, event))

    def put_job(self, device: Device, job: Job) -> None:
        """Queue what is to run in the order of a device's events."""
        self._put(device, job)

    def put_change(self, device: Device, change: Change) -> None:
        """Queue what became of a call."""
        self._put(device, functools.partial(run_change, self._client, device, change))

    def _put(self, device: Device | None, job: Job) -> None:
        held = self._held.get(device) if device is not None else None
        (self._jobs if held is None else held.jobs).append(job)

    def hold(self, device: Device) -> None:
        """Keep what comes for a device until :meth:`release`."""
        self._held.setdefault(device, _Held())

    def release(self, device: Device, event: Event) -> None:
        """Queue an event of a device, and behind it what was kept for the device."""
        held = self._held.pop(device, None)
        self.put_event(event)
        if held is not None:
            self._jobs += held.jobs
            if held.jobs:
                self._lost = held.lost  # one from before stands in front of these
            self._messages += held.messages
            self._size += held.size

    def put_note(self, level: int, text: str, layer: str = "session") -> None:
        """Have a note of a layer written to the log."""
        self._callbacks.put_note(level, text, layer)

    def flush(self) -> None:
        """Hand the queued jobs over."""
        if self._jobs:
            jobs, self._jobs = self._jobs, []
            self._callbacks.put(jobs, self._messages, self._size)
            self._messages = self._size = 0
            self._watch_backlog()


class _Held:
    """The jobs of one device that are kept, and what of them are messages."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.messages = self.size = 0
        self.lost: Lost | None = None

    def put(self, job: MessageJob) -> None:
        """Add a message."""
        self.lost = None
        self.jobs.append(job)
        self.messages += 1
        self.size += job.size
