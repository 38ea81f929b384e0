"""The one thread that keeps all live tables of the process up to date. Knows nothing of what they show."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from ..connection import no_thread

INTERVAL = 0.5
"""Seconds between two looks."""
LARGEST_SHARE = 0.05
"""Share of the time that drawing may take: where it takes long, the looks are further apart."""


class Painting(Protocol):
    """Something that is kept up to date."""

    def paint(self) -> bool:
        """Draw it where it has changed; returns whether it goes on. Never raises."""


class Painter:
    """Draws what it is given until each is at its end. The thread is there only as long as there is something to draw."""

    def __init__(self) -> None:
        self._paintings: tuple[Painting, ...] = ()
        self._paintings_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def add(self, painting: Painting) -> None:
        """Keep one more up to date. Raises ConnectError where the system has no thread left. Any thread."""
        with self._paintings_lock:
            thread = self._thread
            if thread is None:
                thread = threading.Thread(target=self._run, name="epsignal-tables", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    raise no_thread(error) from error
                self._thread = thread
            self._paintings = (*self._paintings, painting)

    def look(self) -> None:
        """Have all of them looked at soon. Does not block; any thread."""
        self._wake.set()

    def _run(self) -> None:
        while True:
            with self._paintings_lock:
                paintings = self._paintings
                if not paintings:
                    self._thread = None
                    return
            began = time.monotonic()
            ended = [one for one in paintings if not one.paint()]
            if ended:
                with self._paintings_lock:
                    self._paintings = tuple(one for one in self._paintings if one not in ended)
                continue
            self._wake.wait(max(INTERVAL, (time.monotonic() - began) / LARGEST_SHARE))
            self._wake.clear()


PAINTER = Painter()
