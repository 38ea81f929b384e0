"""The HTML that pictures are made of: one look for light and dark themes, and harmless text. Knows nothing of phones and calls.

The text has the colour of the theme. All other colours are seen on white and on black ground, and nothing is told by one alone.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from ..looks import COLORS, LONGEST_TEXT, harmless

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


def more(hidden: int, what: str = "") -> str:
    """Return the line that stands for what is not shown; "" where all is."""
    return note(f"and {hidden:,} more{f' {what}' if what else ''}") if hidden > 0 else ""
