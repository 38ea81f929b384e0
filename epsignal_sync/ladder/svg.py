"""A ladder as an SVG picture: a file of its own, or a part of a page. Without scripts, links and fonts of its own.

In a file the colours follow the reader's choice of light or dark; in a page the text has the colour that it has there.
All other colours are seen on white and on black ground, and nothing is told by one alone.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from ..looks import COLORS, fit, milliseconds
from .model import APP, COLUMNS, PBX, PHONE, Ladder, Note, Step
from .text import STYLE_OF, wrapped

WIDTH = 960
MARGIN = 14
TIME, SINCE = MARGIN, 164
"""Where times begin, and where the seconds end, in pixels."""
PLACES = {PBX: 206, APP: 336, PHONE: 466}
SAID = 496
"""Where what was said begins."""
REMARK_COLUMNS, SAID_COLUMNS, HEADING_COLUMNS = 52, 58, 126
"""Characters that have room there, in bold and not, and in the heading."""
ROW, LINE = 36, 16
"""Height of an arrow with its name, and of a line of text."""
LONGEST_NAME = 15
"""Characters of a name over an arrow."""
BETWEEN = 28
"""Pixels between two ladders in one picture."""

# In an inner element: a style in a page would be one for the whole page.
_STYLE = "<style>.ground{fill:#fff}.ink{color:#1f2328}@media(prefers-color-scheme:dark){.ground{fill:#16191d}.ink{color:#e2e6ea}}</style>"
_FONT = ' font-family="system-ui,-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif"'
_SHRINKS = f' style="min-width:{WIDTH * 3 // 4}px;max-width:100%;height:auto"'
"""In a narrower page it is made smaller, as long as it can be read, and then scrolled."""

LEGEND = {
    "own": "sent by the app itself",
    "changed": "changed by the app",
    "dropped": "dropped by the app",
    "bypassed": "went on unasked",
}
"""What is explained, where it is in the picture."""


def svg(ladders: Sequence[Ladder]) -> str:
    """Return ladders as one file, one below the other."""
    drawn = [_Drawing(ladder) for ladder in ladders]
    parts, y = [], 0
    for one in drawn:
        parts.append(f'<g transform="translate(0 {y})">{one.inside}</g>')
        y += one.height + BETWEEN
    title = ladders[0].title if len(ladders) == 1 else f"{len(ladders):,} calls"
    ground = f'{_STYLE}<rect class="ground" width="{WIDTH}" height="{y - BETWEEN}" fill="#fff"/>'
    inside = f'{_about(title, ladders)}{ground}<g class="ink" color="#1f2328">{"".join(parts)}</g>'
    return f"{_svg(y - BETWEEN, inside, _FONT)}\n"


def inline(ladder: Ladder, *, heading: bool = True) -> str:
    """Return a ladder as HTML for a page, in the font and the colours of the page; without the ``heading`` the arrows alone."""
    drawn = _Drawing(ladder, heading=heading)
    picture = _svg(drawn.height, _about(ladder.title, [ladder]) + drawn.inside, _SHRINKS)
    return f'<div style="max-width:100%;overflow-x:auto">{picture}</div>'


def _svg(height: int, inside: str, attributes: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="graphics-document" font-size="12"{attributes}>{inside}</svg>'
    )


def _about(title: str, ladders: Sequence[Ladder]) -> str:
    count = sum(len(one.steps) for one in ladders)
    return (
        f"<title>{_escaped(title)}</title>"
        f"<desc>Sequence diagram of {count:,} signal{'s' if count != 1 else ''} between PBX, app and phone, from top to bottom.</desc>"
    )


class _Drawing:
    """One ladder: ``inside`` of ``height`` pixels."""

    def __init__(self, ladder: Ladder, *, heading: bool = True) -> None:
        self._y = MARGIN if heading else 8
        parts = [*self._heading(ladder)] if heading else []
        top = self._y
        names = self._names()
        rows = [part for row in ladder.rows for part in (self._note(row) if isinstance(row, Note) else self._step(row))]
        path = "".join(f"M{x} {top + 26}V{self._y}" for x in PLACES.values())
        lines = f'<path d="{path}" stroke="currentColor" stroke-opacity=".35" fill="none"/>'
        self.inside = "".join([*parts, lines, names, *rows, *self._legend(ladder)])
        self.height = self._y + MARGIN

    def _heading(self, ladder: Ladder) -> Iterator[str]:
        for text, size, weight, opacity in ((ladder.title, 15, 600, 1), (ladder.facts, 12, 400, 0.75)):
            for line in _lines(text, HEADING_COLUMNS if size == 12 else HEADING_COLUMNS * 12 // 15):
                self._y += size + 4
                yield (
                    f'<text x="{MARGIN}" y="{self._y - 3}" fill="currentColor" font-size="{size}" font-weight="{weight}" '
                    f'fill-opacity="{opacity}">{_escaped(line)}</text>'
                )
        self._y += 10

    def _names(self) -> str:
        y = self._y
        self._y += 32
        return "".join(
            f'<rect x="{x - 34}" y="{y + 2}" width="68" height="24" rx="5" fill="none" stroke="currentColor" stroke-opacity=".5"/>'
            f'<text x="{x}" y="{y + 18}" text-anchor="middle" font-weight="600" fill="currentColor">{name}</text>'
            for name, x in ((name, PLACES[name]) for name in COLUMNS)
        )

    def _note(self, note: Note) -> Iterator[str]:
        self._y += LINE + 6
        yield f'<text x="{SAID}" y="{self._y - 6}" fill="currentColor" fill-opacity=".75">{_escaped(note.text)}</text>'

    def _step(self, step: Step) -> Iterator[str]:
        remarks, said = _lines("; ".join(step.remarks), REMARK_COLUMNS), _lines("; ".join(step.details), SAID_COLUMNS)
        height = max(ROW, LINE * (len(remarks) + len(said)) + 10)
        y = self._y + 24
        dim = 'fill="currentColor" fill-opacity=".75"'
        yield (
            f"<g><title>{_escaped(_tooltip(step))}</title>"
            f'<rect x="0" y="{self._y}" width="{WIDTH}" height="{height}" fill="none" pointer-events="all"/>'
            f'<text x="{TIME}" y="{y + 4}" {dim}>{milliseconds(step.at)}</text>'
            f'<text x="{SINCE}" y="{y + 4}" text-anchor="end" {dim}>{step.since:+.3f}</text>'
            f"{_arrow(step, y)}"
        )
        baseline = y + 4 - (8 if len(remarks) + len(said) > 1 else 0)
        for index, line in enumerate([*remarks, *said]):
            weight = ' font-weight="600"' if index < len(remarks) else ""
            yield f'<text x="{SAID}" y="{baseline + index * LINE}" fill="currentColor"{weight}>{_escaped(line)}</text>'
        yield "</g>"
        self._y += height

    def _legend(self, ladder: Ladder) -> Iterator[str]:
        kinds = {"own" if step.by_app else step.verdict for step in ladder.steps}
        shown = [kind for kind in LEGEND if kind in kinds]
        if not shown:
            return
        self._y += 24
        x = MARGIN
        for kind in shown:
            start, end = (APP, PHONE) if kind == "own" else (PBX, APP) if kind == "dropped" else (PBX, PHONE)
            yield _shaft(Step(at=0, since=0, name="", start=start, end=end, verdict=kind), x, x + 44, self._y - 4, x + 22)
            yield f'<text x="{x + 52}" y="{self._y}" fill="currentColor" fill-opacity=".75">{LEGEND[kind]}</text>'
            x += 60 + 7 * len(LEGEND[kind])


def _tooltip(step: Step) -> str:
    way = f"{step.start} to {step.end}"
    return "\n".join([", ".join(part for part in (way, step.verdict) if part), *step.media])


def _arrow(step: Step, y: int) -> str:
    start, end = PLACES[step.start], PLACES[step.end]
    lane = (start + (PLACES[APP] if step.through else end)) // 2
    name = _escaped(fit(step.name, LONGEST_NAME))
    over = f'<text x="{lane}" y="{y - 6}" text-anchor="middle" font-weight="600" fill="currentColor">{name}</text>'
    return over + _shaft(step, start, end, y, PLACES[APP])


def _shaft(step: Step, start: int, end: int, y: int, app: int) -> str:
    paint, way = COLORS[STYLE_OF.get(step.verdict, "waiting")], 1 if end > start else -1
    dashes = ' stroke-dasharray="5 4"' if step.by_app else ""
    stroke = f'stroke="{paint}" stroke-width="2"'
    if step.verdict == "dropped":
        tip, end = f'<path d="M{end - 6 * way - 5} {y - 5}l10 10m0 -10l-10 10" {stroke} fill="none"/>', end - 6 * way
    else:
        tip, end = f'<path d="M{end} {y}l{-9 * way} -5v10z" fill="{paint}"/>', end - 8 * way
    middle = ""
    if step.verdict == "changed":
        middle = f'<path d="M{app} {y - 6}l6 6l-6 6l-6 -6z" fill="{paint}"/>'
    elif step.verdict == "bypassed":
        middle = f'<path d="M{app - 7} {y}a7 7 0 0 1 14 0" {stroke} fill="none"/>'
    elif step.through:
        middle = f'<circle cx="{app}" cy="{y}" r="3" fill="{paint}"/>'
    return f'<path d="M{start} {y}H{end}" {stroke}{dashes} fill="none"/>{middle}{tip}'


def _lines(text: str, columns: int) -> list[str]:
    return ["".join(piece for piece, _ in line) for line in wrapped([(text, "")], columns)]


def _escaped(text: str) -> str:
    return html.escape(text)
