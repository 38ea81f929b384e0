"""The signaling path of one device: the phone at one end, the PBX at the other, and the attached apps between them.

Everything that the two ends say to each other passes through here, so who gets it is decided here and nowhere else.
Knows of the signals only that a rel ends a call and that a setup starts one.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import signals
from .actor import Actor
from .log import MessageLog
from .signals import Signal

if TYPE_CHECKING:
    from .call import SimulatedCall
    from .connection import AppConnection, Attachment
    from .leg import Leg
    from .phone import SimulatedPhone

Receiver = Callable[[Any, Signal], None]


def _nobody(call: Any, sig: Signal) -> None:
    """Take a signal for an end that is not there."""


def _nothing(orphans: set[int]) -> None:
    """Let calls that an app left behind be."""


def _unwatched() -> None:
    """Let it be that a leg changed."""


def is_app_id(call: Any) -> bool:
    """Whether this is a call id that an app picks; ``call`` may be any JSON value. The PBX's own start at 1."""
    return type(call) is int and call < 0


class Recent:
    """Keys that are forgotten after some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: dict[Any, float] = {}

    def __contains__(self, key: Any) -> bool:
        return self._until.get(key, 0.0) > time.monotonic()

    def __iter__(self) -> Iterator[Any]:
        return (key for key in list(self._until) if key in self)

    def add(self, key: Any) -> None:
        """Remember a key from now on."""
        now = time.monotonic()
        self._until.pop(key, None)
        self._until[key] = now + self._seconds
        for old in list(itertools.takewhile(lambda known: self._until[known] <= now, self._until)):
            del self._until[old]

    def discard(self, key: Any) -> None:
        """Forget a key at once."""
        self._until.pop(key, None)

    def clear(self) -> None:
        """Forget all keys."""
        self._until.clear()


class Line:
    """One device's path and its table of calls, as either end knows them; lives on the actor thread.

    ``path``: the apps between the two ends, the one next to the PBX first; more than one only where they are chained.
    ``calls``: what the phone has; ``legs``: what the PBX has. An app's call has a negative id and stands in one of
    the two only. ``rest`` is the time in seconds for which an id whose last messages are still on their way through
    an app is not given to a new call, and for which an ended call is remembered. ``late_facilities`` says whether an
    end sends a facility behind its rel.
    """

    def __init__(self, hw: str, actor: Actor, log: MessageLog, *, rest: float, late_facilities: Callable[[], bool]) -> None:
        self.hw = hw
        self.phone: SimulatedPhone | None = None
        self.path: list[Attachment] = []
        self.calls: dict[int, SimulatedCall] = {}
        self.legs: dict[int, Leg] = {}
        self.to_phone: Receiver = _nobody
        self.to_pbx: Receiver = _nobody
        self.app_gone: Callable[[set[int]], None] = _nothing
        """Called when an app left the path, with the ids of the calls that it had started."""
        self.leg_changed: Callable[[], None] = _unwatched
        """Called when anything changed in what the PBX knows of a leg."""
        self._actor = actor
        self._log = log
        self._late_facilities = late_facilities
        self._resting = Recent(rest)
        self._ended = Recent(rest)
        self._starters: dict[int, AppConnection] = {}

    @property
    def registered(self) -> bool:
        """Whether the device is registered at the PBX."""
        return self.phone is not None and self.phone.registered

    def attach(self, attachment: Attachment, *, chained: bool) -> None:
        """Put an app into the path: in the place of the others, or, ``chained``, between them and the device."""
        # Spec: what a second Attach to a device does is not documented; nor is, in a chain, who comes first.
        for older in list(self.path):
            if older.connection is attachment.connection:
                self.path[self.path.index(older)] = attachment
            elif not chained:
                self.detach(older)
        if attachment not in self.path:
            self.path.append(attachment)

    def detach(self, attachment: Attachment) -> None:
        """Take an app out of the path, if it is in it; calls of the device go on, and signals go past it."""
        if attachment in self.path:
            self.app_gone(self.leave(attachment))

    def leave(self, attachment: Attachment) -> set[int]:
        """Take an app out of the path, in which it is, and return the ids of the calls that it had started: the caller's to end."""
        # Spec: what an app that goes had in hand is lost; that is not documented either.
        self.path.remove(attachment)
        self._resting.clear()
        orphans = {id for id, starter in self._starters.items() if starter is attachment.connection}
        for id in orphans:
            del self._starters[id]
        return orphans

    def held_by_another(self, connection: AppConnection) -> bool:
        """Whether an app of another connection is in the path."""
        return any(attachment.connection is not connection for attachment in self.path)

    def new_id(self) -> int:
        """Return the smallest call id that neither end uses."""
        used = {*self.calls, *self.legs, *(call for call, _, _ in self._resting)}
        new = next(call for call in itertools.count(1) if call not in used)
        for at_phone in (True, False):
            self._ended.discard((new, at_phone))
        return new

    def renumber(self) -> None:
        """Give every call another id, as after a restart of the PBX; for when nothing is on its way, and no app has a call."""
        new: dict[int, int] = {}
        # The newest first, from 1 on: so what was one call's id becomes another's.
        for old in sorted({*self.calls, *self.legs}, reverse=True):
            new[old] = next(id for id in itertools.count(1) if id != old and id not in new.values())
        self._resting.clear()
        self._ended.clear()
        self.calls = {new[old]: call for old, call in self.calls.items()}
        self.legs = {new[old]: leg for old, leg in self.legs.items()}
        for id, call in self.calls.items():
            call.id = id
        for id, leg in self.legs.items():
            leg.id = id

    def forget_call(self, call: int) -> None:
        """Take a call that is over out of the phone's table."""
        self._starters.pop(call, None)
        if self.calls.pop(call, None) is not None:
            self._ended.add((call, True))

    def forget_leg(self, call: int) -> None:
        """Take a leg that is over out of the PBX's table."""
        self._starters.pop(call, None)
        if self.legs.pop(call, None) is not None:
            self._ended.add((call, False))

    def may_ring(self, call: Any) -> bool:
        """Whether a setup with this id may make the phone ring: the PBX's, or one of an app's own."""
        leg = self.leg(call)
        return is_app_id(call) if leg is None else leg.incoming

    def refuse_unknown(self, call: Any, sig: Signal, *, at_phone: bool) -> None:
        """Answer a signal for a call that this end does not know with a rel, as Q.931 asks; a rel is never answered."""
        kind = sig.get("type")
        # Spec: a facility may come behind the rel of its call, and nobody answers that.
        late = kind == "facility" and type(call) is int and (call, at_phone) in self._ended
        if kind != "rel" and not late:
            self._carry(call, signals.rel(signals.INVALID_CALL_REFERENCE), to_device=not at_phone)

    def released(self, call: int, *, to_device: bool) -> None:
        """Take note that an end sent the rel of a call that it had: a late facility follows where that is wanted."""
        if self._late_facilities():
            self._carry(call, signals.late_facility(), to_device=to_device)

    def call(self, call: Any) -> SimulatedCall | None:
        """Return the phone's call with this id, or None; ``call`` may be any JSON value."""
        return self.calls.get(call) if type(call) is int else None

    def leg(self, call: Any) -> Leg | None:
        """Return the PBX's leg with this id, or None; ``call`` may be any JSON value."""
        return self.legs.get(call) if type(call) is int else None

    def from_phone(self, call: Any, sig: Signal) -> None:
        """Carry what the phone says towards the PBX."""
        self._carry(call, sig, to_device=False)

    def from_pbx(self, call: Any, sig: Signal) -> None:
        """Carry what the PBX says towards the phone."""
        self._carry(call, sig, to_device=True)

    def from_app(self, attachment: Attachment, call: Any, sig: Signal, *, to_device: bool) -> None:
        """Carry on what an app in the path sent."""
        if is_app_id(call) and sig.get("type") == "setup":
            self._starters.setdefault(call, attachment.connection)  # else it is another app's, on its way through this one
        following = self.path[self.path.index(attachment) + 1 :] if to_device else self.path[: self.path.index(attachment)][::-1]
        if following:
            following[0].signal(call, sig, to_device=to_device)
            return
        if type(call) is int:
            self._resting.discard((call, to_device, str(sig.get("type"))))
        self._arrive(call, sig, to_device=to_device)

    def _carry(self, call: Any, sig: Signal, *, to_device: bool) -> None:
        self._log.add("from-pbx" if to_device else "from-phone", device=self.hw, message={"call": call, "sig": sig})
        if not self.path:
            # Not at once: the sender first finishes what it is at.
            self._actor.soon(lambda: self._arrive(call, sig, to_device=to_device))
            return
        kind = str(sig.get("type"))
        if type(call) is int and (kind == "rel" or (call, to_device, "rel") in self._resting):
            self._resting.add((call, to_device, kind))
        self.path[0 if to_device else -1].signal(call, sig, to_device=to_device)

    def _arrive(self, call: Any, sig: Signal, *, to_device: bool) -> None:
        self._log.add("to-phone" if to_device else "to-pbx", device=self.hw, message={"call": call, "sig": sig})
        (self.to_phone if to_device else self.to_pbx)(call, sig)
