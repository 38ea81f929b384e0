"""What the simulated PBX does where the documentation leaves it open, and where a real one can be awkward.

Knows the choices, and nothing of how they are carried out.
"""

from __future__ import annotations

from typing import Any

from ..errors import UsageError

CHOICES = {
    "unknown_hw": ("error", "silent", "accepted"),
    "login_refusal": ("answer", "close"),
    "second_attach": ("replacing", "refused", "chaining"),
    "calls_without_app": ("kept", "released"),
}
AFTERWARDS = ("kept", "lost", "renumbered")
"""What can become of calls when their phone registers again: see :meth:`SimulatedPBX.restart`."""


def check_afterwards(calls: str) -> None:
    """Raise UsageError for what cannot become of calls."""
    if calls not in AFTERWARDS:
        raise UsageError(f"calls cannot be {calls!r} afterwards: use one of {', '.join(AFTERWARDS)}")


class Behaviour:
    """Attributes that may be set at any time, from any thread; UsageError for a value that is none of the choices."""

    unknown_hw: str = "error"
    """What an Attach to an unknown device gets: "error", "silent" (no answer) or "accepted" (a good answer, but it is never attached)."""
    login_refusal: str = "answer"
    """How a login is refused: "answer" or "close"."""
    second_attach: str = "replacing"
    """What an Attach gets while an app of another connection is attached to the device: "replacing" (the newer app takes its
    place, and it is not told), "refused" (an AttachResult with ``err``), "chaining" (both are in the path, the newer one next to
    the device, and every signal goes through both, those of their own calls too: these must have different ids)."""
    calls_without_app: str = "kept"
    """What becomes of the telephone calls of a device when the connection of an app in its path ends: "kept", or "released" with
    cause 41. Calls that the app started always end so."""
    late_facilities: bool = False
    """Whether the PBX and the phones send a facility right behind each rel that ends a call of theirs, as happens on real lines."""
    without_src: bool = False
    """Whether the EpSignal messages to an app lack ``src``, its AttachResult included. What an app then sends without it belongs to
    the only device attached through its connection; where there are several, nobody can tell, and it is ignored."""

    def __setattr__(self, name: str, value: Any) -> None:
        choices = CHOICES.get(name)
        if choices is not None and value not in choices:
            raise UsageError(f"{name} cannot be {value!r}: use one of {', '.join(choices)}")
        super().__setattr__(name, value)
