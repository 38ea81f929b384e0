"""Messages for a call table, one after the other."""

from __future__ import annotations

import json
from typing import Any

from epsignal_sync.protocol.calls import CallRecord, CallTable, Change
from epsignal_sync.protocol.envelope import OwnCallIds

TO, FROM = True, False
"""Towards the device, from the device."""
STARTED = 1000.0
"""Unix seconds of the first message; each takes one."""


class Steps:
    """A table, and the messages that it is given for the call with id 3, where no other is named."""

    def __init__(self, *messages: tuple[bool, str], **setup: Any) -> None:
        self.ids = OwnCallIds()
        self.table = CallTable(self.ids)
        self.now = STARTED
        self.monotonic = 50.0
        for to_device, kind in messages:
            change = self.receive(to_device, kind, **(setup if kind == "setup" else {}))
            assert change.call is not None
            self.call: CallRecord = change.call
            """The call of these messages."""

    def receive(self, to_device: bool, sig: Any, call: Any = 3, *, verdict: str | None = "forwarded", **fields: Any) -> Change:
        """Receive a signal, or one of a type with these fields."""
        if isinstance(sig, str):
            sig = {"type": sig, **fields}
        self._pass(1)
        return self.table.receive(call, to_device, sig, self.now - 1, self.monotonic, json.dumps(sig).encode(), verdict)

    def send(self, to_device: bool, kind: str, call: int = 3, *, refused: bool = False, **fields: Any) -> Change:
        """Send a signal of the app."""
        sig = {"type": kind, **fields}
        self._pass(1)
        return self.table.sent(call, to_device, sig, self.now - 1, self.monotonic, json.dumps(sig).encode(), refused)

    def sync(self, info: Any, call: Any = 3) -> Change:
        """Receive a Sync."""
        self._pass(1)
        return self.table.sync(call, info, self.now - 1, self.monotonic)

    def start_own(self, to_device: bool, **fields: Any) -> CallRecord:
        """Start a call of the app, up to its setup being sent."""
        call_id = self.ids.issue()
        self.call = self.table.begin_own(call_id, to_device, {"type": "setup", **fields}, self.now)
        change = self.send(to_device, "setup", call_id, **fields)
        assert change.started and change.call is self.call
        return self.call

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic += seconds


def moves(change: Change) -> list[tuple[str, str]]:
    """Return how the state of a call changed."""
    return [(str(before), str(after)) for before, after in change.moves]
