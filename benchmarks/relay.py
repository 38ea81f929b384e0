"""What forwarding costs, in comparison with a plain script.

    python benchmarks/relay.py [--seconds 1] [--rounds 5] [--only a --only c] [--json figures.json]

Peers, each in a process of its own, take turns within each round:

    echo  sends the bytes back as they come; no websocket at all: it shows what the PBX side can do
    a     a plain script on websocket-client: recv, json.loads, json.dumps, send
    b     the same on the synchronous client of websockets
    c     epsignal_sync, attached to one device, no callback
    d     epsignal_sync with a typed callback on every message; over when the last callback has returned

The PBX side (pbx_side.py) is a process of its own as well. Ratios are taken within each round, then their median is shown.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import queue
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
PEERS = ["echo", "a", "b", "c", "d"]
SIZES = ["small", "big"]
START_TIMEOUT = 30.0  # seconds a process may take to start, connect, log in and attach
GRACE = 60.0  # seconds a measurement may take in addition to its own time

Json = dict[str, Any]


# -- the peers ---------------------------------------------------------------------------------------------------------


def ready() -> None:
    print(json.dumps({"ready": True}), flush=True)


def run_echo(url: str) -> None:
    host, port = url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=START_TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"GET /plain HTTP/1.1\r\nSec-WebSocket-Key: none\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        ready()
        while data := connection.recv(65536):
            connection.sendall(data)


def run_websocket_client(url: str) -> None:
    import websocket

    if importlib.util.find_spec("wsaccel"):
        sys.exit("wsaccel is installed: the plain script is measured without it")
    connection = websocket.WebSocket(skip_utf8_validation=True)
    connection.connect(url, timeout=START_TIMEOUT, http_no_proxy=["*"])  # type: ignore[no-untyped-call]
    ready()
    try:
        while True:
            connection.send(json.dumps(json.loads(connection.recv())))
    except websocket.WebSocketConnectionClosedException:
        pass


def run_websockets(url: str) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(url, compression=None, proxy=None, open_timeout=START_TIMEOUT, close_timeout=1) as connection:
        ready()
        try:
            while True:
                connection.send(json.dumps(json.loads(connection.recv(timeout=START_TIMEOUT))))
        except ConnectionClosed:
            pass


def run_library(url: str, with_callback: bool) -> None:
    import epsignal_sync as eps

    count = 0
    returned_at = 0.0

    def typed(event: Any) -> None:
        nonlocal count, returned_at
        assert event.signal.channel == -1  # reads a decoded attribute
        count += 1
        returned_at = time.monotonic()

    with eps.connect(url, app="bench", password="x", reconnect=False) as client:
        device = client.attach("hw")
        if with_callback:
            device.on(eps.messages.Alert, typed)
            device.on(eps.messages.Setup, typed)
        ready()
        for line in sys.stdin:  # each line is the number of messages that have come back so far; answered when the callbacks are through
            give_up = time.monotonic() + GRACE
            while with_callback and count < int(line) and time.monotonic() < give_up:
                time.sleep(0.0005)
            print(json.dumps({"callbacks": count, "returned_at": returned_at}), flush=True)


def run_peer(name: str, url: str) -> None:
    peers: dict[str, Callable[[], None]] = {
        "echo": lambda: run_echo(url),
        "a": lambda: run_websocket_client(url),
        "b": lambda: run_websockets(url),
        "c": lambda: run_library(url, with_callback=False),
        "d": lambda: run_library(url, with_callback=True),
    }
    peers[name]()


# -- the processes -----------------------------------------------------------------------------------------------------


class Child:
    """A process that is spoken to in JSON lines. No answer in time is an error; close() ends it in any case."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._name = name
        # The checkout that this file belongs to is what is measured, installed or not.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader_thread = threading.Thread(target=self._read, name=f"bench-{name}", daemon=True)
        self._reader_thread.start()

    def tell(self, command: Json | int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def answer(self, timeout: float) -> Json:
        """Return the next answer; ends the benchmark if there is none within ``timeout`` seconds."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise SystemExit(f"{self._name} gave no answer within {timeout:.0f} s; look above for what it printed") from None
        if not line:
            raise SystemExit(f"{self._name} ended without an answer; look above for what it printed")
        answer: Json = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._reader_thread.join(5)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure_peer(pbx: Child, port: int, name: str, seconds: float, messages: int | None) -> Json:
    """Run one peer from its start to its end; return its figures for each size."""
    path = "PBX0/APPS/websocket" if name in "cd" else "plain"
    peer = Child(f"peer {name}", str(HERE / "relay.py"), "--peer", name, "--url", f"ws://127.0.0.1:{port}/{path}")
    figures: Json = {}
    forwarded = 0

    def run(what: str, size: str, seconds: float, messages: int | None) -> Json:
        nonlocal forwarded
        pbx.tell({"do": what, "size": size, "seconds": seconds, "messages": messages})
        answer = pbx.answer(seconds + GRACE)
        forwarded += 1 + (answer["messages"] if what == "pump" else len(answer["microseconds"]))
        if name == "d":
            peer.tell(forwarded)
            callbacks = peer.answer(GRACE + 5)
            if callbacks["callbacks"] != forwarded:
                raise SystemExit(f"peer d forwarded {forwarded} messages, but {callbacks['callbacks']} callbacks ran")
            answer["ended"] = max(answer.get("ended", 0.0), callbacks["returned_at"])
        return answer

    try:
        pbx.tell({"do": "accept"})
        peer.answer(START_TIMEOUT)  # first, for where it cannot start, it is the one that says why
        pbx.answer(START_TIMEOUT)
        for size in SIZES:
            run("pump", size, 0.2, None)  # until every cache is warm
            pumped = run("pump", size, seconds, messages)
            taken = sorted(run("ping", size, seconds, messages)["microseconds"])
            duration = pumped["ended"] - pumped["began"]
            figures[size] = {
                "throughput": pumped["messages"] / duration,
                "pbx_cpu": pumped["cpu"] / duration,
                "p50": taken[len(taken) // 2],
                "p99": taken[len(taken) * 99 // 100],
            }
        pbx.tell({"do": "close"})
        pbx.answer(START_TIMEOUT)
    finally:
        peer.close()
    return figures


def measure(peers: list[str], rounds: int, seconds: float, messages: int | None) -> Json:
    """Return all figures: {"bytes": {size: n}, "rounds": [{peer: {size: {figure: value}}}]}."""
    pbx = Child("the PBX side", str(HERE / "pbx_side.py"))
    try:
        hello = pbx.answer(START_TIMEOUT)
        results: list[Json] = []
        for number in range(1, rounds + 1):
            results.append({})
            for name in peers:
                print(f"round {number} of {rounds}: {name}", file=sys.stderr, flush=True)
                results[-1][name] = measure_peer(pbx, hello["port"], name, seconds, messages)
    finally:
        pbx.close()
    return {"bytes": hello["bytes"], "rounds": results}


def show(figures: Json, peers: list[str]) -> None:
    """Print the medians, and the medians of the ratios to (a)."""

    def median(size: str, name: str, figure: str, base: str | None = None) -> float:
        values = [one[name][size][figure] / (one[base][size][figure] if base else 1) for one in figures["rounds"]]
        return float(statistics.median(values))

    for size in SIZES:
        print(f"\n{size} messages ({figures['bytes'][size]} bytes), median of {len(figures['rounds'])} rounds")
        print(f"{'peer':6}{'messages/s':>12}{'to a':>8}{'p50 µs':>10}{'to a':>8}{'p99 µs':>10}{'to a':>8}{'PBX side CPU':>15}")
        for name in peers:
            row = f"{name:6}"
            for figure, width in (("throughput", 12), ("p50", 10), ("p99", 10)):
                ratio = f"{median(size, name, figure, 'a'):8.2f}" if "a" in peers else f"{'-':>8}"
                row += f"{median(size, name, figure):{width}.0f}{ratio}"
            print(f"{row}{median(size, name, 'pbx_cpu'):15.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what forwarding costs.")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each measurement")
    parser.add_argument("--messages", type=int, help="number of messages of each measurement, instead of --seconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=PEERS, help="may be given several times")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write the figures of every round there")
    parser.add_argument("--peer", choices=PEERS, help="be this peer, at --url")
    parser.add_argument("--url")
    options = parser.parse_args()
    if options.peer:
        run_peer(options.peer, options.url)
        return
    peers = options.only or PEERS
    figures = measure(peers, options.rounds, options.seconds, options.messages)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    show(figures, peers)


if __name__ == "__main__":
    main()
