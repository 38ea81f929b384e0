"""What a type checker knows of the public names: it takes typical code, and refuses typical mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_typical_code_is_accepted_and_typical_mistakes_are_refused(tmp_path: Path) -> None:
    # In one run: most of its time goes into reading the library.
    files = [str(HERE / "typing" / name) for name in ("accepted.py", "refused.py")]
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), *files]
    output = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent, timeout=110).stdout
    assert "in 1 file (checked 2 source files)" in output and "accepted.py" not in output, output
    lines = Path(files[1]).read_text().splitlines()
    wanted = {(number, match[1]) for number, line in enumerate(lines, 1) if (match := re.search(r"  # ([a-z-]+)", line))}
    found = {(int(number), code) for number, code in re.findall(r"refused\.py:(\d+): error: .*\[([a-z-]+)\]", output)}
    assert len(wanted) == 26
    assert found == wanted
