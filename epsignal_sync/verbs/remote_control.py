"""What a phone is told to do: answer, hold, retrieve, send DTMF digits, and all else that its remote control knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from ..messages import Conn, Facility, FacilitySignal, InnovaphoneRemoteControl, RemoteControl, RemoteHold, RemoteRetrieve
from .checks import CONNECTED, RINGING, check_live, check_telephone_call, check_towards_device, choice, refuse
from .expected import Expected, Found, facilities, signals
from .outcome import OnResult
from .running import exchange, send_only

if TYPE_CHECKING:
    from ..call import Call

DTMF_DIGITS = "0123456789*#"
LONGEST_DTMF = 128
"""Digits at a time: each is a message."""


@frozen(kw_only=True)
class _Switch:
    """How a call is held or retrieved: a device's call by its phone, one of the app by its far end."""

    name: str
    control: RemoteControl
    seen: Expected
    request: type[Facility]
    result: Expected


HOLD = _Switch(
    name="hold()",
    control=RemoteControl.HOLD,
    seen=facilities("hold_notify", "remote_hold"),
    request=RemoteHold,
    result=facilities("remote_hold_result"),
)
RETRIEVE = _Switch(
    name="retrieve()",
    control=RemoteControl.RETRIEVE,
    seen=facilities("retrieve_notify", "remote_retrieve"),
    request=RemoteRetrieve,
    result=facilities("remote_retrieve_result"),
)


def answer(call: Call, control: RemoteControl | str, timeout: float | None, on_result: OnResult[Conn] | None) -> Conn | None:
    """See :meth:`Call.answer`."""
    name = "answer()"
    code = choice(name, call._name, RemoteControl, control, "the remote control")
    check_telephone_call(name, call, RINGING)
    check_towards_device(name, call)
    if call.incoming is False:
        raise refuse(name, call._name, "the phone itself is calling; only a call to it can be answered")
    hint = "the phone may not take the remote control, or not this code: let somebody lift the handset, or try another code"
    return exchange(
        name, call, True, InnovaphoneRemoteControl(control=code), signals("conn"), _conn, timeout=timeout, on_result=on_result, hint=hint
    )


def switch(call: Call, how: _Switch, timeout: float | None, on_result: OnResult[Facility] | None) -> Facility | None:
    """See :meth:`Call.hold` and :meth:`Call.retrieve`."""
    check_telephone_call(how.name, call, CONNECTED)
    side, request, expected, hint = True, InnovaphoneRemoteControl(control=how.control), how.seen, "see at the phone whether it was done"
    facility: Facility = request
    if call.own:
        side, facility, expected, hint = call._far_end, how.request(), how.result, "the other side may not know this service"
    return exchange(how.name, call, side, facility, expected, _facility, timeout=timeout, on_result=on_result, hint=hint)


def dtmf(call: Call, digits: str, timeout: float | None, on_result: OnResult[None] | None) -> None:
    """See :meth:`Call.dtmf`."""
    name = "dtmf()"
    if not isinstance(digits, str) or not digits or digits.strip(DTMF_DIGITS) or len(digits) > LONGEST_DTMF:
        raise refuse(name, call._name, f"it takes 1 to {LONGEST_DTMF} digits, * and #, not {digits!r:.80}")
    check_telephone_call(name, call)
    check_towards_device(name, call)
    controls = (InnovaphoneRemoteControl(control=RemoteControl.DTMF_DIGIT, digit=one) for one in digits)
    send_only(name, call, True, tuple(FacilitySignal(fty=(one,)) for one in controls), timeout=timeout, on_result=on_result)


def remote_control(
    call: Call, control: RemoteControl | str, digit: str | None, timeout: float | None, on_result: OnResult[None] | None
) -> None:
    """See :meth:`Call.remote_control`."""
    name = "remote_control()"
    code = choice(name, call._name, RemoteControl, control, "the remote control")
    fits = digit is None if code is not RemoteControl.DTMF_DIGIT else isinstance(digit, str) and len(digit) == 1 and digit in DTMF_DIGITS
    if not fits:
        raise refuse(name, call._name, f"DTMF_DIGIT, and nothing else, takes digit= as one of {DTMF_DIGITS}")
    check_live(name, call)
    check_towards_device(name, call)
    facility = InnovaphoneRemoteControl(control=code, digit=digit)
    send_only(name, call, True, (FacilitySignal(fty=(facility,)),), timeout=timeout, on_result=on_result)


def _conn(found: Found) -> Conn:
    assert isinstance(found.signal, Conn)  # it was looked for by its name
    return found.signal


def _facility(found: Found) -> Facility:
    assert found.facility is not None  # it was looked for
    return found.facility
