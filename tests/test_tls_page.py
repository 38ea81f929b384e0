"""What docs/tls.md says is so: its programs run, and its errors are those of the library."""

from __future__ import annotations

import contextlib
import ipaddress
import pathlib
import queue
import re
import ssl
from collections.abc import Iterator

import pytest
from cryptography import x509

import epsignal_sync as eps
from epsignal_sync.cli.run import run as run_command
from epsignal_sync.relay import endpoint
from epsignal_sync.simulator import SimulatedPBX

from .conftest import PATIENCE
from .pages import Page, stable
from .relay.certified import Certified
from .test_samples import finish, start

PAGE = Page("tls.md")
DEVICE = Certified(None, name="0090334f1a2b")
FINGERPRINT = re.compile(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}|[0-9a-f]{64}")
PIN, TRY, OWN, CLIENT = "Pin a fingerprint", "Try it without a PBX", "An authority of your own", "Client certificates"
URL = '"wss://pbx.example.com/PBX0/APPS/websocket"'


def plain(fingerprint: str) -> str:
    return fingerprint.replace(":", "").lower()


@contextlib.contextmanager
def serve(context: ssl.SSLContext) -> Iterator[SimulatedPBX]:
    with SimulatedPBX(ssl_context=context) as pbx:
        pbx.add_app("phones", password="secret")
        yield pbx


def test_three_refusals_and_a_connection(tmp_path: pathlib.Path) -> None:
    """In place of the openssl command, so that the tests need no openssl."""
    (tmp_path / "pbx.pem").write_bytes(DEVICE.pem)
    (tmp_path / "pbx.key").write_bytes(DEVICE.key_pem())
    program = f"import os\nos.chdir({str(tmp_path)!r})\n{PAGE.block(TRY)}"
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    code, output, errors = finish(start(str(tmp_path / "program.py")))
    shown = re.sub(FINGERPRINT, DEVICE.fingerprint, PAGE.block(TRY, "text"))
    assert (code, stable(output), errors) == (0, stable(shown), "")


def test_fingerprint_by_python_is_the_one_to_pin(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = PAGE.blocks("python", PIN)
    with serve(DEVICE.context(tmp_path)) as pbx:
        port = int(pbx.url.split(":")[2].partition("/")[0])
        exec(first.replace('("pbx.example.com", 443)', f'("127.0.0.1", {port})'), {})
        fingerprint = capsys.readouterr().out.strip()
        assert fingerprint == DEVICE.fingerprint
        pinned, count = FINGERPRINT.subn(fingerprint, second)
        assert count == 1
        exec(pinned.replace(URL, repr(pbx.url)), {})
    assert capsys.readouterr().out == "connected to the PBX that is meant\n"


def test_doctor_shows_the_certificate(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EPSIGNAL_URL", "EPSIGNAL_APP", "EPSIGNAL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    picture = re.sub(
        FINGERPRINT, lambda shown: DEVICE.fingerprint if ":" in shown[0] else plain(DEVICE.fingerprint), PAGE.block(PIN, "text")
    )
    with serve(DEVICE.context(tmp_path)) as pbx:
        assert run_command(["doctor", pbx.url]) == 1
    shown, _, others = capsys.readouterr().out.partition("           websocket")
    assert stable(shown) == stable(picture) and "not reached" in others


def test_certificate_that_python_313_refuses(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Certified(None, x509.SubjectKeyIdentifier(b"7"), critical=[x509.BasicConstraints(ca=True, path_length=None)])
    device = Certified(authority, x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]))
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (rule,) = PAGE.blocks("text", OWN)
    settings = endpoint._verifying_context

    def strict(ca_file: str | None) -> ssl.SSLContext:
        context = settings(ca_file)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
        return context

    monkeypatch.setattr(endpoint, "_verifying_context", strict)
    with serve(device.context(tmp_path)) as pbx:
        with pytest.raises(eps.ConnectError) as refused:
            eps.connect(pbx.url, app="phones", password="secret", ca_file=str(tmp_path / "ca.pem"))
        assert stable(rule) in str(refused.value)
        eps.connect(pbx.url, app="phones", password="secret", fingerprint=device.fingerprint).close()


def test_certificate_in_the_ca_file_is_trusted_itself(tmp_path: pathlib.Path) -> None:
    """Whoever issued it, and whether or not it may issue others; its name counts."""
    name = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    device = Certified(Certified(None), name, x509.AuthorityKeyIdentifier(b"7", None, None))
    (tmp_path / "device.pem").write_bytes(DEVICE.pem + device.pem)
    with serve(device.context(tmp_path)) as pbx:
        eps.connect(pbx.url, app="phones", password="secret", ca_file=str(tmp_path / "device.pem")).close()


def test_client_certificate(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = Certified(None, name="program")
    (tmp_path / "client.pem").write_bytes(shown.pem)
    (tmp_path / "client.key").write_bytes(shown.key_pem())
    demanding = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(cadata=shown.pem.decode())
    demanding.load_cert_chain(*_files_of(DEVICE, tmp_path))
    program = PAGE.block(CLIENT)
    with serve(demanding) as pbx:
        # The device's certificate is not the issuer's here: what is of interest is ours.
        program = program.replace(URL, repr(pbx.url)).replace('ca_file="issuer.pem"', f"fingerprint={DEVICE.fingerprint!r}")
        names: dict[str, eps.Client] = {}
        exec(program, {"eps": eps}, names)
        names["client"].close()
        with pytest.raises(eps.ConnectError):
            exec(re.sub(r"\n    client_\w+=.*", "", program), {"eps": eps})


def _files_of(certified: Certified, folder: pathlib.Path) -> tuple[str, str]:
    (folder / "pbx.pem").write_bytes(certified.pem)
    (folder / "pbx.key").write_bytes(certified.key_pem())
    return str(folder / "pbx.pem"), str(folder / "pbx.key")


@pytest.mark.usefixtures("quick_attempts")
def test_pinned_certificate_is_renewed(tmp_path: pathlib.Path) -> None:
    renewed = Certified(None, name="0090334f1a2b")
    context = DEVICE.context(tmp_path)
    tried: queue.Queue[eps.Reconnecting] = queue.Queue()
    with serve(context) as pbx, eps.connect(pbx.url, app="phones", password="secret", fingerprint=DEVICE.fingerprint) as client:
        client.on(eps.Reconnecting, tried.put)
        context.load_cert_chain(*_files_of(renewed, tmp_path))
        pbx.drop_connections()
        while renewed.fingerprint not in str(tried.get(timeout=PATIENCE).error):
            pass
        assert client.state == "reconnecting"
