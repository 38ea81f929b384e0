"""What an interceptor changed, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from epsignal_sync.ladder.changes import changes
from epsignal_sync.ladder.reading import Content, read

from .making import OFFER, text

HOLD, SETUP = {"type": "hold_notify"}, {"type": "ct_setup"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"cg": {"num": "22"}}, {"cg": {"num": "022"}}, ["cg.num 22 -> 022"]),
        ({"cg": {"num": "22"}}, {"cg": {"num": "22", "sip": "bob"}}, ["cg.sip bob added"]),
        ({"dsp": "Sales"}, {}, ["dsp Sales removed"]),
        ({}, {"cg": {"num": "22", "sip": "bob"}}, ["cg (num 22, sip bob) added"]),
        ({"complete": True}, {"complete": 1}, ["complete true -> 1"]),
        ({"dsp": None}, {"dsp": ""}, ['dsp null -> ""']),
        ({"pi": ["81"]}, {"pi": ["88"]}, ["pi [...] -> [...]"]),
        ({}, {"fty": [HOLD]}, ["facility hold_notify added"]),
        ({"fty": [HOLD, SETUP]}, {"fty": [SETUP]}, ["facility hold_notify removed"]),
        ({"fty": [HOLD, HOLD]}, {"fty": [HOLD]}, ["facility hold_notify removed"]),
        ({"fty": [{**SETUP, "dst": {"num": "1"}}]}, {"fty": [HOLD, {**SETUP, "dst": {"num": "2"}}]},
         ["facility hold_notify added", "facility ct_setup: dst.num 1 -> 2"]),
        ({"fty": [{"a": 1}]}, {"fty": [{"a": 2}]}, ["a facility without a type: a 1 -> 2"]),
        (OFFER, {**OFFER, "channels_cmd": "SELECT"},
         ["media offer (G722, OPUS-NB, G711A, 1 more) -> media answer (G722, OPUS-NB, G711A, 1 more)"]),
        (OFFER, {}, ["media offer (G722, OPUS-NB, G711A, 1 more) -> no media"]),
        (OFFER, {**OFFER, "channels": {**OFFER["channels"], "id": 7}}, ["details of the media offer (G722, OPUS-NB, G711A, 1 more)"]),
        ({"fty": "x", "cg": 5}, {"fty": 7, "cg": {"num": "1"}}, ["cg 5 -> (num 1)"]),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, {"a": {"b": {"c": {"d": {"e": 2}}}}}, ["a.b.c.d (e 1) -> (e 2)"]),
        ({"x": {"y": [1]}}, {}, ["x (...) removed"]), ({"n": 1.5}, {"n": 10**30}, ["n 1.5 -> 1000000000000000000…"]),
        ({"x": 1}, {"x": 1}, ["in nothing that is shown"]),
    ],
)  # fmt: skip
def test_changes(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    assert list(changes(Content(before), Content(after))) == expected


def test_many_changes() -> None:
    found = changes(Content({}), Content({f"f{number}": number for number in range(1_000)}))
    assert len(found) == 7 and found[0] == "f0 0 added" and found[-1] == "and 994 more"


def test_many_facilities() -> None:
    found = changes(Content({"fty": [{"type": f"f{number}"} for number in range(10_000)]}), Content({"fty": []}))
    assert len(found) == 7 and found[-1] == "and 44 more", "fifty are compared"


def test_hostile_names_and_values() -> None:
    found = changes(Content({}), Content({"\x1b[2J" + "k" * 1_000: "\u202e" + "v" * 10_000}))
    assert len(found[0]) < 100 and found[0].startswith("\ufffd[2J") and "\ufffdvvv" in found[0]


def test_changed_secret_is_not_shown() -> None:
    other = text("user_info", data="cafe", fty=[{"type": "im_message", "data": "hunter2"}])
    assert changes(read(text("user_info", data="beef", fty=[{"type": "im_message", "data": "swordfish"}])), read(other)) == (
        "in nothing that is shown",
    )


def test_what_was_cut_off_was_not_removed() -> None:
    whole = text("setup", cg={"num": "22"}, cd={"num": "23"}, fty=[{"type": "x", "text": "a" * 5_000}], dsp="Sales")
    assert changes(read(whole[:4096]), read(whole.replace('"22"', '"022"')[:4096])) == ("cg.num 22 -> 022",)
    assert changes(read(whole[:4096]), read(text("setup", cg={"num": "22"}, cd={"num": "23"}, dsp="Sales"))) == (
        "in nothing that is shown",
    )
