"""What a phone does when a facility innovaphone_remote_control tells it to. Knows no signal but that facility."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answers import SILENT
from .phone_media import DIGITS

if TYPE_CHECKING:
    from .call import SimulatedCall
    from .phone_features import PhoneFeatures

SWITCHES: dict[str, tuple[str, Any]] = {
    "MIC_ON": ("microphone", True),
    "MIC_OFF": ("microphone", False),
    "HANDSET": ("audio", "HANDSET"),
    "HEADSET": ("audio", "HEADSET"),
    "HANDSFREE": ("audio", "HANDSFREE"),
    "MONITOR_ON": ("monitor", True),
    "MONITOR_OFF": ("monitor", False),
    "REC_ON": ("recording", True),
    "REC_OFF": ("recording", False),
    "RECEIVE_ON": ("receive", True),
    "RECEIVE_OFF": ("receive", False),
    "CC_ON": ("call_completion", True),
    "CC_OFF": ("call_completion", False),
    "3PTY_ON": ("three_party", True),
    "3PTY_OFF": ("three_party", False),
    "KNOCK_ON": ("knock", True),
    "KNOCK_OFF": ("knock", False),
    "CONFERENCE_EXCLUSIVE_ON": ("conference_exclusive", True),
    "CONFERENCE_EXCLUSIVE_OFF": ("conference_exclusive", False),
    **{f"ACTIVATE_APP_{app}": ("app", app) for app in ("HOME", "PHONE", "FAVS", "LIST", "DIR", "CONFIG", "CAMERA")},
}
"""What only switches something at the phone: which of ``SimulatedPhone.switches``, and to what."""


def obey(phone: PhoneFeatures, call: SimulatedCall, facility: dict[str, Any]) -> None:
    """Do what the facility says, as far as it can be done now; a phone says nothing to what it cannot do. On the actor thread."""
    control, digit = facility.get("control"), facility.get("digit")
    if not isinstance(control, str):
        return
    phone.remote_controls = (*phone.remote_controls, (call.id, control, digit if isinstance(digit, str) else None))
    if phone.answers.get(control) == SILENT:
        return
    if control in ("CONNECT", "ANNOUNCE", "MULTICAST"):  # The last two take a call without asking, and so does this phone.
        if call.incoming and call.state == "alert":
            phone.accept(call)
    elif control == "HOLD":
        phone.put_on_hold(call)
    elif control == "RETRIEVE":
        phone.take_back(call)
    elif control == "DTMF_DIGIT":
        if isinstance(digit, str) and digit in DIGITS:
            phone.sound(call, digit)
    elif control == "3PTY_TOGGLE":
        phone.switch("three_party", not phone.switches.get("three_party", False))
    elif control in SWITCHES:
        phone.switch(*SWITCHES[control])
