"""One verb at work: send this, wait for the first message that answers it, or for the end of the call.

Messages are heard on the link thread. The program waits in its own thread, or has its callback called; in both cases the
wait ends with the answer, with the call, with the device's registration, with the connection, with close() or with the
time-out. No lock is held meanwhile. What is sent and expected stands in the module of each service.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..deadline import Deadline
from ..errors import CallError, EpSignalError, ReplyTimeout
from ..messages import Cause, Facility, FacilitySignal, Signal
from ..messages.record import shown
from ..relay.deliveries import Received
from .answer import Answer
from .expected import Expected, Found
from .outcome import OnResult, Outcome, check_on_result, post

if TYPE_CHECKING:
    from ..call import Call
    from ..device import Device

R = TypeVar("R")

LONGEST_TIMER = 86400.0
"""Seconds after which the timer of a longer time-out is wound up again: a poll of the system takes no infinite time."""


class Listener(Generic[R]):
    """Hears what is said in one call for a verb. Made for the side that it was sent to: True the device, False the PBX."""

    def __init__(
        self,
        call: Call,
        side: bool,
        expected: Expected,
        answer: Answer[R],
        take: Callable[[Found], None],
        over: Callable[[], bool] | None = None,
    ) -> None:
        self._call, self._side, self._expected, self._answer = call, side, expected, answer
        self._take = take
        self._over = over

    def hear(self, received: Received) -> None:
        """Take a message of the call. Link thread."""
        found = self._expected.find(received, not self._side, self._call.device.client._apis)
        if found is not None and not self._answer.done:
            self._take(found)

    def over(self) -> None:
        """The call is over. Link thread."""
        if self._over is None or not self._over():
            self._answer.fail(self._call._ended_meanwhile)

    def interrupted(self, error: Callable[[], EpSignalError]) -> None:
        """Nothing is known of the call any more. Link thread."""
        self._answer.fail(error)


class Running(Generic[R]):
    """One verb from its call to its end. ``name``: what the program called, for its errors; ``hint``: what to do about a time-out."""

    def __init__(
        self, name: str, device: Device, call: Call | None, timeout: float | None, on_result: OnResult[R] | None, hint: str
    ) -> None:
        check_on_result(name, on_result)
        self.name, self.device, self.call = name, device, call
        self.deadline = Deadline(timeout)
        self.answer: Answer[R] = Answer()
        self._on_result = on_result
        self._hint = hint
        self.connection = device._connection.link.inbox.connection
        """The number of the connection on which it was begun: on the next one the call may be another one."""

    def part(self) -> Running[Any]:
        """Return one part of this verb, with an answer of its own: it fails when the verb ends without it, and the verb with it."""
        part: Running[Any] = Running(self.name, self.device, None, None, None, self._hint)
        part.deadline = self.deadline
        self.answer.at_end(lambda: part.answer.fail(self._timed_out))
        part.answer.at_end(lambda: self._take_failure(part.answer))
        return part

    def _take_failure(self, part: Answer[Any]) -> None:
        if part.failed:
            self.answer.fail(part.raised)

    @property
    def about(self) -> str:
        """Whom it is about, for errors."""
        return self.device.hw if self.call is None else self.call._name

    def begin(self, *, keeps_time: bool = False) -> None:
        """Have the answer failed by whatever ends the wait; by the time-out, too, where nobody waits for it in a thread."""
        replies = self.device._connection.replies
        self.answer.at_end(lambda: replies.discard(self.answer))
        replies.add(self.answer)
        if keeps_time or self._on_result is not None:
            self._wind_up()

    def listen(
        self, call: Call, side: bool, expected: Expected, take: Callable[[Found], None], over: Callable[[], bool] | None = None
    ) -> None:
        """Hear what is said in a call until the verb has ended. Raises CallEndedError where the call is over already.

        ``over`` is called at the call's end, and returns whether that is no failure.
        """
        listener = Listener(call, side, expected, self.answer, take, over)
        call._listen(listener)
        self.answer.at_end(lambda: call._unlisten(listener))
        if call.ended:  # only now that it listens: what happens from here on is heard
            raise call._error(f"{self.name} sent nothing")

    def send(self, call: Call, side: bool, signal: Signal) -> None:
        """Queue a message in the call; raises what send() raises."""
        self.device._check_attached(self.name, self.deadline)
        call._queue(self.name, side, signal, self.deadline, self.connection)

    def send_at_once(self, call: Call, side: bool, signal: Signal) -> None:
        """Queue a message without waiting; the verb fails where that cannot be. Link thread."""
        try:
            call._queue_at_once(side, signal)
        except EpSignalError as error:
            failed = error
            self.answer.fail(lambda: failed)

    def give_up(self) -> None:
        """Nothing was sent: stop waiting, and tell nobody."""
        self.answer.fail(self._timed_out)

    def finish(self) -> R | None:
        """Wait for the answer and return it, or leave that to the callback and return None."""
        on_result = self._on_result
        if on_result is not None:
            callback = on_result
            self.answer.at_end(lambda: self._tell(callback))
            return None
        try:
            self.answer.wait(self.deadline, str(self._timed_out()))
        finally:
            self.answer.fail(self._timed_out)  # whatever ended the wait, Ctrl-C included
        return self.answer.value

    def refuse(self, cause: Cause | None, detail: str = "") -> None:
        """Fail: what was asked for is refused."""
        why = "without a cause" if cause is None else f"with cause {shown(cause.num):.20}{', ' + cause.text if cause.text else ''}"
        text = f"{self.name} was refused for {self.about}, {why}{detail}: check that the PBX allows this, and whom it was asked for"
        self.answer.fail(lambda: CallError(text, cause=cause))

    def _timed_out(self) -> ReplyTimeout:
        return ReplyTimeout(f"{self.name} was not answered for {self.about} within {self.deadline.timeout} s: {self._hint}")

    def _wind_up(self) -> None:
        """Have the link thread keep the time. What is sent next wakes it."""
        timers = self.device._connection.intake.timers
        deadline, waiting = self.deadline, weakref.ref(self)  # a verb that has ended, and its call, must not live on until then

        def look(now: float) -> None:
            running, remaining = waiting(), deadline.remaining(LONGEST_TIMER)
            if running is None or running.answer.done or remaining is None:
                return
            if deadline.expired:
                running.answer.fail(running._timed_out)
            else:
                timers.at(now + remaining, look)

        if deadline.timeout is not None:
            timers.at(0, look)

    def _tell(self, on_result: OnResult[R]) -> None:
        answer = self.answer
        outcome = Outcome(client=self.device.client, device=self.device, call=self.call, result=answer.value, error=answer.error())
        post(outcome, on_result)


def exchange(
    name: str,
    call: Call,
    side: bool,
    facility: Facility,
    expected: Expected,
    value: Callable[[Found], R],
    *,
    timeout: float | None,
    on_result: OnResult[R] | None,
    hint: str,
    ended_well: Callable[[], R] | None = None,
) -> R | None:
    """Send a facility to one side of a call, and return the ``value`` of the first message from there that answers it.

    ``ended_well``: what is returned where the PBX ends the call instead; without it that is an error. What was asked for
    was judged before. Raises CallError, CallEndedError, DetachedError, ReplyTimeout, ConnectionLostError, ClosedError.
    """
    running: Running[R] = Running(name, call.device, call, timeout, on_result, hint)

    def take(found: Found) -> None:
        if found.refused:
            running.refuse(found.cause)
        else:
            running.answer.succeed(value(found))

    def over() -> bool:
        if ended_well is not None and call.ended_by == "pbx":
            running.answer.succeed(ended_well())
            return True
        return False

    try:
        running.begin()
        running.listen(call, side, expected, take, over)
        running.send(call, side, FacilitySignal(fty=(facility,)))
    except BaseException:
        running.give_up()
        raise
    return running.finish()


def send_only(
    name: str, call: Call, side: bool, signals: tuple[Signal, ...], *, timeout: float | None, on_result: OnResult[None] | None
) -> None:
    """Send messages to one side of a call; that they are queued is all the success there is."""
    running: Running[None] = Running(name, call.device, call, timeout, on_result, "send less, or wait longer")
    for signal in signals:
        running.send(call, side, signal)
    running.answer.succeed(None)
    running.finish()
