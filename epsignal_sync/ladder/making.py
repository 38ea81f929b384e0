"""How a ladder is made of a call and its signals: the same for a live call and for one of a recording. Knows no rendering.

It depends on nothing but them: not on the clock, and not on who else is connected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..history import HistoryEntry
from ..looks import harmless, local_time
from ..protocol.call_record import LONGEST_HISTORY
from .changes import changes
from .heading import Facts, facts, title
from .model import APP, PBX, PHONE, Ladder, Note, Step
from .reading import Content, cause_in_words, details, media_lines, read

FIRST_SIGNALS, LAST_SIGNALS = 50, 150
"""How many signals of a longer call are shown."""
MOST_INSTEAD = 10
"""Signals that are shown of those that went on instead of one."""
LONGEST_TYPE = 24
"""Characters of a type that are shown."""

PASSED = ("forwarded", "changed", "bypassed")
"""Verdicts of what reached the other end."""


def make_ladder(call: Facts, hw: str, history: Sequence[HistoryEntry]) -> Ladder:
    """Return the ladder of a call of the phone ``hw``. Any thread; does not block, and raises nothing for what came from the network."""
    # A live call of the app begins with dial() or ring(), a little before its setup; a recording knows the setup alone.
    began = history[0].at if call.own and history else call.started_at
    return Ladder(title=title(call, hw), facts=facts(call, began), rows=tuple(_rows(call, history)))


def _rows(call: Facts, history: Sequence[HistoryEntry]) -> Iterator[Step | Note]:
    if not history:
        yield Note("no signal of it was seen")
        return
    if len(history) == LONGEST_HISTORY and local_time(history[0].at) > local_time(call.started_at):
        yield Note(f"a call remembers its last {LONGEST_HISTORY} signals: earlier ones are not shown")
    hidden = len(history) - FIRST_SIGNALS - LAST_SIGNALS
    began = history[0].at
    for index in range(len(history)):
        if hidden > 0 and index == FIRST_SIGNALS:
            yield Note(f"{hidden:,} signals are left out here")
        if hidden <= 0 or not FIRST_SIGNALS <= index < FIRST_SIGNALS + hidden:
            yield from _steps(call, history, index, began)


def _steps(call: Facts, history: Sequence[HistoryEntry], index: int, began: float) -> Iterator[Step | Note]:
    entry = history[index]
    start, end = _way(entry, own=call.own, far_end=call.incoming is True)
    try:
        content, sent = read(entry.text), [read(text) for text in entry.sent[:MOST_INSTEAD]]
        remarks = [*_remarks(history, index, content, sent), *([content.trouble] if content.trouble else [])]
        yield from _arrows(entry, start, end, content, sent, remarks, began)
    except RecursionError:
        yield _step(entry, start, end, Content({}), ["it is nested too deeply to be shown"], began)


def _arrows(
    entry: HistoryEntry, start: str, end: str, content: Content, sent: list[Content], remarks: list[str], began: float
) -> Iterator[Step | Note]:
    """Yield one arrow; where other signals went on instead, one to the app, and one for each of them."""
    if entry.verdict != "changed" or _keeps_type(entry, sent):
        yield _step(entry, start, end, content, remarks, began)
        return
    yield _step(entry, start, APP, content, remarks, began)
    for one in sent:
        yield _step(entry, APP, end, one, [f"instead of {_type(entry.type)}"], began, name=_type_in(one), verdict="own")
    if len(entry.sent) > MOST_INSTEAD:
        yield Note(f"{len(entry.sent) - MOST_INSTEAD:,} more went on instead")


def _keeps_type(entry: HistoryEntry, sent: list[Content]) -> bool:
    if len(sent) > 1:
        return False
    return not sent or not sent[0].sig or _type_in(sent[0]) == _type(entry.type)  # {}: what cannot be read is not said to be another one


def _step(
    entry: HistoryEntry, start: str, end: str, content: Content, remarks: list[str], began: float, name: str = "", verdict: str = ""
) -> Step:
    return Step(
        at=entry.at, since=(local_time(entry.at) - local_time(began)).total_seconds(), name=name or _type(entry.type),
        start=start, end=end, verdict=verdict or harmless(entry.verdict or "", LONGEST_TYPE), remarks=tuple(remarks),
        details=tuple(details(content.sig)), media=media_lines(content.sig),
    )  # fmt: skip


def _way(entry: HistoryEntry, *, own: bool, far_end: bool) -> tuple[str, str]:
    """Return where a signal began and how far it went; ``far_end``: whether a call of the app has the phone as its far end."""
    if entry.verdict == "own":
        # Spec: the app's own messages in a device's call are recorded as "own", too; there the direction tells to which side they went.
        far = PHONE if (far_end if own else entry.to_device) else PBX
        return (APP, far) if entry.to_device is (far == PHONE) else (far, APP)
    start, end = (PBX, PHONE) if entry.to_device else (PHONE, PBX)
    return start, end if entry.verdict in PASSED else APP


# ------------------------------------------------------------ what the app did with it


def _remarks(history: Sequence[HistoryEntry], index: int, content: Content, sent: list[Content]) -> Iterator[str]:
    entry = history[index]
    if entry.verdict == "changed" and _keeps_type(entry, sent):
        yield f"changed: {', '.join(changes(content, sent[0]))}" if sent else "changed"
    elif entry.verdict == "changed":
        yield f"changed: {' and '.join(_type_in(one) for one in sent[:4])}{' and more' if len(sent) > 4 else ''} went on instead"
    elif entry.verdict == "dropped":
        yield f"dropped{_refusal(history, index)}"
    elif entry.verdict == "bypassed":
        yield "bypassed: the interceptor was still busy"
    elif entry.verdict is None:
        yield "left to the app to forward"
    elif entry.verdict not in ("forwarded", "own"):
        yield harmless(entry.verdict, LONGEST_TYPE)


def _refusal(history: Sequence[HistoryEntry], index: int) -> str:
    """Return with what a dropped setup was refused, in words; "" where it was not."""
    setup = history[index]
    if setup.type != "setup":
        return ""
    for entry in history[index + 1 : index + 3]:
        if entry.verdict == "own" and entry.type == "rel" and entry.to_device is not setup.to_device:
            cause = read(entry.text).sig.get("cau")
            return f", refused with {cause_in_words(cause.get('num'))}" if isinstance(cause, dict) else ", refused"
    return ""


def _type_in(content: Content) -> str:
    kind = content.sig.get("type")
    return _type(kind if isinstance(kind, str) else "")


def _type(kind: str) -> str:
    return harmless(kind, LONGEST_TYPE) or "no type"
