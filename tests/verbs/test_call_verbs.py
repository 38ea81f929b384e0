"""The verbs of a call at a scripted peer: what they say, what answers them, and whatever else can end the wait."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Conn, Facility, Rel, Setup, Signal, UserInfo

from ..conftest import HW1, wait_until
from ..peer import PATIENCE, Peer, frame
from ..test_call import Phone, in_thread, nothing_was_sent, own
from .script import SENT_ONLY, WAITING, CallVerb, bring_to, control, facility

Outcomes = list[eps.Outcome[Any]]

each = pytest.mark.parametrize("verb", WAITING, ids=lambda verb: verb.name)
sent_only = pytest.mark.parametrize("verb", SENT_ONLY, ids=lambda verb: verb.name)


def said(phone: Phone, verb: CallVerb) -> None:
    """Take what the verb sends."""
    assert phone.told() == (verb.to_device, verb.sent)


def answered(phone: Phone, verb: CallVerb) -> None:
    """Have the answer come, and take it where it was forwarded to."""
    phone.peer.send(phone.peer.signaling(phone.id, verb.answer, to=not verb.to_device))
    assert phone.told() == (not verb.to_device, verb.answer), "the answer goes on"


# ------------------------------------------------------------ what is sent, and what is success


@each
def test_success(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    finish = in_thread(lambda: verb.say(call, timeout=PATIENCE))
    said(phone, verb)
    answered(phone, verb)
    result = finish()
    assert result is None if verb.result is None else isinstance(result, verb.result)
    wait_until(lambda: not call._listeners)


def test_result_by_callback_comes_after_the_events_before_it(phone: Phone) -> None:
    call = bring_to(phone, "connected")
    seen: list[str] = []
    called = threading.Event()

    def on_result(outcome: eps.Outcome[None]) -> None:
        seen.append("Outcome")
        called.set()

    phone.device.on(UserInfo, lambda event: seen.append("UserInfo"))
    phone.device.on(Rel, lambda event: seen.append("Rel"))
    call.park("24", on_result=on_result)
    phone.told()
    texts = [phone.peer.signaling(phone.id, sig, to=True) for sig in ({"type": "user_info", "uui": "x"}, {"type": "rel"})]
    phone.peer.sock.sendall(b"".join(map(frame, texts)))  # so that they are one batch
    assert called.wait(PATIENCE)
    assert seen == ["UserInfo", "Rel", "Outcome"]


@pytest.mark.parametrize("verb", [WAITING[0], WAITING[-1], *SENT_ONLY[1:]], ids=lambda verb: verb.name)
def test_verb_in_an_interceptor_of_the_setup(peer: Peer, device: eps.Device, verb: CallVerb) -> None:
    errors: list[Exception] = []

    def ask(event: eps.SignalEvent[Setup]) -> None:
        with pytest.raises(eps.UsageError, match=f"sent nothing for call 5 of {HW1}: its setup has not gone on yet") as raised:
            verb.say(event.call)
        errors.append(raised.value)

    device.intercept(Setup, ask, deadline=2)
    phone = Phone(peer, device)
    phone.say("setup", to=True)
    assert phone.told() == (True, {"type": "setup"}), "the setup is the first that is sent"
    assert len(errors) == 1
    nothing_was_sent(peer, phone)


@each
def test_success_by_callback(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    outcomes: Outcomes = []
    threads: list[str] = []

    def on_result(outcome: eps.Outcome[Any]) -> None:
        outcomes.append(outcome)
        threads.append(threading.current_thread().name)

    assert verb.say(call, on_result=on_result) is None
    said(phone, verb)
    assert not outcomes
    answered(phone, verb)
    wait_until(lambda: outcomes)
    (outcome,) = outcomes
    assert (outcome.ok, outcome.error, outcome.call, outcome.device) == (True, None, call, phone.device)
    assert outcome.result is None if verb.result is None else isinstance(outcome.result, verb.result)
    assert threads == ["epsignal-callbacks"] and not call._listeners


@sent_only
def test_verb_that_is_done_when_it_is_sent(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    outcomes: Outcomes = []
    assert verb.say(call) is None
    said(phone, verb)
    assert verb.say(call, on_result=outcomes.append) is None
    said(phone, verb)
    wait_until(lambda: outcomes)
    assert outcomes[0].ok and outcomes[0].result is None


@each
def test_answer_from_the_wrong_side_is_none(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    finish = in_thread(lambda: verb.say(call, timeout=0.1))
    said(phone, verb)
    phone.say("facility", to=verb.to_device, fty=[{"type": kind} for kind in ("hold_notify", "retrieve_notify", "ct_initiate_result")])
    if verb.name == "answer()":
        phone.say("conn", to=True)
    with pytest.raises(eps.ReplyTimeout):
        finish()


@pytest.mark.parametrize(("verb", "kind"), [(WAITING[1], "remote_hold"), (WAITING[2], "remote_retrieve")])
def test_phone_that_asks_the_other_side_to_hold(phone: Phone, verb: CallVerb, kind: str) -> None:
    call = bring_to(phone, "connected")
    finish = in_thread(lambda: verb.say(call, timeout=PATIENCE))
    said(phone, verb)
    phone.say("alert", fty=[5, {"type": []}, {"type": "name_identification"}, {"type": kind}])  # hostile ones beside it
    result: Any = finish()
    assert result.wire_name == kind


def test_answer_with_another_code(phone: Phone) -> None:
    call = bring_to(phone, "alert")
    finish = in_thread(lambda: call.answer(eps.messages.RemoteControl.ACCEPT, timeout=PATIENCE))
    assert phone.told() == (True, control("ACCEPT"))
    phone.say("conn")
    finish()


def test_conn_that_crosses_the_wish_to_answer(phone: Phone) -> None:
    call = bring_to(phone, "alert")
    finish = in_thread(lambda: call.answer(timeout=PATIENCE))
    wait_until(lambda: call._listeners)
    phone.say("conn")
    finish()


def test_dtmf_is_one_message_for_each_digit_in_order(phone: Phone) -> None:
    call = bring_to(phone, "connected")
    call.dtmf("123#*")
    assert [phone.told() for _ in range(5)] == [(True, control("DTMF_DIGIT", digit=one)) for one in "123#*"]


# ------------------------------------------------------------ refused, late, over


@pytest.mark.parametrize(
    ("fields", "cause"), [({"error": 1008, "cause": 21}, 21), ({"error": 0}, None), ({"error": "?", "cause": "?"}, None)]
)
@pytest.mark.parametrize("by_callback", [False, True])
def test_refused_transfer(phone: Phone, fields: dict[str, Any], cause: int | None, by_callback: bool) -> None:
    call = bring_to(phone, "connected")
    outcomes: Outcomes = []
    finish = in_thread(lambda: call.transfer(sip="carol", timeout=PATIENCE, on_result=outcomes.append if by_callback else None))
    assert phone.told() == (False, facility("ct_initiate", dst={"sip": "carol"}))
    phone.say("facility", to=True, fty=[{"type": "ct_initiate_result", **fields}])
    with pytest.raises(eps.CallError, match=f"transfer\\(\\) was refused for call 5 of {HW1}") as failure:
        finish()
        wait_until(lambda: outcomes)
        raise outcomes[0].error  # type: ignore[misc]
    assert not isinstance(failure.value, eps.CallEndedError) and not call.ended
    assert (failure.value.cause.num if cause else failure.value.cause) == cause


@each
def test_timed_out(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    outcomes: Outcomes = []
    with pytest.raises(eps.ReplyTimeout, match=f"^{verb.name[:-2]}\\(\\) was not answered for call 5 of {HW1} within 0.05 s: "):
        verb.say(call, timeout=0.05)
    said(phone, verb)
    assert verb.say(call, timeout=0.05, on_result=outcomes.append) is None
    said(phone, verb)
    wait_until(lambda: outcomes)
    assert isinstance(outcomes[0].error, eps.ReplyTimeout) and not outcomes[0].ok and outcomes[0].result is None
    assert not call._listeners and not phone.device._connection.replies._open


@each
@pytest.mark.parametrize("by_callback", [False, True])
def test_device_hangs_up_meanwhile(phone: Phone, verb: CallVerb, by_callback: bool) -> None:
    call = bring_to(phone, verb.state)
    outcomes: Outcomes = []
    finish = in_thread(lambda: verb.say(call, timeout=PATIENCE, on_result=outcomes.append if by_callback else None))
    said(phone, verb)
    phone.say("rel", cau={"num": 21})
    with pytest.raises(eps.CallEndedError, match=f"call 5 of {HW1} is over, with cause 21") as failure:
        finish()
        wait_until(lambda: outcomes)
        raise outcomes[0].error  # type: ignore[misc]
    assert failure.value.cause.num == 21


@each
def test_app_hangs_up_meanwhile(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    finish = in_thread(lambda: verb.say(call, timeout=PATIENCE))
    said(phone, verb)
    call.hangup(18)
    with pytest.raises(eps.CallEndedError) as failure:
        finish()
    assert failure.value.cause.num == 18


@pytest.mark.parametrize("verb", WAITING[3:], ids=lambda verb: verb.name)
def test_pbx_that_takes_the_call_away_with_a_disc(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    finish = in_thread(lambda: verb.say(call, timeout=PATIENCE))
    said(phone, verb)
    phone.say("disc", to=True, cau={"num": 16})
    phone.say("rel")  # of the phone, in answer to it
    assert finish() is None and call.ended_by == "pbx"


@pytest.mark.parametrize("verb", WAITING[:3], ids=lambda verb: verb.name)
def test_pbx_that_ends_the_call(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    finish = in_thread(lambda: verb.say(call, timeout=PATIENCE))
    said(phone, verb)
    phone.say("rel", to=True, cau={"num": 26})
    with pytest.raises(eps.CallEndedError):
        finish()


@each
@pytest.mark.parametrize("by_callback", [False, True])
@pytest.mark.parametrize(("how", "error"), [("drop", eps.ConnectionLostError), ("close", eps.ClosedError), ("detach", eps.DetachedError)])
def test_connection_or_device_that_goes_meanwhile(
    peer: Peer, peer_client: eps.Client, phone: Phone, verb: CallVerb, how: str, error: type[Exception], by_callback: bool
) -> None:
    call = bring_to(phone, verb.state)
    outcomes: Outcomes = []
    finish = in_thread(lambda: verb.say(call, timeout=None, on_result=outcomes.append if by_callback else None))
    said(phone, verb)
    if by_callback:
        finish()
    if how == "drop":
        peer.drop()
    elif how == "close":
        closing = in_thread(peer_client.close)
    else:
        peer.send({"mt": "Detached", "api": "EpSignal", "src": peer.src})
    with pytest.raises(error):
        finish()
        wait_until(lambda: outcomes)
        raise outcomes[0].error  # type: ignore[misc]
    if how == "close":
        peer.drop()
        closing()
    wait_until(lambda: not call._listeners)
    assert len(outcomes) == by_callback


@pytest.mark.parametrize("verb", [*WAITING, *SENT_ONLY], ids=lambda verb: verb.name)
def test_nothing_can_be_sent(peer: Peer, peer_client: eps.Client, phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    outcomes: Outcomes = []
    peer.send({"mt": "Detached", "api": "EpSignal", "src": peer.src})
    wait_until(lambda: not phone.device.attached)
    with pytest.raises(eps.DetachedError, match=f"{verb.name[:-2]}\\(\\) sent nothing: {HW1} is not attached"):
        verb.say(call, on_result=outcomes.append)
    peer.drop()
    wait_until(lambda: not peer_client.connected)
    with pytest.raises((eps.ConnectionLostError, eps.CallEndedError)):
        verb.say(call, on_result=outcomes.append)
    wait_until(lambda: not call._listeners and not phone.device._connection.replies._open)
    assert not outcomes


@pytest.mark.parametrize("verb", [*WAITING, *SENT_ONLY], ids=lambda verb: verb.name)
def test_verb_on_a_call_that_is_over(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    phone.say("rel", cau={"num": 17})
    phone.told()
    call.wait_ended(timeout=PATIENCE)
    with pytest.raises(eps.CallEndedError, match=f"{verb.name[:-2]}\\(\\) sent nothing: call 5 of {HW1} is over, with cause 17"):
        verb.say(call)
    nothing_was_sent(phone.peer, phone)


def test_verb_on_a_call_that_the_other_side_has_hung_up(phone: Phone) -> None:
    call = bring_to(phone, "connected")
    phone.say("disc", to=True, cau={"num": 16})
    phone.told()
    call.wait("disconnected", timeout=PATIENCE)
    with pytest.raises(eps.CallEndedError, match="hold\\(\\) sent nothing: call 5 of .* was hung up before"):
        call.hold()
    nothing_was_sent(phone.peer, phone)


def test_verb_towards_a_side_that_the_app_has_released(phone: Phone) -> None:
    call = bring_to(phone, "connected")
    call.send(eps.messages.Rel(), to_device=True)
    assert phone.told() == (True, {"type": "rel"})
    with pytest.raises(eps.CallEndedError):
        call.hold()
    call.user_info("the other side is there still")
    assert phone.told()[1]["type"] == "user_info"


# ------------------------------------------------------------ attended transfer


@pytest.fixture
def pair(peer: Peer, phone: Phone) -> tuple[Phone, Phone]:
    """Two calls of the device: one that is connected, and a consultation call that rings."""
    bring_to(phone, "connected")
    other = Phone(peer, phone.device, 6)
    other.say("setup", cd={"num": "24"})
    other.told()
    other.say("alert", to=True)
    other.told()
    wait_until(lambda: other.call().state == "alert")
    return phone, other


def test_attended_transfer_with_an_empty_party(pair: tuple[Phone, Phone]) -> None:
    first, second = pair
    finish = in_thread(lambda: first.call().transfer(second.call(), timeout=PATIENCE))
    second.told()
    second.say("facility", to=True, fty=[{"type": "ct_identify_result", "id": 77, "dst": {}}])
    second.told()
    assert first.told() == (False, facility("ct_initiate", id=77, dst={"num": "24"}))
    first.say("facility", to=True, fty=[{"type": "ct_initiate_result"}])
    finish()


@pytest.mark.parametrize("dst", [{"num": "24", "zz": 1}, None])
@pytest.mark.parametrize("by_callback", [False, True])
def test_attended_transfer(pair: tuple[Phone, Phone], dst: dict[str, Any] | None, by_callback: bool) -> None:
    first, second = pair
    call, other = first.call(), second.call()
    outcomes: Outcomes = []
    finish = in_thread(lambda: call.transfer(other, timeout=PATIENCE, on_result=outcomes.append if by_callback else None))
    assert second.told() == (False, facility("ct_identify"))
    first.say("facility", to=True, fty=[{"type": "ct_initiate_result"}])  # of a transfer that the phone has asked for
    assert first.told()[0]
    second.say("facility", to=True, fty=[{"type": "ct_identify_result", "id": 77, **({"dst": dst} if dst else {})}])
    assert second.told()[0], "the phone sees it, too"
    assert first.told() == (False, facility("ct_initiate", id=77, dst=dst or {"num": "24"}))
    second.say("facility", to=True, fty=[{"type": "ct_identify_result", "id": 78}])  # one too many
    assert second.told()[0]
    second.say("rel", to=True)
    first.say("facility", to=True, fty=[{"type": "ct_initiate_result"}])
    assert second.told()[1]["type"] == "rel" and first.told()[0], "the transfer was asked for once"
    result: Any = finish()
    if by_callback:
        wait_until(lambda: outcomes)
        result = outcomes[0].result
    assert result.wire_name == "ct_initiate_result" and result.error is None
    wait_until(lambda: not call._listeners and not other._listeners)


def test_attended_transfer_that_the_pbx_ends_without_a_result(pair: tuple[Phone, Phone]) -> None:
    first, second = pair
    finish = in_thread(lambda: first.call().transfer(second.call(), timeout=PATIENCE))
    second.told()
    second.say("facility", to=True, fty=[{"type": "ct_identify_result", "id": 77}])
    second.told()
    first.told()
    first.say("rel", to=True, cau={"num": 16})
    assert finish() is None


@pytest.mark.parametrize("fields", [{}, {"id": "77"}, {"id": 77, "error": 1004}, {"id": -1.5}, {"id": -1}])
def test_attended_transfer_without_an_id(pair: tuple[Phone, Phone], fields: dict[str, Any]) -> None:
    first, second = pair
    finish = in_thread(lambda: first.call().transfer(second.call(), timeout=PATIENCE))
    second.told()
    second.say("facility", to=True, fty=[{"type": "ct_identify_result", **fields}])
    second.told()
    with pytest.raises(eps.CallError, match=f"gave no id for call 6 of {HW1}"):
        finish()
    nothing_was_sent(first.peer, first)


@pytest.mark.parametrize("ends", [0, 1])
def test_attended_transfer_of_calls_that_end_before_it_began(pair: tuple[Phone, Phone], ends: int) -> None:
    first, second = pair
    finish = in_thread(lambda: first.call().transfer(second.call(), timeout=PATIENCE))
    second.told()
    pair[ends].say("rel", to=True, cau={"num": 16})
    with pytest.raises(eps.CallEndedError, match=f"call {5 + ends} of {HW1} is over"):
        finish()


def test_call_that_ends_just_before_it_is_listened_to(pair: tuple[Phone, Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = pair
    call, other, listen = first.call(), second.call(), eps.Call._listen

    def late(one: eps.Call, listener: Any) -> None:
        if one is call:
            first.say("rel", to=True)
            call.wait_ended(timeout=PATIENCE)
        listen(one, listener)

    monkeypatch.setattr(eps.Call, "_listen", late)
    with pytest.raises(eps.CallEndedError):
        call.transfer(other, timeout=PATIENCE)
    assert first.told()[1]["type"] == "rel"
    nothing_was_sent(second.peer, second)


def test_consultation_call_that_the_phone_ends_meanwhile(pair: tuple[Phone, Phone]) -> None:
    first, second = pair
    finish = in_thread(lambda: first.call().transfer(second.call(), timeout=PATIENCE))
    second.told()
    second.say("facility", to=True, fty=[{"type": "ct_identify_result", "id": 77}])
    second.told()
    first.told()
    second.say("rel", cau={"num": 16})
    with pytest.raises(eps.CallEndedError, match="call 6 of"):
        finish()


def test_transfer_to_what_cannot_be(pair: tuple[Phone, Phone], peer: Peer, peer_client: eps.Client) -> None:
    first, second = pair
    call, src = first.call(), peer.src
    elsewhere = peer.attach(peer_client, "0090334f1a2c")
    stranger = Phone(peer, elsewhere, 5)
    stranger.say("setup", to=True)
    stranger.told()
    wrong: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((), {}, "it needs somebody to transfer to"), ((call,), {}, "cannot be transferred to itself"),
        ((stranger.call(),), {}, "is a call of another device"), ((second.call(),), {"number": "24"}, "not both"),
        (("24",), {}, "it takes the other Call"), ((), {"number": "24a"}, "is no number"), ((), {"number": "N"}, "needs digits"),
        ((), {"number": 24}, "number is text, not a int"), ((), {"sip": b"x"}, "sip is text, not a bytes"),
    ]  # fmt: skip
    for args, more, rule in wrong:
        with pytest.raises(eps.UsageError, match=f"transfer\\(\\) sent nothing for call 5 of {HW1}: .*{rule}"):
            call.transfer(*args, **more)
    peer.src = src
    nothing_was_sent(peer, first)


def test_attended_transfer_to_a_call_that_rings_at_the_device(pair: tuple[Phone, Phone], device: eps.Device) -> None:
    first, _ = pair
    ringing = Phone(first.peer, device, 8)
    ringing.say("setup", to=True)
    ringing.told()
    ringing.say("alert")
    ringing.told()
    wait_until(lambda: ringing.call().state == "alert")
    with pytest.raises(eps.UsageError, match=f"call 5 of {HW1}: call 8 of {HW1} rings at the device itself"):
        first.call().transfer(ringing.call())
    nothing_was_sent(first.peer, first)


def test_attended_transfer_to_a_call_of_the_app_with_the_device(pair: tuple[Phone, Phone], device: eps.Device) -> None:
    first, _ = pair
    call = device.ring("99")
    phone = own(first.peer, call)
    phone.say("conn")
    call.wait("connected", timeout=PATIENCE)
    with pytest.raises(eps.UsageError, match=f"call 5 of {HW1}: call {call.id} of {HW1} leads to another side"):
        first.call().transfer(call)
    with pytest.raises(eps.UsageError, match=f"call {call.id} of {HW1}: call 5 of {HW1} leads to another side"):
        call.transfer(first.call())
    nothing_was_sent(first.peer, first)


# ------------------------------------------------------------ bad input


BAD: list[tuple[str, Any, str]] = [
    ("connected", lambda call: call.dtmf("12a"), "1 to 128 digits"), ("connected", lambda call: call.dtmf(""), "1 to 128 digits"),
    ("connected", lambda call: call.dtmf("A"), "1 to 128 digits"), ("connected", lambda call: call.dtmf("1" * 129), "1 to 128 digits"),
    ("connected", lambda call: call.dtmf(5), "1 to 128 digits"), ("connected", lambda call: call.dtmf("٣"), "1 to 128 digits"),
    ("connected", lambda call: call.answer(), "its state is connected, and this needs alert, "),
    ("alert", lambda call: call.answer("CONNEKT"), "'CONNEKT' does not exist; there are CONNECT, "),
    ("alert", lambda call: call.hold(), "its state is alert, and this needs connected"),
    ("alert", lambda call: call.retrieve(), "its state is alert, and this needs connected"),
    ("alert", lambda call: call.transfer(number="24"), "its state is alert, and this needs connected"),
    ("alert", lambda call: call.park("24"), "its state is alert, and this needs connected"),
    ("connected", lambda call: call.redirect("24"), "its state is connected, and this needs alert"),
    ("connected", lambda call: call.park(), "needs a place"), ("connected", lambda call: call.park("2x"), "is no number"),
    ("connected", lambda call: call.park("24", position=-1), "a number from 0"),
    ("connected", lambda call: call.park("24", position=True), "a number from 0"),
    ("alert", lambda call: call.redirect(), "it needs somebody"), ("alert", lambda call: call.redirect("x"), "is no number"),
    ("alert", lambda call: call.redirect("24", reason="bored"), "'bored' does not exist; there are ALWAYS, BUSY, NO_ANSWER"),
    ("connected", lambda call: call.user_info("é" * 65), "1 to 128 bytes of UTF-8, not 130"),
    ("connected", lambda call: call.user_info(""), "1 to 128 bytes"),
    ("connected", lambda call: call.user_info(b"x"), "is text, not a bytes"),
    ("connected", lambda call: call.remote_control("DTMF_DIGIT"), "takes digit= as one of"),
    ("connected", lambda call: call.remote_control("DTMF_DIGIT", digit="12"), "takes digit= as one of"),
    ("connected", lambda call: call.remote_control("MIC_ON", digit="1"), "takes digit= as one of"),
    ("connected", lambda call: call.remote_control(None), "None does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "say", "rule"), BAD)
def test_bad_input_names_the_call_and_the_rule(phone: Phone, state: str, say: Any, rule: str) -> None:
    call = bring_to(phone, state)
    with pytest.raises(eps.UsageError, match=f"sent nothing for call 5 of {HW1}: .*{rule}"):
        say(call)
    nothing_was_sent(phone.peer, phone)


@each
def test_bad_time_out_and_callback(phone: Phone, verb: CallVerb) -> None:
    call = bring_to(phone, verb.state)
    for timeout in ("1", float("nan"), True):
        with pytest.raises(eps.UsageError, match="time-out"):
            verb.say(call, timeout=timeout)
    with pytest.raises(eps.UsageError, match="function of one argument"):
        verb.say(call, on_result=5)
    nothing_was_sent(phone.peer, phone)


@pytest.mark.parametrize("verb", [*WAITING, SENT_ONLY[0]], ids=lambda verb: verb.name)
def test_verb_on_a_call_without_media(peer: Peer, device: eps.Device, verb: CallVerb) -> None:
    phone = Phone(peer, device)
    for kind in ("setup", "conn"):
        phone.say(kind, to=kind == "setup", channel=0)
        phone.told()
    wait_until(lambda: phone.call().state == "connected")
    with pytest.raises(eps.UsageError, match=f"{verb.name[:-2]}\\(\\) sent nothing for call 5 of {HW1}: it is a call without media"):
        verb.say(phone.call())
    nothing_was_sent(peer, phone)


def test_outgoing_call_cannot_be_answered_or_sent_elsewhere(peer: Peer, device: eps.Device) -> None:
    phone = Phone(peer, device)
    phone.say("setup", cd={"num": "24"})
    phone.told()
    call = phone.call()
    with pytest.raises(eps.UsageError, match="the phone itself is calling"):
        call.answer()
    with pytest.raises(eps.UsageError, match="only a call that comes to the device"):
        call.redirect("24")
    nothing_was_sent(peer, phone)


def test_lone_surrogate_is_an_error_of_the_program(phone: Phone) -> None:
    call = bring_to(phone, "connected")
    with pytest.raises(eps.UsageError, match="half of a character"):
        call.user_info("\ud800")
    with pytest.raises(eps.UsageError, match="half of a character"):
        call.transfer(sip="\ud800")
    assert not call._listeners
    nothing_was_sent(phone.peer, phone)


# ------------------------------------------------------------ calls of the app


@pytest.mark.parametrize("to_device", [True, False])
@pytest.mark.parametrize(("name", "result"), [("hold", "remote_hold"), ("retrieve", "remote_retrieve")])
def test_hold_of_a_call_of_the_app(peer: Peer, device: eps.Device, name: str, result: str, to_device: bool) -> None:
    call = device.ring("22") if to_device else device.dial("24")
    phone = own(peer, call)
    phone.say("conn", to=not to_device)
    call.wait("connected", timeout=PATIENCE)
    finish = in_thread(lambda: getattr(call, name)(timeout=PATIENCE))
    assert phone.told() == (to_device, facility(result))
    phone.say("facility", to=not to_device, fty=[{"type": f"{result}_result"}])
    answer: Any = finish()
    assert answer.wire_name == f"{result}_result"
    refusing = in_thread(lambda: getattr(call, name)(timeout=PATIENCE))
    phone.told()
    phone.say("facility", to=not to_device, fty=[{"type": f"{result}_result", "error": 3}])
    with pytest.raises(eps.CallError, match=f"{name}\\(\\) was refused for call {call.id} of {HW1}"):
        refusing()


def test_phone_that_is_rung_by_the_app_is_answered(peer: Peer, device: eps.Device) -> None:
    call = device.ring("22")
    phone = own(peer, call)
    finish = in_thread(lambda: call.answer(timeout=PATIENCE))
    assert phone.told() == (True, control("CONNECT"))
    phone.say("conn")
    finish()
    call.dtmf("1")
    assert phone.told() == (True, control("DTMF_DIGIT", digit="1"))
    call.user_info("x")
    assert phone.told() == (True, {"type": "user_info", "uui": "x"})
    finish = in_thread(lambda: call.transfer(number="25", timeout=PATIENCE))
    assert phone.told() == (True, facility("ct_initiate", dst={"num": "25"}))
    phone.say("facility", fty=[{"type": "ct_initiate_result"}])
    finish()
    with pytest.raises(eps.UsageError, match="towards the device, and this is said to the PBX"):
        call.park("25")


def test_call_of_the_app_to_the_pbx_has_no_phone(peer: Peer, device: eps.Device) -> None:
    call = device.dial("24")
    phone = own(peer, call)
    for say in (lambda: call.answer(), lambda: call.dtmf("1"), lambda: call.remote_control("MIC_ON")):
        with pytest.raises(eps.UsageError, match=f"call {call.id} of {HW1}: the app started it towards the PBX"):
            say()
    with pytest.raises(eps.UsageError, match="only a call that comes to the device"):
        call.redirect("25")
    phone.say("conn", to=True)
    call.wait("connected", timeout=PATIENCE)
    finish = in_thread(lambda: call.park("25", timeout=PATIENCE))
    assert phone.told() == (False, facility("cp_park", parked_to={"num": "25"}))
    phone.say("disc", to=True, cau={"num": 16})
    assert finish() is None and phone.told()[1]["type"] == "rel"


# ------------------------------------------------------------ where it is called


def test_verbs_inside_a_callback(phone: Phone) -> None:
    call = phone.call()
    done: list[type[Signal | Facility]] = []

    @call.on(eps.messages.Alert)
    def ringing(event: eps.SignalEvent[eps.messages.Alert]) -> None:
        done.append(type(call.answer(timeout=PATIENCE)))
        done.append(type(call.hold(timeout=PATIENCE)))

    phone.say("alert")
    phone.told()
    assert phone.told() == (True, control("CONNECT"))
    phone.say("conn")
    phone.told()
    assert phone.told() == (True, control("HOLD"))
    phone.say("facility", fty=[{"type": "hold_notify"}])
    wait_until(lambda: len(done) == 2)
    assert [one.wire_name for one in done] == ["conn", "hold_notify"] and call.on_hold


def test_verb_by_callback_inside_its_own_callback(phone: Phone) -> None:
    call = bring_to(phone, "connected")
    outcomes: Outcomes = []

    def held(outcome: eps.Outcome[Any]) -> None:
        outcomes.append(outcome)
        call.retrieve(on_result=outcomes.append)

    call.hold(on_result=held)
    phone.told()
    phone.say("facility", fty=[{"type": "hold_notify"}])
    phone.told()
    assert phone.told() == (True, control("RETRIEVE"))
    phone.say("facility", fty=[{"type": "retrieve_notify"}])
    wait_until(lambda: len(outcomes) == 2)
    assert all(one.ok for one in outcomes)


def test_callback_for_a_result_that_raises(peer_client: eps.Client, phone: Phone) -> None:
    call = bring_to(phone, "connected")
    failures: list[eps.CallbackFailed] = []
    peer_client.on(eps.CallbackFailed, failures.append)

    def fail(outcome: eps.Outcome[Any]) -> None:
        raise KeyError("mine")

    call.hold(on_result=fail)
    phone.told()
    phone.say("facility", fty=[{"type": "hold_notify"}])
    wait_until(lambda: failures)
    assert (failures[0].call, failures[0].callback) == (call, fail) and isinstance(failures[0].error, KeyError)
    assert isinstance(failures[0].event, eps.Outcome) and "HoldNotify" in repr(failures[0].event)


def test_same_answer_for_everybody_who_waits(phone: Phone) -> None:
    call = bring_to(phone, "connected")
    finish = [in_thread(lambda: call.hold(timeout=PATIENCE)) for _ in range(3)]
    for _ in range(3):
        assert phone.told() == (True, control("HOLD"))
    phone.say("facility", fty=[{"type": "hold_notify"}])
    assert [type(one()).__name__ for one in finish] == ["HoldNotify"] * 3


def test_forwarding_goes_on_while_a_verb_waits(phone: Phone) -> None:
    call = bring_to(phone, "connected")
    finish = in_thread(lambda: call.hold(timeout=PATIENCE))
    phone.told()
    for number in range(50):
        phone.say("user_info", uui=str(number))
        assert phone.told() == (False, {"type": "user_info", "uui": str(number)})
    phone.say("facility", fty=[{"type": "hold_notify"}])
    finish()


def test_verb_on_a_call_that_was_first_seen_in_the_middle(peer: Peer, device: eps.Device) -> None:
    phone = Phone(peer, device)
    phone.say("facility")
    phone.told()
    call = phone.call()
    assert call.state == "null" and not call.ended
    finish = in_thread(lambda: call.hold(timeout=PATIENCE))
    assert phone.told() == (True, control("HOLD"))
    phone.say("facility", fty=[{"type": "hold_notify"}])
    finish()


def test_result_can_be_read_and_sent_on(phone: Phone) -> None:
    call = bring_to(phone, "alert")
    finish = in_thread(lambda: call.answer(timeout=PATIENCE))
    phone.told()
    phone.say("conn", uui="x", zz={"deep": [1]})
    conn: Any = finish()
    assert isinstance(conn, Conn) and conn.uui == "x" and conn.extra == {"zz": {"deep": [1]}}
    assert phone.told()[1]["type"] == "conn"
    call.send(conn, to_device=False)
    assert phone.told() == (False, {"type": "conn", "uui": "x", "zz": {"deep": [1]}})
