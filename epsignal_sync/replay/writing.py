"""Writing what went through a replay as a recording. Knows nothing of how that came about."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterable

from ..errors import RecordingError
from ..protocol.jsontext import dumps
from ..recording.lines import Beginning, Line, RecordedEvent, beginning_line, event_line, message_line

MODE = 0o600
"""Numbers and names of callers stand in it."""


def create(path: pathlib.Path) -> None:
    """Make a file for a recording that is not there yet. Raises RecordingError."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
    except FileExistsError:
        raise RecordingError(f"{path} is there already, and nothing is written over: give another name, or remove it first") from None
    except OSError as error:
        raise RecordingError(f"{path} cannot be made ({error.strerror}): give a file in a directory that can be written to") from None


def write(path: pathlib.Path, lines: Iterable[Line]) -> None:
    """Write lines into a file that :func:`create` has made, but for what is nested too deep. Raises RecordingError."""
    secrets_kept = False
    try:
        with path.open("wb") as file:
            for line in lines:
                if isinstance(line, Beginning):
                    secrets_kept = line.secrets_kept
                with contextlib.suppress(ValueError):  # nested so deep that nobody can say what of it is secret
                    file.write(_text(line, secrets_kept))
    except OSError as error:
        raise RecordingError(f"{path} could not be written to its end ({error.strerror}): what is there can be read") from None


def _text(line: Line, secrets_kept: bool) -> bytes:
    if isinstance(line, Beginning):
        return beginning_line(line.at, line.library, secrets_kept=line.secrets_kept, continued=line.continued)
    if isinstance(line, RecordedEvent):
        return event_line(line.at, line.event, line.text, line.device)
    return message_line(
        line.at, line.sender, line.receiver, line.device, line.verdict, dumps(line.data), tuple(map(dumps, line.sent)),
        secrets_kept=secrets_kept, refusal=line.refusal,
    )  # fmt: skip
