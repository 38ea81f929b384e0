"""What is said below a cell where a callback fails."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

import pytest

from epsignal_sync.messages import Setup
from epsignal_sync.notebook import cells, showing
from epsignal_sync.notebook.cells import CellCallback
from epsignal_sync.registry import EventSource, Registry, Subscription

from ..conftest import PATIENCE


def failing(callback: Callable[[], object]) -> BaseException:
    try:
        callback()
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


NOBODY: dict[str, str] = {}


class Cell:
    """What stands below one cell, for one callback."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.told = showing.Told()
        self.subscription = Subscription(EventSource(Registry()), Setup, self.ringing)

    def ringing(self, event: object = None) -> None: ...

    def fail(self, error: BaseException, *secret: dict[str, str]) -> bool:
        texts = [json.dumps(one).encode() for one in secret]
        return showing.show_failure(self.subscription, self.told, self.shown.append, error, texts)


def test_failure_in_words() -> None:
    cell = Cell()
    cell.fail(failing(lambda: NOBODY["x"]))
    lines = cell.shown[0].splitlines()
    assert lines[0] == "Cell.ringing(), called for Setup, raised KeyError: 'x'"
    assert lines[-1] == "The phone and the other callbacks go on. Correct Cell.ringing(), and run the cell again that registers it."
    assert lines[-3].startswith(f'  File "{__file__}", line ') and lines[-3].endswith(", in <lambda>")


def test_frames_of_the_library_are_left_out() -> None:
    cell = Cell()
    cell.fail(failing(lambda: EventSource(Registry()).on("Setup")))  # type: ignore[call-overload]
    assert "registry.py" not in cell.shown[0] and "raised UsageError: on() takes a message" in cell.shown[0]


def test_secret_is_not_shown() -> None:
    cell = Cell()
    cell.fail(failing(lambda: NOBODY["hunter22 of alice"]), {"password": "hunter22"})
    assert "hunter22" not in cell.shown[0].splitlines()[0] and "of alice" in cell.shown[0]
    cell.fail(failing(lambda: NOBODY["hunter22 of alice"]), {"password": "hunter22"})
    assert "hunter22" not in cell.shown[1].splitlines()[0]


def test_hostile_text_moves_no_cursor_and_fills_no_screen() -> None:
    cell = Cell()
    cell.fail(ValueError("\x1b[2J\r\u202e\ud800" + "x" * 100_000))
    assert "ValueError: \\x1b[2J\\r\\u202e\\ud800xxx" in cell.shown[0] and "(100" in cell.shown[0]
    assert len(cell.shown[0]) < 2000 and cell.shown[0].replace("\n", "").isprintable()


def test_deep_recursion_is_cut() -> None:
    def deeper() -> None:
        deeper()

    cell = Cell()
    cell.fail(failing(deeper))
    assert len(cell.shown[0].splitlines()) <= 2 + 2 * showing.DEEPEST


def test_failure_that_comes_again_is_told_in_one_line_and_then_seldom() -> None:
    cell = Cell()

    def fail() -> None:
        raise ValueError("again and again")

    for _ in range(1000):
        cell.fail(failing(fail))
    assert "again and again (again)" in cell.shown[1] and len(cell.shown[1].splitlines()) == 1
    assert len(cell.shown) == 12 and cell.shown[-1].endswith("(again, 1000 times by now)")
    # Another error at another place has its say within the first ones only.
    cell.fail(failing(lambda: 1 / 0))
    assert len(cell.shown) == 12


def test_failure_of_another_kind_is_told_in_full() -> None:
    cell = Cell()
    cell.fail(failing(lambda: 1 / 0))
    cell.fail(failing(lambda: NOBODY["x"]))
    assert len(cell.shown[1].splitlines()) > 2


def test_error_without_a_text_goes_on() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    cell = Cell()
    cell.fail(failing(lambda: (_ for _ in ()).throw(Silent())))
    assert "raised " in cell.shown[0] and "Silent" in cell.shown[0]


def test_what_cannot_be_shown_goes_to_the_log() -> None:
    cell = Cell()

    def refuse(text: str) -> None:
        raise OSError("the kernel is gone")

    assert showing.show_failure(cell.subscription, cell.told, refuse, ValueError("x"), [])


def test_log_is_read_where_a_handler_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    root, own = logging.getLogger(), logging.getLogger("epsignal_sync")
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(own, "handlers", [showing._cell_log])
    assert not showing.log_is_read("epsignal_sync.callbacks")
    assert not Cell().fail(ValueError("x"))
    monkeypatch.setattr(root, "handlers", [logging.NullHandler()])
    assert showing.log_is_read("epsignal_sync.callbacks")
    assert Cell().fail(ValueError("x"))
    monkeypatch.setattr(own, "propagate", False)
    assert not showing.log_is_read("epsignal_sync.callbacks")


def test_one_callback_runs_in_two_threads_at_once() -> None:
    # An interceptor of a client is asked for several phones at once.
    both = threading.Barrier(2)
    seen: list[object] = []

    def asked(event: object) -> None:
        both.wait(PATIENCE)
        seen.append(event)

    callback = CellCallback(asked, cells.Cell(run="1", place="x", header={}))
    threads = [threading.Thread(target=callback, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(map(str, seen)) == ["0", "1"]
