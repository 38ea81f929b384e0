"""One call without media to the PBX, made for a facility: its setup, what answers it, and that it does not stay behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import EpSignalError
from ..messages import EP, Cause, Facility, Rel, Setup, Signal
from ..own_setup import NO_MEDIA
from ..relay.deliveries import Received
from .expected import Expected, Found, signals
from .running import Running

if TYPE_CHECKING:
    from ..call import Call

ANSWERED = signals("call_proc", "conn")
RELEASED = signals("disc", "rel")
CONNECTED = "connected"
LINGER_TIME = 5.0
"""Seconds after which a call that was taken, but neither connected nor released, is released."""
GOOD_CAUSES = (None, 16)
"""Causes with which a call is released that has done what it was made for."""


def no_media_setup(called: EP | None, *facilities: Facility) -> Setup:
    """Return the setup. ``called`` None: the PBX knows from the device who is meant."""
    channel, bearer = NO_MEDIA
    return Setup(cd=called, complete=True, channel=channel, bc=bearer, fty=facilities)


class NoMediaCall:
    """Hears what becomes of one such call, and releases it when it has served. A listener of the Call.

    ``take`` is given what was ``expected``, and settles or refuses the verb at work; ``released`` is given the ``disc``
    or ``rel`` of the PBX, if the verb is still at work then. ``keeps``: the call stays when the verb has succeeded, and
    ``lost`` is called at its end.
    """

    def __init__(
        self,
        running: Running[Any],
        expected: Expected,
        take: Callable[[Found], None],
        released: Callable[[Found], None],
        *,
        keeps: bool = False,
        lost: Callable[[], None] | None = None,
    ) -> None:
        self._running, self._expected = running, expected
        self._take, self._released = take, released
        self._keeps, self._lost = keeps, lost
        self.call: Call | None = None

    @property
    def stands(self) -> bool:
        """Whether the verb has succeeded, and the call has not ended. Any thread."""
        answer = self._running.answer
        return answer.done and not answer.failed and self.call is not None and not self.call.ended

    # ------------------------------------------------------------ starting

    def start(self, setup: Setup) -> None:
        """Start the call; waits and raises like dial(). The verb goes on, or has ended."""
        running = self._running
        running.device._start_call(running.name, setup, False, running.deadline, self.prepare)
        self.settle_down()

    def start_at_once(self, setup: Setup) -> None:
        """Start the call without waiting. Raises ConnectionLostError, ClosedError, UsageError. Link thread."""
        running = self._running
        running.device._start_call_at_once(running.name, setup, self.prepare)
        self.settle_down()

    def prepare(self, call: Call) -> None:
        """Listen on the call, before its setup is sent."""
        self.call = self._running.call = call
        call._listen(self)

    def settle_down(self) -> None:
        """See to the end of the call once the verb has ended: from now on its setup is queued."""
        self._running.answer.at_end(self._leave)

    def _leave(self) -> None:
        if self._running.answer.failed:
            self.release()
        elif not self._keeps:
            self._release_if_connected()

    # ------------------------------------------------------------ what is heard, on the link thread

    def hear(self, received: Received) -> None:
        """Take a message of the call."""
        assert self.call is not None  # it listens
        answer, apis = self._running.answer, self.call.device.client._apis
        if answer.done:
            if not self._keeps:
                self._release_if_connected()
            return
        found = self._expected.find(received, True, apis)
        if found is not None:
            self._take(found)
        if not answer.done:
            end = RELEASED.find(received, True, apis)
            if end is not None:
                self._released(end)
        if answer.done and not self._keeps:
            # Here, and not where the verb's end is seen to: this is the thread that keeps the time.
            timers = self.call.device._connection.intake.timers
            timers.at(time.monotonic() + LINGER_TIME, lambda now: self.release())

    def over(self) -> None:
        """The call is over."""
        call = self.call
        assert call is not None  # it listens
        running = self._running
        if self._lost is not None and running.answer.done and not running.answer.failed:
            self._lost()
        else:
            running.answer.fail(call._ended_meanwhile)
        call._unlisten(self)

    def interrupted(self, error: Callable[[], EpSignalError]) -> None:
        """Nothing is known of the call any more."""
        self._running.answer.fail(error)

    # ------------------------------------------------------------ its end

    def release(self) -> None:
        """Release the call, if it still stands. Does not wait; any thread."""
        if self.call is not None and self.call._record.queued:
            try:
                self.call._release_at_once(Rel(cau=Cause(num=16)))
            except EpSignalError:
                pass  # the connection has ended, and the call with it

    def retire(self) -> None:
        """Release the call, and tell nobody of its end. Does not wait; any thread."""
        self._lost = None
        self.release()

    def _release_if_connected(self) -> None:
        if self.call is not None and self.call.state == CONNECTED:
            self.release()


def settle_by_signal(running: Running[Signal]) -> Callable[[Found], None]:
    """Return what succeeds with the signal that was found."""

    def take(found: Found) -> None:
        running.answer.succeed(found.signal)

    return take


def released_well(running: Running[Signal]) -> Callable[[Found], None]:
    """Return what succeeds with the end of a call that has done what it was made for, and refuses with any other."""

    def take(found: Found) -> None:
        cause = found.cause
        if (None if cause is None else cause.num) in GOOD_CAUSES:
            running.answer.succeed(found.signal)
        else:
            running.refuse(cause)

    return take


def refused_by_release(running: Running[Any]) -> Callable[[Found], None]:
    """Return what refuses with the end of the call, whatever its cause is."""
    return lambda found: running.refuse(found.cause)
