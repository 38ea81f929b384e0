"""Links that look alive and are not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Alert, Setup
from epsignal_sync.simulator import Faults, SimulatedPBX, SimulatedPhone

from .conftest import HW1, open_descriptors, wait_until
from .peer import PATIENCE, Peer

pytestmark = pytest.mark.usefixtures("quick_attempts")

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture
def faults(pbx: SimulatedPBX, phones: Phones) -> Iterator[Faults]:
    with Faults(pbx.url) as faults:
        yield faults


def test_link_that_swallows_everything_is_found_and_made_again(faults: Faults, phones: Phones) -> None:
    with eps.connect(faults.url, app="phones", password="pwd", ping_interval=0.2, ping_timeout=1, timeout=PATIENCE) as client:
        device = client.attach(HW1)
        device.wait_attached(timeout=PATIENCE)
        assert client.healthy
        lost: list[eps.ConnectionLost] = []
        gaps: list[eps.Gap] = []
        client.on(eps.ConnectionLost, lost.append)
        client.on(eps.Gap, gaps.append)
        faults.swallow()
        wait_until(lambda: not client.healthy)
        wait_until(lambda: lost)
        assert "no sign of life" in str(lost[0].error)
        faults.heal()
        wait_until(lambda: gaps)
        device.wait_attached(timeout=PATIENCE)
        assert client.healthy and gaps[0].to - gaps[0].from_ >= 1, "from the last sign of life on, not from its discovery"
        call = phones[0].call("23")
        call.wait("alert", timeout=PATIENCE)


def test_health_needs_a_sign_of_life(peer: Peer) -> None:
    with peer.client(ping_interval=600, ping_timeout=600) as client:
        assert client.healthy
        link = client._connections[0].link
        assert link._carrier is not None
        link._carrier.last_heard -= 1201
        assert client.connected and not client.healthy
        peer.send({"mt": "PbxInfo"})
        wait_until(lambda: client.healthy)
        peer.drop()
        wait_until(lambda: not client.connected)
        assert not client.healthy


def test_link_that_stalls_loses_nothing(faults: Faults, phones: Phones) -> None:
    with eps.connect(faults.url, app="phones", password="pwd", ping_timeout=600) as client:
        client.attach(HW1).wait_attached(timeout=PATIENCE)
        faults.stall()
        call = phones[0].call("23")
        faults.resume()
        call.wait("alert", timeout=PATIENCE)
        assert client.stats.reconnects == 0


@pytest.mark.parametrize("state", ["swallowed", "stalled", "peer does not read"])
def test_close_of_a_link_that_is_dead(faults: Faults, state: str) -> None:
    client = eps.connect(faults.url, app="phones", password="pwd")
    device = client.attach(HW1)
    if state == "swallowed":
        faults.swallow()
    else:
        faults.stall()
    if state == "peer does not read":
        with pytest.raises(eps.ReplyTimeout):
            while True:
                device.send(Setup(dsp="x" * 500_000), call=1, to_device=True, timeout=0.05)
    client.close()
    assert client.state == "closed"
    with pytest.raises(eps.ClosedError):
        device.send(Alert(), call=1, to_device=True)


def test_many_clients_leave_nothing(pbx: SimulatedPBX, phones: Phones) -> None:
    descriptors = None
    for count in range(60):
        with eps.connect(pbx.url, app="phones", password="pwd") as client:
            client.attach(HW1)
        if count == 5:
            wait_until(lambda: pbx.connections == 0)
            descriptors = open_descriptors()
    wait_until(lambda: pbx.connections == 0)
    assert descriptors is not None
    wait_until(lambda: open_descriptors() <= descriptors)


def test_one_client_is_nothing_to_another(pbx: SimulatedPBX, phones: Phones, peer: Peer) -> None:
    """One hangs in its callback, loses its connection again and again, and gets rubbish."""
    with eps.connect(pbx.url, app="phones", password="pwd") as client, peer.client(reconnect=True) as other:
        device = client.attach(HW1)
        device.wait_attached(timeout=PATIENCE)
        for _ in range(5):
            peer.sock.sendall(b"\x00\xffrubbish" * 1000)
            peer.drop()
            call = phones[0].call("23")
            call.wait("alert", timeout=PATIENCE)
            call.hangup()
            call.wait("null", timeout=PATIENCE)
            peer.login()
            wait_until(lambda: other.connected)
        assert client.stats.reconnects == 0 and client.stats.malformed == 0 and client.healthy
        peer.drop()
        peer.stop_listening()
