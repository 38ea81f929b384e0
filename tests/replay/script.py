"""Recordings for tests, line by line, as a client would have written them."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from epsignal_sync.recording.lines import beginning_line, event_line, message_line

from ..conftest import HW1

START = 1_700_000_000.0
SRC = "then"
JSON = dict[str, Any]


class Script:
    """A recording that grows; each line comes ``gap`` seconds after the one before."""

    def __init__(self, *, secrets_kept: bool = False, gap: float = 0.25) -> None:
        self.at = START
        self.gap = gap
        self.secrets_kept = secrets_kept
        self.lines: list[bytes] = []
        self.begin()

    def begin(self, *, continued: bool = False) -> Script:
        """A run begins."""
        self.lines.append(beginning_line(self.at, "0.1.0", secrets_kept=self.secrets_kept, continued=continued))
        return self

    def event(self, event: str, device: str | None = None) -> Script:
        """Something happened to the connection."""
        self.lines.append(event_line(self.at, event, event, device))
        return self

    def attached(self, *hws: str) -> Script:
        """The app has attached to phones."""
        for hw in hws or (HW1,):
            self.told(hw, "AttachResult", maxIntern=3)
            self.told(hw, "Attached")
        return self

    def told(self, hw: str | None, mt: str, **fields: Any) -> Script:
        """The PBX said something to the app."""
        return self._line("pbx", "app", hw, None, {"mt": mt, "api": "EpSignal", "src": SRC, **fields})

    def phone(
        self, call: Any, kind: str, *, hw: str | None = HW1, verdict: str | None = "forwarded", sent: tuple[JSON, ...] = (), **sig: Any
    ) -> Script:
        """The phone said something."""
        return self._said("phone", "pbx", call, kind, hw, verdict, sent, sig)

    def pbx(
        self, call: Any, kind: str, *, hw: str | None = HW1, verdict: str | None = "forwarded", sent: tuple[JSON, ...] = (), **sig: Any
    ) -> Script:
        """The PBX said something to the phone."""
        return self._said("pbx", "phone", call, kind, hw, verdict, sent, sig)

    def answer(self, call: int, kind: str, *, sender: str = "pbx", hw: str = HW1, **sig: Any) -> Script:
        """Something came for a call of the app."""
        return self._said(sender, "app", call, kind, hw, "own", (), sig, to=sender == "pbx")

    def app(self, call: int, kind: str, *, to: str = "pbx", hw: str = HW1, verdict: str = "own", **sig: Any) -> Script:
        """The app said something."""
        return self._said("app", to, call, kind, hw, verdict, (), sig)

    def call_through(self, call: int, *, hw: str = HW1, number: str = "23") -> Script:
        """A whole call of the phone that the app forwarded."""
        self.phone(call, "setup", hw=hw, cg={"num": "22"}, cd={"num": number}, channel=-1, complete=True)
        self.pbx(call, "call_proc", hw=hw).pbx(call, "alert", hw=hw).pbx(call, "conn", hw=hw)
        return self.phone(call, "rel", hw=hw, cau={"num": 16})

    def write(self, directory: pathlib.Path, name: str = "calls.jsonl") -> pathlib.Path:
        """Write the recording and return where it is."""
        path = directory / name
        path.write_bytes(b"".join(self.lines))
        return path

    def _said(
        self, sender: str, receiver: str, call: Any, kind: str, hw: str | None, verdict: str | None, sent: tuple[JSON, ...], sig: JSON,
        to: bool | None = None,
    ) -> Script:  # fmt: skip
        towards = {"to": True} if (receiver == "phone" if to is None else to) else {}

        def message(content: JSON) -> JSON:
            return {"mt": "Signaling", "api": "EpSignal", "src": SRC, **towards, "call": call, "sig": content}

        return self._line(sender, receiver, hw, verdict, message({"type": kind, **sig}), tuple(message(one) for one in sent))

    def _line(self, sender: str, receiver: str, hw: str | None, verdict: str | None, data: JSON, sent: tuple[JSON, ...] = ()) -> Script:
        self.at += self.gap
        texts = [json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode() for one in (data, *sent)]
        self.lines.append(message_line(self.at, sender, receiver, hw, verdict, texts[0], tuple(texts[1:]), secrets_kept=self.secrets_kept))
        return self
