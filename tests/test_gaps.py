"""What an app is told of the time in which it was not in a phone's path."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Alert, Attached, Detached, Signaling, Sync
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, wait_until
from .peer import PATIENCE, Peer

pytestmark = pytest.mark.usefixtures("quick_attempts")

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture
def slow_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test looks at what happens before the time is over, a stall of the machine must not end it."""
    monkeypatch.setattr("epsignal_sync.protocol.gap.SETTLE_TIME", 600.0)


class Desk:
    """A device at a scripted peer, and everything that its callbacks are told, in order."""

    def __init__(self, peer: Peer, client: eps.Client) -> None:
        self.peer = peer
        self.client = client
        self.device = peer.attach(client)
        self.told: list[str] = []
        self.gaps: list[eps.Gap] = []
        for kind in (Attached, Detached, Sync, Signaling):
            self.device.on(kind, lambda event: self.told.append(type(event.message).__name__))
        for event_kind in (eps.Gap, eps.CallStarted, eps.CallStateChanged, eps.CallEnded):
            self.device.on(event_kind, self.tell)

    def tell(self, event: eps.Event) -> None:
        name = type(event).__name__
        self.told.append(f"{name} {event.call.id}" if event.call else name)
        if isinstance(event, eps.Gap):
            self.gaps.append(event)

    def say(self, kind: str, **more: Any) -> None:
        self.peer.send({"mt": kind, "api": "EpSignal", "src": self.peer.src, **more})

    def signal(self, call: int, kind: str, **more: Any) -> None:
        """Send a signal towards the device, and see that it goes on."""
        message = self.peer.signaling(call, {"type": kind, **more}, to=True)
        self.peer.send(message)
        assert self.peer.receive() == message

    def ring(self, *calls: int) -> list[eps.Call]:
        for call in calls:
            self.signal(call, "setup", cg={"num": f"2{call}"})
        wait_until(lambda: len(self.device.calls) == len(calls))
        wait_until(lambda: self.told.count("Signaling") == len(calls))
        self.told.clear()
        return [self.device.calls[call] for call in calls]

    def sync(self, call: int, num: str, *, incoming: bool = True, state: str = "alert") -> None:
        self.say("Sync", call=call, info={"in": incoming, "state": state, "channel": -1, "remote": {"num": num}})

    def come_back(self, *, attached: bool = True) -> None:
        self.peer.drop()
        self.peer.login()
        attach = self.peer.receive()
        assert attach["mt"] == "Attach" and attach["src"] == self.peer.src
        self.say("AttachResult")
        if attached:
            self.say("Attached")

    def wait(self, *told: str) -> None:
        wait_until(lambda: len(self.told) >= len(told))
        assert self.told == list(told)

    def ids(self) -> tuple[list[int], list[int], list[int]]:
        [gap] = self.gaps
        return [one.id for one in gap.kept], [one.id for one in gap.lost], [one.id for one in gap.new]


@pytest.fixture
def desk(peer: Peer) -> Iterator[Desk]:
    with peer.client(reconnect=True) as client:
        yield Desk(peer, client)
        peer.drop()
        peer.stop_listening()


def test_gap_without_calls_is_told_at_once(desk: Desk, slow_to_settle: None) -> None:
    desk.come_back()
    desk.wait("Attached", "Gap")
    [gap] = desk.gaps
    assert gap.device is desk.device and 0 < gap.to - gap.from_ < PATIENCE and desk.ids() == ([], [], [])


def test_calls_kept_lost_and_new(desk: Desk, slow_to_settle: None) -> None:
    kept, other, lost = desk.ring(3, 4, 5)
    desk.come_back()
    desk.sync(9, "29")
    desk.sync(3, "23", state="connected")
    desk.sync(4, "77")  # another call with the same id
    desk.sync(5, "25", incoming=False)
    wait_until(lambda: desk.gaps)
    assert desk.ids() == ([3], [4, 5], [9, 4, 5])
    [gap] = desk.gaps
    assert gap.kept == (kept,) and gap.lost == (other, lost) and kept.state == "connected" and not kept.stale
    assert [(one.ended, one.ended_by, one.cause) for one in (other, lost)] == [(True, "gap", None)] * 2
    wait_until(lambda: "CallStarted 5" in desk.told)
    assert desk.told[:2] == ["Attached", "Gap"], "whatever else came of the device waited"
    assert [one for one in desk.told if one.startswith("CallEnded")] == ["CallEnded 4", "CallEnded 5"]
    assert sorted(desk.device.calls) == [3, 4, 5, 9] and desk.device.calls[4] is not other


def test_call_that_is_not_named_in_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.protocol.gap.SETTLE_TIME", 0.1)
    [call] = desk.ring(3)
    desk.come_back()
    desk.wait("Attached", "Gap", "CallStateChanged 3", "CallEnded 3")
    assert desk.ids() == ([], [3], []) and call.ended_by == "gap" and not desk.device.calls
    desk.sync(3, "23", state="connected")  # the PBX was slow
    desk.wait("Attached", "Gap", "CallStateChanged 3", "CallEnded 3", "Sync", "CallStarted 3")
    assert desk.device.calls[3] is not call


def test_forwarding_and_interceptors_do_not_wait_for_a_gap(desk: Desk, slow_to_settle: None) -> None:
    desk.ring(3)
    desk.device.intercept(Signaling, lambda event: eps.DROP if isinstance(event.signal, Alert) else None)
    desk.come_back()
    desk.signal(8, "setup")
    desk.peer.send(desk.peer.signaling(8, {"type": "alert"}, to=True))
    desk.signal(8, "conn")
    wait_until(lambda: 8 in desk.device.calls and desk.device.calls[8].state == "connected")
    assert desk.told == ["Attached"], "but the callbacks do"
    desk.sync(3, "23")
    desk.wait("Attached", "Gap", *["Signaling", "CallStarted 8", "Signaling", "CallStateChanged 8", "Signaling", "CallStateChanged 8"],
              "Sync", "CallStateChanged 3")  # fmt: skip
    assert desk.ids() == ([3], [], [])


def test_other_devices_do_not_wait(desk: Desk, slow_to_settle: None) -> None:
    desk.ring(3)
    src = desk.peer.src
    other = desk.peer.attach(desk.client, HW2)
    heard = threading.Event()
    other.on(Signaling, lambda event: heard.set())
    desk.peer.drop()
    desk.peer.login()
    for _ in range(2):
        one = desk.peer.receive()["src"]
        desk.peer.send({"mt": "AttachResult", "api": "EpSignal", "src": one})
        desk.peer.send({"mt": "Attached", "api": "EpSignal", "src": one})
    assert desk.peer.src != src
    desk.signal(4, "setup")
    assert heard.wait(PATIENCE) and not desk.gaps


def test_rel_that_overtakes_its_sync(desk: Desk, slow_to_settle: None) -> None:
    [call] = desk.ring(3)
    desk.come_back()
    desk.signal(3, "rel", cau={"num": 16})
    desk.sync(3, "23", state="connected")
    desk.wait("Attached", "Gap", "Signaling", "CallStateChanged 3", "CallEnded 3", "Sync")
    assert desk.ids() == ([], [], []) and call.ended_by == "pbx" and not desk.device.calls


def test_phone_that_registers_again(desk: Desk, slow_to_settle: None) -> None:
    [call] = desk.ring(3)
    desk.say("Detached")
    wait_until(lambda: call.stale)
    assert not desk.device.attached and not call.ended
    desk.say("Attached")
    desk.sync(3, "23")
    desk.wait("Detached", "Attached", "Gap", "Sync", "CallStateChanged 3")
    assert desk.ids() == ([3], [], []) and not call.stale


def test_attached_twice_tells_of_no_gap(desk: Desk) -> None:
    desk.ring(3)
    desk.say("Attached")
    desk.signal(3, "alert")
    desk.wait("Attached", "Signaling", "CallStateChanged 3")


def test_phone_that_does_not_register_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.gaps.STALE_TIME", 0.05)
    [call] = desk.ring(3)
    desk.say("Detached")
    desk.wait("Detached", "CallStateChanged 3", "CallEnded 3")
    assert call.ended_by == "gap" and not call.stale


def test_phone_that_is_gone_when_the_connection_is_there_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.gaps.STALE_TIME", 0.2)
    [call] = desk.ring(3)
    desk.come_back(attached=False)
    desk.wait("CallStateChanged 3", "CallEnded 3")
    assert call.ended_by == "gap"


def test_calls_wait_for_the_connection(desk: Desk, slow_to_settle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the connection is away: what is known of a call is not thrown away before the PBX can be asked."""
    monkeypatch.setattr("epsignal_sync.gaps.STALE_TIME", 0.01)
    [call] = desk.ring(3)
    desk.peer.drop()
    wait_until(lambda: call.stale)
    desk.client._connections[0].link._wakeup.wake()
    attempts: list[eps.Reconnecting] = []
    desk.client.on(eps.Reconnecting, attempts.append)
    for _ in range(3):
        desk.peer.accept()
        desk.peer.drop()
    wait_until(lambda: len(attempts) >= 3)
    assert call.stale and not call.ended


def test_call_that_was_heard_of_after_a_detached(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.protocol.gap.SETTLE_TIME", 0.05)
    [call] = desk.ring(3)
    desk.say("Detached")
    desk.signal(3, "info")  # it crossed the Detached, or there is another registration
    wait_until(lambda: not call.stale and desk.told == ["Detached", "Signaling"])
    desk.say("Attached")
    wait_until(lambda: call.ended and desk.gaps)
    assert call.ended_by == "gap" and desk.ids() == ([], [3], [])


def test_connection_that_is_lost_after_a_detached(desk: Desk) -> None:
    [call] = desk.ring(3)
    desk.say("Detached")
    wait_until(lambda: desk.device._gap.stale_at is not None)
    desk.peer.drop()
    wait_until(lambda: desk.client.state == "reconnecting")
    assert desk.device._gap.stale_at is None and call.stale, "the time runs again when the PBX can be asked"


def test_detached_while_a_gap_settles(desk: Desk, slow_to_settle: None) -> None:
    desk.ring(3, 4)
    desk.come_back()
    desk.sync(3, "23")
    desk.say("Detached")
    desk.wait("Attached", "Gap", "Sync", "CallStateChanged 3", "Detached")
    assert desk.ids() == ([3], [], [])
    desk.gaps.clear()
    desk.say("Attached")
    desk.sync(3, "23")
    desk.sync(4, "24")
    wait_until(lambda: desk.gaps)
    assert desk.ids() == ([3, 4], [], [])


def test_own_call_ends_and_is_in_no_gap(desk: Desk, slow_to_settle: None) -> None:
    own = desk.device.dial("23")
    desk.peer.receive()
    wait_until(lambda: "CallStarted -" in " ".join(desk.told))
    desk.told.clear()
    desk.come_back()
    desk.wait(f"CallStateChanged {own.id}", f"CallEnded {own.id}", "Attached", "Gap")
    assert own.ended_by == "gap" and desk.ids() == ([], [], [])


def test_callback_registered_in_a_gap_sees_what_waited(desk: Desk, slow_to_settle: None) -> None:
    desk.ring(3)
    heard: list[str] = []
    desk.device.on(eps.Gap, lambda event: event.kept[0].on(eps.CallStateChanged, lambda event: heard.append(event.state)))
    desk.come_back()
    desk.sync(3, "23", state="connected")
    wait_until(lambda: heard == ["connected"])


def test_messages_that_are_lost_while_a_gap_settles(desk: Desk, slow_to_settle: None, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.client.on(eps.EventsLost, lambda event: desk.told.append(f"EventsLost {event.count}"))
    desk.ring(3)
    desk.come_back()
    wait_until(lambda: desk.told == ["Attached"] and desk.client._callbacks.idle)
    monkeypatch.setattr("epsignal_sync.postbox.MOST_MESSAGES", 2)
    for _ in range(5):
        desk.signal(3, "info")
    desk.sync(3, "23", state="setup")
    desk.wait("Attached", "Gap", "Signaling", "Signaling", "EventsLost 4")


@pytest.mark.parametrize("calls", ["kept", "lost", "renumbered"])
def test_pbx_that_restarts(pbx: SimulatedPBX, phones: Phones, calls: str) -> None:
    with eps.connect(pbx.url, app="phones", password="pwd") as client:
        device = client.attach(HW1)
        gaps: list[eps.Gap] = []
        device.on(eps.Gap, gaps.append)
        phones[0].call("23")
        phones[1].wait("alert", timeout=PATIENCE)
        phones[1].answer()
        wait_until(lambda: [call.state for call in device.media_calls.values()] == ["connected"])
        [before] = device.media_calls.values()
        pbx.restart(calls=calls)
        wait_until(lambda: gaps)
        media = [[one for one in part if one.media] for part in (gaps[0].kept, gaps[0].lost)]
        assert media == ([[before], []] if calls == "kept" else [[], [before]])
        wait_until(lambda: len(device.media_calls) == (0 if calls == "lost" else 1))
        assert before.ended is (calls != "kept")
