"""Asking the application before a message goes on: what it may answer, and the workers that ask it.

When and for how long it is asked is decided in :mod:`.protocol.lanes`, on the link thread. Nothing here can stop a
phone's signaling: whatever an interceptor does, the link thread lets the message go on when its time is over.
"""

from __future__ import annotations

import functools
import itertools
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from attrs import define, frozen

from .call import Call
from .deadline import Deadline
from .delivery import events_for, report_failure
from .device import Device
from .errors import UsageError
from .events import InterceptorLate, ReceivedEvent
from .messages import Cause, Facility, Rel, Setup, Signal, Signaling, UnknownFacility, UnknownSignal
from .notes import CALLBACKS
from .protocol.asking import Names, Rule
from .protocol.codec import FACILITIES, SIGNALS, decode
from .protocol.envelope import OWN_CALL_IDS
from .protocol.lanes import MOST_RUNS, Held
from .registry import EventSource, Interceptor
from .relay.deliveries import Received
from .relay.inbox import Answer

if TYPE_CHECKING:
    from .client import Client

CALL_REJECTED = 21
"""Q.850 cause value."""


@frozen
class Drop:
    """The answer of an interceptor that keeps a message from going on: return :data:`epsignal_sync.DROP` or :func:`refuse`."""

    cause: int | None = None
    """For a setup: the Q.850 cause value with which it is refused to where it came from; None: nothing is sent."""


DROP = Drop()
"""Returned by an interceptor: the message does not go on."""


def refuse(cause: int = CALL_REJECTED) -> Drop:
    """Return the answer with which an interceptor drops a setup and refuses the call to where it came from.

    The ``rel`` with the Q.850 ``cause`` value is sent if, and only if, the setup is dropped: an answer that comes too
    late sends nothing. Raises UsageError. Does not block; any thread.
    """
    if type(cause) is not int or not 1 <= cause <= 127:
        raise UsageError(f"a call is refused with a Q.850 cause value from 1 to 127, not {cause!r}")
    return Drop(cause)


Verdict = Signal | Sequence[Signal] | Drop | None
"""What an interceptor returns."""


@define(eq=False)
class _Question:
    """A message that the application is asked about, and who is asked."""

    held: Held
    device: Device
    call: Call | None
    interceptors: list[Interceptor]
    event: ReceivedEvent | None = None
    asked: Interceptor | None = None
    """The one that was called last."""


class Interceptors:
    """The workers of one client, and what they do. The threads ``epsignal-interceptor-N`` are started when they are needed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._workers_lock = threading.RLock()
        self._workers: list[threading.Thread] = []
        self._busy: set[threading.Thread] = set()
        self._closed = False

    # ------------------------------------------------------------ registration, any thread

    def check(self, source: EventSource) -> None:
        """Raise UsageError or CallEndedError where nothing can be intercepted; see that a worker is there for the questions."""
        if isinstance(source, Call) and OWN_CALL_IDS.issued(source.id):
            raise UsageError(f"{source!r} was started by the app: what comes in it is not forwarded, so nothing can be intercepted")
        if isinstance(source, Call) and source.ended:
            raise source._error("nothing is intercepted")
        device = source.device if isinstance(source, Call) else source
        if isinstance(device, Device) and not device._attachment.forward:
            raise UsageError(f"{device.hw} is attached with forward=False: the app forwards each message itself, or does not")
        if self._client._connections:
            self.start_worker()

    def publish(self, source: EventSource) -> None:
        """Tell the link thread what it has to ask about from now on; with the registry's lock held."""
        registry = source._registry
        published = -1
        while published != registry.changes:
            # Garbage collection may run a finalizer that cancels in the middle of this: then what it did counts, too.
            published = registry.changes
            if isinstance(source, (Call, Device)):
                attachment = (source.device if isinstance(source, Call) else source)._attachment
                scopes = {scope: _rules(scope) for scope in (*attachment.scopes, source)}
                attachment.scopes = tuple(scope for scope, rules in scopes.items() if rules)
                attachment.rules = tuple(itertools.chain.from_iterable(scopes.values()))
            else:
                for connection in self._client._connections:
                    connection.session.rules = _rules(source)

    # ------------------------------------------------------------ link thread

    def ask(self, held: Held, device: Device) -> None:
        """Have a worker ask the application about a message. Does not block. Whatever it raises, the message goes on."""
        received: Received = held.item
        client, data = self._client, received.data
        to_device, now = data.get("to") is True, time.monotonic()
        record = device._table.prepare(data.get("call"), to_device, data.get("sig"), received.received_at, now)
        call = None if record is None else device._view(record)
        scopes = (client, device) if call is None else (client, device, call)
        interceptors = sorted((one for scope in scopes for one in scope._interceptors), key=lambda one: one.serial)
        held.context = question = _Question(held, device, call, interceptors)
        self._questions.put(question)

    def late(self, held: Held) -> tuple[str, InterceptorLate]:
        """Return what is to be said where a message went on without its answer: for the log, if anything, and for the application."""
        question: _Question = held.context
        device, asked = question.device, question.asked
        who = "no interceptor had begun" if asked is None else f"{asked!r} had not answered"
        text = f"a message of {device.hw} went on as it came, since {who} in time"
        cells = self._client._registry.cells
        if cells is not None and asked is not None:
            self._client._callbacks.put([functools.partial(cells.show_late, asked, text)])
            text = ""
        return text, InterceptorLate(
            client=self._client,
            device=device,
            call=question.call,
            callback=None if asked is None else asked.callback,
            event=question.event,
            deadline=held.seconds,
        )

    # ------------------------------------------------------------ the workers

    def close(self, deadline: Deadline) -> None:
        """End the workers: those that are idle at once, one that is inside an interceptor when that returns. Any thread."""
        with self._workers_lock:
            self._closed = True
            workers = list(self._workers)
            idle = [worker for worker in workers if worker not in self._busy]
        for _ in workers:
            self._questions.put(None)
        for worker in idle:
            if worker.ident is not None:  # one that is just being started finds its end in the queue
                worker.join(deadline.remaining())

    def start_worker(self) -> None:
        """See that a worker is free, so that the link thread never has to start one. Does not block; any thread."""
        with self._workers_lock:
            if self._closed or len(self._busy) < len(self._workers) or len(self._workers) >= MOST_RUNS:
                return
            worker = threading.Thread(target=self._work, name=f"epsignal-interceptor-{len(self._workers) + 1}", daemon=True)
            self._workers.append(worker)
        try:
            worker.start()
        except RuntimeError:  # no thread can be had: what is asked waits for those that are there, or for its deadline
            with self._workers_lock:
                self._workers.remove(worker)

    def _work(self) -> None:
        this = threading.current_thread()
        while (question := self._questions.get()) is not None:
            with self._workers_lock:
                self._busy.add(this)
            self.start_worker()
            failure: BaseException | None = None
            try:
                answer = self._ask_chain(question)
            except BaseException as error:  # sys.exit() included: whatever an interceptor does, the message goes on
                answer, failure = Answer(question.held), error
            question.device._connection.link.inbox.answer(answer)
            if failure is not None:
                self._report(question, failure)
            with self._workers_lock:
                self._busy.discard(this)
            del question, answer, failure  # nothing of it is kept while waiting for the next

    def _report(self, question: _Question, error: BaseException) -> None:
        """Have the failure logged and told on the callback thread: a log that blocks must not hold up a worker."""
        client, asked = self._client, question.asked
        if asked is None:
            text = f"a message could not be shown to the interceptors ({type(error).__name__}); it goes on as it came: please report it"
            client._callbacks.put_note(logging.ERROR, text, CALLBACKS)
        else:
            client._callbacks.put([functools.partial(report_failure, client, asked, question.event, error)])

    def _ask_chain(self, question: _Question) -> Answer:
        """Call the interceptors that want the message, each with what the one before left; returns what is to be done."""
        received: Received = question.held.item
        message = decode(received.data, self._client._apis, received.text)
        assert isinstance(message, Signaling)
        original = signal = message.sig
        for one in question.interceptors:
            if question.held.settled or self._client._closed:
                break  # nobody waits for the answer any more
            event = self._event(one, question, message, signal)
            if event is None:
                continue
            question.asked, question.event = one, event
            verdict = _checked(one.callback(event), message)
            if isinstance(verdict, Drop):
                return self._drop(question, verdict, message)
            if isinstance(verdict, Signal):
                if verdict is not signal:
                    signal, message = verdict, attrs.evolve(message, sig=verdict)
            elif verdict is not None:
                return self._change(question, [attrs.evolve(message, sig=each) for each in verdict])
        return Answer(question.held) if signal is original else self._change(question, [message])

    def _event(self, one: Interceptor, question: _Question, message: Signaling, signal: Signal | None) -> ReceivedEvent | None:
        """Return what an interceptor is given, or None where it does not want this message."""
        if not one.active or one.to_device not in (None, message.to is True):
            return None
        received: Received = question.held.item
        record = None if question.call is None else question.call._record
        events = events_for(one.kind, self._client, question.device, record, received, signal, message)
        return events[0] if events else None

    def _change(self, question: _Question, messages: list[Signaling]) -> Answer:
        received: Received = question.held.item
        encoded = [question.device._connection.encoded(message) for message in messages]
        kind = received.data["sig"].get("type")
        return Answer(
            question.held,
            texts=tuple(text for _, text in encoded),
            keeps_type=any(data["sig"].get("type") == kind for data, _ in encoded),
        )

    def _drop(self, question: _Question, drop: Drop, message: Signaling) -> Answer:
        refusal = None
        if drop.cause is not None and isinstance(message.call, int):
            rel = Rel(cau=Cause(num=drop.cause))
            refusal = question.device._connection.sent(question.device, rel, message.call, message.to is not True, refused=True)
        return Answer(question.held, texts=(), keeps_type=False, refusal=refusal)


def _checked(verdict: Any, message: Signaling) -> Verdict:
    """Return what an interceptor answered. Raises UsageError for what is no answer."""
    if isinstance(verdict, Drop) and verdict.cause is not None and not isinstance(message.sig, Setup):
        raise UsageError("refuse() is an answer to a setup only: return DROP, or hang up with event.call.hangup()")
    if verdict is None or isinstance(verdict, (Drop, Signal)):
        return verdict
    if isinstance(verdict, (list, tuple)) and verdict and all(isinstance(each, Signal) for each in verdict):
        return verdict
    raise UsageError(
        f"an interceptor returns None, DROP, a signal or a list of signals, not {type(verdict).__name__}: the message went on as it came"
    )


def _rules(source: EventSource) -> tuple[Rule, ...]:
    """Return what the interceptors of a scope want; nothing any more where it is a call that is over."""
    call = source if isinstance(source, Call) else None
    if call is not None and call.ended:
        return ()
    return tuple(_rule(one, None if call is None else call.id) for one in source._interceptors if one.active)


def _rule(interceptor: Interceptor, call: int | None) -> Rule:
    """Return an interceptor's wish as the plain data that the link thread looks at."""
    kind = interceptor.kind
    names: dict[str, Names | None]
    if issubclass(kind, Facility):
        names = {"facilities": _names(kind, Facility, UnknownFacility, FACILITIES)}
    elif issubclass(kind, Signal):
        names = {"signals": _names(kind, Signal, UnknownSignal, SIGNALS)}
    else:
        names = {}  # Signaling: every signal
    return Rule(**names, to_device=interceptor.to_device, call=call, deadline=interceptor.deadline)


def _names(kind: type, base: type, unknown: type, known: Mapping[str, type]) -> Names:
    if kind is base:
        return Names(frozenset(), all_but=True)
    if kind is unknown:
        return Names(frozenset(known), all_but=True)
    return Names(frozenset(name for name, cls in known.items() if issubclass(cls, kind)))
