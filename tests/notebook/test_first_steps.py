"""The example notebook runs from top to bottom in a real kernel, and shows what is stored with it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

from .kernel import ROOT

STORED = ROOT / "samples" / "first_steps.ipynb"
PICTURE = ROOT / "docs" / "pictures" / "first_steps.png"


def cells(path: pathlib.Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def texts(cell: dict[str, Any]) -> dict[str, str]:
    """Return what a cell has written, by stream: what is displayed shows times of day."""
    return {
        name: "".join(text for output in cell["outputs"] if output.get("name") == name for text in output["text"])
        for name in ("stdout", "stderr")
    }


def test_it_runs_from_top_to_bottom_and_shows_what_is_stored(tmp_path: pathlib.Path) -> None:
    result = tmp_path / "result.ipynb"
    done = subprocess.run(
        [sys.executable, "-m", "tests.notebook.executing", str(STORED), str(result)],
        capture_output=True, text=True, timeout=110, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for stored, cell in zip(cells(STORED), cells(result), strict=True):
        assert cell["source"] == stored["source"]
        if cell["cell_type"] == "code":
            assert texts(cell) == texts(stored), cell["id"]
            assert not [output for output in cell["outputs"] if output["output_type"] == "error"]


def test_it_is_stored_as_it_rendered() -> None:
    code = [cell for cell in cells(STORED) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert {cell["id"] for cell in code if any("text/html" in output.get("data", {}) for output in cell["outputs"])} == {
        "connect", "table", "ladder",
    }  # fmt: skip
    assert "AttributeError" in next(texts(cell)["stderr"] for cell in code if cell["id"] == "mistake")
    assert not re.search(r"/tmp|/home|/root|127\.0\.0\.1", STORED.read_text(encoding="utf-8"))


def test_the_documentation_shows_it() -> None:
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert "](pictures/first_steps.png)" in page and "samples/first_steps.ipynb" in page
    assert PICTURE.stat().st_size < 150_000
