"""What people do at simulated phones, typed as commands. Knows nothing of where the commands come from or how they are shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..errors import UsageError
from ..simulator import SimulatedCall, SimulatedPBX, SimulatedPhone
from .words import Command, do_line, help_lines

WAIT_TIME = 10.0
"""Seconds for which ``wait`` waits where it is not told."""
LONGEST = 3600.0
"""Seconds."""
STATES = ("setup", "setup-ack", "call-proc", "alert", "connected", "disconnected", "disconnecting", "null")
ATTACHED = "attached"


class People:
    """The people at some phones; ``say`` gets each line that a command has to say."""

    def __init__(self, pbx: SimulatedPBX, phones: Sequence[SimulatedPhone], say: Callable[[str], None]) -> None:
        self._pbx = pbx
        self._phones = phones
        self._say = say
        self._commands = {
            "call": Command(self._call, "PHONE NUMBER", "the phone calls a number"),
            "answer": Command(self._answer, "PHONE", "it answers the newest call that rings"),
            "reject": Command(self._reject, "PHONE", "it refuses that call"),
            "hangup": Command(self._hangup, "PHONE", "it ends its newest call"),
            "hold": Command(self._hold, "PHONE", "it puts its newest connected call on hold"),
            "retrieve": Command(self._retrieve, "PHONE", "it takes that call back"),
            "busy": Command(self._busy, "PHONE", "it refuses every call from now on, with cause 17"),
            "free": Command(self._free, "PHONE", "it takes calls again"),
            "unregister": Command(self._unregister, "PHONE", "it goes off the PBX, and its calls end"),
            "register": Command(self._register, "PHONE", "it comes back"),
            "calls": Command(self._calls, "", "the calls that are up, as the phones see them"),
            "wait": Command(self._wait, "PHONE STATE [SECONDS]", f"go on when a call is there; {ATTACHED}: an app"),
            "pause": Command(self._pause, "SECONDS", "do nothing for a while"),
            "help": Command(self._help, "", "this list"),
            "quit": Command(lambda: None, "", "end the simulated PBX; so does Ctrl-C"),
        }  # fmt: skip

    def do(self, line: str) -> bool:
        """Do what a line says, and return False for the end; blocks while it waits.

        Raises UsageError for a command that cannot be, another EpSignalError for one that failed.
        """
        return do_line(self._commands, line)

    def label(self, hw: str | None) -> str:
        """Return the short name of a phone: its number, or where another one has that too its hardware id; "-" for no phone."""
        numbers = {phone.hw: phone.number for phone in self._phones}
        number = numbers.get(hw or "")
        if number is None:
            return hw or "-"
        return number if list(numbers.values()).count(number) == 1 else hw or "-"

    # ------------------------------------------------------------ the commands

    def _call(self, name: str, number: str) -> None:
        if number.strip("0123456789*#"):
            raise UsageError(f"{number!r} is no number: a phone dials digits, * and #")
        phone = self._phone(name)
        if not phone.registered:
            raise UsageError(f"phone {name} is not registered, so it cannot call: register {name} brings it back")
        phone.call(number)

    def _answer(self, name: str) -> None:
        self._ringing(name).answer()

    def _reject(self, name: str) -> None:
        self._ringing(name)
        self._phone(name).reject()

    def _hangup(self, name: str) -> None:
        phone = self._phone(name)
        if phone.call_now is None:
            raise UsageError(f"phone {name} has no call to hang up: calls shows those that are up")
        phone.hangup()

    def _hold(self, name: str) -> None:
        self._switch(name, on_hold=True)

    def _retrieve(self, name: str) -> None:
        self._switch(name, on_hold=False)

    def _busy(self, name: str) -> None:
        self._phone(name).busy = True

    def _free(self, name: str) -> None:
        self._phone(name).busy = False

    def _register(self, name: str) -> None:
        self._phone(name).register()

    def _unregister(self, name: str) -> None:
        self._phone(name).unregister()

    def _calls(self) -> None:
        lines = [self._call_line(phone, call) for phone in self._phones for call in phone.calls]
        for line in lines or ["no call is up"]:
            self._say(line)

    def _wait(self, name: str, state: str, seconds: str = f"{WAIT_TIME:g}") -> None:
        phone, timeout = self._phone(name), _seconds(seconds)
        if state == ATTACHED:
            self._pbx.wait_for(lambda log: log.texts("to-app", phone.hw, mt="Attached"), timeout=timeout)
        elif state in STATES:
            phone.wait(state, timeout=timeout)
        else:
            raise UsageError(f"there is no state {state!r} to wait for: it is one of {', '.join((*STATES, ATTACHED))}")

    def _pause(self, seconds: str) -> None:
        time.sleep(_seconds(seconds))

    def _help(self) -> None:
        for line in help_lines(self._commands):
            self._say(line)
        self._say("PHONE is the number, the name or the hardware id of one.")
        self._say(f"STATE is one of {', '.join(STATES[1:5])}, {STATES[-1]}, {ATTACHED}.")

    # ------------------------------------------------------------ helpers

    def _phone(self, name: str) -> SimulatedPhone:
        known = [phone for phone in self._phones if name.casefold() in (phone.hw.casefold(), phone.number, phone.name.casefold())]
        if len(known) == 1:
            return known[0]
        if known:
            raise UsageError(f"{name} may be {' or '.join(phone.hw for phone in known)}: give the hardware id")
        raise UsageError(f"there is no phone {name!r}: there are {', '.join(self.label(phone.hw) for phone in self._phones)}")

    def _ringing(self, name: str) -> SimulatedCall:
        for call in reversed(self._phone(name).calls):
            if call.incoming and call.state == "alert":
                return call
        raise UsageError(f"phone {name} has no call that rings: calls shows those that are up, wait {name} alert waits for one")

    def _switch(self, name: str, *, on_hold: bool) -> None:
        phone = self._phone(name)
        for call in reversed(phone.calls):
            if call.state == "connected":
                if call.on_hold is on_hold:
                    raise UsageError(f"call {call.id} of phone {name} is {'on hold already' if on_hold else 'not on hold'}")
                return phone.hold(call) if on_hold else phone.retrieve(call)
        raise UsageError(f"phone {name} has no connected call: calls shows those that are up, wait {name} connected waits for one")

    def _call_line(self, phone: SimulatedPhone, call: SimulatedCall) -> str:
        remote = call.remote
        who = " ".join(str(remote[key]) for key in ("num", "dn") if remote.get(key)) or remote.get("sip") or "unknown"
        return f"{self.label(phone.hw)}: call {call.id} {'from' if call.incoming else 'to'} {who}: {call.state}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST:  # not a number is outside, too
        raise UsageError(f"{text!r} are no seconds: give a number from 0 to {LONGEST:g}")
    return seconds
