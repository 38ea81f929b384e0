"""The signaling path of one device: the phone at one end, the PBX at the other, and the attached app between them.

Everything that the two ends say to each other passes through here, so who gets it is decided here and nowhere else.
Knows nothing of what the signals mean.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .actor import Actor
from .log import MessageLog
from .signals import Signal

if TYPE_CHECKING:
    from .call import SimulatedCall
    from .connection import Attachment
    from .exchange import Leg
    from .phone import SimulatedPhone

Receiver = Callable[[Any, Signal], None]


def _nobody(call: Any, sig: Signal) -> None:
    """Take a signal for an end that is not there."""


class Line:
    """One device's path and its table of calls, as either end knows them; lives on the actor thread.

    ``calls``: what the phone has; ``legs``: what the PBX has. ``rest`` is the time in seconds for which an id whose
    rel is still on its way through an app is not given to a new call.
    """

    def __init__(self, hw: str, actor: Actor, log: MessageLog, *, rest: float) -> None:
        self.hw = hw
        self.phone: SimulatedPhone | None = None
        self.attachment: Attachment | None = None
        self.calls: dict[int, SimulatedCall] = {}
        self.legs: dict[int, Leg] = {}
        self.to_phone: Receiver = _nobody
        self.to_pbx: Receiver = _nobody
        self._actor = actor
        self._log = log
        self._rest = rest
        self._resting: dict[tuple[int, bool], float] = {}

    @property
    def registered(self) -> bool:
        """Whether the device is registered at the PBX."""
        return self.phone is not None and self.phone.registered

    def attach(self, attachment: Attachment) -> None:
        """Put an app into the path."""
        # Spec: what a second Attach to a device does is not documented; here the newer one takes the older one's place.
        self.attachment = attachment

    def detach(self, attachment: Attachment) -> None:
        """Take an app out of the path, if it is in it; calls go on, and signals go straight."""
        # Spec: nor is what becomes of the calls when the app's connection dies. What the app had in hand is lost.
        if self.attachment is attachment:
            self.attachment = None
            self._resting.clear()

    def new_id(self) -> int:
        """Return the smallest call id that neither end uses."""
        now = time.monotonic()
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        used = {*self.calls, *self.legs, *(call for call, _ in self._resting)}
        return next(call for call in itertools.count(1) if call not in used)

    def call(self, call: Any) -> SimulatedCall | None:
        """Return the phone's call with this id, or None; ``call`` may be any JSON value."""
        return self.calls.get(call) if type(call) is int else None

    def leg(self, call: Any) -> Leg | None:
        """Return the PBX's leg with this id, or None; ``call`` may be any JSON value."""
        return self.legs.get(call) if type(call) is int else None

    def from_phone(self, call: Any, sig: Signal) -> None:
        """Carry what the phone says towards the PBX."""
        self._carry(call, sig, to_device=False)

    def from_pbx(self, call: Any, sig: Signal) -> None:
        """Carry what the PBX says towards the phone."""
        self._carry(call, sig, to_device=True)

    def from_app(self, call: Any, sig: Signal, *, to_device: bool) -> None:
        """Carry on what the app in the path sent."""
        if sig.get("type") == "rel" and type(call) is int:
            self._resting.pop((call, to_device), None)
        self._arrive(call, sig, to_device=to_device)

    def _carry(self, call: Any, sig: Signal, *, to_device: bool) -> None:
        self._log.add("from-pbx" if to_device else "from-phone", device=self.hw, message={"call": call, "sig": sig})
        if self.attachment is None:
            # Not at once: the sender first finishes what it is at.
            self._actor.soon(lambda: self._arrive(call, sig, to_device=to_device))
            return
        if sig.get("type") == "rel" and type(call) is int:
            self._resting[call, to_device] = time.monotonic() + self._rest
        self.attachment.send("Signaling", **({"to": True} if to_device else {}), call=call, sig=sig)

    def _arrive(self, call: Any, sig: Signal, *, to_device: bool) -> None:
        self._log.add("to-phone" if to_device else "to-pbx", device=self.hw, message={"call": call, "sig": sig})
        (self.to_phone if to_device else self.to_pbx)(call, sig)
