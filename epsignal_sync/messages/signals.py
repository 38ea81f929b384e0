"""The signaling messages of a call (protocol page, section 3; names of ITU-T Q.931) and their small objects.

Knows what a message says; what it does to a call stands in :mod:`epsignal_sync.protocol.calls`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from attrs import field, frozen

from .causes import CAUSE_LOCATIONS, cause_text
from .endpoint import EP
from .facilities import Facility
from .media import Channels, ChannelsCmd
from .record import HEX, USER_TO_USER, JSONObject, Record, source, wire

F = TypeVar("F", bound=Facility)


def _facilities(value: Iterable[Facility] | None) -> tuple[Facility, ...] | None:
    # What is no collection at all is left as it is, to be refused in the same words as every other wrong type.
    return tuple(value) if isinstance(value, Iterable) else value


@frozen(kw_only=True, repr=False, eq=False)
class Cause(Record):
    """Why a call ended or failed."""

    loc: Any = None
    """Location, as in Q.850; any JSON value is taken."""
    num: Any = None
    """Q.850 cause value; a number on every PBX known, but any JSON value is taken."""

    @property
    def text(self) -> str:
        """The Q.850 name of the cause value, such as "User busy"; "" where there is no value."""
        return cause_text(self.num)

    @property
    def location(self) -> str:
        """The Q.850 name of the location, such as "User"; "" where there is none or it has no name."""
        return CAUSE_LOCATIONS.get(self.loc, "") if type(self.loc) is int else ""


@frozen(kw_only=True, repr=False, eq=False)
class Signal(Record):
    """Base class of the signaling messages."""

    discriminator: ClassVar[str] = "type"

    fty: tuple[Facility, ...] | None = field(default=None, converter=_facilities)
    """Supplementary services; taken on every type of signal."""

    def find(self, kind: type[F]) -> F | None:
        """Return the first facility of a class, or None. Does not block; any thread."""
        for one in self.fty or ():
            if isinstance(one, kind):
                return one
        return None


@frozen(kw_only=True, repr=False, eq=False)
class UnknownSignal(Signal):
    """A signaling message of a type that this version does not know."""

    type: str | None = None
    """The type as it was received."""

    @property
    def data(self) -> JSONObject:
        """A copy of the whole JSON object."""
        return dict(source(self))


@frozen(kw_only=True, repr=False, eq=False)
class Setup(Signal):
    """Starts a call."""

    wire_name: ClassVar[str] = "setup"

    bc: str | None = field(default=None, metadata=HEX)
    """Bearer capability, hex: ``8090a2`` with media, ``a880`` without."""
    cg: EP | None = None
    """Calling party."""
    cd: EP | None = None
    """Called party."""
    complete: bool | None = None
    """True: no more digits follow."""
    channel: int | None = None
    """0: no media; -1: VoIP call with media; else an ISDN channel."""
    channels_cmd: ChannelsCmd | str | None = None
    """What ``channels`` is: PROPOSAL is an offer, SELECT an answer, REQUEST asks for an offer, CLOSE ends media."""
    channels: Channels | None = None
    """The media offer or answer."""
    faststart: tuple[str, ...] | None = field(default=None, metadata=HEX)
    """H.245 fast start elements, hex each."""
    uui: str | None = field(default=None, metadata=USER_TO_USER)
    """User-to-user information, at most 128 bytes."""
    llc: str | None = field(default=None, metadata=HEX)
    """Lower layer compatibility, hex."""
    hlc: str | None = field(default=None, metadata=HEX)
    """Higher layer compatibility, hex."""
    pi: tuple[str, ...] | None = field(default=None, metadata=HEX)
    """Progress indicators, hex each."""
    conf_id: str | None = field(default=None, metadata=wire("confId", **HEX))
    """H.323 conference id, hex; the same on all legs of a call."""
    call_id: str | None = field(default=None, metadata=wire("callId", **HEX))
    """H.323 call id, hex."""
    dsp: str | None = None
    """Display text."""


@frozen(kw_only=True, repr=False, eq=False)
class _MediaSignal(Signal):
    """The fields of a message that can carry media negotiation."""

    channel: int | None = None
    """0: no media; -1: VoIP call with media; else an ISDN channel."""
    channels_cmd: ChannelsCmd | str | None = None
    """What ``channels`` is: PROPOSAL is an offer, SELECT an answer, REQUEST asks for an offer, CLOSE ends media."""
    channels: Channels | None = None
    """The media offer or answer."""
    faststart: tuple[str, ...] | None = field(default=None, metadata=HEX)
    """H.245 fast start elements, hex each."""


@frozen(kw_only=True, repr=False, eq=False)
class SetupAck(_MediaSignal):
    """Asks for more digits (overlap dialing)."""

    wire_name: ClassVar[str] = "setup_ack"

    inband_info: bool | None = None
    """True: tones are available in the media."""


@frozen(kw_only=True, repr=False, eq=False)
class InfoSignal(Signal):
    """More digits (``cd.num``), or display text while connected."""

    wire_name: ClassVar[str] = "info"

    cg: EP | None = None
    """Calling party."""
    cd: EP | None = None
    """More digits of the called party."""
    complete: bool | None = None
    """True: no more digits follow."""
    dsp: str | None = None
    """Display text."""


@frozen(kw_only=True, repr=False, eq=False)
class CallProc(_MediaSignal):
    """Dialing is complete."""

    wire_name: ClassVar[str] = "call_proc"

    inband_info: bool | None = None
    """True: tones are available in the media."""


@frozen(kw_only=True, repr=False, eq=False)
class Alert(_MediaSignal):
    """The called party is ringing."""

    wire_name: ClassVar[str] = "alert"

    inband_info: bool | None = None
    """True: tones are available in the media."""
    pi: tuple[str, ...] | None = field(default=None, metadata=HEX)
    """Progress indicators, hex each."""


@frozen(kw_only=True, repr=False, eq=False)
class Progress(Signal):
    """In-band tones are available; with ``cau`` the call has failed, but tones are there."""

    wire_name: ClassVar[str] = "progress"

    inband_info: bool | None = None
    """True: tones are available in the media."""
    cau: Cause | None = None
    """Why the call failed."""
    pi: tuple[str, ...] | None = field(default=None, metadata=HEX)
    """Progress indicators, hex each."""
    channels_cmd: ChannelsCmd | str | None = None
    """What ``channels`` is: PROPOSAL is an offer, SELECT an answer, REQUEST asks for an offer, CLOSE ends media."""
    channels: Channels | None = None
    """The media offer or answer."""
    faststart: tuple[str, ...] | None = field(default=None, metadata=HEX)
    """H.245 fast start elements, hex each."""


@frozen(kw_only=True, repr=False, eq=False)
class Conn(_MediaSignal):
    """The call is accepted."""

    wire_name: ClassVar[str] = "conn"

    uui: str | None = field(default=None, metadata=USER_TO_USER)
    """User-to-user information, at most 128 bytes."""
    dsp: str | None = None
    """Display text."""


@frozen(kw_only=True, repr=False, eq=False)
class Disc(Signal):
    """The end of a call that keeps its tones alive; answered with ``rel``."""

    wire_name: ClassVar[str] = "disc"

    inband_info: bool | None = None
    """True: tones are available in the media."""
    cau: Cause | None = None
    """Why the call ended."""
    pi: tuple[str, ...] | None = field(default=None, metadata=HEX)
    """Progress indicators, hex each."""
    uui: str | None = field(default=None, metadata=USER_TO_USER)
    """User-to-user information, at most 128 bytes."""
    dsp: str | None = None
    """Display text."""


@frozen(kw_only=True, repr=False, eq=False)
class Rel(Signal):
    """Ends a call at once; never answered."""

    wire_name: ClassVar[str] = "rel"

    cau: Cause | None = None
    """Why the call ended."""
    uui: str | None = field(default=None, metadata=USER_TO_USER)
    """User-to-user information, at most 128 bytes."""
    dsp: str | None = None
    """Display text."""


@frozen(kw_only=True, repr=False, eq=False)
class FacilitySignal(Signal):
    """Supplementary services alone."""

    wire_name: ClassVar[str] = "facility"


@frozen(kw_only=True, repr=False, eq=False)
class ChannelsSignal(_MediaSignal):
    """Media negotiation alone."""

    wire_name: ClassVar[str] = "channels"


@frozen(kw_only=True, repr=False, eq=False)
class UserInfo(Signal):
    """User-to-user data."""

    wire_name: ClassVar[str] = "user_info"

    uui: str | None = field(default=None, metadata=USER_TO_USER)
    """The data, at most 128 bytes."""


@frozen(kw_only=True, repr=False, eq=False)
class MediaInfo(Signal):
    """Media status; its fields are not documented: whatever comes stands in ``extra``."""

    wire_name: ClassVar[str] = "media_info"


@frozen(kw_only=True, repr=False, eq=False)
class Accept(Signal):
    """Used with some supplementary services only."""

    wire_name: ClassVar[str] = "accept"
