"""What the connections of the app and the player of a recording share: who is attached, what was said, what came back.

Everything here is done with ``changed`` held, which nobody holds while waiting for anything else.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..protocol.jsontext import dumps
from ..recording.lines import APP, PBX, PHONE, RecordedMessage
from .matching import Matching
from .plan import Plan, Step

if TYPE_CHECKING:
    from .connection import AppConnection

RESULT, ATTACHED, DETACHED = "AttachResult", "Attached", "Detached"


class Stopped(Exception):
    """The replay is to end."""


@frozen(eq=False)
class Attachment:
    """One Attach of the app."""

    connection: AppConnection
    request: dict[str, Any]

    def addressed(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return a recorded message with the ``api`` and ``src`` of this Attach."""
        own: dict[str, Any] = {key: self.request[key] for key in ("api", "src") if key in self.request}
        kept = {key: own.get(key, value) for key, value in data.items() if key != "src" or "src" in own}
        return {**kept, **own}


class Stage:
    """The state of a replay."""

    def __init__(self, plan: Plan) -> None:
        self.changed = threading.Condition()
        self.plan = plan
        self.matching = Matching(plan)
        self.section = 0
        self.position = 0
        """How many steps are behind."""
        self.stopped = False
        self.attached_ever: set[str] = set()
        """The phones that the app has attached to at some time."""
        self.last_sign = time.monotonic()
        """When the app last sent anything."""
        self.last_attach: float | None = None
        """When the app last logged in or attached; None: it has to do it first."""
        self.last_request = 0.0
        """When that was, too; never in the future."""
        self.connections: list[AppConnection] = []
        """Those that are logged in."""
        self.extras: dict[int, list[RecordedMessage]] = {}
        """What the app sent and the recording does not have, by the number of steps that were behind then."""
        self._attachments: dict[str, Attachment] = {}
        self._registered: dict[str, bool] = {}
        self._results: dict[str, deque[Step]] = {}
        self._last: dict[tuple[str, str], dict[str, Any]] = {}
        """What was last said about a phone, by its ``mt``."""
        self._begin_section()

    def wait(self, condition: Callable[[], Any], seconds: float | None) -> bool:
        """Wait until a condition is true; False after so many seconds. Raises Stopped. With ``changed`` held, once."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            if self.stopped:
                raise Stopped
            if condition():
                return True
            left = 0.5 if end is None else end - time.monotonic()
            if left <= 0:
                return False
            self.changed.wait(min(left, 0.5))

    # ------------------------------------------------------------ the player's side

    def next_section(self) -> None:
        """Go over to the next connection of the recording: nobody is attached any more."""
        self.section += 1
        self.matching.lose([*self._attachments, None])
        self.matching.next_section(self.section)
        self._attachments.clear()
        self.connections.clear()
        self._begin_section()

    def drop(self, device: str) -> list[AppConnection]:
        """Forget the Attach of a phone whose own connection was lost; returns that connection, if there is one."""
        attachment = self._attachments.pop(device, None)
        self.matching.lose([device])
        self._registered[device] = not self._results.get(device)
        return [] if attachment is None else [attachment.connection]

    def is_attached(self, device: str | None) -> bool:
        """Whether what is said for a phone can be said now; None: what is for no phone."""
        return bool(self.connections) if device is None else device in self._attachments

    def say(self, step: Step) -> None:
        """Send a message of the recording to the app. Raises ValueError for what cannot be sent."""
        message = step.message
        data, device = message.data, message.device
        if step.own is not None:
            data = {**data, "call": step.own.new_call}
        if device is None:
            connection = self.connections[0]
        else:
            attachment = self._attachments[device]
            connection, data = attachment.connection, attachment.addressed(data)
            self._note(device, message)
        text = dumps(data).decode()
        self.matching.went(step, data)
        self.position += 1  # what the app says from now on comes behind it
        connection.wire.send(text)

    def _note(self, device: str, message: RecordedMessage) -> None:
        self._last[device, message.mt] = message.data
        if message.mt in (ATTACHED, DETACHED):
            self._registered[device] = message.mt == ATTACHED

    def _begin_section(self) -> None:
        """Look through the steps of the connection that begins now."""
        self._registered.clear()
        self._results.clear()
        for step in self.plan.section(self.section):
            message = step.message
            if message.device is not None:
                if message.mt == RESULT:
                    self._results.setdefault(message.device, deque()).append(step)
                elif message.mt in (ATTACHED, DETACHED):
                    self._registered.setdefault(message.device, message.mt == DETACHED)

    # ------------------------------------------------------------ the app's side

    def note_request(self) -> None:
        """Take note that the app has logged in or attached just now."""
        self.last_attach = self.last_request = time.monotonic()

    def attach(self, connection: AppConnection, request: dict[str, Any]) -> None:
        """Take an Attach and answer it: as the PBX did in the recording, as far as that tells."""
        hw = request.get("hw")
        attachment = Attachment(connection, request)
        self.note_request()
        if not isinstance(hw, str) or hw not in self.plan.devices:
            connection.send(attachment.addressed({"mt": RESULT, "api": request.get("api"), "err": f"no device {hw!r} in this recording"}))
            return
        self.attached_ever.add(hw)
        results = self._results.get(hw)
        step = results.popleft() if results else None
        data = attachment.addressed(self._last.get((hw, RESULT), {"mt": RESULT}) if step is None else step.message.data)
        if step is not None:
            self._note(hw, step.message)
            self.matching.went(step, data)
        connection.send(data)
        if data.get("err") is None:
            self._attachments[hw] = attachment
            if self._registered.get(hw, True):
                connection.send(attachment.addressed(self._last.get((hw, ATTACHED), {"mt": ATTACHED})))

    def take(self, connection: AppConnection, message: dict[str, Any]) -> None:
        """Take a signaling message of the app."""
        device = self._device_of(connection, message)
        to_phone = message.get("to") is True
        for data in self.matching.came(device, message):
            self.extras.setdefault(self.position, []).append(RecordedMessage(
                at=self._now(), sender=APP, receiver=PHONE if to_phone else PBX, device=device, verdict="own", data=data,
                refusal=self.matching.is_refusal(device, data),
            ))  # fmt: skip

    def _device_of(self, connection: AppConnection, message: dict[str, Any]) -> str | None:
        src = message.get("src")
        for device, attachment in self._attachments.items():
            if attachment.connection is connection and attachment.request.get("src") == src:
                return device
        return None

    def _now(self) -> float:
        """Return the time of the recording: that of the last step behind."""
        steps = self.plan.steps
        return steps[max(0, self.position - 1)].line.at if steps else time.time()

    def gone(self, connection: AppConnection) -> None:
        """Take note that a connection of the app has ended."""
        lost = [device for device, attachment in self._attachments.items() if attachment.connection is connection]
        self.matching.lose(lost)
        for device in lost:
            del self._attachments[device]
        if connection in self.connections:
            self.connections.remove(connection)
            self.last_attach = time.monotonic()
        self.changed.notify_all()
