"""The rules of a gap, without a connection; how they are told stands in test_gaps.py."""

from __future__ import annotations

from typing import Any

import pytest

from epsignal_sync.protocol.call_record import CallRecord, Party
from epsignal_sync.protocol.calls import CallTable
from epsignal_sync.protocol.gap import SETTLE_TIME, GapWatch, Told, is_same_call


class Line:
    """A call table and its gap, driven as the application side drives them."""

    def __init__(self) -> None:
        self.table = CallTable()
        self.gap = GapWatch()
        self.now = 0.0

    def signal(self, call: int, kind: str, *, to: bool = True, **more: Any) -> Told | None:
        change = self.table.receive(call, to, {"type": kind, **more}, self.now, self.now)
        return self.gap.take(change, is_sync=False, is_setup=kind == "setup")

    def sync(self, call: int, **info: Any) -> Told | None:
        return self.gap.take(self.table.sync(call, info, self.now, self.now), is_sync=True, is_setup=False)

    def lose(self, *, detached: bool = False) -> Told | None:
        told = self.gap.begin(self.now)
        self.table.interrupt(detached=detached)
        return told

    def attach(self) -> Told | None:
        self.table.uninterrupted = False
        return self.gap.attached(self.now, [one for one in self.table.live.values() if one.stale], self.now)

    def ring(self, *calls: int) -> list[CallRecord]:
        for call in calls:
            self.signal(call, "setup", cg={"num": f"2{call}"})
        return [self.table.live[call] for call in calls]


def ids(told: Told | None) -> tuple[list[int], list[int], list[int]]:
    assert told is not None
    return [one.id for one in told.kept], [one.id for one in told.lost], [one.id for one in told.new]


def test_first_attached_tells_of_no_gap() -> None:
    line = Line()
    assert line.attach() is None and not line.gap.settling


def test_second_attached_without_a_loss_tells_of_no_gap() -> None:
    line = Line()
    line.ring(3)
    assert line.attach() is None and line.attach() is None and not line.gap.settling


def test_told_at_once_where_no_call_was_known() -> None:
    line = Line()
    line.now = 5.0
    line.lose()
    line.now = 7.0
    told = line.attach()
    assert ids(told) == ([], [], []) and told is not None and (told.since, told.until) == (5.0, 7.0)
    assert line.sync(4, state="connected", **{"in": True}) is None, "what comes later is told by itself"


def test_told_when_every_call_is_named() -> None:
    line = Line()
    line.ring(3, 4)
    line.lose()
    assert all(one.stale for one in line.table.live.values())
    assert line.attach() is None
    assert line.gap.settle_at == SETTLE_TIME
    assert line.sync(9, state="alert", **{"in": True}) is None
    assert line.sync(3, state="connected", remote={"num": "23"}, **{"in": True}) is None
    assert ids(line.sync(4, state="connected", remote={"num": "24"}, **{"in": True})) == ([3, 4], [], [9])
    assert not any(one.stale for one in line.table.live.values()) and not line.gap.settling


def test_what_is_not_named_in_time_is_lost() -> None:
    line = Line()
    first, second = line.ring(3, 4)
    line.lose()
    line.attach()
    line.sync(3, state="connected", **{"in": True})
    told = line.gap.settle()
    assert ids(told) == ([3], [4], []) and told is not None
    [change] = line.table.end_lost(told.lost, 9.0)
    assert (change.call, change.ended, second.ended_by, second.cause, second.ended_at) == (second, True, "gap", None, 9.0)
    assert line.table.end_lost(told.lost, 10.0) == [], "a call ends once"
    assert list(line.table.live) == [3] and line.gap.settle() is None


@pytest.mark.parametrize(
    ("info", "same"),
    [
        ({"in": True, "remote": {"num": "23"}}, True),
        ({"in": True, "remote": {"num": "R23"}}, True),
        ({"in": True}, True),
        ({}, True),
        ({"in": True, "remote": {"dn": "Somebody"}}, True),
        ({"in": False, "remote": {"num": "23"}}, False),
        ({"in": True, "remote": {"num": "24"}}, False),
        ({"in": True, "remote": {"num": 24}}, True),
        ({"in": 0, "remote": []}, True),
    ],
)
def test_call_is_the_same_only_if_direction_and_remote_party_agree(info: dict[str, Any], same: bool) -> None:
    line = Line()
    [before] = line.ring(3)
    line.lose()
    line.attach()
    told = line.sync(3, state="connected", **info)
    after = line.table.live[3]
    assert (after is before) is same
    assert ids(told) == (([3], [], []) if same else ([], [3], [3]))
    assert (before.ended_by, before.stale, after.stale) == (None if same else "gap", False, False)


def test_sip_name_tells_calls_apart() -> None:
    record = CallRecord(3, 0.0, True)
    record.remote = Party("23", "bob", "Bob")
    for same in (Party("+4923", "bob"), Party("23", "robert")):
        assert is_same_call(record, True, same, None)
    for other in (Party(None, "carol", "Bob"), Party("24", "carol")):
        assert not is_same_call(record, True, other, None)


def test_telephone_call_does_not_become_one_without_media() -> None:
    record = CallRecord(3, 0.0, True)
    record.channel = -1
    assert is_same_call(record, True, Party(), -1) and is_same_call(record, True, Party(), 4) and is_same_call(record, True, Party(), None)
    assert not is_same_call(record, True, Party(), 0)


def test_rel_that_overtakes_its_sync_does_not_revive_a_call() -> None:
    line = Line()
    line.ring(3)
    line.lose()
    line.attach()
    assert ids(line.signal(3, "rel")) == ([], [], []), "it was named, and is told of by its own end"
    assert line.sync(3, state="connected") is None and not line.table.live
    assert line.signal(7, "rel") is None
    line.sync(7, state="connected")
    assert not line.table.live, "nor one that began in the gap"


def test_setup_on_the_id_of_a_stale_call() -> None:
    line = Line()
    [before] = line.ring(3)
    line.lose()
    line.attach()
    assert ids(line.signal(3, "setup")) == ([], [3], [])
    assert before.ended_by == "gap" and line.table.live[3] is not before


def test_call_first_seen_in_a_signal_while_settling_is_new() -> None:
    line = Line()
    line.ring(3)
    line.lose()
    line.attach()
    line.signal(5, "alert")
    assert ids(line.sync(3)) == ([3], [], [5])


def test_loss_before_the_gap_has_settled() -> None:
    line = Line()
    line.ring(3, 4)
    line.now = 1.0
    line.lose()
    line.now = 2.0
    line.attach()
    line.sync(3)
    line.now = 3.0
    told = line.lose()
    assert ids(told) == ([3], [], []) and told is not None and (told.since, told.until) == (1.0, 2.0)
    assert line.gap.since == 3.0 and sorted(line.table.live) == [3, 4]
    line.attach()
    assert ids(line.gap.settle()) == ([], [3, 4], [])


def test_detached_twice_is_one_gap() -> None:
    line = Line()
    line.lose(detached=True)
    line.now = 4.0
    line.lose(detached=True)
    assert line.gap.since == 0.0


def test_message_after_a_detached_shows_that_the_call_lives() -> None:
    """Two registrations under one hardware id: one of them goes, and the other one's calls go on."""
    line = Line()
    [record] = line.ring(3)
    line.lose(detached=True)
    line.signal(3, "alert", to=False)
    assert not record.stale
    line.lose()
    line.signal(3, "conn", to=False)
    assert record.stale, "after a loss of the connection it may be another call"


def test_calls_of_the_application_are_not_stale() -> None:
    line = Line()
    own = line.table.begin_own(-5, False, {"type": "setup"}, 0.0)
    line.lose(detached=True)
    assert not own.stale and ids(line.attach()) == ([], [], [])


def test_call_that_was_lost_may_be_named_later() -> None:
    line = Line()
    [before] = line.ring(3)
    line.lose()
    line.attach()
    told = line.gap.settle()
    assert told is not None
    line.table.end_lost(told.lost, 1.0)
    line.sync(3, state="connected")
    assert line.table.live[3] is not before, "slow as it was, the PBX says that it is there"
