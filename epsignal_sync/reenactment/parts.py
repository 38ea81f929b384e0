"""What the app did in each call of a recording. Pure; knows no PBX, no thread and no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field, frozen

from ..recording.calls import RecordedCall
from ..recording.differences import party
from ..recording.lines import APP, PHONE, RecordedMessage, has_mask

UNCHANGED = ("forwarded", "bypassed", "own")

Nth = tuple[bool, str, int]
"""Which message of a call: towards the phone or not, its type, and how many of that kind came before."""


@frozen
class Instead:
    """A signal that the app has sent instead of one."""

    fields: dict[str, Any]
    """Its fields; with ``changes_only`` those that are not as they came."""
    changes_only: bool = False
    without: frozenset[str] = frozenset()
    """Fields that came, and that it does not have."""


@frozen
class Verdict:
    """What became of a message that the app did not send on as it came."""

    signals: tuple[Instead, ...]
    """What went on instead; none: nothing did."""
    cause: int | None = None
    """With what a setup was refused."""


@frozen
class Deed:
    """Something that the app did by itself."""

    after: int
    """How many messages of the call it had received before."""
    delay: float
    """Seconds since the message before, whosever that was."""
    to_device: bool
    signal: dict[str, Any] | None = None
    """What it said; None where it has started a call."""
    starts: Part | None = None
    """The call that it has started."""


@define(eq=False)
class Part:
    """What the app did in one call of the phone, or in one of its own."""

    number: int
    """The number of the call in the recording."""
    device: str
    own: bool
    incoming: bool | None
    media: bool
    from_setup: bool
    """Whether the recording has its setup; else it was there before."""
    party: str
    setup: dict[str, Any] = field(factory=dict)
    """Of an own call: with what it began."""
    verdicts: dict[Nth, Verdict] = field(factory=dict)
    deeds: list[Deed] = field(factory=list)
    taken: bool = False
    """Whether the call has happened now, or cannot any more."""

    @property
    def awaited(self) -> bool:
        """Whether it is waited for. What was there before does not begin again, nor what a phone keeps open for presence."""
        return self.own or (self.from_setup and self.media)

    @property
    def named(self) -> str:
        """The other party, in words."""
        return self.party[:80] or "somebody unknown"


@frozen
class Script:
    """The parts of a recording."""

    parts: tuple[Part, ...]
    beginning: tuple[Deed, ...]
    """The calls that the app has started while the phone had none; ``delay`` counts from the first message of the recording."""

    @property
    def devices(self) -> list[str]:
        """The phones, in the order in which they turn up."""
        return list(dict.fromkeys(part.device for part in self.parts))

    @property
    def awaited(self) -> list[Part]:
        """Those whose calls are waited for."""
        return [part for part in self.parts if part.awaited]

    @property
    def masked(self) -> bool:
        """Whether a secret that the app has sent is masked in the recording: the mask would be sent in its place."""
        said: list[Any] = [part.setup for part in self.parts]
        said += [deed.signal for part in self.parts for deed in part.deeds]
        said += [one.fields for part in self.parts for verdict in part.verdicts.values() for one in verdict.signals]
        return has_mask(said)

    def count(self) -> dict[str, int]:
        """Return how many calls it has started, and how many messages it has changed, dropped and added."""
        verdicts = [verdict for part in self.parts for verdict in part.verdicts.values()]
        return {
            "start": sum(part.own for part in self.parts),
            "change": sum(bool(verdict.signals) for verdict in verdicts),
            "drop": sum(not verdict.signals for verdict in verdicts),
            "say": sum(deed.signal is not None for part in self.parts for deed in part.deeds),
        }


def read_script(calls: Iterable[RecordedCall], began_at: float) -> Script:
    """Return what the app did in the calls of a recording, whose first message came at ``began_at``."""
    parts: dict[int, Part] = {}
    messages: dict[int, tuple[RecordedMessage, ...]] = {}
    beginning: list[Deed] = []
    for call in calls:
        said = tuple(message for message in call.messages if message.mt == "Signaling" and isinstance(message.data.get("sig"), dict))
        if not said:
            continue
        part = parts[call.number] = _part(call, said)
        messages[call.number] = said
    for part in parts.values():
        if part.own:
            deed, holder = _beginning_of(part, messages[part.number][0], parts, messages, began_at)
            (beginning if holder is None else holder.deeds).append(deed)
    return Script(tuple(parts.values()), tuple(sorted(beginning, key=lambda deed: deed.delay)))


def _part(call: RecordedCall, said: tuple[RecordedMessage, ...]) -> Part:
    part = Part(call.number, call.device, call.own, call.incoming, call.media, said[0].type == "setup", party(call))
    seen: Counter[tuple[bool, str]] = Counter()
    received = 0
    before = said[0].at
    for message in said:
        delay, before = max(0.0, message.at - before), message.at
        if message.sender != APP:
            nth = next_nth(seen, message.to_device, message.type)
            received += 1
            if message.verdict not in (*UNCHANGED, None):
                signals = [one["sig"] for one in message.sent if isinstance(one.get("sig"), dict)]
                part.verdicts[nth] = Verdict(tuple(_instead(message.data["sig"], one) for one in signals))
        elif message.refusal:
            _refuse(part, message)
        elif part.own and message is said[0]:
            part.setup = message.data["sig"]
        elif message.verdict == "own":
            part.deeds.append(Deed(received, delay, message.receiver == PHONE, message.data["sig"]))
    return part


def _instead(came: dict[str, Any], went: dict[str, Any]) -> Instead:
    if came.get("type") != went.get("type"):
        return Instead(went)
    changed = {key: value for key, value in went.items() if key not in came or came[key] != value}
    return Instead(changed, changes_only=True, without=frozenset(came) - frozenset(went))


def next_nth(seen: Counter[tuple[bool, str]], to_device: bool, kind: str) -> Nth:
    """Return which message of a call this is, and count it."""
    nth = (to_device, kind, seen[to_device, kind])
    seen[to_device, kind] += 1
    return nth


def _refuse(part: Part, rel: RecordedMessage) -> None:
    cause = rel.data["sig"].get("cau")
    number = cause.get("num") if isinstance(cause, dict) else None
    for nth, verdict in part.verdicts.items():
        if nth[1] == "setup" and not verdict.signals and type(number) is int and 1 <= number <= 127:
            part.verdicts[nth] = Verdict((), number)


def _beginning_of(
    own: Part, setup: RecordedMessage, parts: Mapping[int, Part], messages: Mapping[int, tuple[RecordedMessage, ...]], began_at: float
) -> tuple[Deed, Part | None]:
    """Return how the app's own call began: at what point of which call of the phone, or None: it had none then."""
    best: tuple[RecordedMessage, int, Part] | None = None
    for number, said in messages.items():
        part = parts[number]
        if part.own or not part.awaited or part.device != own.device:
            continue
        if said[0].at > setup.at or (said[-1].at < setup.at and said[-1].type == "rel"):
            continue
        received = [message for message in said if message.sender != APP and message.at <= setup.at]
        if received and (best is None or received[-1].at >= best[0].at):
            best = received[-1], len(received), part
    if best is None:
        return Deed(0, max(0.0, setup.at - began_at), setup.receiver == PHONE, starts=own), None
    return Deed(best[1], max(0.0, setup.at - best[0].at), setup.receiver == PHONE, starts=own), best[2]
