"""A recording as a table of pandas, and one sentence where pandas is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import epsignal_sync as eps

from .writing import HW, START, Lines, call_of_three


def recording(tmp_path: Path) -> eps.Recording:
    lines = Lines()
    lines.session("Attached")
    call_of_three(lines)
    lines.message("in", {"mt": "Signaling", "call": 2**70, "sig": {"type": "rel", "cau": {"num": "a text"}}}, hw=None)
    return eps.Recording(lines.write(tmp_path / "calls.jsonl"))


def test_one_row_a_message(tmp_path: Path) -> None:
    frame = recording(tmp_path).to_dataframe()
    assert list(frame.columns) == [
        "time", "sender", "receiver", "device", "verdict", "mt", "type", "call", "call_number", "incoming", "remote", "remote_name",
        "state", "cause",
    ]  # fmt: skip
    assert len(frame) == 5 and str(frame.time.dt.tz) == "UTC" and frame.time[0].timestamp() == START + 1
    setup, end = frame.iloc[1], frame.iloc[3]
    assert (setup.sender, setup.receiver, setup.device, setup.verdict, setup.mt, setup.type) == (
        "pbx", "phone", HW, "forwarded", "Signaling", "setup",
    )  # fmt: skip
    assert (setup.call, setup.call_number, setup.incoming, setup.remote, setup.state) == (3, 1, True, "22", "null")
    assert end.cause == 17 and frame.cause.isna().tolist() == [True, True, True, False, True]
    assert frame.call.isna().tolist() == [True, False, False, False, True] and str(frame.call.dtype) == "Int64"


def test_empty_recording(tmp_path: Path) -> None:
    frame = eps.Recording(Lines().write(tmp_path / "calls.jsonl")).to_dataframe()
    assert len(frame) == 0 and str(frame.time.dt.tz) == "UTC"


def test_without_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(eps.RecordingError) as caught:
        recording(tmp_path).to_dataframe()
    assert str(caught.value) == "to_dataframe() needs pandas: pip install 'epsignal-sync[pandas]'"
