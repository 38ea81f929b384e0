"""A PBX that plays a recording to an app: login, life time, and what came of it. Knows nothing of the order in which things are said."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any

from ..deadline import Deadline, is_seconds
from ..errors import ClosedError, ReplyTimeout, UsageError
from ..recording.calls import RecordedCall, find_calls
from ..recording.differences import CallPair, compare
from ..recording.lines import Line, RecordedMessage
from ..recording.reading import Recording
from ..simulator.transport import Transport, Wire
from .connection import Account, AppConnection
from .matching import outcome
from .plan import Plan
from .player import Player
from .stage import Stage, Stopped

CLOSE_TIMEOUT = 2.0
"""Seconds that close() takes at most."""
PATH = "/PBX0/APPS/websocket"


class ReplayPBX:
    """A PBX on a local port that says to an app what the PBX and the phones said in a recording.

    A context manager: it listens from :meth:`start` to :meth:`close`. All methods may be called from any thread.

    It takes the login of the app ``app`` with ``password``, where these are given, else any. When the app has attached to the
    recorded phones, they get what they got in the recording, in the same order and at the same distances, divided by ``speed``;
    0 or infinity: as fast as the app sends it on. It begins 0.3 s after the last Attach; with ``paused`` every signal waits for
    :meth:`play` or :meth:`step`. What the app sends is not passed on to anybody, but held against what it did in the recording.
    The app's own calls are answered where the recording has the same ones.

    Raises UsageError for a speed that cannot be, RecordingError for a file that is no recording.
    """

    def __init__(
        self,
        recording: str | os.PathLike[str] | Recording,
        *,
        speed: float = 1.0,
        paused: bool = False,
        app: str | None = None,
        password: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if not is_seconds(speed) or speed < 0:
            raise UsageError(f"speed is a number from 0 on, not {speed!r:.80}: 2 is twice as fast, 0 as fast as the app takes it")
        self._plan = Plan((recording if isinstance(recording, Recording) else Recording(recording)).lines())
        self._stage = Stage(self._plan)
        self._player = Player(self._stage, 0.0 if speed == float("inf") else float(speed), paused=paused)
        self._account = Account(app, password)
        self._host, self._port = host, port
        self._transport: Transport | None = None
        self._wires: set[Wire] = set()
        self._close_lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> ReplayPBX:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> ReplayPBX:
        """Listen; returns the PBX itself. Raises OSError if the port is taken, UsageError if it was started before."""
        with self._close_lock:
            if self._transport is not None or self._closed:
                raise UsageError("this ReplayPBX was started before: make a new one")
            self._transport = Transport(self._host, self._port, PATH, None, self._serve)
            self._player.thread.start()
        return self

    def close(self) -> None:
        """Close all connections and end all threads. Idempotent; blocks for at most 2 s."""
        deadline = Deadline(CLOSE_TIMEOUT)
        with self._close_lock:
            first, self._closed, transport = not self._closed, True, self._transport
        with self._stage.changed:
            self._stage.stopped = True
            self._stage.changed.notify_all()
            wires = list(self._wires)
        if transport is not None and first:
            transport.close(wires, CLOSE_TIMEOUT - 0.3)
            self._player.thread.join(deadline.remaining())

    @property
    def url(self) -> str:
        """The address for the app. Does not block; UsageError before :meth:`start`."""
        if self._transport is None:
            raise UsageError("the PBX has no address yet: use start(), or 'with ReplayPBX(path) as pbx'")
        return f"ws://{self._host}:{self._transport.port}{PATH}"

    @property
    def devices(self) -> tuple[str, ...]:
        """The hardware ids of the phones in the recording."""
        return tuple(self._plan.devices)

    @property
    def over(self) -> bool:
        """Whether everything was played and the app has had the time to answer. Does not block."""
        return self._player.over

    @property
    def progress(self) -> tuple[int, int]:
        """How many lines of the recording are behind, and how many there are. Does not block."""
        return self._stage.position, len(self._plan.steps)

    def wait_over(self, *, timeout: float | None = 60) -> None:
        """Block until everything was played and the app has had the time to answer; ``timeout`` in seconds, None for ever.

        Raises ReplyTimeout with what it waits for, ClosedError after :meth:`close`.
        """
        self._wait(lambda: self._player.over, timeout)
        if self._player.error is not None:
            raise self._player.error

    def play(self) -> None:
        """Let the signals go from now on. For a PBX made with ``paused=True``, else UsageError. Does not block."""
        self._allow(float("inf"), "play()")

    def step(self, *, timeout: float | None = 10) -> RecordedMessage | None:
        """Let the next signal go; returns it when the app has sent it on, or had the time for it. None: there was no more.

        For a PBX made with ``paused=True``, else UsageError. Blocks at most ``timeout`` seconds (None: for ever), then raises
        ReplyTimeout; ClosedError after :meth:`close`.
        """
        player = self._player
        before = self._allow(1, "step()")
        self._wait(lambda: player.over or player.waiting, timeout)
        return player.last.message if player.last is not None and player.said > before else None

    def _allow(self, count: float, verb: str) -> int:
        """Let so many signals go; returns how many went before."""
        if not self._player.paused:
            raise UsageError(f"{verb} is for a PBX that was made with paused=True: this one goes on by itself")
        with self._stage.changed:
            self._player.allow(count)
            return self._player.said

    def result(self) -> list[Line]:
        """Return what went through, as the app's own recording would have it: with the times of the recording. Does not block.

        What the recording does not have stands where the app said it, with the time of what was said before. Whether an app
        that says nothing about a message has dropped it, or was only slower than the recording, cannot be told: "dropped" it
        is. Nor can be told that it passed without being asked about ("bypassed").
        """
        with self._stage.changed:
            lines: list[Line] = list(self._stage.extras.get(0, ()))
            for number, step in enumerate(self._plan.steps, 1):
                if not isinstance(step.line, RecordedMessage):
                    lines.append(step.line)
                elif step.done:
                    lines.append(outcome(step))
                lines.extend(self._stage.extras.get(number, ()))
            return lines

    def differences(self) -> list[CallPair]:
        """Return the calls in which the app did something else than in the recording; none: it did the same. Does not block.

        To be asked when the replay is over: what was not played by then is missing in the one and not in the other.
        """
        return [pair for pair in compare(_calls([step.line for step in self._plan.steps]), _calls(self.result())) if pair.differs]

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be played, each in one sentence. Does not block."""
        with self._stage.changed:
            return tuple(self._notes())

    def _notes(self) -> list[str]:
        stage, plan = self._stage, self._plan
        missing = [hw for hw in plan.devices if hw not in stage.attached_ever]
        notes = [f"the app did not attach to {hw}: what was said for it was left out" for hw in missing]
        for own in plan.own_calls:
            if own.new_call is None:
                notes.append(f"the app did not call {_party(own.party)} from {own.device} again: what was said in that call was left out")
        for device, party in stage.matching.extra_calls:
            notes.append(f"the app called {_party(party)} from {device}, which the recording does not have: nobody answered it")
        if plan.masked:
            notes.append("secrets are masked in the recording: the app got *** in their places")
        return notes

    def _wait(self, condition: Any, timeout: float | None) -> None:
        try:
            with self._stage.changed:
                if condition() or self._stage.wait(condition, timeout):
                    return
                position, count = self.progress
        except Stopped:
            if condition():
                return
            raise ClosedError("the PBX was closed before the recording was over") from None
        raise ReplyTimeout(f"the recording was not over within {timeout:g} s: {position} of its {count} lines were, {self._waits_for()}")

    def _waits_for(self) -> str:
        if not self._stage.connections:
            return "and no app is logged in"
        return "and the app has not done yet what it did then"

    def _serve(self, wire: Wire) -> None:
        """Run one app's connection, on its own thread."""
        with self._stage.changed:
            self._wires.add(wire)
        try:
            AppConnection(self._stage, wire, self._account).serve()
        finally:
            with self._stage.changed:
                self._wires.discard(wire)


def _calls(lines: list[Line]) -> list[RecordedCall]:
    return find_calls(lines, [line for line in lines if isinstance(line, RecordedMessage)])


def _party(party: Any) -> str:
    """Return who a setup calls, in a word."""
    values = [party.get("num"), party.get("sip")] if isinstance(party, dict) else []
    return next((value[:80] for value in values if isinstance(value, str) and value), "somebody without a number")
