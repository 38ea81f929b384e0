"""Facilities that belong to no larger service: names, call waiting, remote control."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from ..record import WireEnum
from .base import Facility


class RemoteControl(WireEnum):
    """What a phone is told to do."""

    CONNECT = "CONNECT"
    """Accept the call."""
    MULTICAST = "MULTICAST"
    """Take the call as a multicast, without asking."""
    ANNOUNCE = "ANNOUNCE"
    """Take the call as an announcement, hands-free."""
    THREE_PARTY_TOGGLE = "3PTY_TOGGLE"
    """Switch the three-party conference on or off."""
    ACCEPT = "ACCEPT"
    CC_ON = "CC_ON"
    """Start call completion."""
    CC_OFF = "CC_OFF"
    """End call completion."""
    REC_ON = "REC_ON"
    """Start recording."""
    REC_OFF = "REC_OFF"
    """End recording."""
    THREE_PARTY_ON = "3PTY_ON"
    """Start a three-party conference."""
    THREE_PARTY_OFF = "3PTY_OFF"
    """End the three-party conference."""
    DTMF_DIGIT = "DTMF_DIGIT"
    """Send the DTMF digit in ``digit``."""
    ON_HOLD = "ON_HOLD"
    MIC_ON = "MIC_ON"
    """Unmute the microphone."""
    MIC_OFF = "MIC_OFF"
    """Mute the microphone."""
    HANDSET = "HANDSET"
    """Use the handset."""
    HEADSET = "HEADSET"
    """Use the headset."""
    HANDSFREE = "HANDSFREE"
    """Use loudspeaker and microphone."""
    MONITOR_ON = "MONITOR_ON"
    """Switch open listening on."""
    MONITOR_OFF = "MONITOR_OFF"
    """Switch open listening off."""
    INTRUDE_MONITOR = "INTRUDE_MONITOR"
    """Listen in to a call."""
    INTRUDE_CONFERENCE = "INTRUDE_CONFERENCE"
    """Join a call."""
    RECEIVE_ON = "RECEIVE_ON"
    """Switch receiving on."""
    RECEIVE_OFF = "RECEIVE_OFF"
    """Switch receiving off."""
    CONFERENCE_EXCLUSIVE_ON = "CONFERENCE_EXCLUSIVE_ON"
    CONFERENCE_EXCLUSIVE_OFF = "CONFERENCE_EXCLUSIVE_OFF"
    KNOCK_ON = "KNOCK_ON"
    KNOCK_OFF = "KNOCK_OFF"
    ACTIVATE_APP_HOME = "ACTIVATE_APP_HOME"
    """Show the phone's home screen."""
    ACTIVATE_APP_PHONE = "ACTIVATE_APP_PHONE"
    """Show the phone app."""
    ACTIVATE_APP_FAVS = "ACTIVATE_APP_FAVS"
    """Show the favourites."""
    ACTIVATE_APP_LIST = "ACTIVATE_APP_LIST"
    """Show the call list."""
    ACTIVATE_APP_DIR = "ACTIVATE_APP_DIR"
    """Show the directory."""
    ACTIVATE_APP_CONFIG = "ACTIVATE_APP_CONFIG"
    """Show the configuration."""
    ACTIVATE_APP_CAMERA = "ACTIVATE_APP_CAMERA"
    """Show the camera."""
    HOLD = "HOLD"
    """Put the call on hold."""
    RETRIEVE = "RETRIEVE"
    """Retrieve the call."""


@frozen(kw_only=True, repr=False, eq=False)
class NameIdentification(Facility):
    """The display name of the party that sent the message."""

    wire_name: ClassVar[str] = "name_identification"

    name: str | None = None
    """Display name."""


@frozen(kw_only=True, repr=False, eq=False)
class CallWaiting(Facility):
    """Tells that the call waits at a busy phone."""

    wire_name: ClassVar[str] = "call_waiting"


@frozen(kw_only=True, repr=False, eq=False)
class CoAlerting(Facility):
    """Call offer (H.450.10): the called party is alerting."""

    wire_name: ClassVar[str] = "co_alerting"


@frozen(kw_only=True, repr=False, eq=False)
class CliOverride(Facility):
    """Has the calling number of the setup kept as it is."""

    wire_name: ClassVar[str] = "cli_override"


@frozen(kw_only=True, repr=False, eq=False)
class InnovaphoneRemoteControl(Facility):
    """Tells a phone to do something."""

    wire_name: ClassVar[str] = "innovaphone_remote_control"

    control: RemoteControl | str | None = None
    """What to do."""
    digit: str | None = None
    """The digit for DTMF_DIGIT."""
