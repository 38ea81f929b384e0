from __future__ import annotations

import enum
import hashlib
import json
from types import MappingProxyType
from typing import Any

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.protocol.digest import LARGEST_SAFE_INTEGER, info_text, login_digest


class Number(enum.IntEnum):
    ONE = 1


CHALLENGE, PASSWORD = "0123456789abcdef", "pwd"


@pytest.mark.parametrize(
    ("fields", "digest"),
    [
        ({"app": "pbxadminapi"}, "a205299ed2ef2786c311e0be1b14db343f2cadd906a6ae7b564eee34bda5e9a1"),
        ({"app": "pbxadminapi", "info": {}}, "57b23fe824b9222a7ac879597cb509bcdc865a1bfeb057d9d12118cef0c3ba34"),
        ({"app": "pbxadminapi", "info": {"cn": "Test User"}}, "96db3c3f657230c2b68194becc6d2a77f05de9f79f01fc81e9ca0fb196b10d9d"),
        ({"sip": "alice"}, "b5f4c0a69dbc2f6d71e1e633165d16697ac6339783441c3c0815a0b487e1c42e"),
    ],
)
def test_published_vectors(fields: dict[str, Any], digest: str) -> None:
    assert login_digest(CHALLENGE, PASSWORD, **fields) == digest


def test_order_of_the_parts() -> None:
    digest = login_digest("challenge", "password", app="app", domain="domain", sip="sip", guid="guid", dn="dn", info={"a": 1})
    assert digest == hashlib.sha256(b'app:domain:sip:guid:dn:{"a":1}:challenge:password').hexdigest()


def test_info_is_hashed_as_utf8() -> None:
    expected = hashlib.sha256('a:::::{"cn":"J\u00fcrgen R&D <Lab> \U0001f4de"}:c:p\u00e4ss'.encode()).hexdigest()
    assert login_digest("c", "p\u00e4ss", app="a", info={"cn": "J\u00fcrgen R&D <Lab> \U0001f4de"}) == expected


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ({}, "{}"),
        ({"cn": "R&D <Lab>"}, '{"cn":"R&D <Lab>"}'),
        ({"b": 1, "a": [True, False, None, -7]}, '{"b":1,"a":[true,false,null,-7]}'),
        ({"t": (1, {"x": []})}, '{"t":[1,{"x":[]}]}'),
        ({"s": 'a/b"c\\d'}, '{"s":"a/b\\"c\\\\d"}'),
        ({"s": "\b\t\n\f\r\x00\x1f\x7f"}, '{"s":"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f"}'),
        ({"s": "\u2028\u2029\u00fc\U0001f4de"}, '{"s":"\u2028\u2029\u00fc\U0001f4de"}'),
        ({"n": LARGEST_SAFE_INTEGER, "m": -LARGEST_SAFE_INTEGER}, '{"n":9007199254740991,"m":-9007199254740991}'),
        ({"e": Number.ONE}, '{"e":1}'),
    ],
)
def test_text_is_that_of_json_stringify(info: dict[str, Any], text: str) -> None:
    assert info_text(info) == text
    assert json.loads(text) == json.loads(json.dumps(info))


def endless() -> dict[str, Any]:
    info: dict[str, Any] = {}
    info["self"] = info
    return info


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"a": [{"b": 1.0}]}, r"info\.a\[0\]\.b is a float"),
        ({"a": float("nan")}, "is a float"),
        ({"a": 2**53}, "JavaScript"),
        ({"a": -(2**53)}, "JavaScript"),
        ({"a": "\ud800"}, "lone surrogate"),
        ({"a": ["\udfff"]}, "lone surrogate"),
        ({"\ud800": 1}, "lone surrogate"),
        ({1: 2}, "the key 1"),
        ({"a": {None: 1}}, "the key None"),
        ({"a": b"x"}, "is a bytes"),
        ({"a": {1, 2}}, "is a set"),
        (MappingProxyType({}), "is a mappingproxy"),
        (endless(), "nested too deeply"),
    ],
)
def test_info_whose_text_is_not_certain(info: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        login_digest(CHALLENGE, PASSWORD, info=info)


def test_lone_surrogate_in_a_challenge_does_not_raise() -> None:
    assert len(login_digest("\ud800", PASSWORD)) == 64


def test_password_is_in_no_error() -> None:
    with pytest.raises(UsageError) as caught:
        login_digest(CHALLENGE, "geheim", info={"a": 1.5})
    assert "geheim" not in str(caught.value)
