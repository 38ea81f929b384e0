"""A recording as a sequence of messages, with its events and calls. Knows the file and its rotated parts, and nobody who writes it.

What is kept in memory is the text of each message, so that a recording takes about a tenth more than its files do; a
message becomes an object when it is asked for. (Kept as objects they would take about ten times as much.)
"""

from __future__ import annotations

import logging
import os
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, overload

from ..errors import RecordingError, UsageError
from ..messages.record import printable
from .calls import RecordedCall, find_calls
from .lines import Beginning, Line, LineError, NewerVersion, RecordedEvent, RecordedMessage, parse_line

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped,import-not-found,unused-ignore]

LONGEST_BEGINNING = 4096
"""Bytes in which the first line has to end: where it does not, nothing more is read to see that this is no recording."""

LOG = logging.getLogger("epsignal_sync.recording")


class Recording(Sequence[RecordedMessage]):
    """The messages of a recording, in their order: ``len()``, an index, a slice and iteration.

    It is read when it is made, and what is written afterwards is not in it. It is never changed, so that any thread may use
    it; a RecordedMessage is made anew each time it is asked for.
    """

    def __init__(self, path: str | os.PathLike[str], *, progress: Callable[[float], None] | None = None) -> None:
        """Read the file ``path``, and before it its older parts (``path.1``, ``path.2`` ...), which rotation has left.

        ``progress`` is called now and then with the bytes that were read so far. Blocks while it reads, some 4 s for
        100 MB. What cannot be read of it, such as a last line that a crash has cut off, is left out, counted in ``damaged``
        and logged as a warning. Raises RecordingError for what is no recording, is one of a newer version, or cannot be
        read at all; UsageError for what is no path. Any thread.
        """
        self.path = as_path(path)
        """The file, without its older parts."""
        self.damaged = 0
        """How many lines could not be read."""
        self._lines: list[bytes] = []
        self._before: list[tuple[int, Beginning | RecordedEvent]] = []
        """What stands between the messages, each with the number of messages before it."""
        self._calls: tuple[RecordedCall, ...] | None = None
        self._read(progress)

    # ------------------------------------------------------------ what is in it

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> RecordedMessage: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[RecordedMessage, ...]: ...

    def __getitem__(self, index: int | slice) -> RecordedMessage | tuple[RecordedMessage, ...]:
        """Return a message, or those of a slice as a tuple. Raises IndexError."""
        if isinstance(index, slice):
            return tuple(map(_message, self._lines[index]))
        return _message(self._lines[index])

    def __iter__(self) -> Iterator[RecordedMessage]:
        return map(_message, self._lines)

    def lines(self) -> Iterator[Line]:
        """Yield everything that stands in it, in its order: the messages, the events, and where runs and parts begin."""
        at = 0
        for index, other in self._before:
            yield from map(_message, self._lines[at:index])
            yield other
            at = index
        yield from map(_message, self._lines[at:])

    @property
    def events(self) -> tuple[RecordedEvent, ...]:
        """What happened to the connection, and to the recording itself."""
        return tuple(one for _, one in self._before if isinstance(one, RecordedEvent))

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """Its calls, in the order in which they began; ``number`` counts them from 1, so that call 1 is ``calls[0]``.

        Found when it is first asked for, which takes some times as long as reading did.
        """
        if self._calls is None:
            self._calls = tuple(find_calls(self.lines(), self))
        return self._calls

    def to_dataframe(self) -> DataFrame:
        """Return a pandas DataFrame with one row a message. Raises RecordingError where pandas is not installed."""
        from .frames import dataframe_of

        return dataframe_of(self)

    def __repr__(self) -> str:
        damaged = f", {self.damaged} lines damaged" if self.damaged else ""
        return f"<Recording {printable(str(self.path))}: {len(self)} messages{damaged}>"

    # ------------------------------------------------------------ reading

    def _read(self, progress: Callable[[float], None] | None) -> None:
        with ExitStack() as stack:
            done = 0.0
            for path, file in reversed(self._open_parts(stack)):
                try:
                    done = self._read_part(path, file, done, progress)
                except OSError as error:
                    raise _unreadable(path, error) from None

    def _open_parts(self, stack: ExitStack) -> list[tuple[Path, BinaryIO]]:
        """Open the file and its older parts, the newest first."""
        parts: list[tuple[Path, BinaryIO]] = []
        seen = set()
        # All before the first is read, the newest first: what is rotated meanwhile is met twice rather than missed.
        for path in (self.path, *older_parts(self.path)):
            try:
                file = stack.enter_context(open(path, "rb") if path == self.path else open_older_part(path))
            except OSError as error:
                if not parts and isinstance(error, FileNotFoundError) and older_part(path, 1).exists():
                    continue  # a crash between two files
                raise _unreadable(path, error) from None
            state = os.fstat(file.fileno())
            if (state.st_dev, state.st_ino) not in seen:
                seen.add((state.st_dev, state.st_ino))
                parts.append((path, file))
        return parts

    def _read_part(self, path: Path, file: BinaryIO, done: float, progress: Callable[[float], None] | None) -> float:
        damaged, told = array("Q"), done
        first = file.readline(LONGEST_BEGINNING)
        if not first:
            raise RecordingError(f"{_name(path)} is no recording: it is empty; give the file that was named when it was recorded")
        for number, text in enumerate(chain([first], file), 1):  # noqa: B007  # how many there are is asked for below
            self._read_line(path, number, text, damaged)
            done += len(text)
            if progress is not None and done - told >= 1_000_000:
                told = done
                progress(done)
        if damaged:
            self.damaged += len(damaged)
            which = f"line {damaged[0]}" if len(damaged) == 1 else f"{len(damaged)} lines, the first is line {damaged[0]},"
            cut = " (the file ends in the middle of it)" if damaged[-1] == number and len(damaged) == 1 and not text.endswith(b"\n") else ""
            LOG.warning("%s of %s cannot be read and was left out%s", which, _name(path), cut)
        return done

    def _read_line(self, path: Path, number: int, text: bytes, damaged: array[int]) -> None:
        try:
            line = parse_line(text)
        except NewerVersion as error:
            raise RecordingError(f"{_name(path)} cannot be read, line {number}: {error}; update epsignal-sync, and read it again") from None
        except LineError as error:
            if number == 1:
                raise _no_recording(path, str(error)) from None
            damaged.append(number)
            return
        if number == 1 and not isinstance(line, Beginning):
            raise _no_recording(path, "that is not how a recording begins")
        if isinstance(line, RecordedMessage):
            self._lines.append(text)
        else:
            self._before.append((len(self._lines), line))


def as_path(path: object) -> Path:
    """Return a path as one. Raises UsageError."""
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]  # that is what is found out
        if not text or "\0" in text:
            raise ValueError
        return Path(text)
    except (TypeError, ValueError):
        raise UsageError(f"a recording needs the path of a file, not {path!r:.80}") from None


def older_part(path: Path, number: int) -> Path:
    """Return the path of an older part of a recording; 1 is the newest of them."""
    return Path(f"{path}.{number}")  # with_name() raises for "." and "/", which have none


def older_parts(path: Path) -> Iterator[Path]:
    """Yield the paths of the older parts that there are, the newest first."""
    number = 1
    while os.path.lexists(part := older_part(path, number)):
        yield part
        number += 1


def open_older_part(path: Path) -> BinaryIO:
    """Open an older part for reading. Raises OSError; RecordingError for a pipe and the like, which would be waited for for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise RecordingError(f"{_name(path)} is no ordinary file, and has the name of an older part: move it away, or take another name")
    return open(path, "rb")


def begins_a_recording(path: Path, text: bytes) -> None:
    """Check the first line of a file. Raises RecordingError where it is no recording, or one of a newer version."""
    try:
        line = parse_line(text)
    except NewerVersion as error:
        raise RecordingError(f"{_name(path)} cannot be written to, line 1: {error}; update epsignal-sync, or take another file") from None
    except LineError as error:
        raise _no_recording(path, str(error)) from None
    if not isinstance(line, Beginning):
        raise _no_recording(path, "that is not how a recording begins")


def _message(text: bytes) -> RecordedMessage:
    line = parse_line(text)
    assert isinstance(line, RecordedMessage)  # it was one when it was read
    return line


def _name(path: Path) -> str:
    return printable(str(path))


def _no_recording(path: Path, why: str) -> RecordingError:
    return RecordingError(f"{_name(path)} is no recording, line 1: {why}; give the file that was named when it was recorded")


def _unreadable(path: Path, error: OSError) -> RecordingError:
    return RecordingError(f"{_name(path)} cannot be read ({error.strerror or type(error).__name__}): check the path and its permissions")
