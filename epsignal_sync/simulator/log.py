"""The record of every message, and the way to wait for one. Knows nothing of what the messages mean."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..deadline import Deadline
from ..messages.record import masked

T = TypeVar("T")

PLACES = frozenset({"from-phone", "from-pbx", "to-app", "from-app", "to-phone", "to-pbx", "note"})
"""Where a message can be seen; see :class:`LogEntry`."""


def compact(value: Any) -> str:
    """Return ``value`` as JSON text without white space, non-ASCII unescaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class LogEntry:
    """One message at one place.

    ``number``: 1 for the first entry, and one more for each. ``time``: seconds of time.monotonic(). ``device``: the
    hardware id, or None. ``connection``: the number of the app's connection (the first is 1), or None. ``place``:

    * ``from-phone``, ``from-pbx``: the phone or the PBX sent it;
    * ``to-app``, ``from-app``: it went to, or came from, an app: ``text`` is the very text on the wire;
    * ``to-phone``, ``to-pbx``: it arrived at the phone or the PBX;
    * ``note``: no message, but what the simulator has to say, such as a login refused; ``text`` says it.

    ``message`` is the parsed message (do not change it); for the phone's and the PBX's places it holds ``call``
    and ``sig``.
    """

    __slots__ = ("number", "time", "place", "device", "connection", "message", "_text")

    def __init__(
        self, number: int, at: float, place: str, *, device: str | None, connection: int | None, message: dict[str, Any] | None,
        text: str | None,
    ) -> None:  # fmt: skip
        self.number = number
        self.time = at
        self.place = place
        self.device = device
        self.connection = connection
        self.message = message or {}
        self._text = text

    @property
    def text(self) -> str:
        """The text on the wire; for the phone's and the PBX's places the compact JSON of ``message``."""
        return compact(self.message) if self._text is None else self._text

    @property
    def mt(self) -> Any:
        """The ``mt`` of the message; None at the phone's and the PBX's places."""
        return self.message.get("mt")

    @property
    def call(self) -> Any:
        """The call id, or None."""
        return self.message.get("call")

    @property
    def sig(self) -> dict[str, Any]:
        """The signal; empty where there is none."""
        sig = self.message.get("sig")
        return sig if isinstance(sig, dict) else {}

    @property
    def type(self) -> Any:
        """The ``type`` of the signal, or None."""
        return self.sig.get("type")

    def __repr__(self) -> str:
        text = compact(masked(self.message)) if self.message else self.text
        return f"<{self.place} {self.device or '-'} {text[:200]}>"


class MessageLog:
    """Every message in the order in which the simulated PBX saw it; the oldest go when ``limit`` entries are held.

    All methods may be called from any thread and none but :meth:`newer` blocks.
    """

    def __init__(self, limit: int) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=limit)
        self._changed = threading.Condition()
        self._version = 0
        self._count = 0

    def __iter__(self) -> Iterator[LogEntry]:
        return iter(self.entries())

    def __len__(self) -> int:
        return len(self._entries)

    def entries(
        self, *, place: str | None = None, device: str | None = None, call: Any = None, type: str | None = None, mt: str | None = None
    ) -> list[LogEntry]:
        """Return the entries that have everything that is given, oldest first (``type``: of the signal)."""
        if place is not None and place not in PLACES:
            raise ValueError(f"there is no place {place!r} in the log: use one of {', '.join(sorted(PLACES))}")
        with self._changed:
            entries = list(self._entries)
        return [
            entry
            for entry in entries
            if (place is None or entry.place == place)
            and (device is None or entry.device == device)
            and (call is None or entry.call == call)
            and (type is None or entry.type == type)
            and (mt is None or entry.mt == mt)
        ]

    def texts(self, place: str, device: str | None = None, *, mt: str | None = None) -> list[str]:
        """Return the texts of the entries at one place, oldest first."""
        return [entry.text for entry in self.entries(place=place, device=device, mt=mt)]

    def last(self, place: str, device: str | None = None, *, type: str | None = None) -> LogEntry | None:
        """Return the newest entry at one place, or None."""
        found = self.entries(place=place, device=device, type=type)
        return found[-1] if found else None

    def newer(self, number: int = 0, *, timeout: float | None = None) -> list[LogEntry]:
        """Return the entries after the one with this number, oldest first; waits until there is one.

        Blocks for at most ``timeout`` seconds (None: for ever) and returns an empty list then. To follow the log, ask
        again with the number of the last entry returned.
        """

        def look() -> list[LogEntry]:
            with self._changed:
                newest_first = itertools.takewhile(lambda entry: entry.number > number, reversed(self._entries))
                return list(newest_first)[::-1]

        return self.wait(look, timeout) or []

    def clear(self) -> None:
        """Forget all entries."""
        with self._changed:
            self._entries.clear()

    def add(
        self,
        place: str,
        *,
        device: str | None = None,
        connection: int | None = None,
        message: dict[str, Any] | None = None,
        text: str | None = None,
        at: float | None = None,
    ) -> None:
        """Add an entry; the simulator's own."""
        now = time.monotonic() if at is None else at
        with self._changed:
            self._count += 1
            self._entries.append(LogEntry(self._count, now, place, device=device, connection=connection, message=message, text=text))

    def notify(self) -> None:
        """Have everyone in :meth:`wait` look again; the simulator's own."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def wait(self, look: Callable[[], T | None], timeout: float | None) -> T | None:
        """Return the first true result of ``look``, or None after ``timeout`` seconds.

        ``look`` runs on the calling thread, without a lock, once for each change.
        """
        deadline = Deadline(timeout)
        while True:
            seen = self._version
            found = look()
            if found:
                return found
            if deadline.expired:
                return None
            with self._changed:
                if self._version == seen:
                    self._changed.wait(deadline.remaining(0.5))
