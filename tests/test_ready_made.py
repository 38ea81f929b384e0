"""The interceptors that come with the library: blocking callers, rewriting numbers, renaming callers."""

from __future__ import annotations

from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import NameIdentification, Setup
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, PATIENCE, wait_until
from .peer import Peer

Pair = tuple[SimulatedPhone, SimulatedPhone]


def test_blocked_caller_gets_the_cause_and_the_phone_hears_nothing(pbx: SimulatedPBX, phones: Pair, client: eps.Client) -> None:
    alice, bob = phones
    device = client.attach(HW2)
    device.wait_attached()
    before = len(pbx.log.texts("to-phone", HW2))
    seen: list[eps.Party] = []

    def unwanted(caller: eps.Party) -> bool:
        seen.append(caller)
        return caller.num == "22"

    device.intercept(Setup, eps.block_callers(unwanted, cause=17))
    call = alice.call("23")
    call.wait("null", timeout=PATIENCE)
    assert call.cause == 17
    assert seen == [eps.Party("22", "alice", "Alice Ä")]
    assert len(pbx.log.texts("to-phone", HW2)) == before and not bob.calls


def test_other_callers_get_through(phones: Pair, client: eps.Client) -> None:
    alice, bob = phones
    client.attach(HW2).intercept(Setup, eps.block_callers(lambda caller: caller.num == "666"))
    alice.call("23")
    assert bob.wait("alert", timeout=PATIENCE).remote["num"] == "22"


def test_outgoing_and_no_media_calls_are_not_blocked(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    device.intercept(Setup, eps.block_callers(lambda caller: True))
    for message in (peer.signaling(1, {"type": "setup", "channel": -1}), peer.signaling(2, {"type": "setup", "channel": 0}, to=True)):
        peer.send(message)
        assert peer.receive() == message


def test_blocking_with_a_cause_that_does_not_exist() -> None:
    with pytest.raises(eps.UsageError, match="cause"):
        eps.block_callers(lambda caller: True, cause=0)


def test_called_number_is_rewritten(phones: Pair, client: eps.Client) -> None:
    alice, bob = phones
    client.attach(HW1).intercept(Setup, eps.rewrite_called({"999": "23"}.get))
    alice.call("999")
    assert bob.wait("alert", timeout=PATIENCE).remote["num"] == "22"


@pytest.mark.parametrize("sig", [
    {"type": "setup", "cd": {"num": "42"}}, {"type": "setup", "cd": {"sip": "bob"}}, {"type": "setup"}, {"type": "setup", "cd": 5},
])  # fmt: skip
def test_numbers_that_are_not_rewritten_go_on_as_they_came(peer: Peer, peer_client: eps.Client, sig: dict[str, Any]) -> None:
    device = peer.attach(peer_client)
    device.intercept(Setup, eps.rewrite_called(lambda number: number))
    message = peer.signaling(1, sig)
    peer.send(message)
    assert peer.receive() == message
    assert peer_client.stats.changed == 0


def test_incoming_number_is_not_rewritten(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client).intercept(Setup, eps.rewrite_called(lambda number: "99"))
    message = peer.signaling(1, {"type": "setup", "cd": {"num": "42"}}, to=True)
    peer.send(message)
    assert peer.receive() == message


def test_caller_is_renamed(phones: Pair, client: eps.Client) -> None:
    alice, bob = phones
    device = client.attach(HW2)
    device.intercept(Setup, eps.rename_caller(lambda caller: f"Customer {caller.num}"))
    names: list[str | None] = []
    device.on(NameIdentification, lambda event: names.append(event.verdict))
    alice.call("23")
    assert bob.wait("alert", timeout=PATIENCE).remote["dn"] == "Customer 22"
    wait_until(lambda: names[:1] == ["changed"])


def test_caller_without_a_name_is_named_and_other_facilities_stay(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    device.intercept(Setup, eps.rename_caller(lambda caller: None if caller.num == "1" else "Bob"))
    other = {"type": "x_new", "n": [1, None]}
    peer.send(peer.signaling(1, {"type": "setup", "cg": {"num": "2"}, "fty": [other]}, to=True))
    assert peer.receive()["sig"]["fty"] == [{"type": "name_identification", "name": "Bob"}, other]
    for message in (
        peer.signaling(2, {"type": "setup", "cg": {"num": "1"}}, to=True),
        peer.signaling(3, {"type": "setup", "cg": {"num": "2"}}),  # it comes from the device
    ):
        peer.send(message)
        assert peer.receive() == message
