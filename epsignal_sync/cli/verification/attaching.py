"""The checks that have to do with connections and attaching. Each is one row of the table at the end."""

from __future__ import annotations

import contextlib
import time

from ...call import Call
from ...device import Device
from ...errors import CallEndedError, DetachedError, EpSignalError, ReplyTimeout
from ...messages import CallState
from .bench import ACTION_TIME, Bench, Check, Finding
from .masking import cause_part, protocol_word
from .trace import Seen, counted

WRONG_HW = "epsignal-verify-no-such-phone"
SETTLE_TIME = 1.0
"""Seconds after Attached in which this library takes calls that no Sync has named for gone."""
LATE_TIME = 3.0
"""Seconds for which something is waited for that is expected sooner."""
UNREGISTER_TIME, RETURN_TIME = 120.0, 300.0
RING_TIME = 5.0
IN_THE_PATH = {
    (True, True): "both get the signaling",
    (False, True): "the newer one takes the path",
    (True, False): "the older one keeps the path",
    (False, False): "neither gets the signaling",
}
"""Whether the older and the newer of two apps got what the phone said."""


def _wrong_hw(bench: Bench) -> Finding:
    with bench.another() as (_, client):
        attempt = bench.try_to_attach(client, WRONG_HW)
        if attempt.device is None:
            return Finding(answer=attempt.how, seen=attempt.detail)
        device = attempt.device
        attached = bench.person.look_out(lambda: device.attached or None, LATE_TIME)
        return Finding(answer="accepted, and attached" if attached else "accepted, and never attached")


def _api(bench: Bench) -> Finding:
    taken, seen = [], []
    for api in ("EpSignal", "Api"):
        with bench.another(api) as (name, client):
            attempt = bench.try_to_attach(client, bench.hw)
        # Its connection is closed by now, so that all is there.
        apis = sorted({protocol_word(one.data["api"]) if "api" in one.data else "none" for one in bench.trace.since(connection=name)})
        seen.append(f"Attach with api {api}: {attempt.how}; what came had api {', '.join(apis) or 'nowhere, as nothing came'}")
        seen += attempt.detail
        if attempt.device is not None:
            taken.append(api)
    return Finding(answer=" and ".join(taken) or "neither", seen=tuple(seen))


def _order(bench: Bench) -> Finding:
    bench.close()
    mark = time.time()
    bench.phone()
    bench.person.pause(LATE_TIME)
    messages = bench.trace.since(mark, connection=bench.name)
    attached = [one for one in messages if one.mt == "Attached"]
    return Finding(
        answer=counted([one.mt for one in messages]),
        seen=(f"number of Attached: {len(attached)}", f"the last Sync came {_after_attached(messages)}"),
    )


def _after_attached(messages: list[Seen]) -> str:
    """Return in words when the last Sync came."""
    attached = [one.at for one in messages if one.mt == "Attached"]
    syncs = [one.at for one in messages if one.mt == "Sync"]
    if not attached or not syncs:
        return "never"
    delay = syncs[-1] - attached[-1]
    late = f", later than the {SETTLE_TIME:g} s for which this library waits" if delay > SETTLE_TIME else ""
    return f"{1000 * delay:.0f} ms after Attached{late}"


def _own_call(bench: Bench) -> Finding:
    phone = bench.phone()
    bench.person.say("  The phone rings now for a moment; leave it.")
    call = _ring(bench, phone)
    answers = [entry.type for entry in call.history if not entry.to_device]
    if call.cause is not None and call.ended_by != "app":
        return Finding(answer="no, it is refused", seen=(f"with cause {cause_part(call.cause.num)}",))
    if not answers:
        return Finding(answer="no, nothing answers", seen=(f"nothing came within {RING_TIME:g} s",))
    return Finding(answer="yes", seen=(f"the phone answered {counted(answers)} in call {call.id}",))


def _ring(bench: Bench, phone: Device) -> Call:
    """Have a phone ring until it has said something, and return the call, which is over."""
    call = phone.ring(number="0", name="epsignal verify")
    try:
        call.wait(CallState.ALERT, CallState.CONNECTED, timeout=RING_TIME * bench.person.patience)
    except (CallEndedError, ReplyTimeout):
        pass
    with contextlib.suppress(EpSignalError):  # it is over
        call.hangup(timeout=1)
    return call


def _two_phones(bench: Bench) -> Finding:
    if not bench.second:
        return Finding(answer="not checked: it takes a second phone (HW2 on the command line)")
    bench.close()
    first, mark = bench.phone(), time.time()
    attempt = bench.try_to_attach(first.client, bench.second)
    if attempt.device is None:
        bench.close()
        return Finding(answer=f"not checked: the Attach for the second phone is {attempt.how}", seen=attempt.detail)
    bench.person.say("  Both phones ring now for a moment, one after the other; leave them.")
    answered = 0
    for phone in (first, attempt.device):
        with contextlib.suppress(DetachedError):  # without src nobody can tell which of them is attached
            answered += any(not entry.to_device for entry in _ring(bench, phone).history)
    bench.close()  # the second phone goes, too
    lost = [one for one in bench.trace.since(mark) if one.hw is None]
    seen = (f"{answered} of 2 phones answered under their own src", f"{len(lost)} messages belonged to no phone")
    return Finding(answer="yes" if answered == 2 and not lost else "no", seen=seen)


def _reattach(bench: Bench) -> Finding:
    before = bench.connected_call().id
    bench.close()
    mark = time.time()
    bench.phone()
    return _named_again(bench, before, mark)


def _named_again(bench: Bench, before: int, mark: float) -> Finding:
    """Wait a while, and say which call the PBX has named by Sync since then."""

    def look() -> bool | None:
        return any(one.data.get("call") == before for one in bench.trace.since(mark, connection=bench.name, mt="Sync")) or None

    bench.person.look_out(look, LATE_TIME)
    bench.person.pause(SETTLE_TIME)
    messages = bench.trace.since(mark, connection=bench.name)
    syncs = [one.data for one in messages if one.mt == "Sync"]
    # An id may be another call's by now, such as one that the phone keeps open for presence.
    with_media = [sync for sync in syncs if isinstance(sync.get("info"), dict) and sync["info"].get("channel") != 0]
    infos = [sync["info"] for sync in with_media if sync.get("call") == before]
    seen = [counted([one.mt for one in messages]), f"the last Sync came {_after_attached(messages)}"]
    if infos:
        info = infos[0]
        given = [key for key in ("channel", "in", "state", "remote") if key in info]
        seen.append(f"its state is {protocol_word(info.get('state'))}; its info has {', '.join(given) or 'none of the known fields'}")
        return Finding(answer="yes, under the same id", seen=tuple(seen))
    return Finding(answer="yes, under another id" if with_media else "no", seen=tuple(seen))


def _dying(bench: Bench) -> Finding:
    before = bench.connected_call().id
    name = bench.name
    bench.cut(name)
    bench.person.pause(LATE_TIME)
    bench.close(name)
    up = bench.person.ask("The connection was cut, as if the program had died. Is the call still up, and do both hear each other?")
    mark = time.time()
    bench.phone()
    named = _named_again(bench, before, mark)
    return Finding(
        answer=f"the call {'goes on' if up else 'ends'}",
        seen=(f"attached again, the PBX names it by a Sync: {named.answer}", *named.seen),
    )


def _second_attach(bench: Bench) -> Finding:
    bench.connected_call()
    first, mark = bench.name, time.time()
    with bench.another() as (second, client):
        attempt = bench.try_to_attach(client, bench.hw)
        if attempt.device is None:
            return Finding(answer=f"it is {attempt.how}, and the first stays", seen=attempt.detail)
        bench.person.pause(LATE_TIME)
        told = counted([one.mt for one in bench.trace.since(mark, connection=first)])
        mark = time.time()
        to_do = "Put the call on hold with the phone's own key, and take it back."
        bench.person.wait(lambda: bench.trace.since(mark, mt="Signaling") or None, ACTION_TIME, to_do=to_do)

        def got(name: str) -> bool:
            return bool(bench.trace.since(mark, connection=name, mt="Signaling"))

        bench.person.look_out(lambda: (got(first) and got(second)) or None, SETTLE_TIME)
        answer = IN_THE_PATH[got(first), got(second)]
    bench.close()  # whoever is in the path now, the first may not be
    return Finding(answer=answer, seen=(f"at the moment of the second Attach the first got: {told}",))


def _register(bench: Bench) -> Finding:
    bench.phone()
    name, mark = bench.name, time.time()

    def came(mt: str) -> list[Seen] | None:
        return bench.trace.since(mark, connection=name, mt=mt) or None

    to_do = "Restart the phone, or pull its plug and put it back."
    detached = bench.person.wait(lambda: came("Detached"), UNREGISTER_TIME, to_do=to_do)
    attached = bench.person.wait(lambda: came("Attached"), RETURN_TIME, to_do="Wait until the phone is registered again.")
    bench.person.pause(LATE_TIME)
    messages = bench.trace.since(mark, connection=name)
    between = [one for one in messages if one.mt == "Signaling" and detached[0].at < one.at < attached[0].at]
    return Finding(
        answer="yes: Detached, then Attached without another Attach",
        seen=(counted([one.mt for one in messages]), f"{len(between)} Signaling came between Detached and Attached"),
    )


ALONE = (
    Check(name="wrong hw", question="What does an Attach get whose hw is not there?", run=_wrong_hw),
    Check(name="api", question="Which api does the PBX take on Attach?", run=_api),
    Check(name="order", question="In which order do the first messages come?", run=_order),
    Check(name="own call", question="Does a call of the app reach the phone?", run=_own_call),
    Check(name="two phones", question="Does src tell two phones of one connection apart?", run=_two_phones),
)
"""Those for which nobody has to do anything."""
IN_A_CALL = (
    Check(name="reattach", question="Attached anew, does the PBX name the call that is up?", run=_reattach),
    Check(name="dying app", question="What becomes of a call when the app's connection dies?", run=_dying),
    Check(name="second attach", question="What does a second Attach to the same hw do?", run=_second_attach),
)
AT_THE_PHONE = (Check(name="register", question="Does a phone that registers again come back by itself?", run=_register),)
