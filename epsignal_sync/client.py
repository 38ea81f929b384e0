"""A client of a PBX, as the application sees it: connect, attach, wait, close.

What is sent and received on its connection stands in :mod:`.connection`; here are the calls that the application makes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .connection import Connection, no_thread
from .deadline import Deadline
from .device import Device
from .devices import Devices
from .dispatcher import CallbackThread, Dispatcher
from .errors import ClosedError, EpSignalError, UsageError, again
from .intake import ConnectionState
from .interceptors import Interceptors
from .manual_dispatcher import ManualDispatcher
from .options import (
    MEBIBYTE,
    check_attempts,
    check_dispatcher,
    check_sizes,
    check_switches,
    check_texts,
    check_times,
    endpoints_of,
    login_options,
)
from .process import Process
from .recording.recorders import Recordable
from .registry import Registry
from .relay.carrier import CarrierSettings
from .relay.deliveries import Received
from .relay.endpoint import TLSSettings
from .relay.inbox import WAKE_INTERVAL
from .relay.link import LinkSettings
from .replies import Reply
from .stats import Stats, gather_stats

if TYPE_CHECKING:
    from .notebook.live_table import LiveTable

CLOSE_TIME = 1.8
"""Seconds that close() takes at the most, as long as the machine lets it."""
DRAIN_TIME = 0.5
"""Seconds of that in which callbacks for what came before may still run."""
LAST_CALLBACKS = 5.0
"""Seconds that run_forever() gives callbacks for what came before the end of the connection."""


class Client(Recordable):
    """A connection to a PBX, and the devices attached through it. Usually made by :func:`epsignal_sync.connect`.

    Every method may be called in any thread, callbacks included. No thread is started before :meth:`connect`. In a forked
    child it cannot be used: ``state`` is "closed" there, and what would wait or send raises ClosedError.
    """

    def __init__(
        self,
        url: str | Sequence[str],
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
        reconnect: bool = True,
        reconnect_attempts: int | None = None,
        standby_time: float | None = 60,
        per_device: bool = False,
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
        check_times(timeout=timeout, keepalive=keepalive, ping_interval=ping_interval, ping_timeout=ping_timeout, standby_time=standby_time)
        check_texts(api=api)
        check_sizes(max_message_size=max_message_size, max_outbox_size=max_outbox_size)
        check_switches(reconnect=reconnect, per_device=per_device)
        check_attempts(reconnect_attempts)
        check_dispatcher(dispatcher)
        self._settings = LinkSettings(
            endpoints=endpoints_of(url),
            tls=TLSSettings(verify, ca_file, fingerprint, client_certificate, client_key),
            timeout=timeout,
            reconnect=reconnect,
            reconnect_attempts=reconnect_attempts,
            carrier=CarrierSettings(
                keepalive=keepalive,
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
                max_message_size=max_message_size,
                pause_reading_at=max_outbox_size,
            ),
        )
        self._credentials = login_options(app=app, sip=sip, domain=domain, guid=guid, dn=dn, info=info, password=password)
        self._api = api
        self._apis = frozenset({api, "EpSignal"})
        self._standby_time = standby_time
        self._per_device = per_device
        self._process = Process()
        self._dispatcher = dispatcher
        self._callbacks = CallbackThread(dispatcher)
        self._interceptors_at_work = Interceptors(self)
        self._registry.asking = self._interceptors_at_work
        self._connections: tuple[Connection, ...] = ()
        self._devices = Devices(self)
        self._ended = Reply()
        """Settled when a connection has ended for good, or close() was called."""
        self._error: EpSignalError | None = None
        self._close_lock = threading.RLock()  # a signal handler may call close() in the middle of connect()
        self._closed = False
        self._callback_failures = 0

    # ------------------------------------------------------------ connecting and closing

    def connect(self) -> None:
        """Connect and log in; blocks at most for the ``timeout`` given. Once for each client.

        Raises ConnectError (ConnectTimeout in time-outs), LoginError with the PBX's reason, ClosedError where close()
        was called meanwhile, UsageError for a second call. Nothing is left behind when it raises.
        """
        self._process.check()
        with self._close_lock:
            if self._closed:
                raise ClosedError("the client was closed")
            if self._connections:
                raise UsageError("connect() was called already: make a new client")
            connection = self._add_connection()
            try:
                self._callbacks.start()
                connection.link.start()
            except RuntimeError as error:
                connection.link.abandon()
                self._callbacks.close(DRAIN_TIME)
                self._connections = ()
                raise no_thread(error) from error
            self._interceptors_at_work.start_worker()
        try:
            connection.wait_up()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Send what waits, log off and end every thread; blocks for 2 s at the most. Idempotent; any thread, callbacks included.

        Callbacks for what came before may still run for half a second, where the callback thread runs them itself; none
        starts after that. Whoever waits for something gets ClosedError. The phone's calls go on.
        """
        deadline = Deadline(CLOSE_TIME)
        if self._process.forked:
            return  # the threads and the connection are the parent's
        with self._close_lock:
            self._closed = True
            connections = self._connections
        for connection in connections:
            connection.replies.end(lambda: ClosedError("the client was closed"))
            connection.link.end()
        for connection in connections:
            connection.link.join(deadline.remaining(CLOSE_TIME - DRAIN_TIME) or 0)
            connection.standby.close(deadline.remaining(CLOSE_TIME - DRAIN_TIME) or 0)
        self._callbacks.close(deadline.remaining(DRAIN_TIME) or 0)
        self._interceptors_at_work.close(deadline)
        self._close_recorders(deadline)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def state(self) -> ConnectionState:
        """How far the connection is; of several connections (``per_device``), the worst. Does not block."""
        if self._closed or self._process.forked:
            return ConnectionState.CLOSED
        states = {connection.intake.state for connection in self._connections}
        order = (ConnectionState.CLOSED, ConnectionState.RECONNECTING, ConnectionState.CONNECTING, ConnectionState.CONNECTED)
        return next((state for state in order if state in states), ConnectionState.NEW)

    @property
    def connected(self) -> bool:
        """Whether there is a connection that is logged in."""
        return self.state is ConnectionState.CONNECTED

    @property
    def healthy(self) -> bool:
        """Whether the PBX was heard within ``ping_interval`` plus ``ping_timeout``: connected, and with a proof of life. Does not block."""
        now = time.monotonic()
        return self.connected and all(connection.is_alive(now) for connection in self._connections)

    @property
    def stats(self) -> Stats:
        """What was counted so far. Does not block."""
        return gather_stats(self)

    def run_forever(self) -> None:
        """Block until the client ends; with a ManualDispatcher, run the callbacks meanwhile. Ctrl-C works.

        Returns after close(). Raises LoginError when the PBX refuses to let the client in again, and ConnectionLostError
        when the connection is lost and ``reconnect`` is False, or its attempts are used up; callbacks for what came before
        have run by then, as far as they do in 5 s.
        """
        self._process.check()
        if not self._connections:
            raise UsageError("run_forever() needs a connection: call connect() first")
        ended = self._ended
        if isinstance(self._dispatcher, ManualDispatcher):
            # What came before the end is still handled.
            while not ended.done or not (self._callbacks.idle or self._callbacks.closed):
                self._dispatcher.process(WAKE_INTERVAL)
        ended.wait_quietly(Deadline(None))
        error = self._error
        if error is not None and not isinstance(error, ClosedError):
            if self._dispatcher is None:
                self._callbacks.wait_idle(Deadline(LAST_CALLBACKS))
            raise again(error)

    def process_events(self, timeout: float | None = 0) -> int:
        """Run callbacks that wait, for about 10 ms; wait at most ``timeout`` seconds (None: for ever) for the first.

        Returns how many messages and events were handled, what a message does to its call counting with it; 0 at once
        inside a callback. For clients with a ManualDispatcher: raises UsageError without. Raises rather than waits what
        :meth:`run_forever` raises, or ClosedError, when nothing can come any more.
        """
        if not isinstance(self._dispatcher, ManualDispatcher):
            raise UsageError("process_events() is for clients made with dispatcher=ManualDispatcher()")
        self._process.check()
        if self._callbacks.runs_here:
            return 0
        deadline = Deadline(timeout)
        while True:
            count = self._dispatcher.process(deadline.remaining(WAKE_INTERVAL))
            if count or deadline.expired:
                return count
            if self._error is not None and (self._callbacks.idle or self._callbacks.closed):
                raise again(self._error)

    # ------------------------------------------------------------ devices

    def attach(self, hw: str, *, timeout: float | None = 10, forward: bool = True) -> Device:
        """Attach to the device that registers as ``hw`` and return it when the PBX has answered.

        From Attached on every call message of the phone passes through here and is forwarded at once; with ``forward``
        False only when a callback calls ``event.forward()``. A device that is attached already is returned again. After a
        loss of the connection it is attached again by itself.
        Blocks at most ``timeout`` seconds (None: for ever). Raises AttachError with the PBX's err, ReplyTimeout,
        UsageError, ConnectionLostError, ClosedError; with ``per_device`` also ConnectError and LoginError. After a
        ReplyTimeout or ConnectionLostError the next attach() of that hw takes up the late answer, and its signaling is
        forwarded meanwhile: nothing is sent twice.
        """
        deadline = Deadline(timeout)
        return self._devices.wait(*self._devices.request(hw, forward), deadline)

    def attach_many(self, hws: Iterable[str], *, timeout: float | None = 10, forward: bool = True) -> list[Device]:
        """Attach to several devices at once: sends every Attach, then waits ``timeout`` seconds for all the answers.

        Returns the devices in the order of ``hws``. Raises what :meth:`attach` raises, for the first that failed; the
        others stay attached, and attach() returns them.
        """
        if isinstance(hws, str):
            raise UsageError("attach_many() takes a list of hardware ids, not one text: use attach() for one")
        deadline = Deadline(timeout)
        asked = [self._devices.request(hw, forward) for hw in hws]
        errors: list[EpSignalError] = []
        for device, answer in asked:
            try:
                self._devices.wait(device, answer, deadline)
            except EpSignalError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return [device for device, _ in asked]

    def watch(self) -> LiveTable:
        """Show a table of the calls of all its phones below this cell of a Jupyter notebook; all else is as with :meth:`Device.watch`.

        Does not block; any thread. Raises UsageError where this is no notebook, ClosedError.
        """
        from .notebook.live_table import watch

        return watch(self, None)

    # ------------------------------------------------------------ for connections, devices and events

    def _add_connection(self) -> Connection:
        """Make one more connection, not started yet. Raises ConnectError, ClosedError. Any thread."""
        with self._close_lock:
            if self._closed:
                raise ClosedError("the client was closed")
            connection = Connection(self, self._settings, self._credentials, self._api)
            self._connections = (*self._connections, connection)
        with self._registry.lock:
            self._interceptors_at_work.publish(self)
        return connection

    def _drop_connection(self, connection: Connection) -> None:
        """Forget a connection that never came up. Any thread."""
        with self._close_lock:
            self._connections = tuple(one for one in self._connections if one is not connection)

    def _forward(self, received: Received, device: Device | None) -> None:
        (self._connections[0] if device is None else device._connection).forward(received)

    def _connection_ended(self, connection: Connection, error: EpSignalError) -> None:
        """A connection has ended for good. Link thread."""
        if connection is not self._connections[0] and not connection.intake.was_up:
            self._devices.drop(connection)  # attach() tells of it, where it still waits
            return
        self._error = self._error or error
        self._ended.settle()

    def _count_callback_failure(self) -> None:
        self._callback_failures += 1

    def _repr_html_(self) -> str:
        from .notebook.pictures import client_picture

        return client_picture(self)

    def __repr__(self) -> str:
        endpoint = self._settings.endpoints[0]
        return f"<Client {endpoint.scheme}://{endpoint.address}: {self.state}>"
