"""Reading recordings: whole ones, cut ones, rotated ones, and what is none."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import epsignal_sync as eps
from epsignal_sync.messages.record import masked
from epsignal_sync.protocol.jsontext import dumps, loads
from epsignal_sync.recording.lines import DEEPEST, RecordedMessage, beginning_line, message_line
from epsignal_sync.recording.reading import LONGEST_BEGINNING

from .writing import HW, Lines, call_of_three


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


def test_sequence_of_messages(path: Path) -> None:
    lines = Lines()
    lines.event("connected")
    call_of_three(lines)
    recording = eps.Recording(lines.write(path))
    assert recording.path == path and recording.damaged == 0 and len(recording) == 3
    assert [message.type for message in recording] == ["setup", "alert", "rel"] == [recording[index].type for index in range(3)]
    assert [message.type for message in recording[1:]] == ["alert", "rel"] and recording[-1] == recording[2]
    assert recording[0].sender == "pbx" and recording[0].receiver == "phone" and recording[0].to_device and recording[0].device == HW
    assert recording[0] in recording and recording.index(recording[1]) == 1
    assert [event.event for event in recording.events] == ["connected"]
    assert recording[2].message.sig.cau.num == 17  # type: ignore[attr-defined]
    with pytest.raises(IndexError):
        recording[3]
    assert str(path) in repr(recording) and "3 messages" in repr(recording)


def test_path_as_text(path: Path) -> None:
    assert len(eps.Recording(str(Lines().write(path)))) == 0


def test_older_parts_come_first(path: Path) -> None:
    for number, call in ((2, 3), (1, 4), (0, 5)):
        lines = Lines(continued=number < 2, at=1_790_000_000.0 + 10 * call)
        call_of_three(lines, call)
        lines.write(path.with_name(f"{path.name}.{number}") if number else path)
    recording = eps.Recording(path)
    assert [message.call for message in recording] == [3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert [call.number for call in recording.calls] == [1, 2, 3]


def test_older_parts_without_the_file_itself(path: Path) -> None:
    Lines().write(path.with_name(path.name + ".1"))
    assert len(eps.Recording(path)) == 0


def test_part_that_was_rotated_while_it_was_opened_is_read_once(path: Path) -> None:
    lines = Lines()
    call_of_three(lines)
    lines.write(path)
    os.link(path, path.with_name(path.name + ".1"))
    assert len(eps.Recording(path)) == 3


def test_progress_is_told(path: Path) -> None:
    lines = Lines()
    lines.signal("in", 3, "setup", dsp="x" * 1_100_000)
    lines.signal("in", 3, "rel")
    told: list[float] = []
    eps.Recording(lines.write(path), progress=told.append)
    assert told == [len(lines.data) - len(lines.lines[-1])]


def test_cut_in_the_middle_of_a_line(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines()
    call_of_three(lines)
    path.write_bytes(lines.data[:-20])
    recording = eps.Recording(path)
    assert len(recording) == 2 and recording.damaged == 1 and "1 line" in repr(recording)
    [record] = caplog.records
    assert record.name == "epsignal_sync.recording" and record.levelno == logging.WARNING
    assert record.getMessage() == f"line 4 of {path} cannot be read and was left out (the file ends in the middle of it)"


def test_damaged_lines_in_the_middle(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines()
    call_of_three(lines)
    lines.lines[2:2] = [b"\0\0\0\n", b'{"time":"no time","event":"x"}\n', b'["a list"]\n', b'{"time":"2026-11-23T09:14:02+00:00"}\n']
    recording = eps.Recording(lines.write(path))
    assert len(recording) == 3 and recording.damaged == 4
    assert "4 lines, the first is line 3, of" in caplog.text


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.999999+00:00"])
def test_time_that_could_not_be_written(path: Path, time: str) -> None:
    lines = Lines()
    call_of_three(lines)
    lines.lines.append(f'{{"time":"{time}","event":"x"}}\n'.encode())
    assert eps.Recording(lines.write(path)).damaged == 1


@pytest.mark.parametrize("quick", [True, False])
def test_line_that_is_nested_so_deep_that_it_could_not_be_shown(path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool) -> None:
    if not quick:
        monkeypatch.setattr("epsignal_sync.protocol.jsontext.orjson", None)
    lines = Lines()
    for depth in (DEEPEST - 3, DEEPEST - 2, 1010):
        deep = b'{"mt":"Signaling","to":true,"call":3,"sig":{"type":"info","x":' + b"[" * depth + b"]" * depth + b"}}"
        lines.lines.append(message_line(lines.at, "pbx", "phone", "hw", "forwarded", deep, secrets_kept=False))
    recording = eps.Recording(lines.write(path))
    assert len(recording) == 1 and recording.damaged == 2

    def look(depth: int) -> list[str]:
        return look(depth - 1) if depth else [entry.text for call in recording.calls for entry in call.history]

    assert len(look(200)) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.data())
def test_any_cut_reads_all_whole_lines_before_it(tmp_path: Path, data: st.DataObject) -> None:
    lines = Lines()
    call_of_three(lines)
    call_of_three(lines, 4, "Ä\U0001f600")
    cut = data.draw(st.integers(len(lines.lines[0]), len(lines.data)))
    path = tmp_path / "cut"
    path.write_bytes(lines.data[:cut])
    whole = [message for message in eps.Recording(path)]
    path.write_bytes(lines.data)
    # All but the end of a line may be there already.
    expected = lines.data[:cut].count(b"\n") - 1
    assert whole == list(eps.Recording(path)[: len(whole)]) and len(whole) in (expected, expected + (lines.data[cut : cut + 1] == b"\n"))


KEYS = st.text(max_size=5) | st.sampled_from(["pwd", "key", "sig", "data"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
TEXTS = st.dictionaries(KEYS, JSON, max_size=4).map(lambda value: dumps({**value, "mt": "Signaling"}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 4e9), st.sampled_from(["pbx", "phone", "app"]), st.sampled_from(["pbx", "phone", "app"]),
            st.none() | st.text(max_size=20).filter(lambda text: text.isprintable()), st.none() | st.sampled_from(["own", "changed"]),
            TEXTS, st.lists(TEXTS, max_size=2), st.booleans(), st.booleans(),
        )
    )
)  # fmt: skip
def test_anything_that_is_written_is_read(tmp_path: Path, messages: list[Any]) -> None:
    path = tmp_path / "any"
    lines = [beginning_line(0.0, "0.1.0", secrets_kept=True)]
    for at, sender, receiver, device, verdict, text, sent, kept, refusal in messages:
        lines.append(message_line(at, sender, receiver, device, verdict, text, tuple(sent), secrets_kept=kept, refusal=refusal))
    path.write_bytes(b"".join(lines))
    recording = eps.Recording(path)
    assert recording.damaged == 0 and len(recording) == len(messages)
    for message, (at, sender, receiver, device, verdict, text, sent, kept, refusal) in zip(recording, messages, strict=True):
        assert message == RecordedMessage(
            at=message.at, sender=sender, receiver=receiver, device=device, verdict=verdict, data=shown(text, kept),
            sent=tuple(shown(one, kept) for one in sent), refusal=refusal,
        )  # fmt: skip
        assert abs(message.at - at) < 2e-6


def shown(text: bytes, secrets_kept: bool) -> Any:
    return loads(text) if secrets_kept else masked(loads(text))


SECRET_TEXTS = [
    '{"mt":"Signaling","sig":{"type":"setup","pwd":"geheim"}}', '{"mt":"Signaling","sig":{"key" : "geheim"}}',
    '{"mt":"Signaling","sig":{"p\\u0077d":"geheim"}}', '{"mt":"AttachResult","turnPwd":"geheim"}',
    '{"mt":"Signaling","sig":{"fty":[{"type":"im_message","data":\n"geheim"}]}}',
]  # fmt: skip


@pytest.mark.parametrize("text", SECRET_TEXTS)
def test_secret_is_masked_however_it_is_written(text: str) -> None:
    line = message_line(0.0, "pbx", "app", None, None, text.encode(), (text.encode(),), secrets_kept=False)
    assert b"geheim" not in line and line.count(b"***") == 2 and line.count(b"\n") == 1
    kept = message_line(0.0, "pbx", "app", None, None, text.encode(), (text.encode(),), secrets_kept=True)
    assert kept.count(b"geheim") == 2 and kept.count(b"\n") == 1


def test_numbers_stay_as_they_are_written() -> None:
    text = b'{"mt":"Signaling","a":1.10,"b":"secret","c":1e400,"d":123456789012345678901234567890}'
    line = message_line(0.0, "pbx", "app", None, None, text, secrets_kept=False)
    assert b'"a":1.10,"b":"***","c":1e400,"d":123456789012345678901234567890' in line


# ------------------------------------------------------------ what is none


def refusal(path: Path) -> str:
    with pytest.raises(eps.RecordingError) as caught:
        eps.Recording(path)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text
    return text


def test_newer_version(path: Path) -> None:
    path.write_bytes(b'{"epsignal_recording":2,"time":"2026-11-23T09:14:02+00:00"}\n')
    assert refusal(path).endswith("line 1: it has version 2, and this library reads up to 1; update epsignal-sync, and read it again")


def test_newer_version_in_the_middle(path: Path) -> None:
    path.write_bytes(Lines().data + b'{"epsignal_recording":2,"time":"2026-11-23T09:14:02+00:00"}\n')
    assert "line 2: it has version 2" in refusal(path)


@pytest.mark.parametrize(
    "data", [b"hello\n", b"", b"\x89PNG\r\n\x1a\n", b'{"a":1}\n', b'{"time":"2026-11-23T09:14:02+00:00","event":"lost"}\n', b"[" * 100_000]
)
def test_other_file(data: bytes, path: Path) -> None:
    path.write_bytes(data)
    assert "is no recording" in refusal(path) and "give the file" in refusal(path)


@pytest.mark.parametrize("version", ["0", "true", '"1"', "1.0", "null"])
def test_version_that_is_none(version: str, path: Path) -> None:
    path.write_text(f'{{"epsignal_recording":{version},"time":"2026-11-23T09:14:02+00:00"}}\n')
    assert "is no recording" in refusal(path)


def test_older_part_that_is_something_else(path: Path) -> None:
    Lines().write(path)
    path.with_name(path.name + ".1").write_text("hello")
    assert f"{path}.1 is no recording" in refusal(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_older_part_that_is_a_pipe(path: Path) -> None:
    Lines().write(path)
    os.mkfifo(f"{path}.1")
    assert f"{path}.1 is no ordinary file, and has the name of an older part: move it away" in refusal(path)


def test_first_line_that_has_no_end_where_it_should(path: Path) -> None:
    line = Lines().data[:-2]
    path.write_bytes(line + b',"more":"' + b"x" * LONGEST_BEGINNING + b'"}\n')
    assert "is no recording, line 1: it is no JSON" in refusal(path)


def test_file_that_is_not_there(path: Path) -> None:
    assert refusal(path) == f"{path} cannot be read (No such file or directory): check the path and its permissions"


def test_directory(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


@pytest.mark.parametrize("path", [".", "/"])
def test_directory_without_a_name(path: str) -> None:
    with pytest.raises(eps.RecordingError, match=r"cannot be read \(Is a directory\)"):
        eps.Recording(path)


def test_file_of_somebody_else(path: Path) -> None:
    # Root may read everything; what nobody may open is a link to itself.
    path.symlink_to(path)
    assert "cannot be read (" in refusal(path)


@pytest.mark.parametrize("path", [None, 3, "a\0b", "", object()])
def test_path_that_is_none(path: Any) -> None:
    with pytest.raises(eps.UsageError):
        eps.Recording(path)


def test_message_with_parts_of_wrong_types_is_damaged(path: Path) -> None:
    lines = Lines()
    good = '{"time":"2026-11-23T09:14:02+00:00","from":"pbx","to":"app","device":null,"verdict":null,"message":{"mt":"x"}}'
    for old, new in (
        ('"pbx"', '"moon"'), ('"app"', "[]"), ('"device":null', '"device":3'), ('"verdict":null', '"verdict":3'),
        ('{"mt":"x"}', '{"mt":3}'), ('{"mt":"x"}', "[]"), ('{"mt":"x"}', '{"mt":"x"},"sent":[3]'), ('{"mt":"x"}', '{"mt":"x"},"sent":3'),
    ):  # fmt: skip
        assert good.count(old) == 1
        lines.lines.append(good.replace(old, new).encode() + b"\n")
    lines.lines.append(good.encode() + b"\n")
    recording = eps.Recording(lines.write(path))
    assert recording.damaged == 8 and len(recording) == 1
