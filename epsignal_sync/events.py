"""What callbacks are given: one object each, with the same names throughout. Knows nothing of threads or registration.

A received message comes as a SignalEvent, FacilityEvent or MessageEvent, depending on what was asked for; what happens
to the connection, to a call or to a callback comes as an event class of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import field, frozen

from .errors import EpSignalError, UsageError
from .messages import CallState, Facility, Message, Signal, Signaling
from .protocol.call_record import CallRecord
from .protocol.codec import decode
from .relay.deliveries import Received

if TYPE_CHECKING:
    from .call import Call
    from .client import Client
    from .device import Device
    from .verbs.watches import Watch

S_co = TypeVar("S_co", bound=Signal, covariant=True)
F_co = TypeVar("F_co", bound=Facility, covariant=True)
M_co = TypeVar("M_co", bound=Message, covariant=True)


def _kind(error: BaseException) -> str:
    return type(error).__name__


def _name(callback: Callable[..., Any] | None) -> str:
    # The repr of a callback may show what it was bound to.
    return str(getattr(callback, "__qualname__", type(callback).__name__))


class ReceivedEvent:
    """Base of the events that carry a received message. Its attributes may be read in any thread."""

    __slots__ = ("_message", "_received", "_record", "client", "device", "facility", "signal")

    def __init__(
        self,
        client: Client,
        device: Device | None,
        record: CallRecord | None,
        received: Received,
        signal: Signal | None,
        facility: Facility | None = None,
        message: Message | None = None,
    ) -> None:
        self.client = client
        """The client that received it."""
        self.device = device
        """The device it belongs to, or None."""
        self.signal: Signal | None = signal
        """The signaling message, or None if it is none."""
        self.facility: Facility | None = facility
        """The facility that was asked for, or None."""
        self._record = record
        self._received = received
        self._message = message

    @property
    def call(self) -> Call | None:
        """The call it belongs to, or None."""
        record, device = self._record, self.device
        return None if record is None or device is None else device._view(record)

    @property
    def message(self) -> Message:
        """The whole message."""
        if self._message is None:  # most callbacks look at the signal only
            self._message = decode(self._received.data, self.client._apis, self._received.text, self.signal)
        return self._message

    @property
    def to_device(self) -> bool:
        """True: it came from the PBX, towards the device. False: it came from the device."""
        return self._received.data.get("to") is True and (self.signal is not None or isinstance(self.message, Signaling))

    @property
    def received_at(self) -> float:
        """When it was received, in Unix seconds."""
        return self._received.received_at

    @property
    def raw(self) -> str:
        """The received text."""
        return self._received.text.decode("utf-8", "replace")

    @property
    def verdict(self) -> str | None:
        """What became of it.

        ``forwarded``; ``changed`` or ``dropped`` by an interceptor, the latter also where the app had ended the call on
        one side; ``bypassed``: forwarded without asking the interceptors, since one still held the device up; ``own``: of
        a call that the app started; None: not decided yet, inside an interceptor, or not forwarded.
        """
        return self._received.verdict

    def forward(self) -> None:
        """Send the received text on, where ``attach(forward=False)`` left that to the app. The first call counts.

        Does not block; any thread. Raises UsageError for what is never forwarded, ConnectionLostError, ClosedError.
        """
        if not isinstance(self.message, Signaling) or self.verdict == "own":
            raise UsageError(f"{type(self.message).__name__} is not forwarded: only the Signaling of a device's own calls is")
        self.client._forward(self._received, self.device)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, to_device={self.to_device})"


class SignalEvent(ReceivedEvent, Generic[S_co]):
    """A signaling message was received."""

    __slots__ = ()

    if TYPE_CHECKING:

        signal: S_co


class FacilityEvent(ReceivedEvent, Generic[F_co]):
    """A signaling message with a facility was received."""

    __slots__ = ()

    if TYPE_CHECKING:

        facility: F_co


class MessageEvent(ReceivedEvent, Generic[M_co]):
    """A message was received."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def message(self) -> M_co: ...


@frozen(kw_only=True)
class Event:
    """Base of what happens besides messages."""

    client: Client = field(repr=False)
    """The client it happened to."""
    device: Device | None = None
    """The device it happened to, or None."""
    call: Call | None = None
    """The call it happened to, or None."""


@frozen(kw_only=True)
class ConnectionLost(Event):
    """The connection to the PBX is gone. No device is attached until it is there again; see Reconnecting.

    Where ``client.state`` is "closed" it is not made again: after a refused login, for example.
    """

    error: EpSignalError
    """Why."""


@frozen(kw_only=True)
class Reconnecting(Event):
    """The connection is to be made again: after it was lost, and after each attempt that failed."""

    delay: float
    """Seconds until the next attempt: from 1 doubling to 32, a quarter more or less."""
    attempt: int
    """Which attempt in a row that is, from 1."""
    error: EpSignalError
    """Why there is no connection."""


@frozen(kw_only=True)
class Reconnected(Event):
    """The connection is there again, and logged in; the devices are being attached again. Callbacks are in place."""

    address: str
    """Host and port of the PBX."""


@frozen(kw_only=True)
class Gap(Event):
    """For some time the app was not in the path of a device: the connection was lost, or the device had unregistered.

    Comes after the device was attached again, before anything else of it: as soon as the PBX has named each call that
    was known, after a second at the latest. What was missed cannot be had; the calls lost end with ``ended_by`` "gap".
    """

    device: Device
    """The device."""
    from_: float
    """When it began, in Unix seconds: when something was last heard on the connection, or the device unregistered."""
    to: float
    """When the device was attached again, in Unix seconds."""
    kept: tuple[Call, ...]
    """Calls that go on; their state is what the PBX says it is now."""
    lost: tuple[Call, ...]
    """Calls that were over by then; nobody knows when and why they ended."""
    new: tuple[Call, ...]
    """Calls that began meanwhile, as far as the PBX has named them by now."""


@frozen(kw_only=True)
class CallEvent(Event):
    """Base of what happens to a call."""

    device: Device
    """The device whose call it is."""
    call: Call
    """The call."""


@frozen(kw_only=True)
class CallStarted(CallEvent):
    """A call began, or was first heard of; also one of the app, when its setup is on its way."""

    state: CallState | str
    """The state it began in."""


@frozen(kw_only=True)
class CallStateChanged(CallEvent):
    """A call changed its state."""

    state: CallState | str
    """The state at that moment; ``call.state`` may be further already."""
    previous: CallState | str
    """The state before."""


@frozen(kw_only=True)
class CallEnded(CallEvent):
    """A call is over; ``call.cause`` and ``call.ended_by`` say why. Its callbacks and interceptors go with this."""


@frozen(kw_only=True)
class WatchRestored(Event):
    """After a gap, a watch is set up again; what it tells from now on belongs to ``call``. What was missed cannot be had."""

    device: Device
    """The device on whose behalf it watches."""
    call: Call
    """The new call without media that carries it."""
    watch: Watch
    """The watch."""


@frozen(kw_only=True)
class WatchLost(Event):
    """A watch tells nothing any more: the PBX has ended it, or has refused it after a gap. After the next gap it is tried again."""

    device: Device
    """The device on whose behalf it watched."""
    watch: Watch
    """The watch."""
    error: EpSignalError
    """Why."""


@frozen(kw_only=True)
class EventsLost(Event):
    """The callbacks were so far behind that messages were dropped for them here; the phones got every one."""

    count: int
    """How many messages no callback was called for."""


@frozen(kw_only=True)
class CallbackFailed(Event):
    """A callback raised; the others ran on."""

    error: BaseException = field(repr=_kind)
    """What it raised; only its kind is shown in repr, since its text may tell a secret of the event."""
    callback: Callable[..., Any] = field(repr=_name)
    """The callback."""
    event: Any
    """What the callback was given."""


@frozen(kw_only=True)
class InterceptorLate(Event):
    """A message went on as it came, since an interceptor had not answered within its deadline; its answer is discarded."""

    device: Device
    """The device whose message it was."""
    callback: Callable[..., Any] | None = field(repr=_name)
    """The interceptor that was running; None where none had begun."""
    event: ReceivedEvent | None
    """What it was given."""
    deadline: float
    """Seconds that the message was held."""


@frozen(kw_only=True)
class Unrouted(Event):
    """A message of EpSignal came without a device that it could belong to; a Signaling was forwarded all the same."""

    message: Message
    """The message."""
