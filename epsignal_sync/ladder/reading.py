"""What a signal of a call's history says, in words: its details, its media. Pure; knows no arrows.

It shows nothing that may be a secret: the texts are masked before they are looked at. Of all that may come from the network, only what
is nested very deeply makes it raise: RecursionError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import field, frozen

from ..looks import harmless
from ..messages.causes import CAUSE_TEXTS, cause_text
from ..messages.record import masked
from ..protocol.call_record import LONGEST_TEXT
from ..protocol.jsontext import loads

MOST_NAMED = 3
"""Facilities, and coders, that are named."""
MOST_MEDIA_LINES = 12
LONGEST_NUMBER = 40
"""Characters of a number, a name or a value."""

UNNAMED = "a facility without a type"

MEDIA = {"PROPOSAL": "media offer", "SELECT": "media answer", "REQUEST": "asks for a media offer", "CLOSE": "media off"}


@frozen
class Content:
    """What is known of the ``sig`` of a message."""

    sig: dict[str, Any] = field(repr=False)
    """Without secrets; {} where it cannot be read."""
    trouble: str = ""
    """Why that is not all of it; "" where it is."""
    cut: bool = False
    """Whether the end of the text is missing."""


def read(text: str) -> Content:
    """Return what a text of the history says. What is missing at the end of one that was cut off is not known."""
    cut = len(text.encode("utf-8", "replace")) >= LONGEST_TEXT - 4  # the end of a cut one may have been half a character
    try:
        data: Any = _loads(text)
    except ValueError:
        if not text:
            return Content({})
        data = _beginning(text[:LONGEST_TEXT]) if cut else None
        trouble = f"only its first {LONGEST_TEXT} bytes are remembered" if cut else "its text cannot be read"
    else:
        cut, trouble = False, ""
    sig = masked(data.get("sig")) if isinstance(data, dict) else None
    return Content(sig if isinstance(sig, dict) else {}, trouble, cut)


def _loads(text: str) -> Any:
    return loads(text.encode("utf-8", "replace"))


def _beginning(text: str) -> Any:
    """Return the JSON value of a text that was cut off, up to the last thing in it that is whole; None where there is none."""
    quoted = escaped = False
    closers = ""
    whole = ""
    for position, character in enumerate(text):
        if quoted:
            quoted = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            quoted = True
        elif character in "{[":
            closers = ("}" if character == "{" else "]") + closers
        elif character in "}]":
            closers = closers[1:]
        elif character == ",":
            whole, position_of_whole = closers, position
    if not whole:
        return None
    try:
        return _loads(text[:position_of_whole] + whole)
    except ValueError:
        return None


# ------------------------------------------------------------ details


def details(sig: dict[str, Any]) -> Iterator[str]:
    """Yield in words what matters of a signal."""
    called, cause, facilities, display = sig.get("cd"), sig.get("cau"), sig.get("fty"), sig.get("dsp")
    if isinstance(called, dict):
        yield from (f"to {harmless(one, LONGEST_NUMBER)}" for one in [called.get("num") or called.get("sip")] if isinstance(one, str))
    if isinstance(cause, dict):
        yield cause_in_words(cause.get("num"))
    if isinstance(display, str) and display:
        yield f'display "{harmless(display, LONGEST_NUMBER)}"'
    media = media_in_words(sig)
    if media:
        yield media
    if isinstance(facilities, list):
        yield from (facility_name(one) for one in facilities[:MOST_NAMED])
        if len(facilities) > MOST_NAMED:
            yield f"and {len(facilities) - MOST_NAMED:,} more"


def facility_name(facility: Any) -> str:
    """Return the type of a facility; any JSON value may stand in its place."""
    name = facility.get("type") if isinstance(facility, dict) else None
    return harmless(name, LONGEST_NUMBER) if isinstance(name, str) else UNNAMED


def cause_in_words(number: Any) -> str:
    """Return a Q.850 cause value with its name; any JSON value may come as one."""
    text = harmless(cause_text(number), LONGEST_NUMBER + 60) or "a cause without a value"
    return f"{number} {text}" if type(number) is int and number in CAUSE_TEXTS else text


# ------------------------------------------------------------ media


def media_in_words(sig: dict[str, Any]) -> str:
    """Return a media offer or answer in short, with its coders; "" where there is none."""
    command = sig.get("channels_cmd")
    if not isinstance(command, str) or command == "NONE":
        return ""
    names = list(dict.fromkeys(one["coder"] for one in _channels(sig) if isinstance(one.get("coder"), str)))
    named = [harmless(one, 12) for one in names[:MOST_NAMED]] + ([f"{len(names) - MOST_NAMED:,} more"] if len(names) > MOST_NAMED else [])
    what = MEDIA.get(command) or f"media {harmless(command, 20)}"
    return f"{what} ({', '.join(named)})" if named else what


def media_lines(sig: dict[str, Any]) -> tuple[str, ...]:
    """Return a media offer or answer at length: a line for each coder, and how ICE and keys are agreed on."""
    lines = [_channel_line(one) for one in _channels(sig)]
    if len(lines) > MOST_MEDIA_LINES:
        lines[MOST_MEDIA_LINES - 1 :] = [f"and {len(lines) - MOST_MEDIA_LINES + 1:,} more"]
    media = sig.get("channels")
    if not isinstance(media, dict):
        return tuple(lines)
    for kind in ("audio", "video", "t38", "collab"):
        ice = media.get(f"{kind}_ice")
        candidates = ice.get("candidate") if isinstance(ice, dict) else None
        if isinstance(candidates, list):
            lines.append(f"{kind}: ICE with {len(candidates):,} candidate{'s' if len(candidates) != 1 else ''}")
    if "key" in media:
        lines.append("with a key for SRTP")
    return tuple(lines)


def _channels(sig: dict[str, Any]) -> list[dict[str, Any]]:
    media = sig.get("channels")
    coders = media.get("ch") if isinstance(media, dict) else None
    return [one for one in coders if isinstance(one, dict)] if isinstance(coders, list) else []


def _channel_line(channel: dict[str, Any]) -> str:
    coder, addr, port, packet = (channel.get(name) for name in ("coder", "addr", "port", "xmit"))
    parts = [harmless(coder, 12) if isinstance(coder, str) else "no coder"]
    if type(packet) is int:
        parts.append(harmless(f"{packet} ms", 12))
    if isinstance(addr, str):
        parts.append(harmless(f"{addr}:{port}" if type(port) is int else addr, LONGEST_NUMBER))
    return ", ".join(parts)
