"""What a program's ``on_result=`` is given, and how it gets there. Knows nothing of what was waited for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import field, frozen

from ..errors import EpSignalError, UsageError
from ..options import refuse_async
from ..registry import Subscription

if TYPE_CHECKING:
    from ..call import Call
    from ..client import Client
    from ..device import Device

R = TypeVar("R")


def _kind(error: EpSignalError | None) -> str:
    return "None" if error is None else type(error).__name__


@frozen(kw_only=True)
class Outcome(Generic[R]):
    """How a verb that was called with ``on_result=`` has ended: with a ``result``, or with an ``error``."""

    client: Client = field(repr=False)
    """The client."""
    device: Device
    """The device."""
    call: Call | None
    """The call that it was about; None where none was started."""
    result: R | None
    """What the verb would have returned."""
    error: EpSignalError | None = field(repr=_kind)
    """What the verb would have raised; None where it went well."""

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return self.error is None


OnResult = Callable[[Outcome[R]], object]
"""A callback for the end of a verb. It runs where all callbacks run; what it raises is reported as CallbackFailed."""


def check_on_result(verb: str, on_result: object) -> None:
    """Raise UsageError for what cannot be called back."""
    if on_result is not None and not callable(on_result):
        raise UsageError(f"{verb} takes a function of one argument as on_result=, not {on_result!r:.80}")
    refuse_async(f"the on_result= of {verb}", on_result)


def post(outcome: Outcome[R], on_result: OnResult[R]) -> None:
    """Have the callback run, behind those for what was received before. Any thread; does not block."""
    from ..delivery import call_back  # it knows the calls and devices, whose verbs stand here

    client, connection = outcome.client, outcome.device._connection
    subscription = Subscription(outcome.device, Outcome, on_result)
    job = functools.partial(call_back, client, [(subscription, outcome)])
    if connection.link.runs_here:
        connection.intake._postbox.put_job(outcome.device, job)
    else:
        client._callbacks.put([job])
