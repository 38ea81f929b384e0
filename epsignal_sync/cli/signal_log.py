"""What is said at a simulated PBX, as lines: who to whom, which phone, which call, the message.

A message that an app sends on as it came is one line, not two; one that the app changed, or says itself, is a line of its own.
"""

from __future__ import annotations

import collections
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from ..messages.record import masked
from ..simulator import LogEntry, SimulatedPBX
from .outputs import plain

QUIET_TIME = 0.1
"""Seconds without a message after which it is quiet."""
SETTLE_TIME = 2.0
"""Seconds that :meth:`SignalLog.settle` takes at most for one look."""
MOST_PENDING = 1000
"""Messages that are remembered as given to an app and not sent on yet."""

_ENDS = {"from-phone": ("phone", "PBX"), "from-pbx": ("PBX", "phone")}


class SignalLog:
    """The thread ``simulate-log``, which writes the lines from now on; ``label`` gives a phone's short name.

    ``failed`` is called on that thread when a line could not be written: it is the last one then.
    """

    def __init__(
        self, pbx: SimulatedPBX, label: Callable[[str | None], str], write: Callable[[str], None], failed: Callable[[OSError], None]
    ) -> None:
        self._log = pbx.log
        self._label = label
        self._write = write
        self._failed = failed
        self._given: collections.deque[str] = collections.deque(maxlen=MOST_PENDING)
        self._quiet = threading.Event()
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._number = 0
        while entries := self._log.newer(self._number, timeout=QUIET_TIME):  # what the phones say when they register is left out
            self._number = entries[-1].number
        self._thread = threading.Thread(target=self._run, name="simulate-log", daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Block until all that was said is written and nothing more is being said; a few seconds at most."""
        for _ in range(2):  # the first time may be the end of a look that began before now
            self._quiet.clear()
            self._quiet.wait(SETTLE_TIME)

    def wait(self) -> None:
        """Block until a line could not be written; Ctrl-C works."""
        while not self._ended.wait(0.5):  # not join(): where that is interrupted, Python before 3.13 takes the thread for ended
            pass

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join(SETTLE_TIME)

    def _run(self) -> None:
        try:
            self._write_lines()
        finally:
            self._ended.set()

    def _write_lines(self) -> None:
        while not self._closing.is_set():
            entries = self._log.newer(self._number, timeout=QUIET_TIME)
            if not entries:
                self._quiet.set()
                continue
            self._number = entries[-1].number
            try:
                for entry in entries:
                    line = self._line(entry)
                    if line:
                        self._write(line)
            except OSError as error:
                self._quiet.set()
                self._failed(error)
                return

    def _line(self, entry: LogEntry) -> str:
        """Return the line for an entry; "" where another one says it."""
        who = self._from_end(entry) if entry.place in _ENDS else self._at_app(entry)
        if not who:
            return ""
        at = time.strftime("%H:%M:%S", time.localtime(time.time() - (time.monotonic() - entry.time)))
        call = "" if entry.call is None else str(entry.call)
        return plain(f"{at}  {who:<11}  {self._label(entry.device):<4} {call:>3}  {_said(entry)}".rstrip())

    def _from_end(self, entry: LogEntry) -> str:
        sender, receiver = _ENDS[entry.place]
        # A call with a negative id is the app's, and nobody else knows of it.
        return f"{sender} > {'app' if isinstance(entry.call, int) and entry.call < 0 else receiver}"

    def _at_app(self, entry: LogEntry) -> str:
        is_signaling = entry.mt == "Signaling"
        if entry.place == "to-app":
            if not is_signaling:
                return "PBX > app"
            self._given.append(entry.text)
        elif entry.place == "from-app":
            if is_signaling and entry.text in self._given:
                self._given.remove(entry.text)  # it goes on as it came
                return ""
            return "app > phone" if is_signaling and entry.message.get("to") is True else "app > PBX"
        return "note" if entry.place == "note" else ""


def _said(entry: LogEntry) -> str:
    if entry.place == "note":
        return entry.text
    if entry.sig:
        return f"{entry.type} {_rest(entry.sig, 'type')}"
    # The call has a column; the digest is nothing to read.
    return f"{entry.mt} {_rest(entry.message, 'mt', 'api', 'src', 'call', 'digest')}"


def _rest(message: dict[str, Any], *without: str) -> str:
    # Keys and chats are real ones where the app connects others: they are masked as everywhere.
    rest = masked({key: value for key, value in message.items() if key not in without})
    return json.dumps(rest, separators=(",", ":"), ensure_ascii=False) if rest else ""
