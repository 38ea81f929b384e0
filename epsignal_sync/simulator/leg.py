"""One device's, or one app's, part of a call as the PBX sees it. Decides nothing: the exchange does. Lives on the actor thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import signals
from .actor import Timer
from .line import Line, is_app_id
from .signals import Signal

if TYPE_CHECKING:
    from .phone import SimulatedPhone


class Leg:
    """A leg of a call; ``state`` is as seen from the device.

    ``phone``: the device, or the one on whose behalf an app calls. ``peers``: the other legs of the call; more than
    one only at a caller, while the phones of a user ring.
    """

    def __init__(self, phone: SimulatedPhone, line: Line, id: int, *, incoming: bool, channel: Any, remote: dict[str, Any]) -> None:
        self.phone = phone
        self.line = line
        self.id = id
        self.incoming = incoming
        self.channel = channel
        self.remote = remote
        self.state = "null"
        self.peers: list[Leg] = []
        self.timer: Timer | None = None
        self.clearing = False
        """Whether a disc was sent and its rel has not come yet."""
        self.dialing: Signal | None = None
        """The setup, with the digits so far, while more of them may come."""
        self.setup: Signal = {}
        """The setup with which the call began, all digits included."""
        self.call_id = ""
        """The H.323 call id, hex; the same at both ends."""
        self.on_hold = self.held = False
        self.tells: list[Signal] = []
        """Facilities for the caller, to go with the next alert or conn."""
        self.diverted_by: list[SimulatedPhone] = []
        """Those who diverted the call that this leg makes, the first one first."""
        self.picked = False
        """Whether this leg picks up a call that rings elsewhere."""
        line.legs[id] = self

    @property
    def of_app(self) -> bool:
        """Whether an app started this call, so that the device knows nothing of it."""
        return is_app_id(self.id)

    @property
    def alive(self) -> bool:
        """Whether the PBX still has this leg."""
        return self.line.leg(self.id) is self

    @property
    def party(self) -> Signal:
        """The EP of this end."""
        return {"num": self.phone.number, "sip": self.phone.sip}

    def note(self, sig: Signal, *, to_device: bool) -> None:
        """Take note of a signal to or from the device."""
        self.state = signals.next_state(self.state, sig, to_device=to_device)
        for name, on in (("hold_notify", True), ("retrieve_notify", False)):
            if signals.has_facility(sig, name):
                if to_device:
                    self.held = on
                else:
                    self.on_hold = on
        self.line.leg_changed()

    def send(self, sig: Signal) -> None:
        """Send a signal towards the device, or to the app whose call it is."""
        self.note(sig, to_device=True)
        self.line.from_pbx(self.id, sig)
        if sig.get("type") == "rel":
            self.line.released(self.id, to_device=True)

    def set_timer(self, timer: Timer | None) -> None:
        """Replace the leg's timer; None only stops it."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer

    def join(self, other: Leg) -> None:
        """Make two legs peers."""
        self.peers.append(other)
        other.peers.append(self)

    def leave(self) -> list[Leg]:
        """Part from all peers; returns those that have no other."""
        peers, self.peers = self.peers, []
        for peer in peers:
            peer.peers.remove(self)
        return [peer for peer in peers if not peer.peers]

    def end(self, sig: Signal) -> None:
        """End a leg that has no peers, or parted from them, with this rel."""
        self.send(sig)
        self.remove()

    def remove(self) -> list[Leg]:
        """Forget the leg; returns the peers that are on their own from then on."""
        self.set_timer(None)
        self.line.forget_leg(self.id)
        self.line.leg_changed()
        return self.leave()

    def info(self) -> dict[str, Any]:
        """Return what a Sync says of this call."""
        return {"channel": self.channel, "in": self.incoming, "state": self.state, "remote": self.remote}
