"""What can be typed about the calls of one phone, and what is done then. Knows nothing of where it is typed or how it is shown."""

from __future__ import annotations

from collections.abc import Callable

from ..call import Call
from ..device import Device
from ..errors import UsageError
from ..messages import CallState
from .dial import check_called
from .words import QUIT, Command, do_line, help_lines

RINGING = (CallState.SETUP, CallState.CALL_PROC, CallState.ALERT)


class CallVerbs:
    """The commands for the calls of ``phone``; ``say`` gets each line that a command has to say, ``timeout`` is for its answer."""

    def __init__(self, phone: Device, say: Callable[[str], None], *, timeout: float) -> None:
        self._phone = phone
        self._say = say
        self._timeout = timeout
        self._commands = {
            "answer": Command(self._answer, "[CALL]", "the phone answers the call that rings"),
            "hangup": Command(self._hangup, "[CALL]", "end the call"),
            "hold": Command(self._hold, "[CALL]", "put it on hold"),
            "retrieve": Command(self._retrieve, "[CALL]", "take it back from there"),
            "transfer": Command(self._transfer, "NUMBER [CALL]", "connect its other party with NUMBER"),
            "dtmf": Command(self._dtmf, "DIGITS [CALL]", "the phone sends DTMF digits: 0 to 9, * and #"),
            "dial": Command(self._dial, "NUMBER", "call NUMBER for the phone, without audio"),
            "help": Command(self._help, "", "this list"),
            QUIT: Command(lambda: None, "", "end this; the phone's calls go on"),
        }

    def do(self, line: str) -> bool:
        """Do what a line says, and return False for the end; blocks until it is done.

        Raises UsageError for a command that cannot be, another EpSignalError for one that failed.
        """
        return do_line(self._commands, line)

    # ------------------------------------------------------------ the commands

    def _answer(self, number: str = "") -> None:
        call = self._choose("answer", number, lambda call: call.incoming is True and call.state in RINGING, "no call rings at the phone")
        call.answer()
        self._say(f"call {call.id} is answered")

    def _hangup(self, number: str = "") -> None:
        call = self._choose("hangup", number, lambda call: True, "no call is up")
        call.hangup(timeout=self._timeout)
        self._say(f"call {call.id} is hung up")

    def _hold(self, number: str = "") -> None:
        call = self._choose("hold", number, lambda call: _connected(call) and not call.on_hold, "no connected call is off hold")
        call.hold(timeout=self._timeout)
        self._say(f"call {call.id} is on hold")

    def _retrieve(self, number: str = "") -> None:
        # What holds a call of the app, or one that is held by media alone, does not show.
        none = "no call is known to be on hold; name the one that is"
        call = self._choose("retrieve", number, lambda call: _connected(call) and (call.on_hold or call.own), none)
        call.retrieve(timeout=self._timeout)
        self._say(f"call {call.id} is taken back")

    def _transfer(self, called: str, number: str = "") -> None:
        check_called(called, as_sip=False, hint="")
        call = self._choose("transfer", number, _connected, "no call is connected", argument=called)
        call.transfer(number=called, timeout=self._timeout)
        self._say(f"call {call.id} is transferred to {called}")

    def _dtmf(self, digits: str, number: str = "") -> None:
        call = self._choose("dtmf", number, _connected, "no call is connected", argument=digits)
        call.dtmf(digits, timeout=self._timeout)
        self._say(f"call {call.id}: {digits} sent")

    def _dial(self, called: str) -> None:
        check_called(called, as_sip=False, hint="")
        call = self._phone.dial(called, timeout=self._timeout)
        self._say(f"call {call.id} goes to {called}")

    def _help(self) -> None:
        for line in help_lines(self._commands):
            self._say(line)
        self._say("CALL is a call's number: needed where more than one may be meant.")

    # ------------------------------------------------------------ which call

    def _choose(self, verb: str, number: str, fits: Callable[[Call], bool], none: str, *, argument: str = "") -> Call:
        """Return the call that is meant: the one named, or the only one that fits. Raises UsageError."""
        calls = self._phone.media_calls
        if number:
            known = {str(id): call for id, call in calls.items()}
            if number not in known:
                raise UsageError(f"there is no call {number}: {_listed(list(calls.values())) or 'none is up'}")
            return known[number]
        fitting = [call for call in calls.values() if fits(call)]
        if len(fitting) == 1:
            return fitting[0]
        if not fitting:
            raise UsageError(f"{verb} found nothing to do: {none}")
        example = " ".join(word for word in (verb, argument, str(fitting[0].id)) if word)
        raise UsageError(f"{verb} may mean {_listed(fitting)}: say which, such as {example}")


def _connected(call: Call) -> bool:
    return call.state == CallState.CONNECTED


def _listed(calls: list[Call]) -> str:
    return " or ".join(f"{call.id} ({with_whom(call)})" for call in calls)


def with_whom(call: Call) -> str:
    """Return whom a call is with, and who called, in words."""
    direction = {True: "from", False: "to", None: "with"}[call.incoming]
    return f"{direction} {call.remote}"
