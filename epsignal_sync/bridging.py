"""Two calls of the app as one: what one far end says passes to the other, and neither outlives the other.

Works on the link threads, so it runs no user code and never blocks. What passes, and as what, stands in
:mod:`.protocol.bridge`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .call import Call
from .deadline import Deadline
from .errors import CallEndedError, UsageError
from .leg import Leg
from .messages import Cause, Rel
from .messages.record import received as record_of
from .messages.record import shown
from .protocol.bridge import ASK_FOR_OFFER, Passed, Passing
from .protocol.call_record import JSONObject, cause_in
from .replies import Reply
from .verbs.checks import check_live, refuse

DISC_TIME = 30.0
"""Seconds in which a disc that was passed on has to be answered with a rel (timer T305 of ITU-T Q.931)."""
OFFER_TIME = 4.0
"""Seconds for which an offer waits for the answer to another one, once both calls are connected."""
# Spec: what the other party is told when a connection is lost, or a device unregisters, is not documented.
TEMPORARY_FAILURE, OUT_OF_ORDER = 41, 27
"""Q.850 cause values."""

_joining_lock = threading.RLock()


class Bridge:
    """Two calls of the app that are joined. Made by :func:`epsignal_sync.bridge` and ``device.click_to_dial()``.

    Its attributes may be read in any thread. What happens to the calls is also told by their own events. The calls live
    only as long as the connections that the app started them on.
    """

    def __init__(self) -> None:
        self._bridge_lock = threading.RLock()  # of the link threads of both calls, and of whoever hangs up
        self._legs: tuple[Leg, ...] = ()
        self._passing = Passing()
        self._connected = False
        self._disc: Leg | None = None
        """The leg that has begun the end with a disc."""
        self._ending = self._released = False
        self._cause: Cause | None = None
        self._waiting: tuple[Reply, ...] = ()

    # ------------------------------------------------------------ for the program

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls, as far as there are: of ``click_to_dial()`` that to the phone, then that to the PBX."""
        return tuple(leg.call for leg in self._legs)

    @property
    def connected(self) -> bool:
        """Whether both calls are connected, and neither was hung up."""
        return self._connected and not self._ending

    @property
    def ended(self) -> bool:
        """Whether all of it is over."""
        return self._released and all(leg.call.ended for leg in self._legs)

    @property
    def cause(self) -> Cause | None:
        """Why it ended or failed: the first cause; None before that, and where none was said."""
        return self._cause

    def wait_connected(self, *, timeout: float | None = 10) -> None:
        """Block until both calls are connected; at once if they are. ``timeout`` in seconds, None for ever.

        Raises CallEndedError, with the cause, as soon as one of them is hung up or refused; ReplyTimeout,
        ConnectionLostError, ClosedError. Any thread, callbacks included.
        """
        self._wait(self._is_connected, timeout, "was not connected")

    def wait_ended(self, *, timeout: float | None = 10) -> None:
        """Block until all of it is over; at once if it is. ``timeout`` in seconds, None for ever.

        Raises ReplyTimeout, ConnectionLostError, ClosedError. Any thread, callbacks included.
        """
        self._wait(lambda: self.ended, timeout, "did not end")

    def hangup(self, cause: int = 16) -> None:
        """Release both calls with a Q.850 ``cause`` value; nothing where they are over. Does not wait; any thread.

        Raises UsageError for what is no cause value.
        """
        if type(cause) is not int or not 1 <= cause <= 127:
            raise UsageError(f"hangup() takes a Q.850 cause value from 1 to 127, not {cause!r:.80}")
        with self._bridge_lock:
            self._finish(Rel(cau=Cause(num=cause)))

    def __repr__(self) -> str:
        return f"<Bridge of {' and '.join(map(repr, self.calls))}>"

    @property
    def _name(self) -> str:
        return f"the bridge of {' and '.join(call._name for call in self.calls)}"

    def _is_connected(self) -> bool:
        if self._ending:
            cause = self._cause
            why = "without a cause" if cause is None else f"with cause {shown(cause.num):.20}{', ' + cause.text if cause.text else ''}"
            raise CallEndedError(f"{self._name} was hung up, {why}: start it again", cause=cause)
        return self._connected

    def _wait(self, reached: Callable[[], bool], timeout: float | None, what: str) -> None:
        deadline = Deadline(timeout)
        timed_out = f"{self._name} {what} within {timeout} s: wait longer, or hang it up"
        while True:
            reply = Reply()
            with self._bridge_lock:
                self._waiting = (*self._waiting, reply)
            try:
                if reached():  # only now that every change is told
                    return
                self._legs[0].call.device._connection.replies.wait(reply, deadline, timed_out)
            finally:
                with self._bridge_lock:
                    self._waiting = tuple(one for one in self._waiting if one is not reply)

    # ------------------------------------------------------------ what the legs say, on the link threads

    def _heard(self, leg: Leg, sig: JSONObject) -> None:
        """Take a signal of a leg."""
        with self._bridge_lock:
            if self._released:
                return
            kind = sig.get("type")
            if kind == "rel":
                self._finish(record_of(Rel, sig), leg.call.cause)
            elif kind == "disc":
                self._take_disc(leg, cause_in(sig), sig)
            else:
                self._take(leg, sig)

    def _over(self, leg: Leg) -> None:
        """A call is over, whoever has ended it."""
        with self._bridge_lock:
            if leg in self._legs:
                lost = leg.call.cause is None and leg.call.ended_by == "gap"
                self._finish(Rel(cau=Cause(num=TEMPORARY_FAILURE)) if lost else _rel(leg.call._record.cause))
            self._tell()

    def _unknown(self, leg: Leg) -> None:
        """The device has unregistered, and a call of the app does not come back with it."""
        with self._bridge_lock:
            self._finish(Rel(cau=Cause(num=OUT_OF_ORDER)))

    def _take(self, leg: Leg, sig: JSONObject) -> None:
        """Take a signal that ends nothing."""
        passed = self._passing.take(self._legs.index(leg), sig)
        self._pass_on(leg, passed)

    def _pass_on(self, leg: Leg, passed: list[Passed]) -> None:
        """Send what passes, and see to the media when both calls are connected. ``leg``: the one on whose thread this is."""
        if not self._connected and len(self._legs) == 2 and all(one.call.connected_at is not None for one in self._legs):
            self._connected = True
            self._tell()
            if not self._passing.offered:
                passed = [*passed, Passed(0, ASK_FOR_OFFER)]
        if self._connected and self._passing.waits:
            turn = self._passing.turn
            leg.after(OFFER_TIME, lambda: self._look_after_offers(leg, turn))
        for side, sig in passed:
            self._legs[side].pass_on(sig)

    def _look_after_offers(self, leg: Leg, turn: int) -> None:
        """Let the next offer pass: where a far end makes one instead of its answer, that answer never comes."""
        with self._bridge_lock:
            if not self._released and self._passing.turn == turn and self._passing.waits:
                self._pass_on(leg, self._passing.give_up())

    # ------------------------------------------------------------ the end, with the lock held

    def _take_disc(self, leg: Leg, cause: JSONObject | None, sig: JSONObject) -> None:
        """Pass a disc on; the rel that answers it passes back."""
        if self._disc is leg:
            return
        if self._disc is not None or len(self._legs) < 2:
            self._finish(_rel(cause))  # two have crossed, or there is nobody to answer it: both are answered
            return
        self._disc = leg
        self._begin_end(_cause(cause))
        other = self._legs[1 - self._legs.index(leg)]
        other.after(DISC_TIME, lambda: self._give_up(cause))
        if not other.pass_on(sig):
            self._finish(_rel(cause))

    def _give_up(self, cause: JSONObject | None) -> None:
        with self._bridge_lock:
            self._finish(_rel(cause))

    def _finish(self, rel: Rel, cause: Cause | None = None) -> None:
        """Release each call that is not over. ``cause``: why, where that is not what the rel says."""
        if self._released:
            return
        self._released = True
        self._begin_end(cause or rel.cau)
        for leg in self._legs:
            leg.release(rel)

    def _begin_end(self, cause: Cause | None) -> None:
        if not self._ending:
            self._ending, self._cause = True, cause
        self._tell()

    def _tell(self) -> None:
        """Have whoever waits look again."""
        waiting, self._waiting = self._waiting, ()
        for reply in waiting:
            reply.settle()


def bridge(first: Call, second: Call) -> Bridge:
    """Join two calls that the app has started, and return the Bridge.

    From now on media offers and answers, facilities, ``info`` and ``user_info`` of one far end pass to the other; so do
    offers and answers that were made before. Of ``alert``, ``conn`` and the like the media and the facilities pass. An
    offer that is made while another is open waits. If both are connected and there was no offer, one is asked for. When
    one far end hangs up, or a call is lost, the other is released: disc for disc, rel for rel, same cause. Media do not pass
    through here: the far ends send them to each other.

    Such calls live only as long as the connection of the app. Where a program only dials for a person, RCC is the safer
    way: there a call outlives the program. The calls may be those of two devices, and of two clients.

    Raises UsageError for one and the same call, for a device's call, for one without media or in a bridge already;
    CallEndedError for one that is over or was hung up; nothing is sent then. Does not wait; any thread, callbacks included.
    """
    legs = _leg(first), _leg(second)
    if first is second:
        raise refuse("bridge()", first._name, "it cannot be joined with itself")
    made = Bridge()
    with _joining_lock, made._bridge_lock:
        for call in (first, second):
            if call._leg is None or call._leg.joint is not None:
                raise refuse("bridge()", call._name, "it is in a bridge already")
        made._legs = legs
        heard = legs[0].join(made), legs[1].join(made)
        made._pass_on(legs[0], made._passing.join((legs[0].setup, legs[1].setup), heard))
        for leg in legs:  # only now that it is joined: what happens from here on is heard
            if leg.call.ended:
                made._over(leg)
            elif leg.call._record.disc is not None:
                disc = leg.call._record.disc or None
                made._take_disc(leg, disc, {"type": "disc"} if disc is None else {"type": "disc", "cau": disc})
    return made


def _leg(call: Call) -> Leg:
    """Return the leg of a call that can be joined. Raises UsageError, CallEndedError."""
    if not isinstance(call, Call):
        raise UsageError(f"bridge() takes two calls, not {type(call).__name__}")
    if not call.own:
        raise refuse("bridge()", call._name, "it is the device's own, and only two calls that the app has started can be joined")
    check_live("bridge()", call)
    if call._leg is None:
        raise refuse("bridge()", call._name, "it is a call without media, and this is for telephone calls")
    return call._leg


def _cause(cause: JSONObject | None) -> Cause | None:
    return None if cause is None else record_of(Cause, cause)


def _rel(cause: JSONObject | None) -> Rel:
    return record_of(Rel, {"type": "rel"} if cause is None else {"type": "rel", "cau": cause})
