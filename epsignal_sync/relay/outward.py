"""The two ways from the link thread to the application, so that nothing that happens there can stop the thread.

Knows nothing of sockets and connections, and not what the application does with what it is given.
"""

from __future__ import annotations

from collections.abc import Callable

from ..protocol.lanes import Held
from .deliveries import Counters, Delivery


class Outward:
    """``deliver(batch, now)`` and ``ask(held)`` of the application, see :mod:`.link`. Belongs to the link thread."""

    def __init__(self, deliver: Callable[[list[Delivery], float], float | None], ask: Callable[[Held], None], counters: Counters) -> None:
        self._deliver = deliver
        self._ask = ask
        self._counters = counters
        self.next_at: float | None = None
        """When the application wants to be called again, by the monotonic clock."""

    def deliver(self, batch: list[Delivery], now: float) -> None:
        """Hand a batch over, where there is one or its time has come."""
        if not batch and (self.next_at is None or now < self.next_at):
            return
        try:
            self.next_at = self._deliver(batch, now)
        except BaseException:  # the application side must not be able to stop forwarding, or to end this thread silently
            self._counters.delivery_failures += 1
            self.next_at = None

    def ask(self, held: Held) -> bool:
        """Have the application asked about a message; returns whether it could be."""
        try:
            self._ask(held)
        except BaseException:
            self._counters.delivery_failures += 1
            return False
        return True
