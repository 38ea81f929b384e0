"""The samples, run as a stranger runs them."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1

ROOT = pathlib.Path(__file__).parents[1]
WATCH_PHONE = str(ROOT / "samples" / "watch_phone.py")
PATIENCE = 30.0


def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EPSIGNAL_")}
    # The checkout is what is tested, installed or not.
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **variables}
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8",
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end; returns the exit code, and what stands on standard output and standard error."""
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, output, errors


def call_and_hang_up(pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone]) -> None:
    """Wait until the phone is attached, and call from it to the other one."""
    alice, bob = phones
    pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="Attached"), timeout=PATIENCE)
    call = alice.call("23")
    bob.wait("alert")
    bob.answer()
    call.wait("connected")
    call.hangup()
    bob.wait("null")


def assert_shown(lines: list[str]) -> None:
    """Check what is printed of that call. The other party is what is known of it when the line is printed: in the end all."""
    assert [line.split()[-1] for line in lines] == STEPS
    assert lines[-1].startswith("Bob (23) ")


STEPS = ["call-proc", "alert", "connected", "null"]


def test_watch_phone_without_arguments() -> None:
    code, output, errors = finish(start(WATCH_PHONE))
    assert code == 0, errors
    *lines, last = output.splitlines()
    assert_shown(lines)
    assert last == "the simulated PBX has closed"
    assert "Traceback" not in errors


def test_watch_phone_at_a_pbx(pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone]) -> None:
    process = start(WATCH_PHONE, pbx.url, "phones", HW1, EPSIGNAL_PASSWORD="pwd")
    assert process.stdout is not None
    try:
        call_and_hang_up(pbx, phones)
        assert_shown([process.stdout.readline().rstrip() for _ in STEPS])
    finally:
        process.send_signal(signal.SIGINT)
        code, output, errors = finish(process)
    assert (code, output, errors) == (0, "", "")


def test_watch_phone_with_a_wrong_password(pbx: SimulatedPBX, phones: object) -> None:
    code, output, errors = finish(start(WATCH_PHONE, pbx.url, "phones", HW1, EPSIGNAL_PASSWORD="wr0ng"))
    assert code == 1 and output == ""
    assert errors.startswith("watch_phone: ") and errors.count("\n") == 1 and "wr0ng" not in errors


def test_watch_phone_called_wrongly() -> None:
    for arguments in (["one"], ["url", "app", "hw"]):  # the second one without a password
        code, output, errors = finish(start(WATCH_PHONE, *arguments))
        assert code == 1 and output == "" and errors.startswith("usage: ")
