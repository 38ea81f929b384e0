"""The services of the PBX that a person uses at a simulated phone: transfer, park, pick-up, diversion, presence, instant messages.

Knows what the phone says and hears; what comes of it is the PBX's. The base of SimulatedPhone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import DetachedError, UsageError
from ..messages import DiversionProcedure
from . import signals
from .answers import SILENT
from .call import SimulatedCall
from .phone_features import PhoneFeatures
from .phone_media import PhoneMedia
from .signals import Signal

SetDiversion = Callable[[str, str, "Signal | None"], None]


class PhoneServices(PhoneFeatures):
    """The services of :class:`SimulatedPhone`, which is what to use. All methods may be called from any thread.

    ``messages_waiting``: how many messages the phone was told of, 0 for none.
    """

    hw: str
    number: str
    sip: str
    name: str
    registered: bool

    def __init__(self, media: PhoneMedia, heard_by: Callable[[SimulatedCall], SimulatedCall | None], set_diversion: SetDiversion) -> None:
        super().__init__(media, heard_by)
        self.messages_waiting = 0
        self._set_diversion = set_diversion
        self._picking = False
        self._consultations: dict[SimulatedCall, SimulatedCall] = {}
        self._handlers.update({
            "ct_identify_result": self._identified,
            "cp_pick_exe": self._picked,
            "mwi_activate": lambda call, facility: self._messages_wait(facility.get("number")),
            "mwi_deactivate": lambda call, facility: self._messages_wait(0),
        })  # fmt: skip

    @property
    def instant_messages(self) -> list[dict[str, Any]]:
        """The facilities im_message received, oldest first. Does not block."""
        return [facility for _, facility in self.facilities if facility.get("type") == "im_message"]

    # ------------------------------------------------------- what a person does

    def transfer(self, to: str | SimulatedCall, call: SimulatedCall | None = None) -> None:
        """Transfer the newest connected call, or the one given: blind to a number, or to the party of another call of this phone.

        Where the PBX does it, it releases the phone's calls; where not, ``call.wait_facility("ct_initiate_result")`` tells
        the error. Raises UsageError if the call is not connected, or ``to`` is the same one or not one of this phone's.
        """

        def transfer() -> None:
            if not isinstance(to, SimulatedCall):
                self._send(self._connected(call, "transfer"), signals.facility("ct_initiate", dst={"num": to}))
                return
            others = [each for each in self._connected_calls() if each is not to]
            if to.phone is not self or to.ended or not others or (call is not None and call not in others):
                raise UsageError(f"{self!r} cannot transfer to {to!r}: that takes a connected call, and another one of this phone")
            self._consultations[to] = call or others[-1]
            self._send(to, signals.facility("ct_identify"))

        self._actor.run(transfer)

    def park(self, to: str, position: int | None = None, call: SimulatedCall | None = None) -> None:
        """Park the newest connected call, or the one given, at a number; without a position the PBX takes the first free one.

        Where the PBX does it, the phone's call ends; nothing tells that it does not. Raises UsageError if it is not connected.
        """

        def park() -> None:
            chosen = self._connected(call, "park")
            where = {} if position is None else {"park_position": position}
            self._send(chosen, signals.facility("cp_park", parking=self._party(), parked_to={"num": to}, **where))

        self._actor.run(park)

    def pick_up(self, number: str | None = None, *, position: int | None = None, call_id: str | None = None) -> SimulatedCall:
        """Pick up what rings or is parked at a number, or has this call id; the phone answers it by itself when it arrives.

        Returns the no-media call that asks for it: its ``cause`` is 16, or says why there is nothing to pick up. Raises
        UsageError without number and call id, DetachedError while the phone is not registered.
        """
        if number is None and call_id is None:
            raise UsageError("nothing says what to pick up: give a number or a call id")
        facility: dict[str, Any] = {"type": "cp_pick_req", "picking": self._party()}
        given = {"callId": call_id, "parked_to_alerting": None if number is None else {"num": number}, "park_position": position}
        facility.update((key, value) for key, value in given.items() if value is not None)

        def pick_up() -> SimulatedCall:
            call = self._ask({"sip": self.sip}, facility)
            self._picking = True
            return call

        return self._actor.run(pick_up)

    def divert(self, procedure: str, to: str | None) -> None:
        """Have the calls of the phone's user go to another number: "ALWAYS", "BUSY" or "NO_ANSWER"; None ends that.

        NO_ANSWER applies after the PBX's ``diversion_timeout``. Raises UsageError for another procedure.
        """
        if procedure not in [each.value for each in DiversionProcedure]:
            raise UsageError(f"{procedure!r} is no diversion: use one of {', '.join(each.value for each in DiversionProcedure)}")
        self._actor.run(lambda: self._set_diversion(self.sip, procedure, None if to is None else {"num": to}))

    def publish_presence(
        self, *, status: str = "open", activity: str | None = None, note: str = "", contact: str = "tel:"
    ) -> SimulatedCall:
        """Set the presence of the phone's user; those who watch it are told. Returns the no-media call that does it.

        Raises DetachedError while the phone is not registered.
        """
        facility = {"type": "presence_publish", "status": status, "activity": activity, "note": note, "contact": contact}
        return self._actor.run(lambda: self._ask({"sip": self.sip}, facility))

    def send_im(self, number: str, text: str) -> SimulatedCall:
        """Send an instant message to a number; returns the no-media call that carries it, which ends by itself.

        Its ``cause`` is 16 where the message was taken. Raises DetachedError while the phone is not registered.
        """
        message = {"type": "im_message", "sender": self.sip, "sender_dn": self.name, "data": text, "mime": "text/plain"}
        return self._actor.run(lambda: self._ask({"num": number}, {"type": "im_setup"}, message))

    # ----------------------------------------- on the actor thread, the simulator's own

    def start(self, sig: Signal, *, remote: dict[str, Any]) -> SimulatedCall:
        """Begin a call with this setup."""
        raise NotImplementedError

    def take_no_media_call(self, call: SimulatedCall, sig: Signal) -> None:
        """Take what came in the setup of a no-media call, and answer it."""
        answers = [self.answers.get(str(each.get("type"))) for each in signals.facilities(sig) if isinstance(each, dict)]
        answer = next((each for each in answers if each is not None), "conn")
        if answer == SILENT:
            return
        if isinstance(answer, int):
            self._send(call, signals.rel(answer))
            return
        self.take_facilities(call, sig)
        if answer in ("conn", "call_proc"):
            self._send(call, {"type": answer, "channel": 0})
        else:
            self._send(call, signals.rel(signals.NORMAL_CLEARING if answer == "rel" else None))

    def _ask(self, called: Signal, *facilities: dict[str, Any]) -> SimulatedCall:
        """Begin a no-media call that the phone ends as soon as it is answered."""
        if not self.registered:
            raise DetachedError(f"phone {self.hw} is not registered, so it cannot ask for anything: use register() first")
        setup = {**signals.standing_setup(number=self.number, sip=self.sip, facility=""), "cd": called, "fty": list(facilities)}
        call = self.start(setup, remote=called)
        call.one_shot = True
        return call

    def _identified(self, call: SimulatedCall, facility: dict[str, Any]) -> None:
        first = self._consultations.pop(call, None)
        if first is not None and first.state == "connected":
            fields = {key: facility[key] for key in ("id", "dst") if key in facility}
            self._send(first, signals.facility("ct_initiate", **fields))

    def _picked(self, call: SimulatedCall, facility: dict[str, Any]) -> None:
        if self._picking and call.incoming and call.state == "alert":
            self._picking = False
            self.accept(call)

    def _messages_wait(self, number: Any) -> None:
        # Spec: where mwi_activate has no number, at least one message waits.
        self.messages_waiting = number if type(number) is int else 1

    def _connected_calls(self) -> list[SimulatedCall]:
        return [call for call in self._line.calls.values() if call.channel != 0 and call.state == "connected"]

    def _party(self) -> Signal:
        return {"num": self.number, "sip": self.sip}
