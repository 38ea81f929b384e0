"""The supplementary services of a call, one method each. What they do stands in :mod:`.verbs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, overload

from .call_facts import CallFacts
from .messages import Conn, CtInitiateResult, DiversionProcedure, Facility, RemoteControl
from .verbs import park, remote_control, transfer
from .verbs.outcome import OnResult

if TYPE_CHECKING:
    from .call import Call

ANSWER_TIME = 2.0
"""Seconds within which a phone that takes the remote control has answered the call."""


class CallControl(CallFacts):
    """The services that can be asked for in a call.

    What they have in common: they block until the answer is there, at most ``timeout`` seconds (None: for ever), and
    return it. With ``on_result=`` they return None as soon as the message is queued, and the callback is given one
    Outcome, where callbacks run, within the same time-out; an error that shows before that is raised at once instead.

    They raise UsageError for what cannot be, and nothing is sent then; CallError, with the cause, where it was refused;
    CallEndedError, with the cause, where the call is over or ends meanwhile; ReplyTimeout; DetachedError where the
    device is not registered, or unregisters meanwhile; ConnectionLostError, ClosedError. Any thread, callbacks included;
    but an interceptor of a call's setup comes before the call, so there they raise UsageError.

    The protocol gives no answer a number: one that the phone has asked for itself at the same time counts, too.
    """

    __slots__ = ()

    @overload
    def answer(self, control: RemoteControl | str = ..., *, timeout: float | None = ..., on_result: None = None) -> Conn: ...
    @overload
    def answer(self, control: RemoteControl | str = ..., *, timeout: float | None = ..., on_result: OnResult[Conn]) -> None: ...

    def answer(
        self,
        control: RemoteControl | str = RemoteControl.CONNECT,
        *,
        timeout: float | None = ANSWER_TIME,
        on_result: OnResult[Conn] | None = None,
    ) -> Conn | None:
        """Have the phone accept a call that rings; returns its Conn. For a device's call, and for one of ``ring()``.

        ``control`` is the code that the phone is told, for phones that want another one. This is unverified on a PBX: no public
        document says that a phone takes it in this way.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see CallControl. Any thread, callbacks included.
        """
        return remote_control.answer(_call(self), control, timeout, on_result)

    @overload
    def hold(self, *, timeout: float | None = ..., on_result: None = None) -> Facility: ...
    @overload
    def hold(self, *, timeout: float | None = ..., on_result: OnResult[Facility]) -> None: ...

    def hold(self, *, timeout: float | None = 10, on_result: OnResult[Facility] | None = None) -> Facility | None:
        """Put a connected call on hold.

        In a device's call the phone is told to, and what it says of it is returned: HoldNotify or RemoteHold. In one of
        the app the other side is asked to, and its RemoteHoldResult is returned. A phone that holds by media alone says
        nothing: ReplyTimeout. That a phone is told is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see CallControl. Any thread, callbacks included.
        """
        return remote_control.switch(_call(self), remote_control.HOLD, timeout, on_result)

    @overload
    def retrieve(self, *, timeout: float | None = ..., on_result: None = None) -> Facility: ...
    @overload
    def retrieve(self, *, timeout: float | None = ..., on_result: OnResult[Facility]) -> None: ...

    def retrieve(self, *, timeout: float | None = 10, on_result: OnResult[Facility] | None = None) -> Facility | None:
        """End what :meth:`hold` began; returns RetrieveNotify, RemoteRetrieve or RemoteRetrieveResult.

        All else is as there; that a phone is told is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see CallControl. Any thread, callbacks included.
        """
        return remote_control.switch(_call(self), remote_control.RETRIEVE, timeout, on_result)

    def dtmf(self, digits: str, *, timeout: float | None = 10, on_result: OnResult[None] | None = None) -> None:
        """Have the phone send DTMF digits: 1 to 128 of 0 to 9, ``*`` and ``#``, one message each.

        Returns when they are queued: nothing answers them. Two dtmf() at once mix their digits; those sent before an error
        are dialed. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallEndedError, ReplyTimeout, DetachedError, ConnectionLostError,
        ClosedError: see CallControl. Any thread, callbacks included.
        """
        remote_control.dtmf(_call(self), digits, timeout, on_result)

    def remote_control(
        self,
        control: RemoteControl | str,
        *,
        digit: str | None = None,
        timeout: float | None = 10,
        on_result: OnResult[None] | None = None,
    ) -> None:
        """Tell the phone to do something in this call; ``digit`` is for DTMF_DIGIT alone.

        Returns when it is queued: nothing answers it. Phones know different codes. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallEndedError, ReplyTimeout, DetachedError, ConnectionLostError,
        ClosedError: see CallControl. Any thread, callbacks included.
        """
        remote_control.remote_control(_call(self), control, digit, timeout, on_result)

    @overload
    def transfer(
        self, other: Call | None = None, *, number: str = ..., sip: str = ..., timeout: float | None = ..., on_result: None = None
    ) -> CtInitiateResult | None: ...
    @overload
    def transfer(
        self,
        other: Call | None = None,
        *,
        number: str = ...,
        sip: str = ...,
        timeout: float | None = ...,
        on_result: OnResult[CtInitiateResult | None],
    ) -> None: ...

    def transfer(
        self,
        other: Call | None = None,
        *,
        number: str = "",
        sip: str = "",
        timeout: float | None = 10,
        on_result: OnResult[CtInitiateResult | None] | None = None,
    ) -> CtInitiateResult | None:
        """Connect the other party of this call with somebody else: ``number`` or ``sip`` blind, or with the party of ``other``.

        ``other`` is another call of the same device, the consultation call; it may be ringing still. Returns the
        CtInitiateResult, or None where the PBX has ended this call without one. After it the PBX releases the calls of
        the device. Where only the remote party hangs up meanwhile, that cannot be told from success. Raises CallError for
        a result with an error, which leaves the calls as they were.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallError, CallEndedError, ReplyTimeout, DetachedError,
        ConnectionLostError, ClosedError: see CallControl. Any thread, callbacks included.
        """
        return transfer.transfer(_call(self), other, number, sip, timeout, on_result)

    def redirect(
        self,
        number: str = "",
        *,
        sip: str = "",
        reason: DiversionProcedure | str | None = None,
        timeout: float | None = 10,
        on_result: OnResult[None] | None = None,
    ) -> None:
        """Send a call that rings at the device elsewhere, before it is answered. ``reason``: what the new party is told.

        Returns when the PBX has taken the call away from the device. Nothing answers it, so that a refusal is a
        ReplyTimeout. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallEndedError, ReplyTimeout, DetachedError, ConnectionLostError,
        ClosedError: see CallControl. Any thread, callbacks included.
        """
        park.redirect(_call(self), number, sip, reason, timeout, on_result)

    def park(
        self,
        number: str = "",
        *,
        sip: str = "",
        position: int | None = None,
        timeout: float | None = 10,
        on_result: OnResult[None] | None = None,
    ) -> None:
        """Park a connected call with somebody, at a ``position`` where there are several. Any phone can pick it up there.

        Returns when the PBX has taken the call away from the device. Nothing answers it, so that a refusal is a
        ReplyTimeout. This is unverified on a PBX.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallEndedError, ReplyTimeout, DetachedError, ConnectionLostError,
        ClosedError: see CallControl. Any thread, callbacks included.
        """
        park.park(_call(self), number, sip, position, timeout, on_result)

    def user_info(self, text: str, *, timeout: float | None = 10, on_result: OnResult[None] | None = None) -> None:
        """Send user-to-user information to the other party: 1 to 128 bytes of UTF-8.

        Returns when it is queued: nothing answers it.

        Blocks for at most ``timeout`` seconds (None: for ever); with ``on_result``, returns None once it is queued, and
        calls that with one Outcome. Raises UsageError, CallEndedError, ReplyTimeout, DetachedError, ConnectionLostError,
        ClosedError: see CallControl. Any thread, callbacks included.
        """
        park.user_info(_call(self), text, timeout, on_result)


def _call(control: CallControl) -> Call:
    return cast("Call", control)
