from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epsignal_sync.errors import UsageError
from epsignal_sync.messages import (
    EP,
    Alert,
    AppLogin,
    AttachResult,
    Cause,
    Channels,
    CtComplete,
    CtInitiate,
    Facility,
    Ice,
    IceCandidate,
    ImMessage,
    Info,
    MediaChannel,
    MwiInterrogateResult,
    NameIdentification,
    Record,
    Rel,
    Setup,
    Signal,
    Signaling,
    SrtpKey,
    Sync,
    UnknownFacility,
    UnknownMessage,
    UserInfo,
)
from epsignal_sync.messages.record import JSONObject, received, wire_fields, wire_names
from epsignal_sync.protocol.codec import decode, encode
from epsignal_sync.protocol.jsontext import dumps

from .strategies import any_message, signaling, walk, wire_objects

SETUP: JSONObject = {
    "mt": "Signaling", "src": "1", "to": None, "call": 3, "zz": [1, None],
    "sig": {
        "cd": {"num": "22", "guid": 5, "zz": {"a": None}}, "type": "setup", "fty": [{"type": "new", "x": 1}, 7, None],
        "channels": {"ch": [{"coder": "G729"}, 3], "id": 7}, "complete": "yes", "later": {},
    },
}  # fmt: skip


def text(record: Record) -> bytes:
    return dumps(encode(record))


def setup() -> Signaling:
    message = decode(copy.deepcopy(SETUP))
    assert isinstance(message, Signaling)
    return message


def signal_of(message: Signaling) -> Setup:
    assert isinstance(message.sig, Setup)
    return message.sig


# ------------------------------------------------------------ reading


def test_attribute_is_of_its_type_or_none() -> None:
    sig = signal_of(setup())
    assert sig.complete is None and sig.channels is not None and sig.cd is not None
    assert (sig.cd.num, sig.cd.guid, sig.channels.id, sig.channels.ch) == ("22", None, 7, None)


def test_problems_name_path_and_value() -> None:
    assert set(map(repr, setup().problems)) == set(map(repr, [
        ("sig.fty[1]", 7), ("sig.fty[2]", None), ("sig.cd.guid", 5), ("sig.complete", "yes"),
        ("sig.channels.ch", [{"coder": "G729"}, 3]),
    ]))  # fmt: skip


def test_null_is_no_problem() -> None:
    message = decode({"mt": "Signaling", "to": None, "call": None, "sig": {"type": "rel", "cau": None}})
    assert message.problems == ()


def test_extra_shows_unknown_fields_read_only() -> None:
    message = setup()
    assert dict(message.extra) == {"zz": [1, None]}
    assert dict(signal_of(message).extra) == {"later": {}}
    with pytest.raises(TypeError):
        message.extra["zz"] = 1  # type: ignore[index]
    assert not Setup().extra


def test_one_bad_facility_does_not_hide_the_others() -> None:
    first, second, third = signal_of(setup()).fty or ()
    assert isinstance(first, UnknownFacility) and (first.type, first.data) == ("new", {"type": "new", "x": 1})
    assert isinstance(second, UnknownFacility) and isinstance(third, UnknownFacility)


def test_misspelt_attribute() -> None:
    with pytest.raises(AttributeError, match="Setup has no attribute 'cdd'"):
        signal_of(setup()).cdd  # type: ignore[attr-defined]  # noqa: B018


@settings(max_examples=60)
@given(any_message)
def test_reading_never_raises(data: JSONObject) -> None:
    message = decode(data)
    for one in walk(message):
        repr(one), one.problems, dict(one.extra)
        for derived in ("data", "text", "stun_servers", "turn_servers"):
            getattr(one, derived, None)
        if isinstance(one, Signal):
            one.find(Facility)


@pytest.mark.parametrize("depth", [400, 900, 5000])
def test_deep_nesting_never_raises(depth: int) -> None:
    deep: Any = {"pwd": "s3cret"}
    for _ in range(depth):
        deep = [deep]
    data = {"mt": "AttachResult", "err": deep, "sig": deep, "zz": deep, "stun": deep}
    message = decode(data)
    assert "s3cret" not in repr(message)
    assert encode(message) is data
    assert [path for path, _ in message.problems] == ["stun"] and message.extra
    rel = decode({"mt": "Signaling", "sig": {"type": "rel", "cau": {"num": deep, "loc": deep}, "uui": deep}})
    assert "s3cret" not in repr(rel)
    assert isinstance(rel, Signaling) and isinstance(rel.sig, Rel) and rel.sig.cau is not None
    assert "s3cret" not in rel.sig.cau.text


# ------------------------------------------------------------ changing


def test_unchanged_message_goes_back_as_it_came() -> None:
    message = setup()
    list(walk(message))
    assert text(message) == dumps(SETUP)


def test_evolve_replaces_in_place() -> None:
    message = setup()
    changed = attrs.evolve(message, call=4)
    assert text(changed) == dumps(SETUP | {"call": 4})
    assert text(message) == dumps(SETUP)


def test_evolve_inside_keeps_what_is_around() -> None:
    message = setup()
    sig = signal_of(message)
    changed = attrs.evolve(message, sig=attrs.evolve(sig, cd=attrs.evolve(sig.cd or EP(), num="23")))
    wanted = copy.deepcopy(SETUP)
    wanted["sig"]["cd"]["num"] = "23"
    assert text(changed) == dumps(wanted)


def test_evolve_with_none_removes() -> None:
    changed = attrs.evolve(setup(), call=None)
    assert "call" not in encode(changed) and changed.call is None
    assert "to" in encode(changed)


def test_evolve_with_none_leaves_a_null_and_what_did_not_fit() -> None:
    message = setup()
    assert text(attrs.evolve(message, to=None, sig=attrs.evolve(signal_of(message), complete=None))) == dumps(SETUP)


def test_evolve_a_value_that_did_not_fit() -> None:
    message = setup()
    changed = attrs.evolve(message, sig=attrs.evolve(signal_of(message), complete=True))
    wanted = copy.deepcopy(SETUP)
    wanted["sig"]["complete"] = True
    assert text(changed) == dumps(wanted)


def test_evolve_twice_and_back() -> None:
    message = setup()
    twice = attrs.evolve(attrs.evolve(message, call=4), to=True)
    assert text(twice) == dumps(SETUP | {"call": 4, "to": True})
    assert text(attrs.evolve(twice, call=message.call, to=message.to)) == dumps(SETUP)


def test_facilities_may_be_given_as_a_list() -> None:
    sig = signal_of(setup())
    changed = attrs.evolve(sig, fty=[*(sig.fty or ()), NameIdentification(name="A")])
    assert encode(changed)["fty"] == [*SETUP["sig"]["fty"], {"type": "name_identification", "name": "A"}]


@settings(max_examples=60)
@given(any_message, st.data())
def test_evolve_changes_only_what_was_changed(data: JSONObject, choose: st.DataObject) -> None:
    before = dumps(data)
    record = choose.draw(st.sampled_from(list(walk(decode(data)))))
    other = received(type(record), choose.draw(wire_objects(type(record), wrong=False)))
    fields = wire_fields(type(record))
    if not fields:
        return
    one = choose.draw(st.sampled_from(fields))
    new = choose.draw(st.sampled_from([None, getattr(other, one.name)]))
    original = copy.deepcopy(encode(record))
    changed = encode(attrs.evolve(record, **{one.name: new}))
    if new is not None and new is not getattr(record, one.name):
        assert one.wire in changed
        original[one.wire] = changed[one.wire]
    elif new is None and getattr(record, one.name) is not None:
        original.pop(one.wire)
    assert dumps(changed) == dumps(original)
    assert dumps(data) == before


# ------------------------------------------------------------ comparing


def test_equal_by_value_received_or_built() -> None:
    one, other = received(EP, {"num": "22", "zz": 1}), EP(num="22")
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    assert one != EP(num="23") and one != received(Info, {"num": "22"}) and one != "22"


# ------------------------------------------------------------ copies


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@settings(max_examples=60)
@given(data=any_message)
def test_copies_keep_the_encoding(duplicate: Any, data: JSONObject) -> None:
    message = decode(data)
    again = duplicate(message)
    assert type(again) is type(message) and text(again) == text(message) == dumps(data)
    assert again == message and again.problems == message.problems
    changed = attrs.evolve(message, src="new")
    assert text(duplicate(changed)) == text(changed)
    assert text(duplicate(attrs.evolve(changed, src=None))) == text(attrs.evolve(changed, src=None))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@settings(max_examples=60)
@given(data=signaling())
def test_copies_of_a_changed_signal_keep_the_encoding(duplicate: Any, data: JSONObject) -> None:
    message = decode(data)
    assert isinstance(message, Signaling) and message.sig is not None
    changed = attrs.evolve(message, sig=attrs.evolve(message.sig, fty=(NameIdentification(name="B"),)))
    again = duplicate(changed)
    assert text(again) == text(changed)
    assert text(attrs.evolve(again, src="x")) == text(attrs.evolve(changed, src="x"))


def test_copies_of_a_built_message() -> None:
    built = Signaling(api="EpSignal", call=-1, sig=Setup(cd=EP(num="22"), fty=[NameIdentification(name="A")]))
    for again in (copy.copy(built), copy.deepcopy(built), pickle.loads(pickle.dumps(built))):
        assert again == built and text(again) == text(built)
        assert text(attrs.evolve(again, call=-2)) == text(built).replace(b"-1", b"-2")


# ------------------------------------------------------------ building


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (EP, "num", 22), (Setup, "complete", 1), (Setup, "channel", True), (Setup, "cd", {"num": "22"}), (Setup, "pi", ["a"]),
        (Setup, "pi", ("a", 1)), (Setup, "fty", (EP(),)), (Signaling, "sig", EP()), (Sync, "info", EP()), (AppLogin, "info", [1]),
    ],
)  # fmt: skip
def test_wrong_type_is_refused(cls: type[Record], name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"^{cls.__name__}\.{name} cannot be .*: it takes ") as caught:
        cls(**{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cls", "name", "value", "reason"),
    [
        (Setup, "uui", "x" * 129, "at most 128 bytes of UTF-8, not 129"), (Setup, "uui", "ä" * 65, "at most 128 bytes of UTF-8, not 130"),
        (UserInfo, "uui", "\ud800" * 43, "at most 128 bytes"), (Setup, "bc", "8090a", "hex digits"), (Setup, "bc", "80 90", "hex digits"),
        (Setup, "bc", "8090a2\n", "hex digits"), (Setup, "pi", ("00", "zz"), "hex digits"), (Setup, "conf_id", "{00ff}", "hex digits"),
        (EP, "guid", "xx", "hex digits"), (EP, "num", "", "rather than empty"), (SrtpKey, "tag", -1, "unsigned"),
        (CtInitiate, "id", -1, "unsigned"), (MediaChannel, "port", -5004, "unsigned"), (ImMessage, "time", -1, "unsigned"),
        (Setup, "fty", 5, "a tuple of Facility"), (Setup, "fty", NameIdentification(), "a tuple of Facility"),
        (Setup, "channel", "0", "it takes int"), (Setup, "cd", "22", "it takes EP"), (MwiInterrogateResult, "sub", EP(), "MwiActivate"),
    ],
)  # fmt: skip
def test_wrong_value_is_refused(cls: type[Record], name: str, value: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=rf"^{cls.__name__}\.{name} cannot be .*{reason}") as caught:
        cls(**{name: value})
    assert len(str(caught.value)) < 250
    if isinstance(value, Record) or name == "fty":
        return
    # The same, received, is not judged, also where another field is changed.
    as_json = list(value) if isinstance(value, tuple) else value
    wire = wire_names(cls)[name]
    record = received(cls, {wire: as_json, "zz": 1})
    other = next(one for one in wire_fields(cls) if one.name != name)
    changed = attrs.evolve(record, **{other.name: None})
    assert encode(changed) == {wire: as_json, "zz": 1}
    twice = attrs.evolve(changed, **{other.name: getattr(record, other.name)})
    assert encode(twice) == {wire: as_json, "zz": 1}


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (Setup, "uui", "x" * 128), (Setup, "uui", "ä" * 64), (Setup, "bc", ""), (Setup, "bc", "8090A2"), (Setup, "pi", ()),
        (SrtpKey, "tag", 0), (Setup, "channel", -1), (EP, "num", "RI49"), (MediaChannel, "coder", "LYRA"), (Cause, "num", "any"),
    ],
)  # fmt: skip
def test_value_at_the_edge_is_taken(cls: type[Record], name: str, value: Any) -> None:
    assert getattr(cls(**{name: value}), name) == value


@pytest.mark.parametrize("cls", [Setup, EP, CtComplete, Signaling])
def test_unknown_keyword_is_refused(cls: type[Record]) -> None:
    with pytest.raises(TypeError, match="calling"):
        cls(**{"calling": EP()})
    with pytest.raises(TypeError, match="calling"):
        attrs.evolve(received(cls, {}), calling=EP())  # type: ignore[call-arg]


def test_wrong_type_is_refused_by_evolve() -> None:
    with pytest.raises(UsageError):
        attrs.evolve(setup(), call="3")  # type: ignore[arg-type]


def test_received_is_not_judged_by_evolve_of_another_field() -> None:
    assert attrs.evolve(signal_of(setup()), dsp="x").complete is None


def test_immutable() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setup().call = 4  # type: ignore[misc]


def test_in_is_spelled_without_its_underscore_on_the_wire() -> None:
    assert wire_names(Info)["in_"] == "in"
    assert encode(Info(in_=True)) == {"in": True}


# ------------------------------------------------------------ secrets


SECRET = "5ec7e70123456789"


@pytest.mark.parametrize(
    "record",
    [
        ImMessage(data=SECRET), Setup(fty=[NameIdentification(), ImMessage(data=SECRET)]),
        Signaling(sig=Alert(fty=[ImMessage(data=SECRET)])),
        AttachResult(turn_pwd=SECRET), SrtpKey(b=SECRET), Ice(pwd=SECRET), AppLogin(digest=SECRET),
        Setup(channels=Channels(key=SrtpKey(b=SECRET), audio_ice=Ice(pwd=SECRET))),
        AttachResult(err={"turnPwd": SECRET}), AppLogin(info={"user": {"password": SECRET}}), Cause(loc=[{"b": SECRET}]),
        Cause(num=({"digest": SECRET},)), IceCandidate(addr={"x": [[{"pwd": SECRET}]]}), SrtpKey(mode={"b": {"c": SECRET}}),
    ],
)  # fmt: skip
def test_secret_is_not_in_repr(record: Record) -> None:
    assert SECRET not in repr(record) and "***" in repr(record)
    assert SECRET not in repr([record])


@pytest.mark.parametrize(
    "data",
    [
        {"mt": "AttachResult", "turnPwd": SECRET}, {"mt": "AppLogin", "digest": SECRET},
        {"mt": "AttachResult", "turnPwd": [SECRET], "err": {"turnPwd": SECRET}}, {"mt": "AppLogin", "info": {"password": SECRET}},
        {"mt": "Other", "turnPwd": SECRET, "zz": {"pwd": SECRET}}, {"mt": "Signaling", "sig": {"type": "new", "pwd": SECRET}},
        {"mt": "Signaling", "sig": {"type": "setup", "channels": {"key": {"b": SECRET}, "audio_ice": {"pwd": SECRET}}}},
        {"mt": "Signaling", "sig": {"type": "setup", "channels": {"key": {"b": {"x": SECRET}, "mki": [{"b": SECRET}]}}}},
        {"mt": "Signaling", "sig": {"type": "setup", "channels": {"video_ice": {"candidate": [{"addr": {"pwd": SECRET}}]}}}},
        {"mt": "Signaling", "sig": {"type": "setup", "fty": [{"type": "new", "pwd": SECRET}, SECRET]}},
    ],
)  # fmt: skip
def test_received_secret_is_not_in_repr(data: JSONObject) -> None:
    message = decode(data)
    assert SECRET not in repr(message)
    assert SECRET not in repr(attrs.evolve(message, src="1"))
    assert dumps(encode(message)) == dumps(data)


def test_secret_can_be_read() -> None:
    channels = Channels(key=SrtpKey(b=SECRET), audio_ice=Ice(pwd=SECRET))
    assert channels.key is not None and channels.key.b == SECRET and channels.audio_ice is not None and channels.audio_ice.pwd == SECRET
    assert AttachResult(turn_pwd=SECRET).turn_pwd == ImMessage(data=SECRET).data == SECRET
    again = decode({"mt": "Signaling", "sig": {"type": "rel", "fty": [{"type": "im_message", "data": SECRET}]}})
    assert isinstance(again, Signaling) and again.sig is not None
    found = again.sig.find(ImMessage)
    assert found is not None and found.data == SECRET


@pytest.mark.parametrize(
    "data",
    [
        {"mt": "AttachResult", "turnPwd": [SECRET]}, {"mt": "AttachResult", "stun": [{"pwd": SECRET}]},
        {"mt": "Signaling", "sig": {"type": "setup", "channels": {"key": {"b": {"x": SECRET}}, "audio_ice": {"pwd": [SECRET]}}}},
        {"mt": "Signaling", "sig": {"type": "alert", "fty": [{"type": "im_message", "data": [SECRET]}, {"type": "new", "data": SECRET}]}},
        {"mt": "Signaling", "sig": {"type": "alert", "fty": [[{"data": SECRET}]]}},
    ],
)  # fmt: skip
def test_secret_that_does_not_fit_is_not_shown(data: JSONObject) -> None:
    message = decode(data)
    assert message.problems
    for shown in (repr(message), repr(message.problems), str(message.problems[0]), f"{message.problems}"):
        assert SECRET not in shown
    assert SECRET in str([value for _, value in message.problems])


@settings(max_examples=60)
@given(signaling())
def test_no_secret_field_in_any_repr(data: JSONObject) -> None:
    for one in walk(decode(data)):
        for each in wire_fields(type(one)):
            if each.secret and getattr(one, each.name) is not None:
                assert f"{each.name}=***" in repr(one)


SECRET_FIELDS = [(ImMessage, "data"), (Ice, "pwd"), (SrtpKey, "b"), (AttachResult, "turn_pwd"), (AppLogin, "digest")]


@pytest.mark.parametrize(("cls", "name"), SECRET_FIELDS)
def test_secret_is_not_in_an_error(cls: type[Record], name: str) -> None:
    wrong: dict[str, Any] = {name: [SECRET]}
    with pytest.raises(UsageError) as caught:
        cls(**wrong)
    assert SECRET not in str(caught.value)
    with pytest.raises(UsageError) as caught:
        Channels(key={"b": SECRET})  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)


def test_unknown_message_shows_no_content() -> None:
    assert repr(decode({"mt": "New", "a": 1})) == "UnknownMessage(mt='New')"
    assert isinstance(decode({"mt": "New"}), UnknownMessage)
