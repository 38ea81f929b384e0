"""Message waiting and instant messages at the simulated PBX. Lives on the actor thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import signals
from .directory import Directory
from .leg import Leg
from .line import Line
from .signals import Signal
from .supplementary import Facility, Refused, Services


class MessageWaiting:
    """What waits for whom, by the user's sip; the user's phones are told. ``offer`` makes a call of the caller's ring at a line."""

    def __init__(self, directory: Directory, services: Services, tell: Callable[[Leg, Line, Facility], None]) -> None:
        self._directory = directory
        self._tell = tell
        self._waiting: dict[str, Facility] = {}
        services.add(no_media={"mwi_activate": self._activate, "mwi_deactivate": self._deactivate, "mwi_interrogate": self._interrogate})

    def _activate(self, leg: Leg, setup: Signal, facility: Facility) -> list[Facility]:
        lines = self._served(leg, setup, facility)
        self._waiting[_user(lines)] = facility
        self._tell_phones(leg, lines, facility)
        return []

    def _deactivate(self, leg: Leg, setup: Signal, facility: Facility) -> list[Facility]:
        lines = self._served(leg, setup, facility)
        self._waiting.pop(_user(lines), None)
        self._tell_phones(leg, lines, facility)
        return []

    def _interrogate(self, leg: Leg, setup: Signal, facility: Facility) -> list[Facility]:
        waiting = self._waiting.get(_user(self._served(leg, setup, facility)))
        # Spec: how "nothing waits" is said is not documented; here the result has no ``sub`` then.
        return [{"type": "mwi_interrogate_result", **({"sub": waiting} if waiting is not None else {})}]

    def _served(self, leg: Leg, setup: Signal, facility: Facility) -> list[Line]:
        served = signals.party(facility.get("served_user")) or signals.party(setup.get("cd"))
        lines = self._directory.find(served or {"sip": leg.phone.sip})
        if not lines:
            raise Refused(signals.UNALLOCATED_NUMBER)
        return lines

    def _tell_phones(self, leg: Leg, lines: list[Line], facility: Facility) -> None:
        for line in lines:
            if line.registered:
                self._tell(leg, line, facility)


class InstantMessages:
    """Chats: no-media calls that go to the called party's phones, which take them by themselves."""

    def __init__(self, services: Services, route: Callable[[Leg, Signal], Any]) -> None:
        self._route = route
        services.add(no_media={"im_setup": self._chat, "im_message": self._chat})

    def _chat(self, leg: Leg, setup: Signal, facility: Facility) -> None:
        self._route(leg, setup)


def _user(lines: list[Line]) -> str:
    phone = lines[0].phone
    assert phone is not None
    return phone.sip
