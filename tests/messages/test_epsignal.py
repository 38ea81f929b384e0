from __future__ import annotations

import pytest

from epsignal_sync.errors import UsageError
from epsignal_sync.messages import (
    Alert,
    Attach,
    Attached,
    AttachResult,
    CallState,
    CtComplete,
    Detached,
    EpSignalMessage,
    Info,
    NameIdentification,
    Remote,
    Signaling,
    Sync,
    UnknownSignal,
)
from epsignal_sync.messages.record import JSONObject, wire_fields
from epsignal_sync.protocol.codec import EPSIGNAL_MESSAGES, decode, encode

FIELDS = {
    "Attach": "hw",
    "AttachResult": "err stun turn turnUsr turnPwd prefixIntl prefixNtl prefixSubs area country maxIntern tones",
    "Attached": "", "Detached": "", "Sync": "call info", "Signaling": "to call sig",
}  # fmt: skip
STATES = "null setup setup-ack call-proc alert connected disconnected disconnecting parked"


def test_every_message_with_its_fields() -> None:
    named = {name: sorted(one.wire for one in wire_fields(cls)) for name, cls in EPSIGNAL_MESSAGES.items()}
    assert named == {name: sorted([*fields.split(), "api", "src"]) for name, fields in FIELDS.items()}


@pytest.mark.parametrize("cls", [Attach, AttachResult, Attached, Detached, Sync, Signaling])
def test_name_on_the_wire_is_the_class_name(cls: type[EpSignalMessage]) -> None:
    assert encode(cls(api="EpSignal", src="1")) == {"mt": cls.__name__, "api": "EpSignal", "src": "1"}
    assert type(decode({"mt": cls.__name__})) is cls


def test_states_are_spelled_as_on_the_wire() -> None:
    assert [str(state) for state in CallState] == STATES.split()
    assert f"{CallState.ALERT}" == "alert" and repr(CallState.NULL) == "CallState.NULL"


@pytest.mark.parametrize(
    ("text", "servers"),
    [(None, ()), ("", ()), (";", ()), ("a", ("a",)), ("a:3478;b", ("a:3478", "b")), (" a ; ;b;", ("a", "b"))],
)
def test_server_lists_are_split(text: str | None, servers: tuple[str, ...]) -> None:
    result = AttachResult(stun=text, turn=text)
    assert result.stun_servers == result.turn_servers == servers


def test_server_list_of_a_wrong_type() -> None:
    result = decode({"mt": "AttachResult", "stun": ["a", "b"]})
    assert isinstance(result, AttachResult)
    assert result.stun_servers == () and result.problems == (("stun", ["a", "b"]),)


@pytest.mark.parametrize("err", [0, 1, "no", {"code": 1}, [], False])
def test_err_takes_any_value(err: object) -> None:
    result = decode({"mt": "AttachResult", "err": err})
    assert isinstance(result, AttachResult) and result.err == err and not result.problems


def test_sync() -> None:
    data: JSONObject = {"mt": "Sync", "call": 3, "info": {"channel": -1, "in": True, "state": "alert", "remote": {"num": "22", "dn": "B"}}}
    sync = decode(data)
    assert sync == Sync(call=3, info=Info(channel=-1, in_=True, state=CallState.ALERT, remote=Remote(num="22", dn="B")))
    assert isinstance(sync, Sync) and sync.info is not None and isinstance(sync.info.state, CallState)


def test_state_of_a_newer_pbx_stays_text() -> None:
    sync = decode({"mt": "Sync", "info": {"state": "queued"}})
    assert isinstance(sync, Sync) and sync.info is not None
    assert sync.info.state == "queued" and type(sync.info.state) is str and not sync.problems


@pytest.mark.parametrize("data", [{"call": 3.0}, {"call": "3"}, {"call": True}, {"to": 1}, {"to": "true"}, {"sig": []}, {"sig": "rel"}])
def test_wrong_type_in_signaling(data: JSONObject) -> None:
    message = decode({"mt": "Signaling", **data})
    [name] = data
    assert getattr(message, name) is None and message.problems == ((name, data[name]),)


def test_signaling_with_and_without_a_type() -> None:
    message = decode({"mt": "Signaling", "call": -7, "to": False, "sig": {"type": "alert"}})
    assert message == Signaling(call=-7, to=False, sig=Alert())
    other = decode({"mt": "Signaling", "sig": {}})
    assert isinstance(other, Signaling) and isinstance(other.sig, UnknownSignal)


def test_built_signaling_is_in_the_order_of_the_protocol_page() -> None:
    built = Signaling(api="EpSignal", src="1", to=True, call=3, sig=Alert())
    assert list(encode(built)) == ["mt", "api", "src", "to", "call", "sig"]


def test_call_of_a_wrong_type_is_refused_when_built() -> None:
    with pytest.raises(UsageError, match="Signaling.call cannot be True: it takes int"):
        Signaling(call=True)


def test_facility_of_a_signaling_message() -> None:
    message = Signaling(call=1, sig=Alert(fty=[NameIdentification(name="Bob")]))
    assert message.find(NameIdentification) == NameIdentification(name="Bob")
    assert message.find(CtComplete) is None
    assert Signaling(call=1).find(CtComplete) is None
