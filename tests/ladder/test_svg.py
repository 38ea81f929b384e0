"""A ladder as a picture: well-formed, without anything that does something, the same on light and dark ground."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from epsignal_sync.ladder import Ladder, Note, Step
from epsignal_sync.ladder.svg import WIDTH, inline, svg
from epsignal_sync.looks import COLORS, harmless

from .making import EVERYTHING, OFFER, entry, ladder

MEDIA = "media offer (G722, OPUS-NB, G711A, 1 more)"
SPACE = "{http://www.w3.org/2000/svg}"
TAGS = {SPACE + one for one in ("svg", "title", "desc", "style", "g", "rect", "path", "text", "circle")}
ATTRIBUTES = {
    "width", "height", "viewBox", "role", "font-family", "font-size", "class", "fill", "color", "x", "y", "rx", "d", "stroke",
    "stroke-width", "stroke-opacity", "stroke-dasharray", "fill-opacity", "font-weight", "text-anchor", "pointer-events", "cx", "cy", "r",
    "transform", "style",
}  # fmt: skip


def parsed(picture: str) -> ET.Element:
    """Return a picture as XML; whatever it does not consist of is a fault."""
    root = ET.fromstring(picture)
    for element in root.iter():
        assert element.tag in TAGS and set(element.attrib) <= ATTRIBUTES, (element.tag, element.attrib)
    return root


def texts(root: ET.Element) -> list[str]:
    return [one.text or "" for one in root.iter(f"{SPACE}text")]


def test_file() -> None:
    root = parsed(ladder(*EVERYTHING).svg())
    shown = texts(root)
    assert shown[0] == "Call from Bob (23) to alice (22), id 3 of phone 0090334f1a2b" and {"PBX", "app", "phone"} < set(shown)
    assert {"changed: cg.num 22 -> 022", "dropped", "hold_notify", "to 23; media offer (G722, OPUS-NB, G711A, 1 more)", "+62.125"} < set(
        shown
    )
    assert root.findtext(f"{SPACE}title") == shown[0] and "10 signals between PBX, app and phone" in (root.findtext(f"{SPACE}desc") or "")
    assert "prefers-color-scheme:dark" in ladder().svg()


def test_media_at_length_are_a_tooltip() -> None:
    titles = [one.text or "" for one in parsed(ladder(entry("setup", **OFFER)).svg()).iter(f"{SPACE}title")]
    assert titles[1].split("\n") == [
        "PBX to phone, forwarded", "G722, 20 ms, 192.0.2.7:5004", "OPUS-NB, 20 ms, 192.0.2.7:5004", "G711A, 20 ms, 192.0.2.7:5004",
        "G711u, 20 ms, 192.0.2.7:5004", "audio: ICE with 2 candidates", "with a key for SRTP",
    ]  # fmt: skip


def test_legend_only_of_what_is_there() -> None:
    legend = {"sent by the app itself", "changed by the app", "dropped by the app", "went on unasked"}
    assert legend <= set(texts(parsed(ladder(*EVERYTHING).svg())))
    assert not legend & set(texts(parsed(ladder(entry("setup"), entry("rel")).svg())))
    assert legend & set(texts(parsed(ladder(entry("rel", "own")).svg()))) == {"sent by the app itself"}


def test_signs_of_what_the_app_did() -> None:
    """Nothing is told by the colour alone."""
    plain, dashed, changed, dropped = (ladder(entry("info", verdict)).svg() for verdict in ("forwarded", "own", "changed", "dropped"))
    assert "stroke-dasharray" in dashed and "stroke-dasharray" not in plain + changed + dropped
    assert "l6 6l-6 6l-6 -6z" in changed and "l6 6l-6 6l-6 -6z" not in plain + dashed + dropped
    assert "m0 -10l-10 10" in dropped and "m0 -10l-10 10" not in plain + dashed + changed


def test_several_calls_in_one_file() -> None:
    one, other = ladder(*EVERYTHING), ladder(entry("setup"), id=7)
    root = parsed(svg([one, other]))
    heights = [int(parsed(each.svg()).attrib["height"]) for each in (one, other)]
    assert int(root.attrib["height"]) == sum(heights) + 28 and root.findtext(f"{SPACE}title") == "2 calls"
    assert [shown.partition(", ")[2][:4] for shown in texts(root) if shown.startswith("Call")] == ["id 3", "id 7"]


def test_part_of_a_page() -> None:
    html = inline(ladder(*EVERYTHING))
    assert html == ladder(*EVERYTHING)._repr_html_() and "<style" not in html and "class=" not in html and "font-family" not in html
    assert all(paint in ("currentColor", "none", *COLORS.values()) for paint in re.findall(r'(?:fill|stroke)="([^"]*)"', html))
    alone = inline(ladder(*EVERYTHING), heading=False)
    assert ">Call from Bob" in html.partition("</desc>")[2] and ">Call from Bob" not in alone.partition("</desc>")[2]
    parsed(alone[alone.index("<svg") : -len("</div>")])


hostile = st.one_of(
    st.text(max_size=60), st.text(st.sampled_from("<>&\"'/\\\u202e\u2066\x00\x1b\n\ud800\ufffe\u0301a ;"), max_size=60),
    st.sampled_from(["<script>alert(1)</script>", "</title></svg>", "]]>", "<!--", "&lt;", "W" * 500]),
).map(harmless)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(hostile, hostile, hostile)
def test_no_text_is_markup(name: str, said: str, title: str) -> None:
    step = Step(at=0, since=0, name=name, start="phone", end="app", verdict=said, remarks=(said,), details=(name,), media=(said,))
    picture = Ladder(title=title, facts=said, rows=(step, Note(said))).svg()
    root = parsed(picture)
    assert len(list(root.iter(f"{SPACE}title"))) == 2
    assert all(0 <= int(one.attrib["x"]) <= WIDTH for one in root.iter(f"{SPACE}text"))
    picture.encode("utf-8")


def test_no_secret_in_any_rendering() -> None:
    one = ladder(entry("setup", "changed", **OFFER, sent=(entry("setup", **OFFER, data="swordfish").text,)))
    for shown in (one.svg(), one.text(100), one.text(40), one.mermaid(), one._repr_html_(), repr(one), repr(one.steps)):
        for secret in ("icicle-333", "ca4a27", "swordfish"):
            assert secret not in shown
