"""Callbacks on the thread of a Tk window.

Knows how Tk's event loop is woken and when a window goes; knows nothing of what runs there. tkinter is imported when a dispatcher
is made, not before.
"""

from __future__ import annotations

import logging
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .. import notes
from ..errors import UsageError
from ..loop_end import LoopEnd

if TYPE_CHECKING:
    import tkinter
    from _tkinter import TkappType

POLL_TIME = 15
"""Milliseconds between two looks at what waits, where Tk cannot be woken."""

Run = Callable[[], object]


class TkDispatcher:
    """Has callbacks run on the thread of a Tk window: pass one as ``dispatcher=``. It may serve several clients.

    ``root`` is the window, usually the program's Tk(), or any other widget. Callbacks run as long as it exists, on its thread and inside
    its event loop, one after the other and in order, in slices of about 10 ms, between which Tk draws and handles input. While no
    ``mainloop()`` runs, before it, after ``quit()`` and until the next one, they wait. A callback that runs a loop of its own, such as
    a dialog's, holds up the other callbacks of its client until that ends: ``root.after(0, ...)`` does without.

    When ``root`` is destroyed, callbacks that wait are not run, and no other one will be, which the log says (INFO, callbacks); the
    client lives on, and so do the phones: close() ends it.

    A worker thread may have its own code run on Tk's thread, too: ``dispatcher(function)``. That returns at once; what the function
    raises is logged. After the end of the window it does nothing.

    Make it on Tk's thread; that does not block. Raises UsageError where ``root`` is no Tk widget, was destroyed, or belongs to another
    thread.
    """

    def __init__(self, root: tkinter.Misc) -> None:
        _check(root)
        self.loop_end = LoopEnd()
        """Tells the clients that the window is gone; for the library."""
        self._window = _Window(root, self.loop_end)
        # Whoever holds this object may give it up in any thread.
        weakref.finalize(self, self._window.retire).atexit = False

    def __call__(self, run: Run) -> None:
        """Have ``run`` called without arguments on Tk's thread, behind what was given before. Does not block; any thread."""
        self._window.take(run)


def _check(root: object) -> None:
    """Raise UsageError for what cannot run callbacks here and now."""
    try:
        import tkinter
    except ImportError as error:
        raise UsageError(f"TkDispatcher needs tkinter ({error}): install Python's tkinter, python3-tk on Debian") from None
    if not isinstance(root, tkinter.Misc):
        raise UsageError(f"TkDispatcher takes the window, such as tkinter.Tk(), not {root!r:.80}")
    try:
        # Nothing else that is quick tells on every platform. It comes first: winfo_exists() would wait for the other thread.
        root.tk.exprlong("1")
    except RuntimeError:
        raise UsageError("TkDispatcher was made on another thread than its window: make it where the window was made") from None
    try:
        exists = root.winfo_exists()
    except tkinter.TclError:  # the whole application is destroyed
        exists = False
    if not exists:
        raise UsageError("TkDispatcher was given a window that is destroyed: make it as long as the window exists")


class _Alarm(Protocol):
    """Has Tk's thread look at what waits. All but ring() on Tk's thread."""

    def ring(self) -> None:
        """Have it look. Does not block; any thread, before stop()."""

    def stop(self) -> None:
        """End, and leave nothing behind."""


class _Window:
    """What waits for a window, and the window's end. All but take() and retire() on Tk's thread.

    It refers to no TkDispatcher, so that one that nobody has any more is found.
    """

    def __init__(self, widget: tkinter.Misc, loop_end: LoopEnd) -> None:
        import _tkinter

        self._tk: TkappType = widget.tk
        self._drawing = _tkinter.IDLE_EVENTS | _tkinter.DONT_WAIT
        self._loop_end = loop_end
        self._waiting: deque[Run] = deque()
        self._retired = self._gone = False
        # Re-entrant: a finalizer may call retire() in the middle of take().
        self._waiting_lock = threading.RLock()
        # Not on Windows, where Tk cannot watch Python's sockets.
        self._alarm: _Alarm = (_Bell if hasattr(self._tk, "createfilehandler") else _Clock)(self._tk, self._run_next)
        # A binding of <Destroy> would go with the next bind() of the program to that event; this is told of the end, too, and is ours.
        self._trace = ("command", str(widget), "delete", f"epsignal_sync_end_{id(self)}")
        self._at_end = self._destroyed  # tkinter does not hold what it calls, and it is forgotten during the call
        self._tk.createcommand(self._trace[-1], self._at_end)
        self._tk.call("trace", "add", *self._trace)

    # ------------------------------------------------------------ any thread

    def take(self, run: Run) -> None:
        """Have something run."""
        with self._waiting_lock:
            if not self._gone:
                self._waiting.append(run)
                self._alarm.ring()

    def retire(self) -> None:
        """Nobody has the dispatcher any more: end when nothing waits."""
        with self._waiting_lock:
            self._retired = True
            if not self._gone:
                self._alarm.ring()

    # ------------------------------------------------------------ Tk's thread

    def _run_next(self) -> None:
        with self._waiting_lock:
            run = self._waiting.popleft() if self._waiting else None
            if self._waiting or (run is not None and self._retired):
                self._alarm.ring()  # before it runs: it may run a loop of its own
            over = run is None and self._retired
        if over and self._end():
            self._tk.call("trace", "remove", *self._trace)
            self._tk.deletecommand(self._trace[-1])
        if run is None:
            return
        # Tk draws when it has nothing else to do, which never comes while something waits in each round of its loop.
        self._tk.dooneevent(self._drawing)
        if self._gone:
            return
        try:
            run()
        except BaseException as error:  # callbacks are isolated, so this is Ctrl-C, or comes from what the program gave by itself
            if notes.is_interrupt(error):
                raise  # it ends mainloop()
            notes.write(notes.CALLBACKS, logging.ERROR, "what a program had a TkDispatcher run has failed", error)

    def _destroyed(self, *_: object) -> None:
        if self._end():
            self._tk.deletecommand(self._trace[-1])
            self._loop_end.tell()

    def _end(self) -> bool:
        """Forget what waits and leave Tk's loop; False where that was done before."""
        with self._waiting_lock:
            before, self._gone = self._gone, True
            self._waiting.clear()
        if not before:
            self._alarm.stop()
        return not before


class _Bell:
    """Wakes Tk by a byte into a socket that Tk watches.

    No other thread may call Tk itself, ``after()`` and ``event_generate()`` included: tkinter has Tk's thread make the call and waits
    for it, as long as the program is busy there, and for ever where mainloop() ends meanwhile; where none runs, it raises.
    """

    def __init__(self, tk: TkappType, look: Callable[[], None]) -> None:
        import _tkinter

        self._tk, self._look = tk, look
        try:
            self._rope, self._bell = socket.socketpair()
        except OSError as error:
            raise UsageError(f"TkDispatcher has no sockets to wake Tk with ({error}): close files and sockets first") from None
        self._rope.setblocking(False)
        self._bell.setblocking(False)
        self._handler = self._rung  # tkinter does not hold what it calls, and it is forgotten during the call
        tk.createfilehandler(self._bell, _tkinter.READABLE, self._handler)

    def ring(self) -> None:
        """See _Alarm."""
        try:
            self._rope.send(b"!")
        except BlockingIOError:
            pass  # full of bytes that were not read yet: they wake Tk

    def stop(self) -> None:
        """See _Alarm."""
        self._tk.deletefilehandler(self._bell)
        self._rope.close()
        self._bell.close()

    def _rung(self, *_: object) -> None:
        self._bell.recv(4096)
        self._look()


class _Clock:
    """Looks again and again, on Windows: Tk watches no socket there, and waking it by a call of another thread is no way (see _Bell)."""

    def __init__(self, tk: TkappType, look: Callable[[], None]) -> None:
        self._tk, self._look = tk, look
        self._wind()

    def ring(self) -> None:
        """See _Alarm."""

    def stop(self) -> None:
        """See _Alarm."""
        self._timer.deletetimerhandler()

    def _wind(self) -> None:
        # No after(), which makes a Tcl command each time.
        self._timer = self._tk.createtimerhandler(POLL_TIME, self._tick)

    def _tick(self) -> None:
        self._wind()  # before it looks: what runs may run a loop of its own, or raise Ctrl-C
        self._look()
