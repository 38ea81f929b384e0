"""What ``epsignal`` says when something is wrong: one sentence that names what was tried, and no traceback."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from epsignal_sync.simulator import SimulatedPBX

from ..peer import Peer
from .running import PASSWORD, START, Running, failure, sentence

HW = "0090334f1a2b"
LOGIN = {"EPSIGNAL_APP": "monitor", "EPSIGNAL_PASSWORD": PASSWORD}
PATH = "/PBX0/APPS/websocket"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that takes TCP connections, and then says nothing unless the test does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


@pytest.fixture
def monitored(pbx: SimulatedPBX) -> SimulatedPBX:
    pbx.add_app("monitor", password=PASSWORD)
    return pbx


def address(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def refused(url: str, *arguments: str, code: int = 1, **variables: str) -> str:
    return failure("monitor", HW, "--url", url, *arguments, code=code, variables={**LOGIN, **variables})


# ------------------------------------------------------------ a wrong call


def test_no_url() -> None:
    assert "give --url wss://host/PBX0/APPS/websocket, or set EPSIGNAL_URL" in failure("monitor", HW, code=2, variables=LOGIN)


def test_nobody_to_log_in_as() -> None:
    assert "--app" in refused("pbx.invalid", code=2, EPSIGNAL_APP="")


@pytest.mark.parametrize("scheme", ["http", "https", "ftp"])
def test_wrong_scheme(scheme: str) -> None:
    text = refused(f"{scheme}://pbx.invalid{PATH}", code=2)
    assert f"{scheme}:// is not the scheme of a websocket" in text and f"pbx.invalid{PATH}" in text


def test_password_in_the_url() -> None:
    assert "before an @" in refused(f"wss://me:{PASSWORD}@pbx.invalid{PATH}", code=2)


def test_no_password_and_no_terminal_to_ask_on() -> None:
    text = failure("monitor", HW, "--url", "pbx.invalid", "--app", "monitor", code=2)
    assert "set EPSIGNAL_PASSWORD" in text


@pytest.mark.parametrize("seconds", ["0", "-1", "nan"])
def test_wrong_timeout(seconds: str) -> None:
    assert "seconds above 0" in refused("pbx.invalid", "--timeout", seconds, code=2)


def test_wrong_fingerprint() -> None:
    assert "--fingerprint is not a SHA-256" in refused("pbx.invalid", "--fingerprint", "12:34", code=2)


def test_missing_ca_file() -> None:
    assert "no-such.pem" in refused("pbx.invalid", "--ca-file", "no-such.pem", code=2)


def test_missing_client_certificate() -> None:
    assert "--client-certificate 'no-such.pem' cannot be read" in refused("pbx.invalid", "--client-certificate", "no-such.pem", code=2)
    assert "pass that as --client-certificate" in refused("pbx.invalid", "--client-key", "no-such.pem", code=2)


@pytest.mark.parametrize("arguments", [["monitor"], ["monitor", HW, "--nonsense"], ["nonsense"], []])
def test_wrong_arguments(arguments: list[str]) -> None:
    with Running(*arguments) as epsignal:
        assert "Usage: epsignal" in epsignal.end(2)


# ------------------------------------------------------------ no connection


def test_unknown_host() -> None:
    assert "pbx.invalid" in refused("pbx.invalid")


def test_port_on_which_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        text = refused(f"ws://{address(bound)}{PATH}")
        assert f"TCP connect to {address(bound)} failed" in text


def test_connect_that_is_swallowed() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:  # once they fill the queue, further ones get no answer at all
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())
            text = refused(f"ws://{address(full)}{PATH}", "--timeout", "1")
            assert f"timed out in the TCP connect to {address(full)} after 1 s" in text and "longer --timeout" in text
        finally:
            for sock in waiting:
                sock.close()


def test_stalled_tls_handshake(listener: socket.socket) -> None:
    text = refused(f"wss://{address(listener)}{PATH}", "--timeout", "1")
    assert f"timed out in the TLS handshake to {address(listener)}" in text


def test_stalled_upgrade(listener: socket.socket) -> None:
    text = refused(f"ws://{address(listener)}{PATH}", "--timeout", "1")
    assert f"timed out in the websocket upgrade to {address(listener)}" in text


def answered(listener: socket.socket, response: bytes) -> str:
    """Have the upgrade answered with ``response``; returns the sentence."""
    with Running("monitor", HW, "--url", f"ws://{address(listener)}{PATH}", variables=LOGIN) as epsignal:
        with listener.accept()[0] as sock:
            sock.settimeout(20)
            request = b""
            while b"\r\n\r\n" not in request:
                request += sock.recv(65536)
            sock.sendall(response)
            text = sentence(epsignal, 1)
    assert address(listener) in text
    return text


def test_redirect(listener: socket.socket) -> None:
    text = answered(listener, b"HTTP/1.1 302 Found\r\nLocation: https://other.invalid/x\r\nContent-Length: 0\r\n\r\n")
    assert "redirects" in text and "wss://other.invalid/x" in text


def test_server_that_is_no_websocket(listener: socket.socket) -> None:
    assert "answered HTTP 200 (OK)" in answered(listener, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


def test_server_that_is_no_http(listener: socket.socket) -> None:
    assert "does not speak HTTP" in answered(listener, b"SSH-2.0-OpenSSH_9.2\r\n")


def test_certificate_that_is_not_trusted(server_context: object) -> None:
    with SimulatedPBX(ssl_context=server_context) as pbx:  # type: ignore[arg-type]  # an SSLContext
        text = refused(pbx.url)
    assert "certificate of 127.0.0.1" in text
    assert "pass --fingerprint '" in text and "or --ca-file with" in text and "--no-verify" in text


# ------------------------------------------------------------ no login, no device


@pytest.mark.parametrize("refusal", ["answer", "close"])
def test_wrong_password(refusal: str, monitored: SimulatedPBX) -> None:
    monitored.login_refusal = refusal
    text = refused(monitored.url, EPSIGNAL_PASSWORD="wr0ng")
    assert "'monitor'" in text and "password" in text and "wr0ng" not in text


def test_unknown_device(monitored: SimulatedPBX) -> None:
    text = refused(monitored.url)
    assert f"refused to attach to {HW}" in text


def test_attach_without_an_answer(monitored: SimulatedPBX) -> None:
    monitored.unknown_hw = "silent"
    text = refused(monitored.url, "--timeout", "2")
    assert f"did not answer the Attach for {HW}" in text and "EpSignal is ticked" in text


def test_login_without_an_answer(peer: Peer) -> None:
    with Running("monitor", HW, "--url", peer.url, "--timeout", "2", variables=LOGIN) as epsignal:
        peer.upgrade()
        assert peer.url.split("/")[2] in sentence(epsignal, 1)


def test_reason_with_control_characters(peer: Peer) -> None:
    with Running("monitor", HW, "--url", peer.url, variables=LOGIN) as epsignal:
        peer.upgrade()
        peer.receive()
        peer.send({"mt": "AppChallengeResult", "challenge": "0123456789abcdef"})
        peer.receive()
        peer.send({"mt": "AppLoginResult", "ok": False, "errorText": "\x1b[2J\r\nno"})
        text = sentence(epsignal, 1)
    assert "?[2J??no" in text and "\x1b" not in text


# ------------------------------------------------------------ parts that are not installed


def without(module: str) -> str:
    return f"import sys; sys.modules[{module!r}] = None; {START}"


@pytest.mark.parametrize("module", ["click", "rich"])
def test_without_the_extra_cli(module: str) -> None:
    text = failure("demo", code=1, start=without(module))
    assert text == f"epsignal: the command line needs {module}: pip install 'epsignal-sync[cli]'\n"


def test_ctrl_c_while_the_commands_are_imported() -> None:
    imports = "class Interrupted:\n    def find_spec(self, name, *_):\n        if name.endswith('.cli.commands'): raise KeyboardInterrupt\n"
    with Running("demo", start=f"import sys\n{imports}sys.meta_path.insert(0, Interrupted())\n{START}") as epsignal:
        assert epsignal.end(130) == epsignal.output == ""


def test_demo_without_the_extra_simulator() -> None:
    text = failure("demo", code=1, start=without("websockets"))
    assert "websockets" in text and "pip install 'epsignal-sync[cli,simulator]'" in text


def test_monitor_without_the_extra_simulator() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        text = failure("monitor", HW, "--url", f"ws://{address(bound)}", code=1, start=without("websockets"), variables=LOGIN)
    assert "TCP connect" in text
