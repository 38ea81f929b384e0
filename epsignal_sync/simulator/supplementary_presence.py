"""Presence at the simulated PBX: who published what, and who is told. Lives on the actor thread."""

from __future__ import annotations

from typing import Any

from . import signals
from .actor import Actor
from .directory import Directory
from .leg import Leg
from .signals import Signal
from .supplementary import Facility, Refused, Services

FIELDS = ("status", "activity", "note", "contact")


class Presence:
    """The presence of all users, by their sip."""

    def __init__(self, actor: Actor, directory: Directory, services: Services) -> None:
        self._actor = actor
        self._directory = directory
        self._published: dict[str, dict[Any, Facility]] = {}
        self._watchers: list[tuple[Leg, str]] = []
        services.add(no_media={"presence_publish": self._publish, "presence_subscribe": self._subscribe})

    def _publish(self, leg: Leg, setup: Signal, facility: Facility) -> list[Facility]:
        # Spec: presence_publish sets the own presence, so it is that of the device's user, whoever the setup calls.
        sip, contact = leg.phone.sip, facility.get("contact") or "tel:"
        told = {**{name: facility[name] for name in FIELDS if name in facility}, "contact": contact}
        self._published.setdefault(sip, {})[str(contact)] = told
        self._watchers = [watcher for watcher in self._watchers if watcher[0].alive]
        for watcher, watched in self._watchers:
            if watched == sip:
                watcher.send(signals.facility("presence_notify", **told))
        return []

    def _subscribe(self, leg: Leg, setup: Signal, facility: Facility) -> list[Facility]:
        watched = watched_user(self._directory, leg, setup)
        self._watchers.append((leg, watched))
        self._actor.soon(lambda: self._tell(leg, watched))  # behind the answer to the setup
        return []

    def _tell(self, leg: Leg, watched: str) -> None:
        published = self._published.get(watched)
        if not leg.alive:
            return
        if published is None:
            leg.send(signals.presence("Grüße aus dem Büro"))
        else:
            leg.send({"type": "facility", "fty": [{"type": "presence_notify", **told} for told in published.values()]})


def watched_user(directory: Directory, leg: Leg, setup: Signal) -> str:
    """Return the sip of the user whom a subscription is about: the called party, or without one the own; raises Refused."""
    called = signals.party(setup.get("cd"))
    if not called:
        return leg.phone.sip
    phones = [line.phone for line in directory.find(called) if line.phone is not None]
    if not phones:
        raise Refused(signals.UNALLOCATED_NUMBER)
    return phones[0].sip
