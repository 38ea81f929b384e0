"""What callbacks are told, and in which order: each message, and behind it what it did to its call.

From what the relay delivers to the callbacks, without a connection, against a small model of what a call goes through. What
comes when, when callbacks run, when a device's events are held, and so what is too much for the queue, is up to hypothesis.
"""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import hypothesis.strategies as st
from hypothesis import given, settings

import epsignal_sync as eps
from epsignal_sync.messages import Signal
from epsignal_sync.protocol.session import Attachment
from epsignal_sync.relay.deliveries import Received

from .conftest import HW1, HW2

MOST = 8
"""Messages that may wait for callbacks."""
STATES = {"setup": "setup", "alert": "alert", "conn": "connected", "disc": "disconnected"}
"""What messages to the device bring a call to."""
RANKS = {"null": 0, "setup": 1, "alert": 2, "connected": 3, "disconnected": 4}

Message = tuple[int, int, str]
"""The device, the id of the call, and what is said; "dropped": a setup that an interceptor has dropped."""
messages = st.tuples(st.integers(0, 1), st.integers(1, 2), st.sampled_from([*STATES, "setup", "rel", "rel", "info", "dropped"]))
batches = st.lists(messages, min_size=1, max_size=5)
holding = st.tuples(st.sampled_from(["hold", "release"]), st.integers(0, 1))
steps = st.one_of(batches, batches, batches, holding, st.just(("run", 0)))


class Expected:
    """What is to be told of one device. Calls are numbered in the order in which they begin."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.begun = 0
        self.live: dict[int, tuple[int, str]] = {}
        """The number and the state of a call, by id."""
        self.over: set[int] = set()

    def take(self, text: str, call_id: int, kind: str, *, lost: bool) -> None:
        """Add what is to be told of a message; where that is lost itself, still what it does."""
        place, call = len(self.told), self.live.get(call_id)
        if kind in ("setup", "dropped"):
            if call is not None:
                self._end(call_id)
            call = self._begin(call_id, "setup")
            if kind == "dropped":
                self._end(call_id)
        elif call is None and kind in ("alert", "conn", "info") and call_id not in self.over:
            call = self._begin(call_id, STATES.get(kind, "null"))
        elif kind == "rel":
            if call is not None and call[1] != "null":
                self.told.append(("changed", call[0], call[1], "null"))
            self._end(call_id)
        elif call is not None and RANKS[STATES.get(kind, "null")] > RANKS[call[1]]:
            self.told.append(("changed", *call, STATES[kind]))
            self.live[call_id] = call[0], STATES[kind]
        if not lost:
            self.told.insert(place, ("message", None if call is None else call[0], text))

    def told_since_it_began(self, number: int) -> list[str]:
        """Return what callbacks are told that are registered on a call at its beginning: texts, and its end."""
        began = [one[:2] for one in self.told].index(("started", number))
        of_call = [one for one in self.told[began:] if one[1] == number]
        return [one[-1] if one[0] == "message" else "ended" for one in of_call if one[0] in ("message", "ended")]

    def _begin(self, call_id: int, state: str) -> tuple[int, str]:
        call = self.live[call_id] = self.begun, state
        self.begun += 1
        self.over.discard(call_id)
        self.told.append(("started", *call))
        return call

    def _end(self, call_id: int) -> None:
        self.over.add(call_id)
        if call_id in self.live:
            self.told.append(("ended", self.live.pop(call_id)[0]))


class Run:
    """A client with two devices, what its callbacks are told, and what they are to be told."""

    def __init__(self, looks: bool) -> None:
        self.client = eps.Client("ws://127.0.0.1:1", app="phones", password="pwd", dispatcher=eps.ManualDispatcher())
        self.connection = self.client._add_connection()
        self.postbox = self.connection.intake._postbox
        self.devices = [eps.Device(self.client, self.connection, Attachment(hw, hw)) for hw in (HW1, HW2)]
        self.expected = [Expected(), Expected()]
        self.held: dict[int, int] = {}
        """How many messages of a device are held."""
        self.gaps: dict[int, int] = {}
        """Where the event stands behind which they are held."""
        self.waiting = self.sent = self.lost = 0
        self.looks = looks
        """Whether callbacks look at the call of a message, which is not made before that."""
        self.told: list[tuple[str, Any]] = []
        self.told_by_calls: list[tuple[eps.Call, str]] = []
        """What callbacks are told that the callback for the beginning of a call registers on it."""
        self.told_lost = 0
        for device in self.devices:
            self.connection.intake.add(device)
        self.client.on(Signal, self.on_message)
        self.client.on(eps.CallStarted, self.on_started)
        self.client.on(eps.CallStateChanged, lambda event: self.told.append(("changed", event)))
        self.client.on(eps.CallEnded, lambda event: self.told.append(("ended", event)))
        self.client.on(eps.Gap, lambda event: self.told.append(("gap", event)))
        self.client.on(eps.EventsLost, self.on_lost)

    def on_message(self, event: eps.SignalEvent[Signal]) -> None:
        assert not self.looks or event.call is event.call
        self.told.append(("message", event))

    def on_started(self, event: eps.CallStarted) -> None:
        self.told.append(("started", event))
        event.call.on(Signal, lambda later: self.told_by_calls.append((event.call, later.raw)))
        event.call.on(eps.CallEnded, lambda end: self.told_by_calls.append((end.call, "ended")))

    def on_lost(self, event: eps.EventsLost) -> None:
        self.told_lost += event.count

    # ------------------------------------------------------------ what happens

    def deliver(self, batch: list[Message]) -> None:
        items = []
        for device, call_id, kind in batch:
            self.sent += 1
            sig = {"type": kind.replace("dropped", "setup")}
            data = {"mt": "Signaling", "src": self.devices[device].hw, "to": True, "call": call_id, "sig": sig, "number": self.sent}
            text, verdict = json.dumps(data), "dropped" if kind == "dropped" else "forwarded"
            items.append(Received(text.encode(), data, self.devices[device]._attachment, verdict, 1000.0))
            lost = self.waiting + sum(self.held.values()) >= MOST
            self.expected[device].take(text, call_id, kind, lost=lost)
            self.lost += lost
            if device in self.held:
                self.held[device] += not lost
            else:
                self.waiting += not lost
        self.connection.intake.deliver([*items], 0.0)

    def hold(self, device: int) -> None:
        self.postbox.hold(self.devices[device])
        self.held.setdefault(device, 0)
        self.gaps.setdefault(device, len(self.expected[device].told))

    def release(self, device: int) -> None:
        gap = eps.Gap(client=self.client, device=self.devices[device], from_=0.0, to=0.0, kept=(), lost=(), new=())
        self.postbox.release(self.devices[device], gap)
        self.postbox.flush()
        self.waiting += self.held.pop(device, 0)
        told = self.expected[device].told
        told.insert(self.gaps.pop(device, len(told)), ("gap", None))

    def run(self, _: int = 0) -> None:
        while not self.client._callbacks.idle:
            self.client._callbacks.run_pending()
        self.waiting = 0

    # ------------------------------------------------------------ what holds

    def check(self) -> None:
        for device in (0, 1):
            self.release(device)
        self.run()
        assert self.told_lost == self.lost and self.client._callbacks.backlog == (0, 0)
        for one, expected in zip(self.devices, self.expected, strict=True):
            events = [(what, event) for what, event in self.told if event.device is one]
            calls = [event.call for what, event in events if what == "started"]
            assert [_shown(what, event, calls) for what, event in events] == expected.told
            for number, call in enumerate(calls):
                told_by_call = [what for told_call, what in self.told_by_calls if told_call is call]
                assert told_by_call == expected.told_since_it_began(number)
                assert not (call.ended and call._subscriptions), "its callbacks go with it"


def _shown(what: str, event: Any, calls: list[eps.Call]) -> tuple[Any, ...]:
    number = None if event.call is None else calls.index(event.call)
    if what == "message":
        return what, number, event.raw
    if what == "changed":
        return what, number, event.previous, event.state
    return (what, number, event.state) if what == "started" else (what, number)


@given(looks=st.booleans(), what=st.lists(steps, max_size=25))
@settings(max_examples=100, derandomize=True)
def test_order_of_callbacks(looks: bool, what: list[Any]) -> None:
    with patch("epsignal_sync.postbox.MOST_MESSAGES", MOST):
        run = Run(looks)
        try:
            for step in what:
                if isinstance(step, list):
                    run.deliver(step)
                else:
                    getattr(run, step[0])(step[1])
            run.check()
        finally:
            run.connection.link.abandon()
