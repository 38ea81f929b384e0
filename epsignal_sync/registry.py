"""Registered callbacks: who wants which kind of message or event, on a client, a device or a call.

Copy-on-write: whoever runs callbacks reads a tuple that nobody changes. Knows nothing of threads that run them.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar, overload

from .errors import UsageError
from .events import Event, FacilityEvent, MessageEvent, SignalEvent
from .messages import Facility, Message, Signal

logger = logging.getLogger("epsignal_sync.callbacks")

S = TypeVar("S", bound=Signal)
F = TypeVar("F", bound=Facility)
M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=Event)
C = TypeVar("C", bound=Callable[..., object])


class Subscription:
    """A registered callback, until :meth:`cancel`. As a context manager it cancels itself at the end."""

    __slots__ = ("_source", "active", "callback", "kind", "serial")

    def __init__(self, source: EventSource, kind: type, callback: Callable[[Any], object], serial: int) -> None:
        self._source = source
        self.kind = kind
        """The class that was asked for."""
        self.callback = callback
        """What is called, with one argument."""
        self.serial = serial
        self.active = True
        """False after :meth:`cancel`."""

    def cancel(self) -> None:
        """Stop calling back; called on the callback thread, the callback does not run again. Idempotent, any thread, does not block."""
        self.active = False
        self._source._remove(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cancel()

    def __repr__(self) -> str:
        name = getattr(self.callback, "__qualname__", repr(self.callback))
        return f"Subscription({self.kind.__name__}, {name}{'' if self.active else ', cancelled'})"


class Registry:
    """What all the scopes of one client share: the lock and the order of registration."""

    def __init__(self) -> None:
        # Re-entrant: garbage collection may run a finalizer of the application, which cancels, in the middle of on().
        self.lock = threading.RLock()
        self.serials = itertools.count()


class EventSource:
    """Base of Client, Device and Call: a scope in which callbacks can be registered.

    Callbacks get one argument and run on the thread ``epsignal-callbacks`` (or where the client's ``dispatcher=`` runs
    them), one at a time, in the order in which the messages went on; for one message in the order of registration,
    whatever the scope. One that raises is logged and reported as CallbackFailed, and the next one runs. A callback that
    was registered inside a callback sees every later message.
    """

    __slots__ = ("_registry", "_subscriptions")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._subscriptions: tuple[Subscription, ...] = ()

    @overload
    def on(self, kind: type[S]) -> Callable[[Callable[[SignalEvent[S]], object]], Callable[[SignalEvent[S]], object]]: ...
    @overload
    def on(self, kind: type[F]) -> Callable[[Callable[[FacilityEvent[F]], object]], Callable[[FacilityEvent[F]], object]]: ...
    @overload
    def on(self, kind: type[M]) -> Callable[[Callable[[MessageEvent[M]], object]], Callable[[MessageEvent[M]], object]]: ...
    @overload
    def on(self, kind: type[E]) -> Callable[[Callable[[E], object]], Callable[[E], object]]: ...
    @overload
    def on(self, kind: type[S], callback: Callable[[SignalEvent[S]], object]) -> Subscription: ...
    @overload
    def on(self, kind: type[F], callback: Callable[[FacilityEvent[F]], object]) -> Subscription: ...
    @overload
    def on(self, kind: type[M], callback: Callable[[MessageEvent[M]], object]) -> Subscription: ...
    @overload
    def on(self, kind: type[E], callback: Callable[[E], object]) -> Subscription: ...

    def on(self, kind: type, callback: Callable[[Any], object] | None = None) -> Any:
        """Call back for every message, signal, facility or event of a class; a base class matches its subclasses.

        Without ``callback`` it is a decorator that returns the function; with it a Subscription. Does not block; any
        thread, callbacks included. Raises UsageError for anything that is no such class, or cannot be called.
        """
        if not (isinstance(kind, type) and issubclass(kind, (Signal, Facility, Message, Event))):
            raise UsageError(
                f"on() takes a message, signal, facility or event class, not {kind!r}: see epsignal_sync.messages and the event classes"
            )
        if callback is not None:
            return self._add(kind, callback)

        def register(function: C) -> C:
            self._add(kind, function)
            return function

        return register

    def _add(self, kind: type, callback: Callable[[Any], object]) -> Subscription:
        if not callable(callback):
            raise UsageError(f"the callback for {kind.__name__} cannot be called: {callback!r}")
        with self._registry.lock:
            subscription = Subscription(self, kind, callback, next(self._registry.serials))
            self._subscriptions = (*(one for one in self._subscriptions if one.active), subscription)
        return subscription

    def _remove(self, subscription: Subscription) -> None:
        with self._registry.lock:
            self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)

    def _drop_callbacks(self) -> None:
        with self._registry.lock:
            self._subscriptions = ()


def in_order(sources: Iterable[EventSource | None]) -> list[Subscription]:
    """Return the callbacks of several scopes in the order of their registration."""
    found = [source._subscriptions for source in sources if source is not None and source._subscriptions]
    if len(found) == 1:
        return list(found[0])
    return sorted(itertools.chain.from_iterable(found), key=lambda one: one.serial)
