"""What passes from one leg of a bridge to the other, and which offer waits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.protocol.bridge import ENDS, STATES, Passed, Passing, as_passed, is_offer, media_of

from .test_asking import JSON

NAME = [{"type": "name_identification", "name": "Bob"}]
COMMANDS = ["PROPOSAL", "SELECT", "REQUEST", "CLOSE", "NONE", None, "BRAND_NEW", 7]


def channels(command: Any, number: int = 1, **more: Any) -> dict[str, Any]:
    """Return a signal of media alone."""
    return {"type": "channels", "channel": -1, "channels_cmd": command, "channels": {"id": number}, **more}


# ------------------------------------------------------------ what passes, and as what


@pytest.mark.parametrize("kind", ["channels", "facility", "info", "user_info", "media_info", "accept", "brand_new"])
def test_what_tells_no_state_passes_untouched(kind: str) -> None:
    sig = {"type": kind, "fty": NAME, "zz": None, "cd": {"num": "5"}}
    assert as_passed(sig) is sig


@pytest.mark.parametrize("kind", ["setup", "disc", "rel", None, 5, ["conn"]])
def test_what_begins_or_ends_a_leg_or_has_no_type_does_not_pass(kind: Any) -> None:
    assert as_passed({"type": kind, "fty": NAME}) is None


@pytest.mark.parametrize("kind", sorted(STATES))
def test_of_a_state_the_media_and_the_facilities_pass(kind: str) -> None:
    media = {"channel": -1, "channels_cmd": "SELECT", "channels": {"zz": None}, "faststart": ["00"]}
    more = {"inband_info": True, "dsp": "x", "cau": {"num": 1}}
    assert as_passed({"type": kind, **more, **media, "fty": NAME}) == {"type": "channels", **media, "fty": NAME}
    assert as_passed({"type": kind, **more, **media}) == {"type": "channels", **media}
    assert as_passed({"type": kind, **more, "channel": -1, "fty": NAME}) == {"type": "facility", "fty": NAME}
    assert as_passed({"type": kind, **more, "channel": -1}) is None
    assert as_passed({"type": kind, "channels_cmd": "NONE", "channels": None, "fty": []}) is None


def test_fast_start_alone_is_media() -> None:
    assert media_of({"type": "alert", "channel": -1, "faststart": ["00"]}) == {"channel": -1, "faststart": ["00"]}


@pytest.mark.parametrize("offer", [None, [], "x", 5])
def test_offer_of_nothing_is_none_to_call_with(offer: Any) -> None:
    assert not is_offer({"channels_cmd": "PROPOSAL", "channels": offer})


@given(st.dictionaries(st.sampled_from(["type", "fty", "channels_cmd", "channels", "channel", "faststart"]), JSON))
def test_any_json_is_taken(sig: dict[str, Any]) -> None:
    passing = Passing()
    kind = sig.get("type")
    for one in passing.take(0, sig):
        assert one.side == 1 and isinstance(kind, str) and kind not in ENDS
        assert set(one.sig) <= set(sig) and (kind in STATES or one.sig is sig)


# ------------------------------------------------------------ offers


@pytest.mark.parametrize("first", [0, 1])
def test_offers_that_cross(first: int) -> None:
    passing, second = Passing(), 1 - first
    mine, theirs, answer = channels("PROPOSAL", 1), channels("PROPOSAL", 2), channels("SELECT", 3)
    assert passing.take(first, mine) == [Passed(second, mine)]
    assert passing.take(second, theirs) == [] and passing.waits
    assert passing.take(second, answer) == [Passed(first, answer), Passed(first, theirs)]
    assert passing.open == second and not passing.waits
    assert passing.take(first, answer) == [Passed(second, answer)] and passing.open is None


def test_newer_offer_takes_the_place_of_one_that_waits() -> None:
    passing = Passing(opened=0)
    assert [passing.take(0, channels("PROPOSAL", number)) for number in (2, 3)] == [[], []]
    assert passing.take(1, channels("PROPOSAL", 4)) == []
    answer = channels("SELECT", 9)
    assert passing.take(1, answer) == [Passed(0, answer), Passed(1, channels("PROPOSAL", 3))]
    assert passing.take(1, answer) == [Passed(0, answer), Passed(0, channels("PROPOSAL", 4))]


def test_answer_after_the_answer_passes() -> None:
    passing = Passing(opened=0)
    for number in (1, 2):
        assert passing.take(1, {**channels("SELECT", number), "type": "alert"}) == [Passed(0, channels("SELECT", number))]
    assert passing.open is None


def test_close_passes_and_takes_the_leg_s_own_offers_back() -> None:
    passing = Passing(opened=0)
    passing.take(0, channels("PROPOSAL", 2))
    passing.take(1, channels("PROPOSAL", 3))
    close = {"type": "channels", "channels_cmd": "CLOSE"}
    assert passing.take(0, close) == [Passed(1, close), Passed(0, channels("PROPOSAL", 3))]


def test_offer_that_is_not_answered_can_be_given_up() -> None:
    passing = Passing(opened=0)
    turn = passing.turn
    offer = channels("PROPOSAL", 2)
    passing.take(1, offer)
    assert passing.turn == turn and passing.give_up() == [Passed(0, offer)] and passing.open == 1 and passing.turn != turn
    assert passing.give_up() == [] and passing.open is None


STEPS = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from([*sorted(STATES), "channels", "info", "brand_new"]), st.sampled_from(COMMANDS)),
    max_size=40,
)


@given(STEPS, st.sampled_from([None, 0, 1]))
def test_one_offer_is_open_at_a_time_and_nothing_else_waits(steps: list[tuple[int, str, Any]], opened: int | None) -> None:
    passing = Passing(opened)
    awaiting: dict[int, int] = {}
    for number, (side, kind, command) in enumerate(steps):
        sig = {**channels(command, number), "type": kind}
        passed, passing_on = passing.take(side, sig), as_passed(sig)
        if command == "CLOSE" or (command == "SELECT" and opened == 1 - side):
            opened = None
        if command == "CLOSE":
            awaiting.pop(side, None)
        if command == "PROPOSAL":
            awaiting[side] = number
        elif passing_on is not None:
            first, *passed = passed
            assert first == Passed(1 - side, passing_on)
        for one in passed:
            assert one.sig["channels_cmd"] == "PROPOSAL" and opened is None
            opened = 1 - one.side
            assert awaiting.pop(opened) == one.sig["channels"]["id"]
        assert passing.open == opened and passing.waits == bool(awaiting)
        assert opened is not None or not awaiting
        assert passing.offered or not any(one[2] == "PROPOSAL" for one in steps[: number + 1])


# ------------------------------------------------------------ what was said before


CALLED: dict[str, Any] = {"type": "setup", "channel": -1}


def test_nothing_was_said() -> None:
    passing = Passing()
    assert passing.join((CALLED, CALLED), (None, None)) == [] and not passing.offered


@pytest.mark.parametrize("side", [0, 1])
def test_offer_that_nobody_has_passed(side: int) -> None:
    passing, offer = Passing(), {**channels("PROPOSAL"), "type": "conn"}
    heard = (offer, None) if side == 0 else (None, offer)
    assert passing.join((CALLED, CALLED), heard) == [Passed(1 - side, channels("PROPOSAL"))]
    assert passing.open == side and passing.offered


@pytest.mark.parametrize("side", [0, 1])
def test_offer_that_the_other_was_called_with(side: int) -> None:
    offer, called = {**channels("PROPOSAL"), "type": "conn"}, {**CALLED, **channels("PROPOSAL"), "type": "setup"}
    setups = (CALLED, called) if side == 0 else (called, CALLED)
    passing = Passing()
    assert passing.join(setups, (offer, None) if side == 0 else (None, offer)) == []
    assert passing.open == side and passing.offered
    answer = {**channels("SELECT", 2), "type": "alert"}
    passing = Passing()
    assert passing.join(setups, (offer, answer) if side == 0 else (answer, offer)) == [Passed(side, channels("SELECT", 2))]
    assert passing.open is None


def test_two_offers_that_nobody_has_passed() -> None:
    passing = Passing()
    assert passing.join((CALLED, CALLED), (channels("PROPOSAL", 1), channels("PROPOSAL", 2))) == [Passed(1, channels("PROPOSAL", 1))]
    assert passing.waits


def test_answer_to_what_is_not_known_here_does_not_pass() -> None:
    for command in ("SELECT", "CLOSE", "NONE", None):
        assert Passing().join((CALLED, CALLED), (channels(command), None)) == []
    request = channels("REQUEST")
    assert Passing().join((CALLED, CALLED), (None, request)) == [Passed(0, request)]
