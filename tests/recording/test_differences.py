"""What two runs did differently: which calls and messages belong together, and what counts."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.recording.alignment import MOST_COMPARED, align
from epsignal_sync.recording.differences import ABSENT, AS_IT_CAME, CallPair, compare
from epsignal_sync.recording.reading import Recording

from ..conftest import HW1, HW2
from ..replay.script import Script

SETUP: dict[str, Any] = {"type": "setup", "cd": {"num": "023"}}


def compared(directory: pathlib.Path, a: Script, b: Script) -> list[CallPair]:
    return compare(Recording(a.write(directory, "a.jsonl")).calls, Recording(b.write(directory, "b.jsonl")).calls)


def found(directory: pathlib.Path, a: Script, b: Script) -> list[tuple[Any, ...]]:
    """Return what differs: mark, type, verdicts, fields; and see that turned round it is as much."""
    ways = [one for pair in compared(directory, a, b) for one in pair.messages if one.differs]
    turned = [one for pair in compared(directory, b, a) for one in pair.messages if one.differs]
    assert len(turned) == len(ways)
    marks = {(True, False): "-", (False, True): "+", (True, True): "!"}
    return [
        (
            marks[one.a is not None, one.b is not None],
            one.message.type,
            one.verdicts,
            [(field.path, field.a, field.b) for field in one.fields],
        )
        for one in ways
    ]


def test_same_run_with_other_ids_times_and_src(tmp_path: pathlib.Path) -> None:
    b = Script(gap=7).call_through(90).call_through(91, hw=HW2)
    b.lines = [line.replace(b'"src":"then"', b'"src":5') for line in b.lines]
    assert found(tmp_path, Script().call_through(3).call_through(3, hw=HW2), b) == []


def test_bypassed_is_forwarded(tmp_path: pathlib.Path) -> None:
    assert found(tmp_path, Script().phone(3, "setup"), Script().phone(3, "setup", verdict="bypassed")) == []


@pytest.mark.parametrize("verdict, word", [("dropped", "dropped"), (None, "not forwarded"), ("eaten", "eaten")])
def test_verdict(tmp_path: pathlib.Path, verdict: str | None, word: str) -> None:
    a, b = Script().phone(3, "setup").pbx(3, "alert"), Script().phone(3, "setup").pbx(3, "alert", verdict=verdict)
    assert found(tmp_path, a, b) == [("!", "alert", ("forwarded", word), [])]


def test_forwarded_by_the_app_itself(tmp_path: pathlib.Path) -> None:
    b = Script().phone(3, "setup", verdict=None).app(3, "setup", verdict="forwarded")
    assert found(tmp_path, Script().phone(3, "setup"), b) == []


def test_other_change_field_by_field(tmp_path: pathlib.Path) -> None:
    a = Script().phone(3, "setup", verdict="changed", sent=({**SETUP, "dsp": "one"},), cd={"num": "23"})
    b = Script().phone(3, "setup", verdict="changed", sent=({"type": "setup", "cd": {"num": "0023"}},), cd={"num": "23"})
    assert found(tmp_path, a, b) == [("!", "setup", None, [("cd.num", "023", "0023"), ("dsp", "one", AS_IT_CAME)])]


def test_field_that_the_app_takes_away(tmp_path: pathlib.Path) -> None:
    a = Script().phone(3, "setup", verdict="changed", sent=(SETUP,), cd={"num": "23"}, dsp="one")
    b = Script().phone(3, "setup", verdict="changed", sent=({**SETUP, "dsp": "one"},), cd={"num": "23"}, dsp="one")
    assert found(tmp_path, a, b) == [("!", "setup", None, [("dsp", ABSENT, AS_IT_CAME)])]


def test_same_change_of_what_came_otherwise(tmp_path: pathlib.Path) -> None:
    media: list[dict[str, Any]] = [{"channels": {"id": number}} for number in (5, 6)]
    a, b = (Script().phone(3, "setup", verdict="changed", sent=({**SETUP, **one},), cd={"num": "23"}, **one) for one in media)
    assert found(tmp_path, a, b) == []


def test_what_came_is_not_compared(tmp_path: pathlib.Path) -> None:
    assert found(tmp_path, Script().phone(3, "setup", channels={"id": 5}), Script().phone(3, "setup", channels={"id": 6})) == []


def test_values_of_other_types_are_told_apart(tmp_path: pathlib.Path) -> None:
    a, b = (Script().phone(3, "setup").app(3, "info", complete=value) for value in (True, 1))
    assert found(tmp_path, a, b) == [("!", "info", None, [("complete", True, 1)])]


def test_own_message(tmp_path: pathlib.Path) -> None:
    a = Script().phone(3, "setup").app(3, "rel", to="phone", cau={"num": 16}).app(3, "info", dsp="a")
    b = Script().phone(3, "setup").app(3, "rel", to="phone", cau={"num": 21})
    assert found(tmp_path, a, b) == [("!", "rel", None, [("cau.num", 16, 21)]), ("-", "info", None, [])]


def test_messages_in_one_only_stand_in_their_place(tmp_path: pathlib.Path) -> None:
    a = Script().phone(3, "setup").pbx(3, "call_proc").pbx(3, "alert").pbx(3, "conn")
    b = Script().phone(3, "setup").pbx(3, "call_proc").app(3, "info", to="phone", dsp="x").pbx(3, "conn").phone(3, "rel")
    (pair,) = compared(tmp_path, a, b)
    assert [(one.message.type, one.a is None, one.b is None) for one in pair.messages] == [
        ("setup", False, False), ("call_proc", False, False), ("info", True, False), ("alert", False, True), ("conn", False, False),
        ("rel", True, False),
    ]  # fmt: skip


def test_who_was_first_of_the_two_sides_is_no_difference(tmp_path: pathlib.Path) -> None:
    a = Script().phone(3, "setup").pbx(3, "alert").phone(3, "info")
    b = Script().phone(3, "setup").phone(3, "info").pbx(3, "alert")
    assert found(tmp_path, a, b) == []


def test_calls_that_began_in_another_order(tmp_path: pathlib.Path) -> None:
    a = Script().phone(3, "setup", cd={"num": "23"}).pbx(3, "alert").phone(4, "setup", cd={"num": "24"})
    b = Script().phone(4, "setup", cd={"num": "24"}).phone(3, "setup", cd={"num": "23"}).pbx(3, "alert")
    assert found(tmp_path, a, b) == []


def test_call_to_another_number_is_the_same_call(tmp_path: pathlib.Path) -> None:
    (pair,) = compared(tmp_path, Script().phone(3, "setup", cd={"num": "23"}), Script().phone(3, "setup", cd={"num": "24"}))
    assert pair.a is not None and pair.b is not None and not pair.differs


def test_calls_in_one_run_only(tmp_path: pathlib.Path) -> None:
    a = Script().phone(3, "setup", cd={"num": "23"}).phone(3, "rel").phone(4, "setup", cd={"num": "23"})
    b = Script().phone(3, "setup", cd={"num": "23"}).phone(3, "rel").pbx(9, "setup", cg={"num": "5"})
    pairs = compared(tmp_path, a, b)
    assert [(pair.a is None, pair.b is None, pair.differs) for pair in pairs] == [
        (False, False, False), (False, True, True), (True, False, True),
    ]  # fmt: skip


def test_call_that_only_a_sync_names_is_no_difference(tmp_path: pathlib.Path) -> None:
    b = Script().told(HW1, "Sync", call=2, info={"state": "connected", "in": True}).call_through(3)
    (pair,) = compared(tmp_path, Script().call_through(3), b)
    assert pair.a is not None and pair.b is not None and not pair.differs


def test_runs_without_calls(tmp_path: pathlib.Path) -> None:
    assert compared(tmp_path, Script(), Script().attached()) == []


def test_very_many_messages_in_one_call(tmp_path: pathlib.Path) -> None:
    """Nothing takes the square of their number: then it would not come to an end."""
    a, b = Script().phone(3, "setup"), Script().phone(3, "setup")
    a.phone(3, "info").phone(3, "facility")
    b.phone(3, "facility").phone(3, "info")
    info, facility = a.lines[-2:]
    a.lines += [info, facility, facility] * 7000
    b.lines += [facility, info, info] * 7000
    (pair,) = compared(tmp_path, a, b)
    assert len(pair.messages) > 21_000


TYPES = st.lists(st.sampled_from("abcd"), max_size=30)


@given(TYPES, TYPES, st.booleans())
def test_alignment_takes_each_entry_once_and_in_order(a: list[str], b: list[str], many: bool) -> None:
    if many:
        a, b = a * 20, b * 20
    pairs = list(align(a, b))
    assert [index for index, _ in pairs if index is not None] == list(range(len(a)))
    assert [index for _, index in pairs if index is not None] == list(range(len(b)))
    assert all(a[one] == b[other] for one, other in pairs if one is not None and other is not None)
    assert a != b or all(one == other for one, other in pairs)


def test_alignment_is_the_longest_where_that_is_bounded() -> None:
    assert len([pair for pair in align("xabcabcabc", "abcxabcabc") if None not in pair]) == 9
    assert 300 * 300 > MOST_COMPARED


def test_secret_that_is_masked_in_one_of_them(tmp_path: pathlib.Path) -> None:
    key: dict[str, Any] = {"channels": {"key": {"b": "0011"}, "audio_ice": {"pwd": "a", "usr": "u"}}}
    a, b = (Script(secrets_kept=kept).phone(3, "setup").app(3, "channels", **key) for kept in (True, False))
    assert found(tmp_path, a, b) == []
