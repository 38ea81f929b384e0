"""What test_qt_wallboard.py has run in a process of its own: the sample's window, without a display.

python -m tests.integrations.wallboard_checks
"""

from __future__ import annotations

import faulthandler
import importlib.util
import pathlib
import threading
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

import epsignal_sync as eps
from epsignal_sync.deadline import Deadline
from epsignal_sync.simulator import SimulatedPBX

SAMPLE = pathlib.Path(__file__).parents[2] / "samples" / "qt_wallboard.py"
PATIENCE = 30.0
"""Seconds that a check waits for what has to come."""
HOSTILE = "<b>Eve</b>\n\x1b[31m\u202e&amp;" + "x" * 5000


def load() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("qt_wallboard", SAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sample = load()
windows: list[Any] = []
"""Kept: the garbage collector would destroy one in whatever thread it runs."""


def run_until(condition: Callable[[], object]) -> None:
    """Run Qt's loop until something is so."""
    loop, timer, deadline = QEventLoop(), QTimer(), Deadline(PATIENCE)
    timer.timeout.connect(lambda: loop.quit() if condition() or deadline.expired else None)
    timer.start(5)
    loop.exec()
    assert condition(), "what was waited for did not come"


def opened(url: str, phones: dict[str, str], password: str = "pwd") -> Any:
    window = sample.Wallboard(url, "phones", password, phones)
    windows.append(window)
    window.resize(1280, 720)
    window.show()
    window.start()
    return window


def colour(window: Any, tile: Any) -> str:
    """Return the colour in the middle of a tile's left edge, as the window is painted."""
    scale = min(tile.height(), tile.width() / 1.6)
    name: str = tile.grab().toImage().pixelColor(int(scale * 0.06), tile.height() // 2).name()
    return name


def tiles_tell_of_calls() -> None:
    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="pwd")
        alice = pbx.add_phone("a1", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("b1", number="23", sip="bob", name="Bob", registered=False)
        carol = pbx.add_phone("c1", number="24", sip="carol", name=HOSTILE)
        window = opened(pbx.url, {"a1": "Anna", "b1": "", "c1": HOSTILE})
        anna, second, third = window.tiles.values()
        assert (anna.kind, anna.name, second.name) == ("detached", "Anna", "b1")
        run_until(lambda: window.header.counts == {"free": 2, "ringing": 0, "busy": 0, "detached": 1})
        run_until(lambda: window.header.connection == "connected")
        assert second.kind == "detached"
        bob.register()
        run_until(lambda: second.kind == "free")
        assert colour(window, anna) == sample.COLOURS["free"][0]

        alice.call("23")
        run_until(lambda: second.kind == "ringing")
        run_until(lambda: (second.party, anna.word, anna.party) == ("from Alice", "calling", "to Bob"))
        assert colour(window, second) == sample.COLOURS["ringing"][0]
        bob.answer()
        run_until(lambda: anna.kind == second.kind == "busy" and anna.word == "busy")
        run_until(lambda: anna.duration > "0:00")  # the clock ticks
        assert colour(window, anna) == sample.COLOURS["busy"][0]
        alice.hold()
        run_until(lambda: anna.word == "on hold")
        carol.call("23")
        run_until(lambda: second.party == "from Alice  +1")
        carol.hangup()
        alice.hangup()
        run_until(lambda: anna.kind == second.kind == "free" and third.kind == "free")

        carol.call("22")
        run_until(lambda: anna.kind == "ringing")
        assert anna.party.startswith("from <b>Eve</b>\ufffd\ufffd[31m\ufffd&amp;x") and len(anna.party) < 300
        assert third.name.isprintable() and len(third.name) == 200
        assert window.width() == 1280, "a long name makes nothing wider"

        pbx.drop_connections()
        run_until(lambda: "connecting again" in window.header.connection)
        assert not window.header.is_well and anna.kind == "detached"
        run_until(lambda: window.header.connection == "connected" and anna.kind == "ringing")
        bob.unregister()
        run_until(lambda: second.kind == "detached")
        window.close()


def tiles_fill_the_window_however_many() -> None:
    for count in (1, 2, 7, 23, 60):
        for size in ((1280, 720), (600, 900)):
            window = sample.Wallboard("ws://127.0.0.1:1", "phones", "pwd", {f"hw{number}": "" for number in range(count)})
            windows.append(window)
            window.resize(*size)
            window.show()
            QApplication.processEvents()
            places = [tile.geometry() for tile in window.tiles.values()]
            assert all(window.rect().contains(place) and place.width() > 50 and place.height() > 50 for place in places), (count, places)
            assert not any(one.intersects(two) for number, one in enumerate(places) for two in places[:number])
            area = sum(place.width() * place.height() for place in places)
            assert area > 0.6 * window.width() * window.height(), (count, size, area)
            window.close()


def pbx_that_is_not_there_yet() -> None:
    vars(sample)["CONNECT_AGAIN"] = 0.1
    with SimulatedPBX() as pbx:
        url = pbx.url
    window = opened(url, {"a1": "Anna"})
    run_until(lambda: window.header.connection not in ("", "connecting"))
    assert not window.header.is_well
    with SimulatedPBX(port=int(url.split(":")[2].split("/")[0])) as pbx:
        pbx.add_app("phones", password="pwd")
        pbx.add_phone("a1", number="22", sip="alice")
        run_until(lambda: window.header.connection == "connected" and window.tiles["a1"].kind == "free")
        assert window.header.is_well
        window.close()


def login_and_phones_that_the_pbx_refuses() -> None:
    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="pwd")
        pbx.add_phone("a1", number="22", sip="alice")
        window = opened(pbx.url, {"a1": "Anna", "wrong": ""})
        run_until(lambda: "wrong" in window.header.connection and window.tiles["a1"].kind == "free")
        assert not window.header.is_well
        window.close()
        window = opened(pbx.url, {"a1": "Anna"}, "another")
        run_until(lambda: "login" in window.header.connection.lower() or "refused" in window.header.connection.lower())
        window.close()


def connection_that_is_lost_while_it_attaches() -> None:
    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="pwd")
        pbx.add_phone("a1", number="22", sip="alice")
        attach_many, losses = eps.Client.attach_many, iter([pbx.drop_connections])

        def drop_once(client: eps.Client, *arguments: Any, **options: Any) -> Any:
            for drop in losses:
                drop()
                raise eps.ConnectionLostError("the connection was lost while this was waited for")
            return attach_many(client, *arguments, **options)

        with mock.patch.object(eps.Client, "attach_many", drop_once), mock.patch.object(sample, "CONNECT_AGAIN", 0.1):
            window = opened(pbx.url, {"a1": "Anna"})
            run_until(lambda: window.tiles["a1"].kind == "free" and window.header.is_well)
            window.close()


def main() -> None:
    faulthandler.dump_traceback_later(100, exit=True)
    app = QApplication([])
    for check in (
        tiles_tell_of_calls,
        tiles_fill_the_window_however_many,
        pbx_that_is_not_there_yet,
        login_and_phones_that_the_pbx_refuses,
        connection_that_is_lost_while_it_attaches,
    ):
        check()
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith(("epsignal", "wallboard"))]
        assert not left, left
        print(check.__name__, flush=True)
    app.quit()


if __name__ == "__main__":
    main()
