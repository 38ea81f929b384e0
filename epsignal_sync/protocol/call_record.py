"""What is known of one call, and how it is read from received JSON. Plain data: what a message does stands in :mod:`.calls`.

Values from the network are taken as they are and checked here: nothing raises for hostile input.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..messages import CallState

# Python 3.11 runs a function of its own to look a member up in its class: too long for the forwarding path.
NULL, CONNECTED, PARKED = CallState.NULL, CallState.CONNECTED, CallState.PARKED

TO_DEVICE, FROM_DEVICE = True, False
"""The two directions of a message."""

LONGEST_HISTORY = 100
"""Signals that a call remembers."""
LONGEST_TEXT = 4096
"""Bytes of a signal that are remembered of it."""
LONGEST_NAME = 256
"""Characters that are kept of a number, a name or an id; all real ones are much shorter."""

JSONObject = dict[str, Any]
PastSignal = tuple[float, bool, str, bytes, str | None, tuple[bytes, ...]]
"""One signal of a call: Unix seconds, whether towards the device, type, text, verdict, what went on instead."""


class Party(NamedTuple):
    """A party of a call, as far as it is known; each part is None where it is not."""

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


NOBODY = Party()
new_tuple = tuple.__new__
"""Makes a named tuple in about half of the time that its class takes: ``new_tuple(Party, (num, sip, name))``."""


class CallRecord:
    """What is known of one call. ``state`` is a CallState, or a plain str of a newer PBX.

    Written by one thread; each attribute is replaced as a whole, so that any thread may read it. What is not known stands
    in the class only: most calls need few of these attributes, and a new call costs little.
    """

    own: bool = False
    """Whether the application started it: its one far end is the device where it is incoming, else the PBX."""
    state: CallState | str = NULL
    channel: int | None = None
    remote: Party = NOBODY
    local: Party = NOBODY
    dialed: str = ""
    diverted_from: Party | None = None
    diverted_to: Party | None = None
    on_hold: bool = False
    held: bool = False
    conference_id: str | None = None
    cause: JSONObject | None = None
    connected_at: float | None = None
    ended_at: float | None = None
    ended_by: str | None = None
    history: list[PastSignal] | None = None
    """Allocated with its first signal: a list, since it can be copied in one step while it grows."""
    queued: bool = False
    """Whether the setup of an own call is queued: nothing may be sent in it before."""
    began: bool = False
    """Whether the setup of an own call is on its way."""
    released: frozenset[bool] = frozenset()
    """The sides that the application has released: True the device, False the PBX."""
    claimed: frozenset[bool] = frozenset()
    """The sides for which somebody has undertaken to send the rel; not used here."""
    disc: JSONObject | None = None
    """The cause of the disc that an own call got, {} without one: the application has to answer it with a rel."""
    stale: bool = False
    """Whether the call may be over without anybody having said so: the app was not in the path."""
    unchanged: Any = None
    """What is returned for a message that changes nothing that anybody is told of; not used here."""
    revived: bool = False
    """Whether a message has shown since that it lives: there may be two registrations, and the one that went was another one."""
    view: Any = None
    """The application side's object for this call; not used here."""

    def __init__(self, id: int, started_at: float, incoming: bool | None = None) -> None:
        self.id = id
        self.started_at = started_at
        self.incoming = incoming

    @property
    def media(self) -> bool:
        """Whether it is a call with media."""
        return self.channel != 0

    def remember(self, at: float, to_device: bool, kind: str, text: bytes, verdict: str | None) -> None:
        """Add a signal to the history."""
        history = self.history
        if history is None:
            history = self.history = []
        if len(text) > LONGEST_TEXT:
            text = text[:LONGEST_TEXT]
        history.append((at, to_device, kind, text, verdict, ()))
        if len(history) > LONGEST_HISTORY:
            del history[0]

    def remember_sent(self, texts: tuple[bytes, ...]) -> None:
        """Add to the last signal of the history what went on instead."""
        if self.history:
            self.history[-1] = (*self.history[-1][:5], tuple(text[:LONGEST_TEXT] for text in texts))


# ------------------------------------------------------------ received JSON


def object_in(data: JSONObject, key: str) -> JSONObject:
    """Return an inner object; {} for anything else."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def text_in(data: JSONObject, key: str) -> str | None:
    """Return an inner text, at most ``LONGEST_NAME`` of it; None for an empty one and for anything else."""
    value = data.get(key)
    return (value[:LONGEST_NAME] or None) if type(value) is str else None


def party_in(data: JSONObject, key: str, name: str | None = None) -> Party:
    """Return an inner endpoint as a party."""
    endpoint = data.get(key)
    if isinstance(endpoint, dict):
        return new_tuple(Party, (text_in(endpoint, "num"), text_in(endpoint, "sip"), name))
    return Party(None, None, name) if name else NOBODY


def channel_in(data: JSONObject) -> int | None:
    """Return the channel. Only the number 0 says "no media": false and 0.0 equal it in Python, but do not fit."""
    value = data.get("channel")
    return value if type(value) is int else None


def cause_in(data: JSONObject) -> JSONObject | None:
    """Return the cause; None for anything but an object."""
    value = data.get("cau")
    return value if isinstance(value, dict) else None
