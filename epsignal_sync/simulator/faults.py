"""Faults of the network: a TCP proxy in front of any PBX, real or simulated, that can be made to fail.

It passes bytes on and does not look into them, so TLS goes through it unchanged. Knows nothing of websockets.
"""

from __future__ import annotations

import socket
from types import TracebackType
from urllib.parse import SplitResult, urlsplit

from ..deadline import is_seconds
from ..errors import ConnectError, UsageError
from .proxy import HOST, Proxy
from .tunnel import Address

PORTS = {"ws": 80, "wss": 443}
CLOSE_TIMEOUT = 2.0
"""Seconds that close() takes at most."""

GARBAGE = b"\xff" * 64
"""The beginning of no websocket frame and of no TLS record, and no UTF-8."""


class Faults:
    """A proxy on a local port, through which an app connects to a PBX, and which can be made to fail.

        with Faults(pbx.url) as faults, eps.connect(faults.url, ...) as client:
            faults.stall()

    ``target``: the ``ws://`` or ``wss://`` URL of the PBX. It listens from the beginning to :meth:`close`, and each
    connection to it makes one to the PBX; where the PBX cannot be reached, it is reset. With ``wss`` the certificate that
    the app sees is the PBX's, and the host in :attr:`url` is localhost if it is in ``target``, else 127.0.0.1: for a PBX on
    another host the app has to pin the certificate.

    A fault concerns all connections, those that are made while it lasts too. Several can be in force at a time, until
    :meth:`heal`. All methods may be called from any thread, and what they do is done when they return; they block only for a
    moment, and raise ReplyTimeout after 5 s, ClosedError after :meth:`close`. The constructor looks up the host, which may
    block as long as the resolver does; it raises UsageError for a URL that cannot be, ConnectError for an unknown host.
    """

    def __init__(self, target: str) -> None:
        parts, port = _parse(target)
        self._proxy = Proxy(_look_up(str(parts.hostname), port))
        host = "localhost" if parts.hostname == "localhost" else HOST
        self._url = parts._replace(netloc=f"{host}:{self._proxy.port}").geturl()

    def __enter__(self) -> Faults:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address for the app: that of the PBX, with the proxy's host and port. Does not block."""
        return self._url

    @property
    def connections(self) -> int:
        """How many connections go through the proxy. Does not block."""
        return len(self._proxy.tunnels)

    def drop(self) -> None:
        """End all connections at once, in both directions, by a reset; new ones can be made."""
        self._proxy.run(self._proxy.end_tunnels)

    def stall(self) -> None:
        """Pass nothing on in both directions, and read no more: connections stay open, nothing is lost, :meth:`resume` goes on."""
        self._proxy.run(lambda: setattr(self._proxy.weather, "stalled", True))

    def resume(self) -> None:
        """Go on after :meth:`stall`."""
        self._proxy.run(lambda: setattr(self._proxy.weather, "stalled", False))

    def swallow(self) -> None:
        """Take everything in both directions and pass nothing on, not even that an end has closed: a half-open link.

        What is swallowed is lost, so :meth:`heal` resets the connections that it was on.
        """

        def swallow() -> None:
            self._proxy.weather.swallowing = True
            for tunnel in self._proxy.tunnels:
                tunnel.lose()

        self._proxy.run(swallow)

    def delay(self, seconds: float) -> None:
        """Pass everything on that much later, in each direction and in order; 0 for at once. Raises UsageError for what is no such time."""
        if not is_seconds(seconds) or not 0 <= seconds < float("inf"):
            raise UsageError(f"a delay is a number of seconds, 0 or more, not {seconds!r:.80}")
        self._proxy.run(lambda: setattr(self._proxy.weather, "delay", float(seconds)))

    def garbage(self, data: bytes | None = None) -> None:
        """Put bytes into the stream of each connection towards the client, behind what it was sent so far.

        The default is no websocket frame, no TLS record and no UTF-8. In the middle of a message it becomes part of that
        first; where the PBX has ended the stream already, it is left as it is. Raises UsageError for what is no bytes, or empty.
        """
        rubbish = GARBAGE if data is None else data
        if not isinstance(rubbish, bytes) or not rubbish:
            raise UsageError(f"garbage is bytes, at least one, not {data!r:.80}")

        def insert() -> None:
            for tunnel in self._proxy.tunnels:
                if not self._proxy.weather.swallowing and not tunnel.down.ended:
                    tunnel.down.put(rubbish, 0.0)

        self._proxy.run(insert)

    def refuse(self) -> None:
        """Let nobody connect, as if nobody listened; the connections that there are go on."""
        self._proxy.run(self._proxy.refuse)

    def heal(self) -> None:
        """End all faults: what was held up goes on, and connections of which something was swallowed are reset."""

        def heal() -> None:
            self._proxy.weather.stalled = self._proxy.weather.swallowing = False
            self._proxy.weather.delay = 0.0
            self._proxy.accept_again()
            for tunnel in list(self._proxy.tunnels):
                if tunnel.holed:
                    self._proxy.end_tunnel(tunnel)
                tunnel.up.hasten()
                tunnel.down.hasten()

        self._proxy.run(heal)

    def close(self) -> None:
        """Reset all connections, listen no more and end the thread. Idempotent; blocks for at most 2 s."""
        self._proxy.close(CLOSE_TIMEOUT)


def _parse(target: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(target)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, TypeError, AttributeError, KeyError):
        parts, port = SplitResult("", "", "", "", ""), 0
    if not parts.hostname:
        # Not shown: it may hold a secret.
        raise UsageError("the target of Faults is no URL of a PBX: pass one such as wss://pbx.example.com/PBX0/APPS/websocket")
    return parts, port


def _look_up(host: str, port: int) -> list[Address]:
    try:
        return [(entry[0], entry[4]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise ConnectError(f"the host {host} is not known ({error}): check the target of Faults") from None
