"""What a simulated phone can do in a call and beside it: hold, digits, what others ask it for. The base of SimulatedPhone.

Knows its own calls and what they are told; how calls begin and end is the phone's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ReplyTimeout, UsageError
from . import signals
from .answers import AT_PHONE, SILENT, Answers
from .call import WAIT_TIMEOUT, SimulatedCall, check_count
from .phone_media import PhoneMedia, check_digits
from .remote_control import obey
from .signals import Signal

if TYPE_CHECKING:
    from .actor import Actor
    from .line import Line

T = TypeVar("T")
FacilityHandler = Callable[[SimulatedCall, dict[str, Any]], None]

OFFERS = ("conn", "request", "never")
KEPT = 200
"""How many facilities, remote controls and instant messages a phone remembers."""


class PhoneFeatures:
    """The features of :class:`SimulatedPhone`, which is what to use. All methods may be called from any thread.

    ``remote_controls``: what remote control asked for, as (call id, control, digit), done or not. ``switches``: what it
    switched, for example ``{"microphone": False, "audio": "HEADSET", "app": "DIR"}``. ``facilities``: what came in
    facilities, as (call, facility), in whichever call; the newest are last.
    """

    _line: Line
    _actor: Actor

    def __init__(self, media: PhoneMedia, heard_by: Callable[[SimulatedCall], SimulatedCall | None]) -> None:
        self.answers = Answers(AT_PHONE)
        """What it answers where it is asked for something."""
        self.hold_by_media = False
        """True: holding is a new media offer and nothing else, as with SIP, so no facility tells of it."""
        self.early_media = False
        """True: the answer to a media offer comes with alert already."""
        self.remote_controls: tuple[tuple[int, str, str | None], ...] = ()
        self.switches: dict[str, Any] = {}
        self.facilities: tuple[tuple[SimulatedCall, dict[str, Any]], ...] = ()
        self._media = media
        self._media_offers = "conn"
        self._heard_by = heard_by
        self._handlers: dict[str, FacilityHandler] = {
            "innovaphone_remote_control": lambda call, facility: obey(self, call, facility),
            "remote_hold": lambda call, facility: self._asked_to_hold(call, True),
            "remote_retrieve": lambda call, facility: self._asked_to_hold(call, False),
        }

    @property
    def media_offers(self) -> str:
        """When the phone makes an offer in a call that came without one: "conn" (with it), "request" (when asked), "never"."""
        return self._media_offers

    @media_offers.setter
    def media_offers(self, choice: str) -> None:
        if choice not in OFFERS:
            raise UsageError(f"media_offers cannot be {choice!r}: use one of {', '.join(OFFERS)}")
        self._media_offers = choice

    # ------------------------------------------------------- what a person does

    def hold(self, call: SimulatedCall | None = None) -> None:
        """Put the newest connected call, or the one given, on hold; raises UsageError if it is not connected, or on hold already."""

        def hold() -> None:
            chosen = self._connected(call, "put on hold")
            if not self.put_on_hold(chosen):
                raise UsageError(f"{chosen!r} is on hold already: use retrieve()")

        self._actor.run(hold)

    def retrieve(self, call: SimulatedCall | None = None) -> None:
        """Take the newest connected call, or the one given, off hold; raises UsageError if it is not on hold."""

        def retrieve() -> None:
            chosen = self._connected(call, "retrieve")
            if not self.take_back(chosen):
                raise UsageError(f"{chosen!r} is not on hold: use hold() first")

        self._actor.run(retrieve)

    def press(self, digits: str, call: SimulatedCall | None = None) -> None:
        """Press DTMF digits (0 to 9, ``*``, ``#``, A to D) in the newest connected call, or the one given.

        They travel with the media: whoever has this call's media hears them (``SimulatedCall.digits``), unless a party has
        the call on hold. Raises UsageError for other digits, or if the call is not connected.
        """
        check_digits(digits)

        def press() -> None:
            chosen = self._connected(call, "press digits in")
            for digit in digits:
                self.sound(chosen, digit)

        self._actor.run(press)

    def offer_media(self, call: SimulatedCall | None = None) -> None:
        """Send a new media offer in the newest connected call, or the one given; raises UsageError if it is not connected."""
        self._actor.run(lambda: self._send_media(self._connected(call, "offer media in"), self._media.offer()))

    def wait_facility(self, name: str, *, count: int = 1, timeout: float = WAIT_TIMEOUT) -> dict[str, Any]:
        """Wait for a facility of that name in whichever call, and return it: the first, or the ``count``-th that came so far.

        Blocks for at most ``timeout`` seconds, then raises ReplyTimeout. :meth:`SimulatedCall.wait_facility` waits for
        that of one call.
        """
        check_count(count)

        def look() -> dict[str, Any] | None:
            found = [facility for _, facility in self.facilities if facility.get("type") == name]
            return found[count - 1] if len(found) >= count else None

        found = self.wait_until(look, timeout)
        if found is None:
            raise ReplyTimeout(f"{self!r} did not get facility {name} {count} times within {timeout:g} s; see pbx.log for what was said")
        return found

    def wait_until(self, look: Callable[[], T | None], timeout: float | None) -> T | None:
        """Return the first true result of ``look``, which runs on the calling thread after each change, or None."""
        raise NotImplementedError

    # ----------------------------------------- on the actor thread, the simulator's own

    def accept(self, call: SimulatedCall) -> None:
        """Answer a ringing call."""
        self._send(call, {"type": "conn", "channel": call.channel, **self._media.accept(call, self.media_offers)})

    def put_on_hold(self, call: SimulatedCall) -> bool:
        """Put a call on hold, and tell; False where that cannot be."""
        if call.on_hold or call.state != "connected":
            return False
        call.on_hold = True
        self._tell_hold(call, "hold_notify")
        return True

    def take_back(self, call: SimulatedCall) -> bool:
        """Take a call off hold, and tell; False where that cannot be."""
        if not call.on_hold or call.state != "connected":
            return False
        call.on_hold = False
        self._tell_hold(call, "retrieve_notify")
        return True

    def sound(self, call: SimulatedCall, digit: str) -> None:
        """Have whoever hears this call hear a DTMF digit."""
        other = self._heard_by(call)
        if other is not None and not call.on_hold and not other.on_hold:
            other.digits += digit

    def switch(self, name: str, value: Any) -> None:
        """Set one of ``switches``."""
        self.switches = {**self.switches, name: value}

    def take_facilities(self, call: SimulatedCall, sig: Signal) -> None:
        """Take note of what came in the facilities of a signal, and do what they ask for."""
        for facility in signals.facilities(sig):
            name = facility.get("type") if isinstance(facility, dict) else None
            if not isinstance(name, str):
                continue
            call.facilities = (*call.facilities[-KEPT:], facility)
            self.facilities = (*self.facilities[-KEPT:], (call, facility))
            handler = self._handlers.get(name)
            if handler is not None:
                handler(call, facility)

    def take_media(self, call: SimulatedCall, sig: Signal) -> None:
        """Answer what a signal says of the media, in a call that does not ring here."""
        if not (call.incoming and "connected" not in call.reached):
            self._send_media(call, self._media.respond(sig, self.media_offers))

    def _asked_to_hold(self, call: SimulatedCall, on_hold: bool) -> None:
        name = "remote_hold" if on_hold else "remote_retrieve"
        if self.answers.get(name) != SILENT and call.state == "connected":
            # Spec: the result alone answers remote_hold; whether the one who is asked tells it by a notice too is not documented.
            call.on_hold = on_hold
            self._send(call, signals.facility(f"{name}_result"))

    def _tell_hold(self, call: SimulatedCall, name: str) -> None:
        if self.hold_by_media:
            self._send_media(call, self._media.offer())
        else:
            self._send(call, signals.facility(name))

    def _send_media(self, call: SimulatedCall, fields: Signal) -> None:
        if fields:
            self._send(call, {"type": "channels", "channel": call.channel, **fields})

    def _connected(self, call: SimulatedCall | None, verb: str) -> SimulatedCall:
        calls = [each for each in self._line.calls.values() if each.channel != 0 and each.state == "connected"]
        for each in reversed(calls):
            if call is None or call is each:
                return each
        raise UsageError(f"{self!r} has no connected call to {verb}: use wait('connected') first")

    def _send(self, call: SimulatedCall, sig: Signal) -> None:
        raise NotImplementedError
