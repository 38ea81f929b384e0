"""What a client tells of itself in figures: every message is counted once, whatever becomes of it."""

from __future__ import annotations

import threading

import epsignal_sync as eps
from epsignal_sync.messages import Alert, Setup, Signal

from .conftest import HW1, PATIENCE, wait_until
from .peer import Peer, frame

LOGIN = {"AppChallengeResult": 1, "AppLoginResult": 1}
ATTACH = {"AttachResult": 1, "Attached": 1}


def test_before_the_connection() -> None:
    stats = eps.Client("ws://pbx.invalid/", app="phones", password="pwd").stats
    assert (stats.received, stats.sent, stats.reconnects, stats.queue_peak) == (0, 0, 0, 0)
    assert (stats.received_types, stats.sent_types, stats.latency_p50, stats.latency_p99) == ({}, {}, None, None)


def test_messages_by_type(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    for kind in ("setup", "alert", "alert", "new", None):
        peer.send(peer.signaling(1, {"type": kind}))
        peer.receive()
    peer.send({"mt": "PbxInfo"})
    peer.send("no json")
    device.send(Alert(), call=1, to_device=True)
    peer.receive()
    signals = {"Signaling/setup": 1, "Signaling/alert": 2, "Signaling/new": 1, "Signaling/other": 1}
    wait_until(lambda: peer_client.stats.malformed == 1)
    stats = peer_client.stats
    assert stats.received_types == {**LOGIN, **ATTACH, **signals, "PbxInfo": 1}
    assert stats.sent_types == {"AppChallenge": 1, "AppLogin": 1, "Attach": 1, **signals, "Signaling/alert": 3}
    assert sum(stats.received_types.values()) + stats.malformed == stats.received and sum(stats.sent_types.values()) == stats.sent


def test_messages_by_type_when_an_interceptor_has_its_say(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    answers = {1: None, 2: eps.DROP, 3: Alert(), 4: [Alert(), Alert()]}
    device.intercept(Setup, lambda event: answers[event.call.id if event.call else event.message.call])  # type: ignore[attr-defined]
    for number in answers:
        peer.send(peer.signaling(number, {"type": "setup"}))
    peer.send(peer.signaling(5, {"type": "conn"}))
    assert [peer.receive()["sig"]["type"] for _ in range(5)] == ["setup", "alert", "alert", "alert", "conn"]
    wait_until(lambda: peer_client.stats.forwarded == 2)
    stats = peer_client.stats
    assert (stats.changed, stats.dropped) == (2, 1)
    assert (stats.received_types["Signaling/setup"], stats.received_types["Signaling/conn"]) == (4, 1)
    assert stats.sent_types == {
        "AppChallenge": 1, "AppLogin": 1, "Attach": 1, "Signaling/setup": 1, "Signaling/alert": 3, "Signaling/conn": 1,
    }  # fmt: skip


def test_messages_by_type_when_the_application_forwards(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client, forward=False)
    device.on(Signal, lambda event: event.forward())
    peer.send(peer.signaling(1, {"type": "setup"}))
    peer.receive()
    stats = peer_client.stats
    assert stats.received_types["Signaling/setup"] == stats.sent_types["Signaling/setup"] == 1


def test_frames_that_end_the_connection_are_counted(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    peer.sock.sendall(frame(b"{}", first=0xF1))  # reserved bits are set
    wait_until(lambda: not peer_client.connected)
    assert peer_client.stats.malformed == 1


def test_latency_of_what_goes_on_at_once(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    assert peer_client.stats.latency_p50 is None
    for number in range(20):
        peer.send(peer.signaling(number, {"type": "setup"}))
        peer.receive()
    wait_until(lambda: peer_client.stats.latency_p50)
    stats = peer_client.stats
    assert stats.latency_p50 is not None and stats.latency_p99 is not None
    assert 1 <= stats.latency_p50 <= stats.latency_p99 < PATIENCE * 1e6


def test_latency_of_what_waits_for_an_interceptor(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    held = threading.Event()

    @device.intercept(Setup, deadline=0.2)
    def hold(event: eps.SignalEvent[Setup]) -> None:
        held.wait(PATIENCE)

    peer.send(peer.signaling(1, {"type": "setup"}))
    peer.receive()
    held.set()
    wait_until(lambda: peer_client.stats.latency_p50)
    latency = peer_client.stats.latency_p50
    assert latency is not None and latency >= 0.2e6


def test_latency_while_the_peer_does_not_read(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    big = frame(peer.signaling(1, {"type": "info", "dsp": "x" * 1_000_000}))
    sender = threading.Thread(target=lambda: peer.sock.sendall(big * 20))
    sender.start()
    sender.join(PATIENCE)
    wait_until(lambda: peer_client.stats.forwarded == 20)
    stuck = sum(peer_client._connections[0].link.counters.latencies._counts)
    assert stuck < 20, "what waits to be written has no latency yet"
    for _ in range(20):
        peer.receive()
    wait_until(lambda: sum(peer_client._connections[0].link.counters.latencies._counts) == 20)


def test_peak_of_the_queue(peer: Peer, peer_client: eps.Client) -> None:
    release, began = threading.Event(), threading.Event()
    device = peer.attach(peer_client)

    @device.on(Signal)
    def hang(event: eps.SignalEvent[Signal]) -> None:
        began.set()
        release.wait(PATIENCE)

    peer.send(peer.signaling(0, {"type": "setup"}))
    assert began.wait(PATIENCE)
    for _ in range(10):
        peer.send(peer.signaling(0, {"type": "info"}))
    wait_until(lambda: peer_client.stats.queue_depth == 10)
    release.set()
    wait_until(lambda: peer_client.stats.queue_depth == 0)
    assert peer_client.stats.queue_peak == 10 and device.hw == HW1
