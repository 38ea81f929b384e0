"""Callbacks run in a program's event loop: what if that has ended for good, such as the loop of a window that was closed.

Knows neither the loop nor what the callbacks are; whoever handed them over is told.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Protocol


class Abandoned(Protocol):
    """Something that hands callbacks over to a loop."""

    def abandon(self) -> None:
        """The loop has ended: hand nothing over any more. Must not block."""


class LoopEnd:
    """Tells the clients whose callbacks a loop runs when it has ended for good. A dispatcher has it as ``loop_end``.

    ``is_over`` is for a loop that says nothing when it ends: it is asked now and then. Any thread; nothing here blocks.
    """

    def __init__(self, is_over: Callable[[], bool] = lambda: False) -> None:
        self._is_over = is_over
        self._clients: weakref.WeakSet[Abandoned] = weakref.WeakSet()
        self._ended = False
        # Re-entrant: a finalizer may end a loop in the middle of add().
        self._ended_lock = threading.RLock()

    def add(self, client: Abandoned) -> None:
        """Have ``client`` told, too; at once where the loop has ended already."""
        with self._ended_lock:
            self._clients.add(client)
            ended = self._ended
        if ended:
            client.abandon()

    def look(self) -> None:
        """See whether the loop has ended without a word."""
        if self._is_over():
            self.tell()

    def tell(self) -> None:
        """The loop has ended."""
        with self._ended_lock:
            self._ended = True
            clients = list(self._clients)
        for client in clients:
            client.abandon()
