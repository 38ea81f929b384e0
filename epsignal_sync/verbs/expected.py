"""Which messages of a call answer what was sent: one small table row for each verb. Reads the JSON objects; knows no waiting."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from attrs import field, frozen

from ..messages import Cause, Facility, Signal, Signaling
from ..messages.record import received as record_of
from ..protocol.codec import decode
from ..relay.deliveries import Received

REFUSED = "error"
"""The key that a result carries when what was asked for failed."""


@frozen(kw_only=True)
class Found:
    """The message that was waited for."""

    signal: Signal
    """The signal."""
    facility: Facility | None
    """The facility, where one was waited for."""
    data: dict[str, Any] = field(repr=False)
    """The JSON object of the facility, or of the signal."""

    @property
    def refused(self) -> bool:
        """Whether it says that what was asked for failed."""
        # Whatever its type is: an error that does not fit is an error, too.
        return self.facility is not None and self.data.get(REFUSED) is not None

    @property
    def cause(self) -> Cause | None:
        """The Q.850 cause that stands in it."""
        number, cause = self.data.get("cause"), self.data.get("cau")
        if self.facility is None:
            return record_of(Cause, cause) if isinstance(cause, dict) else None
        return Cause(num=number) if type(number) is int else None


@frozen(kw_only=True)
class Expected:
    """What answers a verb: signals or facilities, by their names on the wire."""

    signals: frozenset[str] = frozenset()
    facilities: frozenset[str] = frozenset()

    def find(self, received: Received, to_device: bool, apis: Collection[str]) -> Found | None:
        """Return what a message in this direction has of it; of several facilities the first."""
        data = received.data
        sig = data.get("sig")
        if data.get("mt") != "Signaling" or (data.get("to") is True) is not to_device or not isinstance(sig, dict):
            return None
        facility = next((one for one in _facilities(sig) if one.get("type") in self.facilities), None)
        kind = sig.get("type")
        if facility is None and not (isinstance(kind, str) and kind in self.signals):
            return None
        message = decode(data, apis)
        if not isinstance(message, Signaling) or message.sig is None:
            return None
        if facility is None:
            return Found(signal=message.sig, facility=None, data=sig)
        typed = next((one for one in message.sig.fty or () if one.wire_name == facility["type"]), None)
        return None if typed is None else Found(signal=message.sig, facility=typed, data=facility)


def _facilities(sig: dict[str, Any]) -> list[dict[str, Any]]:
    facilities = sig.get("fty")
    # A type that is no text could not be looked up in a set.
    return [one for one in facilities if isinstance(one, dict) and isinstance(one.get("type"), str)] if isinstance(facilities, list) else []


def signals(*names: str) -> Expected:
    """Return what waits for one of some signals."""
    return Expected(signals=frozenset(names))


def facilities(*names: str) -> Expected:
    """Return what waits for one of some facilities."""
    return Expected(facilities=frozenset(names))
