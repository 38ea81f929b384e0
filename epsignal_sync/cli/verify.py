"""``epsignal verify``: goes through the checks with a person at a phone, and tells what came of them."""

from __future__ import annotations

import datetime
import io
import pathlib
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import __version__
from ..client import Client
from ..errors import EpSignalError, UsageError
from .outputs import plain
from .verification.attaching import ALONE, AT_THE_PHONE, IN_A_CALL
from .verification.bench import Bench, Check, Finding, Unanswered
from .verification.calling import END_OF_CALL, WITH_A_CALL, WITHOUT_A_CALL
from .verification.masking import Mask
from .verification.person import Finished, Person, Skipped, TimedOut
from .verification.received import AT_THE_END
from .verification.report import Row, report_text

WIDEST = 100
"""Columns of a text that is to be read."""
START_TIME = 600.0
CHECKS: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("Attaching; nobody has to do anything.", ALONE),
    ("A call: another phone is needed, from which this one is called.", (*WITH_A_CALL, *IN_A_CALL, *END_OF_CALL)),
    ("The phone itself.", (*WITHOUT_A_CALL, *AT_THE_PHONE)),
    ("From all that was received.", AT_THE_END),
)
INTRODUCTION = """\
This finds out what the PBX does where the documentation leaves it open. It attaches to the phone {hw}, lets it ring, and asks you to
call it, to hold, to hang up and to restart it; once it breaks its own connection during a call. Use a phone that nobody needs for
ten minutes. Every step can be skipped (s and Enter), and all of it be ended (q and Enter). At the end there is a report without numbers
and names."""


def verify(make_client: Callable[..., Client], hw: str, second: str, secrets: dict[str, str], report: pathlib.Path | None) -> None:
    """Go through the checks and show what came of them. ``secrets``: texts that must not be in the report, with what stands for them.

    Main thread only; Ctrl-C ends the checks, and what was found until then is shown. Raises EpSignalError.
    """
    if report is not None and report.exists():
        raise UsageError(f"--report cannot be {str(report)!r}: there is something of that name already; nothing was checked")
    person = Person(say)
    bench = Bench(make_client, hw, second, person, Mask({**secrets, hw: "<phone>", second: "<phone 2>"}))
    with bench.another():
        pass  # a wrong password or host ends it here
    threading.Thread(target=_read_lines, args=(person,), name="epsignal-input", daemon=True).start()
    _begin(person, hw)
    try:
        rows = run_checks(bench, CHECKS)
    finally:
        bench.close()
    _show(rows)
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    _hand_over(report_text(rows, bench.trace.since(), bench.mask, version=__version__, date=date), report)


def run_checks(bench: Bench, sections: Sequence[tuple[str, Sequence[Check]]]) -> list[Row]:
    """Run the checks one after the other, and return what came of each; the last section is run in any case."""
    total, rows, finished = sum(len(checks) for _, checks in sections), list[Row](), False
    for heading, checks in sections:
        at_the_end = checks is sections[-1][1]
        if not finished or at_the_end:
            bench.person.say(f"\n{heading}")
        for check in checks:
            if finished and not at_the_end:
                rows.append(Row(check, Finding(answer="not done"), 0.0))
                continue
            bench.person.say(f"{len(rows) + 1} of {total}  {check.name}: {check.question}")
            started = time.monotonic()
            try:
                finding = _run(bench, check)
            except (Finished, KeyboardInterrupt):
                finished, finding = True, Finding(answer="not done")
            rows.append(Row(check, finding, time.monotonic() - started))
            bench.person.say(f"  = {finding.answer}")
    return rows


def _run(bench: Bench, check: Check) -> Finding:
    try:
        return check.run(bench)
    except Skipped:
        return Finding(answer="skipped")
    except TimedOut:
        return Finding(answer="not known: it did not happen in time")
    except Unanswered as unanswered:
        return unanswered.finding
    except EpSignalError as error:
        return Finding(answer=f"not known: {type(error).__name__}", seen=(bench.mask.text(str(error)),))


def say(text: str) -> None:
    """Write a text, wrapped where the terminal ends."""
    width = min(WIDEST, shutil.get_terminal_size().columns)
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        indent += "  " if indent else ""  # behind the mark in front of what is asked
        print("\n".join(textwrap.wrap(plain(line), width, subsequent_indent=indent)), flush=True)


def _begin(person: Person, hw: str) -> None:
    say(INTRODUCTION.format(hw=hw).replace("\n", " "))
    try:
        person.done("Have another phone at hand.", START_TIME)
    except Finished:
        raise EpSignalError("nothing was checked: it was ended before it began") from None
    except (Skipped, TimedOut):
        raise EpSignalError("nothing was checked: nobody said that it may begin") from None


def _read_lines(person: Person) -> None:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    for line in sys.stdin or ():
        person.enter(line)
    person.leave()


def _show(rows: Sequence[Row]) -> None:
    console = Console(width=None if sys.stdout.isatty() else WIDEST)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("Check", "Question", "Answer"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in (row.check.name, row.check.question, row.finding.answer)))
    console.print()
    console.print(table)


def _hand_over(text: str, report: pathlib.Path | None) -> None:
    """Write the report where it is wanted; it is not lost if that cannot be."""
    if report is not None:
        try:
            report.write_text(text, encoding="utf-8")
        except OSError as error:
            print(f"\n{text}", flush=True)
            raise EpSignalError(f"the report could not be written to {report} ({error.strerror}): it stands above") from None
        say(f"\nThe report is in {report}: read it, and add it to a bug report.")
        return
    say("\nThe report, to be added to a bug report:")
    print(f"\n{text}", flush=True)
