"""The parties of a call, and how their numbers are written. Knows nothing of the messages that name them."""

from __future__ import annotations

from attrs import field, frozen

from ..errors import UsageError
from .record import ADDITION, HEX, NOT_EMPTY, Record, WireEnum


class NumberType(WireEnum):
    """The type of a number, as its prefix on the wire."""

    UNKNOWN = ""
    """No prefix: as it would be dialed."""
    SUBSCRIBER = "S"
    """A number within the area."""
    NATIONAL = "N"
    """A number within the country, without the trunk prefix."""
    INTERNATIONAL = "I"
    """A number with its country code."""


@frozen(kw_only=True)
class Number:
    """A number taken apart: its digits, its type, and whether its presentation is restricted.

    Raises UsageError for digits that are none. ``str()`` gives it as it stands in ``EP.num``.
    """

    digits: str = field()
    """Digits, ``*`` and ``#``."""
    type: NumberType = NumberType.UNKNOWN
    """What the digits are to be understood as."""
    restricted: bool = False
    """True: it is not to be shown to the other party."""

    @digits.validator
    def _check_digits(self, _: object, value: object) -> None:
        if not isinstance(value, str) or value.strip("0123456789*#"):
            raise UsageError(f"Number.digits cannot be {value!r}: it takes digits, * and #; see Number.parse() for prefixes")

    @classmethod
    def parse(cls, text: str) -> Number:
        """Take a number as it stands in ``EP.num`` apart. Raises UsageError for anything but prefixes and digits."""
        rest = text
        restricted = False
        kind = NumberType.UNKNOWN
        # Spec: the order of the prefixes is not documented; both are taken, R first is sent.
        while rest[:1] in ("R", "S", "N", "I"):
            prefix, rest = rest[0], rest[1:]
            if (prefix == "R" and restricted) or (prefix != "R" and kind is not NumberType.UNKNOWN):
                raise UsageError(f"{text!r} is no number: it has the prefix {prefix} or another type of number twice")
            if prefix == "R":
                restricted = True
            else:
                kind = NumberType(prefix)
        if rest.strip("0123456789*#"):
            raise UsageError(f"{text!r} is no number: after the prefixes R, S, N, I there may be digits, * and # only")
        return cls(digits=rest, type=kind, restricted=restricted)

    def __str__(self) -> str:
        """The number as it stands in ``EP.num``."""
        return f"{'R' if self.restricted else ''}{self.type.value}{self.digits}"


@frozen(kw_only=True, repr=False, eq=False)
class EP(Record):
    """An endpoint: the calling or the called party."""

    num: str | None = field(default=None, metadata=NOT_EMPTY)
    """Digits, ``*`` and ``#``, with the prefixes R (presentation restricted), S (subscriber), N (national), I
    (international). See Number."""
    sip: str | None = None
    """SIP name; only the user part inside the local domain."""
    flags: str | None = field(default=None, metadata=ADDITION)
    """Not documented."""
    guid: str | None = field(default=None, metadata={**HEX, **ADDITION})
    """GUID of the user, hex."""
