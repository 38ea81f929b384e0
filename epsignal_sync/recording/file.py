"""The growing file of a recording: made, locked, appended to, cut back after a failure, and rotated. Knows no thread and no message.

Every piece goes to the operating system at once, so that a program that is killed has lost at most the line it was writing.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections import deque
from itertools import pairwise
from pathlib import Path

from ..errors import RecordingError
from .lines import beginning_line
from .reading import LONGEST_BEGINNING, begins_a_recording, older_part, open_older_part

if sys.platform != "win32":
    import fcntl

LARGEST_PIECE = 1024 * 1024
"""Bytes that are written at a time, but for a longer line."""

Waiting = deque[tuple[bytes, int]]
"""Lines that are to be written, each with how many messages it stands for: 1, or 0 for an event."""


class RecordingFile:
    """The file that a recording grows in. One thread at a time may call it. What the system refuses is raised as OSError."""

    def __init__(self, path: Path, library: str, *, secrets_kept: bool, max_size: int, keep: int) -> None:
        self.path = path
        self._library = library
        self._secrets_kept = secrets_kept
        self._max_size = max_size
        self._keep = keep
        self._descriptor = -1
        self._identity = (0, 0)
        self._size = self._beginning = 0
        """Bytes of the file; bytes of its first line, if this has written it."""
        self.written = 0
        """Messages that were written."""
        self.bytes_written = 0
        """All that was written."""

    def open(self, *, continued: bool = False) -> None:
        """Make the file, or go on in one that is a recording. Raises OSError; RecordingError where it is something else."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        descriptor = self._descriptor = os.open(self.path, flags, 0o600)  # numbers and names of callers stand in it
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise RecordingError(f"{self.path} is no ordinary file: take the name of a new file for the recording")
            _lock(descriptor, self.path)
            self._size = before = _cut_to_whole_lines(descriptor, self.path)
            self._identity = (state.st_dev, state.st_ino)
            line = beginning_line(time.time(), self._library, secrets_kept=self._secrets_kept, continued=continued)
            self._write(deque([(line, 0)]), 1)
            self._beginning = 0 if before else self._size
        except BaseException:
            self.close()
            raise

    def check_older_parts(self) -> None:
        """Raise RecordingError where something else has the name that an older part is going to have, OSError where it cannot be read."""
        for number in range(1, self._keep + 1):
            part = older_part(self.path, number)
            if os.path.lexists(part):
                with open_older_part(part) as file:
                    begins_a_recording(part, file.readline(LONGEST_BEGINNING))

    def append(self, waiting: Waiting) -> None:
        """Write all lines, and take from ``waiting`` those that are written, also when it raises."""
        self._see_that_it_is_there()
        while waiting:
            count = self._fitting(waiting)
            if count:
                self._write(waiting, count)
            else:
                self._rotate()

    def close(self) -> None:
        """Close the file. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            _unlock(descriptor)
            os.close(descriptor)

    def _see_that_it_is_there(self) -> None:
        """Make the file anew where somebody has taken it away: nobody would ever find what is written to it."""
        if self._descriptor >= 0:
            try:
                state = os.stat(self.path)
                if (state.st_dev, state.st_ino) == self._identity:
                    return
            except (FileNotFoundError, NotADirectoryError):
                pass
            self.close()
        self.open(continued=True)

    def _fitting(self, waiting: Waiting) -> int:
        """Return how many lines are to be written together; 0: the file is full."""
        count = size = 0
        for line, _ in waiting:
            size += len(line)
            is_first = not count and self._size <= self._beginning  # a line that is too long for any file has one of its own
            if (self._size + size > self._max_size and not is_first) or (count and size > LARGEST_PIECE):
                break
            count += 1
        return count

    def _write(self, waiting: Waiting, count: int) -> None:
        data = b"".join(waiting[index][0] for index in range(count))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._descriptor, data[done:])
        finally:  # no half line may stand in the middle of the file
            whole = done if done == len(data) else data.rfind(b"\n", 0, done) + 1
            self._size += whole
            self.bytes_written += whole
            for _ in range(data.count(b"\n", 0, whole)):
                self.written += waiting.popleft()[1]
            if whole < done:
                self._cut_back()

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self.close()  # it is cut when it is opened again

    def _rotate(self) -> None:
        """Give the file the name of an older part, and begin another one."""
        if sys.platform == "win32":
            self.close()  # there an open file cannot be renamed
        # Only up to the first name that is free: where the last step fails and is tried again, no older part may be pushed out.
        parts = [self.path]
        while os.path.lexists(parts[-1]) and len(parts) <= self._keep:
            parts.append(older_part(self.path, len(parts)))
        for newer, older in reversed(list(pairwise(parts))):
            os.replace(newer, older)
        self.close()
        self.open(continued=True)


def _lock(descriptor: int, path: Path) -> None:
    """Keep others from recording to the same file; on Windows, and where a file system has no locks, nothing does."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RecordingError(f"{path} is being recorded to already, by this program or another one: take another file") from None
    except OSError:
        pass


def _unlock(descriptor: int) -> None:
    """Let others record to the file: closing alone does not where a forked process still has it open, too."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:
        pass


def _cut_to_whole_lines(descriptor: int, path: Path) -> int:
    """Cut off a last line that a crash has left without its end; returns the size. Raises RecordingError for what is no recording."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return 0
    os.lseek(descriptor, 0, os.SEEK_SET)
    begins_a_recording(path, os.read(descriptor, LONGEST_BEGINNING).partition(b"\n")[0])
    end = size
    while end > 0:
        start = max(0, end - LARGEST_PIECE)
        os.lseek(descriptor, start, os.SEEK_SET)
        found = os.read(descriptor, end - start).rfind(b"\n")
        if found >= 0:
            if start + found + 1 < size:
                os.ftruncate(descriptor, start + found + 1)
            return start + found + 1
        end = start
    raise RecordingError(f"{path} is no recording, line 1: it has no end; take the name of a new file")
