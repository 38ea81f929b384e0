"""How the calls of one phone are shown while commands are typed: a live table above the line that is typed, or a line an event.

Knows the calls; what the commands do is none of its business.
"""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..call import Call
from ..device import Device
from ..looks import clock
from ..messages import CallState
from .call_verbs import with_whom
from .line_editor import LineEditor
from .outputs import STYLES, plain

PROMPT = "> "
HINT = "help: what can be typed; quit leaves the calls alone"
AROUND = 7
"""Lines of a terminal that are not for calls: the heading, how the phone is, the line that is typed, and some of what was said."""


class Screen(Protocol):
    """Something that shows the calls, and what is said about them."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def changed(self, call: Call, state: CallState | str) -> None:
        """Show that something has changed in a call."""

    def refresh(self) -> None:
        """Show the time going on."""


def state_words(call: Call, state: CallState | str) -> str:
    """Return the state of a call, with who has it on hold."""
    words = [str(state)]
    if state != CallState.NULL:
        words += ["on hold"] if call.on_hold else []
        words += ["held by the other party"] if call.held else []
    return ", ".join(words)


def end_words(call: Call) -> str:
    """Return the Q.850 name of the cause, once a call has failed or ended."""
    return call.cause.text if call.cause is not None else ""


def seconds_of(call: Call) -> float:
    """Return how long a call is or was connected, or has lasted without that."""
    return max(0.0, (call.ended_at or time.time()) - (call.connected_at or call.started_at))


def change_line(call: Call, state: CallState | str) -> str:
    """Return a line for a change in a call."""
    cause = end_words(call) if state in (CallState.NULL, CallState.DISCONNECTED, CallState.DISCONNECTING) else ""
    words = state_words(call, state)
    return f"{stamp()}  call {call.id:<3} {with_whom(call):<24}  {words:<13}  {clock(seconds_of(call)):>7}  {cause}".rstrip()


def stamp() -> str:
    """Return the time of day."""
    return time.strftime("%H:%M:%S")


class LineScreen:
    """One tidy line an event, for a pipe or a file. Only the thread that shows calls it."""

    def __init__(self) -> None:
        self._shown: dict[Call, str] = {}

    def say(self, text: str) -> None:
        """Write a line."""
        print(plain(text), flush=True)

    def changed(self, call: Call, state: CallState | str) -> None:
        """Write a line, unless it says what the one before said."""
        words = state_words(call, state)
        if self._shown.get(call) == words:
            return
        self._shown[call] = words
        if state == CallState.NULL:
            del self._shown[call]
        self.say(change_line(call, state))

    def refresh(self) -> None:
        """Nothing: a line stands for the moment it was written."""


class LiveScreen:
    """The calls that are up, and the line that is typed, at the bottom of a terminal; all else scrolls above it."""

    def __init__(self, console: Console, phone: Device, editor: LineEditor) -> None:
        self._console = console
        self._phone = phone
        self._editor = editor
        # Not transient: what stood there at the end is still readable.
        self._live = Live(self._draw(), console=console, auto_refresh=False)

    def __enter__(self) -> LiveScreen:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Write a line above the table."""
        self._console.print(Text(plain(text)), soft_wrap=False)
        self.refresh()

    def changed(self, call: Call, state: CallState | str) -> None:
        """Draw the table anew; the end of a call leaves a line above it."""
        if state == CallState.NULL:
            cause = f": {end_words(call)}" if end_words(call) else ""
            self.say(f"{stamp()}  call {call.id} {with_whom(call)} is over after {clock(seconds_of(call))}{cause}")
        else:
            self.refresh()

    def refresh(self) -> None:
        """Draw the table anew."""
        self._live.update(self._draw(), refresh=True)

    def _draw(self) -> Group:
        calls = list(self._phone.media_calls.values())
        room = max(1, self._console.height - AROUND)
        parts: list[Text | Table] = [Text(""), _one_line(f"Calls of {self._phone.hw} ({HINT})", "bold")]
        if calls:
            parts.append(self._table(calls[:room]))
        if len(calls) > room:
            parts.append(_one_line(f"and {len(calls) - room} more", "dim"))
        if not self._phone.attached:
            state = "the phone is not registered" if self._phone.client.connected else "there is no connection to the PBX"
            parts.append(_one_line(f"{state} now", "red"))
        elif not calls:
            parts.append(_one_line("no call is up", "dim"))
        return Group(*parts, self._typed())

    @staticmethod
    def _table(calls: list[Call]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        # The other party may have a long name: it gives way where the terminal is narrow.
        for heading, gives_way in (("Call", False), ("With", True), ("State", False), ("Time", False), ("Cause", True)):
            table.add_column(heading, no_wrap=not gives_way)
        for call in calls:
            cells = (str(call.id), with_whom(call), state_words(call, call.state), clock(seconds_of(call)), end_words(call))
            table.add_row(*(_one_line(cell, STYLES.get(call.state, "")) for cell in cells))
        return table

    def _typed(self) -> Text:
        """Return the line that is typed, its end where it is too long, and a cursor."""
        room = max(1, self._console.width - len(PROMPT) - 2)
        text = plain(self._editor.text)
        line = Text(PROMPT + (text if len(text) <= room else f"…{text[1 - room :]}"), no_wrap=True)
        line.append(" ", style="reverse")
        return line


def _one_line(text: str, style: str) -> Text:
    return Text(plain(text), style=style, no_wrap=True, overflow="ellipsis")
