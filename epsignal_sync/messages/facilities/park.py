"""Call park and pick-up, and the dialog information of others' calls (H.450.5, the ``cp_*`` facilities)."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen

from ..endpoint import EP
from ..record import HEX, UNSIGNED, wire
from .base import Facility


@frozen(kw_only=True, repr=False, eq=False)
class CpPark(Facility):
    """Parks a call."""

    wire_name: ClassVar[str] = "cp_park"

    parking: EP | None = None
    """Who parks it."""
    parked: EP | None = None
    """Whose call is parked."""
    parked_to: EP | None = None
    """Where it is parked."""
    park_position: int | None = field(default=None, metadata=UNSIGNED)
    """Position at that place, an unsigned integer."""


@frozen(kw_only=True, repr=False, eq=False)
class CpGroupIndicationOn(Facility):
    """Tells of a call of somebody that is watched."""

    wire_name: ClassVar[str] = "cp_group_indication_on"

    call_id: str | None = field(default=None, metadata=wire("callId", **HEX))
    """H.323 call id, hex; a pick-up names the call by it."""
    member: EP | None = None
    """Who is watched."""
    parked_calling: EP | None = None
    """The calling or parked party."""
    parked_to_alerting: EP | None = None
    """The party that rings, or where the call is parked."""
    parked_to_alerting_ext: EP | None = None
    """The same, further described."""
    park_position: int | None = field(default=None, metadata=UNSIGNED)
    """Position at the park place, an unsigned integer."""
    inbound_call: bool | None = None
    """True: the call came to the watched party."""
    duration: int | None = field(default=None, metadata=UNSIGNED)
    """How long the call has lasted, in seconds."""
    name_id_calling: str | None = None
    """Display name of the calling party."""
    name_id_alerting: str | None = None
    """Display name of the party that rings."""
    sig_call_state: int | None = field(default=None, metadata=UNSIGNED)
    """State of the call: 0 init, 1 setup, 2 setup-ack, 3 call-proc, 4 alert, 5 conn, 6 disc sent, 7 disc received,
    8 parked; plus 128 to the watched user, 256 on hold, 512 held by the peer, 1024 waiting (as the RCC API counts)."""


@frozen(kw_only=True, repr=False, eq=False)
class CpGroupIndicationOff(Facility):
    """The call that a CpGroupIndicationOn told of is over."""

    wire_name: ClassVar[str] = "cp_group_indication_off"

    call_id: str | None = field(default=None, metadata=wire("callId", **HEX))
    """H.323 call id, hex."""
    member: EP | None = None
    """Who is watched."""
    clear_all: bool | None = None
    """True: all calls of that party are over."""


@frozen(kw_only=True, repr=False, eq=False)
class CpPickReq(Facility):
    """Asks to pick up a call."""

    wire_name: ClassVar[str] = "cp_pick_req"

    call_id: str | None = field(default=None, metadata=wire("callId", **HEX))
    """H.323 call id of the call, hex."""
    picking: EP | None = None
    """Who picks it up."""
    parked_calling: EP | None = None
    """The calling or parked party."""
    parked_to_alerting: EP | None = None
    """The party that rings, or where the call is parked."""
    park_position: int | None = field(default=None, metadata=UNSIGNED)
    """Position at the park place, an unsigned integer."""


@frozen(kw_only=True, repr=False, eq=False)
class CpPickExe(Facility):
    """Marks the setup with which a picked call arrives."""

    wire_name: ClassVar[str] = "cp_pick_exe"

    call_id: str | None = field(default=None, metadata=wire("callId", **HEX))
    """H.323 call id of the picked call, hex; matches that of the CpPickReq."""
    picking: EP | None = None
    """Who picks it up."""
    parked_calling: EP | None = None
    """The calling or parked party."""
