"""A callback that runs for too long is told of, once, with the place where it is."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

import epsignal_sync as eps
from epsignal_sync import watchdog
from epsignal_sync.messages import Alert

from .conftest import PATIENCE, wait_until
from .peer import Peer

CANARY = "canary-in-a-source-line"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LONG_CALLBACK", 0.05)


@pytest.fixture
def warnings() -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "has run for" in record.getMessage():
                records.append(record)

    handler = Collect()
    logging.getLogger("epsignal_sync.callbacks").addHandler(handler)
    yield records
    logging.getLogger("epsignal_sync.callbacks").removeHandler(handler)


class Long:
    """A callback that hangs until it is released, at a line that holds what no log may tell."""

    def __init__(self) -> None:
        self.began, self.release = threading.Event(), threading.Event()
        self.__qualname__ = "long_one"

    def __call__(self, event: object) -> None:
        self.began.set()
        self.stuck_here(password="canary-in-a-source-line")

    def stuck_here(self, password: str) -> None:
        self.release.wait(PATIENCE)


def begin_long_callback(peer: Peer, client: eps.Client) -> Long:
    """Attach a device and send it the message whose callback hangs."""
    peer.attach(client)
    long = Long()
    client.on(Alert, long)
    ring(peer)
    return long


def watchdogs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "epsignal-watchdog"]


def ring(peer: Peer) -> None:
    message = peer.signaling(1, {"type": "alert"})
    peer.send(message)
    assert peer.receive() == message


def test_long_callback_is_told_of_with_its_stack(peer: Peer, peer_client: eps.Client, warnings: list[logging.LogRecord]) -> None:
    long = begin_long_callback(peer, peer_client)
    wait_until(lambda: warnings)
    long.release.set()
    record = warnings[0]
    assert record.levelno == logging.WARNING and record.threadName == "epsignal-watchdog"
    assert "long_one" in record.getMessage()
    stack = record.stack_info
    assert stack is not None and "test_watchdog.py" in stack and "in stuck_here" in stack
    shown = logging.Formatter().format(record)
    assert "in stuck_here" in shown and CANARY not in shown, "a source line may hold a secret"


def test_each_run_is_told_of_once(peer: Peer, peer_client: eps.Client, warnings: list[logging.LogRecord]) -> None:
    peer.attach(peer_client)
    looked = threading.Semaphore(0)
    first, second = Long(), Long()
    rounds = iter((first, second))
    peer_client.on(Alert, lambda event: next(rounds)(event))
    real = peer_client._callbacks._watchdog._look

    def look() -> watchdog.Run | None:
        looked.release()
        return real()

    peer_client._callbacks._watchdog._look = look
    for long in (first, second):
        before = len(warnings)
        ring(peer)
        assert long.began.wait(PATIENCE)
        wait_until(functools.partial(lambda count: len(warnings) > count, before))
        for _ in range(20):  # it looks again and again
            assert looked.acquire(timeout=PATIENCE)
        assert len(warnings) == before + 1
        long.release.set()


def test_callbacks_that_are_short_are_not_told_of(
    peer: Peer, peer_client: eps.Client, warnings: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LONG_CALLBACK", PATIENCE)
    peer.attach(peer_client)
    seen: list[object] = []
    peer_client.on(Alert, seen.append)
    for _ in range(20):
        ring(peer)
    wait_until(lambda: len(seen) == 20)
    assert not warnings and peer_client._callbacks.run is None


def test_sleeps_while_nothing_runs(peer: Peer, peer_client: eps.Client, warnings: list[logging.LogRecord]) -> None:
    dog = peer_client._callbacks._watchdog
    wait_until(lambda: dog._asleep)
    long = begin_long_callback(peer, peer_client)
    wait_until(lambda: warnings)
    long.release.set()
    wait_until(lambda: dog._asleep)


def test_callback_on_the_thread_of_a_dispatcher(peer: Peer, warnings: list[logging.LogRecord]) -> None:
    jobs: list[Callable[[], int]] = []
    with peer.client(dispatcher=jobs.append) as client:
        long = begin_long_callback(peer, client)
        wait_until(lambda: jobs)
        thread = threading.Thread(target=jobs[0], name="user-interface")
        thread.start()
        wait_until(lambda: warnings)
        long.release.set()
        thread.join(PATIENCE)
        assert "in stuck_here" in str(warnings[0].stack_info)
        peer.drop()


def test_close_inside_a_long_callback(peer: Peer, warnings: list[logging.LogRecord]) -> None:
    client = peer.client()
    peer.attach(client)
    long = Long()

    @client.on(Alert)
    def close(event: object) -> None:
        long(event)
        client.close()

    ring(peer)
    wait_until(lambda: warnings)
    long.release.set()
    wait_until(lambda: not watchdogs())


def test_close_while_a_callback_hangs_ends_the_watchdog(peer: Peer) -> None:
    client = peer.client()
    long = begin_long_callback(peer, client)
    assert long.began.wait(PATIENCE)
    peer.drop()
    client.close()
    wait_until(lambda: not watchdogs())
    long.release.set()


def test_close_while_the_log_blocks_the_watchdog(peer: Peer) -> None:
    client = peer.client()
    peer.attach(client)
    long = Long()
    blocked, release = threading.Event(), threading.Event()

    class Blocking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            blocked.set()
            release.wait(PATIENCE)

    handler = Blocking()
    logging.getLogger("epsignal_sync.callbacks").addHandler(handler)
    try:
        client.on(Alert, long)
        ring(peer)
        assert blocked.wait(PATIENCE)
        peer.drop()
        client.close()
        assert watchdogs(), "close() did not wait for it"
    finally:
        release.set()
        long.release.set()
        logging.getLogger("epsignal_sync.callbacks").removeHandler(handler)


def test_client_that_was_never_connected_has_none() -> None:
    client = eps.Client("ws://pbx.invalid/", app="phones", password="pwd")
    client.close()
    assert not watchdogs()
