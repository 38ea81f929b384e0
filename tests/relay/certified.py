"""Certificates for tests: with exactly the extensions a test wants, good and bad ones."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from epsignal_sync.relay.endpoint import show_fingerprint


def fingerprint_of(pem: bytes) -> str:
    return show_fingerprint(ssl.PEM_cert_to_DER_cert(pem.decode()))


class Certified:
    """A certificate and its key; self-signed without ``issuer``. It has no other extensions than those given."""

    def __init__(
        self,
        issuer: Certified | None,
        *extensions: x509.ExtensionType,
        critical: Sequence[x509.ExtensionType] = (),
        days: tuple[int, int] = (-1, 1),
        key: ec.EllipticCurvePrivateKey | None = None,
        name: str | None = None,
    ) -> None:
        """``days``: from when to when it is valid, counted from now. ``name``: "device" with an issuer, else "issuer"."""
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name or ("device" if issuer else "issuer"))])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(self.name).issuer_name((issuer or self).name)
        builder = builder.public_key(self.key.public_key()).serial_number(7 if issuer else 8)
        builder = builder.not_valid_before(now + datetime.timedelta(days[0])).not_valid_after(now + datetime.timedelta(days[1]))
        for extension in (*extensions, *critical):
            builder = builder.add_extension(extension, critical=extension in critical)
        self.pem = builder.sign((issuer or self).key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.fingerprint = fingerprint_of(self.pem)

    def key_pem(self, password: bytes | None = None, *, traditional: bool = False) -> bytes:
        form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
        encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, form, encryption)

    def context(self, folder: Path) -> ssl.SSLContext:
        (folder / "both.pem").write_bytes(self.pem + self.key_pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "both.pem")
        return context
