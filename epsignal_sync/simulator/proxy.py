"""The fault proxy's thread: it accepts connections, and moves what goes through them.

Knows sockets and jobs, and nothing of which faults there are: those are jobs.
"""

from __future__ import annotations

import concurrent.futures
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection

from ..errors import ClosedError, ConnectError, ReplyTimeout
from .tunnel import Address, Tunnel, Weather

HOST = "127.0.0.1"
JOB_TIMEOUT = 5.0
"""Seconds after which :meth:`Proxy.run` gives up on the thread."""
LONGEST_WAIT = 3600.0
"""Seconds; far beyond it a system does not take the number."""


class Proxy:
    """Listen on a local port, and make a connection to the server for each that is made to it.

    ``addresses``: those of the server; they are tried in turn. :meth:`run` and :meth:`close` may be called from any other
    thread, everything else is for jobs, which run on the proxy's thread.
    """

    def __init__(self, addresses: list[Address]) -> None:
        self.addresses = addresses
        self.weather = Weather()
        self.tunnels: set[Tunnel] = set()
        self._listener = _bind(0)
        self.port: int = self._listener.getsockname()[1]
        self._refusing = False
        self._jobs: deque[tuple[Callable[[], None], concurrent.futures.Future[None]]] = deque()
        self._lock = threading.Lock()
        self._closed = False
        self._next_due: float | None = None
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        for sock in (self._waker, self._woken):
            sock.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._listen()
        self._thread = threading.Thread(target=self._work, name="simulated-faults", daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], None]) -> None:
        """Have the thread do a job, and return when it and what follows from it are done.

        Blocks for at most 5 s, then raises ReplyTimeout; ClosedError after :meth:`close`.
        """
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._lock:
            if self._closed:
                raise ClosedError("this Faults is closed: make a new one")
            self._jobs.append((job, future))
            self._wake()
        try:
            future.result(JOB_TIMEOUT)
        except concurrent.futures.TimeoutError:
            raise ReplyTimeout(f"the fault was not made within {JOB_TIMEOUT:g} s: is the machine overloaded?") from None

    def close(self, timeout: float) -> None:
        """Reset all connections, listen no more and end the thread; waits at most ``timeout`` seconds. Idempotent."""
        with self._lock:
            self._closed = True
            self._wake()
        self._thread.join(timeout)

    def refuse(self) -> None:
        """Listen no more, but keep the port."""
        if not self._refusing:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = _bind(self.port)  # Or the port would be somebody else's when the fault is over.
            self._refusing = True

    def accept_again(self) -> None:
        """Listen again after :meth:`refuse`."""
        if self._refusing:
            self._listen()
            self._refusing = False

    def end_tunnel(self, tunnel: Tunnel) -> None:
        """End a connection: by a reset, unless both of its ends had ended it."""
        self.tunnels.discard(tunnel)
        for sock in (tunnel.client, tunnel.server):
            if sock is not None and sock.fileno() >= 0:
                self._watch(sock, 0, tunnel)
        tunnel.close()

    def end_tunnels(self) -> None:
        """End all connections."""
        for tunnel in list(self.tunnels):
            self.end_tunnel(tunnel)

    # ------------------------------------------------------------ the thread

    def _wake(self) -> None:
        try:
            self._waker.send(b"w")
        except OSError:
            pass  # It is awake, as so much waits for it; or it has ended.

    def _work(self) -> None:
        try:
            while not self._closed:
                touched: set[Tunnel] = set()
                for key, events in self._selector.select(self._next_wait()):
                    self._handle(key, events, touched)
                done = self._do_jobs()
                # What a job changes, or a delay, concerns all of them; else there may be hundreds that nothing happens to.
                self._move(list(self.tunnels) if done or self._next_due is not None else touched & self.tunnels)
                for future in done:
                    future.set_result(None)
        finally:
            self._end()

    def _next_wait(self) -> float | None:
        if self._next_due is None:
            return None
        return min(max(0.0, self._next_due - time.monotonic()), LONGEST_WAIT)

    def _handle(self, key: selectors.SelectorKey, events: int, touched: set[Tunnel]) -> None:
        if key.fileobj is self._woken:
            self._woken.recv(4096)
        elif key.fileobj is self._listener:
            self._accept(touched)
        elif key.data in self.tunnels:  # else its other end has just failed
            tunnel: Tunnel = key.data
            touched.add(tunnel)
            if tunnel.connecting and tunnel.server is not None:
                self._watch(tunnel.server, 0, tunnel)  # It may take another socket to reach the server.
            try:
                tunnel.handle(key.fileobj, events, time.monotonic())  # type: ignore[arg-type]  # a socket was registered
            except OSError:
                self.end_tunnel(tunnel)

    def _accept(self, touched: set[Tunnel]) -> None:
        while True:  # All of them: a fault that is made now concerns everybody who has connected by now.
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # There is nobody, or nobody any more.
            tunnel = Tunnel(client, self.addresses, self.weather)
            self.tunnels.add(tunnel)
            touched.add(tunnel)
            try:
                tunnel.connect()
            except OSError:
                self.end_tunnel(tunnel)

    def _move(self, tunnels: Collection[Tunnel]) -> None:
        """Write what has become due, and see what is to be waited for next."""
        now = time.monotonic()
        later: list[float] = []
        for tunnel in tunnels:
            try:
                tunnel.write(now)
                over = tunnel.finished
            except OSError:
                over = True
            if over:
                self.end_tunnel(tunnel)
                continue
            for sock, events in tunnel.wanted(now):
                self._watch(sock, events, tunnel)
            # What was due already waits for its receiver, not for a time.
            later += [way.due for way in (tunnel.up, tunnel.down) if way.due is not None and way.due > now]
        self._next_due = min(later, default=None)

    def _watch(self, sock: socket.socket, events: int, tunnel: Tunnel) -> None:
        key = self._selector.get_map().get(sock)
        if key is None and events:
            self._selector.register(sock, events, tunnel)
        elif key is not None and not events:
            self._selector.unregister(sock)
        elif key is not None and key.events != events:
            self._selector.modify(sock, events, tunnel)

    def _listen(self) -> None:
        self._listener.listen(128)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _do_jobs(self) -> list[concurrent.futures.Future[None]]:
        done = []
        while self._jobs:
            job, future = self._jobs.popleft()
            try:
                job()
            except Exception as error:
                future.set_exception(error)
            else:
                done.append(future)
        return done

    def _end(self) -> None:
        with self._lock:
            self._closed = True
        self.end_tunnels()
        for sock in (self._listener, self._waker, self._woken):
            sock.close()
        self._selector.close()
        while self._jobs:
            self._jobs.popleft()[1].set_exception(ClosedError("this Faults was closed meanwhile: make a new one"))


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setblocking(False)
    if os.name == "posix":  # Elsewhere it would let others take the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ConnectError(f"Faults cannot have port {port or '(any)'} of {HOST} ({error.strerror}): make a new one") from None
    return listener
