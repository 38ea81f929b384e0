"""What a hostile PBX may send, and what has to become of it: the tables of test_hostile_input.py.

A case is a text, or the bytes of frames. No case here depends on how far the login is; those stand in the tests themselves.
"""

from __future__ import annotations

import json
import struct
import zlib
from enum import Enum
from typing import Any, NamedTuple

from .peer import frame

MEBIBYTE = 1024 * 1024
SRC = "0090334f1a2b-1"
"""The src of the first device that a client attaches."""
LIMIT = 16 * MEBIBYTE
"""The default of max_message_size."""


class Fate(Enum):
    """What becomes of a message, and of the connection it comes on."""

    FORWARDED = "goes back byte for byte, and the connection lives"
    TAKEN = "does not go back, and the connection lives"
    CLOSES = "ends the connection with a typed error"


class Case(NamedTuple):
    name: str
    data: bytes
    """Bytes of frames."""
    fate: Fate
    text: bytes = b""
    """The message they carry, where it has to go back."""
    code: int | None = None
    """The code of the close frame that the client sends, where it closes."""

    def __str__(self) -> str:
        return self.name


def in_fragments(text: bytes, count: int, between: bytes = b"") -> bytes:
    """Return a text message cut into ``count`` fragments, with whole frames between each two."""
    size = len(text) // count + 1
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    parts += [b""] * (count - len(parts))
    firsts = [0x01] + [0x00] * (count - 2) + [0x80]
    return between.join(frame(part, first=first) for part, first in zip(parts, firsts, strict=True))


def signaling(raw: str = "", *, call: str = "71", sig: str = '{"type":"info"}', src: str = f'"{SRC}"', api: str = '"EpSignal"') -> str:
    """Return the text of a Signaling message; each part is JSON as it stands, ``raw`` more members with a comma behind."""
    return f'{{"mt":"Signaling","api":{api},"src":{src},{raw}"call":{call},"sig":{sig}}}'


def json_object(kind: str, fields: list[str], value: str) -> str:
    """Return the text of an object of a type, with one JSON value for all of its fields."""
    return f'{{"type":"{kind}",' + ",".join(f'"{one}":{value}' for one in fields) + "}"


def message(kind: str, **members: Any) -> str:
    return json.dumps({"mt": kind, "api": "EpSignal", "src": SRC, **members})


BAD_VALUES = ["5", "-1.5", "true", '"x"', '""', "[]", "[[1]]", "{}", '{"a":{"b":[null]}}', "1e400", "null"]
WRONG: list[Any] = [5, -1.5, True, "x", [], [[1]], {}, {"a": {"b": [None]}}]
SIGNAL_FIELDS = ["cg", "cd", "cau", "fty", "channel", "channels", "channels_cmd", "faststart", "uui", "complete", "confId", "pi"]
FACILITY_FIELDS = ["id", "dst", "remote", "leg2", "diverting", "diverted", "name", "reason"]
FACILITIES = [
    "ct_complete", "ct_setup", "ct_initiate", "diverting_leg2", "diverting_leg3", "hold_notify", "name_identification", "cp_park",
]  # fmt: skip
ATTACH_RESULT_FIELDS = [
    "stun", "turn", "turnUsr", "turnPwd", "prefixIntl", "prefixNtl", "prefixSubs", "area", "country", "maxIntern", "tones",
]  # fmt: skip
OTHER_FIELDS = ["url", "app", "info", "apis", "domain", "version", "build"]
DEEP = "[" * 100_000 + "]" * 100_000

FORWARDED_TEXTS: dict[str, str] = {
    "10 MB in one string": signaling('"zz":"' + "x" * 10_000_000 + '",'),
    "10 MB in one key": signaling('"' + "k" * 10_000_000 + '":1,'),
    "500000 numbers": signaling('"zz":[1' + ",1.5" * 500_000 + "],"),
    "type of 1 MB": signaling(sig=json.dumps({"type": "t" * MEBIBYTE})),
    "src of 1 MB": signaling(src='"' + "s" * MEBIBYTE + '"'),
    "nested 500 deep": signaling('"zz":' + "[" * 500 + "]" * 500 + ","),
    "nested 500 deep in fty": signaling(sig='{"type":"info","fty":' + '[{"type":"zz","a":' * 250 + "1" + "}]" * 250 + "}"),
    "lone surrogates": signaling('"\\ud800":"\\udfff x \\ud83d",', sig='{"type":"\\udc00","cd":{"num":"\\ud800"}}'),
    "escaped controls": signaling('"zz":"\\u0000\\u001b[2J\\u0007",', sig='{"type":"\\u0000\\n"}'),
    "duplicate keys": signaling('"call":72,"src":"other","mt":"Signaling","sig":[],'),
    "type of the message twice": '{"mt":"AppLoginResult","ok":false,' + signaling()[1:],
    "NaN and Infinity": signaling('"a":NaN,"b":[Infinity,-Infinity],', call="NaN"),
    "numbers beyond all": signaling('"a":1e400,"b":-0,"c":1e99999999999999999999,"d":' + "9" * 5000 + ","),
    "no sig": '{"mt":"Signaling","src":"0090334f1a2b-1","call":71}',
    "nothing but the type": '{"mt":"Signaling"}',
    "white space": " \r\n\t" + signaling('"zz" : 1 ,') + "\n",
    "20000 facilities": signaling(sig=json.dumps({"type": "facility", "fty": [{"type": "zz"}] * 20_000})),
    **{f"call {value}": signaling(call=value) for value in [*BAD_VALUES, "9" * 400, "-2147483649", "18446744073709551616", "71.0"]},
    **{f"sig {value}": signaling(sig=value) for value in BAD_VALUES},
    **{f"src {value}": signaling(src=value) for value in [*BAD_VALUES, '"other-1"']},
    **{f"api {value}": signaling(api=value) for value in ["5", "true", "[]", "{}", "null"]},
    **{f"to {value}": signaling(f'"to":{value},') for value in ["5", '"x"', "[]", "{}", "null"]},
    **{
        f"every field of a {kind} is {value}": signaling(sig=json_object(kind, SIGNAL_FIELDS, value))
        for kind in ("setup", "facility", "disc", "progress") for value in BAD_VALUES
    },
    "facilities of every wrong kind": signaling(sig=json.dumps({"type": "facility", "fty": [*WRONG, None, {"type": 5}, {"type": []}]})),
    **{
        f"every facility with {value}": signaling(
            sig='{"type":"facility","fty":[' + ",".join(json_object(kind, FACILITY_FIELDS, value) for kind in FACILITIES) + "]}"
        )
        for value in BAD_VALUES
    },
    "a rel and a disc for a call that nobody knows": signaling(call="4711", sig='{"type":"rel","cau":[]}'),
    "a long name": signaling(call="72", sig=json.dumps({"type": "setup", "cg": {"num": "1" * MEBIBYTE, "sip": "s" * MEBIBYTE}, "cd": {}})),
}  # fmt: skip

TAKEN_TEXTS: dict[str, str | bytes] = {
    "nested 100000 deep": DEEP,
    "nested 100000 deep in a signaling": signaling(f'"zz":{DEEP},'),
    "objects 100000 deep in a signaling": signaling('"zz":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + ","),
    "600000 objects": signaling('"zz":[{}' + ",{}" * 600_000 + "],"),
    "brackets that never end": "[" * 10_000_000,
    "invalid UTF-8": signaling('"zz":"\xff\xfe",').encode("latin-1"),
    "UTF-8 of a surrogate": signaling().encode()[:-1] + b',"zz":"\xed\xa0\x80"}',
    "UTF-8 in more bytes than needed": signaling().encode()[:-1] + b',"zz":"\xc0\xaf"}',
    "byte order mark": "\ufeff" + signaling(),
    "UTF-16": signaling().encode("utf-16"),
    "nothing": "",
    "a zero byte": "\0",
    "cut off": signaling()[:-1],
    "two in one": signaling() * 2,
    **{f"the JSON value {value}": value for value in [*BAD_VALUES, "NaN", DEEP[:400] + DEEP[-400:]]},
    **{f"mt {value}": f'{{"mt":{value},"src":"0090334f1a2b-1","call":71,"sig":{{"type":"alert"}}}}' for value in BAD_VALUES},
    "message type of 1 MB": json.dumps({"mt": "m" * MEBIBYTE, "src": SRC}),
    "message type of 1 MB in EpSignal": message("m" * MEBIBYTE),
    "signaling of another API": signaling(api='"PbxSignal"'),
    "api of 1 MB": signaling(api='"' + "a" * MEBIBYTE + '"'),
    "names of Python": message("__class__", _received={}, _root=5, __init__=[]),
    **{
        f"src {value} of a Sync": f'{{"mt":"Sync","api":"EpSignal","src":{value},"call":77,"info":{{}}}}'
        for value in [*BAD_VALUES, '"other-1"']
    },
    **{f"Sync, call {value!r}": message("Sync", call=value, info={"state": "alert"}) for value in [*WRONG, None, -1, 10**400]},
    **{f"Sync, info {value!r}": message("Sync", call=77, info=value) for value in [*WRONG, None]},
    **{
        f"Sync, all of its info {value!r}": message("Sync", call=77, info=dict.fromkeys(["channel", "in", "state", "remote"], value))
        for value in [*WRONG, 10**400]
    },
    "Sync, all of its remote wrong": message("Sync", call=77, info={"remote": {"num": 5, "sip": [], "dn": {}}}),
    "Sync, a state of 1 MB": message("Sync", call=77, info={"state": "s" * MEBIBYTE}),
    "Sync, nothing": message("Sync"),
    "Attached, twice": message("Attached", call="x", sig=5, info=[]),
    **{
        f"AttachResult, everything {value!r}": message("AttachResult", **dict.fromkeys(ATTACH_RESULT_FIELDS, value))
        for value in [*WRONG, 10**400]
    },
    "AttachResult without src": '{"mt":"AttachResult","api":"EpSignal","err":5}',
    "AttachResult that nobody asked for": message("AttachResult", src="other-1", err=[5]),
    **{f"AttachResult, src {value!r}": message("AttachResult", src=value, err=5) for value in [5, True, [], [SRC], {}, {SRC: SRC}]},
    **{
        f"{kind}, everything {value!r}": json.dumps({"mt": kind, **dict.fromkeys(OTHER_FIELDS, value)})
        for kind in ("PbxInfo", "CheckBuildResult", "AppInfo") for value in WRONG
    },
    "what only an app sends": '{"mt":"AppLogin","digest":5}',
    "an Attach": message("Attach", hw=5),
}  # fmt: skip


def _text_case(name: str, text: str | bytes, fate: Fate) -> Case:
    data = text if isinstance(text, bytes) else text.encode()
    return Case(name, frame(data), fate, data)


PIECES = signaling('"zz":"' + "p" * 10_000_000 + '",').encode()
SMALL = signaling().encode()

FRAMES_THAT_LIVE = [
    Case("20000 fragments of 10 MB", in_fragments(PIECES, 20_000), Fate.FORWARDED, PIECES),
    Case("20000 empty fragments", in_fragments(SMALL, 20_000), Fate.FORWARDED, SMALL),
    Case("control frames in the middle of fragments", in_fragments(SMALL, 9, frame(b"?", 9) + frame(b"!", 10)), Fate.FORWARDED, SMALL),
    Case("pongs that nobody asked for", frame(b"x" * 125, 10) * 500, Fate.TAKEN),
    Case("many pings", frame(b"x" * 125, 9) * 500, Fate.TAKEN),
    Case("binary", frame(SMALL, 2), Fate.TAKEN),
    Case("a length in more bytes than needed", b"\x81\x7f" + struct.pack("!Q", len(SMALL)) + SMALL, Fate.FORWARDED, SMALL),
]

_COMPRESSED = zlib.compress(SMALL)[2:-4]
FRAMES_THAT_CLOSE = [
    Case("compressed, which nobody asked for", frame(_COMPRESSED, first=0xC1), Fate.CLOSES, code=1002),
    Case("second reserved bit", frame(SMALL, first=0xA1), Fate.CLOSES, code=1002),
    Case("third reserved bit", frame(SMALL, first=0x91), Fate.CLOSES, code=1002),
    *(Case(f"opcode {opcode}", frame(b"x", opcode), Fate.CLOSES, code=1002) for opcode in [*range(3, 8), *range(0xB, 0x10)]),
    Case("masked", b"\x81\x84" + b"mask" + b"text", Fate.CLOSES, code=1002),
    Case("masked, of 300 bytes", b"\x81\xfe\x01\x2c" + bytes(304), Fate.CLOSES, code=1002),
    Case("masked, of 70000 bytes", b"\x81\xff" + struct.pack("!Q", 70_000) + bytes(70_004), Fate.CLOSES, code=1002),
    Case("length of 2^63", b"\x81\x7f" + struct.pack("!Q", 2**63), Fate.CLOSES, code=1002),
    Case("length of 2^64 - 1", b"\x81\x7f" + b"\xff" * 8, Fate.CLOSES, code=1002),
    Case("length of 2^63 - 1", b"\x81\x7f" + struct.pack("!Q", 2**63 - 1), Fate.CLOSES, code=1009),
    Case("one byte too many", b"\x81\x7f" + struct.pack("!Q", LIMIT + 1), Fate.CLOSES, code=1009),
    Case("fragments that are too many", frame(bytes(4 * MEBIBYTE), first=0x01) + frame(bytes(4 * MEBIBYTE), 0, first=0) * 4,
         Fate.CLOSES, code=1009),
    Case("ping in fragments", frame(b"x", first=0x09), Fate.CLOSES, code=1002),
    Case("ping of 126 bytes", frame(bytes(126), 9), Fate.CLOSES, code=1002),
    Case("continuation of nothing", frame(b"x", 0), Fate.CLOSES, code=1002),
    Case("message within a fragmented one", frame(b"x", first=0x01) + frame(SMALL), Fate.CLOSES, code=1002),
    Case("close of one byte", frame(b"x", 8), Fate.CLOSES, code=1002),
    *(
        Case(f"close with code {code}", frame(struct.pack("!H", code), 8), Fate.CLOSES, code=1002)
        for code in [0, 999, 1005, 1006, 1015, 65535]
    ),
    Case("close with a reason that is no UTF-8", frame(b"\x03\xe8\xff", 8), Fate.CLOSES, code=1007),
    Case("close of 126 bytes", frame(b"\x03\xe8" + bytes(124), 8), Fate.CLOSES, code=1002),
    Case("close that is right", frame(b"\x03\xe8bye", 8), Fate.CLOSES, code=1000),
    Case("close without a code", frame(b"", 8), Fate.CLOSES, code=1005),
    Case("close with what a terminal obeys", frame(b"\x03\xe8\x1b[2J\r\n\0", 8), Fate.CLOSES, code=1000),
    Case("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", Fate.CLOSES, code=1002),
    Case("a TLS alert", b"\x15\x03\x03\x00\x02\x02\x28", Fate.CLOSES, code=1002),
    Case("all bits", b"\xff" * 1000, Fate.CLOSES, code=1002),
]  # fmt: skip

LIVING = [
    *(_text_case(name, text, Fate.FORWARDED) for name, text in FORWARDED_TEXTS.items()),
    *(_text_case(name, text, Fate.TAKEN) for name, text in TAKEN_TEXTS.items()),
    *FRAMES_THAT_LIVE,
]
CLOSING = FRAMES_THAT_CLOSE
