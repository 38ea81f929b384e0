"""How the steps of calls are shown: a live table on a terminal, a line each elsewhere, or JSON. Knows not where they come from."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from attrs import frozen
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..call import Call, Party
from ..looks import clock
from ..messages import CallState, Cause
from ..messages.record import masked

ENDED_ROWS = 10
"""Ended calls that the live table keeps."""

NARROW = 60
"""Columns of a terminal under which the live table shows only the end of a phone's name, and neither the beginning nor the cause."""
PHONE_ENDING = 6
"""Characters of that end: MAC addresses begin alike."""

STYLES = {
    "setup": "cyan", "setup-ack": "cyan", "call-proc": "cyan", "alert": "yellow", "connected": "green", "parked": "magenta",
    "disconnected": "red", "disconnecting": "red", "null": "dim",
}  # fmt: skip
"""How a call looks in each state on a terminal; the state stands there as a word, too."""

CSV_COLUMNS = ("time", "device", "call", "direction", "number", "sip", "name", "state", "seconds", "cause", "cause_text")
FORMULA_SIGNS = "=+-@＝＋－＠"
"""What a spreadsheet takes a cell for a formula by, also behind white space."""


@frozen(kw_only=True)
class Progress:
    """One step of one call, at the moment when it happened."""

    at: float
    """Unix seconds."""
    hw: str
    call: Call
    state: str
    remote: Party
    incoming: bool | None
    cause: Cause | None

    @property
    def seconds(self) -> float:
        """How long the call has been connected, or has lasted without that."""
        since = self.call.connected_at or self.call.started_at
        return max(0.0, self.at - since)

    @property
    def direction(self) -> str:
        """Whether the phone was called, in a word."""
        return {True: "from", False: "to", None: "with"}[self.incoming]

    @property
    def cause_text(self) -> str:
        """The Q.850 name of the cause, once the call has failed or ended."""
        return self.cause.text if self.cause is not None else ""


class Screen(Console):
    """A Console that says, as print() does, that the reader of its output has gone: rich would end the process with a failure."""

    def on_broken_pipe(self) -> None:
        """Let the BrokenPipeError go on, which rich is handling when it calls this."""
        raise  # noqa: PLE0704


class Output(Protocol):
    """Something that shows the steps of calls."""

    def show(self, progress: Progress) -> None:
        """Show a step."""

    def leave_out(self, progress: Progress) -> None:
        """Take a step that is not to be shown; it may be one of a call that was shown before."""

    def refresh(self) -> None:
        """Show the time going on."""


@contextlib.contextmanager
def output_for(*, as_json: bool, as_csv: bool = False, title: str) -> Iterator[Output]:
    """Give what suits standard output; ``title`` stands above the live table."""
    console = Console()
    redraws = sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal
    if as_csv:
        yield CSVRows()
    elif as_json:
        yield JSONLines()
    elif redraws:
        with LiveTable(console, title) as table:
            yield table
    else:
        yield Lines()


class _Log:
    """What has been written stays as it is."""

    def leave_out(self, progress: Progress) -> None:
        """Nothing."""

    def refresh(self) -> None:
        """Nothing: a line stands for the moment it was written."""


class Lines(_Log):
    """One tidy line an event, for a pipe or a file."""

    def show(self, progress: Progress) -> None:
        """Write a line."""
        at = datetime.fromtimestamp(progress.at).strftime("%H:%M:%S")
        line = (
            f"{at}  {plain(progress.hw):<14}  {progress.direction:<4} {plain(str(progress.remote)):<24}  "
            f"{plain(progress.state):<13}  {clock(progress.seconds):>7}  {plain(progress.cause_text)}"
        )
        print(line.rstrip(), flush=True)


class JSONLines(_Log):
    """One JSON object a line, for another program."""

    def show(self, progress: Progress) -> None:
        """Write a line."""
        remote, cause = progress.remote, progress.cause
        print(json.dumps({
            "time": datetime.fromtimestamp(progress.at).astimezone().isoformat(timespec="milliseconds"),
            "device": progress.hw,
            "call": progress.call.id,
            "incoming": progress.incoming,
            "remote": {"num": remote.num, "sip": remote.sip, "name": remote.name},
            "state": progress.state,
            "seconds": round(progress.seconds, 3),
            "cause": None if cause is None else {"num": masked(cause.num), "text": cause.text},
        }), flush=True)


class CSVRows(_Log):
    """One row a step below a heading, for a spreadsheet (RFC 4180); no text in it is a formula there."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(newline="")  # a row ends with CR and LF on every system
        self._writer = csv.writer(sys.stdout)
        self._write(*CSV_COLUMNS)

    def show(self, progress: Progress) -> None:
        """Write a row."""
        remote, cause = progress.remote, progress.cause
        number = masked(cause.num) if cause is not None else None
        self._write(
            datetime.fromtimestamp(progress.at).astimezone().isoformat(timespec="milliseconds"), progress.hw, progress.call.id,
            progress.direction, remote.num, remote.sip, remote.name, progress.state, round(progress.seconds, 3),
            number if isinstance(number, int) else str(number or ""), progress.cause_text,
        )  # fmt: skip

    def _write(self, *cells: str | float | None) -> None:
        self._writer.writerow([no_formula(cell) if isinstance(cell, str) else cell for cell in cells])
        sys.stdout.flush()


class LiveTable:
    """A table of the calls that are up and the last ones that ended, drawn anew as they change."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._rows: dict[Call, Progress] = {}
        self._live = Live(self._draw(), console=console, auto_refresh=False)

    def __enter__(self) -> LiveTable:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Take a step into the table."""
        self._rows[progress.call] = progress
        ended = [call for call, row in self._rows.items() if row.state == CallState.NULL]
        for call in ended[:-ENDED_ROWS]:
            del self._rows[call]
        self.refresh()

    def leave_out(self, progress: Progress) -> None:
        """Take a call out of the table."""
        if self._rows.pop(progress.call, None) is not None:
            self.refresh()

    def refresh(self) -> None:
        """Draw the table anew."""
        self._live.update(self._draw(), refresh=True)

    def _draw(self) -> Group:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        narrow = self._console.width < NARROW
        shown = ("Phone", "Call", "State", "Time") if narrow else ("Since", "Phone", "Call", "State", "Time", "Cause")
        for heading in shown:
            # What may become long gives way; the rest of a row stays readable.
            table.add_column(heading, no_wrap=heading not in ("Call", "Cause"))
        for row in self._rows.values():
            now = row.seconds if row.state == CallState.NULL else max(0.0, row.seconds + time.time() - row.at)
            cells = {
                "Since": datetime.fromtimestamp(row.call.started_at).strftime("%H:%M:%S"),
                "Phone": f"…{row.hw[-PHONE_ENDING:]}" if narrow and len(row.hw) > PHONE_ENDING + 1 else row.hw,
                "Call": f"{row.direction} {row.remote}", "State": row.state, "Time": clock(now), "Cause": row.cause_text,
            }  # fmt: skip
            style = STYLES.get(row.state, "")
            table.add_row(*(Text(plain(cells[heading]), style=style, no_wrap=True, overflow="ellipsis") for heading in shown))
        # No title of the table: it would wrap at the width of the table, which begins empty.
        return Group(Text(self._title, style="bold", no_wrap=True, overflow="ellipsis"), table)


def plain(text: str) -> str:
    """Return text from the network without anything that a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def can_show(characters: str) -> bool:
    """Return whether the encoding of standard output has these characters."""
    try:
        characters.encode(sys.stdout.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def no_formula(text: str) -> str:
    """Return text from the network as a cell that no spreadsheet takes for a formula."""
    text = plain(text)
    return f"'{text}" if text.lstrip()[:1] in FORMULA_SIGNS and text.strip() else text
