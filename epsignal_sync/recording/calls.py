"""The calls of a recording, found by the rules of live ones. Pure: gets the lines in their order; knows no file.

A phone that comes and goes, a connection that is lost: what becomes of its calls then is decided as :mod:`..gaps` does it
live, except that nothing runs by the clock here. What would have been due is done before the phone's next line.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from ..call_attributes import CallAttributes
from ..history import HistoryEntry
from ..ladder import Ladder, make_ladder
from ..messages.record import printable
from ..protocol.call_record import CallRecord
from ..protocol.call_rules import rule_for
from ..protocol.calls import MEMORY, NOTHING, CallTable, Change
from ..protocol.envelope import OwnCallIds
from ..protocol.gap import STALE_TIME, GapWatch
from ..protocol.jsontext import dumps
from .lines import APP, CONNECTED, ENDED, ENDS, MISSING, OWN, Beginning, Line, RecordedEvent, RecordedMessage, is_sent_on_by_app


class RecordedCall(CallAttributes):
    """A call of a recording, as it was when the recording ended. Its attributes are those of a live :class:`Call`."""

    __slots__ = ("_indexes", "_messages", "_record", "device", "number")

    def __init__(self, number: int, device: str, record: CallRecord, messages: Sequence[RecordedMessage]) -> None:
        self.number = number
        """Which call of the recording it is, counted from 1 in the order in which they began."""
        self.device = device
        """The hardware id of the phone whose call it is."""
        self._record = record
        self._messages = messages
        self._indexes = array("Q")

    @property
    def messages(self) -> tuple[RecordedMessage, ...]:
        """Its messages in their order; also those that name it in a Sync, and what came late, after its end. Read anew each time."""
        return tuple(self._messages[index] for index in self._indexes)

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Its signals, as ``call.history`` of a live call has them: all of them, and each with the whole of its text."""
        return tuple(
            HistoryEntry(
                message.at, message.to_device, rule_for(message.to_device, message.data["sig"])[0], _text(message.data), message.verdict,
                tuple(map(_text, message.sent)),
            )
            for message in self.messages
            if message.mt == "Signaling" and isinstance(message.data.get("sig"), dict) and not is_sent_on_by_app(message)
        )  # fmt: skip

    def ladder(self) -> Ladder:
        """Return its signals as a sequence diagram of PBX, app and phone, as ``call.ladder()`` of a live call does. Any thread."""
        return make_ladder(self, self.device, self.history)

    def __repr__(self) -> str:
        direction = {True: "from", False: "to", None: "with"}[self.incoming]
        device, remote = printable(self.device[:40]), printable(str(self.remote)[:80])
        return f"<RecordedCall {self.number} of {device} {direction} {remote}: {printable(str(self.state)[:40])}>"


def _text(data: object) -> str:
    return dumps(data).decode("utf-8")


class _OwnIds(OwnCallIds):
    """The ids of the calls that the recorded app has started, as far as the recording shows them."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[int] = set()

    def issued(self, call: int) -> bool:
        return call in self.known


class _Device:
    """What is known of one phone at a point of the recording."""

    def __init__(self, hw: str) -> None:
        self.hw = hw
        self.own_ids = _OwnIds()
        self.table = CallTable(self.own_ids)
        self.gap = GapWatch()
        self.attached = True  # the recording may have begun in the middle
        self.last: dict[int, RecordedCall] = {}
        """The last call of each id."""

    def run_due(self, now: float) -> None:
        """Do what was due up to now."""
        gap = self.gap
        if gap.settle_at is not None and now >= gap.settle_at:
            at, told = gap.settle_at, gap.settle()
            if told is not None:
                self.table.end_lost(told.lost, at)
        if gap.stale_at is not None and now >= gap.stale_at:
            at, gap.stale_at = gap.stale_at, None
            self.table.end_lost([record for record in self.table.live.values() if record.stale], at)

    def change(self, message: RecordedMessage) -> Change:
        """Return what a message does to the calls."""
        data, to_device, at = message.data, message.to_device, message.at
        if message.mt == "Sync":
            return self.table.sync(data.get("call"), data.get("info"), at, at)
        if message.mt != "Signaling" or is_sent_on_by_app(message):
            return NOTHING
        if message.sender != APP:
            if message.verdict == OWN and message.call is not None:
                self.own_ids.known.add(message.call)
            return self.table.receive(data.get("call"), to_device, data.get("sig"), at, at, b"", message.verdict)
        call, sig = message.call, data.get("sig")
        if call is None or not isinstance(sig, dict):
            return NOTHING
        if call < 0 and message.type == "setup" and call not in self.own_ids.known:
            self.own_ids.known.add(call)
            self.table.begin_own(call, to_device, sig, at)
        return self.table.sent(call, to_device, sig, at, at, b"", message.refusal)

    def take_presence(self, message: RecordedMessage) -> None:
        """Take an Attached, a Detached, or a refused Attach."""
        if message.mt == "Attached":
            self.attached = True
            self.gap.attached(message.at, self.table.resume() if self.gap.since is not None else (), message.at)
        elif message.mt == "Detached" or (message.mt == "AttachResult" and message.data.get("err") is not None):
            if self.attached:
                self._interrupt(message.at, detached=True)
                self.gap.stale_at = message.at + STALE_TIME
            self.attached = False

    def lose_connection(self, at: float, *, for_good: bool) -> None:
        """The connection is gone."""
        if self.attached or self.gap.since is not None:
            self._interrupt(at, detached=False)
        self.attached = False
        self.table.end_own(at)
        if for_good:
            self.end(at)

    def _interrupt(self, at: float, *, detached: bool) -> None:
        self.gap.begin(at)
        self.gap.stale_at = None
        self.table.interrupt(detached=detached)

    def end(self, at: float) -> None:
        """Nothing more is known of any call."""
        self.table.end_lost(list(self.table.live.values()), at)


def find_calls(lines: Iterable[Line], messages: Sequence[RecordedMessage]) -> list[RecordedCall]:
    """Return the calls in the lines of a recording; ``messages`` are those among the lines, and the calls keep it."""
    finder = _CallFinder(messages)
    index = 0
    for line in lines:
        if isinstance(line, RecordedMessage):
            finder.take_message(index, line)
            index += 1
        elif isinstance(line, Beginning):
            finder.take_beginning(line)
        else:
            finder.take_event(line)
    finder.finish()
    return finder.calls


class _CallFinder:
    """Takes the lines of a recording in their order; ``calls`` are those that were found so far."""

    def __init__(self, messages: Sequence[RecordedMessage]) -> None:
        self._messages = messages
        self._devices: dict[str, _Device] = {}
        self._last_at = 0.0
        self.calls: list[RecordedCall] = []

    def take_message(self, index: int, message: RecordedMessage) -> None:
        """Take a message, the one with this index."""
        self._last_at = at = message.at
        if message.device is None:
            return
        device = self._devices.get(message.device)
        if device is None:
            device = self._devices[message.device] = _Device(message.device)
        device.run_due(at)
        change = device.change(message)
        if change.call is None:
            device.take_presence(message)
            self._take_late(device, index, message)
            return
        record = change.call
        known = device.last.get(record.id)
        if known is None or known._record is not record:
            known = device.last[record.id] = RecordedCall(len(self.calls) + 1, device.hw, record, self._messages)
            self.calls.append(known)
        known._indexes.append(index)
        record.history = None  # the messages themselves are the history
        if device.gap.settling:
            device.gap.take(change, is_sync=message.mt == "Sync", is_setup=message.type == "setup")

    def _take_late(self, device: _Device, index: int, message: RecordedMessage) -> None:
        """Add what belongs to a call without doing anything to it: it came after the end, or the app has sent it on itself."""
        call = None if message.call is None or message.mt != "Signaling" else device.last.get(message.call)
        if call is not None and (call.ended_at is None or message.at - call.ended_at <= MEMORY):
            call._indexes.append(index)

    def take_event(self, event: RecordedEvent) -> None:
        """Take an event."""
        self._last_at = at = event.at
        devices = [one for one in self._devices.values() if event.device in (None, one.hw)]
        for device in devices:
            device.run_due(at)
            if event.event in ENDS:
                device.lose_connection(at, for_good=event.event == ENDED)
            elif event.event == MISSING and device.gap.since is None:
                device.table.interrupt(detached=True)  # an end may be among what is missing; a message shows who lives
            elif event.event == CONNECTED and device.gap.since is not None:
                device.gap.stale_at = at + STALE_TIME

    def take_beginning(self, beginning: Beginning) -> None:
        """Take the beginning of a run: a later one knows nothing of the calls before."""
        if not beginning.continued:
            self.finish()
            for device in self._devices.values():
                device.end(self._last_at)
            self._devices.clear()
        self._last_at = beginning.at

    def finish(self) -> None:
        """Do what was due up to the last line."""
        for device in self._devices.values():
            device.run_due(self._last_at)
