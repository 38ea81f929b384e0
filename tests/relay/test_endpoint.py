from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.errors import UsageError
from epsignal_sync.relay.endpoint import TLSSettings, parse_url, show_fingerprint

PIN = "ab" * 32


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("pbx.example.com", "pbx.example.com", 443),
        ("pbx", "pbx", 443),
        ("PBX.Example.com:8443", "pbx.example.com", 8443),
        ("192.0.2.1", "192.0.2.1", 443),
        ("192.0.2.1:444", "192.0.2.1", 444),
        ("[2001:DB8::1]", "2001:db8::1", 443),
        ("[2001:db8::1]:444", "2001:db8::1", 444),
        ("m\u00fcller.example", "xn--mller-kva.example", 443),
    ],
)
def test_bare_host(url: str, host: str, port: int) -> None:
    endpoint = parse_url(url)
    assert (endpoint.scheme, endpoint.host, endpoint.port) == ("wss", host, port)
    assert endpoint.resource == "/PBX0/APPS/websocket"
    assert parse_url(endpoint.url) == endpoint


@pytest.mark.parametrize(
    ("url", "scheme", "port", "resource"),
    [
        ("ws://pbx", "ws", 80, "/"),
        ("WSS://pbx/", "wss", 443, "/"),
        ("wss://pbx:80/a/b;c=1?d=%20&e=/", "wss", 80, "/a/b;c=1?d=%20&e=/"),
        ("ws://pbx?x=1", "ws", 80, "/?x=1"),
        ("ws://pbx/caf\u00e9", "ws", 80, "/caf%C3%A9"),
        ("ws://pbx/x?next=http://a@b/", "ws", 80, "/x?next=http://a@b/"),
    ],
)
def test_websocket_url_is_taken_as_it_is(url: str, scheme: str, port: int, resource: str) -> None:
    endpoint = parse_url(url)
    assert (endpoint.scheme, endpoint.host, endpoint.port, endpoint.resource) == (scheme, "pbx", port, resource)


@pytest.mark.parametrize(
    ("url", "address", "host_header"),
    [
        ("wss://pbx/", "pbx:443", "pbx"),
        ("ws://pbx:443/", "pbx:443", "pbx:443"),
        ("wss://[2001:db8::1]/", "[2001:db8::1]:443", "[2001:db8::1]"),
        ("wss://[2001:db8::1]:444/", "[2001:db8::1]:444", "[2001:db8::1]:444"),
    ],
)
def test_address_and_host_header(url: str, address: str, host_header: str) -> None:
    endpoint = parse_url(url)
    assert (endpoint.address, endpoint.host_header) == (address, host_header)


def test_repr_shows_no_query() -> None:
    assert "geheim" not in repr(parse_url("wss://pbx/x?token=geheim"))
    assert parse_url("wss://pbx/x?token=geheim").path == "/x"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "is empty"),
        (None, "is empty"),
        (7, "is empty"),
        ("   ", "white space"),
        ("wss://pbx/a b?geheim", "white space"),
        ("wss://pbx/\r\nX-Evil:geheim", "white space or a control character"),
        ("wss://pbx/\x00geheim", "control character"),
        ("wss://pbx/\ud800geheim", "control character"),
        ("http://pbx:8080/x?geheim", "write ws://pbx:8080/x instead"),
        ("https://pbx/x?geheim", "write wss://pbx/x instead"),
        ("ftp://pbx/?geheim", "write wss://pbx/ instead"),
        ("wss://user:geheim@pbx/", "a user or a password"),
        ("http://user:geheim@pbx/", "a user or a password"),
        ("user:geheim@pbx", "a user or a password"),
        ("geheim@pbx", "a user or a password"),
        ("wss://pbx/x#geheim", "a fragment"),
        ("wss://pbx/x?geheim#", "a fragment"),
        ("pbx/PBX0/APPS/websocket?geheim", "no scheme"),
        ("pbx?x=http://geheim", "no scheme"),
        ("pbx:", "the port"),
        ("pbx:0", "the port"),
        ("pbx:65536", "the port"),
        ("wss://pbx:+443/", "the port"),
        ("wss://pbx:\u0664\u0664\u0663/", "the port"),
        ("wss://pbx:geheim/", "the port"),
        ("wss://[2001:db8::1]:x/", "the port"),
        ("2001:db8::1", "brackets"),
        ("[pbx]", "no IPv6 address"),
        ("[fe80::1%eth0]", "no IPv6 address"),
        ("[2001:db8::1", "brackets"),
        ("wss://[::1]x/", "brackets"),
        ("wss:///x", "no valid host name"),
        ("://pbx", "no scheme"),
        ("wss://.pbx/", "no valid host name"),
        ("wss://a..b/", "no valid host name"),
        ("wss://" + "a" * 64 + "/", "no valid host name"),
        ("wss://pbx\\evil/", "no valid host name"),
        ("wss://pbx\uff0fevil/", "no valid host name"),
    ],
)
def test_url_that_cannot_be(url: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(url)
    text = str(caught.value)
    assert says in text
    assert "geheim" not in text and "\n" not in text and ". " not in text and not text.endswith(".")


PIECES = st.sampled_from([*"ab:/?#@[]%.\\;1 ", "ws://", "wss://", "\u00fc", "\uff0f", "\ud800", "\n"])


@given(st.lists(PIECES, max_size=8).map("".join))
def test_every_url_gives_an_endpoint_or_usage_error(url: str) -> None:
    try:
        endpoint = parse_url(url)
    except UsageError:
        return
    assert endpoint.resource.isascii() and endpoint.resource.startswith("/")
    assert parse_url(endpoint.url) == endpoint


@pytest.mark.parametrize("written", [PIN, PIN.upper(), ":".join(["ab"] * 32), ":".join(["AB"] * 32)])
def test_fingerprint_is_read_in_every_spelling(written: str) -> None:
    tls = TLSSettings(fingerprint=written)
    assert tls.fingerprint == PIN
    assert tls.verifies
    assert tls.context.verify_mode == ssl.CERT_NONE and not tls.context.check_hostname


@pytest.mark.parametrize("written", ["", "ab", "ab" * 20, "xy" * 32, "ab" * 33, "a:b" * 32, f" {PIN}", f"{PIN}\n", 7])
def test_fingerprint_that_cannot_be(written: str) -> None:
    with pytest.raises(UsageError, match="64 hex digits"):
        TLSSettings(fingerprint=written)


def test_fingerprint_accepts_only_its_certificate() -> None:
    tls = TLSSettings(fingerprint=hashlib.sha256(b"one").hexdigest())
    assert tls.accepts(b"one")
    assert not tls.accepts(b"two") and not tls.accepts(b"")
    assert TLSSettings(fingerprint=show_fingerprint(b"one")).accepts(b"one")


def test_default_verifies_chain_and_name() -> None:
    tls = TLSSettings()
    assert tls.verifies and tls.context.check_hostname and tls.context.verify_mode == ssl.CERT_REQUIRED


def test_verify_false_checks_nothing() -> None:
    tls = TLSSettings(verify=False)
    assert not tls.verifies and tls.context.verify_mode == ssl.CERT_NONE


def test_ca_file_replaces_the_system_authorities(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    assert len(TLSSettings(ca_file=str(tmp_path / "ca.pem")).context.get_ca_certs()) == 1


def test_ca_file_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        TLSSettings(ca_file=str(tmp_path / "none.pem"))


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_ca_file_is_no_pem(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ca.pem").write_bytes(content)
    with pytest.raises(UsageError, match="holds no certificate in PEM format"):
        TLSSettings(ca_file=str(tmp_path / "ca.pem"))


def test_ca_file_with_der(tmp_path: Path) -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    (tmp_path / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(pem))
    with pytest.raises(UsageError, match="holds no certificate in PEM format"):
        TLSSettings(ca_file=str(tmp_path / "ca.der"))


def test_ca_file_may_hold_an_issuer_that_is_not_the_root(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    assert TLSSettings(ca_file=str(tmp_path / "ca.pem")).context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN


def test_contradictory_settings() -> None:
    with pytest.raises(UsageError, match="only one"):
        TLSSettings(ca_file="ca.pem", fingerprint=PIN)
    with pytest.raises(UsageError, match="only one"):
        TLSSettings(verify=False, ca_file="ca.pem")
    with pytest.raises(UsageError, match="ca_file="):
        TLSSettings(verify="ca.pem")  # type: ignore[arg-type]


def test_certificate_settings_without_tls(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    plain = parse_url("ws://pbx/")
    TLSSettings().check_endpoint(plain)
    with pytest.raises(UsageError, match="fingerprint=.*wss://"):
        TLSSettings(fingerprint=PIN).check_endpoint(plain)
    with pytest.raises(UsageError, match="ca_file=.*wss://"):
        TLSSettings(ca_file=str(tmp_path / "ca.pem")).check_endpoint(plain)
    TLSSettings(fingerprint=PIN).check_endpoint(parse_url("wss://pbx/"))
