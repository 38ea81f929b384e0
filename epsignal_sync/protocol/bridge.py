"""What passes from one leg of a bridge to the other: which signals, as what, and which media offer has to wait.

The app has called both far ends. So neither is a caller that could be told ``alert`` or ``conn``: of a message that tells
a state only the media and the facilities pass, all else passes untouched. Pure: gets and returns JSON objects. Knows
nothing of calls, and not how a leg ends.
"""

from __future__ import annotations

from typing import NamedTuple

from .call_record import JSONObject

OFFER, ANSWER, REQUEST, CLOSE = "PROPOSAL", "SELECT", "REQUEST", "CLOSE"
"""The commands of ``channels_cmd`` that count here (protocol page, section 3)."""
ASK_FOR_OFFER: JSONObject = {"type": "channels", "channel": -1, "channels_cmd": REQUEST}
"""Asks a far end for a media offer."""

# Spec: whether a far end that is no caller may be told these is not documented: it is told none.
STATES = frozenset({"setup_ack", "call_proc", "alert", "progress", "conn"})
ENDS = frozenset({"setup", "disc", "rel"})
"""What begins or ends a leg: it does not pass here."""
MEDIA = ("channel", "channels_cmd", "channels", "faststart")

Pair = tuple[JSONObject | None, JSONObject | None]
"""A signal for each leg."""


class Passed(NamedTuple):
    """A signal that passes."""

    side: int
    """To which leg: 0 or 1."""
    sig: JSONObject


class Passing:
    """The media negotiation of the two legs, 0 and 1. ``opened``: the leg whose offer the other one has already got.

    One offer is open at a time, until its answer. An offer made meanwhile waits; a newer one of the same leg takes its place.
    """

    def __init__(self, opened: int | None = None) -> None:
        self.open = opened
        """The leg whose offer has no answer yet."""
        self.offered = opened is not None
        """Whether there ever was an offer."""
        self.turn = 0
        """Counts the changes of ``open``."""
        self._waiting: dict[int, JSONObject] = {}

    @property
    def waits(self) -> bool:
        """Whether an offer waits."""
        return bool(self._waiting)

    def join(self, given: Pair, heard: Pair) -> list[Passed]:
        """Take up what was said before the legs were joined; returns what passes.

        ``given``: the setup of each leg; ``heard``: the last signal with media that came from each.
        """
        for side, sig in enumerate(heard):
            setup = given[1 - side]
            if sig is not None and setup is not None and is_offer(sig) and is_offer(setup) and sig["channels"] == setup["channels"]:
                self.open, self.offered = side, True
        opened = self.open
        passed: list[Passed] = []
        for side, sig in enumerate(heard):
            if sig is None:
                continue
            command = sig.get("channels_cmd")
            if (command == OFFER and side != opened) or (command == ANSWER and opened == 1 - side) or command == REQUEST:
                passed += self.take(side, sig)
        return passed

    def take(self, side: int, sig: JSONObject) -> list[Passed]:
        """Take a signal from a leg, and return what passes now, in order."""
        passing = as_passed(sig)
        if passing is None:
            return []
        command, other = sig.get("channels_cmd"), 1 - side
        # Spec: a call may be answered more than once (alert, then conn): each answer passes, the first one ends the offer.
        if command == OFFER:
            self.offered = True
            if self.open is not None:
                self._waiting.pop(side, None)
                self._waiting[side] = passing
                return []
            self._set_open(side)
        passed = [Passed(other, passing)]
        if command == CLOSE:
            self._waiting.pop(side, None)
        if command == CLOSE or (command == ANSWER and self.open == other):
            passed += self.give_up()
        return passed

    def give_up(self) -> list[Passed]:
        """Let the open offer be, answered or not, and return the one that passes next."""
        self._set_open(None)
        if not self._waiting:
            return []
        side = next(iter(self._waiting))
        self._set_open(side)
        return [Passed(1 - side, self._waiting.pop(side))]

    def _set_open(self, side: int | None) -> None:
        self.open = side
        self.turn += 1


def is_offer(sig: JSONObject) -> bool:
    """Whether a signal carries a media offer that can be passed on."""
    return sig.get("channels_cmd") == OFFER and isinstance(sig.get("channels"), dict)


def media_of(sig: JSONObject) -> JSONObject:
    """Return the media fields of a signal as they came; {} where they say nothing."""
    if sig.get("channels_cmd") in (None, "NONE") and not sig.get("faststart"):
        return {}
    return {key: sig[key] for key in MEDIA if key in sig}


def as_passed(sig: JSONObject) -> JSONObject | None:
    """Return what of a signal passes to the other leg; None for nothing."""
    kind = sig.get("type")
    if not isinstance(kind, str) or kind in ENDS:
        return None
    if kind not in STATES:
        return sig
    media = media_of(sig)
    facilities = {"fty": sig["fty"]} if sig.get("fty") else {}
    if not media and not facilities:
        return None
    return {"type": "channels" if media else "facility", **media, **facilities}
