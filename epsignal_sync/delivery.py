"""From the link thread to the callbacks: what is worth queuing, what a callback is given, and what if it raises.

:class:`Postbox` runs on the link thread and runs no user code; the jobs it makes run on the callback thread.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import notes
from .call import Call
from .device import Device
from .dispatcher import HIGH_WATER, MOST_BYTES, MOST_MESSAGES, CallbackThread, Job, MessageJob
from .events import CallbackFailed, CallEnded, Event, EventsLost, FacilityEvent, MessageEvent, ReceivedEvent, SignalEvent, Unrouted
from .messages import Facility, Message, Signal, Signaling
from .messages.record import remember_text
from .protocol.calls import CallRecord
from .protocol.codec import decode, encode
from .protocol.jsontext import dumps
from .registry import EventSource, Subscription, in_order
from .relay.deliveries import Received
from .watchdog import Run

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
        self._lost: _Lost | None = None
        self._warned = False
        self.lost = 0
        """Messages that were dropped for the callbacks so far."""

    def wanted(self, device: Device | None = None, record: CallRecord | None = None) -> bool:
        """Whether anybody could want an event of this scope: a callback is there, or one runs that may register others."""
        return bool(
            self._client._subscriptions
            or (device is not None and device._subscriptions)
            or (record is not None and record.view is not None and record.view._subscriptions)
            or self._jobs
            or self._held
            or not self._callbacks.idle
        )

    def put_message(self, received: Received, device: Device | None, call: Call | None) -> None:
        """Queue a received message; beyond the limits it is dropped for the callbacks, and EventsLost stands in its place."""
        waiting, size = self._callbacks.backlog
        waiting += self._messages + sum(held.messages for held in self._held.values())
        size += self._size + sum(held.size for held in self._held.values())
        if waiting >= MOST_MESSAGES or size >= MOST_BYTES:
            self._lose()
            return
        self._lost = None
        length = len(received.text)
        job = MessageJob(functools.partial(_run_message, self._client, device, call, received), length)
        held = self._held.get(device) if device is not None else None
        if held is not None:
            held.put(job, length)
            return
        self._messages += 1
        self._size += length
        self._jobs.append(job)

    def _lose(self) -> None:
        self.lost += 1
        if self._lost is None or not self._lost.add():
            self._lost = _Lost(self._client)
            self._jobs.append(self._lost)

    def _watch_backlog(self) -> None:
        waiting, size = self._callbacks.backlog
        high = waiting >= MOST_MESSAGES * HIGH_WATER or size >= MOST_BYTES * HIGH_WATER
        if high and not self._warned:
            text = f"callbacks are behind: {waiting} messages ({size} bytes) wait for them; see which one takes so long"
            self._callbacks.put_note(logging.WARNING, text, notes.CALLBACKS)
        self._warned = high or (self._warned and waiting > 0)

    def put_event(self, event: Event) -> None:
        """Queue an event."""
        held = self._held.get(event.device) if event.device is not None else None
        (self._jobs if held is None else held.jobs).append(functools.partial(_run_event, event))

    def hold(self, device: Device) -> None:
        """Keep what comes for a device until :meth:`release`."""
        self._held.setdefault(device, _Held())

    def release(self, device: Device, event: Event) -> None:
        """Queue an event of a device, and behind it what was kept for the device."""
        held = self._held.pop(device, None)
        self.put_event(event)
        if held is not None:
            self._jobs += held.jobs
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

    def put(self, job: MessageJob, size: int) -> None:
        """Add a message."""
        self.jobs.append(job)
        self.messages += 1
        self.size += size


class _Lost:
    """The job that tells of messages which were dropped, one after the other."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._count = 1
        self._told = False
        self._count_lock = threading.Lock()

    def add(self) -> bool:
        """Count another one; False where it has been told already. Link thread."""
        with self._count_lock:
            self._count += not self._told
            return not self._told

    def __call__(self) -> None:
        with self._count_lock:
            self._told = True
        _run_event(EventsLost(client=self._client, count=self._count))


def _run_message(client: Client, device: Device | None, call: Call | None, received: Received) -> None:
    subscriptions = in_order((client, device, call))
    if not subscriptions:
        return
    message = decode(received.data, client._apis)
    remember_text(message, received.text, received.data)
    signal = message.sig if isinstance(message, Signaling) else None
    calls: list[tuple[Subscription, Any]] = []
    for subscription in subscriptions:
        for event in events_for(subscription.kind, client, device, call, received, message, signal):
            calls.append((subscription, event))
    call_back(client, calls)


def events_for(
    kind: type,
    client: Client,
    device: Device | None,
    call: Call | None,
    received: Received,
    message: Message,
    signal: Signal | None,
) -> list[ReceivedEvent]:
    """Return the events that a callback for ``kind`` gets for one message: none, one, or one for each facility."""
    if issubclass(kind, Message):
        return [MessageEvent(client, device, call, received, message)] if isinstance(message, kind) else []
    if signal is None:
        return []
    if issubclass(kind, Signal):
        return [SignalEvent(client, device, call, received, message)] if isinstance(signal, kind) else []
    if issubclass(kind, Facility):
        facilities = [one for one in signal.fty or () if isinstance(one, kind)]
        return [FacilityEvent(client, device, call, received, message, one) for one in facilities]
    return []


def _run_event(event: Event) -> None:
    scopes: tuple[EventSource | None, ...] = (event.client, event.device, event.call)
    call_back(event.client, [(one, event) for one in in_order(scopes) if isinstance(event, one.kind)])
    if isinstance(event, CallEnded):
        event.call._drop_callbacks()


def call_back(client: Client, calls: list[tuple[Subscription, Any]]) -> None:
    """Run callbacks, each isolated from the others."""
    interrupt: KeyboardInterrupt | None = None
    for subscription, event in calls:
        if client._callbacks.closed:
            return
        if not subscription.active:
            continue
        client._callbacks.run = Run(subscription, threading.get_ident(), time.monotonic())
        try:
            subscription.callback(event)
        except BaseException as error:  # sys.exit() in a callback must not end the callbacks of everybody else
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                interrupt = error  # Ctrl-C, in a program that runs its callbacks itself: the other callbacks come first
            else:
                report_failure(client, subscription, event, error)
        finally:
            client._callbacks.run = None
    if interrupt is not None:
        raise interrupt


def report_failure(client: Client, subscription: Subscription, event: Any, error: BaseException) -> None:
    """Log what a callback raised and tell of it. Any thread; runs no user code but the log's."""
    client._count_callback_failure()
    text = f"{subscription!r} raised {type(error).__name__}; the next callback runs"
    notes.write(notes.CALLBACKS, logging.ERROR, text, error, secret=_texts_around(client, event))
    if not isinstance(event, CallbackFailed):  # one that reports failures and fails is not reported to itself
        failed = CallbackFailed(
            client=client, device=event.device, call=event.call, error=error, callback=subscription.callback, event=event
        )
        client._callbacks.put([functools.partial(_run_event, failed)])


def _texts_around(client: Client, event: Any) -> Iterator[bytes]:
    """Yield the JSON texts whose secrets a callback can have read from its event."""
    if isinstance(event, ReceivedEvent):
        yield event._received.text
    if isinstance(event, Unrouted):
        yield dumps(encode(event.message))
    if event.device is not None and event.device._result is not None:
        yield dumps(encode(event.device._result))
    if event.call is not None:
        yield from (past[3] for past in (event.call._record.history or []).copy())
    yield dumps({"password": client._credentials.password})
