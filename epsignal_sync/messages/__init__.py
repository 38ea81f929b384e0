"""What can be said: the messages, as attrs classes. Knows nothing of sockets, threads or call states.

A class is named as the message on the wire, in CamelCase (``call_proc`` is CallProc); an attribute as the field, in
snake_case, with ``_`` behind a Python keyword (``in_``). Three signals collide with other names: InfoSignal,
FacilitySignal, ChannelsSignal.
"""

from .appwebsocket import (
    AppChallenge,
    AppChallengeResult,
    AppInfo,
    AppInfoResult,
    AppLogin,
    AppLoginResult,
    CheckBuild,
    CheckBuildResult,
    KeepAlive,
    Message,
    PbxInfo,
    UnknownMessage,
)
from .causes import CAUSE_TEXTS, cause_text
from .epsignal import (
    Attach,
    Attached,
    AttachResult,
    CallState,
    Detached,
    EpSignalMessage,
    Info,
    Remote,
    Signaling,
    Sync,
)
from .facilities import Facility, NameIdentification, UnknownFacility
from .media import Channels, ChannelsCmd, Coder, Ice, IceCandidate, MediaChannel, MediaSource, SetupRole, SrtpKey
from .record import Record
from .signals import (
    EP,
    Alert,
    CallProc,
    Cause,
    Conn,
    Disc,
    FacilitySignal,
    InfoSignal,
    Progress,
    Rel,
    Setup,
    SetupAck,
    Signal,
    UnknownSignal,
)

__all__ = [
    "CAUSE_TEXTS", "EP", "Alert", "AppChallenge", "AppChallengeResult", "AppInfo", "AppInfoResult", "AppLogin", "AppLoginResult",
    "Attach", "AttachResult", "Attached", "CallProc", "CallState", "Cause", "Channels", "ChannelsCmd", "CheckBuild",
    "CheckBuildResult", "Coder", "Conn", "Detached", "Disc", "EpSignalMessage", "Facility", "FacilitySignal", "Ice", "IceCandidate",
    "Info", "InfoSignal", "KeepAlive",
    "MediaChannel", "MediaSource", "Message", "NameIdentification",
    "PbxInfo", "Progress", "Record", "Rel", "Remote", "Setup", "SetupAck", "SetupRole",
    "Signal", "Signaling", "SrtpKey", "Sync", "UnknownFacility",
    "UnknownMessage", "UnknownSignal", "cause_text",
]
