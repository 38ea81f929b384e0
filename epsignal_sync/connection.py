"""One connection of a client: what is sent on it, and where what it brings goes.

A client has one, or one for each device. Who calls what, and which devices there are, stands in :mod:`.client`; what is
received is taken in :mod:`.intake`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .deadline import Deadline
from .errors import ConnectError, UsageError
from .intake import Intake
from .messages import Message, Signal, Signaling
from .postbox import Postbox
from .protocol.codec import encode
from .protocol.jsontext import dumps
from .protocol.lanes import Held
from .protocol.session import Credentials, Session
from .recording.recorder import record_forwarded
from .relay.deliveries import Received, Sent
from .relay.link import Link, LinkSettings
from .replies import Replies
from .standby import Standby

if TYPE_CHECKING:
    from .client import Client
    from .device import Device

GRACE = 5.0
"""Seconds beyond its time-out after which whoever waits for a connection gives up on the link thread."""


def no_thread(error: RuntimeError) -> ConnectError:
    """Return what is to be raised where the system has no thread left."""
    return ConnectError(f"no thread can be started ({error}): check how many this process has")


class Connection:
    """A connection, from the first attempt on and through every loss until it has ended for good. Any thread may call it.

    Raises ConnectError where the system has no socket left for it.
    """

    def __init__(self, client: Client, settings: LinkSettings, credentials: Credentials, api: str) -> None:
        self.client = client
        self.settings = settings
        self.session = Session(credentials, api=api)
        self.replies = Replies()
        self.intake = Intake(client, self, Postbox(client, client._callbacks))
        self.standby = Standby(self, client._standby_time)
        try:
            self.link = Link(settings, self.session, self.intake.deliver, self._ask)
        except OSError as error:
            raise ConnectError(f"no socket can be made ({error.strerror or error}): check how many files this process has open") from error

    def wait_up(self) -> None:
        """Block until the login is through. Raises ConnectError, LoginError, ClosedError."""
        # The link thread keeps the time; this is for the case that it cannot.
        grace = None if self.settings.timeout is None else self.settings.timeout + GRACE
        address = self.settings.endpoints[0].address
        self.intake.up.wait(Deadline(grace), f"connecting to {address} did not end in {grace} s: is the machine busy?")

    def is_alive(self, now: float) -> bool:
        """Whether something was heard so short a time ago that the connection is known to live. ``now``: the monotonic clock."""
        carrier, heard = self.settings.carrier, self.link.last_heard
        return heard is not None and now - heard <= (carrier.ping_interval or 0) + carrier.ping_timeout

    @property
    def only_device(self) -> Device | None:
        """The device whose connection this is, where each has its own (``per_device``). Any thread."""
        devices = self.intake.devices if self.client._per_device else []
        return devices[0] if devices else None

    # ------------------------------------------------------------ sending

    def send_signaling(
        self, device: Device, signal: Signal, call: int, to_device: bool, timeout: float | None, number: int | None = None
    ) -> None:
        """Queue a signaling message; waits like :meth:`Device.send`, and raises what it raises.

        ``number``: what ``link.inbox.connection`` was when the call was looked at: on another connection it may be another call.
        """
        sent = self.sent(device, signal, call, to_device)
        self.link.inbox.send(sent.text, timeout, sent, number)

    def answer_signaling(self, device: Device, signal: Signal, call: int, to_device: bool) -> None:
        """Queue what the protocol wants to be answered. Never waits; link thread."""
        self.link.inbox.reply(self.sent(device, signal, call, to_device))

    def sent(self, device: Device, signal: Signal, call: int, to_device: bool, *, refused: bool = False) -> Sent:
        """Return a signaling message as it will be sent. Raises UsageError."""
        attachment = device._attachment
        # Spec: what the app starts carries the src of the Attach, and no "to" towards the PBX.
        message = Signaling(api=self.session.api, src=attachment.src, to=True if to_device else None, call=call, sig=signal)
        data, text = self.encoded(message)
        return Sent(attachment, call, to_device, data, text, refused=refused)

    def encoded(self, message: Message) -> tuple[dict[str, Any], bytes]:
        """Return a message as a JSON object and as text. Raises UsageError for what cannot be sent."""
        try:
            data = encode(message)
            text = dumps(data)
        except ValueError as error:
            raise UsageError(f"this message cannot be sent: {error}") from None
        most = self.settings.carrier.max_message_size
        if len(text) > most:
            raise UsageError(f"this message cannot be sent: it has {len(text)} bytes, and max_message_size= is {most}")
        return data, text

    def forward(self, received: Received) -> None:
        """Send a received message on, where the application does that; the first call counts. Does not block."""
        with self.client._registry.lock:
            if received.verdict is None and received.attachment is not None and received.attachment.forward:
                raise UsageError("an interceptor does not call forward(): it returns None to let the message go on as it came")
            if received.verdict is None:
                self.link.inbox.forward(received.text, received.number)  # may raise, and then it was not
                received.verdict = "forwarded"
                record_forwarded(self.client._recorders, received)

    def _ask(self, held: Held) -> None:
        """Have the application asked about a message. Link thread."""
        received: Received = held.item
        assert received.attachment is not None  # only what belongs to a device is held
        self.client._interceptors_at_work.ask(held, self.intake.device_of(received.attachment))
