"""The thread that says what the recording says, in its order and at its distances, to the app that is attached."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..recording.lines import RecordedMessage
from .plan import Step
from .stage import RESULT, Stage, Stopped

if TYPE_CHECKING:
    from .connection import AppConnection

ANSWER_TIME = 2.0
"""Seconds for which it waits for the app to send on a message, where nothing gives the pace but the app."""
DROPPED_TIME = 0.05
"""The same where the app had dropped the message in the recording."""
ACTION_TIME = 3.0
"""Seconds for which it waits for the app to do what it did in the recording."""
START_TIME = 0.3
"""Seconds after an Attach or login before a call is spoken of: an app registers what it does with calls when it has attached."""
ATTACH_TIME = 5.0
"""Seconds after the last Attach or login in which a phone must be attached to; else what is said for it is left out."""
RETURN_TIME = 40.0
"""Seconds for which it waits for an app that has lost its connection: the SDK's own client tries again after 32 s at the latest."""
LAST_TIME = 0.5
"""Seconds without a sign of the app after which nothing more is expected of it, at the end."""


class Player:
    """The thread ``replay-player``. ``speed`` 0: as fast as the app takes it. ``paused``: each signal waits for :meth:`allow`."""

    def __init__(self, stage: Stage, speed: float, *, paused: bool) -> None:
        self._stage = stage
        self._speed = speed
        self.paused = paused
        self._allowed = 0.0
        self._due = 0.0
        self._misses = 0
        """How many times in a row the app has not done what it did in the recording."""
        self.last: Step | None = None
        """The signal that was sent to the app last."""
        self.said = 0
        """How many signals were sent to the app."""
        self.waiting = False
        """Whether the next signal waits to be allowed."""
        self.over = False
        """Whether everything was played, and the app was given the time to answer."""
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, name="replay-player", daemon=True)

    def allow(self, count: float) -> None:
        """Let so many more signals go, or with infinity all of them. With the lock of the stage held."""
        self._allowed += count
        self.waiting = False
        self._stage.changed.notify_all()

    def _run(self) -> None:
        stage = self._stage
        with stage.changed:
            try:
                for number, step in enumerate(stage.plan.steps, 1):
                    if step.section != stage.section:
                        self._cut()
                    if step.cuts is not None:
                        self._lose(stage.drop(step.cuts))
                    elif step.of_app:
                        self._expect(step)
                    elif isinstance(step.line, RecordedMessage):
                        self._play(step)
                    stage.position = number
                    stage.changed.notify_all()
                self._finish()
                self.over = True
            except Stopped:
                pass
            except Exception as error:  # whoever waits for the end is told
                self.error, self.over = error, True
            stage.changed.notify_all()

    def _cut(self) -> None:
        """End the connections of the app: they were lost here, or the app was started again."""
        connections = list(self._stage.connections)
        self._stage.next_section()
        self._lose(connections)

    def _lose(self, connections: Sequence[AppConnection]) -> None:
        self._stage.last_attach = time.monotonic() + RETURN_TIME - ATTACH_TIME
        for connection in connections:
            connection.wire.kill()

    def _pause(self, gap: float) -> None:
        """Wait as long as the recording did."""
        if not self._speed:
            return
        self._due += gap / self._speed
        self._stage.wait(lambda: False, self._due - time.monotonic())

    def _play(self, step: Step) -> None:
        stage = self._stage
        message = step.message
        if not self._can_say(step):
            if step.done:
                self._pause(step.gap)
            return
        self._pause(step.gap)
        if message.mt == "Signaling":
            self._wait_to_be_allowed()
        if not stage.is_attached(message.device):  # the app has gone meanwhile
            return self._play(step)
        try:
            stage.say(step)
        except ValueError:  # JSON cannot carry it, nested as deep as it is
            return
        if message.mt == "Signaling":
            self.last, self.said = step, self.said + 1
        if step.to_forward and (not self._speed or self.paused):
            if message.verdict == "dropped":
                stage.wait(step.is_answered, DROPPED_TIME)
            elif message.verdict is not None:  # else the app sends it on when it likes
                self._wait_for(step.is_answered, ANSWER_TIME)

    def _wait_to_be_allowed(self) -> None:
        stage = self._stage
        if self.paused:
            self.waiting = not self._allowed
            stage.changed.notify_all()
            stage.wait(lambda: self._allowed > 0, None)
            self._allowed -= 1
        else:
            while (left := stage.last_request + START_TIME - time.monotonic()) > 0:
                stage.wait(lambda: False, left)

    def _can_say(self, step: Step) -> bool:
        """Wait until the app can be told a message; False where it cannot."""
        stage, device = self._stage, step.message.device
        if step.own is not None and step.own.new_call is None:
            return False
        ready = stage.is_attached(device) and step.message.mt != RESULT
        if not ready:
            stage.wait(lambda: step.done or stage.last_attach is not None, None)
            while not step.done and not (stage.is_attached(device) and step.message.mt != RESULT):
                assert stage.last_attach is not None
                seen = stage.last_attach
                left = seen + ATTACH_TIME - time.monotonic()
                if left <= 0:
                    return False
                stage.wait(lambda: step.done or stage.is_attached(device) or stage.last_attach != seen, left)  # noqa: B023
        if not self._due or not ready:
            self._due = max(self._due, time.monotonic())
        return not step.done

    def _expect(self, step: Step) -> None:
        """Wait until the app has done what it did in the recording; goes on without it after a while."""
        began = step.own is None or step.message.type == "setup" or step.own.new_call is not None
        if began and self._stage.is_attached(step.message.device):
            self._pause(step.gap)
            self._wait_for(lambda: step.done if step.origin is None else step.origin.passed, ACTION_TIME)
            step.done, step.data = (step.done, step.data) if step.origin is None else (step.origin.passed, step.origin.data)

    def _wait_for(self, condition: Callable[[], Any], seconds: float) -> None:
        """Wait for what the app did in the recording, and less and less where it does something else now: there is to be an end."""
        if self._stage.wait(condition, 0):
            self._misses = 0
            return
        came = self._stage.wait(condition, seconds / (1 + self._misses))
        self._misses = 0 if came else self._misses + 1
        self._due = max(self._due, time.monotonic())  # what follows keeps its distance from it

    def _finish(self) -> None:
        """Give the app the time for what it still has to say."""
        stage = self._stage
        stage.wait(lambda: not stage.connections or not stage.matching.owing(), ACTION_TIME)
        while stage.connections:
            left = stage.last_sign + LAST_TIME - time.monotonic()
            if left <= 0:
                return
            stage.wait(lambda: False, left)
