"""The PBX restarts, phones register again, and what becomes of their calls then."""

# ruff: noqa: F811 - the fixtures come by import
from __future__ import annotations

import threading
from typing import Any

import pytest

from epsignal_sync.errors import DetachedError, ReplyTimeout, UsageError
from epsignal_sync.simulator import SimulatedCall, SimulatedPBX, SimulatedPhone

from .test_app_calls import SETUP
from .test_path import alice, bob, signaling  # noqa: F401
from .test_raw_app import RawApp, no_leaks, pbx, until  # noqa: F401


def connected(caller: SimulatedPhone, called: SimulatedPhone) -> tuple[SimulatedCall, SimulatedCall]:
    """Return both ends of a call that was answered."""
    call = caller.call(called.number)
    ringing = called.wait("alert")
    called.answer(ringing)
    call.wait("connected")
    return call, ringing


def synced(app: RawApp) -> list[tuple[int, Any, bool, str]]:
    """Return id, other party, direction and state of the telephone calls that Sync messages named."""
    infos = [(message["call"], message["info"]) for message in app.messages if message["mt"] == "Sync"]
    return [(call, info["remote"].get("num"), info["in"], info["state"]) for call, info in infos if info["channel"] != 0]


def standing(phone: SimulatedPhone) -> list[tuple[int, str]]:
    return [(call.id, call.state) for call in phone.standing_calls]


def assert_works(alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connected(alice, bob)
    call.hangup()
    ringing.wait("null")


def test_restart_cuts_apps_and_keeps_calls(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as first, RawApp(pbx).login() as second:
        first.attach("aa")
        call, ringing = connected(alice, bob)
        pbx.calls_without_app = "released"  # That is for an app that dies alone.
        pbx.restart()
        assert pbx.connections == 0
        first.wait_closed()
        second.wait_closed()
    until(lambda: not pbx._connections, "connections are kept")
    pbx.add_user("nobody", password="")  # Whatever else the end of a connection causes is over after it.
    assert [entry.text for entry in pbx.log.entries(place="note")] == ["connection ended"] * 2
    assert (call.id, call.state, ringing.state) == (3, "connected", "connected")
    assert standing(alice) == [(1, "connected"), (2, "call-proc")]
    with RawApp(pbx).login() as app:
        app.attach("aa")
        app.wait_mt("Sync", 3)
        assert synced(app) == [(3, "23", False, "connected")]
        ringing.hangup()
        call.wait("null")
        assert_works(alice, bob)


def test_restart_opens_the_no_media_calls_anew(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    before = list(alice.standing_calls)
    pbx.restart()
    assert [call.state for call in before] == ["null", "null"]
    assert standing(alice) == [(1, "connected"), (2, "call-proc")]


def test_restart_with_renumbered_calls(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    carol = pbx.add_phone("cc", number="24", sip="carol")
    older, at_bob = connected(alice, bob)
    newer = alice.call("24")
    at_carol = carol.wait("alert")
    assert (older.id, newer.id) == (3, 4)
    pbx.restart(calls="renumbered")
    assert (older.id, newer.id) == (2, 1) and [call for call, _ in standing(alice)] == [3, 4]
    with RawApp(pbx).login() as app:
        app.attach("aa")
        app.wait_mt("Sync", 4)
        assert sorted(synced(app)) == [(1, "24", False, "alert"), (2, "23", False, "connected")]
        carol.answer(at_carol)
        newer.wait("connected")
        app.wait_signal("conn", to=True, call=1)
        older.hangup()
        at_bob.wait("null")
        app.wait_signal("rel", to=False, call=2)
        at_carol.hangup()
        newer.wait("null")
        assert_works(alice, bob)


def test_renumbered_call_gets_another_id_where_its_own_is_the_first(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    pbx.restart(calls="lost")
    for phone in (alice, bob):
        for call in phone.standing_calls:
            phone.hangup(call=call)
    call, ringing = connected(alice, bob)
    assert (call.id, ringing.id) == (1, 1)
    pbx.restart(calls="renumbered")
    assert (call.id, ringing.id) == (2, 2)
    ringing.hangup()
    call.wait("null")


def test_restart_that_loses_calls(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connected(alice, bob)
    with RawApp(pbx).login() as app:
        app.attach("aa")
        pbx.restart(calls="lost")
        app.wait_closed()
    assert call.ended and ringing.ended and alice.calls == bob.calls == []
    with RawApp(pbx).login() as app:
        app.attach("aa")
        app.wait_mt("Sync", 2)
        app.challenge()
        assert synced(app) == []
        assert_works(alice, bob)


def test_apps_find_out_about_a_restart_when_it_is_over(
    pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that who connects again at once meets a PBX that is back."""
    call, _ = connected(alice, bob)
    assert pbx._transport is not None
    cut_off, when_cut_off = pbx._transport.drop, []

    def drop() -> None:
        when_cut_off.append((alice.registered, call.id))
        cut_off()

    monkeypatch.setattr(pbx._transport, "drop", drop)
    pbx.restart(calls="renumbered")
    assert when_cut_off == [(True, 1)]


def test_restart_leaves_unregistered_phones_alone(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    alice.unregister()
    pbx.restart()
    assert not alice.registered


@pytest.mark.parametrize("calls", ["kept", "renumbered"])
def test_restart_ends_what_one_end_alone_knew(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, calls: str) -> None:
    with RawApp(pbx).login() as app:
        app.attach("aa")
        call, ringing = connected(alice, bob)
        app.forward = False
        dialing = alice.call("23")
        call.hangup()
        app.wait_signal("rel", to=False)
        assert not ringing.ended, "the app has the rel in hand"
        pbx.restart(calls=calls)
    ringing.wait("null")
    assert dialing.ended and alice.calls == [] and pbx._lines["aa"].legs.keys() == {1, 2}
    assert_works(alice, bob)


def test_restart_ends_calls_of_apps(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx, forward=False).login() as first, RawApp(pbx).login() as second:
        first.attach("aa")
        second.attach("bb")
        first.send(signaling(-1, SETUP, to=False))
        first.send(signaling(-2, {**SETUP, "cd": {"num": "22"}}, to=True))
        at_bob, at_alice = bob.wait("alert"), alice.wait("alert")
        pbx.restart()
        assert at_bob.cause == at_alice.cause == 41 and at_bob.ended and at_alice.ended
    assert alice.calls == bob.calls == [] and not any(id < 0 for id in pbx._lines["aa"].legs)


def test_restart_after_which_calls_cannot_be(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    for method in (pbx.restart, alice.reregister):
        with pytest.raises(UsageError, match="renumbered"):
            method(calls="released")


def test_restart_while_phones_call(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    over = threading.Event()

    def people() -> None:
        while not over.is_set():
            try:
                alice.call("23").wait("alert", timeout=0.5)
                bob.answer()
                alice.hangup()
            except (DetachedError, ReplyTimeout, UsageError):
                pass  # The restart came between.

    thread = threading.Thread(target=people)
    thread.start()
    try:
        for calls in ("kept", "renumbered", "lost") * 8:
            pbx.restart(calls=calls)
    finally:
        over.set()
        thread.join(10)
    for phone in (alice, bob):
        for call in phone.calls:
            call.hangup()
    pbx.wait_for(lambda log: not alice.calls and not bob.calls)
    assert_works(alice, bob)
    pbx.wait_for(lambda log: all(len(pbx._lines[hw].legs) == 2 for hw in ("aa", "bb")))


@pytest.mark.parametrize(("calls", "id"), [("kept", 3), ("renumbered", 1)])
def test_phone_registers_again(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone, calls: str, id: int) -> None:
    with RawApp(pbx).login() as app:
        app.attach("aa")
        app.wait_mt("Sync", 2)
        call, ringing = connected(alice, bob)
        before = len(app.messages)
        alice.reregister(calls=calls)
        app.wait_mt("Sync", 3)
        assert [message["mt"] for message in app.messages[before:]][:3] == ["Detached", "Attached", "Sync"]
        assert synced(app) == [(id, "23", False, "connected")] and call.id == id
        until(lambda: [state for _, state in standing(alice)] == ["connected", "call-proc"], "no standing calls")
        ringing.hangup()
        call.wait("null")


def test_renumbered_calls_take_the_ids_of_calls_that_are_over(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    with RawApp(pbx).login() as app:
        app.attach("aa")
        ending, _ = connected(alice, bob)
        kept, _ = connected(alice, pbx.add_phone("cc", number="24", sip="carol"))
        over, _ = connected(alice, pbx.add_phone("dd", number="25", sip="dave"))
        over.hangup()
        until(lambda: sorted(pbx._lines["aa"].legs) == [1, 2, 3, 4], "the rel is on its way")
        app.forward = False
        ending.hangup()
        app.wait_signal("rel", to=False, call=3)
        alice.reregister(calls="renumbered")
        assert kept.id == 1 and sorted(pbx._lines["aa"].calls) == [1, 2, 3], "the app has the rel of the old call 3 in hand"
        app.send(signaling(5, {"type": "facility", "fty": []}, to=True))
        assert app.wait_signal("rel", to=False, call=5, count=2)["sig"]["cau"]["num"] == 81, "nobody remembers the old call 5"


def test_phone_registers_again_and_its_calls_are_lost(pbx: SimulatedPBX, alice: SimulatedPhone, bob: SimulatedPhone) -> None:
    call, ringing = connected(alice, bob)
    alice.reregister(calls="lost")
    ringing.wait("null")
    assert call.ended and ringing.cause == 27 and alice.registered
    assert_works(alice, bob)


def test_phone_that_is_not_registered_cannot_lose_its_registration(pbx: SimulatedPBX, alice: SimulatedPhone) -> None:
    alice.unregister()
    with pytest.raises(DetachedError, match=r"register\(\)"):
        alice.reregister()
    assert not alice.registered
