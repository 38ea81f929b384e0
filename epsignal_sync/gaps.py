"""What is done when a device is out of reach and when it is back: its calls, who waits for them, and the event Gap.

Runs on the link thread, so it runs no user code and never blocks. Which calls are kept, lost or new is decided in
:mod:`.protocol.gap`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .call_changes import CallChanges
from .device import Device
from .errors import DetachedError
from .events import Gap
from .postbox import Postbox
from .protocol.calls import Change
from .protocol.gap import STALE_TIME, Told
from .timers import Timers

if TYPE_CHECKING:
    from .client import Client


class Gaps:
    """The gaps of the devices of one connection."""

    def __init__(self, client: Client, postbox: Postbox, changes: CallChanges, timers: Timers) -> None:
        self._client = client
        self._postbox = postbox
        self._changes = changes
        self._timers = timers

    def connection_lost(self, device: Device, at: float) -> None:
        """The connection is gone; ``at``: when something was last heard of it, in Unix seconds."""
        if not device.attached and device._gap.since is None:
            return  # the app was not in its path
        self._begin(device, at, detached=False)

    def connected(self, device: Device, now: float) -> None:
        """There is a connection again: a device that does not come back on it has lost its calls."""
        if device._gap.since is not None:
            self._watch_stale(device, now)

    def detached(self, device: Device, at: float, now: float) -> None:
        """The device has unregistered."""
        if device.attached:
            self._begin(device, at, detached=True)
            self._watch_stale(device, now)
        for record in device._table.live.copy().values():
            if record.view is not None:
                record.view._interrupted(lambda: DetachedError(f"{device.hw} has unregistered, so that its calls are not known any more"))

    def attached(self, device: Device, at: float, now: float) -> None:
        """The device is registered, and the app in its path."""
        table, gap = device._table, device._gap
        is_back = gap.since is not None and not gap.settling
        told = gap.attached(at, table.resume() if gap.since is not None else (), now)
        if told is not None:
            self._tell(device, told)
        elif gap.settling:
            self._postbox.hold(device)
            assert gap.settle_at is not None
            self._timers.at(gap.settle_at, lambda now: self._settle(device, now))
        if is_back:
            for watch in device._watches:
                watch._set_up_again()

    def take(self, device: Device, change: Change, *, is_sync: bool, is_setup: bool) -> None:
        """Take what a message did while a gap settles."""
        told = device._gap.take(change, is_sync=is_sync, is_setup=is_setup)
        if told is not None:
            self._tell(device, told)

    def end_all(self, device: Device) -> None:
        """The connection does not come back: nothing will be known of its calls any more."""
        self._changes.tell_all(device, device._table.end_lost(device._table.live.copy().values(), time.time()))

    def _begin(self, device: Device, at: float, *, detached: bool) -> None:
        told = device._gap.begin(at)
        if told is not None:  # before it had settled: what is known by now
            self._tell(device, told)
        device._gap.stale_at = None
        device._table.interrupt(detached=detached)

    def _watch_stale(self, device: Device, now: float) -> None:
        device._gap.stale_at = now + STALE_TIME
        self._timers.at(device._gap.stale_at, lambda now: self._give_up(device, now))

    def _give_up(self, device: Device, now: float) -> None:
        if device._gap.stale_at is not None and now >= device._gap.stale_at:
            device._gap.stale_at = None
            stale = [record for record in device._table.live.copy().values() if record.stale]
            self._changes.tell_all(device, device._table.end_lost(stale, time.time()))

    def _settle(self, device: Device, now: float) -> None:
        gap = device._gap
        if gap.settle_at is None or now < gap.settle_at:
            return
        told = gap.settle()
        assert told is not None  # it was settling
        ended = device._table.end_lost(told.lost, time.time())
        self._tell(device, told)
        self._changes.tell_all(device, ended)

    def _tell(self, device: Device, told: Told) -> None:
        gap = Gap(
            client=self._client,
            device=device,
            from_=told.since,
            to=told.until,
            kept=tuple(map(device._view, told.kept)),
            lost=tuple(map(device._view, told.lost)),
            new=tuple(map(device._view, told.new)),
        )
        self._postbox.release(device, gap)
