"""A progress bar on standard error for what lasts. Knows not what is being done."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ..looks import fit
from .outputs import plain

QUIET_TIME = 0.5
"""Seconds before a bar is shown: what is done by then needs none."""
REDRAW_TIME = 0.1
CLOSING_TIME = 10.0
"""Seconds that the last drawing may take on a slow machine, or on a terminal that is held with Ctrl-S."""
LONGEST_TEXT = 40
"""Columns of the text beside the bar."""


@contextlib.contextmanager
def progress(text: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """Give a function that takes how much of ``total`` is done so far; ``total`` None: nobody knows how much there is.

    The bar is on standard error: nothing is shown where that is no terminal, nothing in the first half second, and nothing is left
    at the end, however it comes. Print nothing in the block but on standard error. The function neither blocks nor raises and
    takes next to no time; any thread may call it.
    """
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal or not sys.stderr.isatty():
        yield lambda done: None
        return
    bar = _Bar(console, text, total)
    try:
        yield bar.advance
    finally:
        bar.close()


class _Bar:
    """The bar, and the thread ``epsignal-progress`` that draws it: whoever works may be waiting in one call all the time."""

    def __init__(self, console: Console, text: str, total: float | None) -> None:
        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        columns += [SpinnerColumn("line")] if total is None else [BarColumn(bar_width=None), TaskProgressColumn()]
        # Standard output stays what it is: what goes to a file there has nothing to do with the bar.
        self._progress = Progress(
            *columns, TimeElapsedColumn(), console=console, transient=True, auto_refresh=False, redirect_stdout=False,
            expand=total is not None,
        )  # fmt: skip
        self._task = self._progress.add_task(fit(plain(text), LONGEST_TEXT), total=total)
        self._done = 0.0
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="epsignal-progress", daemon=True)
        self._thread.start()

    def advance(self, done: float) -> None:
        """Take how much is done."""
        self._done = done

    def close(self) -> None:
        """Take the bar away, before anything else is written: a bar drawn after that would stay."""
        self._finished.set()
        self._thread.join(CLOSING_TIME)

    def _draw(self) -> None:
        if self._finished.wait(QUIET_TIME):
            return
        with contextlib.suppress(OSError), self._progress as bar:  # a terminal that has gone is noticed by whoever works
            while not self._finished.wait(REDRAW_TIME):
                bar.update(self._task, completed=self._done)
                bar.refresh()
