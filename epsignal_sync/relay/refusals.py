"""Why a TLS connection was refused, by us or by the server, in words that say what to do.

Knows the numbers and names of OpenSSL; makes no connection and decides nothing.
"""

from __future__ import annotations

import ssl

from .endpoint import Endpoint, TLSSettings, show_fingerprint


def certificate_refused(error: ssl.SSLCertVerificationError, endpoint: Endpoint, tls: TLSSettings, certificate: bytes | None) -> str:
    """Say why the server's certificate was refused; ``certificate`` (DER) is the one it showed, if that is known."""
    what, remedy = why_refused(error, tls)
    pin = "fingerprint= with its SHA-256"
    if certificate:
        pin = f"fingerprint={show_fingerprint(certificate)!r} once you compared it with the PBX's own"
    advice = remedy.format(pin=pin)
    return f"the certificate of {endpoint.address} was refused because it {what}: {advice}, or as the last resort verify=False"


def why_refused(error: ssl.SSLCertVerificationError, tls: TLSSettings) -> tuple[str, str]:
    """Return what is wrong with a certificate, to follow "it", and what to do, with a place for the pin."""
    if error.verify_code in _STRICT_COMPLAINTS and tls.context.verify_flags & ssl.VERIFY_X509_STRICT:
        rule = "breaks a rule that Python 3.13 and newer enforce while 3.12 takes such a certificate"
        return f"{rule} ({error.verify_message})", _TRUST_ANOTHER
    return _REASONS.get(error.verify_code, (f"did not pass the check ({error.verify_message})", _TRUST))


def wrong_fingerprint(endpoint: Endpoint, certificate: bytes) -> str:
    """Say that the server's certificate (DER) is not the one asked for."""
    return (
        f"the certificate of {endpoint.address} has the fingerprint {show_fingerprint(certificate)} and not the one "
        "given: pass it as fingerprint= if the PBX itself shows the same one, else somebody may be in between"
    )


def client_certificate_refused(error: OSError, endpoint: Endpoint, tls: TLSSettings) -> str | None:
    """Say what the server has against our certificate, or that it wants one; None where ``error`` is about something else.

    With TLS 1.3 that comes only after the handshake (RFC 8446, section 4.4.2.4).
    """
    why = _CLIENT_ALERTS.get(getattr(error, "reason", None) or "")
    if why is None:
        return None
    if tls.client_certificate is None:
        return f"{endpoint.address} demands a client certificate: pass the PEM file with one that it trusts as client_certificate="
    return (
        f"{endpoint.address} refused the certificate in client_certificate={tls.client_certificate!r} ({why}): pass one that the PBX "
        "trusts and that is valid by its clock"
    )


def handshake_failure(error: OSError, endpoint: Endpoint, tls: TLSSettings) -> str:
    """Say in one sentence why there is no TLS connection, for all but a refused certificate of the server."""
    if about_ours := client_certificate_refused(error, endpoint, tls):
        return about_ours
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS_HERE:
        return f"{endpoint.address} does not speak TLS: write ws:// for this port, or the port of the PBX's TLS service"
    if reason in _NO_COMMON_VERSION:
        return f"{endpoint.address} speaks only TLS versions that this Python refuses: allow TLS 1.2 or newer on the PBX"
    if isinstance(error, (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)) or reason == "UNEXPECTED_EOF_WHILE_READING":
        return (
            f"{endpoint.address} closed the connection in the TLS handshake: check that this is the port of the PBX's TLS service "
            "(a port without TLS needs ws://)"
        )
    # All that a server without TLS 1.3 says when it gets no certificate.
    hint = ", and pass client_certificate= if it demands one" if tls.client_certificate is None else ""
    return f"the TLS handshake with {endpoint.address} failed ({error_text(error)}): check the PBX's TLS settings and certificate{hint}"


def error_text(error: object) -> str:
    """Return the words of an error without its numbers and source lines."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


_NO_TLS_HERE = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
_NO_COMMON_VERSION = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"}
# The server's alerts that are about the client's certificate (RFC 8446, section 6.2), by OpenSSL's names.
_CLIENT_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it was not shown one",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it is damaged, or not one for clients",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "its kind is not supported there",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it was revoked",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it has expired or is not valid yet",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it was not accepted",
    "TLSV1_ALERT_UNKNOWN_CA": "its issuer is not trusted there",
    "TLSV1_ALERT_ACCESS_DENIED": "whoever it names may not connect",
}

# What to do instead of a last resort, which is the same for all.
_TRUST = "pass {pin}, or ca_file= with the certificate of its issuer"
_TRUST_ANOTHER = "pass {pin}, or give the PBX a certificate without that fault"
_UNKNOWN_ISSUER = ("comes from an issuer that is not among the trusted ones", _TRUST)
# The numbers are OpenSSL's X509_V_ERR_*, which the ssl module hands on without names.
_STRICT_COMPLAINTS = range(80, 95)
_REASONS = {
    2: _UNKNOWN_ISSUER,
    9: ("is not valid yet", "set the clock of this computer (NTP), or pass {pin}"),
    10: ("has expired (or that of its issuer)", "renew it on the PBX if the clock of this computer is right (NTP), or pass {pin}"),
    18: ("is self-signed and not among the trusted ones", _TRUST),
    19: _UNKNOWN_ISSUER,
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    62: ("was made for another host name", "write that name in the URL if it leads to the PBX, or pass {pin}"),
    64: ("was made for another IP address", "write the name or address in the URL for which it was made, or pass {pin}"),
    66: ("has a key that is too short to be safe", _TRUST_ANOTHER),
    67: ("comes from an issuer with a key that is too short to be safe", _TRUST_ANOTHER),
    68: ("is signed in a way that is not safe any more", _TRUST_ANOTHER),
    79: ("comes from an issuer whose certificate is none for issuing others", _TRUST_ANOTHER),
}
