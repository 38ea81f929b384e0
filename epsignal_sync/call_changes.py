"""Telling of what becomes of calls: first whoever waits for it, then, where it is wanted, the callbacks.

Runs on the link thread, so it runs no user code and never blocks. What a message does to a call stands in
:mod:`.protocol.calls`.
"""

from __future__ import annotations

from collections.abc import Iterable

from .call import Call
from .delivery import Postbox
from .device import Device
from .errors import EpSignalError
from .events import CallEnded, CallStarted, CallStateChanged
from .messages import CallState
from .protocol.calls import CallRecord, Change


class CallChanges:
    """Tells the application of the calls of one connection."""

    def __init__(self, postbox: Postbox) -> None:
        self._postbox = postbox

    def wanted(self, device: Device | None, change: Change) -> bool:
        """Whether anybody could want to hear of a change."""
        return self._postbox.wanted(device, change.call) or (change.replaced is not None and self._postbox.wanted(device, change.replaced))

    def tell(self, device: Device, change: Change, wanted: bool | None = None) -> None:
        """Tell of a change. ``wanted``: what :meth:`wanted` said, where that is known already."""
        record = change.call
        assert record is not None  # there is no change without a call
        if change is record.unchanged:
            return
        if wanted is None:
            wanted = self.wanted(device, change)
        if change.replaced is not None:
            self._tell_end(device, change.replaced, wanted)
        call: Call | None = device._view(record) if wanted else record.view
        if call is not None:
            for _, state in change.moves:
                call._reached(state)
        if wanted and call is not None:
            self._put_moves(call, change)
        if change.ended:
            self._tell_end(device, record, wanted)
        if record.disc is not None and not change.ended:
            _answer_disc(device._view(record))

    def tell_all(self, device: Device, changes: Iterable[Change]) -> None:
        """Tell of several changes."""
        for change in changes:
            self.tell(device, change)

    def _put_moves(self, call: Call, change: Change) -> None:
        moves = change.moves
        if change.started:
            state = moves[0][1] if moves else CallState.NULL
            self._postbox.put_call_event(CallStarted, call, state=state)
            moves = () if change.ended else moves[1:]  # a setup that was dropped went nowhere
        for previous, state in moves:
            self._postbox.put_call_event(CallStateChanged, call, state=state, previous=previous)

    def _tell_end(self, device: Device, record: CallRecord, wanted: bool) -> None:
        call: Call | None = device._view(record) if wanted else record.view
        if call is None:
            return  # nobody has ever seen it
        call._over()
        if wanted:
            self._postbox.put_call_event(CallEnded, call)
        else:
            call._drop_callbacks()  # with the event they go after it


def _answer_disc(call: Call) -> None:
    try:
        call._answer_disc()
    except EpSignalError:
        pass  # the connection has ended, and the call with it
