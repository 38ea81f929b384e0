"""What a verb waits for: something that comes or fails once, on whatever thread, and what is to be done then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import EpSignalError
from ..replies import Reply

R = TypeVar("R")


class Answer(Reply, Generic[R]):
    """A Reply with a value. The first of :meth:`succeed` and :meth:`fail` counts. Any thread."""

    def __init__(self) -> None:
        super().__init__()
        self._value: R | None = None
        self._at_end: list[Callable[[], None]] = []

    @property
    def value(self) -> R | None:
        """What came; None before, and after a failure."""
        return self._value

    @property
    def failed(self) -> bool:
        """Whether it has failed."""
        return self._error is not None

    def error(self) -> EpSignalError | None:
        """Return a new exception that says why it failed; None where it did not."""
        return None if self._error is None else self._error()

    def raised(self) -> EpSignalError:
        """Return a new exception that says why it failed, where it has failed."""
        assert self._error is not None
        return self._error()

    def succeed(self, value: R) -> bool:
        """Let every waiter go on with a value; False where something else came first. Does not block."""
        with self._changed:
            if self._done:
                return False
            self._value = value
            self._done = True
            self._changed.notify_all()
        self._end()
        return True

    def fail(self, error: Callable[[], EpSignalError]) -> None:
        """Raise an error in every waiter: a new one for each, made by ``error``. Does not block."""
        with self._changed:
            if self._done:
                return
            self._error = error
            self._done = True
            self._changed.notify_all()
        self._end()

    def at_end(self, job: Callable[[], None]) -> None:
        """Have a job done once it has come or failed, on the thread that says so; here and now if it has. It must not block."""
        with self._changed:
            if not self._done:
                self._at_end.append(job)
                return
        job()

    def _end(self) -> None:
        jobs, self._at_end = self._at_end, []
        for job in jobs:
            job()
