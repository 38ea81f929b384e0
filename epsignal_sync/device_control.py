"""What can be asked of the PBX for a device, one method each. What they do stands in :mod:`.verbs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, overload

from .messages import PresenceActivity, PresenceContact, PresenceStatus, Signal
from .registry import EventSource
from .verbs import requests, watches
from .verbs.outcome import OnResult
from .verbs.requests import Diversions
from .verbs.watches import Watch

if TYPE_CHECKING:
    from .device import Device


class DeviceControl(EventSource):
    """The services that the PBX has for a device. The phone itself hears nothing of them.

    What they have in common: the app starts a call without media to the PBX, which is in ``device.calls`` while it
    lasts, and releases it afterwards. They block until the answer is there, at most ``timeout`` seconds (None: for ever).
    With ``on_result=`` they return None as soon as the setup is queued, and the callback is given one Outcome, where
    callbacks run, within the same time-out; an error that shows before that is raised at once instead.

    They raise UsageError for what cannot be, and nothing is sent then; CallError, with the cause, where it was refused;
    ReplyTimeout; DetachedError where the device is not registered, or unregisters meanwhile; ConnectionLostError,
    ClosedError; CallEndedError where the app itself has ended that call. Any thread, callbacks included.
    """

    @overload
    def pickup(
        self,
        number: str = ...,
        *,
        sip: str = ...,
        call_id: str | None = ...,
        position: int | None = ...,
        timeout: float | None = ...,
        on_result: None = None,
    ) -> Signal: ...
    @overload
    def pickup(
        self,
        number: str = ...,
        *,
        sip: str = ...,
        call_id: str | None = ...,
        position: int | None = ...,
        timeout: float | None = ...,
        on_result: OnResult[Signal],
    ) -> None: ...

    def pickup(
        self,
        number: str = "",
        *,
        sip: str = "",
        call_id: str | None = None,
        position: int | None = None,
        timeout: float | None = 10,
        on_result: OnResult[Signal] | None = None,
    ) -> Signal | None:
        """Have a call that rings or is parked elsewhere come to this device.

        ``number`` or ``sip``: where it rings or is parked; ``position``: at which of several places; ``call_id``: which
        call, in hex, as a CpGroupIndicationOn tells. Returns the CallProc, Conn, Disc or Rel with which the PBX took the
        request; the call itself comes to the device as a new one, with CpPickExe in its setup. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see DeviceControl. Any thread, callbacks included.
        """
        return requests.pickup(_device(self), number, sip, call_id, position, timeout, on_result)

    @overload
    def diversions(self, number: str = ..., *, sip: str = ..., timeout: float | None = ..., on_result: None = None) -> Diversions: ...
    @overload
    def diversions(self, number: str = ..., *, sip: str = ..., timeout: float | None = ..., on_result: OnResult[Diversions]) -> None: ...

    def diversions(
        self, number: str = "", *, sip: str = "", timeout: float | None = 10, on_result: OnResult[Diversions] | None = None
    ) -> Diversions | None:
        """Return the call diversions that are set, of the device's user or of another one: a tuple of DiversionEntry for each
        DiversionProcedure.

        They cannot be set in this protocol. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see DeviceControl. Any thread, callbacks included.
        """
        return requests.diversions(_device(self), number, sip, timeout, on_result)

    @overload
    def set_presence(
        self,
        status: PresenceStatus | str = ...,
        *,
        activity: PresenceActivity | str | None = ...,
        note: str | None = ...,
        contact: PresenceContact | str | None = ...,
        timeout: float | None = ...,
        on_result: None = None,
    ) -> Signal: ...
    @overload
    def set_presence(
        self,
        status: PresenceStatus | str = ...,
        *,
        activity: PresenceActivity | str | None = ...,
        note: str | None = ...,
        contact: PresenceContact | str | None = ...,
        timeout: float | None = ...,
        on_result: OnResult[Signal],
    ) -> None: ...

    def set_presence(
        self,
        status: PresenceStatus | str = PresenceStatus.OPEN,
        *,
        activity: PresenceActivity | str | None = None,
        note: str | None = None,
        contact: PresenceContact | str | None = None,
        timeout: float | None = 10,
        on_result: OnResult[Signal] | None = None,
    ) -> Signal | None:
        """Set the presence of the device's user: "open" or "closed", what the user is doing, and a note of at most 1024 bytes.

        Returns the CallProc, Conn, Disc or Rel with which the PBX took it. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see DeviceControl. Any thread, callbacks included.
        """
        return requests.set_presence(_device(self), status, activity, note, contact, timeout, on_result)

    @overload
    def watch_presence(self, number: str = ..., *, sip: str = ..., timeout: float | None = ..., on_result: None = None) -> Watch: ...
    @overload
    def watch_presence(self, number: str = ..., *, sip: str = ..., timeout: float | None = ..., on_result: OnResult[Watch]) -> None: ...

    def watch_presence(
        self, number: str = "", *, sip: str = "", timeout: float | None = 10, on_result: OnResult[Watch] | None = None
    ) -> Watch | None:
        """Be told of somebody's presence, now and at every change; returns the Watch, to be cancelled when it is not wanted any more.

        What is told comes to ``device.on(PresenceNotify)``, which is best registered before; ``event.call.remote`` says
        whose presence it is. After a gap it is set up again: see WatchRestored and WatchLost. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see DeviceControl. Any thread, callbacks included.
        """
        return watches.watch_presence(_device(self), number, sip, timeout, on_result)

    @overload
    def watch_dialogs(self, number: str = ..., *, sip: str = ..., timeout: float | None = ..., on_result: None = None) -> Watch: ...
    @overload
    def watch_dialogs(self, number: str = ..., *, sip: str = ..., timeout: float | None = ..., on_result: OnResult[Watch]) -> None: ...

    def watch_dialogs(
        self, number: str = "", *, sip: str = "", timeout: float | None = 10, on_result: OnResult[Watch] | None = None
    ) -> Watch | None:
        """Be told of somebody's calls. What is told comes to ``device.on(CpGroupIndicationOn)`` and ``CpGroupIndicationOff``;
        all else is as with :meth:`watch_presence`. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see DeviceControl. Any thread, callbacks included.
        """
        return watches.watch_dialogs(_device(self), number, sip, timeout, on_result)

    @overload
    def message_waiting(
        self,
        count: int,
        number: str = ...,
        *,
        sip: str = ...,
        message_center: str = ...,
        timeout: float | None = ...,
        on_result: None = None,
    ) -> Signal: ...
    @overload
    def message_waiting(
        self,
        count: int,
        number: str = ...,
        *,
        sip: str = ...,
        message_center: str = ...,
        timeout: float | None = ...,
        on_result: OnResult[Signal],
    ) -> None: ...

    def message_waiting(
        self,
        count: int,
        number: str = "",
        *,
        sip: str = "",
        message_center: str = "",
        timeout: float | None = 10,
        on_result: OnResult[Signal] | None = None,
    ) -> Signal | None:
        """Tell the phones of the user with this ``number`` or ``sip`` name that ``count`` messages wait; 0: none any more.

        ``message_center``: the number at which they can be heard. Returns the CallProc, Conn, Disc or Rel with which the
        PBX took it.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see DeviceControl. Any thread, callbacks included.
        """
        return requests.message_waiting(_device(self), count, number, sip, message_center, timeout, on_result)

    @overload
    def send_im(self, text: str, number: str = ..., *, sip: str = ..., timeout: float | None = ..., on_result: None = None) -> Signal: ...
    @overload
    def send_im(
        self, text: str, number: str = ..., *, sip: str = ..., timeout: float | None = ..., on_result: OnResult[Signal]
    ) -> None: ...

    def send_im(
        self,
        text: str,
        number: str = "",
        *,
        sip: str = "",
        timeout: float | None = 10,
        on_result: OnResult[Signal] | None = None,
    ) -> Signal | None:
        """Send an instant message of 1 to 4096 bytes of UTF-8 to somebody, as plain text.

        Returns the CallProc, Conn, Disc or Rel with which it was taken. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see DeviceControl. Any thread, callbacks included.
        """
        return requests.send_im(_device(self), text, number, sip, timeout, on_result)


def _device(control: DeviceControl) -> Device:
    return cast("Device", control)
