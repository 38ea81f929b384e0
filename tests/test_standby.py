"""Several PBXs: which one is connected to, and when another one is moved to."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import epsignal_sync as eps
from epsignal_sync.simulator import SimulatedPBX

from .conftest import HW1, wait_until
from .peer import PATIENCE, Peer

pytestmark = pytest.mark.usefixtures("quick_attempts")

UNREACHABLE = "ws://127.0.0.1:1/"


@pytest.fixture
def other() -> Iterator[SimulatedPBX]:
    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="pwd")
        yield pbx


def connect(*urls: str, **options: float) -> eps.Client:
    return eps.connect(list(urls), app="phones", password="pwd", **options)  # type: ignore[arg-type]


def test_tried_in_turn(pbx: SimulatedPBX, other: SimulatedPBX) -> None:
    with connect(UNREACHABLE, pbx.url, other.url):
        assert (pbx.connections, other.connections) == (1, 0)


def test_pbx_that_swallows_everything_leaves_time_for_the_next(pbx: SimulatedPBX) -> None:
    with Peer() as peer, connect(peer.url, pbx.url, timeout=6) as client:
        assert client.connected and pbx.connections == 1


def test_none_can_be_reached() -> None:
    with pytest.raises(eps.ConnectError, match=r"none of the 2 PBXs could be reached: .*127.0.0.1:1.*; .*127.0.0.1:2"):
        connect(UNREACHABLE, "ws://127.0.0.1:2/")


def test_refused_login_is_not_tried_elsewhere(pbx: SimulatedPBX, other: SimulatedPBX) -> None:
    pbx.add_app("phones", password="another")
    with pytest.raises(eps.LoginError):
        connect(pbx.url, other.url)
    assert not other.log.texts("from-app")


@pytest.mark.parametrize("urls", [[], ["ws://a/", "ws://a/"], [5], {"ws://a/"}, None])
def test_what_is_no_list_of_urls(urls: object) -> None:
    with pytest.raises(eps.UsageError, match="URL"):
        eps.Client(urls, app="phones", password="pwd")  # type: ignore[arg-type]


def test_next_one_after_a_loss(pbx: SimulatedPBX, other: SimulatedPBX) -> None:
    for one in (pbx, other):
        one.add_phone(HW1, number="22", sip="alice")
    with connect(pbx.url, other.url) as client:
        device = client.attach(HW1)
        device.wait_attached(timeout=PATIENCE)
        addresses: list[str] = []
        client.on(eps.Reconnected, lambda event: addresses.append(event.address))
        pbx.close()
        wait_until(lambda: addresses)
        assert addresses[0] in other.url
        device.wait_attached(timeout=PATIENCE)


def test_moves_when_all_devices_are_detached(pbx: SimulatedPBX, other: SimulatedPBX) -> None:
    phone, there = (one.add_phone(HW1, number="22", sip="alice") for one in (pbx, other))
    there.unregister()
    with connect(pbx.url, other.url, standby_time=0.3) as client:
        device = client.attach(HW1)
        device.wait_attached(timeout=PATIENCE)
        reasons: list[str] = []
        client.on(eps.ConnectionLost, lambda event: reasons.append(str(event.error)))
        there.register()
        phone.unregister()
        wait_until(lambda: reasons)
        wait_until(lambda: device.attached)  # a slow machine may move more than once before that
        wait_until(lambda: (pbx.connections, other.connections) == (0, 1))
        assert "was left for" in reasons[0] and client.connected


def test_stays_where_no_other_one_accepts_the_login(pbx: SimulatedPBX, other: SimulatedPBX) -> None:
    other.add_app("phones", password="another")
    phone = pbx.add_phone(HW1, number="22", sip="alice")
    with connect(pbx.url, UNREACHABLE, other.url, standby_time=0.05) as client:
        device = client.attach(HW1)
        device.wait_attached(timeout=PATIENCE)
        lost: list[eps.ConnectionLost] = []
        client.on(eps.ConnectionLost, lost.append)
        phone.unregister()
        other.wait_for(lambda log: len(log.texts("to-app", mt="AppLoginResult")) >= 2, timeout=PATIENCE)  # it is tried again and again
        phone.register()
        device.wait_attached(timeout=PATIENCE)
        assert not lost and client.connected


def test_stays_while_a_device_is_attached(pbx: SimulatedPBX, other: SimulatedPBX) -> None:
    phones = [pbx.add_phone(hw, number=hw[-2:], sip=hw) for hw in (HW1, "0090334f1a77")]
    with connect(pbx.url, other.url, standby_time=0.02) as client:
        for device in client.attach_many([phone.hw for phone in phones]):
            device.wait_attached(timeout=PATIENCE)
        for _ in range(5):
            phones[0].unregister()
            phones[0].register()
            client.attach(HW1).wait_attached(timeout=PATIENCE)
        assert not other.log.texts("from-app") and client._connections[0].standby._try_at is None


def test_close_while_another_one_is_tried(pbx: SimulatedPBX) -> None:
    phone = pbx.add_phone(HW1, number="22", sip="alice")


    with Peer() as peer, connect(pbx.url, peer.url, standby_time=0.05) as client:
        device = client.attach(HW1)
        device.wait_attached(timeout=PATIENCE)
        phone.unregister()
        peer.accept()  # and no upgrade
        client.close()
        assert client.state == "closed"
        assert not [thread for thread in threading.enumerate() if thread.name == "epsignal-link"]
