"""What monitor and demo leave out, and their table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any, cast

import pytest

from epsignal_sync.call import Party
from epsignal_sync.cli.outputs import CSV_COLUMNS, Progress, no_formula
from epsignal_sync.cli.view import View
from epsignal_sync.messages import CallState
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2
from .running import PASSWORD, Running, failure

Phones = tuple[SimulatedPhone, SimulatedPhone]


def step(num: str | None = None, sip: str | None = None, state: str = "alert") -> Progress:
    return Progress(at=0.0, hw=HW1, call=cast(Any, None), state=state, remote=Party(num, sip, "Bob"), incoming=True, cause=None)


@pytest.mark.parametrize(
    "pattern, num, sip, shown",
    [
        ("23", "23", None, True), ("23", "234", None, False), ("23", "123", None, False), ("23", None, None, False),
        ("23", "R23", None, True), ("R23", "R23", None, True), ("R23", "23", None, False), ("49711", "I49711", None, True),
        ("0*", "0711", None, True), ("0*", "2071", None, False), ("*11", "0711", None, True), ("*11", "0110", None, False),
        ("*71*", "0711", None, True), ("*72*", "0711", None, False), ("*", "0711", None, True), ("*", None, None, False),
        ("*21#", "*21#", None, True), ("0*1", "0711", None, False), ("alice", "22", "alice", True), ("Alice", None, "alice", False),
        ("ali*", None, "alice", True), ("22", None, "alice", False),
    ],
)  # fmt: skip
def test_number(pattern: str, num: str | None, sip: str | None, shown: bool) -> None:
    assert View(numbers=(pattern,)).shows(step(num, sip)) is shown


def test_several_numbers_and_states() -> None:
    view = View(numbers=("22", "23"), states=("alert", "connected"))
    assert view.shows(step("22")) and view.shows(step("23", state="connected"))
    assert not view.shows(step("24")) and not view.shows(step("22", state="setup"))
    assert View().shows(step())


def test_states_of_a_call_are_compared_by_their_wire_names() -> None:
    assert View(states=("call-proc",)).shows(step(state=str(CallState.CALL_PROC)))


@pytest.mark.parametrize("text", ["=1+1", "+49", "-1", "@SUM(A1)", " =1", "＝1", "\t=1", "\r=1"])
def test_a_formula_is_none_in_a_cell(text: str) -> None:
    assert not no_formula(text).lstrip().startswith(tuple("=+-@＝")) and no_formula(text)[1:].isprintable()


@pytest.mark.parametrize("text", ["", " ", "alice", "0711", "*21#", "#=", "Ä"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert no_formula(text) == text


@pytest.mark.parametrize(
    "arguments, errors",
    [
        (("--json", "--csv"), "--json and --csv cannot be had at the same time"),
        (("--number", ""), "--number '' is no number"),
        (("--number", "**"), "--number '**' is no number"),
    ],
)
def test_wrong_options(arguments: tuple[str, ...], errors: str) -> None:
    assert errors in failure("demo", *arguments, code=2)


def test_an_unknown_state_names_those_there_are() -> None:
    with Running("demo", "--state", "ringing") as epsignal:
        assert "'alert', 'connected'" in epsignal.end(2)


def test_table_for_a_spreadsheet(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_app("monitor", password=PASSWORD)
    mallory = pbx.add_phone("0090334f1a2f", number="29", sip="=cmd", name='=HYPERLINK("x"),\n"y"')
    login = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "monitor", "EPSIGNAL_PASSWORD": PASSWORD}
    with Running("monitor", HW1, "--csv", "--number", "29", variables=login) as epsignal:
        pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="Attached"), timeout=20)
        for caller in (phones[1], mallory):
            call = caller.call("22")
            phones[0].wait("alert")
            phones[0].answer()
            call.wait("connected")
            call.hangup()
            phones[0].wait("null")
        epsignal.read_until(",null,")
        epsignal.interrupt()
        assert epsignal.end(0) == ""
    rows = list(csv.reader(io.StringIO(epsignal.output, newline="")))
    assert rows[0] == list(CSV_COLUMNS) and "\n" not in epsignal.output.replace("\r\n", "")
    steps = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert [one["state"] for one in steps] == ["setup", "alert", "connected", "disconnected", "null"]
    assert {one["number"] for one in steps} == {"29"} and {one["direction"] for one in steps} == {"from"}
    assert {one["name"] for one in steps} == {'\'=HYPERLINK("x"),?"y"'} and {one["sip"] for one in steps} == {"'=cmd"}
    assert (steps[-1]["cause"], steps[-1]["cause_text"], steps[-1]["device"]) == ("16", "Normal call clearing", HW1)


def test_attaching_to_phones_that_do_not_answer_shows_how_many_have(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_app("monitor", password=PASSWORD)
    pbx.unknown_hw = "silent"
    login = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "monitor", "EPSIGNAL_PASSWORD": PASSWORD}
    with Running("monitor", HW1, HW2, "0090334f0000", "--timeout", "60", columns=80, variables=login) as epsignal:
        epsignal.read_until("Attaching to 3 phones")
        epsignal.read_until(" 67%")
        epsignal.interrupt()
        epsignal.end(0)
