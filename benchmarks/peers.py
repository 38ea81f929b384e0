"""The peers of the forwarding benchmark: each runs in a process of its own and sends back what the PBX side sends.

    python benchmarks/peers.py NAME PORT [CA_FILE]

It says ``{"ready": true}`` on standard output when it is connected. A peer that is the library then answers numbers on its
standard input, one a line (see :func:`run_library` and :func:`run_attach`). Knows nothing of how it is measured.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

START_TIMEOUT = 30.0  # seconds a process may take to start, connect, log in and attach
GRACE = 60.0  # seconds a measurement may take in addition to its own time


def ready() -> None:
    print(json.dumps({"ready": True}), flush=True)


# -- those that do without the library ---------------------------------------------------------------------------------


def run_echo(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=START_TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"GET /plain HTTP/1.1\r\nSec-WebSocket-Key: none\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        ready()
        while data := connection.recv(65536):
            connection.sendall(data)


def run_websocket_client(port: int, ca_file: str = "") -> None:
    import websocket

    if importlib.util.find_spec("wsaccel"):
        sys.exit("wsaccel is installed: the plain script is measured without it")
    connection = websocket.WebSocket(skip_utf8_validation=True, sslopt={"ca_certs": ca_file} if ca_file else None)
    url = f"{'wss' if ca_file else 'ws'}://127.0.0.1:{port}/plain"
    connection.connect(url, timeout=START_TIMEOUT, http_no_proxy=["*"])  # type: ignore[no-untyped-call]
    ready()
    try:
        while True:
            connection.send(json.dumps(json.loads(connection.recv())))
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        pass


def run_websockets(port: int) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    url = f"ws://127.0.0.1:{port}/plain"
    with connect(url, compression=None, proxy=None, open_timeout=START_TIMEOUT, close_timeout=1) as connection:
        ready()
        try:
            while True:
                connection.send(json.dumps(json.loads(connection.recv(timeout=START_TIMEOUT))))
        except ConnectionClosed:
            pass


# -- the library -------------------------------------------------------------------------------------------------------


class Counted:
    """A typed callback: reads a decoded attribute, and counts."""

    def __init__(self) -> None:
        self.count = 0
        self.returned_at = 0.0

    def __call__(self, event: Any) -> None:
        assert event.signal.channel == -1
        self.count += 1
        self.returned_at = time.monotonic()

    def wait(self, count: int) -> None:
        """Wait until that many calls have returned, or the time is over."""
        give_up = time.monotonic() + GRACE
        while self.count < count and time.monotonic() < give_up:
            time.sleep(0.0005)


def pass_on(event: Any) -> None:
    """An interceptor that lets everything pass."""


def burn(event: Any) -> None:
    """Compute without end, in pure Python."""
    number = 0
    while True:
        number += 1


Prepare = Callable[[Any], None]


def with_callback(callback: Callable[[Any], None]) -> Prepare:
    def prepare(device: Any) -> None:
        from epsignal_sync.messages import Alert, Setup

        device.on(Alert, callback)
        device.on(Setup, callback)

    return prepare


def with_interceptor(interceptor: Callable[[Any], None], *names: str) -> Prepare:
    def prepare(device: Any) -> None:
        from epsignal_sync import messages

        for name in names:
            device.intercept(getattr(messages, name), interceptor)

    return prepare


def connect(port: int, ca_file: str = "") -> Any:
    import epsignal_sync as eps

    url = f"{'wss' if ca_file else 'ws'}://127.0.0.1:{port}/PBX0/APPS/websocket"
    return eps.connect(url, app="bench", password="x", reconnect=False, ca_file=ca_file or None, timeout=START_TIMEOUT)


def run_library(port: int, ca_file: str = "", prepare: Prepare | None = None, counted: Counted | None = None) -> None:
    """Forward for one device. Each number on standard input is how many messages have come back: answered when as many callbacks have."""
    with connect(port, ca_file) as client:
        device = client.attach("hw", timeout=START_TIMEOUT)
        if prepare is not None:
            prepare(device)
        ready()
        for line in sys.stdin:
            if counted is not None:
                counted.wait(int(line))
                print(json.dumps({"callbacks": counted.count, "returned_at": counted.returned_at}), flush=True)


def run_without_orjson(port: int) -> None:
    sys.modules["orjson"] = None  # type: ignore[assignment]  # what makes the import fail as if it were not installed
    run_library(port)


def run_attach(port: int) -> None:
    """Each number on standard input is how many devices to attach; answered with the seconds that it took."""
    with connect(port) as client:
        client.attach("hw", timeout=START_TIMEOUT)
        ready()
        for line in sys.stdin:
            hws = [f"0090330{number:05x}" for number in range(int(line))]
            began = time.perf_counter()
            client.attach_many(hws, timeout=GRACE)
            print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


COUNTED = Counted()

PEERS: dict[str, Callable[[int, str], None]] = {
    "echo": lambda port, _: run_echo(port),
    "a": lambda port, _: run_websocket_client(port),
    "b": lambda port, _: run_websockets(port),
    "c": lambda port, _: run_library(port),
    "d": lambda port, _: run_library(port, prepare=with_callback(COUNTED), counted=COUNTED),
    "intercept": lambda port, _: run_library(port, prepare=with_interceptor(pass_on, "Setup")),
    "c-json": lambda port, _: run_without_orjson(port),
    "a-tls": run_websocket_client,
    "c-tls": run_library,
    "burn": lambda port, _: run_library(port, prepare=with_callback(burn)),
    "burn-intercept": lambda port, _: run_library(port, prepare=with_interceptor(burn, "Alert", "Setup")),
    "attach": lambda port, _: run_attach(port),
}


def main() -> None:
    name, port, *ca_file = sys.argv[1:]
    PEERS[name](int(port), *ca_file or [""])


if __name__ == "__main__":
    main()
