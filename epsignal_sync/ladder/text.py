"""A ladder as lines for a terminal: a picture, or on a narrow one a list. Knows no escape sequences.

A line is a list of pieces, each with a style; what colour that is, or whether there are colours at all, decides whoever shows them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator

from ..looks import cells, fit, milliseconds
from .model import APP, COLUMNS, PHONE, Ladder, Note, Step

Piece = tuple[str, str]
"""A text and its style: one of the STYLES, or "" for ordinary text."""
Line = list[Piece]

STYLES = ("bold", "dim", "good", "waiting", "bad", "busy", "past")
STYLE_OF = {"forwarded": "good", "changed": "waiting", "dropped": "bad", "own": "busy", "": "past"}
"""The style of an arrow; of any other verdict it is that of "forwarded"."""

USUAL_WIDTH = 100
NARROWEST_PICTURE = 72
NARROWEST = 24
WIDE = 100
"""Columns from which there is more room between the lines."""
GAP = 2

_BOX = {
    "life": "│", "line": "─", "own": "╌", "right": "►", "left": "◄", "from right": "┤", "from left": "├",
    "forwarded": "●", "changed": "◆", "dropped": "╳", "bypassed": "○",
}  # fmt: skip
_ASCII = {
    "life": "|", "line": "-", "own": ".", "right": ">", "left": "<", "from right": "|", "from left": "|",
    "forwarded": "o", "changed": "#", "dropped": "X", "bypassed": "o",
}  # fmt: skip
_PLAIN = str.maketrans({"…": "~", "\ufffd": "?"})  # one for one: the columns stay

NEEDED = "".join(_BOX.values())
"""The characters that an encoding must have for the picture with lines."""


def text(ladder: Ladder, width: int | None, *, ascii_only: bool = False) -> str:
    """Return a ladder as one text; the last line has no end."""
    if width is None:
        width = shutil.get_terminal_size((USUAL_WIDTH, 24)).columns
    return "\n".join("".join(piece for piece, _ in line).rstrip() for line in lines(ladder, width, ascii_only=ascii_only))


def lines(ladder: Ladder, width: int, *, ascii_only: bool = False) -> Iterator[Line]:
    """Yield the lines of a ladder, in no more columns than ``width``."""
    width = max(width, NARROWEST)
    drawn = _list(ladder, width, ascii_only) if width < NARROWEST_PICTURE else _Picture(ladder, width, ascii_only).lines()
    for line in [*_heading(ladder, width), *drawn]:
        yield [(piece.translate(_PLAIN), style) for piece, style in line] if ascii_only else line


def _heading(ladder: Ladder, width: int) -> Iterator[Line]:
    yield from wrapped([(ladder.title, "bold")], width)
    yield from wrapped([(ladder.facts, "")], width)
    yield []


def _said(step: Step) -> list[Piece]:
    """Return what stands beside an arrow."""
    style = STYLE_OF.get(step.verdict, "waiting")
    parts = [*((one, style) for one in step.remarks), *((one, "") for one in step.details)]
    return [(f"{one};" if index < len(parts) - 1 else one, style) for index, (one, style) in enumerate(parts)]


# ------------------------------------------------------------ the picture


class _Picture:
    """The lines of a picture: time, seconds since the first signal, three lines with arrows between them, what was said."""

    def __init__(self, ladder: Ladder, width: int, ascii_only: bool) -> None:
        self._ladder = ladder
        self._signs = _ASCII if ascii_only else _BOX
        self._lane = 16 if width >= WIDE else 13
        self._since_width = max([len(_since(step)) for step in ladder.steps] or [0])
        self._left = 12 + GAP + self._since_width + GAP
        """Columns before the first line."""
        self._places = {name: index * (self._lane + 1) for index, name in enumerate(COLUMNS)}
        self._right = width - self._left - self._places[PHONE] - 1 - GAP
        """Columns for what was said."""
        self._width = width

    def lines(self) -> Iterator[Line]:
        yield self._names()
        for row in self._ladder.rows:
            if isinstance(row, Note):
                yield from ([(" " * self._left, ""), *line] for line in wrapped([(row.text, "dim")], self._width - self._left))
            else:
                yield from self._step(row)
        if any(step.by_app for step in self._ladder.steps):
            yield []
            yield [(" " * self._left + self._signs["own"] * 3, "busy"), (" sent by the app itself", "dim")]

    def _names(self) -> Line:
        row = [" "] * (self._left + self._places[PHONE] + 4)
        for name in COLUMNS:
            begin = self._left + self._places[name] - len(name) // 2
            row[begin : begin + len(name)] = name
        return [("".join(row), "bold")]

    def _step(self, step: Step) -> Iterator[Line]:
        time = f"{milliseconds(step.at)}{' ' * GAP}{_since(step):>{self._since_width}}{' ' * GAP}"
        said = list(wrapped(_said(step), self._right)) or [[]]
        yield [(time, "dim"), *self._arrow(step), (" " * GAP, ""), *said[0]]
        for line in said[1:]:
            yield [(" " * self._left, ""), *_joined(self._life_lines()), (" " * GAP, ""), *line]

    def _life_lines(self) -> list[Piece]:
        row: list[Piece] = [(" ", "")] * (self._places[PHONE] + 1)
        for place in self._places.values():
            row[place] = (self._signs["life"], "dim")
        return row

    def _arrow(self, step: Step) -> Line:
        signs, style = self._signs, STYLE_OF.get(step.verdict, "waiting")
        row = self._life_lines()
        start, end = self._places[step.start], self._places[step.end]
        way = 1 if end > start else -1
        for place in range(start + way, end, way):
            row[place] = (signs["own" if step.by_app else "line"], style)
        row[start] = (signs["from left" if way > 0 else "from right"], style)
        name = cells(f" {fit(step.name, self._lane - 3)} ")
        begin = start + 2 if way > 0 else start - 1 - len(name)
        row[begin : begin + len(name)] = [(one, "bold") for one in name]
        if step.verdict == "dropped":
            row[end] = (signs["dropped"], style)
            return _joined(row)
        row[end - way] = (signs["right" if way > 0 else "left"], style)
        if step.through:
            row[self._places[APP]] = (signs.get(step.verdict, signs["forwarded"]), style)
        elif step.verdict == "changed":
            row[end] = (signs["changed"], style)
        return _joined(row)


def _since(step: Step) -> str:
    return f"{step.since:+.3f}"


# ------------------------------------------------------------ the list


def _list(ladder: Ladder, width: int, ascii_only: bool) -> Iterator[Line]:
    signs = _ASCII if ascii_only else _BOX
    for row in ladder.rows:
        if isinstance(row, Note):
            yield from wrapped([(row.text, "dim")], width)
            continue
        style = STYLE_OF.get(row.verdict, "waiting")
        head = f"{milliseconds(row.at)} {_since(row)} "
        yield from wrapped([(head, "dim"), (row.name, "bold")], width)
        line = signs["own" if row.by_app else "line"]
        middle = signs.get(row.verdict, signs["forwarded"]) + line if row.through else ""
        tip = signs["dropped"] if row.verdict == "dropped" else signs["right"]
        way = f"{row.start} {line}{middle}{line}{tip} {row.end}"
        said = _said(row)
        yield from ([("  ", ""), *one] for one in wrapped([(f"{way}{':' if said else ''}", style), *said], width - 2))


# ------------------------------------------------------------ pieces


def wrapped(pieces: Iterable[Piece], width: int) -> Iterator[Line]:
    """Yield pieces in lines of so many columns, broken between words; a word that is longer is broken itself."""
    line: Line = []
    used = 0
    for piece, style in pieces:
        for word in piece.split():
            columns = cells(word)
            while columns:
                if used and used + 1 + len(columns) > width:
                    yield line
                    line, used = [], 0
                room = width - used - (1 if used else 0)
                if columns[room : room + 1] == [""]:  # half of a wide character
                    room -= 1
                part = "".join(columns[:room])
                line.append((f" {part}" if used else part, style))
                used += len(columns[:room]) + (1 if used else 0)
                columns = columns[room:]
    if line:
        yield line


def _joined(row: list[Piece]) -> Line:
    """Return pieces of one character as fewer ones."""
    line: Line = []
    for character, style in row:
        if line and line[-1][1] == style:
            line[-1] = (line[-1][0] + character, style)
        else:
            line.append((character, style))
    return line
