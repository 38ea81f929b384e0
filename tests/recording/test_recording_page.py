"""What docs/recording.md says is so: its code blocks run, one after the other, and its tables name everything that there is."""

from __future__ import annotations

import pathlib
import re
import threading

import pytest

import epsignal_sync as eps
from epsignal_sync.recording import frames, recorder
from epsignal_sync.recording.lines import beginning_line, event_line, message_line, parse_line
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, PATIENCE, wait_until

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recording.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_code_blocks_run(
    pbx: SimulatedPBX,
    phones: tuple[SimulatedPhone, SimulatedPhone],
    client: eps.Client,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    alice, bob = phones
    names: dict[str, object] = {}
    exec(BLOCKS[0], names)
    watch = names["watch"]
    assert callable(watch)
    watching = threading.Thread(target=watch, args=(client,))
    watching.start()
    pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="Attached"), timeout=PATIENCE)
    bob.call("22")
    alice.wait("alert", timeout=PATIENCE)
    bob.hangup()
    alice.wait("null", timeout=PATIENCE)
    wait_until(lambda: '"rel"' in (tmp_path / "calls.jsonl").read_text())
    client.close()
    watching.join(PATIENCE)
    for block in BLOCKS[1:]:
        exec(block, names)
    replayed = names["test_the_call_that_did_not_ring"]
    assert callable(replayed)
    replayed()
    output = capsys.readouterr().out
    assert re.search(r"^Call .*Bob \(23\).*, id \d+ of phone", output, re.MULTILINE), "the ladder"
    assert re.search(r"^\d+ messages, 0 missing$", output, re.MULTILINE)
    assert re.search(rf"^\d {HW1} Bob \(23\) Normal call clearing pbx$", output, re.MULTILINE)
    assert "    pbx -> phone setup forwarded" in output and re.search(rf"^{HW1} +23 +1$", output, re.MULTILINE)


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == 5


def test_each_key_and_event_has_its_row() -> None:
    lines = [
        beginning_line(0.0, "", secrets_kept=False, continued=True), event_line(0.0, "lost", "", HW1),
        message_line(0.0, "pbx", "app", None, None, b"{}", (b"{}",), secrets_kept=False, refusal=True),
    ]  # fmt: skip
    table = "\n".join(re.findall(r"^\| `.*", PAGE.partition("## What stands in the file")[2], re.MULTILINE))
    for line in lines:
        for key in re.findall(r'"(\w+)":', line.decode()):
            assert f"`{key}`" in table, key
    for event in ("connected", "lost", "ended", "closed", "missing"):
        assert f'"{event}"' in table


def test_lines_shown_can_be_read() -> None:
    shown = re.findall(r"^(\{.*\})$", PAGE, re.MULTILINE)
    assert len(shown) == 4
    for line in shown:
        parse_line(line.replace("{...}", '{"mt":"Signaling"}').encode())


def test_each_column_has_its_row() -> None:
    table = re.findall(r"^\| (`.*?) \|", PAGE.partition("## Count with pandas")[2].partition("\n## ")[0], re.MULTILINE)
    assert [name for row in table for name in re.findall(r"`(\w+)`", row)] == list(frames.COLUMNS)


def test_limits_are_those_of_the_recorder() -> None:
    assert (recorder.MOST_MESSAGES, recorder.MOST_BYTES, recorder.RETRY_TIME) == (100_000, 64 * 1024 * 1024, 1.0)
    assert "100 000 messages\n  (64 MiB)" in PAGE and "tried again each second" in PAGE
