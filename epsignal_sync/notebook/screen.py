"""One output of a notebook that is shown and then replaced in place; and when the cell is run again that it belongs to.

Knows nothing of what is shown. IPython is never imported here: where it is not there already, this is no notebook.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from . import showing
from .cells import current_cell


class Screen:
    """An output of the cell that runs now, or that ran last. Any thread.

    Its replacements carry no cell of their own: a front end finds every place where it is shown by its display id.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._publisher = shell.display_pub  # kept: while another cell captures its output, the shell has another one
        self._id = secrets.token_hex(16)
        self._cell = current_cell()
        self._rerun: Callable[[], None] | None = None
        self.is_elsewhere = False
        """Whether it is shown below another cell, too."""

    @property
    def can_be_replaced(self) -> bool:
        """Whether it goes to a front end, not to a program that captures it, such as %%capture."""
        return not hasattr(self._publisher, "outputs")

    def show(self, html: str, text: str) -> None:
        """Show it for the first time. Blocks as long as the kernel takes to flush its streams; so do those below."""
        self._publish(self._publisher, html, text, update=False)

    def show_elsewhere(self, html: str, text: str) -> None:
        """Show it below the cell that runs now, unless that is the one where it is shown already."""
        cell = current_cell()
        if cell is None or self._cell is None or cell.run != self._cell.run:
            self.is_elsewhere = True
            self._publish(self._shell.display_pub, html, text, update=False)

    def replace(self, html: str, text: str) -> None:
        """Replace it wherever it is shown."""
        self._publish(self._publisher, html, text, update=True)

    def on_rerun(self, callback: Callable[[], None]) -> None:
        """Have a callback called, on the kernel's main thread, when its cell is run again, before it runs."""
        self._rerun = callback
        self._shell.events.register("pre_run_cell", self._cell_runs)

    def leave(self) -> None:
        """Call nothing back any more. Once."""
        if self._rerun is not None:
            self._rerun = None
            self._shell.events.unregister("pre_run_cell", self._cell_runs)

    def _cell_runs(self, info: object = None) -> None:
        rerun, cell = self._rerun, current_cell()
        if rerun is not None and cell is not None and self._cell is not None and cell.place == self._cell.place:
            rerun()

    def _publish(self, publisher: Any, html: str, text: str, *, update: bool) -> None:
        publisher.publish({"text/html": html, "text/plain": text}, {}, transient={"display_id": self._id}, update=update)


def find_screen(verb: str) -> Screen:
    """Return a new output of this notebook. Raises UsageError where there is none."""
    shell = showing.shell()
    if getattr(shell, "kernel", None) is None:
        raise UsageError(
            f"{verb} shows a live table in a Jupyter notebook, and this is none: install the extra with pip install "
            "'epsignal-sync[notebook]' and run it in a notebook, or use the command epsignal monitor in a terminal"
        )
    return Screen(shell)
