"""The lines of a recording and the calls in them, whether they stand in a file or were made here. Knows no app and no PBX."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..recording.calls import CallFinder, RecordedCall
from ..recording.lines import Beginning, Line, RecordedMessage
from ..recording.reading import Recording


def lines_of(recording: str | os.PathLike[str] | Recording) -> list[Line]:
    """Return the lines of a recording in their order. Raises RecordingError."""
    if not isinstance(recording, Recording):
        recording = Recording(recording)
    return list(recording.lines())


def calls_in(lines: Iterable[Line]) -> list[RecordedCall]:
    """Return the calls in the lines of a recording."""
    messages: list[RecordedMessage] = []
    finder = CallFinder(messages)
    for line in lines:
        if isinstance(line, RecordedMessage):
            messages.append(line)
            finder.take_message(len(messages) - 1, line)
        elif isinstance(line, Beginning):
            finder.take_beginning(line)
        else:
            finder.take_event(line)
    finder.finish()
    return finder.calls
