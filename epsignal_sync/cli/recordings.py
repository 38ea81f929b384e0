"""Reading a recording for a command: what lasts is shown, and what is missing is said. Knows nothing of what it is for."""

from __future__ import annotations

import contextlib
import pathlib

from ..recording.reading import Recording, older_parts
from .progress import progress


def read_recording(path: pathlib.Path) -> Recording:
    """Return the recording in a file; what could not be read of it stands in the log. Raises RecordingError."""
    size = 0
    for part in (path, *older_parts(path)):
        with contextlib.suppress(OSError):
            size += part.stat().st_size
    with progress(f"Reading {path.name}", size) as advance:
        return Recording(path, progress=advance)
