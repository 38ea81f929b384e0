"""Media negotiation: the offer or answer in a signal's ``channels``. Knows nothing of the signals that carry it."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from .record import ADDITION, HEX, SECRET, UNSIGNED, Record, WireEnum


class ChannelsCmd(WireEnum):
    """What the ``channels`` of a message are."""

    NONE = "NONE"
    """Nothing."""
    SELECT = "SELECT"
    """An answer: it picks coders from the offer."""
    PROPOSAL = "PROPOSAL"
    """An offer."""
    REQUEST = "REQUEST"
    """Asks the other side for a new offer."""
    CLOSE = "CLOSE"
    """Ends media."""


class MediaSource(WireEnum):
    """Where a media description comes from."""

    LOCAL = "LOCAL"
    REMOTE = "REMOTE"
    RELAY = "RELAY"
    H323 = "H323"
    """H.323; cannot renegotiate."""
    H323EFC = "H323EFC"
    """H.323 with extended fast connect."""
    SKINNY = "SKINNY"
    SIP = "SIP"


class SetupRole(WireEnum):
    """Who starts the DTLS handshake (RFC 4145, section 4)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


class Coder(WireEnum):
    """A media format."""

    G711A = "G711A"
    """G.711 A-law."""
    G711U = "G711u"
    """G.711 u-law."""
    G723_53 = "G723-53"
    """G.723.1 at 5.3 kbit/s."""
    G723_63 = "G723-63"
    """G.723.1 at 6.3 kbit/s."""
    G729 = "G729"
    G729A = "G729A"
    G729B = "G729B"
    G729AB = "G729AB"
    T38UDP = "T38UDP"
    """T.38 fax over UDP."""
    G722 = "G722"
    """G.722 wide band."""
    XPARENT = "XPARENT"
    """Transparent 64 kbit/s."""
    H264 = "H264"
    """H.264 video."""
    JRFB = "JRFB"
    """Application sharing."""
    OPUS_NB = "OPUS-NB"
    """Opus, narrow band."""
    OPUS_WB = "OPUS-WB"
    """Opus, wide band."""
    VPB = "VPB"


@frozen(kw_only=True, repr=False, eq=False)
class SrtpKey(Record):
    """A key for SRTP (RFC 4568)."""

    tag: int | None = field(default=None, metadata=UNSIGNED)
    """Number of the crypto attribute."""
    mode: Any = None
    """Cipher and authentication, for example ``AES128-80``."""
    mki: Any = None
    """Master key identifier."""
    mki_len: int | None = field(default=None, metadata=UNSIGNED)
    """Length of the master key identifier, in bytes."""
    b: str | None = field(default=None, metadata={**HEX, **SECRET})
    """Key and salt, hex; masked in repr and logs."""


@frozen(kw_only=True, repr=False, eq=False)
class IceCandidate(Record):
    """One ICE candidate (RFC 8445); any JSON value is taken for each field."""

    addr: Any = None
    """Address of the candidate."""
    r_addr: Any = None
    """Address of the base that it was derived from."""
    rtp: Any = None
    """RTP port."""
    rtcp: Any = None
    """RTCP port."""
    r_rtp: Any = None
    """RTP port of the base."""
    r_rtcp: Any = None
    """RTCP port of the base."""
    rtp_prio: Any = None
    """Priority for RTP."""
    rtcp_prio: Any = None
    """Priority for RTCP."""
    type: Any = None
    """0 host, 1 srflx, 2 prflx, 3 relay, or such a name."""
    foundation: Any = None
    """Foundation (RFC 8445, section 5.1.1.3)."""


@frozen(kw_only=True, repr=False, eq=False)
class Ice(Record):
    """The ICE parameters of one kind of media."""

    lite: bool | None = None
    """True: the sender only implements ICE lite."""
    fingerprint: str | None = field(default=None, metadata=HEX)
    """Fingerprint of the DTLS certificate, hex."""
    usr: str | None = None
    """ICE user name fragment."""
    pwd: str | None = field(default=None, metadata=SECRET)
    """ICE password; masked in repr and logs."""
    candidate: tuple[IceCandidate, ...] | None = None
    """The candidates."""


@frozen(kw_only=True, repr=False, eq=False)
class MediaChannel(Record):
    """One coder that is offered or chosen, and where its media go."""

    coder: Coder | str | None = None
    """The coder; a spelling of an older or newer PBX stays a plain str."""
    number: Any = None
    """Number of the coder among several of its kind."""
    xmit: int | None = field(default=None, metadata=UNSIGNED)
    """Packet size for sending, in milliseconds."""
    rate: int | None = field(default=None, metadata=UNSIGNED)
    """Sampling rate, in Hz."""
    addr: str | None = None
    """Address for RTP."""
    port: int | None = field(default=None, metadata=UNSIGNED)
    """Port for RTP."""
    mc_addr: str | None = None
    """Multicast address."""
    mc_port: int | None = field(default=None, metadata=UNSIGNED)
    """Multicast port."""
    pt: int | None = field(default=None, metadata=UNSIGNED)
    """RTP payload type (RFC 3551)."""
    flags: Any = None
    """Not documented."""
    recv: int | None = field(default=None, metadata={**UNSIGNED, **ADDITION})
    """Packet size for receiving, in milliseconds."""


@frozen(kw_only=True, repr=False, eq=False)
class Channels(Record):
    """A media offer or answer. ``source``, ``id``, ``guid`` and ``key`` belong together: pass it on untouched."""

    source: MediaSource | str | None = None
    """Where it comes from."""
    id: int | None = field(default=None, metadata=UNSIGNED)
    """Number of the description at its source."""
    guid: str | None = field(default=None, metadata=HEX)
    """GUID of the source, hex."""
    key: SrtpKey | None = None
    """Key for SRTP."""
    audio_rtcp_mux: bool | None = None
    """True: RTP and RTCP of audio share a port."""
    t38_rtcp_mux: bool | None = None
    """True: the same for T.38."""
    video_rtcp_mux: bool | None = None
    """True: the same for video."""
    collab_rtcp_mux: bool | None = None
    """True: the same for application sharing."""
    audio_setup_role: SetupRole | str | None = None
    """DTLS role for audio."""
    t38_setup_role: SetupRole | str | None = None
    """DTLS role for T.38."""
    video_setup_role: SetupRole | str | None = None
    """DTLS role for video."""
    collab_setup_role: SetupRole | str | None = None
    """DTLS role for application sharing."""
    audio_ice: Ice | None = None
    """ICE for audio."""
    t38_ice: Ice | None = None
    """ICE for T.38."""
    video_ice: Ice | None = None
    """ICE for video."""
    collab_ice: Ice | None = None
    """ICE for application sharing."""
    ch: tuple[MediaChannel, ...] | None = None
    """The coders, the preferred one first."""
