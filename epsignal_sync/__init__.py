"""Sit in the signaling path of an innovaphone phone: a synchronous, threaded client for the EpSignal API."""

from .bridging import Bridge, bridge
from .call import Call, Party
from .client import Client
from .connecting import connect
from .device import Device
from .errors import (
    AttachError,
    CallEndedError,
    CallError,
    ClosedError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeout,
    DetachedError,
    EpSignalError,
    LoginError,
    RecordingError,
    ReplyTimeout,
    UsageError,
)
from .events import (
    CallbackFailed,
    CallEnded,
    CallStarted,
    CallStateChanged,
    ConnectionLost,
    Event,
    EventsLost,
    FacilityEvent,
    Gap,
    InterceptorLate,
    MessageEvent,
    ReceivedEvent,
    Reconnected,
    Reconnecting,
    SignalEvent,
    Unrouted,
    WatchLost,
    WatchRestored,
)
from .history import HistoryEntry
from .intake import ConnectionState
from .interceptors import DROP, Drop, Verdict, refuse
from .manual_dispatcher import ManualDispatcher
from .messages import CallState
from .ready_made import block_callers, rename_caller, rewrite_called
from .recording import RecordedCall, RecordedEvent, RecordedMessage, Recorder, Recording
from .registry import Interceptor, Subscription
from .stats import Stats
from .verbs.outcome import Outcome
from .verbs.watches import Watch

__version__ = "0.1.0"

__all__ = [
    "DROP", "AttachError", "Bridge", "Call", "CallEnded", "CallEndedError", "CallError", "CallStarted", "CallState", "CallStateChanged",
    "CallbackFailed", "Client", "ClosedError", "ConnectError", "ConnectTimeout", "ConnectionLost", "ConnectionLostError",
    "ConnectionState", "DetachedError", "Device", "Drop", "EpSignalError", "Event", "EventsLost", "FacilityEvent", "Gap",
    "HistoryEntry", "Interceptor", "InterceptorLate", "LoginError", "ManualDispatcher", "MessageEvent", "Outcome", "Party", "ReceivedEvent",
    "Reconnected", "Reconnecting", "RecordedCall", "RecordedEvent", "RecordedMessage", "Recorder", "Recording", "RecordingError",
    "ReplyTimeout", "SignalEvent", "Stats", "Subscription", "Unrouted", "UsageError", "Verdict", "Watch", "WatchLost", "WatchRestored",
    "block_callers", "bridge", "connect", "refuse", "rename_caller", "rewrite_called",
]  # fmt: skip
