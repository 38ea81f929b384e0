"""A life of many phones in a short time: random calls, and one fault a second, with an account of everything at the end.

    python benchmarks/soak.py --minutes 1 [--phones 200] [--seed N]

The PBX and its phones run in a process of their own (:mod:`soak_pbx`), behind a proxy with the faults of a network; this one
is an ordinary app with callbacks and an interceptor. Faults: connections are reset, the network stalls, the PBX restarts and
keeps, loses or renumbers calls, garbage comes, phones register again, callbacks are slow.

At the end, when the faults are over and everybody has hung up, it must hold that
* on each connection every message was forwarded once, unchanged and in order, but for those that were on the way at its end;
* every call that was told to begin was told to end, once, and no telephone call is left on either side;
* the app is connected and attached to every phone, and has the threads that it had in the beginning.
Exit code 1, with what was wrong, if it does not.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import resource
import subprocess
import sys
import threading
import time
from typing import Any

import epsignal_sync as eps
from epsignal_sync.messages import Setup

PBX_SIDE = pathlib.Path(__file__).with_name("soak_pbx.py")
FAULTS = ("drop", "stall", "garbage", "swallow", "restart kept", "restart lost", "restart renumbered", "register", "slow callbacks")
PATIENCE = 120.0
"""Seconds for the machine to come to rest at the end."""


class PBXSide:
    """The other process: takes one JSON object a line, and answers each."""

    def __init__(self, phones: int, seed: int) -> None:
        command = [sys.executable, str(PBX_SIDE), str(phones), str(seed)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hello = self._read()

    def do(self, what: str) -> dict[str, Any]:
        """Have something done; returns the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit("soak: the process of the PBX has ended: see above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class App:
    """What the app is told, counted."""

    def __init__(self, client: eps.Client) -> None:
        self.open: dict[eps.Call, str] = {}
        self.counts: dict[str, int] = {}
        self.wrong: list[str] = []
        self.slow = threading.Event()
        for kind in (eps.ConnectionLost, eps.Reconnected, eps.Gap, eps.EventsLost, eps.CallbackFailed, eps.InterceptorLate):
            client.on(kind, self._count)
        client.on(eps.CallStarted, self._started)
        client.on(eps.CallEnded, self._ended)
        client.intercept(Setup, lambda event: time.sleep(random.uniform(0, 0.01)))  # asks, and changes nothing

    def _count(self, event: eps.Event) -> None:
        name = type(event).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        if isinstance(event, eps.CallbackFailed):
            self.wrong.append(f"a callback raised {event.error!r}")

    def _started(self, event: eps.CallStarted) -> None:
        self._count(event)
        if self.slow.is_set():
            self.slow.clear()
            time.sleep(0.5)
        if event.call in self.open:
            self.wrong.append(f"{event.call!r} of {event.device.hw} began twice")
        self.open[event.call] = event.device.hw

    def _ended(self, event: eps.CallEnded) -> None:
        self._count(event)
        if self.open.pop(event.call, None) is None:
            self.wrong.append(f"{event.call!r} of {event.device.hw} ended, but had not begun or had ended before")


def wait_until(what: str, condition: Any, wrong: list[str]) -> None:
    """Wait for something that has to come about; note it if it does not."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            wrong.append(f"{what}: not within {PATIENCE:g} s")
            return
        time.sleep(0.1)


def run_faults(pbx: PBXSide, app: App, client: eps.Client, minutes: float, choice: random.Random) -> None:
    """Make one fault a second, and say how it is every ten."""
    began = time.monotonic()
    until, told = began + minutes * 60, began
    while time.monotonic() < until:
        time.sleep(1)
        fault = choice.choice(FAULTS)
        if fault == "slow callbacks":
            app.slow.set()
        else:
            pbx.do(fault)
        if time.monotonic() - told >= 10:
            told = time.monotonic()
            stats = client.stats
            print(
                f"soak: {told - began:.0f} s: {app.counts.get('CallStarted', 0)} calls, {stats.forwarded} forwarded, "
                f"{stats.reconnects} reconnects, {app.counts.get('Gap', 0)} gaps, {client.state}",
                flush=True,
            )


def soak(phones: int, minutes: float, seed: int) -> list[str]:
    """Run it; returns what was wrong."""
    choice = random.Random(seed)
    pbx = PBXSide(phones, seed)
    try:
        hello = pbx.hello
        client = eps.Client(hello["url"], app="soak", password="soak", ping_interval=2, ping_timeout=2, timeout=10)
        app = App(client)
        with client:
            client.connect()
            devices = client.attach_many(hello["hws"], timeout=PATIENCE)
            threads = threading.active_count()
            pbx.do("begin")
            run_faults(pbx, app, client, minutes, choice)
            account = pbx.do("rest")
            wrong: list[str] = app.wrong + account.pop("wrong")
            wait_until("every phone attached again", lambda: all(device.attached for device in devices), wrong)
            wait_until("no telephone call left", lambda: not any(device.media_calls for device in devices), wrong)
            wait_until("the end of every call told", lambda: not any(call.media for call in list(app.open)), wrong)
            wrong += pbx.do("account")["wrong"]
            if threading.active_count() > threads + 8:  # interceptors' workers are started when they are needed, at most 8
                wrong.append(f"{threading.active_count()} threads, and there were {threads}: {threading.enumerate()}")
            stats = client.stats
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"soak: seed {seed}; {account}; app: {app.counts}; forwarded {stats.forwarded}, reconnects {stats.reconnects}, "
                  f"p50 {stats.latency_p50} µs, p99 {stats.latency_p99} µs, at most {memory} MB")  # fmt: skip
        return wrong
    finally:
        pbx.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--phones", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="the same faults again, as far as threads allow it")
    options = parser.parse_args()
    seed = random.randrange(2**31) if options.seed is None else options.seed
    print(f"soak: {options.phones} phones for {options.minutes:g} minutes, seed {seed}", flush=True)
    wrong = soak(options.phones, options.minutes, seed)
    for text in wrong[:20]:
        print(f"soak: WRONG: {text}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
