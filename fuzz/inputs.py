"""Random inputs for each target: near to what a PBX sends, with something wrong, and plain noise."""

from __future__ import annotations

import json
import random
import struct

from hypothesis import strategies as st

from epsignal_sync import messages
from tests.messages.strategies import MESSAGES, any_message
from tests.protocol.random_json import Generator

from .stack import SOURCES
from .targets import Input

noise = st.binary(max_size=60)
cuts = st.lists(st.integers(0, 2**20), max_size=6)
json_noise = st.text(alphabet='{}[]",:0123456789.eE-tfnul\\ \ud800ä', max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
hypothesis_json = any_message.map(lambda data: json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def generated(seed: int) -> bytes:
    """Return the text of a message, most of it right, with the devices, call ids and directions that mean something."""
    pick = random.Random(seed)
    make = Generator(seed, pick.randint(0, 3))
    data = make.record(pick.choice([messages.Signaling] * 3 + list(MESSAGES)))
    if pick.random() < 0.9:
        data["src"] = pick.choice([*SOURCES, SOURCES[0], "other", None])
    if pick.random() < 0.8:
        data["call"] = f"#{pick.choice([1, 1, 2, 3, -1, -1, -2, 0])}"
    if pick.random() < 0.4:
        data["to"] = True
    if pick.random() < 0.8:
        data.pop("api", None)
    if data.get("mt") == "Signaling" and pick.random() < 0.8:
        data["sig"] = make.record(make.concrete(messages.Signal), 1)
    if isinstance(data.get("sig"), dict) and pick.random() < 0.5:
        data["sig"]["type"] = pick.choice(["setup", "alert", "conn", "disc", "rel", "info", "facility", "progress"])
    items = list(data.items())
    pick.shuffle(items)
    return make.text(dict(items))


seeded_json = st.integers(0, 2**40).map(generated)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """A text or stream with some of its bytes replaced, removed or repeated."""
    data = bytearray(draw(whole))
    for place, kind, value in draw(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 3), st.integers(0, 255)), max_size=3)):
        at = place % (len(data) + 1)
        if kind == 0:
            data[at : at + 1] = bytes([value])
        elif kind == 1:
            del data[at : at + value]
        elif kind == 2:
            data[at:at] = data[at : at + value]
        else:
            data[at:at] = bytes([value])
    return bytes(data)


any_text = st.one_of(seeded_json, seeded_json, damaged(seeded_json), json_noise, noise)


def one_frame(first: int, payload: bytes, form: int) -> bytes:
    """Return a frame; ``form``: how its length is written, 0 the shortest way."""
    size = len(payload)
    if form == 0 and size < 126:
        return bytes([first, size]) + payload
    if form <= 1 and size < 65536:
        return bytes([first, 126]) + struct.pack("!H", size) + payload
    return bytes([first, 127]) + struct.pack("!Q", size) + payload


payloads = st.one_of(noise, noise, noise, noise, st.builds(lambda size: bytes(size), st.sampled_from([125, 126, 127, 200, 65535, 65537])))
firsts = st.one_of(st.sampled_from([0x81, 0x01, 0x00, 0x80, 0x82, 0x02, 0x89, 0x8A, 0x88]), st.integers(0, 255))
any_frames = st.lists(st.builds(one_frame, firsts, payloads, st.sampled_from([0, 0, 0, 1, 2])), max_size=8).map(b"".join)


@st.composite
def message_frames(draw: st.DrawFn) -> bytes:
    """A text as one frame or in fragments, with control frames between them."""
    text = draw(any_text)
    parts = draw(st.integers(1, 4))
    size = len(text) // parts + 1
    pieces = [text[start : start + size] for start in range(0, len(text), size)] or [b""]
    between = draw(st.sampled_from([b"", b"", one_frame(0x89, b"?", 0), one_frame(0x8A, b"", 0)]))
    last = len(pieces) - 1
    return between.join(one_frame((0x80 if at == last else 0) | (0 if at else 1), piece, 0) for at, piece in enumerate(pieces))


streams = st.lists(st.one_of(message_frames(), message_frames(), message_frames(), any_frames), max_size=12).map(b"".join)

CODEC = st.builds(Input, st.one_of(any_text, any_text, hypothesis_json), st.just([]))
FRAMES = st.builds(Input, st.one_of(any_frames, damaged(any_frames), st.binary(max_size=200)), cuts)
CONNECTION = st.builds(
    Input,
    st.one_of(st.lists(message_frames(), max_size=12).map(b"".join), streams, damaged(streams)),
    cuts,
    st.booleans(),
)
