from __future__ import annotations

import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from epsignal_sync.errors import ClosedError
from epsignal_sync.relay.wakeup import Wakeup

pytestmark = pytest.mark.timeout(60)
LONG = 50.0
"""Seconds that no test waits in full: whatever ends such a wait is what is tested."""


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    before = len(os.listdir("/proc/self/fd"))
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def pair(wakeup: Wakeup) -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def during_a_wait(wakeup: Wakeup, action: Callable[[], object]) -> threading.Thread:
    """Run ``action`` in a thread, most likely while this one waits."""
    thread = threading.Thread(target=lambda: (threading.Event().wait(0.1), action()), daemon=True)
    thread.start()
    return thread


def test_readable_and_writable(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert wakeup.wait(ours, read=True, write=False, timeout=0) == (False, False)
    assert wakeup.wait(ours, read=True, write=True, timeout=LONG) == (False, True)
    theirs.send(b"x")
    assert wakeup.wait(ours, read=True, write=False, timeout=LONG) == (True, False)
    assert wakeup.wait(ours, read=True, write=True, timeout=LONG) == (True, True)
    assert wakeup.wait(ours, read=False, write=False, timeout=0) == (False, False)
    assert wakeup.wait(None, read=True, write=True, timeout=0) == (False, False)


def test_closed_by_the_peer_is_readable(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].close()
    assert wakeup.wait(pair[0], read=True, write=False, timeout=LONG) == (True, False)


def test_wake_before_a_wait_is_not_lost(wakeup: Wakeup) -> None:
    wakeup.wake()
    assert wakeup.wait(None, read=False, write=False, timeout=LONG) == (False, False)


def test_wake_during_a_wait(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]) -> None:
    thread = during_a_wait(wakeup, wakeup.wake)
    assert wakeup.wait(pair[0], read=True, write=False, timeout=LONG) == (False, False)
    thread.join(LONG)


def test_every_wake_ends_a_wait_and_only_one(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    for _ in range(3):
        thread = during_a_wait(wakeup, wakeup.wake)
        assert wakeup.wait(ours, read=True, write=False, timeout=None) == (False, False)
        thread.join(LONG)
        thread = during_a_wait(wakeup, lambda: theirs.send(b"x"))
        assert wakeup.wait(ours, read=True, write=False, timeout=None) == (True, False)
        thread.join(LONG)
        ours.recv(1)


def test_many_wakes_fill_no_buffer(wakeup: Wakeup) -> None:
    for _ in range(100_000):
        wakeup.wake()
    assert wakeup.wait(None, read=False, write=False, timeout=LONG) == (False, False)


def test_wakes_from_many_threads_end_every_wait(wakeup: Wakeup) -> None:
    done = [0]
    lock = threading.Lock()

    def work() -> None:
        for _ in range(2000):
            with lock:
                done[0] += 1
            wakeup.wake()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    while done[0] < 8000:
        # A lost wake-up would let the last of these waits last for LONG and fail by the test's time-out.
        wakeup.wait(None, read=False, write=False, timeout=None)
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()


def test_cancel_during_a_wait(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]) -> None:
    thread = during_a_wait(wakeup, wakeup.cancel)
    with pytest.raises(ClosedError):
        wakeup.wait_cancellable(pair[0], read=True, write=False, timeout=LONG)
    thread.join(LONG)


def test_cancel_lasts(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]) -> None:
    wakeup.cancel()
    wakeup.wait(None, read=False, write=False, timeout=0)
    for _ in range(2):
        with pytest.raises(ClosedError):
            wakeup.wait_cancellable(pair[0], read=True, write=False, timeout=None)


def test_wait_cancellable_says_whether_the_socket_is_ready(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]) -> None:
    assert wakeup.wait_cancellable(pair[0], read=False, write=True, timeout=LONG)
    assert not wakeup.wait_cancellable(pair[0], read=True, write=False, timeout=0)
    wakeup.wake()
    assert not wakeup.wait_cancellable(pair[0], read=True, write=False, timeout=LONG)


@pytest.mark.parametrize("timeout", [None, 1e8, float("inf")])
def test_wait_without_an_end(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket], timeout: float | None) -> None:
    assert wakeup.wait(pair[0], read=False, write=True, timeout=timeout) == (False, True)


def test_next_socket_with_the_same_descriptor(wakeup: Wakeup) -> None:
    for _ in range(3):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.send(b"x")
            assert wakeup.wait(ours, read=True, write=False, timeout=LONG) == (True, False)
            wakeup.forget()


def test_forgotten_socket_is_let_go(wakeup: Wakeup) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wakeup.wait(sock, read=True, write=False, timeout=0)
    wakeup.forget()
    sock.close()
    reference = weakref.ref(sock)
    del sock
    assert reference() is None


def test_socket_closed_before_the_wait(wakeup: Wakeup, pair: tuple[socket.socket, socket.socket]) -> None:
    closed = socket.socket()
    closed.close()
    with pytest.raises(ValueError):
        wakeup.wait(closed, read=True, write=False, timeout=0)
    wakeup.forget()
    assert wakeup.wait(pair[0], read=False, write=True, timeout=LONG) == (False, True)


def test_wake_and_cancel_after_close() -> None:
    wakeup = Wakeup()
    wakeup.close()
    wakeup.close()
    wakeup.wake()
    wakeup.cancel()
    assert wakeup.cancelled


def test_cancel_from_a_signal_handler_in_the_middle_of_wake(wakeup: Wakeup) -> None:
    # A handler runs on the main thread between any two instructions, also where the lock is held.
    with wakeup._lock:
        wakeup.cancel()
    with pytest.raises(ClosedError):
        wakeup.wait_cancellable(None, read=False, write=False, timeout=0)
