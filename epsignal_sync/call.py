"""A call of a device, as the application sees it. The rules that move it stand in :mod:`.protocol.calls`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from .messages import CallState, Cause
from .messages.record import received
from .protocol.calls import CallRecord
from .registry import EventSource

if TYPE_CHECKING:
    from .device import Device


@frozen
class Party:
    """The other party of a call, as far as it is known; each part is None where it is not."""

    num: str | None = None
    """Number, with the prefixes R, S, N, I."""
    sip: str | None = None
    """SIP name."""
    name: str | None = None
    """Display name."""

    def __str__(self) -> str:
        who = self.name or self.sip
        if who and self.num:
            return f"{who} ({self.num})"
        return who or self.num or "unknown"


class Call(EventSource):
    """One call on one device. It stays readable after its end; every attribute may be read in any thread.

    Callbacks that are registered on it go when it ends.
    """

    __slots__ = ("__weakref__", "_device", "_record")

    def __init__(self, device: Device, record: CallRecord) -> None:
        super().__init__(device._registry)
        self._device = device
        self._record = record

    @property
    def id(self) -> int:
        """Its number on this device; numbers are used again after a call's end."""
        return self._record.id

    @property
    def device(self) -> Device:
        """The device whose call it is."""
        return self._device

    @property
    def incoming(self) -> bool | None:
        """True: to the device. False: from it. None: not known."""
        return self._record.incoming

    @property
    def state(self) -> CallState | str:
        """The state as the device sees it now; "null" after the end. A state of a newer PBX is a plain str."""
        return self._record.state

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self._record.ended_at is not None

    @property
    def media(self) -> bool:
        """False for a call without media, such as a phone keeps open for presence: no telephone call to a person."""
        return self._record.media

    @property
    def remote(self) -> Party:
        """The other party."""
        record = self._record
        # Overlap dialing: the number is only in the digits that were dialed.
        return Party(record.num or (record.dialed if record.incoming is False else None) or None, record.sip, record.name)

    @property
    def dialed(self) -> str:
        """The digits dialed so far; "" where they are not known."""
        return self._record.dialed

    @property
    def cause(self) -> Cause | None:
        """Why it ended or failed: the first cause that was received."""
        data = self._record.cause
        return None if data is None else received(Cause, data)

    @property
    def started_at(self) -> float:
        """When it began or was first heard of, in Unix seconds."""
        return self._record.started_at

    @property
    def connected_at(self) -> float | None:
        """When it was connected, in Unix seconds; None for a call that was not, or not while the app was attached."""
        return self._record.connected_at

    @property
    def ended_at(self) -> float | None:
        """When it ended, in Unix seconds."""
        return self._record.ended_at

    def __repr__(self) -> str:
        direction = {True: "from", False: "to", None: "with"}[self.incoming]
        return f"<Call {self.id} {direction} {self.remote}: {self.state}>"
