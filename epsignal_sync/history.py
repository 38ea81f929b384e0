"""What a call remembers of its signals, as the application sees it. Plain data."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class HistoryEntry:
    """One signal of a call: received, or sent by the app."""

    at: float
    """When it was received, or put on its way, in Unix seconds."""
    to_device: bool
    """True: towards the device. False: towards the PBX."""
    type: str
    """Its type, such as "setup"."""
    text: str = field(repr=False)
    """The JSON text of the whole message; what is longer than 4096 bytes is cut off."""
    verdict: str | None
    """What became of it, as in ``event.verdict`` at that time; "own" also stands at everything that the app sent."""
    sent: tuple[str, ...] = field(default=(), repr=False)
    """The JSON texts of what went on instead, where an interceptor changed it; each cut off as ``text`` is."""
