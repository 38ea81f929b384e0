"""The messages of the EpSignal API (protocol page, section 2). Knows what they are, not when they may be sent."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field, frozen

from .appwebsocket import Message
from .record import SECRET, Record, WireEnum, wire
from .signals import F, Signal


class CallState(WireEnum):
    """The state of a call as its device sees it, spelled as on the wire."""

    NULL = "null"
    """Idle; a call that has ended."""
    SETUP = "setup"
    """The call was initiated."""
    SETUP_ACK = "setup-ack"
    """Initiated, more digits may be needed."""
    CALL_PROC = "call-proc"
    """Dialing complete."""
    ALERT = "alert"
    """The called party is ringing."""
    CONNECTED = "connected"
    """Connected."""
    DISCONNECTED = "disconnected"
    """The remote party hung up."""
    DISCONNECTING = "disconnecting"
    """The local device hung up."""
    PARKED = "parked"
    """Parked."""


@frozen(kw_only=True, repr=False, eq=False)
class EpSignalMessage(Message):
    """Base class of the messages of the EpSignal API."""


@frozen(kw_only=True, repr=False, eq=False)
class Attach(EpSignalMessage):
    """The app asks to be put into the signaling path of a device."""

    wire_name: ClassVar[str] = "Attach"

    hw: str | None = None
    """Hardware id: the name with which the device registers, often its MAC address."""


@frozen(kw_only=True, repr=False, eq=False)
class AttachResult(EpSignalMessage):
    """The PBX's answer to Attach."""

    wire_name: ClassVar[str] = "AttachResult"

    err: Any = None
    """Present where the PBX refused; any JSON value."""
    stun: str | None = None
    """STUN servers as received: addresses or names, separated by ``;``. See stun_servers."""
    turn: str | None = None
    """TURN servers as received: addresses or names, separated by ``;``. See turn_servers."""
    turn_usr: str | None = field(default=None, metadata=wire("turnUsr"))
    """User name for the TURN servers."""
    turn_pwd: str | None = field(default=None, metadata=wire("turnPwd", **SECRET))
    """Password for the TURN servers; masked in repr and logs."""
    prefix_intl: str | None = field(default=None, metadata=wire("prefixIntl"))
    """Digits to dial before an international number, the trunk prefix included."""
    prefix_ntl: str | None = field(default=None, metadata=wire("prefixNtl"))
    """Digits to dial before a national number, the trunk prefix included."""
    prefix_subs: str | None = field(default=None, metadata=wire("prefixSubs"))
    """Digits to dial before a subscriber number, the trunk prefix included."""
    area: str | None = None
    """Area code of the device's location."""
    country: str | None = None
    """Country code of the device's location."""
    max_intern: int | None = field(default=None, metadata=wire("maxIntern"))
    """Number of digits up to which a number counts as internal."""
    tones: int | None = None
    """Which country's call progress tones are to be used."""

    @property
    def stun_servers(self) -> tuple[str, ...]:
        """The STUN servers one by one; empty where none were given."""
        return split_servers(self.stun)

    @property
    def turn_servers(self) -> tuple[str, ...]:
        """The TURN servers one by one; empty where none were given."""
        return split_servers(self.turn)


def split_servers(text: str | None) -> tuple[str, ...]:
    """Split a list of servers at ``;``, leaving out what is empty."""
    return tuple(part.strip() for part in (text or "").split(";") if part.strip())


@frozen(kw_only=True, repr=False, eq=False)
class Attached(EpSignalMessage):
    """The device is registered and the app is in its signaling path from now on."""

    wire_name: ClassVar[str] = "Attached"


@frozen(kw_only=True, repr=False, eq=False)
class Detached(EpSignalMessage):
    """The device unregistered; Attached follows when it registers again."""

    wire_name: ClassVar[str] = "Detached"


@frozen(kw_only=True, repr=False, eq=False)
class Remote(Record):
    """The other party of a call."""

    num: str | None = None
    """Number."""
    sip: str | None = None
    """SIP name."""
    dn: str | None = None
    """Display name."""


@frozen(kw_only=True, repr=False, eq=False)
class Info(Record):
    """What a Sync says of a call."""

    channel: int | None = None
    """0: no media; -1: VoIP call with media; else an ISDN channel."""
    in_: bool | None = field(default=None, metadata=wire("in"))
    """True: a call to the device."""
    state: CallState | str | None = None
    """State of the call; a state of a newer PBX stays a plain str."""
    remote: Remote | None = None
    """The other party."""


@frozen(kw_only=True, repr=False, eq=False)
class Sync(EpSignalMessage):
    """One call that existed when the app came into the path; one Sync for each."""

    wire_name: ClassVar[str] = "Sync"

    call: int | None = None
    """Id of the call on this device."""
    info: Info | None = None
    """What the PBX knows of the call."""


@frozen(kw_only=True, repr=False, eq=False)
class Signaling(EpSignalMessage):
    """One signaling message of one call, from or to the device."""

    wire_name: ClassVar[str] = "Signaling"

    to: bool | None = None
    """True: towards the device. Not set: towards the PBX."""
    call: int | None = None
    """Id of the call on this device, the same in both directions."""
    sig: Signal | None = None
    """The signaling message."""

    def find(self, kind: type[F]) -> F | None:
        """Return the first facility of a class in the signaling message, or None. Does not block; any thread."""
        return None if self.sig is None else self.sig.find(kind)
