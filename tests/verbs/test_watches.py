"""Watching somebody: the call that carries a watch, what is told, and what becomes of it in a gap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.connection import Connection
from epsignal_sync.messages import CpGroupIndicationOn, PresenceNotify, Setup, Signal
from epsignal_sync.relay import backoff
from epsignal_sync.verbs import watches

from ..conftest import HW1, wait_until
from ..peer import PATIENCE, Peer
from ..test_call import Phone, in_thread
from .script import WATCHES, DeviceVerb
from .test_device_verbs import asked, nothing_is_left, released

every = pytest.mark.parametrize("verb", WATCHES, ids=lambda verb: verb.name)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The delays between two attempts are short here; what they are stands in relay/test_backoff.py."""
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(backoff, "LONGEST_DELAY", 0.05)


@pytest.fixture
def again(peer: Peer) -> Iterator[eps.Client]:
    """A client that connects again."""
    with peer.client(reconnect=True) as client:
        yield client
        peer.drop()
        peer.stop_listening()


@pytest.fixture
def seen(again: eps.Client) -> list[Any]:
    """The events that tell of gaps and watches, in order."""
    events: list[Any] = []
    for kind in (eps.Gap, eps.WatchRestored, eps.WatchLost):
        again.on(kind, events.append)
    return events


def watching(peer: Peer, device: eps.Device, verb: DeviceVerb = WATCHES[0], answer: str = "conn") -> tuple[eps.Watch, Phone]:
    """Set a watch up."""
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE))
    phone = asked(peer, device, verb)
    phone.say(answer, to=True)
    watch = finish()
    assert isinstance(watch, eps.Watch)
    return watch, phone


def lose_connection(peer: Peer) -> None:
    """Take the next connection of the client, and attach its device again."""
    peer.drop()
    peer.login()
    src = peer.receive()["src"]
    for kind in ("AttachResult", "Attached"):
        peer.send({"mt": kind, "api": "EpSignal", "src": src})


def lose_device(peer: Peer) -> None:
    """Have the device unregister and register."""
    for kind in ("Detached", "Attached"):
        peer.send({"mt": kind, "api": "EpSignal", "src": peer.src})


@every
@pytest.mark.parametrize("answer", ["conn", "call_proc"])
def test_watch_stands_until_it_is_cancelled(peer: Peer, device: eps.Device, verb: DeviceVerb, answer: str) -> None:
    watch, phone = watching(peer, device, verb, answer)
    assert (watch.device, watch.number, watch.sip, watch.active) == (device, "24", "", True)
    assert watch.call is device.calls[phone.id] and repr(watch) == f"<Watch of 24 by {HW1}: active>"
    phone.say("conn", to=True)  # changes nothing, and does not have it released
    watch.cancel()
    released(phone)
    watch.cancel()
    assert not watch.active and "not active" in repr(watch)
    nothing_is_left(peer, device)


def test_watch_as_a_context_manager(peer: Peer, device: eps.Device) -> None:
    watch, phone = watching(peer, device)
    with watch:
        assert watch.active
    released(phone)


def test_watch_by_callback(peer: Peer, device: eps.Device) -> None:
    outcomes: list[eps.Outcome[eps.Watch]] = []
    assert device.watch_dialogs("24", on_result=outcomes.append) is None
    phone = asked(peer, device, WATCHES[1])
    phone.say("conn", to=True)
    wait_until(lambda: outcomes)
    watch = outcomes[0].result
    assert watch is not None and watch.active and outcomes[0].call is watch.call


@every
def test_release_with_16_is_no_watch(peer: Peer, device: eps.Device, verb: DeviceVerb) -> None:
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE))
    phone = asked(peer, device, verb)
    phone.say("rel", to=True, cau={"num": 16})
    with pytest.raises(eps.CallError, match="was refused"):
        finish()
    assert not device._watches


def test_what_a_watch_tells_belongs_to_its_call(peer: Peer, device: eps.Device) -> None:
    told: list[Any] = []

    @device.on(PresenceNotify)
    def presence(event: eps.FacilityEvent[PresenceNotify]) -> None:
        assert event.call is not None
        told.append((event.call.remote.num, event.facility.activity, event.verdict))

    @device.on(CpGroupIndicationOn)
    def dialog(event: eps.FacilityEvent[CpGroupIndicationOn]) -> None:
        assert event.call is not None
        told.append((event.call.remote.num, event.facility.call_id, event.verdict))

    finish = in_thread(lambda: WATCHES[0].say(device, timeout=PATIENCE))
    phone = asked(peer, device, WATCHES[0])
    phone.say("conn", to=True, fty=[{"type": "presence_notify", "activity": "busy"}])
    phone.say(
        "facility", to=True, fty=[{"type": "presence_notify", "activity": "away"}, {"type": "cp_group_indication_on", "callId": "ab"}]
    )
    wait_until(lambda: len(told) == 3)
    assert told == [("24", "busy", "own"), ("24", "away", "own"), ("24", "ab", "own")]
    finish()


# ------------------------------------------------------------ gaps


@every
@pytest.mark.parametrize("lose", [lose_connection, lose_device])
def test_watch_is_set_up_again_after_a_gap(
    peer: Peer, again: eps.Client, seen: list[Any], verb: DeviceVerb, lose: Callable[[Peer], None]
) -> None:
    device = peer.attach(again)
    watch, old = watching(peer, device, verb)
    for _ in range(2):
        lose(peer)
        if lose is lose_device:
            released(old)
        new = asked(peer, device, verb)
        assert new.id != old.id
        new.say("conn", to=True)
        wait_until(lambda: len(seen) == 2)
        assert [type(event) for event in seen] == [eps.Gap, eps.WatchRestored]
        assert (seen[1].watch, seen[1].call, seen[1].device) == (watch, watch.call, device) and seen[1].call.id == new.id
        wait_until(lambda: watch.active)
        seen.clear()
        old = new
    watch.cancel()
    released(old)


def test_gap_is_told_before_its_watches(peer: Peer, again: eps.Client, seen: list[Any]) -> None:
    device = peer.attach(again)
    _, phone = watching(peer, device)
    other = Phone(peer, device, 5)
    other.say("setup", to=True)  # a call that has to be named again before the gap is over
    other.told()
    lose_device(peer)
    released(phone)
    asked(peer, device, WATCHES[0]).say("conn", to=True)
    peer.send({"mt": "Sync", "api": "EpSignal", "src": peer.src, "call": 5, "info": {"state": "setup", "in": True}})
    wait_until(lambda: len(seen) == 2)
    assert [type(event) for event in seen] == [eps.Gap, eps.WatchRestored]


@pytest.mark.parametrize("how", ["refused", "timed out"])
def test_watch_that_is_not_set_up_again(peer: Peer, again: eps.Client, seen: list[Any], monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    device = peer.attach(again)
    watch, _ = watching(peer, device)
    if how == "timed out":
        monkeypatch.setattr(watches, "RESTORE_TIME", 0.05)
    lose_connection(peer)
    phone = asked(peer, device, WATCHES[0])
    if how == "refused":
        phone.say("rel", to=True, cau={"num": 21})
    wait_until(lambda: len(seen) == 2)
    lost = seen[1]
    assert isinstance(lost, eps.WatchLost) and lost.watch is watch and not watch.active
    if how == "refused":
        assert isinstance(lost.error, eps.CallError) and lost.error.cause.num == 21
    else:
        assert isinstance(lost.error, eps.ReplyTimeout)
        released(phone)
    monkeypatch.undo()
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.02)
    lose_connection(peer)  # it is tried again
    asked(peer, device, WATCHES[0]).say("conn", to=True)
    wait_until(lambda: len(seen) == 4)
    assert isinstance(seen[3], eps.WatchRestored) and watch.active


@pytest.mark.parametrize("kind", ["rel", "disc"])
def test_watch_that_the_pbx_ends(peer: Peer, again: eps.Client, seen: list[Any], kind: str) -> None:
    device = peer.attach(again)
    watch, phone = watching(peer, device)
    phone.say(kind, to=True, cau={"num": 16})
    wait_until(lambda: seen)
    assert isinstance(seen[0], eps.WatchLost) and isinstance(seen[0].error, eps.CallEndedError)
    assert seen[0].watch is watch and not watch.active and seen[0].call is watch.call


def test_watch_that_the_pbx_ends_since_the_device_is_away(peer: Peer, again: eps.Client, seen: list[Any]) -> None:
    device = peer.attach(again)
    watch, phone = watching(peer, device)
    peer.send({"mt": "Detached", "api": "EpSignal", "src": peer.src})
    phone.say("rel", to=True)
    peer.send({"mt": "Attached", "api": "EpSignal", "src": peer.src})
    asked(peer, device, WATCHES[0]).say("conn", to=True)
    wait_until(lambda: len(seen) == 2)
    assert [type(event) for event in seen] == [eps.Gap, eps.WatchRestored] and watch.active


def test_second_attached_is_no_gap(peer: Peer, again: eps.Client, seen: list[Any]) -> None:
    device = peer.attach(again)
    watch, phone = watching(peer, device)
    peer.send({"mt": "Attached", "api": "EpSignal", "src": peer.src})
    marker = Phone(peer, device, 99)
    marker.say("user_info")
    assert marker.told() == (False, {"type": "user_info"}), "the watch was not set up again"
    assert watch.active and watch.call is device.calls[phone.id] and not seen


def test_connection_that_is_lost_while_a_watch_is_set_up_again(peer: Peer, again: eps.Client, seen: list[Any]) -> None:
    device = peer.attach(again)
    watch, _ = watching(peer, device)
    lose_connection(peer)
    asked(peer, device, WATCHES[0])
    lose_connection(peer)
    asked(peer, device, WATCHES[0]).say("conn", to=True)
    wait_until(lambda: watch.active and len(seen) == 3)
    assert [type(event) for event in seen] == [eps.Gap, eps.Gap, eps.WatchRestored]


def test_cancelled_watch_is_not_set_up_again(peer: Peer, again: eps.Client, seen: list[Any]) -> None:
    device = peer.attach(again)
    watch, phone = watching(peer, device)
    watch.cancel()
    released(phone)
    lose_connection(peer)
    watch._set_up_again()  # as if the gap had ended in the same moment
    nothing_is_left(peer, device)
    wait_until(lambda: seen)
    assert [type(event) for event in seen] == [eps.Gap] and not device._watches


def test_watch_that_is_cancelled_while_it_is_set_up_again(peer: Peer, again: eps.Client, seen: list[Any]) -> None:
    device = peer.attach(again)
    watch, _ = watching(peer, device)
    lose_connection(peer)
    phone = asked(peer, device, WATCHES[0])
    watch.cancel()
    released(phone)
    nothing_is_left(peer, device)
    wait_until(lambda: seen)
    assert [type(event) for event in seen] == [eps.Gap] and not device._watches


def test_watch_that_is_cancelled_before_its_new_setup_is_sent(peer: Peer, again: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    device = peer.attach(again)
    watch, _ = watching(peer, device)
    answer = Connection.answer_signaling

    def cancel_first(self: Connection, device: eps.Device, signal: Signal, call: int, to_device: bool) -> None:
        if isinstance(signal, Setup):
            watch.cancel()
        answer(self, device, signal, call, to_device)

    monkeypatch.setattr(Connection, "answer_signaling", cancel_first)
    lose_connection(peer)
    phone = asked(peer, device, WATCHES[0])  # and only then the release
    released(phone)
    nothing_is_left(peer, device)


def test_watch_that_is_cancelled_without_a_connection(peer: Peer, peer_client: eps.Client, device: eps.Device) -> None:
    watch, _ = watching(peer, device)
    peer.drop()
    wait_until(lambda: not peer_client.connected)
    watch.cancel()
    assert not device._watches


def test_client_that_is_closed_with_a_watch(peer: Peer, again: eps.Client, seen: list[Any]) -> None:
    device = peer.attach(again)
    watch, _ = watching(peer, device)
    closing = in_thread(again.close)
    peer.drop()
    closing()
    assert not seen and not watch.active
