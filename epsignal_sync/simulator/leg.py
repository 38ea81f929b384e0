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
        line.legs[id] = self

    @property
    def of_app(self) -> bool:
        """Whether an app started this call, so that the device knows nothing of it."""
        return is_app_id(self.id)

    def send(self, sig: Signal) -> None:
        """Send a signal towards the device, or to the app whose call it is."""
        self.state = signals.next_state(self.state, sig, to_device=True)
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

    def remove(self) -> list[Leg]:
        """Forget the leg; returns the peers that are on their own from then on."""
        self.set_timer(None)
        self.line.forget_leg(self.id)
        return self.leave()

    def info(self) -> dict[str, Any]:
        """Return what a Sync says of this call."""
        return {"channel": self.channel, "in": self.incoming, "state": self.state, "remote": self.remote}
