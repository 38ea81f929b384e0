"""Supplementary services: the objects of a signal's ``fty``. Knows nothing of the signals that carry them."""

from .base import Facility, UnknownFacility
from .diversion import (
    DiversionCalldeflection,
    DiversionCallreroute,
    DiversionEntry,
    DiversionInterrogate,
    DiversionInterrogateResult,
    DiversionProcedure,
    DivertingLeg1,
    DivertingLeg2,
    DivertingLeg3,
    DivertingLeg4,
)
from .hold import HoldNotify, RemoteHold, RemoteHoldResult, RemoteRetrieve, RemoteRetrieveResult, RetrieveNotify
from .im import ImMessage, ImSetup
from .mwi import MwiActivate, MwiDeactivate, MwiInterrogate, MwiInterrogateResult
from .other import CallWaiting, CliOverride, CoAlerting, InnovaphoneRemoteControl, NameIdentification, RemoteControl
from .park import CpGroupIndicationOff, CpGroupIndicationOn, CpPark, CpPickExe, CpPickReq
from .presence import (
    DialogInfoSubscribe,
    PresenceActivity,
    PresenceContact,
    PresenceNotify,
    PresencePublish,
    PresenceStatus,
    PresenceSubscribe,
)
from .transfer import CtComplete, CtIdentify, CtIdentifyResult, CtInitiate, CtInitiateResult, CtSetup, CtSetupResult

__all__ = [
    "CallWaiting", "CliOverride", "CoAlerting", "CpGroupIndicationOff", "CpGroupIndicationOn", "CpPark", "CpPickExe",
    "CpPickReq", "CtComplete", "CtIdentify", "CtIdentifyResult", "CtInitiate", "CtInitiateResult", "CtSetup", "CtSetupResult",
    "DialogInfoSubscribe", "DiversionCalldeflection", "DiversionCallreroute", "DiversionEntry", "DiversionInterrogate",
    "DiversionInterrogateResult", "DiversionProcedure", "DivertingLeg1", "DivertingLeg2", "DivertingLeg3", "DivertingLeg4",
    "Facility", "HoldNotify", "ImMessage", "ImSetup", "InnovaphoneRemoteControl", "MwiActivate", "MwiDeactivate",
    "MwiInterrogate", "MwiInterrogateResult", "NameIdentification", "PresenceActivity", "PresenceContact", "PresenceNotify",
    "PresencePublish", "PresenceStatus", "PresenceSubscribe", "RemoteControl", "RemoteHold", "RemoteHoldResult",
    "RemoteRetrieve", "RemoteRetrieveResult", "RetrieveNotify", "UnknownFacility",
]
