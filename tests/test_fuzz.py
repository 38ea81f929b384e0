"""The fuzzing program: it runs, it finds a fault that was planted, and what it found can be run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase

from epsignal_sync.protocol import codec, envelope
from epsignal_sync.relay.frames import OPCODE_PING, FrameReader
from fuzz import __main__ as fuzz


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fuzz, "PHASES", [Phase.generate])  # making a finding smaller takes long


def plant_in_codec(patch: pytest.MonkeyPatch) -> None:
    """A message with a call is not encoded as it came."""
    real = codec.encode
    patch.setattr("fuzz.targets.encode", lambda record: {**real(record)} if getattr(record, "call", None) else real(record))


def plant_in_frames(patch: pytest.MonkeyPatch) -> None:
    """Pings get lost."""
    real = FrameReader.receive
    patch.setattr(FrameReader, "receive", lambda self, data: [one for one in real(self, data) if one[0] != OPCODE_PING])


def plant_in_connection(patch: pytest.MonkeyPatch) -> None:
    """Signaling towards the device is not forwarded."""
    real = envelope.destination

    def destination(data: dict[str, Any], apis: Any) -> envelope.Destination:
        return envelope.Destination.OTHER if data.get("to") is True else real(data, apis)

    patch.setattr("epsignal_sync.relay.forwarding.destination", destination)


PLANTED = {"codec": plant_in_codec, "frames": plant_in_frames, "connection": plant_in_connection}


def test_every_target_runs_and_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--seconds", "0.9", "--seed", "7"]) == 0

    assert capsys.readouterr().out.count("nothing found") == 3
    assert not list(Path().iterdir())


@pytest.mark.parametrize("target", PLANTED)
def test_planted_fault_is_found_and_can_be_run_again(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = f"fuzz-finding-{target}.json"
    with pytest.MonkeyPatch.context() as patch:
        PLANTED[target](patch)
        assert fuzz.main(["--seconds", "100", "--seed", "7", "--target", target]) == 1
        assert f"--replay {file}" in capsys.readouterr().out
        with pytest.raises(AssertionError):
            fuzz.main(["--replay", file])

    assert fuzz.main(["--replay", file]) == 0
