"""A connection to a PBX, as the application sees it: connect, attach, wait, close.

What is received is taken in :mod:`.intake`, on the link thread; here are the calls that the application makes.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from .deadline import Deadline
from .delivery import Postbox
from .device import Device
from .dispatcher import CallbackThread, Dispatcher, ManualDispatcher
from .errors import ClosedError, ConnectError, EpSignalError, ReplyTimeout, UsageError, again
from .intake import Intake
from .interceptors import Interceptors
from .messages import AppLogin, Message, Signal, Signaling
from .options import MEBIBYTE, check_sizes, check_texts, check_times
from .protocol.codec import encode
from .protocol.digest import info_text
from .protocol.jsontext import dumps
from .protocol.session import Attachment, Credentials, Session
from .registry import EventSource, Registry
from .relay.deliveries import Received, Sent
from .relay.endpoint import TLSSettings, parse_url
from .relay.inbox import WAKE_INTERVAL
from .relay.link import Link, LinkSettings
from .replies import Replies
from .stats import Stats

CLOSE_TIME = 1.8
"""Seconds that close() takes at the most, as long as the machine lets it."""
DRAIN_TIME = 0.5
"""Seconds of that in which callbacks for what came before may still run."""
GRACE = 5.0
"""Seconds beyond its time-out after which connect() gives up on the link thread."""


class Client(EventSource):
    """One connection to one PBX, and the devices attached through it. Usually made by :func:`epsignal_sync.connect`.

    Every method may be called in any thread, callbacks included. No thread is started before :meth:`connect`.
    """

    def __init__(
        self,
        url: str,
        *,
        app: str = "",
        password: str,
        sip: str = "",
        domain: str = "",
        guid: str = "",
        dn: str = "",
        info: Mapping[str, Any] | None = None,
        api: str = "EpSignal",
        timeout: float | None = 10,
        keepalive: float | None = 60,
        ping_interval: float | None = 20,
        ping_timeout: float = 10,
        reconnect: bool = False,
        verify: bool = True,
        ca_file: str | None = None,
        fingerprint: str | None = None,
        client_certificate: str | None = None,
        client_key: str | None = None,
        dispatcher: Dispatcher | None = None,
        max_message_size: int = 16 * MEBIBYTE,
        max_outbox_size: int = 16 * MEBIBYTE,
    ) -> None:
        """Take the settings and judge them; nothing is sent and no thread started. For the options see :func:`epsignal_sync.connect`.

        Raises UsageError.
        """
        super().__init__(Registry())
        check_times(timeout=timeout, keepalive=keepalive, ping_interval=ping_interval, ping_timeout=ping_timeout)
        check_texts(app=app, password=password, sip=sip, domain=domain, guid=guid, dn=dn, api=api)
        check_sizes(max_message_size=max_message_size, max_outbox_size=max_outbox_size)
        if not (app or sip):
            raise UsageError("connect() needs app= (the Name of the App object) or sip= (a user's name)")
        if reconnect:
            raise UsageError("this version does not reconnect: leave reconnect= out, and call connect() again after ConnectionLost")
        if info is not None:
            if not isinstance(info, Mapping):
                raise UsageError(f"info= takes a dict, not a {type(info).__name__}")
            info_text(info)  # raises for what has no certain digest
        AppLogin(app=app, sip=sip, domain=domain, guid=guid, dn=dn, info=info)  # raises here rather than amid the login
        self._settings = LinkSettings(
            endpoint=parse_url(url),
            tls=TLSSettings(verify, ca_file, fingerprint, client_certificate, client_key),
            timeout=timeout,
            keepalive=keepalive,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_message_size=max_message_size,
            pause_reading_at=max_outbox_size,
        )
        credentials = Credentials(app=app, sip=sip, domain=domain, guid=guid, dn=dn, info=info, password=password)
        self._session = Session(credentials, api=api)
        self._dispatcher = dispatcher
        self._callbacks = CallbackThread(dispatcher)
        self._replies = Replies()
        self._interceptors_at_work = Interceptors(self)
        self._registry.asking = self._interceptors_at_work
        self._intake = Intake(self, Postbox(self, self._callbacks), self._replies)
        self._link: Link | None = None
        self._source_numbers = itertools.count(1)
        self._close_lock = threading.RLock()  # a signal handler may call close() in the middle of connect()
        self._closed = False
        self._callback_failures = 0

    # ------------------------------------------------------------ connecting and closing

    def connect(self) -> None:
        """Connect and log in; blocks at most for the ``timeout`` given. Once for each client.

        Raises ConnectError (ConnectTimeout in time-outs), LoginError with the PBX's reason, ClosedError where close()
        was called meanwhile, UsageError for a second call. Nothing is left behind when it raises.
        """
        with self._close_lock:
            if self._closed:
                raise ClosedError("the client was closed")
            if self._link is not None:
                raise UsageError("connect() was called already: make a new client")
            self._start()
        up = self._intake.up
        try:
            # The link thread keeps the time; this is for the case that it cannot.
            grace = None if self._settings.timeout is None else self._settings.timeout + GRACE
            up.wait(Deadline(grace), f"connecting to {self._settings.endpoint.address} did not end in {grace} s: is the machine busy?")
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        try:
            link = Link(self._settings, self._session, self._intake.deliver, self._interceptors_at_work.ask)
        except OSError as error:
            raise ConnectError(f"no socket can be made ({error.strerror or error}): check how many files this process has open") from error
        try:
            self._callbacks.start()
            link.start()
            self._interceptors_at_work.start_worker()
        except RuntimeError as error:
            link.abandon()
            self._callbacks.close(DRAIN_TIME)
            raise ConnectError(f"no thread can be started ({error}): check how many this process has") from error
        self._link = link

    def close(self) -> None:
        """Send what waits, log off and end every thread; blocks for 2 s at the most. Idempotent; any thread, callbacks included.

        Callbacks for what came before may still run for half a second, where the callback thread runs them itself; none
        starts after that. Whoever waits for something gets ClosedError. The phone's calls go on.
        """
        deadline = Deadline(CLOSE_TIME)
        with self._close_lock:
            self._closed = True
            link = self._link
        self._replies.end(lambda: ClosedError("the client was closed"))
        if link is not None:
            link.close(deadline.remaining(CLOSE_TIME - DRAIN_TIME) or 0)
            self._callbacks.close(deadline.remaining(DRAIN_TIME) or 0)
        self._interceptors_at_work.close(deadline)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether the login is through and the connection has not ended."""
        return self._intake.connected and not self._closed

    @property
    def stats(self) -> Stats:
        """What was counted so far. Does not block."""
        counters = self._link.counters if self._link is not None else None
        return Stats(
            received=counters.received if counters else 0,
            sent=counters.sent if counters else 0,
            forwarded=counters.forwarded if counters else 0,
            own=counters.own if counters else 0,
            changed=counters.changed if counters else 0,
            dropped=counters.dropped if counters else 0,
            bypassed=counters.bypassed if counters else 0,
            late=counters.late if counters else 0,
            lost=counters.lost if counters else 0,
            malformed=counters.malformed if counters else 0,
            unrouted=self._intake.unrouted,
            late_replies=self._intake.late_replies,
            events_lost=self._intake.lost,
            queue_depth=self._callbacks.backlog[0],
            callback_failures=self._callback_failures,
        )

    def run_forever(self) -> None:
        """Block until the client ends; with a ManualDispatcher, run the callbacks meanwhile. Ctrl-C works.

        Returns after close(); raises ConnectionLostError when the connection is lost.
        """
        if self._link is None:
            raise UsageError("run_forever() needs a connection: call connect() first")
        ended = self._intake.ended
        if isinstance(self._dispatcher, ManualDispatcher):
            # What came before the end is still handled.
            while not ended.done or not (self._callbacks.idle or self._callbacks.closed):
                self._dispatcher.process(WAKE_INTERVAL)
        ended.wait_quietly(Deadline(None))
        error = self._intake.error
        if error is not None and not isinstance(error, ClosedError):
            raise again(error)

    def process_events(self, timeout: float | None = 0) -> int:
        """Run callbacks that wait, for about 10 ms; wait at most ``timeout`` seconds (None: for ever) for the first.

        Returns the number of events that were handled; 0 at once inside a callback. For clients with a ManualDispatcher:
        raises UsageError without. Raises ClosedError or ConnectionLostError rather than wait when nothing can come any more.
        """
        if not isinstance(self._dispatcher, ManualDispatcher):
            raise UsageError("process_events() is for clients made with dispatcher=ManualDispatcher()")
        if self._callbacks.runs_here:
            return 0
        deadline = Deadline(timeout)
        while True:
            count = self._dispatcher.process(deadline.remaining(WAKE_INTERVAL))
            if count or deadline.expired:
                return count
            error = self._intake.error
            if error is not None and (self._callbacks.idle or self._callbacks.closed):
                raise again(error)

    # ------------------------------------------------------------ devices

    def attach(self, hw: str, *, timeout: float | None = 10, forward: bool = True) -> Device:
        """Attach to the device that registers as ``hw`` and return it when the PBX has answered.

        From Attached on every call message of the phone passes through here and is forwarded at once; with ``forward``
        False only when a callback calls ``event.forward()``. A device that is attached already is returned again.
        Blocks at most ``timeout`` seconds (None: for ever). Raises AttachError with the PBX's err, ReplyTimeout,
        UsageError, ConnectionLostError, ClosedError. After a ReplyTimeout the next attach() of that hw takes up the late
        answer, and its signaling is forwarded meanwhile: nothing is sent twice.
        """
        deadline = Deadline(timeout)
        return self._wait_attach(self._request_attach(hw, forward), deadline)

    def attach_many(self, hws: Iterable[str], *, timeout: float | None = 10, forward: bool = True) -> list[Device]:
        """Attach to several devices at once: sends every Attach, then waits ``timeout`` seconds for all the answers.

        Returns the devices in the order of ``hws``. Raises what :meth:`attach` raises, for the first that failed; the
        others stay attached, and attach() returns them.
        """
        if isinstance(hws, str):
            raise UsageError("attach_many() takes a list of hardware ids, not one text: use attach() for one")
        deadline = Deadline(timeout)
        devices = [self._request_attach(hw, forward) for hw in hws]
        errors: list[EpSignalError] = []
        for device in devices:
            try:
                self._wait_attach(device, deadline)
            except EpSignalError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return devices

    def _request_attach(self, hw: str, forward: bool) -> Device:
        if not isinstance(hw, str) or not hw:
            raise UsageError(f"attach() takes a hardware id as text, for example '0090334f1a2b', not {hw!r}")
        check_texts(hw=hw)
        if self._link is None:
            raise UsageError("attach() needs a connection: call connect() first")
        self._link.inbox.check()
        source = f"{hw}-{next(self._source_numbers)}"
        device, is_new = self._intake.device_for(hw, lambda: Device(self, Attachment(source, hw, forward)))
        if device._attachment.forward != forward:
            raise UsageError(f"{hw} is attached with forward={not forward} already: a device has one setting for all")
        if is_new:
            self._link.inbox.attach(device._attachment)
        return device

    def _wait_attach(self, device: Device, deadline: Deadline) -> Device:
        timed_out = (
            f"the PBX did not answer the Attach for {device.hw} within {deadline.timeout} s: check that EpSignal is ticked under "
            "\"Grant access to APIs\" of the App object, and that hw is spelled exactly as the device registers"
        )
        try:
            self._replies.wait(device._answer, deadline, timed_out)
        except ReplyTimeout:
            device._given_up = True
            raise
        return device

    # ------------------------------------------------------------ for devices, events and jobs

    def _send_signaling(self, device: Device, signal: Signal, call: int, to_device: bool, timeout: float | None) -> None:
        """Queue a signaling message; waits like :meth:`Device.send`, and raises what it raises."""
        sent = self._sent(device, signal, call, to_device)
        if self._link is None:
            raise UsageError("send() needs a connection: call connect() first")
        self._link.inbox.send(sent.text, timeout, sent)

    def _answer_signaling(self, device: Device, signal: Signal, call: int, to_device: bool) -> None:
        """Queue what the protocol wants to be answered. Never waits; link thread."""
        assert self._link is not None  # it has received something
        self._link.inbox.reply(self._sent(device, signal, call, to_device))

    def _sent(self, device: Device, signal: Signal, call: int, to_device: bool, *, refused: bool = False) -> Sent:
        attachment = device._attachment
        # Spec: what the app starts carries the src of the Attach, and no "to" towards the PBX.
        message = Signaling(api=self._session.api, src=attachment.src, to=True if to_device else None, call=call, sig=signal)
        data, text = self._encoded(message)
        return Sent(attachment, call, to_device, data, text, refused=refused)

    def _encoded(self, message: Message) -> tuple[dict[str, Any], bytes]:
        """Return a message as a JSON object and as text. Raises UsageError for what cannot be sent."""
        try:
            data = encode(message)
            text = dumps(data)
        except ValueError as error:
            raise UsageError(f"this message cannot be sent: {error}") from None
        if len(text) > self._settings.max_message_size:
            most = self._settings.max_message_size
            raise UsageError(f"this message cannot be sent: it has {len(text)} bytes, and max_message_size= is {most}")
        return data, text

    def _forward(self, received: Received) -> None:
        assert self._link is not None  # it has received something
        with self._registry.lock:
            if received.verdict is None and received.attachment is not None and received.attachment.forward:
                raise UsageError("an interceptor does not call forward(): it returns None to let the message go on as it came")
            if received.verdict is None:
                self._link.inbox.forward(received.text)  # may raise, and then it was not
                received.verdict = "forwarded"

    def _count_callback_failure(self) -> None:
        self._callback_failures += 1

    def __repr__(self) -> str:
        endpoint = self._settings.endpoint
        state = "closed" if self._closed else "connected" if self.connected else "not connected"
        return f"<Client {endpoint.scheme}://{endpoint.address}: {state}>"
