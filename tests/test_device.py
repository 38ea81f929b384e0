"""A device: its state, its calls, and sending for it."""

from __future__ import annotations

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync.messages import EP, Alert, Attached, Cause, Detached, NameIdentification, Rel, Setup
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, PATIENCE, wait_until
from .peer import Peer
from .protocol.random_json import ordered, read

Phones = tuple[SimulatedPhone, SimulatedPhone]


def test_attached_and_detached_as_the_phone_registers(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    device.wait_attached(timeout=PATIENCE)
    seen: list[type] = []
    device.on(Attached, lambda event: seen.append(type(event.message)))
    device.on(Detached, lambda event: seen.append(type(event.message)))
    phones[0].unregister()
    wait_until(lambda: not device.attached)
    phones[0].register()
    device.wait_attached(timeout=PATIENCE)
    assert device.attached
    wait_until(lambda: len(seen) == 2)
    assert seen == [Detached, Attached]


def test_unregistered_phone_is_attached_later(pbx: SimulatedPBX, client: eps.Client) -> None:
    phone = pbx.add_phone("late", number="29", sip="late", name="Late", registered=False)
    device = client.attach("late")
    assert not device.attached
    with pytest.raises(eps.ReplyTimeout, match="late was not attached"):
        device.wait_attached(timeout=0.1)
    phone.register()
    device.wait_attached(timeout=PATIENCE)


def test_result_before_the_answer(peer: Peer, peer_client: eps.Client) -> None:
    with pytest.raises(eps.ReplyTimeout):
        peer_client.attach(HW1, timeout=0.05)
    device, _ = peer_client._devices.request(HW1, True)
    with pytest.raises(eps.UsageError, match="has not answered"):
        _ = device.result


def test_calls_from_sync(client: eps.Client, phones: Phones) -> None:
    call = phones[0].call("23")
    phones[1].wait("alert", timeout=PATIENCE)
    phones[1].answer()
    call.wait("connected", timeout=PATIENCE)
    device = client.attach(HW2)
    wait_until(lambda: device.media_calls)
    (found,) = device.media_calls.values()
    assert (found.state, found.incoming, found.remote.num) == (eps.CallState.CONNECTED, True, "22")
    wait_until(lambda: len(device.calls) == 3)  # two more without media since registration
    assert sorted(call.media for call in device.calls.values()) == [False, False, True]


def test_calls_from_signaling(client: eps.Client, phones: Phones) -> None:
    first, second = client.attach_many([HW1, HW2])
    first.wait_attached(timeout=PATIENCE)
    second.wait_attached(timeout=PATIENCE)
    call = phones[0].call("23")
    phones[1].wait("alert", timeout=PATIENCE)
    wait_until(lambda: first.media_calls and second.media_calls)
    (outgoing,), (incoming,) = first.media_calls.values(), second.media_calls.values()
    wait_until(lambda: outgoing.state == "alert" and incoming.state == "alert")
    assert (outgoing.incoming, outgoing.remote.num, outgoing.dialed) == (False, "23", "23")
    assert (incoming.incoming, str(incoming.remote)) == (True, "Alice Ä (22)")
    call.hangup()
    wait_until(lambda: outgoing.ended and incoming.ended)
    assert not first.media_calls and not second.media_calls
    assert outgoing.cause is not None and outgoing.cause.text == "Normal call clearing"


@pytest.mark.parametrize(
    ("number", "prepare", "cause"), [("23", "busy", 17), ("23", "reject", 21), ("99", "", 1), ("23", "unregister", 20)]
)
def test_failed_calls(client: eps.Client, phones: Phones, number: str, prepare: str, cause: int) -> None:
    device = client.attach(HW1)
    device.wait_attached(timeout=PATIENCE)
    ended: list[eps.CallEnded] = []
    client.on(eps.CallEnded, ended.append)
    if prepare == "busy":
        phones[1].busy = True
    elif prepare == "unregister":
        phones[1].unregister()
    phones[0].call(number)
    if prepare == "reject":
        phones[1].wait("alert", timeout=PATIENCE)
        phones[1].reject()
    wait_until(lambda: ended)
    call = ended[0].call
    assert call is not None and call.cause is not None
    assert (call.cause.num, call.state, call.connected_at) == (cause, "null", None)


def test_send_towards_both_sides(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    device.send(Rel(cau=Cause(num=17)), call=5, to_device=False)
    assert peer.receive() == {
        "mt": "Signaling", "api": "EpSignal", "src": peer.src, "call": 5, "sig": {"type": "rel", "cau": {"num": 17}},
    }
    device.send(Setup(cg=EP(num="22"), fty=[NameIdentification(name="Jürgen")], complete=True), call=-1, to_device=True)
    assert peer.receive() == {
        "mt": "Signaling", "api": "EpSignal", "src": peer.src, "to": True, "call": -1,
        "sig": {"type": "setup", "cg": {"num": "22"}, "complete": True, "fty": [{"type": "name_identification", "name": "Jürgen"}]},
    }


def test_send_takes_a_call(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    peer.send(peer.signaling(4, {"type": "setup"}))
    peer.receive()
    wait_until(lambda: 4 in device.calls)
    device.send(Alert(), call=device.calls[4], to_device=False)
    assert peer.receive()["call"] == 4


@pytest.mark.parametrize(("signal", "call"), [("alert", 1), (Alert(), "1"), (Alert(), True), (Alert(), None), (None, 1)])
def test_send_nonsense(peer: Peer, peer_client: eps.Client, signal: object, call: object) -> None:
    device = peer.attach(peer_client)
    with pytest.raises(eps.UsageError, match="send\\(\\) takes"):
        device.send(signal, call=call, to_device=True)  # type: ignore[arg-type]


def test_send_takes_no_call_of_another_device(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    peer.send(peer.signaling(4, {"type": "setup"}))
    wait_until(lambda: 4 in device.calls)
    peer.receive()
    other = peer.attach(peer_client, HW2)
    with pytest.raises(eps.UsageError, match=f"a call of {HW1}"):
        other.send(Alert(), call=device.calls[4], to_device=True)


def test_remote_of_an_overlap_dialed_call(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    peer.send(peer.signaling(1, {"type": "setup"}))
    for digit in "123":
        peer.send(peer.signaling(1, {"type": "info", "cd": {"num": digit}}))
    wait_until(lambda: 1 in device.calls and device.calls[1].dialed == "123")
    assert str(device.calls[1].remote) == "123"


def test_repr(peer: Peer, peer_client: eps.Client) -> None:
    assert repr(peer.attach(peer_client)) == f"<Device {HW1}: attached, 0 calls>"


ODD = """{"1e400": 1e400, "large": 1180591620717411303424, "\\ud800": ["\\udfff", -0, 1.10], "null": null}"""


def test_changed_signal_arrives_with_only_that_changed(peer: Peer, peer_client: eps.Client) -> None:
    """The whole way: received by the link, changed in a callback, sent by the device."""
    device = peer.attach(peer_client)

    @device.on(Setup)
    def change(event: eps.SignalEvent[Setup]) -> None:
        changed = attrs.evolve(event.signal, cd=attrs.evolve(event.signal.cd or EP(), num="23"))
        device.send(changed, call=5, to_device=True)
        device.send(Alert(fty=event.signal.fty), call=5, to_device=False)

    @device.on(NameIdentification)
    def rename(event: eps.FacilityEvent[NameIdentification]) -> None:
        device.send(Alert(fty=[attrs.evolve(event.facility, name="B")]), call=6, to_device=False)

    fty = '[{"zz": %s, "type": "name_identification", "name": "A"}, 1e400, [1.10]]' % ODD  # noqa: UP031
    sig = '{"zz": %s, "cd": {"num": "22", "zz": %s}, "type": "setup", "fty": %s, "complete": 1}' % (ODD, ODD, fty)  # noqa: UP031
    text = f'{{"mt":"Signaling","api":"EpSignal","src":"{peer.src}","to":true,"call":3,"sig":{sig}}}'
    peer.send(text)
    assert peer.receive_text() == text.encode()
    wanted = read(sig.encode())
    wanted["cd"]["num"] = "23"
    assert ordered(read(peer.receive_text())["sig"]) == ordered(wanted)
    assert ordered(read(peer.receive_text())["sig"]) == ordered({"type": "alert", "fty": wanted["fty"]})
    wanted["fty"][0]["name"] = "B"
    assert ordered(read(peer.receive_text())["sig"]) == ordered({"type": "alert", "fty": wanted["fty"][:1]})
