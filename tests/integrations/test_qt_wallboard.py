"""The sample qt_wallboard.py without a display: as a stranger runs it, and what its window shows (see wallboard_checks.py)."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2
from .test_qt import PATIENCE, ROOT, environment, run_python

SAMPLE = str(ROOT / "samples" / "qt_wallboard.py")
NOT_WHAT_IS_TESTED = "This plugin does not support propagateSizeHints()"
"""What Qt says to each window without a display."""

WITHOUT_ARGUMENTS = """
import runpy, sys
from PySide6 import QtCore, QtWidgets

sample, picture = sys.argv[1:]

class Application(QtWidgets.QApplication):
    def exec(self):
        def look():
            window = next(one for one in self.topLevelWidgets() if one.windowTitle() == "Wallboard")
            if window.header.counts.get("busy", 0) >= 2 and not window.isHidden():
                window.grab().save(picture)
                window.close()
        clock = QtCore.QTimer()
        clock.timeout.connect(look)
        clock.start(20)
        return super().exec()

QtWidgets.QApplication = Application
sys.argv = [sample]
sys.path.insert(0, sample.rpartition("/")[0])
runpy.run_path(sample, run_name="__main__")
"""


def said(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if line != NOT_WHAT_IS_TESTED]


def test_window() -> None:
    done = run_python("-m", "tests.integrations.wallboard_checks")
    assert done.returncode == 0 and "Traceback" not in done.stderr and "QSocketNotifier" not in done.stderr, done.stderr
    assert done.stdout.split() == [
        "tiles_tell_of_calls",
        "tiles_fill_the_window_however_many",
        "pbx_that_is_not_there_yet",
        "login_and_phones_that_the_pbx_refuses",
        "connection_that_is_lost_while_it_attaches",
    ]


def test_at_a_pbx_until_ctrl_c(pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone]) -> None:
    process = subprocess.Popen(
        [sys.executable, SAMPLE, pbx.url, "phones", f"{HW1}=Anna", HW2],
        env=environment(EPSIGNAL_PASSWORD="pwd"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        pbx.wait_for(lambda log: all(log.texts("to-app", hw, mt="Attached") for hw in (HW1, HW2)), timeout=PATIENCE)
        call = phones[0].call("23")
        phones[1].wait("alert")
        phones[1].answer()
        call.wait("connected")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, output, said(errors)) == (0, "", [])
    assert call.state == "connected", "the call goes on without the wallboard"


def test_without_arguments(tmp_path: pathlib.Path) -> None:
    picture = tmp_path / "wallboard.png"
    done = run_python("-c", WITHOUT_ARGUMENTS, SAMPLE, str(picture))
    assert (done.returncode, done.stdout, said(done.stderr)) == (0, "", [])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_no_display() -> None:
    done = run_python(SAMPLE, QT_QPA_PLATFORM="xcb", DISPLAY=":9999")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("qt_wallboard: Qt cannot open a window here (") and done.stderr.count("\n") == 1, done.stderr


def test_extra_is_missing() -> None:
    done = run_python("-c", f"import runpy, sys\nsys.modules['PySide6'] = None\nrunpy.run_path({SAMPLE!r}, run_name='__main__')")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "pip install 'epsignal-sync[qt]'" in done.stderr, done.stderr


def test_called_wrongly() -> None:
    without_password = {"EPSIGNAL_PASSWORD": ""}
    for arguments in (["wss://pbx", "phones"], ["--team", "61"], ["wss://pbx", "phones", *map(str, range(61))]):
        done = run_python(SAMPLE, *arguments, **without_password)
        assert done.returncode == 2 and "usage: " in done.stderr and "Traceback" not in done.stderr
