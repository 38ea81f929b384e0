"""``epsignal record`` and ``--record``: a process of its own, on pipes and on terminals, against the simulated PBX."""

from __future__ import annotations

from pathlib import Path

import pytest

import epsignal_sync as eps
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2
from ..talking import call_through
from .running import PASSWORD, Running, failure

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture(autouse=True)
def app(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_app("recorder", password=PASSWORD)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


def variables(pbx: SimulatedPBX) -> dict[str, str]:
    return {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "recorder", "EPSIGNAL_PASSWORD": PASSWORD}


def talk(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.wait_for(lambda log: all(log.texts("to-app", hw, mt="Attached") for hw in (HW1, HW2)), timeout=20)
    alice, bob = phones
    call_through(alice, bob)


def media_calls(path: Path) -> list[tuple[str, str | None]]:
    return [(call.device, call.remote.num) for call in eps.Recording(path).calls if call.media]


def test_record_on_a_pipe(pbx: SimulatedPBX, phones: Phones, path: Path) -> None:
    with Running("record", str(path), HW1, HW2, variables=variables(pbx)) as epsignal:
        epsignal.read_until("Ctrl-C ends it")
        talk(pbx, phones)
        pbx.wait_for(lambda log: len(log.texts("from-app", HW2, mt="Signaling")) >= 4)
        epsignal.interrupt()
        assert epsignal.end(0) == ""
    first, last = epsignal.output.splitlines()
    assert first == f"recording to {path}; Ctrl-C ends it, and the calls go on"
    recording = eps.Recording(path)
    size = path.stat().st_size
    assert last == f"{path}: {len(recording)} messages, 2 calls, {size / 1000:.1f} kB"
    assert media_calls(path) == [(HW1, "23"), (HW2, "22")] and [event.event for event in recording.events] == ["connected", "closed"]
    assert all(call.ended for call in recording.calls if call.media)
    with Running("record", str(path), HW1, HW2, variables=variables(pbx)) as epsignal:  # the same file, gone on with
        epsignal.read_until("Ctrl-C ends it")
        epsignal.interrupt()
        epsignal.end(0)
    assert len(eps.Recording(path)) > len(recording)


def test_record_on_a_terminal(pbx: SimulatedPBX, phones: Phones, path: Path) -> None:
    with Running("record", str(path), HW1, HW2, variables=variables(pbx), columns=200) as epsignal:
        epsignal.read_until("0 calls")
        talk(pbx, phones)
        epsignal.read_until("2 calls")
        epsignal.interrupt()
        epsignal.end(0)
    assert "(Ctrl-C ends it; the calls go on)" in epsignal.output and f"{path}: " in epsignal.screen_lines[-2]


def test_file_that_cannot_be_made(pbx: SimulatedPBX, tmp_path: Path) -> None:
    text = failure("record", str(tmp_path), HW1, code=1, variables=variables(pbx))
    assert text == f"epsignal: {tmp_path} cannot be written (Is a directory): check the directory, its permissions and its space\n"
    assert pbx.connections == 0


def test_recorded_demo(path: Path) -> None:
    with Running("demo", "--record", str(path), "--max-size", "1") as epsignal:
        epsignal.end(0)
    recording = eps.Recording(path)
    assert recording.damaged == 0
    calls = [call for call in recording.calls if call.media]
    assert [(call.device[-1], call.incoming, call.remote.name or call.remote.num, call.cause and call.cause.num) for call in calls] == [
        ("b", False, "Bob", 16), ("c", True, "Alice", 16), ("b", False, "24", 17), ("b", True, "Carol", 16),
    ]  # fmt: skip
    assert all(call.ended for call in calls) and [call.connected_at is None for call in calls] == [False, False, True, False]


def test_monitor_with_a_recording(pbx: SimulatedPBX, phones: Phones, path: Path) -> None:
    with Running("monitor", HW1, HW2, "--record", str(path), "--secrets", variables=variables(pbx)) as epsignal:
        talk(pbx, phones)
        epsignal.read_until("Normal call clearing")
        epsignal.interrupt()
        epsignal.end(0)
    assert media_calls(path) == [(HW1, "23"), (HW2, "22")] and '"secrets":"kept"' in path.read_text().splitlines()[0]
