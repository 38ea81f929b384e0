"""One call as its phone sees it. Knows nothing of the PBX or of the other phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ReplyTimeout, UsageError
from .actor import Timer
from .signals import CALL_STATES, Signal, cause_of, name_of, next_state

if TYPE_CHECKING:
    from .phone import SimulatedPhone

WAIT_TIMEOUT = 10.0
"""Seconds that the waiting methods of the simulator take at most unless told otherwise: more than a loaded machine stalls for."""


def check_states(states: tuple[str, ...]) -> None:
    """Raise UsageError for what is no CallState."""
    for state in states:
        if state not in CALL_STATES:
            raise UsageError(f"{state!r} is no call state: use one of {', '.join(CALL_STATES)}")


class SimulatedCall:
    """A call at a simulated phone.

    ``phone``: its phone. ``id``: the call id on that device, negative where an app alone calls. ``incoming``: whether it came to the phone.
    ``channel``: -1 with media, 0 without. ``state``: the CallState as seen from the phone, "null" when it is over.
    ``cause``: the first cause value that was sent or received, or None. ``remote``: ``num``, ``sip`` and ``dn`` of
    the other party as far as they are known. All may be read from any thread.
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
        self.offer: Any = None
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
        state = next_state(self.state, sig, to_device=to_device)
        if state != self.state or not self.reached:
            self.state = state
            self.reached = (*self.reached, state)
            self.phone.state_changed(self, state)
