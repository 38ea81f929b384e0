"""A connection that is opened step by step in order to look at each of them, and used for nothing.

The steps are those of :mod:`.opening`, so that what is said here and what a client meets cannot differ. Knows nothing of how it
is shown, and nothing of the login.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator
from functools import partial

from attrs import frozen

from ..deadline import Deadline
from ..errors import ConnectError, ConnectTimeout
from .endpoint import Endpoint, TLSSettings
from .frames import OPCODE_CLOSE, OPCODE_PING, OPCODE_PONG, FrameReader, ProtocolError, encode_frame, masking_keys
from .opening import LONGEST_FETCH, Address, Opening
from .refusals import error_text, why_refused
from .waiting import TimeIsUp, Waiter
from .wakeup import Wakeup

GREETING_TIME = 2.0
"""Seconds in which a server that speaks first should have begun."""
LONGEST_GREETING = 1024
_PAYLOAD = b"epsignal"
_LARGEST_MESSAGE = 16 * 1024 * 1024


@frozen
class Attempt:
    """One address that was connected to, or not."""

    host: str
    seconds: float
    failure: str | None
    """What follows the address in a sentence on why it failed."""


@frozen
class Handshake:
    """What came of the TLS handshake."""

    version: str
    """Such as TLSv1.3; empty where there was no handshake that went through."""
    certificate: bytes | None
    """As DER; None where the server showed none."""
    refusal: ConnectError | None
    """Why a client with the same settings would not connect."""
    distrust: str | None
    """Why the certificates that the system trusts do not vouch for it, to follow "it"; None: they do."""


class Probe:
    """The steps of one connection, to be called in their order; each takes at most ``timeout`` seconds.

    They block, raise ConnectError (ConnectTimeout in time-outs) and belong to one thread at a time; :meth:`cancel` may be called
    by any, and makes the one that runs raise ClosedError. Raises UsageError for certificate settings with ws://.
    """

    def __init__(self, endpoint: Endpoint, tls: TLSSettings, timeout: float) -> None:
        tls.check_endpoint(endpoint)
        self.endpoint = endpoint
        self._tls = tls
        self._timeout = timeout
        try:
            self._wakeup = Wakeup()
        except OSError as error:
            raise ConnectError(f"no socket can be made ({error_text(error)}): check how many files this process has open") from error
        self._opening = self._new_opening(tls)
        self._addresses: list[Address] = []
        self._address: Address | None = None
        """The first one that could be connected to."""
        self._rest = b""

    def cancel(self) -> None:
        """End the step that runs. Does not block; any thread."""
        self._wakeup.cancel()

    def close(self) -> None:
        """Release the socket, once no step runs."""
        self._opening.close()
        self._wakeup.close()

    def resolve(self) -> list[str]:
        """Return the addresses of the host."""
        with self._step(self._tls) as opening:
            self._addresses = opening.resolve()
        return [str(where[0]) for _, where in self._addresses]

    def connect(self) -> list[Attempt]:
        """Connect to each address, and return what came of that; one of them at least could be connected to."""
        attempts = []
        with self._step(self._tls) as opening:
            for index, address in enumerate(self._addresses):
                began = time.monotonic()
                failure = opening.attempt(address, len(self._addresses) - index)
                attempts.append(Attempt(str(address[1][0]), time.monotonic() - began, failure))
                opening.close()
                if failure is None and self._address is None:
                    self._address = address
            if self._address is None:
                raise opening.unreachable([f"{one.host}{one.failure}" for one in attempts])
        return attempts

    def secure(self) -> Handshake:
        """Make the TLS handshake. A certificate that is refused is no error here: the rest of it is worth a look."""
        version, certificate, refusal = "", None, None
        try:
            with self._step(self._tls) as opening:
                self._reconnect(opening)
            sock = opening.sock
            assert isinstance(sock, ssl.SSLSocket)
            version, certificate = sock.version() or "", sock.getpeercert(binary_form=True)
            distrust = None
        except ConnectTimeout:
            raise
        except ConnectError as error:
            refusal, distrust = error, self._reason(error, self._tls)
            with self._step(self._tls, LONGEST_FETCH) as opening:
                assert self._address is not None
                certificate = opening.fetch_certificate(self._address)
            if certificate is None:
                raise refusal from None
        if self._tls.ca_file or self._tls.fingerprint or not self._tls.verifies:
            distrust = self._distrust_of_system()
        return Handshake(version, certificate, refusal, distrust)

    def upgrade(self) -> None:
        """Open the websocket."""
        if self._opening.sock is None:
            with self._step(self._tls) as opening:
                self._reconnect(opening)
        self._opening.waiter = Waiter(self._wakeup, Deadline(self._timeout))
        with self._told(self._opening):
            self._rest = self._opening.upgrade()

    def round_trip(self) -> float:
        """Return the seconds from a ping to its pong on the websocket."""
        reader, sock = FrameReader(_LARGEST_MESSAGE), self._opening.sock
        assert sock is not None
        waiter = Waiter(self._wakeup, Deadline(self._timeout))
        lost = f"{self.endpoint.address} ended the connection instead of answering a ping: check what the PBX, or a proxy before it, says"
        try:
            began = time.monotonic()
            ping = encode_frame(OPCODE_PING, _PAYLOAD, next(masking_keys()))
            waiter.repeat(sock, partial(sock.send, ping), write=True)
            data = self._rest
            while True:
                for opcode, payload in reader.receive(data):
                    if (opcode, payload) == (OPCODE_PONG, _PAYLOAD):
                        return time.monotonic() - began
                    if opcode == OPCODE_CLOSE:
                        raise ConnectError(lost)
                if waiter.deadline.expired or self._wakeup.cancelled:
                    waiter.wait(None)  # raises: where something has always come already, nothing else waits
                data = waiter.repeat(sock, partial(sock.recv, 65536))
                if not data:
                    raise ConnectError(lost)
        except TimeIsUp:
            raise ConnectTimeout(
                f"{self.endpoint.address} did not answer a ping within {self._timeout:g} s, and a client takes that for the loss of its "
                "connection: check the way to the PBX, and that this is the PBX's AppWebsocket"
            ) from None
        except (OSError, ProtocolError) as error:
            raise ConnectError(f"{lost} ({error_text(error)})") from error

    def greeting(self, *, ask: bool) -> str:
        """Return what the server says without TLS before anybody else, or if ``ask`` then to an HTTP request; "" for silence.

        Raises ClosedError.
        """
        asking = f"GET / HTTP/1.1\r\nHost: {self.endpoint.address}\r\nConnection: close\r\n\r\n".encode("ascii", "replace")
        for request in (b"", asking) if ask else (b"",):
            with contextlib.suppress(ConnectError, OSError), self._step(TLSSettings(verify=False), GREETING_TIME) as opening:
                assert self._address is not None
                if opening.attempt(self._address, 1) is None and opening.sock is not None:
                    sock = opening.sock
                    if request:
                        sock.send(request)
                    received = opening.waiter.repeat(sock, partial(sock.recv, LONGEST_GREETING))
                    if received:
                        return received.decode("utf-8", "replace")
        return ""

    # ------------------------------------------------------------ the parts of it

    def _distrust_of_system(self) -> str | None:
        """Return why the system's certificates do not vouch for the server's, where the settings do not ask them."""
        system = TLSSettings()
        kept = self._opening
        self._opening = self._new_opening(system)
        try:
            with self._step(system, LONGEST_FETCH) as opening:
                self._reconnect(opening)
            return None
        except ConnectError as error:
            return self._reason(error, system) or "could not be asked for once more"
        finally:
            self._opening.close()
            self._opening = kept

    @staticmethod
    def _reason(error: ConnectError, tls: TLSSettings) -> str | None:
        cause = error.__cause__
        return why_refused(cause, tls)[0] if isinstance(cause, ssl.SSLCertVerificationError) else None

    def _reconnect(self, opening: Opening) -> None:
        assert self._address is not None
        address = opening.connect([self._address])
        if self.endpoint.scheme == "wss":
            opening.secure(address)

    def _new_opening(self, tls: TLSSettings, timeout: float | None = None) -> Opening:
        return Opening(self.endpoint, tls, Deadline(self._timeout if timeout is None else min(timeout, self._timeout)), self._wakeup)

    @contextlib.contextmanager
    def _step(self, tls: TLSSettings, timeout: float | None = None) -> Iterator[Opening]:
        """Begin anew, with a time-out of its own; what has no socket at the end has closed it."""
        self._opening.close()
        self._opening = self._new_opening(tls, timeout)
        with self._told(self._opening):
            yield self._opening

    @contextlib.contextmanager
    def _told(self, opening: Opening) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            opening.close()
            if isinstance(error, TimeIsUp):
                raise opening.timed_out() from None
            raise
