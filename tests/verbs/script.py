"""What each verb says and what answers it, for the tests at a scripted peer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import epsignal_sync as eps
from epsignal_sync.messages import Conn, CtInitiateResult, HoldNotify, RetrieveNotify

from ..conftest import wait_until
from ..test_call import Phone

JSON = dict[str, Any]


def facility(kind: str, **fields: Any) -> JSON:
    """Return a facility signal with one facility."""
    return {"type": "facility", "fty": [{"type": kind, **fields}]}


def control(code: str, **fields: Any) -> JSON:
    """Return what tells a phone to do something."""
    return facility("innovaphone_remote_control", control=code, **fields)


class CallVerb(NamedTuple):
    """A verb on a device's call that waits for something."""

    name: str
    state: str
    """The state of the call in which it may be said."""
    say: Callable[..., Any]
    """Says it: gets the call, and the keywords."""
    to_device: bool
    sent: JSON
    answer: JSON
    """What answers it, from the side that it was said to."""
    result: type | None
    """The class of what it returns."""


REROUTE = facility(
    "diversion_callreroute", last_rerouting={"num": "23"}, called={"sip": "carol"}, calling={"num": "22"}, served={"num": "23"}
)
WAITING = [
    CallVerb("answer()", "alert", lambda call, **more: call.answer(**more), True, control("CONNECT"), {"type": "conn"}, Conn),
    CallVerb("hold()", "connected", lambda call, **more: call.hold(**more), True, control("HOLD"), facility("hold_notify"), HoldNotify),
    CallVerb(
        "retrieve()", "connected", lambda call, **more: call.retrieve(**more),
        True, control("RETRIEVE"), facility("retrieve_notify"), RetrieveNotify,
    ),
    CallVerb(
        "transfer()", "connected", lambda call, **more: call.transfer(number="24", **more),
        False, facility("ct_initiate", dst={"num": "24"}), facility("ct_initiate_result"), CtInitiateResult,
    ),
    CallVerb(
        "park()", "connected", lambda call, **more: call.park("24", position=0, **more),
        False, facility("cp_park", parked_to={"num": "24"}, park_position=0), {"type": "rel", "cau": {"num": 16}}, None,
    ),
    CallVerb(
        "redirect()", "alert", lambda call, **more: call.redirect(sip="carol", **more),
        False, REROUTE, {"type": "rel", "cau": {"num": 16}}, None,
    ),
]  # fmt: skip

SENT_ONLY = [
    CallVerb("dtmf()", "connected", lambda call, **more: call.dtmf("5", **more), True, control("DTMF_DIGIT", digit="5"), {}, None),
    CallVerb(
        "remote_control()", "connected", lambda call, **more: call.remote_control("MIC_OFF", **more), True, control("MIC_OFF"), {}, None
    ),
    CallVerb(
        "user_info()", "connected", lambda call, **more: call.user_info("é", **more), False, {"type": "user_info", "uui": "é"}, {}, None
    ),
]  # fmt: skip


def bring_to(phone: Phone, state: str) -> eps.Call:
    """Have the incoming call of a phone come to a state, and return it."""
    call = phone.call()
    for kind in {"setup": (), "alert": ("alert",), "connected": ("alert", "conn")}[state]:
        phone.say(kind)
        phone.told()
    wait_until(lambda: call.state == state)
    return call


class DeviceVerb(NamedTuple):
    """A verb on a device: one call without media, or several."""

    name: str
    say: Callable[..., Any]
    called: JSON | None
    facilities: list[JSON]


WHOM = {"num": "24"}
REQUESTS = [
    DeviceVerb(
        "set_presence()", lambda device, **more: device.set_presence("open", activity="busy", note="ü", contact="tel:", **more), None,
        [{"type": "presence_publish", "status": "open", "activity": "busy", "note": "ü", "contact": "tel:"}],
    ),
    DeviceVerb(
        "message_waiting()", lambda device, **more: device.message_waiting(3, "24", message_center="99", **more), WHOM,
        [{"type": "mwi_activate", "served_user": WHOM, "message_center": {"num": "99"}, "service": 0, "number": 3}],
    ),
    DeviceVerb(
        "send_im()", lambda device, **more: device.send_im("hello", sip="carol", **more), {"sip": "carol"},
        [{"type": "im_setup"}, {"type": "im_message", "data": "hello", "mime": "text/plain"}],
    ),
    DeviceVerb(
        "pickup()", lambda device, **more: device.pickup("24", call_id="0aFF", position=1, **more), WHOM,
        [{"type": "cp_pick_req", "callId": "0aFF", "parked_to_alerting": WHOM, "park_position": 1}],
    ),
]  # fmt: skip
WATCHES = [
    DeviceVerb("watch_presence()", lambda device, **more: device.watch_presence("24", **more), WHOM, [{"type": "presence_subscribe"}]),
    DeviceVerb("watch_dialogs()", lambda device, **more: device.watch_dialogs("24", **more), WHOM, [{"type": "dialog_info_subscribe"}]),
]


def no_media_setup(called: JSON | None, facilities: list[JSON]) -> JSON:
    """Return the setup that is expected."""
    return {
        "type": "setup",
        **({"cd": called} if called else {}),
        "complete": True,
        "channel": 0,
        "bc": "a880",
        "fty": facilities,
    }
