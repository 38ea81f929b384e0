"""Boxes, arrows and texts as SVG. Knows nothing of what is drawn.

The colour is that of the text around the picture, so that it fits a light and a dark page; as a file of its own it
follows the system's setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

ALONE = "<style>svg{color:#24292f}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"
LINE_HEIGHT = 18
FONT = "font-family='system-ui,sans-serif' font-size='13'"


def box_height(lines: Sequence[str]) -> int:
    """Return how high the box with these lines below its title is, in pixels."""
    return 30 + LINE_HEIGHT * len(lines)


class Drawing:
    """A picture that grows by what is drawn into it. All numbers are pixels from the upper left corner."""

    def __init__(self, title: str, width: int, height: int) -> None:
        self._title, self._width, self._height = title, width, height
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str, *, anchor: str = "middle", bold: bool = False) -> None:
        """Write one line."""
        weight = " font-weight='600'" if bold else ""
        self._parts.append(f"<text x='{x:g}' y='{y:g}' text-anchor='{anchor}'{weight} fill='currentColor'>{escape(text)}</text>")

    def box(
        self, x: float, y: float, width: float, title: str, lines: Sequence[str] = (), *, height: float | None = None, end: bool = False
    ) -> None:
        """Draw a box with a title and lines below it, as high as they need or ``height``; ``end`` has a thick border."""
        self._parts.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height or box_height(lines):g}' rx='8' stroke='currentColor' "
            f"stroke-width='{2.5 if end else 1}' fill='currentColor' fill-opacity='.07'/>"
        )
        self.text(x + width / 2, y + 20, title, bold=True)
        for number, line in enumerate(lines, 1):
            self.text(x + width / 2, y + 20 + LINE_HEIGHT * number, line)

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw a line through points, with its head at the last one."""
        self._line(*points)
        (x0, y0), (x, y) = points[-2:]
        length = max(abs(x - x0), abs(y - y0))
        dx, dy = (x - x0) / length * 8, (y - y0) / length * 8
        head = f"{x:g},{y:g} {x - dx - dy / 2:g},{y - dy + dx / 2:g} {x - dx + dy / 2:g},{y - dy - dx / 2:g}"
        self._parts.append(f"<polygon points='{head}' fill='currentColor'/>")

    def _line(self, *points: tuple[float, float]) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(f"<polyline points='{path}' fill='none' stroke='currentColor' stroke-width='1.5'/>")

    def fan(self, sources: Sequence[float], top: float, aims: Sequence[float], bottom: float) -> None:
        """Lead from each of some places to each of some places below them."""
        middle = (top + bottom) / 2
        for source in sources:
            self._line((source, top), (source, middle))
        ends = [*sources, *aims]
        self._line((min(ends), middle), (max(ends), middle))
        for aim in aims:
            self.arrow((aim, middle), (aim, bottom))

    def svg(self, *, alone: bool) -> str:
        """Return the picture; ``alone``: as a file of its own, not as a part of a page."""
        head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {self._width} {self._height}' width='{self._width}' "
        style = ALONE if alone else ""
        body = "\n".join(self._parts)
        return f"{head}role='img' class='state-picture' {FONT}><title>{escape(self._title)}</title>{style}\n{body}\n</svg>\n"
