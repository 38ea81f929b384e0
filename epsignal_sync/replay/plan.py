"""What a PBX that plays a recording has to say, and what it expects of the app, in order. Pure; knows no socket, thread or clock."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import define, field

from ..recording.lines import APP, ENDS, LOGIN, OWN, Beginning, Line, RecordedEvent, RecordedMessage, has_mask, is_sent_on_by_app


@define(eq=False)
class OwnCall:
    """A call that the app started in the recording."""

    device: str | None
    call: int
    """Its id in the recording."""
    receiver: str
    """Where its setup went: "pbx" or "phone"."""
    party: Any
    """Who was called, as JSON."""
    section: int = 0
    """Which connection of the app it belongs to."""
    new_call: int | None = None
    """The id that it has now; None: the app has not made it."""


@define(eq=False)
class Step:
    """One line of the recording, and what has become of it now."""

    line: Line
    gap: float = 0.0
    """Seconds of the recording since the step before."""
    section: int = 0
    """Which connection of the app it belongs to: each begins where the one before was lost, or the app was started again."""
    own: OwnCall | None = None
    """The app's own call that it belongs to."""
    origin: Step | None = None
    """What the app has sent on here by itself, as it came."""
    sent_on_later: bool = False
    """Whether the app has sent it on by itself, in a later step."""
    done: bool = False
    """Whether it was sent to the app, or came from it."""
    data: dict[str, Any] = field(factory=dict, repr=False)
    """The message as it went or came now."""
    sent: list[dict[str, Any]] = field(factory=list, repr=False)
    """What the app sent on instead of it, as far as can be told."""
    passed: bool = False
    """Whether it came back as it went."""
    overtaken: bool = False
    """Whether the app has decided about a later message of the same call and direction."""
    reacted: bool = False
    """Whether the app did something of its own about the call since it was sent."""
    lost: bool = False
    """Whether the connection ended before anything could come back."""

    @property
    def message(self) -> RecordedMessage:
        """The recorded message; only where there is one."""
        assert isinstance(self.line, RecordedMessage)
        return self.line

    def is_answered(self) -> bool:
        """Whether nothing more is waited for: it came back, or the app did something else, or is gone."""
        return self.passed or bool(self.sent) or self.reacted or self.lost

    @property
    def of_app(self) -> bool:
        """Whether the app sent it."""
        return isinstance(self.line, RecordedMessage) and self.line.sender == APP

    @property
    def cuts(self) -> str | None:
        """The phone whose own connection to the app was lost here."""
        line = self.line
        return line.device if isinstance(line, RecordedEvent) and line.event in ENDS else None

    @property
    def was_sent_on(self) -> bool:
        """Whether the app has sent it on, or something instead of it, in the recording."""
        return self.sent_on_later or self.message.verdict not in ("dropped", None)

    @property
    def to_forward(self) -> bool:
        """Whether the app may send it on: it is a signaling message that was on its way to the phone or the PBX."""
        line = self.line
        return isinstance(line, RecordedMessage) and line.mt == "Signaling" and APP not in (line.sender, line.receiver)


class Plan:
    """The steps of a recording."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._kept: defaultdict[str | None, deque[Step]] = defaultdict(lambda: deque(maxlen=64))
        self._own: dict[tuple[str | None, int], OwnCall] = {}
        self.own_calls: list[OwnCall] = []
        """The calls that the app started, in their order."""
        self.masked = False
        """Whether there is one that was masked: the app gets the mask."""
        self.steps = list(self._steps(lines))
        """Every line, in order."""
        self.devices = list(dict.fromkeys(step.message.device for step in self.messages if step.message.device is not None))
        """The phones, in the order in which they turn up."""

    @property
    def messages(self) -> Iterator[Step]:
        """The steps that are messages."""
        return (step for step in self.steps if isinstance(step.line, RecordedMessage))

    def section(self, number: int) -> Iterator[Step]:
        """Return the messages that belong to one connection of the app."""
        return (step for step in self.messages if step.section == number)

    def _steps(self, lines: Iterable[Line]) -> Iterator[Step]:
        section, at, parted = 0, None, False
        for line in lines:
            if isinstance(line, RecordedMessage):
                if line.mt in LOGIN:  # a recorder leaves it out; of a file that has it, it is not for this connection
                    continue
                if parted:
                    section, at, parted = section + 1, None, False
                    self._own.clear()
                    self._kept.clear()
                # A clock that was set back is no reason to wait, and not to wait twice either.
                gap = 0.0 if at is None else max(0.0, line.at - at)
                at = line.at if at is None else max(at, line.at)
                self.masked = self.masked or has_mask(line.data)
                step = Step(line, gap, section, own=self._own_call(line, section))
                self._link(step)
                yield step
            else:
                ends = not line.continued if isinstance(line, Beginning) else line.event in ENDS and line.device is None
                parted = parted or (ends and at is not None)
                yield Step(line, section=section)

    def _link(self, step: Step) -> None:
        """Find what the app has sent on by itself: with forward=False the library sends nothing on."""
        message = step.message
        if step.to_forward and message.verdict is None:
            self._kept[message.device].append(step)
        elif is_sent_on_by_app(message):
            kept = self._kept[message.device]
            origin = next((one for one in kept if one.message.data == message.data), None)
            if origin is not None:
                kept.remove(origin)
                step.origin, origin.sent_on_later = origin, True

    def _own_call(self, line: RecordedMessage, section: int) -> OwnCall | None:
        """Return the app's own call that a line belongs to; its setup begins one."""
        call = line.call
        if line.verdict != OWN or call is None or call >= 0:
            return None
        if line.sender == APP and line.type == "setup":
            own = self._own[line.device, call] = OwnCall(line.device, call, line.receiver, called_party(line.data), section)
            self.own_calls.append(own)
        return self._own.get((line.device, call))


def called_party(data: dict[str, Any]) -> Any:
    """Return who a setup calls, as JSON."""
    sig = data.get("sig")
    return sig.get("cd") if isinstance(sig, dict) else None
