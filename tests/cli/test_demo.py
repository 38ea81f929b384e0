"""``epsignal demo``: on pipes and on terminals. All of them run at the same time, since each takes some seconds."""

from __future__ import annotations

import contextlib
import json

from .running import Running


def test_demo_on_pipes_and_terminals() -> None:
    with contextlib.ExitStack() as stack:
        pipe, jsons, head, table, narrow, wide = (
            stack.enter_context(Running("demo", *arguments, columns=columns))
            for arguments, columns in (
                ([], None), (["--json"], None), ([], None), (["--csv", "--state", "null", "--number", "24"], None), ([], 80), ([], 120),
            )
        )
        head.read_until("\n")
        head.stop_reading()
        announced = "epsignal: a simulated PBX; Alice's phone is 0090334f1a2b, Bob's is 0090334f1a2c\n"
        assert head.end(0) == announced
        assert pipe.end(0) == announced
        assert jsons.end(0) == announced
        assert table.end(0) == announced
        narrow.end(0)
        wide.end(0)
    ended = [line for line in pipe.output.splitlines() if " null " in line]
    assert len(ended) == 4
    assert [" ".join(line.split()[2:5]) for line in sorted(ended, key=lambda line: line.split()[1])] == [
        "to Bob (23)", "to 24 null", "from Carol (24)", "from Alice (22)",
    ]
    assert sum(line.endswith("User busy") for line in ended) == 1
    assert [row.split(",")[3:5] for row in table.output.splitlines()] == [["direction", "number"], ["to", "24"], ["from", "24"]]
    steps = [json.loads(line) for line in jsons.output.splitlines()]
    assert [step["cause"]["num"] for step in steps if step["state"] == "null"].count(17) == 1
    for terminal, columns in ((narrow, 80), (wide, 120)):
        assert max(len(line) for line in terminal.screen_lines) <= columns
        last = [line for line in terminal.screen_lines if line.strip()][-4:]
        assert all(" null " in line for line in last)
        assert all(line.endswith(("Normal call clearing", "User busy")) for line in (line.rstrip() for line in last))
        assert "connected" in terminal.output and "\x1b[32m" in terminal.output
