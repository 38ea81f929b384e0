"""One connection of the app to a PBX that plays a recording: the login, and what the app asks for. Knows nothing of the recording."""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import time
from typing import Any

from attrs import frozen

from ..errors import UsageError
from ..protocol.digest import login_digest
from ..protocol.jsontext import dumps
from ..simulator.transport import Wire
from .stage import Stage

POLICY_VIOLATION = 1008
"""RFC 6455, section 7.4.1."""


@frozen
class Account:
    """Who may log in; None: anybody, or with any password."""

    app: str | None
    password: str | None


class AppConnection:
    """One websocket of the app; :meth:`serve` runs on the thread of the connection."""

    def __init__(self, stage: Stage, wire: Wire, account: Account) -> None:
        self.wire = wire
        self._stage = stage
        self._account = account
        self._challenge: str | None = None
        self._logged_in = False

    def serve(self) -> None:
        """Take what the app sends until it is gone. Blocks."""
        try:
            while (text := self.wire.receive()) is not None:
                with self._stage.changed:
                    self._take(text)
                    self._stage.last_sign = time.monotonic()
                    self._stage.changed.notify_all()
        finally:
            with self._stage.changed:
                self._stage.gone(self)

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message. Does not block."""
        self.wire.send(dumps(message).decode())

    def _take(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(message, dict):
            return
        mt = message.get("mt")
        if mt == "AppChallenge":
            self._challenge = secrets.token_hex(8)
            self._reply(message, {"mt": "AppChallengeResult", "challenge": self._challenge})
        elif mt == "AppLogin":
            self._login(message)
        elif not self._logged_in:
            self.wire.finish(POLICY_VIOLATION)
        elif mt == "Attach":
            self._stage.attach(self, message)
        elif mt == "Signaling":
            self._stage.take(self, message)

    def _login(self, message: dict[str, Any]) -> None:
        refusal = self._refusal(message)
        if refusal:
            return self._reply(message, {"mt": "AppLoginResult", "ok": False, "error": 1, "errorText": refusal})
        self._logged_in = True
        self._stage.connections.append(self)
        self._stage.note_request()
        self._reply(message, {"mt": "AppLoginResult", "ok": True})

    def _refusal(self, message: dict[str, Any]) -> str:
        """Return why a login is refused; "" where it is not."""
        challenge, self._challenge = self._challenge, None
        if challenge is None or self._logged_in:
            return "login without a challenge"
        if self._account.app is not None and message.get("app") != self._account.app:
            return "unknown app"
        if self._account.password is None:
            return ""
        expected = ""
        with contextlib.suppress(UsageError, TypeError, AttributeError):
            names = {key: message.get(key) or "" for key in ("app", "domain", "sip", "guid", "dn")}
            expected = login_digest(challenge, self._account.password, info=message.get("info"), **names)
        digest = str(message.get("digest"))
        return "" if expected and hmac.compare_digest(digest.encode("utf-8", "replace"), expected.encode()) else "wrong digest"

    def _reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        self.send({**answer, **({"src": request["src"]} if "src" in request else {})})
