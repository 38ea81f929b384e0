"""What a verb refuses before anything is sent. Each error names the verb, the call or device, and the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ..errors import UsageError
from ..messages import EP, CallState, Number
from ..messages.record import WireEnum

if TYPE_CHECKING:
    from ..call import Call

E = TypeVar("E", bound=WireEnum)

RINGING = frozenset({CallState.SETUP, CallState.SETUP_ACK, CallState.CALL_PROC, CallState.ALERT})
CONNECTED = frozenset({CallState.CONNECTED})
ENDING = frozenset({CallState.DISCONNECTED, CallState.DISCONNECTING})


def refuse(verb: str, about: str, rule: str) -> UsageError:
    """Return the error for what cannot be."""
    return UsageError(f"{verb} sent nothing for {about}: {rule}")


def check_live(verb: str, call: Call) -> None:
    """Raise CallEndedError for a call that is over or hung up, UsageError for one whose setup is not queued yet.

    In an interceptor of its setup a call is not there yet: the other side would end what it has never heard of, cause 81.
    """
    if call.ended or call.state in ENDING:
        raise call._error(f"{verb} sent nothing")
    call._check_queued(verb)
    if call.state is CallState.SETUP and call.device._table.live.get(call.id) is not call._record:
        raise refuse(verb, call._name, "its setup has not gone on yet, so do it in a callback, on(Setup), and not in an interceptor")


def check_telephone_call(verb: str, call: Call, states: frozenset[CallState] | None = None) -> None:
    """Raise CallEndedError for a call that is over, UsageError for one without media or not in one of ``states``.

    A state that is not known, or of a newer PBX, is let through: the PBX knows better.
    """
    check_live(verb, call)
    if not call.media:
        raise refuse(verb, call._name, "it is a call without media, and this is for telephone calls")
    state = call.state
    if states is not None and state not in states and isinstance(state, CallState) and state is not CallState.NULL:
        names = ", ".join(sorted(one.value for one in states))
        raise refuse(verb, call._name, f"its state is {state}, and this needs {names}")


def check_towards_device(verb: str, call: Call) -> None:
    """Raise UsageError for a call that does not lead to the device."""
    if call.own and not call._far_end:
        raise refuse(verb, call._name, "the app started it towards the PBX, and this is said to a phone")


def check_towards_pbx(verb: str, call: Call) -> None:
    """Raise UsageError for a call that does not lead to the PBX."""
    if call.own and call._far_end:
        raise refuse(verb, call._name, "the app started it towards the device, and this is said to the PBX")


def pbx_side(call: Call) -> bool:
    """Return the side on which the PBX's services are: the PBX, or the device as the one far end of a call of the app."""
    return call.own and call._far_end


def party(verb: str, about: str, number: str, sip: str, *, needed: str = "") -> EP | None:
    """Return whom a number and a SIP name mean, None for nobody. ``needed``: the rule, where there has to be somebody."""
    for key, value in (("number", number), ("sip", sip)):
        _encoded(verb, about, key, value)
    if not number and not sip:
        if needed:
            raise refuse(verb, about, needed)
        return None
    try:
        digits = Number.parse(number).digits
    except UsageError as error:
        raise refuse(verb, about, str(error)) from None
    if number and not digits:
        raise refuse(verb, about, f"a number needs digits, not only the prefix {number!r}")
    return EP(num=number or None, sip=sip or None)


def someone(verb: str, about: str, number: str, sip: str, needed: str) -> EP:
    """Return whom a number or a SIP name means; there has to be one."""
    found = party(verb, about, number, sip, needed=needed)
    assert found is not None  # else it has raised
    return found


def position(verb: str, about: str, value: int | None) -> int | None:
    """Return a park position. Raises UsageError."""
    if value is not None and (type(value) is not int or value < 0):
        raise refuse(verb, about, f"a park position is a number from 0, not {value!r:.80}")
    return value


def text(verb: str, about: str, what: str, value: str, longest: int) -> str:
    """Return a text of at most ``longest`` bytes of UTF-8. Raises UsageError, which does not show it."""
    size = len(_encoded(verb, about, what, value))
    if not 0 < size <= longest:
        raise refuse(verb, about, f"{what} has 1 to {longest} bytes of UTF-8, not {size}")
    return value


def choice(verb: str, about: str, kind: type[E], value: E | str, what: str) -> E:
    """Return a member of an enumeration by itself or by its text on the wire. Raises UsageError."""
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(one) for one in kind)
        raise refuse(verb, about, f"{what} {value!r:.80} does not exist; there are {known}") from None


def _encoded(verb: str, about: str, what: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise refuse(verb, about, f"{what} is text, not a {type(value).__name__}")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise refuse(verb, about, f"{what} has half of a character (a lone surrogate)") from None
