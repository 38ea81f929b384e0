"""What test_qt.py has run in a process of its own: QtDispatcher in a real Qt program, without a display.

    python -m tests.integrations.qt_checks PySide6|PyQt6 living|ended|left_open|without_application

Prints a line for each check that held; the first that does not ends the process with a traceback.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import epsignal_sync as eps
from epsignal_sync.integrations import QtDispatcher
from epsignal_sync.messages import Setup
from epsignal_sync.simulator import SimulatedPBX

from ..talking import call_through

PATIENCE = 30.0
"""Seconds that a check waits for what has to come."""
HW1, HW2 = "0090334f1a2b", "0090334f1a2c"

BINDING = sys.argv[1]
core = importlib.import_module(f"{BINDING}.QtCore")
gui = importlib.import_module(f"{BINDING}.QtGui")
widgets = importlib.import_module(f"{BINDING}.QtWidgets")
destroy: Callable[[Any], None] = (
    importlib.import_module("shiboken6").delete if BINDING == "PySide6" else importlib.import_module("PyQt6.sip").delete
)


class Log(logging.Handler):
    """Keeps what the library says."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        logger = logging.getLogger("epsignal_sync")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def gone(self) -> list[tuple[str, str]]:
        """Return the layer and level of each record that says that the Qt object is gone."""
        return [(one.name, one.levelname) for one in self.records if "the event loop that ran the callbacks has ended" in one.getMessage()]


log = Log()


class Place:
    """A PBX with two phones, and clients of it."""

    def __init__(self, pbx: SimulatedPBX) -> None:
        self.pbx = pbx
        pbx.add_app("phones", password="pwd")
        self.alice = pbx.add_phone(HW1, number="22", sip="alice", name="Alice")
        self.bob = pbx.add_phone(HW2, number="23", sip="bob", name="Bob")
        self.clients: list[eps.Client] = []

    def connect(self, dispatcher: QtDispatcher) -> eps.Client:
        client = eps.connect(self.pbx.url, app="phones", password="pwd", dispatcher=dispatcher)
        self.clients.append(client)
        return client


@contextmanager
def place() -> Iterator[Place]:
    with SimulatedPBX() as pbx:
        one = Place(pbx)
        try:
            yield one
        finally:
            for client in one.clients:
                client.close()


def put(client: eps.Client, *jobs: Callable[[], Any]) -> None:
    """Have these run as callbacks."""
    client._callbacks.put(list(jobs))


def run_until(condition: Callable[[], object]) -> None:
    """Run Qt's loop until something is so."""
    if condition():
        return
    loop, timer, end = core.QEventLoop(), core.QTimer(), time.monotonic() + PATIENCE
    timer.timeout.connect(lambda: loop.quit() if condition() or time.monotonic() > end else None)
    timer.start(1)
    loop.exec()
    assert condition(), "what was waited for did not come"


def wait_until(condition: Callable[[], object]) -> None:
    """Wait, with Qt's loop at a standstill."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.002)


def settle(times: int = 20) -> None:
    """Let Qt handle all that it has, a few times over."""
    for _ in range(times):
        core.QCoreApplication.sendPostedEvents(None, core.QEvent.Type.DeferredDelete.value)
        core.QCoreApplication.processEvents()
        time.sleep(0.001)


def handed_over(dispatcher: QtDispatcher) -> bool:
    """Whether callbacks are on their way to Qt."""
    return bool(dispatcher._waker._waiting)


# ------------------------------------------------------------ an application that goes on


def callbacks_run_on_the_gui_thread_in_order(app: Any) -> None:
    with place() as one:
        client = one.connect(QtDispatcher(app))
        threads: set[int] = set()
        states: list[str] = []

        @client.on(eps.CallStateChanged)
        def changed(event: eps.CallStateChanged) -> None:
            threads.add(threading.get_ident())
            states.append(str(event.state))

        client.attach(HW1)
        wait_until(lambda: one.pbx.log.texts("to-app", HW1, mt="Attached"))
        call_through(one.alice, one.bob, timeout=PATIENCE)
        run_until(lambda: states[-1:] == ["null"])
        assert states == ["call-proc", "alert", "connected", "null"], states
        assert threads == {threading.get_ident()}
        numbers: list[int] = []
        put(client, *[lambda number=number: numbers.append(number) for number in range(1000)])
        run_until(lambda: len(numbers) == 1000)
        assert numbers == list(range(1000))


def nothing_runs_before_the_loop(app: Any) -> None:
    with place() as one:
        dispatcher = QtDispatcher(app)
        client = one.connect(dispatcher)
        ran: list[int] = []
        put(client, lambda: ran.append(1))
        wait_until(lambda: handed_over(dispatcher))
        assert not ran
        run_until(lambda: ran)


def callback_that_raises_is_reported_and_the_next_runs(app: Any) -> None:
    with place() as one:
        client = one.connect(QtDispatcher(app))
        failed: list[BaseException] = []
        ran: list[str] = []
        client.on(eps.CallbackFailed, lambda event: failed.append(event.error))
        client.on(eps.CallStarted, lambda event: 1 // 0)
        client.on(eps.CallStarted, lambda event: sys.exit("no"))
        client.on(eps.CallStarted, lambda event: ran.append("next"))
        client.attach(HW1)
        wait_until(lambda: one.pbx.log.texts("to-app", HW1, mt="Attached"))
        one.alice.call("23")
        run_until(lambda: ran and len(failed) >= 2)
        assert [type(error) for error in failed[:2]] == [ZeroDivisionError, SystemExit]


def function_of_a_worker_that_raises(app: Any) -> None:
    """It is logged, and the loop goes on."""
    del log.records[:]
    kept = [QtDispatcher(app)]
    ran: list[int] = []

    def give() -> None:
        for one in (lambda: 1 / 0, sys.exit, lambda: ran.append(threading.get_ident())):
            kept[0](one)

    worker = threading.Thread(target=give)
    worker.start()
    worker.join(PATIENCE)
    kept.clear()  # who gives up the dispatcher gives up nothing that waits
    run_until(lambda: ran)
    assert ran == [threading.get_ident()]
    assert [(one.levelname, one.getMessage()) for one in log.records] == [("ERROR", "what a program had a QtDispatcher run has failed")] * 2


def ctrl_c_in_a_callback_ends_the_loop(app: Any) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with place() as one:
        client = one.connect(QtDispatcher(app))
        put(client, interrupt)
        core.QTimer.singleShot(int(PATIENCE * 1000), lambda: app.exit(77))
        assert app.exec() == 1


def input_and_painting_go_on_while_callbacks_keep_coming(app: Any) -> None:
    seen: list[str] = []

    class Window(widgets.QWidget):  # type: ignore[misc, name-defined]
        def paintEvent(self, event: Any) -> None:
            seen.append("paint")

        def mousePressEvent(self, event: Any) -> None:
            seen.append("click")

    window = Window()
    window.show()
    run_until(lambda: "paint" in seen)
    with place() as one:
        client = one.connect(QtDispatcher(app))

        def work() -> None:
            time.sleep(0.002)
            seen.append("callback")
            window.update()
            spot = core.QPointF(1, 1)
            button = core.Qt.MouseButton.LeftButton
            press = gui.QMouseEvent(core.QEvent.Type.MouseButtonPress, spot, spot, button, button, core.Qt.KeyboardModifier.NoModifier)
            core.QCoreApplication.postEvent(window, press)

        del seen[:]
        put(client, *[work] * 300)
        run_until(lambda: seen.count("callback") == 300)
    longest = max(len(run) for run in "".join({"callback": "c", "click": " ", "paint": ""}[one] for one in seen).split())
    assert longest <= 6, f"{longest} callbacks of 2 ms without a click in between"
    assert seen.count("paint") > 5, seen.count("paint")
    destroy(window)


def loop_inside_a_callback(app: Any) -> None:
    with place() as one:
        dispatcher = QtDispatcher(app)
        client, other = one.connect(dispatcher), one.connect(dispatcher)
        order: list[str] = []

        def dialog() -> None:
            window = widgets.QDialog()
            order.append("dialog opens")
            put(client, lambda: order.append("the same client's"))
            put(other, lambda: order.append("the other client's"), window.accept)
            window.exec()
            order.append("dialog is closed")

        put(client, dialog)
        run_until(lambda: len(order) == 4)
        assert order == ["dialog opens", "the other client's", "dialog is closed", "the same client's"], order


def client_is_closed_in_a_callback_and_on_the_gui_thread(app: Any) -> None:
    with place() as one:
        dispatcher = QtDispatcher(app)
        first, second, third = (one.connect(dispatcher) for _ in range(3))
        ran: list[str] = []
        put(first, first.close, lambda: ran.append("after close()"))
        run_until(lambda: first.state == "closed")
        put(second, lambda: ran.append("after close()"))
        wait_until(lambda: handed_over(dispatcher))
        second.close()  # while callbacks are on their way
        put(third, lambda: ran.append("third"))
        run_until(lambda: ran)
        settle()
        assert ran == ["third"]
        assert [thread.name for thread in threading.enumerate()].count("epsignal-callbacks") == 1, "only the third client's goes on"


def freeze_does_not_delay_the_phone(app: Any) -> None:
    with place() as one:
        client = one.connect(QtDispatcher(app))
        seen: list[str] = []
        client.on(Setup, lambda event: seen.append("setup"))
        client.on(eps.CallEnded, lambda event: seen.append("ended"))
        client.attach(HW1)
        wait_until(lambda: one.pbx.log.texts("to-app", HW1, mt="Attached"))
        errors: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def people() -> None:
            try:
                call_through(one.alice, one.bob, timeout=PATIENCE)
                errors.put(None)
            except BaseException as error:
                errors.put(error)

        def freeze() -> None:
            """Block the GUI thread until the whole call is through."""
            threading.Thread(target=people, daemon=True).start()
            seen.append(repr(errors.get(timeout=PATIENCE)))

        core.QTimer.singleShot(0, freeze)
        run_until(lambda: "ended" in seen)
        assert seen == ["None", "setup", "ended"], seen


def window_destroyed_by_a_callback(app: Any) -> None:
    destroy_in_a_callback(lambda windows: destroy(windows[0]), at_once=True)
    destroy_in_a_callback(lambda windows: windows.clear(), at_once=True)  # the last reference
    destroy_in_a_callback(lambda windows: windows[0].deleteLater(), at_once=False)


def destroy_in_a_callback(how: Callable[[list[Any]], None], at_once: bool) -> None:
    del log.records[:]
    ran: list[str] = []
    windows = [widgets.QWidget()]
    with place() as one:
        dispatcher = QtDispatcher(windows[0])
        client = one.connect(dispatcher)
        client.attach(HW1)
        wait_until(lambda: one.pbx.log.texts("to-app", HW1, mt="Attached"))

        def end() -> None:
            ran.append("end")
            how(windows)
            time.sleep(0.02)  # the slice is over

        put(client, end, *[lambda: ran.append("after")] * 5)
        run_until(lambda: dispatcher._waker._gone)
        settle()
        assert ran == ["end"] or ran[0] == "end" and not at_once, ran
        call_through(one.alice, one.bob, timeout=PATIENCE)  # the phone goes on
        put(client, lambda: ran.append("late"))
        wait_until(log.gone)
        client.close()
        settle()
        assert "late" not in ran
    assert log.gone() == [("epsignal_sync.callbacks", "INFO")], log.gone()


def window_destroyed_while_callbacks_are_on_their_way(app: Any) -> None:
    del log.records[:]
    with place() as one:
        window = widgets.QWidget()
        dispatcher = QtDispatcher(window)
        client = one.connect(dispatcher)
        client.attach(HW1)
        ran: list[int] = []
        put(client, lambda: ran.append(1))
        wait_until(lambda: handed_over(dispatcher))
        destroy(window)
        settle()
        put(client, lambda: ran.append(2))
        dispatcher(lambda: ran.append(3) or 0)  # type: ignore[func-returns-value]  # as another client does
        settle()
        call_through(one.alice, one.bob, timeout=PATIENCE)
        client.close()
        assert not ran and not handed_over(dispatcher)
        assert log.gone() == [("epsignal_sync.callbacks", "INFO")], log.gone()


def windows_come_and_go_under_callbacks(app: Any) -> None:
    with place() as one:
        for _ in range(40):
            window = widgets.QWidget()
            client = eps.Client(one.pbx.url, app="phones", password="pwd", dispatcher=QtDispatcher(window))
            thread = client._callbacks
            thread.start()
            ran: list[int] = []
            ready = threading.Event()

            def more(thread: Any = thread, ran: list[int] = ran, ready: threading.Event = ready) -> None:
                for number in range(200):
                    thread.put([lambda number=number: ran.append(number)])
                    ready.set()

            other = threading.Thread(target=more, daemon=True)
            other.start()
            assert ready.wait(PATIENCE)
            core.QCoreApplication.processEvents()
            destroy(window)
            count = len(ran)
            settle()
            assert len(ran) == count and ran == list(range(count))
            other.join(PATIENCE)
            thread.close(PATIENCE)


def no_descriptor_is_left(app: Any) -> None:
    def descriptors() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    settle()
    before = descriptors()
    window = widgets.QWidget()
    kept = QtDispatcher(window)
    given_up = [QtDispatcher(app) for _ in range(5)]
    assert descriptors() == before + 12
    third = threading.Thread(target=given_up.clear)  # the last reference goes in another thread
    third.start()
    third.join(PATIENCE)
    run_until(lambda: descriptors() == before + 2)
    destroy(window)
    assert descriptors() == before
    kept(lambda: 0)
    assert not [one for one in app.children() if isinstance(one, core.QSocketNotifier)]


def object_collected_in_another_thread(app: Any) -> None:
    """The collector runs wherever it likes, and the socket may only be closed where Qt watches it."""
    before = len(os.listdir("/proc/self/fd"))
    for in_a_cycle in (False, True):
        one = core.QObject()
        one.dispatcher = QtDispatcher(one)
        one.itself = one if in_a_cycle else None
        kept = [one]
        del one

        def collect(kept: list[Any] = kept) -> None:
            kept.clear()
            gc.collect()

        gc.disable()
        other = threading.Thread(target=collect)
        other.start()
        other.join(PATIENCE)
        gc.enable()
        run_until(lambda: len(os.listdir("/proc/self/fd")) == before)


def object_collected_in_another_thread_while_the_client_lives(app: Any) -> None:
    del log.records[:]
    with place() as one:
        kept = [core.QObject()]
        dispatcher = QtDispatcher(kept[0])
        client = one.connect(dispatcher)
        other = threading.Thread(target=kept.clear)
        other.start()
        other.join(PATIENCE)
        settle()
        ran: list[int] = []
        put(client, lambda: ran.append(1))
        run_until(log.gone)
        client.close()
        assert not ran and log.gone() == [("epsignal_sync.callbacks", "INFO")], (ran, log.gone())
        assert dispatcher._waker._reader.fileno() == -1, "it is not closed"


def collector_in_another_thread_all_the_time(app: Any) -> None:
    ended = threading.Event()

    def collect() -> None:
        while not ended.wait(0.0005):
            gc.collect(1)

    other = threading.Thread(target=collect)
    other.start()
    for number in range(30):
        one = core.QObject()
        one.dispatcher = QtDispatcher(one)
        one.itself = one if number % 2 else None
        one.dispatcher(lambda: 0)
        kept = QtDispatcher(app)
        kept(lambda: 0)
        core.QCoreApplication.processEvents()
        del one, kept
        settle(2)
    ended.set()
    other.join(PATIENCE)


def objects_that_do_not_do(app: Any) -> None:
    def refusal(one: Any) -> str:
        try:
            QtDispatcher(one)
        except eps.UsageError as error:
            return str(error)
        raise AssertionError(f"QtDispatcher took {one!r}")

    for wrong in (None, "app", object(), widgets.QApplication, core.QPoint(1, 2), sys):
        assert "QtDispatcher() takes the QApplication" in refusal(wrong)
    window = widgets.QWidget()
    destroy(window)
    assert "destroyed already" in refusal(window)
    texts: list[str] = []
    other = threading.Thread(target=lambda: texts.append(refusal(app)))
    other.start()
    other.join(PATIENCE)
    assert "in another thread" in texts[0]

    class Misleading(widgets.QWidget):  # type: ignore[misc, name-defined]
        thread = "my own"

    for right in (app, Misleading(), core.QObject(), core.QTimer()):
        QtDispatcher(right)


# ------------------------------------------------------------ endings


def application_is_destroyed_with_the_client_open(app: Any) -> None:
    one = SimulatedPBX().start()
    its = Place(one)
    dispatcher = QtDispatcher(app)
    client = its.connect(dispatcher)
    client.attach(HW1)
    ran: list[str] = []
    put(client, app.quit)
    core.QTimer.singleShot(int(PATIENCE * 1000), lambda: app.exit(77))
    assert app.exec() == 0
    put(client, lambda: ran.append("after the loop"))
    wait_until(lambda: handed_over(dispatcher))
    # No reference of a caller may be left: see ended().
    if BINDING == "PySide6":
        app.shutdown()
    else:
        destroy(app)
    assert core.QCoreApplication.instance() is None
    put(client, lambda: ran.append("after the application"))
    call_through(its.alice, its.bob, timeout=PATIENCE)
    wait_until(log.gone)
    client.close()
    one.close()
    assert not ran and log.gone() == [("epsignal_sync.callbacks", "INFO")], (ran, log.gone())
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]


def application_is_made_again(app: Any) -> None:
    again = widgets.QApplication([])
    with place() as one:
        client = one.connect(QtDispatcher(again))
        ran: list[int] = []
        put(client, lambda: ran.append(1))
        run_until(lambda: ran)


def program_ends_with_the_client_open(app: Any) -> None:
    """And callbacks on their way, and no close() of anything."""
    its = Place(SimulatedPBX().start())
    dispatcher = QtDispatcher(app)
    client = its.connect(dispatcher)
    client.attach(HW1)
    put(client, app.quit)
    app.exec()
    put(client, *[lambda: None] * 100)
    wait_until(lambda: handed_over(dispatcher))
    sys.modules["kept"] = (app, its, client)  # type: ignore[assignment]


def object_without_an_application(app: None) -> None:
    one = core.QObject()
    try:
        QtDispatcher(one)
    except eps.UsageError as error:
        assert "make the QApplication" in str(error)
    else:
        raise AssertionError("QtDispatcher took an object without an application")


def program_without_windows(app: None) -> None:
    program = core.QCoreApplication([])
    with place() as one:
        client = one.connect(QtDispatcher(program))
        ran: list[int] = []
        put(client, lambda: ran.append(1))
        run_until(lambda: ran)


GROUPS: dict[str, tuple[bool, tuple[Callable[[Any], None], ...]]] = {
    "living": (
        True,
        (
            no_descriptor_is_left,  # first: nothing of another check is about
            object_collected_in_another_thread,
            object_collected_in_another_thread_while_the_client_lives,
            collector_in_another_thread_all_the_time,
            callbacks_run_on_the_gui_thread_in_order,
            nothing_runs_before_the_loop,
            callback_that_raises_is_reported_and_the_next_runs,
            function_of_a_worker_that_raises,
            ctrl_c_in_a_callback_ends_the_loop,
            input_and_painting_go_on_while_callbacks_keep_coming,
            loop_inside_a_callback,
            client_is_closed_in_a_callback_and_on_the_gui_thread,
            freeze_does_not_delay_the_phone,
            window_destroyed_by_a_callback,
            window_destroyed_while_callbacks_are_on_their_way,
            windows_come_and_go_under_callbacks,
            objects_that_do_not_do,
        ),
    ),
    "ended": (True, (application_is_destroyed_with_the_client_open, application_is_made_again)),
    "left_open": (True, (program_ends_with_the_client_open,)),
    "without_application": (False, (object_without_an_application, program_without_windows)),
}


def main() -> None:
    faulthandler.enable()
    faulthandler.dump_traceback_later(100, exit=True)
    with_application, checks = GROUPS[sys.argv[2]]
    app = widgets.QApplication([]) if with_application else None
    for check in checks:
        check(app)
        print(check.__name__, flush=True)


if __name__ == "__main__":
    main()
