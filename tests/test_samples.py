"""The samples, run as a stranger runs them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import runpy
import select
import signal
import sqlite3
import subprocess
import sys
import types
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from epsignal_sync import Party
from epsignal_sync.messages import Cause, CpGroupIndicationOff, CpGroupIndicationOn, PresenceNotify
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, wait_until

ROOT = pathlib.Path(__file__).parents[1]
WATCH_PHONE, BLOCK_CALLERS, MISSED_CALLS, CALL_LOG = (
    str(ROOT / "samples" / f"{name}.py") for name in ("watch_phone", "block_callers", "missed_calls", "call_log_sqlite")
)
CLICK_TO_DIAL, ATTENDED_TRANSFER, PRESENCE_BOARD = (
    str(ROOT / "samples" / f"{name}.py") for name in ("click_to_dial", "attended_transfer", "presence_board")
)
PATIENCE = 30.0
HW3 = "0090334f1a2d"
Phones = tuple[SimulatedPhone, SimulatedPhone]


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


def end_of(monkeypatch: pytest.MonkeyPatch, sample: str, *arguments: str, **variables: str) -> str:
    """Run a sample that gives up at once in this process, which is cheap; returns the line with which it ends, and with 1."""
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", [sample, *arguments])
        for name, value in variables.items():
            patch.setenv(name, value)
        runpy.run_path(sample, run_name="__main__")
    assert isinstance(end.value.code, str)
    return end.value.code


def wait_until_it_prints(process: subprocess.Popen[str], pbx: SimulatedPBX, phones: Phones) -> None:
    """Wait until the program shows calls: its callback comes after its attach. Takes what is printed until then."""
    pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="Attached"), timeout=PATIENCE)
    assert process.stdout is not None
    for number in map(str, range(9900, 9999)):
        phones[0].call(number).wait("null", timeout=PATIENCE)
        if select.select([process.stdout], [], [], 0.2)[0]:
            while process.stdout.readline().rstrip() != f"{number} null":
                assert process.poll() is None
            return
    raise AssertionError("the program shows no call")


def call_and_hang_up(pbx: SimulatedPBX, phones: Phones) -> None:
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


def test_watch_phone_at_a_pbx(pbx: SimulatedPBX, phones: Phones) -> None:
    process = start(WATCH_PHONE, pbx.url, "phones", HW1, EPSIGNAL_PASSWORD="pwd")
    assert process.stdout is not None
    try:
        wait_until_it_prints(process, pbx, phones)
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


# ------------------------------------------------------------ all the others


@contextlib.contextmanager
def running(pbx: SimulatedPBX, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a sample at the PBX; gives it when its phone is attached, and kills it if it is still there at the end."""
    process = start(*arguments, EPSIGNAL_PASSWORD="pwd", **variables)
    try:
        pbx.wait_for(lambda log: log.texts("to-app", mt="Attached"), timeout=PATIENCE)
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupt(process: subprocess.Popen[str]) -> list[str]:
    """Press Ctrl-C; returns the lines that were printed, after checking that this is an end without an error."""
    process.send_signal(signal.SIGINT)
    code, output, errors = finish(process)
    assert (code, errors) == (0, "")
    return output.splitlines()


def line_of(process: subprocess.Popen[str]) -> str:
    """Wait for the next line that is printed."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def refuse(caller: SimulatedPhone, number: str) -> int | None:
    """Call, and return the cause with which the call ends."""
    call = caller.call(number)
    call.wait("null", timeout=PATIENCE)
    return call.cause


def test_all_without_arguments() -> None:
    with contextlib.ExitStack() as stack:
        processes = [start(sample) for sample in (BLOCK_CALLERS, MISSED_CALLS, CALL_LOG)]
        for process in processes:
            stack.callback(process.kill)
        ends = [finish(process) for process in processes]
    assert [code for code, _, _ in ends] == [0, 0, 0], ends
    assert not any("Traceback" in errors for _, _, errors in ends)
    blocked, missed, logged = (output.splitlines() for _, output, _ in ends)
    assert {"0090334f1a2b: refused Bob (23)", "0090334f1a2b: refused Prize Draw (09001234)", "Carol calls Alice: it rings"} <= set(blocked)
    assert "Prize Draw calls Alice: refused with cause 21" in blocked and not any("refused Carol" in line for line in blocked)
    assert [line for line in missed if line.endswith(" missed:")] == ["1 missed:"]
    assert blocked[-1] == missed[-1] == "the simulated PBX has closed"
    assert sorted(" ".join(line.split()[1:]) for line in logged[1:]) == [
        "0090334f1a2b out Bob 23 Normal call clearing", "0090334f1a2b out None 23 User busy",
        "0090334f1a2c in Alice 22 Normal call clearing", "0090334f1a2c in Alice 22 User busy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "arguments", "password", "text"),
    [
        (BLOCK_CALLERS, [], None, "required: HW[,HW...], NUMBER"),
        (BLOCK_CALLERS, [HW1, "23"], None, "set the variable EPSIGNAL_PASSWORD"),
        (MISSED_CALLS, [HW1], None, "set the variable EPSIGNAL_PASSWORD"),
        (CALL_LOG, ["calls.sqlite", HW1], None, "set the variable EPSIGNAL_PASSWORD"),
        (CLICK_TO_DIAL, [HW1, "23"], None, "set the variable EPSIGNAL_PASSWORD"),
        (CLICK_TO_DIAL, [HW1], "pwd", "required: NUMBER"),
        (ATTENDED_TRANSFER, [HW1, "23"], None, "set the variable EPSIGNAL_PASSWORD"),
        (ATTENDED_TRANSFER, [HW1, "23"], "wr0ng", "attended_transfer: 127.0.0.1:"),
        (PRESENCE_BOARD, [HW1, "23"], None, "set the variable EPSIGNAL_PASSWORD"),
        (PRESENCE_BOARD, [HW1], "pwd", "required: NUMBER"),
        (BLOCK_CALLERS, [HW1, "Bob"], "pwd", "block_callers: 'Bob' is no number"),
        (BLOCK_CALLERS, [HW1, "*"], "pwd", "block_callers: '*' is no number"),
        (BLOCK_CALLERS, [HW1, "@no-such-file"], "pwd", "no-such-file"),
        (BLOCK_CALLERS, [HW1, "23", "--cause", "128"], "pwd", "from 1 to 127, not 128"),
        (MISSED_CALLS, [HW1], "wr0ng", "missed_calls: 127.0.0.1:"),
        (CALL_LOG, ["no/such/calls.sqlite", HW1], "pwd", "call_log_sqlite: no/such/calls.sqlite cannot be used"),
        (CALL_LOG, ["taken.sqlite", HW1], "pwd", "call_log_sqlite: taken.sqlite cannot be used as the log (file is not a database)"),
    ],
)
def test_all_called_wrongly(
    sample: str, arguments: list[str], password: str | None, text: str,
    pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Run in this process, as that is quick: one sentence, and nobody is attached to."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("taken.sqlite").write_text("no database " * 100, encoding="utf-8")
    monkeypatch.delenv("EPSIGNAL_PASSWORD", raising=False)
    if password is not None:
        monkeypatch.setenv("EPSIGNAL_PASSWORD", password)
    monkeypatch.setattr(sys, "argv", [sample, pbx.url, "phones", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(sample, run_name="__main__")
    output, errors = capsys.readouterr()
    said = errors if ended.value.code == 2 else str(ended.value.code)
    assert output == "" and text in said and "wr0ng" not in said
    assert said.startswith("usage: ") if ended.value.code == 2 else "\n" not in said
    assert not pbx.log.texts("from-app", HW1, mt="Attach")


@pytest.mark.parametrize(
    ("number", "refused"),
    [("23", True), ("R23", True), ("234", False), ("2", False), ("0900", True), ("RN09001", True), ("090", False), (None, False)],
)
def test_what_is_on_a_list(number: str | None, refused: bool) -> None:
    blocked = runpy.run_path(BLOCK_CALLERS)["BlockList"](["23", "0900*"])
    assert blocked.matches(types.SimpleNamespace(num=number)) is refused


def test_block_callers_at_a_pbx(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    alice, bob = phones
    shop = pbx.add_phone(HW3, number="09001234", sip="shop")
    (tmp_path / "numbers.txt").write_text("# prize draws\n\n0900*\n", encoding="utf-8")
    with running(pbx, BLOCK_CALLERS, pbx.url, "phones", f"{HW1},{HW2}", "22", f"@{tmp_path / 'numbers.txt'}", "--cause", "17") as process:
        pbx.wait_for(lambda log: log.texts("to-app", HW2, mt="Attached"), timeout=PATIENCE)
        assert refuse(shop, "22") == 17
        assert line_of(process) == f"{HW1}: refused shop (09001234)"
        assert refuse(alice, "23") == 17
        assert line_of(process) == f"{HW2}: refused Alice Ä (22)"
        call = bob.call("22")  # not on the list
        assert call.wait("alert", timeout=PATIENCE) == "alert"
        call.hangup()
        assert interrupt(process) == []
    assert not pbx.log.entries(place="to-phone", device=HW2, type="setup")


@pytest.mark.parametrize(
    ("call", "missed"),
    [
        ({}, True),
        ({"ended_by": "device"}, True),
        ({"incoming": False}, False),
        ({"incoming": None}, False),
        ({"media": False}, False),
        ({"answered_elsewhere": True}, False),
        ({"ended_by": "dropped"}, False),
        ({"ended_by": "app"}, False),
    ],
)
def test_what_is_a_missed_call(call: dict[str, object], missed: bool) -> None:
    usual = {"incoming": True, "media": True, "answered_elsewhere": False, "ended_by": "pbx"}
    is_missed = runpy.run_path(MISSED_CALLS)["is_missed"]
    assert is_missed(types.SimpleNamespace(**{**usual, **call})) is missed


def test_missed_calls_at_a_pbx(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, desk = phones
    mobile = pbx.add_phone(HW3, number="23", sip="bob", name="Bob")
    before = alice.call("23")
    desk.wait("alert")
    desk.answer()
    before.wait("connected")
    with running(pbx, MISSED_CALLS, pbx.url, "phones", HW2) as process:
        pbx.wait_for(lambda log: log.texts("to-app", HW2, mt="Sync"), timeout=PATIENCE)
        before.hangup()  # was connected before the program was there
        desk.wait("null")
        for taker in (mobile, None, desk):
            call = alice.call("23")
            desk.wait("alert", timeout=PATIENCE)
            mobile.wait("alert")
            if taker is not None:
                taker.answer()
                call.wait("connected", timeout=PATIENCE)
            call.hangup()
            desk.wait("null", timeout=PATIENCE)
            mobile.wait("null")
        desk.unregister()  # which ends its calls without media
        first = line_of(process)
        assert first.startswith("missed: ") and first.endswith(f"  {HW2}  Alice Ä (22), Normal call clearing")
        assert interrupt(process) == ["1 missed:", first.replace("missed: ", "  ")]


def rows(path: pathlib.Path) -> list[sqlite3.Row]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute("SELECT * FROM calls ORDER BY id").fetchall()


@pytest.mark.parametrize(
    ("number", "written"), [(17, 17), (128, None), (10**30, None), ("17", None), (None, None), ([17], None), (16.5, None)]
)
def test_row_of_what_sqlite_would_not_take(number: object, written: int | None) -> None:
    """A name with half a UTF-16 pair, and what is no cause value."""
    row_of = runpy.run_path(CALL_LOG)["row_of"]
    party = Party("23", None, "half \ud83d")
    call = types.SimpleNamespace(
        device=types.SimpleNamespace(hw=HW1), incoming=None, remote=party, local=Party(), dialed="", diverted_from=party, diverted_to=None,
        started_at=0.5, connected_at=None, ended_at=1.0, cause=Cause(num=number), ended_by=None, answered_elsewhere=False,
        conference_id=None,
    )  # fmt: skip
    row = row_of(call)
    assert (row["cause"], row["remote_name"], row["diverted_from"]) == (written, "half ?", "half ? (23)")
    assert (row["direction"], row["dialed"], row["started_at"]) == (None, None, "1970-01-01T00:00:00.500+00:00")


def test_call_log_at_a_pbx(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    alice = phones[0]
    path = tmp_path / "calls.sqlite"
    mallory = pbx.add_phone(HW3, number="66", sip="mallory", name="Mal'); lory")
    with running(pbx, CALL_LOG, pbx.url, "phones", str(path), HW1, TZ="Asia/Kolkata") as process:
        alice.unregister()  # which ends its calls without media
        alice.register()
        call_and_hang_up(pbx, phones)
        assert refuse(alice, "99") == 1
        call = mallory.call("22")
        alice.wait("alert", timeout=PATIENCE)
        call.hangup()
        alice.wait("null", timeout=PATIENCE)
        wait_until(lambda: len(rows(path)) == 3)
        process.kill()  # at any time, without a warning
        assert finish(process)[1:] == ("", "")
    answered, unknown, incoming = rows(path)
    assert (answered["phone"], answered["direction"], answered["dialed"], answered["remote_name"]) == (HW1, "out", "23", "Bob")
    assert (answered["cause"], answered["cause_text"], answered["ended_by"]) == (16, "Normal call clearing", "device")
    assert answered["started_at"] <= answered["connected_at"] <= answered["ended_at"]  # as text
    times = [datetime.fromisoformat(answered[name]) for name in ("started_at", "connected_at", "ended_at")]
    assert all(time.utcoffset() == timedelta(0) for time in times)
    assert (unknown["cause"], unknown["connected_at"], unknown["ended_by"]) == (1, None, "pbx")
    assert (incoming["direction"], incoming["remote_number"], incoming["remote_name"]) == ("in", "66", "Mal'); lory")
    assert [row["answered_elsewhere"] for row in rows(path)] == [0, 0, 0]


def test_call_log_that_cannot_be_written(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    """The call is said instead, and the next one is written."""
    path = tmp_path / "calls.sqlite"
    with running(pbx, CALL_LOG, pbx.url, "phones", str(path), HW1) as process:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("ALTER TABLE calls RENAME TO elsewhere")
        assert refuse(phones[0], "99") == 1
        assert process.stderr is not None
        said = process.stderr.readline()
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("ALTER TABLE elsewhere RENAME TO calls")
        assert refuse(phones[0], "98") == 1
        wait_until(lambda: len(rows(path)) == 1)
        assert interrupt(process) == []
    assert said.startswith(f"call_log_sqlite: {path} could not be written (no such table: calls); this call is missing there: ")
    assert "'dialed': '99'" in said and rows(path)[0]["dialed"] == "98"


# ------------------------------------------------------------ those that control calls


def test_those_that_control_calls_without_arguments() -> None:
    with contextlib.ExitStack() as stack:
        processes = [start(sample) for sample in (CLICK_TO_DIAL, ATTENDED_TRANSFER, PRESENCE_BOARD)]
        for process in processes:
            stack.callback(process.kill)
        ends = [finish(process) for process in processes]
    assert [code for code, _, _ in ends] == [0, 0, 0], ends
    assert not any("Traceback" in errors for _, _, errors in ends)
    dialed, transferred, board = (output.splitlines() for _, output, _ in ends)
    assert dialed.count("the phone is there") == 2 and dialed.count("23 is there") == 1
    assert dialed[-1] == "not connected: User busy" and "over: Normal call clearing" in dialed
    assert sorted(transferred) == ["Bob (23) is put through to Carol (24)", "Bob talks to Carol", "the simulated PBX has closed"]
    assert {"23: lunch, back at one", "23: lunch, back at one; on the phone"} <= set(board)
    assert board[-1] == "the simulated PBX has closed"
    assert len([line for line in board if "not watched" in line]) == 0


def test_click_to_dial_at_a_pbx(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    with running(pbx, CLICK_TO_DIAL, pbx.url, "phones", HW1, "23") as process:
        bob.wait("alert", timeout=PATIENCE)
        bob.answer()
        while line_of(process) != "23 is there":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert finish(process) == (0, "", "")
        assert [phone.wait("null", timeout=PATIENCE).cause for phone in phones] == [16, 16]  # both are released


@pytest.mark.parametrize(("number", "cause"), [("23", "Call rejected"), ("99", "Unallocated (unassigned) number")])
def test_click_to_dial_that_is_refused(pbx: SimulatedPBX, phones: Phones, number: str, cause: str) -> None:
    alice, bob = phones
    with running(pbx, CLICK_TO_DIAL, pbx.url, "phones", HW1, number) as process:
        if number == "23":
            bob.wait("alert", timeout=PATIENCE)
            bob.reject()
        code, output, errors = finish(process)
    assert (code, output.splitlines()[-1], errors) == (1, f"not connected: {cause}", "")
    assert alice.calls == []


def test_attended_transfer_at_a_pbx(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    carol = pbx.add_phone(HW3, number="24", sip="carol", name="Carol")
    with running(pbx, ATTENDED_TRANSFER, pbx.url, "phones", HW1, "24") as process:
        alone = alice.call("24")  # nobody waits for it
        carol.wait("alert", timeout=PATIENCE)
        carol.answer()
        assert line_of(process) == "Carol (24) has answered, but there is nobody to put through"
        alone.wait("connected", timeout=PATIENCE)
        alone.hangup()
        carol.wait("null", timeout=PATIENCE)
        talk = bob.call("22")
        alice.wait("alert", timeout=PATIENCE)
        alice.answer()
        talk.wait("connected", timeout=PATIENCE)
        pbx.answers["ct_initiate"] = 21
        for last in (False, True):
            alice.hold()
            consultation = alice.call("24")
            carol.wait("alert", timeout=PATIENCE)
            carol.answer()
            line = line_of(process)
            if last:
                break
            consultation.wait("connected", timeout=PATIENCE)
            assert line.startswith("Bob (23) was not put through to Carol (24): transfer() was refused")
            del pbx.answers["ct_initiate"]
            carol.hangup()
            pbx.wait_for(lambda log: len(alice.calls) == 1 or None, timeout=PATIENCE)
            alice.retrieve()
        assert line == "Bob (23) is put through to Carol (24)"
        pbx.wait_for(lambda log: not alice.calls or None, timeout=PATIENCE)
        assert talk.state == "connected" and carol.calls[0].state == "connected"
        assert interrupt(process) == []


def test_presence_board_at_a_pbx(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    carol = pbx.add_phone(HW3, number="24", sip="carol", name="Carol")
    carol.publish_presence(status="closed", note="gone home")
    with running(pbx, PRESENCE_BOARD, pbx.url, "phones", HW1, "99", "24", "23") as process:
        lines = [line_of(process)]
        assert lines[0].startswith("99: not watched: ") and "cause 1," in lines[0]
        while not lines[-1].startswith("23: "):
            lines.append(line_of(process))
        assert lines[1:] == ["24: closed, gone home", "23: open, Grüße aus dem Büro"]
        for setups in (5, 9):  # 99 once, the others twice each, and again after the loss
            wait_until(lambda: len(pbx.log.entries(place="from-app", type="setup")) >= setups)  # noqa: B023 - it is over with this round
            call = bob.call("24")
            carol.wait("alert", timeout=PATIENCE)
            carol.answer()
            call.wait("connected", timeout=PATIENCE)
            call.hangup()
            lines = []
            while not {"23: open, Grüße aus dem Büro", "24: closed, gone home"} <= set(lines):
                lines.append(line_of(process))
            assert "23: open, Grüße aus dem Büro; on the phone" in lines and "24: closed, gone home; the phone rings" in lines
            if setups == 5:
                pbx.drop_connections()
        process.send_signal(signal.SIGINT)
        code, _, errors = finish(process)
    assert code == 0 and "was lost" in errors and "Traceback" not in errors


def test_board(capsys: pytest.CaptureFixture[str]) -> None:
    board = runpy.run_path(PRESENCE_BOARD)["Board"]()
    board.show("23")
    for state in (1 + 128, 4 + 128, 5 + 128, 5 + 128 + 256):
        board.has_call("23", CpGroupIndicationOn(call_id="aa", inbound_call=True, sig_call_state=state))
    board.has_call("23", CpGroupIndicationOn(call_id="bb", inbound_call=False, sig_call_state=4))
    board.has_call("23", CpGroupIndicationOn())
    board.call_is_over("23", CpGroupIndicationOff(call_id="aa"))
    board.call_is_over("23", CpGroupIndicationOff(clear_all=True))
    board.call_is_over("24", CpGroupIndicationOff(call_id="aa"))
    board.present("23", PresenceNotify(status="open", activity="busy", note="a\u2028b"))
    board.has_call("23", CpGroupIndicationOn(call_id="cc"))
    board.begin_anew("23")
    assert capsys.readouterr().out.split("\n") == [
        "23: nothing is known", "23: the phone rings", "23: on the phone", "23: nothing is known", "24: nothing is known",
        "23: busy, a\u2028b", "23: busy, a\u2028b; on the phone", "23: busy, a\u2028b", "",
    ]  # fmt: skip


@pytest.mark.parametrize("sample", [BLOCK_CALLERS, MISSED_CALLS, CALL_LOG, CLICK_TO_DIAL, ATTENDED_TRANSFER, PRESENCE_BOARD])
def test_sample_says_in_its_first_lines_how_it_is_called(sample: str) -> None:
    first = pathlib.Path(sample).read_text(encoding="utf-8").splitlines()[:5]
    name = pathlib.Path(sample).name
    assert any(line.startswith(f"    python samples/{name} ") for line in first)


@pytest.mark.parametrize("name", ["legacy_loop", "tk_phone_panel", "wsgi_service"])
def test_simulator_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "epsignal_sync.simulator", None)
    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(SystemExit, match=rf"^{name}: .*epsignal_sync\.simulator"):
        runpy.run_path(str(ROOT / "samples" / f"{name}.py"), run_name="__main__")


def test_flask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask", None)
    with pytest.raises(SystemExit, match=r"^wsgi_service: Flask cannot be used .*: pip install 'epsignal-sync\[web\]'$"):
        runpy.run_path(str(ROOT / "samples" / "wsgi_service.py"))


@pytest.mark.parametrize(
    "sample", [WATCH_PHONE, BLOCK_CALLERS, MISSED_CALLS, CALL_LOG, CLICK_TO_DIAL, ATTENDED_TRANSFER, PRESENCE_BOARD],
    ids=lambda path: pathlib.Path(path).stem,
)  # fmt: skip
def test_simulator_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, sample: str) -> None:
    for name in [name for name in sys.modules if name.startswith(("epsignal_sync.simulator", "websockets"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    said = "the simulator needs the websockets package: pip install epsignal-sync[simulator]"
    assert end_of(monkeypatch, sample) == f"{pathlib.Path(sample).stem}: {said}"
