"""Call transfer (H.450.2), blind and attended. What is sent goes to the PBX, as if the device had said it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from ..messages import EP, CtIdentify, CtIdentifyResult, CtInitiate, CtInitiateResult, FacilitySignal
from .checks import CONNECTED, RINGING, check_telephone_call, pbx_side, refuse, someone
from .expected import Expected, Found, facilities
from .outcome import OnResult
from .running import Running, exchange

if TYPE_CHECKING:
    from ..call import Call

NAME = "transfer()"
HINT = "the calls are as they were, as far as is known: look at them, then try again or hang up"
IDENTIFIED = facilities("ct_identify_result")
INITIATED = facilities("ct_initiate_result")
NOTHING = Expected()


def transfer(
    call: Call, other: Call | None, number: str, sip: str, timeout: float | None, on_result: OnResult[CtInitiateResult | None] | None
) -> CtInitiateResult | None:
    """See :meth:`Call.transfer`."""
    if other is None:
        target = someone(NAME, call._name, number, sip, "it needs somebody to transfer to: number=, sip=, or the other call")
        check_telephone_call(NAME, call, CONNECTED)
        return exchange(
            NAME, call, pbx_side(call), CtInitiate(dst=target), INITIATED, _result,
            timeout=timeout, on_result=on_result, hint=HINT, ended_well=lambda: None,
        )  # fmt: skip
    _check_pair(call, other, number, sip)
    return _Attended(call, other, timeout, on_result).run()


def _check_pair(call: Call, other: Call, number: str, sip: str) -> None:
    if not isinstance(other, type(call)):
        raise refuse(NAME, call._name, f"it takes the other Call, or number= or sip=, not a {type(other).__name__}")
    if number or sip:
        raise refuse(NAME, call._name, "it takes the other call or somebody to call, not both")
    if other is call:
        raise refuse(NAME, call._name, "a call cannot be transferred to itself")
    if other.device is not call.device:
        raise refuse(NAME, call._name, f"{other._name} is a call of another device, and a device can join its own calls only")
    check_telephone_call(NAME, call, CONNECTED)
    # The consultation call may still be ringing: the transferred party hears it ring then.
    check_telephone_call(NAME, other)
    if pbx_side(other) is not pbx_side(call):
        raise refuse(NAME, call._name, f"{other._name} leads to another side, which knows nothing of this call")
    if other.incoming and other.state in RINGING:
        raise refuse(NAME, call._name, f"{other._name} rings at the device itself: answer it first")


class _Attended:
    """An attended transfer: first an id from the consultation call, then the transfer with it. Both calls have to live."""

    def __init__(self, call: Call, other: Call, timeout: float | None, on_result: OnResult[CtInitiateResult | None] | None) -> None:
        self._call, self._other = call, other
        self._running: Running[CtInitiateResult | None] = Running(NAME, call.device, call, timeout, on_result, HINT)
        self._asked = False
        """Whether the transfer itself is on its way."""

    def run(self) -> CtInitiateResult | None:
        """Send the first step and wait for the last."""
        running, call, other = self._running, self._call, self._other
        try:
            running.begin()
            running.listen(call, pbx_side(call), INITIATED, self._take_result, self._over)
            running.listen(other, pbx_side(other), IDENTIFIED, self._take_id, self._over_other)
            running.send(other, pbx_side(other), FacilitySignal(fty=(CtIdentify(),)))
        except BaseException:
            running.give_up()
            raise
        return running.finish()

    def _take_id(self, found: Found) -> None:
        facility = found.facility
        assert isinstance(facility, CtIdentifyResult)  # it was looked for by its name
        initiate = None if found.refused else self._initiate(facility)
        if initiate is None:
            self._running.refuse(found.cause, f", and gave no id for {self._other._name}")
        elif not self._asked:
            self._asked = True
            self._running.send_at_once(self._call, pbx_side(self._call), FacilitySignal(fty=(initiate,)))

    def _initiate(self, identified: CtIdentifyResult) -> CtInitiate | None:
        """Return the second step; None where the result has no id that can be sent."""
        remote, given = self._other.remote, identified.dst
        known = EP(num=remote.num, sip=remote.sip) if remote.num or remote.sip else None
        target = given if given is not None and (given.num or given.sip) else known
        try:
            return None if identified.id is None else CtInitiate(id=identified.id, dst=target)
        except UsageError:
            return None

    def _take_result(self, found: Found) -> None:
        if not self._asked:
            return  # of a transfer that the phone itself has asked for
        if found.refused:
            self._running.refuse(found.cause)
        else:
            self._running.answer.succeed(_result(found))

    def _over(self) -> bool:
        if not self._asked or self._call.ended_by != "pbx":
            return False
        self._running.answer.succeed(None)
        return True

    def _over_other(self) -> bool:
        """After a transfer the PBX releases both calls, in an order that nobody knows: this one alone tells nothing."""
        return self._asked and self._other.ended_by == "pbx"


def _result(found: Found) -> CtInitiateResult:
    assert isinstance(found.facility, CtInitiateResult)  # it was looked for by its name
    return found.facility
