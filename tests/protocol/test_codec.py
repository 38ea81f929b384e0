from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epsignal_sync import messages
from epsignal_sync.messages import Attached, NameIdentification, PbxInfo, Setup, Signaling, UnknownFacility, UnknownMessage
from epsignal_sync.messages.record import JSONObject, Record, received, wire_fields
from epsignal_sync.protocol import codec, jsontext
from epsignal_sync.protocol.codec import decode, encode, message_class, signal_class
from epsignal_sync.protocol.jsontext import dumps, loads_exact

from ..messages.strategies import MESSAGES, any_message, signaling, walk, wire_objects


@pytest.fixture(params=["orjson", "json"], autouse=True, scope="module")
def reader(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs with the fast reader of the extra `speed` and without it."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            patch.setattr(jsontext, "orjson", None)
        yield request.param


# ------------------------------------------------------------ there and back


@settings(max_examples=60)
@given(any_message)
def test_round_trip_of_any_message(data: JSONObject) -> None:
    text = dumps(data)
    message = decode(loads_exact(text))
    assert dumps(encode(message)) == text
    list(walk(message))
    assert dumps(encode(message)) == text


@settings(max_examples=60)
@given(signaling())
def test_round_trip_in_a_new_envelope(data: JSONObject) -> None:
    message = decode(loads_exact(dumps(data)))
    assert isinstance(message, Signaling) and message.sig is not None
    rebuilt = Signaling(sig=attrs.evolve(message.sig, fty=None if message.sig.fty is None else tuple(message.sig.fty)))
    assert dumps(encode(rebuilt)) == dumps({"mt": "Signaling", "sig": data["sig"]})


# ------------------------------------------------------------ classes


@pytest.mark.parametrize("cls", MESSAGES)
def test_message_class_by_name(cls: type[messages.Message]) -> None:
    assert message_class({"mt": cls.wire_name}) is cls
    assert message_class({"mt": cls.wire_name, "api": None}) is cls
    assert message_class({"mt": cls.wire_name, "api": "Other"}) is UnknownMessage
    assert message_class({"mt": cls.wire_name, "api": []}) is cls  # as the forwarding sees it


def test_api_under_another_name() -> None:
    data = {"mt": "Attached", "api": "Impersonated"}
    assert message_class(data) is UnknownMessage
    assert message_class(data, ("Impersonated", "EpSignal")) is Attached
    assert message_class({"mt": "PbxInfo", "api": "EpSignal"}) is UnknownMessage
    assert message_class({"mt": "PbxInfo"}, ("Impersonated",)) is PbxInfo


@pytest.mark.parametrize("data", [{}, {"mt": None}, {"mt": 1}, {"mt": []}, {"mt": {}}, {"mt": "new"}, {"mt": "attached"}])
def test_unknown_message(data: JSONObject) -> None:
    message = decode(data)
    assert isinstance(message, UnknownMessage) and message.data == data
    assert message.mt == (data.get("mt") if isinstance(data.get("mt"), str) else None)
    assert encode(message) is data


@settings(max_examples=60)
@given(any_message)
def test_values_are_never_coerced(data: JSONObject) -> None:
    for record in walk(decode(data)):
        source = encode(record)
        for one in wire_fields(type(record)):
            value = getattr(record, one.name)
            if isinstance(value, (str, int, bool, float)):
                raw = source[one.wire]
                assert value == raw and (isinstance(raw, str) if isinstance(value, str) else type(value) is type(raw))


# ------------------------------------------------------------ problems


@settings(max_examples=60)
@given(st.sampled_from(MESSAGES).flatmap(lambda cls: wire_objects(cls, wrong=False)))
def test_what_fits_is_read_and_no_problem(data: JSONObject) -> None:
    # The inner objects may hold what does not fit; what stands in the message itself must not.
    if not (data.get("api") is None or data["api"] == "EpSignal"):
        return
    message = decode(data)
    for one in wire_fields(type(message)):
        raw = data.get(one.wire)
        if not isinstance(raw, (dict, list)):
            assert getattr(message, one.name) == raw
    assert not {path for path, _ in message.problems} & set(data)


@settings(max_examples=60)
@given(any_message)
def test_every_value_is_read_or_a_problem(data: JSONObject) -> None:
    message = decode(data)
    problems = dict((path, value) for path, value in message.problems)
    for one in wire_fields(type(message)):
        if data.get(one.wire) is not None and getattr(message, one.name) is None:
            assert problems[one.wire] is data[one.wire]


# ------------------------------------------------------------ facilities that are no objects


@pytest.mark.parametrize("bad", [7, None, "x", [1], [], {}, {"type": 3}, {"type": None, "a": 1}])
def test_bad_facility_goes_back_as_it_came(bad: Any) -> None:
    fty = [{"type": "name_identification", "name": "A"}, bad]
    signal = received(Setup, {"type": "setup", "fty": fty})
    assert signal.fty is not None
    name, other = signal.fty
    assert isinstance(name, NameIdentification) and isinstance(other, UnknownFacility)
    turned = attrs.evolve(signal, fty=(other, name))
    assert dumps(encode(turned)) == dumps({"type": "setup", "fty": [bad, fty[0]]})


# ------------------------------------------------------------ building


@settings(max_examples=60)
@given(st.data())
def test_built_equals_received(choose: st.DataObject) -> None:
    cls: type[Record] = choose.draw(st.sampled_from([*codec.SIGNALS.values(), *codec.FACILITIES.values(), *MESSAGES]))
    data = choose.draw(wire_objects(cls, wrong=False))
    data.pop("api", None)
    record = decode(data) if "mt" in data else received(cls, data)
    built = cls(**{one.name: getattr(record, one.name) for one in wire_fields(cls)})
    assert built == record
    known = {one.wire: one.name for one in wire_fields(cls)}
    wanted = {key: value for key, value in data.items() if key not in known or getattr(record, known[key]) is not None}
    assert {key: dumps(value) for key, value in encode(built).items()} == {
        key: dumps(value) for key, value in wanted.items() if key in known or key == cls.discriminator
    }


def test_two_threads_read_one_message_at_once() -> None:
    for _ in range(200):
        data = {"mt": "Signaling", "call": 3, "sig": {"type": "setup", "cd": {"num": "22"}, "fty": [{"type": "x"}]}}
        message = decode(data)
        start = threading.Barrier(2)
        seen: list[str] = []

        def read(message: Record = message, start: threading.Barrier = start, seen: list[str] = seen) -> None:
            start.wait(20)
            seen.append(repr(message))

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert seen == [repr(decode(data))] * 2


def test_signal_class_is_not_fooled_by_odd_types() -> None:
    kinds: list[Any] = [None, 1, [], {}, "", "Setup"]
    for kind in kinds:
        assert signal_class({"type": kind}) is messages.UnknownSignal
