"""From the figures of the rounds to the tables: median, least and most of each, its ratio to another of the same round, its target.

Knows nothing of how the figures came about. ``rounds`` is a list of {row: figures}; the figures of a peer stand by the size
of the message, {"small": {...}, "big": {...}}, those of any other row as they are. A path names one figure in a round, such
as ("c", "small", "p50") or ("memory", "device").
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Path = tuple[str, ...]

SIZES = ["small", "big"]
PEER_FIGURES = {"throughput": "messages/s", "p50": "p50 µs", "p99": "p99 µs"}
AT_LEAST, AT_MOST = "at least", "at most"


@dataclass(frozen=True)
class Line:
    """One figure, what its ratio is taken to, and the target: of the ratio, or of the figure where it has no ratio."""

    path: Path
    title: str
    base: Path | None = None
    target: tuple[str, float] | None = None


PEER_TARGETS: dict[Path, tuple[str, float]] = {
    ("c", "small", "throughput"): (AT_LEAST, 5.5),
    ("c", "big", "throughput"): (AT_LEAST, 3.2),
    ("d", "small", "throughput"): (AT_LEAST, 2.5),
    ("d", "big", "throughput"): (AT_LEAST, 2.0),
    ("c", "small", "p50"): (AT_MOST, 0.9),
    ("c", "big", "p50"): (AT_MOST, 0.75),
    ("d", "small", "p99"): (AT_MOST, 1.2),
    ("d", "big", "p99"): (AT_MOST, 1.2),
}


def peer_line(name: str, size: str, figure: str) -> Line:
    """Return the line of one figure of a peer: in ratio to (a), through TLS to (a) through TLS."""
    path = (name, size, figure)
    return Line(path, PEER_FIGURES[figure], ("a-tls" if name.endswith("-tls") else "a", size, figure), PEER_TARGETS.get(path))


def among(row: str, what: str, *counts: int) -> list[Line]:
    """Return the lines of what a message costs among many."""
    base: Path = (row, "one_of_1")
    lines = [Line(base, f"µs for a message, 1 {what}")]
    for count in counts:
        target = (AT_MOST, 1.3)
        lines.append(Line((row, f"one_of_{count}"), f"µs, {count:,} {what}s, all messages to one", base, target))
        lines.append(Line((row, f"each_of_{count}"), f"µs, {count:,} {what}s, messages to each in turn", base, target))
    return lines


OTHER_LINES = [
    Line(("attach", "each"), "µs a device, 1,000 at once; to a round trip of (a)", ("a", "small", "mean"), (AT_MOST, 3.0)),
    *among("devices", "attached device", 100, 10_000),
    *among("calls", "live call", 1000, 10_000),
    Line(("memory", "device"), "KiB, an attached device", None, (AT_MOST, 8.0)),
    Line(("memory", "call"), "KiB, a live call without its history", None, (AT_MOST, 6.0)),
    Line(("memory", "call_with_object"), "KiB, the same with its Call object", None, (AT_MOST, 6.0)),
    Line(("decode", "json_loads"), "µs, json.loads of the big setup"),
    Line(("decode", "without_objects"), "µs, read by the library, no attribute", ("decode", "json_loads")),
    Line(("decode", "one_attribute"), "µs, one attribute", ("decode", "json_loads")),
    Line(("decode", "all_attributes"), "µs, all attributes down to the leaves", ("decode", "json_loads")),
    Line(("import", "libraries"), "ms, its three libraries alone"),
    Line(("import", "epsignal_sync"), "ms, the package", ("import", "libraries")),
]


def value_at(figures: Json, path: Path) -> float | None:
    """Return a figure of one round, None where it was not measured."""
    value: Any = figures
    for key in path:
        value = value.get(key, {})
    return value if isinstance(value, float | int) else None


def spread(values: Sequence[float]) -> Json:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarize(rounds: list[Json], line: Line) -> Json | None:
    """Return median, least and most of a figure and of its ratio, which is taken within each round; None if it was not measured."""
    values = [value for one in rounds if (value := value_at(one, line.path)) is not None]
    if not values:
        return None
    summary: Json = {"figure": list(line.path), **spread(values)}
    if line.base and all(value_at(one, line.base) for one in rounds):
        ratios = [(value_at(one, line.path) or 0) / (value_at(one, line.base) or 1) for one in rounds]
        summary["ratio"] = {"to": list(line.base), **spread(ratios)}
    if line.target:
        summary["target"] = {"of": "ratio" if line.base else "figure", line.target[0]: line.target[1]}
    return summary


def all_lines(peers: Sequence[str]) -> list[Line]:
    return [*(peer_line(name, size, figure) for size in SIZES for name in peers for figure in PEER_FIGURES), *OTHER_LINES]


# -- the tables, in Markdown -------------------------------------------------------------------------------------------


def show_spread(values: Json | None) -> str:
    if values is None:
        return "-"
    digits = 0 if values["median"] >= 100 else 1 if values["median"] >= 20 else 2
    return "{median:.{digits}f} ({min:.{digits}f}..{max:.{digits}f})".format(**values, digits=digits)


def show_target(line: Line) -> str:
    return f"{line.target[0]} {line.target[1]:g}" if line.target else ""


def show_table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in (head, rule, *rows))


def peer_table(rounds: list[Json], peers: Sequence[str], size: str) -> str:
    """Return the table of the peers for messages of one size."""
    head = ["row", *(cell for title in PEER_FIGURES.values() for cell in (title, "ratio")), "PBX side CPU"]
    rows = []
    for name in peers:
        cells = [name]
        for figure in PEER_FIGURES:
            line = peer_line(name, size, figure)
            summary = summarize(rounds, line) or {}
            target = f", {show_target(line)}" if line.target else ""
            cells += [show_spread(summary), show_spread(summary.get("ratio")) + target]
        cpu = summarize(rounds, Line((name, size, "pbx_cpu"), "")) or {"median": 0}
        rows.append([*cells, f"{cpu['median']:.0%}"])
    return show_table(head, rows)


def other_table(rounds: list[Json]) -> str:
    """Return the table of all other rows; "" where none was measured."""
    rows = []
    for line in OTHER_LINES:
        summary = summarize(rounds, line)
        if summary is not None:
            ratio = show_spread(summary["ratio"]) if "ratio" in summary else "" if line.base is None else "-"
            rows.append([line.path[0], line.title, show_spread(summary), ratio, show_target(line)])
    return show_table(["row", "figure", "", "ratio", "target"], rows) if rows else ""


def show(rounds: list[Json], peers: Sequence[str], sizes: Json) -> str:
    """Return all tables. ``peers``: those that are measured with messages of each size; ``sizes``: their bytes."""
    parts = []
    for size in SIZES if peers else []:
        parts.append(f"{size} messages ({sizes[size]} bytes)\n\n{peer_table(rounds, peers, size)}")
    parts.append(other_table(rounds))
    return "\n\n".join(part for part in parts if part)
