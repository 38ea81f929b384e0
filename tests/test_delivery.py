"""What callbacks are given, in which order, and what if one raises, hangs, or calls back into the client."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.deadline import Deadline
from epsignal_sync.messages import (
    Alert,
    Conn,
    Facility,
    Message,
    PbxInfo,
    Rel,
    Setup,
    Signal,
    Signaling,
    UnknownFacility,
    UnknownMessage,
    UnknownSignal,
)
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, HW2, PATIENCE, wait_until
from .peer import Peer, frame

Phones = tuple[SimulatedPhone, SimulatedPhone]


def hang(hanging: threading.Event, release: threading.Event) -> None:
    """Be a callback that does not come back."""
    hanging.set()
    release.wait(PATIENCE)


# ---------------------------------------------------------------- events


def test_signal_event(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    events: list[eps.SignalEvent[Setup]] = []
    device.on(Setup, events.append)
    text = f'{{"mt":"Signaling", "api":"EpSignal","src":"{peer.src}","to":true,"call":3,"sig":{{"type":"setup","cg":{{"num":"22"}}}}}}'
    before = time.time()
    peer.send(text)
    wait_until(lambda: events)
    event = events[0]
    assert (event.client, event.device, event.to_device, event.verdict, event.raw) == (peer_client, device, True, "forwarded", text)
    assert isinstance(event.message, Signaling) and event.message.call == 3
    assert event.message.sig is event.signal and event.message is event.message, "there is one object for each, whenever it is looked at"
    assert event.signal.cg is not None and event.signal.cg.num == "22"
    assert event.call is device.calls[3] and event.facility is None
    assert before <= event.received_at <= time.time()
    assert "Setup" in repr(event)


def test_message_event(peer: Peer, peer_client: eps.Client) -> None:
    events: list[eps.MessageEvent[PbxInfo]] = []
    peer_client.on(PbxInfo, events.append)
    peer.send({"mt": "PbxInfo", "pbx": "master", "apis": ["EpSignal"]})
    wait_until(lambda: events)
    event = events[0]
    assert (event.message.pbx, event.message.apis) == ("master", ("EpSignal",))
    assert (event.device, event.call, event.signal, event.verdict, event.to_device) == (None, None, None, None, False)
    with pytest.raises(eps.UsageError, match="PbxInfo is not forwarded"):
        event.forward()


def test_unknown_things_arrive_with_their_data(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    seen: list[object] = []
    peer_client.on(UnknownSignal, lambda event: seen.append((event.signal.type, event.signal.data["x"])))
    peer_client.on(UnknownFacility, lambda event: seen.append((event.facility.type, event.facility.extra["y"])))
    peer_client.on(UnknownMessage, lambda event: seen.append((event.message.mt, event.message.api)))
    peer.send(peer.signaling(1, {"type": "teleport", "x": 1, "fty": [{"type": "ct_warp", "y": 2}]}))
    peer.send({"mt": "Setup", "api": "Other"})
    wait_until(lambda: len(seen) == 3)
    assert seen == [("teleport", 1), ("ct_warp", 2), ("Setup", "Other")]


def test_signaling_without_a_signal_has_a_direction(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    events: list[eps.MessageEvent[Signaling]] = []
    peer_client.on(Signaling, events.append)
    others: list[eps.MessageEvent[UnknownMessage]] = []
    peer_client.on(UnknownMessage, others.append)
    peer.send(peer.signaling(1, {"type": "conn"}) | {"to": True, "sig": "conn"})
    peer.send(peer.signaling(1, {"type": "conn"}) | {"to": True, "api": "Other"})
    wait_until(lambda: events and others)
    assert (events[0].to_device, events[0].signal, events[0].message.to) == (True, None, True)
    assert (others[0].to_device, others[0].signal) == (False, None), "another API's message goes to no device"


def test_callback_registered_by_the_first_message_hears_of_its_call(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    seen: list[str] = []

    def first(event: eps.SignalEvent[Setup]) -> None:
        with registered:
            device.on(eps.CallStarted, lambda event: seen.append(event.state))
            device.on(eps.CallEnded, lambda event: seen.append("ended"))

    registered = device.on(Setup, first)
    peer.send(peer.signaling(1, {"type": "setup"}))
    peer.send(peer.signaling(1, {"type": "rel"}))
    wait_until(lambda: "ended" in seen)
    assert seen == ["setup", "ended"]


def test_base_class_gets_its_subclasses(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    seen: list[str] = []
    peer_client.on(Message, lambda event: seen.append(f"message {type(event.message).__name__}"))
    peer_client.on(Signal, lambda event: seen.append(f"signal {type(event.signal).__name__}"))
    peer_client.on(Facility, lambda event: seen.append(f"facility {type(event.facility).__name__}"))
    fty = [{"type": "name_identification", "name": "A"}, 17]
    peer.send(peer.signaling(1, {"type": "conn", "fty": fty}))
    wait_until(lambda: len(seen) == 4)
    assert seen == ["message Signaling", "signal Conn", "facility NameIdentification", "facility UnknownFacility"]


def test_call_events(client: eps.Client, phones: Phones) -> None:
    seen: list[tuple[str, str, str]] = []
    ended = threading.Event()
    client.attach(HW1).wait_attached(timeout=PATIENCE)

    @client.on(eps.CallStarted)
    def started(event: eps.CallStarted) -> None:
        if event.call.media:  # and not of the calls without media that a Sync still tells of
            seen.append(("started", str(event.state), ""))

    @client.on(eps.CallStateChanged)
    def changed(event: eps.CallStateChanged) -> None:
        seen.append(("changed", str(event.state), str(event.previous)))

    client.on(eps.CallEnded, lambda event: ended.set())
    call = phones[0].call("23")
    phones[1].wait("alert", timeout=PATIENCE)
    phones[1].answer()
    call.wait("connected", timeout=PATIENCE)
    phones[1].hangup()
    assert ended.wait(PATIENCE)
    assert seen == [
        ("started", "setup", ""),
        ("changed", "call-proc", "setup"),
        ("changed", "alert", "call-proc"),
        ("changed", "connected", "alert"),
        ("changed", "disconnected", "connected"),
        ("changed", "null", "disconnected"),
    ]


def test_setup_on_a_live_id_ends_the_old_call(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    ended: list[eps.Call | None] = []
    device.on(eps.CallEnded, lambda event: ended.append(event.call))
    peer.send(peer.signaling(1, {"type": "setup"}))
    wait_until(lambda: 1 in device.calls)
    old = device.calls[1]
    peer.send(peer.signaling(1, {"type": "setup"}))
    wait_until(lambda: ended)
    assert ended == [old] and old.ended and device.calls[1] is not old and not device.calls[1].ended


def test_unrouted_message_is_told_and_forwarded(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    seen: list[eps.Unrouted] = []
    signals: list[eps.SignalEvent[Alert]] = []
    peer_client.on(eps.Unrouted, seen.append)
    peer_client.on(Alert, signals.append)
    stranger = {"mt": "Signaling", "api": "EpSignal", "src": "stranger", "call": 1, "sig": {"type": "alert"}}
    peer.send(stranger)
    assert peer.receive() == stranger
    wait_until(lambda: seen)
    assert seen[0].message.src == "stranger" and signals[0].device is None
    assert peer_client.stats.unrouted == 1


def test_without_src_it_belongs_to_the_only_device(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    events: list[eps.SignalEvent[Alert]] = []
    peer_client.on(Alert, events.append)
    message = {"mt": "Signaling", "call": 1, "sig": {"type": "alert"}}
    peer.send(message)
    assert peer.receive() == message
    wait_until(lambda: events)
    assert events[0].device is device
    peer.attach(peer_client, HW2)
    peer.send(message)
    assert peer.receive() == message
    wait_until(lambda: len(events) == 2)
    assert events[1].device is None


# ---------------------------------------------------------------- order and isolation


def test_callbacks_run_in_order_of_the_messages(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    seen: list[int | None] = []
    threads: set[str] = set()

    @peer_client.on(Alert)
    def note(event: eps.SignalEvent[Alert]) -> None:
        assert isinstance(event.message, Signaling)
        seen.append(event.message.call)
        threads.add(threading.current_thread().name)

    peer.sock.sendall(b"".join(frame(peer.signaling(number, {"type": "alert"})) for number in range(500)))
    wait_until(lambda: len(seen) == 500)
    assert seen == list(range(500))
    assert threads == {"epsignal-callbacks"}


def test_nothing_is_dropped_while_a_callback_hangs(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    hanging, release = threading.Event(), threading.Event()
    seen: list[int | None] = []
    peer_client.on(Setup, lambda event: hang(hanging, release))
    peer_client.on(Alert, lambda event: seen.append(event.call.id if event.call is not None else None))
    peer.send(peer.signaling(0, {"type": "setup"}))
    assert hanging.wait(PATIENCE)
    for start in range(0, 20_000, 100):
        peer.sock.sendall(b"".join(frame(peer.signaling(number, {"type": "alert"})) for number in range(start, start + 100)))
        for _ in range(100):
            peer.receive_frame()  # forwarded all the while
    release.set()
    wait_until(lambda: len(seen) == 20_000)
    assert seen == list(range(20_000))


@pytest.mark.parametrize("error", [RuntimeError("oops"), SystemExit(3), BaseException("worse")])
def test_callback_that_raises_is_reported_and_the_next_runs(
    peer: Peer, peer_client: eps.Client, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    peer.attach(peer_client)
    failures: list[eps.CallbackFailed] = []
    seen: list[eps.SignalEvent[Alert]] = []

    def failing(event: eps.SignalEvent[Alert]) -> None:
        raise error

    peer_client.on(Alert, failing)
    peer_client.on(Alert, seen.append)
    peer_client.on(eps.CallbackFailed, failures.append)
    for _ in range(2):
        peer.send(peer.signaling(1, {"type": "alert"}))
    wait_until(lambda: len(failures) == 2)
    assert len(seen) == 2
    assert (failures[0].error, failures[0].callback, failures[0].event.raw) == (error, failing, seen[0].raw)
    assert peer_client.stats.callback_failures == 2
    assert "failing" in caplog.text
    assert peer_client.connected


def test_failing_reporter_is_not_reported_to_itself(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    peer_client.on(Alert, lambda event: 1 / 0)
    peer_client.on(eps.CallbackFailed, lambda event: 1 / 0)
    peer.send(peer.signaling(1, {"type": "alert"}))
    wait_until(lambda: peer_client.stats.callback_failures == 2)
    done = threading.Event()
    peer_client.on(Rel, lambda event: done.set())
    peer.send(peer.signaling(1, {"type": "rel"}))
    assert done.wait(PATIENCE)
    assert peer_client.stats.callback_failures == 2


# ---------------------------------------------------------------- the client from inside a callback


def test_attach_send_and_on_from_callback(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    done: list[eps.Device] = []

    @device.on(Setup)
    def act(event: eps.SignalEvent[Setup]) -> None:
        second = peer_client.attach(HW2, timeout=PATIENCE)
        second.wait_attached(timeout=PATIENCE)
        second.on(Conn, lambda event: done.append(second))
        second.send(Alert(), call=77, to_device=True)

    setup = peer.signaling(1, {"type": "setup"})
    peer.send(setup)
    assert peer.receive() == setup
    attach = peer.receive()
    assert (attach["mt"], attach["hw"]) == ("Attach", HW2)
    for kind in ("AttachResult", "Attached"):
        peer.send({"mt": kind, "api": "EpSignal", "src": attach["src"]})
    sent = peer.receive()
    assert sent == {"mt": "Signaling", "api": "EpSignal", "src": attach["src"], "to": True, "call": 77, "sig": {"type": "alert"}}
    peer.send({**sent, "sig": {"type": "conn"}})
    wait_until(lambda: done)


def test_close_from_callback(peer: Peer) -> None:
    client = peer.client()
    peer.attach(client)
    closed = threading.Event()
    late: list[object] = []

    @client.on(Setup)
    def act(event: eps.SignalEvent[Setup]) -> None:
        client.close()
        closed.set()

    client.on(Alert, late.append)
    peer.sock.sendall(frame(peer.signaling(1, {"type": "setup"})) + frame(peer.signaling(1, {"type": "alert"})))
    for _ in range(2):
        assert peer.receive()["mt"] == "Signaling"
    assert peer.receive_frame()[0] == 8
    assert closed.wait(PATIENCE)
    with pytest.raises(eps.ClosedError):
        client.attach(HW2)
    assert late == []
    assert not client.connected


def test_close_while_a_callback_hangs(peer: Peer) -> None:
    client = peer.client()
    peer.attach(client)
    hanging, release = threading.Event(), threading.Event()
    late: list[object] = []
    client.on(Setup, lambda event: hang(hanging, release))
    client.on(Alert, late.append)
    peer.sock.sendall(frame(peer.signaling(1, {"type": "setup"})) + frame(peer.signaling(1, {"type": "alert"})))
    assert hanging.wait(PATIENCE)
    client.close()
    assert not release.is_set()
    release.set()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "epsignal-callbacks"])
    assert late == []  # nothing starts after close()


def test_close_lets_callbacks_of_what_came_before_run(peer: Peer) -> None:
    client = peer.client()
    peer.attach(client)
    seen: list[object] = []
    client.on(Setup, lambda event: client._ended.wait_quietly(Deadline(PATIENCE)))  # until close() has ended the link
    client.on(Alert, seen.append)
    peer.send(peer.signaling(0, {"type": "setup"}))
    peer.sock.sendall(b"".join(frame(peer.signaling(number, {"type": "alert"})) for number in range(100)))
    wait_until(lambda: client.stats.forwarded == 101)
    client.close()
    assert len(seen) == 100


def test_deadlocked_callbacks_do_not_block_blocking_calls(client: eps.Client, pbx: SimulatedPBX, phones: Phones) -> None:
    release = threading.Event()
    client.on(Setup, lambda event: release.wait(PATIENCE))
    client.attach(HW1).wait_attached(timeout=PATIENCE)
    call = phones[0].call("23")
    phones[1].wait("alert", timeout=PATIENCE)
    other = client.attach(HW2)
    other.wait_attached(timeout=PATIENCE)
    assert other.attached and not release.is_set()
    call.hangup()
    release.set()


# ---------------------------------------------------------------- dispatchers


def test_dispatcher_runs_callbacks_where_it_likes(peer: Peer) -> None:
    outstanding: list[Callable[[], int]] = []
    handed: list[int] = []

    def dispatcher(run: Callable[[], int]) -> None:
        # Never on the link thread: Tk's root.after() can block for seconds behind a busy window.
        assert threading.current_thread().name == "epsignal-callbacks"
        outstanding.append(run)
        handed.append(len(outstanding))

    with peer.client(dispatcher=dispatcher) as client:
        peer.attach(client)
        seen: list[str] = []
        client.on(Alert, lambda event: seen.append(threading.current_thread().name))
        for _ in range(20):
            peer.send(peer.signaling(1, {"type": "alert"}))
        wait_until(lambda: client.stats.forwarded == 20)
        while len(seen) < 20:
            wait_until(lambda: outstanding)
            outstanding.pop()()
        assert set(seen) == {"MainThread"}
        assert set(handed) == {1}  # never more than one is outstanding
        peer.drop()


def test_dispatcher_that_raises_is_tried_again_and_reported_once(
    peer: Peer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("epsignal_sync.dispatcher.RETRY_INTERVAL", 0.01)
    attempts: list[int] = []

    def dispatcher(run: Callable[[], int]) -> None:
        attempts.append(1)
        if len(attempts) < 5:
            raise RuntimeError("not ready")
        run()

    with peer.client(dispatcher=dispatcher) as client:
        peer.attach(client)
        seen: list[object] = []
        client.on(Alert, seen.append)
        peer.send(peer.signaling(1, {"type": "alert"}))
        wait_until(lambda: seen)
        assert len([record for record in caplog.records if "dispatcher raised" in record.getMessage()]) == 1
        peer.drop()


def test_dispatcher_runs_nothing_after_close(peer: Peer) -> None:
    kept: list[Callable[[], int]] = []
    with peer.client(dispatcher=kept.append) as client:
        peer.attach(client)
        seen: list[object] = []
        client.on(Alert, seen.append)
        peer.send(peer.signaling(1, {"type": "alert"}))
        wait_until(lambda: kept)
        peer.drop()
    assert kept[0]() == 0
    assert seen == []


def test_manual_dispatcher(peer: Peer) -> None:
    with peer.client(dispatcher=eps.ManualDispatcher()) as client:
        peer.attach(client)
        seen: list[str] = []
        client.on(Alert, lambda event: seen.append(threading.current_thread().name))
        assert client.process_events(0.01) == 0
        peer.send(peer.signaling(1, {"type": "alert"}))
        assert client.process_events(PATIENCE) == 1, "the start of its call counts with the message"
        assert seen == ["MainThread"]
        peer.drop()


def test_manual_dispatcher_lets_ctrl_c_through(peer: Peer) -> None:
    with peer.client(dispatcher=eps.ManualDispatcher()) as client:
        peer.attach(client)
        seen: list[object] = []

        def interrupted(event: object) -> None:
            raise KeyboardInterrupt

        client.on(Alert, interrupted)
        client.on(Alert, seen.append)
        peer.send(peer.signaling(1, {"type": "alert"}))
        with pytest.raises(KeyboardInterrupt):
            while True:
                client.process_events(PATIENCE)
        assert len(seen) == 1  # the others came first
        peer.drop()


def test_ctrl_c_takes_nothing_from_who_hears_of_the_call(peer: Peer) -> None:
    with peer.client(dispatcher=eps.ManualDispatcher()) as client:
        device = peer.attach(client)
        told: list[type] = []

        def interrupted(event: object) -> None:
            told.append(type(event))
            raise KeyboardInterrupt

        for kind in (Signal, eps.CallStarted, eps.CallStateChanged, eps.CallEnded):
            device.on(kind, interrupted)
        for name in ("setup", "rel"):
            peer.send(peer.signaling(1, {"type": name}))
        for _ in "12":
            with pytest.raises(KeyboardInterrupt):
                while True:
                    client.process_events(PATIENCE)
        assert told == [eps.SignalEvent, eps.CallStarted, eps.SignalEvent, eps.CallStateChanged, eps.CallEnded]
        assert client.process_events(0) == 0, "each is raised once"
        peer.drop()


def test_close_from_a_signal_handler_in_the_middle_of_process_events(peer: Peer) -> None:
    """A handler runs in the main thread between any two instructions; here it is another thread, and each call of a function."""
    client = peer.client(dispatcher=eps.ManualDispatcher())
    ended = threading.Event()

    def interrupt(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_globals.get("__name__") == "threading":
            sys.setprofile(None)
            client.close()
            sys.setprofile(interrupt)

    def work() -> None:
        sys.setprofile(interrupt)
        try:
            client.process_events(PATIENCE)
        except eps.EpSignalError:
            pass  # it has ended
        finally:
            sys.setprofile(None)
            ended.set()

    peer.attach(client)
    client.on(Alert, lambda event: None)
    peer.send(peer.signaling(1, {"type": "alert"}))
    assert peer.receive()["call"] == 1
    peer.drop()
    wait_until(lambda: not client._callbacks.idle)
    threading.Thread(target=work, daemon=True).start()  # a deadlock must not hang the tests
    assert ended.wait(PATIENCE) and client.state == "closed"


def test_signal_handler_that_takes_longer_than_process_waits() -> None:
    dispatcher = eps.ManualDispatcher()
    before = signal.signal(signal.SIGALRM, lambda *_: time.sleep(0.3))
    rescue = threading.Timer(PATIENCE, dispatcher, [lambda: 1])  # what waits in vain ends then
    rescue.start()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert dispatcher.process(0.2) == 0
    finally:
        rescue.cancel()
        rescue.join(PATIENCE)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_run_forever_runs_the_callbacks_of_a_manual_dispatcher(peer: Peer) -> None:
    with peer.client(dispatcher=eps.ManualDispatcher()) as client:
        peer.attach(client)
        client.on(Alert, lambda event: client.close())
        peer.send(peer.signaling(1, {"type": "alert"}))
        client.run_forever()
        assert not client.connected


def test_process_events_needs_a_manual_dispatcher(peer_client: eps.Client) -> None:
    with pytest.raises(eps.UsageError, match="ManualDispatcher"):
        peer_client.process_events()


class Handler(logging.Handler):
    """A log of the application that blocks or raises."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self.work = work

    def emit(self, record: logging.LogRecord) -> None:
        self.work()


@pytest.fixture
def use_handler() -> Iterator[Callable[[Callable[[], object]], None]]:
    handlers: list[logging.Handler] = []
    library = logging.getLogger("epsignal_sync")

    def use(work: Callable[[], object]) -> None:
        handlers.append(Handler(work))
        library.addHandler(handlers[-1])

    yield use
    for handler in handlers:
        library.removeHandler(handler)


def test_log_that_blocks_does_not_stop_forwarding(
    peer: Peer, peer_client: eps.Client, use_handler: Callable[[Callable[[], object]], None]
) -> None:
    peer.attach(peer_client)
    blocked, release = threading.Event(), threading.Event()
    use_handler(lambda: hang(blocked, release))
    peer.send("no json")
    assert blocked.wait(PATIENCE)
    for number in range(10):
        peer.send("no json either")
        message = peer.signaling(number, {"type": "alert"})
        peer.send(message)
        assert peer.receive() == message
    release.set()


def test_log_that_raises_ends_no_thread(peer: Peer, peer_client: eps.Client, use_handler: Callable[[Callable[[], object]], None]) -> None:
    peer.attach(peer_client)
    use_handler(lambda: 1 / 0)
    peer_client.on(Alert, lambda event: 1 / 0)
    seen: list[object] = []
    peer_client.on(Alert, seen.append)
    peer.send("no json")
    for number in range(2):
        message = peer.signaling(number, {"type": "alert"})
        peer.send(message)
        assert peer.receive() == message
    wait_until(lambda: len(seen) == 2)
    peer.drop()
    with pytest.raises(eps.ConnectionLostError):
        peer_client.run_forever()


def test_keyboard_interrupt_in_a_callback_does_not_end_the_callback_thread(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    seen: list[object] = []

    def interrupted(event: object) -> None:
        raise KeyboardInterrupt

    peer_client.on(Alert, interrupted)
    peer_client.on(Alert, seen.append)
    for _ in range(2):
        peer.send(peer.signaling(1, {"type": "alert"}))
    wait_until(lambda: len(seen) == 2)
    assert peer_client.stats.callback_failures == 2


def test_second_callback_of_a_message_does_not_start_after_close(peer: Peer) -> None:
    client = peer.client()
    peer.attach(client)
    late: list[object] = []
    closed = threading.Event()

    def close(event: object) -> None:
        client.close()
        closed.set()

    client.on(Alert, close)
    client.on(Alert, late.append)
    peer.send(peer.signaling(1, {"type": "alert"}))
    assert closed.wait(PATIENCE)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "epsignal-callbacks"])
    assert late == []


def test_replaced_call_tells_its_end_to_those_who_only_watch_it(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    peer.send(peer.signaling(1, {"type": "setup"}))
    wait_until(lambda: 1 in device.calls)
    call = device.calls[1]
    ended: list[eps.CallEnded] = []
    call.on(eps.CallEnded, ended.append)
    peer.send(peer.signaling(1, {"type": "setup"}))
    wait_until(lambda: ended)
    assert ended[0].call is call
    wait_until(lambda: call._subscriptions == ())


def test_fault_with_one_message_spares_the_others(peer: Peer, peer_client: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    device = peer.attach(peer_client)
    real = device._table.receive

    def receive(call: object, *rest: Any) -> Any:
        assert call != 1, "a fault of ours"
        return real(call, *rest)

    monkeypatch.setattr(device._table, "receive", receive)
    peer.sock.sendall(b"".join(frame(peer.signaling(number, {"type": "setup"})) for number in (1, 2)))
    wait_until(lambda: 2 in device.calls)
    assert [peer.receive()["call"] for _ in range(2)] == [1, 2]


def test_forward_that_failed_does_not_count(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client, forward=False)
    events: list[eps.SignalEvent[Alert]] = []
    device.on(Alert, events.append)
    peer.send(peer.signaling(1, {"type": "alert"}, api=5))  # an api that is no text is not another API's
    wait_until(lambda: events)
    peer.drop()
    wait_until(lambda: not peer_client.connected)
    for _ in range(2):
        with pytest.raises(eps.ConnectionLostError):
            events[0].forward()
    assert events[0].verdict is None


def test_dispatcher_that_raises_is_not_tried_for_every_message(peer: Peer) -> None:
    attempts: list[int] = []

    def dispatcher(run: Callable[[], int]) -> None:
        attempts.append(1)
        raise RuntimeError("never ready")

    with peer.client(dispatcher=dispatcher) as client:
        peer.attach(client)
        client.on(Alert, print)
        for _ in range(300):
            peer.send(peer.signaling(1, {"type": "alert"}))
            peer.receive()
        assert len(attempts) < 100
        peer.drop()


# ---------------------------------------------------------------- a loop of the program's own, and the end


def test_process_events_ends_with_the_client(peer: Peer) -> None:
    client = peer.client(dispatcher=eps.ManualDispatcher())
    closer = threading.Timer(0.1, client.close)
    closer.start()
    with pytest.raises(eps.ClosedError):
        while True:
            client.process_events(None)
    closer.join(PATIENCE)
    assert client.process_events(0) == 0


def test_process_events_in_a_callback_returns_at_once(peer: Peer) -> None:
    with peer.client(dispatcher=eps.ManualDispatcher()) as client:
        peer.attach(client)
        counts: list[int] = []
        client.on(Alert, lambda event: counts.append(client.process_events(None)))
        peer.send(peer.signaling(1, {"type": "alert"}))
        while not counts:
            client.process_events(PATIENCE)
        assert counts == [0]
        peer.drop()


def test_run_forever_handles_what_came_before_the_end(peer: Peer) -> None:
    with peer.client(dispatcher=eps.ManualDispatcher()) as client:
        peer.attach(client)
        seen: list[object] = []
        client.on(Alert, seen.append)
        client.on(eps.ConnectionLost, seen.append)
        peer.sock.sendall(b"".join(frame(peer.signaling(number, {"type": "alert"})) for number in range(100)))
        wait_until(lambda: client.stats.forwarded == 100)
        peer.drop()
        with pytest.raises(eps.ConnectionLostError):
            client.run_forever()
        assert len(seen) == 101 and isinstance(seen[-1], eps.ConnectionLost)
