"""What the client does with each delivery of the relay: settle who waits, move devices and calls, queue events.

Runs on the link thread, so it runs no user code and never blocks; the phone's message has gone on before.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from .delivery import Postbox
from .device import Device
from .errors import AttachError, ClosedError, EpSignalError, again
from .events import CallEnded, CallStarted, CallStateChanged, ConnectionLost, Unrouted
from .messages import AttachResult
from .messages.record import received as record_of
from .messages.record import remember_text, shown
from .protocol.calls import Change
from .protocol.codec import decode
from .protocol.envelope import is_epsignal
from .relay.deliveries import Delivery, LinkDown, LinkUp, Note, Received
from .replies import Replies, Reply

if TYPE_CHECKING:
    from .client import Client

ATTACHED_TIME = 5.0
"""Seconds after an AttachResult without an Attached in which somebody should be told."""


class Intake:
    """The devices of one client and what is received for them."""

    def __init__(self, client: Client, postbox: Postbox, replies: Replies) -> None:
        self._client = client
        self._postbox = postbox
        self._replies = replies
        self._devices_lock = threading.Lock()
        self._by_hw: dict[str, Device] = {}
        self._by_src: dict[str, Device] = {}
        self._unattached: deque[tuple[float, Device]] = deque()
        self.up = Reply()
        """Settled by the login, failed by its failure."""
        self.ended = Reply()
        self.connected = False
        self.error: EpSignalError | None = None
        self.unrouted = 0
        self.late_replies = 0

    def device_for(self, hw: str, make: Callable[[], Device]) -> tuple[Device, bool]:
        """Return the device of a hardware id and whether it is a new one. Any thread."""
        with self._devices_lock:
            device = self._by_hw.get(hw)
            if device is not None:
                return device, False
            device = self._by_hw[hw] = make()
            self._by_src[device._attachment.src] = device
            return device, True

    def deliver(self, batch: list[Delivery], now: float) -> float | None:
        """Take what the relay hands over; returns when to be called again. ``now``: the monotonic clock."""
        for item in batch:
            try:
                self._take(item, now)
            except Exception as error:  # a fault here must not take the rest of the batch with it
                self._postbox.put_note(logging.ERROR, f"a received message could not be handled ({type(error).__name__}): please report it")
        self._postbox.flush()
        if self.error is not None:
            self.ended.settle()  # last: whoever sees the end finds everything queued
        return self._check_unattached(now)

    def _take(self, item: Delivery, now: float) -> None:
        if isinstance(item, Received):
            self._take_message(item, now)
        elif isinstance(item, Note):
            self._postbox.put_note(item.level, item.text)
        elif isinstance(item, LinkUp):
            self.connected = True
            self.up.settle()
        else:
            self._take_end(item)

    # ------------------------------------------------------------ messages

    def _take_message(self, item: Received, now: float) -> None:
        device = None if item.attachment is None else self._by_src.get(item.attachment.src)
        change = Change()
        if device is not None:
            change = self._take_for_device(item, device, now)
        wanted = self._postbox.wanted(device, change.call) or (
            change.ended is not None and self._postbox.wanted(device, change.ended)
        )
        if wanted:
            call = None if device is None or change.call is None else device._view(change.call)
            self._postbox.put_message(item, device, call)
        if device is None and is_epsignal(item.data, self._client._session.apis):
            self._take_unrouted(item)
        if wanted and device is not None:
            self._put_changes(device, change)

    def _take_for_device(self, item: Received, device: Device, now: float) -> Change:
        data = item.data
        kind = data["mt"]
        if kind == "Signaling":
            return device._table.receive(data.get("call"), data.get("to") is True, data.get("sig"), item.received_at)
        if kind == "Sync":
            return device._table.sync(data.get("call"), data.get("info"), item.received_at)
        if kind == "Attached":
            self._postbox.put_note(logging.INFO, f"attached to {device.hw}")
            device._set_attached(True)
        elif kind == "Detached":
            self._postbox.put_note(logging.INFO, f"{device.hw} has unregistered")
            device._set_attached(False)
        elif kind == "AttachResult":
            self._take_attach_result(item, device, now)
        return Change()

    def _take_attach_result(self, item: Received, device: Device, now: float) -> None:
        result = record_of(AttachResult, item.data)
        err = result.err
        device._result = result
        self.late_replies += device._given_up
        if err is None:
            device._answer.settle()
            if not device.attached:
                self._unattached.append((now + ATTACHED_TIME, device))
            return
        with self._devices_lock:
            self._by_src.pop(device._attachment.src, None)
            if self._by_hw.get(device.hw) is device:
                del self._by_hw[device.hw]
        device._set_attached(False)
        hw, text = device.hw, shown(err)[:200]
        device._answer.fail(
            lambda: AttachError(
                f"the PBX refused to attach to {hw}: err is {text}; check that hw is spelled exactly as the device registers",
                hw=hw,
                err=err,
            )
        )

    def _put_changes(self, device: Device, change: Change) -> None:
        client, put = self._client, self._postbox.put_event
        if change.ended is not None and change.ended is not change.call:
            put(CallEnded(client=client, device=device, call=device._view(change.ended)))
        record = change.call
        if record is None:
            return
        call = device._view(record)
        if change.started:
            put(CallStarted(client=client, device=device, call=call, state=record.state))
        elif change.previous is not None:
            put(CallStateChanged(client=client, device=device, call=call, state=record.state, previous=change.previous))
        if change.ended is record:
            put(CallEnded(client=client, device=device, call=call))

    def _take_unrouted(self, item: Received) -> None:
        self.unrouted += 1
        if self.unrouted == 1:
            self._postbox.put_note(logging.WARNING, f"the PBX sent a {item.data['mt'][:40]!r} for no device that is known here")
        if self._postbox.wanted():
            message = decode(item.data, self._client._session.apis)
            remember_text(message, item.text, item.data)
            self._postbox.put_event(Unrouted(client=self._client, message=message))

    # ------------------------------------------------------------ time and end

    def _check_unattached(self, now: float) -> float | None:
        while self._unattached:
            at, device = self._unattached[0]
            if not device.attached and now < at:
                return at
            self._unattached.popleft()
            if not device.attached:
                text = f"the PBX took the Attach for {device.hw}, but {ATTACHED_TIME:g} s later it is not attached: {device._advice}"
                self._postbox.put_note(logging.WARNING, text)
        return None

    def _take_end(self, down: LinkDown) -> None:
        was_up, self.connected = self.connected, False
        error = self.error = down.error
        for device in list(self._by_src.values()):
            device._set_attached(False)

        self.up.fail(lambda: again(error))
        self._replies.end(lambda: again(error))
        if was_up and not isinstance(error, ClosedError):
            self._postbox.put_note(logging.WARNING, str(error))
            self._postbox.put_event(ConnectionLost(client=self._client, error=error))

