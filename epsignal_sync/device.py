"""A phone that the app is attached to. What is sent and received for it goes through its client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .bridging import Bridge
from .call import Call
from .click_to_dial import click_to_dial
from .deadline import Deadline
from .device_control import DeviceControl
from .errors import DetachedError, ReplyTimeout, UsageError
from .leg import Leg
from .messages import AttachResult, Channels, Facility, Setup, Signal
from .own_setup import own_setup
from .protocol.calls import CallRecord, CallTable
from .protocol.codec import encode
from .protocol.envelope import OWN_CALL_IDS
from .protocol.gap import GapWatch
from .protocol.session import Attachment
from .replies import Reply

if TYPE_CHECKING:
    from .client import Client
    from .connection import Connection
    from .notebook.live_table import LiveTable
    from .verbs.watches import Watch

ATTACHED_SOON = 1.0
"""Seconds for which a new call waits for the first Attached, which follows the AttachResult of a registered device."""


class Device(DeviceControl):
    """A device that the app is, or wants to be, in the signaling path of. Made by ``client.attach()``.

    Its attributes may be read in any thread.
    """

    def __init__(self, client: Client, connection: Connection, attachment: Attachment) -> None:
        super().__init__(client._registry)
        self._client = client
        self._connection = connection
        self._attachment = attachment
        self._answer = Reply()
        """Settled by the AttachResult."""
        self._asked = True
        """Whether an Attach is on its way and no AttachResult has come for it."""
        self._table = CallTable()
        self._gap = GapWatch()
        self._result: AttachResult | None = None
        self._attached = False
        self._was_attached = False
        self._waiting_attached: list[Reply] = []
        self._watches: tuple[Watch, ...] = ()
        """Those that are set up again after a gap."""
        self._given_up = False
        """Whether an attach() has ended without the answer."""

    @property
    def client(self) -> Client:
        """The client it belongs to."""
        return self._client

    @property
    def hw(self) -> str:
        """Its hardware id: the name with which it registers."""
        return self._attachment.hw

    @property
    def result(self) -> AttachResult:
        """What the PBX answered to the Attach: STUN and TURN servers, dialing prefixes. Raises UsageError before that."""
        if self._result is None:
            raise UsageError(f"the PBX has not answered the Attach for {self.hw} yet")
        return self._result

    @property
    def attached(self) -> bool:
        """Whether the device is registered and the app in its signaling path now."""
        return self._attached

    @property
    def calls(self) -> dict[int, Call]:
        """The live calls by id, at this moment; calls without media included."""
        return {number: self._view(record) for number, record in self._table.live.copy().items()}

    @property
    def media_calls(self) -> dict[int, Call]:
        """The live calls that are telephone calls to a person, by id, at this moment."""
        return {number: call for number, call in self.calls.items() if call.media}

    def wait_attached(self, *, timeout: float | None = 10) -> None:
        """Block until the device is registered and the app in its path; at once if it is already.

        ``timeout`` in seconds, None for ever. Raises ReplyTimeout, ClosedError, and ConnectionLostError where the
        connection is lost meanwhile; called after that, it waits for the connection, too. Any thread, callbacks included.
        """
        deadline = Deadline(timeout)
        reply = Reply()
        with self._registry.lock:
            if self._attached:
                return
            self._waiting_attached.append(reply)
        try:
            self._connection.replies.wait(reply, deadline, f"{self.hw} was not attached within {timeout} s: {self._advice}")
        finally:
            with self._registry.lock:
                self._waiting_attached = [one for one in self._waiting_attached if one is not reply]

    def send(self, signal: Signal, *, call: int | Call, to_device: bool, timeout: float | None = 10) -> None:
        """Queue a signaling message of one call, to the device or to the PBX; sent in the order of the calls of send().

        ``call`` is a Call or its id; whether it is live is not checked. Returns when the message is queued, not when it
        is delivered; waits at most ``timeout`` seconds (None: for ever) while more than 1 MiB of the app's own waits to
        be sent. Raises UsageError, ReplyTimeout, ConnectionLostError, ClosedError. Any thread, callbacks included.
        """
        number = call.id if isinstance(call, Call) else call
        if isinstance(call, Call) and call.device is not self:
            raise UsageError(f"{call!r} is a call of {call.device.hw}, not of {self.hw}: send it there")
        if not isinstance(signal, Signal):
            raise UsageError(f"send() takes a signaling message, such as Rel(), not {type(signal).__name__}")
        if type(number) is not int:
            raise UsageError(f"send() takes a Call or its id as call, not {type(call).__name__}")
        if not isinstance(to_device, bool):
            raise UsageError(f"send() takes to_device=True (to the device) or False (to the PBX), not {to_device!r:.80}")
        self._connection.send_signaling(self, signal, number, to_device, timeout)

    def dial(
        self,
        number: str = "",
        *,
        sip: str = "",
        channels: Channels | None = None,
        media: bool = True,
        facilities: Iterable[Facility] = (),
        timeout: float | None = 10,
    ) -> Call:
        """Start a call of the app towards the PBX, on behalf of the device, and return it. The phone itself hears nothing of it.

        ``number`` or ``sip`` names who is called. ``channels`` is the media offer, if there is one to make; ``media`` False
        makes it a call without media, for ``facilities`` such as presence. It is in ``device.calls`` at once, its state
        is "setup", and CallStarted comes when the setup is on its way; the call lives as long as this connection. A ``disc``
        that comes is answered by the library, or passed on in a bridge. Returns when the setup is queued; waits at most
        ``timeout`` seconds (None: for ever) while more than 1 MiB of the app's own waits to be sent. Raises UsageError,
        DetachedError where the device is not attached (after a wait of at most 1 s, where it never was), ReplyTimeout, ConnectionLostError,
        ClosedError; there is no call then. Any thread, callbacks included.
        """
        setup = own_setup("dial()", False, number=number, sip=sip, channels=channels, media=media, facilities=facilities)
        return self._start_call("dial()", setup, False, Deadline(timeout))

    def ring(
        self,
        number: str = "",
        *,
        sip: str = "",
        name: str = "",
        channels: Channels | None = None,
        media: bool = True,
        facilities: Iterable[Facility] = (),
        timeout: float | None = 10,
    ) -> Call:
        """Start a call of the app towards the device, and return it. The PBX hears nothing of it.

        ``number``, ``sip`` and ``name`` are who the phone shows as calling; one of the first two is needed. All else is as
        with :meth:`dial`. Any thread, callbacks included.
        """
        setup = own_setup("ring()", True, number=number, sip=sip, name=name, channels=channels, media=media, facilities=facilities)
        return self._start_call("ring()", setup, True, Deadline(timeout))

    def click_to_dial(self, number: str = "", *, sip: str = "", answer_timeout: float | None = 30, timeout: float | None = 10) -> Bridge:
        """Ring the device, and when it is picked up, call ``number`` or ``sip``; returns a Bridge as soon as the device is called.

        The phone shows whom it will call, and is told to answer by itself (remote control CONNECT). When it has, and has
        offered media, the other party is called with that offer; then the two calls are joined as by :func:`epsignal_sync.bridge`.
        ``bridge.wait_connected()`` waits until the other party has answered; the events of the calls tell it to callbacks.

        If either side hangs up or refuses, at whatever time, the other is released with the same cause. A phone that is not
        picked up within ``answer_timeout`` seconds (None: for as long as it rings) is released with cause 19, one that is and
        offers no media within 4 s with cause 47. That a phone answers by itself is unverified on a PBX.

        The calls live only as long as this connection: where it is lost, or the client closed, they end. For plain
        click-to-dial RCC is the safer way: there the phone makes the call by itself, and it outlives the program.

        Waits at most ``timeout`` seconds (None: for ever) while more than 1 MiB of the app's own waits to be sent. Raises
        what :meth:`ring` raises; there is no call then. Any thread, callbacks included.
        """
        return click_to_dial(self, number, sip, answer_timeout, timeout)

    def watch(self) -> LiveTable:
        """Show a table of its calls below this cell of a Jupyter notebook, and keep it up to date while other cells run.

        It shows the live calls and the last ten that ended, is drawn twice a second at the most, and goes on over losses of
        the connection, until it is cancelled, the client is closed or the cell is run again. To be told of somebody's
        presence or calls by the PBX is something else: :meth:`watch_presence`, :meth:`watch_dialogs`.

        Does not block; any thread. Raises UsageError where this is no notebook, ClosedError.
        """
        from .notebook.live_table import watch

        return watch(self._client, self)

    def _repr_html_(self) -> str:
        from .notebook.pictures import device_picture

        return device_picture(self)

    def __repr__(self) -> str:
        return f"<Device {self.hw}: {'attached' if self._attached else 'not attached'}, {len(self._table.live)} calls>"

    def _start_call(
        self, verb: str, setup: Setup, to_device: bool, deadline: Deadline, prepare: Callable[[Call], None] | None = None
    ) -> Call:
        """Start a call of the app; ``prepare`` is called with it before its setup is sent."""
        self._check_attached(verb, deadline)
        connection = self._connection.link.inbox.connection
        call = self._new_call(verb, setup, to_device)
        try:
            if prepare is not None:
                prepare(call)
            self._connection.send_signaling(self, setup, call.id, to_device, deadline.remaining(), connection)
        except BaseException:
            self._table.forget_own(call._record)
            raise
        call._record.queued = True
        return call

    def _start_call_at_once(self, verb: str, setup: Setup, prepare: Callable[[Call], None]) -> None:
        """Start a call of the app towards the PBX without waiting. Link thread."""
        call = self._new_call(verb, setup, False)
        try:
            prepare(call)
            self._connection.answer_signaling(self, setup, call.id, False)
        except BaseException:
            self._table.forget_own(call._record)
            raise
        call._record.queued = True

    def _new_call(self, verb: str, setup: Setup, to_device: bool) -> Call:
        try:
            number = OWN_CALL_IDS.issue()
        except OverflowError as error:
            raise UsageError(f"{verb} sent nothing: {error}") from None
        data = encode(setup)
        call = self._view(self._table.begin_own(number, to_device, data, time.time()))
        if call.media:
            call._leg = Leg(call, data)
            call._listen(call._leg)
        return call

    def _check_attached(self, verb: str, deadline: Deadline) -> None:
        """Raise DetachedError where the device is not attached. Attached comes just behind the AttachResult: that is waited for."""
        if not self._attached and not self._was_attached:
            try:
                self.wait_attached(timeout=deadline.remaining(ATTACHED_SOON))
            except ReplyTimeout:
                pass
        if not self._attached:
            self._connection.link.inbox.check()  # a connection that is lost says so
            raise DetachedError(f"{verb} sent nothing: {self.hw} is not attached now; {self._advice}, and use wait_attached()")

    # ------------------------------------------------------------ for the client, on the link thread

    def _set_attached(self, attached: bool) -> None:
        with self._registry.lock:
            self._attached = attached
            self._was_attached = self._was_attached or attached
            waiting = self._waiting_attached if attached else []
            if attached:
                self._waiting_attached = []
        for reply in waiting:
            reply.settle()

    def _view(self, record: CallRecord) -> Call:
        """Return the one Call object of a call."""
        view = record.view
        if view is None:
            with self._registry.lock:
                view = record.view = record.view or Call(self, record)
        return view  # type: ignore[no-any-return]  # the record keeps it without knowing what it is

    @property
    def _advice(self) -> str:
        return "check that it is registered at this PBX, and that hw is spelled exactly as it registers"
