"""A ladder on a terminal: as wide as that, with box characters or without, and never a torn line."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from epsignal_sync.ladder import Ladder, Note, Step
from epsignal_sync.ladder.model import COLUMNS
from epsignal_sync.ladder.text import NEEDED, STYLES, lines
from epsignal_sync.looks import cells, fit, harmless

from .making import CHANGED, DROPPED, EVERYTHING, entry, ladder, without_times


def shown(text: str) -> str:
    return without_times(text).partition("\n\n")[2] + "\n"


def test_picture_on_80_columns() -> None:
    assert shown(ladder(*EVERYTHING).text(80)) == textwrap.dedent("""\
                              PBX           app          phone
        HH:MM:SS.250   +0.000  ├─ setup ─────◆────────────►│  changed: cg.num 22 -> 022;
                               │             │             │  to 23; media offer (G722,
                               │             │             │  OPUS-NB, G711A, 1 more)
        HH:MM:SS.350   +0.100  │◄────────────●─ call_proc ─┤
        HH:MM:SS.750   +0.500  │             ╳───── alert ─┤  dropped
        HH:MM:SS.000   +0.750  │◄────────────○───── alert ─┤  bypassed: the interceptor
                               │             │             │  was still busy
        HH:MM:SS.250   +1.000  │             ├╌ facility ╌►│  hold_notify
        HH:MM:SS.250   +2.000  ├─ info ─────►◆             │  changed: progress and info
                               │             │             │  went on instead; to 5
        HH:MM:SS.250   +2.000  │             ├╌ progress ╌►│  instead of info; 17 User
                               │             │             │  busy
        HH:MM:SS.250   +2.000  │             ├╌ info ╌╌╌╌╌►│  instead of info
        HH:MM:SS.750   +2.500  ├─ info ─────►│             │  left to the app to
                               │             │             │  forward; to 6
        HH:MM:SS.375  +62.125  ├─ rel ───────●────────────►│  16 Normal call clearing

                               ╌╌╌ sent by the app itself
        """)


def test_picture_without_box_characters() -> None:
    text = ladder(CHANGED, DROPPED, entry("rel", "own", to_device=False, after=1, cau={"num": 16})).text(120, ascii_only=True)
    assert shown(text) == textwrap.dedent("""\
                             PBX              app             phone
        HH:MM:SS.250  +0.000  |- setup --------#--------------->|  changed: cg.num 22 -> 022; to 23; media offer (G722, OPUS-NB,
                              |                |                |  G711A, 1 more)
        HH:MM:SS.750  +0.500  |                X-------- alert -|  dropped
        HH:MM:SS.250  +1.000  |<......... rel .|                |  16 Normal call clearing

                              ... sent by the app itself
        """)  # fmt: skip


def test_list_on_a_narrow_terminal() -> None:
    assert shown(ladder(CHANGED, DROPPED).text(40)) == textwrap.dedent("""\
        HH:MM:SS.250 +0.000 setup
          PBX ─◆──► phone: changed: cg.num 22 ->
          022; to 23; media offer (G722,
          OPUS-NB, G711A, 1 more)
        HH:MM:SS.750 +0.500 alert
          phone ──╳ app: dropped
        """)


def test_heading() -> None:
    text = ladder(CHANGED, ended_at=1_700_000_010.25, ended_by="pbx", cause={"num": 17}).text(200)
    assert without_times(text).splitlines()[:3] == [
        "Call from Bob (23) to alice (22), id 3 of phone 0090334f1a2b",
        "YYYY-MM-DD HH:MM:SS, never connected, over after 0:10, 17 User busy, the other side hung up",
        "",
    ]


def test_no_legend_where_the_app_said_nothing() -> None:
    assert "itself" not in ladder(CHANGED, DROPPED).text(100) and ladder(CHANGED).text(100) == ladder(CHANGED).text(100).rstrip()


def test_str_has_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    one = ladder(*EVERYTHING)
    for width in (40, 80, 140):
        monkeypatch.setenv("COLUMNS", str(width))
        assert str(one) == one.text() == one.text(width)


words = st.text(st.sampled_from("ab ;:-日本語ö…\u0301\u200d\U0001f600بوب"), max_size=40).map(harmless)
steps = st.builds(
    Step, at=st.floats(0, 4e9), since=st.floats(-1e6, 1e6), name=words, start=st.just("PBX"), end=st.sampled_from(["app", "phone"]),
    verdict=st.sampled_from(["forwarded", "changed", "dropped", "own", "", "new"]), remarks=st.tuples(words) | st.just(()),
    details=st.lists(words, max_size=4).map(tuple),
)  # fmt: skip
back = st.builds(
    Step, at=st.just(0.0), since=st.just(0.0), name=words, start=st.just("phone"), end=st.sampled_from(COLUMNS[:2]), verdict=words
)
ladders = st.builds(Ladder, title=words, facts=words, rows=st.lists(steps | back | st.builds(Note, words), max_size=6).map(tuple))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(ladders, st.sampled_from([1, 24, 30, 71, 72, 80, 100, 140]), st.booleans())
def test_no_line_is_torn(one: Ladder, width: int, ascii_only: bool) -> None:
    text = one.text(width, ascii_only=ascii_only)
    assert all(len(cells(line)) <= max(width, 24) for line in text.split("\n"))
    assert all(style in ("", *STYLES) for line in lines(one, width) for _, style in line)
    if ascii_only:
        assert not set(text) & {*NEEDED, "…", "\ufffd"}


def test_long_word_is_not_broken_within_a_wide_character() -> None:
    lines = Ladder(title="a" + "日" * 20, facts="", rows=()).text(24).split("\n")
    assert lines[:2] == ["a" + "日" * 11, "日" * 9]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("setup", 5, "setup"), ("setups", 5, "setu…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("日本語", 6, "日本語"),
     ("ab", 1, "…"), ("", 3, ""), ("e\u0301e\u0301e\u0301", 2, "e\u0301…")],
)  # fmt: skip
def test_fit(text: str, width: int, expected: str) -> None:
    assert fit(text, width) == expected and len(cells(expected)) <= width
