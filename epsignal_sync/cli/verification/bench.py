"""What a check works with: the person, the connections to the PBX, the phone on one of them, and its call.

Each check says what it needs, and gets it whatever the checks before it have left behind.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

from attrs import field, frozen

from ...call import Call
from ...client import Client
from ...device import Device
from ...errors import AttachError, ReplyTimeout
from ...intake import ConnectionState
from ...messages import CallState
from .masking import Mask, cause_part
from .person import Person
from .trace import Trace

ANSWER_TIME = 5.0
"""Seconds in which a PBX that wants to answer has answered."""
SYNC_TIME = 1.0
"""Seconds in which the PBX has named the calls that there are, after an Attached."""
REGISTER_TIME = 60.0
ACTION_TIME = 90.0
"""Seconds in which a person has called a phone."""
RINGING = (CallState.SETUP, CallState.CALL_PROC, CallState.ALERT)


@frozen(kw_only=True)
class Finding:
    """What a check has found."""

    answer: str
    """To its question, in a few words."""
    seen: tuple[str, ...] = ()
    """What that rests on. Both may stand in a report: values of the PBX are masked in them."""


@frozen(kw_only=True)
class Check:
    """One question about a PBX, and how it is answered."""

    name: str
    question: str
    run: Callable[[Bench], Finding]


@frozen
class Attempt:
    """How an Attach went."""

    device: Device | None
    how: str
    detail: tuple[str, ...] = field(default=())


class Unanswered(Exception):
    """What a check needs is not to be had; ``finding`` says so."""

    def __init__(self, why: str, seen: tuple[str, ...]) -> None:
        super().__init__(why)
        self.finding = Finding(answer=f"not known: {why}", seen=seen)


class Bench:
    """The means of the checks. ``make_client`` makes a client that is not connected yet; ``second`` is another phone, or "".

    ``mask`` is for what the PBX tells.
    """

    def __init__(self, make_client: Callable[..., Client], hw: str, second: str, person: Person, mask: Mask) -> None:
        self.hw = hw
        self.second = second
        self.person = person
        self.mask = mask
        self.trace = Trace(person.happened)
        self.clients: dict[str, Client] = {}
        """Those that are connected, by their name in the trace."""
        self._make_client = make_client
        self._opened = 0
        self._phone: Device | None = None

    def connect(self, api: str = "EpSignal") -> tuple[str, Client]:
        """Make another connection, which does not come back by itself; returns its name in the trace, too. Raises EpSignalError."""
        self._opened += 1
        name = f"{self._opened}"
        client = self._make_client(api=api, reconnect=False)
        self.trace.follow(client, name)
        client.connect()
        self.clients[name] = client
        return name, client

    def close(self, name: str = "") -> None:
        """Close a connection; without a name all of them."""
        for one in [name] if name else list(self.clients):
            client = self.clients.pop(one)
            if self._phone is not None and self._phone.client is client:
                self._phone = None
            client.close()

    def cut(self, name: str) -> None:
        """End a connection as it ends when the program is killed: no close frame, no end of TLS."""
        sock = self.clients[name]._connections[0].link._wakeup._watched
        if sock is not None:
            with contextlib.suppress(OSError):  # it has ended at the same moment
                # Not the one of SSLSocket, which would take TLS away under the thread that uses it.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def masked(self, value: Any) -> str:
        """Return a value of the PBX as it may stand in a report, with its JSON type."""
        self.mask.learn([one.data for one in self.trace.since()])
        return f'"{self.mask.text(value)}"' if isinstance(value, str) else cause_part(value)

    @contextlib.contextmanager
    def another(self, api: str = "EpSignal") -> Iterator[tuple[str, Client]]:
        """Give another connection for the time being."""
        name, client = self.connect(api)
        try:
            yield name, client
        finally:
            if name in self.clients:
                self.close(name)

    def try_to_attach(self, client: Client, hw: str) -> Attempt:
        """Attach, and say how that went. Raises what has to do with the connection."""
        try:
            device = client.attach(hw, timeout=ANSWER_TIME * self.person.patience)
        except AttachError as error:
            return Attempt(None, "refused", (f"AttachResult with err {self.masked(error.err)}",))
        except ReplyTimeout:
            return Attempt(None, "not answered", (f"nothing came within {ANSWER_TIME:g} s",))
        return Attempt(device, "accepted")

    # ------------------------------------------------------------ the phone and its calls

    @property
    def name(self) -> str:
        """The name of the connection on which the phone is attached."""
        return next(name for name, client in self.clients.items() if self._phone is not None and client is self._phone.client)

    def phone(self) -> Device:
        """Return the phone, attached; asks for it to be registered. Raises Unanswered, EpSignalError, and what a wait raises."""
        if self._phone is not None and self._phone.client.state is ConnectionState.CLOSED:
            self.close(self.name)  # the PBX has ended it
        if self._phone is None:
            name, client = self.connect()
            attempt = self.try_to_attach(client, self.hw)
            if attempt.device is None:
                self.close(name)
                raise Unanswered(f"the Attach for the phone is {attempt.how}", attempt.detail)
            self._phone = attempt.device
            self._wait_attached(self._phone)
            self.person.pause(SYNC_TIME)
        self._wait_attached(self._phone)
        return self._phone

    def _wait_attached(self, phone: Device) -> None:
        if not phone.attached:
            with contextlib.suppress(ReplyTimeout):
                phone.wait_attached(timeout=ANSWER_TIME * self.person.patience)
        if not phone.attached:
            to_do = f"The phone {self.hw} is not registered at this PBX: register it."
            self.person.wait(lambda: phone.attached or None, REGISTER_TIME, to_do=to_do)

    def ringing_call(self, to_do: str) -> Call:
        """Return a call that rings at the phone, for which the person is asked if there is none."""
        return self._call(to_do, lambda call: call.incoming is True and call.state in RINGING)

    def connected_call(self) -> Call:
        """Return a call that the phone has; asks for one if there is none."""
        to_do = "There is no call now: call the phone from another one, and answer it."
        return self._call(to_do, lambda call: call.state == CallState.CONNECTED)

    def _call(self, to_do: str, fits: Callable[[Call], bool]) -> Call:
        phone = self.phone()

        def look() -> Call | None:
            return next((call for call in phone.media_calls.values() if not call.own and fits(call)), None)

        return look() or self.person.wait(look, ACTION_TIME, to_do=to_do)
