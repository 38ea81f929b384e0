"""What is this text: to be forwarded, the app's own, or something else. Reads the envelope and nothing below it.

This is the rule that keeps a phone alive: every EpSignal Signaling message goes on, whatever is wrong with it, unless
its call was started by this very process.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Collection
from enum import Enum
from typing import Any

SMALLEST_CALL_ID = -(2**31)


class Destination(Enum):
    """Where a received message goes."""

    FORWARD = "forward"
    """Back to the PBX as it came, which is on to its other side; then to the application."""
    OWN = "own"
    """To the application only: it belongs to a call that this process started."""
    OTHER = "other"
    """To the application only: it is no signaling."""


# Python 3.11 runs a function of its own to look a member up in its class: too long for the forwarding path.
FORWARD, OWN, OTHER = Destination.FORWARD, Destination.OWN, Destination.OTHER


class OwnCallIds:
    """The ids of the calls that this process started: negative, counted down from -1, never reused.

    Any thread may call; nothing blocks.
    """

    def __init__(self) -> None:
        self._counter = itertools.count(-1, -1)
        self._lock = threading.Lock()
        self._last = 0

    def issue(self) -> int:
        """Return the next id. Raises OverflowError after 2**31 of them."""
        with self._lock:
            issued = next(self._counter)
            if issued < SMALLEST_CALL_ID:
                raise OverflowError("this process has used up its 2**31 call ids: restart it")
            self._last = issued
            return issued

    def issued(self, call: int) -> bool:
        """Whether an id was issued here. "Negative" alone is no proof: PbxSignal uses negative ids, too."""
        return self._last <= call < 0


OWN_CALL_IDS = OwnCallIds()
"""The one counter of this process (protocol page, section 2)."""


EPSIGNAL_TYPES = frozenset({"AttachResult", "Attached", "Detached", "Sync", "Signaling"})


def is_epsignal(data: dict[str, Any], apis: Collection[str]) -> bool:
    """Whether a received message belongs to the EpSignal API, and so to a device."""
    api = data.get("api")
    return api in apis if isinstance(api, str) else data.get("mt") in EPSIGNAL_TYPES


def destination(data: dict[str, Any], apis: Collection[str], own: OwnCallIds = OWN_CALL_IDS) -> Destination:
    """Return where a received message goes; ``apis`` are the names under which EpSignal is spoken here."""
    if data.get("mt") != "Signaling":
        return OTHER
    api = data.get("api")
    # Spec: an absent api counts as ours. An api that is no text cannot be another API's: forwarding is the safe side.
    if isinstance(api, str) and api not in apis:
        return OTHER
    call = data.get("call")
    if type(call) is int and call < 0 and own.issued(call):
        return OWN
    return FORWARD
