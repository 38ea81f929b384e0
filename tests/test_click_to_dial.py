"""Click-to-dial at a scripted peer: what is sent at each step, and how it ends at each of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync import click_to_dial
from epsignal_sync.protocol.envelope import OWN_CALL_IDS

from .conftest import HW1, PATIENCE, wait_until
from .peer import Peer
from .test_bridging import CAUSE, NAME, Far, media
from .test_call import in_thread

REQUEST = {"type": "channels", "channel": -1, "channels_cmd": "REQUEST"}


class Dialing:
    """One click-to-dial to 24: the phone, and from the third step on the other party."""

    def __init__(self, peer: Peer, device: eps.Device, **options: Any) -> None:
        self.peer, self.device = peer, device
        self.bridge = device.click_to_dial("24", **options)
        self.phone = Far(peer, self.bridge.calls[0])
        self.setup = self.phone.told()
        self.other: Far | None = None

    def ring(self) -> None:
        """Step 1: the phone rings."""
        self.phone.say({"type": "alert", "channel": -1})

    def pick_up(self) -> None:
        """Step 2: it is picked up without an offer, and is asked for one."""
        self.ring()
        self.phone.say({"type": "conn", "channel": -1})
        assert self.phone.told() == REQUEST

    def call(self) -> Far:
        """Step 3: it has offered, and the other party is called."""
        self.pick_up()
        self.phone.say(media("PROPOSAL"))
        return self.called()

    def called(self) -> Far:
        """Take the setup of the other party's call."""
        wait_until(lambda: len(self.bridge.calls) == 2)
        self.other = Far(self.peer, self.bridge.calls[1])
        self.second_setup = self.other.told()
        assert self.second_setup["type"] == "setup"
        return self.other

    def early_media(self) -> Far:
        """Step 4: the other party rings, with early media."""
        other = self.call()
        other.say({"type": "call_proc", "channel": -1})
        other.say(media("SELECT", 2, "alert"))
        assert self.phone.told() == media("SELECT", 2)
        return other

    def connect(self) -> Far:
        """Step 5: the other party answers."""
        other = self.early_media()
        other.say(media("SELECT", 3, "conn"))
        assert self.phone.told() == media("SELECT", 3)
        self.bridge.wait_connected(timeout=PATIENCE)
        return other

    def go_to(self, step: str) -> None:
        """Bring it to a step."""
        if step != "start":
            getattr(self, step)()

    def far_ends(self) -> list[Far]:
        """Those that there are, the phone first."""
        return [self.phone] if self.other is None else [self.phone, self.other]

    def is_over(self, number: int | None = None) -> None:
        """See that nothing is left, and why it ended."""
        self.bridge.wait_ended(timeout=PATIENCE)
        assert self.bridge.ended and not self.bridge.connected and not self.device.calls
        assert number is None or (self.bridge.cause is not None and self.bridge.cause.num == number)


@pytest.fixture
def device(peer: Peer, peer_client: eps.Client) -> eps.Device:
    return peer.attach(peer_client)


@pytest.fixture
def dialing(peer: Peer, device: eps.Device) -> Dialing:
    return Dialing(peer, device)


EARLY = ["start", "ring", "pick_up"]
LATE = ["call", "early_media", "connect"]
at_each_step = pytest.mark.parametrize("step", [*EARLY, *LATE])


# ------------------------------------------------------------ what is sent


def test_every_step(dialing: Dialing) -> None:
    setup = dialing.setup
    conference = setup.pop("confId")
    assert re.fullmatch("[0-9a-f]{32}", conference) and setup == {
        "type": "setup", "cg": {"num": "24"}, "complete": True, "channel": -1, "bc": "8090a2",
        "fty": [{"type": "innovaphone_remote_control", "control": "CONNECT"}],
    }  # fmt: skip
    other = dialing.connect()
    assert dialing.second_setup == {
        "type": "setup", "bc": "8090a2", "cd": {"num": "24"}, "complete": True, "channel": -1,
        "channels_cmd": "PROPOSAL", "channels": {"id": 1, "zz": None}, "confId": conference,
    }  # fmt: skip
    phone_call, call = dialing.bridge.calls
    assert phone_call.conference_id == call.conference_id == conference
    assert (phone_call.incoming, phone_call.remote.num, call.incoming, call.remote.num) == (True, "24", False, "24")
    for one, two in ((dialing.phone, other), (other, dialing.phone)):
        for sig in ({"type": "user_info", "uui": "x"}, {"type": "info", "cd": {"num": "1"}}, {"type": "facility", "fty": NAME}):
            one.say(sig)
            assert two.told() == sig
        one.say(media("PROPOSAL", 5))
        assert two.told() == media("PROPOSAL", 5)
        two.say(media("SELECT", 6))
        assert one.told() == media("SELECT", 6)
    assert dialing.bridge.connected and not dialing.bridge.ended and dialing.bridge.cause is None


def test_sip_name(peer: Peer, device: eps.Device) -> None:
    bridge = device.click_to_dial(sip="carol", answer_timeout=None)
    phone = Far(peer, bridge.calls[0])
    assert phone.told()["cg"] == {"sip": "carol"}
    phone.say(media("PROPOSAL", kind="conn"))
    wait_until(lambda: len(bridge.calls) == 2)
    assert Far(peer, bridge.calls[1]).told()["cd"] == {"sip": "carol"}


@pytest.mark.parametrize("kind", ["alert", "channels"])
def test_offer_before_the_phone_is_picked_up(dialing: Dialing, kind: str) -> None:
    dialing.phone.say(media("PROPOSAL", 1, kind))
    dialing.phone.say(media("PROPOSAL", 2))
    dialing.phone.say({"type": "conn", "fty": NAME})
    assert dialing.called() and dialing.second_setup["channels"] == media("PROPOSAL", 2)["channels"]


def test_offer_that_is_taken_back(dialing: Dialing) -> None:
    dialing.phone.say(media("PROPOSAL"))
    dialing.phone.say({"type": "channels", "channels_cmd": "CLOSE"})
    dialing.phone.say({"type": "conn", "channels_cmd": "PROPOSAL", "channels": None})
    assert dialing.phone.told() == REQUEST
    dialing.phone.say({"type": "user_info", "uui": "not asked a second time"})
    dialing.phone.say({**media("PROPOSAL", 3), "channel": 5})
    dialing.called()
    assert (dialing.second_setup["channel"], dialing.second_setup["channels"]) == (-1, media("", 3)["channels"])


def test_offer_keeps_every_digit(dialing: Dialing) -> None:
    channels = '{"id":123456789012345678901234567890,"zz":[1.10,-0,1e400]}'
    sig = f'{{"type":"conn","channels_cmd":"PROPOSAL","channels":{channels}}}'
    dialing.peer.send(f'{{"mt":"Signaling","api":"EpSignal","src":"{dialing.peer.src}","call":{dialing.phone.call.id},"sig":{sig}}}')
    assert f'"channels":{channels}' in dialing.peer.receive_text().decode()


def test_offer_while_the_first_one_is_open_waits(dialing: Dialing) -> None:
    other = dialing.call()
    dialing.phone.say(media("PROPOSAL", 5))
    dialing.phone.say({"type": "user_info", "uui": "passes"})
    assert other.told() == {"type": "user_info", "uui": "passes"}
    other.say(media("SELECT", 6, "conn"))
    assert (dialing.phone.told(), other.told()) == (media("SELECT", 6), media("PROPOSAL", 5))


def test_events_tell_of_it(peer: Peer, device: eps.Device) -> None:
    told: list[tuple[Any, ...]] = []
    device.on(eps.CallStarted, lambda event: told.append(("started", event.call.incoming)))
    device.on(eps.CallStateChanged, lambda event: told.append((str(event.state), event.call.incoming)))
    device.on(eps.CallEnded, lambda event: told.append(("ended", event.call.incoming)))
    dialing = Dialing(peer, device)
    other = dialing.connect()
    other.rel(16)
    dialing.is_over(16)
    wait_until(lambda: len(told) == 11)
    assert told[:4] == [("started", True), ("alert", True), ("connected", True), ("started", False)]
    assert told[-4:] == [("null", False), ("ended", False), ("null", True), ("ended", True)]


def test_in_a_callback(peer: Peer, device: eps.Device) -> None:
    ended: list[Any] = []

    @device.on(eps.CallStarted)
    def started(event: eps.CallStarted) -> None:
        if event.call.incoming is False and not event.call.own:
            bridge = event.device.click_to_dial("24")
            try:
                bridge.wait_connected(timeout=PATIENCE)
            except eps.CallEndedError as error:
                ended.append(error.cause.num)

    peer.send(peer.signaling(7, {"type": "setup", "cd": {"num": "1"}}))
    assert peer.receive()["call"] == 7
    setup = peer.receive()
    assert setup["call"] < 0 and setup["to"] is True
    peer.send(peer.signaling(setup["call"], {"type": "rel", "cau": {"num": 17}}))
    wait_until(lambda: ended)
    assert ended == [17]


# ------------------------------------------------------------ how it ends


@at_each_step
@pytest.mark.parametrize("how", ["rel", "disc"])
def test_phone_hangs_up(dialing: Dialing, step: str, how: str) -> None:
    dialing.go_to(step)
    sig = {"type": how, "cau": CAUSE, "zz": None}
    dialing.phone.say(sig)
    if dialing.other is not None:
        assert dialing.other.told() == sig
        if how == "disc":
            rel = dialing.other.rel(16)
            assert dialing.phone.told() == rel
    elif how == "disc":
        assert dialing.phone.told() == {"type": "rel", "cau": CAUSE}
    dialing.is_over(17)
    with pytest.raises(eps.CallEndedError, match="^the bridge of call .* was hung up, with cause 17, User busy: start it again$"):
        dialing.bridge.wait_connected(timeout=None)


@pytest.mark.parametrize("step", LATE)
@pytest.mark.parametrize("how", ["rel", "disc"])
def test_other_party_hangs_up(dialing: Dialing, step: str, how: str) -> None:
    dialing.go_to(step)
    assert dialing.other is not None
    sig = {"type": how, "cau": CAUSE, "zz": None}
    dialing.other.say(sig)
    assert dialing.phone.told() == sig
    if how == "disc":
        rel = dialing.phone.rel(16)
        assert dialing.other.told() == rel
    dialing.is_over(17)


@at_each_step
@pytest.mark.parametrize("which", ["bridge", "first", "last"])
def test_program_hangs_up(dialing: Dialing, step: str, which: str) -> None:
    dialing.go_to(step)
    bridge = dialing.bridge
    ends = {"bridge": bridge.hangup, "first": bridge.calls[0].hangup, "last": bridge.calls[-1].hangup}
    ends[which](31)
    for _ in dialing.far_ends():
        message = dialing.peer.receive()
        assert message["sig"] == {"type": "rel", "cau": {"num": 31}}
    dialing.is_over(31)


@at_each_step
def test_device_unregisters(dialing: Dialing, step: str) -> None:
    dialing.go_to(step)
    dialing.peer.send({"mt": "Detached", "api": "EpSignal", "src": dialing.peer.src})
    for far in dialing.far_ends():
        assert far.told() == {"type": "rel", "cau": {"num": 27}}
    dialing.is_over(27)


@at_each_step
@pytest.mark.parametrize("how", ["lost", "closed"])
def test_connection_ends(dialing: Dialing, step: str, how: str) -> None:
    dialing.go_to(step)
    finish = in_thread(lambda: dialing.bridge.wait_ended(timeout=None))
    wait_until(lambda: dialing.bridge._waiting)
    if how == "closed":
        dialing.peer.send_close(1000)
        dialing.device.client.close()
    dialing.peer.drop()
    with pytest.raises(eps.EpSignalError) as failure:
        finish()
    assert isinstance(failure.value, eps.ConnectionLostError if how == "lost" else (eps.ConnectionLostError, eps.ClosedError))
    wait_until(lambda: dialing.bridge.ended)
    dialing.is_over(41)


def test_phone_that_is_not_picked_up(peer: Peer, device: eps.Device) -> None:
    dialing = Dialing(peer, device, answer_timeout=0.05)
    dialing.ring()
    assert dialing.phone.told() == {"type": "rel", "cau": {"num": 19}}
    dialing.is_over(19)


def test_phone_that_is_picked_up_in_time(peer: Peer, device: eps.Device) -> None:
    dialing = Dialing(peer, device, answer_timeout=0.05)
    dialing.phone.say(media("PROPOSAL", kind="conn"))
    other = dialing.called()
    done: list[float] = []
    device._connection.intake.timers.at(0, lambda now: device._connection.intake.timers.at(now + 0.1, done.append))
    other.say({"type": "alert"})
    wait_until(lambda: done)
    other.say({"type": "user_info", "uui": "it goes on"})
    assert dialing.phone.told() == {"type": "user_info", "uui": "it goes on"}


def test_phone_that_offers_no_media(peer: Peer, device: eps.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click_to_dial, "PROPOSAL_TIME", 0.05)
    dialing = Dialing(peer, device)
    dialing.pick_up()
    assert dialing.phone.told() == {"type": "rel", "cau": {"num": 47}}
    dialing.is_over(47)


def test_phone_that_has_offered_is_not_released_for_want_of_media(dialing: Dialing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click_to_dial, "PROPOSAL_TIME", 0)
    times: list[Callable[[], None]] = []
    monkeypatch.setattr("epsignal_sync.leg.Leg.after", lambda leg, seconds, job: times.append(job))
    other = dialing.call()
    for job in times:
        job()
    other.say({"type": "user_info", "uui": "it goes on"})
    assert dialing.phone.told() == {"type": "user_info", "uui": "it goes on"}


def test_other_party_cannot_be_called(dialing: Dialing, monkeypatch: pytest.MonkeyPatch) -> None:
    def used_up() -> int:
        raise OverflowError("this process has used up its 2**31 call ids: restart it")

    dialing.pick_up()
    monkeypatch.setattr(OWN_CALL_IDS, "issue", used_up)
    dialing.phone.say(media("PROPOSAL"))
    assert dialing.phone.told() == {"type": "rel", "cau": {"num": 41}}
    dialing.is_over(41)


def test_phone_is_picked_up_just_when_the_program_hangs_up(dialing: Dialing, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, held = dialing.device._connection, []
    with monkeypatch.context() as patch:
        patch.setattr(connection, "answer_signaling", lambda *args: held.append(args))
        dialing.bridge.hangup()
        dialing.phone.say(media("PROPOSAL", kind="conn"))
        dialing.phone.call.wait("connected", timeout=PATIENCE)
    for args in held:
        connection.answer_signaling(*args)
    assert dialing.phone.told() == {"type": "rel", "cau": {"num": 16}}
    dialing.is_over(16)
    assert len(held) == len(dialing.bridge.calls) == 1


def test_offer_that_is_too_big_to_call_with(peer: Peer) -> None:
    with peer.client(max_message_size=3000, api="A" * 500) as client:
        device = peer.attach(client)
        dialing = Dialing(peer, device)
        sig = {"type": "conn", "channels_cmd": "PROPOSAL", "channels": {"zz": "x" * 2600}}
        peer.send({"mt": "Signaling", "src": peer.src, "call": dialing.phone.call.id, "sig": sig})
        assert dialing.phone.told() == {"type": "rel", "cau": {"num": 41}}
        dialing.is_over(41)
        assert len(dialing.bridge.calls) == 1
        peer.drop()


def test_setup_that_cannot_be_queued_for_so_long(peer: Peer, device: eps.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time-out of the phone must not send a rel before the setup."""
    monkeypatch.setattr(click_to_dial, "NOT_QUEUED_TIME", 0.01)
    connection = device._connection
    send = connection.send_signaling
    looks: list[float] = []

    def wait(*args: Any) -> None:
        timers = connection.intake.timers
        timers.at(0, lambda now: timers.at(now + 0.1, looks.append))
        peer.send({"mt": "PbxInfo"})  # with what is received the link thread looks at its timers
        wait_until(lambda: looks)
        send(*args)

    monkeypatch.setattr(connection, "send_signaling", wait)
    dialing = Dialing(peer, device, answer_timeout=0.01)
    assert dialing.setup["type"] == "setup"
    assert dialing.phone.told() == {"type": "rel", "cau": {"num": 19}}
    dialing.is_over(19)


def test_setup_that_is_never_queued(device: eps.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise eps.ReplyTimeout("the PBX has not taken what was sent before")

    monkeypatch.setattr(device._connection, "send_signaling", fail)
    with pytest.raises(eps.ReplyTimeout):
        device.click_to_dial("24", answer_timeout=0.01)
    assert not device.calls


# ------------------------------------------------------------ what cannot be


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, "it needs a number or sip="),
        ({"number": "24x"}, "'24x' is no number"),
        ({"number": "call 24"}, "is no number"),
        ({"number": "R"}, "a number needs digits"),
        ({"number": 24}, "number is text, not a int"),
        ({"sip": None}, "sip is text, not a NoneType"),
        ({"sip": "\ud800"}, "half of a character"),
        ({"number": "24", "answer_timeout": 0}, "answer_timeout= is a number of seconds above 0"),
        ({"number": "24", "answer_timeout": -1}, "answer_timeout= is a number of seconds above 0"),
        ({"number": "24", "answer_timeout": "30"}, "a time-out is a number of seconds"),
        ({"number": "24", "answer_timeout": float("nan")}, "a time-out is a number of seconds"),
        ({"number": "24", "timeout": "10"}, "a time-out is a number of seconds"),
    ],
)
def test_bad_input_sends_nothing(peer: Peer, device: eps.Device, options: dict[str, Any], rule: str) -> None:
    with pytest.raises(eps.UsageError, match=re.escape(rule)) as failure:
        device.click_to_dial(**options)
    assert "time-out" in rule or str(failure.value).startswith(f"click_to_dial() sent nothing for {HW1}: ")
    device.send(eps.messages.UserInfo(uui="marker"), call=5, to_device=True)
    assert peer.receive()["sig"]["type"] == "user_info" and not device.calls


def test_device_that_is_not_attached(peer: Peer, device: eps.Device) -> None:
    peer.send({"mt": "Detached", "api": "EpSignal", "src": peer.src})
    wait_until(lambda: not device.attached)
    with pytest.raises(eps.DetachedError, match="click_to_dial\\(\\) sent nothing"):
        device.click_to_dial("24")
    assert not device.calls


def test_endless_patience(peer: Peer, device: eps.Device) -> None:
    dialing = Dialing(peer, device, answer_timeout=float("inf"))
    dialing.call()


def test_call_of_a_click_to_dial_is_in_a_bridge(dialing: Dialing, peer: Peer) -> None:
    call = dialing.device.dial("25")
    peer.receive()
    with pytest.raises(eps.UsageError, match="it is in a bridge already"):
        eps.bridge(call, dialing.bridge.calls[0])
