"""An app can change and stop messages; whatever its interceptors do, each message goes on once, in order and in time."""

from __future__ import annotations

import gc
import json
import logging
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync import interceptors
from epsignal_sync.messages import (
    EP,
    Alert,
    Attached,
    CallWaiting,
    Cause,
    Conn,
    Facility,
    InfoSignal,
    Message,
    NameIdentification,
    Rel,
    Setup,
    Signal,
    Signaling,
    UnknownSignal,
    UserInfo,
)
from epsignal_sync.protocol.envelope import OWN_CALL_IDS
from epsignal_sync.protocol.lanes import MOST_RUNS

from .conftest import HW1, HW2, PATIENCE, wait_until
from .peer import Peer, frame

UNCHANGED: Any = None
DEADLINE = 1.0
"""Seconds that an interceptor gets which hangs: it has to have begun by then, on a slow machine too."""
DIRECTIONS = pytest.mark.parametrize("to", [True, False], ids=["to the device", "from the device"])


def exchange(peer: Peer, message: dict[str, Any]) -> dict[str, Any]:
    """Send one message and return what comes back."""
    peer.send(message)
    return peer.receive()


def expect_nothing_more(peer: Peer) -> None:
    """See that nothing comes before the next message of either direction, which is of a call of its own."""
    for to in (True, False):
        marker = peer.signaling(9999, {"type": "accept"}, to=to)
        assert exchange(peer, marker) == marker


class Hang:
    """An interceptor that does not return until the test is over or says so."""

    def __init__(self, verdict: Any = None) -> None:
        self.entered, self.release, self.left = threading.Event(), threading.Event(), threading.Event()
        self.calls = 0
        self._verdict = verdict

    def __call__(self, event: Any) -> Any:
        self.calls += 1
        self.entered.set()
        self.release.wait(PATIENCE)
        self.left.set()
        return self._verdict

    def __enter__(self) -> Hang:
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()


# ---------------------------------------------------------------- what an interceptor answers


@DIRECTIONS
def test_none_lets_the_received_bytes_go_on(peer: Peer, peer_client: eps.Client, to: bool) -> None:
    device = peer.attach(peer_client)
    device.intercept(Setup, lambda event: None)
    device.intercept(Setup, lambda event: event.signal)  # the same signal is no change either
    direction = '"to":true,' if to else ""
    text = f'{{"mt":"Signaling","api":"EpSignal", {direction}"src":"{peer.src}","call":3,"sig":{{"type":"setup","n":1e400}}}}'
    peer.send(text)
    assert peer.receive_text() == text.encode()
    assert peer_client.stats.forwarded == 1 and peer_client.stats.changed == 0


@DIRECTIONS
def test_changed_signal_goes_on_with_nothing_else_changed(peer: Peer, peer_client: eps.Client, to: bool) -> None:
    device = peer.attach(peer_client)
    verdicts: list[str | None] = []
    device.intercept(Setup, lambda event: attrs.evolve(event.signal, dsp="changed"))
    device.on(Setup, lambda event: verdicts.append(event.verdict))
    direction = '"to":true,' if to else ""
    head = f'{{"mt":"Signaling","x":[1.50],{direction}"api":"EpSignal","src":"{peer.src}","call":3,"sig":{{"type":"setup","cg":null,'
    peer.send(head + '"big":123456789012345678901234567890,"far":1e400,"dsp":"before"}}')
    received = peer.receive_text()
    assert json.loads(received) == json.loads(head + '"big":123456789012345678901234567890,"far":1e400,"dsp":"changed"}}')
    assert b'"far":1e400' in received and b"[1.50]" in received
    wait_until(lambda: verdicts == ["changed"])
    assert peer_client.stats.changed == 1
    entry = device.calls[3].history[0]
    assert (entry.verdict, entry.sent) == ("changed", (received.decode(),)) and '"dsp":"before"' in entry.text


@DIRECTIONS
def test_several_signals_go_on_in_order(peer: Peer, peer_client: eps.Client, to: bool) -> None:
    device = peer.attach(peer_client)
    device.intercept(Conn, lambda event: [Alert(), event.signal, InfoSignal(dsp="hello")])
    peer.send(peer.signaling(3, {"type": "conn"}, to=to))
    assert [peer.receive()["sig"] for _ in range(3)] == [{"type": "alert"}, {"type": "conn"}, {"type": "info", "dsp": "hello"}]
    expect_nothing_more(peer)


@DIRECTIONS
def test_dropped_message_does_not_go_on(peer: Peer, peer_client: eps.Client, to: bool) -> None:
    device = peer.attach(peer_client)
    events: list[eps.SignalEvent[Alert]] = []
    device.intercept(Alert, lambda event: eps.DROP)
    device.on(Alert, events.append)
    peer.send(peer.signaling(3, {"type": "alert"}, to=to))
    expect_nothing_more(peer)
    wait_until(lambda: [event.verdict for event in events] == ["dropped"])
    assert peer_client.stats.dropped == 1


def test_decorator_and_every_kind(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    seen: list[str] = []

    @device.intercept(NameIdentification)
    def named(event: eps.FacilityEvent[NameIdentification]) -> None:
        seen.append(f"name {event.facility.name}")

    @peer_client.intercept(Signaling)
    def every(event: eps.MessageEvent[Signaling]) -> None:
        seen.append(f"call {event.message.call}")

    device.intercept(UnknownSignal, lambda event: seen.append(f"unknown {event.signal.type}"))
    device.intercept(Signal, lambda event: seen.append("signal"), to_device=True)
    device.intercept(Facility, lambda event: seen.append("facility"))
    device.intercept(CallWaiting, lambda event: seen.append("waiting"))
    message = peer.signaling(3, {"type": "newer", "fty": [{"type": "name_identification", "name": "Bob"}]})
    assert exchange(peer, message) == message
    assert seen == ["name Bob", "call 3", "unknown newer", "facility"]
    message = peer.signaling(4, {"type": "alert"}, to=True)
    assert exchange(peer, message) == message
    assert seen[4:] == ["call 4", "signal"]


def test_what_nobody_asked_for_is_not_asked_about(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    with Hang() as hang:
        device.intercept(Setup, hang, to_device=True)
        hostile: Any = 17
        others = [peer.signaling(3, {"type": "setup"}), peer.signaling(3, {"type": "alert"}, to=True), peer.signaling(4, hostile, to=True)]
        for message in others:
            assert exchange(peer, message) == message
        assert not hang.entered.is_set()


# ---------------------------------------------------------------- a chain


def test_chain_runs_in_order_of_registration_whatever_the_scope(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)

    def adding(letter: str) -> Callable[[eps.SignalEvent[UserInfo]], UserInfo]:
        return lambda event: attrs.evolve(event.signal, uui=(event.signal.uui or "") + letter)

    device.intercept(UserInfo, adding("a"))
    peer_client.intercept(UserInfo, adding("b"))
    device.intercept(Conn, adding("x"))  # type: ignore[arg-type]
    cancelled = device.intercept(UserInfo, adding("c"))
    device.intercept(UserInfo, adding("d"))
    cancelled.cancel()
    assert exchange(peer, peer.signaling(3, {"type": "user_info"}))["sig"] == {"type": "user_info", "uui": "abd"}


@pytest.mark.parametrize("end", [eps.DROP, [Alert()], "rubbish"], ids=["drop", "list", "error"])
def test_chain_ends(peer: Peer, peer_client: eps.Client, end: Any) -> None:
    device = peer.attach(peer_client)
    later: list[object] = []
    device.intercept(UserInfo, lambda event: attrs.evolve(event.signal, uui="first"))
    device.intercept(UserInfo, lambda event: end)
    device.intercept(UserInfo, later.append)
    message = peer.signaling(3, {"type": "user_info"})
    peer.send(message)
    if end == [Alert()]:
        assert peer.receive()["sig"] == {"type": "alert"}
    elif end == "rubbish":
        assert peer.receive() == message, "after an error the original goes on"
    expect_nothing_more(peer)
    assert not later


def test_interceptor_of_a_call_sees_that_call_only_and_goes_with_it(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    ended = threading.Event()
    device.on(eps.CallEnded, lambda event: ended.set())
    for number in (3, 4):
        exchange(peer, peer.signaling(number, {"type": "setup"}))
    wait_until(lambda: len(device.calls) == 2)
    device.calls[3].intercept(UserInfo, lambda event: eps.DROP)
    peer.send(peer.signaling(3, {"type": "user_info"}))
    message = peer.signaling(4, {"type": "user_info"})
    assert exchange(peer, message) == message
    exchange(peer, peer.signaling(3, {"type": "rel"}))
    assert ended.wait(PATIENCE)
    wait_until(lambda: not device._attachment.rules)
    exchange(peer, peer.signaling(3, {"type": "setup"}))
    message = peer.signaling(3, {"type": "user_info"})
    assert exchange(peer, message) == message


def test_cancelled_while_the_message_is_held(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    with Hang() as hang:
        device.intercept(UserInfo, hang, deadline=2)
        dropping = device.intercept(UserInfo, lambda event: eps.DROP)
        message = peer.signaling(3, {"type": "user_info"})
        peer.send(message)
        assert hang.entered.wait(PATIENCE)
        dropping.cancel()
        hang.release.set()
        assert peer.receive() == message


# ---------------------------------------------------------------- fail-open

RUBBISH: list[Any] = [True, "setup", 17, [], [Setup(), None], {"type": "setup"}, Setup, object(), Cause(num=1), UserInfo.__new__(UserInfo)]


@DIRECTIONS
@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda value: type(value).__name__)
def test_rubbish_answer_lets_the_message_go_on(peer: Peer, peer_client: eps.Client, rubbish: Any, to: bool) -> None:
    device = peer.attach(peer_client)
    failures: list[eps.CallbackFailed] = []
    peer_client.on(eps.CallbackFailed, failures.append)
    device.intercept(Setup, lambda event: rubbish)
    message = peer.signaling(3, {"type": "setup"}, to=to)
    assert exchange(peer, message) == message
    expect_nothing_more(peer)
    wait_until(lambda: failures)
    assert len(failures) == 1 and isinstance(failures[0].event, eps.SignalEvent)


def test_signal_that_cannot_be_sent_lets_the_message_go_on(peer: Peer) -> None:
    with peer.client(max_message_size=1000) as client:
        device = peer.attach(client)
        failures: list[eps.CallbackFailed] = []
        client.on(eps.CallbackFailed, failures.append)
        device.intercept(Setup, lambda event: attrs.evolve(event.signal, dsp="x" * 2000))
        message = peer.signaling(3, {"type": "setup"})
        assert exchange(peer, message) == message
        wait_until(lambda: [str(one.error)[:31] for one in failures] == ["this message cannot be sent: it"])
        peer.drop()


@DIRECTIONS
@pytest.mark.parametrize("failing", [lambda event: 1 / 0, lambda event: sys.exit("all of it")], ids=["raise", "exit"])
def test_interceptor_that_raises_lets_the_message_go_on(
    peer: Peer, peer_client: eps.Client, failing: Callable[[Any], Any], to: bool, caplog: pytest.LogCaptureFixture
) -> None:
    device = peer.attach(peer_client)
    failures: list[eps.CallbackFailed] = []
    peer_client.on(eps.CallbackFailed, failures.append)
    device.intercept(Setup, failing)
    for number in (3, 4):  # the second one is asked about as well
        message = peer.signaling(number, {"type": "setup"}, to=to)
        assert exchange(peer, message) == message
    expect_nothing_more(peer)
    wait_until(lambda: len(failures) == 2)
    assert failures[0].callback is failing and failures[0].device is device
    assert "raised" in caplog.text and peer_client.stats.callback_failures == 2


@DIRECTIONS
@pytest.mark.parametrize("verdict", [None, eps.DROP, UserInfo(uui="late")], ids=["none", "drop", "changed"])
def test_hanging_interceptor_holds_a_message_for_its_deadline_only(
    peer: Peer, peer_client: eps.Client, verdict: Any, to: bool
) -> None:
    device = peer.attach(peer_client)
    late: list[eps.InterceptorLate] = []
    seen: list[tuple[int | None, str | None]] = []
    peer_client.on(eps.InterceptorLate, late.append)
    device.on(UserInfo, lambda event: seen.append((event.call.id if event.call else None, event.verdict)))
    with Hang(verdict) as hang:
        device.intercept(UserInfo, hang, deadline=DEADLINE)
        for number in range(5):  # the first waits for its deadline; the next ones find the interceptor still at work
            message = peer.signaling(number, {"type": "user_info"}, to=to)
            assert exchange(peer, message) == message
        other = peer.signaling(7, {"type": "user_info"}, to=not to)
        assert exchange(peer, other) == other, "the other direction of the device is not held up either"
        assert hang.calls == 1 and not hang.left.is_set()
        wait_until(lambda: late)
        assert (late[0].callback, late[0].device, late[0].deadline) == (hang, device, DEADLINE)
        assert isinstance(late[0].event, eps.SignalEvent) and late[0].event.signal == UserInfo()
    assert hang.left.wait(PATIENCE)
    wait_until(lambda: [one[1] for one in seen] == ["forwarded", *["bypassed"] * 5])
    expect_nothing_more(peer)
    # Once it has returned, it is asked again, and its answers count.
    wait_until(lambda: not peer_client._interceptors_at_work._busy)
    message = peer.signaling(8, {"type": "user_info"}, to=to)
    if verdict is eps.DROP:
        peer.send(message)
        expect_nothing_more(peer)
    else:
        assert exchange(peer, message)["sig"] == ({"type": "user_info"} if verdict is None else {"type": "user_info", "uui": "late"})
    assert hang.calls == 2 and len(late) == 1 and peer_client.stats.late == 1 and peer_client.stats.bypassed == 5


@DIRECTIONS
def test_interceptor_that_closes_the_client(peer: Peer, to: bool) -> None:
    client = peer.client()
    device = peer.attach(client)

    def close(event: eps.SignalEvent[Setup]) -> Any:
        client.close()
        return eps.DROP

    device.intercept(Setup, close, deadline=2)
    message = peer.signaling(3, {"type": "setup"}, to=to)
    behind = peer.signaling(3, {"type": "info"}, to=to)
    peer.sock.sendall(frame(message) + frame(behind))  # in one segment: what is not read before close() does not go on
    assert peer.receive() == message and peer.receive() == behind
    assert peer.receive_frame() == (8, b"\x03\xe8")
    peer.drop()
    client.close()


def test_close_sends_what_is_held_as_it_came(peer: Peer) -> None:
    client = peer.client()
    device = peer.attach(client)
    with Hang(eps.DROP) as hang:
        device.intercept(Setup, hang, deadline=2)
        messages = [peer.signaling(number, {"type": "setup"}, to=to) for number in range(3) for to in (True, False)]
        for message in messages:
            peer.send(message)
        assert hang.entered.wait(PATIENCE)
        closer = threading.Thread(target=client.close)
        closer.start()
        received = [peer.receive() for _ in messages]
        for to in (True, False):
            assert [one for one in received if one.get("to", False) is to] == [one for one in messages if one.get("to", False) is to]
        assert peer.receive_frame() == (8, b"\x03\xe8")
        peer.drop()
        closer.join(PATIENCE)
        assert not closer.is_alive()
    assert hang.left.wait(PATIENCE)


def test_connection_lost_while_a_message_is_held(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    verdicts: list[str | None] = []
    device.on(Setup, lambda event: verdicts.append(event.verdict))
    with Hang(eps.DROP) as hang:
        device.intercept(Setup, hang, deadline=2)
        peer.send(peer.signaling(3, {"type": "setup"}))
        assert hang.entered.wait(PATIENCE)
        peer.drop()
        with pytest.raises(eps.ConnectionLostError):
            peer_client.run_forever()
        wait_until(lambda: verdicts == [None])  # it did not go on
    assert hang.left.wait(PATIENCE)
    assert peer_client.stats.dropped == 0


def test_hanging_interceptor_of_one_device_does_not_hold_up_another(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client, HW1)
    first = peer.src
    peer.attach(peer_client, HW2)
    second = peer.src
    entered = threading.Event()
    release = threading.Event()

    def hang_for_the_first(event: eps.SignalEvent[Setup]) -> Any:
        if event.device is not None and event.device.hw == HW1:
            entered.set()
            release.wait(PATIENCE)
            return None
        return attrs.evolve(event.signal, dsp="asked")

    peer_client.intercept(Setup, hang_for_the_first, deadline=2)
    held = peer.signaling(3, {"type": "setup"}, src=first)
    peer.send(held)
    assert entered.wait(PATIENCE)
    for number in range(20):
        assert exchange(peer, peer.signaling(number, {"type": "setup"}, src=second))["sig"]["dsp"] == "asked"
    message = peer.signaling(3, {"type": "alert"}, src=first, to=True)
    assert exchange(peer, message) == message, "the other direction of the first is free"
    release.set()
    assert peer.receive() == held


def test_messages_behind_a_held_one_keep_their_order(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    with Hang() as hang:
        device.intercept(Setup, hang, deadline=2)
        messages = [peer.signaling(3, {"type": "setup" if number == 0 else "info", "n": number}) for number in range(10)]
        peer.sock.sendall(b"".join(frame(message) for message in messages))
        assert hang.entered.wait(PATIENCE)
        hang.release.set()
        assert [peer.receive() for _ in messages] == messages


def test_what_cannot_be_asked_about_goes_on(peer: Peer, peer_client: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    device = peer.attach(peer_client)
    device.intercept(Setup, lambda event: eps.DROP, deadline=2)

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of this library")

    monkeypatch.setattr(device._table, "prepare", fail)
    message = peer.signaling(3, {"type": "setup"})
    assert exchange(peer, message) == message
    assert peer_client.stats.late == 0, "it need not wait"


# ---------------------------------------------------------------- calls


def test_interceptor_sees_the_call_of_a_setup_before_it_is_there(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    seen: list[tuple[Any, ...]] = []

    def look(event: eps.SignalEvent[Setup]) -> None:
        assert event.call is not None
        seen.append((event.call, event.call.remote.num, event.call.incoming, dict(device.calls)))

    device.intercept(Setup, look, to_device=True)
    exchange(peer, peer.signaling(3, {"type": "setup", "cg": {"num": "42"}}, to=True))
    wait_until(lambda: device.calls)
    call = device.calls[3]
    assert seen == [(call, "42", True, {})]


def test_call_follows_what_was_received(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    device.intercept(Setup, lambda event: attrs.evolve(event.signal, cd=EP(num="99")))
    device.intercept(Alert, lambda event: eps.DROP)
    exchange(peer, peer.signaling(3, {"type": "setup", "cd": {"num": "42"}}))
    wait_until(lambda: device.calls)
    call = device.calls[3]
    peer.send(peer.signaling(3, {"type": "alert"}, to=True))
    assert call.wait("alert", timeout=PATIENCE) == "alert"
    assert call.dialed == "42"


def refusing(peer: Peer, client: eps.Client, **options: Any) -> tuple[eps.Device, list[eps.CallEnded]]:
    device = peer.attach(client)
    ended: list[eps.CallEnded] = []
    device.on(eps.CallEnded, ended.append)
    device.intercept(Setup, eps.block_callers(lambda caller: caller.num == "666", cause=17), to_device=True, **options)
    return device, ended


BLOCKED = {"type": "setup", "cg": {"num": "666"}, "cd": {"num": "22"}}


def test_blocked_caller_is_refused_towards_the_pbx_alone(peer: Peer, peer_client: eps.Client) -> None:
    device, ended = refusing(peer, peer_client)
    answer = exchange(peer, peer.signaling(3, BLOCKED, to=True))
    assert answer == peer.signaling(3, {"type": "rel", "cau": {"num": 17}})
    expect_nothing_more(peer)
    wait_until(lambda: ended)
    call = ended[0].call
    assert (call.ended, call.ended_by, call.state, call.remote.num) == (True, "dropped", "null", "666")
    assert call.cause is not None and call.cause.num == 17
    assert 3 not in device.calls


def test_blocked_caller_hangs_up_while_our_rel_is_on_its_way(peer: Peer, peer_client: eps.Client) -> None:
    refusing(peer, peer_client)
    assert exchange(peer, peer.signaling(3, BLOCKED, to=True))["sig"]["type"] == "rel"
    peer.send(peer.signaling(3, {"type": "rel", "cau": {"num": 16}}, to=True))
    peer.send(peer.signaling(3, {"type": "facility"}, to=True))
    expect_nothing_more(peer)
    new = peer.signaling(3, {"type": "setup", "cg": {"num": "42"}}, to=True)
    assert exchange(peer, new) == new, "a new setup on the id is a new call"
    alert = peer.signaling(3, {"type": "alert"})
    assert exchange(peer, alert) == alert


def test_rel_in_the_same_segment_as_its_setup_is_not_answered(peer: Peer, peer_client: eps.Client) -> None:
    refusing(peer, peer_client)
    rel = peer.signaling(3, {"type": "rel"}, to=True)
    peer.sock.sendall(frame(peer.signaling(3, BLOCKED, to=True)) + frame(rel))
    expect_nothing_more(peer)


def test_rel_in_the_same_segment_as_a_setup_that_goes_on(peer: Peer, peer_client: eps.Client) -> None:
    refusing(peer, peer_client)
    setup = peer.signaling(3, {"type": "setup", "cg": {"num": "42"}}, to=True)
    rel = peer.signaling(3, {"type": "rel"}, to=True)
    peer.sock.sendall(frame(setup) + frame(rel))
    assert peer.receive() == setup and peer.receive() == rel


def test_late_refusal_sends_nothing(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    with Hang(eps.refuse(17)) as hang:
        device.intercept(Setup, hang, deadline=DEADLINE)
        setup = peer.signaling(3, BLOCKED, to=True)
        assert exchange(peer, setup) == setup
    assert hang.left.wait(PATIENCE)
    wait_until(lambda: not peer_client._interceptors_at_work._busy)
    alert = peer.signaling(3, {"type": "alert"})
    assert exchange(peer, alert) == alert


def test_refused_outgoing_call_is_refused_to_the_device(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    device.intercept(Setup, lambda event: eps.refuse(63), to_device=False)
    answer = exchange(peer, peer.signaling(3, {"type": "setup", "cd": {"num": "0900"}}))
    assert answer == peer.signaling(3, {"type": "rel", "cau": {"num": 63}}, to=True)
    peer.send(peer.signaling(3, {"type": "info", "cd": {"num": "1"}}))
    expect_nothing_more(peer)


def test_setup_answered_by_the_app_itself(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)

    def answer(event: eps.SignalEvent[Setup]) -> Any:
        assert event.call is not None
        device.send(Conn(), call=event.call, to_device=False)
        return eps.DROP

    device.intercept(Setup, answer, to_device=True)
    assert exchange(peer, peer.signaling(3, BLOCKED, to=True)) == peer.signaling(3, {"type": "conn"})
    seen: list[str | None] = []
    device.on(UserInfo, lambda event: seen.append(event.verdict))
    peer.send(peer.signaling(3, {"type": "user_info"}, to=True))
    expect_nothing_more(peer)
    wait_until(lambda: seen == ["dropped"])
    device.send(Rel(), call=3, to_device=False)
    assert peer.receive() == peer.signaling(3, {"type": "rel"})


def test_hangup_by_an_interceptor_that_then_drops(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)

    def hang_up(event: eps.SignalEvent[Setup]) -> Any:
        assert event.call is not None
        event.call.hangup(cause=21)
        return None  # even so: the caller has been told that the call is over

    device.intercept(Setup, hang_up, to_device=True)
    assert exchange(peer, peer.signaling(3, BLOCKED, to=True)) == peer.signaling(3, {"type": "rel", "cau": {"num": 21}})
    peer.send(peer.signaling(3, {"type": "rel"}, to=True))
    expect_nothing_more(peer)


def test_conn_that_crosses_our_rel_is_consumed(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    exchange(peer, peer.signaling(3, {"type": "setup"}, to=True))
    wait_until(lambda: device.calls)
    device.calls[3].hangup()
    assert {peer.receive().get("to", False) for _ in range(2)} == {True, False}
    peer.send(peer.signaling(3, {"type": "conn"}))
    peer.send(peer.signaling(3, {"type": "rel"}))
    peer.send(peer.signaling(3, {"type": "rel"}, to=True))
    expect_nothing_more(peer)


def test_call_released_on_one_side_only(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    exchange(peer, peer.signaling(3, {"type": "setup"}, to=True))
    wait_until(lambda: device.calls)
    device.send(Rel(), call=3, to_device=False)
    assert peer.receive() == peer.signaling(3, {"type": "rel"})
    peer.send(peer.signaling(3, {"type": "alert"}))
    peer.send(peer.signaling(3, {"type": "rel"}))
    expect_nothing_more(peer)
    wait_until(lambda: 3 not in device.calls)


def test_negative_id_that_is_not_ours_is_asked_about_and_goes_on(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    asked: list[int | None] = []
    device.intercept(Alert, lambda event: asked.append(event.message.call))  # type: ignore[attr-defined]
    number = OWN_CALL_IDS.issue()
    foreign = peer.signaling(number - 1000, {"type": "alert"})
    assert exchange(peer, foreign) == foreign
    peer.send(peer.signaling(number, {"type": "alert"}))
    expect_nothing_more(peer)
    assert asked == [number - 1000]


# ---------------------------------------------------------------- many calls


def test_order_of_many_calls_while_interceptors_sleep_and_one_hangs(peer: Peer, peer_client: eps.Client) -> None:
    sources = []
    for number in range(5):
        peer.attach(peer_client, f"phone-{number}")
        sources.append(peer.src)
    chance = random.Random(7)
    hang = Hang()

    def sleep(event: eps.SignalEvent[InfoSignal]) -> Any:
        if event.message.call == 17:  # type: ignore[attr-defined]
            return hang(event)
        time.sleep(chance.random() * 0.002)
        return attrs.evolve(event.signal, dsp="seen") if chance.random() < 0.5 else None

    peer_client.intercept(InfoSignal, sleep, deadline=0.1)
    calls, count = 50, 200
    received: dict[int, list[int]] = {call: [] for call in range(calls)}
    with hang:
        for number in range(count):
            # Every fifth message is asked about; call n belongs to device n % 5, and goes one way or the other.
            messages = [
                peer.signaling(
                    call, {"type": "user_info" if (number + call) % 5 else "info", "n": number}, src=sources[call % 5], to=call % 2 == 0
                )
                for call in range(calls)
            ]
            peer.sock.sendall(b"".join(frame(message) for message in messages))
            for _ in messages:
                message = peer.receive()
                received[message["call"]].append(message["sig"]["n"])
        assert hang.entered.is_set() and not hang.left.is_set()
    assert received == {call: list(range(count)) for call in range(calls)}
    expect_nothing_more(peer)
    # The device with the hanging one is no longer asked; of the others' messages about every second was changed.
    assert peer_client.stats.changed > 100 and peer_client.stats.bypassed > 100


# ---------------------------------------------------------------- registration


@pytest.mark.parametrize("kind", [Attached, Message, eps.CallStarted, eps.ConnectionLost, Setup(), "setup", str, None, Cause])
def test_intercept_for_what_is_never_forwarded(peer: Peer, peer_client: eps.Client, kind: Any) -> None:
    device = peer.attach(peer_client)
    with pytest.raises(eps.UsageError, match="only signaling is forwarded"):
        device.intercept(kind, lambda event: None)


@pytest.mark.parametrize("options", [{"deadline": 0}, {"deadline": -1}, {"deadline": float("nan")}, {"deadline": "1"}, {"to_device": 1}])
def test_wrong_options(peer: Peer, peer_client: eps.Client, options: dict[str, Any]) -> None:
    device = peer.attach(peer_client)
    with pytest.raises(eps.UsageError, match=next(iter(options))):
        device.intercept(Setup, lambda event: None, **options)
    assert not device._attachment.rules


def test_interceptor_that_cannot_be_called(peer: Peer, peer_client: eps.Client) -> None:
    with pytest.raises(eps.UsageError, match="cannot be called"):
        peer_client.intercept(Setup, "no function")  # type: ignore[call-overload]


def test_intercept_on_a_device_that_the_app_forwards_for(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client, forward=False)
    with pytest.raises(eps.UsageError, match="forward=False"):
        device.intercept(Setup, lambda event: None)
    with Hang() as hang:
        peer_client.intercept(Setup, hang)
        seen: list[eps.SignalEvent[Setup]] = []
        device.on(Setup, seen.append)
        peer.send(peer.signaling(3, {"type": "setup"}))
        wait_until(lambda: seen)
        seen[0].forward()
        assert peer.receive()["call"] == 3
        assert not hang.entered.is_set()


def test_intercept_before_connect(peer: Peer) -> None:
    client = eps.Client(peer.url, app="phones", password="pwd")
    client.intercept(Setup, lambda event: attrs.evolve(event.signal, dsp="asked"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("epsignal")]
    login = threading.Thread(target=peer.login)
    login.start()
    client.connect()
    login.join(PATIENCE)
    peer.attach(client)
    assert exchange(peer, peer.signaling(3, {"type": "setup"}))["sig"]["dsp"] == "asked"
    peer.drop()
    client.close()


def test_forward_inside_an_interceptor(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    failures: list[eps.CallbackFailed] = []
    peer_client.on(eps.CallbackFailed, failures.append)
    device.intercept(Setup, lambda event: event.forward())
    message = peer.signaling(3, {"type": "setup"})
    assert exchange(peer, message) == message
    expect_nothing_more(peer)
    wait_until(lambda: [type(one.error) for one in failures] == [eps.UsageError])


def test_intercept_on_a_call_of_the_app(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    call = device.dial(number="23")
    with pytest.raises(eps.UsageError, match="started by the app"):
        call.intercept(Conn, lambda event: None)


@pytest.mark.parametrize("cause", [0, 128, True, "17", None])
def test_refusing_with_a_cause_that_does_not_exist(cause: Any) -> None:
    with pytest.raises(eps.UsageError, match="cause"):
        eps.refuse(cause)


def test_refusing_what_is_no_setup(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    device.intercept(Alert, lambda event: eps.refuse())
    message = peer.signaling(3, {"type": "alert"})
    assert exchange(peer, message) == message


def test_setup_that_is_dropped_and_sent_on_later(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    setups: list[eps.SignalEvent[Setup]] = []

    def keep(event: eps.SignalEvent[Setup]) -> eps.Drop:
        setups.append(event)
        return eps.DROP

    device.intercept(Setup, keep)
    peer.send(peer.signaling(3, {"type": "setup", "dsp": "x"}, to=True))
    wait_until(lambda: peer_client.stats.dropped == 1)
    device.send(setups[0].signal, call=3, to_device=True)
    assert peer.receive()["sig"] == {"type": "setup", "dsp": "x"}
    for message in (peer.signaling(3, {"type": "alert"}), peer.signaling(3, {"type": "info"}, to=True)):
        assert exchange(peer, message) == message


def test_rel_that_is_not_sent_does_not_hold_up_later_ones(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    device.intercept(Setup, lambda event: eps.DROP)
    peer.send(peer.signaling(3, {"type": "setup"}, to=True))
    wait_until(lambda: peer_client.stats.dropped == 1)
    for _ in range(40):  # more than may be unsent at a time, and nothing of it is written
        device.send(Rel(dsp="x" * 100_000), call=3, to_device=True, timeout=PATIENCE)
    expect_nothing_more(peer)


def test_what_waits_when_the_connection_ends_is_counted(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    with Hang() as hang:
        device.intercept(Setup, hang, deadline=2)
        peer.send(peer.signaling(3, {"type": "setup"}))
        peer.send(peer.signaling(3, {"type": "info"}))
        assert hang.entered.wait(PATIENCE)
        other_way = peer.signaling(4, {"type": "alert"}, to=True)
        assert exchange(peer, other_way) == other_way
        peer.drop()
        with pytest.raises(eps.ConnectionLostError):
            peer_client.run_forever()
    assert peer_client.stats.lost == 2


# ---------------------------------------------------------------- what the application brings along


class Shy:
    """An interceptor and callback whose repr() is a trap."""

    def __init__(self, trap: Callable[[], Any], call: Callable[[Any], Any]) -> None:
        self._trap, self._call = trap, call

    def __repr__(self) -> str:
        return str(self._trap())

    def __call__(self, event: Any) -> Any:
        return self._call(event)

    def method(self, event: Any) -> Any:
        return self._call(event)


def test_link_survives_an_exit_on_the_application_side(peer: Peer, peer_client: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    device = peer.attach(peer_client)

    def leave(*_: object) -> None:
        sys.exit("as a finalizer may")

    monkeypatch.setattr(device._table, "receive", leave)
    for number in range(3):
        message = peer.signaling(number, {"type": "setup"})
        assert exchange(peer, message) == message
    assert peer_client.connected


@pytest.mark.parametrize("bound", [False, True], ids=["object", "bound method"])
def test_late_interceptor_whose_repr_exits(peer: Peer, peer_client: eps.Client, bound: bool) -> None:
    device = peer.attach(peer_client)
    late: list[eps.InterceptorLate] = []
    device.on(eps.InterceptorLate, late.append)
    with Hang() as hang:
        shy = Shy(lambda: sys.exit("in repr"), hang)
        device.intercept(UserInfo, shy.method if bound else shy, deadline=DEADLINE)
        for number in range(3):
            message = peer.signaling(number, {"type": "user_info"})
            assert exchange(peer, message) == message
        wait_until(lambda: len(late) == 1)
    assert peer_client.connected


def test_failing_callbacks_whose_repr_raises(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    shy = Shy(lambda: 1 / 0, lambda event: sys.exit("in the callback"))
    seen: list[int | None] = []
    device.on(UserInfo, shy)
    device.intercept(UserInfo, shy.method)
    device.intercept(InfoSignal, lambda event: attrs.evolve(event.signal, dsp="asked"))
    device.on(InfoSignal, lambda event: seen.append(event.message.call))  # type: ignore[attr-defined]
    for number in range(2 * MOST_RUNS):
        message = peer.signaling(number, {"type": "user_info"})
        assert exchange(peer, message) == message
        assert exchange(peer, peer.signaling(number, {"type": "info"}))["sig"] == {"type": "info", "dsp": "asked"}
    wait_until(lambda: seen == list(range(2 * MOST_RUNS)))


class BadHandler(logging.Handler):
    def __init__(self, emit: Callable[[], Any]) -> None:
        super().__init__()
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit()


def test_log_handler_that_exits(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    handler = BadHandler(lambda: sys.exit("in the log"))
    logging.getLogger("epsignal_sync").addHandler(handler)
    try:
        seen: list[int | None] = []
        device.on(Setup, lambda event: 1 / 0)
        device.on(Setup, lambda event: seen.append(event.message.call))  # type: ignore[attr-defined]
        device.intercept(Setup, lambda event: sys.exit("in the interceptor"))
        for number in range(2 * MOST_RUNS):
            message = peer.signaling(number, {"type": "setup"})
            assert exchange(peer, message) == message
        wait_until(lambda: seen == list(range(2 * MOST_RUNS)))
    finally:
        logging.getLogger("epsignal_sync").removeHandler(handler)


def test_log_handler_that_blocks_does_not_hold_up_interceptors(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    release = threading.Event()
    handler = BadHandler(lambda: release.wait(PATIENCE))
    logging.getLogger("epsignal_sync").addHandler(handler)
    try:
        failing: Any = lambda event: 1 / 0  # noqa: E731
        device.intercept(Setup, failing, deadline=2)
        device.intercept(InfoSignal, lambda event: attrs.evolve(event.signal, dsp="asked"), deadline=2)
        for number in range(2 * MOST_RUNS):
            message = peer.signaling(number, {"type": "setup"})
            assert exchange(peer, message) == message
            assert exchange(peer, peer.signaling(number, {"type": "info"}))["sig"] == {"type": "info", "dsp": "asked"}
        assert peer_client.stats.late == 0
    finally:
        release.set()
        logging.getLogger("epsignal_sync").removeHandler(handler)


def test_intercept_on_a_call_that_is_over(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    exchange(peer, peer.signaling(3, {"type": "setup"}))
    wait_until(lambda: device.calls)
    call = device.calls[3]
    exchange(peer, peer.signaling(3, {"type": "rel"}))
    call.wait_ended(timeout=PATIENCE)
    with pytest.raises(eps.CallEndedError, match="nothing is intercepted: call 3"):
        call.intercept(Setup, lambda event: None)
    # It may also end in the middle of intercept().
    call._add_interceptor(Setup, lambda event: None, 0.25, None)
    assert not device._attachment.rules and not device._attachment.scopes


def test_finalizers_that_cancel_in_the_middle_of_intercept(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)

    class Holder:
        def __init__(self) -> None:
            self.itself = self  # only garbage collection finds it
            self.interceptors = [source.intercept(Setup, lambda event: None) for source in (device, peer_client)]

        def __del__(self) -> None:
            for one in self.interceptors:
                one.cancel()

    before = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for _ in range(300):
            Holder()
            device.intercept(Alert, lambda event: None).cancel()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert device._interceptors == () and device._attachment.rules == () and peer_client._connections[0].session.rules == ()


def test_close_while_a_worker_is_being_started(peer: Peer, peer_client: eps.Client) -> None:
    peer_client._interceptors_at_work._workers.append(threading.Thread(target=print))
    peer.drop()
    peer_client.close()
    assert peer_client.state == "closed"


def test_refused_device_lets_go_what_is_held(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    with Hang() as hang:
        device.intercept(Setup, hang, deadline=2)
        messages = [peer.signaling(3, {"type": kind}, to=True) for kind in ("setup", "info", "rel")]
        peer.send(messages[0])
        assert hang.entered.wait(PATIENCE)
        peer.send({"mt": "AttachResult", "api": "EpSignal", "src": peer.src, "err": 1})
        for message in messages[1:]:
            peer.send(message)
        assert [peer.receive() for _ in messages] == messages


def test_message_of_no_device_does_not_overtake_what_is_held(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client, HW2)
    device = peer.attach(peer_client, HW1)
    with Hang() as hang:
        device.intercept(Setup, hang, deadline=2)
        setup, rel = peer.signaling(3, {"type": "setup"}, to=True), peer.signaling(3, {"type": "rel"}, to=True)
        del rel["src"]
        peer.send(setup)
        assert hang.entered.wait(PATIENCE)
        peer.send(rel)
        assert [peer.receive(), peer.receive()] == [setup, rel]


def test_cancelled_by_a_finalizer_while_the_rules_are_made(
    peer: Peer, peer_client: eps.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = peer.attach(peer_client)
    exchange(peer, peer.signaling(3, {"type": "setup"}))
    wait_until(lambda: device.calls)
    dying = [device.intercept(Setup, lambda event: None)]
    make_rules = interceptors._rules

    def collect_garbage(source: Any) -> Any:
        rules = make_rules(source)
        while dying:
            dying.pop().cancel()  # as its finalizer would
        return rules

    monkeypatch.setattr(interceptors, "_rules", collect_garbage)
    device.calls[3].intercept(Alert, lambda event: None)
    assert device._interceptors == () and len(device._attachment.rules) == 1


def test_rest_of_a_chain_is_not_asked_after_the_deadline(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    later: list[object] = []
    with Hang() as hang:
        device.intercept(Setup, hang, deadline=DEADLINE)
        device.intercept(Setup, later.append, deadline=DEADLINE)
        message = peer.signaling(3, {"type": "setup"})
        assert exchange(peer, message) == message
    assert hang.left.wait(PATIENCE)
    wait_until(lambda: not peer_client._interceptors_at_work._busy)
    assert not later


def test_interceptor_knows_what_came_just_before(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    seen: list[tuple[Any, ...]] = []
    device.intercept(Alert, lambda event: seen.append((event.call, event.call and event.call.remote.num)))
    setup = peer.signaling(3, {"type": "setup", "cd": {"num": "42"}})
    alert = peer.signaling(3, {"type": "alert"}, to=True)
    peer.sock.sendall(frame(setup) + frame(alert))
    assert [peer.receive(), peer.receive()] == [setup, alert]
    assert seen == [(device.calls[3], "42")]
