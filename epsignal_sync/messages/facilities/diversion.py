"""Call diversion (H.450.3, the ``diversion_*`` and ``diverting_leg*`` facilities)."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field, frozen

from ..endpoint import EP
from ..record import UNSIGNED, Record, WireEnum
from .base import Facility


class DiversionProcedure(WireEnum):
    """When calls are diverted."""

    ALWAYS = "ALWAYS"
    """Unconditionally."""
    BUSY = "BUSY"
    """When busy."""
    NO_ANSWER = "NO_ANSWER"
    """When not answered."""


@frozen(kw_only=True, repr=False, eq=False)
class DiversionEntry(Record):
    """One diversion that is set."""

    procedure: DiversionProcedure | str | None = None
    """When it diverts."""
    remote_enabled: bool | None = None
    """True: it was switched on from elsewhere."""
    served: EP | None = None
    """Whose calls it diverts."""
    diverted_to: EP | None = None
    """Where they go."""


@frozen(kw_only=True, repr=False, eq=False)
class DiversionInterrogate(Facility):
    """Asks which diversions of one kind are set."""

    wire_name: ClassVar[str] = "diversion_interrogate"

    procedure: DiversionProcedure | str | None = None
    """The kind that is asked for."""
    served: EP | None = None
    """Whose diversions."""
    interrogating: EP | None = None
    """Who asks."""


@frozen(kw_only=True, repr=False, eq=False)
class DiversionInterrogateResult(Facility):
    """The answer to DiversionInterrogate."""

    wire_name: ClassVar[str] = "diversion_interrogate_result"

    procedure: DiversionProcedure | str | None = None
    """The kind that was asked for."""
    error: Any = None
    """Present where it could not be answered; any JSON value is taken."""
    num: int | None = field(default=None, metadata=UNSIGNED)
    """Number of entries, an unsigned integer."""
    list: tuple[DiversionEntry, ...] | None = None
    """The diversions that are set."""


@frozen(kw_only=True, repr=False, eq=False)
class DiversionCallreroute(Facility):
    """Has a call sent elsewhere before it is answered."""

    wire_name: ClassVar[str] = "diversion_callreroute"

    last_rerouting: EP | None = None
    """Who diverted it last."""
    called: EP | None = None
    """Where it is to go."""
    calling: EP | None = None
    """Who calls."""
    served: EP | None = None
    """Whose call is diverted."""
    reason: DiversionProcedure | str | None = None
    """Why it is diverted."""


@frozen(kw_only=True, repr=False, eq=False)
class DiversionCalldeflection(Facility):
    """Call deflection; the public documentation gives it no fields."""

    wire_name: ClassVar[str] = "diversion_calldeflection"


@frozen(kw_only=True, repr=False, eq=False)
class DivertingLeg1(Facility):
    """Tells the caller that the call is being diverted."""

    wire_name: ClassVar[str] = "diverting_leg1"

    reason: DiversionProcedure | str | None = None
    """Why it is diverted."""
    nominated: EP | None = None
    """Where it goes."""
    redirecting: EP | None = None
    """Who diverted it."""


@frozen(kw_only=True, repr=False, eq=False)
class DivertingLeg2(Facility):
    """Tells the party that a call is diverted to where it comes from."""

    wire_name: ClassVar[str] = "diverting_leg2"

    diverting: EP | None = None
    """Who diverted it."""
    original_called: EP | None = None
    """Who was called first."""
    diverting_name: str | None = None
    """Display name of who diverted it."""
    original_called_name: str | None = None
    """Display name of who was called first."""


@frozen(kw_only=True, repr=False, eq=False)
class DivertingLeg3(Facility):
    """Tells the caller where the diverted call has arrived."""

    wire_name: ClassVar[str] = "diverting_leg3"

    redirection: EP | None = None
    """Where it has arrived."""


@frozen(kw_only=True, repr=False, eq=False)
class DivertingLeg4(Facility):
    """Tells that a call was diverted at the far end of a network."""

    wire_name: ClassVar[str] = "diverting_leg4"

    reason: DiversionProcedure | str | None = None
    """Why it is diverted."""
    nominated: EP | None = None
    """Where it goes."""
    redirecting: EP | None = None
    """Who diverted it."""
