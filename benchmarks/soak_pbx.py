"""The PBX side of the soak: phones that call each other at random, faults, and the account of what was forwarded.

A process of its own, told on its standard input what to do, one JSON object a line; started by :mod:`soak`. It knows nothing of the app
but what comes over the wire.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from epsignal_sync.errors import EpSignalError, ReplyTimeout
from epsignal_sync.simulator import Faults, LogEntry, SimulatedPBX, SimulatedPhone

CALL_INTERVAL = 0.02
"""Seconds between two calls."""
STALL = 0.3
"""Seconds for which the network stalls or swallows."""
REST = 60.0
"""Seconds for everybody to hang up at the end."""


class Account:
    """Whether each message comes back once, as it was and in order. Follows the log of the PBX."""

    def __init__(self, pbx: SimulatedPBX) -> None:
        self._pbx = pbx
        self._waiting: dict[tuple[int | None, str | None, bool], deque[str]] = {}
        """By connection, device and direction: an interceptor that thinks about one direction does not hold up the other."""
        self._number = 0
        self.newest_connection = 0
        self.forwarded = 0
        self.wrong: list[str] = []
        self._account_lock = threading.Lock()
        threading.Thread(target=self._run, name="soak-account", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.look(timeout=1.0)
            time.sleep(0.02)

    def look(self, timeout: float) -> None:
        """Take what is new in the log."""
        with self._account_lock:
            for entry in self._pbx.log.newer(self._number, timeout=timeout):
                if entry.number != self._number + 1:
                    self.wrong.append(f"the account missed {entry.number - self._number - 1} entries of the log")
                self._number = entry.number
                self._take(entry)

    def _take(self, entry: LogEntry) -> None:
        if entry.connection is not None:
            self.newest_connection = max(self.newest_connection, entry.connection)
        if entry.mt != "Signaling" or entry.place not in ("to-app", "from-app"):
            return
        waiting = self._waiting.setdefault((entry.connection, entry.device, entry.message.get("to") is True), deque())
        if entry.place == "to-app":
            waiting.append(entry.text)
        elif not waiting or waiting[0] != entry.text:
            self.wrong.append(f"connection {entry.connection}, {entry.device}: not what was to come next: {entry.text[:200]}")
        else:
            waiting.popleft()
            self.forwarded += 1

    def check(self) -> list[str]:
        """Return what was wrong, with what has not come back on the connection that is up."""
        self.look(timeout=0)
        left = {key[1]: len(texts) for key, texts in self._waiting.items() if key[0] == self.newest_connection and texts}
        return self.wrong + ([f"not forwarded on the last connection, by device: {left}"] if left else [])


class People:
    """Calls at random, on one thread."""

    def __init__(self, phones: list[SimulatedPhone], choice: random.Random) -> None:
        self._phones = phones
        self._choice = choice
        self._jobs: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._resting = threading.Event()
        self.calls = 0
        self._thread = threading.Thread(target=self._run, name="soak-people", daemon=True)

    def begin(self) -> None:
        """Begin to call."""
        self._thread.start()

    def rest(self) -> None:
        """Make no more calls, and end those that are there."""
        self._resting.set()
        self._thread.join(REST)
        until = time.monotonic() + REST
        while time.monotonic() < until and any(phone.calls for phone in self._phones):
            for phone in self._phones:
                for _ in phone.calls:
                    self._try(phone.hangup)
            time.sleep(0.2)

    def _run(self) -> None:
        next_call = time.monotonic()
        while not self._resting.is_set():
            now = time.monotonic()
            while self._jobs and self._jobs[0][0] <= now:
                self._try(heapq.heappop(self._jobs)[2])
            if now >= next_call:
                next_call = now + CALL_INTERVAL
                self._call(now)
            time.sleep(0.005)

    def _call(self, now: float) -> None:
        caller, called = self._choice.sample(self._phones, 2)
        if caller.calls or called.calls:
            return
        self._try(lambda: caller.call(called.number))
        self.calls += 1
        if self._choice.random() < 0.8:
            self._later(now + self._choice.uniform(0.05, 0.3), called.answer)
        self._later(now + self._choice.uniform(0.2, 3.0), self._choice.choice((caller, called)).hangup)

    def _later(self, at: float, job: Callable[[], Any]) -> None:
        heapq.heappush(self._jobs, (at, next(self._numbers), job))

    @staticmethod
    def _try(job: Callable[[], Any]) -> None:
        try:
            job()
        except EpSignalError:
            pass  # the call has ended in the meantime, or the phone is not registered


def make_fault(fault: str, pbx: SimulatedPBX, faults: Faults, phones: list[SimulatedPhone], choice: random.Random) -> None:
    """Make one fault, and end it."""
    if fault.startswith("restart "):
        pbx.restart(calls=fault.split()[1])
    elif fault == "register":
        choice.choice(phones).reregister(calls=choice.choice(("kept", "lost", "renumbered")))
    elif fault in ("stall", "swallow"):
        getattr(faults, fault)()
        time.sleep(STALL)
        faults.heal()
    else:
        getattr(faults, fault)()


def main() -> None:
    number, seed = int(sys.argv[1]), int(sys.argv[2])
    choice = random.Random(seed)
    with SimulatedPBX(log_limit=200_000) as pbx, Faults(pbx.url) as faults:
        pbx.add_app("soak", password="soak")
        phones = [pbx.add_phone(f"0090330{index:05x}", number=str(1000 + index), sip=f"phone{index}") for index in range(number)]
        account, people = Account(pbx), People(phones, choice)
        print(json.dumps({"url": faults.url, "hws": [phone.hw for phone in phones]}), flush=True)
        made = 0
        for line in sys.stdin:
            what, answer = json.loads(line)["do"], dict[str, Any]()
            if what == "begin":
                people.begin()
            elif what == "rest":
                faults.heal()
                people.rest()
                left = [phone.hw for phone in phones if phone.calls]
                answer = {"calls": people.calls, "faults": made, "connections": account.newest_connection, "came back": account.forwarded}
                answer["wrong"] = [f"calls are left at {left}"] if left else []
            elif what == "account":
                answer["wrong"] = account.check()
            else:
                made += 1
                try:
                    make_fault(what, pbx, faults, phones, choice)
                except ReplyTimeout as error:  # a machine that is too slow for the simulator says nothing of the library
                    print(f"soak: {what}: {error}", file=sys.stderr)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
