"""Telling a process from its forked child, which has the objects of the parent but none of its threads. Knows nothing else."""

from __future__ import annotations

import os

from .errors import ClosedError


class Process:
    """The process in which this was made. Any thread; takes no lock, since a thread of the parent may have held one at the fork."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number = os.getpid()

    @property
    def forked(self) -> bool:
        """Whether this runs in a forked child."""
        return os.getpid() != self._number

    def check(self) -> None:
        """Raise ClosedError in a forked child."""
        if self.forked:
            raise ClosedError(f"this client belongs to process {self._number}, and this is a forked child of it: connect again here")
