"""What a callback is given, and what if it raises. Runs on the callback thread; how the jobs come there stands in :mod:`.postbox`."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import notes
from .device import Device
from .dispatcher import MessageJob
from .events import (
    CallbackFailed,
    CallEnded,
    CallEvent,
    CallStarted,
    CallStateChanged,
    Event,
    EventsLost,
    FacilityEvent,
    MessageEvent,
    ReceivedEvent,
    SignalEvent,
    Unrouted,
)
from .messages import CallState, Facility, Message, Signal
from .protocol.calls import CallRecord, Change
from .protocol.codec import decode, decode_signal, encode
from .protocol.jsontext import dumps
from .registry import Subscription, in_order
from .relay.deliveries import Received

if TYPE_CHECKING:
    from .client import Client


class Lost:
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
        run_event(EventsLost(client=self._client, count=self._count))


class ReceivedJob(MessageJob):
    """The job that calls back for one received message, and then for what it did to its call."""

    __slots__ = ("_change", "_client", "_device", "_received", "_unrouted")

    def __init__(self, client: Client, device: Device | None, change: Change, received: Received, unrouted: bool) -> None:
        self._client = client
        self._device = device
        self._change = change
        self._received = received
        self._unrouted = unrouted
        self.size = len(received.text)

    def __call__(self) -> None:
        client, device, change, received = self._client, self._device, self._change, self._received
        record = change.call
        subscriptions = in_order(client, device, None if record is None else record.view)
        signal = decode_signal(received.data, client._apis, received.text) if subscriptions else None
        calls: list[tuple[Subscription, Any]] = []
        for one in subscriptions:
            if one.for_messages:
                for event in events_for(one.kind, client, device, record, received, signal):
                    calls.append((one, event))
        if calls:
            call_back(client, calls)
        if self._unrouted:
            run_event(Unrouted(client=client, message=decode(received.data, client._apis, received.text)))
        if device is not None and change.tells:
            run_change(client, device, change)


def events_for(
    kind: type,
    client: Client,
    device: Device | None,
    record: CallRecord | None,
    received: Received,
    signal: Signal | None,
    message: Message | None = None,
) -> list[ReceivedEvent]:
    """Return the events that a callback for ``kind`` gets for one message: none, one, or one for each facility.

    ``message``: what is to be shown instead of the received one.
    """
    if issubclass(kind, Signal):
        return [SignalEvent(client, device, record, received, signal, None, message)] if isinstance(signal, kind) else []
    if issubclass(kind, Message):
        event: MessageEvent[Any] = MessageEvent(client, device, record, received, signal, None, message)
        return [event] if isinstance(event.message, kind) else []
    if issubclass(kind, Facility) and signal is not None:
        facilities = [one for one in signal.fty or () if isinstance(one, kind)]
        return [FacilityEvent(client, device, record, received, signal, one, message) for one in facilities]
    return []


def run_event(event: Event) -> None:
    """Call back for an event."""
    call_back(event.client, [(one, event) for one in in_order(event.client, event.device, event.call) if isinstance(event, one.kind)])


def run_change(client: Client, device: Device, change: Change) -> None:
    """Call back for what became of a call: the end of the one that it replaces, its beginning, its states, its end."""
    record, moves = change.call, change.moves
    assert record is not None  # there is no change without a call
    asked_for = client._registry.events_asked_for
    if change.replaced is not None:
        _run_call_ended(client, device, change.replaced)
    if change.started and asked_for:
        _run_call_event(CallStarted, client, device, record, state=moves[0][1] if moves else CallState.NULL)
        moves = () if change.ended else moves[1:]  # a setup that was dropped went nowhere
    for previous, state in moves if asked_for else ():
        _run_call_event(CallStateChanged, client, device, record, state=state, previous=previous)
    if change.ended:
        _run_call_ended(client, device, record)


def _run_call_ended(client: Client, device: Device, record: CallRecord) -> None:
    if client._registry.events_asked_for:
        _run_call_event(CallEnded, client, device, record)
    if record.view is not None:
        record.view._drop_callbacks()


def _run_call_event(kind: type[CallEvent], client: Client, device: Device, record: CallRecord, **fields: Any) -> None:
    """Call back for an event of a call; it is built only where a callback for it is there."""
    found = [one for one in in_order(client, device, record.view) if issubclass(kind, one.kind)]
    if found:
        event = kind(client=client, device=device, call=device._view(record), **fields)
        call_back(client, [(one, event) for one in found])


def call_back(client: Client, calls: list[tuple[Subscription, Any]]) -> None:
    """Run callbacks, each isolated from the others."""
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
                callbacks.interrupt = error  # Ctrl-C, in a program that runs its callbacks itself: the other callbacks come first
            else:
                report_failure(client, subscription, event, error)
        finally:
            callbacks.run = None


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
        client._callbacks.put([functools.partial(run_event, failed)])


def _texts_around(client: Client, event: Any) -> Iterator[bytes]:
    """Yield the JSON texts whose secrets a callback can have read from its event."""
    if isinstance(event, ReceivedEvent):
        yield event._received.text
    if isinstance(event, Unrouted):
        yield dumps(encode(event.message))
    if event.device is not None and event.device._result is not None:
        yield dumps(encode(event.device._result))
    if event.call is not None:
        for past in (event.call._record.history or []).copy():
            yield from (past[3], *past[5])
    yield dumps({"password": client._credentials.password})
