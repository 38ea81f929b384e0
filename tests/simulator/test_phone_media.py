"""Offers and answers: who makes an offer when, and who hears whom, also where an app joins two calls of its own."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone
from epsignal_sync.simulator.phone_media import MediaEnds

from .test_path import alice, bob, connect, signaling  # noqa: F401
from .test_phone_features import control
from .test_raw_app import RawApp, no_leaks, pbx  # noqa: F401

SETUP = {"type": "setup", "bc": "8090a2", "cg": {"num": "23"}, "complete": True, "channel": -1, "fty": control("CONNECT")["fty"]}
REQUEST = {"type": "channels", "channel": -1, "channels_cmd": "REQUEST"}


@pytest.fixture
def app(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> Iterator[RawApp]:
    with RawApp(pbx, forward=False).login() as app:
        app.attach("aa")
        yield app


def media_of(message: dict[str, Any]) -> dict[str, Any]:
    return {key: message["sig"][key] for key in ("channels_cmd", "channels") if key in message["sig"]}


def test_phone_called_without_an_offer_makes_one(app: RawApp, alice: SimulatedPhone) -> None:
    app.send(signaling(-1, SETUP, to=True))
    assert media_of(app.wait_signal("conn", to=False, call=-1))["channels_cmd"] == "PROPOSAL"


def test_phone_makes_an_offer_when_it_is_asked(app: RawApp, alice: SimulatedPhone) -> None:
    alice.media_offers = "request"
    app.send(signaling(-1, SETUP, to=True))
    assert not media_of(app.wait_signal("conn", to=False, call=-1))
    app.send(signaling(-1, REQUEST, to=True))
    assert media_of(app.wait_signal("channels", to=False, call=-1))["channels_cmd"] == "PROPOSAL"


def test_phone_that_never_makes_an_offer(app: RawApp, alice: SimulatedPhone, pbx: SimulatedPBX) -> None:
    alice.media_offers = "never"
    app.send(signaling(-1, SETUP, to=True))
    assert not media_of(app.wait_signal("conn", to=False, call=-1))
    app.send(signaling(-1, REQUEST, to=True))
    pbx.wait_for(lambda log: log.last("to-phone", "aa", type="channels"))
    app.challenge()
    assert not pbx.log.entries(place="from-phone", device="aa", type="channels")


def test_two_calls_of_an_app_with_one_media_session(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    """The steps of a click to dial."""
    bob.early_media = True
    app.send(signaling(-1, SETUP, to=True))
    offer = media_of(app.wait_signal("conn", to=False, call=-1))
    app.send(signaling(-2, {"type": "setup", "cd": {"num": "23"}, "complete": True, "channel": -1, **offer}, to=False))
    answer = media_of(app.wait_signal("alert", to=True, call=-2))
    assert answer["channels_cmd"] == "SELECT", "early media"
    app.send(signaling(-1, {"type": "channels", "channel": -1, **answer}, to=True))
    bob.answer()
    assert not media_of(app.wait_signal("conn", to=True, call=-2))
    mine, his = alice.calls[0], bob.calls[0]
    pbx.wait_for(lambda log: mine.media.remote)
    alice.press("12")
    his.wait_until(lambda call: call.digits == "12")
    his.press("3")
    mine.wait_until(lambda call: call.digits == "3")


def test_answer_that_is_lost_on_the_way_leaves_them_deaf(app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    app.send(signaling(-1, SETUP, to=True))
    offer = media_of(app.wait_signal("conn", to=False, call=-1))
    app.send(signaling(-2, {"type": "setup", "cd": {"num": "23"}, "complete": True, "channel": -1, **offer}, to=False))
    bob.wait("alert").answer()
    app.wait_signal("conn", to=True, call=-2)
    alice.press("1")
    bob.press("2")
    assert not (alice.calls[0].digits or bob.calls[0].digits)


def test_new_offer_in_a_call_is_answered(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connect(alice, bob)
    before = call.media.remote
    bob.offer_media()
    answer = pbx.wait_for(lambda log: log.last("to-phone", "bb", type="channels"))
    assert answer.sig["channels_cmd"] == "SELECT" and call.media.remote != before
    bob.press("7")
    call.wait_until(lambda each: each.digits == "7")
    ringing.send({"type": "channels", "channels_cmd": "CLOSE"})
    pbx.wait_for(lambda log: call.media.remote is None)
    bob.press("8")
    assert call.digits == "7", "there are no media any more"
    assert not any(each.digits for each in (*alice.standing_calls, *bob.standing_calls))


def test_caller_answers_an_offer_in_the_conn(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    """An app in the path takes the offer out of the setup, so the phones have it the other way round."""
    call = alice.call("23")
    sig = app.wait_signal("setup", to=False, call=call.id)["sig"]
    app.send(signaling(call.id, {key: value for key, value in sig.items() if not key.startswith("channels")}, to=False))
    app.forward = True
    bob.wait("alert").answer()
    call.wait("connected")
    bob_call = bob.calls[0]
    pbx.wait_for(lambda log: bob_call.media.remote)
    alice.press("1")
    bob_call.wait_until(lambda each: each.digits == "1")


def test_offer_while_it_rings_is_answered_with_the_call(pbx: SimulatedPBX, app: RawApp, alice: SimulatedPhone) -> None:
    app.send(signaling(-1, {**SETUP, "fty": []}, to=True))
    app.wait_signal("alert", to=False, call=-1)
    app.send(signaling(-1, REQUEST, to=True))
    offer = {"channels_cmd": "PROPOSAL", "channels": {"guid": "00", "ch": [{"coder": "G711A"}]}}
    app.send(signaling(-1, {"type": "channels", "channel": -1, **offer}, to=True))
    pbx.wait_for(lambda log: alice.calls[0].media.offer)
    alice.answer()
    assert media_of(app.wait_signal("conn", to=False, call=-1))["channels_cmd"] == "SELECT"
    assert not pbx.log.entries(place="from-phone", device="aa", type="channels")


@pytest.mark.parametrize("choice", ["", "always", None])
def test_offers_that_cannot_be(alice: SimulatedPhone, choice: Any) -> None:
    with pytest.raises(UsageError, match="media_offers"):
        alice.media_offers = choice
    assert alice.media_offers == "conn"


def test_offers_that_cross_count_when_their_answers_come() -> None:
    """An app that joins two calls has one of two offers wait; whoever made it answers the other one first."""
    one, other = MediaEnds(), MediaEnds()

    def say(speaker: MediaEnds, listener: MediaEnds, command: str, guid: str) -> None:
        sig = {"type": "channels", "channels_cmd": command, "channels": {"guid": guid}}
        speaker.apply(sig, to_device=False)
        listener.apply(sig, to_device=True)

    waiting = {"type": "channels", "channels_cmd": "PROPOSAL", "channels": {"guid": "b"}}
    other.apply(waiting, to_device=False)
    say(one, other, "PROPOSAL", "a")
    say(other, one, "SELECT", "c")
    assert one.joined_to(other)
    one.apply(waiting, to_device=True)
    say(one, other, "SELECT", "d")
    assert one.joined_to(other) and other.local == {"guid": "b"} and one.offered is None and other.offered is None
