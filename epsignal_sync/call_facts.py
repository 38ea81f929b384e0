"""What is known of a live call: attributes to be read, in any thread. Knows nothing of sending, waiting and callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .call_attributes import CallAttributes
from .history import HistoryEntry
from .protocol.call_record import CallRecord
from .registry import EventSource

if TYPE_CHECKING:
    from .device import Device


class CallFacts(CallAttributes, EventSource):
    """The attributes of a Call. They may be read in any thread, and stay readable after its end."""

    __slots__ = ("_device", "_record")

    def __init__(self, device: Device, record: CallRecord) -> None:
        super().__init__(device._registry)
        self._device = device
        self._record = record

    @property
    def device(self) -> Device:
        """The device whose call it is."""
        return self._device

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Its last 100 signals, in order: those that were received and those that the app sent."""
        entries = self._record.history
        return tuple(
            HistoryEntry(at, to_device, kind, _text(text), verdict, tuple(map(_text, sent)))
            for at, to_device, kind, text, verdict, sent in ([] if entries is None else entries.copy())
        )


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")  # it may have been cut off within a character
