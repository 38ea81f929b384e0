"""What must hold for any input: one check for each target, on plain bytes, so that a finding can be written down and run again.

Each check raises whatever goes wrong: an AssertionError with a sentence, or what the library raised.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from attrs import frozen
from websocket._abnf import ABNF

from epsignal_sync.protocol.codec import decode, encode
from epsignal_sync.protocol.envelope import OWN_CALL_IDS
from epsignal_sync.protocol.jsontext import dumps, loads, loads_exact
from tests.messages.strategies import walk
from tests.relay.framing import CONTROL, read_by_websocket_client, read_frames

from .stack import LARGEST, Stack


@frozen
class Input:
    """One input: bytes, and where they are cut. ``asking``: whether an application wants to be asked about every message."""

    data: bytes
    cuts: list[int]
    asking: bool = False

    def pieces(self) -> list[bytes]:
        edges = [0, *sorted(cut % (len(self.data) + 1) for cut in self.cuts), len(self.data)]
        return [self.data[start:end] for start, end in itertools.pairwise(edges)]


# ---------------------------------------------------------------- codec


def check_codec(one: Input) -> None:
    """Any bytes are refused with ValueError or read; a message that is read can be looked at and goes back as it came."""
    try:
        data = loads(one.data)
    except ValueError:
        return
    exact = loads_exact(one.data)
    text = dumps(exact)
    assert dumps(loads_exact(text)) == text, "a text that was written is read otherwise"
    assert same(read_plainly(one.data), read_plainly(text)), "reading and writing changes a value"
    if not isinstance(data, dict):
        return
    message = decode(data)
    for record in walk(message):
        assert isinstance(repr(record), str)
        assert record.problems is not None and record.extra is not None
        encode(record)
    assert encode(message) is data, "a message that nobody changed is not encoded as it came"


def read_plainly(text: bytes) -> Any:
    """Return the value by the standard library, numbers as their texts."""
    return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)


class _Number(str):
    """The text of a number; no string of a JSON text is one."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, the order of keys included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


# ---------------------------------------------------------------- frames


def check_frames(one: Input) -> None:
    """Any bytes read the same however they are cut; and where websocket-client reads them, too, it reads the same."""
    whole = read_frames([one.data], LARGEST)
    assert read_frames(one.pieces(), LARGEST) == whole, "frames read otherwise when they are cut"
    if len(one.data) < 400:
        assert read_frames([one.data[at : at + 1] for at in range(len(one.data))], LARGEST) == whole, "frames read otherwise byte by byte"
    expected, complete = read_by_websocket_client(one.data, our_rules())
    messages, code = whole
    assert code is None or not complete, f"websocket-client reads what is refused with {code}"
    assert messages[: len(expected)] == expected, "frames read otherwise than by websocket-client"


def our_rules() -> Callable[[ABNF], bool]:
    """Return what says of one frame after the other whether we take it too.

    Unlike us websocket-client takes masked frames, large messages and long or fragmented control frames.
    """
    size = 0

    def takes(frame: ABNF) -> bool:
        nonlocal size
        if frame.mask_value:
            return False
        if frame.opcode in CONTROL:
            return len(frame.data) <= 125 and bool(frame.fin)
        size = len(frame.data) + (size if frame.opcode == ABNF.OPCODE_CONT else 0)
        return size <= LARGEST

    return takes


# ---------------------------------------------------------------- connection


def check_connection(one: Input) -> None:
    """Any bytes after the login: nothing raises, nothing is an internal error, and what has to go on goes on as it came, in order."""
    stack = Stack(asking=one.asking)
    try:
        for piece in one.pieces():
            stack.receive(piece)
        stack.look_at_everything()
        received, _ = read_frames(one.pieces(), LARGEST)
        closed = next((index for index, (opcode, _) in enumerate(received) if opcode == 8), len(received))
        texts = [payload for opcode, payload in received[:closed] if opcode == 1]
        judged = [(text, must_go_on(text, stack.apis)) for text in texts]
        wanted = [text for text, must in judged if must]
        doubtful = {text for text, must in judged if must is None}
        went = [text for text in stack.forwarded(set(texts)) if text not in doubtful]
        if not one.asking:
            assert went == wanted, f"{len(went)} messages went on, not {len(wanted)}, or in another order"
        else:  # what is asked about waits in its own lane only, and for ever where the connection ends
            lanes, right = by_lane(went), by_lane(wanted)
            assert all(right[lane][: len(lanes[lane])] == lanes[lane] for lane in lanes), "a lane went on in another order"
            assert stack.lost or len(went) == len(wanted), f"{len(went)} messages went on, not {len(wanted)}"
        stack.check_notes()
    finally:
        stack.close()


def must_go_on(text: bytes, apis: frozenset[str]) -> bool | None:
    """Whether a text is to be forwarded, judged by the standard library alone; None where it is too deep for it."""
    try:
        data = json.loads(text.decode("utf-8"), parse_int=_integer)
    except RecursionError:
        return None
    except ValueError:
        return False
    if not isinstance(data, dict) or data.get("mt") != "Signaling":
        return False
    if isinstance(data.get("api"), str) and data["api"] not in apis:
        return False
    call = data.get("call")
    return not (type(call) is int and OWN_CALL_IDS.issued(call))


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else float(digits)


def by_lane(texts: list[bytes]) -> dict[tuple[str, bool], list[bytes]]:
    lanes: dict[tuple[str, bool], list[bytes]] = defaultdict(list)
    for text in texts:
        data = json.loads(text.decode("utf-8"), parse_int=_integer)
        lanes[repr(data.get("src")), data.get("to") is True].append(text)
    return lanes
