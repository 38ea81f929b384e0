"""The benchmark of forwarding runs, in a very short form, and writes what it says. No figure is judged here."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "relay.py"


def test_short_form(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    options = ["--seconds", "0.01", "--messages", "20", "--rounds", "2", "--json", str(written), "--only", "a", "attach", "decode"]
    done = subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    figures = json.loads(written.read_text(encoding="utf-8"))

    assert {"machine", "cores", "system", "python", "versions", "bytes"} <= figures.keys()
    rounds = figures["rounds"]
    assert [list(one) for one in rounds] == [["a", "attach", "decode"]] * 2
    summary = {tuple(one["figure"]): one for one in figures["summary"]}
    assert len(summary) == len(figures["summary"]) == 2 * 3 + 1 + 4
    for one in summary.values():
        assert 0 < one["min"] <= one["median"] <= one["max"]
    ratios = [one["attach"]["each"] / one["a"]["small"]["mean"] for one in rounds]
    assert summary["attach", "each"]["ratio"] == {
        "to": ["a", "small", "mean"], "median": pytest.approx(statistics.median(ratios)), "min": min(ratios), "max": max(ratios),
    }  # fmt: skip
    assert summary["attach", "each"]["target"] == {"of": "ratio", "at most": 3.0}
    assert all(summary["a", size, figure]["ratio"]["max"] == 1 for size in ("small", "big") for figure in ("throughput", "p50", "p99"))

    assert figures["python"] in done.stdout and "| attach | " in done.stdout and "| decode | " in done.stdout
    assert "round 2 of 2: attach" in done.stderr
