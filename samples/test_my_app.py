"""How an app is tested without a PBX: a small app, and two tests of it.

    pip install 'epsignal-sync[simulator]' pytest
    pytest samples/test_my_app.py

The fixtures phones and epsignal_client come with epsignal-sync; `pytest --fixtures` explains them.
"""

from __future__ import annotations

import queue

import epsignal_sync as eps
from epsignal_sync.integrations.pytest_plugin import Phones


def note_missed_calls(client: eps.Client, hw: str, missed: queue.Queue[str]) -> None:
    """Put the number of everyone who calls that phone, and is not answered, into the queue. This is the app."""
    phone = client.attach(hw)

    @phone.on(eps.CallEnded)
    def ended(event: eps.CallEnded) -> None:
        call = event.call
        if call.incoming and call.media and call.connected_at is None:
            missed.put(call.remote.num or "unknown")


def test_caller_who_gives_up_is_noted(phones: Phones, epsignal_client: eps.Client) -> None:
    alice, bob = phones
    missed: queue.Queue[str] = queue.Queue()
    note_missed_calls(epsignal_client, alice.hw, missed)
    call = bob.call(alice.number)
    alice.wait("alert")
    call.hangup()
    assert missed.get(timeout=5) == bob.number


def test_answered_call_is_not_noted(phones: Phones, epsignal_client: eps.Client) -> None:
    alice, bob = phones
    carol = phones.add("Carol")
    missed: queue.Queue[str] = queue.Queue()
    note_missed_calls(epsignal_client, alice.hw, missed)
    answered = bob.call(alice.number)
    alice.wait("alert")
    alice.answer()
    answered.wait("connected")
    answered.hangup()
    alice.wait("null")
    # The app hears of things in their order: after this one it has heard of the first call, too.
    not_answered = carol.call(alice.number)
    not_answered.wait("alert")
    not_answered.hangup()
    assert missed.get(timeout=5) == carol.number
