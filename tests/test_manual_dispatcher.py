"""The ManualDispatcher in a loop around select(): readable while callbacks wait, and at no other time. More in test_delivery.py."""

from __future__ import annotations

import functools
import gc
import select
import selectors
import threading
import weakref

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import Alert
from epsignal_sync.simulator import SimulatedPBX

from .conftest import HW1, HW2, PATIENCE, open_descriptors
from .peer import Peer


def is_readable(dispatcher: eps.ManualDispatcher, timeout: float = 0) -> bool:
    return select.select([dispatcher], [], [], timeout)[0] == [dispatcher]


def test_readable_while_callbacks_wait() -> None:
    dispatcher = eps.ManualDispatcher()
    ran: list[str] = []
    assert not is_readable(dispatcher)

    def run(name: str) -> int:
        ran.append(name)
        return 1

    for name in "ab":
        dispatcher(functools.partial(run, name))
    assert is_readable(dispatcher) and is_readable(dispatcher)
    assert dispatcher.process() == 1 and is_readable(dispatcher)  # the other client's
    assert dispatcher.process() == 1 and not is_readable(dispatcher)
    assert dispatcher.process() == 0 and not is_readable(dispatcher)
    assert ran == ["a", "b"]
    dispatcher(lambda: 1)
    assert is_readable(dispatcher)


def test_many_clients_wait() -> None:
    dispatcher = eps.ManualDispatcher()
    assert not is_readable(dispatcher)
    for _ in range(200):
        dispatcher(lambda: 1)
    assert is_readable(dispatcher)
    assert sum(dispatcher.process() for _ in range(200)) == 200 and not is_readable(dispatcher)


def test_signal_handler_was_quicker() -> None:
    """One that processes events in the middle of process() leaves nothing to be taken."""
    dispatcher = eps.ManualDispatcher()
    dispatcher(lambda: 1)
    assert is_readable(dispatcher) and dispatcher._bell is not None
    dispatcher._bell._reader.recv(1)
    assert dispatcher.process() == 1 and not is_readable(dispatcher)
    dispatcher(lambda: 2)
    assert is_readable(dispatcher) and dispatcher.process() == 2


def test_callbacks_waited_before_the_first_select() -> None:
    dispatcher = eps.ManualDispatcher()
    dispatcher(lambda: 1)
    assert is_readable(dispatcher)


def test_callbacks_that_come_inside_a_callback() -> None:
    dispatcher = eps.ManualDispatcher()
    assert not is_readable(dispatcher)

    def run() -> int:
        dispatcher(lambda: 2)
        return 1

    dispatcher(run)
    assert dispatcher.process() == 1 and is_readable(dispatcher) and dispatcher.process() == 2
    assert not is_readable(dispatcher)


def test_select_is_woken(peer: Peer) -> None:
    dispatcher = eps.ManualDispatcher()
    with peer.client(dispatcher=dispatcher) as client:
        peer.attach(client)
        seen: list[str] = []
        client.on(Alert, lambda event: seen.append(threading.current_thread().name))
        sender = threading.Timer(0.1, lambda: peer.send(peer.signaling(1, {"type": "alert"})))
        sender.start()
        with selectors.DefaultSelector() as selector:
            selector.register(dispatcher, selectors.EVENT_READ)
            while not seen:
                assert selector.select(PATIENCE), "it was not woken"
                client.process_events()
        sender.join(PATIENCE)
        assert seen == ["MainThread"]
        peer.drop()


def test_one_for_several_clients(pbx: SimulatedPBX) -> None:
    phones = [pbx.add_phone(HW1, number="22", sip="alice"), pbx.add_phone(HW2, number="23", sip="bob")]
    dispatcher = eps.ManualDispatcher()
    clients = [eps.connect(pbx.url, app="phones", password="pwd", dispatcher=dispatcher) for _ in phones]
    seen: set[str] = set()
    try:
        for client, phone in zip(clients, phones, strict=True):
            client.attach(phone.hw).on(eps.CallEnded, lambda event: seen.add(event.device.hw))
        phones[0].call("99")
        phones[1].call("99")
        while len(seen) < 2:
            assert is_readable(dispatcher, PATIENCE)
            dispatcher.process()
    finally:
        for client in clients:
            client.close()


def test_descriptors_go_with_the_dispatcher(recwarn: pytest.WarningsRecorder) -> None:
    before = open_descriptors()
    dispatcher = eps.ManualDispatcher()
    number = dispatcher.fileno()
    assert dispatcher.fileno() == number and open_descriptors() == before + 2
    dispatcher.itself = dispatcher  # type: ignore[attr-defined]  # a cycle, so that the garbage collector finds the sockets, too
    gone = weakref.ref(dispatcher)
    del dispatcher
    gc.collect()
    assert gone() is None and open_descriptors() == before
    assert not recwarn.list


def test_nothing_is_opened_unless_it_is_asked_for() -> None:
    before = open_descriptors()
    dispatcher = eps.ManualDispatcher()
    dispatcher(lambda: 1)
    assert dispatcher.process() == 1 and open_descriptors() == before
