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
from .protocol.calls import CallRecord
from .protocol.codec import decode, encode
from .protocol.jsontext import dumps
from .registry import EventSource, Subscription, in_order
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

    def put_message(self, received: Received, device: Device | None, call: Call | None, *, unrouted: bool = False) -> None:
        """Queue a received message; beyond the limits it is dropped for the callbacks, and EventsLost stands in its place.

        ``unrouted``: it belongs to no device that is known, so that Unrouted follows.
        """
        waiting, size = self._callbacks.backlog
        waiting += self._messages
        size += self._size
        for other in self._held.values():
            waiting += other.messages
            size += other.size
        held = self._held.get(device) if device is not None else None
        if waiting >= MOST_MESSAGES or size >= MOST_BYTES:
            self._lose(held)
            return
        job = _ReceivedJob(self._client, device, call, received, unrouted)
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
        lost = _Lost(self._client)
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
        self._put(event.device, functools.partial(_run_event, event))

    def put_job(self, device: Device, job: Job) -> None:
        """Queue what is to run in the order of a device's events."""
        self._put(device, job)

    def put_call_event(self, kind: type[Event], call: Call, **fields: Any) -> None:
        """Queue an event of a call; it is built when its turn comes, if a callback for it is there then."""
        self._put(call.device, functools.partial(_run_call_event, kind, self._client, call, fields))

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
        self.lost: _Lost | None = None

    def put(self, job: MessageJob) -> None:
        """Add a message."""
        self.lost = None
        self.jobs.append(job)
        self.messages += 1
        self.size += job.size


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


class _ReceivedJob(MessageJob):
    """The job that calls back for one received message."""

    __slots__ = ("_call", "_client", "_device", "_received", "_unrouted")

    def __init__(self, client: Client, device: Device | None, call: Call | None, received: Received, unrouted: bool) -> None:
        self._client = client
        self._device = device
        self._call = call
        self._received = received
        self._unrouted = unrouted
        self.size = len(received.text)

    def __call__(self) -> None:
        client, device, call, received = self._client, self._device, self._call, self._received
        subscriptions = in_order((client, device, call))
        if not subscriptions:
            return
        message = decode(received.data, client._apis, received.text)
        signal = message.sig if isinstance(message, Signaling) else None
        calls: list[tuple[Subscription, Any]] = []
        for subscription in subscriptions:
            for event in events_for(subscription.kind, client, device, call, received, message, signal):
                calls.append((subscription, event))
        call_back(client, calls)
        if self._unrouted:
            _run_event(Unrouted(client=client, message=message))


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
    if issubclass(kind, Signal):
        return [SignalEvent(client, device, call, received, message, signal)] if isinstance(signal, kind) else []
    if issubclass(kind, Message):
        return [MessageEvent(client, device, call, received, message, signal)] if isinstance(message, kind) else []
    if issubclass(kind, Facility) and signal is not None:
        facilities = [one for one in signal.fty or () if isinstance(one, kind)]
        return [FacilityEvent(client, device, call, received, message, signal, one) for one in facilities]
    return []


def _run_event(event: Event) -> None:
    scopes: tuple[EventSource | None, ...] = (event.client, event.device, event.call)
    call_back(event.client, [(one, event) for one in in_order(scopes) if isinstance(event, one.kind)])


def _run_call_event(kind: type[Event], client: Client, call: Call, fields: dict[str, Any]) -> None:
    subscriptions = [one for one in in_order((client, call.device, call)) if issubclass(kind, one.kind)]
    if subscriptions:
        event = kind(client=client, device=call.device, call=call, **fields)
        call_back(client, [(one, event) for one in subscriptions])
    if kind is CallEnded:
        call._drop_callbacks()


def call_back(client: Client, calls: list[tuple[Subscription, Any]]) -> None:
    """Run callbacks, each isolated from the others."""
    interrupt: KeyboardInterrupt | None = None
    callbacks, thread = client._callbacks, threading.get_ident()
    for subscription, event in calls:
        if callbacks.closed:
            return
        if not subscription.active:
            continue
        callbacks.run = (subscription, thread, time.monotonic())
        try:
            subscription.callback(event)
        except BaseException as error:  # sys.exit() in a callback must not end the callbacks of everybody else
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                interrupt = error  # Ctrl-C, in a program that runs its callbacks itself: the other callbacks come first
            else:
                report_failure(client, subscription, event, error)
        finally:
            callbacks.run = None
    if interrupt is not None:
        raise interrupt


def report_failure(client: Client, subscription: Subscription, event: Any, error: BaseException) -> None:
    """Log what a callback raised and tell of it. Any thread; runs no user code but the log's."""
    client._count_callback_failure()
    text = f"{subscription!r} raised {type(error).__name__}; the next callback runs"
    cells = client._registry.cells
    if cells is None or cells.show_failure(subscription, error, _texts_around(client, event)):
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
