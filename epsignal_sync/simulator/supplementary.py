"""The supplementary services of the simulated PBX: which facility is whose, and how a no-media call is answered.

Knows no service from inside; each has a module of its own. Lives on the actor thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import signals
from .answers import SILENT, Answers
from .leg import Leg
from .signals import Signal

Facility = dict[str, Any]
NoMediaService = Callable[[Leg, Signal, Facility], "list[Facility] | None"]
"""Takes the call, its setup and the facility. Returns the facilities of the answer, or None where it answers itself; raises Refused."""
CallService = Callable[[Leg, Facility], None]
"""Takes a telephone call and the facility."""

USUALLY: Mapping[str, str] = {
    "presence_publish": "rel",
    "presence_subscribe": "conn",
    "diversion_interrogate": "conn",
    "cp_pick_req": "rel",
}
"""How a no-media call is answered; all others with call_proc."""


class Refused(Exception):
    """A service that cannot be had; the cause value says why."""

    def __init__(self, cause: int) -> None:
        super().__init__(cause)
        self.cause = cause


class Services:
    """Tables of the services; ``answers`` says which of them answer otherwise than usual."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._no_media: dict[str, NoMediaService] = {}
        self._in_calls: dict[str, CallService] = {}

    def add(self, *, no_media: Mapping[str, NoMediaService] | None = None, in_calls: Mapping[str, CallService] | None = None) -> None:
        """Add the services of a module, by the names of their facilities."""
        self._no_media.update(no_media or {})
        self._in_calls.update(in_calls or {})

    def answer(self, name: str) -> str | int | None:
        """Return what the service answers where that is not as usual."""
        return self._answers.get(name)

    def begin(self, leg: Leg, setup: Signal) -> None:
        """Answer the setup of a no-media call."""
        found = [facility for facility in _facilities(setup) if facility["type"] in self._no_media]
        name = found[0]["type"] if found else ""
        answer = self.answer(name)
        if answer == SILENT:
            return
        results: list[Facility] = []
        try:
            if isinstance(answer, int):
                raise Refused(answer)
            for facility in found:
                result = self._no_media[facility["type"]](leg, setup, facility)
                if result is None:
                    return
                results += result
        except Refused as refused:
            leg.end(signals.rel(refused.cause))
            return
        _reply(leg, str(answer or USUALLY.get(name, "call_proc")), results)

    def go_on(self, leg: Leg, sig: Signal) -> None:
        """Take what comes later in a no-media call with the PBX itself."""
        results: list[Facility] = []
        for facility in _facilities(sig):
            service = self._no_media.get(facility["type"])
            if service is not None and self.answer(facility["type"]) is None:
                try:
                    results += service(leg, leg.setup, facility) or []
                except Refused as refused:
                    leg.end(signals.rel(refused.cause))
                    return
        if results:
            leg.send({"type": "facility", "fty": results})

    def take(self, leg: Leg, sig: Signal) -> Signal | None:
        """Do what facilities in a telephone call ask the PBX for; returns what is left for the other party, or None."""
        fty = signals.facilities(sig)
        mine = [facility for facility in _facilities(sig) if facility["type"] in self._in_calls]
        if not mine:
            return sig
        for facility in mine:
            if self.answer(facility["type"]) != SILENT:
                self._in_calls[facility["type"]](leg, facility)
        rest = [facility for facility in fty if facility not in mine]
        return {**sig, "fty": rest} if rest or sig.get("type") != "facility" else None


def _facilities(sig: Signal) -> list[Facility]:
    return [each for each in signals.facilities(sig) if isinstance(each, dict) and isinstance(each.get("type"), str)]


def _reply(leg: Leg, answer: str, results: list[Facility]) -> None:
    fty = {"fty": results} if results else {}
    if answer == "conn":
        leg.send({"type": "conn", "channel": 0, **fty})
    elif answer == "call_proc":
        leg.send({"type": "call_proc", "channel": 0})
        if results:
            leg.send({"type": "facility", **fty})
    else:
        leg.end({**signals.rel(signals.NORMAL_CLEARING if answer == "rel" else None), **fty})
