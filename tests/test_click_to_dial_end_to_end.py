"""Click-to-dial through clients, the simulated PBX and a second phone: talking, and no call left whatever happens."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterator

import pytest

import epsignal_sync as eps
from epsignal_sync import bridging, click_to_dial
from epsignal_sync.relay import backoff
from epsignal_sync.simulator import SimulatedCall, SimulatedPBX
from epsignal_sync.simulator.line import Line

from .conftest import PATIENCE, wait_until
from .test_call import in_thread

ROOT = pathlib.Path(__file__).parents[1]
HW1, HW2 = "0090334f1a2b", "0090334f1a2c"


def has_only_calls_without_media(line: Line) -> bool:
    return all(leg.channel == 0 and leg.id > 0 for leg in list(line.legs.values()))


def has_no_telephone_call(device: eps.Device) -> bool:
    return not any((call.own or call.media) and not call.stale for call in device.calls.values())


def is_held(call: SimulatedCall) -> bool:
    return call.held


def is_not_held(call: SimulatedCall) -> bool:
    return not call.held


class Office:
    """Alice's phone, for which is dialed, and Carol's; each has a client attached."""

    def __init__(self, pbx: SimulatedPBX, clients: tuple[eps.Client, eps.Client], kind: str) -> None:
        self.pbx, self.clients = pbx, clients
        self.alice = pbx.add_phone(HW1, number="22", sip="alice", name="Alice", kind=kind)
        self.carol = pbx.add_phone(HW2, number="24", sip="carol", name="Carol", kind="h323")
        self.device, self.other = (client.attach(hw) for client, hw in zip(clients, (HW1, HW2), strict=True))
        for one in (self.device, self.other):
            one.wait_attached(timeout=PATIENCE)

    def dial(self, step: str, number: str = "24") -> eps.Bridge:
        """Dial, and go as far as a step."""
        if step == "rings":
            self.alice.answers["CONNECT"] = "silent"
        if step == "picked up":
            self.alice.media_offers = "never"
        bridge = self.device.click_to_dial(number)
        if step == "rings":
            self.alice.wait("alert", timeout=PATIENCE)
            bridge.calls[0].wait("alert", timeout=PATIENCE)
        elif step == "picked up":
            bridge.calls[0].wait("connected", timeout=PATIENCE)
        else:
            self.carol.wait("alert", timeout=PATIENCE)
        if step in ("talk", "offered again"):
            self.carol.answer()
            bridge.wait_connected(timeout=PATIENCE)
            self.hear_each_other()
        if step == "offered again":
            for phone in (self.alice, self.carol):
                phone.offer_media()
        return bridge

    def ends(self) -> tuple[SimulatedCall, SimulatedCall]:
        """The calls of the two phones."""
        (alices,), (carols,) = self.alice.calls, self.carol.calls
        return alices, carols

    def hear_each_other(self) -> None:
        """Wait until the media of the two are joined."""
        wait_until(lambda: self.ends()[0].media.joined_to(self.ends()[1].media))

    def nothing_is_left(self, bridge: eps.Bridge, *causes: int | None) -> None:
        """See that there is no call anywhere, and that it ended with one of the causes."""
        bridge.wait_ended(timeout=PATIENCE)
        assert bridge.ended and not bridge.connected and all(call.ended for call in bridge.calls)
        wait_until(lambda: not (self.alice.calls or self.carol.calls))
        for phone in (self.alice, self.carol):
            line = self.pbx.line_for(phone.hw)
            assert line is not None
            wait_until(functools.partial(has_only_calls_without_media, line))
        for device in (self.device, self.other):
            wait_until(functools.partial(has_no_telephone_call, device))
        if causes:
            assert (None if bridge.cause is None else bridge.cause.num) in causes


@pytest.fixture
def office(pbx: SimulatedPBX, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Office]:
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(backoff, "LONGEST_DELAY", 0.05)
    with eps.connect(pbx.url, app="phones", password="pwd") as one, eps.connect(pbx.url, app="phones", password="pwd") as two:
        yield Office(pbx, (one, two), getattr(request, "param", "h323"))


both_kinds = pytest.mark.parametrize("office", ["h323", "sip"], indirect=True)
EARLY, LATE = ["rings", "picked up"], ["alert", "talk", "offered again"]
at_each_step = pytest.mark.parametrize("step", [*EARLY, *LATE])


# ------------------------------------------------------------ it works


@both_kinds
@pytest.mark.parametrize("offers", ["conn", "request"])
@pytest.mark.parametrize("early_media", [False, True])
def test_the_two_talk(office: Office, offers: str, early_media: bool) -> None:
    office.alice.media_offers = offers
    office.carol.early_media = early_media
    bridge = office.dial("alert")
    assert office.alice.remote_controls == ((bridge.calls[0].id, "CONNECT", None),)
    if early_media:
        office.hear_each_other()
        assert office.ends()[1].state == "alert" and not bridge.connected
    office.carol.answer()
    bridge.wait_connected(timeout=PATIENCE)
    office.hear_each_other()
    alices, carols = office.ends()
    alices.wait_until(lambda call: call.remote == {"num": "24", "dn": "Carol"}, timeout=PATIENCE)
    assert carols.remote == {"num": "22", "sip": "alice", "dn": "Alice"}
    alices.press("12")
    carols.press("#")
    assert (alices.digits, carols.digits) == ("#", "12")
    alices.send({"type": "user_info", "uui": "grüße"})
    carols.wait_until(lambda call: call.user_infos == ("grüße",), timeout=PATIENCE)
    assert [call.state for call in bridge.calls] == ["connected", "connected"]
    bridge.hangup()
    office.nothing_is_left(bridge, 16)


@both_kinds
@pytest.mark.parametrize("by_media", [False, True])
def test_hold_and_retrieve(office: Office, by_media: bool) -> None:
    bridge = office.dial("talk")
    for one, other, phone in (office.ends() + (office.alice,), office.ends()[::-1] + (office.carol,)):
        phone.hold_by_media = by_media
        for on in (True, False):
            (one.hold if on else one.retrieve)()
            if not by_media:
                other.wait_until(is_held if on else is_not_held, timeout=PATIENCE)
            office.hear_each_other()
    office.alice.hangup()
    office.nothing_is_left(bridge, 16)


def test_offers_of_both_phones_at_a_time(office: Office) -> None:
    bridge = office.dial("talk")
    for _ in range(5):
        for phone in (office.alice, office.carol):
            phone.offer_media()
        wait_until(lambda: all(call.media.offered is None for call in office.ends()))
        office.hear_each_other()
    office.alice.press("1")
    assert office.ends()[1].digits == "1"
    office.carol.hangup()
    office.nothing_is_left(bridge, 16)


def test_transfer_by_the_phone(office: Office) -> None:
    bob = office.pbx.add_phone("0090334f1a2d", number="23", sip="bob", name="Bob", kind="sip")
    bridge = office.dial("talk")
    _, carols = office.ends()
    office.alice.transfer("23")
    bob.wait("alert", timeout=PATIENCE).answer()
    carols.wait_until(lambda call: call.remote.get("sip") == "bob", timeout=PATIENCE)
    bridge.wait_ended(timeout=PATIENCE)
    assert not carols.ended and not office.alice.calls
    carols.hangup()
    bob.wait("null", timeout=PATIENCE)
    office.nothing_is_left(bridge)


def test_several_at_a_time(office: Office) -> None:
    bridges = [office.dial("alert") for _ in range(3)]
    wait_until(lambda: len([call for call in office.carol.calls if call.state == "alert"]) == 3)
    for call in office.carol.calls:
        call.answer()
    for bridge in bridges:
        bridge.wait_connected(timeout=PATIENCE)
    bridges[1].hangup()
    bridges[1].wait_ended(timeout=PATIENCE)
    assert bridges[0].connected and bridges[2].connected
    for bridge in (bridges[0], bridges[2]):
        bridge.calls[0].hangup()
    for bridge in bridges:
        office.nothing_is_left(bridge, 16)


# ------------------------------------------------------------ somebody hangs up


@both_kinds
@at_each_step
def test_phone_hangs_up(office: Office, step: str) -> None:
    bridge = office.dial(step)
    office.alice.hangup(31)
    office.nothing_is_left(bridge, 31)


@both_kinds
@pytest.mark.parametrize("step", LATE)
def test_other_phone_hangs_up(office: Office, step: str) -> None:
    bridge = office.dial(step)
    office.carol.hangup(31)
    office.nothing_is_left(bridge, 31)


@both_kinds
@at_each_step
@pytest.mark.parametrize("which", [None, 0, -1])
def test_program_hangs_up(office: Office, step: str, which: int | None) -> None:
    bridge = office.dial(step)
    (bridge if which is None else bridge.calls[which]).hangup(31)
    office.nothing_is_left(bridge, 31)


@pytest.mark.parametrize("step", LATE)
def test_both_hang_up(office: Office, step: str) -> None:
    bridge = office.dial(step)
    office.alice.hangup(31)
    for call in office.carol.calls:
        call.hangup(21)
    office.nothing_is_left(bridge, 31, 21)


# ------------------------------------------------------------ it does not come about


def test_phone_is_busy(office: Office) -> None:
    office.alice.busy = True
    bridge = office.device.click_to_dial("24")
    with pytest.raises(eps.CallEndedError) as failure:
        bridge.wait_connected(timeout=PATIENCE)
    assert failure.value.cause.num == 17
    office.nothing_is_left(bridge, 17)


def test_phone_is_rejected_by_its_user(office: Office) -> None:
    bridge = office.dial("rings")
    office.alice.reject()
    office.nothing_is_left(bridge, 21)


@both_kinds
def test_other_party_is_busy(office: Office) -> None:
    office.carol.busy = True
    bridge = office.device.click_to_dial("24")
    with pytest.raises(eps.CallEndedError, match="User busy"):
        bridge.wait_connected(timeout=PATIENCE)
    office.nothing_is_left(bridge, 17)


@both_kinds
def test_other_party_refuses(office: Office) -> None:
    bridge = office.dial("alert")
    office.carol.reject()
    office.nothing_is_left(bridge, 21)


@both_kinds
def test_number_that_nobody_has(office: Office) -> None:
    bridge = office.device.click_to_dial("987")
    office.nothing_is_left(bridge, 1)


@both_kinds
def test_other_phone_is_not_registered(office: Office) -> None:
    office.carol.unregister()
    bridge = office.device.click_to_dial("24")
    office.nothing_is_left(bridge, 20)


@both_kinds
def test_phone_is_not_picked_up(office: Office) -> None:
    office.alice.answers["CONNECT"] = "silent"
    bridge = office.device.click_to_dial("24", answer_timeout=0.1)
    office.nothing_is_left(bridge, 19)
    assert not office.carol.calls and len(bridge.calls) == 1


@both_kinds
def test_phone_offers_no_media(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click_to_dial, "PROPOSAL_TIME", 0.05)
    bridge = office.dial("picked up")
    office.nothing_is_left(bridge, 47)


def test_phone_is_picked_up_by_hand(office: Office) -> None:
    bridge = office.dial("rings")
    office.alice.answer()
    office.carol.wait("alert", timeout=PATIENCE).answer()
    bridge.wait_connected(timeout=PATIENCE)
    office.hear_each_other()
    office.alice.hangup()
    office.nothing_is_left(bridge, 16)


# ------------------------------------------------------------ something breaks


@both_kinds
@at_each_step
def test_connection_is_lost(office: Office, step: str) -> None:
    office.clients[1].close()  # a disc that is lost on the way to Carol's phone would cost the PBX's time-out for it
    wait_until(lambda: office.pbx.connections == 1)  # until it knows, it would have the app forward what goes to that phone
    bridge = office.dial(step)
    office.pbx.drop_connections()
    wait_until(lambda: bridge.ended)
    office.nothing_is_left(bridge, 41)
    office.device.wait_attached(timeout=PATIENCE)
    for option in ("answers", "media_offers"):
        setattr(office.alice, option, {} if option == "answers" else "conn")
    again = office.dial("talk")
    again.hangup()
    office.nothing_is_left(again, 16)


@at_each_step
def test_client_is_closed(office: Office, step: str) -> None:
    bridge = office.dial(step)
    office.clients[0].close()
    wait_until(lambda: bridge.ended)
    office.nothing_is_left(bridge, 41)
    bridge.hangup()


@both_kinds
@at_each_step
def test_phone_unregisters(office: Office, step: str) -> None:
    bridge = office.dial(step)
    office.alice.unregister()
    office.nothing_is_left(bridge, 27)


@pytest.mark.parametrize("step", LATE)
def test_other_phone_unregisters(office: Office, step: str) -> None:
    bridge = office.dial(step)
    office.carol.unregister()
    office.nothing_is_left(bridge, 27)


@at_each_step
def test_pbx_restarts(office: Office, step: str) -> None:
    bridge = office.dial(step)
    office.pbx.restart(calls="lost")
    wait_until(lambda: bridge.ended)
    office.nothing_is_left(bridge, None, 27, 41)


def test_disc_that_a_phone_does_not_answer_in_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone may play the tones of a disc for as long as somebody listens."""
    monkeypatch.setattr(bridging, "DISC_TIME", 0.05)
    bridge = office.dial("talk")
    monkeypatch.setattr(office.alice, "_receive", lambda id, sig: None)
    line = office.pbx.line_for(HW1)
    assert line is not None
    receive, heard = line.to_phone, []

    def ignore_disc(id: object, sig: dict[str, object]) -> None:
        heard.append(sig["type"])
        if sig["type"] != "disc":
            receive(id, sig)

    line.to_phone = ignore_disc
    office.carol.hangup(31)
    office.nothing_is_left(bridge, 31)
    assert heard[-2:] == ["disc", "rel"]


# ------------------------------------------------------------ the page


def test_program_of_the_page(office: Office) -> None:
    """The second example of docs/call-control.md."""
    program = (ROOT / "docs" / "call-control.md").read_text(encoding="utf-8").split("```python\n")[2].partition("```")[0]
    until_connected, wait_ended, end = program.partition("bridge.wait_ended")
    told: list[eps.messages.Cause] = []
    names = {"device": office.device, "print": told.append}
    finish = in_thread(lambda: exec(until_connected, names))
    office.carol.wait("alert", timeout=PATIENCE).answer()
    assert finish() is None
    office.carol.hangup()
    exec(wait_ended + end, names)
    assert [cause.num for cause in told] == [16]
