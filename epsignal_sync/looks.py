"""How things are shown to a person, on whatever medium: harmless text, times, colours. Knows no markup and no terminal."""

from __future__ import annotations

import unicodedata
from datetime import datetime

LONGEST_TEXT = 36
"""Characters of a text from the network that are shown."""
MOST_MARKS = 3
"""Combining characters in a row that are shown: a hundred of them would cover the lines above."""
JOINERS = "\u200c\u200d"
"""They print nothing themselves; Persian words and emoji are spelled with them."""

COLORS = {"good": "#2f9e62", "waiting": "#c9751f", "bad": "#d64545", "busy": "#3f7fd0", "past": "#858585"}


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
    return local_time(at).strftime("%H:%M:%S")


def milliseconds(at: float) -> str:
    """Return a moment, in Unix seconds, as the local time of day with milliseconds."""
    return local_time(at).isoformat(" ", "milliseconds")[11:]


def local_time(at: float) -> datetime:
    """Return a moment, in Unix seconds, as a local time without a time zone; that of 1970 for one that no clock here can have."""
    try:
        return datetime.fromtimestamp(at)
    except (OverflowError, OSError, ValueError):
        return datetime(1970, 1, 1)


# ------------------------------------------------------------ columns of a terminal


def cells(text: str) -> list[str]:
    """Return what stands in each column of a terminal: "" in the second one of a wide character; a mark stands with its letter."""
    columns: list[str] = []
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            if columns:
                columns[-1 if columns[-1] else -2] += character
            continue
        columns.append(character)
        if unicodedata.east_asian_width(character) in "WF":
            columns.append("")
    return columns


def fit(text: str, width: int) -> str:
    """Return a text in at most so many columns; a longer one ends in an ellipsis."""
    columns = cells(text)
    if len(columns) <= width:
        return text
    kept = columns[: max(0, width - 1)]
    if kept and columns[len(kept)] == "":  # half of a wide character
        kept.pop()
    return "".join(kept) + "…"
