"""Every verb through a client, the simulated PBX and other phones: done, refused, not answered, and cut off."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import CpGroupIndicationOn, CpPickExe, DiversionProcedure, PresenceNotify, Setup
from epsignal_sync.relay import backoff
from epsignal_sync.simulator import SimulatedCall, SimulatedPBX
from epsignal_sync.verbs import no_media

from ..conftest import HW1, HW2, PATIENCE, wait_until
from ..test_call import in_thread

ROOT = pathlib.Path(__file__).parents[2]
HW3 = "0090334f1a2d"
SHORT = 0.1
"""Seconds that a test waits for an answer that does not come."""


class Office:
    """Three phones; the client is attached to those of Alice and Bob, and Carol's is beside it."""

    def __init__(self, pbx: SimulatedPBX, client: eps.Client) -> None:
        self.pbx, self.client = pbx, client
        self.alice = pbx.add_phone(HW1, number="22", sip="alice", name="Alice", kind="h323")
        self.bob = pbx.add_phone(HW2, number="23", sip="bob", name="Bob", kind="sip")
        self.carol = pbx.add_phone(HW3, number="24", sip="carol", name="Carol", kind="h323")
        self.device, self.other = client.attach_many([HW1, HW2])
        for one in (self.device, self.other):
            one.wait_attached(timeout=PATIENCE)

    def ring(self) -> tuple[eps.Call, SimulatedCall]:
        """Have Carol call Alice; returns the call of Alice's device, and Carol's, when it rings."""
        carols = self.carol.call("22")
        self.alice.wait("alert", timeout=PATIENCE)
        (call,) = self.calls()
        call.wait("alert", timeout=PATIENCE)
        return call, carols

    def talk(self) -> tuple[eps.Call, SimulatedCall]:
        """Have Carol call Alice, who answers."""
        call, carols = self.ring()
        self.alice.answer()
        call.wait("connected", timeout=PATIENCE)
        carols.wait("connected", timeout=PATIENCE)
        return call, carols

    def consult(self, *, answered: bool = True) -> eps.Call:
        """Have Alice call Bob as well; returns that call of her device."""
        known = set(self.calls())
        self.alice.call("23")
        self.bob.wait("alert", timeout=PATIENCE)
        if answered:
            self.bob.answer()
            self.bob.wait("connected", timeout=PATIENCE)
        (call,) = set(self.calls()) - known
        call.wait("connected" if answered else "alert", timeout=PATIENCE)
        return call

    def calls(self) -> list[eps.Call]:
        """The telephone calls of Alice's device, when there is one."""
        wait_until(lambda: self.device.media_calls)
        return list(self.device.media_calls.values())

    def said(self, text: str) -> None:
        """Wait until the app has sent something with this text for Alice's device."""
        self.pbx.wait_for(lambda log: [one for one in log.texts("from-app", HW1, mt="Signaling") if text in one], timeout=PATIENCE)

    def no_call_is_left(self) -> None:
        """See that the app has left no call of its own."""
        wait_until(lambda: not any(call.own for one in (self.device, self.other) for call in one.calls.values()))


@pytest.fixture
def office(pbx: SimulatedPBX, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(backoff, "LONGEST_DELAY", 0.05)
    monkeypatch.setattr(no_media, "LINGER_TIME", 0.2)
    with eps.connect(pbx.url, app="phones", password="pwd") as client:
        yield Office(pbx, client)


# ------------------------------------------------------------ the phone is told


def test_answer(office: Office) -> None:
    call, carols = office.ring()
    assert isinstance(call.answer(timeout=PATIENCE), eps.messages.Conn)
    carols.wait("connected", timeout=PATIENCE)
    assert office.alice.remote_controls == ((call.id, "CONNECT", None),)


def test_answer_of_a_phone_that_the_app_rings(office: Office) -> None:
    call = office.device.ring("99")
    call.wait("alert", timeout=PATIENCE)
    call.answer(timeout=PATIENCE)
    assert office.alice.wait("connected", timeout=PATIENCE).id == call.id
    call.hangup()


def test_hold_and_retrieve(office: Office) -> None:
    call, carols = office.talk()
    call.hold(timeout=PATIENCE)
    carols.wait_until(lambda one: one.held, timeout=PATIENCE)
    assert call.on_hold
    call.retrieve(timeout=PATIENCE)
    carols.wait_until(lambda one: not one.held, timeout=PATIENCE)
    assert not call.on_hold


def test_hold_by_media_shows_no_facility(office: Office) -> None:
    call, _ = office.talk()
    office.alice.hold_by_media = True
    with pytest.raises(eps.ReplyTimeout):
        call.hold(timeout=SHORT)


@pytest.mark.parametrize("verb", ["hold", "retrieve"])
def test_hold_of_a_call_of_the_app(office: Office, verb: str) -> None:
    call = office.device.dial("24")
    office.carol.wait("alert", timeout=PATIENCE).answer()
    call.wait("connected", timeout=PATIENCE)
    getattr(call, verb)(timeout=PATIENCE)
    (carols,) = [one for one in office.carol.calls if not one.ended and one.channel]
    assert carols.on_hold is (verb == "hold")
    office.carol.answers[f"remote_{verb}"] = "silent"
    with pytest.raises(eps.ReplyTimeout):
        getattr(call, verb)(timeout=SHORT)
    call.hangup()


def test_dtmf_remote_control_and_user_info(office: Office) -> None:
    call, carols = office.talk()
    call.dtmf("123#")
    carols.wait_until(lambda one: one.digits == "123#", timeout=PATIENCE)
    call.remote_control("MIC_OFF")
    wait_until(lambda: office.alice.switches == {"microphone": False})
    call.user_info("grüße")
    carols.wait_until(lambda one: one.user_infos == ("grüße",), timeout=PATIENCE)


SILENT_PHONE: list[tuple[str, str, Callable[..., Any]]] = [
    ("ring", "CONNECT", lambda call, **more: call.answer(**more)),
    ("talk", "HOLD", lambda call, **more: call.hold(**more)),
    ("talk", "RETRIEVE", lambda call, **more: call.retrieve(**more)),
]
SILENT_PBX: list[tuple[str, str, Callable[..., Any]]] = [
    ("talk", "ct_initiate", lambda call, **more: call.transfer(number="23", **more)),
    ("talk", "cp_park", lambda call, **more: call.park("23", **more)),
    ("ring", "diversion_callreroute", lambda call, **more: call.redirect("23", **more)),
]
silent = pytest.mark.parametrize(
    ("how", "service", "say"), [*SILENT_PHONE, *SILENT_PBX], ids=lambda one: one if isinstance(one, str) else ""
)


def silenced(office: Office, how: str, service: str) -> tuple[eps.Call, SimulatedCall]:
    """Bring a call about, and have nobody answer a service."""
    pair = office.ring() if how == "ring" else office.talk()
    if service.isupper():
        office.alice.answers[service] = "silent"
    else:
        office.pbx.answers[service] = "silent"
    return pair


@silent
def test_call_verb_that_is_not_answered(office: Office, how: str, service: str, say: Callable[..., Any]) -> None:
    call, carols = silenced(office, how, service)
    with pytest.raises(eps.ReplyTimeout):
        say(call, timeout=SHORT)
    assert not call.ended and not carols.ended


@silent
def test_other_party_hangs_up_meanwhile(office: Office, how: str, service: str, say: Callable[..., Any]) -> None:
    call, carols = silenced(office, how, service)
    finish = in_thread(lambda: say(call, timeout=PATIENCE))
    office.said(service)
    if (how, service, say) in SILENT_PHONE:
        carols.hangup()
    else:
        call.hangup()  # if the other party did, it would look like success
    with pytest.raises(eps.CallEndedError) as failure:
        finish()
    assert failure.value.cause.num == 16


@silent
def test_connection_is_lost_meanwhile(office: Office, how: str, service: str, say: Callable[..., Any]) -> None:
    call, _ = silenced(office, how, service)
    outcomes: list[eps.Outcome[Any]] = []
    finish = in_thread(lambda: say(call, timeout=None))
    say(call, timeout=None, on_result=outcomes.append)
    wait_until(lambda: len(call._listeners) == 2)
    office.pbx.drop_connections()
    with pytest.raises(eps.ConnectionLostError):
        finish()
    wait_until(lambda: outcomes)
    assert isinstance(outcomes[0].error, eps.ConnectionLostError)


# ------------------------------------------------------------ the PBX takes the call


def test_blind_transfer(office: Office) -> None:
    call, carols = office.talk()
    result = call.transfer(number="23", timeout=PATIENCE)
    assert result is not None and result.error is None
    bobs = office.bob.wait("alert", timeout=PATIENCE)
    bobs.answer()
    carols.wait_until(lambda one: one.remote.get("sip") == "bob", timeout=PATIENCE)
    call.wait_ended(timeout=PATIENCE)
    assert not carols.ended and bobs.wait("connected", timeout=PATIENCE)


def test_blind_transfer_that_only_releases_the_call(office: Office) -> None:
    office.pbx.answers["ct_initiate"] = "rel"
    call, _ = office.talk()
    assert call.transfer(sip="bob", timeout=PATIENCE) is None
    office.bob.wait("alert", timeout=PATIENCE)


def test_transfer_to_nobody_is_refused_and_the_call_goes_on(office: Office) -> None:
    call, carols = office.talk()
    with pytest.raises(eps.CallError, match="transfer\\(\\) was refused") as failure:
        call.transfer(number="987", timeout=PATIENCE)
    assert failure.value.cause.num == 1 and not isinstance(failure.value, eps.CallEndedError)
    assert call.state == "connected" and carols.state == "connected"


@pytest.mark.parametrize("answered", [True, False])
def test_attended_transfer(office: Office, answered: bool) -> None:
    call, carols = office.talk()
    other = office.consult(answered=answered)
    assert call.transfer(other, timeout=PATIENCE) is not None
    for one in (call, other):
        one.wait_ended(timeout=PATIENCE)
    if not answered:
        office.bob.answer()
    (bobs,) = [one for one in office.bob.calls if one.channel and not one.ended]
    bobs.wait("connected", timeout=PATIENCE)
    carols.wait_until(lambda one: one.remote.get("sip") == "bob", timeout=PATIENCE)


def test_attended_transfer_that_is_refused(office: Office) -> None:
    call, carols = office.talk()
    other = office.consult()
    office.pbx.answers["ct_initiate"] = 29
    with pytest.raises(eps.CallError) as failure:
        call.transfer(other, timeout=PATIENCE)
    assert failure.value.cause.num == 29 and not call.ended and not other.ended and not carols.ended


@pytest.mark.parametrize("service", ["ct_identify", "ct_initiate"])
def test_attended_transfer_that_is_not_answered(office: Office, service: str) -> None:
    call, _ = office.talk()
    other = office.consult()
    office.pbx.answers[service] = "silent"
    with pytest.raises(eps.ReplyTimeout):
        call.transfer(other, timeout=SHORT)
    assert not call.ended and not other.ended


def test_consultation_call_that_ends_meanwhile(office: Office) -> None:
    call, _ = office.talk()
    other = office.consult()
    office.pbx.answers["ct_identify"] = "silent"
    finish = in_thread(lambda: call.transfer(other, timeout=PATIENCE))
    office.said("ct_identify")
    office.bob.hangup()
    with pytest.raises(eps.CallEndedError, match=f"call {other.id} of"):
        finish()
    assert not call.ended


def test_park_and_pick_up(office: Office) -> None:
    call, carols = office.talk()
    call.park("23", position=2, timeout=PATIENCE)
    assert call.ended and not carols.ended
    picked: list[eps.Call] = []

    @office.other.on(CpPickExe)
    def arrived(event: eps.FacilityEvent[CpPickExe]) -> None:
        assert event.call is not None
        picked.append(event.call)

    office.other.pickup("23", position=2, timeout=PATIENCE)
    wait_until(lambda: picked)
    picked[0].answer(timeout=PATIENCE)
    assert picked[0].remote.num == "24"
    carols.wait_until(lambda one: one.state == "connected", timeout=PATIENCE)
    office.no_call_is_left()


def test_park_where_nobody_is_cannot_be_told_from_silence(office: Office) -> None:
    call, _ = office.talk()
    with pytest.raises(eps.ReplyTimeout, match="the PBX does not say why"):
        call.park("987", timeout=SHORT)
    assert not call.ended


def test_redirect(office: Office) -> None:
    call, carols = office.ring()
    diverted: list[Any] = []
    office.other.on(Setup, lambda event: diverted.append(event.call))
    call.redirect("23", timeout=PATIENCE)
    office.bob.wait("alert", timeout=PATIENCE).answer()
    carols.wait("connected", timeout=PATIENCE)
    wait_until(lambda: diverted)
    assert call.ended and diverted[0].diverted_from.num == "22"


def test_pick_up_of_a_call_that_rings_elsewhere(office: Office) -> None:
    office.carol.call("22")
    office.alice.wait("alert", timeout=PATIENCE)
    told: list[str | None] = []

    @office.other.on(CpGroupIndicationOn)
    def dialog(event: eps.FacilityEvent[CpGroupIndicationOn]) -> None:
        told.append(event.facility.call_id)

    with office.other.watch_dialogs("22", timeout=PATIENCE):
        wait_until(lambda: told)
        office.other.pickup(call_id=told[0], timeout=PATIENCE)
        wait_until(lambda: office.other.media_calls)
    office.no_call_is_left()


# ------------------------------------------------------------ calls without media


def test_presence_from_one_device_to_another(office: Office) -> None:
    seen: list[tuple[Any, ...]] = []

    @office.device.on(PresenceNotify)
    def presence(event: eps.FacilityEvent[PresenceNotify]) -> None:
        assert event.call is not None
        if event.call.own:
            seen.append((event.call.remote.num, event.facility.activity, event.facility.note))

    watch = office.device.watch_presence("23", timeout=PATIENCE)
    office.other.set_presence("open", activity="busy", note="grüße", timeout=PATIENCE)
    wait_until(lambda: ("23", "busy", "grüße") in seen)
    watch.cancel()
    office.no_call_is_left()


def test_watches_are_set_up_again_after_a_loss(office: Office) -> None:
    restored: list[eps.WatchRestored] = []
    office.client.on(eps.WatchRestored, restored.append)
    notes: list[str | None] = []
    presence = office.device.watch_presence("23", timeout=PATIENCE)
    dialogs = office.device.watch_dialogs("23", timeout=PATIENCE)
    office.pbx.drop_connections()
    wait_until(lambda: len(restored) == 2)
    assert {one.watch for one in restored} == {presence, dialogs} and presence.active and dialogs.active

    @office.device.on(PresenceNotify)
    def told(event: eps.FacilityEvent[PresenceNotify]) -> None:
        notes.append(event.facility.note)

    office.other.wait_attached(timeout=PATIENCE)
    office.other.set_presence("closed", note="back soon", timeout=PATIENCE)
    wait_until(lambda: "back soon" in notes)
    presence.cancel()
    dialogs.cancel()
    office.no_call_is_left()


def test_watch_over_a_phone_that_registers_again(office: Office) -> None:
    restored: list[eps.WatchRestored] = []
    office.client.on(eps.WatchRestored, restored.append)
    with office.device.watch_presence("23", timeout=PATIENCE) as watch:
        office.alice.unregister()
        wait_until(lambda: not watch.active)
        office.alice.register()
        wait_until(lambda: restored and watch.active)
    office.no_call_is_left()


def test_message_waiting(office: Office) -> None:
    office.device.message_waiting(3, "24", message_center="22", timeout=PATIENCE)
    assert office.carol.wait_facility("mwi_activate", timeout=PATIENCE)["number"] == 3
    office.device.message_waiting(0, sip="carol", timeout=PATIENCE)
    office.carol.wait_facility("mwi_deactivate", timeout=PATIENCE)
    office.no_call_is_left()


def test_instant_message(office: Office) -> None:
    office.device.send_im("grüße 🙂", sip="carol", timeout=PATIENCE)
    assert office.carol.wait_facility("im_message", timeout=PATIENCE)["data"] == "grüße 🙂"
    office.no_call_is_left()


def test_diversions(office: Office) -> None:
    office.alice.divert("BUSY", "24")
    found = office.device.diversions(timeout=PATIENCE)
    assert found[DiversionProcedure.ALWAYS] == found[DiversionProcedure.NO_ANSWER] == ()
    (entry,) = found[DiversionProcedure.BUSY]
    assert entry.diverted_to is not None and entry.diverted_to.num == "24"
    assert office.device.diversions("23", timeout=PATIENCE)[DiversionProcedure.BUSY] == ()
    office.no_call_is_left()


WITHOUT_MEDIA: list[tuple[str, Callable[..., Any]]] = [
    ("presence_publish", lambda device, **more: device.set_presence("open", **more)),
    ("mwi_activate", lambda device, **more: device.message_waiting(1, "24", **more)),
    ("im_setup", lambda device, **more: device.send_im("hello", "24", **more)),
    ("cp_pick_req", lambda device, **more: device.pickup("24", **more)),
    ("diversion_interrogate", lambda device, **more: device.diversions(**more)),
    ("presence_subscribe", lambda device, **more: device.watch_presence("24", **more)),
    ("dialog_info_subscribe", lambda device, **more: device.watch_dialogs("24", **more)),
]
without_media = pytest.mark.parametrize(("service", "say"), WITHOUT_MEDIA, ids=lambda one: one if isinstance(one, str) else "")


@without_media
def test_device_verb_that_is_refused(office: Office, service: str, say: Callable[..., Any]) -> None:
    office.pbx.answers[service] = 29
    with pytest.raises(eps.CallError, match="with cause 29") as failure:
        say(office.device, timeout=PATIENCE)
    assert failure.value.cause.num == 29
    office.no_call_is_left()


@without_media
def test_device_verb_that_is_not_answered(office: Office, service: str, say: Callable[..., Any]) -> None:
    office.pbx.answers[service] = "silent"
    outcomes: list[eps.Outcome[Any]] = []
    with pytest.raises(eps.ReplyTimeout):
        say(office.device, timeout=SHORT)
    say(office.device, timeout=SHORT, on_result=outcomes.append)
    wait_until(lambda: outcomes)
    assert isinstance(outcomes[0].error, eps.ReplyTimeout)
    office.no_call_is_left()


@without_media
def test_connection_is_lost_while_a_device_verb_waits(office: Office, service: str, say: Callable[..., Any]) -> None:
    office.pbx.answers[service] = "silent"
    finish = in_thread(lambda: say(office.device, timeout=None))
    office.said(service)
    office.pbx.drop_connections()
    with pytest.raises(eps.ConnectionLostError):
        finish()
    office.no_call_is_left()


@pytest.mark.parametrize("answer", ["conn", "call_proc", "rel", "rel without cause"])
@pytest.mark.parametrize(("service", "say"), WITHOUT_MEDIA[:2])
def test_each_answer_that_counts(office: Office, service: str, say: Callable[..., Any], answer: str) -> None:
    office.pbx.answers[service] = answer
    assert say(office.device, timeout=PATIENCE).wire_name == answer.split()[0]
    office.no_call_is_left()


def test_phones_are_free_while_verbs_wait(office: Office) -> None:
    office.pbx.answers["presence_publish"] = "silent"
    outcomes: list[eps.Outcome[Any]] = []
    office.device.set_presence("open", timeout=None, on_result=outcomes.append)
    call, carols = office.talk()
    carols.hangup()
    call.wait_ended(timeout=PATIENCE)
    assert not outcomes


# ------------------------------------------------------------ the page


def test_program_of_the_page(office: Office) -> None:
    """The first example of docs/call-control.md."""
    program = (ROOT / "docs" / "call-control.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    office.ring()
    told: list[object] = []
    exec(program, {"device": office.device, "print": told.append})
    wait_until(lambda: told)
    assert told == [True] and office.bob.wait("alert", timeout=PATIENCE).remote["num"] == "24"
