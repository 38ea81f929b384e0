"""What is read of a certificate, against what the library cryptography reads of it, and that nothing but ValueError comes of nonsense."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl

import hypothesis
import hypothesis.strategies as st
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from epsignal_sync.relay.certificate import read_certificate

from .certified import Certified

KEY = ec.generate_private_key(ec.SECP256R1())
UTC = datetime.timezone.utc


def der(subject: x509.Name, issuer: x509.Name, begin: datetime.datetime, end: datetime.datetime, *names: x509.GeneralName) -> bytes:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(KEY.public_key()).serial_number(7)
    builder = builder.not_valid_before(begin).not_valid_after(end)
    if names:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def name(*parts: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


FACTORY = name((NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "innovaphone ÄG"), (NameOID.COMMON_NAME, "009033400001"))
ISSUER = name((NameOID.COMMON_NAME, "Device CA"), (NameOID.EMAIL_ADDRESS, "ca@example.com"))
BEGIN, END = datetime.datetime(1999, 12, 31, 23, 59, 58, tzinfo=UTC), datetime.datetime(2150, 2, 28, tzinfo=UTC)
NAMES = (
    x509.DNSName("pbx.example.com"), x509.RFC822Name("a@example.com"), x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
    x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
)  # fmt: skip


def test_all_of_a_certificate() -> None:
    found = read_certificate(der(FACTORY, ISSUER, BEGIN, END, *NAMES))
    assert found.subject == "C=DE, O=innovaphone ÄG, CN=009033400001"
    assert found.issuer == "CN=Device CA, #2a864886f70d010901=ca@example.com"
    assert (found.not_before, found.not_after) == (BEGIN, END)  # the second one is beyond what the short form can say
    assert found.names == ("pbx.example.com", "192.0.2.1", "2001:db8::1")


def test_a_certificate_without_names() -> None:
    found = read_certificate(der(name(), ISSUER, BEGIN, END))
    assert (found.subject, found.names) == ("", ())


def test_texts_of_other_encodings() -> None:
    text = x509.NameAttribute(NameOID.COMMON_NAME, "Zoë", _type=x509.name._ASN1Type.BMPString)
    assert read_certificate(der(x509.Name([text]), ISSUER, BEGIN, END)).subject == "CN=Zoë"


def test_a_self_signed_one() -> None:
    found = read_certificate(ssl.PEM_cert_to_DER_cert(Certified(None, name="x" * 60).pem.decode()))
    assert found.subject == found.issuer == f"CN={'x' * 60}"


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x80", b"\x30\x85\x01\x01\x01\x01\x01", b"\x30\x03\x30\x01\x00", b"\x31\x00", bytes(64)]
)
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_certificate(data)


WHOLE = der(FACTORY, ISSUER, BEGIN, END, *NAMES)


def test_one_that_is_cut_anywhere() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(ValueError):
            read_certificate(WHOLE[:length])


def test_an_address_of_a_strange_length_is_left_out() -> None:
    assert WHOLE.count(b"\x82\x0fpbx.example.com") == 1
    strange = WHOLE.replace(b"\x82\x0fpbx.example.com", b"\x87\x0fpbx.example.com")
    assert read_certificate(strange).names == ("192.0.2.1", "2001:db8::1")


@hypothesis.given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 400))
def test_a_damaged_one_is_read_or_refused(changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(WHOLE)
    for position, byte in changes:
        damaged[position] = byte
    for data in (bytes(damaged), bytes(damaged[: len(damaged) - cut])):
        with contextlib.suppress(ValueError):
            read_certificate(data)
