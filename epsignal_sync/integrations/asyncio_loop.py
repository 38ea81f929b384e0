"""Callbacks on the thread of an asyncio event loop. Needs nothing of asyncio but two methods of the loop, so uvloop's fits as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..dispatcher import RunPending
from ..errors import UsageError
from ..loop_end import LoopEnd


class Loop(Protocol):
    """What an event loop has to have."""

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> Any:
        """Have the loop's own thread call something."""

    def is_closed(self) -> bool:
        """Whether it never runs again."""


class AsyncioDispatcher:
    """Has callbacks run on the thread of an event loop, in order, between what else the loop does: slices of about 10 ms.

    Pass it as ``dispatcher=``; it may serve several clients. ``loop`` is the one that is to run them, inside a coroutine
    ``asyncio.get_running_loop()``; while it does not run, callbacks wait. When it is closed they end without an error. The
    phones' signaling waits for none of this.

    Callbacks are plain functions: an ``async def`` is refused, and what has to wait starts a task. Methods that block would
    hold up the loop, in coroutines and in callbacks: call them by ``await asyncio.to_thread(...)``, or with ``on_result=``,
    whose callback runs here, too. That goes for ``connect()``, ``attach()`` and ``close()``. Raises UsageError.
    """

    def __init__(self, loop: Loop) -> None:
        needed = ("call_soon_threadsafe", "is_closed")
        if isinstance(loop, type) or not all(callable(getattr(loop, name, None)) for name in needed):
            raise UsageError(f"AsyncioDispatcher() takes an event loop, in a coroutine asyncio.get_running_loop(), not {loop!r:.80}")
        if loop.is_closed():
            raise UsageError("AsyncioDispatcher() was given an event loop that is closed: make it in a coroutine of the one that runs")
        self._loop = loop
        self.loop_end = LoopEnd(loop.is_closed)
        """Tells the clients that the loop is closed; for the library."""

    def __call__(self, run_pending: RunPending) -> None:
        """Take callbacks that are to run; called by the library."""
        try:
            self._loop.call_soon_threadsafe(run_pending)
        except RuntimeError:
            if not self._loop.is_closed():
                raise
            self.loop_end.tell()
