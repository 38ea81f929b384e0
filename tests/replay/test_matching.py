"""What the app sends, held against what was said to it: the cases that depend on who is quicker."""

from __future__ import annotations

from typing import Any

import attrs

from epsignal_sync.recording.lines import parse_line
from epsignal_sync.replay.matching import Matching, outcome
from epsignal_sync.replay.plan import Plan, Step

from ..conftest import HW1
from .script import Script


def said(script: Script) -> tuple[Matching, list[Step]]:
    """Say everything to the app."""
    plan = Plan(map(parse_line, script.lines))
    matching = Matching(plan)
    steps = list(plan.messages)
    for step in steps:
        matching.went(step, step.message.data)
    return matching, steps


def info(text: str) -> dict[str, Any]:
    return {"mt": "Signaling", "api": "EpSignal", "src": "then", "to": True, "call": 3, "sig": {"type": "info", "dsp": text}}


def test_own_message_before_one_of_the_same_type_goes_on() -> None:
    matching, (step,) = said(Script().pbx(3, "info", dsp="one"))
    assert matching.came(HW1, info("own")) == []  # it may be what goes on instead
    assert outcome(step).verdict == "changed"
    assert matching.came(HW1, info("one")) == [info("own")]
    assert (outcome(step).verdict, outcome(step).sent) == ("forwarded", ())


def test_message_that_was_passed_over_is_dropped() -> None:
    matching, (one, two) = said(Script().pbx(3, "info", dsp="one").pbx(3, "info", dsp="two"))
    assert matching.came(HW1, info("two")) == []
    assert matching.came(HW1, info("own")) == [info("own")]
    assert [outcome(step).verdict for step in (one, two)] == ["dropped", "forwarded"]


def test_message_that_comes_back_late() -> None:
    matching, (one, two) = said(Script().pbx(3, "info", dsp="one").pbx(3, "info", dsp="two"))
    assert matching.came(HW1, info("two")) == [] and matching.came(HW1, info("one")) == []
    assert [outcome(step).verdict for step in (one, two)] == ["forwarded", "forwarded"]


def test_connection_that_ends_before_it_can_come_back() -> None:
    matching, (step,) = said(Script().pbx(3, "info", dsp="one"))
    matching.lose([HW1])
    assert outcome(step).verdict is None


def test_bypassed_stays_so() -> None:
    matching, (step,) = said(Script().pbx(3, "info", verdict="bypassed", dsp="one"))
    matching.came(HW1, info("one"))
    assert outcome(step).verdict == "bypassed"


def test_what_the_app_said_by_itself_then() -> None:
    plan = Plan(map(parse_line, Script().app(3, "info", to="phone", dsp="own").lines))
    (step,) = plan.messages
    matching = Matching(plan)
    assert matching.came(HW1, info("another")) == [] and step.done
    assert outcome(step).data == info("another")
    assert matching.came(HW1, info("another")) == [info("another")]


def test_next_connection_has_calls_of_its_own() -> None:
    plan = Plan(map(parse_line, Script().pbx(3, "info", dsp="one").app(3, "rel", to="phone").event("lost").pbx(3, "info", dsp="two").lines))
    one, rel, two = plan.messages
    matching = Matching(plan)
    matching.went(one, one.message.data)
    matching.next_section(1)
    assert matching.came(HW1, info("one")) == [info("one")]
    last = {**info(""), "sig": {"type": "rel"}}
    assert matching.came(HW1, last) == [last] and not rel.done and two.section == 1


def test_refusal_stays_one() -> None:
    plan = Plan(map(parse_line, Script().app(3, "rel", cau={"num": 21}).lines))
    (step,) = plan.messages
    assert outcome(Step(attrs.evolve(step.message, refusal=True))).refusal


def test_login_of_then_is_left_out() -> None:
    assert list(Plan(map(parse_line, Script().told(None, "AppLoginResult", ok=True).lines)).messages) == []
