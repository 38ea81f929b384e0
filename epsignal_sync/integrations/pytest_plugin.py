"""Fixtures for pytest: a simulated PBX, phones at it and a client that is logged in there, so that an app's test is short.

    def test_my_app(phones, epsignal_client):
        alice, bob = phones
        my_app(epsignal_client, alice.hw)
        bob.call(alice.number)
        ...

With the extra ``simulator`` installed (``pip install epsignal-sync[simulator]``) pytest finds them by itself; a fixture of
the same name in a test module or a ``conftest.py`` takes the place of the one here. ``samples/test_my_app.py`` is a whole
test module, and ``docs/testing.md`` shows more. An app that connects by itself takes ``simulated_pbx.url``, :data:`APP` and
:data:`PASSWORD`.

Knows nothing of what is tested. It is loaded in every run of pytest where the library is installed, so the simulator, and
what that needs, is imported by the fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..client import Client
    from ..simulator import SimulatedPBX, SimulatedPhone

APP, PASSWORD = "phones", "secret"
"""Name and password of the App object at :func:`simulated_pbx`."""

FIRST_HW, FIRST_NUMBER = 0x0090334F1A2B, 22


class Phones(list["SimulatedPhone"]):
    """Phones at one simulated PBX, in the order in which they were added."""

    def __init__(self, pbx: SimulatedPBX) -> None:
        super().__init__()
        self._pbx = pbx

    def add(self, name: str) -> SimulatedPhone:
        """Add a phone, register it and return it; it has the next number (22, 23, ...) and an own hardware id.

        For a phone with another number, or of kind "sip", use ``simulated_pbx.add_phone()``. Blocks for a moment; raises
        UsageError where the number is taken. From any thread.
        """
        count = len(self)
        phone = self._pbx.add_phone(f"{FIRST_HW + count:012x}", number=str(FIRST_NUMBER + count), sip=name.lower(), name=name)
        self.append(phone)
        return phone


@pytest.fixture
def simulated_pbx() -> Iterator[SimulatedPBX]:
    """A simulated PBX that runs, and ends after the test: see ``epsignal_sync.simulator.SimulatedPBX``.

    An app connects to ``simulated_pbx.url`` and logs in with ``app="phones", password="secret"``. What was said is in
    ``simulated_pbx.log``, and ``simulated_pbx.wait_for(...)`` waits for it.
    """
    from ..simulator import SimulatedPBX

    with SimulatedPBX() as pbx:
        pbx.add_app(APP, password=PASSWORD)
        yield pbx


@pytest.fixture
def phones(simulated_pbx: SimulatedPBX) -> Phones:
    """Two registered phones at ``simulated_pbx``: ``alice, bob = phones``, with the numbers 22 and 23.

    ``phones.add("Carol")`` adds another one. What people do at them: ``bob.call(alice.number)``, ``alice.wait("alert")``,
    ``alice.answer()``, ``alice.hangup()``, ...; see ``epsignal_sync.simulator.SimulatedPhone``.
    """
    phones = Phones(simulated_pbx)
    for name in ("Alice", "Bob"):
        phones.add(name)
    return phones


@pytest.fixture
def epsignal_client(simulated_pbx: SimulatedPBX) -> Iterator[Client]:
    """A client that is connected to ``simulated_pbx`` and logged in, nothing attached yet; it is closed after the test.

    Its callbacks run on a thread of their own, as always: a test waits for what they do, with a ``queue.Queue`` or a
    ``threading.Event`` and a time-out.
    """
    from .. import connect

    with connect(simulated_pbx.url, app=APP, password=PASSWORD) as client:
        yield client
