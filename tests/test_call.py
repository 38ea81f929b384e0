"""A call as the application sees it: what it knows, waiting for it, and what can be done with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync.events import CallEvent
from epsignal_sync.messages import EP, Alert, Channels, Conn, DialogInfoSubscribe, Disc, MediaSource, Rel, Setup, Signal
from epsignal_sync.protocol import calls, one_sided
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, PATIENCE, wait_until
from .peer import Peer, frame


@pytest.fixture
def device(peer: Peer, peer_client: eps.Client) -> eps.Device:
    return peer.attach(peer_client)


class Phone:
    """What is said of one call of the device, and what the client sends for it."""

    def __init__(self, peer: Peer, device: eps.Device, call: int = 5) -> None:
        self.peer, self.device, self.id = peer, device, call

    def say(self, kind: str, *, to: bool = False, **fields: Any) -> None:
        """Send one signal."""
        self.peer.send(self.peer.signaling(self.id, {"type": kind, **fields}, to=to))

    def told(self) -> tuple[bool, dict[str, Any]]:
        """Return (towards the device, signal) of what the client sends next."""
        message = self.peer.receive()
        assert (message["mt"], message["src"], message["call"]) == ("Signaling", self.peer.src, self.id)
        return message.get("to") is True, message["sig"]

    def call(self) -> eps.Call:
        """Return the call when it is there."""
        wait_until(lambda: self.id in self.device.calls)
        return self.device.calls[self.id]


@pytest.fixture
def phone(peer: Peer, device: eps.Device) -> Phone:
    """An incoming call, which is forwarded."""
    phone = Phone(peer, device)
    phone.say("setup", to=True, cg={"num": "22"}, cd={"num": "23"})
    assert phone.told() == (True, {"type": "setup", "cg": {"num": "22"}, "cd": {"num": "23"}})
    return phone


def own(peer: Peer, call: eps.Call) -> Phone:
    """An own call, after its setup has come."""
    phone = Phone(peer, call.device, call.id)
    to_device, sig = phone.told()
    assert sig["type"] == "setup" and sig["complete"] is True and to_device is bool(call.incoming)
    return phone


def in_thread(function: Callable[[], object]) -> Callable[[], object]:
    """Run a function in a thread that has begun; what is returned waits for it and returns what it did, or raises."""
    result: list[Any] = []

    def run() -> None:
        try:
            result.append(function())
        except eps.EpSignalError as error:
            result.append(error)

    thread = threading.Thread(target=run, name="test-waiter")
    thread.start()

    def finish() -> object:
        thread.join(20)
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    return finish


def nothing_was_sent(peer: Peer, phone: Phone) -> None:
    """Check that nothing comes before what is said now."""
    phone.say("user_info", uui="marker")
    assert phone.told() == (False, {"type": "user_info", "uui": "marker"})


# ------------------------------------------------------------ what it knows


def test_all_that_is_known_of_a_call(phone: Phone) -> None:
    call = phone.call()
    assert (call.id, call.device, call.own, call.incoming, call.state, call.ended) == (5, phone.device, False, True, "setup", False)
    assert (call.remote, call.local, call.dialed) == (eps.Party("22"), eps.Party("23"), "23")
    assert (call.on_hold, call.held, call.media, call.channel, call.conference_id) == (False, False, True, None, None)
    assert (call.diverted_from, call.diverted_to, call.cause, call.ended_by, call.answered_elsewhere) == (None, None, None, None, False)
    assert call.started_at > 0 and (call.connected_at, call.ended_at) == (None, None)
    phone.say("conn", fty=[{"type": "hold_notify"}])
    assert call.wait("connected", timeout=20) is eps.CallState.CONNECTED
    assert call.connected_at is not None and call.on_hold and not call.held
    phone.say("rel", to=True, cau={"num": 26, "zz": 1})
    call.wait_ended(timeout=20)
    assert (call.state, call.ended, call.ended_by, call.answered_elsewhere) == ("null", True, "pbx", True)
    assert call.cause is not None and call.cause.num == 26 and call.cause.extra == {"zz": 1}
    assert 5 not in phone.device.calls and call.remote == eps.Party("22") and call.ended_at is not None


def test_only_the_number_26_is_answered_elsewhere(peer: Peer, device: eps.Device) -> None:
    wrong: list[Any] = [26.0, "26", True, None, [], 16]
    for call_id, number in enumerate(wrong):
        phone = Phone(peer, device, call_id)
        phone.say("setup", to=True)
        call = phone.call()
        phone.say("rel", to=True, cau={"num": number})
        call.wait_ended(timeout=20)
        assert not call.answered_elsewhere


def test_history(peer: Peer, phone: Phone) -> None:
    call = phone.call()
    call.send(Alert(), to_device=False)
    assert phone.told() == (False, {"type": "alert"})
    phone.say("user_info", uui="ü" * 5000)
    phone.say("rel")
    call.wait_ended(timeout=20)
    setup, alert, user_info, rel = call.history
    assert [(one.type, one.to_device, one.verdict) for one in call.history] == [
        ("setup", True, "forwarded"), ("alert", False, "own"), ("user_info", False, "forwarded"), ("rel", False, "forwarded"),
    ]  # fmt: skip
    assert json.loads(setup.text) == peer.signaling(5, {"type": "setup", "cg": {"num": "22"}, "cd": {"num": "23"}}, to=True)
    assert json.loads(alert.text) == peer.signaling(5, {"type": "alert"})
    assert len(user_info.text.encode()) <= 4098 and "ü" * 1000 in user_info.text
    assert setup.at <= alert.at <= rel.at and "text" not in repr(setup)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setup.type = "x"  # type: ignore[misc]


def test_synced_call_has_no_history(peer: Peer, device: eps.Device) -> None:
    peer.send({"mt": "Sync", "api": "EpSignal", "src": peer.src, "call": 5, "info": {"state": "parked", "in": True}})
    call = Phone(peer, device).call()
    assert (call.state, call.incoming, call.history) == ("parked", True, ())


def test_events_of_a_call_in_order(peer: Peer, device: eps.Device, phone: Phone) -> None:
    call, seen = phone.call(), []
    call.on(eps.Event, lambda event: seen.append((type(event).__name__, getattr(event, "state", None), getattr(event, "previous", None))))
    for kind in ("alert", "conn", "alert"):
        phone.say(kind)
    phone.say("disc", to=True)
    phone.say("setup", to=True)  # on a live id
    wait_until(lambda: call.ended and len(seen) == 4)
    assert seen == [
        ("CallStateChanged", "alert", "setup"), ("CallStateChanged", "connected", "alert"),
        ("CallStateChanged", "disconnected", "connected"), ("CallEnded", None, None),
    ]  # fmt: skip
    wait_until(lambda: not call._subscriptions)
    assert phone.call() is not call


def test_replaced_call_ends_before_the_new_one_starts(device: eps.Device, phone: Phone) -> None:
    old, seen = phone.call(), []
    device.on(CallEvent, lambda event: seen.append((type(event), event.call)))
    phone.say("setup")
    wait_until(lambda: len(seen) > 1 and seen[-1][1] is not old)
    assert seen[-2:] == [(eps.CallEnded, old), (eps.CallStarted, device.calls[5])] and old.ended_by == "replaced"


def test_interceptors_of_a_call_that_nobody_watches_go_with_it(phone: Phone) -> None:
    call = phone.call()
    call.intercept(Disc, lambda event: None)
    assert phone.device._attachment.rules
    phone.say("rel")
    call.wait_ended(timeout=20)
    wait_until(lambda: not phone.device._attachment.rules)
    assert not call._interceptors


def test_dropped_setup(device: eps.Device, peer: Peer) -> None:
    phone, seen = Phone(peer, device), []
    device.on(CallEvent, lambda event: seen.append((type(event).__name__, event.call.ended_by, event.call.answered_elsewhere)))
    states: list[object] = []
    device.on(eps.CallStarted, lambda event: states.append(event.state))
    asked: list[eps.Call | None] = []

    @device.intercept(Setup)
    def refuse(event: eps.SignalEvent[Setup]) -> eps.Drop:
        asked.append(event.call)
        return eps.refuse(26)

    phone.say("setup", to=True, cg={"num": "66"})
    assert phone.told() == (False, {"type": "rel", "cau": {"num": 26}})
    phone.say("facility", to=True)
    phone.say("rel", to=True)
    wait_until(lambda: len(seen) == 2)
    (call,) = asked
    assert call is not None and call.remote.num == "66" and call.ended and not device.calls
    assert seen == [("CallStarted", "dropped", True), ("CallEnded", "dropped", True)] and states == ["setup"]


# ------------------------------------------------------------ waiting


def test_wait_for_the_state_it_is_in(phone: Phone) -> None:
    call = phone.call()
    assert call.wait("setup", timeout=0) is eps.CallState.SETUP
    assert call.wait("alert", eps.CallState.SETUP, timeout=None) is eps.CallState.SETUP


def test_no_state_of_a_batch_is_missed(peer: Peer, phone: Phone) -> None:
    call = phone.call()
    finish = [in_thread(lambda state=state: call.wait(state, timeout=20)) for state in ("alert", "connected", "disconnected", "null")]  # type: ignore[misc]
    finish.append(in_thread(lambda: call.wait("connected", "alert", timeout=20)))
    finish.append(in_thread(lambda: call.wait_ended(timeout=20)))
    wait_until(lambda: len(call._waiters._waiters) == 6)
    texts = [peer.signaling(5, {"type": kind}, to=kind == "disc") for kind in ("alert", "conn", "disc", "rel")]
    peer.sock.sendall(b"".join(frame(text) for text in texts))
    assert [one() for one in finish] == ["alert", "connected", "disconnected", "null", "alert", None]
    assert call._waiters._waiters == ()


def test_wait_for_a_call_that_ends_first(phone: Phone) -> None:
    call = phone.call()
    finish = in_thread(lambda: call.wait("connected", "alert", timeout=20))
    wait_until(lambda: call._waiters._waiters)
    phone.say("rel", to=True, cau={"num": 17})
    with pytest.raises(eps.CallEndedError, match=f"call 5 of {HW1} is over, with cause 17, User busy") as failure:
        finish()
    assert failure.value.cause.num == 17


def test_wait_for_a_call_that_is_replaced(phone: Phone) -> None:
    call = phone.call()
    finish = [in_thread(lambda: call.wait("connected", timeout=20)), in_thread(lambda: call.wait_ended(timeout=20))]
    wait_until(lambda: len(call._waiters._waiters) == 2)
    phone.say("setup")
    with pytest.raises(eps.CallEndedError, match="without a cause"):
        finish[0]()
    assert finish[1]() is None


def test_wait_for_a_call_that_is_over(phone: Phone) -> None:
    call = phone.call()
    phone.say("rel")
    call.wait_ended(timeout=20)
    call.wait_ended(timeout=0)
    assert call.wait("connected", "null", timeout=0) is eps.CallState.NULL
    with pytest.raises(eps.CallEndedError):
        call.wait("connected", timeout=0)


def test_wait_in_vain(phone: Phone) -> None:
    call = phone.call()
    with pytest.raises(eps.ReplyTimeout, match=f"call 5 of {HW1} was not connected or parked within 0.05 s"):
        call.wait("connected", "parked", timeout=0.05)
    with pytest.raises(eps.ReplyTimeout, match="did not end"):
        call.wait_ended(timeout=0.05)
    assert call._waiters._waiters == ()


def test_wait_ended_of_a_live_call_without_a_state(peer: Peer, device: eps.Device) -> None:
    phone = Phone(peer, device)
    phone.say("facility")
    call = phone.call()
    assert call.state == "null"
    with pytest.raises(eps.ReplyTimeout):
        call.wait_ended(timeout=0.05)
    finish = in_thread(lambda: call.wait_ended(timeout=20))
    wait_until(lambda: call._waiters._waiters)
    phone.say("rel")
    finish()


def test_wait_for_what_cannot_be(phone: Phone) -> None:
    call = phone.call()
    wrong: list[tuple[Any, ...]] = [(), ("ringing",), ("connected", 5), (None,), ([],), ("",)]
    for states in wrong:
        with pytest.raises(eps.UsageError, match="wait\\(\\) (needs a state|takes null, setup, )"):
            call.wait(*states)
    for timeout in ("1", float("nan"), True):
        with pytest.raises(eps.UsageError, match="time-out"):
            call.wait("alert", timeout=timeout)  # type: ignore[arg-type]
        with pytest.raises(eps.UsageError, match="time-out"):
            call.wait_ended(timeout=timeout)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["close", "drop"])
def test_wait_when_the_client_ends(peer: Peer, peer_client: eps.Client, phone: Phone, how: str) -> None:
    call = phone.call()
    finish = in_thread(lambda: call.wait("connected", timeout=20))
    wait_until(lambda: call._waiters._waiters)
    if how == "close":
        peer_client.close()
        with pytest.raises(eps.ClosedError):
            finish()
        with pytest.raises(eps.ClosedError):
            call.wait_ended(timeout=20)
    else:
        peer.drop()
        with pytest.raises(eps.ConnectionLostError):
            finish()
        call.wait_ended(timeout=20)
        assert call.ended_by == "gap", "without a connection nothing will be known of it any more"


def test_waiting_and_hanging_up_inside_a_callback(peer: Peer, device: eps.Device) -> None:
    done: list[str] = []

    @device.on(Setup)
    def ringing(event: eps.SignalEvent[Setup]) -> None:
        assert event.call is not None
        done.append(event.call.wait("connected", timeout=20))
        event.call.hangup()
        event.call.wait_ended(timeout=20)
        done.append(event.call.state)

    phone = Phone(peer, device)
    for kind in ("setup", "conn"):
        phone.say(kind, to=kind == "setup")
        phone.told()
    assert {phone.told()[0], phone.told()[0]} == {True, False}
    wait_until(lambda: done == ["connected", "null"])


# ------------------------------------------------------------ ending and sending


def test_hangup_of_a_device_s_call_tells_both_sides(phone: Phone) -> None:
    call = phone.call()
    call.hangup(17)
    assert sorted([phone.told(), phone.told()], key=lambda told: told[0]) == [
        (False, {"type": "rel", "cau": {"num": 17}}), (True, {"type": "rel", "cau": {"num": 17}}),
    ]  # fmt: skip
    call.wait_ended(timeout=20)
    assert call.ended_by == "app" and call.cause is not None and call.cause.num == 17
    assert 5 not in phone.device.calls


def test_second_hangup(peer: Peer, phone: Phone) -> None:
    call = phone.call()
    call.hangup()
    verbs: list[Callable[[], None]] = [call.hangup, lambda: call.send(Alert(), to_device=True), lambda: call.send(Rel(), to_device=False)]
    for verb in verbs:
        with pytest.raises(eps.CallEndedError, match=f"sent nothing: call 5 of {HW1} (was hung up before|is over)"):
            verb()
    assert {phone.told()[0], phone.told()[0]} == {True, False}
    call.wait_ended(timeout=20)
    nothing_was_sent(peer, Phone(peer, phone.device, 6))


def test_verbs_on_a_call_that_is_over(peer: Peer, phone: Phone) -> None:
    call = phone.call()
    phone.say("rel", cau={"num": 16})
    phone.told()
    call.wait_ended(timeout=20)
    verbs: list[Callable[[], None]] = [call.hangup, lambda: call.send(Alert(), to_device=True), lambda: call.send(Rel(), to_device=True)]
    for verb in verbs:
        with pytest.raises(eps.CallEndedError, match="call 5 of .* is over, with cause 16, Normal call clearing") as failure:
            verb()
        assert failure.value.cause.num == 16
    nothing_was_sent(peer, Phone(peer, phone.device, 6))


@pytest.mark.parametrize("verb", ["call", "device"])
def test_call_that_is_released_side_by_side(phone: Phone, verb: str) -> None:
    call = phone.call()

    def release(to_device: bool) -> None:
        if verb == "call":
            call.send(Rel(), to_device=to_device)
        else:
            phone.device.send(Rel(), call=call, to_device=to_device)
        assert phone.told() == (to_device, {"type": "rel"})

    release(True)
    wait_until(lambda: len(call.history) == 2)
    assert not call.ended
    with pytest.raises(eps.CallEndedError):
        call.send(Alert(), to_device=True)
    call.send(Alert(), to_device=False)
    assert phone.told() == (False, {"type": "alert"})
    release(False)
    call.wait_ended(timeout=20)
    assert call.ended_by == "app"


@pytest.mark.parametrize("verb", ["call", "device"])
def test_hangup_of_a_call_that_is_released_on_one_side(peer: Peer, phone: Phone, verb: str) -> None:
    call = phone.call()
    if verb == "call":
        call.send(Rel(), to_device=True)
    else:
        phone.device.send(Rel(), call=call, to_device=True)
    assert phone.told()[0] is True
    wait_until(lambda: len(call.history) == 2)
    call.hangup(17)
    assert phone.told() == (False, {"type": "rel", "cau": {"num": 17}})
    call.wait_ended(timeout=20)
    nothing_was_sent(peer, Phone(peer, phone.device, 6))


def test_conn_that_crosses_a_rel_to_one_side(peer: Peer, phone: Phone) -> None:
    call = phone.call()
    call.send(Rel(), to_device=True)
    assert phone.told()[0] is True
    for kind in ("conn", "rel"):
        phone.say(kind)
    wait_until(lambda: len(call.history) == 4)
    assert (call.state, call.ended) == ("setup", False)
    phone.say("rel", to=True)
    call.wait_ended(timeout=20)
    assert call.ended_by == "pbx"
    nothing_was_sent(peer, Phone(peer, phone.device, 6))


def test_hangup_with_no_cause_value(peer: Peer, phone: Phone) -> None:
    wrong: list[Any] = [0, 128, -1, "16", True, None, 16.0]
    for cause in wrong:
        with pytest.raises(eps.UsageError, match="hangup\\(\\) takes a Q.850 cause value"):
            phone.call().hangup(cause)
    nothing_was_sent(peer, phone)


def test_send_on_a_device_s_call(phone: Phone) -> None:
    call = phone.call()
    for to_device in (True, False):
        call.send(Alert(), to_device=to_device)
        assert phone.told() == (to_device, {"type": "alert"})
    assert call.state == "setup"  # what the app says is not said by the call's sides


def test_send_nonsense(peer: Peer, phone: Phone) -> None:
    call = phone.call()
    sides: list[Any] = [None, 1, "to", 0]
    for to_device in sides:
        with pytest.raises(eps.UsageError, match=f"call 5 of {HW1} has two sides"):
            call.send(Alert(), to_device=to_device)
    signals: list[Any] = [None, "rel", Rel, EP()]
    for signal in signals:
        with pytest.raises(eps.UsageError, match="send\\(\\) takes a signaling message"):
            call.send(signal, to_device=True)
    nothing_was_sent(peer, phone)


def test_hangup_by_many_threads(peer: Peer, phone: Phone) -> None:
    call = phone.call()
    results: list[object] = []
    finish = [in_thread(call.hangup) for _ in range(8)]
    for one in finish:
        try:
            results.append(one())
        except eps.CallEndedError as error:
            results.append(error)
    assert results.count(None) in (1, 2)  # two, where each has told one side
    assert {phone.told()[0], phone.told()[0]} == {True, False}
    nothing_was_sent(peer, Phone(peer, phone.device, 6))


def test_hangup_that_cannot_be_sent_can_be_tried_again(monkeypatch: pytest.MonkeyPatch, phone: Phone) -> None:
    call = phone.call()
    with monkeypatch.context() as patch:
        patch.setattr("epsignal_sync.relay.inbox.OWN_SHARE", -1)
        with pytest.raises(eps.ReplyTimeout):
            call.hangup(timeout=0)
    assert not call._record.claimed
    call.hangup()
    assert {phone.told()[0], phone.told()[0]} == {True, False}


# ------------------------------------------------------------ calls of the app


@pytest.mark.parametrize("direction", ["dial", "ring"])
def test_own_call_from_beginning_to_end(peer: Peer, device: eps.Device, direction: str) -> None:
    seen: list[tuple[str, Any, Any]] = []
    device.on(eps.Event, lambda event: seen.append((type(event).__name__, getattr(event, "state", None), event.call)))
    call = device.dial("23") if direction == "dial" else device.ring("22", name="Ä")
    assert device.calls[call.id] is call and call.id < 0 and (call.own, call.state) == (True, "setup")
    phone = Phone(peer, device, call.id)
    to_device, answers = direction == "ring", direction == "dial"
    common = {"type": "setup", "bc": "8090a2", "complete": True, "channel": -1}
    party = {"cg": {"num": "22"}, "fty": [{"type": "name_identification", "name": "Ä"}]} if to_device else {"cd": {"num": "23"}}
    assert phone.told() == (to_device, {**common, **party})
    assert call.remote == (eps.Party("22", None, "Ä") if to_device else eps.Party("23"))
    for kind in ("alert", "conn"):
        phone.say(kind, to=answers)
    assert call.wait("connected", timeout=20) == "connected"
    call.send(Alert())
    assert phone.told() == (to_device, {"type": "alert"})
    call.hangup(17)
    assert phone.told() == (to_device, {"type": "rel", "cau": {"num": 17}})
    call.wait_ended(timeout=20)
    assert (call.ended_by, call.state, device.calls) == ("app", "null", {})
    phone.say("rel", to=answers)
    wait_until(lambda: len(seen) == 5)
    names = [("CallStarted", "setup"), ("CallStateChanged", "alert"), ("CallStateChanged", "connected"), ("CallStateChanged", "null"),
             ("CallEnded", None)]  # fmt: skip
    assert seen == [(*name, call) for name in names]
    nothing_was_sent(peer, Phone(peer, device, 6))


def test_setup_of_an_own_call_says_all_that_was_given(peer: Peer, device: eps.Device) -> None:
    device.dial(sip="bob", channels=Channels(source=MediaSource.LOCAL), facilities=[DialogInfoSubscribe()])
    assert peer.receive()["sig"] == {
        "type": "setup", "bc": "8090a2", "cd": {"sip": "bob"}, "complete": True, "channel": -1, "channels_cmd": "PROPOSAL",
        "channels": {"source": "LOCAL"}, "fty": [{"type": "dialog_info_subscribe"}],
    }  # fmt: skip
    call = device.ring("I4970", sip="bob", media=False)
    assert peer.receive()["sig"] == {
        "type": "setup", "bc": "a880", "cg": {"num": "I4970", "sip": "bob"}, "complete": True, "channel": 0,
    }  # fmt: skip
    assert not call.media and call.id not in device.media_calls and call.id in device.calls


BAD: list[dict[str, Any]] = [
    {}, {"number": ""}, {"number": "", "sip": ""}, {"number": 23}, {"number": None}, {"number": b"23"}, {"sip": 5}, {"number": "12a"},
    {"number": "+49"}, {"number": "I"}, {"number": "1", "media": 1}, {"number": "1", "media": False, "channels": Channels()},
    {"number": "1", "channels": "x"}, {"number": "1", "facilities": 5}, {"number": "1", "facilities": "x"},
    {"number": "1", "facilities": [Rel()]}, {"number": "1", "timeout": "x"},
]  # fmt: skip


def test_own_call_of_nonsense(peer: Peer, device: eps.Device) -> None:
    started: list[eps.CallStarted] = []
    device.on(eps.CallStarted, started.append)
    for arguments in BAD:
        for verb in (device.dial, device.ring):
            with pytest.raises(eps.UsageError):
                verb(**arguments)
            assert not device.calls
    nothing_was_sent(peer, Phone(peer, device, 6))
    wait_until(lambda: started)
    assert [event.call.id for event in started] == [6]


def test_own_call_names_the_rule(device: eps.Device) -> None:
    with pytest.raises(eps.UsageError, match="dial\\(\\) needs a number or sip=: whom to call"):
        device.dial()
    with pytest.raises(eps.UsageError, match="ring\\(\\) needs a number or sip=: who is calling"):
        device.ring(name="Ä")


def test_own_call_on_a_device_that_is_not_attached(peer: Peer, device: eps.Device) -> None:
    peer.send({"mt": "Detached", "api": "EpSignal", "src": peer.src})
    wait_until(lambda: not device.attached)
    for verb in (device.dial, device.ring):
        with pytest.raises(eps.DetachedError, match=f"sent nothing: {HW1} is not attached"):
            verb("23")
    assert not device.calls
    nothing_was_sent(peer, Phone(peer, device, 6))


def test_own_call_on_a_client_that_has_ended(peer: Peer, peer_client: eps.Client, device: eps.Device) -> None:
    peer.drop()
    wait_until(lambda: not peer_client.connected)
    with pytest.raises(eps.ConnectionLostError):
        device.dial("23")
    peer_client.close()
    with pytest.raises((eps.ClosedError, eps.ConnectionLostError)):
        device.ring("23")
    assert not device.calls


def test_own_call_whose_setup_cannot_be_sent(monkeypatch: pytest.MonkeyPatch, peer: Peer, device: eps.Device) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("epsignal_sync.relay.inbox.OWN_SHARE", -1)
        with pytest.raises(eps.ReplyTimeout):
            device.dial("23", timeout=0)
    assert not device.calls
    nothing_was_sent(peer, Phone(peer, device, 6))


@pytest.mark.parametrize("direction", ["dial", "ring"])
@pytest.mark.parametrize(("cau", "answer"), [({"num": 17, "loc": 2, "zz": []}, {"loc": 2, "num": 17}), (None, None), ({"num": [5]}, None)])
def test_disc_of_an_own_call_is_answered_once(peer: Peer, device: eps.Device, direction: str, cau: Any, answer: Any) -> None:
    call = device.dial("23") if direction == "dial" else device.ring("22")
    phone, answers = own(peer, call), direction == "dial"
    for _ in range(2):
        phone.say("disc", to=answers, cau=cau)
    told = phone.told()
    assert told == (not answers, {"type": "rel", **({"cau": answer} if answer is not None else {})})
    call.wait_ended(timeout=20)
    assert call.ended_by == ("pbx" if answers else "device")
    with pytest.raises(eps.CallEndedError):
        call.hangup()
    phone.say("disc", to=answers)
    nothing_was_sent(peer, Phone(peer, device, 6))
    wait_until(lambda: 6 in device.calls)
    assert list(device.calls) == [6]


@pytest.mark.parametrize("direction", ["dial", "ring"])
def test_rel_of_an_own_call_is_not_answered(peer: Peer, device: eps.Device, direction: str) -> None:
    call = device.dial("23") if direction == "dial" else device.ring("22")
    phone = own(peer, call)
    for _ in range(2):
        phone.say("rel", to=direction == "dial", cau={"num": 17})
    call.wait_ended(timeout=20)
    assert (call.ended_by, call.cause and call.cause.num) == ("pbx" if direction == "dial" else "device", 17)
    nothing_was_sent(peer, Phone(peer, device, 6))


def test_disc_while_a_hangup_waits_to_be_sent(monkeypatch: pytest.MonkeyPatch, peer: Peer, device: eps.Device) -> None:
    """hangup() has undertaken to send the rel and cannot: the disc that came meanwhile is answered all the same."""
    call = device.dial("23")
    phone = own(peer, call)
    with monkeypatch.context() as patch:
        patch.setattr("epsignal_sync.relay.inbox.OWN_SHARE", -1)
        finish = in_thread(lambda: call.hangup(timeout=1))
        wait_until(lambda: call._record.claimed)
        phone.say("disc", to=True, cau={"num": 17})
        wait_until(lambda: call.state == "disconnected")
        finish()
    assert phone.told() == (False, {"type": "rel", "cau": {"num": 17}})
    call.wait_ended(timeout=20)
    nothing_was_sent(peer, Phone(peer, device, 6))


def test_send_on_an_own_call(peer: Peer, device: eps.Device) -> None:
    call = device.dial("23")
    phone = own(peer, call)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"signal": Alert(), "to_device": True}, "has one far end"), ({"signal": Alert(), "to_device": False}, "has one far end"),
        ({"signal": Setup()}, "has had its setup"), ({"signal": "rel"}, "takes a signaling message"),
    ]  # fmt: skip
    for arguments, text in wrong:
        with pytest.raises(eps.UsageError, match=text):
            call.send(**arguments)
    call.send(Conn())
    assert phone.told() == (False, {"type": "conn"})


@pytest.mark.parametrize("signal", [Rel(), Disc()])
def test_own_call_that_is_ended_by_a_signal(peer: Peer, device: eps.Device, signal: Signal) -> None:
    call = device.ring("22")
    phone = own(peer, call)
    call.send(signal)
    assert phone.told()[0] is True
    if isinstance(signal, Disc):
        phone.say("rel")
    call.wait_ended(timeout=20)
    assert call.ended_by == "app"
    nothing_was_sent(peer, Phone(peer, device, 6))


def test_own_id_is_never_a_call_again(peer: Peer, device: eps.Device) -> None:
    call = device.dial("23")
    phone = own(peer, call)
    call.hangup()
    phone.told()
    call.wait_ended(timeout=20)
    for kind in ("setup", "alert", "info"):
        phone.say(kind, to=True)
    peer.send({"mt": "Sync", "api": "EpSignal", "src": peer.src, "call": call.id, "info": {"state": "connected"}})
    nothing_was_sent(peer, Phone(peer, device, 6))
    wait_until(lambda: 6 in device.calls)
    assert list(device.calls) == [6]


def test_negative_id_of_somebody_else_is_a_call_of_the_device(peer: Peer, device: eps.Device) -> None:
    phone = Phone(peer, device, -(2**31))
    phone.say("setup", to=True)
    assert phone.told() == (True, {"type": "setup"})
    assert not phone.call().own


def test_own_calls_of_two_devices_are_kept_apart(peer: Peer, peer_client: eps.Client, device: eps.Device) -> None:
    first = device.dial("23")
    peer.receive()
    other = peer.attach(peer_client, HW2)
    second = other.dial("23")
    assert peer.receive()["src"] == peer.src
    assert first.id != second.id and list(device.calls) == [first.id] and list(other.calls) == [second.id]
    peer.send(peer.signaling(first.id, {"type": "rel"}, to=True))  # said of the other device
    peer.send(peer.signaling(second.id, {"type": "rel"}, to=True))
    second.wait_ended(timeout=20)
    assert not first.ended


def test_ids_stay_unique_over_many_threads(peer: Peer, device: eps.Device) -> None:
    ids: list[int] = []

    def start() -> None:
        for _ in range(50):
            ids.append(device.dial("23", media=False).id)

    finish = [in_thread(start) for _ in range(4)]
    received = {peer.receive()["call"] for _ in range(200)}
    for one in finish:
        one()
    assert len(ids) == len(set(ids)) == 200 and received == set(ids) == set(device.calls)


def test_ended_call_is_remembered_as_long_as_its_messages_are_consumed() -> None:
    assert one_sided.MEMORY == calls.MEMORY


# ------------------------------------------------------------ with phones

Phones = tuple[SimulatedPhone, SimulatedPhone]


def test_dial_on_behalf_of_a_phone(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    device.wait_attached(timeout=20)
    call = device.dial("23")
    assert phones[1].wait("alert", timeout=20).remote["num"] == "22"
    assert call.wait("alert", timeout=20) == "alert"
    phones[1].answer()
    call.wait("connected", timeout=20)
    assert (call.remote.num, call.remote.name, call.incoming) == ("23", "Bob", False)
    assert [one for one in phones[0].calls if one.channel != 0] == []  # the phone itself hears nothing of it
    phones[1].hangup()
    call.wait_ended(timeout=20)
    assert call.ended_by == "pbx" and call.cause is not None and call.cause.text == "Normal call clearing"


def test_ring_a_phone(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    device.wait_attached(timeout=20)
    call = device.ring("110", name="Door")
    ringing = phones[0].wait("alert", timeout=20)
    assert ringing.remote["num"] == "110"
    call.wait("alert", timeout=20)
    phones[0].answer()
    call.wait("connected", timeout=20)
    call.hangup()
    ringing.wait("null", timeout=20)
    call.wait_ended(timeout=20)
    assert call.ended_by == "app" and not device.media_calls


@pytest.mark.parametrize("kind", ["busy", "unknown", "hangup"])
def test_own_call_that_the_other_side_ends(pbx: SimulatedPBX, client: eps.Client, phones: Phones, kind: str) -> None:
    """Whether it comes as a disc, which the library answers, or as a rel."""
    device = client.attach(HW1)
    device.wait_attached(timeout=20)
    phones[1].busy = kind == "busy"
    if kind == "hangup":
        call = device.ring("110")  # to a phone that says disc
        phones[0].wait("alert", timeout=20)
        phones[0].reject()
    else:
        call = device.dial("23" if kind == "busy" else "99")
    call.wait_ended(timeout=20)
    assert call.cause is not None and call.cause.num == {"busy": 17, "unknown": 1, "hangup": 21}[kind]
    assert call.ended_by == ("device" if kind == "hangup" else "pbx") and not device.media_calls


@pytest.mark.parametrize("attached", [True, False], ids=["attached a little later", "never attached"])
def test_dial_right_after_attach(peer: Peer, peer_client: eps.Client, attached: bool) -> None:
    """Attached comes behind the AttachResult, which is what attach() waits for."""
    dialing = threading.Event()

    def answer() -> None:
        src = peer.receive()["src"]
        peer.send({"mt": "AttachResult", "api": "EpSignal", "src": src})
        assert dialing.wait(PATIENCE)
        if attached:
            peer.send({"mt": "Attached", "api": "EpSignal", "src": src})

    server = threading.Thread(target=answer)
    server.start()
    device = peer_client.attach(HW1)
    dialing.set()
    if attached:
        assert device.dial("23", timeout=PATIENCE).state == "setup"
        assert peer.receive()["sig"]["type"] == "setup"
    else:
        with pytest.raises(eps.DetachedError, match="is not attached now"):
            device.dial("23")
        assert not device.calls and peer_client.stats.sent == 3
    server.join(PATIENCE)


def test_setup_is_not_overtaken_by_a_rel_of_another_thread(peer: Peer, device: eps.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, go_on = threading.Event(), threading.Event()
    send = device._connection.send_signaling

    def slow(*arguments: Any) -> None:
        waiting.set()
        assert go_on.wait(PATIENCE)
        send(*arguments)

    monkeypatch.setattr(device._connection, "send_signaling", slow)
    dialer = threading.Thread(target=lambda: device.dial("23"))
    dialer.start()
    assert waiting.wait(PATIENCE)
    [call] = device.calls.values()
    with pytest.raises(eps.UsageError, match="is not queued yet"):
        call.hangup()
    with pytest.raises(eps.UsageError, match="is not queued yet"):
        call.send(Rel())
    go_on.set()
    dialer.join(PATIENCE)
    call.hangup()
    assert [peer.receive()["sig"]["type"] for _ in range(2)] == ["setup", "rel"]


def test_own_calls_end_with_the_connection(peer: Peer, peer_client: eps.Client, device: eps.Device, phone: Phone) -> None:
    ended: list[eps.Call] = []
    device.on(eps.CallEnded, lambda event: ended.append(event.call))
    call = device.dial("23")
    assert peer.receive()["sig"]["type"] == "setup"
    wait_until(lambda: call._record.began)
    peer.drop()
    wait_until(lambda: len(ended) == 2)
    assert ended[0] is call and (call.ended, call.ended_by) == (True, "gap")
    assert ended[1].id == phone.id and ended[1].ended_by == "gap" and not device.calls, "the connection does not come back"


def test_the_end_of_a_call_whose_state_is_not_known(peer: Peer, device: eps.Device) -> None:
    phone = Phone(peer, device)
    phone.say("facility")
    call = phone.call()
    assert call.state == "null" and not call.ended
    with pytest.raises(eps.ReplyTimeout):
        call.wait("null", timeout=0.01)
    phone.say("rel")
    assert call.wait("null", timeout=PATIENCE) == "null" and call.ended


@pytest.mark.parametrize("to_device", ["no", 0, 1, None, []])
def test_device_send_in_a_direction_that_does_not_exist(peer: Peer, device: eps.Device, to_device: Any) -> None:
    with pytest.raises(eps.UsageError, match="to_device=True"):
        device.send(Rel(), call=5, to_device=to_device)
    nothing_was_sent(peer, Phone(peer, device, 6))
