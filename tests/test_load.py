"""Full load both ways at once, plain and TLS: each message once, in order, without a false end or a corrupt record."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

import epsignal_sync as eps
from epsignal_sync.messages import InfoSignal

from .conftest import HW1, PATIENCE, wait_until
from .peer import Peer

COUNT = 3000
SENDERS = 3


class LoadServer(threading.Thread):
    """A PBX side on one thread that floods the client and reads at the same time."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(name="load-server")
        self.context = context
        self.ready, self.counted, self.finish = threading.Event(), threading.Event(), threading.Event()
        self.url = ""
        self.returned: list[int] = []
        self.own: list[list[int]] = [[] for _ in range(SENDERS)]

    def run(self) -> None:
        asyncio.run(self.main())

    async def main(self) -> None:
        async with serve(self.handle, "127.0.0.1", 0, ssl=self.context, compression=None) as server:
            self.url = f"{'wss' if self.context else 'ws'}://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
            self.ready.set()
            while not self.finish.is_set():
                await asyncio.sleep(0.01)

    async def handle(self, connection: ServerConnection) -> None:
        async def receive() -> dict[str, Any]:
            message = json.loads(await connection.recv())
            assert isinstance(message, dict)
            return message

        await receive()
        await connection.send(json.dumps({"mt": "AppChallengeResult", "challenge": "x"}))
        await receive()
        await connection.send(json.dumps({"mt": "AppLoginResult", "ok": True}))
        src = (await receive())["src"]
        await connection.send(json.dumps({"mt": "AttachResult", "src": src}))
        flood = asyncio.create_task(self.flood(connection, src))
        for _ in range(COUNT * (1 + SENDERS)):
            message = await receive()
            counted = self.returned if message["call"] == 0 else self.own[message["call"] - 1]
            counted.append(int(message["sig"]["dsp"].strip()))
        await flood
        self.counted.set()
        await connection.wait_closed()

    async def flood(self, connection: ServerConnection, src: str) -> None:
        for index in range(COUNT):
            sig = {"type": "info", "dsp": str(index) + " " * (index % 3000)}
            await connection.send(json.dumps({"mt": "Signaling", "api": "EpSignal", "src": src, "call": 0, "sig": sig}))


@pytest.fixture(params=["plain", "tls"])
def server(request: pytest.FixtureRequest, server_context: ssl.SSLContext) -> Iterator[LoadServer]:
    server = LoadServer(server_context if request.param == "tls" else None)
    server.start()
    assert server.ready.wait(PATIENCE)
    yield server
    server.finish.set()
    server.join(PATIENCE)


def test_full_load_both_ways_while_threads_send(server: LoadServer, ca_file: str) -> None:
    with eps.connect(server.url, app="load", password="p", ca_file=ca_file if server.context else None) as client:
        device = client.attach(HW1)

        def send(number: int) -> None:
            for index in range(COUNT):
                device.send(InfoSignal(dsp=str(index) + " " * 500), call=number + 1, to_device=True, timeout=PATIENCE)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(3 * PATIENCE)
            assert not thread.is_alive()
        assert server.counted.wait(3 * PATIENCE)
        assert client.connected
        assert client.stats.forwarded == COUNT
    assert server.returned == list(range(COUNT))
    assert server.own == [list(range(COUNT))] * SENDERS


def test_ids_of_own_calls_are_unique_in_many_threads(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    calls: list[list[eps.Call]] = [[] for _ in range(8)]
    count = 10_000

    def dial(made: list[eps.Call]) -> None:
        for _ in range(count // len(calls)):
            made.append(device.dial(number="23", timeout=PATIENCE))
            made[-1].hangup(timeout=PATIENCE)

    threads = [threading.Thread(target=dial, args=(made,)) for made in calls]
    for thread in threads:
        thread.start()
    said: dict[int, list[str]] = {}
    for _ in range(2 * count):
        message = peer.receive()
        said.setdefault(message["call"], []).append(message["sig"]["type"])
    for thread in threads:
        thread.join(PATIENCE)
    assert len(said) == count and set(map(tuple, said.values())) == {("setup", "rel")}
    assert said.keys() == {call.id for made in calls for call in made}
    calls[0][-1].wait_ended(timeout=PATIENCE)
    wait_until(lambda: not device.calls)
    peer.send(peer.signaling(min(said), {"type": "alert"}, to=True))  # late, and never forwarded
    marker = peer.signaling(1, {"type": "alert"})
    peer.send(marker)
    assert peer.receive() == marker
