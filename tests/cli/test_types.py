"""``epsignal types``: the model as its user sees it, and as a page of the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from epsignal_sync.cli import model

from .running import ROOT, Running, failure

MODEL = json.loads((Path(__file__).parents[1] / "data" / "model.json").read_text())


def output(*arguments: str, columns: int | None = None) -> list[str]:
    with Running("types", *arguments, columns=columns) as epsignal:
        assert not epsignal.end(0)
        return epsignal.screen_lines


def test_everything_on_a_pipe() -> None:
    text = "\n".join(output())
    wires = [*MODEL["appwebsocket_messages"], *MODEL["epsignal_messages"], *MODEL["signal_messages"], *MODEL["facilities"]]
    for name in [*wires, *MODEL["objects"], *MODEL["enums"]]:
        assert re.search(rf"\b{name}\b", text), name
    assert "\x1b" not in text


@pytest.mark.parametrize("columns", [80, 120])
def test_everything_on_a_terminal(columns: int) -> None:
    lines = output(columns=columns)
    assert max(map(len, lines)) <= columns
    assert any(line.endswith("CtComplete  ct_complete") for line in lines)


@pytest.mark.parametrize("name", ["setup", "Setup", "SETUP"])
@pytest.mark.parametrize("columns", [None, 80])
def test_one_class(name: str, columns: int | None) -> None:
    lines = [line.rstrip() for line in output(name, columns=columns)]
    assert lines[:2] == ["Setup  (setup on the wire)", "Starts a call."]
    assert lines[2].split() == ["Attribute", "On", "the", "wire", "Type", "Meaning"]
    assert [line.split()[:3] for line in lines if line.startswith(("conf_id", "fty", "pi "))] == [
        ["fty", "fty", "tuple[Facility,"], ["pi", "pi", "tuple[str,"], ["conf_id", "confId", "str"],
    ]  # fmt: skip
    assert not any("``" in line for line in lines)


def test_facility() -> None:
    lines = output("ct_complete")
    assert lines[0] == "CtComplete  (ct_complete on the wire)"
    assert [line.split()[0] for line in lines[3:] if line.strip()] == ["remote", "remote_name", "call_status", "end"]


@pytest.mark.parametrize(
    ("name", "title"),
    [("Channels", "Channels"), ("channels", "ChannelsSignal  (channels on the wire)"), ("Info", "Info"),
     ("info", "InfoSignal  (info on the wire)"), ("Facility", "FacilitySignal  (facility on the wire)"), ("Coder", "Coder")],
)  # fmt: skip
def test_names_that_collide(name: str, title: str) -> None:
    assert model.find(name).name == title.split()[0]


def test_enumeration() -> None:
    lines = output("RemoteControl")
    assert any(line.split()[:2] == ["THREE_PARTY_ON", "3PTY_ON"] for line in lines)


def test_class_without_fields() -> None:
    assert "It has no fields of its own." in output("hold_notify")


def test_unknown_name() -> None:
    error = failure("types", "ct_complet", code=2)
    assert "no 'ct_complet' in the model" in error and "did you mean ct_complete" in error
    assert "epsignal types lists all of it" in failure("types", "[red]xyzzy", code=2)


def test_page_of_the_documentation_is_current() -> None:
    """If it is not: ``epsignal types --markdown > docs/messages.md``."""
    assert (ROOT / "docs" / "messages.md").read_text(encoding="utf-8") == model.markdown()


def test_page_of_the_documentation_is_markdown() -> None:
    text = model.markdown()
    assert "``" not in text
    assert "| `bc` | `bc` | `str` | Bearer capability, hex: `8090a2` with media, `a880` without. |" in text
    for line in text.splitlines():
        assert not line.startswith("|") or len(re.findall(r"(?<!\\)\|", line)) == 5, line
    with Running("types", "--markdown") as epsignal:
        epsignal.end(0)
        assert epsignal.output == text
