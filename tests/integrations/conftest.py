"""A screen that nobody sees, for the tests of windows."""

from __future__ import annotations

import select
import shutil
import subprocess
from collections.abc import Iterator

import pytest

PATIENCE = 30.0
"""Seconds that a test waits for what has to come; only a failing test ever waits so long."""
# It ends with whoever holds the other end of its standard input, however that ends.
SCREEN = "Xvfb -displayfd 1 -screen 0 1024x768x24 -nolisten tcp -noreset </dev/null & read -r _; kill $!; wait"


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A screen of this worker's own; gives the value of DISPLAY."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb, the virtual screen, is not installed: apt install xvfb xdotool")
    process = subprocess.Popen(["sh", "-c", SCREEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], PATIENCE)[0], "Xvfb does not start"
        number = process.stdout.readline().decode().strip()  # it is written in one piece
        assert number, "Xvfb has ended"
        yield f":{number}"
    finally:
        process.communicate(timeout=PATIENCE)
