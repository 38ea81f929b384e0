"""Presence, and watching other users' calls."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from ..record import WireEnum
from .base import Facility


class PresenceStatus(WireEnum):
    """Whether somebody can be reached (RFC 3863)."""

    OPEN = "open"
    CLOSED = "closed"


class PresenceActivity(WireEnum):
    """What somebody is doing (RFC 4480); others than this stay a plain str."""

    BUSY = "busy"


class PresenceContact(WireEnum):
    """Which of several presences is meant."""

    TEL = "tel:"
    """The telephone."""
    IM = "im:"
    """Instant messages."""
    CAL = "cal:"
    """The calendar."""
    APP = "app:"
    """An app (in use on the wire, not in the public tables)."""


@frozen(kw_only=True, repr=False, eq=False)
class PresencePublish(Facility):
    """Sets the own presence."""

    wire_name: ClassVar[str] = "presence_publish"

    status: PresenceStatus | str | None = None
    """Whether the user can be reached."""
    activity: PresenceActivity | str | None = None
    """What the user is doing."""
    note: str | None = None
    """Free text."""
    contact: PresenceContact | str | None = None
    """Which presence is set."""


@frozen(kw_only=True, repr=False, eq=False)
class PresenceSubscribe(Facility):
    """Asks to be told of a user's presence; PresenceNotify follows, now and at every change."""

    wire_name: ClassVar[str] = "presence_subscribe"


@frozen(kw_only=True, repr=False, eq=False)
class PresenceNotify(Facility):
    """Tells a user's presence."""

    wire_name: ClassVar[str] = "presence_notify"

    status: PresenceStatus | str | None = None
    """Whether the user can be reached."""
    activity: PresenceActivity | str | None = None
    """What the user is doing."""
    note: str | None = None
    """Free text."""
    contact: PresenceContact | str | None = None
    """Which presence is told."""


@frozen(kw_only=True, repr=False, eq=False)
class DialogInfoSubscribe(Facility):
    """Asks to be told of a user's calls; CpGroupIndicationOn and CpGroupIndicationOff follow."""

    wire_name: ClassVar[str] = "dialog_info_subscribe"
