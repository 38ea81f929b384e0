"""What a connection does with each delivery of the relay: settle who waits, move devices and calls, queue events.

Runs on the link thread, so it runs no user code and never blocks; the phone's message has gone on before. The calls are
told of in :mod:`.call_changes`, losses and returns in :mod:`.gaps`.
"""

from __future__ import annotations

import logging
import time
from enum import Enum
from typing import TYPE_CHECKING

from .attaching import Attaching
from .call_changes import CallChanges
from .device import Device
from .errors import ClosedError, ConnectionLostError, EpSignalError, again
from .events import ConnectionLost, Reconnected, Reconnecting
from .gaps import Gaps
from .notes import CALLBACKS
from .postbox import Postbox
from .protocol.calls import NOTHING, Change
from .protocol.envelope import is_epsignal
from .protocol.session import Attachment
from .recording.recorder import record
from .relay.deliveries import Delivery, Late, LinkDown, LinkUp, Note, Received, Sent
from .replies import Reply
from .timers import Timers

if TYPE_CHECKING:
    from .client import Client
    from .connection import Connection


class ConnectionState(str, Enum):
    """How far a connection is."""

    NEW = "new"
    """connect() was not called yet."""
    CONNECTING = "connecting"
    """connect() is at work."""
    CONNECTED = "connected"
    """Logged in."""
    RECONNECTING = "reconnecting"
    """The connection was lost, and is being made again."""
    CLOSED = "closed"
    """The end: close() was called, or the connection is lost for good."""

    __str__ = str.__str__


class Intake:
    """The devices of one connection and what is received for them."""

    def __init__(self, client: Client, connection: Connection, postbox: Postbox) -> None:
        self._client = client
        self._connection = connection
        self._postbox = postbox
        self.timers = Timers()
        self._changes = CallChanges(postbox)
        self._gaps = Gaps(client, postbox, self._changes, self.timers)
        self._attaching = Attaching(self, postbox, self._gaps)
        self._by_src: dict[str, Device] = {}
        self.up = Reply()
        """Settled by the login, failed by its failure."""
        self.was_up = False
        """Whether a login has ever gone through."""
        self.state = ConnectionState.CONNECTING
        self.address = ""
        """Host and port of the PBX that was logged in to last."""
        self.error: EpSignalError | None = None
        """Why it ended for good."""
        self.unrouted = 0
        self.late_replies = 0
        self.reconnects = 0

    def add(self, device: Device) -> None:
        """Take on a device. Any thread."""
        self._by_src[device._attachment.src] = device

    def remove(self, device: Device) -> None:
        """Take back a device that could not be asked for, or was refused. Any thread."""
        self._by_src.pop(device._attachment.src, None)

    def forget(self, device: Device) -> None:
        """Drop a device that the PBX has refused: attach() may be called for it again. Link thread."""
        self.remove(device)
        self._client._devices.forget(device)

    def send_attach(self, device: Device) -> None:
        """Have an Attach sent again, where there is a connection. Link thread."""
        try:
            self._connection.link.inbox.attach(device._attachment)
        except EpSignalError:
            pass  # with the next connection every device is attached anyway

    @property
    def connected(self) -> bool:
        """Whether the connection is there now, and logged in. Any thread."""
        return self.state is ConnectionState.CONNECTED

    @property
    def devices(self) -> list[Device]:
        """The devices of this connection. Any thread."""
        return list(self._by_src.copy().values())

    @property
    def lost(self) -> int:
        """Messages that were dropped for the callbacks so far."""
        return self._postbox.lost

    def device_of(self, attachment: Attachment) -> Device:
        """Return the device of an attachment; raises KeyError where the PBX has refused it. Link thread."""
        return self._by_src[attachment.src]

    def deliver(self, batch: list[Delivery], now: float) -> float | None:
        """Take what the relay hands over; returns when to be called again. ``now``: the monotonic clock."""
        if self._client._recorders:
            self._record(batch)
        for item in batch:
            try:
                if isinstance(item, Received):
                    self._take_message(item, now)
                else:
                    self._take(item, now)
            except Exception as error:  # a fault here must not take the rest of the batch with it
                self._note_fault("a received message could not be handled", error)
        try:
            next_at = self.timers.run(now)
        except Exception as error:
            self._note_fault("what was due could not be done", error)
            next_at = now
        self._postbox.flush()
        if self.error is not None:
            self._client._connection_ended(self._connection, self.error)  # last: whoever sees the end finds everything queued
        return next_at

    def _record(self, batch: list[Delivery]) -> None:
        try:
            record(self._client._recorders, batch, self._connection.only_device, self.connected)
        except Exception as error:  # a recording must not keep anybody from what was received
            self._note_fault("a received message could not be recorded", error)

    def _note_fault(self, what: str, error: Exception) -> None:
        self._postbox.put_note(logging.ERROR, f"{what} ({type(error).__name__}): please report it")

    def _take(self, item: Sent | Late | Note | LinkUp | LinkDown, now: float) -> None:
        if isinstance(item, Sent):
            self._take_sent(item, now)
        elif isinstance(item, Late):
            self._take_late(item)
        elif isinstance(item, Note):
            self._postbox.put_note(item.level, item.text, item.layer)
        elif isinstance(item, LinkUp):
            self._take_up(item, now)
        else:
            self._take_down(item)

    # ------------------------------------------------------------ messages

    def _take_message(self, item: Received, now: float) -> None:
        device = None if item.attachment is None else self._by_src.get(item.attachment.src)
        kind = item.data["mt"]
        change = NOTHING if device is None else self._change(item, kind, device, now)
        wanted = self._changes.wanted(device, change)
        unrouted = device is None and is_epsignal(item.data, self._client._apis)
        if wanted:
            self._postbox.put_message(item, device, change, unrouted=unrouted)
        if unrouted:
            self._count_unrouted(kind)
        if device is None:
            return
        if change.call is not None:
            if change.call.view is not None and change.call.view._listeners:
                change.call.view._hear(item)
            self._changes.tell(device, change, wanted)
            if device._gap.settling:
                sig = item.data.get("sig")
                self._gaps.take(device, change, is_sync=kind == "Sync", is_setup=isinstance(sig, dict) and sig.get("type") == "setup")
        elif kind in ("Attached", "Detached", "AttachResult"):
            self._take_for_device(item, kind, device, now)

    def _change(self, item: Received, kind: str, device: Device, now: float) -> Change:
        """Return what a message does to the device's calls."""
        data, table = item.data, device._table
        if kind == "Signaling":
            to_device = data.get("to") is True
            change = table.receive(data.get("call"), to_device, data.get("sig"), item.received_at, now, item.text, item.verdict)
            if item.sent and change.call is not None:
                change.call.remember_sent(item.sent)
            return change
        if kind == "Sync":
            return table.sync(data.get("call"), data.get("info"), item.received_at, now)
        return NOTHING

    def _take_for_device(self, item: Received, kind: str, device: Device, now: float) -> None:
        if kind == "Attached":
            self._postbox.put_note(logging.INFO, f"attached to {device.hw}")
            device._set_attached(True)
            self._gaps.attached(device, item.received_at, now)
        elif kind == "Detached":
            self._postbox.put_note(logging.INFO, f"{device.hw} has unregistered")
            self._gaps.detached(device, item.received_at, now)
            device._set_attached(False)
        else:
            self._attaching.take_result(item, device, now)
        self._connection.standby.look(now)

    def _take_sent(self, item: Sent, now: float) -> None:
        device = self._by_src.get(item.attachment.src)
        sig = item.data.get("sig")
        if device is None or not isinstance(sig, dict):
            return
        change = device._table.sent(item.call, item.to_device, sig, item.sent_at, now, item.text, item.refused)
        if change.call is not None:
            self._changes.tell(device, change)

    def _take_late(self, item: Late) -> None:
        text, event = self._client._interceptors_at_work.late(item.held)
        if text:
            self._postbox.put_note(logging.WARNING, text, CALLBACKS)
        if self._postbox.wanted(event.device, None if event.call is None else event.call._record):
            self._postbox.put_event(event)

    def _count_unrouted(self, kind: str) -> None:
        self.unrouted += 1
        if self.unrouted == 1:
            self._postbox.put_note(logging.WARNING, f"the PBX sent a {kind[:40]!r} for no device that is known here")

    # ------------------------------------------------------------ the connection

    def _take_up(self, item: LinkUp, now: float) -> None:
        again_up, self.was_up = self.was_up, True
        self.state = ConnectionState.CONNECTED
        self.address = item.address
        for device in self.devices:
            device._asked = True  # with the login each is attached
            self._gaps.connected(device, now)
        self._connection.standby.look(now)
        if again_up:
            self.reconnects += 1
            self._attaching.watch_reconnect(self.reconnects, now)
            self._postbox.put_note(logging.WARNING, f"connected again to {item.address}")
            self._postbox.put_event(
                Reconnected(client=self._client, device=self._connection.only_device, address=item.address)
            )
        self.up.settle()

    def _take_down(self, down: LinkDown) -> None:
        was_up = self.connected
        error, client = down.error, self._client
        final = down.retry_in is None
        self.state = ConnectionState.CLOSED if final else ConnectionState.RECONNECTING
        self.up.fail(lambda: again(error))
        for device in self.devices:
            if was_up:
                self._gaps.connection_lost(device, time.time() if down.heard_at is None else down.heard_at)
            device._set_attached(False)
        self._fail_waiting(error, final)
        self._connection.standby.look(time.monotonic())
        if (was_up or (final and self.was_up)) and not isinstance(error, ClosedError):
            coming = "it is not made again" if final else f"connecting again in {down.retry_in:.1f} s"
            self._postbox.put_note(logging.WARNING, f"{error}; {coming}")
            self._postbox.put_event(ConnectionLost(client=client, device=self._connection.only_device, error=error))
        for device in self.devices:
            self._changes.tell_all(device, device._table.end_own(time.time()))
            if final and not isinstance(error, ClosedError):
                self._gaps.end_all(device)
        if final:
            self.error = error
        else:
            assert down.retry_in is not None
            if not was_up:
                self._postbox.put_note(logging.INFO, f"connecting again in {down.retry_in:.1f} s (attempt {down.attempt}): {error}")
            self._postbox.put_event(
                Reconnecting(
                    client=client, device=self._connection.only_device, delay=down.retry_in, attempt=down.attempt, error=error
                )
            )

    def _fail_waiting(self, error: EpSignalError, final: bool) -> None:
        """Fail whoever waits for something on this connection; nobody new can, where it does not come back."""
        replies = self._connection.replies
        if final:
            replies.end(lambda: again(error))
            return

        def lost() -> ConnectionLostError:
            return ConnectionLostError(f"the connection was lost while this was waited for; it is being made again ({error})")

        replies.fail(lost)
        for device in self.devices:
            if device._result is None:
                # The Attach is sent again, and attach() may be called again to wait for it. Who asked before may not wait yet.
                answer, device._answer = device._answer, Reply()
                answer.fail(lost)
