"""Telling of what becomes of calls: first whoever waits for it, then, where it is wanted, the callbacks.

Runs on the link thread, so it runs no user code and never blocks. What a message does to a call stands in
:mod:`.protocol.calls`.
"""

from __future__ import annotations

from collections.abc import Iterable

from .call import Call
from .device import Device
from .errors import EpSignalError
from .postbox import Postbox
from .protocol.calls import CallRecord, Change


class CallChanges:
    """Tells the application of the calls of one connection."""

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox

    def wanted(self, device: Device | None, change: Change) -> bool:
        """Whether anybody could want to hear of a change."""
        return self._postbox.wanted(device, change.call) or (change.replaced is not None and self._postbox.wanted(device, change.replaced))

    def tell(self, device: Device, change: Change, queued: bool | None = None) -> None:
        """Tell of a change. ``queued``: whether its message has been queued and the change with it, None: it has no message."""
        record = change.call
        assert record is not None  # there is no change without a call
        if change is record.unchanged:
            return
        if queued is None and change.tells and self.wanted(device, change):
            self._postbox.put_change(device, change)
            queued = True
        if change.replaced is not None:
            self._end(change.replaced, queued)
        call: Call | None = record.view
        if call is not None:
            for _, state in change.moves:
                call._reached(state)
        if change.ended:
            self._end(record, queued)
        elif record.disc is not None:
            _answer_disc(device._view(record))

    def tell_all(self, device: Device, changes: Iterable[Change]) -> None:
        """Tell of several changes."""
        for change in changes:
            self.tell(device, change)

    @staticmethod
    def _end(record: CallRecord, queued: bool | None) -> None:
        call: Call | None = record.view
        if call is None:
            return  # nobody has ever seen it
        call._over()
        if not queued:
            call._drop_callbacks()  # else they go when the events are through


def _answer_disc(call: Call) -> None:
    try:
        call._answer_disc()
    except EpSignalError:
        pass  # the connection has ended, and the call with it
