"""The simulated PBX as its user sees it: life time, app objects, users, phones.

Puts the parts together; knows nothing of frames or of how a call goes.
"""

from __future__ import annotations

import functools
import itertools
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from ..deadline import Deadline
from ..errors import ReplyTimeout, UsageError
from .actor import Actor
from .answers import AT_PBX, Answers
from .app import SimulatedApp
from .behaviour import Behaviour, check_afterwards
from .call import WAIT_TIMEOUT, SimulatedCall
from .connection import AppConnection
from .directory import Directory
from .equipment import Equipment
from .exchange import Exchange
from .line import Line
from .log import MessageLog
from .phone import SimulatedPhone
from .phone_media import partner
from .supplementary import Services
from .transport import Transport, Wire

T = TypeVar("T")

CLOSE_TIMEOUT = 2.0
"""Seconds that close() takes at most."""


class SimulatedPBX(Behaviour):
    """A PBX on a local port, with phones that are driven from Python.

    A context manager: it listens from :meth:`start` to :meth:`close`. All methods may be called from any thread.
    Unless they say otherwise they block only for a moment, and raise ReplyTimeout after 5 s and ClosedError once the
    PBX is closed.

    ``port`` 0 picks a free one. ``ssl_context``: a server's context makes it wss. ``setup_timeout``: seconds after
    which a setup without any answer is given up with cause 102. ``no_answer_timeout``: seconds that a phone rings.
    ``digit_timeout``: seconds after which no more digits are waited for where a setup is not ``complete``: then the call
    goes to the number dialed so far, or ends with cause 28. ``diversion_timeout``: seconds that a phone rings whose user has a
    diversion NO_ANSWER. ``log_limit``: how many entries :attr:`log` holds at most;
    the oldest go first, and 0 is for a long run that does without.

    An app that is attached to a device may call too, with a negative ``call``: without ``to`` to another party on the
    device's behalf, with ``to`` to the device alone. Such calls end with cause 41 when the app's connection does. The
    caller's number and name in a setup are always those of the device, unless it carries the facility ``cli_override``.

    It has the supplementary services of the protocol, from hold to presence; :attr:`answers` has it refuse one, or be silent.

    How it behaves where real PBXs may differ is up to the attributes of :class:`Behaviour`, which may be set at any time:
    ``unknown_hw``, ``login_refusal``, ``second_attach``, ``calls_without_app``, ``late_facilities``, ``without_src``. Things go
    wrong with :meth:`restart`, :meth:`drop_connections`, :meth:`SimulatedPhone.reregister` and, between app and PBX, :class:`Faults`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        path: str = "/PBX0/APPS/websocket",
        setup_timeout: float = 10.0,
        no_answer_timeout: float = 30.0,
        digit_timeout: float = 10.0,
        diversion_timeout: float = 15.0,
        unknown_hw: str = "error",
        login_refusal: str = "answer",
        log_limit: int = 20000,
    ) -> None:
        self.log = MessageLog(log_limit)
        """All that was said."""
        self.answers = Answers(AT_PBX)
        """What it answers where a service is asked for."""
        self.unknown_hw = unknown_hw
        self.login_refusal = login_refusal
        self._host, self._port, self._path, self._ssl_context = host, port, path, ssl_context
        self._setup_timeout = setup_timeout
        self._actor = Actor("simulated-pbx", self.log.notify)
        self._apps: dict[str, SimulatedApp] = {}
        self._users: dict[str, str] = {}
        self._lines: dict[str, Line] = {}
        directory, services = Directory(self._lines), Services(self.answers)
        self._exchange = Exchange(
            self._actor, directory, services,
            setup_timeout=setup_timeout, no_answer_timeout=no_answer_timeout, digit_timeout=digit_timeout,
        )  # fmt: skip
        self._equipment = Equipment(
            self._exchange, self._actor, directory, services, self._lines,
            no_answer_timeout=no_answer_timeout, diversion_timeout=diversion_timeout,
        )  # fmt: skip
        self._connections: dict[int, AppConnection] = {}
        self._numbers = itertools.count(1)
        self._transport: Transport | None = None
        self._close_lock = threading.Lock()
        self._closing = False
        self._closed = threading.Event()

    def __enter__(self) -> SimulatedPBX:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> SimulatedPBX:
        """Listen; returns the PBX itself. Raises OSError if the port is taken, UsageError if it was started before."""
        if self._transport is not None or self._closing:
            raise UsageError("this SimulatedPBX was started before: make a new one")
        self._transport = Transport(self._host, self._port, self._path, self._ssl_context, self._serve)
        self._actor.start()
        return self

    def close(self) -> None:
        """Close all connections and end all threads. Idempotent; blocks for at most 2 s."""
        deadline = Deadline(CLOSE_TIMEOUT)
        with self._close_lock:
            first, self._closing = not self._closing, True
        if not first:
            self._closed.wait(CLOSE_TIMEOUT)
            return
        if self._transport is not None:
            wires = [connection.wire for connection in list(self._connections.values())]
            self._transport.close(wires, CLOSE_TIMEOUT - 0.3)
        self._actor.stop(deadline.remaining() or 0.0)
        self._closed.set()

    @property
    def url(self) -> str:
        """The address for the app, ``ws://`` or ``wss://``. Does not block; UsageError before :meth:`start`."""
        if self._transport is None:
            raise UsageError("the simulated PBX has no address yet: use start(), or 'with SimulatedPBX() as pbx'")
        return f"{'ws' if self._ssl_context is None else 'wss'}://{self._host}:{self._transport.port}{self._path}"

    @property
    def connections(self) -> int:
        """How many apps are connected and logged in. Does not block."""
        return sum(connection.logged_in for connection in list(self._connections.values()))

    def add_app(self, name: str, *, password: str, epsignal: bool = True, answer_unticked: bool = False) -> SimulatedApp:
        """Add an App object, to which apps log in; see :class:`SimulatedApp`. An older one of that name is replaced."""
        app = SimulatedApp(name, password, epsignal=epsignal, answer_unticked=answer_unticked)
        self._actor.run(lambda: self._apps.update({name: app}))
        return app

    def add_user(self, name: str, *, password: str) -> None:
        """Let a user log in, who may attach the phones whose ``sip`` is this name."""
        self._actor.run(lambda: self._users.update({name: password}))

    def add_phone(
        self, hw: str, *, number: str, sip: str, name: str = "", kind: str = "h323", registered: bool = True
    ) -> SimulatedPhone:
        """Add a phone and register it, unless ``registered`` is False.

        ``name`` is the display name (default: ``sip``); ``kind`` "h323" or "sip" decides how it is told that a call is
        over. Phones with the same number and sip are one user's: a call rings all that are registered, the first conn
        has it, and the others are cleared with cause 26; where all refuse, the caller gets the last one's cause. Raises
        UsageError for a kind, hardware id or number that cannot be.
        """
        if kind not in ("h323", "sip"):
            raise UsageError(f"a phone cannot be of kind {kind!r}: use 'h323' or 'sip'")
        phone = self._actor.run(lambda: self._add_phone(hw, number=number, sip=sip, name=name or sip, kind=kind))
        if registered:
            phone.register()
        return phone

    def cross_rels(self, call: SimulatedCall, *, cause: int = 16) -> None:
        """End a call by a rel of the phone and one of the PBX in the same moment, so that the two cross on the phone's line.

        Raises UsageError for a call that is over, or that the PBX does not have.
        """

        def cross() -> None:
            leg = self._lines[call.phone.hw].leg(call.id)
            if call.ended or leg is None:
                raise UsageError(f"no rels can cross in {call!r}: it takes a call that both the phone and the PBX have")
            call.phone.release(cause, call)
            self._exchange.release(leg, cause)

        self._actor.run(cross)

    def drop_connections(self) -> None:
        """Cut the connections of all apps, without a close frame; blocks until they are gone, ReplyTimeout after 5 s."""
        if self._transport is None:
            return
        connections = list(self._connections.values())
        self._transport.drop()
        if not self.log.wait(lambda: all(connection.gone for connection in connections), 5.0):
            raise ReplyTimeout("the connections were cut, but were not gone within 5 s: is the machine overloaded?")

    def restart(self, *, calls: str = "kept") -> None:
        """Have the PBX restart and be back at once, on the same port: apps are cut off, and all phones register again.

        ``calls``: what becomes of the telephone calls: "kept", "lost" (nobody is told), or "renumbered": they go on under
        other ids, and the old ids become those of other calls. The no-media calls are always opened anew; calls that apps
        started end, and so do those of which only one end knew, as an app had the rest in hand. Use :meth:`Faults.refuse`
        for a PBX that stays away for a while. Raises UsageError for other ``calls``.
        """
        check_afterwards(calls)
        try:
            # Each a job of its own: what follows from one is over before the next.
            self._actor.run(self._end_connections)
            phones = self._actor.run(lambda: self._lose_phones(keep_calls=calls != "lost"))
            self._actor.run(lambda: self._find_phones(phones, renumbered=calls == "renumbered"))
        finally:
            # The apps find out last: who connects again at once meets a PBX that is back.
            if self._transport is not None:
                self._transport.drop()

    def wait_for(self, predicate: Callable[[MessageLog], T | None], *, timeout: float = WAIT_TIMEOUT) -> T:
        """Wait until ``predicate(pbx.log)`` is true, and return its result.

        It is called on this thread, without a lock, now and after each change of anything in the PBX: it may look at
        phones and calls too. Blocks for at most ``timeout`` seconds, then raises ReplyTimeout.
        """
        found = self.log.wait(lambda: predicate(self.log), timeout)
        if not found:
            newest = self.log.entries()[-3:]
            raise ReplyTimeout(f"what was waited for did not happen within {timeout:g} s; the newest entries of pbx.log: {newest}")
        return found

    def find_app(self, name: str) -> SimulatedApp | None:
        """Return an App object or None; the simulator's own."""
        return self._apps.get(name)

    def find_password(self, user: str) -> str | None:
        """Return a user's password or None; the simulator's own."""
        return self._users.get(user)

    def line_for(self, hw: Any) -> Line | None:
        """Return the line of a device or None; the simulator's own."""
        return self._lines.get(hw) if isinstance(hw, str) else None

    def new_line(self, hw: str) -> Line:
        """Add the line of a device; the simulator's own."""
        line = Line(hw, self._actor, self.log, rest=self._setup_timeout, late_facilities=lambda: self.late_facilities)
        line.leg_changed = self._equipment.dialogs.changed
        line.app_gone = lambda orphans: self._exchange.app_gone(line, orphans)
        line.to_pbx = lambda call, sig: self._exchange.receive(line, call, sig)
        self._lines[hw] = line
        return line

    def release_calls(self, line: Line) -> None:
        """End the telephone calls of a device; the simulator's own."""
        self._exchange.release_calls(line)

    def _end_connections(self) -> None:
        # No path leads to an app any more before the first of them is gone: what the others are told must not go to one.
        left = [(line, line.leave(attachment)) for line in self._lines.values() for attachment in list(line.path)]
        for line, orphans in left:
            line.app_gone(orphans)
        for connection in list(self._connections.values()):
            connection.end()

    def _lose_phones(self, *, keep_calls: bool) -> list[SimulatedPhone]:
        phones = [line.phone for line in self._lines.values() if line.phone is not None and line.phone.registered]
        for phone in phones:
            phone.go_away(keep_calls=keep_calls)
        return phones

    @staticmethod
    def _find_phones(phones: list[SimulatedPhone], *, renumbered: bool) -> None:
        for phone in phones:
            phone.come_back(renumbered=renumbered)

    def _add_phone(self, hw: str, *, number: str, sip: str, name: str, kind: str) -> SimulatedPhone:
        line = self._lines.get(hw)
        if line is not None and line.phone is not None:
            raise UsageError(f"there is a phone {hw} already: each has a hardware id of its own")
        if any(other.phone is not None and other.phone.number == number and other.phone.sip != sip for other in self._lines.values()):
            raise UsageError(f"number {number} is another user's already: phones share a number only with the same sip")
        return SimulatedPhone(
            line or self.new_line(hw), self._actor, self.log, number=number, sip=sip, name=name, kind=kind,
            setup_timeout=self._setup_timeout, registration_changed=self._registration_changed,
            heard_by=lambda call: partner(self._lines.values(), call), set_diversion=self._equipment.diversions.set,
        )  # fmt: skip

    def _registration_changed(self, phone: SimulatedPhone) -> None:
        line = self._lines[phone.hw]
        if not phone.registered:
            self._exchange.unregistered(line)
        for attachment in line.path:
            if phone.registered:
                attachment.connection.tell_attached(attachment)
            else:
                attachment.send("Detached")

    def _serve(self, wire: Wire) -> None:
        """Run one app's connection, on its own thread."""
        connection = AppConnection(self, wire, next(self._numbers))
        self._connections[connection.number] = connection
        try:
            while True:
                text = wire.receive()
                if text is None:
                    break
                self._actor.post(functools.partial(connection.receive, text, time.monotonic()))
        finally:
            self._actor.post(connection.end)
            self._connections.pop(connection.number, None)
