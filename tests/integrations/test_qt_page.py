"""The programs in the section "Qt" of docs/gui.md run as they stand there, at a simulated PBX and without a display."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1
from .test_qt import PATIENCE, ROOT, environment

PAGE = (ROOT / "docs" / "gui.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Qt\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)

LOOK = """
import runpy, sys
from PySide6 import QtCore, QtWidgets

class Application(QtWidgets.QApplication):
    '''Prints each text that the window shows, clicks on hold, and closes the window when it shows the last text.'''
    def exec(self):
        shown = []
        def look():
            for one in self.topLevelWidgets():
                if one.text() not in shown[-1:]:
                    shown.append(one.text())
                    print(one.text(), flush=True)
                if one.text() == sys.argv[2]:
                    one.close()
                elif one.text() == "hold":
                    one.click()
        clock = QtCore.QTimer()
        clock.timeout.connect(look)
        clock.start(10)
        return super().exec()

QtWidgets.QApplication = Application
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def start(program: str, pbx: SimulatedPBX, tmp_path: pathlib.Path, last: str) -> subprocess.Popen[str]:
    for own, used in (("wss://pbx.example.com/PBX0/APPS/websocket", pbx.url), ('"secret"', '"pwd"'), ("0090334f1a2b", HW1)):
        assert program.count(own) == 1
        program = program.replace(own, used)
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", LOOK, str(path), last], env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0 and "Traceback" not in errors, errors
    return output


@pytest.mark.parametrize("number", range(2))
def test_program(number: int, pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone], tmp_path: pathlib.Path) -> None:
    assert len(BLOCKS) == 2
    alice, bob = phones
    last = ("Bob (23): null", "on hold")[number]
    process = start(BLOCKS[number], pbx, tmp_path, last)
    try:
        pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="Attached"), timeout=PATIENCE)
        call = alice.call("23")
        bob.wait("alert")
        bob.answer()
        call.wait("connected")
        if number == 0:
            call.hangup()
        assert last in finish(process).splitlines()
    finally:
        process.kill()


def test_picture_is_there_and_small() -> None:
    for name in re.findall(r"\]\((pictures/.*?)\)", SECTION):
        assert 1000 < (ROOT / "docs" / name).stat().st_size <= 80_000
    assert "pictures/qt_wallboard.png" in SECTION
