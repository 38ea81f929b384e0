"""The far end of a call of the app, as a bridge needs it: what it says, and how something is said to it.

Made with each telephone call of the app, since a bridge needs the media that were offered before it was there. Knows
nothing of the other leg.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .errors import EpSignalError, UsageError
from .messages import Rel
from .messages.record import received as record_of
from .protocol.call_record import JSONObject
from .protocol.codec import signal_class
from .protocol.jsontext import UNCERTAIN_NUMBER, loads_exact
from .relay.deliveries import Received

if TYPE_CHECKING:
    from .call import Call


class Joint(Protocol):
    """What hears of a leg, on the link thread of its connection: it must not block."""

    def _heard(self, leg: Leg, sig: JSONObject) -> None:
        """Take a signal of the far end."""

    def _over(self, leg: Leg) -> None:
        """The call is over."""

    def _unknown(self, leg: Leg) -> None:
        """Nothing is known of the call any more."""


class Leg:
    """A telephone call of the app. ``setup``: the JSON object of its setup. A listener of the Call."""

    def __init__(self, call: Call, setup: JSONObject) -> None:
        self.call = call
        self.setup = setup
        self.joint: Joint | None = None
        """What it is joined to."""
        self._media: Received | None = None
        """The last message with media, of before it was joined."""
        self._rel: Rel | None = None

    def join(self, joint: Joint) -> JSONObject | None:
        """Join it: what is heard from now on goes there. Returns the last signal with media of before. Any thread."""
        with self.call._registry.lock:
            self.joint, heard, self._media = joint, self._media, None
        return None if heard is None else _exactly(heard)

    # ------------------------------------------------------------ what is heard, on the link thread

    def hear(self, received: Received) -> None:
        """Take a message of the call."""
        data = received.data
        sig = data.get("sig")
        if data.get("mt") != "Signaling" or (data.get("to") is True) is self.call._far_end or not isinstance(sig, dict):
            return
        with self.call._registry.lock:
            joint = self.joint
            if joint is None and sig.get("channels_cmd") is not None:
                self._media = received
        if joint is not None:
            joint._heard(self, _exactly(received))

    def over(self) -> None:
        """The call is over."""
        if self.joint is not None:
            self.joint._over(self)

    def interrupted(self, error: Callable[[], EpSignalError]) -> None:
        """Nothing is known of the call any more."""
        if self.joint is not None:
            self.joint._unknown(self)

    # ------------------------------------------------------------ what is said; does not wait, any thread

    def pass_on(self, sig: JSONObject) -> bool:
        """Queue a signal, untouched; returns whether that could be."""
        try:
            self.call._queue_at_once(self.call._far_end, record_of(signal_class(sig), sig))
        except UsageError as error:
            self.call.device._connection.intake._postbox.put_note(logging.WARNING, f"a signal did not pass to {self.call._name}: {error}")
            return False
        except EpSignalError:
            return False  # its end is on the way
        return True

    def release(self, rel: Rel) -> None:
        """End the call, unless it is over or somebody has."""
        self._rel = rel
        self.catch_up()

    def catch_up(self) -> bool:
        """Send the rel that another one, which could not be sent, was in the way of; returns whether this did."""
        try:
            return self._rel is not None and self.call._release_at_once(self._rel)
        except EpSignalError:
            return False  # the connection has ended, and the call with it

    def after(self, seconds: float, job: Callable[[], None]) -> None:
        """Have a job done later on its link thread. On another thread something has to be sent after this, which wakes it."""
        self.call.device._connection.intake.timers.at(time.monotonic() + seconds, lambda now: job())


def _exactly(received: Received) -> JSONObject:
    """Return the signal of a message with every number as it stands in the text: it goes on."""
    sig: JSONObject = received.data["sig"]
    if UNCERTAIN_NUMBER.search(received.text):
        try:
            sig = loads_exact(received.text)["sig"]
        except ValueError:
            pass  # too deep for the exact reading
    return sig
