"""Moving to a standby PBX: where all devices have been detached for long, they may have registered at another one.

The present connection is left only when another PBX has accepted the login. Runs on the link thread, but for the login
at the other one, which has a thread of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from .intake import ConnectionState
from .protocol.lanes import Held
from .protocol.session import Session
from .relay.deliveries import Delivery, LinkDown, LinkUp
from .relay.endpoint import Endpoint
from .relay.link import Link

if TYPE_CHECKING:
    from .connection import Connection


class Standby:
    """Watches the devices of one connection. ``seconds``: how long none may be attached; None: for ever."""

    def __init__(self, connection: Connection, seconds: float | None) -> None:
        self._connection = connection
        self._seconds = seconds if len(connection.settings.endpoints) > 1 else None
        self._try_at: float | None = None
        self._tried = 0
        self.probe: Link | None = None
        """The login at another PBX, while there is one."""

    def look(self, now: float) -> None:
        """Look whether the devices are attached; called whenever that may have changed."""
        if self._seconds is None:
            return
        intake = self._connection.intake
        devices = intake.devices
        if intake.state is not ConnectionState.CONNECTED or any(one.attached for one in devices) or not devices:
            self._try_at = None
            probe = self.probe
            if probe is not None:
                probe.end()  # there is no reason to move any more
        elif self._try_at is None:
            self._tried = 0
            self._wait(now)

    def close(self, timeout: float) -> None:
        """End a login that goes on; waits at most ``timeout`` seconds. Any thread, after the end of the link thread."""
        probe = self.probe
        if probe is not None:
            probe.end()
            probe.join(timeout)

    def _wait(self, now: float) -> None:
        assert self._seconds is not None  # somebody has looked
        self._try_at = now + self._seconds
        self._connection.intake.timers.at(self._try_at, self._try)

    def _try(self, now: float) -> None:
        if self._try_at is None or now < self._try_at:
            return
        self._wait(now)  # for the one after this
        others = [one for one in self._connection.settings.endpoints if one.address != self._connection.intake.address]
        if self.probe is not None or not others:
            return
        endpoint = others[self._tried % len(others)]
        self._tried += 1
        self._log_in(endpoint)

    def _log_in(self, endpoint: Endpoint) -> None:
        connection = self._connection
        settings = evolve(connection.settings, endpoints=(endpoint,), reconnect=False)
        session = Session(connection.session.credentials, api=connection.session.api)

        def deliver(batch: list[Delivery], now: float) -> None:
            for one in batch:
                if isinstance(one, LinkUp):
                    if self._try_at is not None:
                        connection.link.move(endpoint)
                    probe.end()
                elif isinstance(one, LinkDown):
                    self.probe = None

        try:
            probe = self.probe = Link(settings, session, deliver, _nothing_to_ask)
            probe.start()
        except (OSError, RuntimeError):  # no socket or thread can be had now: the next time, perhaps
            self.probe = None


def _nothing_to_ask(held: Held) -> None:
    """Stand where an application would be asked: no device is attached through this connection."""
