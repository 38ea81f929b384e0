"""The lines of a recording: one JSON object each. Pure; knows no file, and not who writes or reads it.

    {"epsignal_recording": 1, "time": "2026-11-23T09:14:02.123456+00:00", "library": "0.1.0", "secrets": "masked"}
    {"time": "...", "event": "connected", "text": "logged in at pbx.example.com:443"}
    {"time": "...", "from": "pbx", "to": "phone", "device": "0090334f1a2b", "verdict": "forwarded", "message": {"mt": "Signaling", ...}}
    {"time": "...", "from": "phone", "to": "pbx", "device": "0090334f1a2b", "verdict": "changed", "message": {...}, "sent": [{...}]}
    {"time": "...", "from": "app", "to": "phone", "device": "0090334f1a2b", "verdict": "own", "message": {...}}

A file begins with the first kind of line; another one of it in the middle says that a later run was appended there.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from attrs import field, frozen

from ..messages import Message
from ..messages.record import masked
from ..protocol.codec import decode
from ..protocol.jsontext import dumps, loads, loads_exact

VERSION = 1
"""The version of the format. A reader refuses a newer one, and ignores keys that it does not know."""
MARK = "epsignal_recording"
"""The key that makes a line the beginning of a recording; its value is the version."""

PBX, APP, PHONE = "pbx", "app", "phone"
PLACES = frozenset({PBX, APP, PHONE})


@frozen(kw_only=True)
class Beginning:
    """The first line of a run."""

    at: float
    """Unix seconds, as in every line."""
    library: str
    """The version of the library that wrote it."""
    secrets_kept: bool
    """Whether secrets stand in it as they were, and are not masked."""


@frozen(kw_only=True)
class RecordedEvent:
    """Something that happened to the connection or to the recording itself."""

    at: float
    event: str
    """One of "connected", "lost" (the connection), "missing" (lines that could not be written), or a word of a later version."""
    text: str
    """The same in words."""


@frozen(kw_only=True)
class RecordedMessage:
    """One message: who sent it, where it was to go, and what became of it."""

    at: float
    """When it was received, or put on its way, in Unix seconds."""
    sender: str
    """One of "pbx", "phone" and "app"."""
    receiver: str
    """Where it was to go: "pbx", "phone" or "app". What an app that sits in between lets through goes there."""
    device: str | None
    """The hardware id of the phone; None for what belongs to none that is known."""
    verdict: str | None
    """What became of it, as in ``event.verdict``; "own" at what the app has sent, and at what was received for the app's own calls."""
    data: dict[str, Any] = field(repr=False)
    """The message as a JSON object; do not change it."""
    sent: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """What went on instead, where the verdict is "changed"."""

    @property
    def mt(self) -> str:
        """The ``mt`` of the message, such as "Signaling"."""
        return str(self.data.get("mt"))

    @property
    def call(self) -> int | None:
        """The call id; None where there is none."""
        call = self.data.get("call")
        return call if type(call) is int else None

    @property
    def type(self) -> str:
        """The type of the signal, such as "setup"; "" where there is none."""
        sig = self.data.get("sig")
        kind = sig.get("type") if isinstance(sig, dict) else None
        return kind if isinstance(kind, str) else ""

    @property
    def to_device(self) -> bool:
        """Whether it went, or was to go, towards the phone."""
        return self.receiver == PHONE or (self.receiver == APP and self.sender == PBX)

    @property
    def message(self) -> Message:
        """The message as one of the classes of :mod:`epsignal_sync.messages`."""
        return decode(self.data, {str(self.data.get("api") or "EpSignal"), "EpSignal"})


Line = Beginning | RecordedEvent | RecordedMessage


class LineError(ValueError):
    """A line is none of a recording; it was cut off, or is something else."""


class NewerVersion(LineError):
    """The recording was made by a newer version of the library than can be read."""


# ------------------------------------------------------------ writing


def beginning_line(at: float, library: str, *, secrets_kept: bool) -> bytes:
    """Return the first line of a run, with its end."""
    return _line({MARK: VERSION, "time": time_text(at), "library": library, "secrets": "kept" if secrets_kept else "masked"})


def event_line(at: float, event: str, text: str) -> bytes:
    """Return the line of an event, with its end."""
    return _line({"time": time_text(at), "event": event, "text": text})


def message_line(
    at: float, sender: str, receiver: str, device: str | None, verdict: str | None, text: bytes, sent: tuple[bytes, ...] = (),
    *, secrets_kept: bool,
) -> bytes:  # fmt: skip
    """Return the line of a message, with its end. ``text`` and ``sent`` are JSON texts; numbers stay as they are written."""

    def content(one: bytes) -> Any:
        data = loads_exact(one)
        return data if secrets_kept else masked(data)

    line = {"time": time_text(at), "from": sender, "to": receiver, "device": device, "verdict": verdict, "message": content(text)}
    if sent:
        line["sent"] = [content(one) for one in sent]
    return _line(line)


def _line(data: dict[str, Any]) -> bytes:
    return dumps(data) + b"\n"


def time_text(at: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC, with microseconds."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="microseconds")


# ------------------------------------------------------------ reading


def parse_line(line: bytes) -> Line:
    """Return what a line says. Raises LineError, or NewerVersion."""
    try:
        data = loads(line)
    except ValueError as error:
        raise LineError(f"it is no JSON ({error})") from None
    if not isinstance(data, dict):
        raise LineError("it is no JSON object")
    if MARK in data:
        return _beginning(data)
    at = _time(data)
    if "message" in data:
        return _message(at, data)
    if isinstance(data.get("event"), str):
        return RecordedEvent(at=at, event=data["event"], text=str(data.get("text") or ""))
    raise LineError("it is neither a message nor an event")


def _beginning(data: dict[str, Any]) -> Beginning:
    version = data[MARK]
    if type(version) is not int or version < 1:
        raise LineError("its version is no number from 1 on")
    if version > VERSION:
        raise NewerVersion(f"it has version {version}, and this library reads up to {VERSION}")
    return Beginning(at=_time(data), library=str(data.get("library")), secrets_kept=data.get("secrets") == "kept")


def _message(at: float, data: dict[str, Any]) -> RecordedMessage:
    message, device, verdict, sent = data["message"], data.get("device"), data.get("verdict"), data.get("sent", [])
    fits = (
        isinstance(message, dict)
        and isinstance(message.get("mt"), str)
        and all(isinstance(one, str) and one in PLACES for one in (data.get("from"), data.get("to")))
        and isinstance(device, (str, type(None)))
        and isinstance(verdict, (str, type(None)))
        and isinstance(sent, list)
        and all(isinstance(one, dict) for one in sent)
    )
    if not fits:
        raise LineError("a part of the message is missing or of a wrong type")
    return RecordedMessage(
        at=at, sender=data["from"], receiver=data["to"], device=device, verdict=verdict, data=message, sent=tuple(sent)
    )  # fmt: skip


def _time(data: dict[str, Any]) -> float:
    try:
        return datetime.fromisoformat(data["time"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise LineError("it has no time") from None
