from __future__ import annotations

from enum import Enum

import attrs
import pytest

from epsignal_sync.messages import (
    Channels,
    ChannelsCmd,
    Coder,
    Conn,
    Ice,
    IceCandidate,
    MediaChannel,
    MediaSource,
    Record,
    Setup,
    SetupRole,
    Signaling,
    SrtpKey,
)
from epsignal_sync.messages.record import JSONObject, wire_fields
from epsignal_sync.protocol.codec import decode, encode
from epsignal_sync.protocol.jsontext import dumps

KINDS = ("audio", "t38", "video", "collab")
ENUMS = {
    ChannelsCmd: "NONE SELECT PROPOSAL REQUEST CLOSE",
    MediaSource: "LOCAL REMOTE RELAY H323 H323EFC SKINNY SIP",
    SetupRole: "active passive actpass holdconn",
    Coder: "G711A G711u G723-53 G723-63 G729 G729A G729B G729AB T38UDP G722 XPARENT H264 JRFB OPUS-NB OPUS-WB VPB",
}
FIELDS = {
    Channels: ["source", "id", "guid", "key", "ch"] + [f"{kind}_{what}" for kind in KINDS for what in ("rtcp_mux", "setup_role", "ice")],
    SrtpKey: ["tag", "mode", "mki", "mki_len", "b"],
    Ice: ["lite", "fingerprint", "usr", "pwd", "candidate"],
    IceCandidate: ["addr", "r_addr", "rtp", "rtcp", "r_rtp", "r_rtcp", "rtp_prio", "rtcp_prio", "type", "foundation"],
    MediaChannel: ["coder", "number", "xmit", "rate", "addr", "port", "mc_addr", "mc_port", "pt", "flags", "recv"],
}
OFFER: JSONObject = {
    "source": "SIP", "id": 3, "guid": "00ff", "key": {"tag": 1, "mode": "AES128-80", "b": "aa"}, "audio_rtcp_mux": True,
    "audio_setup_role": "actpass", "audio_ice": {"pwd": "p", "usr": "u", "candidate": [{"addr": "192.0.2.1", "type": 0}, {"zz": 1}]},
    "ch": [{"coder": "OPUS-WB", "port": 5004, "pt": 96}, {"coder": "G711A", "xmit": 20, "recv": 20}, {"coder": "LYRA"}],
}  # fmt: skip


def setup(channels: object, command: object = "PROPOSAL") -> Setup:
    message = decode({"mt": "Signaling", "sig": {"type": "setup", "channels_cmd": command, "channels": channels}})
    assert isinstance(message, Signaling) and isinstance(message.sig, Setup)
    return message.sig


@pytest.mark.parametrize(("kind", "values"), list(ENUMS.items()))
def test_enumeration_is_spelled_as_on_the_wire(kind: type[Enum], values: str) -> None:
    assert [one.value for one in kind] == values.split()


@pytest.mark.parametrize(("cls", "fields"), list(FIELDS.items()))
def test_fields_on_the_wire(cls: type[Record], fields: list[str]) -> None:
    assert sorted(one.wire for one in wire_fields(cls)) == sorted(fields)


def test_offer_is_read() -> None:
    signal = setup(OFFER)
    assert signal.channels_cmd is ChannelsCmd.PROPOSAL
    channels = signal.channels
    assert channels is not None and channels.key is not None and channels.audio_ice is not None and channels.ch is not None
    assert (channels.source, channels.id, channels.key.b, channels.audio_setup_role) == (MediaSource.SIP, 3, "aa", SetupRole.ACTPASS)
    assert [one.coder for one in channels.ch] == [Coder.OPUS_WB, Coder.G711A, "LYRA"]
    assert type(channels.ch[2].coder) is str
    assert channels.audio_ice.candidate is not None and channels.audio_ice.candidate[0].type == 0
    assert signal.problems == ()


def test_offer_is_passed_on_untouched() -> None:
    message = decode({"mt": "Signaling", "sig": {"type": "setup", "channels": OFFER}})
    assert isinstance(message, Signaling) and isinstance(message.sig, Setup)
    answer = Conn(channels_cmd=ChannelsCmd.SELECT, channels=message.sig.channels)
    assert dumps(encode(answer)["channels"]) == dumps(OFFER)


def test_choosing_a_coder_keeps_the_rest() -> None:
    channels = setup(OFFER).channels
    assert channels is not None and channels.ch is not None
    assert dumps(encode(attrs.evolve(channels, ch=channels.ch[1:2]))) == dumps(OFFER | {"ch": OFFER["ch"][1:2]})


@pytest.mark.parametrize("command", ["HOLD", "proposal", ""])
def test_unknown_command_stays_text(command: str) -> None:
    signal = setup({}, command)
    assert signal.channels_cmd == command and type(signal.channels_cmd) is str and not signal.problems


@pytest.mark.parametrize("channels", [[], "x", 1, True])
def test_channels_of_a_wrong_type(channels: object) -> None:
    signal = setup(channels)
    assert signal.channels is None and signal.problems == (("channels", channels),)


def test_one_bad_coder_makes_the_list_none() -> None:
    channels = setup({"ch": [{"coder": "G729"}, 5]}).channels
    assert channels is not None and channels.ch is None


@pytest.mark.parametrize("value", [0, "relay", {"x": 1}, [1], 1.5])
def test_candidates_take_any_value(value: object) -> None:
    channels = setup({"video_ice": {"candidate": [dict.fromkeys(FIELDS[IceCandidate], value)]}}).channels
    assert channels is not None and channels.video_ice is not None and channels.video_ice.candidate is not None
    assert all(getattr(channels.video_ice.candidate[0], name) == value for name in FIELDS[IceCandidate])
