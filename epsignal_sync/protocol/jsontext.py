"""JSON texts <-> JSON values. The only importer of the JSON libraries; knows nothing of messages.

There are two readings: a fast one for deciding what becomes of a message, which may round numbers that no telephone
signaling ever holds, and an exact one for sending on what was changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

try:
    import orjson
except ImportError:  # the extra `speed` is not installed
    orjson = None  # type: ignore[assignment,unused-ignore]

_SURROGATE = re.compile("[\ud800-\udfff]")

# A number outside of a string that the fast reading may change: a long one, one with a fraction or an exponent, or -0.
# A string that looks like one only costs the slower reading.
UNCERTAIN_NUMBER = re.compile(rb"[:,\[]\s*(?:-?[0-9]+(?:[.eE]|(?<=[0-9]{19}))|-0)")


MOST_CONTAINERS = 500_000
"""Objects and lists in one text; a text with more is not read.

Reading millions of them takes seconds, in which no other thread of the process runs, while real messages have hundreds.
"""

_PIECE = 64 * 1024
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[{'))


def loads(text: bytes) -> Any:
    """Return the JSON value of a text: fast, but a number may have lost digits (see :func:`loads_exact`).

    Raises ValueError for what no JSON parser here can read, and for more than ``MOST_CONTAINERS`` objects and lists.
    """
    if len(text) > 2 * MOST_CONTAINERS and _has_too_many_containers(text):  # each takes two bytes at least
        raise ValueError("too many objects and lists")
    if orjson is not None:
        try:
            return orjson.loads(text)
        except ValueError:
            pass  # lone surrogates, NaN: json reads more than orjson does
    return _json_loads(text, _rough_integer, _rough_float)


def _has_too_many_containers(text: bytes) -> bool:
    if text.count(b"[") + text.count(b"{") <= MOST_CONTAINERS:
        return False
    # Many of them may stand in strings, where they cost nothing: escapes go first, so that each quote begins or ends a string.
    structure = text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_STRUCTURE)
    count = inside = 0
    for start in range(0, len(structure), _PIECE):  # in pieces, so that other threads get their turn
        parts = structure[start : start + _PIECE].split(b'"')
        count += sum(map(len, parts[inside::2]))
        inside = (inside + len(parts) - 1) % 2
        if count > MOST_CONTAINERS:
            return True
    return False


class ExactNumber:
    """A number that Python would not write as it was read, such as 1e400 or 1.10: it only keeps its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def loads_exact(text: bytes) -> Any:
    """Return the JSON value of a text with every number as it stands, if need be as an ExactNumber. Raises ValueError."""
    return _json_loads(text, _exact_integer, _exact_float)


def _rough_integer(digits: str) -> Any:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts: no reason to keep the message from the phone
        return float(digits)


def _rough_float(text: str) -> float:
    return float(text)  # a function of Python's own: between millions of numbers other threads get their turn


def _exact_integer(digits: str) -> Any:
    try:
        value = int(digits)
    except ValueError:
        return ExactNumber(digits)
    return ExactNumber(digits) if digits == "-0" else value


def _exact_float(text: str) -> Any:
    value = float(text)
    return value if repr(value) == text else ExactNumber(text)


def _json_loads(text: bytes, parse_integer: Callable[[str], Any], parse_float: Callable[[str], Any]) -> Any:
    try:
        return json.loads(text.decode("utf-8"), parse_int=parse_integer, parse_float=parse_float)
    except RecursionError:
        raise ValueError("nested too deep") from None


def dumps(value: Any) -> bytes:
    """Return the compact JSON text of a value, as UTF-8. Raises ValueError for what JSON cannot carry."""
    numbers: list[str] = []

    def stand_in(one: Any) -> str:
        if not isinstance(one, ExactNumber):
            raise TypeError(f"there is no JSON for a {type(one).__name__}")
        numbers.append(one.text)
        return _STAND_IN

    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=stand_in)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"JSON cannot carry this: {error}") from None
    if numbers:
        between = text.split(f'"{_STAND_IN}"')
        text = between[0] + "".join(number + after for number, after in zip(numbers, between[1:], strict=True))
    # A lone surrogate, which only an escape can carry, is written as one.
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8")


_STAND_IN = os.urandom(16).hex()
"""What json writes for an ExactNumber, which it cannot write itself; nobody outside can know it and send it as a text."""
