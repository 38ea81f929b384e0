"""No-media calls: presence, message waiting and instant messages, as usual, refused, and without an answer."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from epsignal_sync.errors import DetachedError, ReplyTimeout, UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone
from epsignal_sync.simulator.answers import AT_PBX, NO_MEDIA

from .test_path import alice, bob, signaling  # noqa: F401
from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401

SERVICES = [name for name, choices in AT_PBX.items() if choices == NO_MEDIA]


@pytest.fixture
def app(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> Iterator[RawApp]:
    """An app at Alice's phone."""
    with RawApp(pbx).login() as app:
        app.attach("aa")
        app.forward = False
        yield app


def ask(app: RawApp, *fty: dict[str, Any], call: int = -1, cd: Any = None, to: bool = False) -> None:
    setup = {"type": "setup", "bc": "a880", **({} if cd is None else {"cd": cd}), "complete": True, "channel": 0, "fty": list(fty)}
    app.send(signaling(call, setup, to=to))


def say(app: RawApp, *fty: dict[str, Any], call: int = -1) -> None:
    app.send(signaling(call, {"type": "facility", "fty": list(fty)}, to=False))


def release(app: RawApp, call: int = -1) -> None:
    app.send(signaling(call, {"type": "rel"}, to=False))
    app.challenge()  # what is answered after it


def answers_of(app: RawApp, call: int = -1) -> list[dict[str, Any]]:
    app.challenge()
    return [message["sig"] for message in app.messages if message.get("call") == call]


def facilities_of(app: RawApp, name: str, call: int = -1) -> list[dict[str, Any]]:
    return [each for sig in answers_of(app, call) for each in sig.get("fty", []) if each["type"] == name]


def wait_facility(app: RawApp, name: str, count: int = 1, call: int = -1) -> dict[str, Any]:
    app.wait(lambda message: message.get("call") == call and name in str(message), count)
    return facilities_of(app, name, call)[count - 1]


def test_presence_is_told_to_who_watches(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    ask(app, {"type": "presence_subscribe"}, cd={"sip": "bob"})
    assert wait_facility(app, "presence_notify")["note"] == "Grüße aus dem Büro"
    call = bob.publish_presence(activity="busy", note="Im Gespräch")
    assert (call.wait("null"), call.cause) == ("null", 16)
    told = wait_facility(app, "presence_notify", 2)
    assert told == {"type": "presence_notify", "status": "open", "activity": "busy", "note": "Im Gespräch", "contact": "tel:"}
    assert bob.wait_facility("presence_notify", count=2)["note"] == "Im Gespräch", "his own phone watches, too"
    release(app)
    bob.publish_presence(status="closed")
    assert len(facilities_of(app, "presence_notify")) == 2, "nobody watches any more"
    ask(app, {"type": "presence_subscribe"}, call=-2, cd={"num": "23"})
    assert wait_facility(app, "presence_notify", call=-2)["status"] == "closed"


def test_presence_of_several_contacts(app: RawApp, bob: SimulatedPhone) -> None:
    for contact in ("tel:", "im:"):
        bob.publish_presence(note=contact, contact=contact)
    ask(app, {"type": "presence_subscribe"}, cd={"sip": "bob"})
    wait_facility(app, "presence_notify")
    assert [each["note"] for each in facilities_of(app, "presence_notify")] == ["tel:", "im:"]


def test_app_publishes_the_presence_of_its_device(app: RawApp, alice: SimulatedPhone) -> None:
    ask(app, {"type": "presence_publish", "status": "open", "note": "Mahlzeit"})
    assert app.wait_signal("rel", to=True, call=-1)["sig"]["cau"]["num"] == 16
    ask(app, {"type": "presence_subscribe"}, call=-2)
    assert wait_facility(app, "presence_notify", call=-2)["note"] == "Mahlzeit"


@pytest.mark.parametrize("name", ["presence_subscribe", "dialog_info_subscribe", "mwi_activate", "mwi_interrogate"])
def test_service_for_nobody(app: RawApp, name: str) -> None:
    ask(app, {"type": name}, cd={"sip": "nobody"})
    assert app.wait_signal("rel", to=True, call=-1)["sig"]["cau"]["num"] == 1


def test_messages_wait(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    waiting = {"type": "mwi_activate", "served_user": {"num": "23"}, "message_center": {"num": "90"}, "number": 3}
    ask(app, waiting)
    app.wait_signal("call_proc", to=True, call=-1)
    pbx.wait_for(lambda log: bob.messages_waiting == 3 and len(bob.standing_calls) == 2)
    assert alice.messages_waiting == 0
    ask(app, {"type": "mwi_interrogate", "served_user": {"num": "23"}}, call=-2)
    assert wait_facility(app, "mwi_interrogate_result", call=-2)["sub"] == waiting
    ask(app, {"type": "mwi_deactivate"}, call=-3, cd={"sip": "bob"})
    pbx.wait_for(lambda log: bob.messages_waiting == 0)
    say(app, {"type": "mwi_interrogate", "served_user": {"num": "23"}}, call=-2)
    assert "sub" not in wait_facility(app, "mwi_interrogate_result", 2, call=-2), "asked again in the same call"


def test_messages_wait_at_the_phone_alone(app: RawApp, alice: SimulatedPhone) -> None:
    ask(app, {"type": "mwi_activate"}, to=True)
    app.wait_signal("conn", to=False, call=-1)
    assert alice.messages_waiting == 1


def test_instant_message_to_a_phone(pbx: SimulatedPBX, app: RawApp, bob: SimulatedPhone) -> None:
    text = {"type": "im_message", "sender": "alice", "data": "Grüß Gott", "mime": "text/plain"}
    ask(app, {"type": "im_setup"}, text, cd={"num": "23"})
    app.wait_signal("conn", to=True, call=-1)
    say(app, {**text, "data": "und auf Wiedersehen"})
    bob.wait_facility("im_message", count=2)
    assert [each["data"] for each in bob.instant_messages] == ["Grüß Gott", "und auf Wiedersehen"] and not bob.calls
    release(app)
    pbx.wait_for(lambda log: len(bob.standing_calls) == 2)
    assert "call_proc" not in [each["type"] for each in answers_of(app)], "who takes it is Bob's phone, not the PBX"


def test_instant_message_of_a_phone(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.forward = True
    call = bob.send_im("22", "Mahlzeit?")
    assert (call.wait("null"), call.cause) == ("null", 16)
    (message,) = alice.instant_messages
    assert message["data"] == "Mahlzeit?" and message["sender_dn"] == "Bob"
    pbx.wait_for(lambda log: len(alice.standing_calls) == len(bob.standing_calls) == 2)


@pytest.mark.parametrize(("number", "cause"), [("99", 1), ("23", 20)])
def test_instant_message_that_nobody_takes(app: RawApp, bob: SimulatedPhone, number: str, cause: int) -> None:
    bob.unregister()
    ask(app, {"type": "im_message", "data": "?"}, cd={"num": number})
    assert app.wait_signal("rel", to=True, call=-1)["sig"]["cau"]["num"] == cause
    with pytest.raises(DetachedError):
        bob.send_im("22", "?")


@pytest.mark.parametrize(("answer", "kind", "cause"), [(21, "rel", 21), ("call_proc", "call_proc", None), ("rel", "rel", 16)])
def test_phone_that_answers_an_instant_message_otherwise(
    app: RawApp, bob: SimulatedPhone, answer: Any, kind: str, cause: int | None
) -> None:
    bob.answers["im_message"] = answer
    ask(app, {"type": "im_setup"}, {"type": "im_message", "data": "?"}, cd={"num": "23"})
    assert app.wait_signal(kind, to=True, call=-1)["sig"].get("cau", {}).get("num") == cause
    assert len(bob.instant_messages) == (0 if answer == 21 else 1)


def test_phone_that_does_not_answer_an_instant_message(pbx: SimulatedPBX, app: RawApp, bob: SimulatedPhone) -> None:
    bob.answers["im_setup"] = "silent"
    ask(app, {"type": "im_setup"}, {"type": "im_message", "data": "?"}, cd={"num": "23"})
    pbx.wait_for(lambda log: log.last("to-phone", "bb", type="setup"))
    assert not answers_of(app) and not bob.instant_messages
    release(app)
    pbx.wait_for(lambda log: len(bob.standing_calls) == 2)


@pytest.mark.parametrize("answer", [*NO_MEDIA, 21])
@pytest.mark.parametrize("name", SERVICES)
def test_each_answer_of_each_service(pbx: SimulatedPBX, app: RawApp, bob: SimulatedPhone, name: str, answer: Any) -> None:
    pbx.answers[name] = answer
    pbx.add_phone("cc", number="24", sip="carol").call("23")  # that there is something to pick up
    bob.wait("alert")
    ask(app, {"type": name}, cd={"num": "23"})
    pbx.wait_for(lambda log: log.entries(place="to-pbx", device="aa", call=-1))
    told = [each for each in answers_of(app) if each["type"] != "facility"]
    if name.startswith("im_") and answer not in (21, "silent"):
        return  # The phone answers it.
    expected = {
        "conn": [("conn", None)], "call_proc": [("call_proc", None)], "rel": [("rel", 16)], "rel without cause": [("rel", None)],
        "silent": [], 21: [("rel", 21)],
    }  # fmt: skip
    assert [(each["type"], each.get("cau", {}).get("num")) for each in told] == expected[answer]


@pytest.mark.parametrize("answer", ["conn", "rel"])
def test_result_comes_with_the_answer(pbx: SimulatedPBX, app: RawApp, answer: str) -> None:
    pbx.answers["mwi_interrogate"] = answer
    ask(app, {"type": "mwi_interrogate"})
    assert app.wait_signal(answer, to=True, call=-1)["sig"]["fty"] == [{"type": "mwi_interrogate_result"}]


def test_silent_service_does_nothing(pbx: SimulatedPBX, app: RawApp, bob: SimulatedPhone) -> None:
    pbx.answers["presence_publish"] = "silent"
    call = bob.publish_presence(note="nobody hears")
    with pytest.raises(ReplyTimeout):
        call.wait("call-proc", "connected", timeout=0.05)
    call.hangup()
    del pbx.answers["presence_publish"]
    ask(app, {"type": "presence_subscribe"}, cd={"sip": "bob"})
    assert wait_facility(app, "presence_notify")["note"] == "Grüße aus dem Büro"


def test_service_that_is_silent_from_the_second_time_on(pbx: SimulatedPBX, app: RawApp) -> None:
    ask(app, {"type": "mwi_interrogate"})
    wait_facility(app, "mwi_interrogate_result")
    pbx.answers["mwi_interrogate"] = "silent"
    say(app, {"type": "mwi_interrogate"})
    assert len(facilities_of(app, "mwi_interrogate_result")) == 1


def test_no_media_call_that_means_nothing_to_the_pbx(app: RawApp) -> None:
    ask(app, {"type": "x_new"}, {"no": "type"}, 5)  # type: ignore[arg-type]
    app.wait_signal("call_proc", to=True, call=-1)


@pytest.mark.parametrize(("name", "answer"), [("presence_publish", "yes"), ("cp_park", 21), ("ct_identify", "rel"), ("HOLD", "silent")])
def test_answer_that_cannot_be(pbx: SimulatedPBX, name: str, answer: Any) -> None:
    with pytest.raises(UsageError):
        pbx.answers[name] = answer
