"""Callbacks on the thread of a Qt program, for PySide6 and PyQt6.

Knows how Qt is woken and when its objects go; knows nothing of what runs there. No binding is imported here: which one it is
tells the class of the object that the program passes.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from .. import notes
from ..errors import UsageError
from ..loop_end import LoopEnd

BINDINGS = ("PySide6", "PyQt6")

Run = Callable[[], object]


class QtDispatcher:
    """Has callbacks run on the thread of a Qt program: pass one as ``dispatcher=``; it may serve several clients.

    ``app`` is the QApplication (QCoreApplication in a program without windows), or any other QObject, such as a window: callbacks
    run as long as it exists, on its thread, inside the Qt event loop that runs there: one after the other, in order, in slices of about
    10 ms, between which Qt handles input and paints. They wait while no loop runs, before ``exec()`` and after it. A modal dialog that
    a callback runs with ``exec()`` is a loop, too, but the callbacks of the same client wait until the dialog is closed:
    ``open()`` does without that.

    When ``app`` is destroyed, callbacks that wait are not run, and no other one will be, which the log says (INFO, callbacks); the client
    lives on, and so do the phones: close() ends it.

    A worker thread may have its own code run on Qt's thread, too: ``dispatcher(function)``. That returns at once; what the function
    raises is logged. After the end of ``app`` it does nothing.

    Make it on the thread of ``app``, with the application already made; that does not block. Raises UsageError where ``app`` is
    no Qt object, is destroyed already, belongs to another thread, or there is no application yet.
    """

    def __init__(self, app: Any) -> None:
        core = _core_of(app)
        _check_thread(core, app)
        self.loop_end = LoopEnd()
        """Tells the clients that ``app`` is gone; for the library."""
        self._waker = _Waker(core, app, self.loop_end)
        # The client that holds this object may be given up in any thread.
        weakref.finalize(self, self._waker.retire).atexit = False

    def __call__(self, run: Run) -> None:
        """Have ``run`` called without arguments on Qt's thread, behind what was given before. Does not block; any thread."""
        self._waker.take(run)


class _Waker:
    """What Qt watches, and what it runs when it is woken.

    Another thread wakes Qt by a byte into a socket, and touches no Qt object at all. Posting an event, emitting a signal and
    QMetaObject.invokeMethod may be called in any thread, but only as long as their object and the thread's event dispatcher exist;
    both go on the GUI thread whenever the program likes, with the application even objects that belong to Python alone. A check before
    the call comes too early, and no lock can be held while they go: a thread that emitted a signal while applications came and went
    crashed PyQt6 within seconds.

    The socket may be closed only when Qt does not watch it any more, and Qt stops to watch only in its own thread. The garbage collector
    runs in any thread, and may destroy a window there together with its children and what they are connected to. So the notifier is no
    child of ``app``, and this object is kept until the notifier is destroyed in Qt's thread.
    """

    def __init__(self, core: Any, app: Any, loop_end: LoopEnd) -> None:
        self._loop_end = loop_end
        self._exit = core.QCoreApplication.exit
        self._thread = threading.get_ident()
        self._waiting: deque[Run] = deque()
        # Re-entrant: a finalizer may call retire() in the middle of take().
        self._lock = threading.RLock()
        self._signalled = self._retired = self._gone = False
        # A socket pair and not a pipe: Windows can only watch sockets.
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._notifier = core.QSocketNotifier(self._reader.fileno(), core.QSocketNotifier.Type.Read)
        # A timer of 0 fires when the events of the window system are done, on every platform: input and painting come first.
        self._timer = core.QTimer(self._notifier)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        # It goes with app, whose own end may have no signal: a class may have an attribute of that name.
        self._child = core.QObject(app)
        _at_work.add(self)
        self._notifier.activated.connect(lambda *_: self._woken())
        self._notifier.destroyed.connect(lambda *_: self._notifier_destroyed())
        self._timer.timeout.connect(lambda *_: self._run())
        self._child.destroyed.connect(lambda *_: self._app_destroyed())

    # ------------------------------------------------------------ any thread

    def take(self, run: Run) -> None:
        """Have something run."""
        with self._lock:
            if not self._gone:
                self._waiting.append(run)
                self._wake_locked()

    def retire(self) -> None:
        """Give up what belongs to Qt: nobody has the dispatcher any more, or ``app`` is gone."""
        with self._lock:
            self._retired = True
            self._wake_locked()

    def _wake_locked(self) -> None:
        if not (self._signalled or self._gone):
            self._signalled = True
            self._writer.send(b"w")

    def _app_destroyed(self) -> None:
        if threading.get_ident() == self._thread:
            self._dispose()
        else:
            self.retire()

    def _notifier_destroyed(self) -> None:
        """It was disposed of, or has gone with the application."""
        self._close()
        _at_work.discard(self)

    def _close(self) -> None:
        """Take nothing more: Qt does not watch the socket any more."""
        with self._lock:
            self._gone = True
            self._waiting.clear()
            self._reader.close()
            self._writer.close()
        self._loop_end.tell()

    # ------------------------------------------------------------ Qt's thread; what raises here may abort the process

    def _woken(self) -> None:
        with self._lock:
            if self._gone or not self._signalled:  # in a loop inside a loop Qt may tell of the same byte twice
                return
            self._reader.recv(64)
            self._signalled = False
            over = self._retired and not self._waiting
        if over or not self._app_exists():
            self._dispose()
        else:
            self._timer.start()

    def _run(self) -> None:
        if not self._app_exists():
            return self._dispose()
        with self._lock:
            run = self._waiting.popleft() if self._waiting else None
            if self._waiting or self._retired:
                # For the next one, or the end. Before this one runs: it may run a loop of its own, or destroy the timer.
                self._wake_locked()
        if run is None:
            return
        try:
            run()
        except BaseException as error:  # callbacks are isolated, so this is Ctrl-C, or comes from what the program gave by itself
            if notes.is_interrupt(error):
                self._exit(1)  # it ends the loop, and not the process by an abort of PyQt6
            else:
                notes.write(notes.CALLBACKS, logging.ERROR, "what a program had a QtDispatcher run has failed", error)

    def _app_exists(self) -> bool:
        try:
            self._child.objectName()
        except RuntimeError:  # what both bindings raise
            return False
        return True

    def _dispose(self) -> None:
        if self._gone:
            return
        self._notifier.setEnabled(False)
        self._close()
        for one in (self._child, self._notifier):
            try:
                one.deleteLater()
            except RuntimeError:  # it is destroyed already
                pass


_at_work: set[_Waker] = set()
"""Those whose notifier exists: kept from the garbage collector, which would take apart what Qt is connected to in whatever thread it
runs; PyQt6 shows it its connections, and crashes then."""


def _core_of(app: Any) -> Any:
    """Return the QtCore of the binding that an object's class comes from."""
    # The program has imported it already. Its own classes stand before that of Qt.
    packages = [kind.__module__.split(".")[0] for kind in type(app).__mro__]
    for binding in BINDINGS:
        if binding in packages:
            core = importlib.import_module(f"{binding}.QtCore")
            if isinstance(app, core.QObject):
                return core
    if not any(importlib.util.find_spec(binding) for binding in BINDINGS):
        raise UsageError("QtDispatcher() needs PySide6 or PyQt6, and neither is installed: pip install 'epsignal-sync[qt]'")
    raise UsageError(f"QtDispatcher() takes the QApplication or another QObject of PySide6 or PyQt6, not {type(app).__name__}")


def _check_thread(core: Any, app: Any) -> None:
    try:
        thread = core.QObject.thread(app)
    except RuntimeError as error:  # what both bindings raise
        raise UsageError("QtDispatcher() was given a Qt object that is destroyed already: give it one that lives") from error
    if thread != core.QThread.currentThread():
        raise UsageError("QtDispatcher() was called in another thread than that of its Qt object: make it there, before connect()")
    if core.QAbstractEventDispatcher.instance() is None:
        raise UsageError("QtDispatcher() needs a Qt event loop in this thread: make the QApplication or QCoreApplication first")
