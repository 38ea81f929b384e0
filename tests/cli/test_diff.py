"""``epsignal diff``: what it shows, and its exit codes."""

from __future__ import annotations

import pathlib

from ..conftest import HW1
from ..replay.script import Script
from .running import NOTHING, Running

HOSTILE = "\x1b[31m\r\n‮<b>" + "9" * 10_000


def different(directory: pathlib.Path) -> tuple[str, str]:
    changed = {"type": "setup", "cd": {"num": "023"}}
    a = Script().attached().call_through(3)
    a.phone(4, "setup", verdict="changed", sent=(changed,), cd={"num": "24"}).app(4, "channels", channels={"key": {"b": "0011"}})
    b = Script(secrets_kept=True).attached()
    b.phone(3, "setup", cd={"num": "23"}).pbx(3, "call_proc").pbx(3, "alert", verdict="dropped").pbx(3, "conn")
    b.app(3, "info", to="phone", dsp="hello").phone(3, "rel")
    b.phone(4, "setup", verdict="changed", sent=({"type": "setup", "cd": {"num": HOSTILE}},), cd={"num": "24"})
    b.app(4, "channels", channels={"key": {"b": "2233"}}).pbx(5, "setup", cg={"num": HOSTILE}, fty=[{"type": HOSTILE}])
    return str(a.write(directory, "a.jsonl")), str(b.write(directory, "b.jsonl"))


def test_what_is_shown(tmp_path: pathlib.Path) -> None:
    a, b = different(tmp_path)
    with Running("diff", a, b) as epsignal:
        assert epsignal.end(1) == ""
    lines = epsignal.output.splitlines()
    assert lines[:2] == [f"--- {a}", f"+++ {b}"]
    assert lines[3:10] == [
        f"Phone {HW1}: call to 23 (number 1 in A, number 1 in B)",
        "  phone > PBX  setup",
        "  PBX > phone  call_proc",
        "! PBX > phone  alert: forwarded in A, dropped in B",
        "  PBX > phone  conn",
        "+ app > phone  info, in B only",
        "  phone > PBX  rel",
    ]
    assert "! phone > PBX  setup: changed in another way" in lines
    assert any(line.startswith('      cd.num: "023" in A, "\\u001b[31m\\r\\n?<b>999') and line.endswith("… in B") for line in lines)
    assert "  app > PBX    channels" in lines  # secrets are not compared: one recording has them masked
    assert lines[-1] == "3 of 3 calls are different."
    assert all(len(line) < 250 and line.isprintable() for line in lines)
    assert "2233" not in epsignal.output


def test_colours_on_a_terminal_only(tmp_path: pathlib.Path) -> None:
    a, b = different(tmp_path)
    with Running("diff", a, b, columns=80) as epsignal, Running("diff", a, b, columns=80, variables={"NO_COLOR": "1"}) as plain:
        epsignal.end(1)
        plain.end(1)
    assert "\x1b[33m! PBX > phone  alert" in epsignal.output and "\x1b[32m+ app > phone  info" in epsignal.output
    assert "\x1b[33m" not in plain.output


def test_nothing_different(tmp_path: pathlib.Path) -> None:
    path = str(Script().attached().call_through(3).write(tmp_path))
    with Running("diff", path, path) as epsignal:
        assert epsignal.end(0) == ""
    assert epsignal.output == "Nothing different: 1 call, 5 messages.\n"


def test_trouble(tmp_path: pathlib.Path) -> None:
    path, other, cut = Script().call_through(3).write(tmp_path), tmp_path / "other", tmp_path / "cut"
    other.write_text("hello\n")
    cut.write_bytes(path.read_bytes()[:-20])
    for wrong, text in ((other, "is no recording"), (tmp_path, "cannot be read"), (tmp_path / "none", "cannot be read")):
        with Running("diff", str(path), str(wrong), variables=NOTHING) as epsignal:
            errors = epsignal.end(2)
        assert errors.startswith("epsignal: ") and text in errors and errors.count("\n") == 1 and epsignal.output == ""
    with Running("diff", str(path), str(cut)) as epsignal:
        errors = epsignal.end(1)
    assert "cannot be read and was left out" in errors and "- phone > PBX  rel" in epsignal.output
