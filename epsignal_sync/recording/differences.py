"""What two runs of an app have done differently to the same signaling. Pure: gets calls, knows no file and no screen.

Calls belong together by phone, direction, other party and order; the messages in them by sender and type. Call ids, ``src``, secrets
and times are no differences, nor is the order in which the two sides spoke, nor what a message said when it came: that is not
the app's doing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from ..messages.record import MASK, SECRET_KEYS
from .alignment import align
from .calls import RecordedCall
from .lines import APP, FORWARDED, PHONE, RecordedMessage, is_sent_on_by_app

ABSENT = object()
"""The value of a field that is not there."""
AS_IT_CAME = object()
"""The value of a field that the app has left alone, where it has changed it in the other run."""
MOST_FIELDS = 2000
"""Fields of a signal that are compared."""


@frozen
class Field:
    """One field that is not the same."""

    path: str
    """Where it stands in the signal, such as ``cd.num``."""
    a: Any
    """Its value in the first run; ABSENT where it is not there."""
    b: Any
    """The same in the second run."""


@frozen(kw_only=True)
class MessagePair:
    """One message of a call in both runs, or in one of them."""

    a: RecordedMessage | None
    b: RecordedMessage | None
    verdicts: tuple[str, str] | None = None
    """What became of it, where that is not the same."""
    fields: tuple[Field, ...] = ()
    """What is not the same in what the app has sent: instead of it, or as a message of its own."""

    @property
    def message(self) -> RecordedMessage:
        """The message, of the first run if it is there."""
        message = self.a or self.b
        assert message is not None
        return message

    @property
    def differs(self) -> bool:
        """Whether the two runs differ in it."""
        return self.a is None or self.b is None or self.verdicts is not None or bool(self.fields)


@frozen(kw_only=True)
class CallPair:
    """One call in both runs, or in one of them."""

    a: RecordedCall | None
    b: RecordedCall | None
    messages: tuple[MessagePair, ...]
    """Its messages in the order of the first run; where the call is in one run only, all of them."""

    @property
    def call(self) -> RecordedCall:
        """The call, of the first run if it is there."""
        call = self.a or self.b
        assert call is not None
        return call

    @property
    def differs(self) -> bool:
        """Whether the two runs differ in it."""
        return self.a is None or self.b is None or any(pair.differs for pair in self.messages)


def compare(a: Iterable[RecordedCall], b: Iterable[RecordedCall], phones: Mapping[str, str] | None = None) -> list[CallPair]:
    """Return the calls of two runs side by side, in the order of the first; those of the second only follow.

    ``phones``: the phone of the second run that was taken for one of the first. Calls that a Sync named and that nothing was said
    in are left out: whether a phone has such ones is not the app's doing.
    """
    spoken_a, spoken_b = ([call for call in calls if any(message.mt == "Signaling" for message in call.messages)] for calls in (a, b))
    pairs = _pairs(spoken_a, spoken_b, phones or {})
    return [CallPair(a=one, b=other, messages=tuple(_messages(one, other))) for one, other in pairs]


# ------------------------------------------------------------ calls


def _pairs(
    a: list[RecordedCall], b: list[RecordedCall], phones: Mapping[str, str]
) -> Iterator[tuple[RecordedCall | None, RecordedCall | None]]:
    def key(call: RecordedCall) -> tuple[Any, ...]:
        return call.device, call.own, call.incoming

    keys_a = [(phones.get(call.device, call.device), *key(call)[1:]) for call in a]
    keys_b = [key(call) for call in b]
    partners: dict[int, int] = {}
    left = list(range(len(b)))
    # First those with the same other party; what is left then, by phone and direction alone.
    for extra_a, extra_b in (([party(call) for call in a], [party(call) for call in b]), ([""] * len(a), [""] * len(b))):
        waiting: defaultdict[Any, list[int]] = defaultdict(list)
        for index in reversed(left):
            waiting[(*keys_b[index], extra_b[index])].append(index)
        for index, one in enumerate(keys_a):
            found = waiting.get((*one, extra_a[index]))
            if index not in partners and found:
                partners[index] = found.pop()
        left = sorted(index for found in waiting.values() for index in found)
    for index, call in enumerate(a):
        yield call, b[partners[index]] if index in partners else None
    yield from ((None, b[index]) for index in left)


def party(call: RecordedCall) -> str:
    """Return the other party as its setup named it, whatever the app made of that; "" where nothing is known."""
    for message in call.messages:
        if message.type == "setup":
            named = message.data["sig"].get("cg" if message.to_device else "cd")
            values = [named.get("num"), named.get("sip")] if isinstance(named, dict) else []
            found = [value for value in values if isinstance(value, str) and value]
            if found:
                return found[0]
            break
    return call.remote.num or call.remote.sip or ""


# ------------------------------------------------------------ messages


def _messages(a: RecordedCall | None, b: RecordedCall | None) -> Iterator[MessagePair]:
    one, other = _signaling(a), _signaling(b)
    if a is None or b is None:
        yield from (MessagePair(a=message if b is None else None, b=message if a is None else None) for message in one or other)
        return
    pairs: list[tuple[int | None, int | None]] = []
    streams_a, streams_b = _streams(one), _streams(other)
    for stream in {**streams_a, **streams_b}:
        of_a, of_b = streams_a.get(stream, []), streams_b.get(stream, [])
        for index_a, index_b in align([one[index].type for index in of_a], [other[index].type for index in of_b]):
            pairs.append((None if index_a is None else of_a[index_a], None if index_b is None else of_b[index_b]))
    for index_a, index_b in _in_order(pairs, len(other)):
        yield _pair(None if index_a is None else one[index_a], None if index_b is None else other[index_b])


def _in_order(pairs: list[tuple[int | None, int | None]], count_b: int) -> list[tuple[int | None, int | None]]:
    """Return pairs in the order of the first run; what is in the second only stands behind what came before it there."""
    partners = {index_b: index_a for index_a, index_b in pairs if index_b is not None}
    before, places = -1, [-1] * count_b
    for index_b in range(count_b):
        partner = partners.get(index_b)
        before = before if partner is None else max(before, partner)
        places[index_b] = before

    def place(pair: tuple[int | None, int | None]) -> tuple[int, int, int]:
        index_a, index_b = pair
        if index_a is not None:
            return index_a, 0, 0
        assert index_b is not None
        return places[index_b], 1, index_b

    return sorted(pairs, key=place)


def _signaling(call: RecordedCall | None) -> list[RecordedMessage]:
    """Return the signals of a call; what the app has sent on by itself is where it came from, forwarded."""
    messages: list[RecordedMessage] = []
    kept: dict[str, int] = {}
    for message in () if call is None else call.messages:
        if message.mt != "Signaling":
            continue
        if is_sent_on_by_app(message):
            index = kept.pop(_text(message.data), None)
            if index is not None:
                messages[index] = evolve(messages[index], verdict=FORWARDED)
            continue
        if message.verdict is None:
            kept[_text(message.data)] = len(messages)
        messages.append(message)
    return messages


def _streams(messages: Sequence[RecordedMessage]) -> dict[tuple[str, bool], list[int]]:
    """Return the indexes of the messages by sender and direction: between these, who was first is chance."""
    streams: defaultdict[tuple[str, bool], list[int]] = defaultdict(list)
    for index, message in enumerate(messages):
        streams[message.sender, message.receiver == PHONE].append(index)
    return streams


def _pair(a: RecordedMessage | None, b: RecordedMessage | None) -> MessagePair:
    if a is None or b is None:
        return MessagePair(a=a, b=b)
    effects = effect(a), effect(b)
    fields: Iterable[Field] = ()
    if a.sender == APP:
        fields = _different(_fields(a.data), _fields(b.data))
    elif effects == ("changed", "changed"):
        fields = _different(_changes(a), _changes(b), AS_IT_CAME)
    return MessagePair(a=a, b=b, verdicts=None if effects[0] == effects[1] else effects, fields=tuple(fields))


def effect(message: RecordedMessage) -> str:
    """Return what became of a message, in words."""
    # Whether it was asked about or not: it went on as it came.
    return {"bypassed": "forwarded", None: "not forwarded"}.get(message.verdict, message.verdict or "")


def _changes(message: RecordedMessage) -> dict[str, Any]:
    """Return what the app has made of a message: the fields of what went on instead that are not as they came."""
    came = _fields(message.data)
    changes: dict[str, Any] = {}
    for number, sent in enumerate(message.sent, 1):
        before = f"message {number}: " if len(message.sent) > 1 else ""
        went = _fields(sent)
        for path in {**came, **went}:
            if not _same(came.get(path, ABSENT), went.get(path, ABSENT)):
                changes[before + path] = went.get(path, ABSENT)
    return changes


def _different(a: dict[str, Any], b: dict[str, Any], missing: Any = ABSENT) -> Iterator[Field]:
    for path in {**a, **b}:
        one, other = a.get(path, missing), b.get(path, missing)
        if not _same(one, other):
            yield Field(path, one, other)


def _same(one: Any, other: Any) -> bool:
    return one is other or (ABSENT not in (one, other) and type(one) is type(other) and one == other)


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a message's signal by their paths; a value is no object and no list, unless that is empty."""
    fields: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("", data.get("sig"))]
    while waiting and len(fields) < MOST_FIELDS:
        path, value = waiting.pop()
        inside: list[tuple[str, Any]] = []
        if isinstance(value, dict):
            # Secrets are not compared: one of the two recordings may have them masked.
            inside = [(f"{path}.{key}" if path else key, MASK if key in SECRET_KEYS else one) for key, one in value.items()]
        elif isinstance(value, list):
            inside = [(f"{path}[{index}]", one) for index, one in enumerate(value)]
        if inside:
            waiting.extend(reversed(inside))
        else:
            fields[path] = value
    return fields


def _text(data: dict[str, Any]) -> str:
    try:
        return json.dumps(data, sort_keys=True)
    except (ValueError, RecursionError):
        return ""
