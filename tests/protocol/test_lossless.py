"""No message loses anything by passing through: more than ten thousand random ones of every class of the model."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from epsignal_sync import messages
from epsignal_sync.messages.record import JSONObject, Record, received, wire_fields
from epsignal_sync.protocol import jsontext
from epsignal_sync.protocol.codec import FACILITIES, SIGNALS, encode
from epsignal_sync.protocol.jsontext import dumps, loads, loads_exact

from .random_json import Generator, new_value, ordered, read

CLASSES = [
    cls
    for name in messages.__all__
    if isinstance(cls := getattr(messages, name), type) and issubclass(cls, Record) and (cls.wire_name or wire_fields(cls))
]
CASES = 60
"""Of each class, with each reader."""
seeds = st.integers(0, 2**62)
sizes = st.integers(0, 3)

Place = tuple[str | int, ...]


@pytest.fixture(params=["orjson", "json"], autouse=True, scope="module")
def reader(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs with the fast reader of the extra `speed` and without it."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            patch.setattr(jsontext, "orjson", None)
        yield request.param


def receive(cls: type[Record], text: bytes) -> Record:
    """Return a record as the library makes it from a received text."""
    data = loads(text)
    return received(cls, data, (text, data))


def places(record: Record, place: Place = ()) -> Iterator[tuple[Place, Record]]:
    """Yield every record in a record with its place: attribute names and indexes."""
    yield place, record
    for one in wire_fields(type(record)):
        value = getattr(record, one.name)
        if isinstance(value, Record):
            yield from places(value, (*place, one.name))
        elif isinstance(value, tuple):
            for index, inner in enumerate(value):
                if isinstance(inner, Record):
                    yield from places(inner, (*place, one.name, index))


def replaced(value: Any, place: Place, new: Any) -> Any:
    """Return a record (or a tuple of them) with what stands at a place replaced by attrs.evolve."""
    if not place:
        return new
    first, rest = place[0], place[1:]
    if isinstance(first, int):
        return (*value[:first], replaced(value[first], rest, new), *value[first + 1 :])
    return attrs.evolve(value, **{first: replaced(getattr(value, first), rest, new)})


def json_at(data: Any, record: Record, place: Place) -> Any:
    """Return the JSON object at a place of a record."""
    at: Any = record
    for step in place:
        if isinstance(step, int):
            data, at = data[step], at[step]
        else:
            data, at = data[next(one.wire for one in wire_fields(type(at)) if one.name == step)], getattr(at, step)
    return data


def check_round_trip(record: Record, data: JSONObject) -> None:
    assert ordered(read(dumps(encode(record)))) == ordered(data)
    for _, inner in places(record):
        repr(inner), inner.problems, inner.extra
    assert ordered(read(dumps(encode(record)))) == ordered(data)


def check_one_change(record: Record, data: JSONObject, pick: random.Random) -> None:
    place, inner = pick.choice([(place, inner) for place, inner in places(record) if isinstance(json_at(data, record, place), dict)])
    fields = wire_fields(type(inner))
    if not fields:
        return
    one = pick.choice(fields)
    value, wanted = (None, None) if pick.random() < 0.3 else new_value(one.type)
    changed = replaced(record, place, attrs.evolve(inner, **{one.name: value}))
    expected = copy.deepcopy(data)
    if value is not None:
        json_at(expected, record, place)[one.wire] = wanted
    elif getattr(inner, one.name) is not None:
        del json_at(expected, record, place)[one.wire]
    assert ordered(read(dumps(encode(changed)))) == ordered(expected)
    assert ordered(read(dumps(encode(record)))) == ordered(data)


@settings(max_examples=CASES, database=None)
@given(seed=seeds, size=sizes)
def test_every_class_there_and_back_and_changed_in_one_place(seed: int, size: int) -> None:
    for cls in CLASSES:  # in one test: hypothesis takes longer to choose a seed than all of them take with it
        note(cls.__name__)
        generator = Generator(seed, size)
        data = generator.record(cls)
        record = receive(cls, generator.text(data))
        check_round_trip(record, data)
        check_one_change(record, data, random.Random(seed))


def test_there_are_enough_cases() -> None:
    readers = 2
    assert len(CLASSES) >= 85 and len(CLASSES) * CASES * readers >= 10_000


@settings(max_examples=300, database=None)
@given(seed=seeds, size=sizes)
def test_part_of_a_message_in_another_one(seed: int, size: int) -> None:
    """What Device.send does: a received signal, and facilities of it, in a new envelope."""
    generator = Generator(seed, size)
    data: JSONObject = {"mt": "Signaling", "sig": generator.record(generator.concrete(messages.Signal)), "zz": "#1e400"}
    message = receive(messages.Signaling, generator.text(data))
    assert isinstance(message, messages.Signaling) and message.sig is not None
    again = read(dumps(encode(messages.Signaling(call=3, sig=message.sig))))
    assert ordered(again) == ordered({"mt": "Signaling", "call": "#3", "sig": data["sig"]})
    fty = message.sig.fty
    if fty is not None:
        again = read(dumps(encode(messages.FacilitySignal(fty=fty[::-1]))))
        assert ordered(again) == ordered({"type": "facility", "fty": data["sig"]["fty"][::-1]})


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@settings(max_examples=100, database=None)
@given(seed=seeds, size=sizes)
def test_copies(duplicate: Any, seed: int, size: int) -> None:
    generator = Generator(seed, size)
    data = {"mt": "Signaling", "sig": generator.record(generator.concrete(messages.Signal))}
    record = duplicate(receive(messages.Signaling, generator.text(data)))
    check_round_trip(record, data)
    check_one_change(duplicate(record), data, random.Random(seed))


@pytest.mark.parametrize("cls", [*SIGNALS.values(), messages.UnknownSignal])
def test_facilities_of_every_kind_on_every_signal(cls: type[messages.Signal]) -> None:
    fty = [{"new": "#1e400", "type": name} for name in [*FACILITIES, "brand_new"]]
    data: JSONObject = {"type": cls.wire_name or "brand_new", "fty": fty}
    signal = receive(cls, Generator(1, 1).text(data))
    assert isinstance(signal, messages.Signal) and signal.fty is not None
    assert [type(one) for one in signal.fty] == [*FACILITIES.values(), messages.UnknownFacility]
    assert all(signal.find(kind) is one for kind, one in zip(FACILITIES.values(), signal.fty, strict=False))
    turned = attrs.evolve(signal, fty=signal.fty[::-1])
    assert ordered(read(dumps(encode(turned)))) == ordered({**data, "fty": fty[::-1]})
    assert encode(cls(fty=[messages.NameIdentification(name="A")]))["fty"] == [{"type": "name_identification", "name": "A"}]


def test_changed_message_with_numbers_nested_deeply() -> None:
    def nested(depth: int) -> bytes:
        return b"[" * depth + b"1e400" + b"]" * depth

    def readable(depth: int) -> bool:
        try:
            return bool(loads_exact(nested(depth)))
        except ValueError:
            return False

    assert readable(800)  # newer Pythons read more, and what was read can be sent on
    for depth in filter(readable, (800, 1400, 5000)):
        record = receive(messages.Rel, b'{"type":"rel","zz":' + nested(depth) + b"}")
        text = dumps(encode(attrs.evolve(record, dsp="x")))  # type: ignore[call-arg]
        assert text == b'{"type":"rel","zz":' + nested(depth) + b',"dsp":"x"}'
