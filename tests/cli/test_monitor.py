"""``epsignal monitor`` as a process of its own, on pipes and on terminals, against the simulated PBX."""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path

import pytest
import trustme

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2
from .running import PASSWORD, Running

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture(autouse=True)
def app(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_app("monitor", password=PASSWORD)


def monitor(pbx: SimulatedPBX, *arguments: str, columns: int | None = None, **variables: str) -> Running:
    """Start a monitor, and return it when it is attached."""
    options = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "monitor", "EPSIGNAL_PASSWORD": PASSWORD, **variables}
    running = Running("monitor", *arguments, columns=columns, variables=options)
    attached(pbx, arguments[0])
    return running


def attached(pbx: SimulatedPBX, hw: str) -> None:
    pbx.wait_for(lambda log: log.texts("to-app", hw, mt="Attached"), timeout=20)


def talk(phones: Phones) -> None:
    alice, bob = phones
    call = alice.call("23")
    bob.wait("alert")
    bob.answer()
    call.wait("connected")


def hang_up(phones: Phones) -> None:
    alice, bob = phones
    alice.hangup()
    bob.wait("null")


def test_one_line_an_event_on_a_pipe(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1) as epsignal:
        talk(phones)
        hang_up(phones)
        lines = epsignal.read_until("Normal call clearing\n").splitlines()
        epsignal.interrupt()
        assert epsignal.end(0) == ""
    words = [line.split() for line in lines]
    assert [line[-2] for line in words[:-1]] == ["setup", "call-proc", "alert", "connected"]
    assert words[-1][-5:] == ["null", "0:00", "Normal", "call", "clearing"]
    assert all(line[1:3] == [HW1, "to"] for line in words)
    assert "Bob (23)" in lines[-1]


def test_calls_without_media_are_left_out(pbx: SimulatedPBX, phones: Phones) -> None:
    assert phones[0].standing_calls
    with monitor(pbx, HW1) as epsignal:
        pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="Sync"))
        phones[0].unregister()
        phones[0].register()  # which opens new ones
        pbx.wait_for(lambda log: len(log.texts("to-app", HW1, mt="Attached")) > 1)
        phones[0].call("99")
        assert " 99 " in epsignal.read_until("\n").splitlines()[0]


def test_calls_without_media_are_shown_with_all(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1, "--all") as epsignal:
        assert HW1 in epsignal.read_until("\n")


def test_json_lines(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW2, "--json") as epsignal:
        talk(phones)
        hang_up(phones)
        lines = [json.loads(line) for line in epsignal.read_until('"Normal call clearing"}}\n').splitlines()]
        epsignal.interrupt()
        assert epsignal.end(0) == ""
    assert [line["state"] for line in lines] == ["setup", "alert", "connected", "null"]
    assert lines[-1]["device"] == HW2 and lines[-1]["incoming"] is True
    assert lines[-1]["remote"] == {"num": "22", "sip": "alice", "name": "Alice Ä"}
    assert lines[-1]["cause"] == {"num": 16, "text": "Normal call clearing"} and lines[0]["cause"] is None
    assert len({line["call"] for line in lines}) == 1


def test_two_phones(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1, HW2) as epsignal:
        attached(pbx, HW2)
        talk(phones)
        hang_up(phones)
        for line in (f"{HW1}    to   Bob (23)                  null", f"{HW2}    from Alice Ä (22)              null"):
            assert line in epsignal.read_until(line)


def test_interrupt_leaves_the_calls_alone(pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    with monitor(pbx, HW1) as epsignal:
        talk(phones)
        epsignal.read_until("connected")
        epsignal.interrupt()
        assert epsignal.end(0) == ""
    pbx.wait_for(lambda log: pbx.connections == 0)
    assert not [text for text in pbx.log.texts("from-app", HW1) if '"rel"' in text or '"disc"' in text]
    assert [phone.call_now.state for phone in phones if phone.call_now] == ["connected", "connected"]
    hang_up(phones)


def test_options_instead_of_variables(pbx: SimulatedPBX) -> None:
    with Running("monitor", HW1, "--url", pbx.url, "--app", "monitor", "--password", PASSWORD) as epsignal:
        attached(pbx, HW1)
        epsignal.interrupt()
        warning = epsignal.end(0)
    assert warning == "epsignal: other users of this machine can see the argument of --password: better set EPSIGNAL_PASSWORD\n"


def test_help_says_that_a_password_argument_can_be_seen() -> None:
    with Running("monitor", "--help") as epsignal:
        assert epsignal.end(0) == ""
    text = " ".join(epsignal.output.split())
    assert "Other users of this machine can see an argument" in text and "EPSIGNAL_PASSWORD" in text


def test_login_as_a_user(pbx: SimulatedPBX) -> None:
    pbx.add_user("alice", password=PASSWORD)
    with monitor(pbx, HW1, "--sip", "alice", EPSIGNAL_APP="") as epsignal:
        epsignal.interrupt()
        assert epsignal.end(0) == ""


@pytest.mark.parametrize("trust", ["ca-file", "no-verify"])
def test_tls(trust: str, server_context: ssl.SSLContext, ca_file: str) -> None:
    options = ["--ca-file", ca_file] if trust == "ca-file" else ["--no-verify"]
    with SimulatedPBX(ssl_context=server_context) as pbx:
        pbx.add_app("monitor", password=PASSWORD)
        pbx.add_phone(HW1, number="22", sip="alice")
        with monitor(pbx, HW1, *options) as epsignal:
            epsignal.interrupt()
            warnings = epsignal.end(0)
    assert ("anybody in between can listen" in warnings) == (trust == "no-verify")


def test_client_certificate(authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    own = authority.issue_cert("monitor.example")
    own.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    own.private_key_pem.write_to_path(tmp_path / "client.key")
    with SimulatedPBX(ssl_context=context) as pbx:
        pbx.add_app("monitor", password=PASSWORD)
        pbx.add_phone(HW1, number="22", sip="alice")
        options = ["--ca-file", ca_file, "--client-certificate", str(tmp_path / "client.pem"), "--client-key", str(tmp_path / "client.key")]
        with monitor(pbx, HW1, *options) as epsignal:
            assert pbx.connections == 1
            epsignal.interrupt()
            assert epsignal.end(0) == ""


def test_loss_of_the_connection(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1) as epsignal:
        talk(phones)
        epsignal.read_until("connected")
        hang_up(phones)
        epsignal.read_until("null")
        pbx.drop_connections()
        pbx.wait_for(lambda log: len(log.texts("to-app", HW1, mt="Attached")) == 2, timeout=20)
        talk(phones)
        epsignal.read_until("connected")
        epsignal.interrupt()
        errors = epsignal.end(0).splitlines()
    assert len(errors) == 2 and "was lost" in errors[0] and "connecting again in" in errors[0] and "connected again to" in errors[1]


def test_login_that_is_refused_after_a_loss(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1) as epsignal:
        talk(phones)
        epsignal.read_until("connected")
        pbx.add_app("monitor", password="another")
        pbx.drop_connections()
        errors = epsignal.end(1).splitlines()
    assert len(errors) == 2 and "was lost" in errors[0] and "refused the login" in errors[1]


def test_reader_of_the_output_goes(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1) as epsignal:
        call = phones[0].call("23")
        epsignal.read_until("setup")
        epsignal.stop_reading()
        phones[1].wait("alert")
        call.hangup()
        assert epsignal.end(0) == ""


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_where_the_output_is_not_read(times: int, pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1, "--json") as epsignal:
        for _ in range(80):
            talk(phones)
            hang_up(phones)
        epsignal.wait_until_full()
        for _ in range(times):
            epsignal.interrupt()
        epsignal.end_unread(0)


def test_output_cannot_be_written(pbx: SimulatedPBX, phones: Phones) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        variables = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "monitor", "EPSIGNAL_PASSWORD": PASSWORD}
        with Running("monitor", HW1, stdout=full, variables=variables) as epsignal:
            attached(pbx, HW1)
            phones[0].call("23")
            errors = epsignal.end(1)
    finally:
        os.close(full)
    assert errors == "epsignal: the output could not be written (No space left on device): check where it goes\n"


def test_name_that_the_encoding_does_not_have(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW2, PYTHONIOENCODING="ascii") as epsignal:
        phones[0].call("23")
        assert "Alice \\xc4 (22)" in epsignal.read_until("alert")


@pytest.mark.parametrize("columns", [None, 100])
def test_name_with_control_characters(columns: int | None, pbx: SimulatedPBX, phones: Phones) -> None:
    mallory = pbx.add_phone("0090334f1a2f", number="66", sip="mallory", name="\x1b[31mMal\nlory\x9b")
    with monitor(pbx, HW1, columns=columns) as epsignal:
        mallory.call("22")
        assert "?[31mMal?lory? (66)" in epsignal.read_until("alert")


# ------------------------------------------------------------ on a terminal


def test_live_table(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1, columns=80) as epsignal:
        epsignal.read_until("Calls (Ctrl-C ends this; the calls go on)")
        talk(phones)
        assert "\x1b[32m" in epsignal.read_until("connected")
        hang_up(phones)
        epsignal.read_until("Normal call clearing")
        epsignal.interrupt()
        epsignal.end(0)
    last = [line for line in epsignal.screen_lines if line.strip()][-1].split()
    assert last[1:] == [HW1, "to", "Bob", "(23)", "null", "0:00", "Normal", "call", "clearing"]
    assert epsignal.output.rindex("\x1b[?25h") > epsignal.output.rindex("\x1b[?25l")  # the cursor is back


@pytest.mark.parametrize("columns", [60, 80])
def test_long_name_on_a_narrow_terminal(columns: int, pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_phone("0090334f1a2f", number="4989730090000", sip="long", name="Donaudampfschifffahrtsgesellschaft " * 3)
    with monitor(pbx, HW1, columns=columns) as epsignal:
        phones[0].call("4989730090000").wait("alert")
        epsignal.read_until("alert")
        hang_up_now = phones[0].call_now
        assert hang_up_now is not None
        hang_up_now.hangup()
        epsignal.read_until("null")
        epsignal.interrupt()
        epsignal.end(0)
    assert max(len(line) for line in epsignal.screen_lines) <= columns
    assert "to Donau" in epsignal.output and "…" in epsignal.output
    assert [line for line in epsignal.screen_lines if line.strip()][-1].split()[1] == HW1  # what matters is not cut


def test_very_narrow_terminal_still_shows_whose_call_it_is(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1, columns=40) as epsignal:
        talk(phones)
        epsignal.read_until("connected")
        hang_up(phones)
        epsignal.read_until("null")
        epsignal.interrupt()
        epsignal.end(0)
    lines = [line for line in epsignal.screen_lines if line.strip()]
    assert max(map(len, lines)) <= 40
    assert [line.split()[:-1] for line in lines if " connected" in line][-1] == [f"…{HW1[-6:]}", "to", "Bob", "(23)", "connected"]
    assert lines[-1].split()[:-1] == [f"…{HW1[-6:]}", "to", "Bob", "(23)", "null"]


def test_terminal_that_cannot_redraw_gets_lines(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1, columns=80, TERM="dumb") as epsignal:
        talk(phones)
        output = epsignal.read_until("connected")
        assert "Calls (" not in output and "\x1b" not in output


def test_lines_on_a_pipe_whatever_the_colours(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1, FORCE_COLOR="1") as epsignal:
        talk(phones)
        assert "\x1b" not in epsignal.read_until("connected")


def test_json_on_a_terminal(pbx: SimulatedPBX, phones: Phones) -> None:
    with monitor(pbx, HW1, "--json", columns=80) as epsignal:
        talk(phones)
        assert json.loads(epsignal.read_until("\n").splitlines()[0])["state"] == "setup"


def test_password_is_asked_for_on_a_terminal(pbx: SimulatedPBX) -> None:
    with Running("monitor", HW1, "--url", pbx.url, "--app", "monitor", columns=80) as epsignal:
        epsignal.read_until("Password: ")
        assert pbx.connections == 0
        epsignal.type(f"{PASSWORD}\n")
        attached(pbx, HW1)
        assert pbx.connections == 1
        epsignal.interrupt()
        epsignal.end(0)


def test_warning_stands_above_the_live_table(pbx: SimulatedPBX) -> None:
    pbx.unknown_hw = "accepted"
    with monitor(pbx, HW1, "not-there", columns=80) as epsignal:
        output = epsignal.read_until("not-there, but 5 s later")
        epsignal.interrupt()
        epsignal.end(0)
    assert "Since" in output and "Since" in epsignal.output.rpartition("not-there")[2]  # the table is drawn again below it
    assert any(line.startswith("epsignal: the PBX took the Attach for not-there") for line in epsignal.screen_lines)
