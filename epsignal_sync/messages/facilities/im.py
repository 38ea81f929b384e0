"""Instant messages."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from ..record import SECRET, UNSIGNED
from .base import Facility


@frozen(kw_only=True, repr=False, eq=False)
class ImSetup(Facility):
    """Marks the setup of a chat."""

    wire_name: ClassVar[str] = "im_setup"


@frozen(kw_only=True, repr=False, eq=False)
class ImMessage(Facility):
    """One instant message, or a part of one."""

    wire_name: ClassVar[str] = "im_message"

    sender: str | None = None
    """Who sends it."""
    sender_dn: str | None = None
    """Display name of the sender."""
    subject: str | None = field(default=None, metadata=SECRET)
    """Subject of the chat; masked in repr and logs."""
    participants: str | None = None
    """Who takes part."""
    data: str | None = field(default=None, metadata=SECRET)
    """The text; masked in repr and logs."""
    attach: str | None = field(default=None, metadata=SECRET)
    """Attachment; masked in repr and logs."""
    typing: bool | None = None
    """True: the sender is writing."""
    mime: str | None = None
    """Media type of ``data``, for example ``text/plain``."""
    more: bool | None = None
    """True: another part follows."""
    time: int | None = field(default=None, metadata=UNSIGNED)
    """When it was sent, an unsigned integer, in Unix seconds."""
