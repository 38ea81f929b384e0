"""What becomes of an Attach: its answer, and what is done where there is none, or another one than before.

Runs on the link thread, so it runs no user code and never blocks. Who waits for the answer is known by the device.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .device import Device
from .errors import AttachError
from .gaps import Gaps
from .messages import AttachResult
from .messages.record import received as record_of
from .messages.record import shown
from .postbox import Postbox
from .relay.deliveries import Received

if TYPE_CHECKING:
    from .intake import Intake

ATTACHED_TIME = 5.0
"""Seconds after an AttachResult without an Attached, or a reconnect without an AttachResult, in which somebody should be told."""
ATTACH_AGAIN_TIME = 60.0
"""Seconds after which a device is attached again that was accepted once, and then refused or not answered."""


class Attaching:
    """The answers to the Attach of each device of one connection."""

    def __init__(self, intake: Intake, postbox: Postbox, gaps: Gaps) -> None:
        self._intake = intake
        self._postbox = postbox
        self._gaps = gaps

    def take_result(self, item: Received, device: Device, now: float) -> None:
        """Take an AttachResult."""
        asked, device._asked = device._asked, False
        result = record_of(AttachResult, item.data)
        self._intake.late_replies += device._given_up or not asked
        device._given_up = False
        if not asked and result.err is None:
            return  # nobody has asked: what was answered before stands
        device._result = result
        if result.err is None:
            device._answer.settle()
            self._intake.timers.at(now + ATTACHED_TIME, lambda now: self._warn_unattached(device, result))
        elif device._attachment.accepted:
            err = shown(result.err)[:200]
            self._warn(f"the PBX, which had taken the Attach for {device.hw}, refused it now: err is {err}; it is tried again")
            self._gaps.detached(device, item.received_at, now)
            device._set_attached(False)
            self._intake.timers.at(now + ATTACH_AGAIN_TIME, lambda now: self._attach_refused(device))
        else:
            self._refuse(device, result)

    def watch_reconnect(self, reconnect: int, now: float) -> None:
        """See that each device is attached again; with attach() nobody waits for it this time. ``reconnect``: which one it was."""
        self._intake.timers.at(now + ATTACHED_TIME, lambda now: self._warn_unanswered(reconnect))
        self._intake.timers.at(now + ATTACH_AGAIN_TIME, lambda now: self._attach_unanswered(reconnect, now))

    def _refuse(self, device: Device, result: AttachResult) -> None:
        self._intake.forget(device)
        device._set_attached(False)
        hw, err = device.hw, result.err
        text = f"the PBX refused to attach to {hw}: err is {shown(err)[:200]}; check that hw is spelled exactly as the device registers"
        device._answer.fail(lambda: AttachError(text, hw=hw, err=err))

    def _attach_refused(self, device: Device) -> None:
        if self._intake.connected and not device.attached and not device._asked:
            device._asked = True
            self._intake.send_attach(device)

    def _attach_unanswered(self, reconnect: int, now: float) -> None:
        """Send again each Attach that the PBX has not answered since the connection is there: it may have been starting up."""
        waiting = self._unanswered(reconnect)
        for device in waiting:
            if device._attachment.accepted:  # what never was may be spelled wrongly: it is asked for once on each connection
                self._intake.send_attach(device)
        if waiting:
            self._intake.timers.at(now + ATTACH_AGAIN_TIME, lambda now: self._attach_unanswered(reconnect, now))

    def _warn_unattached(self, device: Device, result: AttachResult) -> None:
        if device._result is result and not device._asked and not device.attached and self._intake.connected:
            self._warn(f"the PBX took the Attach for {device.hw}, but {ATTACHED_TIME:g} s later it is not attached: {device._advice}")

    def _warn_unanswered(self, reconnect: int) -> None:
        for device in self._unanswered(reconnect):
            self._warn(
                f"{ATTACHED_TIME:g} s after the connection was made again the PBX has not answered the Attach for {device.hw}, and the "
                "app is not in its path: check that the device is registered, and that EpSignal is ticked in the App object"
            )

    def _unanswered(self, reconnect: int) -> list[Device]:
        """Return the devices that the PBX has not answered for, as long as the connection is still the one of this reconnect."""
        if self._intake.reconnects != reconnect or not self._intake.connected:
            return []
        return [device for device in self._intake.devices if device._asked and not device.attached]

    def _warn(self, text: str) -> None:
        self._postbox.put_note(logging.WARNING, text)
