"""Recording a client: what gets into the file, who waits for it, and what a disk does that is full or gone."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Alert, Setup
from epsignal_sync.recording import recorder as recorder_module
from epsignal_sync.recording.file import RecordingFile

from ..conftest import HW1, PATIENCE, wait_until
from ..peer import Peer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


def says(peer: Peer, call: int, kind: str = "setup", *, to: bool = True, **more: Any) -> None:
    """Have the PBX say something, and wait until it is forwarded."""
    peer.send(peer.signaling(call, {"type": kind, **more}, to=to))
    assert peer.receive()["call"] == call


def parts(message: eps.RecordedMessage) -> tuple[str, str, str | None, str]:
    return message.sender, message.receiver, message.verdict, message.type or message.mt


# ------------------------------------------------------------ what is recorded


def test_every_message_and_event_from_the_connection_on(peer: Peer, path: Path) -> None:
    server = threading.Thread(target=peer.login, name="peer-login")
    server.start()
    client = eps.Client(peer.url, app="phones", password="pwd", reconnect=False)
    recorder = client.record(path)
    client.connect()
    server.join(PATIENCE)
    peer.attach(client)
    says(peer, 3)
    says(peer, 3, "alert", to=False)
    peer.drop()
    with pytest.raises(eps.ConnectionLostError):
        client.run_forever()
    client.close()
    recording = eps.Recording(path)
    assert [parts(message) for message in recording] == [
        ("pbx", "app", None, "AttachResult"), ("pbx", "app", None, "Attached"),
        ("pbx", "phone", "forwarded", "setup"), ("phone", "pbx", "forwarded", "alert"),
    ]  # fmt: skip
    assert all(message.device == HW1 for message in recording)
    assert [event.event for event in recording.events] == ["connected", "ended"]
    assert recorder.written == 4 and recorder.missing == 0 and recorder.path == path and recorder.closed
    assert recorder.size == path.stat().st_size
    assert "Challenge" not in path.read_text() and "Login" not in path.read_text()


def test_what_was_changed_dropped_and_sent(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    phone = peer.attach(peer_client)
    with peer_client.record(path) as recorder:
        phone.intercept(Alert, lambda event: attrs.evolve(event.signal, channel=-1))
        phone.intercept(Setup, eps.block_callers(lambda caller: caller.num == "0900", cause=21))
        says(peer, 3)
        says(peer, 3, "alert", to=False)
        peer.send(peer.signaling(4, {"type": "setup", "cg": {"num": "0900"}}, to=True))
        assert peer.receive()["sig"]["type"] == "rel"
        call = phone.ring(number="99")
        ring = peer.receive()
        peer.send(peer.signaling(ring["call"], {"type": "conn"}))
        call.wait("connected", timeout=PATIENCE)
        wait_until(lambda: recorder.written == 6)
    recording = eps.Recording(path)
    assert [parts(message) for message in recording] == [
        ("pbx", "phone", "forwarded", "setup"), ("phone", "pbx", "changed", "alert"), ("pbx", "phone", "dropped", "setup"),
        ("app", "pbx", "own", "rel"), ("app", "phone", "own", "setup"), ("phone", "app", "own", "conn"),
    ]  # fmt: skip
    assert recording[1].sent[0]["sig"] == {"type": "alert", "channel": -1} and recording[3].refusal
    assert [event.event for event in recording.events] == ["connected"]  # it was when the recording began


def test_what_the_app_sends_on_itself(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    phone = peer.attach(peer_client, forward=False)
    recorder = peer_client.record(path)
    phone.on(Setup, lambda event: event.forward())
    says(peer, 3)
    wait_until(lambda: recorder.written == 2)
    peer.send(peer.signaling(3, {"type": "alert"}))
    wait_until(lambda: recorder.written == 3)
    recorder.close()
    assert [parts(message) for message in eps.Recording(path)] == [
        ("pbx", "phone", None, "setup"), ("app", "phone", "forwarded", "setup"), ("phone", "pbx", None, "alert"),
    ]  # fmt: skip


def test_what_the_app_sends_on_before_it_is_written(
    peer: Peer, peer_client: eps.Client, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    begun, going, append = threading.Event(), threading.Event(), RecordingFile.append

    def append_later(self: RecordingFile, waiting: Any) -> None:
        begun.set()
        going.wait(PATIENCE)
        append(self, waiting)

    monkeypatch.setattr(RecordingFile, "append", append_later)
    phone = peer.attach(peer_client, forward=False)
    recorder = peer_client.record(path)
    assert begun.wait(PATIENCE)  # with the line that there is a connection
    phone.on(Setup, lambda event: event.forward())
    says(peer, 3)
    wait_until(lambda: len(recorder._queue) == 2)
    going.set()
    recorder.close()
    assert [message.verdict for message in eps.Recording(path)] == [None, "forwarded"]


def test_messages_of_nobody_and_of_another_api(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    recorder = peer_client.record(path)
    peer.send({"mt": "Signaling", "api": "EpSignal", "src": "nobody", "call": 3, "sig": {"type": "alert"}})
    assert peer.receive()["src"] == "nobody"
    peer.send({"mt": "Signaling", "api": "PbxSignal", "call": 3, "sig": {"type": "alert"}})
    peer.send({"mt": "PbxInfo", "pbx": "master"})
    wait_until(lambda: recorder.written == 3)
    recorder.close()
    recording = eps.Recording(path)
    assert [parts(message) for message in recording] == [
        ("phone", "pbx", "forwarded", "alert"), ("pbx", "app", None, "alert"), ("pbx", "app", None, "PbxInfo"),
    ]  # fmt: skip
    assert [message.device for message in recording] == [None, None, None] and recording.calls == ()


@pytest.mark.parametrize("secrets", [False, True])
def test_secrets_are_masked_unless_they_are_wanted(secrets: bool, peer: Peer, peer_client: eps.Client, path: Path) -> None:
    peer.attach(peer_client)
    recorder = peer_client.record(path, secrets=secrets)
    says(peer, 3, channels=[{"key": {"key": "geheim"}}], cg={"num": "22", "pwd": "geheim"})
    wait_until(lambda: recorder.written == 1)
    recorder.close()
    assert path.read_text().count("geheim") == 2 * secrets
    assert ("***" in path.read_text()) is not secrets


def test_message_that_cannot_be_masked_is_missing(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    peer.attach(peer_client)
    recorder = peer_client.record(path)
    deep = '{"mt":"Signaling","api":"EpSignal","to":true,"call":3,"sig":{"type":"setup","pwd":"","x":' + "[" * 1000 + "]" * 1000 + "}}"
    peer.send(deep)
    assert peer.receive_text() == deep.encode()
    says(peer, 3, "alert")
    wait_until(lambda: recorder.written == 1)
    recorder.close()
    recording = eps.Recording(path)
    assert recorder.missing == 1 and [event.event for event in recording.events] == ["connected", "missing"]
    assert recording.events[1].text == "1 message is not in the recording, since it could not be written"


def test_phone_and_recording_of_several_connections(path: Path) -> None:
    with Peer() as first:
        client = first.client(per_device=True, reconnect=False)
        with client, client.record(path):
            first.attach(client)
            first.drop()
            with pytest.raises(eps.ConnectionLostError):
                client.run_forever()
    assert [(event.event, event.device) for event in eps.Recording(path).events] == [("connected", None), ("ended", HW1)]


# ------------------------------------------------------------ beginning and ending


def test_several_at_a_time(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    peer.attach(peer_client)
    other = path.with_name("other.jsonl")
    with peer_client.record(path) as first, peer_client.record(str(other)) as second:
        says(peer, 3)
        wait_until(lambda: first.written == 1)
        first.close()
        says(peer, 4)
        wait_until(lambda: second.written == 2)
    assert [message.call for message in eps.Recording(path)] == [3]
    assert [message.call for message in eps.Recording(other)] == [3, 4]
    assert peer_client._recorders == ()


def test_close_of_the_client_ends_it_with_what_came_before(peer: Peer, path: Path) -> None:
    with peer.client() as client:
        peer.attach(client)
        recorder = client.record(path)
        for call in range(500):
            peer.send(peer.signaling(call, {"type": "setup"}, to=True))
        for call in range(500):
            assert peer.receive()["call"] == call
        peer.drop()
    assert recorder.closed and recorder.written == 500
    assert [message.call for message in eps.Recording(path)] == list(range(500))


def test_close_is_idempotent_and_legal_in_callbacks(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    phone = peer.attach(peer_client)
    done = threading.Event()
    recorders: list[eps.Recorder] = []

    def record_and_close(event: object) -> None:
        recorders.append(peer_client.record(path))
        recorders[0].close()
        recorders[0].close()
        done.set()

    phone.on(Setup, record_and_close)
    says(peer, 3)
    assert done.wait(PATIENCE) and len(eps.Recording(path)) == 0
    assert repr(recorders[0]) == f"<Recorder {str(path)!r}: 0 messages written, 0 missing>"


def test_closed_client(path: Path) -> None:
    client = eps.Client("ws://127.0.0.1:9", app="phones", password="pwd")
    client.close()
    with pytest.raises(eps.ClosedError):
        client.record(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": 3}, {"path": ""}, {"secrets": 1}, {"max_size": 0}, {"max_size": None}, {"keep": 0}, {"keep": True}, {"keep": 1.5},
        {"keep": 10**9},
    ],
)  # fmt: skip
def test_wrong_arguments(wrong: dict[str, Any], path: Path) -> None:
    client = eps.Client("ws://127.0.0.1:9", app="phones", password="pwd")
    with pytest.raises(eps.UsageError):
        client.record(**{"path": path, **wrong})
    assert not path.exists()


def test_only_this_user_may_read_it(unconnected: eps.Client, path: Path) -> None:
    unconnected.record(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.fixture
def unconnected() -> Iterator[eps.Client]:
    with eps.Client("ws://127.0.0.1:9", app="phones", password="pwd") as client:
        yield client


def refusal(client: eps.Client, path: Path) -> str:
    with pytest.raises(eps.RecordingError) as caught:
        client.record(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_file_that_cannot_be_made(unconnected: eps.Client, tmp_path: Path) -> None:
    assert "No such file or directory" in refusal(unconnected, tmp_path / "none" / "calls.jsonl")
    assert "cannot be written (Is a directory)" in refusal(unconnected, tmp_path)
    assert "cannot be written (Is a directory)" in refusal(unconnected, Path("."))
    assert refusal(unconnected, Path("/dev/full")) == "/dev/full is no ordinary file: take the name of a new file for the recording"
    os.mkfifo(tmp_path / "pipe")
    assert "is no ordinary file" in refusal(unconnected, tmp_path / "pipe")


def test_something_else_is_not_written_to(unconnected: eps.Client, path: Path) -> None:
    for data in (b"my thesis\n", b'{"epsignal_recording":2,"time":"2026-11-23T09:14:02+00:00"}\n', b"x" * 100_000, b"{}"):
        path.write_bytes(data)
        refusal(unconnected, path)
        assert path.read_bytes() == data


def test_something_else_in_the_place_of_an_older_part(unconnected: eps.Client, path: Path) -> None:
    older = path.with_name(path.name + ".4")
    older.write_text("my thesis\n")
    with pytest.raises(eps.RecordingError, match="calls.jsonl.4 is no recording"):
        unconnected.record(path)
    assert not path.exists() and older.read_text() == "my thesis\n"


def test_recording_is_gone_on_with(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    peer.attach(peer_client)
    for call in (3, 4):
        with peer_client.record(path) as recorder:
            says(peer, call)
            wait_until(lambda: recorder.written == 1)
        with open(path, "ab") as file:
            file.write(b'{"time":"2026-11-')  # as a crash leaves it
    with peer_client.record(path):
        pass
    recording = eps.Recording(path)
    assert recording.damaged == 0 and [message.call for message in recording] == [3, 4]
    assert [event.event for event in recording.events] == ["connected"] * 3
    assert path.read_text().count('"epsignal_recording":1') == 3


def test_two_on_one_file(unconnected: eps.Client, path: Path) -> None:
    with unconnected.record(path):
        assert refusal(unconnected, path).endswith("is being recorded to already, by this program or another one: take another file")
    unconnected.record(path).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_process_that_lives_on_does_not_keep_the_file(unconnected: eps.Client, path: Path) -> None:
    reading, writing = os.pipe()
    with unconnected.record(path):
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent is done
            os._exit(0)
    try:
        unconnected.record(path).close()
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(pid, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_pipe_with_the_name_of_an_older_part(unconnected: eps.Client, path: Path) -> None:
    os.mkfifo(f"{path}.1")
    assert "is no ordinary file, and has the name of an older part" in refusal(unconnected, path)
    assert not path.exists()


# ------------------------------------------------------------ rotation


def test_rotation_by_size(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    peer.attach(peer_client)
    with peer_client.record(path, max_size=3000, keep=2) as recorder:
        for call in range(1, 41):
            says(peer, call)
            wait_until(lambda: recorder.written == call)  # noqa: B023  # it is asked within this round
    names = sorted(one.name for one in path.parent.iterdir())
    assert names == ["calls.jsonl", "calls.jsonl.1", "calls.jsonl.2"]
    for name in names:
        data = (path.parent / name).read_bytes()
        assert len(data) <= 3000 and data.startswith(b'{"epsignal_recording":1') and data.endswith(b"}\n")
    recording = eps.Recording(path)
    found = [message.call for message in recording]
    assert found == list(range(41 - len(found), 41)) and 10 < len(found) < 40
    assert [call.number for call in recording.calls] == list(range(1, len(found) + 1))


def test_rotation_that_is_refused_for_a_while_loses_no_older_part(
    peer: Peer, peer_client: eps.Client, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    refused: list[object] = []

    def replace(source: Path, target: Path, replace: Any = os.replace) -> None:
        if source == path and len(refused) < 5:  # as Windows does while somebody reads it
            refused.append(source)
            raise PermissionError
        replace(source, target)

    monkeypatch.setattr(recorder_module, "RETRY_TIME", 0.02)
    peer.attach(peer_client)
    with peer_client.record(path, max_size=1, keep=4) as recorder:
        for call in range(1, 5):
            says(peer, call)
            wait_until(lambda: recorder.written == call)  # noqa: B023  # it is asked within this round
        monkeypatch.setattr(os, "replace", replace)
        says(peer, 5)
        wait_until(lambda: recorder.written == 5)
    assert [message.call for message in eps.Recording(path)] == [1, 2, 3, 4, 5] and len(refused) == 5


def test_line_that_is_longer_than_a_part_may_be(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    peer.attach(peer_client)
    with peer_client.record(path, max_size=1) as recorder:
        for call in (3, 4):
            says(peer, call)
        wait_until(lambda: recorder.written == 2)
    assert [message.call for message in eps.Recording(path)] == [3, 4]


# ------------------------------------------------------------ what a disk does


def test_directory_that_vanishes_and_comes_back(
    peer: Peer, peer_client: eps.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_TIME", 0.02)
    peer.attach(peer_client)
    home, path = tmp_path / "home", tmp_path / "home" / "calls.jsonl"
    home.mkdir()
    with peer_client.record(path) as recorder:
        says(peer, 3)
        wait_until(lambda: recorder.written == 1)
        path.unlink()
        home.rmdir()
        says(peer, 4)  # the phone goes on
        wait_until(lambda: "cannot be written" in caplog.text)
        says(peer, 5)
        home.mkdir()
        wait_until(lambda: recorder.written == 3)
    assert [message.call for message in eps.Recording(path)] == [4, 5] and recorder.missing == 0
    ours = [record.getMessage() for record in caplog.records if record.name == "epsignal_sync.recording"]
    assert len(ours) == 2 and "(No such file or directory): the phones are not concerned" in ours[0] and "being written again" in ours[1]


def test_file_that_is_moved_away(peer: Peer, peer_client: eps.Client, path: Path) -> None:
    peer.attach(peer_client)
    moved = path.with_name("moved.jsonl")
    with peer_client.record(path) as recorder:
        says(peer, 3)
        wait_until(lambda: recorder.written == 1)
        path.rename(moved)
        says(peer, 4)
        wait_until(lambda: recorder.written == 2)
    assert [message.call for message in eps.Recording(path)] == [4] and [message.call for message in eps.Recording(moved)] == [3]


class SlowFile(RecordingFile):
    """A file whose disk takes nothing until it is told to."""

    begun = threading.Event()
    allowed = threading.Event()

    def append(self, waiting: Any) -> None:
        self.begun.set()
        assert self.allowed.wait(PATIENCE)
        super().append(waiting)


class Heard:
    """Counts the setups that were delivered: a message goes on before that."""

    def __init__(self, phone: eps.Device) -> None:
        self.count = 0
        phone.on(Setup, self._hear)

    def _hear(self, event: object) -> None:
        self.count += 1

    def wait(self, count: int) -> None:
        wait_until(lambda: self.count == count)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    SlowFile.begun, SlowFile.allowed = threading.Event(), threading.Event()
    monkeypatch.setattr("epsignal_sync.recording.recorders.RecordingFile", SlowFile)
    yield SlowFile.allowed
    SlowFile.allowed.set()


def test_disk_that_hangs_delays_no_phone_and_what_has_no_room_is_missing(
    peer: Peer, peer_client: eps.Client, path: Path, slow_disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MOST_MESSAGES", 5)
    phone = peer.attach(peer_client)
    recorder = peer_client.record(path)
    heard = Heard(phone)
    says(peer, 0)
    assert SlowFile.begun.wait(PATIENCE)
    for call in range(1, 20):
        says(peer, call)
    heard.wait(20)
    slow_disk.set()
    wait_until(lambda: recorder.written + recorder.missing == 20)
    says(peer, 20)
    wait_until(lambda: recorder.written + recorder.missing == 21)
    recorder.close()
    recording = eps.Recording(path)
    found = [message.call for message in recording]
    assert found == [*range(20 - recorder.missing), 20]
    [missing] = [event for event in recording.events if event.event == "missing"]
    assert missing.text == f"{recorder.missing} messages are not in the recording, since it could not be written"


def test_limit_of_bytes(
    peer: Peer, peer_client: eps.Client, path: Path, slow_disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "MOST_BYTES", 1000)
    heard = Heard(peer.attach(peer_client))
    recorder = peer_client.record(path)
    for call in range(20):
        says(peer, call, dsp="x" * 500)
    heard.wait(20)
    assert recorder.missing > 0


def test_close_does_not_wait_for_a_disk_that_hangs(peer: Peer, path: Path, slow_disk: threading.Event) -> None:
    with peer.client() as client:
        heard = Heard(peer.attach(client))
        recorder = client.record(path)
        says(peer, 3)
        heard.wait(1)
        recorder.close(timeout=0.1)
        assert recorder.closed and recorder.written == 0
        peer.drop()
    slow_disk.set()
    wait_until(lambda: recorder.written == 1)


def test_fault_in_recording_keeps_nothing_from_the_app(
    peer: Peer, peer_client: eps.Client, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    phone = peer.attach(peer_client)
    recorder = peer_client.record(path)
    heard = threading.Event()
    phone.on(Setup, lambda event: heard.set())

    def fails(*_: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(recorder, "_put", fails)
    says(peer, 3)
    assert heard.wait(PATIENCE)
    wait_until(lambda: "could not be recorded (KeyError)" in caplog.text)


def test_file_system_that_refuses_to_close_the_file(
    peer: Peer, peer_client: eps.Client, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = peer_client.record(path)
    close = recorder._file.close

    def fails() -> None:
        close()
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(recorder._file, "close", fails)
    recorder.close()
    assert f"the end of {path} may be missing (" in caplog.text


def test_fault_in_writing_is_told(
    peer: Peer, peer_client: eps.Client, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    peer.attach(peer_client)
    recorder = peer_client.record(path)

    def fails(*_: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(recorder._file, "append", fails)
    says(peer, 3)
    wait_until(lambda: "has ended after an internal error (KeyError)" in caplog.text)
    wait_until(lambda: not recorder._thread.is_alive())
    assert recorder.closed and peer_client._recorders == ()
