"""Builds the signals that phones and the PBX send, and says what a signal does to the state of a call.

Knows nothing of connections, threads or who is in a call.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

Signal = dict[str, Any]

CALL_STATES = ("null", "setup", "setup-ack", "call-proc", "alert", "connected", "disconnected", "disconnecting", "parked")

NORMAL_CLEARING = 16
"""Q.850 cause values, by the names of the standard."""
UNALLOCATED_NUMBER = 1
USER_BUSY = 17
NO_ANSWER = 19
SUBSCRIBER_ABSENT = 20
CALL_REJECTED = 21
NON_SELECTED_USER_CLEARING = 26
DESTINATION_OUT_OF_ORDER = 27
INVALID_NUMBER_FORMAT = 28
EXCHANGE_ROUTING_ERROR = 25
TEMPORARY_FAILURE = 41
INVALID_CALL_REFERENCE = 81
NO_SUCH_CALL = 86
"""Call having the requested call identity has been cleared."""
INVALID_CALL_STATE = 101
RECOVERY_ON_TIMER_EXPIRY = 102

CODERS = ("OPUS-WB", "G722", "G711A", "G711u", "G729")
"""What every simulated phone can do, best first."""

ATTACH_RESULT: Signal = {
    "stun": "stun.example.com:3478;stun2.example.com:3478",
    "turn": "turn.example.com:3478?transport=udp;turn.example.com:443?transport=tcp",
    "turnUsr": "turnuser",
    "turnPwd": "turnpassword",
    "prefixIntl": "00",
    "prefixNtl": "0",
    "prefixSubs": "",
    "area": "7031",
    "country": "49",
    "maxIntern": 4,
    "tones": 1,
}
"""What an AttachResult tells about the PBX."""

_STATE_OF = {"setup": "setup", "setup_ack": "setup-ack", "call_proc": "call-proc", "alert": "alert", "conn": "connected"}
_FORWARD = {"null": 0, "setup": 1, "setup-ack": 2, "call-proc": 3, "alert": 4, "connected": 5}


def next_state(state: str, sig: Signal, *, to_device: bool) -> str:
    """Return the CallState, as seen from the device, after ``sig`` went in that direction."""
    kind = sig.get("type")
    if kind == "rel":
        return "null"
    if kind == "disc" or (kind == "progress" and sig.get("cau") is not None):
        return "disconnected" if to_device else "disconnecting"
    # Spec: a phone that asks to park is in its call until the PBX ends it, as nothing else would tell that it failed.
    if state == "connected" and to_device and has_facility(sig, "cp_park"):
        return "parked"
    if state == "parked" and kind == "conn":
        return "connected"
    following = _STATE_OF.get(kind) if isinstance(kind, str) else None
    if following is None or _FORWARD.get(state, 9) >= _FORWARD[following]:
        return state
    return following


def cause_of(sig: Signal) -> int | None:
    """Return the cause value of a disc, rel or progress, or None."""
    cau = sig.get("cau")
    num = cau.get("num") if isinstance(cau, dict) else None
    return num if type(num) is int else None


def party(endpoint: Any) -> Signal:
    """Return ``num`` and ``sip`` of an EP, as far as it has them."""
    return {key: endpoint[key] for key in ("num", "sip") if key in endpoint} if isinstance(endpoint, dict) else {}


def number_of(sig: Signal) -> str:
    """Return the digits that a setup or info dials, or an empty text."""
    number = party(sig.get("cd")).get("num")
    return number if isinstance(number, str) else ""


def call_id_of(sig: Signal) -> str:
    """Return the H.323 call id of a setup, or a new one where it has none."""
    given = sig.get("callId")
    return given if isinstance(given, str) and given else uuid.uuid4().hex


def facilities(sig: Signal) -> list[Any]:
    """Return the facilities of a signal as a list of one's own."""
    fty = sig.get("fty")
    return list(fty) if isinstance(fty, list) else []


def has_facility(sig: Signal, name: str) -> bool:
    """Return whether a signal carries a facility of that name."""
    return any(isinstance(each, dict) and each.get("type") == name for each in facilities(sig))


def name_of(sig: Signal) -> str:
    """Return the display name that a signal carries, or an empty text."""
    for each in facilities(sig):
        if isinstance(each, dict) and each.get("type") == "name_identification" and isinstance(each.get("name"), str):
            return str(each["name"])
    return ""


def name_identification(name: str) -> Signal:
    """Return the facility that carries a display name."""
    return {"type": "name_identification", "name": name}


def with_facilities(sig: Signal, more: list[Any]) -> Signal:
    """Return a copy of ``sig`` that carries these facilities too."""
    return {**sig, "fty": [*facilities(sig), *more]} if more else sig


def with_name(sig: Signal, name: str) -> Signal:
    """Return a copy of ``sig`` that carries this display name and no other."""
    others = [each for each in facilities(sig) if not (isinstance(each, dict) and each.get("type") == "name_identification")]
    return {**sig, "fty": [name_identification(name), *others]}


def rel(cause: int | None) -> Signal:
    """Return a rel."""
    return {"type": "rel"} if cause is None else {"type": "rel", "cau": {"num": cause}}


def disc(cause: int) -> Signal:
    """Return a disc as the PBX sends it to an H.323 phone, tones included."""
    return {"type": "disc", "inband_info": True, "cau": {"loc": 1, "num": cause}}


def setup(*, number: str, sip: str, name: str, called: str, overlap: bool, media: Signal) -> Signal:
    """Return the setup of a telephone call with its media offer; with ``overlap`` more digits may follow."""
    seed = hashlib.sha256(str(media["channels"]["guid"]).encode()).hexdigest()
    return {
        "type": "setup",
        "bc": "8090a2",
        "cg": {"num": number, "sip": sip},
        **({"cd": {"num": called}} if called else {}),
        **({} if overlap else {"complete": True}),
        "channel": -1,
        "fty": [name_identification(name)],
        **media,
        "confId": seed[:32],
        "callId": seed[32:],
    }


def standing_setup(*, number: str, sip: str, facility: str) -> Signal:
    """Return the setup of a no-media call that a phone keeps open."""
    return {
        "type": "setup",
        "bc": "a880",
        "cg": {"num": number, "sip": sip},
        "cd": {"sip": sip},
        "complete": True,
        "channel": 0,
        "fty": [{"type": facility}],
    }


def presence(note: str) -> Signal:
    """Return the facility signal that tells a subscriber about presence."""
    return {"type": "facility", "fty": [{"type": "presence_notify", "status": "open", "activity": None, "note": note, "contact": "tel:"}]}


def facility(name: str, **fields: Any) -> Signal:
    """Return a signal that carries this facility alone."""
    return {"type": "facility", "fty": [{"type": name, **fields}]}


def late_facility() -> Signal:
    """Return a facility that would change the call, were it not over."""
    return facility("ct_complete", remote={"num": "0", "sip": "too-late"}, remote_name="Too late")


def with_surprises(sig: Signal) -> Signal:
    """Return a copy of ``sig`` with what newer firmware adds: unknown fields and facilities, nulls, non-ASCII text."""
    return {
        **sig,
        "uui": None,
        "dsp": "Zürich – 東京 ☎",
        "x_restart": {"epoch": 7, "träger": [None, 1.5, {"tief": True}]},
        "fty": [*facilities(sig), {"type": "x_call_survival", "token": "00ff", "hint": None, "names": ["Ærø", "Łódź"]}],
    }


def offer(seed: str, port: int, *, source: str) -> Signal:
    """Return a realistic media offer; ``seed`` makes its ids and keys differ from those of other offers."""
    digest = hashlib.sha512(seed.encode()).hexdigest()
    return {
        "source": source,
        "id": int(digest[:4], 16),
        "guid": digest[4:36],
        "key": {"tag": 1, "mode": "AES128-80", "mki": 0, "mki_len": 0, "b": digest[36:96]},
        "audio_rtcp_mux": True,
        "audio_setup_role": "actpass",
        "audio_ice": _ice(digest, port),
        "ch": [_channel(coder, port) for coder in CODERS],
    }


def answer(offered: Any, seed: str, port: int, *, source: str) -> Signal | None:
    """Return the answer to a media offer, with the best coder that both can do; None where there is none."""
    channels = offered.get("ch") if isinstance(offered, dict) else None
    coders = [each.get("coder") for each in channels if isinstance(each, dict)] if isinstance(channels, list) else []
    common = [coder for coder in CODERS if coder in coders]
    if not common:
        return None
    return {**offer(seed, port, source=source), "audio_setup_role": "active", "ch": [_channel(common[0], port)]}


def _channel(coder: str, port: int) -> Signal:
    return {"coder": coder, "xmit": 20, "rate": 48000 if coder.startswith("OPUS") else 8000, "addr": "192.0.2.10", "port": port, "recv": 20}


def _ice(digest: str, port: int) -> Signal:
    return {
        "lite": False,
        "fingerprint": digest[:64],
        "usr": digest[64:72],
        "pwd": digest[72:96],
        "candidate": [
            {"addr": "192.0.2.10", "rtp": port, "rtcp": port + 1, "rtp_prio": 2130706431, "type": "HOST", "foundation": "1"},
            {"addr": "198.51.100.7", "rtp": port + 1000, "r_addr": "192.0.2.10", "r_rtp": port, "type": "SRFLX", "foundation": "2"},
        ],
    }
