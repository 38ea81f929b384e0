"""Which messages the application is asked about; a received message may hold any JSON value anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.messages import UnknownFacility, UnknownSignal
from epsignal_sync.protocol.asking import LONGEST_DEADLINE, Names, Rule, deadline_for
from epsignal_sync.protocol.codec import FACILITIES, SIGNALS, facility_class, signal_class

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["setup", "rel", "mwi", "type", "fty"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["type", "fty", "x"]), inner, max_size=4),
    max_leaves=12,
)
SETUP = Names(frozenset({"setup", "conn"}))
UNKNOWN = Names(frozenset({"setup", "conn"}), all_but=True)
EVERY = Names(frozenset(), all_but=True)
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1.5, float("nan"), "", "Setup", "setup ", [], ["setup"], {}, {"setup": 1}, {"type": "setup"},
]  # fmt: skip


# ------------------------------------------------------------ names


def test_names_are_matched_exactly() -> None:
    assert SETUP.match("setup") and SETUP.match("conn")
    assert not UNKNOWN.match("setup") and not UNKNOWN.match("conn")
    assert UNKNOWN.match("brand_new") and not SETUP.match("brand_new")


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_name_that_is_no_text_is_an_unknown_one(name: Any) -> None:
    assert not SETUP.match(name) and UNKNOWN.match(name) and EVERY.match(name)


def test_no_name_at_all_matches_nothing() -> None:
    assert not any(Names(frozenset()).match(name) for name in [*HOSTILE, "setup"])


# ------------------------------------------------------------ one rule


def test_rule_without_a_wish_matches_every_signal() -> None:
    every = Rule(deadline=1)
    for call in [*HOSTILE, 3]:
        assert every.match(call, True, {}) and every.match(call, False, {"type": "setup", "fty": 5})


@pytest.mark.parametrize("wanted", [True, False])
def test_direction(wanted: bool) -> None:
    rule = Rule(to_device=wanted, deadline=1)
    assert rule.match(3, wanted, {}) and not rule.match(3, not wanted, {})


def test_call() -> None:
    rule = Rule(call=1, deadline=1)
    assert rule.match(1, True, {}) and rule.match(1, False, {})
    for other in [2, -1, "1", True, 1.0, None, [1], {}, 2**70]:
        assert not rule.match(other, True, {})
    assert not Rule(call=0, deadline=1).match(False, True, {})


def test_signals() -> None:
    rule = Rule(signals=SETUP, deadline=1)
    assert rule.match(3, True, {"type": "setup"}) and not rule.match(3, True, {"type": "rel"}) and not rule.match(3, True, {})
    for kind in HOSTILE:
        assert not rule.match(3, True, {"type": kind})
        assert Rule(signals=UNKNOWN, deadline=1).match(3, True, {"type": kind})


def test_facility_of_any_place_in_the_list() -> None:
    rule = Rule(facilities=SETUP, deadline=1)
    wanted, other = {"type": "conn"}, {"type": "other"}
    for found in ([wanted], [other, wanted], [5, None, wanted], [[wanted], wanted]):
        assert rule.match(3, True, {"type": "x", "fty": found})
    for missing in ([], [other], [[wanted]], ["conn"], None, wanted, "conn", 5, True):
        assert not rule.match(3, True, {"type": "x", "fty": missing})
    assert not rule.match(3, True, {"type": "conn"}), "the type of the signal is no facility"


def test_every_facility_means_that_there_is_one() -> None:
    rule = Rule(facilities=EVERY, deadline=1)
    assert rule.match(3, True, {"fty": [{"type": "conn"}]}) and rule.match(3, True, {"fty": [{}]})
    signals: list[dict[str, Any]] = [{}, {"fty": []}, {"fty": None}, {"fty": {"type": "conn"}}, {"fty": "conn"}]
    for missing in signals:
        assert not rule.match(3, True, missing)


@pytest.mark.parametrize("element", [*HOSTILE, 10**400], ids=lambda value: repr(value)[:20])
def test_facility_that_is_no_object_is_an_unknown_one(element: Any) -> None:
    if element != {"type": "setup"}:
        assert Rule(facilities=UNKNOWN, deadline=1).match(3, True, {"fty": [element]})
        assert not Rule(facilities=SETUP, deadline=1).match(3, True, {"fty": [element]})
    assert Rule(facilities=EVERY, deadline=1).match(3, True, {"fty": [element]})


def test_everything_that_is_wanted_has_to_fit() -> None:
    facility = Names(frozenset({"mwi"}))
    rule = Rule(signals=SETUP, facilities=facility, to_device=True, call=3, deadline=1)
    fitting = {"type": "setup", "fty": [{"type": "mwi"}]}
    assert rule.match(3, True, fitting)
    assert not rule.match(4, True, fitting) and not rule.match(3, False, fitting)
    assert not rule.match(3, True, fitting | {"type": "rel"}) and not rule.match(3, True, fitting | {"fty": []})


# ------------------------------------------------------------ all of them


def test_deadline_is_the_largest_of_those_that_fit() -> None:
    rules = [
        Rule(signals=SETUP, deadline=0.25), Rule(to_device=True, deadline=1.5), Rule(deadline=0.1), Rule(call=9, deadline=2.0)
    ]  # fmt: skip
    assert deadline_for(rules, 3, True, {"type": "setup"}) == 1.5
    assert deadline_for(rules, 3, False, {"type": "setup"}) == 0.25
    assert deadline_for(rules, 3, False, {"type": "rel"}) == 0.1
    assert deadline_for(reversed(rules), 9, False, {}) == 2.0


def test_deadline_is_two_seconds_at_the_most() -> None:
    assert LONGEST_DEADLINE == 2.0
    assert deadline_for([Rule(deadline=10), Rule(deadline=1)], 3, True, {}) == 2.0
    assert deadline_for([Rule(deadline=float("inf"))], 3, True, {}) == 2.0


def test_nobody_wants_to_be_asked() -> None:
    assert deadline_for([], 3, True, {"type": "setup"}) is None
    assert deadline_for([Rule(signals=SETUP, deadline=1)], 3, True, {"type": "rel"}) is None


def test_deadline_of_nothing_is_not_nobody() -> None:
    assert deadline_for([Rule(deadline=0.0)], 3, True, {}) == 0.0


@pytest.mark.parametrize("sig", [None, True, 5, 1.5, "setup", [], [{"type": "setup"}]], ids=repr)
def test_signal_that_is_no_object_is_never_asked_about(sig: Any) -> None:
    assert deadline_for([Rule(deadline=1), Rule(signals=EVERY, deadline=1), Rule(facilities=EVERY, deadline=1)], 3, True, sig) is None


def all_rules() -> Iterator[Rule]:
    for names in (None, SETUP, UNKNOWN, EVERY):
        for to_device in (None, True):
            for call in (None, 1):
                yield Rule(signals=names, to_device=to_device, call=call, deadline=1)
                yield Rule(facilities=names, to_device=to_device, call=call, deadline=1)


RULES = list(all_rules())


@given(JSON)
def test_unknown_is_what_arrives_as_unknown(value: Any) -> None:
    """What is asked about for UnknownSignal and UnknownFacility, and for a class, is what the callbacks see as such."""
    signal = {"type": value}
    for name, cls in [*SIGNALS.items(), (value, UnknownSignal)]:
        names = Names(frozenset(SIGNALS), all_but=True) if cls is UnknownSignal else Names(frozenset({name}))
        assert Rule(signals=names, deadline=1).match(3, True, signal) is (signal_class(signal) is cls)
    for element in (value, signal, {"type": "mwi_activate"}):
        for name, facility in [*FACILITIES.items(), (value, UnknownFacility)]:
            names = Names(frozenset(FACILITIES), all_but=True) if facility is UnknownFacility else Names(frozenset({name}))
            assert Rule(facilities=names, deadline=1).match(3, True, {"fty": [element]}) is (facility_class(element) is facility)


@given(JSON, JSON)
def test_any_json_never_raises(call: Any, sig: Any) -> None:
    for value in (sig, {"type": sig}, {"type": "setup", "fty": sig}, {"fty": [sig]}):
        expected = 1 if isinstance(value, dict) else None
        assert deadline_for(RULES, call, False, value) == expected
        for rule in RULES:
            assert deadline_for([rule], call, True, value) in (1, None)
