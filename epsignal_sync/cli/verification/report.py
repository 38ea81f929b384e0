"""The report of a run: the checks with their answers, and the shapes of what was received, without anybody's number or name."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence

from attrs import frozen

from .bench import Check, Finding
from .masking import Mask
from .trace import Seen

LONGEST_TRACE = 400
"""Messages that stand in a report."""
LONGEST_SHAPE = 400
"""Characters of one."""


@frozen
class Row:
    """A check and what came of it."""

    check: Check
    finding: Finding
    seconds: float
    """How long it took."""


def report_text(rows: Sequence[Row], messages: Sequence[Seen], mask: Mask, *, version: str, date: str) -> str:
    """Return the report, to be pasted into a bug report."""
    mask.learn([one.data for one in messages])
    lines = [
        "epsignal verify: what this PBX does where the documentation of EpSignal leaves it open",
        f"epsignal_sync {version}, Python {platform.python_version()}, {platform.system()}, {date}",
        "Numbers, names and addresses are masked. The PBX is:  (please add its version, and the type of the phone)",
    ]
    for number, row in enumerate(rows, 1):
        lines += ["", f"{number}. {row.check.name}: {row.check.question}", f"   answer: {row.finding.answer}"]
        lines += [f"   seen:   {seen}" for seen in row.finding.seen]
    lines += ["", "What was received: seconds, connection, message"]
    lines += [_line(one, messages[0].at, mask) for one in messages[:LONGEST_TRACE]]
    if len(messages) > LONGEST_TRACE:
        lines.append(f"and {len(messages) - LONGEST_TRACE} more")
    return "\n".join(lines) + "\n"


def _line(one: Seen, start: float, mask: Mask) -> str:
    message = mask.message(one.data)
    if "src" in message and one.hw is not None:
        message["src"] = "<of the phone>"
    shape = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    shape = shape if len(shape) <= LONGEST_SHAPE else f"{shape[:LONGEST_SHAPE]}…"
    return f"{one.at - start:8.3f}  {one.connection}  {shape}"
