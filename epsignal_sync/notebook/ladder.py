"""The history of a call as a sequence picture: a line each, with an arrow between PBX, app and phone. Knows no other pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..history import HistoryEntry
from ..messages.causes import CAUSE_TEXTS, cause_text
from ..protocol.jsontext import loads
from . import markup

MOST_SIGNALS = 40
"""Signals that are shown, the last ones."""
MOST_FACILITIES = 3

PBX, APP, PHONE = 22, 102, 182
"""Where their lines are, in pixels."""
WIDTH, HEIGHT = 206, 24

MEDIA = {"PROPOSAL": "media offer", "SELECT": "media answer", "REQUEST": "asks for a media offer", "CLOSE": "media off"}


def ladder(history: Iterable[HistoryEntry], *, own: bool, incoming: bool | None) -> str:
    """Return the picture of a call's signals; ``own``: a call of the app, with the phone as far end where it is ``incoming``."""
    entries = list(history)
    earlier = len(entries) - MOST_SIGNALS
    # Spec: the app's own messages in a device's call are recorded as "own", too; there the direction tells to which side they went.
    rows = [_row(entry, *_way(entry, own=own, far_end=incoming is True)) for entry in entries[-MOST_SIGNALS:]]
    names = "".join(
        f'<text x="{x}" y="16" text-anchor="middle" font-size="12" fill="currentColor">{name}</text>'
        for x, name in ((PBX, "PBX"), (APP, "app"), (PHONE, "phone"))
    )
    top = f"<tr><td></td><td></td><td>{_svg(names)}</td><td></td></tr>"
    body = f'<table class="epsignal-ladder"><tbody>{top}{"".join(rows)}</tbody></table>'
    return (markup.note(f"{earlier} earlier signals are in call.history") if earlier > 0 else "") + body


def _way(entry: HistoryEntry, *, own: bool, far_end: bool) -> tuple[int, int]:
    """Return where a signal began and how far it went."""
    if entry.verdict == "own":
        far = PHONE if (far_end if own else entry.to_device) else PBX
        return (APP, far) if entry.to_device is (far == PHONE) else (far, APP)
    ends = (PBX, PHONE) if entry.to_device else (PHONE, PBX)
    return ends if entry.verdict in ("forwarded", "changed", "bypassed") else (ends[0], APP)


def _row(entry: HistoryEntry, start: int, end: int) -> str:
    details = [*([] if entry.verdict in ("forwarded", "own", None) else [entry.verdict]), *_details(entry.text)]
    names = {PBX: "PBX", APP: "app", PHONE: "phone"}
    title = f"<title>{names[start]} to {names[end]}</title>"
    return (
        f'<tr><td class="epsignal-dim">{markup.milliseconds(entry.at)}</td><td><b>{markup.escaped(entry.type, 24)}</b></td>'
        f"<td>{_svg(title + _lines() + _arrow(start, end, entry.verdict))}</td><td>{markup.escaped(', '.join(details), 90)}</td></tr>"
    )


def _svg(inside: str) -> str:
    return f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{inside}</svg>'


def _lines() -> str:
    path = "".join(f"M{x} 0V{HEIGHT}" for x in (PBX, APP, PHONE))
    return f'<path d="{path}" stroke="currentColor" stroke-opacity=".35"/>'


def _arrow(start: int, end: int, verdict: str | None) -> str:
    color = {"own": "busy", "changed": "waiting", "dropped": "bad", None: "past"}.get(verdict, "good")
    paint, y, step = markup.COLORS[color], HEIGHT // 2, 1 if end > start else -1
    through = f'<circle cx="{APP}" cy="{y}" r="3" fill="{paint}"/>' if APP not in (start, end) else ""
    if verdict == "dropped":
        tip = f'<path d="M{end - 4} {y - 4}l8 8m0 -8l-8 8" stroke="{paint}" stroke-width="2"/>'
    else:
        tip = f'<path d="M{end} {y}l{-8 * step} -4v8z" fill="{paint}"/>'
    return f'<path d="M{start} {y}H{end - 6 * step}" stroke="{paint}" stroke-width="2"/>{through}{tip}'


# ------------------------------------------------------------ what a signal says


def _details(text: str) -> Iterator[str]:
    """Yield in words what matters of a message; nothing of one that was cut off. Shows no value that may be a secret."""
    try:
        data = loads(text.encode("utf-8", "replace"))
    except ValueError:
        return
    sig = data.get("sig") if isinstance(data, dict) else None
    if not isinstance(sig, dict):
        return
    called, cause, media, facilities = (sig.get(name) for name in ("cd", "cau", "channels_cmd", "fty"))
    if isinstance(called, dict):
        yield from (f"to {one}" for one in [called.get("num") or called.get("sip")] if isinstance(one, str))
    if isinstance(cause, dict):
        yield cause_in_words(cause.get("num"))
    if isinstance(media, str) and media != "NONE":
        yield MEDIA.get(media, f"media {media}")
    if isinstance(facilities, list):
        yield from _facility_names(facilities)


def _facility_names(facilities: list[Any]) -> Iterator[str]:
    for one in facilities[:MOST_FACILITIES]:
        name = one.get("type") if isinstance(one, dict) else None
        yield name if isinstance(name, str) else "a facility without a type"
    if len(facilities) > MOST_FACILITIES:
        yield f"and {len(facilities) - MOST_FACILITIES} more"


def cause_in_words(number: Any) -> str:
    """Return a Q.850 cause value with its name; any JSON value may come as one."""
    text = cause_text(number) or "a cause without a value"
    return f"{number} {text}" if type(number) is int and number in CAUSE_TEXTS else text
