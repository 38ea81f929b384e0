"""The recordings that a client is making: how one begins, and that all end with the client."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ..deadline import Deadline
from ..errors import ClosedError, RecordingError, UsageError
from ..options import MEBIBYTE, check_sizes, check_switches
from ..process import Process
from ..registry import EventSource, Registry
from .file import RecordingFile
from .reading import as_path
from .recorder import Recorder, connected_event

if TYPE_CHECKING:
    from ..connection import Connection

MOST_KEPT = 10_000
"""Older parts of a recording: each of their names is looked at before it begins."""


class Recordable(EventSource):
    """The part of a Client that records what goes through it. What it uses of the client is declared here and set there."""

    _process: Process
    _connections: tuple[Connection, ...]
    _close_lock: AbstractContextManager[bool]
    _closed: bool

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._recorders: tuple[Recorder, ...] = ()
        """Those that are being made; the tuple is replaced, never changed."""

    def record(
        self, path: str | os.PathLike[str], *, secrets: bool = False, max_size: int = 100 * MEBIBYTE, keep: int = 4
    ) -> Recorder:  # fmt: skip
        """Write each message that goes through this client to a file from now on, one JSON object a line; see docs/recording.md.

        Secrets are masked unless ``secrets`` is True; numbers and names of callers are not, so that only this user may read
        a file that is made. One that is a recording already goes on. A file of ``max_size`` bytes becomes ``path.1``, an
        older one ``path.2``, up to ``keep`` (at most 10 000) of them. Ended by ``close()`` of what is returned, or of the
        client. Before connect() it may begin, too, and there may be several.

        Blocks only for making the file. Raises RecordingError where it cannot be made or is something else, UsageError,
        ClosedError. Any thread, callbacks included.
        """
        self._process.check()
        check_switches(secrets=secrets)
        check_sizes(max_size=max_size)
        if type(keep) is not int or not 1 <= keep <= MOST_KEPT:
            raise UsageError(f"keep= takes a number of files from 1 to {MOST_KEPT}, not {keep!r:.80}")
        if self._closed:  # asked again below: it may be closed meanwhile
            raise ClosedError("the client was closed")
        file = _open(path, secrets, max_size, keep)
        recorder = Recorder(file, secrets_kept=secrets, ended=self._forget_recorder)
        try:
            recorder._start()
        except RuntimeError as error:
            file.close()
            raise RecordingError(f"no thread can be started for {file.path} ({error}): check how many this process has") from error
        with self._close_lock:
            closed = self._closed
            if not closed:
                self._begin(recorder)
        if closed:
            recorder.close()
            raise ClosedError("the client was closed")
        return recorder

    def _begin(self, recorder: Recorder) -> None:
        for connection in self._connections:
            if connection.intake.connected:
                recorder._put([connected_event(connection.intake.address, connection.only_device)], 0)
        with self._registry.lock:
            self._recorders = (*self._recorders, recorder)

    def _forget_recorder(self, recorder: Recorder) -> None:
        """Give nothing more to a recorder. Any thread."""
        with self._registry.lock:
            self._recorders = tuple(one for one in self._recorders if one is not recorder)

    def _close_recorders(self, deadline: Deadline) -> None:
        """End all recordings, with what came before in them. Any thread."""
        recorders = self._recorders
        for recorder in recorders:
            recorder.close(timeout=0.0)
        for recorder in recorders:
            recorder.close(timeout=deadline.remaining())


def _open(path: str | os.PathLike[str], secrets: bool, max_size: int, keep: int) -> RecordingFile:
    from .. import __version__

    file = RecordingFile(as_path(path), __version__, secrets_kept=secrets, max_size=max_size, keep=keep)
    try:
        file.check_older_parts()
        file.open()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise RecordingError(f"{file.path} cannot be written ({why}): check the directory, its permissions and its space") from None
    return file
