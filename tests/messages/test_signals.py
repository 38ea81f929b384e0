from __future__ import annotations

import pytest

from epsignal_sync.messages import (
    EP,
    Alert,
    CallProc,
    Cause,
    Conn,
    Disc,
    Facility,
    FacilitySignal,
    InfoSignal,
    NameIdentification,
    Progress,
    Rel,
    Setup,
    SetupAck,
    Signal,
    UnknownFacility,
    UnknownSignal,
)
from epsignal_sync.messages.record import JSONObject, received, wire_fields
from epsignal_sync.protocol.codec import SIGNALS, encode, signal_class

MEDIA = ["channel", "channels_cmd", "channels", "faststart"]
FIELDS = {
    "setup": ["bc", "cg", "cd", "complete", *MEDIA, "uui", "llc", "hlc", "pi", "confId", "callId", "dsp"],
    "setup_ack": ["inband_info", *MEDIA],
    "info": ["cg", "cd", "complete", "dsp"],
    "progress": ["inband_info", "cau", "pi", *MEDIA[1:]],
    "call_proc": ["inband_info", *MEDIA],
    "alert": ["inband_info", "pi", *MEDIA],
    "conn": ["uui", "dsp", *MEDIA],
    "disc": ["inband_info", "cau", "pi", "uui", "dsp"],
    "rel": ["cau", "uui", "dsp"],
    "facility": [],
}


@pytest.mark.parametrize(
    ("kind", "cls"),
    [
        ("setup", Setup), ("setup_ack", SetupAck), ("info", InfoSignal), ("call_proc", CallProc), ("alert", Alert), ("conn", Conn),
        ("progress", Progress), ("disc", Disc), ("rel", Rel), ("facility", FacilitySignal),
    ],
)  # fmt: skip
def test_type_gives_the_class(kind: str, cls: type[Signal]) -> None:
    assert signal_class({"type": kind}) is SIGNALS[kind] is cls
    assert encode(cls()) == {"type": kind}


@pytest.mark.parametrize("kind", FIELDS)
def test_fields_on_the_wire(kind: str) -> None:
    # fty is taken on every type of signal.
    assert sorted(one.wire for one in wire_fields(SIGNALS[kind])) == sorted([*FIELDS[kind], "fty"])


@pytest.mark.parametrize("cls", list(SIGNALS.values()))
def test_attributes_are_named_as_on_the_wire(cls: type[Signal]) -> None:
    for one in wire_fields(cls):
        assert one.name.rstrip("_").replace("_", "").lower() == one.wire.replace("_", "").lower()


@pytest.mark.parametrize("data", [{"type": "brand_new", "x": 1}, {"type": "SETUP"}, {"x": 1}, {"type": None}, {"type": ["setup"]}, {}])
def test_unknown_signal_keeps_everything(data: JSONObject) -> None:
    assert signal_class(data) is UnknownSignal
    signal = received(UnknownSignal, data)
    kind = data.get("type")
    assert signal.type == (kind if isinstance(kind, str) else None)
    assert signal.data == data and signal.data is not data and encode(signal) == data


def test_find_gives_the_first_of_a_class() -> None:
    first, second = NameIdentification(name="A"), NameIdentification(name="B")
    signal = Alert(fty=[UnknownFacility(type="x"), first, second])
    assert signal.find(NameIdentification) is first
    assert isinstance(signal.find(Facility), UnknownFacility)
    assert Alert().find(NameIdentification) is None


def test_facilities_on_every_signal() -> None:
    for cls in SIGNALS.values():
        signal = received(cls, {"type": cls.wire_name, "fty": [{"type": "name_identification", "name": "A"}]})
        found = signal.find(NameIdentification)
        assert found is not None and found.name == "A"


def test_signals_are_compared_by_value() -> None:
    assert Setup(cd=EP(num="22")) == Setup(cd=EP(num="22")) != Setup(cd=EP(num="23"))
    assert received(Rel, {"type": "rel", "cau": {"num": 16}}) == Rel(cau=Cause(num=16))
    different: list[Signal] = [CallProc(), Alert()]
    assert different[0] != different[1]
