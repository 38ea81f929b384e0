"""The steps of calls on their way from the client's callbacks to the thread that shows them. Knows not how they look."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from ..call import Call
from ..client import Client
from ..events import CallEnded, CallEvent, CallStarted, CallStateChanged
from ..intake import ConnectionState
from ..messages import CallState
from .outputs import Output, Progress

REFRESH = 0.25
"""Seconds between two looks of the live table."""

_OVER = (CallState.NULL, CallState.DISCONNECTED, CallState.DISCONNECTING)


class Steps:
    """The steps of the calls for which ``wanted`` is true, from now on."""

    def __init__(self, client: Client, wanted: Callable[[Call], bool]) -> None:
        self._client = client
        self._wanted = wanted
        self._queue: queue.SimpleQueue[Progress | Callable[[], None]] = queue.SimpleQueue()
        self.last_state = ""
        """The state that was shown last."""
        client.on(CallStarted, lambda event: self._put(event, event.state))
        client.on(CallStateChanged, self._changed)
        client.on(CallEnded, lambda event: self._put(event, CallState.NULL))

    def show(self, output: Output, until: Callable[[], bool]) -> None:
        """Show the steps until ``until`` is true and there are none left; raises the loss of the connection for good. Blocks."""
        while True:
            finished = until()  # asked first: what happened before it is shown
            try:
                step = self._queue.get(timeout=REFRESH)
            except queue.Empty:
                if self._client.state is ConnectionState.CLOSED:
                    return self._client.run_forever()  # which says why
                if finished:
                    return
                output.refresh()
                continue
            if isinstance(step, Progress):
                output.show(step)
                self.last_state = step.state
            else:
                step()

    def do_soon(self, job: Callable[[], None]) -> None:
        """Have the thread in :meth:`show` do a job. Does not block; any thread, and a signal handler too."""
        self._queue.put(job)

    def _changed(self, event: CallStateChanged) -> None:
        if event.state != CallState.NULL:  # its CallEnded follows
            self._put(event, event.state)

    def _put(self, event: CallEvent, state: CallState | str) -> None:
        call = event.call
        if self._wanted(call):
            self._queue.put(Progress(
                at=time.time(), hw=event.device.hw, call=call, state=str(state), remote=call.remote, incoming=call.incoming,
                cause=call.cause if state in _OVER else None,
            ))
