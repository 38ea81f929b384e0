"""What the relay hands outward: plain data. Knows nothing of who takes it."""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

from ..errors import EpSignalError
from ..protocol.session import Attachment


@define(eq=False)
class Received:
    """One received message, after it went on.

    ``verdict`` is what became of it: "forwarded", "own" (of a call that this process started), or None: it was not
    forwarded. ``received_at`` is in Unix seconds.
    """

    text: bytes = field(repr=False)
    data: dict[str, Any] = field(repr=False)
    attachment: Attachment | None
    verdict: str | None
    received_at: float


@frozen
class LinkUp:
    """The login is through."""


@frozen
class LinkDown:
    """The connection is gone or was never there; always the last delivery."""

    error: EpSignalError


@frozen
class Note:
    """Something for the log. The link thread writes none itself: a log that blocks must not stop a phone's signaling."""

    level: int
    """As in the module logging."""
    text: str


Delivery = Received | LinkUp | LinkDown | Note


@define
class Counters:
    """What passed through one link, in messages."""

    received: int = 0
    sent: int = 0
    forwarded: int = 0
    own: int = 0
    malformed: int = 0
    delivery_failures: int = 0
