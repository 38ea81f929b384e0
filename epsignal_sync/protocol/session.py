"""Login, attach and keep-alive, as tables (protocol page, sections 1 and 2).

Pure: gets received JSON objects and the time, returns the texts to send. Knows nothing of sockets, threads or calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from attrs import define, field, frozen

from ..messages import AppChallenge, AppLogin, Attach, KeepAlive
from ..messages.record import printable, shown
from .asking import Rule
from .codec import encode
from .digest import login_digest
from .jsontext import dumps


@frozen(kw_only=True)
class Credentials:
    """Who logs in. The password stays out of every repr."""

    app: str = ""
    sip: str = ""
    domain: str = ""
    guid: str = ""
    dn: str = ""
    info: Mapping[str, Any] | None = field(default=None, repr=shown)
    password: str = field(repr=False)

    def describe(self) -> str:
        """Return who logs in, for an error."""
        if self.app and self.sip:
            return f"to the App object {self.app!r} on behalf of {self.sip!r}"
        return f"to the App object {self.app!r}" if self.app else f"as the user {self.sip!r}"


@define(eq=False)
class Attachment:
    """One device that the app wants to be attached to.

    ``src`` names it on the wire; ``forward`` False leaves forwarding to the application; ``answered`` is whether its
    AttachResult has come on this connection, ``accepted`` whether one ever was no refusal. ``rules`` is what the
    application wants to be asked about: the tuple is replaced by other threads, never changed; ``scopes`` is what they make
    it of, and not used here.
    """

    src: str
    hw: str
    forward: bool = True
    answered: bool = False
    accepted: bool = False
    rules: tuple[Rule, ...] = ()
    scopes: tuple[Any, ...] = field(default=(), repr=False)


class LoginState(Enum):
    """How far the login is."""

    CHALLENGE = "waiting for the challenge"
    LOGIN = "waiting for the answer to the login"
    READY = "logged in"
    REFUSED = "refused"


class Session:
    """The protocol state of one connection. Belongs to the link thread."""

    def __init__(self, credentials: Credentials, *, api: str = "EpSignal") -> None:
        self.credentials = credentials
        self.api = api
        self.apis = frozenset({api, "EpSignal"})
        self.state = LoginState.CHALLENGE
        self.refusal = ""
        self.rules: tuple[Rule, ...] = ()
        """What the application wants to be asked about on every device; replaced by other threads, never changed."""
        self._attachments: dict[str, Attachment] = {}

    def start(self) -> list[bytes]:
        """Begin the login on a new connection; returns the texts to send. Each device will be attached again after it."""
        self.state = LoginState.CHALLENGE
        for attachment in self._attachments.values():
            attachment.answered = False
        return [_text(AppChallenge())]

    def attach(self, attachment: Attachment) -> list[bytes]:
        """Take on a device, or try again with one that was refused; returns the texts to send, none before the login is through."""
        attachment.answered = False
        self._attachments[attachment.src] = attachment
        return [self._attach_text(attachment)] if self.state is LoginState.READY else []

    def receive(self, data: dict[str, Any]) -> list[bytes]:
        """Take a message of the connection itself or an AttachResult; returns the texts to send in answer."""
        step = self._STEPS.get((self.state, data["mt"]))
        if step is None:
            return []  # a second challenge after the login, a result that nobody asked for: the connection lives
        return step(self, data)

    def route(self, data: dict[str, Any]) -> Attachment | None:
        """Return the device that an EpSignal message belongs to, or None if that cannot be told."""
        src = data.get("src")
        if isinstance(src, str):
            return self._attachments.get(src)
        if src is not None:
            return None
        if data.get("mt") == "AttachResult":
            # Spec: an AttachResult without src belongs to the oldest Attach without an answer.
            return next((one for one in self._attachments.values() if not one.answered), None)
        # Spec: without src it is the only device of the connection, where there is just one.
        return next(iter(self._attachments.values())) if len(self._attachments) == 1 else None

    def answer(self, data: dict[str, Any], attachment: Attachment) -> None:
        """Note that an AttachResult has come for a device; one that is refused the first time is forgotten."""
        attachment.answered = True
        if data.get("err") is None:
            attachment.accepted = True
        elif not attachment.accepted:
            self._attachments.pop(attachment.src, None)

    # ------------------------------------------------------------ the steps of the login

    def _receive_challenge(self, data: dict[str, Any]) -> list[bytes]:
        challenge = data.get("challenge")
        if not isinstance(challenge, str):
            return self._refuse("the PBX sent a challenge that is no text")
        who = self.credentials
        digest = login_digest(challenge, who.password, app=who.app, domain=who.domain, sip=who.sip, guid=who.guid, dn=who.dn, info=who.info)
        self.state = LoginState.LOGIN
        login = AppLogin(app=who.app, domain=who.domain, sip=who.sip, guid=who.guid, dn=who.dn, digest=digest, info=who.info)
        return [_text(login)]

    def _receive_result(self, data: dict[str, Any]) -> list[bytes]:
        if data.get("ok") is True:
            self.state = LoginState.READY
            return [self._attach_text(one) for one in self._attachments.values()]
        given = [data[key] for key in ("errorText", "error") if data.get(key) not in (None, "")]
        reasons = [printable(reason) if isinstance(reason, str) else shown(reason) for reason in given]
        return self._refuse(f"the PBX says: {', '.join(reasons)[:200]}" if reasons else "the PBX gave no reason")

    def _refuse(self, refusal: str) -> list[bytes]:
        self.state = LoginState.REFUSED
        self.refusal = refusal
        return []

    def _attach_text(self, attachment: Attachment) -> bytes:
        return _text(Attach(api=self.api, src=attachment.src, hw=attachment.hw))

    # Every rule of the login: in which state which message does what. All else leaves the state alone.
    _STEPS = {
        (LoginState.CHALLENGE, "AppChallengeResult"): _receive_challenge,
        (LoginState.LOGIN, "AppLoginResult"): _receive_result,
    }


class LifeSigns:
    """When to send KeepAlive and ping, and when the peer counts as dead. Times in seconds, of a monotonic clock."""

    def __init__(self, *, keepalive: float | None, ping_interval: float | None, ping_timeout: float, now: float) -> None:
        self._keepalive = keepalive
        self._ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.last_received = now
        """When the last frame of any kind came: the sign of life."""
        self.last_message = now
        """When the last text message went either way."""
        self._pinged_at: float | None = None

    def due(self, now: float) -> tuple[bool, bool, bool]:
        """Return whether it is time for (KeepAlive, ping, giving up); the first two are then taken as sent."""
        keepalive = self._keepalive is not None and now >= self.last_message + self._keepalive
        if keepalive:
            self.last_message = now
        if self._pinged_at is not None and self.last_received >= self._pinged_at:
            self._pinged_at = None
        dead = self._pinged_at is not None and now >= self._pinged_at + self.ping_timeout
        ping = self._pinged_at is None and self._ping_interval is not None and now >= self.last_received + self._ping_interval
        if ping:
            self._pinged_at = now
        return keepalive, ping, dead

    def next_at(self) -> float | None:
        """Return the time at which :meth:`due` wants to be asked again, or None."""
        times = []
        if self._keepalive is not None:
            times.append(self.last_message + self._keepalive)
        if self._pinged_at is not None and self.last_received < self._pinged_at:
            times.append(self._pinged_at + self.ping_timeout)
        elif self._ping_interval is not None:
            times.append(self.last_received + self._ping_interval)
        return min(times, default=None)

    def excuse(self, now: float) -> None:
        """Start over: while nothing is read, nothing can be heard."""
        self.last_received = now
        self._pinged_at = None


def keepalive_text() -> bytes:
    """Return the text of a KeepAlive."""
    return _text(KeepAlive())


def _text(message: Any) -> bytes:
    return dumps(encode(message))
