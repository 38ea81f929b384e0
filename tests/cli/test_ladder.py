"""``epsignal ladder`` as its user runs it: on a terminal and on a pipe, with each option, with files that are none or are cut."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.cli.run import run
from epsignal_sync.recording.lines import beginning_line, message_line

from ..conftest import HW1
from ..ladder.making import BEGAN, OFFER, text
from .running import Running


def line(at: float, sender: str, kind: str, *, call: int = 3, verdict: str = "forwarded", sent: tuple[str, ...] = (), **sig: Any) -> bytes:
    """Return the line of a signal between the PBX and the phone."""
    message = {"mt": "Signaling", "src": HW1, "call": call, "sig": {"type": kind, **sig}, **({"to": True} if sender == "pbx" else {})}
    receiver, instead = "phone" if sender == "pbx" else "pbx", tuple(one.encode() for one in sent)
    return message_line(BEGAN + at, sender, receiver, HW1, verdict, json.dumps(message).encode(), instead, secrets_kept=True)


def parties(caller: str) -> dict[str, Any]:
    return {"cg": {"num": caller}, "cd": {"num": "22"}, "channel": -1}


FIRST = [
    line(0, "pbx", "setup", verdict="changed", sent=(text("setup", cg={"num": "023"}, cd={"num": "22"}, channel=-1, **OFFER),),
         **parties("23"), **OFFER),
    line(0.5, "phone", "alert", verdict="dropped"),
    line(2, "phone", "conn"),
    line(12, "pbx", "rel", cau={"num": 16}),
]  # fmt: skip
PRESENCE = [line(13, "phone", "setup", call=4, channel=0), line(13.1, "pbx", "rel", call=4)]
SECOND = [line(20, "phone", "setup", call=5, **parties("22")), line(25, "pbx", "rel", call=5, cau={"num": 17})]


@pytest.fixture
def recording(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"".join([beginning_line(BEGAN, "0.1.0", secrets_kept=True), *FIRST, *PRESENCE, *SECOND]))
    return path


Ladder = Callable[..., tuple[str, str]]


@pytest.fixture
def ladder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Ladder]:
    """Runs the command in this process; returns what it writes to standard output and to standard error."""
    monkeypatch.setenv("COLUMNS", "100")  # else it is the terminal that the tests run on, if they do
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    logger = logging.getLogger("epsignal_sync")
    before = list(logger.handlers)

    def ladder(*arguments: str | pathlib.Path, code: int = 0) -> tuple[str, str]:
        assert run(["ladder", *map(str, arguments)]) == code
        output, errors = capsys.readouterr()
        if code:
            assert output == "" and errors.startswith("epsignal: ") and errors.count("\n") == 1
        return output, errors

    yield ladder
    logger.handlers[:] = before


NOT_SHOWN = "epsignal: calls without media (presence and the like) are not shown: --call shows one of 2\n"


def test_all_telephone_calls(recording: pathlib.Path, ladder: Ladder) -> None:
    output, errors = ladder(recording)
    assert errors == NOT_SHOWN
    assert output.startswith(f"1. Call from 23 to 22, id 3 of phone {HW1}\n")
    assert f"\n\n3. Call from 22 to 22, id 5 of phone {HW1}\n" in output
    assert "├─ setup ────────◆───────────────►│  changed: cg.num 23 -> 023; to 22; media" in output
    assert "│                ╳──────── alert ─┤  dropped\n" in output and "17 User busy, the other side hung up" in output
    assert "\x1b" not in output and "icicle-333" not in output and "ca4a27" not in output


def test_one_call_is_shown_as_the_library_does(recording: pathlib.Path, ladder: Ladder) -> None:
    call = eps.Recording(recording).calls[0]
    assert ladder(recording, "--call", "1")[0] == ladder(recording, "--call", "1", "--text")[0] == f"{call.ladder().text(100)}\n"
    assert ladder(recording, "--call", "1", "--mermaid")[0] == f"{call.ladder().mermaid()}\n"
    title = ladder(recording, "--call", "2")[0].partition("\n")[0]
    assert title.endswith(f", id 4 of phone {HW1}"), "also one without media"


def test_colors_on_a_terminal_alone(recording: pathlib.Path) -> None:
    no_color = {"NO_COLOR": "1"}
    for variables, colored in (({}, True), (no_color, False)):
        with Running("ladder", str(recording), "--call", "1", columns=80, variables=variables) as epsignal:
            epsignal.end(0)
            assert ("\x1b[33m" in epsignal.output) is colored and ("\x1b[31m" in epsignal.output) is colored
            lines = [one for one in epsignal.screen_lines if one]
            assert max(map(len, lines)) <= 80 and any(one.endswith("◆────────────►│  changed: cg.num 23 -> 023;") for one in lines)


def test_pipe_without_box_characters(recording: pathlib.Path) -> None:
    with Running("ladder", str(recording), "--call", "1", variables={"PYTHONIOENCODING": "latin-1"}) as epsignal:
        assert epsignal.end(0) == ""
        assert "|- setup --------#--------------->|" in epsignal.output and epsignal.output.isascii()


@pytest.mark.parametrize("command", ["ladder {path}", "diff {path} {other}", "types"])
def test_reader_that_goes_is_no_failure(recording: pathlib.Path, tmp_path: pathlib.Path, command: str) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(b"".join([beginning_line(BEGAN, "0.1.0", secrets_kept=True), *SECOND]))
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with Running(*command.format(path=recording, other=other).split(), stdout=writer) as epsignal:
            assert "could not be written" not in epsignal.end(0)
    finally:
        os.close(writer)


def test_narrow_terminal(recording: pathlib.Path, ladder: Ladder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = ladder(recording, "--call", "1")[0].splitlines()
    assert "  phone ──╳ app: dropped" in lines and max(map(len, lines)) <= 40


def test_picture(recording: pathlib.Path, tmp_path: pathlib.Path, ladder: Ladder) -> None:
    out = tmp_path / "call.svg"
    assert ladder(recording, "--call", "1", "--svg", out) == ("", "")
    assert out.read_text(encoding="utf-8") == eps.Recording(recording).calls[0].ladder().svg()
    assert ladder(recording, "--svg", out) == ("", NOT_SHOWN)
    texts = [one.text or "" for one in ET.parse(out).iter("{http://www.w3.org/2000/svg}text")]
    headings = [one for one in texts if "Call" in one]
    assert headings == [f"1. Call from 23 to 22, id 3 of phone {HW1}", f"3. Call from 22 to 22, id 5 of phone {HW1}"]


def test_markdown_of_all_calls(recording: pathlib.Path, ladder: Ladder) -> None:
    output, errors = ladder(recording, "--mermaid")
    assert errors == NOT_SHOWN
    assert output.count("```mermaid\nsequenceDiagram\n") == 2 and output.count("\n```\n") == 2
    assert output.startswith(f"## 1. Call from 23 to 22, id 3 of phone {HW1}\n\n")


def test_picture_of_many_calls(tmp_path: pathlib.Path, ladder: Ladder) -> None:
    path, out = tmp_path / "calls.jsonl", tmp_path / "calls.svg"
    calls = [line(number, "pbx", kind, call=number, channel=-1) for number in range(1, 61) for kind in ("setup", "rel")]
    path.write_bytes(b"".join([beginning_line(BEGAN, "0.1.0", secrets_kept=False), *calls]))
    assert ladder(path, "--svg", out) == ("", f"epsignal: {out} holds the first 50 of 60 calls: --call draws any other one\n")
    assert ET.parse(out).getroot().findtext("{http://www.w3.org/2000/svg}title") == "50 calls"


# ------------------------------------------------------------ bad input


def test_recording_that_was_cut(recording: pathlib.Path, ladder: Ladder) -> None:
    recording.write_bytes(recording.read_bytes()[:-20])
    output, errors = ladder(recording)
    assert errors.startswith("epsignal: ") and "cannot be read" in errors and ", id 5 of" in output


def test_call_that_there_is_not(recording: pathlib.Path, ladder: Ladder) -> None:
    for number in ("0", "4", "-1", "99999999999999999999"):
        assert f"there is no call {number} in {recording}: it holds calls 1 to 3" in ladder(recording, "--call", number, code=2)[1]
    recording.write_bytes(b"".join([beginning_line(BEGAN, "0.1.0", secrets_kept=False), *SECOND]))
    assert "it holds only call 1" in ladder(recording, "--call", "2", code=2)[1]


def test_recording_without_calls(recording: pathlib.Path, ladder: Ladder) -> None:
    recording.write_bytes(beginning_line(BEGAN, "0.1.0", secrets_kept=False))
    for more in ([], ["--call", "1"], ["--mermaid"]):
        assert f"there is no call in {recording}: record while" in ladder(recording, *more, code=1)[1]


def test_what_is_no_recording(tmp_path: pathlib.Path, ladder: Ladder) -> None:
    other = tmp_path / "photo.jpg"
    other.write_bytes(bytes(range(256)) * 100)
    assert "is no recording" in ladder(other, code=1)[1]
    assert "cannot be read" in ladder(tmp_path / "nothing", code=1)[1]
    assert "cannot be read" in ladder(tmp_path, code=1)[1]


def test_picture_that_cannot_be_written(recording: pathlib.Path, tmp_path: pathlib.Path, ladder: Ladder) -> None:
    error = ladder(recording, "--call", "1", "--svg", str(tmp_path / "no" / "call.svg"), code=1)[1]
    assert "call.svg could not be written (No such file or directory): give --svg another file" in error


def test_picture_in_the_place_of_the_recording(recording: pathlib.Path, ladder: Ladder) -> None:
    older = recording.with_name("calls.jsonl.1")
    older.write_bytes(recording.read_bytes())
    for part in (recording, older):
        before = part.read_bytes()
        assert "is the recording itself" in ladder(recording, "--svg", str(part), code=2)[1]
        assert part.read_bytes() == before


def test_names_that_no_file_can_have(recording: pathlib.Path, ladder: Ladder) -> None:
    assert "cannot be read (File name too long)" in ladder("x" * 300, "--svg", "y", code=1)[1]
    assert "could not be written (File name too long)" in ladder(recording, "--call", "1", "--svg", "x" * 300, code=1)[1]


def test_options_that_exclude_each_other(recording: pathlib.Path, tmp_path: pathlib.Path, ladder: Ladder) -> None:
    for options in (["--text", "--mermaid"], ["--svg", str(tmp_path / "x.svg"), "--text"]):
        assert "exclude each other" in ladder(recording, *options, code=2)[1]
    assert not (tmp_path / "x.svg").exists()


def test_hostile_recording(recording: pathlib.Path, tmp_path: pathlib.Path, ladder: Ladder) -> None:
    name = "\x1b[2J\u202e```\n<script>alert(1)</script>[x](y)" + "n" * 10_000
    calls = [line(0, "pbx", name, **parties(name), dsp=name), line(0, "pbx", "setup", **parties(name), dsp=name, verdict=name)]
    recording.write_bytes(b"".join([beginning_line(BEGAN, "0.1.0", secrets_kept=False), *calls]))
    output = ladder(recording)[0]
    assert "\x1b" not in output and "\u202e" not in output and len(output) < 5_000
    markdown = ladder(recording, "--mermaid")[0]
    assert markdown.count("```") == 4 and "<script" not in markdown and "[x]" not in markdown.replace("\\[", "")
    ladder(recording, "--svg", tmp_path / "x.svg")[0]
    assert "<script" not in (tmp_path / "x.svg").read_text(encoding="utf-8")
