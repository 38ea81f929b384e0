"""Click-to-dial: ring the phone, and when it is picked up, call somebody with the media that the phone has offered.

A bridge whose second call is still to come. Works on the link thread, so it runs no user code and never blocks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .bridging import TEMPORARY_FAILURE, Bridge
from .call import Call
from .deadline import Deadline
from .errors import EpSignalError
from .leg import Leg
from .messages import EP, Cause, InnovaphoneRemoteControl, Rel, RemoteControl, Setup
from .messages.record import received as record_of
from .own_setup import MEDIA
from .protocol.bridge import ASK_FOR_OFFER, CLOSE, Passing, is_offer, media_of
from .protocol.call_record import JSONObject
from .protocol.codec import encode
from .verbs.checks import refuse, someone
from .verbs.running import LONGEST_TIMER

if TYPE_CHECKING:
    from .device import Device

NAME = "click_to_dial()"
PROPOSAL_TIME = 4.0
"""Seconds in which a phone that was picked up has to offer media."""
NOT_QUEUED_TIME = 0.5
"""Seconds after which is looked again whether the setup could be queued."""
NO_ANSWER, RESOURCE_UNAVAILABLE = 19, 47
"""Q.850 cause values."""


class ClickToDial(Bridge):
    """The bridge of one click-to-dial, from the setup to the phone on."""

    def __init__(self, device: Device, called: EP, answer_timeout: float | None) -> None:
        super().__init__()
        self._device = device
        self._called = called
        self._conference = os.urandom(16).hex()
        self._patience = Deadline(answer_timeout)
        self._offer: JSONObject = {}
        """The media fields with which the phone has offered."""
        self._asked = False

    def _start(self, deadline: Deadline) -> None:
        """Call the phone; waits and raises like ring()."""
        channel, bearer = MEDIA
        setup = Setup(
            cg=self._called,
            complete=True,
            channel=channel,
            bc=bearer,
            conf_id=self._conference,
            fty=(InnovaphoneRemoteControl(control=RemoteControl.CONNECT),),
        )
        self._device._start_call(NAME, setup, True, deadline, self._ring)

    def _ring(self, call: Call) -> None:
        """Listen to the phone, before its setup is sent."""
        self._add(call)
        self._legs[0].after(0, self._look_unanswered)

    def _add(self, call: Call) -> None:
        """Join a call, before its setup is sent."""
        leg = call._leg
        assert leg is not None  # it has media
        self._legs = (*self._legs, leg)
        leg.join(self)

    def _look_unanswered(self) -> None:
        """Give up on a phone that is not picked up."""
        with self._bridge_lock:
            leg = self._legs[0]
            if self._released or leg.call.ended or leg.call.connected_at is not None:
                return
            remaining = self._patience.remaining(LONGEST_TIMER)
            if self._patience.expired and leg.call._record.queued:
                self._finish(Rel(cau=Cause(num=NO_ANSWER)))
            elif self._patience.timeout is not None:
                leg.after(remaining or NOT_QUEUED_TIME, self._look_unanswered)

    # ------------------------------------------------------------ what the phone says, with the lock held

    def _take(self, leg: Leg, sig: JSONObject) -> None:
        if len(self._legs) == 2:
            super()._take(leg, sig)
            return
        if is_offer(sig):
            self._offer = media_of(sig)
        elif sig.get("channels_cmd") == CLOSE:
            self._offer = {}
        if leg.call.connected_at is None:
            return
        if self._offer:
            self._dial()
        elif not self._asked:
            self._asked = True
            leg.after(PROPOSAL_TIME, self._look_for_offer)
            leg.pass_on(ASK_FOR_OFFER)

    def _look_for_offer(self) -> None:
        """Give up on a phone that offers no media."""
        with self._bridge_lock:
            if len(self._legs) == 1:
                self._finish(Rel(cau=Cause(num=RESOURCE_UNAVAILABLE)))

    def _dial(self) -> None:
        """Call whom the phone wants to speak to, with what it has offered as it came."""
        channel, bearer = MEDIA
        setup: JSONObject = {"type": Setup.wire_name, "bc": bearer, "cd": encode(self._called), "complete": True}
        setup.update(self._offer, channel=channel, confId=self._conference)
        self._passing = Passing(opened=0)
        phone = self._legs
        try:
            self._device._start_call_at_once(NAME, record_of(Setup, setup), self._add)
        except EpSignalError:
            self._legs = phone
            self._finish(Rel(cau=Cause(num=TEMPORARY_FAILURE)))


def click_to_dial(device: Device, number: str, sip: str, answer_timeout: float | None, timeout: float | None) -> Bridge:
    """See :meth:`Device.click_to_dial`."""
    called = someone(NAME, device.hw, number, sip, "it needs a number or sip=: whom to call")
    made = ClickToDial(device, called, answer_timeout)
    if answer_timeout is not None and answer_timeout <= 0:
        raise refuse(NAME, device.hw, f"answer_timeout= is a number of seconds above 0, or None, not {answer_timeout!r:.80}")
    made._start(Deadline(timeout))
    return made
