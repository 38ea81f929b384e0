"""What happens to each received message: decided, sent back, answered, counted.

What keeps a phone alive stands in :meth:`Forwarding._take_text`: a signaling message is sent back as the very bytes
that came, before anything else is done with it. Only where the application wants to be asked first, or has broken off
a call on one side, :mod:`.interception` comes between. Pure: gets bytes and the time, fills an outbox; knows no socket, no
thread and nothing of clients, devices and callbacks.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from ..errors import ClosedError, ConnectError, ConnectionLostError, EpSignalError, LoginError
from ..protocol.envelope import FORWARD, OTHER, OWN, destination, is_epsignal
from ..protocol.jsontext import loads
from ..protocol.lanes import Held, Lanes
from ..protocol.session import Attachment, LoginState, Session
from .deliveries import Counters, Delivery, LinkUp, Note, Received, Sent
from .frames import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
    FrameReader,
    ProtocolError,
    close_payload,
    encode_frame,
    masking_keys,
    parse_close,
)
from .inbox import Answer, Entry
from .interception import Interception
from .outbox import Outbox

NORMAL_CLOSURE = 1000
PASSING_CLOSURES = (1001, 1011, 1012, 1013)
"""Close codes that say nothing against who logs in: going away, an internal error, a restart, try again later
(RFC 6455, section 7.4.1, and the registry that it founds)."""


class Forwarding:
    """The messages of one connection. Belongs to the link thread.

    ``failure`` is set when the connection has to end; ``address`` names the PBX in errors. ``counters`` and ``lanes`` go
    on from one connection to the next: what the application still runs for the one before keeps its place.
    """

    def __init__(self, session: Session, address: str, max_message_size: int, counters: Counters, lanes: Lanes) -> None:
        self.session = session
        self.outbox = Outbox()
        self.counters = counters
        self.failure: EpSignalError | None = None
        self.closing = False
        """True after our close frame: nothing may follow it."""
        self.last_message = 0.0
        """When the last text message went either way, by the monotonic clock."""
        self._address = address
        self._reader = FrameReader(max_message_size)
        self._masking_keys = masking_keys()
        self._unsent = 0
        self._relayed = 0
        """Messages that went on at once since they were read."""
        self._relayed_signals = counters.relayed_types.signals
        self._interception = Interception(self._forward, self._send_signaling, counters, lanes)
        self._closing_error: EpSignalError = ClosedError("the client was closed")

    def receive(self, data: bytes, now: float) -> list[Delivery]:
        """Take received bytes: what is to go on is in the outbox afterwards, what is to be told is returned."""
        batch: list[Delivery] = []
        self._take_frames(data, now, batch)
        if self._relayed:
            self.counters.forwarded += self._relayed
            self.outbox.mark(now, self._relayed)
            self._relayed = 0
        return batch

    def _take_frames(self, data: bytes, now: float, batch: list[Delivery]) -> None:
        broken: ProtocolError | None = None
        try:
            messages = self._reader.receive(data)
        except ProtocolError as error:
            messages, broken = error.messages, error
        received_at = time.time()
        for opcode, payload in messages:
            if opcode == OPCODE_TEXT:
                self.last_message = now
                self._take_text(payload, received_at, now, batch)
            elif opcode == OPCODE_PING:
                self.send(OPCODE_PONG, payload)
            elif opcode == OPCODE_CLOSE:
                return self._take_close(payload)
            elif opcode == OPCODE_BINARY:
                self._note_malformed(payload, "a binary message", batch)
        if broken is not None:
            self.counters.malformed += 1
            self.send(OPCODE_CLOSE, close_payload(broken.code))
            self.lose(str(broken))

    def send(self, opcode: int, payload: bytes, own: int = 0) -> None:
        """Put one frame into the outbox; ``own`` is what the application is charged for it. Nothing after our close frame."""
        if self.closing:
            return
        self.outbox.append(encode_frame(opcode, payload, next(self._masking_keys)), own)
        if opcode == OPCODE_TEXT:
            self.counters.sent += 1
        elif opcode == OPCODE_CLOSE:
            self.closing = True

    def send_text(self, text: bytes, now: float) -> None:
        """Put one text message into the outbox."""
        self.last_message = now
        self._send_counted(text)

    def take_entry(self, entry: Entry, now: float, batch: list[Delivery]) -> None:
        """Take what another thread has queued."""
        if isinstance(entry, Attachment):
            for text in self.session.attach(entry):
                self.send_text(text, now)
        elif isinstance(entry, Answer):
            self.last_message = now
            self._interception.answer(entry, now, batch)
        elif entry.sent is not None:
            self._send_signaling(entry.sent, entry.own, now, batch)
        else:
            self.counters.forwarded += not entry.own and not self.closing
            self.last_message = now
            self._send_counted(entry.text, entry.own)

    def count_written(self, now: float) -> None:
        """Note that bytes were written up to now."""
        for since, count in self.outbox.passed():
            self.counters.latencies.add(now - since, count)

    def take_unsent(self) -> int:
        """Return what the application is charged for and what never comes to be written."""
        unsent, self._unsent = self._unsent, 0
        return unsent

    def expire(self, now: float, batch: list[Delivery]) -> None:
        """Let go what has waited long enough for the application."""
        self._interception.expire(now, batch)

    def next_at(self) -> float | None:
        """Return when :meth:`expire` wants to be called, or None."""
        return self._interception.next_at()

    def to_ask(self) -> list[Held]:
        """Return the messages that the application is to be asked about now."""
        return self._interception.to_ask()

    def abandon(self, batch: list[Delivery]) -> None:
        """Tell of what is still held, at the end of the connection: it did not go on."""
        self._interception.abandon(batch)

    def close(self, now: float, batch: list[Delivery], leave_for: str | None = None) -> None:
        """Put what is held for the application, as it came, and our close frame behind what still waits."""
        if leave_for is not None:
            text = f"the connection to {self._address} was left for {leave_for}, since no device was attached through it any more"
            self._closing_error = ConnectionLostError(text)
        self._interception.flush(now, batch)
        self.send(OPCODE_CLOSE, close_payload(NORMAL_CLOSURE))

    def end_closing(self) -> None:
        """End the connection after :meth:`close`: the peer has closed it, too, or has had the time for it."""
        self.fail(self._closing_error)

    def fail(self, error: EpSignalError) -> None:
        """End the connection with an error; the first one counts."""
        if self.failure is None:
            self.failure = error

    def lose(self, reason: str) -> None:
        """End the connection because of what happened to it; what that means depends on how far it was."""
        state, credentials = self.session.state, self.session.credentials
        if state is LoginState.CHALLENGE:
            self.fail(ConnectError(f"{self._address} took the websocket but ended it before the login: {reason}; is it an AppWebsocket?"))
        elif state is LoginState.LOGIN:
            # Spec: some peers close the websocket instead of refusing the login.
            text = f"{self._address} did not answer the login {credentials.describe()}: {reason}; check the name and the password"
            self.fail(LoginError(text))
        else:
            self.fail(ConnectionLostError(f"the connection to {self._address} was lost: {reason}"))

    # ------------------------------------------------------------ one message

    def _take_text(self, payload: bytes, received_at: float, now: float, batch: list[Delivery]) -> None:
        """Decide one message. This is the forwarding path."""
        counters = self.counters
        counters.received += 1
        try:
            data = loads(payload)
        except ValueError:
            return self._note_malformed(payload, "a text that is no JSON", batch)
        if type(data) is not dict or type(data.get("mt")) is not str:
            return self._note_malformed(payload, "JSON that is no object with a text as its mt", batch)
        session = self.session
        where = destination(data, session.apis)
        # Signaling that is not another API's is EpSignal.
        attachment = session.route(data) if where is not OTHER or is_epsignal(data, session.apis) else None
        item = Received(payload, data, attachment, None, received_at, counters.received)
        if where is FORWARD and not self.closing:  # after our close frame nothing can go on any more
            if attachment is not None and (session.rules or attachment.rules or not self._interception.idle):
                counters.received_types.add(data)
                return self._interception.take(item, attachment, session.rules + attachment.rules, now, batch)
            if attachment is None or attachment.forward:  # with forward=False the application forwards
                if not isinstance(data.get("src"), str):
                    # Nobody knows whose it is: it may belong behind what is held in its direction.
                    self._interception.let_go(now, batch, to_device=data.get("to") is True)
                self.outbox.append(encode_frame(OPCODE_TEXT, payload, next(self._masking_keys)))
                counters.sent += 1
                item.verdict = "forwarded"
                self._relayed += 1
                try:
                    self._relayed_signals[data["sig"]["type"]] += 1
                except (KeyError, TypeError):  # of a type that was not counted before, or without one
                    counters.relayed_types.add(data)
                return batch.append(item)
        counters.received_types.add(data)
        if where is OWN:
            counters.own += 1
            item.verdict = "own"
        elif where is OTHER:
            self._take_session_message(data, attachment, batch)
        batch.append(item)

    def _send_signaling(self, sent: Sent, own: int, now: float, batch: list[Delivery]) -> None:
        """Put a signaling message of the application on its way."""
        if self.closing:
            return
        self.last_message = now
        sent.sent_at = time.time()
        if self._interception.app_sends(sent, now):
            self._send_counted(sent.text, own, sent.data)
        else:
            self._unsent += own
        batch.append(sent)

    def _forward(self, text: bytes, since: float, data: dict[str, Any] | None = None) -> bool:
        """Send a text on; returns whether it could. ``since`` is when the message came, ``data`` what the text says."""
        self._send_counted(text, 0, data)
        self.outbox.mark(since, 1)
        return not self.closing

    def _send_counted(self, text: bytes, own: int = 0, data: dict[str, Any] | None = None) -> None:
        """Put one text message into the outbox and count it by its type."""
        if not self.closing:
            types = self.counters.sent_types
            types.add_text(text) if data is None else types.add(data)
        self.send(OPCODE_TEXT, text, own)

    def _take_session_message(self, data: dict[str, Any], attachment: Attachment | None, batch: list[Delivery]) -> None:
        session = self.session
        before = session.state
        for text in session.receive(data):
            self.send_text(text, self.last_message)
        if session.state is not before:
            if session.state is LoginState.READY:
                where = f"{session.credentials.describe()} at {self._address}"
                batch += [Note(logging.INFO, f"logged in {where}", "session"), LinkUp(self._address)]
            elif session.state is LoginState.REFUSED:
                self.close(self.last_message, batch)
                who = session.credentials.describe()
                self.fail(LoginError(f"{self._address} refused the login {who}: {session.refusal}; check the name and the password"))
        if attachment is not None and data["mt"] == "AttachResult":
            # What is held has to go before what comes now: a refused device has no lanes any more.
            self._interception.let_go(self.last_message, batch, device=attachment.src)
            session.answer(data, attachment)

    def _take_close(self, payload: bytes) -> None:
        if self.closing:
            return self.end_closing()
        try:
            code, reason = parse_close(payload)
        except ProtocolError as error:
            code, reason = error.code, str(error)
        self.send(OPCODE_CLOSE, close_payload(code))
        # Spec: some peers close the websocket instead of refusing the login.
        refused = self.session.state is LoginState.LOGIN and code not in PASSING_CLOSURES
        self.lose(f"the PBX closed it (code {code}{', ' + repr(reason[:80]) if reason else ''})")
        if refused:
            self.session.state = LoginState.REFUSED

    def _note_malformed(self, payload: bytes, what: str, batch: list[Delivery]) -> None:
        # The content is not shown: nobody knows what it holds.
        self.counters.malformed += 1
        text = f"{self._address} sent {what} ({len(payload)} bytes): ignored, and not forwarded"
        batch.append(Note(logging.WARNING, text))
