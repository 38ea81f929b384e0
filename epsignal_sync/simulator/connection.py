"""One AppWebsocket connection: the login, and the API requests of the app. Lives on the actor thread.

Knows the messages of the AppWebsocket and EpSignal APIs, and nothing of calls.
"""

from __future__ import annotations

import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..protocol.digest import login_digest
from . import signals
from .line import Line
from .log import compact
from .transport import Wire

if TYPE_CHECKING:
    from .pbx import SimulatedPBX

APIS = ("EpSignal", "Api")

POLICY_VIOLATION = 1008
"""RFC 6455, section 7.4.1."""


class Refused(Exception):
    """A login that is refused; the text is its errorText."""


class Attachment:
    """One Attach of an app: where its indications go, and the src that they carry."""

    def __init__(self, connection: AppConnection, line: Line, request: dict[str, Any]) -> None:
        self.connection = connection
        self.line = line
        self._request = request

    def send(self, mt: str, **fields: Any) -> None:
        """Send an indication or an answer that belongs to this Attach."""
        self.connection.send({"mt": mt, **self.connection.echo(self._request), **fields}, device=self.line.hw)

    def signal(self, call: Any, sig: signals.Signal, *, to_device: bool) -> None:
        """Hand the app a signal that is on its way to the device, or from it."""
        self.send("Signaling", **({"to": True} if to_device else {}), call=call, sig=sig)


class AppConnection:
    """An app's connection; everything here runs on the actor thread.

    ``user``: whose devices it may attach, or None for all. ``epsignal``: whether it may use the API at all.
    """

    def __init__(self, pbx: SimulatedPBX, wire: Wire, number: int) -> None:
        self.wire = wire
        self.number = number
        self.logged_in = False
        self.gone = False
        self._pbx = pbx
        self._challenge: str | None = None
        self._user: str | None = None
        self._unticked = False
        self._answer_unticked = False
        self._attachments: dict[str, Attachment] = {}

    def send(self, message: dict[str, Any], *, device: str | None = None) -> None:
        """Queue a message to the app."""
        text = compact(message)
        self._pbx.log.add("to-app", device=device, connection=self.number, message=message, text=text)
        self.wire.send(text)

    def note(self, text: str, at: float | None = None) -> None:
        """Write into the log what is no message."""
        self._pbx.log.add("note", connection=self.number, text=text, at=at)

    def end(self) -> None:
        """Take note that the connection is gone: its attachments end. Idempotent."""
        if self.gone:
            return
        self.gone = True
        self.logged_in = False
        # It leaves all paths before anybody is told: what is said then must not go to it.
        held = [attachment for attachment in self._attachments.values() if attachment in attachment.line.path]
        left = [(attachment.line, attachment.line.leave(attachment)) for attachment in held]
        self._attachments.clear()
        self.note("connection ended")
        for line, orphans in left:
            line.app_gone(orphans)
        if self._pbx.calls_without_app == "released":
            for line, _ in left:
                self._pbx.release_calls(line)

    def receive(self, text: str, at: float) -> None:
        """Take a text from the app; ``at`` is the time at which it was read."""
        if self.gone:
            return
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.note(f"ignored: no JSON object, {len(text)} characters", at)
            return
        attachment = self._find_attachment(message)
        device = attachment.line.hw if attachment is not None and message.get("mt") == "Signaling" else None
        if message.get("mt") == "Attach" and isinstance(message.get("hw"), str):
            device = message["hw"]
        self._pbx.log.add("from-app", device=device, connection=self.number, message=message, text=text, at=at)
        self._dispatch(message, attachment)

    def _dispatch(self, message: dict[str, Any], attachment: Attachment | None) -> None:
        mt, api = message.get("mt"), message.get("api")
        if api is None and mt == "AppChallenge":
            self._challenge = secrets.token_hex(8)
            self._reply(message, {"mt": "AppChallengeResult", "challenge": self._challenge})
        elif api is None and mt == "AppLogin":
            self._login(message)
        elif not self.logged_in:
            self.note(f"refused: {mt} before the login")
            self.wire.finish(POLICY_VIOLATION)
        elif api not in APIS:
            if mt != "KeepAlive":
                self.note(f"ignored: {mt} of API {api}")
        elif self._unticked:
            self.note(f"not answered: {mt}, as EpSignal is not ticked at the app object")
            if self._answer_unticked and mt == "Attach":
                self.send({"mt": "AttachResult", **self.echo(message), "err": "no access to EpSignal"})
        elif mt == "Attach":
            self._attach(message)
        elif mt == "Signaling":
            self._signaling(message, attachment)
        else:
            self.note(f"ignored: unknown message {mt}")

    def echo(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of an Attach that everything that belongs to it carries."""
        with_src = "src" in request and not self._pbx.without_src
        return {"api": request["api"], **({"src": request["src"]} if with_src else {})}

    def _find_attachment(self, message: dict[str, Any]) -> Attachment | None:
        if "src" not in message and self._pbx.without_src and len(self._attachments) == 1:
            return next(iter(self._attachments.values()))
        return self._attachments.get(_key(message))

    def _reply(self, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if "src" in request:
            answer["src"] = request["src"]
        self.send(answer)

    def _login(self, message: dict[str, Any]) -> None:
        try:
            self._check_login(message)
        except Refused as refused:
            self.note(f"login refused: {refused}")
            if self._pbx.login_refusal == "close":
                self.wire.finish(POLICY_VIOLATION)
            else:
                self._reply(message, {"mt": "AppLoginResult", "ok": False, "error": 1, "errorText": str(refused)})
            return
        self.logged_in = True
        self._reply(message, {"mt": "AppLoginResult", "ok": True})

    def _check_login(self, message: dict[str, Any]) -> None:
        if self.logged_in:
            raise Refused("already logged in")
        names = {key: message.get(key) or "" for key in ("app", "domain", "sip", "guid", "dn")}
        info = message.get("info")
        if not all(isinstance(name, str) for name in names.values()) or not isinstance(info, (dict, type(None))):
            raise Refused("malformed login")
        challenge, self._challenge = self._challenge, None
        if challenge is None:
            raise Refused("login without a challenge")
        app = self._pbx.find_app(names["app"]) if names["app"] else None
        password = app.password if app is not None else self._pbx.find_password(names["sip"]) if not names["app"] else None
        if password is None:
            raise Refused("unknown app or user")
        try:
            expected = login_digest(challenge, password, info=info, **names)
        except UsageError as error:
            raise Refused(f"malformed login: {error}") from None
        digest = message.get("digest")
        if not isinstance(digest, str) or not hmac.compare_digest(digest.encode("utf-8", "replace"), expected.encode()):
            raise Refused("wrong digest")
        self._user = names["sip"] or None
        self._unticked = app is not None and not app.epsignal
        self._answer_unticked = app is not None and app.answer_unticked

    def _attach(self, message: dict[str, Any]) -> None:
        hw = message.get("hw")
        line = self._pbx.line_for(hw)
        refusal = None
        if line is None or line.phone is None:
            refusal = None if self._pbx.unknown_hw == "accepted" and isinstance(hw, str) else f"no device {hw!r}"
            if refusal is not None and self._pbx.unknown_hw == "silent":
                self.note(f"not answered: Attach to the unknown device {hw!r}")
                return
        elif self._user is not None and line.phone.sip != self._user:
            refusal = f"device {hw!r} is not one of the user's"
        elif self._pbx.second_attach == "refused" and line.held_by_another(self):
            refusal = f"another app is attached to device {hw!r}"
        if refusal is not None:
            self.send({"mt": "AttachResult", **self.echo(message), "err": refusal}, device=hw if isinstance(hw, str) else None)
            return
        attachment = Attachment(self, line or self._pbx.new_line(str(hw)), message)
        self._replace(_key(message), attachment)
        attachment.send("AttachResult", **signals.ATTACH_RESULT)
        self.tell_attached(attachment)

    def _replace(self, key: str, attachment: Attachment) -> None:
        older = self._attachments.get(key)
        self._attachments[key] = attachment
        # The new one first: where both are of the same device, the app does not leave its path.
        attachment.line.attach(attachment, chained=self._pbx.second_attach == "chaining")
        if older is not None:
            older.line.detach(older)

    @staticmethod
    def tell_attached(attachment: Attachment) -> None:
        """Tell the app that the device is registered, if it is, and which calls there are."""
        if attachment.line.registered:
            attachment.send("Attached")
            for leg in list(attachment.line.legs.values()):
                if not leg.of_app:
                    attachment.send("Sync", call=leg.id, info=leg.info())

    def _signaling(self, message: dict[str, Any], attachment: Attachment | None) -> None:
        sig = message.get("sig")
        if attachment is None or attachment not in attachment.line.path:
            self.note(f"ignored: Signaling with src {message.get('src')!r}, which belongs to no device in whose path this app is")
        elif not isinstance(sig, dict):
            self.note("ignored: Signaling without a signal")
        elif not attachment.line.registered:
            self.note(f"ignored: Signaling for {attachment.line.hw}, which is not registered")
        else:
            attachment.line.from_app(attachment, message.get("call"), sig, to_device=message.get("to") is True)


def _key(message: dict[str, Any]) -> str:
    """Return what tells attachments apart: the src, which may be any JSON value or absent."""
    return compact(message["src"]) if "src" in message else ""
