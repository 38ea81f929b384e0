"""The demo: a simulated PBX with three phones, three calls, and the ordinary monitor on two of the phones."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from ..client import Client
from ..errors import EpSignalError
from ..simulator import SimulatedPBX, SimulatedPhone
from .monitor import follow

PASSWORD = "demo"
STEP = 0.6
"""Seconds between two things that the people at the phones do."""


class Story(threading.Thread):
    """What the people at the phones do, from the moment the monitor is attached."""

    def __init__(self, pbx: SimulatedPBX) -> None:
        super().__init__(name="demo-story", daemon=True)
        self.alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice", kind="h323")
        self.bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob", kind="sip")
        self.carol = pbx.add_phone("0090334f1a2d", number="24", sip="carol", name="Carol", kind="h323")
        self.error: Exception | None = None
        self._pbx = pbx

    def run(self) -> None:
        """Place and answer the calls."""
        try:
            watched = (self.alice.hw, self.bob.hw)
            self._pbx.wait_for(lambda log: all(log.texts("to-app", hw, mt="Attached") for hw in watched))
            self._talk(self.alice, self.bob, "23")
            self.carol.busy = True
            busy = self.alice.call("24")
            busy.wait("null")
            self.carol.busy = False
            self._pause()
            self._talk(self.carol, self.alice, "22")
        except Exception as error:  # whatever it is ends the demo with an error, and not silently
            self.error = error

    def _talk(self, caller: SimulatedPhone, called: SimulatedPhone, number: str) -> None:
        call = caller.call(number)
        call.wait("alert")
        self._pause()
        called.answer()
        call.wait("connected")
        self._pause()
        self._pause()
        call.hangup()
        called.wait("null")
        self._pause()

    def _pause(self) -> None:
        time.sleep(STEP)


def run_demo(*, as_json: bool, start_recording: Callable[[Client], None]) -> None:
    """Run the demo; takes about six seconds. ``start_recording`` gets its client.

    Raises EpSignalError if a call did not go as it should.
    """
    with SimulatedPBX() as pbx:
        pbx.add_app("demo", password=PASSWORD)
        story = Story(pbx)
        with Client(pbx.url, app="demo", password=PASSWORD) as client:
            start_recording(client)
            print(f"epsignal: a simulated PBX; Alice's phone is {story.alice.hw}, Bob's is {story.bob.hw}", file=sys.stderr)
            story.start()
            hws = [story.alice.hw, story.bob.hw]
            follow(client, hws, as_json=as_json, show_all=False, timeout=10, until=lambda: not story.is_alive())
        if story.error is not None:
            raise EpSignalError(f"the demo did not go as it should: {story.error}")
