"""Making recordings for tests: line by line, and of a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from epsignal_sync.recording.lines import beginning_line, event_line, message_line

HW = "0090334f1a2b"
START = 1_790_000_000.0

WAYS = {
    "in": ("pbx", "phone", "forwarded"), "out": ("phone", "pbx", "forwarded"), "own-in": ("pbx", "app", "own"),
    "own-out": ("phone", "app", "own"), "app-in": ("app", "phone", "own"), "app-out": ("app", "pbx", "own"),
}  # fmt: skip
"""Sender, receiver and verdict; "in" is towards the phone."""


class Lines:
    """Lines of a recording, each a second after the one before."""

    def __init__(self, *, continued: bool = False, at: float = START) -> None:
        self.at = at
        self.lines = [beginning_line(at, "0.1.0", secrets_kept=False, continued=continued)]

    def begin(self, *, continued: bool = False) -> None:
        self.at += 1
        self.lines.append(beginning_line(self.at, "0.1.0", secrets_kept=False, continued=continued))

    def event(self, event: str, device: str | None = None) -> None:
        self.at += 1
        self.lines.append(event_line(self.at, event, "as the test says", device))

    def message(self, way: str, message: dict[str, Any], *, hw: str | None = HW, verdict: str | None = "", **more: Any) -> None:
        self.at += 1
        sender, receiver, usual = WAYS[way]
        text = json.dumps(message, ensure_ascii=False).encode()
        line = message_line(self.at, sender, receiver, hw, usual if verdict == "" else verdict, text, secrets_kept=False, **more)
        self.lines.append(line)

    def signal(self, way: str, call: int, kind: str, *, hw: str | None = HW, verdict: str | None = "", **more: Any) -> None:
        sent = {key: more.pop(key) for key in ("sent", "refusal") if key in more}
        towards = {"to": True} if way in ("in", "own-in", "app-in") else {}
        message = {"mt": "Signaling", "api": "EpSignal", **towards, "call": call, "sig": {"type": kind, **more}}
        self.message(way, message, hw=hw, verdict=verdict, **sent)

    def session(self, mt: str, **more: Any) -> None:
        self.message("in", {"mt": mt, "api": "EpSignal", **more}, verdict=None)

    def sync(self, call: int, state: str = "connected", num: str = "22") -> None:
        self.session("Sync", call=call, info={"channel": -1, "in": True, "state": state, "remote": {"num": num}})

    def wait(self, seconds: float) -> None:
        self.at += seconds

    @property
    def data(self) -> bytes:
        return b"".join(self.lines)

    def write(self, path: Path) -> Path:
        path.write_bytes(self.data)
        return path


def call_of_three(lines: Lines, call: int = 3, num: str = "22") -> None:
    lines.signal("in", call, "setup", cg={"num": num}, cd={"num": "23"})
    lines.signal("out", call, "alert")
    lines.signal("out", call, "rel", cau={"num": 17})
