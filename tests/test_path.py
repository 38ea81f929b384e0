"""The promise that comes before all others: whatever the application does, the phone's messages go on, byte for byte."""

from __future__ import annotations

import functools
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Rel, Setup, Signal
from epsignal_sync.protocol.envelope import OWN_CALL_IDS
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, PATIENCE, wait_until
from .peer import Peer, frame

Pair = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture(params=["plain", "tls"])
def any_pbx(request: pytest.FixtureRequest, server_context: ssl.SSLContext) -> Iterator[SimulatedPBX]:
    with SimulatedPBX(ssl_context=server_context if request.param == "tls" else None, setup_timeout=1.0) as pbx:
        pbx.add_app("phones", password="pwd")
        yield pbx


@pytest.fixture
def pair(any_pbx: SimulatedPBX) -> Pair:
    return (
        any_pbx.add_phone(HW1, number="22", sip="alice", name="Alice Ä", kind="h323"),
        any_pbx.add_phone(HW2, number="23", sip="bob", name="Bob", kind="sip"),
    )


@pytest.fixture
def connect(any_pbx: SimulatedPBX, ca_file: str) -> Callable[..., eps.Client]:
    def connect(**options: Any) -> eps.Client:
        if any_pbx.url.startswith("wss"):
            options["ca_file"] = ca_file
        return eps.connect(any_pbx.url, app="phones", password="pwd", **options)

    return connect


def talk(pair: Pair) -> None:
    """Have one call go through all its steps: alice calls bob, bob answers, bob hangs up."""
    alice, bob = pair
    call = alice.call("23")
    called = bob.wait("alert", timeout=PATIENCE)
    bob.answer()
    call.wait("connected", timeout=PATIENCE)
    bob.hangup()
    call.wait("null", timeout=PATIENCE)
    called.wait("null", timeout=PATIENCE)
    assert call.cause == 16


def assert_forwarded_byte_for_byte(pbx: SimulatedPBX) -> None:
    """See in the simulator's log that everything that went to the app came back as it was, in order."""
    for hw in (HW1, HW2):
        sent = pbx.log.texts("to-app", hw, mt="Signaling")
        wait_until(functools.partial(lambda hw, count: len(pbx.log.texts("from-app", hw, mt="Signaling")) >= count, hw, len(sent)))
        assert pbx.log.texts("from-app", hw, mt="Signaling") == sent
        assert len(sent) >= 4  # at least setup, alert, conn, rel


def test_call_completes_without_any_callback(any_pbx: SimulatedPBX, pair: Pair, connect: Callable[..., eps.Client]) -> None:
    with connect() as client:
        client.attach_many([HW1, HW2])
        talk(pair)
        assert_forwarded_byte_for_byte(any_pbx)


def test_call_completes_while_callbacks_hang_and_raise(any_pbx: SimulatedPBX, pair: Pair, connect: Callable[..., eps.Client]) -> None:
    hanging, release = threading.Event(), threading.Event()
    with connect() as client:
        client.on(Setup, lambda event: 1 / 0)

        @client.on(Setup)
        def hang(event: eps.SignalEvent[Setup]) -> None:
            hanging.set()
            release.wait(PATIENCE)  # longer than any call here

        client.on(Signal, lambda event: sys.exit("not the whole process"))
        client.attach_many([HW1, HW2])
        talk(pair)
        assert hanging.wait(PATIENCE)
        assert_forwarded_byte_for_byte(any_pbx)
        assert not release.is_set()
        release.set()


def test_call_completes_while_the_dispatcher_hangs(any_pbx: SimulatedPBX, pair: Pair, connect: Callable[..., eps.Client]) -> None:
    hanging, release = threading.Event(), threading.Event()

    def dispatcher(run: Callable[[], int]) -> None:
        hanging.set()
        release.wait(PATIENCE)

    with connect(dispatcher=dispatcher) as client:
        client.on(Signal, lambda event: None)
        client.attach_many([HW1, HW2])
        talk(pair)
        assert hanging.wait(PATIENCE)
        assert_forwarded_byte_for_byte(any_pbx)
        release.set()


def test_call_completes_while_the_application_side_fails(
    any_pbx: SimulatedPBX, pair: Pair, connect: Callable[..., eps.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect() as client:
        client.attach_many([HW1, HW2])
        monkeypatch.setattr(client._connections[0].intake, "_take_message", lambda *_: 1 / 0)
        talk(pair)
        assert_forwarded_byte_for_byte(any_pbx)


def test_call_does_not_get_through_without_forwarding(any_pbx: SimulatedPBX, pair: Pair, connect: Callable[..., eps.Client]) -> None:
    with connect() as client:
        client.attach(HW1, forward=False)
        client.attach(HW2)
        call = pair[0].call("23")
        call.wait("null", timeout=PATIENCE)
        assert call.cause == 102
        assert not any_pbx.log.texts("to-app", HW2, mt="Signaling")
        assert client.stats.forwarded == 0


def test_call_gets_through_when_callbacks_forward(any_pbx: SimulatedPBX, pair: Pair, connect: Callable[..., eps.Client]) -> None:
    with connect() as client:

        @client.on(Signal)
        def forward(event: eps.SignalEvent[Signal]) -> None:
            assert event.verdict is None
            event.forward()
            event.forward()  # once is enough
            assert event.verdict == "forwarded"

        client.attach_many([HW1, HW2], forward=False)
        talk(pair)
        assert_forwarded_byte_for_byte(any_pbx)


def test_forwarding_is_exact_whatever_the_message(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    src = peer.src
    head = f'"mt":"Signaling","api":"EpSignal","src":"{src}"'
    texts = [
        f'{{ {head} , "call" : 3 , "sig" : {{ "type" : "setup" }} }}',  # white space
        f'{{"sig":{{"type":"brand_new","x":[1.0,1e2,{{}}]}},{head},"call":3}}',  # order, unknown type, numbers
        f'{{{head},"call":3,"to":true,"sig":{{"type":"alert","cau":null,"cau":1}}}}',  # duplicate keys
        f'{{{head},"call":"x","sig":{{"type":"alert"}}}}',
        f'{{{head},"call":3,"sig":17}}',
        f'{{{head}}}',
        f'{{{head},"call":-2147483648,"sig":{{"type":"alert"}}}}',  # negative, but not ours
        f'{{{head},"call":123456789012345678901234567890,"sig":{{"type":"alert","n":1e999,"m":NaN}}}}',
        f'{{{head},"call":3,"sig":{{"type":"info","dsp":"\\ud800 \\u00e4 ä"}}}}',  # a lone surrogate
        '{"mt":"Signaling","api":"EpSignal","src":"nobody","call":1,"sig":{"type":"setup"}}',
        '{"mt":"Signaling","api":"EpSignal","src":5,"call":1,"sig":{"type":"setup"}}',
        '{"mt":"Signaling","call":1,"sig":{"type":"setup"}}',
        f'{{{head},"call":4,"sig":{{"type":"user_info","uui":"{"x" * 100_000}"}}}}',
    ]
    for text in texts:
        peer.send(text)
        assert peer.receive_text() == text.encode()
    assert peer_client.stats.forwarded == len(texts)


def test_own_calls_and_other_apis_are_not_forwarded(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    own = OWN_CALL_IDS.issue()
    events: list[tuple[int | None, str | None]] = []
    peer_client.on(Signal, lambda event: events.append((event.message.call, event.verdict)))  # type: ignore[attr-defined]
    peer.send(peer.signaling(own, {"type": "alert"}))
    peer.send({"mt": "Signaling", "api": "PbxSignal", "call": 1, "sig": {"type": "setup"}})
    peer.send(peer.signaling(own - 1, {"type": "alert"}))
    assert peer.receive()["call"] == own - 1
    wait_until(lambda: len(events) == 2)
    assert events == [(own, "own"), (own - 1, "forwarded")]


MALFORMED = ["no json", "", "[]", "5", "null", '"x"', "{}", '{"mt":5}', '{"mt":null}', "[" * 100_000, b"\xff\xfe"]


@pytest.mark.parametrize("text", MALFORMED)
def test_connection_survives_malformed_text(
    peer: Peer, peer_client: eps.Client, text: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    peer.attach(peer_client)
    peer.send(text)
    good = peer.signaling(3, {"type": "alert"})
    peer.send(good)
    assert peer.receive() == good
    assert peer_client.stats.malformed == 1
    wait_until(lambda: "ignored" in caplog.text)
    assert len([record for record in caplog.records if "ignored" in record.getMessage()]) == 1


def test_connection_survives_binary_messages(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    peer.sock.sendall(frame(b"\x00\x01", 2))
    good = peer.signaling(3, {"type": "alert"})
    peer.send(good)
    assert peer.receive() == good
    assert peer_client.stats.malformed == 1


def test_fragments_with_control_frames_between_them(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    text = str(peer.signaling(3, {"type": "alert", "x": "y" * 40_000})).replace("'", '"').encode()
    pieces = [text[at : at + 16384] for at in range(0, len(text), 16384)]
    frames = [frame(pieces[0], first=0x01), frame(b"hi", 9), frame(pieces[1], first=0x00), frame(pieces[2], first=0x80)]
    assert len(pieces) == 3
    for one in frames:
        peer.sock.sendall(one)
    assert peer.receive_frame() == (10, b"hi")
    assert peer.receive_text() == text


def test_too_large_message_ends_the_connection(peer: Peer) -> None:
    with peer.client(max_message_size=1000) as client:
        peer.send("x" * 1001)
        assert peer.receive_frame() == (8, b"\x03\xf1")
        with pytest.raises(eps.ConnectionLostError, match="1000 may be"):
            client.run_forever()


def test_release_of_an_unknown_call_makes_none(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    started: list[eps.CallStarted] = []
    seen = threading.Event()
    peer_client.on(eps.CallStarted, started.append)
    peer_client.on(Rel, lambda event: seen.set())
    peer.send(peer.signaling(9, {"type": "rel"}))
    assert peer.receive()["call"] == 9
    assert seen.wait(PATIENCE)
    assert not device.calls and not started


def test_large_message_costs_little(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    text = json.dumps(peer.signaling(3, {"type": "user_info", "uui": "ä" * 5_000_000}), ensure_ascii=False).encode()
    assert len(text) > 10_000_000
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(peer.receive_text()))
    reader.start()
    before = time.process_time()
    peer.send(text)
    reader.join(PATIENCE)
    assert received == [text]
    # Most of it is the peer of this test; checking UTF-8 byte by byte alone would take longer.
    assert time.process_time() - before < 5
