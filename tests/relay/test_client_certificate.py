"""A certificate of the client: given to a server that demands one, refused by it, missing, or of no use from the start."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import epsignal_sync as eps
from epsignal_sync.relay.endpoint import TLSSettings
from epsignal_sync.simulator import SimulatedPBX

from .certified import Certified
from .serving import LONG, Server, upgrading

PASSWORD = "geheim"
VERSIONS = [pytest.param(ssl.TLSVersion.TLSv1_2, id="TLS 1.2"), pytest.param(ssl.TLSVersion.TLSv1_3, id="TLS 1.3")]
CLIENT = Certified(None)
EXPIRED = Certified(None, days=(-9, -1), name="expired")


def demanding(authority: trustme.CA, trusted: list[Certified], version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    for one in trusted:
        context.load_verify_locations(cadata=one.pem.decode())
    context.minimum_version = context.maximum_version = version
    return context


def in_file(folder: Path, content: bytes, name: str = "client.pem") -> str:
    (folder / name).write_bytes(content)
    return str(folder / name)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("files", [1, 2])
def test_server_that_demands_one_gets_it(
    version: ssl.TLSVersion, files: int, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    certificate = in_file(tmp_path, CLIENT.pem + (CLIENT.key_pem() if files == 1 else b""))
    key = None if files == 1 else in_file(tmp_path, CLIENT.key_pem(traditional=True), "key.pem")
    with SimulatedPBX(ssl_context=demanding(authority, [CLIENT], version)) as pbx:
        pbx.add_app("phones", password=PASSWORD)
        with eps.connect(
            pbx.url, app="phones", password=PASSWORD, ca_file=ca_file, client_certificate=certificate, client_key=key, timeout=LONG
        ) as client:
            assert client.connected


def refused(context: ssl.SSLContext, ca_file: str, client_certificate: str | None) -> str:
    """Return what connect() says, with whatever the server took of the request."""
    requests: list[bytes] = []
    with Server(upgrading(requests=requests), context) as server, pytest.raises(eps.ConnectError) as caught:
        eps.connect(
            f"wss://127.0.0.1:{server.port}/x?{PASSWORD}", app="phones", password=PASSWORD,
            ca_file=ca_file, client_certificate=client_certificate, timeout=LONG,
        )  # fmt: skip
    text = str(caught.value)
    assert f"127.0.0.1:{server.port}" in text and not requests
    assert ". " not in text and "\n" not in text and PASSWORD not in text
    return text


@pytest.mark.parametrize(
    ("version", "says"),
    [
        # Without TLS 1.3 there is no alert of its own for it.
        (ssl.TLSVersion.TLSv1_2, "handshake failure): check the PBX's TLS settings and certificate, and pass client_certificate= if it"),
        (ssl.TLSVersion.TLSv1_3, "demands a client certificate: pass the PEM file with one that it trusts as client_certificate="),
    ],
    ids=["TLS 1.2", "TLS 1.3"],
)
def test_server_that_demands_one_gets_none(
    version: ssl.TLSVersion, says: str, authority: trustme.CA, ca_file: str
) -> None:
    assert says in refused(demanding(authority, [CLIENT], version), ca_file, None)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("shown", "why"),
    [
        pytest.param(Certified(None, name="somebody"), "its issuer is not trusted there", id="unknown"),
        pytest.param(EXPIRED, "it has expired or is not valid yet", id="expired"),
    ],
)
def test_server_refuses_it(
    version: ssl.TLSVersion, shown: Certified, why: str, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    certificate = in_file(tmp_path, shown.pem + shown.key_pem())
    text = refused(demanding(authority, [CLIENT, EXPIRED], version), ca_file, certificate)
    assert f"refused the certificate in client_certificate={certificate!r} ({why})" in text


def test_server_that_demands_none_is_not_shown_it(server_context: ssl.SSLContext, ca_file: str, tmp_path: Path) -> None:
    certificate = in_file(tmp_path, CLIENT.pem + CLIENT.key_pem())
    with SimulatedPBX(ssl_context=server_context) as pbx:
        pbx.add_app("phones", password=PASSWORD)
        with eps.connect(pbx.url, app="phones", password=PASSWORD, ca_file=ca_file, client_certificate=certificate, timeout=LONG):
            assert pbx._transport is not None
            [at_the_pbx] = [sock for sock in pbx._transport._threads.values() if isinstance(sock, ssl.SSLSocket)]
            assert at_the_pbx.getpeercert(binary_form=True) is None


def wrong(**options: str | None) -> str:
    """Return the UsageError of a client that is never connected."""
    with pytest.raises(eps.UsageError) as caught:
        eps.Client("wss://127.0.0.1/", app="phones", password=PASSWORD, **options)  # type: ignore[arg-type]
    text = str(caught.value)
    assert ". " not in text and "\n" not in text and PASSWORD not in text
    return text


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    missing, certificate = str(tmp_path / "none.pem"), in_file(tmp_path, CLIENT.pem)
    assert f"client_certificate={missing!r} cannot be read (No such file" in wrong(client_certificate=missing)
    assert f"client_key={missing!r} cannot be read (No such file" in wrong(client_certificate=certificate, client_key=missing)
    assert "cannot be read (Is a directory)" in wrong(client_certificate=str(tmp_path))
    assert "cannot be read" in wrong(client_certificate="a\0b")


def test_file_without_what_it_should_hold(tmp_path: Path) -> None:
    certificate, key = in_file(tmp_path, CLIENT.pem), in_file(tmp_path, CLIENT.key_pem(), "key.pem")
    der = in_file(tmp_path, ssl.PEM_cert_to_DER_cert(CLIENT.pem.decode()), "client.der")
    assert "holds no certificate in PEM format" in wrong(client_certificate=der, client_key=key)
    assert "holds no certificate in PEM format" in wrong(client_certificate=key, client_key=certificate)
    text = wrong(client_certificate=certificate)
    assert f"client_certificate={certificate!r} holds no private key" in text and "or name the file with the key as client_key=" in text
    assert f"client_key={certificate!r} holds no private key" in wrong(client_certificate=certificate, client_key=certificate)


def test_damaged_file(tmp_path: Path) -> None:
    certificate = in_file(tmp_path, CLIENT.pem)
    key = in_file(tmp_path, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "key.pem")
    text = wrong(client_certificate=certificate, client_key=key)
    assert f"client_certificate={certificate!r} cannot be used with the key in {key!r} (what it holds is damaged)" in text


def test_key_of_another_certificate(tmp_path: Path) -> None:
    certificate, key = in_file(tmp_path, CLIENT.pem), in_file(tmp_path, EXPIRED.key_pem(), "key.pem")
    says = f"the private key in client_key={key!r} does not belong to client_certificate={certificate!r}"
    assert says in wrong(client_certificate=certificate, client_key=key)
    other_kind = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    in_file(tmp_path, other_kind, "key.pem")
    assert says in wrong(client_certificate=certificate, client_key=key)


@pytest.mark.parametrize("traditional", [False, True])
def test_encrypted_key_is_not_asked_for_on_the_terminal(traditional: bool, tmp_path: Path) -> None:
    certificate = in_file(tmp_path, CLIENT.pem + CLIENT.key_pem(PASSWORD.encode(), traditional=traditional))
    text = wrong(client_certificate=certificate)
    assert f"the private key in client_certificate={certificate!r} is encrypted" in text and "openssl pkey" in text


def test_wrong_options(tmp_path: Path) -> None:
    certificate = in_file(tmp_path, CLIENT.pem + CLIENT.key_pem())
    assert "pass that as client_certificate=" in wrong(client_key=certificate)
    for value in (7, True, "", b"client.pem"):
        assert "client_certificate= takes the name of a file" in wrong(client_certificate=value)  # type: ignore[arg-type]
    with pytest.raises(eps.UsageError, match="client_certificate= has no use on ws://.*wss://"):
        eps.connect("ws://127.0.0.1:9/", app="phones", password=PASSWORD, client_certificate=certificate)


def test_no_secret_in_repr_or_traceback(tmp_path: Path) -> None:
    certificate, key = in_file(tmp_path, CLIENT.pem), in_file(tmp_path, EXPIRED.key_pem(), "key.pem")
    secret = EXPIRED.key_pem()[40:80]
    with pytest.raises(eps.UsageError) as caught:
        TLSSettings(client_certificate=certificate, client_key=key)
    trace = caught.value.__traceback__
    shown = [repr(caught.value.__cause__)]
    while trace is not None:
        if "epsignal_sync" in trace.tb_frame.f_code.co_filename and "tests" not in trace.tb_frame.f_code.co_filename:
            shown.append(repr(trace.tb_frame.f_locals))
        trace = trace.tb_next
    assert len(shown) > 2 and not [one for one in shown if secret.decode() in one]
