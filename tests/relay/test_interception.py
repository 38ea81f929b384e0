"""What is asked about first, and what is consumed: without sockets, and with the time as an argument."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from epsignal_sync.protocol.asking import Names, Rule
from epsignal_sync.protocol.envelope import OWN_CALL_IDS
from epsignal_sync.protocol.lanes import MOST_RUNS, Held, Lanes
from epsignal_sync.protocol.session import Attachment
from epsignal_sync.relay import interception as interception_module
from epsignal_sync.relay.deliveries import Counters, Delivery, Late, Received, Sent
from epsignal_sync.relay.inbox import Answer
from epsignal_sync.relay.interception import Interception

from ..protocol.test_lanes import lines_run

DIRECTIONS = pytest.mark.parametrize("to", [True, False], ids=["to the device", "from the device"])
SETUPS = (Rule(signals=Names(frozenset({"setup"})), deadline=1.0),)
EVERYTHING = (Rule(deadline=1.0),)
CHANGED, ADDED = b'{"changed":1}', b'{"added":1}'


class Path:
    """A device "1" whose messages pass an interception. What goes out stands in ``wire``, in order."""

    def __init__(self, rules: tuple[Rule, ...] = SETUPS) -> None:
        self.rules = rules
        self.device = Attachment("1", "hw1")
        self.counters = Counters()
        self.wire: list[bytes] = []
        self.told: list[Delivery] = []
        self.swallowed: list[Sent] = []
        self.closing = False
        self.now = 100.0
        self.interception = Interception(self._forward, self._send_own, self.counters, Lanes())

    def _forward(self, text: bytes, since: float, data: dict[str, Any] | None = None) -> bool:
        assert since <= self.now
        if not self.closing:
            self.wire.append(text)
        return not self.closing

    def _send_own(self, sent: Sent, own: int, now: float, batch: list[Delivery]) -> None:
        assert own == 0 and now == self.now, "the application is charged for what it sends itself only"
        if self.closing:
            return
        if self.interception.app_sends(sent, now):
            self.wire.append(sent.text)
        else:
            self.swallowed.append(sent)
        batch.append(sent)

    # -- what happens

    def take(self, kind: Any, to: bool = True, call: Any = 3, *, device: Attachment | None = None, sig: Any = None) -> Received:
        """Receive one message."""
        device = device or self.device
        data: dict[str, Any] = {"mt": "Signaling", "src": device.src, "call": call, "sig": {"type": kind} if sig is None else sig}
        if to is not False:
            data["to"] = to
        self.counters.received += 1
        number = self.counters.received
        item = Received(b"%d " % number + json.dumps(data).encode(), data, device, None, 0.0, number)
        self.interception.take(item, device, self.rules, self.now, self.told)
        return item

    def asked(self) -> list[Held]:
        return self.interception.to_ask()

    def ask(self, kind: Any = "setup", to: bool = True, call: Any = 3, **options: Any) -> Held:
        """Receive one message that is asked about at once."""
        item = self.take(kind, to, call, **options)
        [held] = self.asked()
        assert held.item is item and item not in self.told
        return held

    def answer(self, held: Held, **answer: Any) -> None:
        self.interception.answer(Answer(held, **answer), self.now, self.told)

    def drop(self, held: Held) -> None:
        self.answer(held, texts=(), keeps_type=False)

    def refuse(self, held: Held) -> Sent:
        refusal = rel(self.device, held.item.data["call"], not held.lane[1])
        refusal.refused = True
        self.answer(held, texts=(), keeps_type=False, refusal=refusal)
        return refusal

    def send_rel(self, to: bool, call: int = 3) -> Sent:
        """Let the application send a rel."""
        sent = rel(self.device, call, to)
        self._send_own(sent, 0, self.now, self.told)
        return sent

    def expire(self, seconds: float) -> None:
        self.now += seconds
        self.interception.expire(self.now, self.told)

    # -- what came of it

    def check_dropped(self, *items: Received) -> None:
        for item in items:
            assert item.verdict == "dropped" and item.text not in self.wire and self.told.count(item) == 1

    def check_forwarded(self, *items: Received) -> None:
        for item in items:
            assert item.verdict == "forwarded" and self.wire.count(item.text) == 1 and self.told.count(item) == 1

    def check_consumed(self, kind: str, to: bool, call: int = 3) -> None:
        before = list(self.wire)
        self.check_dropped(self.take(kind, to, call))
        assert self.wire == before and not self.asked(), "the application is not asked about what is consumed"

    def check_passes(self, kind: str, to: bool, call: Any = 3) -> None:
        self.check_forwarded(self.take(kind, to, call))


def rel(device: Attachment, call: int, to_device: bool) -> Sent:
    data = {"mt": "Signaling", "src": device.src, "call": call, "sig": {"type": "rel"}}
    return Sent(device, call, to_device, data, b"rel to " + (b"the device " if to_device else b"the PBX ") + b"%d" % call)


# ------------------------------------------------------------ what the application answers


@DIRECTIONS
def test_none_lets_it_go_on_as_it_came(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    assert path.wire == [] and path.told == [] and held.item.verdict is None and not path.interception.idle
    path.answer(held)
    assert path.wire == [held.item.text] and path.told == [held.item] and path.interception.idle
    path.check_forwarded(held.item)
    assert path.counters == Counters(received=1, forwarded=1)


@DIRECTIONS
def test_changed(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    path.answer(held, texts=(CHANGED,))
    assert path.wire == [CHANGED] and path.told == [held.item] and held.item.verdict == "changed"
    assert path.counters == Counters(received=1, changed=1) and path.interception.idle


@DIRECTIONS
def test_list_goes_on_in_order_before_what_waits_behind(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    behind = path.take("info", to)
    path.answer(held, texts=(ADDED, CHANGED, ADDED))
    assert path.wire == [ADDED, CHANGED, ADDED, behind.text] and path.told == [held.item, behind]
    assert path.counters == Counters(received=2, changed=1, forwarded=1)


@DIRECTIONS
def test_dropped(to: bool) -> None:
    path = Path(EVERYTHING)
    held = path.ask("info", to)
    path.drop(held)
    assert path.wire == [] and path.told == [held.item]
    path.check_dropped(held.item)
    assert path.counters == Counters(received=1, dropped=1) and path.interception.idle


def test_what_nobody_wants_goes_at_once() -> None:
    path = Path()
    item = path.take("alert")
    path.check_forwarded(item)
    assert path.interception.idle and not path.asked() and path.interception.next_at() is None


@pytest.mark.parametrize("sig", [5, "setup", None, ["setup"], [], 1.5, True])
def test_signal_that_is_no_object_goes_at_once(sig: Any) -> None:
    path = Path(EVERYTHING)
    path.interception.app_sends(rel(path.device, 9, True), path.now)
    item = path.take("x", sig=sig) if sig is not None else path.take(None, sig={})
    if sig is not None:
        path.check_forwarded(item)
    else:
        assert len(path.asked()) == 1, "an object without a type is a signal that nobody knows"


@pytest.mark.parametrize("call", ["3", 3.0, True, None, [3], {}], ids=repr)
def test_call_that_is_no_integer_is_held_and_changes_nothing(call: Any) -> None:
    path = Path(EVERYTHING)
    for kind in ("setup", "rel"):
        held = path.ask(kind, call=call)
        path.drop(held)
        path.check_dropped(held.item)
    path.rules = ()
    for number in (3, 1):
        path.check_passes("alert", True, number)
        path.check_passes("alert", False, number)
    assert path.interception.idle


@pytest.mark.parametrize("call", ["1", 1.0, True, None, [1], {}], ids=repr)
def test_call_that_is_no_integer_is_not_consumed(call: Any) -> None:
    path = Path()
    path.send_rel(True, 1)
    path.send_rel(False, 1)
    for to in (True, False):
        path.check_passes("info", to, call)
        path.check_consumed("info", to, 1)


@pytest.mark.parametrize("call", [0, 2**80, -(2**80)])
def test_call_with_any_number(call: int) -> None:
    path = Path()
    path.refuse(path.ask(call=call))
    path.check_consumed("rel", True, call)
    path.check_passes("rel", True, call + 1)


def test_forwarding_by_the_application_is_never_asked_about() -> None:
    path = Path(EVERYTHING)
    item = path.take("setup", device=Attachment("2", "hw2", forward=False))
    assert not path.asked() and path.wire == [] and path.told == [item] and item.verdict is None
    assert path.counters == Counters(received=1)


@pytest.mark.parametrize("to", [None, "yes", 1, [True], {}], ids=repr)
def test_only_true_is_towards_the_device(to: Any) -> None:
    path = Path((Rule(to_device=False, deadline=1.0),))
    held = path.ask(to=to)
    assert held.lane == ("1", False)
    path.check_passes("info", True)


# ------------------------------------------------------------ time


@DIRECTIONS
def test_late_answer_changes_nothing_and_is_reported_once(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    assert path.interception.next_at() == 101.0
    path.expire(0.99)
    assert path.wire == []
    path.expire(0.01)
    path.check_forwarded(held.item)
    text, late = held.item.text, path.told[1]
    assert isinstance(late, Late) and late.held is held and path.told[0] is held.item and len(path.told) == 2
    refusal = rel(path.device, 3, not to)
    for _ in range(2):
        path.answer(held, texts=(CHANGED,), keeps_type=False, refusal=refusal)
    path.expire(5)
    assert path.wire == [text] and len(path.told) == 2 and path.interception.idle
    assert path.counters == Counters(received=1, forwarded=1, late=1)
    path.check_passes("info", to)
    path.check_passes("info", not to)


@DIRECTIONS
def test_bypassed_while_the_application_is_still_at_work(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    first: Received = held.item
    path.expire(1)
    bypassed = [path.take("setup", to, 4), path.take("setup", not to, 5)]
    plain = path.take("info", to, 4)
    assert [item.verdict for item in [*bypassed, plain]] == ["bypassed", "bypassed", "forwarded"]
    assert path.wire == [item.text for item in [first, *bypassed, plain]] and not path.asked()
    assert path.counters == Counters(received=4, forwarded=4, bypassed=2, late=1)
    path.answer(held)
    path.ask(call=6)


def test_messages_that_wait_go_in_order_at_the_deadline_of_the_head() -> None:
    path = Path()
    held = path.ask()
    waiting = [path.take("info" if number % 2 else "setup", call=number) for number in range(10, 16)]
    path.expire(1)
    assert path.wire == [held.item.text, *(item.text for item in waiting)]
    assert [item.verdict for item in waiting] == ["bypassed", "forwarded"] * 3
    assert [one for one in path.told if isinstance(one, Received)] == [held.item, *waiting]


def test_deadline_is_that_of_the_rules_that_fit() -> None:
    path = Path((*SETUPS, Rule(call=3, deadline=0.5), Rule(call=3, to_device=False, deadline=9.0)))
    path.ask("info", True, 3)
    assert path.interception.next_at() == 100.5
    path.take("info", False, 3)
    path.expire(0.5)
    assert path.interception.next_at() is None, "bypassed: the application is still at work"


def test_other_device_is_not_held_up() -> None:
    path = Path()
    path.ask()
    other = Attachment("2", "hw2")
    path.check_forwarded(path.take("info", device=other))
    held = path.ask(device=other)
    path.answer(held)
    path.check_forwarded(held.item)


# ------------------------------------------------------------ a setup that is dropped


@DIRECTIONS
def test_dropped_setup_has_what_follows_from_its_sender_consumed(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    facility = path.take("facility", to)
    other = path.take("facility", to, 4)
    path.drop(held)
    path.check_dropped(held.item, facility)
    path.check_forwarded(other)
    assert not path.interception.idle, "or what follows would not come here"
    path.check_consumed("info", to)
    path.check_passes("info", not to)
    path.check_passes("info", to, 4)
    path.check_forwarded(path.take("info", to, device=Attachment("2", "hw2")))
    path.check_consumed("rel", to)
    path.now += 30
    path.check_consumed("facility", to)
    path.now += 1
    path.check_passes("facility", to)
    assert path.interception.idle and path.counters.dropped == 5


def test_setup_that_is_replaced_by_other_signals_is_a_dropped_one() -> None:
    path = Path()
    held = path.ask()
    path.answer(held, texts=(CHANGED,), keeps_type=False)
    assert path.wire == [CHANGED] and held.item.verdict == "changed"
    path.check_consumed("rel", True)


@DIRECTIONS
def test_setup_that_goes_on_with_others_makes_no_one_sided_call(to: bool) -> None:
    path = Path()
    path.answer(path.ask(to=to), texts=(ADDED, CHANGED), keeps_type=True)
    path.check_passes("info", to)
    path.check_passes("rel", not to)
    assert path.interception.idle


def test_application_answers_a_call_that_it_has_taken_from_the_device() -> None:
    path = Path()
    path.drop(path.ask(to=True))
    for kind in ("conn", "info"):  # what the application says goes, and makes no difference
        sent = Sent(path.device, 3, False, {"sig": {"type": kind}}, kind.encode())
        assert path.interception.app_sends(sent, path.now)
    path.check_consumed("info", True)
    path.send_rel(False)
    assert path.wire == [b"rel to the PBX 3"]
    path.check_consumed("rel", True)


@DIRECTIONS
def test_new_setup_on_the_id_is_asked_about_and_goes_on(to: bool) -> None:
    path = Path()
    path.refuse(path.ask(to=to))
    held = path.ask(to=to)
    behind, other = path.take("info", to), path.take("info", not to)
    path.answer(held)
    path.check_forwarded(held.item, behind, other)


def test_new_setup_while_a_message_of_the_old_call_is_held() -> None:
    path = Path()
    path.refuse(path.ask())
    head = path.ask(call=9)
    old = path.take("facility")
    new = path.take("setup")
    after = path.take("facility")
    path.answer(head)
    path.check_dropped(old)
    [held] = path.asked()
    assert held.item is new
    path.answer(held)
    path.check_forwarded(head.item, new, after)


def test_new_setup_while_the_other_side_still_has_a_message_held() -> None:
    path = Path()
    head = path.ask(to=False, call=9)
    path.send_rel(True)
    path.send_rel(False)
    crossing = path.take("conn", False)
    path.rules = ()
    path.check_passes("setup", True)
    path.check_passes("info", True)
    path.answer(head)
    path.check_dropped(crossing)
    path.check_passes("conn", False)


# ------------------------------------------------------------ a setup that is refused


@DIRECTIONS
def test_refused_setup_is_answered_with_one_rel(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    refusal = path.refuse(held)
    assert refusal.to_device is not to and path.wire == [refusal.text]
    assert path.told == [held.item, refusal], "the message first, then what it was answered with"
    path.check_dropped(held.item)
    assert path.counters == Counters(received=1, dropped=1)
    path.answer(held, texts=(), refusal=refusal)
    assert path.wire == [refusal.text]


@DIRECTIONS
def test_refused_caller_hangs_up_while_our_rel_is_on_its_way(to: bool) -> None:
    path = Path()
    refusal = path.refuse(path.ask(to=to))
    for kind in ("facility", "rel", "facility", "rel"):
        path.check_consumed(kind, to)
    path.now += 30
    path.check_consumed("facility", to)
    path.now += 1
    path.check_passes("facility", to)
    assert path.wire[0] == refusal.text and path.interception.idle


@DIRECTIONS
@pytest.mark.parametrize("behind", [["rel"], ["facility", "rel"], ["rel", "facility"], ["info", "rel", "rel"]], ids=" ".join)
def test_refused_setup_with_its_rel_behind_it(to: bool, behind: list[str]) -> None:
    """In the same segment, or while the application was asked: a rel is never answered by a rel."""
    for rules in (SETUPS, EVERYTHING):
        path = Path(rules)
        held = path.ask(to=to)
        items = [path.take(kind, to) for kind in behind]
        path.refuse(held)
        for waiting in path.asked():  # those behind it are asked about, where somebody wants to be
            path.answer(waiting)
        while waiting_now := path.asked():
            path.answer(waiting_now[0])
        assert path.wire == [] and path.swallowed == []
        path.check_dropped(held.item, *items)
        path.check_consumed("facility", to)


def test_rel_that_lets_the_refused_setup_be_answered_all_the_same() -> None:
    for other in ({"call": 4}, {"to": False}, {"call": True}, {"call": 3.0}, {"device": Attachment("2", "hw2")}, {"sig": ["rel"]}):
        path = Path()
        held = path.ask(call=1 if other.get("call") is True else 3)
        path.take("rel", **({"to": True} | other))
        refusal = path.refuse(held)
        assert path.wire.count(refusal.text) == 1, other


def test_refused_setup_among_many_that_are_let_go() -> None:
    path = Path()
    first = path.ask(call=3)
    second = path.take("setup", call=4)
    path.take("rel", call=4)
    path.refuse(first)
    [held] = path.asked()
    assert held.item is second
    path.refuse(held)
    assert path.wire == [b"rel to the PBX 3"]


def test_refusal_that_comes_too_late_sends_nothing() -> None:
    path = Path()
    held = path.ask()
    path.expire(1)
    path.refuse(held)
    assert path.wire == [held.item.text]
    path.check_passes("info", True)
    path.check_passes("alert", False)


def test_cost_of_letting_many_go_is_in_proportion() -> None:
    def cost(length: int) -> int:
        path = Path()
        held = path.ask()
        for _ in range(length):
            path.take("info", True, 4)
        return lines_run(lambda: path.answer(held), interception_module)

    assert cost(300) - cost(200) == cost(200) - cost(100) > 0


# ------------------------------------------------------------ the application releases a call


@DIRECTIONS
def test_call_released_on_one_side_only(to: bool) -> None:
    path = Path()
    sent = path.send_rel(to)
    assert path.wire == [sent.text] and path.told == [sent]
    path.check_consumed("conn", not to)
    path.check_consumed("info", to)
    path.now += 31
    path.check_consumed("info", to)
    path.check_passes("info", not to)
    path.check_consumed("rel", to)
    path.now += 31
    path.check_passes("info", to)
    assert path.interception.idle


def test_conn_that_crosses_our_rel_is_consumed() -> None:
    path = Path()
    path.answer(path.ask())
    path.send_rel(True)
    path.send_rel(False)
    path.check_consumed("conn", False)
    path.check_consumed("rel", False)
    path.check_consumed("facility", True)
    path.check_consumed("rel", True)


def test_conn_that_is_held_while_our_rels_are_sent_is_consumed() -> None:
    path = Path(EVERYTHING)
    held = path.ask("conn", False)
    path.send_rel(True)
    path.send_rel(False)
    path.answer(held, texts=(CHANGED,))
    path.check_dropped(held.item)
    assert path.wire == [b"rel to the device 3", b"rel to the PBX 3"]


@DIRECTIONS
@pytest.mark.parametrize("first", [True, False], ids=["sender last", "sender first"])
def test_hang_up_while_the_setup_is_held(to: bool, first: bool) -> None:
    """The side that has not got the setup never hears of the call, nor of its end."""
    path = Path()
    held = path.ask(to=to)
    behind = path.take("info", to)
    for side in ((to, not to) if first else (not to, to)):
        path.send_rel(side)
    towards_the_sender = rel(path.device, 3, not to).text
    assert path.wire == [towards_the_sender] and [sent.to_device for sent in path.swallowed] == [to]
    assert [one for one in path.told if isinstance(one, Sent)] == path.told and len(path.told) == 2
    path.answer(held)
    path.check_dropped(held.item, behind)
    path.check_consumed("rel", to)
    path.send_rel(to)
    assert path.wire == [towards_the_sender] and len(path.swallowed) == 2
    path.now += 31
    path.check_passes("info", to)
    assert path.interception.idle, "nothing of it is remembered"


@DIRECTIONS
@pytest.mark.parametrize("first", [True, False], ids=["sender last", "sender first"])
def test_hang_up_while_the_setup_is_held_and_its_sender_says_nothing_more(to: bool, first: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    for side in ((to, not to) if first else (not to, to)):
        path.send_rel(side)
    path.answer(held)
    path.now += 30
    path.check_consumed("info", to)
    path.now += 1
    path.check_passes("info", to)
    assert path.interception.idle, "nothing of it is remembered"


def test_hang_up_while_the_setup_of_a_new_call_on_the_id_is_held() -> None:
    """It waits behind another one, and nobody wants to be asked about it."""
    path = Path()
    path.send_rel(True)
    path.send_rel(False)
    head = path.ask(call=9)
    path.rules = ()
    setup = path.take("setup")
    path.send_rel(True)
    path.send_rel(False)
    path.answer(head)
    path.check_dropped(setup)
    assert len(path.wire) == 4 and len(path.swallowed) == 1


@DIRECTIONS
def test_rel_towards_the_side_that_has_not_got_the_setup(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    path.send_rel(to)
    assert path.wire == []
    path.answer(held)
    path.check_dropped(held.item)
    path.check_consumed("info", to)
    path.send_rel(not to)
    assert path.wire == [rel(path.device, 3, not to).text]


@DIRECTIONS
def test_setup_that_is_refused_after_the_application_has_hung_up(to: bool) -> None:
    path = Path()
    held = path.ask(to=to)
    sent = path.send_rel(not to)
    path.refuse(held)
    assert path.wire == [sent.text], "its sender knows already"
    path.check_dropped(held.item)

    path = Path()
    held = path.ask(to=to)
    path.send_rel(to)
    refusal = path.refuse(held)
    assert path.wire == [refusal.text], "only the other side was told, which does not know the call"


@DIRECTIONS
def test_hang_up_of_a_call_whose_setup_was_dropped(to: bool) -> None:
    path = Path()
    path.drop(path.ask(to=to))
    path.send_rel(to)
    assert path.wire == [] and len(path.swallowed) == 1
    path.send_rel(not to)
    assert len(path.wire) == 1


def test_hang_up_while_the_setup_expires_or_is_flushed() -> None:
    ways: list[Callable[[Path], None]] = [lambda path: path.expire(1), lambda path: path.interception.flush(path.now, path.told)]
    for let_go in ways:
        path = Path()
        held = path.ask()
        path.send_rel(False)
        let_go(path)
        path.check_dropped(held.item)
        assert path.wire == [b"rel to the PBX 3"]


def test_hang_up_while_the_rel_of_the_old_call_and_the_next_setup_are_held() -> None:
    """Both sides still know the old call."""
    path = Path()
    head = path.ask(call=9)
    end, next_setup = path.take("rel"), path.take("setup")
    path.send_rel(True)
    path.send_rel(False)
    assert path.wire == [b"rel to the device 3", b"rel to the PBX 3"]
    path.answer(head)
    [held] = path.asked()
    path.answer(held)
    path.check_dropped(end, next_setup)


@DIRECTIONS
def test_dropped_rel_leaves_the_other_side_alone(to: bool) -> None:
    path = Path(EVERYTHING)
    held = path.ask("rel", to)
    path.drop(held)
    path.check_dropped(held.item)
    path.check_consumed("facility", to)
    for _ in range(2):
        path.check_consumed("info", not to)
        path.now += 31
    path.check_consumed("rel", not to)


@DIRECTIONS
def test_dropped_rel_and_the_application_ends_the_other_side_later(to: bool) -> None:
    path = Path(EVERYTHING)
    path.drop(path.ask("rel", to))
    sent = path.send_rel(to)
    assert path.wire == [sent.text]
    path.check_consumed("rel", not to)
    path.now += 31
    path.rules = ()
    path.check_passes("info", to)
    path.check_passes("info", not to)


def test_rel_that_was_replaced_by_disc_is_a_dropped_one() -> None:
    path = Path(EVERYTHING)
    path.answer(path.ask("rel", True), texts=(CHANGED,), keeps_type=False)
    path.check_consumed("rel", False)


def test_changed_rel_is_none() -> None:
    path = Path(EVERYTHING)
    path.answer(path.ask("rel", True), texts=(CHANGED,))
    assert path.interception.idle


@pytest.mark.parametrize("sig", [None, 5, "rel", ["rel"], {}, {"type": "disc"}, {"type": ["rel"]}, {"type": "Rel"}], ids=repr)
def test_other_things_that_the_application_sends(sig: Any) -> None:
    path = Path()
    sent = Sent(path.device, 3, True, {"sig": sig}, b"x")
    assert path.interception.app_sends(sent, path.now) and path.interception.idle


# ------------------------------------------------------------ negative ids


def test_call_of_the_application_is_never_touched() -> None:
    path = Path()
    own = OWN_CALL_IDS.issue()
    path.send_rel(False, own)
    path.send_rel(True, own)
    assert len(path.wire) == 2 and path.interception.idle


def test_negative_id_that_was_not_issued_is_like_any_other() -> None:
    path = Path()
    call = OWN_CALL_IDS.issue() - 1000
    path.refuse(path.ask(call=call))
    path.check_consumed("rel", True, call)
    path.send_rel(True, call - 1)
    path.check_consumed("conn", False, call - 1)
    path.check_passes("conn", False, call - 2)


# ------------------------------------------------------------ the end of a connection


def test_flush_sends_everything_as_it_came() -> None:
    path = Path()
    devices = [Attachment(str(number), f"hw{number}") for number in range(MOST_RUNS + 2)]
    items = [
        path.take(kind, to, call, device=device)
        for device in devices for call, kind in enumerate(("setup", "info", "setup")) for to in (True, False)
    ]  # fmt: skip
    runs = path.asked()
    assert len(runs) == MOST_RUNS
    path.interception.flush(path.now, path.told)
    assert len(path.told) == len(path.wire) == len(items) and path.interception.idle
    for device, to in itertools.product(devices, (True, False)):
        lane = [item.text for item in items if item.attachment is device and (item.data.get("to") is True) is to]
        assert [text for text in path.wire if text in lane] == lane
    assert {item.verdict for item in items if item.data["sig"]["type"] == "info"} == {"forwarded"}
    assert [held.item.verdict for held in runs] == ["forwarded"] * MOST_RUNS
    assert path.counters.forwarded == len(items) and path.counters.late == 0
    for held in runs:
        path.refuse(held)
    path.expire(10)
    assert len(path.told) == len(path.wire) == len(items)


def test_nothing_goes_on_after_our_close_frame() -> None:
    answers: list[dict[str, Any]] = [{}, {"texts": (CHANGED, ADDED)}, {"texts": (CHANGED,), "keeps_type": False}]
    for answer in answers:
        path = Path()
        held = path.ask()
        path.closing = True
        path.answer(held, **answer)
        assert path.told == [held.item] and held.item.verdict is None and path.wire == []
        assert path.counters == Counters(received=1) and path.interception.idle


def test_flush_after_our_close_frame_tells_that_nothing_went_on() -> None:
    path = Path()
    held = path.ask()
    path.closing = True
    path.interception.flush(path.now, path.told)
    assert path.told == [held.item] and held.item.verdict is None and path.wire == [] and path.counters.forwarded == 0


def test_abandoned_messages_are_told_and_go_nowhere() -> None:
    path = Path()
    held = path.ask()
    behind, other = path.take("info"), path.take("setup", False)
    path.interception.abandon(path.told)
    assert path.told == [held.item, behind, other] and path.wire == []
    assert [item.verdict for item in (held.item, behind, other)] == [None] * 3
    assert held.settled, "so that nobody asks about it any more"
    path.refuse(held)
    path.expire(9)
    path.interception.abandon(path.told)
    assert len(path.told) == 3 and path.wire == [] and path.counters == Counters(received=3, lost=3)


# ------------------------------------------------------------ everything together


def lane_and_call(item: Received) -> tuple[Any, bool, Any]:
    return item.data["src"], item.data.get("to") is True, item.data["call"]


class PathMachine(RuleBasedStateMachine):
    """Any messages, answers and releases on two devices: each message once and in order, and nothing about a refused call."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path((Rule(signals=Names(frozenset({"setup", "rel", "info"})), deadline=1.0),))
        self.devices = [self.path.device, Attachment("2", "hw2")]
        self.runs: list[Held] = []
        self.items: list[Received] = []
        self.dropped: list[tuple[Received, float]] = []
        """Setups that the application has dropped or refused, and when."""
        self.seen = 0

    @rule(
        kind=st.sampled_from(["setup", "setup", "alert", "info", "rel", None]), to=st.booleans(), call=st.integers(1, 2),
        device=st.integers(0, 1),
    )  # fmt: skip
    def take(self, kind: Any, to: bool, call: int, device: int) -> None:
        self.items.append(self.path.take(kind, to, call, device=self.devices[device]))

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), kind=st.sampled_from(["none", "drop", "refuse", "change"]))
    def answer(self, data: st.DataObject, kind: str) -> None:
        held = data.draw(st.sampled_from(self.runs))
        self.runs.remove(held)
        sent = len(self.path.wire)
        item = held.item
        if kind == "refuse" and item.data["sig"]["type"] == "setup":
            refusal = rel(item.attachment, item.data["call"], not held.lane[1])
            self.path.answer(held, texts=(), keeps_type=False, refusal=refusal)
            assert self.path.wire[sent:].count(refusal.text) <= 1
            self.note_dropped(held)
        elif kind == "change":
            self.path.answer(held, texts=(item.text,))
        elif kind == "drop":
            self.path.drop(held)
            self.note_dropped(held)
        else:
            self.path.answer(held)

    def note_dropped(self, held: Held) -> None:
        item: Received = held.item
        assert held.late or item.verdict == "dropped"
        if not held.late and item.data["sig"]["type"] == "setup":
            self.dropped.append((item, self.path.now))

    @rule(to=st.booleans(), call=st.integers(1, 2))
    def hang_up(self, to: bool, call: int) -> None:
        self.path.send_rel(to, call)

    @rule(eighths=st.integers(0, 10))
    def pass_time(self, eighths: int) -> None:
        self.path.expire(eighths / 8)

    @rule()
    def pass_much_time(self) -> None:
        self.path.expire(40)

    @rule()
    def flush(self) -> None:
        self.path.interception.flush(self.path.now, self.path.told)
        self.runs.clear()

    @invariant()
    def nothing_of_a_dropped_call_goes_on(self) -> None:
        told = [one for one in self.path.told[self.seen :] if isinstance(one, Received) and one.verdict != "dropped"]
        self.seen = len(self.path.told)
        for (setup, at), item in itertools.product(self.dropped, told):
            if lane_and_call(setup) == lane_and_call(item) and item.number > setup.number and self.path.now <= at + 30:
                between = (one for one in self.items if setup.number < one.number <= item.number)
                assert any(self.starts_anew(one, setup) for one in between), "this belongs to the call that was dropped"

    def starts_anew(self, item: Received, dropped: Received) -> bool:
        """Whether it is a setup, from either side, on the id of a dropped one."""
        return item.data["sig"]["type"] == "setup" and lane_and_call(item)[::2] == lane_and_call(dropped)[::2]

    @invariant()
    def each_message_once_and_in_order(self) -> None:
        self.runs += self.path.asked()
        path = self.path
        told = [one for one in path.told if isinstance(one, Received)]
        assert len({id(one) for one in told}) == len(told)
        for device, to in itertools.product(self.devices, (True, False)):
            arrived = [one.number for one in self.items if one.attachment is device and (one.data.get("to") is True) is to]
            numbers = [one.number for one in told if one.attachment is device and (one.data.get("to") is True) is to]
            assert numbers == arrived[: len(numbers)]
        expected = [one.text for one in told if one.verdict != "dropped"]
        assert [text for text in path.wire if not text.startswith(b"rel")] == expected
        verdicts = [one.verdict for one in told]
        counters = path.counters
        assert None not in verdicts
        assert counters.dropped == verdicts.count("dropped") and counters.changed == verdicts.count("changed")
        assert counters.bypassed == verdicts.count("bypassed")
        assert counters.forwarded == verdicts.count("forwarded") + verdicts.count("bypassed")
        assert counters.late == sum(isinstance(one, Late) for one in path.told)

    def teardown(self) -> None:
        self.path.expire(5)
        for held in self.runs:
            self.path.answer(held)
        assert len([one for one in self.path.told if isinstance(one, Received)]) == len(self.items)
        assert not self.path.interception._waiting


TestPath = PathMachine.TestCase
TestPath.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
