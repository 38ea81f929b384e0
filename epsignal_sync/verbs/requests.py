"""What the app asks of the PBX for a device, with a call without media each: presence, messages, pick-up, diversions."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from ..messages import (
    EP,
    CpPickReq,
    DiversionEntry,
    DiversionInterrogate,
    DiversionInterrogateResult,
    DiversionProcedure,
    Facility,
    ImMessage,
    ImSetup,
    MwiActivate,
    MwiDeactivate,
    PresenceActivity,
    PresenceContact,
    PresencePublish,
    PresenceStatus,
    Signal,
)
from . import checks
from .answer import Answer
from .expected import Found, facilities
from .no_media import ANSWERED, NoMediaCall, no_media_setup, refused_by_release, released_well, settle_by_signal
from .outcome import OnResult
from .running import Running

if TYPE_CHECKING:
    from ..device import Device

LONGEST_MESSAGE = 4096
"""Bytes of UTF-8 of an instant message. Spec: no limit is documented; this is far below any size of a signaling message."""
LONGEST_NOTE = 1024
"""Bytes of UTF-8 of the note of a presence. Spec: as above."""
ALL_SERVICES = 0
"""The H.450.7 basic service: messages of any kind."""
PICK_UP_HINT = "nobody may be called there any more, or the device may not pick up"
HINT = "the PBX may not know this service, or not for this device: see what it allows"
DIVERSIONS = facilities("diversion_interrogate_result")

Diversions = dict[DiversionProcedure, tuple[DiversionEntry, ...]]


def request(
    name: str,
    device: Device,
    called: EP | None,
    fty: tuple[Facility, ...],
    timeout: float | None,
    on_result: OnResult[Signal] | None,
    hint: str = HINT,
) -> Signal | None:
    """Make a call without media for facilities; returns the call_proc, conn or rel with which it succeeds."""
    running: Running[Signal] = Running(name, device, None, timeout, on_result, hint)
    call = NoMediaCall(running, ANSWERED, settle_by_signal(running), released_well(running))
    try:
        running.begin()
        call.start(no_media_setup(called, *fty))
    except BaseException:
        running.give_up()
        raise
    return running.finish()


def set_presence(
    device: Device,
    status: PresenceStatus | str,
    activity: PresenceActivity | str | None,
    note: str | None,
    contact: PresenceContact | str | None,
    timeout: float | None,
    on_result: OnResult[Signal] | None,
) -> Signal | None:
    """See :meth:`Device.set_presence`."""
    name = "set_presence()"
    state = checks.choice(name, device.hw, PresenceStatus, status, "the status")
    kind = None if contact is None else checks.choice(name, device.hw, PresenceContact, contact, "the contact")
    doing = None if activity is None else checks.text(name, device.hw, "the activity", activity, LONGEST_NOTE)
    text = checks.text(name, device.hw, "the note", note, LONGEST_NOTE) if note else None
    facility = PresencePublish(status=state, activity=doing, note=text, contact=kind)
    return request(name, device, None, (facility,), timeout, on_result)


def message_waiting(
    device: Device,
    count: int,
    number: str,
    sip: str,
    message_center: str,
    timeout: float | None,
    on_result: OnResult[Signal] | None,
) -> Signal | None:
    """See :meth:`Device.message_waiting`."""
    name = "message_waiting()"
    if type(count) is not int or count < 0:
        raise checks.refuse(name, device.hw, f"it takes how many messages wait, from 0, not {count!r:.80}")
    user = checks.someone(name, device.hw, number, sip, "it needs the user whose messages they are: number= or sip=")
    center = checks.party(name, device.hw, message_center, "")
    facility: Facility = MwiDeactivate(served_user=user, message_center=center, service=ALL_SERVICES)
    if count:
        facility = MwiActivate(served_user=user, message_center=center, service=ALL_SERVICES, number=count)
    return request(name, device, user, (facility,), timeout, on_result)


def send_im(device: Device, text: str, number: str, sip: str, timeout: float | None, on_result: OnResult[Signal] | None) -> Signal | None:
    """See :meth:`Device.send_im`."""
    name = "send_im()"
    data = checks.text(name, device.hw, "an instant message", text, LONGEST_MESSAGE)
    to = checks.someone(name, device.hw, number, sip, "it needs somebody to write to: number= or sip=")
    return request(name, device, to, (ImSetup(), ImMessage(data=data, mime="text/plain")), timeout, on_result)


def pickup(
    device: Device,
    number: str,
    sip: str,
    call_id: str | None,
    park_position: int | None,
    timeout: float | None,
    on_result: OnResult[Signal] | None,
) -> Signal | None:
    """See :meth:`Device.pickup`."""
    name = "pickup()"
    if call_id is not None and not (isinstance(call_id, str) and call_id and re.fullmatch("([0-9A-Fa-f]{2})+", call_id)):
        raise checks.refuse(name, device.hw, f"call_id is hex digits, two for each byte, not {call_id!r:.80}")
    needed = "" if call_id else "it needs to know which call: where it rings or is parked (number= or sip=), or its call_id"
    where = checks.party(name, device.hw, number, sip, needed=needed)
    place = checks.position(name, device.hw, park_position)
    facility = CpPickReq(call_id=call_id, parked_to_alerting=where, park_position=place)
    return request(name, device, where, (facility,), timeout, on_result, PICK_UP_HINT)


def diversions(device: Device, number: str, sip: str, timeout: float | None, on_result: OnResult[Diversions] | None) -> Diversions | None:
    """See :meth:`Device.diversions`."""
    name = "diversions()"
    served = checks.party(name, device.hw, number, sip)
    running: Running[Diversions] = Running(name, device, None, timeout, on_result, HINT)
    found: Diversions = {}
    try:
        running.begin()
        for procedure in DiversionProcedure:
            part = running.part()
            part.answer.at_end(functools.partial(_gather, running, found, procedure, part.answer))
            call = NoMediaCall(part, DIVERSIONS, functools.partial(_take_diversions, part), refused_by_release(part))
            call.start(no_media_setup(served, DiversionInterrogate(procedure=procedure, served=served)))
    except BaseException:
        running.give_up()
        raise
    return running.finish()


def _take_diversions(part: Running[Any], found: Found) -> None:
    if found.refused:
        part.refuse(found.cause)
        return
    assert isinstance(found.facility, DiversionInterrogateResult)  # it was looked for by its name
    part.answer.succeed(found.facility.list or ())


def _gather(running: Running[Diversions], found: Diversions, procedure: DiversionProcedure, part: Answer[Any]) -> None:
    """Keep what a part has found; the last one ends the verb. The parts end on one thread, one after the other."""
    if not part.failed:
        found[procedure] = part.value or ()
        if len(found) == len(DiversionProcedure):
            running.answer.succeed({one: found[one] for one in DiversionProcedure})
