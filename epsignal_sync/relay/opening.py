"""Open one websocket, or say in one sentence why not: name, TCP, TLS, certificate; the upgrade is in :mod:`.upgrade`.

Runs on the link thread, under one deadline, and is ended by ``Wakeup.cancel()`` in every step. Knows nothing of
HTTP, frames, messages or reconnecting.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import ssl
import threading
from typing import Any

from ..deadline import Deadline
from ..errors import ConnectError, ConnectTimeout
from .endpoint import Endpoint, TLSSettings, unverified_context
from .refusals import certificate_refused, error_text, handshake_failure, wrong_fingerprint
from .upgrade import upgrade
from .waiting import TimeIsUp, Waiter
from .wakeup import Wakeup

LONGEST_FETCH = 5.0
"""Seconds spent on fetching a refused certificate only to name its fingerprint."""

logger = logging.getLogger("epsignal_sync.relay")

Address = tuple[socket.AddressFamily, Any]


def open_websocket(endpoint: Endpoint, tls: TLSSettings, deadline: Deadline, wakeup: Wakeup) -> tuple[socket.socket, bytes]:
    """Return a connected non-blocking socket after the upgrade, and the bytes that followed the HTTP response.

    Those bytes belong to the first frames. Of an ``ssl.SSLSocket`` more may be pending that no poll shows: read it
    until it wants more before waiting. Blocks until ``deadline``; belongs to the link thread. Raises ConnectError,
    ConnectTimeout, ClosedError after ``wakeup.cancel()``, and UsageError for certificate settings with ws://.
    """
    tls.check_endpoint(endpoint)
    opening = Opening(endpoint, tls, deadline, wakeup)
    try:
        rest = opening.run()
    except BaseException as error:
        opening.close()
        if isinstance(error, TimeIsUp):
            raise opening.timed_out() from None
        raise
    wakeup.forget()
    assert opening.sock is not None
    return opening.sock, rest


class Opening:
    """One attempt, and its steps. Owns the socket until it succeeded. A step that takes too long raises TimeIsUp."""

    def __init__(self, endpoint: Endpoint, tls: TLSSettings, deadline: Deadline, wakeup: Wakeup) -> None:
        self.endpoint = endpoint
        self.tls = tls
        self.waiter = Waiter(wakeup, deadline)
        self.sock: socket.socket | None = None
        self.step = ""

    def run(self) -> bytes:
        address = self.connect(self.resolve())
        if self.endpoint.scheme == "wss":
            self.secure(address)
        return self.upgrade()

    def close(self) -> None:
        self.waiter.wakeup.forget()
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def timed_out(self) -> ConnectTimeout:
        """Return what is to be raised after TimeIsUp."""
        return ConnectTimeout(
            f"timed out in the {self.step} to {self.endpoint.address} after {self.waiter.deadline.timeout:g} s: check that a PBX "
            "is there and that no firewall is in between, or allow a longer timeout="
        )

    def resolve(self) -> list[Address]:
        """Return the addresses of the host."""
        self.step = "name lookup"
        return _resolve(self.endpoint, self.waiter)

    def connect(self, addresses: list[Address]) -> Address:
        """Connect to the first address that answers, and return it."""
        failures = []
        for index, address in enumerate(addresses):
            failure = self.attempt(address, len(addresses) - index)
            if failure is None:
                return address
            failures.append(f"{address[1][0]}{failure}")
        raise self.unreachable(failures)

    def attempt(self, address: Address, addresses_left: int) -> str | None:
        """Connect to one address; returns None, or what follows the address in a sentence on why it failed."""
        self.step = "TCP connect"
        try:
            self.sock = _connect_to(address, self._share(addresses_left))
        except TimeIsUp:
            return " did not answer"
        except ConnectionRefusedError:
            return " refused it"
        except OSError as error:
            return f": {error_text(error)}"
        return None

    def unreachable(self, failures: list[str]) -> ConnectError:
        """Return what is to be raised where no address could be connected to; raises TimeIsUp if the time is over."""
        if self.waiter.deadline.expired:
            raise TimeIsUp
        return ConnectError(
            f"the TCP connect to {self.endpoint.address} failed ({', '.join(failures)}): check that the PBX runs, "
            "that host and port are right and that no firewall is in between"
        )

    def _share(self, addresses_left: int) -> Waiter:
        """Return a waiter with a fair share of the time: an address that swallows everything must leave some for the next."""
        remaining = self.waiter.deadline.remaining()
        if remaining is None or addresses_left == 1:
            return self.waiter
        return Waiter(self.waiter.wakeup, Deadline(remaining / addresses_left))

    def secure(self, address: Address) -> None:
        """Make the TLS handshake and judge the certificate; ``address`` is where the socket is connected to."""
        self.step = "TLS handshake"
        assert self.sock is not None
        if not self.tls.verifies:
            logger.warning("verify=False: the certificate of %s is not checked, anybody in between can listen", self.endpoint.address)
        try:
            # wrap_socket() takes the descriptor over, also where it fails; before Python 3.13 it then leaves it open where the
            # peer has reset the connection already, which this shows.
            self.sock.getpeername()
            self.sock = secured = self.tls.context.wrap_socket(
                self.sock, server_hostname=self.endpoint.host, do_handshake_on_connect=False
            )
            self.waiter.repeat(secured, secured.do_handshake)
            certificate = secured.getpeercert(binary_form=True) or b""
        except ssl.SSLCertVerificationError as error:
            raise self._certificate_error(error, address) from error
        except OSError as error:
            raise ConnectError(handshake_failure(error, self.endpoint, self.tls)) from error
        if not self.tls.accepts(certificate):
            raise ConnectError(wrong_fingerprint(self.endpoint, certificate))

    def _certificate_error(self, error: ssl.SSLCertVerificationError, address: Address) -> ConnectError:
        self.close()
        return ConnectError(certificate_refused(error, self.endpoint, self.tls, self.fetch_certificate(address)))

    def upgrade(self) -> bytes:
        """Make the websocket upgrade; returns what followed it."""
        self.step = "websocket upgrade"
        assert self.sock is not None
        return upgrade(self.endpoint, self.tls, self.sock, self.waiter)

    def fetch_certificate(self, address: Address) -> bytes | None:
        """Return the certificate the server shows, read over a connection that is used for nothing else."""
        waiter = Waiter(self.waiter.wakeup, Deadline(self.waiter.deadline.remaining(at_most=LONGEST_FETCH)))
        sock: socket.socket | None = None
        try:
            sock = _connect_to(address, waiter)
            sock.getpeername()  # as in secure()
            sock = secured = unverified_context().wrap_socket(
                sock, server_hostname=self.endpoint.host, do_handshake_on_connect=False
            )
            waiter.repeat(secured, secured.do_handshake)
            return secured.getpeercert(binary_form=True)
        except (OSError, TimeIsUp):
            return None
        finally:
            waiter.wakeup.forget()
            if sock is not None:
                sock.close()


def _resolve(endpoint: Endpoint, waiter: Waiter) -> list[Address]:
    try:
        version = ipaddress.ip_address(endpoint.host).version
    except ValueError:
        return _Lookup(endpoint, waiter.wakeup).result(waiter)
    return [(socket.AF_INET if version == 4 else socket.AF_INET6, (endpoint.host, endpoint.port))]


class _Lookup:
    """A name lookup on a thread of its own, since getaddrinfo() can neither be given a time-out nor be interrupted."""

    def __init__(self, endpoint: Endpoint, wakeup: Wakeup) -> None:
        self._endpoint = endpoint
        self._wakeup: Wakeup | None = wakeup
        self._lock = threading.Lock()
        self._outcome: list[Address] | Exception | None = None

    def result(self, waiter: Waiter) -> list[Address]:
        threading.Thread(target=self._run, name="epsignal-resolver", daemon=True).start()
        try:
            while self._outcome is None:
                waiter.wait(None)
        finally:
            with self._lock:
                # From here on the thread, which may hang for ever, touches nothing any more.
                self._wakeup = None
        if isinstance(self._outcome, list):
            return self._outcome
        raise ConnectError(
            f"the name {self._endpoint.host} was not found ({error_text(self._outcome)}): check its spelling and the name server, "
            "or write the address of the PBX"
        ) from self._outcome

    def _run(self) -> None:
        outcome: list[Address] | Exception
        try:
            found = socket.getaddrinfo(self._endpoint.host, self._endpoint.port, type=socket.SOCK_STREAM)
            outcome = list(dict.fromkeys((entry[0], entry[4]) for entry in found))
        except Exception as error:
            outcome = error
        with self._lock:
            self._outcome = outcome
            if self._wakeup is not None:
                self._wakeup.wake()


def _connect_to(address: Address, waiter: Waiter) -> socket.socket:
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        try:
            sock.connect(where)
        except BlockingIOError:
            while not waiter.wait(sock, write=True):
                pass
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    except BaseException:
        waiter.wakeup.forget()
        sock.close()
        raise
