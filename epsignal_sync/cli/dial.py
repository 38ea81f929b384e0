"""One call on a phone's behalf, from its setup to its end. Knows nothing of options, and not how the call is shown."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from ..call import Call
from ..client import Client
from ..errors import CallError, EpSignalError, UsageError
from ..messages import Number
from .outputs import output_for
from .steps import Steps


def check_called(number: str, *, as_sip: bool, hint: str = "; a SIP name takes --as-sip") -> None:
    """Raise UsageError for what cannot be called; ``hint`` says what there is besides numbers."""
    if as_sip:
        if not number or number != "".join(number.split()) or not number.isprintable():
            raise UsageError(f"{number!r} is no SIP name: give one such as alice, without white space; nothing was sent")
        return
    try:
        digits = Number.parse(number).digits
    except UsageError:
        digits = ""
    if not digits:
        raise UsageError(f"{number!r} is no number: give digits, * and #, with a prefix R, S, N or I if need be{hint}; nothing was sent")


def place_call(client: Client, hw: str, number: str, *, as_sip: bool, as_json: bool, timeout: float) -> None:
    """Connect, attach, call and show the call until its end; the first Ctrl-C hangs up, a second one does not wait.

    Returns if the call was connected at some time, else raises CallError. Main thread only.
    """
    steps = Steps(client, lambda call: call.own)
    try:
        client.connect()
        phone = client.attach(hw, timeout=timeout)
        phone.wait_attached(timeout=timeout)
    except KeyboardInterrupt:
        raise EpSignalError(f"{number} was not called: Ctrl-C came before that") from None
    with output_for(as_json=as_json, title=f"Calling {number} (Ctrl-C hangs up)") as output, _one_interrupt(steps) as calls:
        call = phone.dial(sip=number, timeout=timeout) if as_sip else phone.dial(number, timeout=timeout)
        calls.append(call)
        try:
            steps.show(output, until=lambda: steps.last_state == "null")
        except KeyboardInterrupt:
            pass  # the second one
        finally:
            _hang_up(call)  # if nobody reads the output any more, for example
    _judge(call, number)


@contextlib.contextmanager
def _one_interrupt(steps: Steps) -> Iterator[list[Call]]:
    """Have the first Ctrl-C hang up the calls in the list that it gives, and the second one raise KeyboardInterrupt."""
    calls: list[Call] = []

    def hang_up() -> None:
        for call in calls:
            _hang_up(call)

    def interrupted(number: int, frame: FrameType | None) -> None:
        # Not here: this thread may hold a lock that hanging up needs.
        steps.do_soon(hang_up)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield calls
    finally:
        signal.signal(signal.SIGINT, before)


def _hang_up(call: Call) -> None:
    with contextlib.suppress(EpSignalError):  # it is over, or the connection is, and the call with it
        call.hangup(timeout=1)


def _judge(call: Call, number: str) -> None:
    """Raise CallError for a call that was not connected."""
    if call.connected_at is not None:
        return
    cause = call.cause
    if call.ended_by == "app":
        why = "it was hung up here before"
    elif cause is None or not cause.text:
        why = "the PBX gave no cause"
    else:
        why = cause.text if cause.text == f"cause {cause.num}" else f"{cause.text} (cause {cause.num})"
    raise CallError(f"the call to {number} was not connected: {why}", cause=cause)
