"""What stands in an X.509 certificate that nobody has checked yet: for whom, from whom, from when to when (RFC 5280).

Pure: gets DER bytes and reads just that. Knows neither keys nor signatures, and judges nothing; :mod:`ssl` shows these only of
a certificate that it trusts.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Iterator

from attrs import frozen

_SEQUENCE, _INTEGER, _OBJECT_ID, _OCTETS = 0x30, 0x02, 0x06, 0x04
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")
_LONGEST_LENGTH = 4
"""Bytes of a length; a certificate of more than 4 GiB does not exist."""

_TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_ATTRIBUTES = {3: "CN", 5: "serialNumber", 6: "C", 7: "L", 8: "ST", 10: "O", 11: "OU"}
"""The last number of the object ids 2.5.4.x (RFC 4519) that factory certificates use."""
_ATTRIBUTE_TYPE = bytes.fromhex("5504")
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_TIME = re.compile(rb"(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z")


@frozen
class Certificate:
    """The readable part of a certificate. All texts are the server's own: make them harmless before they are shown."""

    subject: str
    """As ``CN=..., O=...``, in the order in which it stands there."""
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    names: tuple[str, ...]
    """The DNS names and IP addresses of the extension subjectAltName."""


def read_certificate(der: bytes) -> Certificate:
    """Return what stands in a certificate. Raises ValueError for what is none. Does not block."""
    (outer, certificate), *_ = _elements(der)
    fields = list(_elements(_first(certificate, _SEQUENCE) if outer == _SEQUENCE else b""))
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    # Serial number, algorithm, issuer, validity, subject, key; the extensions follow somewhere (RFC 5280, section 4.1).
    if len(fields) < 6 or [tag for tag, _ in fields[:6]] != [_INTEGER, *[_SEQUENCE] * 5]:
        raise ValueError("the fields of a certificate are not there")
    begin, end = (_time(tag, content) for tag, content in _pair(fields[3][1]))
    names = [name for tag, content in fields[6:] if tag == _EXTENSIONS for name in _alternative_names(content)]
    return Certificate(_name(fields[4][1]), _name(fields[2][1]), begin, end, tuple(names))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) of what stands one after the other in ``data`` (X.690, DER)."""
    position = 0
    while position < len(data):
        if position + 2 > len(data):
            raise ValueError("it ends in the middle of an element")
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= _LONGEST_LENGTH or position + count > len(data):
                raise ValueError("the length of an element is not valid")
            length = int.from_bytes(data[position : position + count], "big")
            position += count
        if position + length > len(data):
            raise ValueError("it ends in the middle of an element")
        yield tag, data[position : position + length]
        position += length


def _first(data: bytes, wanted: int) -> bytes:
    """Return the content of the first element in ``data``, which has to have the tag ``wanted``."""
    for tag, content in _elements(data):
        if tag == wanted:
            return content
        break
    raise ValueError(f"an element with the tag {wanted} is missing")


def _pair(data: bytes) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    elements = list(_elements(data))
    if len(elements) != 2:
        raise ValueError("two elements were expected")
    return elements[0], elements[1]


def _name(data: bytes) -> str:
    parts = []
    for _, parallel in _elements(data):
        for _, attribute in _elements(parallel):
            (tag, kind), (text_tag, text) = _pair(attribute)
            if tag != _OBJECT_ID:
                raise ValueError("an attribute of a name has no type")
            parts.append(f"{_attribute(kind)}={text.decode(_TEXTS.get(text_tag, 'latin-1'), 'replace')}")
    return ", ".join(parts)


def _attribute(kind: bytes) -> str:
    known = _ATTRIBUTES.get(kind[2]) if len(kind) == 3 and kind.startswith(_ATTRIBUTE_TYPE) else None
    return known or f"#{kind.hex()}"


def _time(tag: int, content: bytes) -> datetime.datetime:
    match = _TIME.fullmatch(content)
    if not match or len(match[1]) != {_UTC_TIME: 2, _GENERALIZED_TIME: 4}.get(tag):
        raise ValueError("a time of its validity is not valid")
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    if tag == _UTC_TIME:
        year += 2000 if year < 50 else 1900  # RFC 5280, section 4.1.2.5.1
    # ValueError for the 31st of February
    return datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc)


def _alternative_names(extensions: bytes) -> Iterator[str]:
    for _, extension in _elements(_first(extensions, _SEQUENCE)):
        parts = list(_elements(extension))
        if not parts or parts[0] != (_OBJECT_ID, _SUBJECT_ALT_NAME) or parts[-1][0] != _OCTETS:
            continue
        for tag, content in _elements(_first(parts[-1][1], _SEQUENCE)):
            if tag == _DNS_NAME:
                yield content.decode("ascii", "replace")
            elif tag == _IP_ADDRESS and len(content) in (4, 16):
                yield str(ipaddress.ip_address(content))
