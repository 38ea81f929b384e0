"""Everything that was received while the checks ran, and what can be read from it. Knows nothing of people or reports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from attrs import field, frozen

from ...client import Client
from ...events import MessageEvent
from ...messages import AppChallengeResult, AppLoginResult, Message
from .masking import protocol_word


@frozen
class Seen:
    """One message that came from the PBX. Of its properties each may stand in a report, but for ``data`` and ``sig``."""

    connection: str
    """Which of the program's connections: A, B, ..."""
    at: float
    """Unix seconds."""
    hw: str | None
    """The phone that it was found to belong to."""
    data: dict[str, Any] = field(repr=False)

    @property
    def mt(self) -> str:
        """The type of the message."""
        return protocol_word(self.data.get("mt"))

    @property
    def sig(self) -> dict[str, Any]:
        """The signal of a Signaling, else an empty one."""
        sig = self.data.get("sig")
        return sig if isinstance(sig, dict) else {}

    @property
    def type(self) -> str:
        """The type of the signal."""
        return protocol_word(self.sig.get("type"))

    @property
    def to_device(self) -> bool:
        """Whether it was on its way to the phone."""
        return self.data.get("to") is True

    @property
    def facilities(self) -> list[str]:
        """The types of its facilities."""
        found = self.sig.get("fty")
        return [protocol_word(one.get("type")) for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @property
    def name(self) -> str:
        """What it is, in a word or two: conn from the phone, for example."""
        if self.mt != "Signaling":
            return self.mt
        return " ".join([self.type, *(f"({one})" for one in self.facilities), "from the", "PBX" if self.to_device else "phone"])


class Trace:
    """The messages of all connections, in the order in which they came. Any thread."""

    def __init__(self, happened: threading.Condition) -> None:
        self._happened = happened
        self._seen: list[Seen] = []

    def follow(self, client: Client, connection: str) -> None:
        """Take what a client receives from now on."""

        def received(event: MessageEvent[Message]) -> None:
            if isinstance(event.message, (AppChallengeResult, AppLoginResult)):
                return
            hw = None if event.device is None else event.device.hw
            seen = Seen(connection, event.received_at, hw, event._received.data)
            with self._happened:
                self._seen.append(seen)
                self._happened.notify_all()

        client.on(Message, received)

    def since(self, at: float = 0.0, *, connection: str = "", hw: str = "", mt: str = "") -> list[Seen]:
        """Return what came at that time or later, in Unix seconds; "": whichever connection, phone, message type."""
        wanted = ((connection, "connection"), (hw, "hw"), (mt, "mt"))
        return [one for one in self._seen.copy() if one.at >= at and all(value in ("", getattr(one, name)) for value, name in wanted)]


def counted(words: Iterator[str] | list[str]) -> str:
    """Return words in order, those that follow on themselves once, with how often: "Attached, Sync (2)"."""
    runs: list[list[Any]] = []
    for word in words:
        if runs and runs[-1][0] == word:
            runs[-1][1] += 1
        else:
            runs.append([word, 1])
    return ", ".join(word if count == 1 else f"{word} ({count})" for word, count in runs) or "nothing"
