"""The checks that have to do with calls. Each is one row of the table at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ...errors import CallEndedError, EpSignalError, ReplyTimeout
from ...messages import CallState, Facility
from .bench import ACTION_TIME, Bench, Check, Finding
from .masking import cause_part, protocol_word
from .trace import Seen, counted

OBEY_TIME = 5.0
"""Seconds in which a phone that does what it is told has done it."""
HOLD_TIME, HANG_UP_TIME = 90.0, 90.0
TONES = "123"


def _answer(bench: Bench) -> Finding:
    call = bench.ringing_call("Call the phone from another one, and let it ring: it is to be answered from here.")
    asked = time.time()
    try:
        call.answer(timeout=OBEY_TIME * bench.person.patience)
    except ReplyTimeout:
        to_do = "The phone does not obey: answer it by hand."
        bench.person.wait(lambda: call.state == CallState.CONNECTED or call.ended or None, ACTION_TIME, to_do=to_do)
        return Finding(answer="no", seen=(f"no conn within {OBEY_TIME:g} s",))
    except CallEndedError:
        return Finding(answer="not known: the call ended meanwhile")

    def look() -> list[Seen] | None:
        messages = bench.trace.since(asked, connection=bench.name, mt="Signaling")
        return messages if any(one.type == "conn" for one in messages) else None

    messages = bench.person.look_out(look, 1.0) or []
    return Finding(answer="yes", seen=(counted([one.name for one in messages]),))


def _told_to_hold(bench: Bench) -> Finding:
    call = bench.connected_call()
    if call.on_hold:
        return Finding(answer="not known: the call is on hold already")
    results = [_switched(bench, verb, switch) for verb, switch in (("HOLD", call.hold), ("RETRIEVE", call.retrieve))]
    done = bench.person.ask("Was the call put on hold just now, and taken back?")
    seen = (*(seen for _, seen in results), f"the person says {'yes' if done else 'no'}")
    if all(obeyed for obeyed, _ in results):
        return Finding(answer="yes, and it is told" if done else "it is told, but not done", seen=seen)
    return Finding(answer="yes, but it is not told by a facility" if done else "no", seen=seen)


def _switched(bench: Bench, verb: str, switch: Callable[..., Facility | None]) -> tuple[bool, str]:
    """Have the phone hold or retrieve; returns whether it said that it did, and what it said."""
    try:
        facility = switch(timeout=OBEY_TIME * bench.person.patience)
    except ReplyTimeout:
        return False, f"{verb}: no facility within {OBEY_TIME:g} s"
    except EpSignalError as error:
        return False, f"{verb}: {type(error).__name__}"
    return True, f"{verb}: {getattr(facility, 'wire_name', None)} from the phone"


def _hold_by_hand(bench: Bench) -> Finding:
    call = bench.connected_call()
    mark = time.time()
    bench.person.done("Put the call on hold with the phone's own key, and take it back after a moment.", HOLD_TIME)
    messages = [one for one in bench.trace.since(mark, mt="Signaling") if one.data.get("call") == call.id]
    facilities = [name for one in messages for name in one.facilities if not one.to_device]
    seen = (counted([one.name for one in messages]),)
    if facilities:
        return Finding(answer=counted(facilities), seen=seen)
    return Finding(answer="by media alone" if messages else "not at all", seen=seen)


def _dtmf(bench: Bench) -> Finding:
    call = bench.connected_call()
    call.dtmf(TONES)
    heard = bench.person.ask(f"Did the other party hear the tones of {', '.join(TONES)} just now?")
    return Finding(answer="yes" if heard else "no")


def _hang_up(bench: Bench) -> Finding:
    call = bench.connected_call()
    mark = time.time()

    def said(kind: str = "") -> list[Seen]:
        messages = [one for one in bench.trace.since(mark, mt="Signaling") if one.data.get("call") == call.id]
        return [one for one in messages if one.type == kind] if kind else messages

    bench.person.wait(lambda: said("rel") or None, HANG_UP_TIME, to_do="Hang up at the phone.")
    bench.person.pause(1.0)  # something may come behind it
    messages = said()
    return Finding(answer=counted([one.name for one in messages]), seen=tuple(_causes(messages)))


def _causes(messages: list[Seen]) -> Iterator[str]:
    for one in messages:
        cause = one.sig.get("cau")
        if isinstance(cause, dict):
            parts = [f"{protocol_word(key)} is {cause_part(value)}" for key, value in cause.items()]
            yield f"cau of {one.name}: {', '.join(parts) or 'empty'}"


def _dialing(bench: Bench) -> Finding:
    bench.phone()
    name, mark = bench.name, time.time()
    bench.person.done("Lift the handset, dial the number of the other phone digit by digit, and hang up when it rings.", ACTION_TIME)
    messages = [one for one in bench.trace.since(mark, connection=name, mt="Signaling") if one.data.get("call") in _telephone_calls(bench)]
    whole = [one for one in messages if one.type == "setup" and one.sig.get("complete") is True]
    answer = "all at once, by setup" if whole else "by setup and info" if any(one.type == "info" for one in messages) else "not at all"
    return Finding(answer=answer, seen=(counted([one.name for one in messages]),))


def _telephone_calls(bench: Bench) -> list[object]:
    """Return the ids of all calls whose setup was seen and was not one without media."""
    return [one.data.get("call") for one in bench.trace.since(mt="Signaling") if one.type == "setup" and one.sig.get("channel") != 0]


WITH_A_CALL = (
    Check(name="answer", question="Does the phone answer when remote control tells it to?", run=_answer),
    Check(name="told to hold", question="Does it hold and retrieve when it is told to?", run=_told_to_hold),
    Check(name="hold key", question="How is it told that the phone holds by its own key?", run=_hold_by_hand),
    Check(name="DTMF", question="Does it send DTMF digits when it is told to?", run=_dtmf),
)
END_OF_CALL = (Check(name="hang up", question="What is said when the phone hangs up, and with which causes?", run=_hang_up),)
WITHOUT_A_CALL = (Check(name="dialing", question="How is it told that the phone dials digit by digit?", run=_dialing),)
