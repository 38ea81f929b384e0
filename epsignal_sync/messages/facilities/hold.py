"""Call hold (H.450.4): near-end notices and remote hold."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from .base import Facility


@frozen(kw_only=True, repr=False, eq=False)
class HoldNotify(Facility):
    """From the device: it has put the call on hold. Towards it: it is held by the other party."""

    wire_name: ClassVar[str] = "hold_notify"


@frozen(kw_only=True, repr=False, eq=False)
class RetrieveNotify(Facility):
    """The end of what HoldNotify told."""

    wire_name: ClassVar[str] = "retrieve_notify"


@frozen(kw_only=True, repr=False, eq=False)
class RemoteHold(Facility):
    """Asks the other side to hold the call."""

    wire_name: ClassVar[str] = "remote_hold"


@frozen(kw_only=True, repr=False, eq=False)
class RemoteHoldResult(Facility):
    """The answer to RemoteHold."""

    wire_name: ClassVar[str] = "remote_hold_result"


@frozen(kw_only=True, repr=False, eq=False)
class RemoteRetrieve(Facility):
    """Asks the other side to retrieve the call."""

    wire_name: ClassVar[str] = "remote_retrieve"


@frozen(kw_only=True, repr=False, eq=False)
class RemoteRetrieveResult(Facility):
    """The answer to RemoteRetrieve."""

    wire_name: ClassVar[str] = "remote_retrieve_result"
