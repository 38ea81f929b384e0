"""Which certificates of a server are taken and which are refused, on each version of Python, and what the refusal says."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import epsignal_sync as eps
from epsignal_sync.deadline import Deadline
from epsignal_sync.relay.endpoint import TLSSettings, parse_url
from epsignal_sync.relay.opening import open_websocket
from epsignal_sync.relay.wakeup import Wakeup
from epsignal_sync.simulator import SimulatedPBX

from .certified import Certified
from .serving import LONG, Server, upgrading

STRICT = sys.version_info >= (3, 13)
PASSWORD = "geheim"
TAKEN = ""
RULE = "breaks a rule that Python 3.13 and newer enforce while 3.12 takes such a certificate"

KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
IS_CA = x509.BasicConstraints(ca=True, path_length=None)
NAMES = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
OTHER_NAMES = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("192.0.2.1")), x509.DNSName("pbx.example.com")])


def usage(*, issuing: bool) -> x509.KeyUsage:
    no = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    return x509.KeyUsage(
        digital_signature=not issuing, key_cert_sign=issuing, crl_sign=issuing, encipher_only=False, decipher_only=False, **no
    )


SIGNS = usage(issuing=True)
KEY_ID = x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())
ISSUER_ID = x509.AuthorityKeyIdentifier.from_issuer_public_key(KEY.public_key())
GOOD_CA = Certified(None, KEY_ID, critical=[IS_CA, SIGNS], key=KEY)
MIDDLE_ID = x509.SubjectKeyIdentifier.from_public_key(OTHER_KEY.public_key())
MIDDLE_CA = Certified(GOOD_CA, MIDDLE_ID, ISSUER_ID, critical=[IS_CA, SIGNS], key=OTHER_KEY, name="middle")
SELF_SIGNED = Certified(None, NAMES, name="pbx")
OLD_CA = Certified(None, KEY_ID, critical=[IS_CA, SIGNS], key=KEY, days=(-9, -1))


def device_of(*issuer_extensions: x509.ExtensionType, critical: list[x509.ExtensionType]) -> tuple[Certified, Certified]:
    issuer = Certified(None, *issuer_extensions, critical=critical, key=KEY)
    return issuer, Certified(issuer, NAMES, ISSUER_ID)


# What stands in ca_file and what the server shows; what becomes of it up to Python 3.12, and from 3.13 on.
CASES: dict[str, tuple[Certified, Certified, str, str]] = {
    "good": (GOOD_CA, Certified(GOOD_CA, NAMES, ISSUER_ID), TAKEN, TAKEN),
    "issuer that is not the root": (MIDDLE_CA, Certified(MIDDLE_CA, NAMES, x509.AuthorityKeyIdentifier.from_issuer_public_key(
        OTHER_KEY.public_key())), TAKEN, TAKEN),
    "the self-signed one itself": (SELF_SIGNED, SELF_SIGNED, TAKEN, TAKEN),
    "self-signed": (GOOD_CA, SELF_SIGNED, "is self-signed", "is self-signed"),
    "unknown issuer": (SELF_SIGNED, Certified(GOOD_CA, NAMES, ISSUER_ID), "an issuer that is not among", "an issuer that is not among"),
    "expired": (GOOD_CA, Certified(GOOD_CA, NAMES, ISSUER_ID, days=(-9, -1)), "has expired", "has expired"),
    "issuer expired": (OLD_CA, Certified(OLD_CA, NAMES, ISSUER_ID), "(or that of its issuer)", "(or that of its issuer)"),
    "not valid yet": (GOOD_CA, Certified(GOOD_CA, NAMES, ISSUER_ID, days=(1, 9)), "is not valid yet", "is not valid yet"),
    "wrong address": (GOOD_CA, Certified(GOOD_CA, OTHER_NAMES, ISSUER_ID), "another IP address", "another IP address"),
    "no names": (GOOD_CA, Certified(GOOD_CA, ISSUER_ID), "another IP address", "another IP address"),
    "issuer that is none": (*device_of(KEY_ID, critical=[x509.BasicConstraints(ca=False, path_length=None)]),
        "none for issuing others", "none for issuing others"),
    "issuer whose key may not sign": (*device_of(KEY_ID, critical=[IS_CA, usage(issuing=False)]),
        "none for issuing others", "none for issuing others"),
    "issuer without basic constraints": (*device_of(KEY_ID, critical=[SIGNS]), TAKEN, "none for issuing others"),
    "no authority key identifier": (GOOD_CA, Certified(GOOD_CA, NAMES), TAKEN, f"{RULE} (Missing Authority Key Identifier)"),
    "issuer without key usage": (*device_of(KEY_ID, critical=[IS_CA]), TAKEN, f"{RULE} (CA cert does not include key usage"),
    "issuer without subject key identifier": (*device_of(critical=[IS_CA, SIGNS]), TAKEN, f"{RULE} (Missing Subject Key Identifier)"),
    "issuer's basic constraints not critical": (*device_of(IS_CA, KEY_ID, critical=[SIGNS]), TAKEN, f"{RULE} (Basic Constraints of CA"),
}  # fmt: skip
REMEDIES = {
    "self-signed": "or ca_file= with the certificate of its issuer", "unknown issuer": "or ca_file= with the certificate of its issuer",
    "expired": "renew it on the PBX if the clock of this computer is right (NTP)", "not valid yet": "set the clock of this computer (NTP)",
    "wrong address": "for which it was made", "no authority key identifier": "give the PBX a certificate without that fault",
}  # fmt: skip


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()


def refusal(server: Server, wakeup: Wakeup, tls: TLSSettings, host: str = "127.0.0.1") -> str:
    """Return what an attempt to connect says; nothing if it succeeds."""
    try:
        open_websocket(parse_url(f"wss://{host}:{server.port}/x?{PASSWORD}"), tls, Deadline(LONG), wakeup)[0].close()
    except eps.ConnectError as error:
        text = str(error)
        assert text and ". " not in text and "\n" not in text and PASSWORD not in text
        return text
    return TAKEN


@pytest.mark.parametrize("case", CASES)
def test_certificate(case: str, wakeup: Wakeup, tmp_path: Path) -> None:
    trusted, shown, before, since = CASES[case]
    expected = since if STRICT else before
    (tmp_path / "ca.pem").write_bytes(trusted.pem)
    requests: list[bytes] = []
    with Server(upgrading(requests=requests), shown.context(tmp_path)) as server:
        text = refusal(server, wakeup, TLSSettings(ca_file=str(tmp_path / "ca.pem")))
        if expected == TAKEN:
            assert text == TAKEN
        else:
            assert expected in text and f"fingerprint='{shown.fingerprint}' once you compared it" in text
            assert text.endswith("or as the last resort verify=False") and REMEDIES.get(case, "") in text
            assert not requests, "the request was sent to a server whose certificate was refused"
        # What the sentence says is true: the pin and, last, verify=False help against each of them.
        assert refusal(server, wakeup, TLSSettings(fingerprint=shown.fingerprint)) == TAKEN
        assert refusal(server, wakeup, TLSSettings(verify=False)) == TAKEN


def test_certificate_for_another_name(wakeup: Wakeup, tmp_path: Path) -> None:
    shown = Certified(GOOD_CA, OTHER_NAMES, ISSUER_ID)
    (tmp_path / "ca.pem").write_bytes(GOOD_CA.pem)
    with Server(upgrading(), shown.context(tmp_path)) as server:
        text = refusal(server, wakeup, TLSSettings(ca_file=str(tmp_path / "ca.pem")), "localhost")
        assert "another host name" in text and "write that name in the URL" in text and shown.fingerprint in text


@pytest.mark.parametrize("shown", [SELF_SIGNED, CASES["expired"][1], CASES["good"][1]], ids=["self-signed", "expired", "good"])
def test_wrong_pin(shown: Certified, tmp_path: Path) -> None:
    requests: list[bytes] = []
    with Server(upgrading(requests=requests), shown.context(tmp_path)) as server:
        with pytest.raises(eps.ConnectError) as caught:
            url = f"wss://127.0.0.1:{server.port}/x?{PASSWORD}"
            eps.connect(url, app="phones", password=PASSWORD, fingerprint=GOOD_CA.fingerprint, timeout=LONG)
    text = str(caught.value)
    assert f"has the fingerprint {shown.fingerprint} and not the one given" in text and "somebody may be in between" in text
    assert PASSWORD not in text and not requests


def test_pin_that_comes_to_an_expired_certificate_of_a_live_pbx(tmp_path: Path) -> None:
    shown = Certified(None, days=(-9, -1))
    with SimulatedPBX(ssl_context=shown.context(tmp_path)) as pbx:
        pbx.add_app("phones", password=PASSWORD)
        with eps.connect(pbx.url, app="phones", password=PASSWORD, fingerprint=shown.fingerprint, timeout=LONG) as client:
            assert client.connected
