"""Which messages the application wants to be asked about before they go on: plain data, and what it means for a message.

Pure. Knows nothing of who is asked, nor of what becomes of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen

LONGEST_DEADLINE = 2.0
"""Seconds that a message waits for the application at the most, whatever an interceptor asks for."""


@frozen
class Names:
    """A set of wire names, or everything but a set."""

    names: frozenset[str]
    all_but: bool = False

    def match(self, name: Any) -> bool:
        """Whether a name is meant; a received one may be any JSON value."""
        return (isinstance(name, str) and name in self.names) is not self.all_but


@frozen(kw_only=True)
class Rule:
    """What one interceptor wants to be asked about; a message has to fit everything that is not None.

    ``signals``: types of signals. ``facilities``: types of facilities, of which the signal has one at least.
    ``to_device``: direction. ``call``: id. ``deadline``: seconds that the message may be kept for the answer.
    """

    signals: Names | None = None
    facilities: Names | None = None
    to_device: bool | None = None
    call: int | None = None
    deadline: float

    def match(self, call: Any, to_device: bool, sig: dict[str, Any]) -> bool:
        """Whether a message is meant."""
        if self.to_device is not None and self.to_device is not to_device:
            return False
        if self.call is not None and (type(call) is not int or call != self.call):
            return False
        if self.signals is not None and not self.signals.match(sig.get("type")):
            return False
        facilities = sig.get("fty")
        return self.facilities is None or any(
            self.facilities.match(one.get("type") if isinstance(one, dict) else None)  # no object: an unknown facility
            for one in (facilities if isinstance(facilities, list) else ())
        )


def deadline_for(rules: Iterable[Rule], call: Any, to_device: bool, sig: Any) -> float | None:
    """Return the seconds that a message may be kept, the largest of all that fit; None where nobody wants to be asked."""
    if not isinstance(sig, dict):
        return None
    found = [rule.deadline for rule in rules if rule.match(call, to_device, sig)]
    return min(max(found), LONGEST_DEADLINE) if found else None
