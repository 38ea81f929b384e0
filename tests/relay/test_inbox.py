from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import pytest

from epsignal_sync.errors import AttachError, ClosedError, ConnectionLostError, EpSignalError, ReplyTimeout, UsageError
from epsignal_sync.protocol.lanes import Held
from epsignal_sync.protocol.session import Attachment
from epsignal_sync.relay.deliveries import Sent
from epsignal_sync.relay.inbox import OWN_SHARE, Answer, Entry, Inbox, Outgoing, _Sender

PATIENCE = 20.0
"""Seconds that a test waits for what has to come; only a failing test ever waits so long."""
FULL = b"x" * OWN_SHARE
REL = Sent(Attachment("1", "hw"), 3, True, {"mt": "Signaling"}, b"rel")
ANSWER = Answer(Held(("1", True), None, 1.0))


def taken(inbox: Inbox) -> list[tuple[bytes, int, Sent | None] | Entry]:
    """Take what is queued, with each text as a tuple."""
    return [(one.text, one.own, one.sent) if isinstance(one, Outgoing) else one for one in inbox.take()]


class Caller:
    """A thread that makes one call and keeps what came of it."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.error: BaseException | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE)

    def _run(self) -> None:
        self._started.set()
        try:
            self._call()
        except EpSignalError as error:
            self.error = error

    def is_blocked(self) -> bool:
        """Whether it is still waiting after a moment in which it would have returned."""
        self._thread.join(0.2)
        return self._thread.is_alive()

    def join(self) -> BaseException | None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.error


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def test_taken_in_order_with_its_charge() -> None:
    wakes = Wakes()
    inbox = Inbox(wakes)
    attachment = Attachment("1", "hw")
    inbox.send(b"abc", 0)
    inbox.forward(b"de", 1)
    inbox.attach(attachment)
    inbox.send(b"f", None)
    inbox.answer(ANSWER)
    inbox.send(b"rel!", 0, REL)
    inbox.reply(REL)
    assert wakes.count == 7
    assert taken(inbox) == [
        (b"abc", 3, None), (b"de", 0, None), attachment, (b"f", 1, None), ANSWER, (b"rel!", 4, REL), (b"rel", 0, REL),
    ]  # fmt: skip
    assert inbox.take() == []


@pytest.fixture
def only_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a waiting caller look up by itself only after the test has failed."""
    monkeypatch.setattr("epsignal_sync.relay.inbox.WAKE_INTERVAL", PATIENCE * 2)


def test_own_share_makes_send_wait_until_it_is_relieved(only_notified: None) -> None:
    inbox = Inbox(Wakes())
    inbox.send(FULL, 0)
    caller = Caller(lambda: inbox.send(b"late", None))
    assert caller.is_blocked()
    inbox.take()
    assert caller.is_blocked(), "what is taken is not written yet"
    inbox.relieve(1)
    assert caller.join() is None
    assert taken(inbox) == [(b"late", 4, None)]


def test_one_message_may_exceed_the_own_share() -> None:
    inbox = Inbox(Wakes())
    inbox.send(b"x" * (OWN_SHARE - 1), 0)
    inbox.send(FULL * 2, 0)
    with pytest.raises(ReplyTimeout):
        inbox.send(b"x", 0)


@pytest.mark.parametrize("timeout", [0, 0.05, -1])
def test_send_times_out_and_sends_nothing(timeout: float) -> None:
    wakes = Wakes()
    inbox = Inbox(wakes)
    inbox.send(FULL, 0)
    inbox.take()
    with pytest.raises(ReplyTimeout, match=rf"has not taken the {OWN_SHARE} bytes .* within {timeout} s: send less, or wait longer"):
        inbox.send(b"late", timeout)
    assert inbox.take() == [] and wakes.count == 1
    inbox.relieve(OWN_SHARE)
    inbox.send(b"again", 0)


def test_time_out_is_for_the_whole_wait() -> None:
    inbox = Inbox(Wakes())
    inbox.send(FULL + b"x", 0)
    inbox.take()
    caller = Caller(lambda: inbox.send(b"late", 0.3))
    for _ in range(3):
        inbox.relieve(0)  # wakes it without room for it
    assert isinstance(caller.join(), ReplyTimeout)


def test_time_out_that_is_no_number() -> None:
    with pytest.raises(UsageError):
        Inbox(Wakes()).send(b"x", float("nan"))


def test_only_what_the_application_sends_waits() -> None:
    inbox = Inbox(Wakes())
    inbox.send(FULL * 3, 0)
    waiting = Caller(lambda: inbox.send(b"late", None))
    assert waiting.is_blocked()
    for index in range(100):
        assert Caller(lambda text=b"%d" % index: inbox.forward(text, 1)).join() is None  # type: ignore[misc]
    for call in (lambda: inbox.attach(Attachment("1", "hw")), lambda: inbox.answer(ANSWER), lambda: inbox.reply(REL)):
        assert Caller(call).join() is None
    assert len(inbox.take()) == 1 + 100 + 3
    inbox.relieve(OWN_SHARE * 3)
    waiting.join()


@pytest.mark.parametrize("error", [ClosedError("the client was closed"), ConnectionLostError("it was lost"), AttachError("no", hw="x")])
def test_end_wakes_who_waits(error: EpSignalError, only_notified: None) -> None:
    inbox = Inbox(Wakes())
    inbox.send(FULL, 0)
    callers = [Caller(lambda: inbox.send(b"late", None)) for _ in range(3)]
    assert all(caller.is_blocked() for caller in callers)
    inbox.end(error)
    raised = [caller.join() for caller in callers]
    assert [(type(one), str(one)) for one in raised] == [(type(error), str(error))] * 3
    assert len({id(one) for one in [error, *raised]}) == 4, "each thread gets an exception of its own"


def test_everything_is_refused_after_the_end() -> None:
    wakes = Wakes()
    inbox = Inbox(wakes)
    inbox.end(ConnectionLostError("gone"))
    inbox.end(ClosedError("closed"))  # the first end counts
    calls: list[Callable[[], None]] = [
        lambda: inbox.send(b"x", 0), lambda: inbox.forward(b"x", 1), lambda: inbox.attach(Attachment("1", "hw")),
        lambda: inbox.reply(REL), lambda: inbox.send(b"x", 0, REL), inbox.check,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ConnectionLostError, match="gone"):
            call()
    assert inbox.take() == [] and wakes.count == 0
    inbox.answer(ANSWER)  # a run that ends counts in any case
    assert inbox.take() == [ANSWER]


def test_what_is_queued_before_the_end_stays() -> None:
    inbox = Inbox(Wakes())
    inbox.send(b"x", 0)
    inbox.forward(b"y", 1)
    inbox.answer(ANSWER)
    inbox.end(ClosedError("closed"))
    assert taken(inbox) == [(b"x", 1, None), (b"y", 0, None), ANSWER]


def test_no_lock_is_held_while_waking() -> None:
    others: list[BaseException | None] = []

    def wake() -> None:
        if len(others) < 5:
            others.append(None)
            others[-1] = Caller(lambda: inbox.relieve(0)).join()
            Caller(lambda: inbox.forward(b"from another thread", 1)).join()

    inbox = Inbox(wake)
    inbox.send(b"x", 0)
    inbox.forward(b"y", 1)
    inbox.attach(Attachment("1", "hw"))
    inbox.answer(ANSWER)
    inbox.reply(REL)
    assert others == [None] * 5


def test_many_senders_and_one_taker() -> None:
    something = threading.Event()
    inbox = Inbox(something.set)
    payload = b"x" * (OWN_SHARE // 8)

    def send_many() -> None:
        for _ in range(50):
            inbox.send(payload, PATIENCE)

    senders = [Caller(send_many) for _ in range(4)]
    taken, most = 0, 0
    while taken < 200:
        assert something.wait(PATIENCE)
        something.clear()
        charges = [one.own for one in inbox.take() if isinstance(one, Outgoing)]
        taken += len(charges)
        most = max(most, sum(charges))
        inbox.relieve(sum(charges))
    assert [sender.join() for sender in senders] == [None] * 4
    assert most <= OWN_SHARE


def test_first_come_first_served(only_notified: None) -> None:
    inbox = Inbox(Wakes())
    inbox.send(FULL, 0)
    callers = []
    for number in range(5):
        callers.append(Caller(functools.partial(inbox.send, b"%d" % number, None)))
        assert callers[-1].is_blocked()
    inbox.take()
    inbox.relieve(len(FULL))
    for caller in callers:
        assert caller.join() is None
    assert [entry.text for entry in inbox.take() if isinstance(entry, Outgoing)] == [b"%d" % number for number in range(5)]


def test_signal_handler_does_not_wait_for_the_send_that_it_interrupted() -> None:
    inbox = Inbox(Wakes())
    inbox._senders.append(_Sender(threading.get_ident()))  # one that waits further up in this thread
    inbox.send(b"x", 0)
    inbox._senders.append(_Sender(-1))  # another thread's
    with pytest.raises(ReplyTimeout):
        inbox.send(b"x", 0)


def test_suspended_until_it_is_reopened() -> None:
    inbox = Inbox(Wakes())
    begun = inbox.connection
    inbox.send(b"x" * OWN_SHARE, 0)
    inbox.suspend(ConnectionLostError("away"), 7)
    calls: list[Callable[[], None]] = [
        lambda: inbox.send(b"y", 0), lambda: inbox.reply(REL), lambda: inbox.attach(Attachment("1", "hw")), inbox.check,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ConnectionLostError, match="away"):
            call()
    inbox.reopen()
    with pytest.raises(ConnectionLostError, match="made again meanwhile"):
        inbox.send(b"y", 0, REL, begun)
    with pytest.raises(ConnectionLostError, match="the connection it came on is gone"):
        inbox.forward(b"z", 7)
    inbox.take()
    inbox.forward(b"z", 8)
    inbox.send(b"y", 0, REL, inbox.connection)  # what was charged on the connection before is forgotten
    assert taken(inbox) == [(b"z", 0, None), (b"y", 1, REL)]
