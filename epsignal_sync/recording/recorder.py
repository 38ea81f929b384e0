"""Writing down what goes through a client: taken on the link thread, which never waits for a disk, written on a thread of its own.

What becomes of the file stands in :mod:`.file`. Knows no client.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..deadline import Deadline
from ..errors import ClosedError, RecordingError
from ..process import Process
from ..relay.deliveries import Delivery, LinkDown, LinkUp, Received, Sent
from .file import RecordingFile, Waiting
from .lines import APP, CLOSED, CONNECTED, ENDED, FORWARDED, LOGIN, LOST, MISSING, OWN, PBX, PHONE, event_line, message_line

if TYPE_CHECKING:
    from ..device import Device

MOST_MESSAGES = 100_000
"""Messages that wait to be written, at the most; what comes beyond it is missing in the file."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes of their texts, likewise."""
MOST_AT_ONCE = 1000
"""Messages that are taken from the queue at a time."""
RETRY_TIME = 1.0
"""Seconds after which it is tried again, where the file could not be written."""
CLOSE_TIME = 2.0
"""Seconds that close() waits for what is still to be written."""
IDLE_TIME = 60.0
"""Seconds after which the thread looks up though nobody has woken it."""

LOG = logging.getLogger("epsignal_sync.recording")


class Taken(NamedTuple):
    """A message that was taken. What became of a received one may still change, so that it stands here."""

    at: float
    item: Received | Sent
    verdict: str | None
    by_app: bool = False
    """Whether this is not what was received, but that the application has sent it on."""


class Happened(NamedTuple):
    """An event of the connection."""

    at: float
    event: str
    text: str
    device: str | None


class _Missing:
    """Messages in a row for which there was no room."""

    def __init__(self) -> None:
        self.at = time.time()
        self.count = 0


Entry = Taken | Happened


class Recorder:
    """A recording that is being made, by :meth:`epsignal_sync.Client.record`; as a context manager it is closed at the end.

    Everything may be called in any thread, callbacks included. The phone and the callbacks never wait for it: where the file cannot
    be written, one warning is logged, it is tried again each second, and 100 000 messages (64 MiB of text) wait meanwhile.
    What comes beyond that is missing in the file, which says so.
    """

    def __init__(self, file: RecordingFile, *, secrets_kept: bool, ended: Callable[[Recorder], None]) -> None:
        """Take an open file, which the recorder's thread closes; ``ended`` is called when nothing is to be taken any more."""
        self._file = file
        self._secrets_kept = secrets_kept
        self._ended = ended
        self._process = Process()
        self._condition = threading.Condition()  # re-entrant: a signal handler may call close() in the middle of one
        self._queue: deque[Entry | _Missing] = deque()
        self._size = 0
        self._missing = 0
        self._closing = self._failing = False
        self._thread = threading.Thread(target=self._run, name="epsignal-recorder", daemon=True)

    @property
    def path(self) -> Path:
        """The file. Older parts of it are ``path.1``, ``path.2`` and so on."""
        return self._file.path

    @property
    def written(self) -> int:
        """How many messages are in the file, and in its older parts, by this recorder."""
        return self._file.written

    @property
    def size(self) -> int:
        """How many bytes this recorder has written."""
        return self._file.bytes_written

    @property
    def missing(self) -> int:
        """How many messages are left out for good, since they could not be written."""
        return self._missing

    @property
    def closed(self) -> bool:
        """Whether close() was called, here or by the client."""
        return self._closing

    def close(self, *, timeout: float | None = CLOSE_TIME) -> None:
        """Write what came before and close the file. Idempotent; any thread, callbacks included.

        Blocks at most ``timeout`` seconds (None: for ever); a disk that is slower than that still gets the rest, as long as
        the program runs. Raises UsageError for a ``timeout`` that is none.
        """
        deadline = Deadline(timeout)
        if self._process.forked:
            return  # the thread and the file are the parent's
        self._ended(self)
        with self._condition:
            self._closing = True
            self._condition.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(deadline.remaining())

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Recorder {str(self.path)!r}: {self.written} messages written, {self.missing} missing>"

    def _start(self) -> None:
        self._thread.start()

    # ------------------------------------------------------------ taking: the link thread, and who forwards

    def _put(self, entries: Iterable[Entry], size: int) -> None:
        """Take entries, as far as there is room; ``size`` is that of their texts. Does not wait."""
        with self._condition:
            if self._closing:
                return
            if len(self._queue) >= MOST_MESSAGES or self._size >= MOST_BYTES:
                self._leave_out(sum(type(entry) is Taken for entry in entries))
                return
            if not self._queue:
                self._condition.notify()
            self._queue.extend(entries)
            self._size += size

    def _leave_out(self, count: int) -> None:
        self._missing += count
        last = self._queue[-1] if self._queue else None
        if not isinstance(last, _Missing):
            last = _Missing()
            self._queue.append(last)
        last.count += count

    # ------------------------------------------------------------ writing: the recorder's thread

    def _run(self) -> None:
        try:
            while taken := self._wait():
                lines: Waiting = deque()
                for line in map(self._line, taken):
                    if line[0]:
                        lines.append(line)
                if not self._write(lines):
                    break
        except Exception as error:  # a fault of this library: whoever records has to hear of it
            LOG.error("recording to %s has ended after an internal error (%s): please report it", self.path, type(error).__name__)
        finally:
            self._ended(self)
            with self._condition:
                self._closing = True
                self._missing += sum(type(entry) is Taken for entry in self._queue)
                self._queue.clear()
            try:
                self._file.close()
            except OSError as error:  # so a file system in the network says that it has not written what it took
                LOG.warning("the end of %s may be missing (%s): check the space there", self.path, error.strerror or type(error).__name__)
            if self._missing:
                LOG.warning("%d messages are missing in %s, since they could not be written", self._missing, self.path)

    def _wait(self) -> list[Entry | _Missing]:
        """Wait for something to be written; empty at the end."""
        with self._condition:
            while not self._queue and not self._closing:
                self._condition.wait(IDLE_TIME)
            taken = [self._queue.popleft() for _ in range(min(MOST_AT_ONCE, len(self._queue)))]
            self._size = self._size - sum(_size(entry.item) for entry in taken if isinstance(entry, Taken)) if self._queue else 0
            return taken

    def _line(self, entry: Entry | _Missing) -> tuple[bytes, int]:
        if isinstance(entry, Happened):
            return event_line(*entry), 0
        if isinstance(entry, _Missing):
            return _missing_line(entry.at, entry.count), 0
        try:
            return _message_line(entry, self._secrets_kept)
        except ValueError:  # nested so deep that nobody can say what of it is secret
            self._missing += 1
            return _missing_line(entry.at, 1), 0

    def _write(self, lines: Waiting) -> bool:
        """Write lines, and try again until it works; returns whether they are written. False: it is closed before."""
        while True:
            try:
                self._file.append(lines)
            except (OSError, RecordingError) as error:
                self._note_failure(error)
            else:
                if self._failing:
                    self._failing = False
                    LOG.warning("%s is being written again", self.path)
                return True
            with self._condition:
                if self._condition.wait_for(lambda: self._closing, RETRY_TIME):
                    self._missing += sum(count for _, count in lines)
                    return False

    def _note_failure(self, error: OSError | RecordingError) -> None:
        if not self._failing:
            self._failing = True
            why = error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
            LOG.warning("%s cannot be written (%s): the phones are not concerned; it is tried again each second", self.path, why)


# ------------------------------------------------------------ what is taken


def record(recorders: tuple[Recorder, ...], batch: list[Delivery], device: Device | None, connected: bool) -> None:
    """Give what a connection delivers to recorders; ``device``: whose connection it is, where each has its own. Link thread."""
    entries: list[Entry] = []
    size = 0
    for item in batch:
        kind = type(item)
        if kind is Received:
            entries.append(Taken(item.received_at, item, item.verdict))  # type: ignore[union-attr,arg-type]
            size += _size(item)
        elif kind is Sent:
            entries.append(Taken(item.sent_at, item, OWN))  # type: ignore[union-attr,arg-type]
            size += _size(item)
        elif isinstance(item, LinkUp):
            entries.append(connected_event(item.address, device))
        elif isinstance(item, LinkDown) and (connected or item.retry_in is None):  # not each attempt that has failed
            entries.append(_lost_event(item, device))
    for recorder in recorders if entries else ():
        recorder._put(entries, size)


def record_forwarded(recorders: tuple[Recorder, ...], received: Received) -> None:
    """Give to recorders that the application has sent a message on. Any thread."""
    for recorder in recorders:
        recorder._put([Taken(time.time(), received, FORWARDED, by_app=True)], len(received.text))


def connected_event(address: str, device: Device | None) -> Happened:
    """Return that there is a connection."""
    return Happened(time.time(), CONNECTED, f"logged in at {address}", None if device is None else device.hw)


def _lost_event(down: LinkDown, device: Device | None) -> Happened:
    event = LOST if down.retry_in is not None else CLOSED if isinstance(down.error, ClosedError) else ENDED
    return Happened(time.time(), event, str(down.error), None if device is None else device.hw)


def _size(item: Any) -> int:
    sent: tuple[bytes, ...] = getattr(item, "sent", ())
    return len(item.text) + sum(map(len, sent)) if sent else len(item.text)


def _missing_line(at: float, count: int) -> bytes:
    return event_line(at, MISSING, f"{count} message{'s are' if count != 1 else ' is'} not in the recording, since it could not be written")


def _message_line(taken: Taken, secrets_kept: bool) -> tuple[bytes, int]:
    """Return the line of a message; an empty one for what is not recorded. Raises ValueError."""
    item, at = taken.item, taken.at
    hw = None if item.attachment is None else item.attachment.hw
    if isinstance(item, Sent):
        receiver = PHONE if item.to_device else PBX
        return message_line(at, APP, receiver, hw, OWN, item.text, secrets_kept=secrets_kept, refusal=item.refused), 1
    data, verdict = item.data, taken.verdict
    if data["mt"] in LOGIN:
        return b"", 0
    sender, receiver = PBX, APP
    if data["mt"] == "Signaling" and (verdict is not None or item.attachment is not None):
        sender, receiver = (PBX, PHONE) if data.get("to") is True else (PHONE, PBX)
        if verdict == OWN:
            receiver = APP
        if taken.by_app:
            sender = APP
    return message_line(at, sender, receiver, hw, verdict, item.text, item.sent, secrets_kept=secrets_kept), 1
