"""Programs with a window, each a function; test_tk.py has them run here, in a process of their own.

A line on standard input names one, and how Tk is woken; the last line that is printed for it says whether it passed.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import os
import pathlib
import re
import sys
import threading
import time
import tkinter
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import epsignal_sync as eps
from epsignal_sync.dispatcher import LOOP_ENDED
from epsignal_sync.integrations import TkDispatcher, tk
from epsignal_sync.messages import HoldNotify, Rel, Signaling
from epsignal_sync.simulator import SimulatedPBX

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "gui.md"
PASSED, FAILED = "passed\n", "failed\n"
PATIENCE = 20.0
HW1, HW2 = "0090334f1a2b", "0090334f1a2c"


class Log(logging.Handler):
    """What the library has written."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def texts(self, level: int) -> list[str]:
        return [record.getMessage() for record in self.records if record.levelno == level]


class World:
    """A PBX with two phones, a window, and a client with its callbacks there."""

    def __init__(self, pbx: SimulatedPBX, log: Log) -> None:
        self.log = log
        self.pbx = pbx
        self.alice = pbx.add_phone(HW1, number="22", sip="alice", name="Alice")
        self.bob = pbx.add_phone(HW2, number="23", sip="bob", name="Bob")
        self.root = tkinter.Tk()
        self.root.report_callback_exception = self._reported
        self.reported: list[BaseException] = []
        self.dispatcher = TkDispatcher(self.root)
        self.client = self.connect()
        self.phone = self.client.attach(HW1)
        # The calls without media that the phone keeps open are known: what comes from now on, a test has begun.
        wait_until(lambda: len(self.phone.calls) == len(self.alice.standing_calls) == 2)

    def connect(self) -> eps.Client:
        return eps.connect(self.pbx.url, app="phones", password="pwd", dispatcher=self.dispatcher)

    def _reported(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        self.reported.append(error)

    def run_until(self, condition: Callable[[], Any]) -> None:
        """Run mainloop() until it is so."""
        deadline = time.monotonic() + PATIENCE
        wrong: list[BaseException] = []

        def look() -> None:
            try:
                assert time.monotonic() < deadline, "what was waited for did not come"
                assert self.reported == [], self.reported
                over = condition()
            except BaseException as error:
                wrong.append(error)
            if wrong or over:
                self.root.quit()
            else:
                self.root.after(2, look)

        self.root.after(0, look)
        self.root.mainloop()
        if wrong:
            raise wrong[0]

    def call(self) -> None:
        """A whole call of the two phones, from the first to the last message."""
        call = self.alice.call("23")
        self.bob.wait("alert", timeout=PATIENCE)
        self.bob.answer()
        call.wait("connected", timeout=PATIENCE)
        call.hangup()
        self.bob.wait("null", timeout=PATIENCE)
        self.pbx.wait_for(lambda log: not self.bob.calls or None, timeout=PATIENCE)

    def waits(self) -> bool:
        """Whether callbacks wait for Tk."""
        return bool(self.dispatcher._window._waiting)


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.002)


def exists(root: tkinter.Misc) -> bool:
    try:
        return bool(root.winfo_exists())
    except tkinter.TclError:
        return False


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Give a world, and check in the end that the phones go on, that nothing but the expected was logged, and nothing is left."""
    log = Log()
    logger = logging.getLogger("epsignal_sync")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(log)
    try:
        with SimulatedPBX() as pbx:
            pbx.add_app("phones", password="pwd")
            one = World(pbx, log)
            try:
                yield one
            finally:
                one.client.close()
                if exists(one.root):
                    one.root.destroy()
        assert one.reported == [], one.reported
    finally:
        logger.removeHandler(log)


# ------------------------------------------------------------ running


def callbacks_in_order() -> None:
    """On Tk's thread, each once and in the order in which the messages went on."""
    with world() as it:
        seen: list[tuple[str, int]] = []
        it.phone.on(Signaling, lambda event: seen.append((event.raw, threading.get_ident())))
        before = len(it.pbx.log.texts("from-app", HW1, mt="Signaling"))

        def call() -> None:
            for _ in range(5):
                it.call()

        people = threading.Thread(target=call)
        people.start()
        # What is forwarded last is in the log before the phones have it.
        forwarded = functools.partial(it.pbx.log.texts, "from-app", HW1, mt="Signaling")
        it.run_until(lambda: not people.is_alive() and len(seen) >= len(forwarded()) - before)
        assert [text for text, _ in seen] == forwarded()[-len(seen) :]
        assert {thread for _, thread in seen} == {threading.main_thread().ident}


def window_goes_on_between_slices() -> None:
    """Callbacks that never pause: drawing, timers and what other threads give get their turn."""
    with world() as it:
        ran, drawn, ticks = [], [], []

        def long() -> None:
            until = time.monotonic() + 0.016  # each fills a slice, and the time between two looks of a dispatcher that polls
            while time.monotonic() < until:
                pass
            ran.append(True)
            it.root.after_idle(lambda: drawn.append(len(ran)))

        def tick() -> None:
            ticks.append(len(ran))
            it.root.after(1, tick)

        tick()
        it.client._callbacks.put([long] * 60)
        it.run_until(lambda: len(ran) >= 60)
        assert len({count for count in drawn if 0 < count < 60}) >= 20, drawn
        assert len(set(ticks)) >= 20, ticks


def before_mainloop_and_after_quit() -> None:
    """Callbacks wait while no loop runs, and run in the next one."""
    with world() as it:
        seen: list[Any] = []
        it.phone.on(eps.CallEnded, seen.append)
        for count in (1, 2):
            it.call()
            wait_until(it.waits)
            assert len(seen) == count - 1
            it.run_until(lambda: len(seen) == count)  # noqa: B023 - it is over with this round


def freeze_of_the_gui() -> None:
    """The GUI thread comes back only when the whole call is through: its phone waits for nothing."""
    with world() as it:
        seen: list[Any] = []
        it.phone.on(Signaling, seen.append)

        def freeze() -> None:
            it.call()
            assert not seen

        it.root.after(0, freeze)
        it.run_until(lambda: seen and isinstance(seen[-1].signal, Rel))


def two_clients() -> None:
    with world() as it, it.connect() as other:
        seen: list[Any] = []
        both = (it.client, other)
        other.attach(HW2)
        for client in both:
            client.on(eps.CallEnded, lambda event: seen.append((event.client, threading.get_ident())))
        for _ in range(3):
            it.call()
        it.run_until(lambda: len(seen) == 6)
        assert {client for client, _ in seen} == {*both} and {thread for _, thread in seen} == {threading.get_ident()}


def many_functions_of_other_threads() -> None:
    """More than the socket holds bytes for, all run in order."""
    with world() as it:
        seen: list[int] = []

        def give() -> None:
            for number in range(3000):
                it.dispatcher(functools.partial(seen.append, number))

        worker = threading.Thread(target=give)
        worker.start()
        worker.join(PATIENCE)
        it.run_until(lambda: len(seen) == 3000 or way_is_slow() and len(seen) > 20)
        assert seen == list(range(len(seen)))


def callback_that_runs_a_loop_of_its_own() -> None:
    """Other clients' callbacks run meanwhile; those of the same client wait for the end of the one that runs."""
    with world() as it, it.connect() as other:
        order: list[str] = []
        began = threading.Event()
        done = tkinter.BooleanVar(it.root, False)

        def dialog(event: object) -> None:
            order.append("begin")
            began.set()
            it.root.wait_variable(done)
            order.append("end")

        def of_other(event: object) -> None:
            order.append("other")
            done.set(True)

        def call() -> None:
            call = it.alice.call("23")
            it.bob.wait("alert", timeout=PATIENCE)
            began.wait(PATIENCE)
            call.hangup()

        it.phone.on(eps.CallStarted, dialog)
        it.phone.on(eps.CallEnded, lambda event: order.append("next"))
        other.attach(HW2).on(eps.CallEnded, of_other)
        people = threading.Thread(target=call)
        people.start()
        it.run_until(lambda: "next" in order)
        people.join(PATIENCE)
        assert order == ["begin", "other", "end", "next"], order


def blocking_verb_and_on_result() -> None:
    """A verb with on_result= on the GUI thread, and its outcome there; a blocking one inside a callback."""
    with world() as it:
        outcomes: list[Any] = []

        def connected(event: eps.CallStateChanged) -> None:
            if event.state == "connected":
                outcomes.append(type(event.call.hold(timeout=PATIENCE)))
                event.call.retrieve(on_result=lambda outcome: outcomes.append((outcome.ok, threading.get_ident())))

        it.phone.on(eps.CallStateChanged, connected)
        it.bob.call("22")
        it.alice.wait("alert", timeout=PATIENCE)
        it.alice.answer()
        it.run_until(lambda: len(outcomes) == 2)
        assert outcomes == [HoldNotify, (True, threading.get_ident())]


def examples_of_the_page() -> None:
    """The two examples of docs/gui.md for verbs that wait."""
    page = PAGE.read_text(encoding="utf-8").partition("\n## Tk\n")[0]
    on_result, worker = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    with world() as it:
        it.bob.call("22")
        it.alice.wait("alert", timeout=PATIENCE)
        it.alice.answer()
        wait_until(lambda: any(call.state == "connected" for call in it.phone.media_calls.values()))
        (call,) = it.phone.media_calls.values()
        names = {"label": tkinter.Label(it.root), "call": call, "phone": it.phone, "dispatcher": it.dispatcher, "eps": eps}
        for example, text in ((on_result, "on hold"), (worker, "dialing")):
            exec(example, names)
            it.run_until(lambda: names["label"]["text"] == text)  # type: ignore[index]  # noqa: B023 - it is over with this round
        assert call.on_hold
        it.pbx.wait_for(lambda log: any(call.incoming for call in it.bob.calls) or None, timeout=PATIENCE)
        it.bob.hangup()


# ------------------------------------------------------------ errors


def callback_that_raises() -> None:
    """It is reported as everywhere, and not to Tk; the next one runs, and the loop."""
    with world() as it:
        failed: list[Any] = []
        it.client.on(eps.CallbackFailed, failed.append)
        it.phone.on(eps.CallStarted, lambda event: 1 / 0)
        it.phone.on(eps.CallEnded, lambda event: sys.exit(3))
        it.call()
        it.run_until(lambda: len(failed) == 2)
        assert [type(event.error) for event in failed] == [ZeroDivisionError, SystemExit]
        assert len(it.log.texts(logging.ERROR)) == 2


def function_of_a_worker_that_raises() -> None:
    with world() as it:
        seen: list[int] = []

        def give() -> None:
            for one in (lambda: 1 / 0, sys.exit, lambda: seen.append(1)):
                it.dispatcher(one)

        worker = threading.Thread(target=give)
        worker.start()
        worker.join(PATIENCE)
        it.run_until(lambda: seen)
        assert it.log.texts(logging.ERROR) == ["what a program had a TkDispatcher run has failed"] * 2


def ctrl_c_in_a_callback() -> None:
    """It ends mainloop(), as Ctrl-C does in any program; the next mainloop() goes on."""

    def press(event: object) -> None:
        raise KeyboardInterrupt

    with world() as it:
        seen: list[Any] = []
        it.phone.on(eps.CallStarted, press)
        it.phone.on(eps.CallEnded, seen.append)
        it.root.after(0, it.call)
        try:
            it.run_until(lambda: seen)
            raise AssertionError("mainloop() has not ended")
        except KeyboardInterrupt:
            assert not seen
        it.run_until(lambda: seen)


def bad_input() -> None:
    with world() as it:
        top = tkinter.Toplevel(it.root)
        top.destroy()
        refused("not 'window'", "window")
        refused("not None", None)
        refused("is destroyed", top)
        refused("is destroyed", tkinter.Tcl())
        done: list[bool] = []
        other = threading.Thread(target=lambda: (refused("another thread", it.root), done.append(True)))  # type: ignore[func-returns-value]
        other.start()
        other.join(PATIENCE)
        assert done, "not refused as it should be"
        with mock.patch("socket.socketpair", side_effect=OSError("too many open files")):
            if not way_is_slow():
                refused("too many open files", it.root)
        with mock.patch.dict(sys.modules, tkinter=None):
            refused("python3-tk", it.root)
        it.root.destroy()
        refused("is destroyed", it.root)


def refused(why: str, root: Any) -> None:
    try:
        TkDispatcher(root)
    except eps.UsageError as error:
        assert why in str(error) and str(error).startswith("TkDispatcher "), error
    else:
        raise AssertionError(f"taken: {root!r}")


# ------------------------------------------------------------ the window goes


def check_dropped(it: World, seen: list[Any], count: int) -> None:
    """The window is gone: no callback runs any more, the log says it once, and the phones go on."""
    wait_until(lambda: LOOP_ENDED in it.log.texts(logging.INFO))
    it.client.on(eps.CallEnded, seen.append)
    for _ in range(2):
        it.call()
    wait_until(lambda: it.phone.media_calls == {})  # forwarding comes first
    assert len(seen) == count and it.client._callbacks.idle and it.client._callbacks.backlog == (0, 0)
    it.client.close()
    assert it.log.texts(logging.INFO).count(LOOP_ENDED) == 1
    assert [record.getMessage() for record in it.log.records if record.levelno > logging.INFO] == []


def destroyed_while_callbacks_wait() -> None:
    with world() as it:
        seen: list[Any] = []
        it.phone.on(Signaling, seen.append)
        it.call()
        wait_until(it.waits)
        it.root.destroy()
        check_dropped(it, seen, 0)


def destroyed_by_a_callback() -> None:
    """None runs after it, of the same event neither."""
    with world() as it:
        seen: list[Any] = []
        it.phone.on(Signaling, lambda event: it.root.destroy())
        it.phone.on(Signaling, seen.append)
        it.call()
        wait_until(it.waits)
        it.root.mainloop()
        check_dropped(it, seen, 0)


def destroyed_while_drawing() -> None:
    with world() as it:
        seen: list[Any] = []
        it.phone.on(Signaling, seen.append)
        it.call()
        wait_until(it.waits)
        it.dispatcher(lambda: seen.append("function"))
        it.root.after_idle(it.root.destroy)
        it.root.mainloop()
        check_dropped(it, seen, 0)


def destroyed_while_drawing_before_a_function() -> None:
    with world() as it:
        seen: list[str] = []
        it.dispatcher(lambda: seen.append("function"))
        it.root.after_idle(it.root.destroy)
        it.root.mainloop()
        assert seen == []


def destroyed_before_connect() -> None:
    with world() as it:
        it.root.destroy()
        with it.connect() as late:
            seen: list[Any] = []
            late.attach(HW2).on(Signaling, seen.append)
            it.dispatcher(lambda: seen.append("function"))
            it.call()
            assert seen == [] and late._callbacks.idle
        wait_until(lambda: it.log.texts(logging.INFO).count(LOOP_ENDED) == 2)  # once for each client


def destroyed_with_bindings_of_the_program() -> None:
    """What a program binds to <Destroy>, or unbinds, does not matter."""
    with world() as it:
        destroyed: list[Any] = []
        it.root.bind("<Destroy>", destroyed.append)
        it.root.unbind("<Destroy>")
        it.root.bind("<Destroy>", destroyed.append)
        it.root.after(0, it.root.destroy)
        it.root.mainloop()
        assert destroyed
        check_dropped(it, [], 0)


def another_window_goes() -> None:
    """A dispatcher of one window ends with that, and not with another one; the other dispatcher goes on."""
    with world() as it:
        top = tkinter.Toplevel(it.root)
        of_top = TkDispatcher(top)
        seen: list[str] = []
        of_top(lambda: seen.append("top"))
        it.run_until(lambda: seen)
        top.destroy()
        of_top(lambda: seen.append("gone"))
        it.dispatcher(lambda: seen.append("root"))
        it.run_until(lambda: len(seen) == 2)
        assert seen == ["top", "root"] and LOOP_ENDED not in it.log.texts(logging.INFO)


def close_from_the_gui() -> None:
    with world() as it:
        seen: list[Any] = []
        it.phone.on(eps.CallEnded, seen.append)
        it.call()
        wait_until(it.waits)
        it.root.after(0, it.client.close)
        it.run_until(lambda: it.client.state == "closed")
        wait_until(lambda: it.pbx.connections == 0)
        it.call()
        it.run_until(lambda: not it.waits())
        assert len(seen) <= 1


def close_from_a_callback() -> None:
    with world() as it:
        seen: list[Any] = []

        def close(event: object) -> None:
            seen.append(event)
            it.client.close()

        it.phone.on(Signaling, close)
        it.phone.on(Signaling, close)
        it.call()
        it.run_until(lambda: seen)
        assert len(seen) == 1


def dispatchers_that_nobody_has_any_more() -> None:
    """Each is made for one connection and given up: nothing of them is left while the window stays."""
    with world() as it:
        before = descriptors(), traces(it.root)
        seen: list[str] = []
        for _ in range(3):
            with eps.connect(it.pbx.url, app="phones", password="pwd", dispatcher=TkDispatcher(it.root)) as client:
                client.attach(HW2).on(eps.CallEnded, lambda event: seen.append("ended"))
                count = len(seen)
                it.root.after(0, it.call)
                it.run_until(lambda: len(seen) > count)  # noqa: B023 - it is over with this round
            del client
        given_up = TkDispatcher(it.root)
        given_up(lambda: seen.append("last"))
        del given_up
        it.run_until(lambda: seen[-1] == "last" and gc.collect() >= 0 and descriptors() <= before[0] and traces(it.root) == before[1])


def traces(root: tkinter.Tk) -> int:
    return len(root.tk.splitlist(root.tk.call("trace", "info", "command", ".")))


# ------------------------------------------------------------ running them

PROGRAMS = [
    name
    for name, one in list(globals().items())
    if callable(one) and getattr(one, "__module__", "") == __name__ and getattr(one, "__code__", None) and not one.__code__.co_argcount
    and name not in ("world", "way_is_slow", "descriptors", "main")
]  # fmt: skip
WAYS = ("woken", "polling")
"""How Tk's loop learns that something waits: as on Unix, and as on Windows."""


def way_is_slow() -> bool:
    return tk._Bell is tk._Clock  # type: ignore[comparison-overlap]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def run(program: str, way: str) -> None:
    gc.collect()
    before = descriptors(), threading.enumerate()
    with mock.patch.object(tk, "_Bell", tk._Clock if way == "polling" else tk._Bell):
        globals()[program]()
    gc.collect()
    wait_until(lambda: threading.enumerate() == before[1])
    wait_until(lambda: descriptors() <= before[0])


def main() -> None:
    before_mainloop_and_after_quit()  # Tk keeps the connection to the screen, and its own thread's pipes
    for line in sys.stdin:
        try:
            run(*line.split())
        except BaseException:
            said = traceback.format_exc() + FAILED
        else:
            said = PASSED
        print(said, end="", flush=True)


if __name__ == "__main__":
    main()
