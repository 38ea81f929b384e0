"""The calls of one phone, shown while commands for them are typed: on a terminal below a live table, else as a script."""

from __future__ import annotations

import contextlib
import io
import queue
import sys
import threading
from collections.abc import Callable, Iterator

from rich.console import Console

from ..call import Call
from ..client import Client
from ..device import Device
from ..errors import EpSignalError
from ..events import CallEnded, CallEvent, CallStarted, CallStateChanged, FacilityEvent
from ..intake import ConnectionState
from ..messages import CallState, Facility
from .call_screen import PROMPT, LineScreen, LiveScreen, Screen
from .call_verbs import CallVerbs
from .line_editor import END_OF_INPUT, Keyboard, LineEditor, has_single_keys, single_keys
from .steps import REFRESH

HANG_UP_TIME = 1.0
"""Seconds for hanging up at the end what was dialed here."""


ADVICE = {
    "wait for the event Reconnected, or with wait_attached()": "wait until it is there again",
    ", and use wait_attached()": "",
    "take a live one from device.calls, or start one with device.dial()": "take another one",
}
"""What the library tells a program to do, and what to tell who types commands."""


class Desk:
    """What happens to the phone's calls, what is typed, and what is said about it, in the order in which it is shown.

    Commands run on the thread ``epsignal-commands``, one after the other, so that a slow one does not hold the calls up.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._jobs: queue.SimpleQueue[Callable[[Screen], None]] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._finished = False
        client.on(CallStarted, lambda event: self._tell(event, event.state))
        client.on(CallStateChanged, self._state_changed)
        client.on(CallEnded, lambda event: self._tell(event, CallState.NULL))
        client.on(Facility, self._facility)

    def say(self, text: str) -> None:
        """Have a line shown. Does not block; any thread."""
        self._jobs.put(lambda screen: screen.say(text))

    def redraw(self) -> None:
        """Have the screen drawn anew. Does not block; any thread."""
        self._jobs.put(lambda screen: screen.refresh())

    def enter(self, line: str | None) -> None:
        """Take a line that was typed, END_OF_INPUT for the end. Does not block; any thread."""
        self._lines.put(line)

    def work(self, verbs: CallVerbs) -> None:
        """Have the lines that are typed done from now on; Ctrl-C does not wait for one that is being done."""
        threading.Thread(target=self._work, args=(verbs,), name="epsignal-commands", daemon=True).start()

    def show(self, screen: Screen) -> None:
        """Show what there is to show until the end of the commands; raises the loss of the connection for good. Blocks."""
        while True:
            finished = self._finished  # asked first: what was said before it is shown
            try:
                self._jobs.get(timeout=REFRESH)(screen)
            except queue.Empty:
                if self._client.state is ConnectionState.CLOSED:
                    return self._client.run_forever()  # which says why
                if finished:
                    return
                screen.refresh()

    def _work(self, verbs: CallVerbs) -> None:
        while (line := self._lines.get()) is not END_OF_INPUT:
            self.say(f"{PROMPT}{line}")
            try:
                if not verbs.do(line):
                    break
            except EpSignalError as error:
                self.say(_in_commands(str(error)))
        self._finished = True

    # ------------------------------------------------------------ callbacks

    def _state_changed(self, event: CallStateChanged) -> None:
        if event.state != CallState.NULL:  # its CallEnded follows
            self._tell(event, event.state)

    def _facility(self, event: FacilityEvent[Facility]) -> None:
        call = event.call
        if call is not None and call.media and not call.ended:  # it may have been put on hold, or have got another party
            self._show_change(call, call.state)

    def _tell(self, event: CallEvent, state: CallState | str) -> None:
        if event.call.media:
            self._show_change(event.call, state)

    def _show_change(self, call: Call, state: CallState | str) -> None:
        self._jobs.put(lambda screen: screen.changed(call, state))


def control_calls(client: Client, hw: str, *, timeout: float) -> None:
    """Connect, attach, show the calls and do what is typed, until quit, the end of the input, or Ctrl-C. Main thread only."""
    desk = Desk(client)
    client.connect()
    phone = client.attach(hw, timeout=timeout)
    try:
        desk.work(CallVerbs(phone, desk.say, timeout=timeout))
        with _screen(desk, phone) as screen:
            desk.show(screen)
    finally:
        for call in phone.calls.values():
            if call.own:  # it would end with the connection, but for another cause
                with contextlib.suppress(EpSignalError):
                    call.hangup(timeout=HANG_UP_TIME)


@contextlib.contextmanager
def _screen(desk: Desk, phone: Device) -> Iterator[Screen]:
    """Give what suits standard input and output, and have what is typed go to the desk."""
    console = Console()
    on_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if on_terminal and console.is_terminal and not console.is_dumb_terminal and has_single_keys():
        editor, descriptor = LineEditor(), sys.stdin.fileno()
        keyboard = Keyboard(descriptor, editor, desk.redraw, desk.enter)
        # The screen last: as soon as there is something to be seen, somebody may type, or press Ctrl-C, which the start of a
        # thread does not always survive.
        with single_keys(descriptor), keyboard, LiveScreen(console, phone, editor) as screen:
            yield screen
    else:
        threading.Thread(target=_read_lines, args=(desk,), name="epsignal-input", daemon=True).start()
        yield LineScreen()


def _read_lines(desk: Desk) -> None:
    """Hand over the lines of standard input; no input at all is no end, as with the other commands that run until Ctrl-C."""
    if sys.stdin is None:
        return
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what is no text is a wrong command
    number = 0
    for line in sys.stdin:
        number += 1
        desk.enter(line.rstrip("\n"))
    if number or sys.stdin.isatty():
        desk.enter(END_OF_INPUT)


def _in_commands(text: str) -> str:
    for advice, ours in ADVICE.items():
        text = text.replace(advice, ours)
    return text
