from __future__ import annotations

import json
import logging
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.errors import ClosedError, ConnectError, ConnectionLostError, EpSignalError, LoginError
from epsignal_sync.protocol.asking import Names, Rule
from epsignal_sync.protocol.envelope import OWN_CALL_IDS
from epsignal_sync.protocol.lanes import Lanes
from epsignal_sync.protocol.session import Attachment, Credentials, LoginState, Session
from epsignal_sync.relay.deliveries import Counters, Delivery, Late, LinkUp, Note, Received, Sent
from epsignal_sync.relay.forwarding import Forwarding
from epsignal_sync.relay.frames import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    close_payload,
)
from epsignal_sync.relay.inbox import Answer, Outgoing

from ..messages.strategies import signaling
from .framing import client_frames, server_frame

LARGEST = 1024 * 1024
RING = b'{"mt":"Signaling","api":"EpSignal","src":"1","to":true,"call":3,"sig":{"type":"alert"}}'


def frame(payload: bytes | str | dict[str, Any], opcode: int = OPCODE_TEXT) -> bytes:
    if isinstance(payload, dict):
        payload = json.dumps(payload)
    return server_frame(opcode, payload.encode("utf-8") if isinstance(payload, str) else payload)


def written(forwarding: Forwarding) -> list[tuple[int, bytes]]:
    """Return what waits in the outbox, and empty it."""
    data = b""
    while chunk := forwarding.outbox.chunk():
        data += bytes(chunk)
        forwarding.outbox.written(len(chunk))
    return client_frames(data)


def texts(forwarding: Forwarding) -> list[bytes]:
    frames = written(forwarding)
    assert all(opcode == OPCODE_TEXT for opcode, _ in frames), frames
    return [payload for _, payload in frames]


def new(**options: Any) -> Forwarding:
    session = Session(Credentials(app="phones", password="s3cret"), **options)
    session.start()
    return Forwarding(session, "pbx.example.com:443", LARGEST, Counters(), Lanes())


def ready(*attachments: Attachment, **options: Any) -> Forwarding:
    """A connection that is logged in, with one device "1" unless others are given."""
    forwarding = new(**options)
    forwarding.receive(frame({"mt": "AppChallengeResult", "challenge": "x"}) + frame({"mt": "AppLoginResult", "ok": True}), 1.0)
    for attachment in attachments or (Attachment("1", "hw1"),):
        forwarding.session.attach(attachment)
    written(forwarding)
    return forwarding


def received(batch: list[Delivery]) -> list[Received]:
    assert all(isinstance(one, Received) for one in batch)
    return [one for one in batch if isinstance(one, Received)]


def check_forwarded(forwarding: Forwarding, payload: bytes) -> Received:
    """Assert that a text goes back byte for byte and is told after it; returns what is told."""
    before = forwarding.counters.forwarded
    [told] = received(forwarding.receive(frame(payload), 2.0))
    assert texts(forwarding) == [payload]
    assert told.verdict == "forwarded" and told.text == payload and forwarding.counters.forwarded == before + 1
    assert told.number == forwarding.counters.received
    assert forwarding.failure is None
    return told


# ------------------------------------------------------------ what goes back


ODDITIES = {
    "unknown type": b'{"mt":"Signaling","src":"1","call":3,"sig":{"type":"brand_new","x":[1,{"y":null}]}}',
    "type of a wrong type": b'{"mt":"Signaling","src":"1","call":3,"sig":{"type":{"a":1}}}',
    "no signal": b'{"mt":"Signaling","src":"1","call":3}',
    "signal of a wrong type": b'{"mt":"Signaling","src":"1","call":3,"sig":"x"}',
    "no call": b'{"mt":"Signaling","src":"1","sig":{"type":"alert"}}',
    "call is text": b'{"mt":"Signaling","src":"1","call":"-1","sig":{"type":"alert"}}',
    "call is a float": b'{"mt":"Signaling","src":"1","call":-1.0,"sig":{"type":"alert"}}',
    "call is an object": b'{"mt":"Signaling","src":"1","call":{},"sig":{"type":"alert"}}',
    "call is true": b'{"mt":"Signaling","src":"1","call":true,"sig":{"type":"alert"}}',
    "call is null": b'{"mt":"Signaling","src":"1","call":null,"sig":{"type":"alert"}}',
    "call is huge": b'{"mt":"Signaling","src":"1","call":123456789012345678901234567890,"sig":{"type":"alert"}}',
    "call has 5000 digits": b'{"mt":"Signaling","src":"1","call":-' + b"9" * 5000 + b',"sig":{"type":"alert"}}',
    "negative id of somebody else": b'{"mt":"Signaling","src":"1","call":-2000000000,"sig":{"type":"alert"}}',
    "negative beyond 32 bits": b'{"mt":"Signaling","src":"1","call":-5000000000,"sig":{"type":"alert"}}',
    "to is true": b'{"mt":"Signaling","src":"1","to":true,"call":3,"sig":{"type":"alert"}}',
    "to is false": b'{"mt":"Signaling","src":"1","to":false,"call":3,"sig":{"type":"alert"}}',
    "to is null": b'{"mt":"Signaling","src":"1","to":null,"call":3,"sig":{"type":"alert"}}',
    "to is text": b'{"mt":"Signaling","src":"1","to":"yes","call":3,"sig":{"type":"alert"}}',
    "api is null": b'{"api":null,"mt":"Signaling","src":"1","call":3,"sig":{"type":"alert"}}',
    "api is a number": b'{"api":5,"mt":"Signaling","src":"1","call":3,"sig":{"type":"alert"}}',
    "no api": b'{"mt":"Signaling","src":"1","call":3,"sig":{"type":"alert"}}',
    "white space and order": b' {\t"sig" : {"type":"alert" , "x":1.10e+00},\r\n"call":3,"src":"1", "mt":"Signaling"}\n ',
    "escapes": b'{"mt":"Sign\\u0061ling","src":"\\u0031","call":3,"sig":{"type":"alert","dsp":"\\u00e4\\/\\ud83d\\ude00"}}',
    "lone surrogate": b'{"mt":"Signaling","src":"1","call":3,"sig":{"type":"alert","dsp":"\\ud800"}}',
    "not ASCII": '{"mt":"Signaling","src":"1","call":3,"sig":{"type":"alert","dsp":"äö€😀"}}'.encode(),
    "same key twice": b'{"mt":"x","mt":"Signaling","src":"1","call":3,"call":4,"sig":{}}',
    "numbers that Python cannot hold": b'{"mt":"Signaling","src":"1","call":3,"sig":{"a":1e400,"b":-0,"c":NaN,"d":0.10}}',
    "unknown fields": b'{"mt":"Signaling","src":"1","call":3,"zz":[[],{}],"sig":{"type":"rel"}}',
    "rel of an unknown call": b'{"mt":"Signaling","src":"1","call":77,"sig":{"type":"rel"}}',
    "deeply nested": b'{"mt":"Signaling","src":"1","call":3,"sig":' + b"[" * 500 + b"]" * 500 + b"}",
    "large": b'{"mt":"Signaling","src":"1","call":3,"sig":{"uui":"' + b"x" * 300_000 + b'"}}',
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_signaling_goes_back_byte_for_byte(oddity: str) -> None:
    assert check_forwarded(ready(), ODDITIES[oddity]).attachment is not None


def test_unknown_src_goes_back() -> None:
    for src in (b'"2"', b"1", b"[]", b'""', b"{}"):
        told = check_forwarded(ready(), b'{"mt":"Signaling","src":%b,"call":3,"sig":{"type":"alert"}}' % src)
        assert told.attachment is None


@pytest.mark.parametrize("src", [b"", b'"src":null,'])
def test_no_src_goes_back(src: bytes) -> None:
    payload = b'{"mt":"Signaling",%b"call":3,"sig":{"type":"alert"}}' % src
    first = Attachment("1", "hw1")
    assert check_forwarded(ready(first), payload).attachment is first
    assert check_forwarded(ready(first, Attachment("2", "hw2")), payload).attachment is None


def test_signaling_before_the_login_goes_back() -> None:
    assert check_forwarded(new(), RING).attachment is None


def test_signaling_under_the_other_name_of_the_api_goes_back() -> None:
    payload = RING.replace(b"EpSignal", b"Impersonated")
    assert check_forwarded(ready(api="Impersonated"), payload).attachment is not None
    check_forwarded(ready(api="Impersonated"), RING)


@given(signaling())
def test_any_signaling_goes_back(data: dict[str, Any]) -> None:
    payload = json.dumps(data | {"call": 3}, ensure_ascii=False).encode("utf-8")
    check_forwarded(ready(), payload)


@given(st.lists(st.integers(1, 400), max_size=20))
def test_cut_at_any_byte_and_in_fragments(cuts: list[int]) -> None:
    forwarding = ready()
    half = len(RING) // 2
    stream = (
        frame(RING)
        + server_frame(OPCODE_TEXT, RING[:half], final=False)
        + frame(b"p", OPCODE_PING)
        + server_frame(OPCODE_CONTINUATION, RING[half:])
    )
    edges = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    batch = [one for start, end in zip(edges, edges[1:], strict=False) for one in forwarding.receive(stream[start:end], 2.0)]
    assert len(received(batch)) == 2
    assert written(forwarding) == [(OPCODE_TEXT, RING), (OPCODE_PONG, b"p"), (OPCODE_TEXT, RING)]


def test_order_is_kept() -> None:
    forwarding = ready()
    many = [b'{"mt":"Signaling","src":"1","call":%d}' % index for index in range(500)]
    batch = forwarding.receive(b"".join(map(frame, many)), 2.0)
    assert texts(forwarding) == many == [one.text for one in received(batch)]


# ------------------------------------------------------------ what does not


def test_own_call_is_told_and_not_forwarded() -> None:
    forwarding = ready()
    own = OWN_CALL_IDS.issue()
    for extra in ({}, {"to": True}, {"src": "1"}, {"src": "unknown"}, {"sig": {"type": "rel"}}, {"sig": 5}):
        [told] = received(forwarding.receive(frame({"mt": "Signaling", "call": own, **extra}), 2.0))
        assert told.verdict == "own" and told.data["call"] == own
    assert not texts(forwarding)
    assert (forwarding.counters.own, forwarding.counters.forwarded) == (6, 0)
    check_forwarded(forwarding, b'{"mt":"Signaling","call":%d}' % (own - 1))


def test_signaling_of_another_api_is_told_and_not_forwarded() -> None:
    forwarding = ready()
    [told] = received(forwarding.receive(frame(RING.replace(b"EpSignal", b"PbxSignal")), 2.0))
    assert told.verdict is None and told.attachment is None and not texts(forwarding)


@pytest.mark.parametrize("kind", ["AttachResult", "Attached", "Detached", "Sync", "PbxInfo", "KeepAlive", "brand_new", "signaling", ""])
def test_what_is_no_signaling_is_told_and_not_forwarded(kind: str) -> None:
    forwarding = ready()
    [told] = received(forwarding.receive(frame({"mt": kind, "call": 3, "src": "1", "sig": {"type": "alert"}}), 2.0))
    assert told.verdict is None and told.data["mt"] == kind and not texts(forwarding)


def test_application_forwards_itself() -> None:
    device = Attachment("1", "hw1", forward=False)
    forwarding = ready(device, Attachment("2", "hw2"))
    [told] = received(forwarding.receive(frame(RING), 2.0))
    assert told.verdict is None and told.attachment is device and told.text == RING
    assert not texts(forwarding) and forwarding.counters.forwarded == 0
    check_forwarded(forwarding, RING.replace(b'"1"', b'"2"'))
    check_forwarded(forwarding, RING.replace(b'"1"', b'"3"'))


MALFORMED = [
    b"", b"{", b"[]", b'"x"', b"1", b"null", b"{}", b'{"mt":5}', b'{"mt":null}', b'{"MT":"Signaling"}', b"\xff\xfe", b'{"mt":"Signaling"',
    b'{"mt":"Signaling","dsp":"\xc3"}', b"\xef\xbb\xbf" + RING, RING + RING, b"[" * 100_000,
    b'{"mt":"Signaling","sig":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("payload", MALFORMED)
def test_malformed_is_counted_and_not_forwarded(payload: bytes) -> None:
    forwarding = ready()
    (note,) = forwarding.receive(frame(payload), 2.0)
    assert not texts(forwarding) and forwarding.counters.malformed == 1 and forwarding.failure is None
    assert isinstance(note, Note) and note.level == logging.WARNING
    assert "not forwarded" in note.text and "pbx.example.com:443" in note.text
    check_forwarded(forwarding, RING)


def test_binary_message_is_counted_and_not_forwarded() -> None:
    forwarding = ready()
    (note,) = forwarding.receive(frame(RING, OPCODE_BINARY), 2.0)
    assert isinstance(note, Note)
    assert not written(forwarding) and forwarding.counters.malformed == 1 and forwarding.failure is None


def test_content_of_what_is_malformed_is_not_told() -> None:
    forwarding = ready()
    notes = forwarding.receive(frame(b'{"turnPwd":"s3cret"') + frame(b'["s3cret"]') + frame(b"s3cret", OPCODE_BINARY), 2.0)
    assert len(notes) == 3 and "s3cret" not in str(notes)


def test_any_bytes_never_raise() -> None:
    forwarding = ready()
    for first in range(256):
        forwarding.receive(bytes([first, 0]), 2.0)
    assert forwarding.failure is not None


# ------------------------------------------------------------ login


def test_login_and_attach_on_the_wire() -> None:
    forwarding = new()
    forwarding.session.attach(Attachment("1", "hw1"))
    forwarding.receive(frame({"mt": "AppChallengeResult", "challenge": "x"}), 5.0)
    [login] = map(json.loads, texts(forwarding))
    assert login["mt"] == "AppLogin" and forwarding.last_message == 5.0
    batch = forwarding.receive(frame({"mt": "AppLoginResult", "ok": True}) + frame(RING), 6.0)
    attach, forwarded = texts(forwarding)
    assert json.loads(attach) == {"mt": "Attach", "api": "EpSignal", "src": "1", "hw": "hw1"} and forwarded == RING
    assert [type(one) for one in batch] == [Note, LinkUp, Received, Received]


def test_login_refused() -> None:
    forwarding = new()
    forwarding.receive(frame({"mt": "AppChallengeResult", "challenge": "x"}), 1.0)
    written(forwarding)
    batch = forwarding.receive(frame({"mt": "AppLoginResult", "errorText": "no such app"}) + frame(RING), 2.0)
    assert not any(isinstance(one, LinkUp) for one in batch)
    assert written(forwarding) == [(OPCODE_CLOSE, close_payload(1000))]
    assert isinstance(forwarding.failure, LoginError)
    text = str(forwarding.failure)
    assert "no such app" in text and "'phones'" in text and "pbx.example.com:443" in text and "s3cret" not in text


def test_attach_results_find_their_device() -> None:
    first, second = Attachment("1", "hw1"), Attachment("2", "hw2")
    forwarding = ready(first, second)
    batch = forwarding.receive(frame({"mt": "AttachResult"}) + frame({"mt": "AttachResult", "err": "no"}) + frame(RING), 2.0)
    assert [one.attachment for one in received(batch)] == [first, second, first]
    [told] = received(forwarding.receive(frame({"mt": "Attached", "src": "2"}), 2.0))
    assert told.attachment is None


def test_result_of_another_api_answers_no_attach() -> None:
    first = Attachment("1", "hw1")
    [told] = received(ready(first).receive(frame({"mt": "AttachResult", "api": "Other", "src": "1", "err": 1}), 2.0))
    assert told.attachment is None and not first.answered


# ------------------------------------------------------------ control frames and the end


@pytest.mark.parametrize("payload", [b"", b"x" * 125])
def test_ping_is_answered(payload: bytes) -> None:
    forwarding = ready()
    assert forwarding.receive(frame(payload, OPCODE_PING) + frame(b"late", OPCODE_PONG), 2.0) == []
    assert written(forwarding) == [(OPCODE_PONG, payload)] and forwarding.failure is None


@pytest.mark.parametrize(
    ("payload", "answer", "words"),
    [
        (close_payload(1000), close_payload(1000), "code 1000"), (b"", b"", "code 1005"),
        (close_payload(1001, "restart"), close_payload(1001), "code 1001, 'restart'"),
        (close_payload(4000), close_payload(4000), "code 4000"),
        (b"\x03", close_payload(1002), "code 1002"), (struct.pack("!H", 1006), close_payload(1002), "forbidden code 1006"),
        (struct.pack("!H", 1000) + b"\xff", close_payload(1007), "not UTF-8"),
    ],
)  # fmt: skip
def test_close_is_answered_with_its_code(payload: bytes, answer: bytes, words: str) -> None:
    forwarding = ready()
    batch = forwarding.receive(frame(RING) + frame(payload, OPCODE_CLOSE) + frame(RING) + frame(b"", OPCODE_PING), 2.0)
    assert len(received(batch)) == 1
    assert written(forwarding) == [(OPCODE_TEXT, RING), (OPCODE_CLOSE, answer)]
    assert isinstance(forwarding.failure, ConnectionLostError) and words in str(forwarding.failure)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (server_frame(OPCODE_TEXT, RING, bits=0x40), 1002), (server_frame(3), 1002), (server_frame(OPCODE_CONTINUATION, RING), 1002),
        (server_frame(OPCODE_PING, b"x" * 126), 1002), (server_frame(OPCODE_PING, final=False), 1002), (b"\x81\x85abcd", 1002),
        (b"\x81\x7f" + struct.pack("!Q", LARGEST + 1), 1009), (b"\x81\x7f" + b"\xff" * 8, 1002),
        (server_frame(OPCODE_TEXT, b"x" * LARGEST, final=False) + server_frame(OPCODE_CONTINUATION, b"x"), 1009),
    ],
)  # fmt: skip
def test_protocol_error_closes_after_what_came_before_it(bad: bytes, code: int) -> None:
    forwarding = ready()
    batch = forwarding.receive(frame(RING) + frame(b"p", OPCODE_PING) + bad + frame(RING), 2.0)
    assert len(received(batch)) == 1
    assert written(forwarding) == [(OPCODE_TEXT, RING), (OPCODE_PONG, b"p"), (OPCODE_CLOSE, close_payload(code))]
    assert isinstance(forwarding.failure, ConnectionLostError)
    assert forwarding.receive(frame(RING), 3.0) == [] and written(forwarding) == []


def test_protocol_error_behind_a_close_does_not_count() -> None:
    forwarding = ready()
    forwarding.receive(frame(close_payload(1001), OPCODE_CLOSE) + server_frame(3), 2.0)
    assert written(forwarding) == [(OPCODE_CLOSE, close_payload(1001))] and "code 1001" in str(forwarding.failure)


def test_nothing_follows_our_close_frame() -> None:
    forwarding = ready(Attachment("1", "hw1"))
    told_by_close: list[Delivery] = []
    forwarding.close(2.0, told_by_close)
    forwarding.close(2.0, told_by_close)
    assert told_by_close == []
    forwarding.send_text(b"late", 2.0)
    [told] = received(forwarding.receive(frame(RING) + frame(b"", OPCODE_PING), 2.0))
    assert told.verdict is None and forwarding.counters.forwarded == 0
    assert written(forwarding) == [(OPCODE_CLOSE, close_payload(1000))]
    assert forwarding.failure is None


def test_answer_to_our_close_frame() -> None:
    forwarding = ready()
    forwarding.close(2.0, [])
    forwarding.receive(frame(close_payload(1000), OPCODE_CLOSE), 2.0)
    assert isinstance(forwarding.failure, ClosedError)
    assert written(forwarding) == [(OPCODE_CLOSE, close_payload(1000))]


def test_what_waits_is_sent_before_our_close_frame() -> None:
    forwarding = ready()
    forwarding.receive(frame(RING), 2.0)
    forwarding.close(2.0, [])
    assert written(forwarding) == [(OPCODE_TEXT, RING), (OPCODE_CLOSE, close_payload(1000))]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (LoginState.CHALLENGE, ConnectError), (LoginState.LOGIN, LoginError), (LoginState.READY, ConnectionLostError),
        (LoginState.REFUSED, ConnectionLostError),
    ],
)  # fmt: skip
def test_what_a_loss_means(state: LoginState, kind: type[EpSignalError]) -> None:
    forwarding = new()
    forwarding.session.state = state
    forwarding.lose("reading failed")
    assert type(forwarding.failure) is kind
    text = str(forwarding.failure)
    assert "pbx.example.com:443" in text and "reading failed" in text and "s3cret" not in text and "\n" not in text


def test_first_failure_counts() -> None:
    forwarding = ready()
    first = ClosedError("x")
    forwarding.fail(first)
    forwarding.lose("y")
    assert forwarding.failure is first


def test_counters() -> None:
    forwarding = ready()
    before = forwarding.counters.sent
    forwarding.receive(frame(RING) + frame(b"{") + frame(b"", OPCODE_PING) + frame({"mt": "PbxInfo"}), 9.0)
    counters = forwarding.counters
    assert (counters.received, counters.forwarded, counters.malformed, counters.own) == (2 + 3, 1, 1, 0)
    assert counters.sent == before + 1 and forwarding.last_message == 9.0


def test_own_share_is_charged_and_forwarding_is_not() -> None:
    forwarding = ready()
    forwarding.receive(frame(RING), 2.0)
    forwarding.send(OPCODE_TEXT, b"own", 3)
    assert forwarding.outbox.written(len(forwarding.outbox.chunk())) == 3


# ------------------------------------------------------------ what other threads queue

EVERYTHING = (Rule(deadline=1.0),)
CHANGED = b'{"mt":"Signaling","changed":true}'


def rel(attachment: Attachment, *, call: int = 3, to_device: bool = False) -> Sent:
    data = {"mt": "Signaling", "src": attachment.src, "call": call, "sig": {"type": "rel"}} | ({"to": True} if to_device else {})
    return Sent(attachment, call, to_device, data, json.dumps(data).encode())


def message(kind: str, number: int = 0, **fields: Any) -> bytes:
    data = {"mt": "Signaling", "src": "1", "to": True, "call": 3, "sig": {"type": kind, "n": number}, **fields}
    return json.dumps({key: value for key, value in data.items() if value is not None}).encode()


def test_entries_are_taken_in_order() -> None:
    device = Attachment("1", "hw1")
    forwarding = ready(device)
    batch: list[Delivery] = []
    before = forwarding.counters.sent
    own = rel(device, call=4)
    forwarding.take_entry(Outgoing(b'{"first":1}', 11), 5.0, batch)
    forwarding.take_entry(Outgoing(RING), 5.0, batch)
    forwarding.take_entry(Attachment("9", "hw9"), 6.0, batch)
    forwarding.take_entry(Outgoing(own.text, len(own.text), own), 7.0, batch)
    attach = b'{"mt":"Attach","api":"EpSignal","src":"9","hw":"hw9"}'
    assert [json.loads(text) for text in texts(forwarding)] == [json.loads(one) for one in (b'{"first":1}', RING, attach, own.text)]
    assert batch == [own] and own.sent_at > 1_600_000_000 and forwarding.last_message == 7.0
    assert forwarding.counters.sent == before + 4 and forwarding.counters.forwarded == 1, "only the received text counts as forwarded"


def test_entries_after_our_close_frame_go_nowhere() -> None:
    device = Attachment("1", "hw1")
    forwarding = ready(device)
    forwarding.close(2.0, [])
    assert written(forwarding) == [(OPCODE_CLOSE, close_payload(1000))]
    batch: list[Delivery] = []
    for entry in (Outgoing(b"x", 1), Outgoing(RING), Outgoing(b"x", 1, rel(device)), Attachment("9", "hw9")):
        forwarding.take_entry(entry, 3.0, batch)
    assert written(forwarding) == [] and batch == [] and forwarding.counters.forwarded == 0
    [told] = received(forwarding.receive(frame(RING), 4.0))
    assert told.verdict is None, "and a rel that did not go has released nothing"


# ------------------------------------------------------------ asked first


def hold(forwarding: Forwarding, payload: bytes, now: float = 2.0) -> Any:
    """Receive one message that the application is asked about; returns the question."""
    assert forwarding.receive(frame(payload), now) == [] and texts(forwarding) == []
    [held] = forwarding.to_ask()
    assert held.item.text == payload
    return held


def answer(forwarding: Forwarding, held: Any, now: float = 2.5, **answer: Any) -> list[Delivery]:
    batch: list[Delivery] = []
    forwarding.take_entry(Answer(held, **answer), now, batch)
    return batch


def intercepted(*devices: Attachment, rules: tuple[Rule, ...] = EVERYTHING) -> Forwarding:
    forwarding = ready(*devices)
    forwarding.session.rules = rules
    return forwarding


@pytest.mark.parametrize("scope", ["client", "device", "both"])
def test_held_until_the_answer(scope: str) -> None:
    device = Attachment("1", "hw1")
    forwarding = ready(device)
    if scope != "device":
        forwarding.session.rules = EVERYTHING
    if scope != "client":
        device.rules = EVERYTHING
    held = hold(forwarding, RING)
    [told] = received(answer(forwarding, held, 2.5))
    assert texts(forwarding) == [RING] and told is held.item and told.verdict == "forwarded" and forwarding.last_message == 2.5
    held = hold(forwarding, RING)
    [told] = received(answer(forwarding, held, texts=(CHANGED,)))
    assert texts(forwarding) == [CHANGED] and told.verdict == "changed"


def test_deadline_of_a_held_message() -> None:
    forwarding = intercepted()
    assert forwarding.next_at() is None
    held = hold(forwarding, RING)
    assert forwarding.next_at() == 3.0
    batch: list[Delivery] = []
    forwarding.expire(2.9, batch)
    assert not batch and not texts(forwarding)
    forwarding.expire(3.0, batch)
    assert texts(forwarding) == [RING] and batch[0] is held.item and isinstance(batch[1], Late)
    assert answer(forwarding, held, texts=(CHANGED,)) == [] and texts(forwarding) == []
    assert (forwarding.counters.forwarded, forwarding.counters.late, forwarding.counters.changed) == (1, 1, 0)


def test_order_behind_a_held_message() -> None:
    forwarding = intercepted(rules=(Rule(signals=Names(frozenset({"setup"})), deadline=1.0),))
    held = hold(forwarding, message("setup"))
    behind = [message("info", number) for number in range(20)]
    assert forwarding.receive(b"".join(map(frame, behind)), 2.1) == [] and texts(forwarding) == []
    assert [one.text for one in received(answer(forwarding, held))] == texts(forwarding) == [message("setup"), *behind]
    check_forwarded(forwarding, message("info"))


def test_what_is_not_held_up_by_a_held_message() -> None:
    """The other direction, another device, one that cannot be told, the own calls, other messages, pings."""
    first, second = Attachment("1", "hw1"), Attachment("2", "hw2")
    forwarding = intercepted(first, second, rules=(Rule(signals=Names(frozenset({"setup"})), deadline=1.0),))
    hold(forwarding, message("setup"))
    for free in (message("info", to=None), message("info", src="2"), message("setup", src="3"), message("setup", src=None, to=None)):
        check_forwarded(forwarding, free)
    own = OWN_CALL_IDS.issue()
    batch = forwarding.receive(
        frame(message("setup", call=own)) + frame({"mt": "Detached", "src": "1"}) + frame(b"", OPCODE_PING) + frame(b"{"), 2.1
    )
    assert len(batch) == 3 and written(forwarding) == [(OPCODE_PONG, b"")] and not forwarding.to_ask()


@pytest.mark.parametrize("oddity", [name for name in ODDITIES if name not in ("no signal", "signal of a wrong type", "deeply nested")])
def test_odd_signaling_is_asked_about_and_goes_back_byte_for_byte(oddity: str) -> None:
    forwarding = intercepted()
    held = hold(forwarding, ODDITIES[oddity])
    [told] = received(answer(forwarding, held))
    assert texts(forwarding) == [ODDITIES[oddity]] == [told.text] and told.verdict == "forwarded"


def test_application_that_forwards_itself_is_not_asked() -> None:
    forwarding = intercepted(Attachment("1", "hw1", forward=False))
    [told] = received(forwarding.receive(frame(RING), 2.0))
    assert told.verdict is None and not texts(forwarding) and not forwarding.to_ask()


def test_refused_setup_and_what_crosses_on_the_wire() -> None:
    device = Attachment("1", "hw1")
    forwarding = intercepted(device, rules=(Rule(signals=Names(frozenset({"setup"})), deadline=1.0),))
    held = hold(forwarding, message("setup"))
    refusal = rel(device)
    batch = answer(forwarding, held, texts=(), keeps_type=False, refusal=refusal)
    assert batch == [held.item, refusal] and texts(forwarding) == [refusal.text] and refusal.sent_at
    device.rules = forwarding.session.rules = ()  # what is one-sided stays so without any interceptor
    told = received(forwarding.receive(frame(message("facility")) + frame(message("rel")), 3.0))
    assert [one.verdict for one in told] == ["dropped", "dropped"] and not texts(forwarding)
    check_forwarded(forwarding, message("rel", call=4))
    check_forwarded(forwarding, message("setup"))
    assert forwarding.counters.dropped == 3


def test_rel_in_the_same_segment_as_its_refused_setup() -> None:
    device = Attachment("1", "hw1")
    forwarding = intercepted(device, rules=(Rule(signals=Names(frozenset({"setup"})), deadline=1.0),))
    assert forwarding.receive(frame(message("setup")) + frame(message("rel")), 2.0) == []
    [held] = forwarding.to_ask()
    told = received(answer(forwarding, held, texts=(), keeps_type=False, refusal=rel(device)))
    assert [one.verdict for one in told] == ["dropped", "dropped"] and not texts(forwarding)


def test_call_that_the_application_releases_on_one_side() -> None:
    device = Attachment("1", "hw1")
    forwarding = ready(device)
    check_forwarded(forwarding, message("setup"))
    sent = rel(device)
    batch: list[Delivery] = []
    forwarding.take_entry(Outgoing(sent.text, len(sent.text), sent), 2.0, batch)
    assert batch == [sent] and texts(forwarding) == [sent.text]
    [told] = received(forwarding.receive(frame(message("conn", to=None)), 2.1))
    assert told.verdict == "dropped" and not texts(forwarding)
    check_forwarded(forwarding, message("conn", to=None, src="9"))


def test_rel_that_is_not_sent_is_still_relieved() -> None:
    """The device has not got the setup, and hears of its end as little: the application is not charged for ever."""
    device = Attachment("1", "hw1")
    forwarding = intercepted(device)
    held = hold(forwarding, message("setup"))
    sent = rel(device, to_device=True)
    batch: list[Delivery] = []
    forwarding.take_entry(Outgoing(sent.text, 77, sent), 2.1, batch)
    assert batch == [sent] and texts(forwarding) == []
    [told] = received(answer(forwarding, held))
    assert told.verdict == "dropped" and texts(forwarding) == []
    assert forwarding.take_unsent() == 77 and forwarding.take_unsent() == 0


def test_close_sends_what_is_held_before_our_close_frame() -> None:
    forwarding = intercepted()
    held = hold(forwarding, message("setup"))
    forwarding.receive(frame(message("info")) + frame(message("setup", to=None)), 2.1)
    batch: list[Delivery] = []
    forwarding.close(2.2, batch)
    *sent, last = written(forwarding)
    assert last == (OPCODE_CLOSE, close_payload(1000))
    assert [payload for _, payload in sent] == [message("setup"), message("info"), message("setup", to=None)]
    assert [one.verdict for one in received(batch)] == ["forwarded", "bypassed", "bypassed"]
    assert answer(forwarding, held, texts=(CHANGED,)) == [] and written(forwarding) == [] and not forwarding.to_ask()
    [told] = received(forwarding.receive(frame(message("setup")), 2.3))
    assert told.verdict is None and not forwarding.to_ask()


@pytest.mark.parametrize("end", ["close frame", "protocol error", "lost"])
def test_what_is_held_when_the_connection_ends_goes_nowhere(end: str) -> None:
    forwarding = intercepted()
    held = hold(forwarding, message("setup"))
    if end == "lost":
        forwarding.lose("reading failed")
    else:
        forwarding.receive(frame(close_payload(1001), OPCODE_CLOSE) if end == "close frame" else server_frame(3), 2.1)
    assert forwarding.failure is not None
    batch: list[Delivery] = []
    forwarding.abandon(batch)
    assert batch == [held.item] and held.item.verdict is None and held.settled
    assert answer(forwarding, held, texts=(CHANGED,)) == [] and forwarding.next_at() is None
    assert all(opcode == OPCODE_CLOSE for opcode, _ in written(forwarding)) and forwarding.counters.forwarded == 0


@pytest.mark.parametrize("end", ["close frame", "protocol error"])
def test_deadline_that_is_over_at_the_end_of_the_connection(end: str) -> None:
    forwarding = intercepted()
    held = hold(forwarding, message("setup"))
    forwarding.receive(frame(close_payload(1001), OPCODE_CLOSE) if end == "close frame" else server_frame(3), 2.1)
    batch: list[Delivery] = []
    forwarding.expire(9.0, batch)
    item: Received = held.item
    assert batch[0] is item and item.verdict is None and forwarding.counters.forwarded == 0
    assert all(opcode == OPCODE_CLOSE for opcode, _ in written(forwarding))
