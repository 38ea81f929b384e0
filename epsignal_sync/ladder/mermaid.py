"""A ladder as a Mermaid sequence diagram. Knows what a text must not hold to be no syntax there, nor HTML, nor the end of a code block."""

from __future__ import annotations

import re

from ..looks import milliseconds
from .model import APP, COLUMNS, Ladder, Note, Step

_UNSAFE = re.compile(r"[^A-Za-z0-9 .,()_+*/=:>-]", re.ASCII)
"""Characters of ASCII that mean something to Mermaid, HTML or Markdown in some place."""


def mermaid(ladder: Ladder) -> str:
    """Return a ladder as a diagram; the last line has no end."""
    lines = ["sequenceDiagram", f"    title {escaped(ladder.title)}", *(f"    participant {name}" for name in COLUMNS)]
    lines.append(f"    Note over {COLUMNS[0]},{COLUMNS[-1]}: {escaped(ladder.facts)}")
    for row in ladder.rows:
        if isinstance(row, Note):
            lines.append(f"    Note over {COLUMNS[0]},{COLUMNS[-1]}: {escaped(row.text)}")
        else:
            lines.extend(f"    {line}" for line in _step(row))
    return "\n".join(lines)


def _step(step: Step) -> list[str]:
    arrow = "-x" if step.verdict == "dropped" else "-->>" if step.by_app else "->>"
    said = f": {'; '.join(step.details)}" if step.details else ""
    lines = [f"{step.start}{arrow}{step.end}: {escaped(f'{milliseconds(step.at)} {step.name}{said}')}"]
    if step.remarks:
        lines.append(f"Note over {APP}: {escaped('; '.join(step.remarks))}")
    return lines


def escaped(text: str) -> str:
    """Return a text that is shown as it is: what could mean something else stands as its number, as Mermaid has it."""
    return "".join(f"#{ord(one)};" if one.isascii() and _UNSAFE.match(one) else one for one in text)
