"""One call as its phone sees it. Knows nothing of the PBX or of the other phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ReplyTimeout, UsageError
from .actor import Timer
from .phone_media import MediaEnds
from .signals import CALL_STATES, Signal, cause_of, facilities, name_of, next_state, party

if TYPE_CHECKING:
    from .phone import SimulatedPhone

T = TypeVar("T")

WAIT_TIMEOUT = 10.0
"""Seconds that the waiting methods of the simulator take at most unless told otherwise: more than a loaded machine stalls for."""


def check_states(states: tuple[str, ...]) -> None:
    """Raise UsageError for what is no CallState."""
    for state in states:
        if state not in CALL_STATES:
            raise UsageError(f"{state!r} is no call state: use one of {', '.join(CALL_STATES)}")


def check_count(count: int) -> None:
    """Raise UsageError for what is no number of times."""
    if type(count) is not int or count < 1:
        raise UsageError(f"count cannot be {count!r}: it is how many there have to be, 1 or more")


class SimulatedCall:
    """A call at a simulated phone.

    ``phone``: its phone. ``id``: the call id on that device, negative where an app alone calls. ``incoming``: whether it came to the phone.
    ``channel``: -1 with media, 0 without. ``state``: the CallState as seen from the phone, "null" when it is over.
    ``cause``: the first cause value that was sent or received, or None. ``remote``: ``num``, ``sip`` and ``dn`` of
    the other party as far as they are known. ``on_hold``: whether this phone holds the call; ``held``: whether the other
    party does. ``digits``: the DTMF digits heard so far. ``user_infos``: the texts of the user_info received. ``facilities``:
    those received, the newest last. All may be read from any thread.
    """

    def __init__(self, phone: SimulatedPhone, id: int, *, incoming: bool, channel: Any, remote: dict[str, Any]) -> None:
        self.phone = phone
        self.id = id
        self.incoming = incoming
        self.channel = channel
        self.remote = remote
        self.state = "null"
        self.cause: int | None = None
        self.reached: tuple[str, ...] = ()
        """Every state so far, in order."""
        self.on_hold = self.held = False
        self.digits = ""
        self.user_infos: tuple[str, ...] = ()
        self.facilities: tuple[dict[str, Any], ...] = ()
        self.media = MediaEnds()
        """The simulator's own."""
        self.one_shot = False
        """Whether the phone ends the call as soon as it is answered; the simulator's own."""
        self.timer: Timer | None = None

    def __repr__(self) -> str:
        return f"<SimulatedCall {self.id} of {self.phone.hw}: {self.state}>"

    @property
    def ended(self) -> bool:
        """Whether the call is over. Does not block."""
        return "null" in self.reached

    def wait(self, *states: str, timeout: float = WAIT_TIMEOUT) -> str:
        """Wait until one of the states was reached, and return it.

        Blocks for at most ``timeout`` seconds, then raises ReplyTimeout, as soon as the call is over without it;
        UsageError for an unknown state. From any thread.
        """
        check_states(states)

        def look() -> str | None:
            reached = self.reached
            return next((state for state in reached if state in states), "over" if "null" in reached else None)

        found = self.phone.wait_until(look, timeout)
        if found is None or found == "over":
            why = f"is {self.state} after {timeout:g} s" if found is None else f"ended with cause {self.cause}"
            wanted = " or ".join(states)
            raise ReplyTimeout(f"call {self.id} of {self.phone.hw} did not reach {wanted}: it {why}; see pbx.log for what was said")
        return found

    def wait_until(self, condition: Callable[[SimulatedCall], T | None], *, timeout: float = WAIT_TIMEOUT) -> T:
        """Wait until ``condition(call)`` is true, for example ``lambda call: call.held``, and return its result.

        It runs on the calling thread, after each change. Blocks for at most ``timeout`` seconds, then raises ReplyTimeout.
        From any thread.
        """
        found = self.phone.wait_until(lambda: condition(self), timeout)
        if not found:
            what = f"it is {self.state}, digits {self.digits!r}, on hold {self.on_hold}, held {self.held}"
            raise ReplyTimeout(f"call {self.id} of {self.phone.hw} did not come to what was waited for within {timeout:g} s: {what}")
        return found

    def wait_facility(self, name: str, *, count: int = 1, timeout: float = WAIT_TIMEOUT) -> dict[str, Any]:
        """Wait for a facility of that name in this call, and return it: the first, or the ``count``-th that came so far.

        Blocks for at most ``timeout`` seconds, then raises ReplyTimeout. From any thread.
        """
        check_count(count)

        def look(call: SimulatedCall) -> dict[str, Any] | None:
            found = [facility for facility in call.facilities if facility.get("type") == name]
            return found[count - 1] if len(found) >= count else None

        return self.wait_until(look, timeout=timeout)

    def answer(self) -> None:
        """Answer this ringing call. Blocks for a moment; raises UsageError if it does not ring. From any thread."""
        self.phone.answer(self)

    def hangup(self, cause: int = 16) -> None:
        """End this call; does nothing if it is over. Blocks for a moment. From any thread."""
        self.phone.hangup(cause, self)

    def dial(self, digits: str, *, complete: bool = False) -> None:
        """Dial more digits, in a call that was begun with ``overlap``; ``complete`` says that there are no more.

        Without it the PBX goes on as soon as no longer number can be meant, or after its ``digit_timeout``. Blocks for
        a moment; raises UsageError when the call takes no digits any more, or for no digits. From any thread.
        """
        self.phone.dial(self, digits, complete=complete)

    def hold(self) -> None:
        """Put this call on hold; see :meth:`SimulatedPhone.hold`. Blocks for a moment. From any thread."""
        self.phone.hold(self)

    def retrieve(self) -> None:
        """Take this call off hold; see :meth:`SimulatedPhone.retrieve`. Blocks for a moment. From any thread."""
        self.phone.retrieve(self)

    def transfer(self, to: str | SimulatedCall) -> None:
        """Transfer this call to a number, or to another call's party; see :meth:`SimulatedPhone.transfer`. From any thread."""
        self.phone.transfer(to, self)

    def park(self, to: str, position: int | None = None) -> None:
        """Park this call at a number; see :meth:`SimulatedPhone.park`. Blocks for a moment. From any thread."""
        self.phone.park(to, position, self)

    def press(self, digits: str) -> None:
        """Press DTMF digits in this call; see :meth:`SimulatedPhone.press`. Blocks for a moment. From any thread."""
        self.phone.press(digits, self)

    def send(self, sig: dict[str, Any]) -> None:
        """Have the phone send any other signal in this call, for example user_info or a facility.

        Blocks for a moment; raises UsageError for a signal that would start or end a call. From any thread.
        """
        self.phone.send(self, sig)

    def apply(self, sig: Signal, *, to_device: bool) -> None:
        """Take note of a signal in this call; on the actor thread."""
        if to_device and self.timer is not None:
            self.timer.cancel()
        if self.cause is None:
            self.cause = cause_of(sig)
        name = name_of(sig) if to_device else ""
        if name:
            self.remote = {**self.remote, "dn": name}
        self.media.apply(sig, to_device=to_device)
        if to_device:
            self._take_news(sig)
        state = next_state(self.state, sig, to_device=to_device)
        if state != self.state or not self.reached:
            self.state = state
            self.reached = (*self.reached, state)
            self.phone.state_changed(self, state)

    def _take_news(self, sig: Signal) -> None:
        uui = sig.get("uui")
        if sig.get("type") == "user_info" and isinstance(uui, str):
            self.user_infos = (*self.user_infos, uui)
        for facility in facilities(sig):
            kind = facility.get("type") if isinstance(facility, dict) else None
            if kind in ("hold_notify", "retrieve_notify"):
                self.held = kind == "hold_notify"
            elif kind == "ct_complete":
                new, name = party(facility.get("remote")), facility.get("remote_name")
                # Whoever held this call is gone, where it is another one from now on.
                self.held = self.held and not new
                self.remote = {**(new or self.remote), "dn": name} if isinstance(name, str) else new or self.remote
