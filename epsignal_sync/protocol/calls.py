"""The calls of one device: which call a message belongs to, when one begins and when it is over (protocol page, section 2).

Pure: gets the signaling as JSON objects, and the time. Everything is as seen from the device. What a message does to
its call stands in :mod:`.call_rules`. Knows no callback, and not who forwards the messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..messages import CallState
from .call_record import LONGEST_NAME, NULL, JSONObject, Party, cause_in, channel_in, new_tuple, object_in, text_in
from .call_record import CallRecord as CallRecord
from .call_rules import ORDER, RULES, Move, Rule, apply, rule_for
from .envelope import OWN_CALL_IDS, OwnCallIds
from .gap import is_same_call

MEMORY = 30.0
"""Seconds after the end of a call in which a late message of its id makes no new call."""
MOST_ENDED = 10_000
"""Ended calls that are remembered at a time; beyond it the oldest are forgotten."""
MOST_LIVE = 50_000
"""Live calls of a device that are followed; messages of more go on all the same."""
MOST_PREPARED = 16
"""Calls that are kept for a message that the application is asked about; only a few can be at a time."""

OWN = "own"
"""The verdict of what the application has sent, in a call's history."""

_BEGIN: tuple[Move, ...] = ((CallState.NULL, CallState.SETUP),)


class Change(NamedTuple):
    """What a message did."""

    call: CallRecord | None = None
    """The call it belongs to."""
    started: bool = False
    """Whether the call began with it, or was first heard of."""
    moves: tuple[Move, ...] = ()
    """How its state changed, step by step."""
    ended: bool = False
    """Whether the call is over."""
    replaced: CallRecord | None = None
    """Another call with this id, which is over."""

    @property
    def tells(self) -> bool:
        """Whether anything is to be told of it."""
        return bool(self.started or self.moves or self.ended or self.replaced)


NOTHING = Change()


class _Message(NamedTuple):
    """A signaling message, with all that is needed to take it."""

    kind: str
    rule: Rule
    to_device: bool
    sig: JSONObject
    now: float
    monotonic: float
    text: bytes
    verdict: str | None


class CallTable:
    """The live calls of one device, by id. One thread takes the messages; others may begin calls of the application.

    ``now`` is the time that the records keep, in Unix seconds, ``monotonic`` that of a clock that nobody sets.
    """

    def __init__(self, own_ids: OwnCallIds = OWN_CALL_IDS) -> None:
        self.live: dict[int, CallRecord] = {}
        """Other threads read it by copying it."""
        self._own_ids = own_ids
        self._ended: dict[int, float] = {}
        self._prepared: dict[int, tuple[JSONObject, CallRecord]] = {}
        self._dropped: CallRecord | None = None
        self.uninterrupted = True
        """Whether no message can have been missed: then a message of a stale call shows that it lives."""

    def receive(
        self, call_id: Any, to_device: bool, sig: Any, now: float, monotonic: float, text: bytes = b"", verdict: str | None = None
    ) -> Change:
        """Take a received message; what became of it is the ``verdict``."""
        if type(call_id) is not int or not isinstance(sig, dict):
            return NOTHING
        kind, rule = rule_for(to_device, sig)
        record = self.live.get(call_id)
        if record is not None and rule.usual and not (record.own or record.stale or record.released or self._prepared):
            # Most messages, the short way: what _continue() and _move() would come to.
            record.remember(now, to_device, kind, text, verdict)
            moves = apply(record, rule, to_device, sig, now, "pbx" if to_device else "device")
            if moves:
                return new_tuple(Change, (record, False, moves, False, None))
            if record.unchanged is None:
                record.unchanged = Change(record)
            return record.unchanged  # type: ignore[no-any-return]  # the record keeps it without knowing what it is
        message = new_tuple(_Message, (kind, rule, to_device, sig, now, monotonic, text, verdict))
        prepared = self._take_prepared(call_id, kind, sig) if self._prepared else None
        if kind == "setup" and not self._is_own(call_id):
            if record is None and len(self.live) >= MOST_LIVE:
                return NOTHING
            return self._begin(prepared or CallRecord(call_id, now), message)
        if record is not None:
            return self._continue(record, message)
        if not self._may_make_call(call_id, rule, monotonic):
            if rule.state is NULL and not self._is_own(call_id):
                self._remember_end(call_id, monotonic)  # its Sync may still be on the way
            return NOTHING
        record = self.live[call_id] = prepared or CallRecord(call_id, now, rule.first_seen)
        return self._continue(record, message, started=True)

    def sync(self, call_id: Any, info: Any, now: float, monotonic: float) -> Change:
        """Take what a Sync says of a call that existed before."""
        if type(call_id) is not int or not isinstance(info, dict) or self._is_own(call_id) or call_id in self._recent(monotonic):
            return NOTHING
        channel, incoming, state, remote = channel_in(info), info.get("in"), info.get("state"), object_in(info, "remote")
        new = Party(text_in(remote, "num"), text_in(remote, "sip"), text_in(remote, "dn"))
        record, replaced = self.live.get(call_id), None
        if record is not None and record.stale and not is_same_call(record, incoming, new, channel):
            self._lose(record, now)
            record, replaced = None, record
        started = record is None
        if record is None:
            if len(self.live) >= MOST_LIVE:
                return NOTHING
            record = self.live[call_id] = CallRecord(call_id, now)
        record.stale = record.revived = False
        if channel is not None:
            record.channel = channel
        if isinstance(incoming, bool):
            record.incoming = incoming
        old = record.remote
        record.remote = Party(new.num or old.num, new.sip or old.sip, new.name or old.name)
        if not isinstance(state, str) or state == record.state:
            return Change(record, started, (), False, replaced)
        # Spec: what the PBX says in a Sync is taken as it is, also backwards.
        before, record.state = record.state, CallState(state) if state in ORDER else state[:LONGEST_NAME]
        return Change(record, started, ((before, record.state),), False, replaced)

    def prepare(self, call_id: Any, to_device: bool, sig: Any, now: float, monotonic: float | None = None) -> CallRecord | None:
        """Return the call to which a message will belong when it is received, without a change that others see.

        A new one is kept until the message is received. ``monotonic`` None: the time is that of the message before.
        """
        if type(call_id) is not int or not isinstance(sig, dict):
            return None
        kind, rule = rule_for(to_device, sig)
        begins = kind == "setup" and not self._is_own(call_id)
        live = None if begins else self.live.get(call_id)
        if live is not None:
            return live
        waiting = self._prepared.pop(call_id, None)
        if waiting is None or (begins and waiting[0] is not sig):
            if not begins and not self._may_make_call(call_id, rule, monotonic):
                return None
            waiting = sig, CallRecord(call_id, now, rule.first_seen)
            if begins:
                apply(waiting[1], rule, to_device, sig, now, "")
        self._prepared[call_id] = waiting
        if len(self._prepared) > MOST_PREPARED:
            del self._prepared[next(iter(self._prepared))]
        return waiting[1]

    # ------------------------------------------------------------ what the application sends

    def begin_own(self, call_id: int, to_device: bool, sig: JSONObject, now: float) -> CallRecord:
        """Begin a call of the application, with the setup that it is going to send. Any thread."""
        record = CallRecord(call_id, now)
        record.own = True
        apply(record, RULES["setup", to_device], to_device, sig, now, "")
        self.live[call_id] = record
        return record

    def forget_own(self, record: CallRecord) -> None:
        """Take back a call of the application whose setup could not be sent. Any thread."""
        self.live.pop(record.id, None)
        record.state, record.ended_at, record.ended_by = NULL, record.started_at, "app"

    def sent(
        self, call_id: int, to_device: bool, sig: JSONObject, now: float, monotonic: float, text: bytes = b"", refused: bool = False
    ) -> Change:
        """Take a message that the application has sent. ``refused``: it is the rel for the setup that was dropped last."""
        record = self._dropped if refused else self.live.get(call_id)
        if record is None or record.id != call_id:
            return NOTHING
        kind, rule = rule_for(to_device, sig)
        message = _Message(kind, rule, to_device, sig, now, monotonic, text, OWN)
        if record.own:
            return self._continue_own(record, message)
        record.remember(now, to_device, kind, text, OWN)
        if refused:
            record.cause = record.cause or cause_in(sig)
        elif rule.state is NULL:
            # What the application says in a device's call is not said by the call's sides: both have to hear of its end.
            record.released |= {to_device}
            if len(record.released) == 2:
                return self._move(record, message, "app")
        return Change(record)

    def _continue_own(self, record: CallRecord, message: _Message) -> Change:
        setup, far_end = message.kind == "setup", message.to_device is record.incoming
        if not record.began and not (setup and far_end):
            return NOTHING
        record.remember(message.now, message.to_device, message.kind, message.text, OWN)
        if not record.began:
            record.began = True
            return Change(record, True, _BEGIN)
        return Change(record) if setup or not far_end else self._move(record, message, "app")

    # ------------------------------------------------------------ when the app is not in the path

    def interrupt(self, *, detached: bool) -> list[CallRecord]:
        """The device's own calls may end unseen from now on: mark them, and return them.

        ``detached``: the device has unregistered, but what still comes of it is seen; else messages are missed.
        """
        self.uninterrupted = detached
        self._prepared.clear()
        stale = [record for record in self.live.copy().values() if not record.own]
        for record in stale:
            record.stale, record.revived = True, False
        return stale

    def resume(self) -> list[CallRecord]:
        """The device is back, and its calls are going to be named: return those that were there when it went."""
        self.uninterrupted = False  # what comes now may belong to calls that began meanwhile
        doubtful = [record for record in self.live.copy().values() if record.stale or record.revived]
        for record in doubtful:
            record.stale, record.revived = True, False
        return doubtful

    def end_own(self, now: float) -> list[Change]:
        """End the application's own calls: they live as long as the connection."""
        return self.end_lost([record for record in self.live.copy().values() if record.own], now)

    def end_lost(self, records: Iterable[CallRecord], now: float) -> list[Change]:
        """End calls of which nothing is known any more, where they have not ended yet."""
        return [Change(record, False, self._lose(record, now), True) for record in records if record.ended_at is None]

    def _lose(self, record: CallRecord, now: float) -> tuple[Move, ...]:
        record.ended_by = record.ended_by or "gap"
        # It is not remembered as one that ended: if the PBX names it after all, it is there again, as a new call.
        return self._close(record, now)

    # ------------------------------------------------------------ what a message does

    def _begin(self, record: CallRecord, message: _Message) -> Change:
        """Take a setup."""
        replaced = self.live.get(record.id)
        if replaced is not None:
            # Spec: a setup on a live id ends the old call and starts a new one.
            replaced.ended_by = replaced.ended_by or ("gap" if replaced.stale else "replaced")
            self._end(replaced, message)
        self._ended.pop(record.id, None)
        record.remember(message.now, message.to_device, message.kind, message.text, message.verdict)
        apply(record, message.rule, message.to_device, message.sig, message.now, "")
        if message.verdict == "dropped":
            record.ended_by = "dropped"
            self._dropped = record
            return Change(record, True, (*_BEGIN, *self._end(record, message)), True, replaced)
        self.live[record.id] = record
        return new_tuple(Change, (record, True, _BEGIN, False, replaced))

    def _continue(self, record: CallRecord, message: _Message, started: bool = False) -> Change:
        """Take any other message."""
        to_device = message.to_device
        if record.own and not record.began:
            return NOTHING  # nobody can have heard of it yet
        if record.stale and self.uninterrupted:
            record.stale, record.revived = False, True
        record.remember(message.now, to_device, message.kind, message.text, message.verdict)
        if record.own and (message.kind == "setup" or to_device is record.incoming):
            # Spec: an own call has one far end, and its id is used once: anything else said of it changes nothing.
            return Change(record)
        if (not to_device) in record.released:
            return Change(record)  # it crossed the application's rel to this side; the other side's call goes on
        if record.own and message.kind == "disc":
            record.disc = cause_in(message.sig) or {}
        return self._move(record, message, "pbx" if to_device else "device", started)

    def _move(self, record: CallRecord, message: _Message, who: str, started: bool = False) -> Change:
        rule = message.rule
        moves = apply(record, rule, message.to_device, message.sig, message.now, who)
        if rule.state is NULL:
            return Change(record, started, (*moves, *self._end(record, message)), True)
        return Change(record, started, moves)

    def _end(self, record: CallRecord, message: _Message) -> tuple[Move, ...]:
        if not record.own:
            self._remember_end(record.id, message.monotonic)
        return self._close(record, message.now)

    def _close(self, record: CallRecord, now: float) -> tuple[Move, ...]:
        if self.live.get(record.id) is record:
            del self.live[record.id]
        before, record.state = record.state, NULL
        record.unchanged = None  # it refers to the record: without it the record goes with its last holder
        record.ended_at = now
        record.stale = False
        # A call that was first seen in a message that tells no state has none before its end either.
        return () if before is NULL else ((before, NULL),)

    def _remember_end(self, call_id: int, monotonic: float) -> None:
        ended = self._recent(monotonic)
        ended.setdefault(call_id, monotonic)
        if len(ended) > MOST_ENDED:
            del ended[next(iter(ended))]

    # ------------------------------------------------------------ what may be a call

    def _is_own(self, call_id: int) -> bool:
        return call_id < 0 and self._own_ids.issued(call_id)

    def _may_make_call(self, call_id: int, rule: Rule, monotonic: float | None) -> bool:
        """Whether a call may be first seen in a message."""
        may = rule.makes_call and len(self.live) < MOST_LIVE and not self._is_own(call_id)
        return may and call_id not in self._recent(monotonic)

    def _take_prepared(self, call_id: int, kind: str, sig: JSONObject) -> CallRecord | None:
        waiting = self._prepared.get(call_id)
        if waiting is None:
            return None
        for_setup = waiting[0].get("type") == "setup"
        if waiting[0] is not sig and (kind == "setup" or for_setup):
            return None  # kept for another message
        del self._prepared[call_id]
        return waiting[1]

    def _recent(self, monotonic: float | None) -> dict[int, float]:
        """The ids whose call ended a short time ago."""
        while self._ended and monotonic is not None:
            oldest = next(iter(self._ended))
            if monotonic - self._ended[oldest] <= MEMORY:
                break
            del self._ended[oldest]
        return self._ended
