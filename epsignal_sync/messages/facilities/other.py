"""Facilities that belong to no larger service."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from .base import Facility


@frozen(kw_only=True, repr=False)
class NameIdentification(Facility):
    """The display name of the party that sent the message."""

    wire_name: ClassVar[str] = "name_identification"

    name: str | None = None
    """Display name."""
