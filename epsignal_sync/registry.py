"""Registered callbacks: who wants which kind of message or event, on a client, a device or a call.

Copy-on-write: whoever runs callbacks reads a tuple that nobody changes. Knows nothing of threads that run them.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from .errors import UsageError
from .events import Event, FacilityEvent, MessageEvent, SignalEvent
from .messages import Facility, Message, Signal, Signaling
from .options import check_deadline, refuse_async

if TYPE_CHECKING:
    from .interceptors import Verdict

S = TypeVar("S", bound=Signal)
F = TypeVar("F", bound=Facility)
M = TypeVar("M", bound=Message)
E = TypeVar("E", bound=Event)
C = TypeVar("C", bound=Callable[..., object])
U = TypeVar("U", bound="Subscription")


class Subscription:
    """A registered callback, until :meth:`cancel`. As a context manager it cancels itself at the end."""

    __slots__ = ("_name", "_source", "active", "callback", "for_messages", "kind", "serial")

    def __init__(self, source: EventSource, kind: type, callback: Callable[[Any], object]) -> None:
        self._source = source
        self.kind = kind
        """The class that was asked for."""
        self.for_messages = not issubclass(kind, Event)
        """Whether it is called back for what is received; else for what happens besides."""
        self.callback = callback
        """What is called, with one argument."""
        self.serial = -1
        """Its place in the order of registration; set when it gets one."""
        self.active = True
        """False after :meth:`cancel`."""
        # Now, in the thread of who registers: repr() of the callback would run the application's code wherever this is logged.
        name = getattr(callback, "__qualname__", None)
        self._name = name if isinstance(name, str) else type(callback).__qualname__

    def cancel(self) -> None:
        """Stop calling back; called on the callback thread, the callback does not run again. Idempotent, any thread, does not block."""
        self.active = False
        self._source._remove(self)

    def __enter__(self: U) -> U:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind.__name__}, {self._name}{'' if self.active else ', cancelled'})"


class Interceptor(Subscription):
    """A registered interceptor, until :meth:`Subscription.cancel`: after that it is not asked any more, though one that runs may answer."""

    __slots__ = ("deadline", "to_device")

    def __init__(
        self, source: EventSource, kind: type, callback: Callable[[Any], object], deadline: float, to_device: bool | None
    ) -> None:
        super().__init__(source, kind, callback)
        self.deadline = deadline
        """Seconds."""
        self.to_device = to_device
        """The direction that was asked for, or None."""


class Asking(Protocol):
    """What has to be told of interceptors."""

    def check(self, source: EventSource) -> None:
        """Raise UsageError where nothing can be intercepted."""

    def publish(self, source: EventSource) -> None:
        """Take note that the interceptors of a scope have changed; with the lock held."""


class Cells(Protocol):
    """What knows in which cell of a notebook a callback was registered."""

    def placed(self, callback: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return what is called for a callback that is being registered now."""

    def replaces(self, new: Subscription, old: Subscription) -> bool:
        """Whether a callback takes the place of another one in its scope; with the lock held."""

    def show_failure(self, subscription: Subscription, error: BaseException, secret: Iterable[bytes]) -> bool:
        """Show what a callback raised, without the secrets of some JSON texts; returns whether the log is to have it, too."""

    def show_late(self, interceptor: Subscription, text: str) -> None:
        """Show that an interceptor was overruled, and have it logged where that is wanted. Callback thread."""


class Registry:
    """What all the scopes of one client share: the lock, the order of registration, and who is told of interceptors."""

    asking: Asking
    cells: Cells | None = None
    """For clients of :mod:`epsignal_sync.notebook`; None: nothing that is registered replaces anything."""

    def __init__(self) -> None:
        # Re-entrant: garbage collection may run a finalizer of the application, which cancels, in the middle of on().
        self.lock = threading.RLock()
        self.serials = itertools.count()
        self.changes = 0
        """How often the interceptors of some scope have changed."""
        self.events_asked_for = False
        """Whether a callback for an event class was ever registered: without one, events of calls need not be thought of."""

    def placed(self, callback: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return what is called for a callback that is being registered now."""
        return callback if self.cells is None else self.cells.placed(callback)

    def joined(self, present: tuple[U, ...], new: U) -> tuple[U, ...]:
        """Return the callbacks of a scope with a new one, which takes the place of those that it replaces; with the lock held.

        Those stay active: whoever is about to run one of them has not seen the new one, and would run neither.
        """
        present = tuple(one for one in present if one.active)
        if self.cells is None:
            return (*present, new)
        replaced = [one for one in present if self.cells.replaces(new, one)]
        if replaced:
            new.serial = replaced[0].serial
        return tuple(sorted((*(one for one in present if one not in replaced), new), key=lambda one: one.serial))


class EventSource:
    """Base of Client, Device and Call: a scope in which callbacks can be registered.

    Callbacks get one argument and run on the thread ``epsignal-callbacks`` (or where the client's ``dispatcher=`` runs
    them), one at a time, in the order in which the messages went on; for one message in the order of registration,
    whatever the scope. One that raises is logged and reported as CallbackFailed, and the next one runs. A callback that
    was registered inside a callback sees every later message.
    """

    __slots__ = ("_interceptors", "_registry", "_subscriptions")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._subscriptions: tuple[Subscription, ...] = ()
        self._interceptors: tuple[Interceptor, ...] = ()

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
        thread, callbacks included. Raises UsageError for anything that is no such class, cannot be called, or is ``async``.
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
        refuse_async(f"the callback for {kind.__name__}", callback)
        callback = self._registry.placed(callback)
        subscription = Subscription(self, kind, callback)  # not with the lock held: it asks the callback for its name
        with self._registry.lock:
            subscription.serial = next(self._registry.serials)
            if not subscription.for_messages:
                self._registry.events_asked_for = True
            self._subscriptions = self._registry.joined(self._subscriptions, subscription)
        return subscription

    @overload
    def intercept(
        self, kind: type[S], callback: None = None, *, deadline: float = 0.25, to_device: bool | None = None
    ) -> Callable[[Callable[[SignalEvent[S]], Verdict]], Callable[[SignalEvent[S]], Verdict]]: ...
    @overload
    def intercept(
        self, kind: type[F], callback: None = None, *, deadline: float = 0.25, to_device: bool | None = None
    ) -> Callable[[Callable[[FacilityEvent[F]], Verdict]], Callable[[FacilityEvent[F]], Verdict]]: ...
    @overload
    def intercept(
        self, kind: type[Signaling], callback: None = None, *, deadline: float = 0.25, to_device: bool | None = None
    ) -> Callable[[Callable[[MessageEvent[Signaling]], Verdict]], Callable[[MessageEvent[Signaling]], Verdict]]: ...
    @overload
    def intercept(
        self, kind: type[S], callback: Callable[[SignalEvent[S]], Verdict], *, deadline: float = 0.25, to_device: bool | None = None
    ) -> Interceptor: ...
    @overload
    def intercept(
        self, kind: type[F], callback: Callable[[FacilityEvent[F]], Verdict], *, deadline: float = 0.25, to_device: bool | None = None
    ) -> Interceptor: ...
    @overload
    def intercept(
        self,
        kind: type[Signaling],
        callback: Callable[[MessageEvent[Signaling]], Verdict],
        *,
        deadline: float = 0.25,
        to_device: bool | None = None,
    ) -> Interceptor: ...

    def intercept(
        self, kind: type, callback: Callable[[Any], Any] | None = None, *, deadline: float = 0.25, to_device: bool | None = None
    ) -> Any:
        """Be asked before a signaling message goes on: to watch, change or drop it.

        ``kind`` is a signal or facility class; a base class matches its subclasses, and Signaling matches every signal.
        ``to_device`` True: only what goes to the device; False: only what comes from it; None: both. The callback gets
        the same event as with :meth:`on` (``event.facility`` is the first that matches, ``event.call`` the call as it was
        before this message; the call of a setup is in ``device.calls`` when the setup has gone on) and returns

        * None: the message goes on as it came;
        * a signal, usually ``attrs.evolve(event.signal, ...)``: it goes on instead;
        * a list of signals: they go on instead, in order;
        * ``epsignal_sync.DROP``, or ``epsignal_sync.refuse(cause)`` for a setup: it does not go on.

        Interceptors run in the order of registration, whatever the scope; each gets the signal as the one before left it.
        A list, a drop or an error ends the chain. After an error or a wrong answer (reported as CallbackFailed) the
        message goes on as it came, and so it does when ``deadline`` seconds after its arrival (at most 2; for a chain, the
        largest of those asked) there is no answer: InterceptorLate tells, and the late answer is discarded. Until that
        interceptor has returned, the device's messages go on without asking (``event.verdict`` "bypassed"). The other
        messages of the device in that direction wait in order; other devices do not.

        Interceptors run on threads of their own, for one device one at a time, and may do whatever callbacks may; one that
        computes for long instead of waiting slows down every thread of the process, forwarding included. Without
        ``callback`` it is a decorator that returns the function; with it an Interceptor. Does not block; any thread.
        Raises UsageError for what is never forwarded, for devices attached with forward=False, and for an ``async def``.
        """
        if not (isinstance(kind, type) and (issubclass(kind, (Signal, Facility)) or kind is Signaling)):
            raise UsageError(
                f"intercept() takes a signal or facility class, not {kind!r}: only signaling is forwarded; use on() to watch the rest"
            )
        check_deadline(deadline)
        if not isinstance(to_device, (bool, type(None))):
            raise UsageError(f"to_device= takes True (to the device), False (from it) or None (both), not {to_device!r}")
        self._registry.asking.check(self)
        if callback is not None:
            return self._add_interceptor(kind, callback, deadline, to_device)

        def register(function: C) -> C:
            self._add_interceptor(kind, function, deadline, to_device)
            return function

        return register

    def _add_interceptor(self, kind: type, callback: Callable[[Any], Any], deadline: float, to_device: bool | None) -> Interceptor:
        if not callable(callback):
            raise UsageError(f"the interceptor for {kind.__name__} cannot be called: {callback!r}")
        refuse_async(f"the interceptor for {kind.__name__}", callback)
        callback = self._registry.placed(callback)
        interceptor = Interceptor(self, kind, callback, deadline, to_device)
        with self._registry.lock:
            interceptor.serial = next(self._registry.serials)
            self._set_interceptors_locked(self._registry.joined(self._interceptors, interceptor))
        return interceptor

    def _remove(self, subscription: Subscription) -> None:
        with self._registry.lock:
            self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)
            if subscription in self._interceptors:
                self._set_interceptors_locked(tuple(one for one in self._interceptors if one is not subscription))

    def _drop_callbacks(self) -> None:
        with self._registry.lock:
            self._subscriptions = ()
            if self._interceptors:
                self._set_interceptors_locked(())

    def _set_interceptors_locked(self, interceptors: tuple[Interceptor, ...]) -> None:
        self._interceptors = interceptors
        self._registry.changes += 1
        self._registry.asking.publish(self)


def in_order(client: EventSource, device: EventSource | None, call: EventSource | None) -> tuple[Subscription, ...]:
    """Return the callbacks of the scopes of one message or event, in the order of their registration."""
    found = [one._subscriptions for one in (client, device, call) if one is not None and one._subscriptions]
    if len(found) <= 1:
        return found[0] if found else ()
    return tuple(sorted(itertools.chain.from_iterable(found), key=lambda one: one.serial))
