"""Doing on a PBX what the app did in a recording, with the ordinary client: the phones work whatever happens here. Knows no file."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from ..call import Call
from ..client import Client
from ..device import Device
from ..errors import CallEndedError, EpSignalError
from ..events import CallEnded, SignalEvent
from ..interceptors import DROP, Drop, refuse
from ..messages import Channels, NameIdentification, Setup, Signal, Signaling
from ..messages.record import source
from ..protocol.codec import decode
from .parts import Deed, Part, Script, Verdict, next_nth

LOOK = 0.5
"""Seconds between two looks at the clock."""
LONGEST_DEADLINE = 2.0
"""Seconds that a message may be held, the most that there is."""
CLOSE_TIME = 2.0
"""Seconds that close() waits for its thread."""


@define(eq=False)
class _Live:
    """A call that happens now, and the part that the app had in it."""

    call: Call
    part: Part | None
    asked: Counter[tuple[bool, str]] = field(factory=Counter)
    """What the interceptor was asked about, by direction and type."""
    received: int = 0
    """How many messages the callback has seen."""


class Actor:
    """Plays the script on the phones of a client; ``names``: the phone to take for each of the recording. ``speed``: times as fast;
    ``failures`` gets what could not be done, a sentence each.

    The thread ``epsignal-reenactment`` does what the app did by itself. All methods may be called from any thread.
    """

    def __init__(self, script: Script, client: Client, names: Mapping[str, str], speed: float, failures: list[str]) -> None:
        self._failures = failures
        self._script = script
        self._client = client
        self._recorded_names = {new: old for old, new in names.items()}
        self._devices: Mapping[str, Device] = {}
        self._speed = speed
        self._lives: dict[Call, _Live] = {}
        self._agenda: list[tuple[float, int, Deed, _Live | None, str]] = []
        self._ties = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._busy = False
        self._thread = threading.Thread(target=self._run, name="epsignal-reenactment", daemon=True)

    def listen(self) -> None:
        """Take part in the calls from now on; to be called before the phones are attached, or their first calls are missed."""
        if any(part.verdicts for part in self._script.parts):
            # It answers at once. On a busy machine it may be late, and a number that the app had changed must not be called in earnest.
            self._client.intercept(Signal, self._intercept, deadline=LONGEST_DEADLINE)
        self._client.on(Signal, self._heard)
        self._client.on(CallEnded, self._ended)

    def start(self, devices: Mapping[str, Device]) -> None:
        """Begin to do what the app did by itself; ``devices`` by their names in the recording. Does not block."""
        self._devices = devices
        with self._changed:
            for deed in self._script.beginning:
                assert deed.starts is not None
                self._put_locked(deed, None, deed.starts.device, deed.delay)
        self._thread.start()

    def close(self) -> None:
        """End. Idempotent; blocks for at most 2 s."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_TIME)

    @property
    def progress(self) -> tuple[int, int]:
        """How many of the calls that are waited for have happened, and how many there are. Does not block."""
        awaited = self._script.awaited
        return sum(part.taken for part in awaited), len(awaited)

    def wait_over(self, timeout: float) -> bool:
        """Block until every call that is waited for has happened, and all calls are over; False after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_over_locked, timeout)

    def _is_over_locked(self) -> bool:
        taken, count = self.progress
        # What a phone keeps open for presence has no end.
        lasting = any((live.call.own or live.call.media) and not live.call.ended for live in self._lives.values())
        return taken == count and not (self._agenda or self._busy or lasting)

    # ------------------------------------------------------------ what comes

    def _intercept(self, event: SignalEvent[Any]) -> Drop | list[Signal] | None:
        """Do with a message what the app did with it. On a worker of the client's interceptors."""
        if event.call is None:
            return None
        with self._changed:
            live = self._live_locked(event.call, event.signal)
            came = source(event.signal)
            verdict = None
            if live.part is not None:
                verdict = live.part.verdicts.get(next_nth(live.asked, event.to_device, str(came.get("type"))))
        return None if verdict is None else _answer(verdict, came)

    def _heard(self, event: SignalEvent[Any]) -> None:
        """Take a message that has come. On the callback thread."""
        if event.call is None:
            return
        with self._changed:
            live = self._live_locked(event.call, event.signal)
            live.received += 1
            self._plan_locked(live)
            self._changed.notify_all()

    def _ended(self, event: CallEnded) -> None:
        """Take note that a call is over. On the callback thread."""
        with self._changed:
            live = self._lives.get(event.call)
            if live is not None and live.part is not None:
                self._give_up_locked(live.part, live.received)
            self._changed.notify_all()

    def _give_up_locked(self, part: Part, received: int) -> None:
        """Wait no longer for the app's own calls that were to begin after later messages of a call that has ended."""
        for deed in part.deeds:
            if deed.starts is not None and deed.after > received:
                deed.starts.taken = True
                self._failures.append(f"{deed.starts.named} was not called: the call in which the app did that ended sooner this time")

    def _live_locked(self, call: Call, signal: Signal) -> _Live:
        """Return what is known of a call; with its first signal it takes the part of the first in the recording that is like it."""
        live = self._lives.get(call)
        if live is None:
            name = self._recorded_names.get(call.device.hw)
            left = [part for part in self._script.parts if not (part.taken or part.own) and part.device == name]
            alike = [part for part in left if part.incoming == call.incoming and (part.from_setup or not isinstance(signal, Setup))]
            same = [part for part in alike if part.party in (call.remote.num, call.remote.sip)]
            part = None if call.own else next(iter(same or alike), None)
            if part is not None:
                part.taken = True
            live = self._lives[call] = _Live(call, part)
        return live

    # ------------------------------------------------------------ what the app does by itself

    def _plan_locked(self, live: _Live) -> None:
        """Put down what the app did after the message that has just come."""
        if live.part is None:
            return
        delay = 0.0
        for deed in live.part.deeds:
            if deed.after == live.received:
                delay = delay + deed.delay if deed.starts is None else deed.delay
                self._put_locked(deed, live, live.part.device, delay)

    def _put_locked(self, deed: Deed, live: _Live | None, name: str, delay: float) -> None:
        """Have something done after ``delay`` seconds of the recording."""
        seconds = delay / self._speed if self._speed else 0.0
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._ties), deed, live, name))
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._closed and (not self._agenda or self._agenda[0][0] > time.monotonic()):
                    self._changed.wait(min(LOOK, self._agenda[0][0] - time.monotonic()) if self._agenda else LOOK)
                if self._closed:
                    return
                _, _, deed, live, name = heapq.heappop(self._agenda)
                self._busy = True
                if deed.starts is not None:
                    deed.starts.taken = True
            try:
                self._do(deed, live, self._devices[name])
            except CallEndedError as error:
                if deed.signal is None or deed.signal.get("type") != "rel":  # the call is over: that is what was wanted
                    self._failures.append(str(error))
            except EpSignalError as error:
                self._failures.append(str(error))
            except Exception as error:  # a fault of this library: without the thread there would be no end
                self._failures.append(f"something that the app did could not be done ({type(error).__name__}: {error}): please report it")

    def _do(self, deed: Deed, live: _Live | None, device: Device) -> None:
        if deed.starts is not None:
            self._start(deed.starts, device, to_device=deed.to_device)
        elif live is not None and deed.signal is not None:
            live.call.send(_signal(deed.signal), to_device=None if live.call.own else deed.to_device)

    def _start(self, part: Part, device: Device, *, to_device: bool) -> None:
        """Start a call of the app as it did."""
        setup = _signal(part.setup)
        assert isinstance(setup, Setup)
        party = setup.cg if to_device else setup.cd
        number, sip = (party.num or "", party.sip or "") if party is not None else ("", "")
        names = [one for one in setup.fty or () if isinstance(one, NameIdentification)]
        others = [one for one in setup.fty or () if not (to_device and one in names)]
        channels = setup.channels if isinstance(setup.channels, Channels) else None
        media = setup.channel != 0
        if to_device:
            call = device.ring(
                number, sip="" if number else sip, name=next((one.name or "" for one in names), ""), channels=channels, media=media,
                facilities=others,
            )  # fmt: skip
        else:
            call = device.dial(number, sip="" if number else sip, channels=channels, media=media, facilities=others)
        with self._changed:
            live = self._lives.setdefault(call, _Live(call, part))
            live.part = part
            self._plan_started_locked(live)

    def _plan_started_locked(self, live: _Live) -> None:
        """Put down what follows the setup, and what follows what has come already."""
        received, live.received = live.received, 0
        for live.received in range(received + 1):
            self._plan_locked(live)


def _signal(data: dict[str, Any], without: frozenset[str] = frozenset()) -> Signal:
    data = {key: value for key, value in data.items() if key not in without}
    message = decode({"mt": "Signaling", "api": "EpSignal", "sig": data}, {"EpSignal"})
    assert isinstance(message, Signaling) and message.sig is not None
    return message.sig


def _answer(verdict: Verdict, came: dict[str, Any]) -> Drop | list[Signal]:
    """Return what to do with a message. The fields that the app has left as they were stay those of the live one: its media, above all."""
    if verdict.signals:
        return [_signal({**came, **one.fields} if one.changes_only else one.fields, one.without) for one in verdict.signals]
    return DROP if verdict.cause is None else refuse(verdict.cause)
