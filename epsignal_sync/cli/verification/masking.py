"""What of a message may stand in a report that is published. Values are left out unless they are known to say nothing of anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

TEXT, NUMBER = "<text>", "<number>"
PLAIN_KEYS = frozenset({"mt", "api", "type", "to", "in", "state", "channel", "complete", "channels_cmd", "control"})
"""Fields whose values belong to the protocol, and to nobody's call."""
PEOPLE_KEYS = frozenset({"num", "sip", "dn", "cn", "name", "remote_name", "hw", "src", "guid", "h323"})
"""Fields whose values say who somebody is."""
DEEPEST, LONGEST_LIST = 12, 20

SMALL = range(-1000, 128)
"""Ids of calls, cause values and channels; whatever says who somebody is is longer, or text."""

_PROTOCOL_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,29}")
_WITH_DIGITS = re.compile(r"[\w.:@+*#-]*\d[\w.:@+*#-]*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class Mask:
    """Masks what the PBX has told; ``known`` are texts with what stands for each, such as the hw of the phone."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = {text.casefold(): place for text, place in known.items() if text}

    def learn(self, messages: Iterable[Any]) -> None:
        """Take note of the numbers and names in some messages, so that they are found where else they stand."""
        for text in _people(messages, 0):
            self._known.setdefault(text.casefold(), "<name>" if any(character.isalpha() for character in text) else NUMBER)

    def text(self, text: str) -> str:
        """Return a text of the PBX, or one that holds such: known names, quotes and all words with digits are masked."""
        for known in sorted(self._known, key=len, reverse=True):
            # A word by itself: a phone with the number 2 must not take every figure away.
            pattern = rf"(?<![\w<]){re.escape(known)}(?!\w)"
            text = re.sub(pattern, lambda _, place=self._known[known]: place, text, flags=re.IGNORECASE)  # type: ignore[misc]
        text = _QUOTED.sub(lambda found: found[0] if found[0][1:-1] in self._known.values() else TEXT, text)
        text = _WITH_DIGITS.sub(NUMBER, text)
        return "".join(character if character.isprintable() else "?" for character in text)[:300]

    def message(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the shape of a message: its fields, and the values that belong to the protocol alone."""
        shape = self._shape(data, 0)
        assert isinstance(shape, dict)
        return shape

    def _shape(self, value: Any, depth: int, key: str = "", inside: str = "") -> Any:
        if depth > DEEPEST:
            return "<deeper>"
        if isinstance(value, Mapping):
            return {self._field(name): self._shape(inner, depth + 1, name, key) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._shape(inner, depth + 1, key, inside) for inner in value[:LONGEST_LIST]]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return value if not value or (key in PLAIN_KEYS and self._is_protocol(value)) else TEXT
        is_plain = key in ("call", "channel") or inside == "cau"
        return value if is_plain and isinstance(value, int) and value in SMALL else NUMBER

    def _field(self, name: str) -> str:
        return name if _FIELD_NAME.fullmatch(name) and name.casefold() not in self._known else "<field>"

    def _is_protocol(self, value: str) -> bool:
        return protocol_word(value) == value and value.casefold() not in self._known


def protocol_word(value: Any) -> str:
    """Return a value that should be a word of the protocol, such as a type, and something in its place if it is none."""
    return value if isinstance(value, str) and _PROTOCOL_WORD.fullmatch(value) else TEXT


def cause_part(value: Any) -> str:
    """Return a part of a cause with its JSON type, and its value where that can be no more than a cause."""
    small = type(value) is int and value in SMALL
    return f"{type(value).__name__} {value}" if small else type(value).__name__


def _people(value: Any, depth: int) -> Iterator[str]:
    """Yield the texts that say who somebody is, from anywhere in some messages."""
    if depth > DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in PEOPLE_KEYS and isinstance(inner, str) and inner:
                yield inner
                yield from (word for word in inner.split() if len(word) > 1)
            else:
                yield from _people(inner, depth + 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _people(inner, depth + 1)
