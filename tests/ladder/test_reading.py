"""What a signal says in words: short, without secrets, and for anything that may come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from epsignal_sync.ladder.reading import details, media_in_words, media_lines, read

from .making import OFFER, text


@pytest.mark.parametrize(
    ("sig", "expected"),
    [
        (None, []), ([], []), ("x", []), ({"cd": "x"}, []), ({"cd": {"num": 5}}, []), ({"cd": {"sip": "bob"}}, ["to bob"]),
        ({"cau": "17"}, []), ({"cau": {"num": 17}}, ["17 User busy"]), ({"cau": {}}, ["a cause without a value"]),
        ({"cau": {"num": "x"}}, ["cause x"]), ({"cau": {"num": 200}}, ["cause 200"]), ({"cau": {"num": [1]}}, ["a cause without a value"]),
        ({"channels_cmd": ["PROPOSAL"]}, []), ({"channels_cmd": "NONE"}, []), ({"channels_cmd": "NEW"}, ["media NEW"]), ({"fty": "x"}, []),
        ({"fty": [7, {"type": 8}, {"type": "ct_setup"}, {}]}, ["a facility without a type"] * 2 + ["ct_setup", "and 1 more"]),
        ({"cd": {"num": "1" * 10_000}}, [f"to {'1' * 39}…"]), ({"cd": {"num": "1\u202e\x1b[2J"}}, ["to 1\ufffd\ufffd[2J"]),
        ({"dsp": "Two wait"}, ['display "Two wait"']), ({"dsp": ""}, []), ({"dsp": 5}, []), ({"dsp": "x" * 99}, [f'display "{"x" * 39}…"']),
    ],
)  # fmt: skip
def test_details(sig: Any, expected: list[str]) -> None:
    assert list(details(read(json.dumps({"mt": "Signaling", "sig": sig})).sig)) == expected


def test_media_in_short_and_at_length() -> None:
    sig = read(text("setup", **OFFER)).sig
    assert media_in_words(sig) == "media offer (G722, OPUS-NB, G711A, 1 more)"
    assert media_lines(sig) == (
        "G722, 20 ms, 192.0.2.7:5004", "OPUS-NB, 20 ms, 192.0.2.7:5004", "G711A, 20 ms, 192.0.2.7:5004", "G711u, 20 ms, 192.0.2.7:5004",
        "audio: ICE with 2 candidates", "with a key for SRTP",
    )  # fmt: skip


@pytest.mark.parametrize("command", ["SELECT", "REQUEST", "CLOSE"])
def test_media_without_coders(command: str) -> None:
    words = {"SELECT": "media answer", "REQUEST": "asks for a media offer", "CLOSE": "media off"}
    assert media_in_words({"channels_cmd": command}) == words[command] and media_lines({"channels_cmd": command}) == ()


@pytest.mark.parametrize(
    "channels", [None, 5, "x", [], {"ch": 5}, {"ch": [5, None, {}]}, {"ch": [{"coder": [1], "addr": 5, "port": "x", "xmit": None}]}]
)
def test_media_of_wrong_types(channels: Any) -> None:
    assert media_in_words({"channels_cmd": "PROPOSAL", "channels": channels}) == "media offer"
    assert all(line == "no coder" for line in media_lines({"channels_cmd": "PROPOSAL", "channels": channels}))


def test_thousands_of_coders() -> None:
    channels = {"ch": [{"coder": f"C{number}"} for number in range(5_000)]}
    assert media_in_words({"channels_cmd": "SELECT", "channels": channels}) == "media answer (C0, C1, C2, 4,997 more)"
    assert len(media_lines({"channels": channels})) == 12 and media_lines({"channels": channels})[-1] == "and 4,989 more"


def test_text_that_was_cut_off() -> None:
    whole = text("setup", cd={"num": "23"}, fty=[{"type": "ct_setup"}, {"type": "x", "text": "a" * 5_000}])
    content = read(whole[:4096])
    assert content.cut and "first 4096 bytes" in content.trouble
    assert list(details(content.sig)) == ["to 23", "ct_setup", "x"]


@pytest.mark.parametrize("cut_at", range(4_090, 4_097))
def test_text_that_was_cut_off_anywhere(cut_at: int) -> None:
    whole = text("setup", cd={"num": "23"}, dsp='äöü\\"{[,]}' * 21, names=[{"a": 'x"y'}, {"b": [1, 2]}] * 400)
    for shift in range(40):
        assert read((" " * shift + whole)[:4096]).sig["cd"] == {"num": "23"}
    assert read(whole[:cut_at]).sig.get("cd", {"num": "23"}) == {"num": "23"}


@pytest.mark.parametrize("one", ["[" * 4096, '"' * 4096, "{" * 4096, "," * 4096, "\\" * 4096, "\ufffd" * 4096])
def test_cut_text_of_nothing_but_signs(one: str) -> None:
    assert read(one).sig == {} and read(one).trouble


def test_text_that_is_no_json() -> None:
    assert read("{").trouble == "its text cannot be read" and not read("{").cut
    assert read("").trouble == "" and read("5").trouble == "" and read("5").sig == {}


def test_no_secret_is_read() -> None:
    assert "icicle-333" not in str(read(text("setup", **OFFER)).sig) and "ca4a27" not in str(read(text("setup", **OFFER)).sig)
    cut = text("setup", **OFFER, fill="x" * 5_000)[:4096]
    assert read(cut).cut and "icicle-333" not in str(read(cut).sig) and "ca4a27" not in str(read(cut).sig)
