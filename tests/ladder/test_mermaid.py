"""A ladder for a wiki: the syntax of Mermaid's sequence diagrams, and nothing that a name could add to it.

That Mermaid's own parser takes it was tried by hand; here stands what was learned from that.
"""

from __future__ import annotations

import re
import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from epsignal_sync.ladder import Ladder, Step
from epsignal_sync.ladder.mermaid import escaped
from epsignal_sync.looks import harmless

from .making import EVERYTHING, ladder, without_times

TEXT = r"(?:[A-Za-z0-9 .,()_+*/=:>-]|#\d+;|[^\x00-\x7f])*"
LINES = [
    "sequenceDiagram", f"    title {TEXT}", "    participant (PBX|app|phone)", f"    Note over (PBX,phone|app): {TEXT}",
    rf"    (PBX|app|phone)(->>|-->>|-x)(PBX|app|phone): {TEXT}",
]  # fmt: skip
SYNTAX = re.compile("|".join(f"(?:{line})" for line in LINES))


def test_diagram() -> None:
    assert without_times(ladder(*EVERYTHING).mermaid()) == textwrap.dedent("""\
        sequenceDiagram
            title Call from Bob (23) to alice (22), id 3 of phone 0090334f1a2b
            participant PBX
            participant app
            participant phone
            Note over PBX,phone: YYYY-MM-DD HH:MM:SS, not over yet
            PBX->>phone: HH:MM:SS.250 setup: to 23#59; media offer (G722, OPUS-NB, G711A, 1 more)
            Note over app: changed: cg.num 22 -> 022
            phone->>PBX: HH:MM:SS.350 call_proc
            phone-xapp: HH:MM:SS.750 alert
            Note over app: dropped
            phone->>PBX: HH:MM:SS.000 alert
            Note over app: bypassed: the interceptor was still busy
            app-->>phone: HH:MM:SS.250 facility: hold_notify
            PBX->>app: HH:MM:SS.250 info: to 5
            Note over app: changed: progress and info went on instead
            app-->>phone: HH:MM:SS.250 progress: 17 User busy
            Note over app: instead of info
            app-->>phone: HH:MM:SS.250 info
            Note over app: instead of info
            PBX->>app: HH:MM:SS.750 info: to 6
            Note over app: left to the app to forward
            PBX->>phone: HH:MM:SS.375 rel: 16 Normal call clearing""")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b", "a#59;b"), ("#35;", "#35;35#59;"), ("<b>", "#60;b>"), ("%%{init}", "#37;#37;#123;init#125;"), ("```", "#96;#96;#96;"),
        ("&lt;", "#38;lt#59;"), ("Bob (23) -> 5", "Bob (23) -> 5"), ("Müller بوب", "Müller بوب"), ("$$x$$", "#36;#36;x#36;#36;"),
    ],
)  # fmt: skip
def test_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=60).map(harmless), st.text(st.sampled_from("%{}#;`<>&\"'\\$\n\r:-"), max_size=30).map(harmless))
def test_no_text_is_syntax(name: str, said: str) -> None:
    step = Step(at=0, since=0, name=name, start="PBX", end="app", verdict="dropped", remarks=(said,), details=(name, said))
    diagram = Ladder(title=said, facts=name, rows=(step,)).mermaid()
    assert len(diagram.split("\n")) == 8 and all(SYNTAX.fullmatch(line) for line in diagram.split("\n"))
