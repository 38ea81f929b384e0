"""Whatever is received, sent, asked about and said of calls, in any order: the calls hold together.

From what the relay delivers to the callbacks, without a connection: what the app sends is taken from the inbox and
delivered as sent. The environment sets how much is tried, and ``pytest -s`` prints how much it was:
``EPSIGNAL_SYNC_RUNS`` sequences of hypothesis, of 50 steps each at the most, and ``EPSIGNAL_SYNC_CALLS`` calls in one
long life of a client, for its memory.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import tracemalloc
import weakref
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import epsignal_sync as eps
from epsignal_sync.messages import Alert, CallState, Conn, Disc, Rel, Setup, Signal
from epsignal_sync.protocol.call_record import LONGEST_HISTORY, CallRecord
from epsignal_sync.protocol.calls import MOST_PREPARED
from epsignal_sync.protocol.envelope import OWN_CALL_IDS
from epsignal_sync.protocol.session import Attachment
from epsignal_sync.relay.deliveries import Delivery, Received, Sent
from epsignal_sync.relay.inbox import Outgoing

from .conftest import HW1

RUNS = int(os.environ.get("EPSIGNAL_SYNC_RUNS", "40"))
"""Sequences."""
CALLS = int(os.environ.get("EPSIGNAL_SYNC_CALLS", "1000"))
"""Calls in one life."""

COUNTED = {"runs": 0, "calls": 0, "own": 0}
RANKS = {state: rank for rank, state in enumerate(["null", "setup", "setup-ack", "call-proc", "alert", "connected", "disconnected"])}
RANKS |= {"parked": RANKS["connected"], "disconnecting": RANKS["disconnected"]}

odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 0.0, 2**70, "x", "", [], {}, [{}], {"num": 5}, {"num": "1", "sip": "a"}, {"num": 17}, [[], None]]
)
parties = st.sampled_from([{"num": "1"}, {"num": "2", "sip": "b"}])
facilities = st.builds(
    lambda kind, one: {"type": kind, "remote": one, "name": "A", "nominated": one, "diverting": one, "parked_calling": one},
    st.sampled_from(
        ["name_identification", "hold_notify", "retrieve_notify", "ct_complete", "diverting_leg1", "diverting_leg2", "diverting_leg3",
         "cp_park", "cp_pick_exe", "diversion_callreroute", "new", None, 5]
    ),
    parties | odd,
)  # fmt: skip
fields = st.dictionaries(st.sampled_from(["cau", "cd", "cg", "channel", "confId"]), odd, max_size=2)
types = st.sampled_from(
    ["setup", "setup", "setup_ack", "call_proc", "alert", "conn", "conn", "disc", "rel", "rel", "progress", "info", "facility", "new", "",
     None]
)  # fmt: skip
signals = st.builds(
    lambda kind, rest, fty: {"type": kind, **rest, **({"fty": fty} if fty else {})}, types, fields, st.lists(facilities, max_size=2) | odd
)
infos = st.fixed_dictionaries(
    {}, optional={"state": st.sampled_from([*CallState, "queued", 5]), "in": st.booleans() | odd, "remote": odd, "channel": odd}
)
verdicts = st.sampled_from(["forwarded", "forwarded", "changed", "bypassed", "dropped", None])
states = st.sampled_from(list(CallState))


class AnyOrder(RuleBasedStateMachine):
    """One device, a few ids, and every way to speak of them."""

    def __init__(self) -> None:
        super().__init__()
        self.client = eps.Client("ws://127.0.0.1:1", app="phones", password="pwd", dispatcher=eps.ManualDispatcher())
        self.connection = self.client._add_connection()
        self.device = eps.Device(self.client, self.connection, Attachment("s", HW1))
        self.connection.intake.add(self.device)
        self.device._set_attached(True)
        self.monotonic = 0.0
        self.held: list[Received] = []
        self.own_ids: list[int] = []
        self.started: dict[int, eps.Call] = {}
        """By ``id()``: what was told to have begun, and is not told to have ended."""
        self.ended: weakref.WeakSet[eps.Call] = weakref.WeakSet()
        self.ends = 0
        self.rels: dict[int, int] = {}
        self.ranks: dict[int, tuple[CallRecord, int]] = {}
        self.client.on(eps.CallStarted, self.on_started)
        self.client.on(eps.CallEnded, self.on_ended)
        self.client.on(eps.CallStateChanged, self.on_changed)
        self.failures: list[eps.CallbackFailed] = []
        self.client.on(eps.CallbackFailed, self.failures.append)
        COUNTED["runs"] += 1

    # ------------------------------------------------------------ what is told

    def on_started(self, event: eps.CallStarted) -> None:
        assert id(event.call) not in self.started and event.call not in self.ended
        self.started[id(event.call)] = event.call
        event.call.on(Signal, self.on_started_is_not_called)
        COUNTED["calls"] += 1
        COUNTED["own"] += event.call.own

    def on_started_is_not_called(self, event: object) -> None:
        """A callback of a call, to be dropped with it."""

    def on_changed(self, event: eps.CallStateChanged) -> None:
        assert id(event.call) in self.started and event.state != event.previous

    def on_ended(self, event: eps.CallEnded) -> None:
        assert self.started.pop(id(event.call)) is event.call and event.call.ended
        assert (event.call.state, event.call.ended_by is None) == ("null", False)
        self.ended.add(event.call)
        self.ends += 1

    # ------------------------------------------------------------ what happens

    def deliver(self, *batch: Delivery) -> None:
        """Deliver, tell, and deliver what is sent because of it."""
        self.connection.intake.deliver(list(batch), self.monotonic)
        notes = [text for *_, text in self.client._callbacks._notes]
        assert not [text for text in notes if "please report" in text], notes
        self.client._callbacks._notes.clear()
        while not self.client._callbacks.idle:
            self.client._callbacks.run_pending()
        assert not self.failures, self.failures

    def received(self, data: dict[str, Any], verdict: str | None) -> Received:
        call = data.get("call")
        if type(call) is int and OWN_CALL_IDS.issued(call):
            verdict = "own"
        head = {"mt": "Signaling", "src": "s"}
        return Received(json.dumps(data).encode(), {**head, **data}, self.device._attachment, verdict, 1000.0)

    def pick(self, number: int) -> Any:
        """Return an id: of the device, of nobody here, of the app, or none at all."""
        return [1, 2, -(2**31), *self.own_ids[-2:], "1", None][number % (5 + len(self.own_ids[-2:]))]

    @rule(number=st.integers(0, 100), to=st.sampled_from([True, None, 1]), sig=signals | odd, verdict=verdicts)
    def receive(self, number: int, to: Any, sig: Any, verdict: str | None) -> None:
        self.deliver(self.received({"call": self.pick(number), "to": to, "sig": sig}, verdict))

    @rule(numbers=st.lists(st.integers(0, 10**6), max_size=25), verdict=verdicts)
    def receive_many(self, numbers: list[int], verdict: str | None) -> None:
        """Many messages in one batch, most of which belong to calls that begin and end in it."""
        kinds = ["setup", "rel", "setup", "conn", "disc", "alert"]
        self.deliver(
            *(
                self.received({"call": self.pick(one // 12), "to": one % 2 == 0, "sig": {"type": kinds[one // 2 % 6]}}, verdict)
                for one in numbers
            )
        )

    @rule(number=st.integers(0, 100), to=st.booleans(), sig=signals)
    def hold(self, number: int, to: bool, sig: dict[str, Any]) -> None:
        """An interceptor is asked; the message comes later, or never."""
        item = self.received({"call": self.pick(number), "to": to, "sig": sig}, None)
        record = self.device._table.prepare(item.data["call"], to, sig, 1000.0)
        if record is not None:
            self.device._view(record).on(Signal, self.on_started_is_not_called)
        self.held.append(item)

    @rule(verdict=verdicts, index=st.integers(0, 5))
    def let_go(self, verdict: str | None, index: int) -> None:
        if self.held:
            item = self.held.pop(index % len(self.held))
            item.verdict = "own" if item.verdict == "own" else verdict
            self.deliver(item)

    @rule(number=st.integers(0, 100), info=infos | odd)
    def sync(self, number: int, info: Any) -> None:
        data = {"mt": "Sync", "src": "s", "call": self.pick(number), "info": info}
        self.deliver(Received(b"{}", data, self.device._attachment, None, 1000.0))

    @rule(seconds=st.floats(0, 40))
    def pass_time(self, seconds: float) -> None:
        self.monotonic += seconds

    @rule(ring=st.booleans())
    def start(self, ring: bool) -> None:
        call = self.device.ring("1") if ring else self.device.dial("1")
        assert call.id not in self.own_ids and self.device.calls[call.id] is call
        self.own_ids.append(call.id)

    @rule(index=st.integers(0, 9), to=st.none() | st.booleans(), signal=st.sampled_from([Rel(), Disc(), Conn(), Alert(), Setup()]))
    def send(self, index: int, to: bool | None, signal: Signal) -> None:
        calls = list(self.started.values())
        if calls:
            with contextlib.suppress(eps.CallEndedError, eps.UsageError):
                calls[index % len(calls)].send(signal, to_device=to)

    @rule(number=st.integers(0, 100), to=st.booleans(), signal=st.sampled_from([Rel(), Disc(), Conn(), Setup()]))
    def send_for_an_id(self, number: int, to: bool, signal: Signal) -> None:
        call = self.pick(number)
        if call in (1, 2):
            self.device.send(signal, call=call, to_device=to)

    @rule(index=st.integers(0, 9))
    def hangup(self, index: int) -> None:
        calls = list(self.started.values())
        if calls:
            with contextlib.suppress(eps.CallEndedError):
                calls[index % len(calls)].hangup(17)

    @rule(index=st.integers(0, 9), wanted=states)
    def wait(self, index: int, wanted: CallState) -> None:
        calls = list(self.started.values())
        if calls:
            with contextlib.suppress(eps.CallEndedError, eps.ReplyTimeout):
                assert calls[index % len(calls)].wait(wanted, timeout=0) == wanted

    @rule()
    def put_on_the_way(self) -> None:
        entries = self.connection.link.inbox.take()
        sent = [entry.sent for entry in entries if isinstance(entry, Outgoing) and entry.sent is not None]
        self.connection.link.inbox.relieve(sum(entry.own for entry in entries if isinstance(entry, Outgoing)))
        for one in sent:
            if OWN_CALL_IDS.issued(one.call) and one.data["sig"]["type"] == "rel":
                self.rels[one.call] = self.rels.get(one.call, 0) + 1
        batch: list[Sent] = sent
        self.deliver(*batch)

    # ------------------------------------------------------------ what holds

    @invariant()
    def live_calls_live(self) -> None:
        for call_id, call in self.device.calls.items():
            record = call._record
            assert call.id == call_id and not call.ended and call.ended_at is None
            assert call.own == (call_id in self.own_ids)
            assert isinstance(call.remote, eps.Party) and isinstance(call.dialed, str) and repr(call)
            assert len(call.history) <= LONGEST_HISTORY
            assert id(call) in self.started or (call.own and not record.began)

    @invariant()
    def ended_calls_have_ended(self) -> None:
        live = {id(call) for call in self.device.calls.values()}
        assert set(self.started) <= live
        for call in self.ended:
            assert call.ended and not call._subscriptions and not call._waiters._waiters and id(call) not in live

    @invariant()
    def states_go_forward(self) -> None:
        ranks = {}
        for record in self.device._table.live.values():
            rank = RANKS.get(str(record.state), 0)
            before = self.ranks.get(id(record))
            if record.own and before is not None:  # nothing but messages moves them; a Sync may take others back
                assert rank >= before[1]
            ranks[id(record)] = record, rank
        self.ranks = ranks

    @invariant()
    def nothing_is_answered_twice(self) -> None:
        assert all(count == 1 for count in self.rels.values()), self.rels

    @invariant()
    def memory_is_bounded(self) -> None:
        table = self.device._table
        assert len(table._prepared) <= MOST_PREPARED and len(table._ended) <= 4

    def teardown(self) -> None:
        """Every call that is over goes when its holders do."""
        self.put_on_the_way()
        self.connection.link.abandon()
        self.device._table._dropped = None
        self.ranks.clear()
        if self.ends:
            gc.collect()
            assert not list(self.ended)


AnyOrder.TestCase.settings = settings(
    max_examples=RUNS, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


class TestAnyOrder(AnyOrder.TestCase):  # type: ignore[misc, valid-type]
    """Runs the machine."""

    @classmethod
    def tearDownClass(cls) -> None:
        print(f"\n{COUNTED['runs']} sequences, {COUNTED['calls']} calls, {COUNTED['own']} of them own")


SIGNALS: list[Any] = [
    {"type": "setup", "cg": {"num": "1", "sip": "a"}, "channel": 0, "confId": "ab"}, {"type": "setup", "cd": {"num": 5}, "fty": [None, {}]},
    {"type": "conn", "fty": [{"type": "cp_park"}, {"type": "name_identification", "name": "A" * 1000}]}, {"type": "x" * 1000},
    {"type": "facility", "fty": [{"type": "ct_complete", "remote": {"num": "7"}}, {"type": "hold_notify"}]}, {"type": []}, [], None,
    {"type": "info", "cd": {"num": "123"}}, {"type": "progress", "cau": {"num": 17}}, {"type": "rel", "cau": 5}, {"type": "disc"},
]  # fmt: skip


def live_on(machine: AnyOrder, chance: random.Random, until: int) -> None:
    """Do anything to a client until it has seen so many calls."""
    while machine.ends < until:
        many, one, flag = [chance.randrange(10**6) for _ in range(20)], chance.randrange(100), chance.random() < 0.5
        verdict = chance.choice(["forwarded", "changed", "bypassed", "dropped", None])
        machine.receive_many(many, chance.choice(["forwarded", verdict]))
        machine.receive(one, flag, chance.choice(SIGNALS), verdict)
        sig = chance.choice(SIGNALS)
        if isinstance(sig, dict):
            machine.hold(one, flag, {**sig})
        if flag:
            machine.let_go(verdict, one)
            machine.held = machine.held[-5:]  # the others never come
        machine.sync(one, {"state": "alert"})
        machine.start(flag)
        machine.hangup(one)
        machine.send(one, None, Conn())
        machine.put_on_the_way()
        machine.pass_time(one / 5)
        machine.live_calls_live()
        machine.own_ids = machine.own_ids[-50:]
        machine.rels.clear()
        for call in list(machine.device.calls.values()):
            if call.own:
                call.hangup()


def test_live_call_takes_little_memory() -> None:
    machine, count = AnyOrder(), 200
    name = {"type": "name_identification", "name": "A" * 30}
    sig = {"type": "setup", "cg": {"num": "I49703073009", "sip": "alice"}, "cd": {"num": "23", "sip": "bob"}, "confId": "ab" * 16}
    try:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            machine.deliver(
                machine.received({"call": number, "to": True, "sig": json.loads(json.dumps({**sig, "fty": [name]}))}, "forwarded")
            )
        machine.started.clear()
        for record in machine.device._table.live.values():
            record.history = None
        size = (tracemalloc.get_traced_memory()[0] - before) / count
        assert len(machine.device.calls) == count and size < 6 * 1024, size
    finally:
        tracemalloc.stop()
        machine.connection.link.abandon()


def test_memory_stays_flat_over_many_calls() -> None:
    machine, chance = AnyOrder(), random.Random(4)
    try:
        live_on(machine, chance, CALLS // 3)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        live_on(machine, chance, CALLS)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        records = sum(type(one) is CallRecord for one in gc.get_objects())
        print(f"\n{machine.ends} calls: the memory grew by {grown} bytes, to {records} records of calls")
        assert grown < 200_000 and records < 60
    finally:
        tracemalloc.stop()
        machine.connection.link.abandon()


def test_disc_that_can_not_be_answered_any_more() -> None:
    machine = AnyOrder()
    try:
        call = machine.device.dial("1")
        machine.put_on_the_way()
        machine.connection.link.inbox.end(eps.ClosedError("the client was closed"))
        machine.deliver(machine.received({"call": call.id, "to": True, "sig": {"type": "disc"}}, "own"))
        assert call.state == "disconnected" and not call.ended
    finally:
        machine.connection.link.abandon()
