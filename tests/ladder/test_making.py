"""How a ladder is made of a call: the way of each arrow, what the app did with it, and the heading."""

from __future__ import annotations

import json

import pytest

from epsignal_sync.ladder import Ladder, Note, Step, make_ladder
from epsignal_sync.protocol.call_record import NOBODY, Party

from ..conftest import HW1
from .making import BEGAN, CHANGED, DROPPED, EVERYTHING, HandMade, entry, ladder, record, text, without_times


def ways(one: Ladder) -> list[tuple[str, str, str]]:
    return [(step.name, step.start, step.end) for step in one.steps]


def test_everything_an_app_can_do() -> None:
    made = ladder(*EVERYTHING)
    assert ways(made) == [
        ("setup", "PBX", "phone"), ("call_proc", "phone", "PBX"), ("alert", "phone", "app"), ("alert", "phone", "PBX"),
        ("facility", "app", "phone"), ("info", "PBX", "app"), ("progress", "app", "phone"), ("info", "app", "phone"),
        ("info", "PBX", "app"), ("rel", "PBX", "phone"),
    ]  # fmt: skip
    assert [step.remarks for step in made.steps] == [
        ("changed: cg.num 22 -> 022",), (), ("dropped",), ("bypassed: the interceptor was still busy",), (),
        ("changed: progress and info went on instead",), ("instead of info",), ("instead of info",), ("left to the app to forward",), (),
    ]  # fmt: skip
    assert [step.since for step in made.steps] == [0, 0.1, 0.5, 0.75, 1, 2, 2, 2, 2.5, 62.125]
    assert made.steps[0].details == ("to 23", "media offer (G722, OPUS-NB, G711A, 1 more)") and len(made.steps[0].media) == 6
    assert [step.verdict for step in made.steps if step.by_app] == ["own"] * 3


@pytest.mark.parametrize(
    ("own", "incoming", "to_device", "way"),
    [
        (True, True, True, ("app", "phone")), (True, True, False, ("phone", "app")), (True, False, False, ("app", "PBX")),
        (True, False, True, ("PBX", "app")), (False, True, True, ("app", "phone")), (False, True, False, ("app", "PBX")),
        (False, None, True, ("app", "phone")),
    ],
)  # fmt: skip
def test_way_of_what_belongs_to_the_app(own: bool, incoming: bool | None, to_device: bool, way: tuple[str, str]) -> None:
    step = ladder(entry("info", "own", to_device=to_device), own=own, incoming=incoming).steps[0]
    assert (step.start, step.end) == way


def test_setup_that_was_refused() -> None:
    rel = entry("rel", "own", to_device=False, after=0.01, cau={"num": 21})
    made = ladder(entry("setup", "dropped"), rel)
    assert made.steps[0].remarks == ("dropped, refused with 21 Call rejected",)
    assert (made.steps[1].start, made.steps[1].end) == ("app", "PBX")
    assert ladder(entry("setup", "dropped"), entry("rel", "own", to_device=False)).steps[0].remarks == ("dropped, refused",)
    assert ladder(entry("setup", "dropped"), entry("rel", "own", cau={"num": 21})).steps[0].remarks == ("dropped",), "to the other side"
    assert ladder(DROPPED, entry("rel", "own", cau={"num": 21})).steps[0].remarks == ("dropped",), "no setup"


def test_changed_to_one_of_another_type() -> None:
    made = ladder(entry("setup", "changed", sent=(text("rel", cau={"num": 17}),)))
    assert ways(made) == [("setup", "PBX", "app"), ("rel", "app", "phone")]
    assert made.steps[0].remarks == ("changed: rel went on instead",) and made.steps[1].details == ("17 User busy",)


def test_changed_to_thousands() -> None:
    made = ladder(entry("info", "changed", sent=tuple(text(f"x{number}") for number in range(5_000))))
    assert made.steps[0].remarks == ("changed: x0 and x1 and x2 and x3 and more went on instead",)
    assert len(made.steps) == 11 and isinstance(made.rows[-1], Note) and made.rows[-1].text == "4,990 more went on instead"


def test_changed_to_what_is_not_remembered_or_cannot_be_read() -> None:
    assert ladder(entry("setup", "changed")).steps[0].remarks == ("changed",)
    assert ladder(entry("setup", "changed", sent=("[" * 4096,))).steps[0].through


def test_unknown_verdict() -> None:
    step = ladder(entry("info", "teleported\x1b" + "!" * 1_000)).steps[0]
    assert step.remarks[0].startswith("teleported\ufffd!!") and len(step.remarks[0]) == 24 and step.end == "app"


def test_text_that_was_cut_off() -> None:
    step = ladder(entry("setup", cd={"num": "23"}, dsp="x" * 5_000)).steps[0]
    assert not step.remarks
    whole = entry("setup", cd={"num": "23"}, dsp="x" * 5_000)
    cut = type(whole)(whole.at, True, "setup", whole.text[:4096], "forwarded")
    assert ladder(cut).steps[0].remarks == ("only its first 4096 bytes are remembered",) and ladder(cut).steps[0].details == ("to 23",)


def test_signal_that_is_nested_too_deeply() -> None:
    deep = json.dumps({"mt": "Signaling", "sig": {"type": "info", "x": "HERE"}}).replace('"HERE"', "[" * 990 + "]" * 990)
    one = entry("info")
    made = ladder(type(one)(one.at, True, "info", deep, "changed", (deep,)), type(one)(one.at, True, "info", "[" * 3_000, "forwarded"))
    assert len(made.steps) == 2 and all(isinstance(step, Step) for step in made.rows)


# ------------------------------------------------------------ the heading


@pytest.mark.parametrize(
    ("attributes", "title"),
    [
        ({}, "from Bob (23) to alice (22)"), ({"incoming": False}, "from alice (22) to Bob (23)"), ({"incoming": None}, "with Bob (23)"),
        ({"local": NOBODY}, "from Bob (23)"), ({"local": NOBODY, "incoming": False}, "to Bob (23)"),
        ({"remote": NOBODY}, "from unknown to alice (22)"),
        ({"remote": Party("1" * 256, None, "\u202eeve\n" + "y" * 300)}, f"from \ufffdeve\ufffd{'y' * 30}… ({'1' * 35}…) to alice (22)"),
    ],
)  # fmt: skip
def test_title(attributes: dict[str, object], title: str) -> None:
    assert ladder(**attributes).title == f"Call {title}, id 3 of phone {HW1}"


def test_title_of_a_call_of_the_app() -> None:
    assert ladder(own=True).title == f"Call from Bob (23) to alice (22), id 3 of phone {HW1}, started by the app"
    huge = record()
    huge.id = 10**5_000
    assert make_ladder(HandMade(huge), "\x1b" * 50, ()).title.endswith(f", a long id of phone {chr(0xFFFD) * 35}…")


@pytest.mark.parametrize(
    ("attributes", "facts"),
    [
        ({}, "not over yet"), ({"connected_at": BEGAN + 1}, "connected, not over yet"),
        ({"ended_at": BEGAN + 65, "ended_by": "pbx", "cause": {"num": 17}},
         "never connected, over after 1:05, 17 User busy, the other side hung up"),
        ({"ended_at": BEGAN + 65, "connected_at": BEGAN + 5, "ended_by": "device"}, "connected for 1:00, the phone hung up"),
        ({"ended_at": BEGAN, "ended_by": "dropped"}, "never connected, over after 0:00, an interceptor kept its setup back"),
        ({"ended_at": BEGAN, "cause": {"num": 26}},
         "never connected, over after 0:00, 26 Non-selected user clearing, answered at another phone"),
        ({"ended_by": "\x07magic", "cause": {}}, "not over yet, a cause without a value, \ufffdmagic"),
    ],
)  # fmt: skip
def test_facts(attributes: dict[str, object], facts: str) -> None:
    assert without_times(ladder(**attributes).facts) == f"YYYY-MM-DD HH:MM:SS, {facts}"


def test_call_of_the_app_begins_with_its_setup() -> None:
    """dial() begins the live call a little before; a recording of it knows nothing of that."""
    setup = entry("setup", "own", to_device=False, after=3)
    for own, lasted in ((True, "0:02"), (False, "0:05")):
        assert ladder(setup, own=own, ended_at=BEGAN + 5).facts.endswith(f"never connected, over after {lasted}")


def test_moment_that_no_clock_has() -> None:
    made = ladder(type(CHANGED)(1e300, True, "info", "", "forwarded"), started_at=-1e300, ended_at=float("inf"))
    assert "1970-01-01" in made.facts and made.text(80)


# ------------------------------------------------------------ bounds


def test_no_signal() -> None:
    assert ladder().rows == (Note("no signal of it was seen"),) and not ladder().steps


def test_thousands_of_signals() -> None:
    made = ladder(*(entry(f"info{number}", after=number) for number in range(5_000)))
    assert [step.name for step in made.steps] == [f"info{number}" for number in (*range(50), *range(4_850, 5_000))]
    assert made.rows[50] == Note("4,800 signals are left out here") and len(made.rows) == 201
    assert len(made.svg()) < 300_000 and len(made.text(100)) < 30_000 and len(made.mermaid()) < 30_000


def test_history_of_which_the_beginning_was_forgotten() -> None:
    history = [entry("info", after=number) for number in range(1, 101)]
    assert ladder(*history).rows[0] == Note("a call remembers its last 100 signals: earlier ones are not shown")
    assert not [row for row in ladder(*history[1:]).rows if isinstance(row, Note)]
    assert not [row for row in ladder(entry("setup"), *history[1:]).rows if isinstance(row, Note)]
