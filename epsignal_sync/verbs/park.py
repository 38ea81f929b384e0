"""Having the PBX take a call away from the device: park it, or send it elsewhere before it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..messages import EP, CpPark, DiversionCallreroute, DiversionProcedure, Facility, UserInfo
from ..protocol.call_record import Party
from .checks import CONNECTED, RINGING, check_live, check_telephone_call, check_towards_pbx, choice, pbx_side, position, refuse, someone
from .checks import text as checked_text
from .expected import Expected
from .outcome import OnResult
from .running import exchange, send_only

if TYPE_CHECKING:
    from ..call import Call

LONGEST_USER_INFO = 128
"""Bytes of UTF-8."""
HINT = "the PBX does not say why: check that it allows this, and to whom it was to go"


def park(call: Call, number: str, sip: str, park_position: int | None, timeout: float | None, on_result: OnResult[None] | None) -> None:
    """See :meth:`Call.park`."""
    name = "park()"
    target = someone(name, call._name, number, sip, "it needs a place to park at: number= or sip=")
    facility = CpPark(parked_to=target, park_position=position(name, call._name, park_position))
    check_telephone_call(name, call, CONNECTED)
    check_towards_pbx(name, call)
    _take_away(name, call, facility, timeout, on_result)


def redirect(
    call: Call, number: str, sip: str, reason: DiversionProcedure | str | None, timeout: float | None, on_result: OnResult[None] | None
) -> None:
    """See :meth:`Call.redirect`."""
    name = "redirect()"
    target = someone(name, call._name, number, sip, "it needs somebody to send the call to: number= or sip=")
    why = None if reason is None else choice(name, call._name, DiversionProcedure, reason, "the reason")
    check_telephone_call(name, call, RINGING)
    if call.own or call.incoming is False:
        raise refuse(name, call._name, "only a call that comes to the device from the PBX can be sent elsewhere")
    served = _endpoint(call.local)
    facility = DiversionCallreroute(called=target, calling=_endpoint(call.remote), served=served, last_rerouting=served, reason=why)
    _take_away(name, call, facility, timeout, on_result)


def user_info(call: Call, text: str, timeout: float | None, on_result: OnResult[None] | None) -> None:
    """See :meth:`Call.user_info`."""
    name = "user_info()"
    uui = checked_text(name, call._name, "user-to-user information", text, LONGEST_USER_INFO)
    check_live(name, call)
    send_only(name, call, pbx_side(call), (UserInfo(uui=uui),), timeout=timeout, on_result=on_result)


def _take_away(name: str, call: Call, facility: Facility, timeout: float | None, on_result: OnResult[None] | None) -> None:
    # Spec: nothing answers cp_park and diversion_callreroute; where the PBX takes the call away from the device, it was done.
    exchange(
        name, call, False, facility, Expected(), lambda found: None,
        timeout=timeout, on_result=on_result, hint=HINT, ended_well=lambda: None,
    )  # fmt: skip


def _endpoint(party: Party) -> EP | None:
    return EP(num=party.num, sip=party.sip) if party.num or party.sip else None
