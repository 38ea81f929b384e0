"""A simulated team for qt_wallboard.py: a PBX whose people call each other and customers. Needs the extra "simulator"."""

from __future__ import annotations

import contextlib
import random
import threading
import time

import epsignal_sync as eps
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

NAMES = "Anna Ben Clara David Emma Felix Greta Hugo Ida Jonas Klara Leon Mia Noah Olga Paul Rosa Simon Thea Viktor".split()
CUSTOMERS = ("Meyer & Sons", "City Library", "Dr. Okafor", "Hotel Astoria", "Nguyen Flowers", "Harbour Office")


class Team(threading.Thread):
    """People who call each other and customers, until the simulated PBX is closed."""

    def __init__(self, size: int) -> None:
        super().__init__(name="team", daemon=True)
        self.pbx = SimulatedPBX(no_answer_timeout=12).start()
        self.pbx.add_app("phones", password="secret")
        people = [f"{name} {initial}." if size > len(NAMES) else name for initial in "BKS" for name in NAMES][:size]
        names = [*people, *CUSTOMERS]
        self._phones = [
            self.pbx.add_phone(f"0090334f1a{number:02x}", number=str(200 + number), sip=f"user{number}", name=name)
            for number, name in enumerate(names)
        ]
        self._team = self._phones[:size]
        self.names = {phone.hw: phone.name for phone in self._team}
        self._random = random.Random(8)

    def run(self) -> None:
        """Have somebody do something, many times a second in a large team; begins when the wallboard is attached."""
        with contextlib.suppress(eps.EpSignalError):
            self.pbx.wait_for(lambda log: all(log.texts("to-app", hw, mt="Attached") for hw in self.names), timeout=60)
        while True:
            try:
                self._act(self._random.choice(self._phones), self._random.random())
                time.sleep(2 / len(self._phones))
            except eps.ClosedError:
                return
            except eps.EpSignalError:
                pass  # the other party was quicker

    def _act(self, phone: SimulatedPhone, chance: float) -> None:
        call, idle = phone.call_now, [one for one in self._phones if one.registered and one.call_now is None]
        if not phone.registered:
            if chance < 0.2:
                phone.register()
        elif call is None:
            if chance < 0.1 and len(idle) > len(self._phones) * 0.55:
                phone.call(self._random.choice([one for one in idle if one is not phone]).number)
            elif chance > 0.99 and phone in self._team:
                phone.unregister()
        elif call.incoming and call.state == "alert" and chance < 0.25:
            phone.answer()
        elif call.state == "connected" and chance < 0.03:
            phone.hangup()
