"""One connection for each device, for a PBX where src does not tell devices apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Alert, Setup
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, wait_until
from .peer import PATIENCE, Peer

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture
def client(pbx: SimulatedPBX, phones: Phones, quick_attempts: None) -> Iterator[eps.Client]:
    pbx.without_src = True
    with eps.connect(pbx.url, app="phones", password="pwd", per_device=True) as client:
        yield client


def test_calls_without_src(pbx: SimulatedPBX, phones: Phones, client: eps.Client) -> None:
    heard: list[tuple[str, str]] = []
    client.on(Setup, lambda event: heard.append((event.device.hw if event.device else "", "to" if event.to_device else "from")))
    devices = client.attach_many([HW1, HW2])
    for device in devices:
        device.wait_attached(timeout=PATIENCE)
    assert pbx.connections == 2 and devices[0] is client.attach(HW1)
    phones[0].call("23")
    phones[1].wait("alert", timeout=PATIENCE)
    phones[1].answer()
    wait_until(lambda: sorted(heard) == [(HW1, "from"), (HW2, "to")])
    wait_until(lambda: client.stats.forwarded >= 6)
    assert client.stats.unrouted == 0


def test_interceptor_of_the_client_is_there_on_each_connection(phones: Phones, client: eps.Client) -> None:
    client.intercept(Setup, lambda event: eps.refuse(17) if event.to_device else None, to_device=True)
    for device in client.attach_many([HW1, HW2]):
        device.wait_attached(timeout=PATIENCE)
    for caller, number in ((phones[0], "23"), (phones[1], "22")):
        call = caller.call(number)
        call.wait("null", timeout=PATIENCE)
        assert call.cause == 17


def test_refused_device_leaves_its_connection_to_the_next(pbx: SimulatedPBX, client: eps.Client) -> None:
    client.attach(HW1)
    for _ in range(2):
        with pytest.raises(eps.AttachError):
            client.attach("no such device")
    client.attach(HW2)
    assert pbx.connections == 2


def test_refused_login_is_raised_by_attach(pbx: SimulatedPBX, client: eps.Client) -> None:
    client.attach(HW1)
    pbx.add_app("phones", password="another")
    with pytest.raises(eps.LoginError):
        client.attach(HW2)
    assert client.connected and len(client._connections) == 1 and not client._ended.done, "the others go on"
    pbx.add_app("phones", password="pwd")
    client.attach(HW2)


def test_connection_that_fails_when_nobody_waits_for_it_any_more(peer: Peer) -> None:
    with peer.client(per_device=True) as client:
        device = peer.attach(client, HW1)
        first = peer.sock
        with pytest.raises(eps.ReplyTimeout, match="was not there within"):
            client.attach(HW2, timeout=0.05)
        peer.accept()
        peer.drop()
        wait_until(lambda: len(client._connections) == 1)
        assert client.state == "connected" and client.healthy and device.attached and not client._ended.done, "the others go on"
        first.close()


def test_loss_of_the_connections(pbx: SimulatedPBX, phones: Phones, client: eps.Client) -> None:
    devices = client.attach_many([HW1, HW2])
    for device in devices:
        device.wait_attached(timeout=PATIENCE)
    back: list[eps.Device | None] = []
    client.on(eps.Reconnected, lambda event: back.append(event.device))
    pbx.drop_connections()
    wait_until(lambda: len(back) == 2)
    assert set(back) == set(devices)
    for device in devices:
        device.wait_attached(timeout=PATIENCE)
    assert client.connected and client.stats.reconnects == 2


def test_verbs_go_through_the_connection_of_the_device(pbx: SimulatedPBX, phones: Phones, client: eps.Client) -> None:
    device, other = client.attach_many([HW1, HW2])
    other.wait_attached(timeout=PATIENCE)
    call = other.dial("22")
    phones[0].wait("alert", timeout=PATIENCE)
    call.hangup()
    phones[0].wait("null", timeout=PATIENCE)
    device.send(Alert(), call=77, to_device=True)
    sent, *_ = pbx.wait_for(lambda log: log.entries(place="from-app", device=HW1, call=77), timeout=PATIENCE)
    assert sent.type == "alert" and sent.message["to"] is True
