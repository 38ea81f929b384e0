"""Message waiting (H.450.7, the ``mwi_*`` facilities)."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field, frozen

from ..endpoint import EP
from ..record import UNSIGNED
from .base import Facility


@frozen(kw_only=True, repr=False, eq=False)
class MwiActivate(Facility):
    """Messages are waiting."""

    wire_name: ClassVar[str] = "mwi_activate"

    served_user: EP | None = None
    """For whom."""
    message_center: EP | None = None
    """Where they can be heard."""
    originating_user: EP | None = None
    """Who left the message."""
    time: str | None = None
    """When it was left, as the message center writes it."""
    service: int | None = field(default=None, metadata=UNSIGNED)
    """Kind of message: the H.450.7 basic service, an unsigned integer."""
    number: int | None = field(default=None, metadata=UNSIGNED)
    """How many messages wait, an unsigned integer."""
    priority: Any = None
    """Priority; any JSON value is taken."""


@frozen(kw_only=True, repr=False, eq=False)
class MwiDeactivate(Facility):
    """No messages are waiting any more."""

    wire_name: ClassVar[str] = "mwi_deactivate"

    served_user: EP | None = None
    """For whom."""
    message_center: EP | None = None
    """Which message center."""
    service: int | None = field(default=None, metadata=UNSIGNED)
    """Kind of message: the H.450.7 basic service, an unsigned integer."""
    call_back: int | None = field(default=None, metadata=UNSIGNED)
    """Call back request, an unsigned integer."""


@frozen(kw_only=True, repr=False, eq=False)
class MwiInterrogate(Facility):
    """Asks whether messages are waiting."""

    wire_name: ClassVar[str] = "mwi_interrogate"

    served_user: EP | None = None
    """For whom."""
    message_center: EP | None = None
    """Which message center."""
    service: int | None = field(default=None, metadata=UNSIGNED)
    """Kind of message: the H.450.7 basic service, an unsigned integer."""
    call_back: int | None = field(default=None, metadata=UNSIGNED)
    """Call back request, an unsigned integer."""


@frozen(kw_only=True, repr=False, eq=False)
class MwiInterrogateResult(Facility):
    """The answer to MwiInterrogate."""

    wire_name: ClassVar[str] = "mwi_interrogate_result"

    sub: MwiActivate | None = None
    """What is waiting."""
