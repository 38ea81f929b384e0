"""The load of the benchmark, counted in messages: through TLS 1.2 and 1.3, each message once, unchanged and in order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "tls_load.py"


def test_full_duplex_load_through_tls() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--messages", "250"], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    lines = done.stdout.splitlines()
    sent = "250 messages forwarded and 750 sent by 3 threads, each once, unchanged and in order"
    for version in ("TLS 1.2", "TLS 1.3"):
        assert any(line.startswith(f"{version}: {sent}") for line in lines), done.stdout
    assert lines[-1] == "no message lost, doubled or changed, no false end, no corrupt record"
