"""A connection that is lost is made again by the same path, and whoever uses it is told."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.deadline import Deadline
from epsignal_sync.messages import Alert, Attached, Setup, Signaling
from epsignal_sync.protocol.session import Attachment
from epsignal_sync.relay import backoff
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, open_descriptors, wait_until
from .peer import PATIENCE, Peer

pytestmark = pytest.mark.usefixtures("quick_attempts")

Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture
def again(peer: Peer) -> Iterator[eps.Client]:
    """A client at a scripted peer that connects again."""
    with peer.client(reconnect=True) as client:
        yield client
        peer.drop()
        peer.stop_listening()


class Seen:
    """The events of some classes, in order."""

    def __init__(self, client: eps.Client, *kinds: type) -> None:
        self.events: list[Any] = []
        self._kinds = kinds
        for kind in kinds:
            client.on(kind, self.events.append)

    def wait(self, *kinds: type) -> list[Any]:
        """Wait until events of exactly these classes have come, and return them."""
        wait_until(lambda: len(self.events) >= len(kinds))
        assert [type(event) for event in self.events] == list(kinds)
        return self.events


def attach_again(peer: Peer, *devices: eps.Device) -> None:
    """Take the next connection of a client, and attach its devices again; ``src`` is that of the first of them."""
    peer.drop()
    peer.login()
    asked = [peer.receive() for _ in devices]
    assert sorted(one["hw"] for one in asked) == sorted(device.hw for device in devices)
    for one in asked:
        peer.send({"mt": "AttachResult", "api": "EpSignal", "src": one["src"]})
        peer.send({"mt": "Attached", "api": "EpSignal", "src": one["src"]})
    for device in devices:
        device.wait_attached(timeout=PATIENCE)
    peer.src = devices[0]._attachment.src


def test_events_and_state(peer: Peer, again: eps.Client) -> None:
    seen = Seen(again, eps.ConnectionLost, eps.Reconnecting, eps.Reconnected)
    assert (again.state, again.connected) == ("connected", True)
    peer.drop()
    lost, coming = seen.wait(eps.ConnectionLost, eps.Reconnecting)
    assert isinstance(lost.error, eps.ConnectionLostError) and coming.attempt == 1 and 0 < coming.delay < 0.05
    assert (again.state, again.connected, again.healthy) == ("reconnecting", False, False)
    peer.login()
    back = seen.wait(eps.ConnectionLost, eps.Reconnecting, eps.Reconnected)[-1]
    assert back.address in peer.url
    assert (again.state, again.stats.reconnects) == ("connected", 1)
    again.close()
    assert again.state == "closed"


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_clean_close_by_the_pbx(peer: Peer, again: eps.Client, code: int) -> None:
    peer.send_close(code)
    assert peer.receive_frame()[0] == 8
    peer.drop()
    peer.login()
    wait_until(lambda: again.connected)


def test_each_device_is_attached_once_and_callbacks_stay(peer: Peer, again: eps.Client) -> None:
    device = peer.attach(again)
    other = peer.attach(again, HW2)
    heard: list[Any] = []
    device.on(Signaling, lambda event: heard.append(event.signal))
    device.intercept(Alert, lambda event: eps.DROP)
    attach_again(peer, device, other)
    message = peer.signaling(3, {"type": "setup"})
    peer.send(message)
    assert peer.receive() == message
    peer.send(peer.signaling(3, {"type": "alert"}))
    peer.send(peer.signaling(3, {"type": "conn"}))
    assert peer.receive()["sig"] == {"type": "conn"}, "the interceptor is in place, and no Attach was sent twice"
    wait_until(lambda: [type(one).__name__ for one in heard] == ["Setup", "Alert", "Conn"])


def test_attempts_that_fail(peer: Peer, again: eps.Client) -> None:
    seen = Seen(again, eps.Reconnecting)
    for _ in range(3):
        peer.drop()
        peer.accept()  # and no upgrade
    wait_until(lambda: len(seen.events) >= 3)
    assert [event.attempt for event in seen.events[:3]] == [1, 2, 3]
    assert all(isinstance(event.error, eps.EpSignalError) for event in seen.events)
    peer.drop()
    peer.login()
    wait_until(lambda: again.connected)
    peer.drop()
    wait_until(lambda: seen.events[-1].attempt == 1)  # after a success it begins again
    peer.login()
    wait_until(lambda: again.connected)


def test_refused_login_ends_it(pbx: SimulatedPBX, phones: Phones) -> None:
    with eps.connect(pbx.url, app="phones", password="pwd") as client:
        device = client.attach(HW1)
        seen = Seen(client, eps.ConnectionLost, eps.Reconnecting, eps.Reconnected)
        pbx.add_app("phones", password="another")
        pbx.drop_connections()
        with pytest.raises(eps.LoginError, match="refused the login"):
            client.run_forever()
        assert client.state == "closed"
        with pytest.raises(eps.LoginError):
            device.send(Alert(), call=1, to_device=True)
        *_, last = seen.wait(eps.ConnectionLost, eps.Reconnecting, eps.ConnectionLost)
        assert isinstance(last.error, eps.LoginError)
        assert len(pbx.log.texts("from-app", mt="AppLogin")) == 2, "no retries"


@pytest.mark.parametrize("code", [1000, 1008])
def test_login_refused_by_closing_ends_it(peer: Peer, again: eps.Client, code: int) -> None:
    peer.drop()
    peer.upgrade()
    peer.receive()
    peer.send({"mt": "AppChallengeResult", "challenge": "0123456789abcdef"})
    peer.receive()
    peer.send_close(code)
    with pytest.raises(eps.LoginError):
        again.run_forever()


@pytest.mark.parametrize("end", ["drop", "going away", "restart"])
def test_pbx_that_goes_in_the_middle_of_the_login_refuses_nobody(peer: Peer, again: eps.Client, end: str) -> None:
    peer.drop()
    peer.upgrade()
    peer.receive()
    peer.send({"mt": "AppChallengeResult", "challenge": "0123456789abcdef"})
    peer.receive()
    if end != "drop":
        peer.send_close({"going away": 1001, "restart": 1012}[end])
    peer.drop()
    peer.login()
    wait_until(lambda: again.connected)
    assert again.stats.reconnects == 1


def test_new_challenge_at_each_login(pbx: SimulatedPBX, phones: Phones) -> None:
    with eps.connect(pbx.url, app="phones", password="pwd") as client:
        reconnected = Seen(client, eps.Reconnected)
        pbx.drop_connections()
        wait_until(lambda: reconnected.events)
        challenges = [text for text in pbx.log.texts("to-app", mt="AppChallengeResult")]
        assert len(challenges) == len(set(challenges)) == 2


def test_limit_of_attempts(peer: Peer) -> None:
    with peer.client(reconnect=True, reconnect_attempts=3) as client:
        seen = Seen(client, eps.Reconnecting)
        peer.stop_listening()
        peer.drop()
        with pytest.raises(eps.ConnectionLostError, match="after 3 attempts"):
            client.run_forever()
        assert [event.attempt for event in seen.events] == [1, 2, 3] and client.state == "closed"


def test_no_reconnect(peer: Peer, peer_client: eps.Client) -> None:
    seen = Seen(peer_client, eps.ConnectionLost, eps.Reconnecting)
    peer.drop()
    with pytest.raises(eps.ConnectionLostError):
        peer_client.run_forever()
    assert peer_client.state == "closed"
    seen.wait(eps.ConnectionLost)


def test_events_before_the_end_come_before_run_forever_raises(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    go_on, told = threading.Event(), []
    device.on(Setup, lambda event: go_on.wait(PATIENCE))
    device.on(eps.CallEnded, lambda event: told.append(event.call.ended_by))
    message = peer.signaling(3, {"type": "setup"})
    peer.send(message)
    assert peer.receive() == message
    peer.drop()
    wait_until(lambda: peer_client.state == "closed")
    threading.Timer(0.1, go_on.set).start()
    with pytest.raises(eps.ConnectionLostError):
        peer_client.run_forever()
    assert told == ["gap"]


def test_same_tls_checks_and_pin(server_context: Any, other_server_context: Any, ca_file: str) -> None:
    """A server that comes back with another certificate is not logged in to."""
    with Peer(server_context) as peer:
        client = peer.client(reconnect=True, ca_file=ca_file)
        seen = Seen(client, eps.Reconnecting)
        peer.context = other_server_context
        peer.drop()
        with pytest.raises(Exception):  # noqa: B017  # whatever ssl says where the client refuses the certificate
            peer.login()
        wait_until(lambda: any("certificate" in str(event.error) for event in seen.events))
        peer.context = server_context
        while not client.connected:
            peer.drop()
            try:
                peer.login()
            except (OSError, EOFError):
                continue  # an attempt that began before
            wait_until(lambda: client.connected)
        peer.drop()
        peer.stop_listening()
        client.close()


RUBBISH = {
    "masked frame": b"\x81\x80\0\0\0\0",
    "reserved bits": b"\xf1\x00",
    "opcode that does not exist": b"\x83\x00",
    "length of 2**63": b"\x81\x7f\x80" + bytes(7),
    "message of 17 MB": b"\x81\x7f" + (17 * 2**20).to_bytes(8, "big"),
    "fragmented ping": b"\x09\x00",
    "continuation of nothing": b"\x80\x00",
    "close frame of one byte": b"\x88\x01\x03",
    "no websocket at all": b"\r\n\r\nGET / HTTP/1.1" * 100,
}


@pytest.mark.parametrize("name", RUBBISH)
def test_comes_back_after_rubbish(peer: Peer, again: eps.Client, name: str) -> None:
    device = peer.attach(again)
    lost = Seen(again, eps.ConnectionLost)
    peer.sock.sendall(RUBBISH[name])
    wait_until(lambda: lost.events)
    attach_again(peer, device)
    message = peer.signaling(3, {"type": "setup"})
    peer.send(message)
    assert peer.receive() == message


def test_challenge_of_a_megabyte_and_login_messages_after_the_login(peer: Peer, again: eps.Client) -> None:
    peer.drop()
    peer.upgrade()
    peer.receive()
    peer.send({"mt": "AppChallengeResult", "challenge": "x" * 2**20})
    assert peer.receive()["mt"] == "AppLogin"
    peer.send({"mt": "AppLoginResult", "ok": True})
    wait_until(lambda: again.connected)
    for message in ({"mt": "AppChallengeResult", "challenge": "again"}, {"mt": "AppLoginResult", "ok": False}):
        peer.send(message)
    device = peer.attach(again)
    assert device.attached and again.stats.reconnects == 1


# ------------------------------------------------------------ what waits


def waiting(work: Callable[[], object]) -> Callable[[], BaseException | None]:
    """Run something in a thread; returns what waits for its end and returns what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def finish() -> BaseException | None:
        thread.join(PATIENCE)
        assert not thread.is_alive()
        return raised[0] if raised else None

    return finish


def test_every_waiter_ends_with_the_connection(peer: Peer, again: eps.Client) -> None:
    device = peer.attach(again)
    for call in (3, 4):
        message = peer.signaling(call, {"type": "setup"})
        peer.send(message)
        assert peer.receive() == message
    own = device.dial("23")
    wait_until(lambda: own._record.began and len(device.calls) == 3)
    ends = [
        waiting(lambda: again.attach(HW2, timeout=None)),
        waiting(lambda: device.calls[3].wait("connected", timeout=None)),
        waiting(lambda: own.wait("alert", timeout=None)),
    ]
    wait_until(lambda: len(again._connections[0].replies._open) == 3)
    peer.drop()
    assert [type(end()) for end in ends] == [eps.ConnectionLostError] * 3
    for verb in (
        lambda: device.send(Alert(), call=3, to_device=True), lambda: device.calls[3].hangup(), lambda: device.dial("23"),
        lambda: again.attach("0090334f1a2d"),
    ):  # fmt: skip
        with pytest.raises(eps.ConnectionLostError, match="it is being made again"):
            verb()
    assert own.ended and own.ended_by == "gap"


def test_attach_that_was_lost_is_made_good(peer: Peer, again: eps.Client) -> None:
    end = waiting(lambda: again.attach(HW1, timeout=None))
    assert peer.receive()["mt"] == "Attach"
    peer.drop()
    assert isinstance(end(), eps.ConnectionLostError)
    peer.login()
    src = peer.receive()["src"]
    wait_until(lambda: again.connected)
    peer.send({"mt": "AttachResult", "api": "EpSignal", "src": src})
    assert again.attach(HW1).hw == HW1


def test_attach_many_ends_with_the_connection(peer: Peer, again: eps.Client) -> None:
    names = [f"0090334f1a{number}" for number in range(10, 20)]
    end = waiting(lambda: again.attach_many(names, timeout=None))
    assert [peer.receive()["hw"] for _ in names] == names
    peer.drop()  # and nobody takes the next connection
    assert isinstance(end(), eps.ConnectionLostError), "it does not wait for the others' second Attach"


def test_loss_between_asking_and_waiting(peer: Peer, again: eps.Client) -> None:
    device, answer = again._devices.request(HW1, True)
    assert peer.receive()["mt"] == "Attach"
    peer.drop()
    wait_until(lambda: again.state == "reconnecting")
    with pytest.raises(eps.ConnectionLostError, match="lost while this was waited for"):
        again._devices.wait(device, answer, Deadline(PATIENCE))


def test_loss_just_before_the_attach_is_queued(peer: Peer, again: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = again._connections[0].link.inbox
    attach = inbox.attach

    def attach_after_a_loss(attachment: Attachment) -> None:
        peer.drop()
        wait_until(lambda: again.state == "reconnecting")
        attach(attachment)

    monkeypatch.setattr(inbox, "attach", attach_after_a_loss)
    with pytest.raises(eps.ConnectionLostError):
        again.attach(HW1)
    monkeypatch.setattr(inbox, "attach", attach)
    peer.login()
    wait_until(lambda: again.connected)
    assert peer.attach(again, HW1).attached, "its Attach is sent"


def test_wait_attached_over_a_loss(peer: Peer, again: eps.Client) -> None:
    device = peer.attach(again)
    peer.drop()
    wait_until(lambda: again.state == "reconnecting")
    end = waiting(lambda: device.wait_attached(timeout=PATIENCE))
    attach_again(peer, device)
    assert end() is None and device.attached


def test_send_that_waits_for_room_ends_with_the_connection(peer: Peer, again: eps.Client) -> None:
    device = peer.attach(again)
    big = Setup(dsp="x" * 300_000)

    def flood() -> None:
        while True:
            device.send(big, call=3, to_device=True, timeout=None)

    end = waiting(flood)
    wait_until(lambda: again._connections[0].link.inbox._senders)
    peer.drop()
    assert isinstance(end(), eps.ConnectionLostError)
    attach_again(peer, device)
    device.send(Alert(), call=3, to_device=True)
    assert peer.receive()["sig"] == {"type": "alert"}, "nothing of the old connection is sent on the new one"


def test_detached_ends_whoever_waits_for_a_call(peer: Peer, again: eps.Client) -> None:
    device = peer.attach(again)
    message = peer.signaling(3, {"type": "setup"})
    peer.send(message)
    assert peer.receive() == message
    wait_until(lambda: device.calls)
    end = waiting(lambda: device.calls[3].wait("connected", timeout=None))
    wait_until(lambda: again._connections[0].replies._open)
    peer.send({"mt": "Detached", "api": "EpSignal", "src": peer.src})
    assert isinstance(end(), eps.DetachedError)


# ------------------------------------------------------------ what belongs to one connection


class Hanging:
    """An interceptor that hangs until it is released, and then replaces what it was asked about by an alert."""

    def __init__(self) -> None:
        self.began, self.release = threading.Event(), threading.Event()

    def __call__(self, event: eps.SignalEvent[Setup]) -> Alert:
        self.began.set()
        self.release.wait(PATIENCE)
        return Alert()


def hang_in_interceptor(peer: Peer, device: eps.Device) -> Hanging:
    """Have an interceptor asked about a setup of call 3, in which it hangs."""
    interceptor = Hanging()
    device.intercept(Setup, interceptor, deadline=2)
    peer.send(peer.signaling(3, {"type": "setup"}))
    assert interceptor.began.wait(PATIENCE)
    return interceptor


def test_verdict_of_an_interceptor_belongs_to_its_connection(peer: Peer, again: eps.Client) -> None:
    device = peer.attach(again)
    interceptor = hang_in_interceptor(peer, device)
    attach_again(peer, device)
    message = peer.signaling(4, {"type": "setup"})
    peer.send(message)
    assert peer.receive() == message, "never a second run beside the first: it passes unasked"
    interceptor.release.set()
    wait_until(lambda: not again._interceptors_at_work._busy)
    peer.send(peer.signaling(5, {"type": "setup"}))
    assert peer.receive()["sig"] == {"type": "alert"}, "asked again, and nothing came of call 3"
    assert again.stats.lost == 1 and again.stats.bypassed == 1


def test_interceptor_that_returns_while_there_is_no_connection(peer: Peer, again: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_DELAY", 1.0)
    monkeypatch.setattr(backoff, "LONGEST_DELAY", 1.0)
    device = peer.attach(again)
    interceptor = hang_in_interceptor(peer, device)
    peer.drop()
    wait_until(lambda: again.state == "reconnecting")
    interceptor.release.set()
    wait_until(lambda: not again._interceptors_at_work._busy)
    attach_again(peer, device)
    peer.send(peer.signaling(4, {"type": "setup"}))
    assert peer.receive()["sig"] == {"type": "alert"}, "its run has ended, so that it is asked again"


def test_attach_that_is_queued_when_the_connection_ends(peer: Peer, again: eps.Client) -> None:
    connection = again._add_connection()  # one that is not started, so that nothing takes what is queued
    attachment = Attachment("1", HW1)
    connection.link.inbox.attach(attachment)
    connection.link._take_leftovers()
    assert connection.session.route({"src": "1"}) is attachment, "it is sent with the next login"
    connection.link.abandon()
    again._drop_connection(connection)


def test_forward_of_a_message_of_the_connection_before(peer: Peer, again: eps.Client) -> None:
    device = peer.attach(again, forward=False)
    events: list[eps.SignalEvent[Setup]] = []
    device.on(Setup, events.append)
    peer.send(peer.signaling(3, {"type": "setup"}))
    wait_until(lambda: events)
    attach_again(peer, device)
    with pytest.raises(eps.ConnectionLostError, match="the connection it came on is gone"):
        events[0].forward()
    peer.src = device._attachment.src
    message = peer.signaling(4, {"type": "setup"})
    peer.send(message)
    wait_until(lambda: len(events) == 2)
    events[1].forward()
    assert peer.receive() == message


def test_silence_after_a_loss_warns(
    peer: Peer, again: eps.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("epsignal_sync.attaching.ATTACHED_TIME", 0.05)
    device = peer.attach(again)
    peer.drop()
    peer.login()
    assert peer.receive()["mt"] == "Attach"
    wait_until(lambda: "the PBX has not answered the Attach for 0090334f1a2b" in caplog.text)
    assert again.connected and not device.attached


def test_device_that_is_refused_after_a_loss_is_tried_again(peer: Peer, again: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.attaching.ATTACH_AGAIN_TIME", 0.05)
    device = peer.attach(again)
    peer.drop()
    peer.login()
    for _ in range(2):
        src = peer.receive()["src"]
        peer.send({"mt": "AttachResult", "api": "EpSignal", "src": src, "err": "not yet"})
    src = peer.receive()["src"]
    assert not device.attached
    peer.send({"mt": "AttachResult", "api": "EpSignal", "src": src})
    peer.send({"mt": "Attached", "api": "EpSignal", "src": src})
    device.wait_attached(timeout=PATIENCE)


def test_attach_that_is_not_answered_after_a_loss_is_sent_again(peer: Peer, again: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PBX may have been starting up, and not have known the device yet."""
    monkeypatch.setattr("epsignal_sync.attaching.ATTACH_AGAIN_TIME", 0.05)
    device = peer.attach(again)
    with pytest.raises(eps.ReplyTimeout):
        again.attach("0090334f1a2c", timeout=0)  # never answered: whether there is such a device nobody knows
    assert peer.receive()["hw"] == "0090334f1a2c"
    peer.drop()
    peer.login()
    hws = [peer.receive()["hw"] for _ in range(4)]
    assert sorted(hws[:2]) == ["0090334f1a2b", "0090334f1a2c"] and hws[2:] == ["0090334f1a2b"] * 2
    for kind in ("AttachResult", "Attached"):
        peer.send({"mt": kind, "api": "EpSignal", "src": device._attachment.src})
    device.wait_attached(timeout=PATIENCE)


# ------------------------------------------------------------ for a year


def test_many_reconnects_leave_nothing(peer: Peer, again: eps.Client) -> None:
    device = peer.attach(again)
    device.on(Attached, lambda event: None)
    threads, descriptors = None, None
    for count in itertools.count(1):
        attach_again(peer, device)
        if count == 10:
            threads, descriptors = threading.active_count(), open_descriptors()
        if count == 100:
            break
    assert threading.active_count() <= (threads or 0) and open_descriptors() <= (descriptors or 0)
    assert again.stats.reconnects == 100


@pytest.mark.parametrize("moment", ["backing off", "connecting", "waiting for the challenge"])
def test_close_while_reconnecting(peer: Peer, again: eps.Client, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if moment == "backing off":
        monkeypatch.setattr(backoff, "FIRST_DELAY", 600.0)
        monkeypatch.setattr(backoff, "LONGEST_DELAY", 600.0)
    peer.drop()
    if moment == "connecting":
        peer.accept()
    elif moment == "waiting for the challenge":
        peer.upgrade()
        assert peer.receive()["mt"] == "AppChallenge"
    else:
        wait_until(lambda: again.state == "reconnecting")
    again.close()
    assert again.state == "closed"
    with pytest.raises(eps.ClosedError):
        again.attach(HW1)
