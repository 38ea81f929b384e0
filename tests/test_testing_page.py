"""What docs/testing.md says is so: its code blocks are one test module, run as a stranger runs it, and its names exist."""

from __future__ import annotations

import pathlib
import re

from epsignal_sync.messages import RemoteControl
from epsignal_sync.simulator import Behaviour, Faults
from epsignal_sync.simulator.answers import AT_PBX, AT_PHONE, NO_MEDIA
from epsignal_sync.simulator.behaviour import AFTERWARDS, CHOICES
from epsignal_sync.simulator.phone_features import OFFERS

from .test_pytest_plugin import PLUGIN, ROOT, run

PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_code_blocks_run(tmp_path: pathlib.Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_page.py").write_text("\n\n".join(blocks), encoding="utf-8")
    code, output = run(tmp_path, "-p", PLUGIN, "test_page.py")
    assert code == 0 and "30 passed" in output, output


def test_each_fault_has_its_row() -> None:
    rows = re.findall(r"^\| `faults\.(\w+)\(", section("Faults of the network"), re.MULTILINE)
    assert {*rows, "resume"} == {name for name in vars(Faults) if name.islower() and name[0] != "_"} - {"url", "connections", "close"}


def test_each_service_has_its_place_and_each_answer_its_row() -> None:
    page = section("Supplementary services")
    rows = re.findall(r"^\| ((?:the PBX|a phone), .*) \| (.*) \|$", page, re.MULTILINE)
    named = {whose.split(",")[0]: set[str]() for whose, _ in rows}
    for whose, services in rows:
        named[whose.split(",")[0]] |= {*re.findall(r"`(\w+)`", services)}
    controls = {control.value for control in RemoteControl}
    assert named["the PBX"] == AT_PBX.keys() and named["a phone"] - controls == AT_PHONE.keys() - controls
    assert all(f'`"{answer}"`' in page for answer in NO_MEDIA)


def test_each_manner_of_a_phone_has_its_row() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section("Supplementary services"), re.MULTILINE))
    assert rows.keys() == {"media_offers", "early_media", "hold_by_media"}
    assert tuple(re.findall(r'`"(\w+)"`', rows["media_offers"])) == OFFERS


def test_each_behaviour_has_its_row() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section("Behaviour of the PBX"), re.MULTILINE))
    assert rows.keys() == {name for name in vars(Behaviour) if name[0] != "_"}
    for name, choices in CHOICES.items():
        assert tuple(re.findall(r'`"(\w+)"`', rows[name])) == choices, "the default first"
        assert getattr(Behaviour, name) == choices[0]
    assert tuple(re.findall(r'^\| `"(\w+)"`', section("Restarts and registrations"), re.MULTILINE)) == AFTERWARDS
