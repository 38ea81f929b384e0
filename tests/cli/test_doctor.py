"""``epsignal doctor``: what it finds at each step, whatever answers there, and how it looks on a pipe and on a terminal."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from epsignal_sync.cli.run import run
from epsignal_sync.looks import cells
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, wait_until
from ..peer import Peer, frame
from ..relay.certified import Certified
from ..relay.serving import Handler, Server, read_request, stall, upgrade_response
from .running import PASSWORD, Running

Phones = tuple[SimulatedPhone, SimulatedPhone]
Examine = Callable[..., str]
PATH = "/PBX0/APPS/websocket"
STEPS = ["name", "TCP", "TLS", "websocket", "round trip", "login", "EpSignal", "attach"]


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Examine:
    for name in ("EPSIGNAL_URL", "EPSIGNAL_APP", "EPSIGNAL_PASSWORD", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)

    def examine(*arguments: str, code: int, errors: str = "") -> str:
        """Run doctor in this process, with its exit code and the sentence on standard error; returns what it shows."""
        returned = run(["doctor", *arguments])
        output, error = capsys.readouterr()
        assert returned == code, (output, error)
        assert errors in error and error.count("\n") == (1 if code else 0), error
        assert PASSWORD not in output + error
        return output

    return examine


@pytest.fixture
def login(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPSIGNAL_APP", "monitor")
    monkeypatch.setenv("EPSIGNAL_PASSWORD", PASSWORD)


@pytest.fixture
def app(pbx: SimulatedPBX) -> None:
    pbx.add_app("monitor", password=PASSWORD)


def outcomes(output: str) -> dict[str, str]:
    """Return what came of each step."""
    lines = [line for line in output.splitlines() if line[11:23].strip() in STEPS and line[23:]]
    assert [line[11:23].strip() for line in lines] == STEPS, output
    return {line[11:23].strip(): line[2:11].strip() or line[23:] for line in lines}


def row(output: str, step: str) -> str:
    """Return what is said about a step, the last time; as step "try" is also what is to be tried."""
    return [line[23:] for line in output.splitlines() if line[11:23].strip() == step][-1]


def all_after(step: str) -> dict[str, str]:
    return dict.fromkeys(STEPS[STEPS.index(step) + 1 :], "not reached")


def attaches(pbx: SimulatedPBX) -> int:
    return len(pbx.log.texts("from-app", mt="Attach"))


# ------------------------------------------------------------ all is well


def test_every_step_is_ok(pbx: SimulatedPBX, phones: Phones, app: None, login: None, examine: Examine) -> None:
    output = examine(pbx.url, "--hw", HW1, code=0)
    assert outcomes(output) == {**dict.fromkeys(STEPS, "ok"), "TLS": "skipped"}
    assert "127.0.0.1 in " in row(output, "TCP") and " ms from a ping" in row(output, "round trip")
    assert HW1 in row(output, "attach")
    pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="Attached"))
    assert not output.isascii()  # the marks


def test_without_a_phone_nothing_is_attached(pbx: SimulatedPBX, phones: Phones, app: None, login: None, examine: Examine) -> None:
    found = outcomes(examine("--url", pbx.url, code=0))
    assert (found["login"], found["EpSignal"], found["attach"]) == ("ok", "skipped", "skipped")
    assert attaches(pbx) == 0


def test_without_a_login_it_ends_before_it(pbx: SimulatedPBX, examine: Examine) -> None:
    output = examine(pbx.url, code=0)
    assert outcomes(output)["login"] == "skipped" and "--app" in output
    assert not pbx.log.texts("from-app")


def test_the_phone_is_let_go_when_it_ends(pbx: SimulatedPBX, phones: Phones, app: None, login: None, examine: Examine) -> None:
    pbx.second_attach = "refused"
    for _ in range(2):
        examine(pbx.url, "--hw", HW1, code=0)
        wait_until(lambda: pbx.connections == 0)


def test_calls_go_on_while_it_is_attached(pbx: SimulatedPBX, phones: Phones, app: None, login: None) -> None:
    alice, bob = phones
    call = alice.call("23")
    bob.wait("alert")
    bob.answer()
    call.wait("connected")
    with Running("doctor", pbx.url, "--hw", HW1, variables=dict(os.environ)) as epsignal:
        epsignal.end(0)
    assert call.state == "connected"


# ------------------------------------------------------------ name and TCP


def test_a_name_that_is_not_found(examine: Examine) -> None:
    output = examine("pbx.invalid", code=1, errors="epsignal: name failed")
    assert outcomes(output) == {"name": "failed", **all_after("name")}
    assert "pbx.invalid was not found" in output and "check its spelling" in row(output, "try")


def test_all_addresses_of_a_name_are_tried(pbx: SimulatedPBX, examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(pbx.url.split(":")[2].partition("/")[0])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.3", "127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    output = examine(f"ws://pbx.example.com:{port}{PATH}", code=0)
    assert row(output, "name") == "pbx.example.com is 127.0.0.3, 127.0.0.1, 127.0.0.2"
    text = row(output, "TCP")
    assert "127.0.0.3 refused it; 127.0.0.1 in " in text and text.endswith("127.0.0.2 refused it")
    assert "only addresses that answer" in output


def test_nobody_listens(examine: Examine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    output = examine(f"127.0.0.1:{port}", code=1, errors="epsignal: TCP failed")
    assert outcomes(output) == {"name": "ok", "TCP": "failed", **all_after("TCP")}
    assert f"127.0.0.1:{port} failed (127.0.0.1 refused it)" in output


# ------------------------------------------------------------ TLS


@pytest.fixture
def tls_pbx(authority: trustme.CA) -> Iterator[SimulatedPBX]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "pbx.example.com").configure_cert(context)
    with SimulatedPBX(host="localhost", ssl_context=context) as pbx:
        yield pbx


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


def pin(output: str) -> str:
    """Return the option that can be copied."""
    line = next(line for line in output.splitlines() if line.startswith("  --fingerprint "))
    assert len(line) <= 80
    return line.split()[1]


def test_a_certificate_nobody_vouches_for_is_shown_and_can_be_pinned(tls_pbx: SimulatedPBX, examine: Examine) -> None:
    output = examine(tls_pbx.url, code=1, errors="epsignal: TLS failed")
    assert outcomes(output) == {"name": "ok", "TCP": "ok", "TLS": "failed", **all_after("TLS")}
    for text in ("names: localhost, pbx.example.com", "valid: from 2000-01-01", "for: O=trustme", "by: O=trustme", "does not trust it"):
        assert text in output
    assert "the --fingerprint below" in row(output, "try")
    again = examine(tls_pbx.url, "--fingerprint", pin(output), code=0)
    assert row(again, "TLS").startswith("TLSv1.") and "the --fingerprint given" in row(again, "TLS")
    assert "  --fingerprint " not in again and "does not trust it" in again
    assert f"SHA-256: {':'.join(pin(output)[i : i + 2] for i in range(0, 64, 2)).upper()}\n" in again


def test_a_certificate_of_a_given_authority(tls_pbx: SimulatedPBX, ca_file: str, examine: Examine) -> None:
    output = examine(tls_pbx.url, "--ca-file", ca_file, code=0)
    assert "the --ca-file given" in row(output, "TLS") and "does not trust it" in output


def test_a_certificate_that_the_system_trusts(
    tls_pbx: SimulatedPBX, ca_file: str, examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    output = examine(tls_pbx.url, code=0)
    assert "system: trusts it" in output and "--fingerprint" not in output
    assert "this system's certificates" in row(output, "TLS")


def test_no_verify_says_that_anybody_can_listen(tls_pbx: SimulatedPBX) -> None:
    with Running("doctor", tls_pbx.url, "--no-verify") as epsignal:
        assert epsignal.end(0) == ""  # it is said once
    assert "anybody in between can read along" in row(epsignal.output, "TLS") and pin(epsignal.output)


def test_another_certificate_than_the_pinned_one(tls_pbx: SimulatedPBX, examine: Examine) -> None:
    output = examine(tls_pbx.url, "--fingerprint", "ab" * 32, code=1)
    assert outcomes(output)["TLS"] == "failed" and "and not the one given" in output and pin(output) != "ab" * 32


def test_a_hostile_certificate_writes_nothing_to_the_terminal(tmp_path: Path, examine: Examine) -> None:
    context = Certified(None, name="\x1b]0;owned\x07" + "x" * 50).context(tmp_path)
    with Server(stall, context) as server:
        output = examine(f"localhost:{server.port}", code=1)
    assert "CN=?]0;owned?xxx" in output and "\x1b" not in output and "by: itself" in output


def test_a_port_without_tls_is_asked_with_it(pbx: SimulatedPBX, examine: Examine) -> None:
    output = examine(pbx.url.replace("ws:", "wss:"), code=1)
    assert outcomes(output)["TLS"] == "failed"
    assert "without TLS it says: 'HTTP/1.1 " in output and "ws://" in row(output, "try")


def test_a_port_with_tls_is_asked_without_it(tls_pbx: SimulatedPBX, examine: Examine) -> None:
    output = examine(tls_pbx.url.replace("wss:", "ws:"), code=1)
    assert outcomes(output)["websocket"] == "failed" and "wss://" in output.partition("failed")[2]


# ------------------------------------------------------------ what answers is no AppWebsocket


def saying(banner: bytes) -> Handler:
    def handle(sock: socket.socket) -> None:
        sock.sendall(banner)
        stall(sock)

    return handle


@pytest.mark.parametrize("scheme, step, label", [("ws", "websocket", "unasked it says"), ("wss", "TLS", "without TLS it says")])
def test_another_service_greets(examine: Examine, scheme: str, step: str, label: str) -> None:
    with Server(saying(b"SSH-2.0-OpenSSH_9.2\x1b[2J\x07\r\n")) as server:
        output = examine(f"{scheme}://127.0.0.1:{server.port}{PATH}", code=1, errors=f"epsignal: {step} failed")
    assert outcomes(output)[step] == "failed"
    assert f"{label}: 'SSH-2.0-OpenSSH_9.2?[2J?'" in output and "\x1b" not in output


@pytest.mark.parametrize("banner, shown", [("220 Grüße, 日本\r\n".encode(), "'220 Grüße, 日本'"), (b"\xff\xfd\x18" * 10, None)])
def test_a_greeting_in_any_language_and_one_that_is_no_text(examine: Examine, banner: bytes, shown: str | None) -> None:
    with Server(saying(banner)) as server:
        output = examine(f"ws://127.0.0.1:{server.port}{PATH}", code=1)
    assert (f"unasked it says: {shown}\n" in output) if shown else "it says" not in output


def test_a_page_answers(examine: Examine) -> None:
    def page(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")

    with Server(page) as server:
        output = examine(f"ws://127.0.0.1:{server.port}{PATH}", code=1)
    assert "answered HTTP 200 (OK)" in row(output, "websocket") and "check the path" in output


def test_silence(examine: Examine) -> None:
    with Server(stall) as server:
        output = examine(f"ws://127.0.0.1:{server.port}{PATH}", "--timeout", "0.3", code=1)
        assert "timed out in the websocket upgrade" in row(output, "websocket") and "it says" not in output
        output = examine(f"wss://127.0.0.1:{server.port}{PATH}", "--timeout", "0.3", code=1)
        assert "timed out in the TLS handshake" in row(output, "TLS") and "it says" not in output


def test_a_websocket_that_answers_no_ping_and_no_login(examine: Examine, login: None) -> None:
    def handle(sock: socket.socket) -> None:
        sock.sendall(upgrade_response(read_request(sock)))
        stall(sock)

    with Server(handle) as server:
        output = examine(f"ws://127.0.0.1:{server.port}{PATH}", "--timeout", "0.5", code=1, errors="round trip and login failed")
    found = outcomes(output)
    assert found["round trip"] == "failed" and "did not answer a ping within 0.5 s" in output
    assert found["login"] == "failed" and "while waiting for the challenge" in output
    assert (found["EpSignal"], found["attach"]) == ("not reached", "not reached")


def test_a_websocket_that_ends_at_once(examine: Examine) -> None:
    def handle(sock: socket.socket) -> None:
        sock.sendall(upgrade_response(read_request(sock)))

    with Server(handle) as server:
        output = examine(f"ws://127.0.0.1:{server.port}{PATH}", code=1, errors="round trip failed")
    assert "ended the connection instead of answering a ping" in output


# ------------------------------------------------------------ login and phone


def test_a_wrong_password(pbx: SimulatedPBX, app: None, login: None, examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPSIGNAL_PASSWORD", "wrong-one")
    output = examine(pbx.url, "--hw", HW1, code=1, errors="epsignal: login failed")
    assert outcomes(output)["login"] == "failed" and "check the name and the password" in row(output, "try")
    assert "wrong-one" not in output


def test_the_pbx_closes_instead_of_refusing_the_login(pbx: SimulatedPBX, app: None, login: None, examine: Examine) -> None:
    pbx.login_refusal = "close"
    output = examine(pbx.url, "--app", "other", code=1)
    assert outcomes(output)["login"] == "failed"


def test_the_tick_is_missing(pbx: SimulatedPBX, app: None, login: None, examine: Examine) -> None:
    pbx.unknown_hw = "silent"
    output = examine(pbx.url, "--hw", "0090334f0000", "--timeout", "1", code=1, errors="epsignal: EpSignal failed")
    found = outcomes(output)
    assert (found["login"], found["EpSignal"], found["attach"]) == ("ok", "failed", "not reached")
    assert "EpSignal is ticked" in row(output, "try")


def test_the_pbx_refuses_the_phone(pbx: SimulatedPBX, app: None, login: None, examine: Examine) -> None:
    output = examine(pbx.url, "--hw", "0090334f0000", code=1, errors="epsignal: attach failed")
    found = outcomes(output)
    assert (found["EpSignal"], found["attach"]) == ("ok", "failed")
    assert "refused to attach to 0090334f0000" in output and "spelled exactly" in row(output, "try")


def test_the_phone_is_not_registered(pbx: SimulatedPBX, app: None, login: None, examine: Examine) -> None:
    pbx.unknown_hw = "accepted"
    output = examine(pbx.url, "--hw", "0090334f0000", "--timeout", "1", code=1)
    assert outcomes(output)["attach"] == "failed"
    assert "for 1 s no phone was registered as 0090334f0000" in output


def test_the_connection_ends_in_the_attach(examine: Examine, login: None) -> None:
    with Peer() as peer:
        server = threading.Thread(target=answer_until_the_attach, args=(peer,), name="peer")
        server.start()
        output = examine(peer.url, "--hw", HW1, code=1, errors="epsignal: EpSignal failed")
        server.join(20)
    assert outcomes(output)["attach"] == "not reached" and "ended without a close frame" in row(output, "EpSignal")


def answer_until_the_attach(peer: Peer) -> None:
    peer.accept()  # TCP alone
    peer.sock.close()
    peer.upgrade()
    opcode, payload = peer.receive_frame()
    assert opcode == 9
    peer.sock.sendall(frame(payload, 10))
    looked_at = peer.sock
    peer.login()
    assert peer.receive()["mt"] == "Attach"
    looked_at.close()
    peer.drop()


# ------------------------------------------------------------ the command line


@pytest.mark.parametrize(
    "arguments, errors",
    [
        ((), "no PBX to examine"),
        (("pbx", "--url", "pbx"), "two URLs"),
        (("pbx", "--hw", HW1), "--hw needs a login"),
        (("wss://me:secret@pbx/",), "the password is taken from EPSIGNAL_PASSWORD"),
        (("http://pbx/",), "write ws://pbx/ instead"),
        (("pbx", "--timeout", "0"), "--timeout takes seconds above 0"),
        (("pbx", "--fingerprint", "12"), "--fingerprint is not a SHA-256 fingerprint"),
        (("ws://pbx", "--fingerprint", "ab" * 32), "--fingerprint has no use on ws://"),
        (("pbx", "--ca-file", "/nowhere"), "--ca-file '/nowhere' cannot be read (No such file or directory)"),
        (("pbx", "--app", "x"), "no password"),
    ],
)
def test_a_wrong_command_line_examines_nothing(examine: Examine, arguments: tuple[str, ...], errors: str) -> None:
    assert examine(*arguments, code=2, errors=errors) == ""


def test_the_argument_comes_before_the_variable(pbx: SimulatedPBX, examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPSIGNAL_URL", "pbx.invalid")
    examine(pbx.url, code=0)


# ------------------------------------------------------------ as a process


def test_lines_come_as_they_happen_on_a_pipe() -> None:
    with Server(stall) as server, Running("doctor", f"127.0.0.1:{server.port}", "--timeout", "60") as epsignal:
        epsignal.read_until("TCP ")
        server.connected.wait(20)
        epsignal.interrupt()
        assert epsignal.end(1) == "epsignal: the examination is not complete: Ctrl-C ended it\n"
        assert outcomes(epsignal.output)["TLS"] == "not finished"
        assert "\x1b" not in epsignal.output


def test_the_step_under_way_is_shown_on_a_terminal() -> None:
    with Server(stall) as server, Running("doctor", f"127.0.0.1:{server.port}", "--timeout", "60", columns=60) as epsignal:
        epsignal.read_until("TLS ...")
        epsignal.type("\x03")
        epsignal.interrupt()
        epsignal.end(1)
        assert "\x1b[32m" in epsignal.output


def test_a_narrow_terminal_wraps_texts_but_not_what_is_to_be_copied(tls_pbx: SimulatedPBX) -> None:
    with Running("doctor", tls_pbx.url, columns=80) as epsignal:
        epsignal.end(1)
        lines = epsignal.screen_lines
    assert max(len(line) for line in lines if not line.startswith(("  --fingerprint ", "to accept", "epsignal: "))) <= 80
    assert any(len(line) == 80 and line.startswith("  --fingerprint ") for line in lines)
    assert any(re.fullmatch(" *([0-9A-F]{2}:){15}[0-9A-F]{2}", line) for line in lines)  # the second half of it


def test_a_very_narrow_terminal_gets_texts_below_the_steps(tls_pbx: SimulatedPBX) -> None:
    with Running("doctor", tls_pbx.url, columns=40) as epsignal:
        epsignal.end(1)
        lines = epsignal.screen_lines
    assert max(len(line) for line in lines if not line.startswith(("  --fingerprint ", "to accept", "epsignal: "))) <= 40
    assert "✗ failed   TLS" in lines and "    names: localhost, pbx.example.com" in lines


def test_wide_characters_take_two_columns(tmp_path: Path) -> None:
    context = Certified(None, name="日本" * 10).context(tmp_path)
    with Server(stall, context) as server, Running("doctor", f"localhost:{server.port}", columns=60) as epsignal:
        epsignal.end(1)
        lines = [line for line in epsignal.screen_lines if "日" in line]
    assert lines and max(len(cells(line)) for line in lines) <= 60


def test_a_terminal_without_unicode_gets_other_marks(pbx: SimulatedPBX) -> None:
    with Running("doctor", pbx.url, columns=80, variables={"PYTHONIOENCODING": "ascii", "TERM": "dumb"}) as epsignal:
        epsignal.end(0)
        assert epsignal.output.startswith("+ ok ") and epsignal.output.isascii() and "\x1b" not in epsignal.output


def test_no_colours_where_they_are_not_wanted(pbx: SimulatedPBX) -> None:
    with Running("doctor", pbx.url, columns=80, variables={"NO_COLOR": "1"}) as epsignal:
        epsignal.end(0)
        assert "\x1b[32m" not in epsignal.output and "ok       TCP" in epsignal.output


def test_whoever_reads_it_has_gone() -> None:
    with Server(stall) as server, Running("doctor", f"127.0.0.1:{server.port}", "--timeout", "1") as epsignal:
        epsignal.read_until("TCP ")
        epsignal.stop_reading()
        assert epsignal.end(0) == ""
