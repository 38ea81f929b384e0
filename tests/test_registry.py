"""Registering callbacks: on(), Subscription, the decorator, and what is refused."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any
from unittest.mock import Mock

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import EP, Alert, Facility, NameIdentification, Record, Setup, Signal, Signaling

from .conftest import PATIENCE, wait_until
from .peer import Peer, frame


@pytest.mark.parametrize("kind", [EP, Record, int, "Setup", None, Setup(), eps.UsageError])
def test_kind_that_cannot_be_registered(peer_client: eps.Client, kind: object) -> None:
    with pytest.raises(eps.UsageError, match="on\\(\\) takes"):
        peer_client.on(kind, print)  # type: ignore[call-overload]


def test_callback_that_cannot_be_called(peer_client: eps.Client) -> None:
    with pytest.raises(eps.UsageError, match="cannot be called"):
        peer_client.on(Setup, 5)  # type: ignore[call-overload]


class Awaited:
    async def __call__(self, event: object) -> None: ...

    async def method(self, event: object) -> None: ...


async def function(event: object) -> None: ...


async def generator(event: object) -> AsyncIterator[object]:
    yield event


@pytest.mark.parametrize(
    "callback",
    [function, generator, Awaited(), Awaited().method, functools.partial(function), functools.partial(functools.partial(Awaited()))],
    ids=["function", "generator", "object", "method", "partial", "partial object"],
)
def test_async_callback_that_nobody_would_await(peer: Peer, peer_client: eps.Client, callback: Callable[[Any], Any]) -> None:
    device = peer.attach(peer_client)
    for register in (
        lambda: device.on(Setup, callback), lambda: device.on(Setup)(callback), lambda: device.intercept(Setup, callback),
        lambda: device.intercept(Setup)(callback), lambda: device.set_presence(on_result=callback), lambda: eps.block_callers(callback),
        lambda: eps.rewrite_called(callback), lambda: eps.rename_caller(callback),
        lambda: eps.Client("ws://127.0.0.1:1", app="phones", password="pwd", dispatcher=callback),
    ):  # fmt: skip
        with pytest.raises(eps.UsageError, match="is an async function, which nobody would await: pass a plain function") as raised:
            register()
        assert len(str(raised.value).splitlines()) == 1
    assert device._subscriptions == device._interceptors == () and not device.calls


@pytest.mark.parametrize("dispatcher", [5, "dispatcher", eps.ManualDispatcher])
def test_dispatcher_that_cannot_dispatch(dispatcher: Any) -> None:
    with pytest.raises(eps.UsageError, match="dispatcher= takes"):
        eps.Client("ws://127.0.0.1:1", app="phones", password="pwd", dispatcher=dispatcher)


def test_callback_that_is_an_object_or_a_class(peer_client: eps.Client) -> None:
    callbacks: list[Any] = [functools.partial(print, "a"), Mock(), list, [0].append]
    for callback in callbacks:
        peer_client.on(Setup, callback)


def test_decorator_returns_the_function(peer_client: eps.Client) -> None:
    def function(event: eps.SignalEvent[Setup]) -> None: ...

    assert peer_client.on(Setup)(function) is function


def test_order_of_registration_whatever_the_scope(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    order: list[str] = []
    done = threading.Event()
    device.on(Alert, lambda event: order.append("device 1"))
    peer_client.on(Signal, lambda event: order.append("client 2"))
    device.on(Signaling, lambda event: order.append("device 3"))
    peer_client.on(Alert, lambda event: order.append("client 4"))
    device.on(NameIdentification, lambda event: order.append(f"device 5 {event.facility.name}"))
    peer_client.on(Facility, lambda event: order.append("client 6"))
    peer_client.on(Setup, lambda event: order.append("never"))
    peer_client.on(Alert, lambda event: done.set())
    fty = [{"type": "name_identification", "name": "A"}, {"type": "new"}, {"type": "name_identification", "name": "B"}]
    peer.send(peer.signaling(1, {"type": "alert", "fty": fty}))
    assert done.wait(PATIENCE)
    assert order == ["device 1", "client 2", "device 3", "client 4", "device 5 A", "device 5 B", "client 6", "client 6", "client 6"]


def test_cancel_on_the_callback_thread_is_at_once(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    order: list[str] = []
    done = threading.Event()
    peer_client.on(Alert, lambda event: second.cancel())
    second: eps.Subscription = peer_client.on(Alert, lambda event: order.append("second"))
    peer_client.on(Alert, lambda event: done.set())
    peer.send(peer.signaling(1, {"type": "alert"}))
    assert done.wait(PATIENCE)
    assert order == []
    assert not second.active and "cancelled" in repr(second)
    second.cancel()


def test_subscription_as_context_manager(peer: Peer, peer_client: eps.Client) -> None:
    peer.attach(peer_client)
    count: list[int] = []
    with peer_client.on(Alert, lambda event: count.append(1)) as subscription:
        peer.send(peer.signaling(1, {"type": "alert"}))
        wait_until(lambda: count)
    assert not subscription.active
    done = threading.Event()
    peer_client.on(Alert, lambda event: done.set())
    peer.send(peer.signaling(1, {"type": "alert"}))
    assert done.wait(PATIENCE)
    assert count == [1]


def test_callback_registered_in_a_callback_sees_every_later_message(peer: Peer, peer_client: eps.Client) -> None:
    first = peer.attach(peer_client, "first")
    first_src = peer.src
    second = peer.attach(peer_client, "second")
    seen: list[int] = []
    received = peer_client.stats.received

    def note(event: eps.SignalEvent[Alert]) -> None:
        assert event.call is not None
        seen.append(event.call.id)

    @first.on(Setup)
    def register(event: eps.SignalEvent[Setup]) -> None:
        # Long after the others have been received, when nobody wanted them: they are in the queue behind this one.
        wait_until(lambda: peer_client.stats.received >= received + 20)
        second.on(Alert, note)

    messages = [peer.signaling(number, {"type": "alert"}) for number in range(1, 20)]
    messages.insert(0, {**peer.signaling(0, {"type": "setup"}), "src": first_src})
    peer.sock.sendall(b"".join(frame(message) for message in messages))
    wait_until(lambda: len(seen) == 19)
    assert seen == list(range(1, 20))


def test_on_call_ends_with_the_call(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    seen: list[str] = []
    done = threading.Event()

    @device.on(Setup)
    def ringing(event: eps.SignalEvent[Setup]) -> None:
        call = event.call
        assert call is not None
        call.on(Signal, lambda event: seen.append(str(event.signal.wire_name)))
        call.on(eps.CallEnded, lambda event: seen.append("ended"))
        call.on(eps.CallStateChanged, lambda event: seen.append(f"{event.previous} > {event.state}"))

    calls: list[eps.Call | None] = []
    device.on(eps.CallEnded, lambda event: calls.append(event.call))
    device.on(Alert, lambda event: done.set() if event.call is not None and event.call.id == 2 else None)
    for message in (
        peer.signaling(1, {"type": "setup"}),
        peer.signaling(1, {"type": "conn"}, to=True),
        peer.signaling(1, {"type": "rel"}),
        peer.signaling(1, {"type": "alert"}),  # late: not this call's any more
        peer.signaling(2, {"type": "alert"}),
    ):
        peer.send(message)
    assert done.wait(PATIENCE)
    assert seen == ["conn", "setup > connected", "rel", "connected > null", "ended"]
    (call,) = calls
    assert call is not None and call.ended
    assert call._subscriptions == ()  # whoever keeps the call does not keep the callbacks


def test_cancel_in_the_middle_of_on(peer_client: eps.Client) -> None:
    # Garbage collection may run a finalizer of the application between any two instructions of on(), on the same thread.
    subscription = peer_client.on(Alert, print)
    with peer_client._registry.lock:
        subscription.cancel()
    assert peer_client._subscriptions == ()


class Named:
    """A callback that says its name only when another thread could register something meanwhile."""

    def __init__(self, client: eps.Client) -> None:
        self._client = client

    def __call__(self, event: object) -> None: ...

    def __getattr__(self, name: str) -> str:
        if name != "__qualname__":
            raise AttributeError(name)
        registering = threading.Thread(target=lambda: self._client.on(Setup, print), daemon=True)
        registering.start()
        registering.join(PATIENCE)
        return "with the lock held" if registering.is_alive() else "without a lock"


def test_callback_is_asked_for_its_name_without_a_lock(peer: Peer, peer_client: eps.Client) -> None:
    device = peer.attach(peer_client)
    assert repr(device.on(Setup, Named(peer_client))) == "Subscription(Setup, without a lock)"
    assert repr(device.intercept(Setup, Named(peer_client))) == "Interceptor(Setup, without a lock)"
