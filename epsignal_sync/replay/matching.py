"""What the app sends, held against what was said to it and what it did in the recording. Pure; knows no socket, thread or clock.

A message that comes back as it went is forwarded, whatever lies between. One of the same type in the same call and direction is
what went on instead. All else is the app's own.

Spec: an app that replaces a message by one of another type cannot be told from one that drops it and says something of its own,
unless it did the same in the recording.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

from ..recording.lines import PBX, PHONE, RecordedMessage
from .plan import OwnCall, Plan, Step, called_party

MOST_OPEN = 64
"""Messages of one call and direction that may still come back, the last ones."""

Key = tuple[str | None, Any, bool]
"""Device, call, and whether it goes to the phone."""


class Matching:
    """What may still come from the app. Belongs to whoever holds the lock of the stage."""

    def __init__(self, plan: Plan) -> None:
        self._open: defaultdict[Key, deque[Step]] = defaultdict(lambda: deque(maxlen=MOST_OPEN))
        self._section = 0
        self._own_calls = plan.own_calls
        self._own_now: dict[tuple[str | None, int], OwnCall | None] = {}
        self.extra_calls: list[tuple[str | None, Any]] = []
        """The calls that the app has started now and not in the recording: the phone, and who was called, as JSON."""
        self._awaited: defaultdict[tuple[str | None, Any, bool, str], deque[Step]] = defaultdict(deque)
        for step in plan.messages:
            if step.of_app and step.origin is None:
                message = step.message
                call = message.data.get("call") if step.own is None else id(step.own)
                self._awaited[(*self._key(message.device, call, message.receiver == PHONE), message.type)].append(step)

    def went(self, step: Step, data: dict[str, Any]) -> None:
        """Take note of what was said to the app."""
        step.done, step.data = True, data
        if step.to_forward:
            self._open[self._key(step.message.device, data.get("call"), data.get("to") is True)].append(step)

    def came(self, device: str | None, data: dict[str, Any]) -> list[dict[str, Any]]:
        """Take a signaling message of the app; returns what is its own now and was not in the recording: nothing, or messages."""
        own = self._own_call(device, data)
        key = self._key(device, data.get("call"), data.get("to") is True)
        waiting, kind, text = self._open.get(key, deque[Step]()), signal_type(data), canonical(data)
        instead = _as_recorded(waiting, kind)
        for step in waiting if instead is None else ():
            if canonical(step.data) == text and not step.passed:
                step.passed = True
                self._overtake(waiting, step)
                waiting.remove(step)
                others, step.sent = step.sent, []  # what seemed to go instead of it did not
                return [extra for one in others for extra in self._take_own(device, one, own)]
        if instead is None and not self._is_awaited(device, data, own):
            instead = next((step for step in waiting if not (step.sent or step.overtaken) and step.message.type == kind), None)
        if instead is None:
            return self._take_own(device, data, own)
        instead.sent.append(data)
        self._overtake(waiting, instead)
        return []

    def next_section(self, section: int) -> None:
        """Forget the connection before: the ids of its calls may come again."""
        self._section = section
        self._open.clear()
        self._own_now.clear()

    def owing(self) -> bool:
        """Whether the app has still to send on what it sent on in the recording."""
        return any(step.was_sent_on and not (step.is_answered() or step.overtaken) for waiting in self._open.values() for step in waiting)

    def is_refusal(self, device: str | None, data: dict[str, Any]) -> bool:
        """Whether a message of the app is the rel for a setup that it has not sent on."""
        waiting = self._open.get(self._key(device, data.get("call"), data.get("to") is not True), ())
        return signal_type(data) == "rel" and any(step.message.type == "setup" and not (step.passed or step.sent) for step in waiting)

    def lose(self, devices: Iterable[str | None]) -> None:
        """Take note that what was said for these devices cannot come back any more."""
        gone = set(devices)
        for key in [key for key in self._open if key[0] in gone]:
            for step in self._open.pop(key):
                step.lost = not step.is_answered()

    def _take_own(self, device: str | None, data: dict[str, Any], own: OwnCall | None) -> list[dict[str, Any]]:
        call = data.get("call")
        for to_phone in (False, True):
            for step in self._open.get(self._key(device, call, to_phone), ()):
                step.reacted = True
        awaited = self._awaited_like(device, data, own)
        if not awaited:
            return [data]
        step = awaited.popleft()
        step.done, step.data = True, data
        return []

    def _is_awaited(self, device: str | None, data: dict[str, Any], own: OwnCall | None) -> bool:
        """Return whether the app said just this by itself in the recording."""
        awaited = self._awaited_like(device, data, own)
        return bool(awaited) and canonical(awaited[0].message.data.get("sig")) == canonical(data.get("sig"))

    def _awaited_like(self, device: str | None, data: dict[str, Any], own: OwnCall | None) -> deque[Step]:
        call = data.get("call") if own is None else id(own)
        awaited = self._awaited.get((*self._key(device, call, data.get("to") is True), signal_type(data)), deque())
        while awaited and awaited[0].section < self._section:
            awaited.popleft()
        return awaited if awaited and awaited[0].section == self._section else deque()

    @staticmethod
    def _overtake(waiting: Iterable[Step], step: Step) -> None:
        """Take note that the app lets the messages of one direction go in order: what came before is decided."""
        for earlier in waiting:
            if earlier is step:
                return
            earlier.overtaken = True

    def _own_call(self, device: str | None, data: dict[str, Any]) -> OwnCall | None:
        call = data.get("call")
        if type(call) is not int or call >= 0:
            return None
        now = (device, call)
        if now not in self._own_now and signal_type(data) == "setup" and self._key(device, call, data.get("to") is True) not in self._open:
            receiver = PHONE if data.get("to") is True else PBX
            wanted = (device, receiver, self._section)
            left = [one for one in self._own_calls if one.new_call is None and (one.device, one.receiver, one.section) == wanted]
            party = canonical(called_party(data))
            same = [one for one in left if canonical(one.party) == party]
            chosen = next(iter(same or left), None)
            if chosen is not None:
                chosen.new_call = call
            else:
                self.extra_calls.append((device, called_party(data)))
            self._own_now[now] = chosen
        return self._own_now.get(now)

    @staticmethod
    def _key(device: str | None, call: Any, to_phone: bool) -> Key:
        return device, call if type(call) is int else canonical(call), to_phone


def _as_recorded(waiting: Iterable[Step], kind: str) -> Step | None:
    """Return the message that was replaced by one of this type in the recording, too."""
    for step in waiting:
        instead = step.message.sent
        if len(step.sent) < len(instead) and signal_type(instead[len(step.sent)]) == kind:
            return step
    return None


def signal_type(data: dict[str, Any]) -> str:
    """Return the type of the signal in a message; "" where there is none."""
    sig = data.get("sig")
    kind = sig.get("type") if isinstance(sig, dict) else None
    return kind if isinstance(kind, str) else ""


def canonical(value: Any) -> str:
    """Return a text that is the same for the same JSON, and for no other."""
    try:
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return repr(id(value))  # it equals nothing but itself


def outcome(step: Step) -> RecordedMessage:
    """Return a step as the app's own recording would have it."""
    recorded = step.message
    verdict = recorded.verdict
    if step.to_forward and step.done:
        passed = step.passed or [canonical(one) for one in step.sent] == [canonical(step.data)]
        if passed and step.sent_on_later:
            verdict = None
        elif passed:
            verdict = verdict if verdict in ("forwarded", "bypassed") else "forwarded"
        elif step.sent:
            verdict = "changed"
        elif step.lost or verdict is None:
            verdict = None
        else:
            verdict = "dropped"
    return RecordedMessage(
        at=recorded.at, sender=recorded.sender, receiver=recorded.receiver, device=recorded.device, verdict=verdict,
        data=step.data, sent=tuple(step.sent) if verdict == "changed" else (), refusal=recorded.refusal,
    )  # fmt: skip
