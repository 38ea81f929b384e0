"""A plain app for these tests, made of websocket-client and raw JSON, and a check that nothing is left behind."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websocket

from epsignal_sync.simulator import SimulatedPBX

TIMEOUT = 10.0


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def digest(challenge: str, password: str, *, app: str = "", sip: str = "", info: str | None = None) -> str:
    parts = [app, "", sip, "", "", *([] if info is None else [info]), challenge, password]
    return hashlib.sha256(":".join(parts).encode()).hexdigest()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@pytest.fixture
def no_leaks() -> Iterator[None]:
    gc.collect()
    threads, files = set(threading.enumerate()), open_files()
    yield
    until(lambda: set(threading.enumerate()) <= threads, "threads are left")
    gc.collect()
    until(lambda: open_files() <= files, "descriptors are left")


@pytest.fixture
def pbx(no_leaks: None) -> Iterator[SimulatedPBX]:
    # Longer than any stall of the machine: the timer runs while an app has the answer to a setup in hand.
    with SimulatedPBX(setup_timeout=120.0) as pbx:
        pbx.add_app("phones", password="pwd")
        yield pbx


def abort(app: Any) -> None:
    """Close the socket of a websocket-client connection without a word."""
    app.shutdown()


class RawApp:
    """Log in, collect what comes and, with ``forward``, send each Signaling back as it came; ``keep_own``: not its own calls'."""

    def __init__(self, pbx: SimulatedPBX, *, forward: bool = True, keep_own: bool = False) -> None:
        self.forward = forward
        self.keep_own = keep_own
        self.texts: list[str] = []
        self._changed = threading.Condition()
        self._websocket = websocket.create_connection(pbx.url, timeout=TIMEOUT)
        self._websocket.settimeout(None)
        self.closed = False
        self._thread = threading.Thread(target=self._read, name="raw-app", daemon=True)
        self._thread.start()

    def __enter__(self) -> RawApp:
        return self

    def __exit__(self, *args: object) -> None:
        raw: Any = self._websocket.sock
        try:
            raw.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass  # The PBX was faster.
        self._thread.join(TIMEOUT)
        abort(self._websocket)

    def _read(self) -> None:
        while True:
            try:
                text = str(self._websocket.recv())
            except (OSError, websocket.WebSocketException):
                text = ""
            with self._changed:
                forward = self.forward  # As it is before anybody sees the message.
                self.closed = not text
                if text:
                    self.texts.append(text)
                self._changed.notify_all()
            if not text:
                return
            message = json.loads(text)
            if forward and message["mt"] == "Signaling" and not (self.keep_own and message["call"] < 0):
                try:
                    self._websocket.send(text)
                except (OSError, websocket.WebSocketException):
                    pass  # The test is over while something was on its way.

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in list(self.texts)]

    def send(self, message: Any) -> None:
        self._websocket.send(message if isinstance(message, str) else compact(message))

    def wait(self, found: Callable[[dict[str, Any]], bool], count: int = 1) -> dict[str, Any]:
        """Return the ``count``-th message for which ``found`` is true."""
        end = time.monotonic() + TIMEOUT
        with self._changed:
            while True:
                matching = [message for message in self.messages if found(message)]
                if len(matching) >= count:
                    return matching[count - 1]
                assert time.monotonic() < end, f"not received; there were {self.texts}"
                self._changed.wait(0.5)

    def wait_mt(self, mt: str, count: int = 1) -> dict[str, Any]:
        return self.wait(lambda message: message["mt"] == mt, count)

    def wait_signal(self, kind: str, *, src: Any = None, to: bool | None = None, call: Any = None, count: int = 1) -> dict[str, Any]:
        return self.wait(
            lambda message: message["mt"] == "Signaling"
            and message["sig"]["type"] == kind
            and (src is None or message["src"] == src)
            and (to is None or message.get("to", False) is to)
            and (call is None or message["call"] == call),
            count,
        )

    def wait_closed(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.closed, TIMEOUT), "the connection was not closed"

    def challenge(self) -> str:
        count = sum(message["mt"] == "AppChallengeResult" for message in self.messages)
        self.send({"mt": "AppChallenge"})
        return str(self.wait_mt("AppChallengeResult", count + 1)["challenge"])

    def try_login(self, password: str = "pwd", *, app: str = "phones", sip: str = "", info: str | None = None) -> dict[str, Any]:
        """Log in with the JSON text ``info``, and return the AppLoginResult."""
        proof = digest(self.challenge(), password, app=app, sip=sip, info=info)
        count = sum(message["mt"] == "AppLoginResult" for message in self.messages)
        fields = {"mt": "AppLogin", "app": app, "domain": "", "sip": sip, "guid": "", "dn": "", "digest": proof}
        self.send(compact(fields)[:-1] + ("" if info is None else f',"info":{info}') + "}")
        return self.wait_mt("AppLoginResult", count + 1)

    def login(self, **options: Any) -> RawApp:
        assert self.try_login(**options)["ok"] is True
        return self

    def attach(self, hw: str, src: Any = "1", *, api: str = "EpSignal") -> dict[str, Any]:
        self.send({"mt": "Attach", "api": api, "src": src, "hw": hw})
        return self.wait(lambda message: message["mt"] == "AttachResult" and message["src"] == src)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (None, "a205299ed2ef2786c311e0be1b14db343f2cadd906a6ae7b564eee34bda5e9a1"),
        ("{}", "57b23fe824b9222a7ac879597cb509bcdc865a1bfeb057d9d12118cef0c3ba34"),
    ],
)
def test_digest_of_the_raw_app_is_that_of_the_documentation(info: str | None, expected: str) -> None:
    assert digest("0123456789abcdef", "pwd", app="pbxadminapi", info=info) == expected
