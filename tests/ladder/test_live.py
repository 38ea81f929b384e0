"""The ladder of a live call: what it shows of a real one, and that it may be asked for at any time."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable
from datetime import datetime

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync.ladder import make_ladder
from epsignal_sync.messages import Alert, Channels, Conn, FacilitySignal, Ice, Setup, SrtpKey
from epsignal_sync.protocol.call_record import CallRecord
from epsignal_sync.recording.lines import time_text
from epsignal_sync.simulator import SimulatedPhone

from ..conftest import HW1, PATIENCE, wait_until
from .making import HandMade

Phones = tuple[SimulatedPhone, SimulatedPhone]


def answered(device: eps.Device, phones: Phones) -> eps.Call:
    """Have the other phone call this one, and be answered."""
    alice, bob = phones
    device.wait_attached(timeout=PATIENCE)
    bob.call("22")
    alice.wait("alert", timeout=PATIENCE)
    alice.answer()
    wait_until(lambda: any(call.state == "connected" for call in device.media_calls.values()))
    return next(iter(device.media_calls.values()))


def test_call_that_is_answered_and_hung_up(client: eps.Client, phones: Phones) -> None:
    call = answered(client.attach(HW1), phones)
    during = call.ladder()
    phones[1].hangup()
    call.wait_ended(timeout=PATIENCE)
    after = call.ladder()
    assert during.title == after.title == f"Call from Bob (23) to alice (22), id {call.id} of phone {HW1}"
    assert during.facts.endswith("connected, not over yet") and after.facts.endswith("16 Normal call clearing, the other side hung up")
    assert after.rows[: len(during.rows)] == during.rows and [step.name for step in after.steps][0] == "setup"
    ways = {step.name: (step.start, step.end) for step in after.steps}
    assert ways["setup"] == ways["disc"] == ("PBX", "phone") and ways["alert"] == ways["conn"] == ("phone", "PBX")
    assert str(after) == after.text() and "to 22; media offer (" in after.text(200)


def test_what_interceptors_did(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    device.intercept(Setup, lambda event: attrs.evolve(event.signal, dsp="Sales"), deadline=2)
    device.intercept(Alert, lambda event: eps.DROP, deadline=2)
    device.intercept(Conn, lambda event: [FacilitySignal(), event.signal], deadline=2)
    ladder = answered(device, phones).ladder()
    remarks = {step.name: step.remarks for step in ladder.steps if step.remarks}
    assert remarks["setup"][0].startswith("changed: dsp ") and "Sales" in remarks["setup"][0]
    assert remarks["alert"] == ("dropped",) and remarks["facility"] == ("instead of conn",)
    assert [(step.name, step.start, step.end) for step in ladder.steps if "instead of conn" in step.remarks] == [
        ("facility", "app", "PBX"), ("conn", "app", "PBX"),
    ]  # fmt: skip


def test_call_that_an_interceptor_refuses(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    ended: list[eps.Call] = []
    device.on(eps.CallEnded, lambda event: ended.append(event.call))
    device.intercept(Setup, lambda event: eps.refuse(17), deadline=2)
    device.wait_attached(timeout=PATIENCE)
    phones[1].call("22")
    wait_until(lambda: ended and len(ended[0].history) > 1)
    ladder = ended[0].ladder()
    assert ladder.steps[0].remarks == ("dropped, refused with 17 User busy",) and ladder.steps[1].by_app
    assert "an interceptor kept its setup back" in ladder.facts


def test_calls_of_the_app_and_their_secrets(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    media = Channels(key=SrtpKey(tag=1, b="ca4a27ca4a27"), audio_ice=Ice(usr="usr-1", pwd="icicle-333"))
    call = device.dial("23", channels=media)
    call.wait("alert", timeout=PATIENCE)
    ladder = call.ladder()
    assert "icicle-333" in call.history[0].text and ladder.title.endswith(f", id {call.id} of phone {HW1}, started by the app")
    assert (ladder.steps[0].start, ladder.steps[0].end) == ("app", "PBX") and {step.end for step in ladder.steps[1:]} == {"app"}
    for shown in (ladder.svg(), ladder.mermaid(), ladder.text(100), ladder._repr_html_(), repr(ladder)):
        assert "icicle-333" not in shown and "ca4a27" not in shown


def test_ladder_in_a_callback(client: eps.Client, phones: Phones) -> None:
    """Any thread, also the one of the callbacks, also while the call goes on."""
    device = client.attach(HW1)
    seen: list[tuple[str, eps.Ladder]] = []

    @device.on(Alert)
    def look(event: eps.SignalEvent[Alert]) -> None:
        if event.call is not None and event.call.media:
            seen.append((threading.current_thread().name, event.call.ladder()))

    answered(device, phones)
    wait_until(lambda: seen)
    assert seen[0][0] == "epsignal-callbacks" and seen[0][1].steps[0].name == "setup"


@pytest.mark.parametrize("shift", [0.0, 0.000_000_3, 0.000_000_5, 0.000_000_9, 0.999_999_7])
def test_moments_are_those_that_a_recording_keeps(shift: float) -> None:
    """A recording keeps microseconds: what is shown of a call must not depend on more than that."""

    def kept(at: float) -> float:
        return datetime.fromisoformat(time_text(at)).timestamp()

    def made(change: Callable[[float], float]) -> str:
        moments = [1_763_889_242.123_456 + shift + part for part in (0.0, 0.001, 1.000_000_1, 60.0)]
        exact = [change(one) for one in moments]
        call = CallRecord(3, exact[0], True)
        for one in exact:
            call.remember(one, True, "info", b"{}", "forwarded")
        call.connected_at, call.ended_at = exact[1], exact[3]
        facts = HandMade(call)
        return make_ladder(facts, HW1, facts.history).svg()

    assert made(lambda at: at) == made(kept)


# ------------------------------------------------------------ the same of a recording


def recorded(path: pathlib.Path, call: eps.Call) -> eps.Ladder:
    """Return the ladder of the same call of the recording."""
    found = [
        one
        for one in eps.Recording(path).calls
        if one.id == call.id and one.history and abs(one.history[0].at - call.history[0].at) < 0.001
    ]
    assert len(found) == 1
    return found[0].ladder()


def renderings(ladder: eps.Ladder) -> tuple[str, ...]:
    return ladder.title, ladder.facts, ladder.text(100), ladder.mermaid(), ladder.svg()


def test_recording_of_the_same_calls(client: eps.Client, phones: Phones, tmp_path: pathlib.Path) -> None:
    """Forwarded, changed, dropped, refused, and sent by the app: all the same, live and recorded."""
    recorder = client.record(tmp_path / "calls.jsonl")
    device = client.attach(HW1)
    ended: list[eps.Call] = []
    device.on(eps.CallEnded, lambda event: ended.append(event.call) if event.call.media else None)
    changing = device.intercept(Setup, lambda event: attrs.evolve(event.signal, dsp="Sales"), deadline=2)
    dropping = device.intercept(Alert, lambda event: eps.DROP, deadline=2)
    call = answered(device, phones)
    call.send(FacilitySignal(), to_device=True)
    phones[1].hangup()
    wait_until(lambda: len(ended) == 1)
    changing.cancel()
    dropping.cancel()
    device.intercept(Setup, lambda event: eps.refuse(17), to_device=True, deadline=2)
    phones[1].call("22")
    wait_until(lambda: len(ended) == 2 and len(ended[1].history) > 1)
    dialed = device.dial("23", channels=Channels(key=SrtpKey(tag=1, b="ca4a27ca4a27"), audio_ice=Ice(usr="usr-1", pwd="icicle-333")))
    dialed.wait("alert", timeout=PATIENCE)
    dialed.hangup()
    dialed.wait_ended(timeout=PATIENCE)
    ringing = device.ring("99", name="The app")
    ringing.wait("alert", timeout=PATIENCE)
    ringing.hangup()
    ringing.wait_ended(timeout=PATIENCE)
    lived = {one: one.ladder() for one in (call, ended[1], dialed, ringing)}
    recorder.close()
    for one, ladder in lived.items():
        assert renderings(recorded(tmp_path / "calls.jsonl", one)) == renderings(ladder)
    assert "dropped, refused with 17 User busy" in lived[ended[1]].steps[0].remarks
