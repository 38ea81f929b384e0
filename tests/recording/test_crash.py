"""What is left of a recording when the program is killed, and what a full disk does to it: in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import epsignal_sync as eps

from ..conftest import HW1, PATIENCE, wait_until
from ..peer import Peer

RECORDS = f"""
import logging, resource, sys
import epsignal_sync as eps
from epsignal_sync.recording import recorder

logging.basicConfig(level=logging.WARNING, format="%(name)s %(message)s")
recorder.RETRY_TIME = 0.05
most, limit = int(sys.argv[3]), int(sys.argv[4])
if most:
    recorder.MOST_MESSAGES = recorder.MOST_AT_ONCE = most
client = eps.Client(sys.argv[1], app="phones", password="pwd")
recording = client.record(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
client.connect()
client.attach("{HW1}")
for line in sys.stdin:
    if line == "make room\\n":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        break
client.close()
print(recording.written, recording.missing)
"""


class Recording:
    """A program that records what a peer says."""

    def __init__(self, peer: Peer, path: Path, *, most: int = 0, limit: int = 0) -> None:
        self.peer = peer
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "-c", RECORDS, peer.url, str(path), str(most), str(limit)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        peer.login()
        attach = peer.receive()
        peer.src = attach["src"]
        for mt in ("AttachResult", "Attached"):
            peer.send({"mt": mt, "api": "EpSignal", "src": peer.src})

    def say(self, calls: range) -> None:
        """Have the PBX say something in each of some calls, and wait until it is sent on."""
        for call in calls:
            self.peer.send(self.peer.signaling(call, {"type": "setup", "dsp": "x" * 200}, to=True))
            assert self.peer.receive()["call"] == call

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def read(self) -> list[int | None]:
        """Return the calls of the messages that are in the file now."""
        return [message.call for message in eps.Recording(self.path) if message.mt == "Signaling"]

    def end(self) -> tuple[str, str]:
        """Return what it has printed, and its log."""
        closer = threading.Thread(target=self._answer_close)
        closer.start()
        output, errors = self.process.communicate("end\n", PATIENCE)
        closer.join(PATIENCE)
        assert "Traceback" not in errors
        return output, errors

    def _answer_close(self) -> None:
        try:
            while self.peer.receive_frame()[0] != 8:
                pass
            self.peer.send_close(1000)
        except OSError:
            pass


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_killed_under_load(peer: Peer, tmp_path: Path, processes: list[subprocess.Popen[str]]) -> None:
    recording = Recording(peer, tmp_path / "calls.jsonl")
    processes.append(recording.process)
    recording.say(range(100))
    wait_until(lambda: 99 in recording.read())  # forwarded a moment ago, while nothing else was said
    load = threading.Thread(target=until_it_is_gone, args=(recording,))
    load.start()
    wait_until(lambda: 500 in recording.read())
    recording.process.send_signal(signal.SIGKILL)
    recording.process.wait(PATIENCE)
    load.join(PATIENCE)
    found = eps.Recording(recording.path)
    calls = recording.read()
    assert found.damaged <= 1 and calls == list(range(len(calls))) and len(calls) > 500
    data = recording.path.read_bytes()
    assert found.damaged == (not data.endswith(b"\n"))


def until_it_is_gone(recording: Recording) -> None:
    try:
        recording.say(range(100, 1_000_000))
    except (OSError, EOFError):
        pass


def test_full_disk_loses_nothing_that_has_room_to_wait(peer: Peer, tmp_path: Path, processes: list[subprocess.Popen[str]]) -> None:
    recording = Recording(peer, tmp_path / "calls.jsonl", limit=4000)
    processes.append(recording.process)
    recording.say(range(40))  # the phone goes on
    wait_until(lambda: len(recording.read()) > 3)
    found = eps.Recording(recording.path)
    assert found.damaged == 0 and recording.path.read_bytes().endswith(b"}\n") and recording.path.stat().st_size <= 4000
    recording.tell("make room")
    wait_until(lambda: len(recording.read()) == 40)
    output, log = recording.end()
    assert output == "42 0\n"
    assert recording.read() == list(range(40)) and eps.Recording(recording.path).damaged == 0
    assert log.count("\n") == 2 and log.count("epsignal_sync.recording") == 2
    assert "(File too large): the phones are not concerned; it is tried again each second" in log and "is being written again" in log


def test_full_disk_for_long(peer: Peer, tmp_path: Path, processes: list[subprocess.Popen[str]]) -> None:
    recording = Recording(peer, tmp_path / "calls.jsonl", most=5, limit=4000)
    processes.append(recording.process)
    recording.say(range(60))
    recording.tell("make room")
    wait_until(lambda: any(event.event == "missing" for event in eps.Recording(recording.path).events))
    said = 60
    while recording.read()[-1:] != [said - 1]:  # the first ones may still find no room in the queue
        recording.say(range(said, said + 1))
        said += 1
        assert said < 1000
        time.sleep(0.1)
    output, log = recording.end()
    found = eps.Recording(recording.path)
    written, missing = map(int, output.split())
    calls = recording.read()
    assert found.damaged == 0 and len(found) == written and written + missing == said + 2 and missing > 20
    assert calls == sorted(set(calls), key=lambda call: call or 0)
    told = sum(int(event.text.split()[0]) for event in found.events if event.event == "missing")
    assert told == missing and log.count(f"{missing} messages are missing in") == 1


def test_full_disk_at_the_end(peer: Peer, tmp_path: Path, processes: list[subprocess.Popen[str]]) -> None:
    recording = Recording(peer, tmp_path / "calls.jsonl", limit=4000)
    processes.append(recording.process)
    recording.say(range(40))
    output, log = recording.end()
    written, missing = map(int, output.split())
    assert written + missing == 42 and len(recording.read()) == written - 2 and eps.Recording(recording.path).damaged == 0
    assert f"{missing} messages are missing in {recording.path}, since they could not be written" in log


def test_disk_without_any_room(tmp_path: Path) -> None:
    program = (
        "import resource, sys; import epsignal_sync as eps; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "client = eps.Client('ws://127.0.0.1:9', app='phones', password='pwd')\n"
        "try: client.record(sys.argv[1])\n"
        "except eps.RecordingError as error: print(error)"
    )
    path = tmp_path / "calls.jsonl"
    run = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert run.stdout == f"{path} cannot be written (File too large): check the directory, its permissions and its space\n"
    assert path.read_bytes() == b"" and run.stderr == ""
