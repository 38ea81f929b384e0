"""What the client does with each delivery of the relay: settle who waits, move devices and calls, queue events.

Runs on the link thread, so it runs no user code and never blocks; the phone's message has gone on before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from .call import Call
from .delivery import Postbox
from .device import Device
from .errors import AttachError, ClosedError, EpSignalError, again
from .events import CallEnded, CallStarted, CallStateChanged, ConnectionLost, Unrouted
from .messages import AttachResult, CallState
from .messages.record import received as record_of
from .messages.record import remember_text, shown
from .notes import CALLBACKS
from .protocol.calls import NOTHING, CallRecord, Change
from .protocol.codec import decode
from .protocol.envelope import is_epsignal
from .protocol.session import Attachment
from .relay.deliveries import Delivery, Late, LinkDown, LinkUp, Note, Received, Sent
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

    @property
    def lost(self) -> int:
        """Messages that were dropped for the callbacks so far."""
        return self._postbox.lost

    def device_of(self, attachment: Attachment) -> Device:
        """Return the device of an attachment; raises KeyError where the PBX has refused it. Link thread."""
        return self._by_src[attachment.src]

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
        elif isinstance(item, Sent):
            self._take_sent(item, now)
        elif isinstance(item, Late):
            self._take_late(item)
        elif isinstance(item, Note):
            self._postbox.put_note(item.level, item.text, item.layer)
        elif isinstance(item, LinkUp):
            self.connected = True
            self.up.settle()
        else:
            self._take_end(item, now)

    # ------------------------------------------------------------ messages

    def _take_message(self, item: Received, now: float) -> None:
        device = None if item.attachment is None else self._by_src.get(item.attachment.src)
        change = NOTHING
        if device is not None:
            change = self._take_for_device(item, device, now)
        wanted = self._wanted(device, change)
        if wanted:
            call = None if device is None or change.call is None else device._view(change.call)
            self._postbox.put_message(item, device, call)
        if device is None:
            if is_epsignal(item.data, self._client._session.apis):
                self._take_unrouted(item)
        elif change.call is not None:
            self._take_change(device, change, wanted)

    def _take_for_device(self, item: Received, device: Device, now: float) -> Change:
        data, table = item.data, device._table
        kind = data["mt"]
        if kind == "Signaling":
            to_device = data.get("to") is True
            return table.receive(data.get("call"), to_device, data.get("sig"), item.received_at, now, item.text, item.verdict)
        if kind == "Sync":
            return table.sync(data.get("call"), data.get("info"), item.received_at, now)
        if kind == "Attached":
            self._postbox.put_note(logging.INFO, f"attached to {device.hw}")
            device._set_attached(True)
        elif kind == "Detached":
            self._postbox.put_note(logging.INFO, f"{device.hw} has unregistered")
            device._set_attached(False)
        elif kind == "AttachResult":
            self._take_attach_result(item, device, now)
        return NOTHING

    def _take_sent(self, item: Sent, now: float) -> None:
        device = self._by_src.get(item.attachment.src)
        sig = item.data.get("sig")
        if device is None or not isinstance(sig, dict):
            return
        change = device._table.sent(item.call, item.to_device, sig, item.sent_at, now, item.text, item.refused)
        if change.call is not None:
            self._take_change(device, change, self._wanted(device, change))

    def _take_late(self, item: Late) -> None:
        text, event = self._client._interceptors_at_work.late(item.held)
        self._postbox.put_note(logging.WARNING, text, CALLBACKS)
        if self._postbox.wanted(event.device, None if event.call is None else event.call._record):
            self._postbox.put_event(event)

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

    # ------------------------------------------------------------ calls

    def _wanted(self, device: Device | None, change: Change) -> bool:
        return self._postbox.wanted(device, change.call) or (change.replaced is not None and self._postbox.wanted(device, change.replaced))

    def _take_change(self, device: Device, change: Change, wanted: bool) -> None:
        """Tell of what has become of a call: first who waits for it, then, where it is wanted, the callbacks."""
        record = change.call
        assert record is not None  # there is no change without a call
        if change.replaced is not None:
            self._tell_end(device, change.replaced, wanted)
        call: Call | None = device._view(record) if wanted else record.view
        if call is not None:
            for _, state in change.moves:
                call._reached(state)
        if wanted and call is not None:
            self._put_moves(device, call, change)
        if change.ended:
            self._tell_end(device, record, wanted)
        if record.disc is not None and not change.ended:
            self._answer_disc(device._view(record))

    def _put_moves(self, device: Device, call: Call, change: Change) -> None:
        client, moves = self._client, change.moves
        if change.started:
            state = moves[0][1] if moves else CallState.NULL
            self._postbox.put_event(CallStarted(client=client, device=device, call=call, state=state))
            moves = () if change.ended else moves[1:]  # a setup that was dropped went nowhere
        for previous, state in moves:
            self._postbox.put_event(CallStateChanged(client=client, device=device, call=call, state=state, previous=previous))

    def _tell_end(self, device: Device, record: CallRecord, wanted: bool) -> None:
        call: Call | None = device._view(record) if wanted else record.view
        if call is None:
            return  # nobody has ever seen it
        call._over()
        if wanted:
            self._postbox.put_event(CallEnded(client=self._client, device=device, call=call))
        else:
            call._drop_callbacks()  # with the event they go after it

    def _answer_disc(self, call: Call) -> None:
        try:
            call._answer_disc()
        except EpSignalError:
            pass  # the connection has ended, and the call with it

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

    def _take_end(self, down: LinkDown, now: float) -> None:
        was_up, self.connected = self.connected, False
        error = self.error = down.error
        for device in list(self._by_src.values()):
            device._set_attached(False)

        self.up.fail(lambda: again(error))
        self._replies.end(lambda: again(error))
        if was_up and not isinstance(error, ClosedError):
            self._postbox.put_note(logging.WARNING, str(error))
            self._postbox.put_event(ConnectionLost(client=self._client, error=error))
        for device in list(self._by_src.values()):
            for change in device._table.end_own(time.time(), now):
                self._take_change(device, change, self._wanted(device, change))
