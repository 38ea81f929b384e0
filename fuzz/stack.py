"""A client without socket and threads: relay, session and intake are moved by hand, so that thousands of cases take seconds."""

from __future__ import annotations

import itertools
import json
import logging
from typing import Any

import epsignal_sync as eps
from epsignal_sync.messages import Message, Signaling
from epsignal_sync.protocol.asking import Rule
from epsignal_sync.protocol.envelope import OWN_CALL_IDS
from epsignal_sync.protocol.lanes import Lanes
from epsignal_sync.protocol.session import Attachment
from epsignal_sync.relay.deliveries import Delivery
from epsignal_sync.relay.forwarding import Forwarding
from epsignal_sync.relay.inbox import Answer
from tests.relay.framing import client_frames, server_frame

LARGEST = 64 * 1024
"""Bytes of the largest message."""
HWS = ("0090334f1a2b", "0090334f1a2c")
SOURCES = [f"{hw}-{number}" for number, hw in enumerate(HWS, 1)]
"""The src of each device."""


class Stack:
    """A client that is logged in with two devices, of which the first has a call of the application's own."""

    def __init__(self, *, asking: bool) -> None:
        # verify=False: reading the system's certificates would take most of the time.
        self.client = eps.Client("ws://pbx.example.com/", app="phones", password="pwd", verify=False, dispatcher=eps.ManualDispatcher())
        client: Any = self.client
        # The call of the application is always -1, so that an input means the same whenever it runs.
        self._last, OWN_CALL_IDS._counter = OWN_CALL_IDS._last, itertools.count(-1, -1)
        self._connection = client._add_connection()
        session = self._connection.session
        self.apis = session.apis
        self._intake = self._connection.intake
        self._link = self._connection.link
        self._forwarding = Forwarding(session, "pbx.example.com:80", LARGEST, self._link.counters, Lanes())
        self._now = 100.0
        self._questions = 0
        session.start()
        self._receive_text(b'{"mt":"AppChallengeResult","challenge":"c"}')
        self._receive_text(b'{"mt":"AppLoginResult","ok":true}')
        for number, hw in enumerate(HWS, 1):
            self._attach(Attachment(f"{hw}-{number}", hw))
        self.own_call = self._intake.device_of(session.route({"src": SOURCES[0]})).dial("23")
        self._take_inbox()
        if asking:
            session.rules = (Rule(deadline=0.25),)
        self._sent()
        self.client.on(Message, self._look_at)
        self.client.on(eps.CallStateChanged, lambda event: repr(event))

    def _attach(self, attachment: Attachment) -> None:
        self._intake.add(eps.Device(self.client, self._connection, attachment))
        self._forwarding.take_entry(attachment, self._now, [])
        for kind in ("AttachResult", "Attached"):
            self._receive_text(json.dumps({"mt": kind, "api": "EpSignal", "src": attachment.src}).encode())

    def _receive_text(self, text: bytes) -> None:
        self.receive(server_frame(1, text))

    def receive(self, data: bytes) -> None:
        """Take bytes from the PBX as the link thread does. Every second question is answered, the others run out of time."""
        self._now += 0.01
        batch = self._forwarding.receive(data, self._now) if self._forwarding.failure is None else []
        self._deliver(batch)
        self._take_inbox()
        self._ask()

    def _ask(self) -> None:
        while asked := self._forwarding.to_ask():
            for held in asked:
                self._connection._ask(held)
                self._questions += 1
                if self._questions % 2:
                    batch: list[Delivery] = []
                    self._forwarding.take_entry(Answer(held), self._now, batch)
                    self._deliver(batch)

    def _take_inbox(self) -> None:
        batch: list[Delivery] = []
        for entry in self._link.inbox.take():
            self._forwarding.take_entry(entry, self._now, batch)
        self._deliver(batch)

    def _deliver(self, batch: list[Delivery]) -> None:
        self._intake.deliver(batch, self._now)

    def look_at_everything(self) -> None:
        """Let the time of all questions run out, and run the callbacks."""
        while self._forwarding.next_at() is not None:
            self._now += 3.0
            batch: list[Delivery] = []
            self._forwarding.expire(self._now, batch)
            self._deliver(batch)
            self._ask()
        client: Any = self.client
        while client._callbacks.run_pending():
            pass

    def _look_at(self, event: Any) -> None:
        message = event.message
        repr((message, message.problems, message.extra, event.call, event.verdict))
        if isinstance(message, Signaling) and message.sig is not None:
            repr([facility.problems for facility in message.sig.fty or ()])

    def _sent(self) -> list[bytes]:
        """Return the texts that were sent since the last time."""
        data = b""
        while chunk := self._forwarding.outbox.chunk():
            data += bytes(chunk)
            self._forwarding.outbox.written(len(chunk))
        return [payload for opcode, payload in client_frames(data) if opcode == 1]

    def forwarded(self, received: set[bytes]) -> list[bytes]:
        """Return what went back to the PBX. The rel with which the library answers a disc of its own call is none of it."""
        own = b'"call":%d,' % self.own_call.id
        return [text for text in self._sent() if text in received or not (own in text and b'"rel"' in text)]

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return self._forwarding.failure is not None

    def check_notes(self) -> None:
        """Assert that no note for the log asks to report a fault, and that no callback has failed."""
        callbacks: Any = self.client
        notes = [(level, text) for _, level, text in callbacks._callbacks._notes]
        assert not [text for level, text in notes if level >= logging.ERROR or "report it" in text], notes
        assert not self.client.stats.callback_failures, "a callback failed"

    def close(self) -> None:
        """Release what the link holds."""
        self._link.abandon()
        OWN_CALL_IDS._last, OWN_CALL_IDS._counter = self._last, itertools.count(self._last - 1, -1)
