"""The base class of the facilities, and the class of those that are not known."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from ..record import JSONObject, Record, source


@frozen(kw_only=True, repr=False, eq=False)
class Facility(Record):
    """Base class of the supplementary services."""

    # Spec: the protocol page does not spell the key that names a facility; the SDK's Signal page uses "type",
    # as for the signals themselves.
    discriminator: ClassVar[str] = "type"


@frozen(kw_only=True, repr=False, eq=False)
class UnknownFacility(Facility):
    """A facility of a type that this version does not know, or one that is no JSON object with a type."""

    type: str | None = None
    """The type as it was received."""

    @property
    def data(self) -> JSONObject:
        """A copy of the whole JSON object."""
        return dict(source(self))
