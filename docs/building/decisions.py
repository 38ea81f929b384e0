"""Finds the comments that mark a decision on an unclear specification. Knows nothing of Sphinx, and imports nothing that it reads."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "epsignal_sync"
MARK = "# Spec:"


class Decision(NamedTuple):
    """One decision, and where in the package it stands."""

    module: str
    line: int
    text: str


def decisions_in(module: str, source: str) -> list[Decision]:
    """Return the decisions that the text of one module marks, in its order; one may go on in the comment lines below it."""
    found: list[Decision] = []
    if MARK not in source:
        return found  # most modules have none, and to take them apart takes long
    open_at: tuple[int, int] | None = None  # the line and the column at which the last decision goes on
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, column = token.start
        if token.string.startswith(MARK):
            found.append(Decision(module, line, token.string.removeprefix(MARK).strip()))
        elif (line, column) == open_at:
            last = found[-1]
            found[-1] = last._replace(text=f"{last.text} {token.string.lstrip('#').strip()}")
        else:
            continue
        alone = not token.line[:column].strip()
        open_at = (line + 1, column) if alone else None
    return found


def decisions(package: Path = PACKAGE) -> list[Decision]:
    """Return all decisions of the package, by module."""
    return [
        decision
        for path in sorted(package.rglob("*.py"))
        for decision in decisions_in(path.relative_to(package).as_posix(), path.read_text(encoding="utf-8"))
    ]


def markdown() -> str:
    """Return all decisions by module, each with what the module is there for: those of the library, then those of the simulated PBX."""
    lines = []
    everything = decisions()
    for title, simulated in (("What the library does", False), ("What the simulated PBX does", True)):
        lines += [f"**{title}**", ""]
        modules = {one.module: None for one in everything if one.module.startswith("simulator/") is simulated}
        for module in modules:
            lines.append(f"* `{module}`: {job_of(module)}")
            # The same decision may be needed in two places of a module.
            texts = {_sentence(one.text): None for one in everything if one.module == module}
            lines += [f"  * {text}" for text in texts]
        lines.append("")
    return "\n".join(lines)


def job_of(module: str) -> str:
    """Return the first sentence of the docstring of a module."""
    text = " ".join((ast.get_docstring(ast.parse((PACKAGE / module).read_text(encoding="utf-8"))) or "").split())
    return text.partition(". ")[0].rstrip(".")


def _sentence(text: str) -> str:
    first = text.split(" ")[0]
    return f"{text[:1].upper() + text[1:] if first.isalpha() else text}".rstrip(".") + "."
