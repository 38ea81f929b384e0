"""Where to connect, and which certificate to accept there: the URL and the TLS settings a program passes.

Judges both before anything is sent. Opens no socket and knows nothing of connecting, of time or of websockets; why a
connection failed is put in words in :mod:`.refusals`.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import os
import re
import ssl
import string
from urllib.parse import quote

import attrs

from ..errors import UsageError

DEFAULT_PORTS = {"ws": 80, "wss": 443}
DEFAULT_RESOURCE = "/PBX0/APPS/websocket"
EXAMPLE = f"wss://pbx.example.com{DEFAULT_RESOURCE}"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.ASCII)
_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::(.*))?")
_HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9a-f]{64}|([0-9a-f]{2}:){31}[0-9a-f]{2}", re.ASCII)
_REPLACEMENTS = {"http": "ws", "https": "wss"}
_CERTIFICATE = re.compile(rb"-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----")
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@attrs.frozen
class Endpoint:
    """The parts of a checked URL. ``url`` and ``resource`` may hold a secret in their query: never show them."""

    url: str = attrs.field(repr=False)
    scheme: str
    """``ws`` or ``wss``."""
    host: str
    """A name in its ASCII form, an IPv4 address, or an IPv6 address without brackets."""
    port: int
    resource: str = attrs.field(repr=False)
    """What stands in the request line: path and query."""

    @property
    def address(self) -> str:
        """``host:port`` as it stands in a URL."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def host_header(self) -> str:
        """The value of the HTTP header Host: without the port where it is the usual one."""
        return _bracketed(self.host) if self.port == DEFAULT_PORTS[self.scheme] else self.address

    @property
    def path(self) -> str:
        """The resource without its query: what may be shown."""
        return self.resource.partition("?")[0]


def parse_url(url: str) -> Endpoint:
    """Return the parts of ``url``: a ``ws://`` or ``wss://`` URL, or a bare host with or without a port.

    Raises UsageError. Its text names no query and no user info, since either may hold a secret. Does not block.
    """
    if not isinstance(url, str) or not url:
        raise UsageError(f"the URL of the PBX is empty or no text: pass one such as {EXAMPLE}")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise UsageError("the URL of the PBX holds white space or a control character: remove it")
    scheme, authority, resource = _split(url)
    host, port = _split_authority(authority)
    if scheme not in DEFAULT_PORTS:
        instead = _REPLACEMENTS.get(scheme, "wss")
        shown = f"{authority}{resource.partition('?')[0]}"
        raise UsageError(f"{scheme}:// is not the scheme of a websocket: write {instead}://{shown} instead")
    port = port or DEFAULT_PORTS[scheme]
    # A request line is ASCII; what is ASCII already stays as the program wrote it.
    resource = quote(resource, safe=string.punctuation)
    default = port == DEFAULT_PORTS[scheme]
    return Endpoint(f"{scheme}://{_bracketed(host)}{'' if default else f':{port}'}{resource}", scheme, host, port, resource)


def _split(url: str) -> tuple[str, str, str]:
    """Return scheme, authority and resource, the scheme in lower case."""
    if match := _SCHEME.fullmatch(url):
        scheme, rest = match[1].lower(), match[2]
        end = re.search(r"[/?#]|$", rest)
        assert end is not None
        authority, resource = rest[: end.start()], rest[end.start() :]
        if not resource.startswith("/"):
            resource = f"/{resource}"
    else:
        scheme, authority, resource = "wss", url, DEFAULT_RESOURCE
    if "@" in authority:
        raise UsageError("the URL of the PBX holds a user or a password before an @: remove it, connect() takes the password as password=")
    if "#" in resource:
        raise UsageError("the URL of the PBX holds a fragment, which a websocket does not have: remove the # and what follows it")
    if "/" in authority or "?" in authority:
        raise UsageError(f"the URL of the PBX has a path but no scheme: put wss:// in front of it, as in {EXAMPLE}")
    return scheme, authority, resource


def _split_authority(authority: str) -> tuple[str, int | None]:
    if match := _BRACKETED.fullmatch(authority):
        return _ipv6_address(match[1]), _port(match[2])
    host, colon, port = authority.partition(":")
    if ":" in port:
        raise UsageError("the host in the URL of the PBX looks like an IPv6 address: put it in brackets, as in wss://[2001:db8::1]/")
    return _host_name(host), _port(port if colon else None)


def _ipv6_address(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        address = None
    # A zone (fe80::1%eth0) is valid on one machine alone and in no certificate and no Host header.
    if address is None or "%" in text:
        raise UsageError("what the URL of the PBX has in brackets is no IPv6 address (or one with a zone): write one such as [2001:db8::1]")
    return str(address)


def _host_name(host: str) -> str:
    try:
        ascii_host = host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii_host = ""
    if not _HOST_NAME.fullmatch(ascii_host):
        raise UsageError(f"the URL of the PBX has no valid host name: write one such as {EXAMPLE}")
    return ascii_host


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise UsageError("the port in the URL of the PBX is not a number from 1 to 65535: correct it or leave it out")
    return int(text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class TLSSettings:
    """Which certificate is accepted, and which one is shown; built once, used by every connection.

    Accepted is one of four: what the system's authorities signed (nothing given), or those in the PEM file ``ca_file``,
    only the certificate with the SHA-256 ``fingerprint`` (hex, with or without colons; the chain and the name are not
    looked at), or any at all (``verify=False``). Where the server asks who we are, it gets the certificate in the PEM file
    ``client_certificate``, whose key is in ``client_key`` or in the same file, and not encrypted. Raises UsageError. Reads
    files, does not touch the network.
    """

    def __init__(
        self,
        verify: bool = True,
        ca_file: str | None = None,
        fingerprint: str | None = None,
        client_certificate: str | None = None,
        client_key: str | None = None,
    ) -> None:
        if not isinstance(verify, bool):
            raise UsageError("verify= is True or False: the name of a file with certificates goes into ca_file=")
        if ca_file is not None and fingerprint is not None:
            raise UsageError("fingerprint= is checked instead of the authorities in ca_file=: pass only one of them")
        if ca_file is not None and not verify:
            raise UsageError("verify=False checks nothing, so ca_file= would not be used: pass only one of them")
        if client_key is not None and client_certificate is None:
            raise UsageError("client_key= is the key of a client certificate: pass that as client_certificate=")
        self.ca_file = ca_file
        self.fingerprint = None if fingerprint is None else _parse_fingerprint(fingerprint)
        self.verifies = verify or self.fingerprint is not None
        self.client_certificate = client_certificate
        if client_certificate is not None:
            _load_client_certificate(self.context, client_certificate, client_key)
        elif ca_file is not None:
            self.context  # noqa: B018  # raises here rather than amid the connecting

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        """What to wrap a socket with. Made when it is needed: reading the system's certificates takes 50 ms, and ws:// has none."""
        return _verifying_context(self.ca_file) if self.verifies and not self.fingerprint else unverified_context()

    def check_endpoint(self, endpoint: Endpoint) -> None:
        """Raise UsageError if a certificate was asked for where there is none. Does not block."""
        options = {"fingerprint": self.fingerprint, "ca_file": self.ca_file, "client_certificate": self.client_certificate}
        for option, value in options.items():
            if endpoint.scheme == "ws" and value is not None:
                raise UsageError(f"{option}= has no use on ws://, which knows no certificates: write wss:// instead")

    def accepts(self, certificate: bytes) -> bool:
        """Whether ``certificate`` (DER) has the fingerprint asked for; True if none was."""
        if self.fingerprint is None:
            return True
        return hmac.compare_digest(hashlib.sha256(certificate).hexdigest(), self.fingerprint)


def show_fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of ``certificate`` (DER) as people compare it: upper case with colons."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def unverified_context() -> ssl.SSLContext:
    """Return a context that accepts any certificate."""
    # Not create_default_context(): that reads all of the system's certificates, 50 ms for nothing.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _verifying_context(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise UsageError(f"ca_file={ca_file!r} holds no certificate in PEM format: convert it or name another file") from error
    except (OSError, ValueError, TypeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"ca_file={ca_file!r} cannot be read ({why}): name a file with certificates in PEM format") from error
    if ca_file is not None:
        # Python 3.13 does so by itself: whoever names a certificate trusts it, be it the root of its chain or not.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class _EncryptedKey(Exception):
    """Raised where OpenSSL would ask on the terminal for the password of a key."""


def _load_client_certificate(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    """Give ``context`` the certificate it shows when it is asked for one, or raise UsageError."""
    key_option = "client_certificate" if key is None else "client_key"
    key_file = certificate if key is None else key
    if not _pem_file_has(_CERTIFICATE, "client_certificate", certificate):
        raise UsageError(f"client_certificate={certificate!r} holds no certificate in PEM format: convert it or name another file")
    if not _pem_file_has(_PRIVATE_KEY, key_option, key_file):
        elsewhere = ", or name the file with the key as client_key=" if key is None else ""
        raise UsageError(f"{key_option}={key_file!r} holds no private key in PEM format: convert it or name another file{elsewhere}")
    try:
        context.load_cert_chain(certificate, key, password=_refuse_to_ask)
    except _EncryptedKey:
        raise UsageError(
            f"the private key in {key_option}={key_file!r} is encrypted, and nobody can be asked for its password here: decrypt it "
            "with 'openssl pkey' into a file that only this program's user may read"
        ) from None
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        # A key of another kind, such as RSA beside a certificate for an elliptic curve, leaves OpenSSL without a certificate.
        if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            text = f"the private key in {key_option}={key_file!r} does not belong to client_certificate={certificate!r}: name the right one"
        else:
            words = (reason or "what it holds is damaged").lower().replace("_", " ")
            text = f"client_certificate={certificate!r} cannot be used with the key in {key_file!r} ({words}): name another file"
        raise UsageError(text) from error


def _refuse_to_ask() -> str:
    raise _EncryptedKey


def _pem_file_has(pattern: re.Pattern[bytes], option: str, path: str) -> bool:
    # In a function of its own: a traceback that shows local variables must not show a key.
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise UsageError(f"{option}= takes the name of a file in PEM format, not {path!r:.80}")
    try:
        with open(path, "rb") as file:
            return pattern.search(file.read()) is not None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{option}={path!r} cannot be read ({why}): name a file in PEM format") from error


def _parse_fingerprint(fingerprint: str) -> str:
    if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint.lower()):
        raise UsageError("fingerprint= is not a SHA-256 fingerprint: it has 64 hex digits, with or without colons between the pairs")
    return fingerprint.lower().replace(":", "")
