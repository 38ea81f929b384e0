"""The numbers and names that can be called, and the devices behind them. Knows nothing of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .line import Line


class Directory:
    """Find devices by what is dialed; ``lines`` may grow. Lives on the actor thread."""

    def __init__(self, lines: Mapping[str, Line]) -> None:
        self._lines = lines

    def find(self, called: Any) -> list[Line]:
        """Return the lines of every phone of the called party (an EP), registered or not: its number decides, else its sip."""
        if not isinstance(called, dict):
            return []
        number, sip = called.get("num"), called.get("sip")
        phones = [(line, line.phone) for line in self._lines.values() if line.phone is not None]
        if number:
            return [line for line, phone in phones if phone.number == number]
        return [line for line, phone in phones if sip and phone.sip == sip]

    def beginning_with(self, digits: str) -> set[str]:
        """Return the numbers that begin with these digits."""
        numbers = {line.phone.number for line in self._lines.values() if line.phone is not None}
        return {number for number in numbers if number.startswith(digits)}
