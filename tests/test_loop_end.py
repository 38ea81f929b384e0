"""What becomes of callbacks when the loop that runs them has ended for good. In real windows: tests/integrations."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.dispatcher import LOOP_ENDED, CallbackThread
from epsignal_sync.loop_end import LoopEnd
from epsignal_sync.messages import Signaling

from .conftest import PATIENCE, wait_until
from .peer import Peer


class Dispatcher:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.loop_end = LoopEnd()
        self.given: list[Callable[[], int]] = []

    def __call__(self, run_pending: Callable[[], int]) -> None:
        self.given.append(run_pending)


def notes(caplog: pytest.LogCaptureFixture) -> int:
    return [record.getMessage() for record in caplog.records].count(LOOP_ENDED)


def test_loop_ends_while_callbacks_wait(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "epsignal_sync.callbacks")
    dispatcher = Dispatcher()
    seen: list[Any] = []
    with peer.client(dispatcher=dispatcher) as client:
        peer.attach(client).on(Signaling, seen.append)
        for number in (3, 4):
            peer.send(peer.signaling(number, {"type": "setup", "cd": {"num": "23"}}))
            assert peer.receive()["call"] == number
            if number == 3:
                wait_until(lambda: dispatcher.given)
                dispatcher.loop_end.tell()
                dispatcher.loop_end.tell()
                wait_until(lambda: notes(caplog))
        assert dispatcher.given[0]() == 0 and seen == [] and len(dispatcher.given) == 1
        assert client._callbacks.idle and client._callbacks.backlog == (0, 0)
        client._callbacks.put([lambda: None])
        assert client._callbacks.idle
        client._callbacks.put_note(logging.INFO, "notes are still written", "callbacks")
        wait_until(lambda: "notes are still written" in caplog.text)
        peer.drop()
    assert notes(caplog) == 1


def test_loop_ends_in_a_callback(peer: Peer) -> None:
    """None starts after it, for the same message neither."""
    dispatcher = Dispatcher()
    seen: list[Any] = []

    def end(event: object) -> None:
        dispatcher.loop_end.tell()

    with peer.client(dispatcher=dispatcher) as client:
        phone = peer.attach(client)
        phone.on(Signaling, end)
        phone.on(Signaling, seen.append)
        for number in (3, 4):
            peer.send(peer.signaling(number, {"type": "setup", "cd": {"num": "23"}}))
            assert peer.receive()["call"] == number
        wait_until(lambda: dispatcher.given and client._callbacks.backlog[0] == 2)
        dispatcher.given.pop()()
        assert seen == []
        peer.drop()


def test_loop_had_ended_before_connect(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "epsignal_sync.callbacks")
    dispatcher = Dispatcher()
    dispatcher.loop_end.tell()
    with peer.client(dispatcher=dispatcher) as client:
        client.on(eps.Event, print)
        wait_until(lambda: notes(caplog))
        peer.drop()
    assert dispatcher.given == []


def test_loop_ends_after_close(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "epsignal_sync.callbacks")
    dispatcher = Dispatcher()
    thread = CallbackThread(dispatcher)
    thread.start()
    thread.close(PATIENCE)
    dispatcher.loop_end.tell()
    assert notes(caplog) == 0 and not thread._notes


def test_client_that_is_gone_is_not_kept() -> None:
    dispatcher = Dispatcher()
    thread = CallbackThread(dispatcher)
    thread.start()
    thread.close(PATIENCE)
    kept = weakref.ref(thread)
    del thread

    def gone() -> bool:
        gc.collect()
        return kept() is None

    wait_until(gone)
    dispatcher.loop_end.tell()
