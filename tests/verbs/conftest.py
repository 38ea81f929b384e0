"""A device at a scripted peer, and a call that comes to it."""

from __future__ import annotations

import pytest

import epsignal_sync as eps

from ..peer import Peer
from ..test_call import Phone


@pytest.fixture
def device(peer: Peer, peer_client: eps.Client) -> eps.Device:
    return peer.attach(peer_client)


@pytest.fixture
def phone(peer: Peer, device: eps.Device) -> Phone:
    """An incoming call, which is forwarded."""
    phone = Phone(peer, device)
    phone.say("setup", to=True, cg={"num": "22"}, cd={"num": "23"})
    phone.told()
    return phone
