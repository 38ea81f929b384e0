"""samples/tk_phone_panel.py in a real window, with somebody who types there."""

from __future__ import annotations

import contextlib
import pathlib
import runpy
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone
from epsignal_sync.simulator.log import MessageLog

from ..conftest import HW1
from ..test_samples import ROOT, finish, start
from .conftest import PATIENCE

PANEL = str(ROOT / "samples" / "tk_phone_panel.py")
PAUSE = 0.3
"""Seconds between two presses of a key that had no effect: the window was not that far yet."""
Phones = tuple[SimulatedPhone, SimulatedPhone]


class Hands:
    """Somebody at the keyboard of a screen."""

    def __init__(self, display: str) -> None:
        if shutil.which("xdotool") is None:
            pytest.skip("xdotool, which types and clicks, is not installed: apt install xvfb xdotool")
        self._display = display

    def do(self, *arguments: str) -> str:
        command = ["xdotool", *arguments]
        return subprocess.run(command, env={"DISPLAY": self._display, "PATH": "/usr/bin:/bin:/usr/local/bin"}, check=True,
                              capture_output=True, text=True, timeout=PATIENCE).stdout  # fmt: skip

    def find_window(self) -> None:
        """Wait for the window, and go there: what is typed goes to where the pointer is."""
        window = self.do("search", "--sync", "--onlyvisible", "--name", "Phone panel").split()[0]
        self.do("mousemove", "--window", window, "100", "30", "click", "1")

    def press(self, key: str, pbx: SimulatedPBX, look: Callable[[MessageLog], Any], process: subprocess.Popen[str]) -> Any:
        """Press a key until it has the effect, three times in each go: once too often does nothing."""
        for _ in range(int(PATIENCE / PAUSE)):
            process.send_signal(signal.SIGSTOP)  # no answer comes between the three
            try:
                self.do("key", key, key, key)
            finally:
                process.send_signal(signal.SIGCONT)
            with contextlib.suppress(eps.ReplyTimeout):
                return pbx.wait_for(look, timeout=PAUSE)
        raise AssertionError(f"{key} has no effect")


@pytest.fixture
def hands(display: str) -> Hands:
    return Hands(display)


@contextlib.contextmanager
def panel(display: str, *arguments: str, password: str = "pwd") -> Iterator[subprocess.Popen[str]]:
    process = start("-W", "error", PANEL, *arguments, DISPLAY=display, EPSIGNAL_PASSWORD=password)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGINT)
    return finish(process)


def controls(log: MessageLog) -> list[str]:
    """What the phone was told by remote control."""
    facilities = [one for entry in log.entries(place="to-phone", device=HW1) for one in entry.sig.get("fty") or ()]
    return [one["control"] for one in facilities if one["type"] == "innovaphone_remote_control"]


def test_call_is_answered_held_and_hung_up(pbx: SimulatedPBX, phones: Phones, hands: Hands, display: str) -> None:
    alice, bob = phones
    with panel(display, pbx.url, "phones", HW1) as process:
        hands.find_window()
        for lost in (False, True):
            if lost:
                pbx.drop_connections()
                pbx.wait_for(lambda log: len(log.texts("to-app", HW1, mt="Attached")) == 2, timeout=PATIENCE)
            call = bob.call("22")
            alice.wait("alert", timeout=PATIENCE)
            hands.press("alt+a", pbx, lambda log: call.state == "connected", process)  # noqa: B023 - it is over with this round
            hands.do("key", "alt+c")  # the button is not there as long as the window is connected
            hands.press("alt+l", pbx, lambda log: call.held, process)  # noqa: B023
            hands.press("alt+r", pbx, lambda log: not call.held, process)  # noqa: B023
            hands.press("alt+u", pbx, lambda log: call.ended, process)  # noqa: B023
        assert len(pbx.log.entries(place="from-app", mt="AppLogin")) == 2
        assert controls(pbx.log) == ["CONNECT", "HOLD", "RETRIEVE"] * 2
        released = pbx.log.entries(place="from-app", device=HW1, type="rel")
        assert {entry.message.get("to", False) for entry in released} == {True, False}
        code, output, errors = interrupt(process)
        assert (code, output) == (0, "") and "Traceback" not in errors


def test_number_is_dialed_and_hung_up(pbx: SimulatedPBX, phones: Phones, hands: Hands, display: str) -> None:
    alice, bob = phones
    with panel(display, pbx.url, "phones", HW1) as process:
        hands.find_window()
        hands.do("type", "23")
        hands.press("Return", pbx, lambda log: any(call.state == "alert" for call in bob.calls), process)
        to_phone, to_pbx = [entry for entry in pbx.log.entries(place="from-app", type="setup") if entry.sig.get("channel") != 0]
        assert to_phone.message["to"] is True and to_phone.sig["cg"]["num"] == "23"
        assert "to" not in to_pbx.message and to_pbx.sig["cd"]["num"] == "23"
        bob.answer()
        hands.press("alt+u", pbx, lambda log: not alice.calls and not bob.calls, process)
        assert [entry.call for entry in pbx.log.entries(place="from-app", type="rel")] == [to_phone.call, to_pbx.call]
        assert interrupt(process) == (0, "", "")


def test_program_of_the_page(pbx: SimulatedPBX, phones: Phones, display: str) -> None:
    """The program of docs/gui.md, with somebody who looks at its window."""
    page = (ROOT / "docs" / "gui.md").read_text(encoding="utf-8").partition("\n## Tk\n")[2]
    program = page.partition("```python\n")[2].partition("```")[0]
    own = ('"wss://pbx.example.com/PBX0/APPS/websocket"', '"secret"', "    root.mainloop()\n")
    look = "    def look():\n        print(label['text'], flush=True)\n        root.after(20, look)\n    look()\n"
    for place, value in zip(own, (repr(pbx.url), '"pwd"', f"{look}{own[2]}"), strict=True):
        assert program.count(place) == 1
        program = program.replace(place, value)
    process = start("-W", "error", "-c", program, DISPLAY=display)
    try:
        assert process.stdout is not None and process.stdout.readline() == "no call yet\n"
        phones[1].call("22")
        while (line := process.stdout.readline()) == "no call yet\n":
            pass
        assert line in ("unknown: alert\n", "Bob (23): alert\n"), line
    finally:
        process.kill()
        process.communicate()


def test_wrong_password(pbx: SimulatedPBX, phones: Phones, hands: Hands, display: str) -> None:
    """The window says so, and tries again when it is told to."""
    with panel(display, pbx.url, "phones", HW1, password="wrong") as process:
        hands.find_window()
        hands.press("alt+c", pbx, lambda log: len(log.entries(place="from-app", mt="AppLogin")) >= 2, process)
        assert interrupt(process) == (0, "", "")


def test_pbx_that_does_not_answer(hands: Hands, display: str) -> None:
    """The window is there, and goes, while it connects."""
    with socket.create_server(("127.0.0.1", 0)) as server, panel(
        display, f"ws://127.0.0.1:{server.getsockname()[1]}/", "phones", HW1
    ) as process:  # fmt: skip
        hands.find_window()
        assert interrupt(process) == (0, "", "")


def test_without_arguments(hands: Hands, display: str) -> None:
    with panel(display) as process:
        hands.find_window()
        assert interrupt(process) == (0, "", "")


def test_no_screen() -> None:
    code, output, errors = finish(start(PANEL, DISPLAY=""))
    assert (code, output) == (1, "")
    assert errors.startswith("tk_phone_panel: there is no screen for a window") and errors.count("\n") == 1


def test_called_wrongly() -> None:
    code, output, errors = finish(start(PANEL, "url", "app", "hw"))
    assert (code, output) == (1, "") and errors.startswith("usage: ")


def test_says_in_its_first_lines_how_it_is_called() -> None:
    assert "    python samples/tk_phone_panel.py " in pathlib.Path(PANEL).read_text(encoding="utf-8")[:300]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Bob (23)", "Bob (23)"), ("a\u202eb\nc\0d\ud800", "a\ufffdb\ufffdc\ufffdd\ufffd"), ("\U0001f600", "\ufffd"),
        ("x" * 60, "x" * 60), ("x" * 61, "x" * 59 + "…"), ("{a} $b [exit]", "{a} $b [exit]"),
    ],
)  # fmt: skip
def test_names_of_the_network(name: str, shown: str) -> None:
    assert runpy.run_path(PANEL)["plain"](name) == shown
