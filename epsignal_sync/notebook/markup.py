"""The HTML that pictures are made of: one look for light and dark themes, and harmless text. Knows nothing of phones and calls.

The text has the colour of the theme. All other colours are seen on white and on black ground, and nothing is told by one alone.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

LONGEST_TEXT = 36
"""Characters of a text from the network that are shown."""
MOST_MARKS = 3
"""Combining characters in a row that are shown: a hundred of them would cover the lines above."""
JOINERS = "\u200c\u200d"
"""They print nothing themselves; Persian words and emoji are spelled with them."""

COLORS = {"good": "#2f9e62", "waiting": "#c9751f", "bad": "#d64545", "busy": "#3f7fd0", "past": "#858585"}

# The class is written more than once to win against the rules that JupyterLab and the classic notebook have for every table.
_CLASS = ".epsignal" * 3
_RULES = {
    "": "font-size:13px;line-height:1.5;max-width:100%;overflow-x:auto",
    " .epsignal-head": "margin:2px 0 4px",
    " .epsignal-head b": "font-size:14px",
    " .epsignal-dim": "opacity:.7",
    " .epsignal-state": "white-space:nowrap",
    " .epsignal-state i": "display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:6px",
    " table": "border-collapse:collapse;border:0;margin:2px 0;width:auto;font-size:13px;table-layout:auto",
    " tr": "background:transparent;border:0",
    " th": "text-align:left;font-weight:600;padding:2px 18px 2px 0;border:0;border-bottom:1px solid #8886;white-space:nowrap",
    " td": "text-align:left;vertical-align:top;padding:2px 18px 2px 0;border:0;line-height:1.5;white-space:nowrap;max-width:none",
    " td:last-child": "white-space:normal;overflow-wrap:anywhere;min-width:9em;max-width:56em",
    " th.epsignal-time, td.epsignal-time": "text-align:right;font-variant-numeric:tabular-nums",
    " .epsignal-past td": "opacity:.7",
    " .epsignal-ladder td": "vertical-align:middle;padding:0 14px 0 0;height:24px",
    " .epsignal-ladder td:last-child": "white-space:nowrap;max-width:none",  # a second line would tear the lines beside it
    " .epsignal-ladder svg": "display:block;max-width:none",
}


def _style() -> str:
    lines = []
    for names, rules in _RULES.items():
        selectors = ",".join(f"{_CLASS}{' ' if name.strip() else ''}{name.strip()}" for name in names.split(","))
        lines.append(f"{selectors}{{{rules}}}")
    return f"<style>{''.join(lines)}</style>"


STYLE = _style()


def picture(*parts: str) -> str:
    """Return a whole picture of parts one below the other."""
    return f'<div class="epsignal">{STYLE}{"".join(parts)}</div>'


def head(kind: str, name: str, state: str, *facts: str) -> str:
    """Return the first line of a picture; ``state`` and ``facts`` are HTML."""
    parts = "&ensp;".join([state, *(dim(one) for one in facts)])
    return f'<div class="epsignal-head"><b>{escaped(kind)} {escaped(name, 100)}</b>&ensp;{parts}</div>'


def state(text: str, color: str) -> str:
    """Return a state with a dot of one of the ``COLORS``."""
    return f'<span class="epsignal-state"><i style="background:{COLORS[color]}"></i>{escaped(text)}</span>'


def dim(inside: str) -> str:
    """Return HTML as something of less weight."""
    return f'<span class="epsignal-dim">{inside}</span>'


def note(text: str) -> str:
    """Return a line of less weight."""
    return f'<div class="epsignal-dim">{escaped(text, 400)}</div>'


def table(headings: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return a table; a row is the name of its class and the HTML of its cells. The column "Time" counts seconds."""
    kinds = [' class="epsignal-time"' if heading == "Time" else "" for heading in headings]
    top = "".join(f"<th{kind}>{heading}</th>" for kind, heading in zip(kinds, headings, strict=True))
    lines = []
    for name, cells in rows:
        inside = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, cells, strict=True))
        lines.append(f'<tr class="{name}">{inside}</tr>' if name else f"<tr>{inside}</tr>")
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values; the values are HTML, and one that is empty is left out."""
    rows = "".join(f"<tr><td>{dim(escaped(name))}</td><td>{value}</td></tr>" for name, value in pairs if value)
    return f"<table><tbody>{rows}</tbody></table>"


# ------------------------------------------------------------ text


def escaped(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return any text as HTML that shows it and does nothing else; a right-to-left name does not turn its surroundings."""
    return f"<bdi>{html.escape(harmless(text, longest))}</bdi>"


def harmless(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text without what moves a cursor, turns or covers other text, or cannot be encoded; a long one is cut."""
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    if text.isascii() and text.isprintable():
        return text
    shown = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category == "Zs":
            shown.append(" ")
        elif marks <= MOST_MARKS:
            shown.append(character if character.isprintable() or character in JOINERS else "\ufffd")
    return "".join(shown)


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, with the hours in front if there are any."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def time_of_day(at: float) -> str:
    """Return a moment, in Unix seconds, as the local time of day."""
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def milliseconds(at: float) -> str:
    """Return a moment, in Unix seconds, as the local time of day with milliseconds."""
    return datetime.fromtimestamp(at).isoformat(" ", "milliseconds")[11:]


def more(hidden: int, what: str = "") -> str:
    """Return the line that stands for what is not shown; "" where all is."""
    return note(f"and {hidden:,} more{f' {what}' if what else ''}") if hidden > 0 else ""
