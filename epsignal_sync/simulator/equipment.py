"""Puts the supplementary services of the simulated PBX together. Knows which there are, and nothing of what they do."""

from __future__ import annotations

from collections.abc import Mapping

from .actor import Actor
from .directory import Directory
from .exchange import Exchange
from .line import Line
from .supplementary import Services
from .supplementary_dialogs import Dialogs
from .supplementary_diversion import Diversions
from .supplementary_messages import InstantMessages, MessageWaiting
from .supplementary_park import Parking
from .supplementary_presence import Presence
from .supplementary_transfer import Transfers


class Equipment:
    """The services of one PBX; ``diversions`` and ``dialogs`` are those that others than calls talk to."""

    def __init__(
        self, exchange: Exchange, actor: Actor, directory: Directory, services: Services, lines: Mapping[str, Line], *,
        no_answer_timeout: float, diversion_timeout: float,
    ) -> None:  # fmt: skip
        Presence(actor, directory, services)
        MessageWaiting(directory, services, exchange.tell)
        InstantMessages(services, exchange.ring)
        Transfers(exchange, directory, services)
        self.diversions = Diversions(exchange, directory, services, no_answer_after=diversion_timeout, ring_time=no_answer_timeout)
        self.dialogs = Dialogs(actor, directory, services, lines, Parking(exchange, actor, directory, services, lines))
