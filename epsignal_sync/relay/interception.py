"""The messages that the application is asked about first, and the calls that only one side knows.

Stands beside the forwarding path and is entered only where there is something to ask, to keep in order or to consume.
However the application behaves, a message that it does not answer for goes on as it came. Pure: gets messages, answers
and the time, sends through the callable it was given. Knows no socket and no thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..protocol.asking import Rule, deadline_for
from ..protocol.envelope import OWN_CALL_IDS
from ..protocol.lanes import Held, Lane, Lanes
from ..protocol.one_sided import OneSidedCalls
from ..protocol.session import Attachment
from .deliveries import Counters, Delivery, Late, Received, Sent
from .inbox import Answer

SendOwn = Callable[[Sent, int, float, list[Delivery]], None]


class Forward(Protocol):
    """Sends a text on: what came at the time ``since``, with its ``data``, or what goes on instead."""

    def __call__(self, text: bytes, since: float, data: dict[str, Any] | None = None) -> bool:
        """Return whether it could."""


class Interception:
    """What is held, and what is consumed. Belongs to the link thread.

    ``forward`` sends a text on; ``send_own`` puts a message of the application on its way,
    and asks :meth:`app_sends`.
    """

    def __init__(self, forward: Forward, send_own: SendOwn, counters: Counters, lanes: Lanes) -> None:
        self._forward = forward
        self._send_own = send_own
        self._counters = counters
        self._lanes = lanes
        self._one_sided = OneSidedCalls()
        self._waiting, self._broken_off = lanes.lanes, self._one_sided.calls

    @property
    def idle(self) -> bool:
        """Whether nothing is held and no call is one-sided, so that a message that no rule wants can go at once."""
        return not (self._waiting or self._broken_off)

    def take(self, item: Received, attachment: Attachment, rules: tuple[Rule, ...], now: float, batch: list[Delivery]) -> None:
        """Decide a message at once, or hold it for the application's answer."""
        data = item.data
        lane = (attachment.src, data.get("to") is True)
        seconds = None
        if not self._consumes(item, lane, now) and rules and attachment.forward:
            seconds = deadline_for(rules, data.get("call"), lane[1], data.get("sig"))
        held = Held(lane, item, None if seconds is None else now + seconds, seconds or 0.0, now)
        if seconds is None and not self._lanes.occupied(lane):
            self._let_go(held, now, batch)
        else:
            self._release(self._lanes.put(held, now), now, batch)

    def answer(self, answer: Answer, now: float, batch: list[Delivery]) -> None:
        """Take what the application said about a held message."""
        self._release(self._lanes.end_run(answer.held, answer, now), now, batch)

    def expire(self, now: float, batch: list[Delivery]) -> None:
        """Let go what has waited long enough."""
        self._release(self._lanes.expire(now), now, batch)

    def next_at(self) -> float | None:
        """Return when :meth:`expire` wants to be called, or None."""
        return self._lanes.next_at()

    def to_ask(self) -> list[Held]:
        """Return what the application is to be asked about now."""
        asked, self._lanes.to_ask = self._lanes.to_ask, []
        return asked

    def let_go(self, now: float, batch: list[Delivery], *, device: str | None = None, to_device: bool | None = None) -> None:
        """Let what is held of one device (its src) or direction go on as it came."""
        self._release(self._lanes.let_go(device, to_device), now, batch)

    def flush(self, now: float, batch: list[Delivery]) -> None:
        """Let everything that is held go on as it came: the end of the connection."""
        self._release(self._lanes.flush(), now, batch)

    def abandon(self, batch: list[Delivery]) -> None:
        """Give up everything that is held: the connection is gone."""
        held = self._lanes.flush()
        self._counters.lost += len(held)
        batch.extend(one.item for one in held)

    def app_sends(self, sent: Sent, now: float) -> bool:
        """Take note of what the application sends; returns whether it may go."""
        sig = sent.data.get("sig")
        kind = sig.get("type") if isinstance(sig, dict) else None
        src, call, number = sent.attachment.src, sent.call, self._counters.received
        if kind not in ("setup", "rel") or OWN_CALL_IDS.issued(call):
            return True
        if kind == "setup":
            # Spec: an application may drop a setup, take its time, and then send it on itself.
            self._one_sided.hear(src, call, sent.to_device)
            return True
        for to_device in (True, False):
            waiting = (item for item in self._lanes.waiting((src, to_device)) if _belongs(item, call))
            if _is(next(waiting, None), "setup", call):
                # A side that has not got the setup yet, since it is held, never hears of the call: nor of its end.
                self._one_sided.drop_setup(src, call, to_device, number)
        if self._one_sided.is_unheard(src, call, sent.to_device, number):
            return False
        self._one_sided.release(src, call, sent.to_device, number, now)
        return True

    # ------------------------------------------------------------ one message

    def _release(self, released: list[Held], now: float, batch: list[Delivery]) -> None:
        for index, held in enumerate(released):
            self._let_go(held, now, batch)
            refusal = held.answer.refusal if isinstance(held.answer, Answer) else None
            if refusal is not None:
                behind = [one.item for one in released[index + 1 :] if one.lane == held.lane] + self._lanes.waiting(held.lane)
                self._refuse(refusal, held.item, behind, now, batch)

    def _refuse(self, refusal: Sent, setup: Received, behind: list[Received], now: float, batch: list[Delivery]) -> None:
        """Send the rel for a setup, unless its sender knows already. ``behind``: what came after the setup in its lane."""
        if self._one_sided.is_released(refusal.attachment.src, refusal.call, refusal.to_device, setup.number):
            return  # by the application itself, while the setup was held
        # A rel is never answered by a rel: the caller may have hung up meanwhile.
        if not any(_is(one, "rel", refusal.call) for one in behind):
            self._send_own(refusal, 0, now, batch)

    def _let_go(self, held: Held, now: float, batch: list[Delivery]) -> None:
        """Send on one message, or what the application wants instead."""
        item, answer = held.item, held.answer
        if self._consumes(item, held.lane, now):
            item.verdict = "dropped"
            self._counters.dropped += 1
        elif isinstance(answer, Answer) and answer.texts is not None:
            self._follow(answer, held, now)
        elif item.attachment.forward and self._forward(item.text, held.since, item.data):
            item.verdict = "bypassed" if held.bypassed else "forwarded"
            self._counters.forwarded += 1
            self._counters.bypassed += held.bypassed
        batch.append(item)
        if held.late:
            self._counters.late += 1
            batch.append(Late(held))

    def _follow(self, answer: Answer, held: Held, now: float) -> None:
        """Do what the application answered."""
        item, lane, texts = held.item, held.lane, answer.texts or ()
        if texts and not all([self._forward(text, held.since) for text in texts]):
            return  # after our close frame: nothing goes on any more
        item.verdict, item.sent = ("changed", texts) if texts else ("dropped", ())
        self._counters.changed += bool(texts)
        self._counters.dropped += not texts
        call, (src, to_device) = item.data.get("call"), lane
        if answer.keeps_type or type(call) is not int:
            return
        if _is(item, "setup", call):
            self._one_sided.drop_setup(src, call, to_device, item.number)
        elif _is(item, "rel", call):
            self._one_sided.release(src, call, not to_device, item.number, now)

    def _consumes(self, item: Received, lane: Lane, now: float) -> bool:
        call, sig = item.data.get("call"), item.data.get("sig")
        if not self._broken_off or type(call) is not int:
            return False
        kind = sig.get("type") if isinstance(sig, dict) else None
        return self._one_sided.takes(lane[0], call, lane[1], kind, item.number, now)


def _belongs(item: Received, call: int) -> bool:
    number = item.data.get("call")
    return type(number) is int and number == call  # true and 1.0 are no call 1


def _is(item: Received | None, kind: str, call: int) -> bool:
    if item is None or not _belongs(item, call):
        return False
    sig = item.data.get("sig")
    return isinstance(sig, dict) and sig.get("type") == kind
