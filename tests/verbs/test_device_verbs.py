"""The verbs of a device at a scripted peer: the calls without media that they make, and that none stays behind."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import DiversionProcedure, Signal
from epsignal_sync.verbs import no_media
from epsignal_sync.verbs.running import Running

from ..conftest import HW1, wait_until
from ..peer import PATIENCE, Peer
from ..test_call import Phone, in_thread
from .script import REQUESTS, WATCHES, DeviceVerb, no_media_setup

JSON = dict[str, Any]

each = pytest.mark.parametrize("verb", REQUESTS, ids=lambda verb: verb.name)
every = pytest.mark.parametrize("verb", [*REQUESTS, *WATCHES], ids=lambda verb: verb.name)


def asked(peer: Peer, device: eps.Device, verb: DeviceVerb) -> Phone:
    """Take the setup that the verb sends, and return its call."""
    message = peer.receive()
    assert (message["mt"], message["src"], "to" in message) == ("Signaling", peer.src, False) and message["call"] < 0
    assert message["sig"] == no_media_setup(verb.called, verb.facilities)
    return Phone(peer, device, message["call"])


def released(phone: Phone, cause: int = 16) -> None:
    """See that the call is released by the app."""
    assert phone.told() == (False, {"type": "rel", "cau": {"num": cause}})
    wait_until(lambda: phone.id not in phone.device.calls)


def nothing_is_left(peer: Peer, device: eps.Device) -> None:
    """See that no call stands, and nothing was sent that was not expected."""
    wait_until(lambda: not device.calls)
    other = Phone(peer, device, 99)
    other.say("user_info", uui="marker")
    assert other.told() == (False, {"type": "user_info", "uui": "marker"})


# ------------------------------------------------------------ success


@each
@pytest.mark.parametrize("by_callback", [False, True])
def test_conn_is_success_and_the_call_is_released(peer: Peer, device: eps.Device, verb: DeviceVerb, by_callback: bool) -> None:
    outcomes: list[eps.Outcome[Signal]] = []
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE, on_result=outcomes.append if by_callback else None))
    phone = asked(peer, device, verb)
    phone.say("conn", to=True)
    released(phone)
    result: Any = finish()
    if by_callback:
        wait_until(lambda: outcomes)
        assert outcomes[0].call is not None and (outcomes[0].call.id, outcomes[0].ok) == (phone.id, True)
        result = outcomes[0].result
    assert result.wire_name == "conn"


@each
@pytest.mark.parametrize("cau", [{"cau": {"num": 16}}, {}, {"cau": {"loc": "u"}}])
@pytest.mark.parametrize("kind", ["rel", "disc"])
def test_release_with_16_or_without_a_cause_is_success(peer: Peer, device: eps.Device, verb: DeviceVerb, cau: JSON, kind: str) -> None:
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE))
    phone = asked(peer, device, verb)
    phone.say(kind, to=True, **cau)
    result: Any = finish()
    assert result.wire_name == kind
    if kind == "disc":
        assert phone.told()[1]["type"] == "rel"
    nothing_is_left(peer, device)


@each
@pytest.mark.parametrize("end", ["conn", "rel"])
def test_call_proc_is_success_and_the_call_goes_on_for_a_time(
    peer: Peer, device: eps.Device, verb: DeviceVerb, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(no_media, "LINGER_TIME", 1000.0)
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE))
    phone = asked(peer, device, verb)
    phone.say("call_proc", to=True)
    result: Any = finish()
    assert result.wire_name == "call_proc" and phone.id in device.calls
    phone.say(end, to=True, **({"cau": {"num": 41}} if end == "rel" else {}))
    if end == "conn":
        released(phone)
    nothing_is_left(peer, device)


def test_call_that_is_only_taken_is_released_in_the_end(peer: Peer, device: eps.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(no_media, "LINGER_TIME", 0.05)
    finish = in_thread(lambda: REQUESTS[0].say(device, timeout=PATIENCE))
    phone = asked(peer, device, REQUESTS[0])
    phone.say("call_proc", to=True)
    finish()
    released(phone)


def test_no_messages_wait_any_more(peer: Peer, device: eps.Device) -> None:
    verb = DeviceVerb(
        "", lambda device, **more: device.message_waiting(0, sip="carol", **more), {"sip": "carol"},
        [{"type": "mwi_deactivate", "served_user": {"sip": "carol"}, "service": 0}],
    )  # fmt: skip
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE))
    asked(peer, device, verb).say("rel", to=True)
    finish()


def test_pick_up_by_the_call_id_alone(peer: Peer, device: eps.Device) -> None:
    finish = in_thread(lambda: device.pickup(call_id="ab", timeout=PATIENCE))
    verb = DeviceVerb("", None, None, [{"type": "cp_pick_req", "callId": "ab"}])  # type: ignore[arg-type]
    asked(peer, device, verb).say("rel", to=True)
    finish()


def test_verb_by_callback_that_has_ended_is_not_kept_until_its_time_out(
    peer: Peer, device: eps.Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(no_media, "LINGER_TIME", 0.05)
    called = threading.Event()
    device.set_presence(timeout=3600, on_result=lambda outcome: called.set())
    phone = Phone(peer, device, peer.receive()["call"])
    phone.say("rel", to=True)
    assert called.wait(PATIENCE)
    del phone

    def kept() -> list[Running[Any]]:
        gc.collect()
        return [one for one in gc.get_objects() if isinstance(one, Running) and one.device is device]

    wait_until(lambda: not kept())


def test_two_at_once_have_a_call_each(peer: Peer, device: eps.Device) -> None:
    first = in_thread(lambda: REQUESTS[0].say(device, timeout=PATIENCE))
    one = asked(peer, device, REQUESTS[0])
    second = in_thread(lambda: REQUESTS[0].say(device, timeout=PATIENCE))
    other = asked(peer, device, REQUESTS[0])
    other.say("rel", to=True)
    second()
    one.say("rel", to=True, cau={"num": 21})
    with pytest.raises(eps.CallError):
        first()


# ------------------------------------------------------------ refused, late, over


@every
@pytest.mark.parametrize("kind", ["rel", "disc"])
@pytest.mark.parametrize("by_callback", [False, True])
def test_refused(peer: Peer, device: eps.Device, verb: DeviceVerb, kind: str, by_callback: bool) -> None:
    outcomes: list[eps.Outcome[Any]] = []
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE, on_result=outcomes.append if by_callback else None))
    phone = asked(peer, device, verb)
    phone.say(kind, to=True, cau={"num": 29})
    with pytest.raises(eps.CallError, match=f"{verb.name[:-2]}\\(\\) was refused for call {phone.id} of {HW1}, with cause 29") as failure:
        finish()
        wait_until(lambda: outcomes)
        raise outcomes[0].error  # type: ignore[misc]
    assert not isinstance(failure.value, eps.CallEndedError) and failure.value.cause.num == 29
    if kind == "disc":
        assert phone.told()[1]["type"] == "rel"
    assert not device._watches
    nothing_is_left(peer, device)


@every
def test_failed_progress_is_a_refusal_in_the_end(peer: Peer, device: eps.Device, verb: DeviceVerb) -> None:
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE))
    phone = asked(peer, device, verb)
    phone.say("progress", to=True, cau={"num": 3})
    phone.say("rel", to=True, cau={"num": 3})
    with pytest.raises(eps.CallError) as failure:
        finish()
    assert failure.value.cause.num == 3


@every
@pytest.mark.parametrize("by_callback", [False, True])
def test_timed_out(peer: Peer, device: eps.Device, verb: DeviceVerb, by_callback: bool) -> None:
    outcomes: list[eps.Outcome[Any]] = []
    with pytest.raises(eps.ReplyTimeout, match=f"{verb.name[:-2]}\\(\\) was not answered for call -\\d+ of {HW1} within 0.05 s: "):
        assert verb.say(device, timeout=0.05, on_result=outcomes.append if by_callback else None) is None
        wait_until(lambda: outcomes)
        raise outcomes[0].error  # type: ignore[misc]
    phone = asked(peer, device, verb)
    released(phone)
    phone.say("conn", to=True)  # too late
    assert not device._watches
    nothing_is_left(peer, device)


@every
def test_app_that_ends_the_call_itself(peer: Peer, device: eps.Device, verb: DeviceVerb) -> None:
    finish = in_thread(lambda: verb.say(device, timeout=PATIENCE))
    phone = asked(peer, device, verb)
    device.calls[phone.id].hangup()
    with pytest.raises(eps.CallEndedError):
        finish()
    phone.told()
    nothing_is_left(peer, device)


@every
@pytest.mark.parametrize("by_callback", [False, True])
@pytest.mark.parametrize(("how", "error"), [("drop", eps.ConnectionLostError), ("close", eps.ClosedError), ("detach", eps.DetachedError)])
def test_connection_or_device_that_goes_meanwhile(
    peer: Peer, peer_client: eps.Client, device: eps.Device, verb: DeviceVerb, how: str, error: type[Exception], by_callback: bool
) -> None:
    outcomes: list[eps.Outcome[Any]] = []
    finish = in_thread(lambda: verb.say(device, timeout=None, on_result=outcomes.append if by_callback else None))
    phone = asked(peer, device, verb)
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
    if how == "detach":
        released(phone)
    assert not device._watches


@every
def test_nothing_can_be_sent(peer: Peer, peer_client: eps.Client, device: eps.Device, verb: DeviceVerb) -> None:
    outcomes: list[eps.Outcome[Any]] = []
    peer.send({"mt": "Detached", "api": "EpSignal", "src": peer.src})
    wait_until(lambda: not device.attached)
    with pytest.raises(eps.DetachedError, match=f"{verb.name[:-2]}\\(\\) sent nothing: {HW1} is not attached"):
        verb.say(device, on_result=outcomes.append)
    peer.drop()
    wait_until(lambda: not peer_client.connected)
    with pytest.raises(eps.ConnectionLostError):
        verb.say(device, on_result=outcomes.append)
    assert not outcomes and not device.calls and not device._connection.replies._open


BAD: list[tuple[Any, str]] = [
    (lambda device: device.set_presence("away"), "the status 'away' does not exist; there are open, closed"),
    (lambda device: device.set_presence("open", contact="fax:"), "'fax:' does not exist"),
    (lambda device: device.set_presence("open", note="x" * 1025), "1 to 1024 bytes"),
    (lambda device: device.set_presence("open", activity=""), "1 to 1024 bytes"),
    (lambda device: device.message_waiting(-1, "24"), "from 0, not -1"),
    (lambda device: device.message_waiting(True, "24"), "from 0, not True"),
    (lambda device: device.message_waiting(1), "the user whose messages"),
    (lambda device: device.message_waiting(1, "24", message_center="x"), "is no number"),
    (lambda device: device.send_im("", "24"), "1 to 4096 bytes"), (lambda device: device.send_im("x" * 4097, "24"), "not 4097"),
    (lambda device: device.send_im("secret"), "it needs somebody to write to"),
    (lambda device: device.send_im(5, "24"), "is text, not a int"),
    (lambda device: device.send_im("\udc00", "24"), "half of a character"),
    (lambda device: device.pickup(), "which call"), (lambda device: device.pickup("2b"), "is no number"),
    (lambda device: device.pickup("24", call_id="abc"), "hex digits"), (lambda device: device.pickup("24", call_id=""), "hex digits"),
    (lambda device: device.pickup("24", position=1.0), "a number from 0"),
    (lambda device: device.diversions("2b"), "is no number"),
    (lambda device: device.watch_presence(), "it needs somebody to watch"), (lambda device: device.watch_dialogs("R"), "needs digits"),
]  # fmt: skip


@pytest.mark.parametrize(("say", "rule"), BAD)
def test_bad_input_names_the_device_and_the_rule(peer: Peer, device: eps.Device, say: Any, rule: str) -> None:
    with pytest.raises(eps.UsageError, match=f"sent nothing for {HW1}: .*{rule}") as failure:
        say(device)
    assert "secret" not in str(failure.value)
    nothing_is_left(peer, device)


# ------------------------------------------------------------ diversions


def interrogated(peer: Peer, device: eps.Device, called: JSON | None = None) -> dict[str, Phone]:
    """Take the three questions."""
    phones = {}
    for procedure in ("ALWAYS", "BUSY", "NO_ANSWER"):
        served = {"served": called} if called else {}
        verb = DeviceVerb("", None, called, [{"type": "diversion_interrogate", "procedure": procedure, **served}])  # type: ignore[arg-type]
        phones[procedure] = asked(peer, device, verb)
    return phones


@pytest.mark.parametrize("by_callback", [False, True])
def test_diversions(peer: Peer, device: eps.Device, by_callback: bool) -> None:
    outcomes: list[eps.Outcome[Any]] = []
    finish = in_thread(lambda: device.diversions(timeout=PATIENCE, on_result=outcomes.append if by_callback else None))
    phones = interrogated(peer, device)
    entry = {"procedure": "BUSY", "diverted_to": {"num": "24"}}
    result = {"type": "diversion_interrogate_result", "num": 1, "list": [entry]}
    phones["BUSY"].say("conn", to=True, fty=[result])
    released(phones["BUSY"])
    phones["NO_ANSWER"].say("call_proc", to=True)
    phones["NO_ANSWER"].say("conn", to=True)
    phones["NO_ANSWER"].say("facility", to=True, fty=[{"type": "diversion_interrogate_result", "list": 5}])
    released(phones["NO_ANSWER"])
    phones["ALWAYS"].say("rel", to=True, cau={"num": 16}, fty=[{"type": "diversion_interrogate_result", "list": []}])
    found: Any = finish()
    if by_callback:
        wait_until(lambda: outcomes)
        found = outcomes[0].result
    assert list(found) == list(DiversionProcedure)
    assert (found[DiversionProcedure.ALWAYS], found[DiversionProcedure.NO_ANSWER]) == ((), ())
    assert found["BUSY"][0].diverted_to.num == "24"
    nothing_is_left(peer, device)


@pytest.mark.parametrize("fields", [{"fty": [{"type": "diversion_interrogate_result", "error": {"x": 1}}]}, {}])
def test_diversions_that_are_refused_leave_no_call(peer: Peer, device: eps.Device, fields: JSON) -> None:
    finish = in_thread(lambda: device.diversions("24", timeout=PATIENCE))
    phones = interrogated(peer, device, {"num": "24"})
    phones["ALWAYS"].say("rel", to=True, **fields)
    with pytest.raises(eps.CallError, match="diversions\\(\\) was refused"):
        finish()
    assert {peer.receive()["call"], peer.receive()["call"]} == {phones["BUSY"].id, phones["NO_ANSWER"].id}
    nothing_is_left(peer, device)


@pytest.mark.parametrize("by_callback", [False, True])
def test_diversions_that_are_not_answered_leave_no_call(peer: Peer, device: eps.Device, by_callback: bool) -> None:
    outcomes: list[eps.Outcome[Any]] = []
    finish = in_thread(lambda: device.diversions(timeout=0.1, on_result=outcomes.append if by_callback else None))
    with pytest.raises(eps.ReplyTimeout):
        finish()
        wait_until(lambda: outcomes)
        raise outcomes[0].error  # type: ignore[misc]
    said: dict[int, list[str]] = {}
    for _ in range(6):
        message = peer.receive()
        said.setdefault(message["call"], []).append(message["sig"]["type"])
    assert list(said.values()) == [["setup", "rel"]] * 3
    nothing_is_left(peer, device)


def test_diversions_when_the_connection_is_lost(peer: Peer, device: eps.Device) -> None:
    finish = in_thread(lambda: device.diversions(timeout=None))
    interrogated(peer, device)
    peer.drop()
    with pytest.raises(eps.ConnectionLostError):
        finish()


# ------------------------------------------------------------ where it is called


def test_verb_of_a_device_inside_a_callback(peer: Peer, device: eps.Device) -> None:
    results: list[str] = []

    @device.on(eps.messages.Setup)
    def called(event: eps.SignalEvent[eps.messages.Setup]) -> None:
        results.append(type(device.set_presence("closed", timeout=PATIENCE)).__name__)

    phone = Phone(peer, device)
    phone.say("setup", to=True)
    phone.told()
    verb = DeviceVerb("", None, None, [{"type": "presence_publish", "status": "closed"}])  # type: ignore[arg-type]
    asked(peer, device, verb).say("rel", to=True)
    wait_until(lambda: results == ["Rel"])
