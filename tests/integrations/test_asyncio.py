"""Callbacks on the thread of an asyncio event loop, and what becomes of them when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.integrations import AsyncioDispatcher
from epsignal_sync.messages import Alert, Signal
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, PATIENCE, wait_until
from ..peer import Peer, frame
from ..test_samples import ROOT, STEPS, assert_shown, call_and_hang_up, finish, start, wait_until_it_prints

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that only runs while somebody waits in it, in this thread."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def run_until(loop: asyncio.AbstractEventLoop, condition: Callable[[], Any]) -> None:
    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    loop.run_until_complete(asyncio.wait_for(wait(), PATIENCE))


def test_callbacks_run_on_the_thread_of_the_loop_in_order(peer: Peer, loop: asyncio.AbstractEventLoop) -> None:
    with peer.client(dispatcher=AsyncioDispatcher(loop)) as client:
        peer.attach(client)
        seen: list[tuple[int, str, asyncio.AbstractEventLoop]] = []

        @client.on(Alert)
        def note(event: eps.SignalEvent[Alert]) -> None:
            assert event.call is not None
            seen.append((event.call.id, threading.current_thread().name, asyncio.get_running_loop()))

        peer.sock.sendall(b"".join(frame(peer.signaling(number, {"type": "alert"})) for number in range(500)))
        wait_until(lambda: client.stats.forwarded == 500)
        assert seen == []  # they wait for the loop
        run_until(loop, lambda: len(seen) == 500)
        assert seen == [(number, "MainThread", loop) for number in range(500)]
        peer.drop()


def test_loop_does_other_things_between_callbacks(peer: Peer, loop: asyncio.AbstractEventLoop) -> None:
    with peer.client(dispatcher=AsyncioDispatcher(loop)) as client:
        peer.attach(client)
        order: list[str] = []
        client.on(Alert, lambda event: order.append("callback") or threading.Event().wait(0.02))  # type: ignore[func-returns-value]
        peer.sock.sendall(b"".join(frame(peer.signaling(number, {"type": "alert"})) for number in range(10)))
        wait_until(lambda: client.stats.forwarded == 10)

        async def other() -> None:
            while order.count("callback") < 10:
                order.append("other")
                await asyncio.sleep(0)

        loop.run_until_complete(asyncio.wait_for(other(), PATIENCE))
        assert "callback,other,callback" in ",".join(one for one, after in zip(order, [*order[1:], ""], strict=True) if one != after)
        peer.drop()


def test_verb_in_a_coroutine(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones

    async def main() -> None:
        loop = asyncio.get_running_loop()
        url, dispatcher = pbx.url, AsyncioDispatcher(loop)
        client = await asyncio.to_thread(eps.connect, url, app="phones", password="pwd", dispatcher=dispatcher)
        try:
            phone = await asyncio.to_thread(client.attach, HW1)
            events: asyncio.Queue[eps.CallStateChanged] = asyncio.Queue()
            phone.on(eps.CallStateChanged, events.put_nowait)
            await asyncio.to_thread(bob.call, "22")
            while (event := await events.get()).state != "alert":
                pass
            await asyncio.to_thread(alice.answer)
            while (await events.get()).state != "connected":
                pass
            await asyncio.to_thread(event.call.hold)
            outcomes: asyncio.Queue[tuple[str, eps.Outcome[Any]]] = asyncio.Queue()
            event.call.retrieve(on_result=lambda outcome: outcomes.put_nowait((threading.current_thread().name, outcome)))
            name, outcome = await outcomes.get()
            assert name == "MainThread" and outcome.ok, outcome.error
        finally:
            await asyncio.to_thread(client.close)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_one_for_several_clients(pbx: SimulatedPBX, phones: Phones, loop: asyncio.AbstractEventLoop) -> None:
    dispatcher = AsyncioDispatcher(loop)
    seen: set[tuple[str, str]] = set()
    clients = [eps.connect(pbx.url, app="phones", password="pwd", dispatcher=dispatcher) for _ in phones]
    try:
        for client, hw in zip(clients, (HW1, HW2), strict=True):
            client.attach(hw).on(eps.CallEnded, lambda event: seen.add((event.device.hw, threading.current_thread().name)))
        for phone in phones:
            phone.call("99")
        run_until(loop, lambda: len(seen) == 2)
        assert seen == {(HW1, "MainThread"), (HW2, "MainThread")}
    finally:
        for client in clients:
            client.close()


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "epsignal_sync.callbacks"]


def test_loop_is_closed(peer: Peer, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture) -> None:
    """Signaling goes on, what waits is dropped, which is said once, and close() does not wait for what never runs."""
    with caplog.at_level(logging.DEBUG, "epsignal_sync"), peer.client(dispatcher=AsyncioDispatcher(loop)) as client:
        peer.attach(client)
        seen: list[object] = []
        client.on(Signal, seen.append)
        loop.close()
        for number in range(20):
            peer.send(peer.signaling(number, {"type": "alert"}))
            assert peer.receive()["call"] == number
        wait_until(lambda: logged(caplog))
        assert client._callbacks.backlog[0] == 0
        client.close()
        peer.drop()
    assert seen == [] and len(logged(caplog)) == 1 and logged(caplog)[0].startswith("the event loop that ran the callbacks has ended")


def test_loop_is_closed_while_callbacks_are_on_their_way(
    peer: Peer, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """What the loop has taken and never runs is not waited for."""
    given: list[Callable[[], int]] = []

    class Watched(AsyncioDispatcher):
        def __call__(self, run_pending: Callable[[], int]) -> None:
            super().__call__(run_pending)
            given.append(run_pending)

    with caplog.at_level(logging.DEBUG, "epsignal_sync"), peer.client(dispatcher=Watched(loop)) as client:
        peer.attach(client)
        seen: list[object] = []
        client.on(Signal, seen.append)
        peer.send(peer.signaling(1, {"type": "alert"}))
        wait_until(lambda: given)  # the loop has it
        loop.close()
        peer.send(peer.signaling(2, {"type": "alert"}))
        assert [peer.receive()["call"] for _ in range(2)] == [1, 2]
        wait_until(lambda: logged(caplog))
        assert client._callbacks.backlog[0] == 0
        peer.drop()
    assert len(given) == 1 and seen == []
    assert len(logged(caplog)) == 1 and logged(caplog)[0].startswith("the event loop that ran the callbacks has ended")


def test_client_is_closed_in_a_callback_on_the_loop(peer: Peer, loop: asyncio.AbstractEventLoop) -> None:
    client = peer.client(dispatcher=AsyncioDispatcher(loop))
    peer.attach(client)
    seen: list[object] = []
    client.on(Alert, lambda event: client.close())
    client.on(Alert, seen.append)
    peer.send(peer.signaling(1, {"type": "alert"}))
    peer.receive()
    peer.drop()
    run_until(loop, lambda: client.state == "closed")
    run_until(loop, lambda: client._callbacks.idle)
    assert seen == []


def test_loop_that_fails_otherwise_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    class Loop:
        def call_soon_threadsafe(self, callback: object) -> None:
            raise RuntimeError("no room")

        def is_closed(self) -> bool:
            return False

    with pytest.raises(RuntimeError, match="no room"):
        AsyncioDispatcher(Loop())(lambda: 1)


@pytest.mark.parametrize(
    "loop", [None, 5, "loop", asyncio, asyncio.SelectorEventLoop, SimpleNamespace(call_soon_threadsafe=1, is_closed=2)]
)
def test_what_is_no_loop(loop: Any) -> None:
    with pytest.raises(eps.UsageError, match=r"takes an event loop, in a coroutine asyncio.get_running_loop\(\), not"):
        AsyncioDispatcher(loop)


def test_loop_that_is_closed_already(loop: asyncio.AbstractEventLoop) -> None:
    loop.close()
    with pytest.raises(eps.UsageError, match="that is closed"):
        AsyncioDispatcher(loop)


def test_program_of_the_page(pbx: SimulatedPBX, phones: Phones) -> None:
    page = (ROOT / "docs" / "gui.md").read_text(encoding="utf-8").partition("\n## asyncio\n")[2].partition("\n## ")[0]
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for place, value in (('"wss://pbx.example.com/PBX0/APPS/websocket"', repr(pbx.url)), ('"secret"', '"pwd"')):
        assert program.count(place) == 1
        program = program.replace(place, value)
    process = start("-X", "dev", "-W", "error", "-c", program)
    assert process.stdout is not None
    try:
        wait_until_it_prints(process, pbx, phones)
        call_and_hang_up(pbx, phones)
        assert_shown([process.stdout.readline().rstrip() for _ in STEPS])
    finally:
        os.kill(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            # Python sees a signal that comes just as asyncio begins to wait only when something else ends that waiting.
            os.kill(process.pid, signal.SIGINT)
        _, output, errors = finish(process)
    assert output == "" and errors.rstrip().endswith("KeyboardInterrupt") and "Warning" not in errors
