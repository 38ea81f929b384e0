"""Who waits for a state of one call. The link thread tells of each state in order; nobody holds a lock while waiting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from attrs import define, field

from .deadline import Deadline
from .errors import EpSignalError
from .messages import CallState
from .protocol.call_record import CallRecord
from .replies import Replies, Reply


@define(eq=False)
class _Waiter:
    states: frozenset[CallState]
    """What is waited for; with none, the end."""
    reply: Reply = field(factory=Reply)
    reached: CallState = CallState.NULL

    def take(self, state: CallState | str) -> None:
        if isinstance(state, CallState) and state in self.states and not self.reply.done:
            self.reached = state
            self.reply.settle()

    def take_end(self, error: Callable[[], EpSignalError]) -> None:
        if not self.states or CallState.NULL in self.states:
            self.reply.settle()
        else:
            self.reply.fail(error)


class StateWaiters:
    """The threads that wait for a state of one call. ``error`` makes what is raised in those that wait in vain."""

    __slots__ = ("_lock", "_waiters")

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self._waiters: tuple[_Waiter, ...] = ()

    def wait(
        self,
        states: frozenset[CallState],
        record: CallRecord,
        replies: Replies,
        deadline: Deadline,
        timed_out: str,
        error: Callable[[], EpSignalError],
    ) -> CallState:
        """Block until the call is in one of ``states``, and return it; with none, until the call is over. Any thread."""
        waiter = _Waiter(states)
        with self._lock:
            self._waiters = (*self._waiters, waiter)
        try:
            # Only now that it is registered: what the state becomes from here on is told to the waiter.
            if record.ended_at is not None:
                waiter.take_end(error)
            else:
                if record.state is not CallState.NULL:  # not known yet: it is the end only of a call that is over
                    waiter.take(record.state)
            replies.wait(waiter.reply, deadline, timed_out)
        finally:
            with self._lock:
                self._waiters = tuple(one for one in self._waiters if one is not waiter)
        return waiter.reached

    def reached(self, state: CallState | str) -> None:
        """Tell that a state is reached. Link thread."""
        for waiter in self._waiters:
            waiter.take(state)

    def over(self, error: Callable[[], EpSignalError]) -> None:
        """Tell that the call is over. Link thread."""
        for waiter in self._waiters:
            waiter.take_end(error)

    def fail(self, error: Callable[[], EpSignalError]) -> None:
        """Raise an error in everybody who waits now. Link thread."""
        for waiter in self._waiters:
            waiter.reply.fail(error)
