"""The media of simulated phones: offers, answers, and who hears whom.

No RTP flows. Two calls hear each other when each has the other's media description, which is what the signals in between
are there for: whoever loses or changes a description on the way, makes them deaf. Knows nothing of the states of calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import signals
from .signals import Signal

if TYPE_CHECKING:
    from .call import SimulatedCall
    from .line import Line

DIGITS = frozenset("0123456789*#ABCD")
"""The DTMF digits (ITU-T Q.23)."""


def check_digits(digits: Any) -> None:
    """Raise UsageError for what cannot be pressed."""
    if not isinstance(digits, str) or not digits or not DIGITS.issuperset(digits):
        raise UsageError(f"nobody can press {digits!r}: DTMF digits are 0 to 9, *, # and A to D")


class MediaEnds:
    """The two media descriptions of one call as its phone knows them.

    ``offer`` is the other party's, not yet answered, and ``offered`` the phone's own: where the two have crossed, each counts
    when its answer comes.
    """

    def __init__(self) -> None:
        self.local: Any = None
        self.remote: Any = None
        self.offer: Any = None
        self.offered: Any = None

    def apply(self, sig: Signal, *, to_device: bool) -> None:
        """Take note of what a signal says of the media."""
        command, channels = sig.get("channels_cmd"), sig.get("channels")
        if command == "CLOSE":
            self.local = self.remote = self.offer = self.offered = None
        elif channels is not None and not to_device:
            self.local = channels
            if command == "SELECT":
                self.remote, self.offer = self.offer, None
            else:
                self.offered = channels
        elif channels is not None and command == "SELECT":
            self.remote = channels
            if self.offered is not None:
                self.local, self.offered = self.offered, None
        elif channels is not None:
            self.offer = channels

    def joined_to(self, other: MediaEnds) -> bool:
        """Whether what is said here is heard there, and the other way round."""
        mine, theirs = _guid(self.local), _guid(other.local)
        return mine is not None and theirs is not None and mine == _guid(other.remote) and theirs == _guid(self.remote)


class PhoneMedia:
    """Makes the offers and answers of one phone; ``source`` as in the messages."""

    def __init__(self, hw: str, source: str) -> None:
        self._hw = hw
        self._source = source
        self._count = 0

    def offer(self) -> Signal:
        """Return the fields of an offer."""
        return {"channels_cmd": "PROPOSAL", "channels": signals.offer(*self._seed(), source=self._source)}

    def answer(self, offered: Any) -> Signal:
        """Return the fields of the answer to an offer; none where there is no common coder."""
        channels = signals.answer(offered, *self._seed(), source=self._source)
        return {} if channels is None else {"channels_cmd": "SELECT", "channels": channels}

    def accept(self, call: SimulatedCall, offers: str) -> Signal:
        """Return the media fields of a conn."""
        if call.media.offer is not None:
            return self.answer(call.media.offer)
        # Spec: who is called without an offer makes one; a phone may wait until it is asked.
        return self.offer() if call.media.local is None and offers == "conn" else {}

    def respond(self, sig: Signal, offers: str) -> Signal:
        """Return the media fields that answer a signal of a call that is not ringing here; none where nothing is to be said."""
        command = sig.get("channels_cmd")
        if command == "PROPOSAL":
            return self.answer(sig.get("channels"))
        return self.offer() if command == "REQUEST" and offers != "never" else {}

    def _seed(self) -> tuple[str, int]:
        self._count += 1
        return f"{self._hw}/{self._count}", 16384 + self._count % 16000 * 2


def partner(lines: Iterable[Line], call: SimulatedCall) -> SimulatedCall | None:
    """Return the call at another phone (or this one) that hears this call, or None."""
    others = (other for line in lines for other in line.calls.values() if other is not call)
    return next((other for other in others if call.media.joined_to(other.media)), None)


def _guid(channels: Any) -> str | None:
    guid = channels.get("guid") if isinstance(channels, dict) else None
    return guid if isinstance(guid, str) else None
