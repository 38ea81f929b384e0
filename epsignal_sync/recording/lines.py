"""The lines of a recording: one JSON object each. Pure; knows no file, and not who writes or reads it.

    {"epsignal_recording": 1, "time": "2026-11-23T09:14:02.123456+00:00", "library": "0.1.0", "secrets": "masked"}
    {"time": "...", "event": "connected", "text": "logged in at pbx.example.com:443"}
    {"time": "...", "from": "pbx", "to": "phone", "device": "0090334f1a2b", "verdict": "forwarded", "message": {"mt": "Signaling", ...}}
    {"time": "...", "from": "phone", "to": "pbx", "device": "0090334f1a2b", "verdict": "changed", "message": {...}, "sent": [{...}]}
    {"time": "...", "from": "app", "to": "phone", "device": "0090334f1a2b", "verdict": "own", "message": {...}}

A file begins with the first kind of line; another one of it in the middle says that a later run was appended there, or,
with ``"continued": true``, that the part of the recording before was full.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from attrs import field, frozen

from ..messages import Message
from ..messages.record import MASK, SECRET_KEYS, masked
from ..protocol.codec import decode
from ..protocol.jsontext import dumps, loads, loads_exact

VERSION = 1
"""The version of the format. A reader refuses a newer one, and ignores keys that it does not know."""
MARK = "epsignal_recording"
"""The key that makes a line the beginning of a recording; its value is the version."""

PBX, APP, PHONE = "pbx", "app", "phone"
PLACES = frozenset({PBX, APP, PHONE})

FIRST_TIME, LAST_TIME = -62_135_596_800, 253_402_300_799
"""The first and the last second that :func:`time_text` can write, of the years 1 and 9999."""

DEEPEST = 500
"""Objects and lists inside of each other in a line that is read. Deeper ones could be read here and not be shown there: it
depends on how deep the calls of Python functions are at that moment."""

OWN, FORWARDED = "own", "forwarded"
"""Two of the verdicts."""

LOGIN = frozenset({"AppChallenge", "AppChallengeResult", "AppLogin", "AppLoginResult"})
"""The ``mt`` of what proves the password to the PBX: it stays out of a recording, also where secrets are wanted in it."""

CONNECTED, LOST, ENDED, CLOSED, MISSING = "connected", "lost", "ended", "closed", "missing"
"""The events: logged in; the connection was lost, and is made again; lost for good; the app has closed it; messages that
are not in the file, since it could not be written."""
ENDS = frozenset({LOST, ENDED, CLOSED})
"""Those after which the connection is gone."""


@frozen(kw_only=True)
class Beginning:
    """The first line of a run."""

    at: float
    """Unix seconds, as in every line."""
    library: str
    """The version of the library that wrote it."""
    secrets_kept: bool
    """Whether secrets stand in it as they were, and are not masked."""
    continued: bool = False
    """Whether the same run goes on here: the file was full, and another one was begun."""


@frozen(kw_only=True)
class RecordedEvent:
    """Something that happened to the connection or to the recording itself."""

    at: float
    event: str
    """One of CONNECTED, LOST, ENDED, CLOSED and MISSING, or a word of a later version."""
    text: str
    """The same in words."""
    device: str | None = None
    """Whose connection it was, where each phone has one of its own; None: the one of all."""


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
    """What became of it, as in ``event.verdict``; "own" at what the app has sent, and at what was received for the app's own calls.

    None: it was not sent on by the library. "forwarded" from "app": with ``forward=False`` the app has sent it on itself; the
    same message stands before, from where it came, with None.
    """
    data: dict[str, Any] = field(repr=False)
    """The message as a JSON object; do not change it."""
    sent: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """What went on instead, where the verdict is "changed"."""
    refusal: bool = False
    """Whether it is the rel with which an interceptor has refused a setup."""

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


def is_sent_on_by_app(message: RecordedMessage) -> bool:
    """Whether the app has sent on itself what it had received (``forward=False``): the same message stands before, as it came."""
    return message.sender == APP and message.verdict != OWN


def has_mask(value: Any) -> bool:
    """Whether a secret in a message was masked when it was recorded."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        elif one == MASK:
            return True
    return False


class LineError(ValueError):
    """A line is none of a recording; it was cut off, or is something else."""


class NewerVersion(LineError):
    """The recording was made by a newer version of the library than can be read."""


# ------------------------------------------------------------ writing


def beginning_line(at: float, library: str, *, secrets_kept: bool, continued: bool = False) -> bytes:
    """Return the first line of a run, with its end."""
    line = {MARK: VERSION, "time": time_text(at), "library": library, "secrets": "kept" if secrets_kept else "masked"}
    return dumps({**line, "continued": True} if continued else line) + b"\n"


def event_line(at: float, event: str, text: str, device: str | None = None) -> bytes:
    """Return the line of an event, with its end."""
    line = {"time": time_text(at), "event": event, "text": text}
    return dumps(line if device is None else {**line, "device": device}) + b"\n"


def message_line(
    at: float, sender: str, receiver: str, device: str | None, verdict: str | None, text: bytes, sent: tuple[bytes, ...] = (),
    *, secrets_kept: bool, refusal: bool = False,
) -> bytes:  # fmt: skip
    """Return the line of a message, with its end. ``text`` and ``sent`` are JSON texts; numbers stay as they are written.

    Raises ValueError for a text that is nested too deep to be masked.
    """
    head = {"time": time_text(at), "from": sender, "to": receiver, "device": device, "verdict": verdict}
    parts = [dumps({**head, "refusal": True} if refusal else head)[:-1], b',"message":', _content(text, secrets_kept)]
    if sent:
        parts += [b',"sent":[', b",".join(_content(one, secrets_kept) for one in sent), b"]"]
    return b"".join([*parts, b"}\n"])


_MAY_HOLD_SECRETS = re.compile(rb"[\n\r\\\\]|\"(?:" + "|".join(sorted(SECRET_KEYS)).encode() + rb")\"\s*:")
"""What makes a text stand in the file otherwise than it came: a secret's key, an escape that may hide one, the end of a line."""


def _content(text: bytes, secrets_kept: bool) -> bytes:
    """Return a JSON text on one line, with its secrets masked."""
    if _MAY_HOLD_SECRETS.search(text) is None:
        return text  # nearly all messages, and most of the time that a recording would take
    try:
        data = loads_exact(text)
        return dumps(data if secrets_kept else masked(data))
    except RecursionError:
        raise ValueError("nested too deep") from None


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
    if line.count(b"[") + line.count(b"{") > DEEPEST and _is_too_deep(data):
        raise LineError("it is nested too deep")
    if MARK in data:
        return _beginning(data)
    at = _time(data)
    if "message" in data:
        return _message(at, data)
    if isinstance(data.get("event"), str):
        device = data.get("device")
        return RecordedEvent(
            at=at, event=data["event"], text=str(data.get("text") or ""), device=device if isinstance(device, str) else None
        )
    raise LineError("it is neither a message nor an event")


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        insides = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for inside in insides for one in inside if isinstance(one, (dict, list))]
        if not level:
            return False
    return True


def _beginning(data: dict[str, Any]) -> Beginning:
    version = data[MARK]
    if type(version) is not int or version < 1:
        raise LineError("its version is no number from 1 on")
    if version > VERSION:
        raise NewerVersion(f"it has version {version}, and this library reads up to {VERSION}")
    return Beginning(
        at=_time(data),
        library=str(data.get("library")),
        secrets_kept=data.get("secrets") == "kept",
        continued=data.get("continued") is True,
    )


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
        at=at, sender=data["from"], receiver=data["to"], device=device, verdict=verdict, data=message, sent=tuple(sent),
        refusal=data.get("refusal") is True,
    )  # fmt: skip


def _time(data: dict[str, Any]) -> float:
    try:
        at = datetime.fromisoformat(data["time"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        raise LineError("it has no time") from None
    if not FIRST_TIME <= at <= LAST_TIME:  # it is in another time zone, and could not be written in UTC
        raise LineError("it has no time")
    return at
