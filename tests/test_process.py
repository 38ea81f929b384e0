"""A forked child has the client of its parent, and none of its threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

import epsignal_sync as eps
from epsignal_sync.deadline import Deadline
from epsignal_sync.messages import Alert
from epsignal_sync.process import Process
from epsignal_sync.replies import Reply

from .peer import PATIENCE, Peer, frame


def in_child(work: Callable[[], None]) -> str:
    """Run something in a forked child; returns what it raised, or "" for nothing."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = b"ok"
        try:
            work()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}".encode()
        os.write(writer, text)
        os._exit(0)  # nothing of pytest's is to run here
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader, encoding="utf-8") as result:
        return result.read()


# Python 3.12 and newer warn of a fork in a process with threads; that a program may do so all the same is what this is about.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def test_process() -> None:
    process = Process()
    process.check()
    assert not process.forked

    def look() -> None:
        assert process.forked
        process.check()

    assert in_child(look).startswith("ClosedError: this client belongs to process")


def test_child_can_tell_that_the_client_is_not_usable(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)

    def look() -> None:
        assert (peer_client.state, peer_client.connected, peer_client.healthy) == ("closed", False, False)
        for verb in (
            lambda: device.send(Alert(), call=1, to_device=True), lambda: device.dial("23"), lambda: peer_client.attach("another"),
            peer_client.run_forever, peer_client.connect,
        ):  # fmt: skip
            try:
                verb()
            except eps.ClosedError:
                continue
            raise AssertionError("it did not say so")

    assert in_child(look) == "ok"


def test_child_that_ends_takes_nothing_from_its_parent(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)

    def end() -> None:
        peer_client.close()
        with peer_client:
            pass

    assert in_child(end) == "ok"
    device.send(Alert(), call=1, to_device=True)
    assert peer.receive()["sig"] == {"type": "alert"} and peer_client.connected


def live_on() -> Callable[[], None]:
    """Fork a child that does nothing; returns what ends it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)

    def end() -> None:
        os.close(writer)
        os.waitpid(pid, 0)

    return end


def read_to_the_end(peer: Peer) -> None:
    with pytest.raises(EOFError):
        while True:
            peer.receive_frame()


def test_connection_ends_though_a_child_has_a_copy_of_it(peer: Peer, peer_client: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PBX that still saw it would hold the app to be in the phone's path."""
    peer.attach(peer_client)
    monkeypatch.setattr("epsignal_sync.relay.transport._open", ())  # a child that was made by other means than os.fork()
    end = live_on()
    try:
        peer.sock.sendall(frame(b"", first=0xFF))  # a reserved opcode: the client gives the connection up
        read_to_the_end(peer)
    finally:
        end()


def test_connection_ends_with_a_process_that_is_killed_though_its_child_lives_on(peer: Peer) -> None:
    program = """
import os, sys, time
import epsignal_sync as eps
eps.connect(sys.argv[1], app="phones", password="pwd", reconnect=False)
if os.fork() == 0:
    sys.stdin.read()  # to its end
    os._exit(0)
os.kill(os.getpid(), 9)
"""
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", program, peer.url], stdin=subprocess.PIPE) as process:
        peer.login()
        read_to_the_end(peer)
        process.wait(PATIENCE)


def test_lock_that_a_thread_of_the_parent_holds_at_the_fork(peer: Peer, peer_client: eps.Client) -> None:
    """In the child it is held for ever."""
    device = peer.attach(peer_client)
    connection = peer_client._connections[0]
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.link.inbox._inbox_lock, peer_client._close_lock, connection.replies._replies_lock:
            held.set()
            release.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE)
    try:
        for verb in (
            lambda: device.send(Alert(), call=1, to_device=True), lambda: connection.replies.wait(Reply(), Deadline(5), "too late"),
        ):  # fmt: skip
            assert in_child(verb).startswith("ClosedError")
        assert in_child(peer_client.close) == "ok"
    finally:
        release.set()
        holder.join(PATIENCE)
