"""Which cell of a notebook registered a callback: where what it prints belongs, and which earlier callback it replaces.

ipykernel keeps the cell that output belongs to in a context variable of each stream, so a callback that runs in the
context of its cell prints there; in ipykernel 6 only what is displayed needs a hand. Knows nothing of messages.
"""

from __future__ import annotations

import contextvars
import functools
import sys
from collections.abc import Callable, Iterable
from types import CodeType, ModuleType, NoneType
from typing import Any

from attrs import field, frozen

from ..registry import Subscription
from . import showing


@frozen(eq=False)
class Cell:
    """One run of a cell."""

    run: str
    """Tells one run from another."""
    place: str
    """Tells one cell from another: its id where the front end sends one, else its text."""
    header: dict[str, Any] = field(repr=False)
    """What output carries that belongs to it."""


_cell: contextvars.ContextVar[Cell] = contextvars.ContextVar("epsignal_sync.notebook.cell")
"""The cell whose callback runs here: what that registers belongs to the same cell."""


def current_cell() -> Cell | None:
    """Return the cell that runs now, or that the callback belongs to which runs here; None outside of a Jupyter kernel."""
    here = _cell.get(None)
    if here is not None:
        return here
    get_parent: Any = getattr(showing.shell(), "get_parent", None)
    request: Any = get_parent() if callable(get_parent) else None
    header = request.get("header") if isinstance(request, dict) else None
    if not isinstance(header, dict) or "msg_id" not in header:
        return None
    place = (request.get("metadata") or {}).get("cellId") or (request.get("content") or {}).get("code")
    return Cell(run=header["msg_id"], place=str(place), header=header)


class CellCallback:
    """What is called for a callback that was registered in a cell: it runs as if it were called in that cell."""

    def __init__(self, callback: Callable[[Any], Any], cell: Cell) -> None:
        self.__wrapped__ = callback
        self.__qualname__ = name_of(callback)
        self.has_own_name = _has_own_name(callback)
        self.cell = cell
        self.told = showing.Told()
        self._context = contextvars.copy_context()
        self._context.run(self._enter)

    def __call__(self, event: Any) -> Any:
        """Call it. Several threads may do so at once: a context can be entered by one at a time, a copy of it costs little."""
        return self._context.copy().run(self._call, event)

    def show(self, text: str) -> None:
        """Write a text to the standard error of the cell. Any thread."""
        self._context.copy().run(showing.write, text)

    def _enter(self) -> None:
        """Make the context that of the cell, where a thread without one registers. Elsewhere it is so already."""
        _cell.set(self.cell)
        for stream in (sys.stdout, sys.stderr):
            variable = getattr(stream, "_parent_header", None)
            if isinstance(variable, contextvars.ContextVar):
                variable.set(self.cell.header)

    def _call(self, event: Any) -> Any:
        publisher: Any = getattr(showing.shell(), "display_pub", None)
        if not hasattr(publisher, "register_hook"):
            return self.__wrapped__(event)
        publisher.register_hook(self._belongs_here)  # for this thread only
        try:
            return self.__wrapped__(event)
        finally:
            publisher.unregister_hook(self._belongs_here)

    def _belongs_here(self, message: dict[str, Any]) -> dict[str, Any]:
        """Have what is displayed belong to the cell: ipykernel 6 would show it below the one that runs now."""
        message["parent_header"] = self.cell.header
        return message


class NotebookCells:
    """The rules of a notebook, for one client."""

    def placed(self, callback: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return what is called for a callback that is being registered now."""
        cell = current_cell()
        return callback if cell is None else CellCallback(callback, cell)

    def replaces(self, new: Subscription, old: Subscription) -> bool:
        """Whether a callback is the same as one of an earlier run.

        What one run registers stays side by side, such as the callbacks that a loop makes. Outside of a notebook there are no
        runs: there each one counts as another run.
        """
        callback, before = new.callback, old.callback
        if new.kind is not old.kind or name_of(callback) != name_of(before):
            return False
        if isinstance(callback, CellCallback) and isinstance(before, CellCallback):
            if callback.cell.run == before.cell.run:
                return False
            return callback.cell.place == before.cell.place or (callback.has_own_name and before.has_own_name)
        if isinstance(callback, CellCallback) or isinstance(before, CellCallback):
            return False
        return not _is_nameless(callback) or _place_in_file(callback) == _place_in_file(before)

    def show_failure(self, subscription: Subscription, error: BaseException, secret: Iterable[bytes]) -> bool:
        """Show what a callback raised below its cell; returns whether the log is to have it, too."""
        callback = subscription.callback
        if not isinstance(callback, CellCallback):
            return True
        return showing.show_failure(subscription, callback.told, callback.show, error, secret)

    def show_late(self, interceptor: Subscription, text: str) -> None:
        """Show below its cell that an interceptor was overruled, and have it logged where that is wanted."""
        callback = interceptor.callback
        told, show = (callback.told, callback.show) if isinstance(callback, CellCallback) else (None, None)
        showing.show_late(told, show, text)


def name_of(callback: Any) -> str:
    """Return the qualified name of a callback; of an object that can be called, that of its class."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None)
    return name if isinstance(name, str) else type(callback).__qualname__


def _is_nameless(callback: Any) -> bool:
    return name_of(callback).endswith("<lambda>")


def _has_own_name(callback: Any) -> bool:
    """Whether its name alone says which callback it is.

    ``Queue.put`` and the name of a class do not say of which object, nor does a partial say with which arguments; what a
    function of some module has made, such as block_callers(), is for anything.
    """
    if not hasattr(callback, "__qualname__") or not isinstance(getattr(callback, "__self__", None), (ModuleType, NoneType)):
        return False
    is_made_elsewhere = "<locals>" in name_of(callback) and getattr(callback, "__module__", None) != "__main__"
    return not (_is_nameless(callback) or is_made_elsewhere)


def _place_in_file(callback: Any) -> tuple[str, CodeType] | None:
    """Return where a function stands."""
    code = getattr(callback, "__code__", None)
    return (code.co_filename, code) if isinstance(code, CodeType) else None
