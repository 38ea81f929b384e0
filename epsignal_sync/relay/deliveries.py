"""What the relay hands outward: plain data. Knows nothing of who takes it."""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

from ..errors import EpSignalError
from ..protocol.lanes import Held
from ..protocol.session import Attachment
from .counting import Latencies, TypeCounts


@define(eq=False)
class Received:
    """One received message, after it went on.

    ``verdict`` is what became of it: "forwarded", "changed" or "dropped" (by the application, which was asked first;
    also what comes of a call that only one side knows), "bypassed" (forwarded, since the application still had another
    question before it), "own" (of a call that this process started), or None: it was not forwarded. ``received_at`` is
    in Unix seconds.
    """

    text: bytes = field(repr=False)
    data: dict[str, Any] = field(repr=False)
    attachment: Attachment | None
    verdict: str | None
    received_at: float
    number: int = 0
    """How many messages had come through this link, itself included."""
    sent: tuple[bytes, ...] = field(default=(), repr=False)
    """What went on instead, where the verdict is "changed"."""


@define(eq=False)
class Sent:
    """A signaling message of the application that was put on its way. ``data`` is the whole message as a JSON object."""

    attachment: Attachment
    call: int
    to_device: bool
    data: dict[str, Any] = field(repr=False)
    text: bytes = field(repr=False)
    sent_at: float = 0.0
    """Unix seconds; set when it is put on its way."""
    refused: bool = False
    """Whether it is the rel for a setup that an interceptor refused."""


@frozen(eq=False)
class Late:
    """A message went on as it came, since the application had not answered in time."""

    held: Held


@frozen
class LinkUp:
    """The login is through, at the PBX with this address."""

    address: str


@frozen
class LinkDown:
    """The connection is gone, or could not be made."""

    error: EpSignalError
    retry_in: float | None
    """Seconds after which it is tried again; None: this was the last delivery."""
    attempt: int
    """Which attempt in a row that will be."""
    heard_at: float | None
    """When something last came on it, in Unix seconds; None: it was never logged in."""


@frozen
class Note:
    """Something for the log. The link thread writes none itself: a log that blocks must not stop a phone's signaling."""

    level: int
    """As in the module logging."""
    text: str
    layer: str = "relay"
    """Whose note it is: the logger's name below ``epsignal_sync``."""


Delivery = Received | Sent | Late | LinkUp | LinkDown | Note


@define
class Counters:
    """What passed through one link, in messages; it goes on counting from one connection to the next."""

    received: int = 0
    sent: int = 0
    forwarded: int = 0
    own: int = 0
    changed: int = 0
    dropped: int = 0
    bypassed: int = 0
    late: int = 0
    lost: int = 0
    malformed: int = 0
    delivery_failures: int = 0
    relayed_types: TypeCounts = field(factory=TypeCounts, eq=False)
    """What was received and went on at once, so that it counts both ways."""
    received_types: TypeCounts = field(factory=TypeCounts, eq=False)
    """What else was received."""
    sent_types: TypeCounts = field(factory=TypeCounts, eq=False)
    """What else was sent."""
    latencies: Latencies = field(factory=Latencies, eq=False)
    """From reading a message to the moment when the system had taken the last byte of what was forwarded."""
