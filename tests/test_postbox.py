"""What is queued for the callbacks, how much of it at the most, and what stands in the place of what is dropped."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.dispatcher import CallbackThread
from epsignal_sync.messages import Alert, NameIdentification, Signal
from epsignal_sync.postbox import Postbox

from .conftest import PATIENCE, wait_until
from .peer import Peer


def test_nobody_listens_nothing_is_queued(peer: Peer, peer_client: eps.Client, caplog: pytest.LogCaptureFixture) -> None:
    peer.attach(peer_client)
    with caplog.at_level(logging.DEBUG, "epsignal_sync.callbacks"):
        for number in range(10):
            peer.send(peer.signaling(number, {"type": "setup", "fty": [{"type": "name_identification"}]}))
        wait_until(lambda: peer_client.stats.forwarded == 10)
        assert peer_client._callbacks.idle
    late: list[object] = []
    peer_client.on(NameIdentification, late.append)
    assert late == []


class Jobs(deque[Any]):
    """Jobs of which the last is taken, and what happens then happens, just before somebody looks whether there are any."""

    def __init__(self, then: Callable[[], object]) -> None:
        super().__init__([None])
        self.then = then

    def __len__(self) -> int:
        if super().__len__():
            self.pop()
            self.then()
        return 0


def test_callback_begins_while_it_is_asked_whether_one_runs() -> None:
    callbacks = CallbackThread(None)
    callbacks._jobs = Jobs(lambda: setattr(callbacks, "_running", True))
    assert not callbacks.idle


def test_last_callback_registers_another_while_it_is_asked_who_listens() -> None:
    client = eps.Client("ws://127.0.0.1:1", app="phones", password="pwd")
    client._callbacks._jobs = Jobs(lambda: client.on(Alert, print))
    assert Postbox(client, client._callbacks).wanted()


# ---------------------------------------------------------------- what must not stop anything


@pytest.fixture
def small_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.postbox.MOST_MESSAGES", 10)


def behind(peer: Peer, client: eps.Client, release: threading.Event, seen: list[Any]) -> eps.Device:
    """Attach a device, and have the callback for its first message hang; what callbacks get stands in ``seen``."""
    device = peer.attach(client)
    hanging = threading.Event()

    @client.on(Signal)
    def hang(event: eps.SignalEvent[Signal]) -> None:
        seen.append(event.message.call)  # type: ignore[attr-defined]
        hanging.set()
        release.wait(PATIENCE)

    client.on(eps.EventsLost, lambda event: seen.append(event))
    peer.send(peer.signaling(0, {"type": "setup"}))
    assert peer.receive()["call"] == 0 and hanging.wait(PATIENCE)
    return device


def test_messages_that_are_too_many_for_the_callbacks(
    small_queue: None, peer: Peer, peer_client: eps.Client, caplog: pytest.LogCaptureFixture
) -> None:
    release, seen, started = threading.Event(), [], []  # type: threading.Event, list[Any], list[int]
    peer_client.on(eps.CallStarted, lambda event: started.append(event.call.id))
    behind(peer, peer_client, release, seen)
    for number in range(1, 30):
        message = peer.signaling(number, {"type": "setup"})
        peer.send(message)
        assert peer.receive() == message, "the phone gets every one"
    wait_until(lambda: peer_client.stats.events_lost == 19)
    assert peer_client.stats.queue_depth == 10
    release.set()
    wait_until(lambda: len(started) == 30)
    assert started == list(range(30)), "what happens to calls is never lost"
    assert seen[:11] == list(range(11)) and [type(one) for one in seen[11:]] == [eps.EventsLost]
    assert (seen[11].count, seen[11].client, peer_client.stats.queue_depth) == (19, peer_client, 0)
    peer.send(peer.signaling(30, {"type": "setup"}))
    wait_until(lambda: seen[12:] == [30])
    assert len([one for one in caplog.records if "callbacks are behind" in one.getMessage()]) == 1


def test_each_gap_in_the_messages_is_told(small_queue: None, peer: Peer, peer_client: eps.Client) -> None:
    release, seen = threading.Event(), []  # type: threading.Event, list[Any]
    device = behind(peer, peer_client, release, seen)
    again, hanging = threading.Event(), threading.Event()

    @device.on(Alert)
    def hang(event: eps.SignalEvent[Alert]) -> None:
        hanging.set()
        again.wait(PATIENCE)

    for first in (1, 101):
        for number in range(first, first + 15):
            peer.send(peer.signaling(number, {"type": "info"}))
            peer.receive()
        if first == 1:
            wait_until(lambda: peer_client.stats.events_lost == 5)
            release.set()
            wait_until(lambda: peer_client.stats.queue_depth == 0 and len(seen) == 12)
            peer.send(peer.signaling(50, {"type": "alert"}))
            assert peer.receive()["call"] == 50 and hanging.wait(PATIENCE)
    wait_until(lambda: peer_client.stats.events_lost == 10)
    again.set()
    wait_until(lambda: len(seen) == 24)
    assert [one if isinstance(one, int) else one.count for one in seen] == [*range(11), 5, 50, *range(101, 111), 5]


def test_messages_of_no_known_device_are_bounded_too(small_queue: None, peer: Peer, peer_client: eps.Client) -> None:
    release, seen = threading.Event(), []  # type: threading.Event, list[Any]
    peer_client.on(eps.Unrouted, seen.append)
    behind(peer, peer_client, release, [])
    for number in range(1, 30):
        message = peer.signaling(number, {"type": "info"}) | {"src": "stranger"}
        peer.send(message)
        assert peer.receive() == message
    wait_until(lambda: peer_client.stats.events_lost == 19)
    assert peer_client.stats.unrouted == 29 and len(peer_client._callbacks._jobs) < 30
    release.set()
    wait_until(lambda: len(seen) == 10 and peer_client._callbacks.idle)
    assert [event.message.call for event in seen] == list(range(1, 11))


def test_messages_that_are_too_large_for_the_callbacks(monkeypatch: pytest.MonkeyPatch, peer: Peer, peer_client: eps.Client) -> None:
    monkeypatch.setattr("epsignal_sync.postbox.MOST_BYTES", 10_000)
    release, seen = threading.Event(), []  # type: threading.Event, list[Any]
    behind(peer, peer_client, release, seen)
    for number in range(1, 5):
        peer.send(peer.signaling(number, {"type": "info", "dsp": "x" * 6000}))
        assert peer.receive()["call"] == number
    wait_until(lambda: peer_client.stats.events_lost == 2)
    release.set()
    wait_until(lambda: len(seen) == 4)
    assert seen[:3] == [0, 1, 2] and seen[3].count == 2
    peer.send(peer.signaling(5, {"type": "info", "dsp": "x" * 6000}))
    wait_until(lambda: seen[4:] == [5])
