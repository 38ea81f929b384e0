from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epsignal_sync.messages.record import JSONObject
from epsignal_sync.protocol import jsontext
from epsignal_sync.protocol.codec import decode
from epsignal_sync.protocol.jsontext import UNCERTAIN_NUMBER, ExactNumber, dumps, loads, loads_exact

from ..messages.strategies import json_values


@pytest.fixture(params=["orjson", "json"], autouse=True, scope="module")
def reader(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs with the fast reader of the extra `speed` and without it."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            patch.setattr(jsontext, "orjson", None)
        yield request.param


@settings(max_examples=60)
@given(st.dictionaries(st.text(), json_values))
def test_both_readers_read_the_same(data: JSONObject) -> None:
    for text in (json.dumps(data), json.dumps(data, ensure_ascii=False, indent=1)):
        assert loads_exact(text.encode("utf-8")) == data


@pytest.mark.parametrize("number", ["0", "-1", "9007199254740993", "18446744073709551617", "-18446744073709551617", "-" + "9" * 400])
@pytest.mark.parametrize("shape", ["{{\"a\":{}}}", "{{\"a\":[1,{}]}}", "{{\"a\": {} }}", "{{\"s\":\"\\\"{0}\",\"a\":\n{0}}}"])
def test_integers_keep_every_digit(number: str, shape: str) -> None:
    value = loads_exact(shape.format(number).encode())["a"]
    read = value[1] if isinstance(value, list) else value
    assert type(read) is int and str(read) == number


@pytest.mark.parametrize("number", ["1.5", "0.1", "-0.0", "123456789.12345678"])
def test_fractions_are_read_as_floats(number: str) -> None:
    assert loads_exact(f'{{"a":{number}}}'.encode()) == loads(f'{{"a":{number}}}'.encode()) == {"a": float(number)}


@pytest.mark.parametrize(
    "number",
    ["1.10", "1e400", "-1E+400", "1e99999999999999999999", "0.1000000000000000055", "1E5", "1e-999", "-0", "-0e1", "9" * 5000,
     "18446744073709551616", "-9223372036854775809", "0." + "1" * 5000],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["[%s]", '{"a":%s}', '{"a":[1,[%s,%s]],"b":"%s"}', '{ "a" :\n%s }'])
def test_number_keeps_its_text(number: str, shape: str) -> None:
    text = shape.replace("%s", number).encode()
    assert dumps(loads_exact(text)) == b"".join(text.split())
    assert UNCERTAIN_NUMBER.search(text)  # so that an exact reading is made before anything is sent on


@pytest.mark.parametrize("text", [b'{"a":1}', b'[-1,0,"x"]', b'{"a":123456789012345678}', b'{"a":[true,null,-10]}'])
def test_usual_numbers_need_no_exact_reading(text: bytes) -> None:
    assert not UNCERTAIN_NUMBER.search(text)
    assert dumps(loads(text)) == text


def test_number_that_python_would_write_otherwise_is_shown_as_it_is() -> None:
    value = loads_exact(b"[1e400]")[0]
    assert isinstance(value, ExactNumber) and repr(value) == "1e400"


def test_many_exact_numbers_are_written_in_linear_time() -> None:
    def processor_time(count: int) -> float:
        text = b"[" + b",".join([b"[1.10"] * count) + b"]" * count + b"]"
        value = loads_exact(text)
        start = time.process_time()
        assert dumps(value) == text
        return time.process_time() - start

    # Nested this deep, a second writing of each level would take 500 times as long.
    assert processor_time(500) < 100 * max(processor_time(50), 0.001)


@pytest.mark.parametrize("text", [b'{"a":"\\ud800"}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1,"a":2}', b' {"a":1} ', b'{"a":1e400}'])
def test_what_any_reader_takes_is_read(text: bytes) -> None:
    assert list(loads(text)) == ["a"]


def test_integer_with_more_digits_than_python_converts() -> None:
    text = b'{"mt":"Signaling","call":3,"zz":' + b"9" * 5000 + b"}"
    data = loads(text)
    assert data["call"] == 3
    assert repr(decode(data)) == "Signaling(call=3)"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"a":}', b"{'a':1}", b"\xff", b'{"a":"\xc3"}', b'{"a":1}x', b"\xef\xbb\xbf{}", b"nul", b'{"a":"\xed\xa0\x80"}',
     b'{"a":"\x00"}'],
)  # fmt: skip
def test_what_is_no_json(text: bytes) -> None:
    for read in (loads, loads_exact):
        with pytest.raises(ValueError):
            read(text)


@pytest.mark.parametrize("depth", [200_000, 500_000])
def test_nested_too_deeply(depth: int) -> None:
    limit = sys.getrecursionlimit()
    for text in (b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth):
        for read in (loads, loads_exact):
            with pytest.raises(ValueError):
                read(text)
    assert sys.getrecursionlimit() == limit


@settings(max_examples=60)
@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:0123456789.eE-tfn\\u ', max_size=30).map(str.encode))
def test_any_bytes_are_read_or_refused_with_a_value_error(text: bytes) -> None:
    for read in (loads, loads_exact):
        try:
            read(text)
        except ValueError:
            pass


def test_text_is_compact_and_unescaped() -> None:
    assert dumps({"b": [1, None], "a": "ä/€\n"}) == '{"b":[1,null],"a":"ä/€\\n"}'.encode()


def test_lone_surrogate_is_written_as_an_escape() -> None:
    text = b'{"\\udc80":["\\ud800x","\xf0\x9f\x98\x80"]}'
    assert dumps(loads(text)) == dumps(loads_exact(text)) == text


@pytest.mark.parametrize("value", [{"a": object()}, {"a": {1, 2}}, {"a": b""}, {(1, 2): 3}])
def test_what_json_cannot_carry(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON cannot carry this"):
        dumps(value)


def test_what_holds_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError):
        dumps(value)


MOST = jsontext.MOST_CONTAINERS


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        (b"[" + b"[]," * (MOST - 2) + b"{}]", True), (b"[" + b"[]," * (MOST - 1) + b"{}]", False),
        (b'[{"a":"' + b"[" * 3 * MOST + b'\\\\"},"\\"' + b"{" * MOST + b'"]', True), (b'["\\\\"' + b",{}" * MOST + b"]", False),
        (b'["' + b'","'.join([b"["] * 2 * MOST) + b'"]', True), (b'["' + b'",{},"'.join([b"["] * 2 * MOST) + b'"]', False),
        (b"[1" + b",1" * 2 * MOST + b"]", True), (b"[" * 2 * MOST + b"x", False),
    ],
    ids=["limit", "beyond", "in strings", "behind a string", "in many strings", "between many strings", "numbers", "no JSON"],
)  # fmt: skip
def test_number_of_objects_and_lists_is_bounded(text: bytes, readable: bool) -> None:
    """Those in strings do not count, wherever a string begins and ends."""
    if readable:
        assert loads(text) == json.loads(text)
    else:
        with pytest.raises(ValueError, match="too many objects and lists"):
            loads(text)
