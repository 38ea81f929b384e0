"""What each facility does to a call."""

from __future__ import annotations

from typing import Any

import pytest

from epsignal_sync.protocol.call_facilities import FACILITY_RULES
from epsignal_sync.protocol.call_record import NOBODY, Party
from epsignal_sync.protocol.codec import FACILITIES

from .steps import FROM, TO, Steps, moves

BOB = Party("22", "bob", "Bob")
SETUP: dict[str, Any] = {"cg": {"num": "22", "sip": "bob"}, "fty": [{"type": "name_identification", "name": "Bob"}]}
ODD: list[Any] = [None, 5, "x", [], {}, {"num": 5, "sip": {}}, {"num": ""}]


def incoming(**setup: Any) -> Steps:
    return Steps((TO, "setup"), (FROM, "alert"), **{**SETUP, **setup})


def take(steps: Steps, to_device: bool, kind: str, on: str = "facility", **fields: Any) -> None:
    steps.receive(to_device, on, fty=[{"type": kind, **fields}])


def test_every_rule_is_for_a_facility_that_exists() -> None:
    assert {kind for kind, _ in FACILITY_RULES} <= set(FACILITIES)


@pytest.mark.parametrize("on", ["facility", "alert", "conn", "info", "brand_new", "disc"])
def test_name_of_the_other_party_comes_towards_the_device(on: str) -> None:
    steps = Steps((FROM, "setup"), cd={"num": "22"})
    take(steps, FROM, "name_identification", name="me")
    assert (steps.call.remote, steps.call.local) == (Party("22"), Party(name="me"))
    take(steps, TO, "name_identification", on, name="Bob")
    take(steps, TO, "name_identification", on, name=5)
    take(steps, TO, "name_identification", on, name="")
    assert (steps.call.remote, steps.call.local) == (Party("22", None, "Bob"), Party(name="me"))


def test_hold_in_both_directions() -> None:
    steps, seen = incoming(), []
    for to_device, kind in [
        (FROM, "hold_notify"), (TO, "hold_notify"), (FROM, "retrieve_notify"), (TO, "retrieve_notify"), (TO, "retrieve_notify"),
        (TO, "remote_hold"), (FROM, "remote_hold_result"), (FROM, "remote_retrieve"), (TO, "remote_retrieve_result"),
    ]:  # fmt: skip
        take(steps, to_device, kind)
        seen.append((steps.call.on_hold, steps.call.held))
    assert seen == [(True, False), (True, True), (False, True), (False, False), (False, False)] + [(False, False)] * 4


def test_hold_by_both_stays_as_long_as_each_says() -> None:
    steps = incoming()
    for kind in ("hold_notify", "hold_notify", "retrieve_notify"):
        take(steps, FROM, kind)
    assert steps.call.on_hold is False


def test_transfer_changes_the_remote_party() -> None:
    steps = incoming()
    take(steps, TO, "ct_complete", remote={"num": "24", "sip": "carl"}, remote_name="Carl")
    assert steps.call.remote == Party("24", "carl", "Carl")
    take(steps, TO, "ct_complete", remote={"num": "25"})
    assert steps.call.remote == Party("25")  # the name was that of somebody else


def test_transfer_told_by_the_device_is_for_the_other_end() -> None:
    steps = incoming()
    take(steps, FROM, "ct_complete", remote={"num": "24"})
    assert steps.call.remote == BOB


@pytest.mark.parametrize("remote", ODD)
def test_transfer_to_nobody_changes_nothing(remote: object) -> None:
    steps = incoming()
    take(steps, TO, "ct_complete", remote=remote, remote_name=remote if remote != "x" else None)
    assert steps.call.remote == BOB


def test_ct_complete_as_a_display_update() -> None:
    steps = incoming()
    take(steps, TO, "ct_complete", remote_name="Robert")
    assert steps.call.remote == Party("22", "bob", "Robert")
    take(steps, TO, "ct_complete", remote={"num": "22"})
    assert steps.call.remote == Party("22", "bob", "Robert")


def test_incoming_call_says_who_diverted_it() -> None:
    leg = {"type": "diverting_leg2", "diverting": {"num": "23"}, "diverting_name": "Ann", "original_called": {"num": "21"}}
    call = incoming(fty=[leg]).call
    assert (call.diverted_from, call.diverted_to, call.remote.num) == (Party("23", None, "Ann"), None, "22")


def test_incoming_call_says_at_least_who_was_called_first() -> None:
    leg = {"type": "diverting_leg2", "diverting": {}, "original_called": {"num": "21"}, "original_called_name": "Zoe"}
    assert incoming(fty=[leg]).call.diverted_from == Party("21", None, "Zoe")


@pytest.mark.parametrize("kind", ["diverting_leg1", "diverting_leg4"])
def test_outgoing_call_is_diverted(kind: str) -> None:
    steps = Steps((FROM, "setup"), cd={"num": "23"})
    take(steps, TO, kind, reason="BUSY", nominated={"num": "24"}, redirecting={"num": "23"})
    assert (steps.call.diverted_from, steps.call.diverted_to) == (Party("23"), Party("24"))
    take(steps, TO, "diverting_leg3", redirection={"num": "25"})
    take(steps, TO, kind)
    take(steps, TO, "diverting_leg3")
    assert (steps.call.diverted_from, steps.call.diverted_to, steps.call.remote) == (Party("23"), Party("25"), Party("23"))


@pytest.mark.parametrize("to_device", [TO, FROM])
def test_call_is_sent_elsewhere(to_device: bool) -> None:
    steps = incoming()
    take(steps, to_device, "diversion_callreroute", called={"num": "24"}, calling={"num": "22"}, served={"num": "23"})
    assert (steps.call.diverted_to, steps.call.diverted_from) == (Party("24"), None)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("kind", ["diverting_leg1", "diverting_leg2", "diverting_leg3", "diverting_leg4", "diversion_callreroute"])
def test_diversion_of_wrong_types(kind: str, odd: object) -> None:
    steps = incoming()
    names: list[str] = ["nominated", "redirecting", "diverting", "original_called", "redirection", "called"]
    steps.receive(TO, "facility", fty=[{"type": kind, **dict.fromkeys(names, odd)}])
    assert (steps.call.diverted_from, steps.call.diverted_to) == (None, None)


PICK = {"type": "cp_pick_exe", "callId": "ab", "parked_calling": {"num": "24", "sip": "carl"}, "picking": {"num": "23"}}


def test_picked_up_call_without_parties() -> None:
    named = {"type": "name_identification", "name": "Carl"}
    call = Steps((TO, "setup"), fty=[named, PICK]).call
    assert (call.remote, call.local) == (Party("24", "carl", "Carl"), Party("23"))


def test_picked_up_call_with_parties() -> None:
    call = Steps((TO, "setup"), cg={"sip": "dan"}, cd={"sip": "eve"}, fty=[PICK]).call
    assert (call.remote, call.local) == (Party(None, "dan"), Party(None, "eve"))


@pytest.mark.parametrize("odd", ODD)
def test_pick_up_of_wrong_types(odd: object) -> None:
    call = Steps((TO, "setup"), fty=[{**PICK, "parked_calling": odd, "picking": odd}]).call
    assert (call.remote, call.local) == (NOBODY, NOBODY)


@pytest.mark.parametrize("to_device", [TO, FROM])
def test_parked_and_taken_back(to_device: bool) -> None:
    steps = Steps((TO, "setup"), (FROM, "conn"))
    change = steps.receive(to_device, "facility", fty=[{"type": "cp_park", "parked_to": {"num": "24"}, "park_position": 1}])
    assert moves(change) == [("connected", "parked")]
    assert moves(steps.receive(to_device, "conn")) == [("parked", "connected")]


@pytest.mark.parametrize("last", ["setup", "alert", "disc"])
def test_only_a_connected_call_is_parked(last: str) -> None:
    steps = Steps((TO, "setup"), *([(FROM, last)] if last != "setup" else []))
    change = steps.receive(FROM, "facility", fty=[{"type": "cp_park"}])
    assert moves(change) == [] and steps.call.state != "parked"


def test_two_moves_in_one_message() -> None:
    steps = Steps((TO, "setup"))
    change = steps.receive(FROM, "conn", fty=[{"type": "cp_park"}])
    assert moves(change) == [("setup", "connected"), ("connected", "parked")]
    back = steps.receive(FROM, "conn", fty=[{"type": "cp_park"}])
    assert moves(back) == [("parked", "connected"), ("connected", "parked")]


@pytest.mark.parametrize(
    "fty", [None, 5, "cp_park", {"type": "cp_park"}, [None, 5, "x", [], {}, {"type": [1]}, {"type": None}, {"type": {"a": 1}}]]
)
def test_facilities_of_wrong_types(fty: object) -> None:
    steps = Steps((TO, "setup"), (FROM, "conn"))
    assert moves(steps.receive(FROM, "facility", fty=fty)) == []


def test_the_other_facilities_do_nothing() -> None:
    steps = incoming()
    before = [getattr(steps.call, name) for name in ("remote", "local", "state", "on_hold", "held", "diverted_from", "diverted_to")]
    known = {kind for kind, _ in FACILITY_RULES}
    for kind in sorted(set(FACILITIES) - known):
        for to_device in (TO, FROM):
            take(steps, to_device, kind, remote={"num": "9"}, dst={"num": "9"}, name="x")
    assert before == [getattr(steps.call, name) for name in ("remote", "local", "state", "on_hold", "held", "diverted_from", "diverted_to")]


def test_new_party_after_a_transfer_does_not_hold_the_device() -> None:
    steps = Steps((TO, "setup"), cg={"num": "22"})
    steps.receive(TO, "facility", fty=[{"type": "hold_notify"}])
    steps.receive(TO, "facility", fty=[{"type": "ct_complete", "remote": {"num": "22"}, "remote_name": "Bob"}])
    assert steps.call.held, "it is the same party"
    steps.receive(TO, "facility", fty=[{"type": "ct_complete", "remote": {"num": "24"}}])
    assert not steps.call.held
