"""Watching somebody's presence or calls: a call without media that stays, and is made again after a gap."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import ClosedError, ConnectionLostError, DetachedError, EpSignalError
from ..events import WatchLost, WatchRestored
from ..messages import DialogInfoSubscribe, Facility, PresenceSubscribe, Setup
from . import checks
from .expected import Found
from .no_media import ANSWERED, NoMediaCall, no_media_setup, refused_by_release
from .outcome import OnResult
from .running import Running

if TYPE_CHECKING:
    from ..call import Call
    from ..device import Device

RESTORE_TIME = 10.0
"""Seconds in which the PBX has to answer when a watch is set up again."""
HINT = "the PBX may not know whom to watch, or not allow it"
TOLD_ANYWAY = (ConnectionLostError, ClosedError, DetachedError)
"""While the device is out of reach there is nothing to say of its watches: they are set up again with it."""


class Watch:
    """What ``device.watch_presence()`` and ``device.watch_dialogs()`` return, until :meth:`cancel`. Any thread; a context manager.

    It goes on over gaps: WatchRestored tells that it is set up again, WatchLost that it is not.
    """

    def __init__(self, name: str, device: Device, setup: Setup, number: str, sip: str) -> None:
        self._name = name
        self._device = device
        self._setup = setup
        self._number, self._sip = number, sip
        self._carrier: NoMediaCall | None = None
        self._cancelled = False

    @property
    def device(self) -> Device:
        """The device on whose behalf it watches."""
        return self._device

    @property
    def number(self) -> str:
        """The number of who is watched, as it was given."""
        return self._number

    @property
    def sip(self) -> str:
        """The SIP name of who is watched, as it was given."""
        return self._sip

    @property
    def call(self) -> Call | None:
        """The call without media that carries it now, or carried it last."""
        return None if self._carrier is None else self._carrier.call

    @property
    def active(self) -> bool:
        """Whether it stands: False after :meth:`cancel`, in a gap, and where the PBX has ended or refused it."""
        carrier = self._carrier
        return not self._cancelled and carrier is not None and carrier.stands and self._device.attached

    def cancel(self) -> None:
        """Watch no more: its call is released, and it is not set up again. Idempotent, does not block."""
        with self._device._registry.lock:
            self._cancelled = True
            carrier = self._carrier
            self._device._watches = tuple(one for one in self._device._watches if one is not self)
        if carrier is not None:
            carrier.retire()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return f"<Watch of {self._sip or self._number} by {self._device.hw}: {'active' if self.active else 'not active'}>"

    # ------------------------------------------------------------ setting it up

    def _set_up(self, running: Running[Watch]) -> Watch | None:
        """Set it up for the first time, and wait as the verb does."""
        carrier = self._carrier = self._carry(running)
        try:
            running.begin()
            carrier.start(self._setup)
        except BaseException:
            running.give_up()
            raise
        return running.finish()

    def _set_up_again(self) -> None:
        """Set it up after a gap; what became of it is told. Link thread."""
        running: Running[Watch] = Running(self._name, self._device, None, RESTORE_TIME, None, HINT)
        carrier = self._carry(running)
        with self._device._registry.lock:
            if self._cancelled:
                return
            old, self._carrier = self._carrier, carrier
        if old is not None:
            old.retire()  # where only the device was away, its call may still stand
        running.answer.at_end(lambda: self._tell_restored(running))
        try:
            running.begin(keeps_time=True)
            carrier.start_at_once(self._setup)
        except EpSignalError as error:
            failed = error
            running.answer.fail(lambda: failed)
        if self._cancelled:  # meanwhile, when there was no setup yet to be followed by a release
            carrier.retire()

    def _carry(self, running: Running[Watch]) -> NoMediaCall:
        def take(found: Found) -> None:
            if running.answer.succeed(self):
                self._join()

        # Spec: a release with cause 16 may answer a message that was delivered; a watch that ends with it is none.
        carrier = NoMediaCall(running, ANSWERED, take, refused_by_release(running), keeps=True, lost=lambda: self._tell_lost(carrier))
        return carrier

    def _join(self) -> None:
        """Have it set up again after a gap from now on. Link thread."""
        device = self._device
        with device._registry.lock:
            if not self._cancelled and self not in device._watches:
                device._watches = (*device._watches, self)

    # ------------------------------------------------------------ telling of it, on the link thread

    def _tell_restored(self, running: Running[Watch]) -> None:
        call, error = running.call, running.answer.error()
        if self._cancelled:
            return
        if error is None and call is not None:
            self._put(WatchRestored(client=self._device.client, device=self._device, call=call, watch=self))
        elif error is not None and not isinstance(error, TOLD_ANYWAY):
            self._put(WatchLost(client=self._device.client, device=self._device, call=call, watch=self, error=error))

    def _tell_lost(self, carrier: NoMediaCall) -> None:
        call = carrier.call
        assert call is not None  # it was set up
        if self._cancelled or not self._device.attached:
            return  # in a gap there is nothing to say of it: it is set up again
        error = call._error("the watch tells nothing any more")
        self._put(WatchLost(client=self._device.client, device=self._device, call=call, watch=self, error=error))

    def _put(self, event: WatchLost | WatchRestored) -> None:
        self._device._connection.intake._postbox.put_event(event)


def watch_presence(device: Device, number: str, sip: str, timeout: float | None, on_result: OnResult[Watch] | None) -> Watch | None:
    """See :meth:`Device.watch_presence`."""
    return _watch("watch_presence()", device, PresenceSubscribe(), number, sip, timeout, on_result)


def watch_dialogs(device: Device, number: str, sip: str, timeout: float | None, on_result: OnResult[Watch] | None) -> Watch | None:
    """See :meth:`Device.watch_dialogs`."""
    return _watch("watch_dialogs()", device, DialogInfoSubscribe(), number, sip, timeout, on_result)


def _watch(
    name: str, device: Device, facility: Facility, number: str, sip: str, timeout: float | None, on_result: OnResult[Watch] | None
) -> Watch | None:
    whom = checks.someone(name, device.hw, number, sip, "it needs somebody to watch: number= or sip=")
    running: Running[Watch] = Running(name, device, None, timeout, on_result, HINT)
    return Watch(name, device, no_media_setup(whom, facility), number, sip)._set_up(running)
