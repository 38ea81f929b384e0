"""What has become of a device's calls while the app was not in its path (protocol page, sections 2 and 4).

A gap begins when the device or the connection is lost. After the next Attached the PBX names each call that exists with
a Sync; there is no marker for the last of them, so that a call that is not named within the settle time counts as lost.
Pure: gets what became of the call table, and the times. Knows no callback.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from attrs import define

from ..messages import CallState
from .call_record import CallRecord, Party

if TYPE_CHECKING:
    from .calls import Change

SETTLE_TIME = 1.0
"""Seconds after Attached within which the calls that still exist are to be named."""
STALE_TIME = 120.0
"""Seconds after which the calls of a device that does not come back count as lost."""


@define(eq=False)
class Told:
    """What there is to be told of one gap. Times in Unix seconds."""

    since: float
    until: float
    kept: list[CallRecord]
    lost: list[CallRecord]
    new: list[CallRecord]


class GapWatch:
    """The gap of one device, if there is one. The times to wait for are of a monotonic clock."""

    def __init__(self) -> None:
        self.since: float | None = None
        """When the gap began, in Unix seconds; None: there is none."""
        self.settle_at: float | None = None
        """When it is over at the latest; None: not attached again yet."""
        self.stale_at: float | None = None
        """When the calls count as lost; None: not while the connection itself is missing."""
        self._told: Told | None = None
        self._pending: dict[int, CallRecord] = {}

    def begin(self, at: float) -> Told | None:
        """The device or the connection is lost; returns what is to be told of a gap that is still settling."""
        told = self._finish() if self._told is not None else None
        if self.since is None:
            self.since = at
        return told

    def attached(self, at: float, calls: Iterable[CallRecord], now: float) -> Told | None:
        """The device is attached again; ``calls`` are those that were known. Returns what is to be told at once."""
        if self.since is None or self._told is not None:
            return None  # Spec: the first Attached, or a second one for a device that was there all the time, tells of no gap
        self._told = Told(self.since, at, [], [], [])
        self._pending = {call.id: call for call in calls}
        self.stale_at = None
        if not self._pending:
            return self._finish()
        self.settle_at = now + SETTLE_TIME
        return None

    @property
    def settling(self) -> bool:
        """Whether the Syncs are being waited for."""
        return self._told is not None

    def take(self, change: Change, *, is_sync: bool, is_setup: bool) -> Told | None:
        """Take what a message did; returns what is to be told where it was the last that was waited for."""
        told, record = self._told, change.call
        if told is None or record is None:
            return None
        if change.replaced is not None and self._pending.get(record.id) is change.replaced:
            del self._pending[record.id]
            told.lost.append(change.replaced)
        if self._pending.get(record.id) is record and (is_sync or change.ended):
            del self._pending[record.id]
            if not change.ended:
                told.kept.append(record)
        elif change.started and not is_setup and not change.ended:
            told.new.append(record)
        return None if self._pending else self._finish()

    def settle(self) -> Told | None:
        """The time is over; returns what is to be told. What was not named is lost, and to be ended."""
        if self._told is None:
            return None
        self._told.lost += self._pending.values()
        return self._finish()

    def _finish(self) -> Told | None:
        told, self._told = self._told, None
        self.since = self.settle_at = None
        self._pending = {}
        return told


def is_same_call(record: CallRecord, incoming: object, remote: Party, channel: int | None) -> bool:
    """Whether what a Sync says can be the call that was known by its id: direction and remote party have to agree.

    Spec: what one of the two does not tell cannot differ. A telephone call does not become one without media. The display
    name is not looked at, since it may come later, nor are the letters in front of a number, which tell how it is to be read.
    """
    if isinstance(incoming, bool) and record.incoming is not None and incoming is not record.incoming:
        return False
    if channel is not None and record.channel is not None and (channel == 0) is not (record.channel == 0):
        return False
    if record.state is CallState.SETUP_ACK and not record.incoming:
        return True  # it was still being dialed: the number may have grown
    old = record.remote
    known = []
    if old.num and remote.num:
        known.append(old.num.lstrip("RSNI") == remote.num.lstrip("RSNI"))
    if old.sip and remote.sip:
        known.append(old.sip == remote.sip)
    return any(known) or not known
