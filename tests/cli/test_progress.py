"""The progress bar: on a terminal after half a second, nothing elsewhere, nothing left of it."""

from __future__ import annotations

import re

from .running import Running

PREAMBLE = "import sys, threading; from epsignal_sync.cli.progress import progress\n"
PATIENT = "threading.Event().wait"
"""Waiting is what is shown here, so it is done."""
AT_ONCE = "sys.modules[progress.__module__].QUIET_TIME = 60\n"
"""What takes no time takes less than this on any machine."""


def script(body: str) -> str:
    return PREAMBLE + body


def test_shows_how_far_it_is_on_a_terminal() -> None:
    body = f"with progress('Reading calls.jsonl', 8) as advance:\n  advance(4); sys.stdin.readline()\nprint('done', {PATIENT}(0))"
    with Running(columns=80, start=script(body)) as running:
        running.read_until(" 50%")
        assert "Reading calls.jsonl" in running.output
        running.type("\n")
        running.end(0)
        assert running.output.rpartition("\x1b[2K")[2].strip() == "done False"  # the bar's line is emptied


def test_shows_a_spinner_where_nobody_knows_how_much_there_is() -> None:
    with Running(columns=80, start=script("with progress('Attaching', None):\n  sys.stdin.readline()")) as running:
        running.read_until("Attaching ")
        while not re.search("0:00:0[1-9]|0:00:[1-5]", running.output):
            running.read_more()
        running.type("\n")
        running.end(0)
        assert "%" not in running.output


def test_shows_nothing_of_what_is_done_at_once() -> None:
    with Running(columns=80, start=script(f"{AT_ONCE}with progress('Reading', 3) as advance:\n  advance(3)\nprint('done')")) as running:
        running.end(0)
        assert running.output == "done\r\n"


def test_shows_nothing_on_a_pipe() -> None:
    body = f"with progress('Reading', 3) as advance:\n  advance(1); {PATIENT}(0.8)\nprint('done')"
    with Running(start=script(body)) as running:
        assert running.end(0) == ""
        assert running.output == "done\n"


def test_shows_nothing_on_a_terminal_that_cannot_redraw() -> None:
    body = f"with progress('Reading', 3) as advance:\n  advance(1); {PATIENT}(0.8)\nprint('done')"
    with Running(columns=80, start=script(body), variables={"TERM": "dumb"}) as running:
        running.end(0)
        assert running.output == "done\r\n"


def test_leaves_standard_output_alone() -> None:
    body = f"with progress('Reading', 3):\n  print('row'); {PATIENT}(0.8); print('row'); print(sys.stdout is sys.__stdout__)"
    with Running(columns=80, start=script(body)) as running:
        running.read_until("True")
        running.end(0)


def test_hostile_text_is_made_harmless_and_short() -> None:
    body = "with progress('[red]\\x1b]0;x\\x07' + 'a' * 100, None):\n  sys.stdin.readline()"
    with Running(columns=80, start=script(body)) as running:
        running.read_until("…")
        running.type("\n")
        running.end(0)
        assert "[red]?]0;x?aaa" in running.output and "a" * 40 not in running.output


def test_an_error_in_the_block_takes_the_bar_away() -> None:
    with Running(columns=80, start=script("with progress('Reading', 3):\n  sys.stdin.readline(); sys.exit('broken')")) as running:
        running.stop_echo()
        running.read_until("0:00:0")
        running.type("\n")
        running.end(1)
        assert running.output.rpartition("\x1b[2K")[2].strip() == "broken"


def test_a_drawing_that_takes_long_is_taken_away_too() -> None:
    body = f"""
from rich.progress import Progress
drawn = Progress.refresh
Progress.refresh = lambda bar: (drawn(bar), {PATIENT}(1.5))
with progress('Reading', 3):
    {PATIENT}(0.9)
sys.exit('broken')
"""
    with Running(columns=80, start=script(body)) as running:
        running.end(1)
        assert running.output.rpartition("\x1b[2K")[2].strip() == "broken"


def test_ends_its_thread() -> None:
    body = f"{AT_ONCE}with progress('Reading', 3):\n  pass\nprint([one.name for one in threading.enumerate()])"
    with Running(columns=80, start=script(body)) as running:
        running.end(0)
        assert running.output.strip() == "['MainThread']"


def test_a_pause_of_verify_shows_how_long_it_lasts() -> None:
    body = """
from epsignal_sync.cli.verification.person import Person, Skipped
person = Person(print)
threading.Thread(target=lambda: person.enter(sys.stdin.readline())).start()
try:
    person.pause(600)
except Skipped:
    print("skipped")
"""
    with Running(columns=80, start=script(body)) as running:
        running.read_until("  waiting ")
        running.type("s\n")
        running.read_until("skipped")
        running.end(0)
