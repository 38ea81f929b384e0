"""Interceptors that are ready to be registered for Setup: blocking callers, rewriting numbers, renaming callers.

Each is made from a function of the application, which runs where interceptors run. See :meth:`EventSource.intercept`.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from .call import Party
from .events import SignalEvent
from .interceptors import CALL_REJECTED, Verdict, refuse
from .messages import NameIdentification, Setup
from .options import refuse_async

SetupInterceptor = Callable[[SignalEvent[Setup]], Verdict]


def block_callers(predicate: Callable[[Party], object], *, cause: int = CALL_REJECTED) -> SetupInterceptor:
    """Return an interceptor that refuses telephone calls to the device for whose caller ``predicate`` is true.

    The caller is refused with the Q.850 ``cause`` value, and the phone never hears of the call. A part of the Party is None where
    the caller does not send it; the number carries its prefix, such as "R" where its presentation is restricted. No-media calls
    are let through. Raises UsageError.

        hidden = epsignal_sync.block_callers(lambda caller: caller.num is None, cause=21)
        phone.intercept(Setup, hidden)
    """
    answer = refuse(cause)
    refuse_async("the function for block_callers()", predicate)

    def block(event: SignalEvent[Setup]) -> Verdict:
        if not event.to_device or event.signal.channel == 0:
            return None
        return answer if predicate(_caller(event.signal)) else None

    return block


def rewrite_called(function: Callable[[str], str | None]) -> SetupInterceptor:
    """Return an interceptor that replaces the number that the device dials by what ``function`` makes of it; None leaves it.

    Digits that a phone dials one by one come in other messages and are left alone. Raises UsageError.

        outside = lambda number: "0" + number if len(number) > 4 else None
        phone.intercept(Setup, epsignal_sync.rewrite_called(outside))
    """
    refuse_async("the function for rewrite_called()", function)

    def rewrite(event: SignalEvent[Setup]) -> Verdict:
        called = event.signal.cd
        if event.to_device or called is None or not called.num:
            return None
        number = function(called.num)
        if number is None or number == called.num:
            return None
        return attrs.evolve(event.signal, cd=attrs.evolve(called, num=number))

    return rewrite


def rename_caller(function: Callable[[Party], str | None]) -> SetupInterceptor:
    """Return an interceptor that has the device show the name that ``function`` returns for a caller; None leaves the name as it is.

    Raises UsageError.

        names = {"23": "Bob"}
        phone.intercept(Setup, epsignal_sync.rename_caller(lambda caller: names.get(caller.num)))
    """
    refuse_async("the function for rename_caller()", function)

    def rename(event: SignalEvent[Setup]) -> Verdict:
        if not event.to_device:
            return None
        name = function(_caller(event.signal))
        if name is None:
            return None
        others = [one for one in event.signal.fty or () if not isinstance(one, NameIdentification)]
        return attrs.evolve(event.signal, fty=(NameIdentification(name=name), *others))

    return rename


def _caller(signal: Setup) -> Party:
    calling, named = signal.cg, signal.find(NameIdentification)
    return Party(None if calling is None else calling.num, None if calling is None else calling.sip, None if named is None else named.name)
