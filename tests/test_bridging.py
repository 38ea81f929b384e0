"""Two calls of the app that are joined, at a scripted peer: what passes, what waits, and how they end."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync import bridging
from epsignal_sync.leg import Leg
from epsignal_sync.messages import Channels
from epsignal_sync.relay import backoff
from epsignal_sync.simulator import SimulatedPBX

from .conftest import HW1, HW2, PATIENCE, wait_until
from .peer import Peer
from .test_call import Phone, in_thread

CAUSE = {"loc": 1, "num": 17, "zz": None}
NAME = [{"type": "name_identification", "name": "Bob"}]


def media(command: str, number: int = 1, kind: str = "channels") -> dict[str, Any]:
    """Return a signal of media."""
    return {"type": kind, "channel": -1, "channels_cmd": command, "channels": {"id": number, "zz": None}}


class Far:
    """A far end of a call of the app."""

    def __init__(self, peer: Peer, call: eps.Call) -> None:
        self.peer, self.call = peer, call
        self.to = not call.incoming
        """The "to" of what it says."""

    def say(self, sig: dict[str, Any]) -> None:
        """Say something."""
        self.peer.send(self.peer.signaling(self.call.id, sig, to=self.to))

    def told(self) -> dict[str, Any]:
        """Return what it is told next."""
        message = self.peer.receive()
        assert (message["call"], message.get("to") is True) == (self.call.id, not self.to), message
        sig: dict[str, Any] = message["sig"]
        return sig

    def connect(self) -> None:
        """Accept the call, without media."""
        self.say({"type": "conn"})
        self.call.wait("connected", timeout=PATIENCE)

    def rel(self, number: int) -> dict[str, Any]:
        """Hang up; returns what was said."""
        sig = {"type": "rel", "cau": {"num": number}}
        self.say(sig)
        return sig


class Pair:
    """Two calls of the app and their far ends: the phone, and somebody called through the PBX."""

    def __init__(self, peer: Peer, device: eps.Device, channels: Channels | None = None) -> None:
        self.peer, self.device = peer, device
        self.phone = Far(peer, device.ring("24"))
        self.other = Far(peer, device.dial("24", channels=channels))
        for far in (self.phone, self.other):
            assert far.told()["type"] == "setup"

    def bridge(self, *, swapped: bool = False) -> eps.Bridge:
        """Join the two."""
        calls = (self.phone.call, self.other.call)
        return eps.bridge(*(calls[::-1] if swapped else calls))

    def connect(self) -> eps.Bridge:
        """Join the two, and have both connected after one offer and its answer."""
        bridge = self.bridge()
        for one, other, command in ((self.phone, self.other, "PROPOSAL"), (self.other, self.phone, "SELECT")):
            one.say(media(command, kind="conn"))
            assert other.told() == media(command)
        bridge.wait_connected(timeout=PATIENCE)
        return bridge

    def nothing_waits_to_be_told(self) -> None:
        """See that nothing comes before what is said now."""
        self.phone.say({"type": "user_info", "uui": "marker"})
        assert self.other.told() == {"type": "user_info", "uui": "marker"}

    def is_over(self, bridge: eps.Bridge, number: int | None = None) -> None:
        """See that nothing is left, and why it ended."""
        bridge.wait_ended(timeout=PATIENCE)
        assert bridge.ended and not bridge.connected and not any(call.own for call in self.device.calls.values())
        if number is not None:
            assert bridge.cause is not None and bridge.cause.num == number


@pytest.fixture
def pair(peer: Peer, peer_client: eps.Client) -> Pair:
    return Pair(peer, peer.attach(peer_client))


@pytest.fixture
def sides(pair: Pair, request: pytest.FixtureRequest) -> tuple[Far, Far]:
    """The two far ends, in one order or the other."""
    return (pair.phone, pair.other) if request.param == "phone" else (pair.other, pair.phone)


both_ways = pytest.mark.parametrize("sides", ["phone", "other"], indirect=True)


# ------------------------------------------------------------ what passes


@both_ways
@pytest.mark.parametrize("swapped", [False, True])
def test_what_one_says_the_other_is_told(pair: Pair, sides: tuple[Far, Far], swapped: bool) -> None:
    pair.bridge(swapped=swapped)
    one, other = sides
    for sig in (
        {"type": "facility", "fty": [{"type": "hold_notify"}, {"type": "brand_new", "zz": [None]}, 5]},
        {"type": "info", "cd": {"num": "5"}, "dsp": "ü"},
        {"type": "user_info", "uui": "grüße"},
        {"type": "media_info", "zz": {"a": []}},
        {"type": "brand_new", "fty": "x", "zz": None},
        media("REQUEST"),
        media("BRAND_NEW"),
    ):
        one.say(sig)
        assert other.told() == sig
    one.say({**media("SELECT", kind="alert"), "fty": NAME, "dsp": "x"})
    assert other.told() == {**media("SELECT"), "fty": NAME}
    one.say({"type": "call_proc", "channel": -1, "inband_info": False})
    one.say({"type": "progress", "fty": NAME})
    assert other.told() == {"type": "facility", "fty": NAME}


def test_numbers_pass_digit_by_digit(pair: Pair) -> None:
    pair.bridge()
    parts = '"zz":[1.10,-0,1e400,123456789012345678901234567890]'
    for kind, passed in (("channels", "channels"), ("conn", "channels"), ("brand_new", "brand_new")):
        sig = f'{{"type":"{kind}","channel":-1,"channels_cmd":"SELECT","channels":{{{parts}}}}}'
        message = f'{{"mt":"Signaling","api":"EpSignal","src":"{pair.peer.src}","call":{pair.phone.call.id},"sig":{sig}}}'
        pair.peer.send(message)
        assert sig.replace(kind, passed, 1) in pair.peer.receive_text().decode()


@both_ways
def test_what_comes_from_the_wrong_side_does_not_pass(pair: Pair, sides: tuple[Far, Far]) -> None:
    bridge = pair.bridge()
    for sig in (media("SELECT"), {"type": "disc"}, {"type": "rel"}):
        pair.peer.send(pair.peer.signaling(sides[0].call.id, sig, to=not sides[0].to))
    pair.nothing_waits_to_be_told()
    assert not bridge.ended and bridge.cause is None


def test_signal_that_is_too_big_to_pass_does_not_end_the_bridge(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    with peer.client(max_message_size=3000, api="A" * 500) as client:
        pair = Pair(peer, peer.attach(client))
        pair.bridge()
        text = "x" * 2700
        message = {"mt": "Signaling", "src": peer.src, "call": pair.phone.call.id, "sig": {"type": "info", "dsp": text}}
        peer.send(message)
        pair.nothing_waits_to_be_told()
        wait_until(lambda: f"a signal did not pass to call {pair.other.call.id} of {HW1}: this message cannot be sent" in caplog.text)
        assert "please report it" not in caplog.text
        peer.drop()


@both_ways
def test_offers_that_cross(pair: Pair, sides: tuple[Far, Far]) -> None:
    pair.connect()
    one, other = sides
    one.say(media("PROPOSAL", 5))
    assert other.told() == media("PROPOSAL", 5)
    other.say(media("PROPOSAL", 6))
    other.say({"type": "user_info", "uui": "passes"})
    assert one.told() == {"type": "user_info", "uui": "passes"}
    other.say(media("SELECT", 7))
    assert [one.told(), one.told()] == [media("SELECT", 7), media("PROPOSAL", 6)]
    one.say(media("SELECT", 8))
    assert other.told() == media("SELECT", 8)


def test_offer_instead_of_an_answer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridging, "OFFER_TIME", 0.05)
    pair.bridge()
    pair.phone.say(media("PROPOSAL", 1, "conn"))
    assert pair.other.told() == media("PROPOSAL", 1)
    pair.other.say(media("PROPOSAL", 2, "alert"))
    pair.nothing_waits_to_be_told()
    pair.other.connect()
    assert pair.phone.told() == media("PROPOSAL", 2)
    pair.phone.say(media("SELECT", 3))
    assert pair.other.told() == media("SELECT", 3)


def test_time_of_an_offer_that_has_passed_is_not_that_of_the_next_one(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Callable[[], None]] = []
    monkeypatch.setattr(Leg, "after", lambda leg, seconds, job: jobs.append(job))
    pair.connect()
    pair.phone.say(media("PROPOSAL", 1))
    pair.other.say(media("PROPOSAL", 2))
    pair.other.say(media("SELECT", 3))
    assert (pair.other.told(), pair.phone.told(), pair.phone.told()) == (media("PROPOSAL", 1), media("SELECT", 3), media("PROPOSAL", 2))
    pair.phone.say(media("PROPOSAL", 4))
    pair.nothing_waits_to_be_told()
    jobs[0]()
    pair.nothing_waits_to_be_told()
    jobs[-1]()
    assert pair.other.told() == media("PROPOSAL", 4)


def test_offer_waits_for_as_long_as_the_other_rings(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridging, "OFFER_TIME", 0)
    pair.bridge()
    pair.phone.say(media("PROPOSAL", 1, "conn"))
    pair.phone.say(media("PROPOSAL", 2))
    assert pair.other.told() == media("PROPOSAL", 1)
    for _ in range(3):
        pair.nothing_waits_to_be_told()
    pair.other.say(media("SELECT", 3, "alert"))
    assert (pair.phone.told(), pair.other.told()) == (media("SELECT", 3), media("PROPOSAL", 2))


# ------------------------------------------------------------ what was said before


def test_offer_is_asked_for_where_there_was_none(pair: Pair) -> None:
    pair.bridge()
    pair.phone.connect()
    pair.other.connect()
    assert pair.phone.told() == {"type": "channels", "channel": -1, "channels_cmd": "REQUEST"}
    pair.phone.say(media("PROPOSAL"))
    assert pair.other.told() == media("PROPOSAL")


def test_two_connected_calls_that_have_no_media_yet(pair: Pair) -> None:
    pair.phone.connect()
    pair.other.connect()
    bridge = pair.bridge(swapped=True)
    assert bridge.connected and bridge.calls == (pair.other.call, pair.phone.call)
    assert pair.other.told() == {"type": "channels", "channel": -1, "channels_cmd": "REQUEST"}


def test_two_connected_calls_that_have_both_offered(pair: Pair) -> None:
    pair.phone.say(media("PROPOSAL", 1, "conn"))
    pair.other.say(media("PROPOSAL", 2, "conn"))
    pair.other.call.wait("connected", timeout=PATIENCE)
    pair.bridge()
    assert pair.other.told() == media("PROPOSAL", 1)
    pair.other.say(media("SELECT", 3))
    assert (pair.phone.told(), pair.phone.told()) == (media("SELECT", 3), media("PROPOSAL", 2))


def test_answer_that_comes_before_the_calls_are_joined(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    phone = Far(peer, device.ring("24"))
    phone.told()
    offers: list[Channels] = []
    phone.call.on(eps.messages.Conn, lambda event: offers.extend([event.signal.channels] if event.signal.channels else []))
    phone.say(media("PROPOSAL", kind="conn"))
    wait_until(lambda: offers)
    other = Far(peer, device.dial("24", channels=offers[0]))
    assert other.told()["channels"] == media("PROPOSAL")["channels"]
    other.say(media("SELECT", 2, "alert"))
    other.call.wait("alert", timeout=PATIENCE)
    eps.bridge(other.call, phone.call)
    assert phone.told() == media("SELECT", 2)
    other.say({"type": "conn"})
    other.say({"type": "user_info", "uui": "next"})
    assert phone.told() == {"type": "user_info", "uui": "next"}


# ------------------------------------------------------------ the end


@both_ways
@pytest.mark.parametrize("connected", [False, True])
def test_rel_for_rel(pair: Pair, sides: tuple[Far, Far], connected: bool) -> None:
    bridge = pair.connect() if connected else pair.bridge()
    rel = {"type": "rel", "cau": CAUSE, "uui": "bye", "zz": None}
    sides[0].say(rel)
    assert sides[1].told() == rel
    pair.is_over(bridge, 17)


@both_ways
def test_disc_for_disc_and_the_rel_back(pair: Pair, sides: tuple[Far, Far]) -> None:
    bridge = pair.connect()
    one, other = sides
    disc = {"type": "disc", "inband_info": True, "cau": CAUSE}
    one.say(disc)
    assert other.told() == disc
    with pytest.raises(eps.CallEndedError, match="User busy") as failure:
        bridge.wait_connected(timeout=PATIENCE)
    assert failure.value.cause.num == 17 and not bridge.ended and not one.call.ended
    one.say(disc)
    one.say({"type": "user_info", "uui": "passes"})
    assert other.told() == {"type": "user_info", "uui": "passes"}
    rel = other.rel(16)
    assert one.told() == rel
    pair.is_over(bridge, 17)


@both_ways
def test_caller_releases_after_its_disc(pair: Pair, sides: tuple[Far, Far]) -> None:
    bridge = pair.bridge()
    sides[0].say({"type": "disc"})
    assert sides[1].told() == {"type": "disc"}
    rel = sides[0].rel(31)
    assert sides[1].told() == rel
    pair.is_over(bridge)
    assert bridge.cause is None


def test_discs_that_cross(pair: Pair) -> None:
    bridge = pair.connect()
    pair.phone.say({"type": "disc", "cau": {"num": 16}})
    assert pair.other.told()["type"] == "disc"
    pair.other.say({"type": "disc", "cau": {"num": 31}})
    rel = {"type": "rel", "cau": {"num": 31}}
    assert (pair.phone.told(), pair.other.told()) == (rel, rel)
    pair.is_over(bridge, 16)


@both_ways
def test_disc_that_nobody_answers(pair: Pair, sides: tuple[Far, Far], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridging, "DISC_TIME", 0.05)
    bridge = pair.connect()
    sides[0].say({"type": "disc", "cau": CAUSE})
    assert sides[1].told()["type"] == "disc"
    rel = {"type": "rel", "cau": CAUSE}
    assert (pair.phone.told(), pair.other.told()) == (rel, rel)
    pair.is_over(bridge, 17)


@both_ways
def test_disc_that_cannot_be_passed_is_answered(pair: Pair, sides: tuple[Far, Far], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(call: eps.Call, to_device: bool, signal: eps.messages.Signal) -> None:
        raise eps.UsageError("this message cannot be sent")

    bridge = pair.connect()
    monkeypatch.setattr(eps.Call, "_queue_at_once", fail)
    sides[0].say({"type": "disc", "cau": CAUSE})
    rel = {"type": "rel", "cau": CAUSE}
    assert (pair.phone.told(), pair.other.told()) == (rel, rel)
    pair.is_over(bridge, 17)


@both_ways
def test_rels_that_cross(pair: Pair, sides: tuple[Far, Far]) -> None:
    bridge = pair.bridge()
    sides[0].rel(16)
    sides[1].rel(31)
    wait_until(lambda: bridge.ended)
    pair.is_over(bridge, 16)


@both_ways
def test_program_hangs_one_call_up(pair: Pair, sides: tuple[Far, Far]) -> None:
    bridge = pair.connect()
    sides[0].call.hangup(31)
    rel = {"type": "rel", "cau": {"num": 31}}
    assert (sides[0].told(), sides[1].told()) == (rel, rel)
    pair.is_over(bridge, 31)


def test_program_hangs_both_up(pair: Pair) -> None:
    bridge = pair.connect()
    bridge.hangup(31)
    rel = {"type": "rel", "cau": {"num": 31}}
    assert (pair.phone.told(), pair.other.told()) == (rel, rel)
    bridge.hangup()
    pair.is_over(bridge, 31)


def test_far_end_hangs_up_while_a_hangup_waits_in_vain(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's hangup() had undertaken to send the rel, and could not: then the bridge does."""
    bridge = pair.connect()
    connection = pair.device._connection

    def wait_in_vain(*args: Any) -> None:
        pair.other.rel(31)
        pair.other.call.wait_ended(timeout=PATIENCE)
        wait_until(lambda: bridge.cause)
        raise eps.ReplyTimeout("the PBX has not taken what was sent before")

    monkeypatch.setattr(connection, "send_signaling", wait_in_vain)
    pair.phone.call.hangup(16)
    assert pair.phone.told() == {"type": "rel", "cau": {"num": 31}}
    pair.is_over(bridge, 31)


def test_device_unregisters(pair: Pair) -> None:
    bridge = pair.connect()
    pair.peer.send({"mt": "Detached", "api": "EpSignal", "src": pair.peer.src})
    rel = {"type": "rel", "cau": {"num": 27}}
    assert (pair.phone.told(), pair.other.told()) == (rel, rel)
    pair.is_over(bridge, 27)


@pytest.mark.parametrize("wait", ["wait_connected", "wait_ended"])
@pytest.mark.parametrize("error", [eps.ConnectionLostError, eps.ClosedError])
def test_connection_ends(pair: Pair, wait: str, error: type[Exception]) -> None:
    bridge = pair.connect() if wait == "wait_ended" else pair.bridge()
    finish = in_thread(lambda: getattr(bridge, wait)(timeout=None))
    wait_until(lambda: bridge._waiting)
    pair.peer.drop()
    if error is eps.ClosedError:
        # Whichever of the two is seen first.
        pair.device.client.close()
        error = eps.EpSignalError
    with pytest.raises(error):
        finish()
    wait_until(lambda: bridge.ended)
    pair.is_over(bridge, 41)


def test_connection_goes_just_when_something_passes(pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Before the calls have been told of its end."""
    asked: list[str] = []

    def lost(device: eps.Device, signal: eps.messages.Signal, *args: Any) -> None:
        asked.append(signal.wire_name)
        raise eps.ConnectionLostError("nothing was sent, since there is no connection now")

    bridge = pair.connect()
    monkeypatch.setattr(pair.device._connection, "answer_signaling", lost)
    pair.phone.say({"type": "user_info", "uui": "x"})
    wait_until(lambda: asked)
    bridge.hangup()
    assert asked == ["user_info", "rel", "rel"] and not bridge.ended
    pair.peer.drop()
    wait_until(lambda: bridge.ended)
    pair.is_over(bridge, 16)
    assert "did not pass" not in caplog.text and "please report it" not in caplog.text


def test_connection_is_closed(pair: Pair) -> None:
    bridge = pair.connect()
    closing = in_thread(pair.device.client.close)
    with pytest.raises(EOFError):
        while pair.peer.receive_frame()[0] != 8:
            pass
        pair.peer.drop()
        raise EOFError
    closing()
    wait_until(lambda: bridge.ended)
    pair.is_over(bridge, 41)
    bridge.hangup()


def test_waiting_in_vain(pair: Pair) -> None:
    bridge = pair.bridge()
    name = f"the bridge of call {pair.phone.call.id} of {HW1} and call {pair.other.call.id} of {HW1}"
    with pytest.raises(eps.ReplyTimeout, match=f"^{name} was not connected within 0.01 s: wait longer, or hang it up$"):
        bridge.wait_connected(timeout=0.01)
    with pytest.raises(eps.ReplyTimeout, match=f"^{name} did not end within 0 s"):
        bridge.wait_ended(timeout=0)
    assert not bridge._waiting and repr(bridge).startswith("<Bridge of <Call ")


def test_change_just_before_it_is_waited_for(pair: Pair) -> None:
    bridge = pair.bridge()
    looks: list[bool] = []

    def look() -> bool:
        looks.append(True)
        bridge._tell()
        return len(looks) > 1

    bridge._wait(look, PATIENCE, "was not looked at again")
    assert len(looks) == 2


def test_waiting_threads_are_told(pair: Pair) -> None:
    bridge = pair.bridge()
    waits = [in_thread(lambda: bridge.wait_connected(timeout=PATIENCE)) for _ in range(2)]
    wait_until(lambda: len(bridge._waiting) == 2)
    pair.phone.connect()
    pair.other.connect()
    for finish in waits:
        finish()
    finish = in_thread(lambda: bridge.wait_ended(timeout=PATIENCE))
    pair.phone.rel(16)
    finish()


# ------------------------------------------------------------ what cannot be


def refused(first: Any, second: Any, rule: str, error: type[Exception] = eps.UsageError) -> None:
    """See that two calls cannot be joined, and why."""
    with pytest.raises(error, match=rule):
        eps.bridge(first, second)


def test_calls_that_cannot_be_joined(pair: Pair) -> None:
    phone = Phone(pair.peer, pair.device)
    phone.say("setup", to=True, cg={"num": "22"})
    phone.told()
    call, own = phone.call(), pair.phone.call
    no_media = pair.device.dial("24", media=False)
    pair.peer.receive()
    refused(own, own, f"bridge\\(\\) sent nothing for call {own.id} of {HW1}: it cannot be joined with itself")
    refused(own, call, f"for call 5 of {HW1}: it is the device's own")
    refused(call, own, f"for call 5 of {HW1}: it is the device's own")
    refused(own, no_media, f"for call {no_media.id} of {HW1}: it is a call without media")
    for other in (None, 5, pair.device):
        refused(own, other, f"two calls, not {type(other).__name__}")
    bridge = pair.bridge()
    refused(own, Far(pair.peer, pair.device.dial("25")).call, f"call {own.id} of {HW1}: it is in a bridge already")
    refused(pair.other.call, own, "in a bridge already")
    assert pair.peer.receive()["sig"]["type"] == "setup"
    for wrong in (0, 128, "16", True, None):
        with pytest.raises(eps.UsageError, match="Q.850"):
            bridge.hangup(wrong)  # type: ignore[arg-type]
    with pytest.raises(eps.UsageError):
        bridge.wait_connected(timeout="1")  # type: ignore[arg-type]
    pair.nothing_waits_to_be_told()


def test_call_that_is_over_or_hung_up_cannot_be_joined(pair: Pair) -> None:
    pair.other.say({"type": "disc", "cau": {"num": 17}})
    assert pair.other.told()["type"] == "rel"
    refused(pair.phone.call, pair.other.call, f"bridge\\(\\) sent nothing: call {pair.other.call.id} of {HW1}", eps.CallEndedError)
    pair.phone.rel(16)
    pair.phone.call.wait_ended(timeout=PATIENCE)
    refused(pair.phone.call, pair.other.call, "is over, with cause 16", eps.CallEndedError)


def test_call_that_ends_just_when_it_is_joined(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridging, "check_live", lambda verb, call: None)
    pair.other.rel(17)
    pair.other.call.wait_ended(timeout=PATIENCE)
    bridge = pair.bridge()
    assert pair.phone.told() == {"type": "rel", "cau": {"num": 17}}
    pair.is_over(bridge, 17)


@pytest.mark.parametrize("parts", [{}, {"cau": {"num": 17}}])
def test_disc_that_comes_just_when_the_call_is_joined(pair: Pair, monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any]) -> None:
    monkeypatch.setattr(bridging, "check_live", lambda verb, call: None)
    monkeypatch.setattr(eps.Call, "_answer_disc", lambda self: False)
    pair.other.say({"type": "disc", **parts})
    pair.other.call.wait("disconnected", timeout=PATIENCE)
    bridge = pair.bridge()
    assert pair.phone.told() == {"type": "disc", **parts}
    rel = pair.phone.rel(16)
    assert pair.other.told() == rel
    pair.is_over(bridge, 17 if parts else None)


def test_two_threads_join_the_same_call(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    third = pair.device.dial("25")
    assert pair.peer.receive()["sig"]["type"] == "setup"
    others: list[threading.Thread] = []
    errors: list[BaseException] = []
    join = Leg.join

    def try_it() -> None:
        try:
            eps.bridge(third, pair.phone.call)
        except eps.UsageError as error:
            errors.append(error)

    def join_slowly(leg: Leg, joint: eps.Bridge) -> Any:
        if not others:
            others.append(threading.Thread(target=try_it, name="test-joiner"))
            others[0].start()
            others[0].join(0.1)  # long enough for it to get in between, if it could
        return join(leg, joint)

    monkeypatch.setattr(Leg, "join", join_slowly)
    bridge = pair.bridge()
    others[0].join(PATIENCE)
    assert len(errors) == 1 and pair.phone.call._leg is not None and pair.phone.call._leg.joint is bridge
    assert third._leg is not None and third._leg.joint is None


# ------------------------------------------------------------ of two connections


@pytest.mark.parametrize("how", ["two clients", "per_device"])
def test_calls_on_two_connections(pbx: SimulatedPBX, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.02)
    alice = pbx.add_phone(HW1, number="22", sip="alice", kind="h323")
    bob = pbx.add_phone(HW2, number="23", sip="bob", kind="sip")

    def connect() -> eps.Client:
        return eps.connect(pbx.url, app="phones", password="pwd", per_device=how == "per_device")

    with connect() as one, connect() as two:
        first, second = one.attach(HW1), (one if how == "per_device" else two).attach(HW2)
        for end in ("far end", "connection"):
            bridge = eps.bridge(first.ring("23"), second.ring("22"))
            for phone in (alice, bob):
                phone.wait("alert", timeout=PATIENCE)
                phone.answer()
            bridge.wait_connected(timeout=PATIENCE)
            alices, bobs = alice.calls[-1], bob.calls[-1]
            wait_until(functools.partial(alices.media.joined_to, bobs.media))
            if end == "far end":
                bobs.hangup(31)
            else:
                second._connection.link.end()
            bridge.wait_ended(timeout=PATIENCE)
            for call in (alices, bobs):
                call.wait("null", timeout=PATIENCE)
            assert alices.cause == (31 if end == "far end" else 41)
