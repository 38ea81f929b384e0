"""Random hostile input for as long as you like, and not only as long as a test suite may take.

    python -m fuzz [--seconds 60] [--target codec] [--seed 1] [--replay FILE]

Three targets share the time: ``codec`` (any bytes as JSON, messages read, encoded and read again), ``frames`` (any bytes cut
anywhere, with websocket-client as the oracle) and ``connection`` (relay, session and intake of a client that is logged in, with the
standard library's JSON as the oracle for what has to go on). Ends with code 1 on a finding; its smallest input is written into a file
that ``--replay`` runs again. A finding becomes a test in the suite.

It stands beside the benchmarks and not among them, since it measures nothing. It is made with hypothesis and not with atheris: that
comes with the extra ``test`` already, makes near-valid messages from the model, and finds the smallest input by itself.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import sys
import time
import traceback
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from . import inputs
from .targets import Input, check_codec, check_connection, check_frames

Check = Callable[[Input], None]
TARGETS: dict[str, tuple[Check, st.SearchStrategy[Input]]] = {
    "codec": (check_codec, inputs.CODEC),
    "frames": (check_frames, inputs.FRAMES),
    "connection": (check_connection, inputs.CONNECTION),
}
ROUND = 200
"""Cases from one seed."""
PHASES = [Phase.generate, Phase.shrink]
PROGRESS = 5.0
"""Seconds between two lines that say how far it is."""


class TimeIsUp(KeyboardInterrupt):
    """Ends a round: what else hypothesis would take for a finding."""


class Run:
    """One target, for some seconds."""

    def __init__(self, name: str, seconds: float, first_seed: int) -> None:
        self.name = name
        self.cases = 0
        self.size = 0
        self.smallest: Input | None = None
        """The last input that failed; hypothesis ends with the smallest one."""
        self._check, self._strategy = TARGETS[name]
        self._seconds = seconds
        self._seed = first_seed

    def run(self) -> Exception | None:
        """Run cases; returns what was raised, or None."""
        began = time.monotonic()
        told = began
        while (now := time.monotonic()) < began + self._seconds:
            try:
                self._round(began + self._seconds)
            except TimeIsUp:
                break
            except Exception as error:
                return error
            if now - told >= PROGRESS:
                told = now
                print(f"fuzz: {self.name}: {self.cases} cases in {now - began:.0f} s", flush=True)
        return None

    def _round(self, end: float) -> None:
        options = settings(
            max_examples=ROUND, database=None, deadline=None, report_multiple_bugs=False, verbosity=Verbosity.quiet,
            phases=PHASES, suppress_health_check=list(HealthCheck),
        )  # fmt: skip

        @seed(self._seed)
        @options
        @given(self._strategy)
        def one_round(one: Input) -> None:
            if self.smallest is None and time.monotonic() > end:
                raise TimeIsUp  # while a finding is made smaller, time does not count
            self.cases += 1
            self.size += len(one.data)
            try:
                self._check(one)
            except Exception:
                self.smallest = one
                raise

        self._seed += 1
        one_round()


def write_down(run: Run) -> pathlib.Path:
    """Write the input of a finding into a file of the current directory."""
    one = run.smallest
    assert one is not None
    path = pathlib.Path(f"fuzz-finding-{run.name}.json")
    content = {"target": run.name, "data": one.data.hex(), "cuts": one.cuts, "asking": one.asking, "shown": repr(one.data)}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def replay(path: str) -> None:
    """Run the input of a finding again; raises what is wrong with it."""
    content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    check = TARGETS[content["target"]][0]
    check(Input(bytes.fromhex(content["data"]), content["cuts"], content["asking"]))


def main(arguments: list[str] | None = None) -> int:
    """Run as the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Random hostile input.")
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one; may be given several times")
    parser.add_argument("--seed", type=int, default=None, help="of the first round; another one each time without it")
    parser.add_argument("--replay", metavar="FILE", help="run the input of a finding again, and nothing else")
    options = parser.parse_args(arguments)
    if options.replay:
        replay(options.replay)
        print("fuzz: nothing is wrong with it any more")
        return 0
    targets = options.target or list(TARGETS)
    first_seed = random.randrange(2**32) if options.seed is None else options.seed
    print(f"fuzz: {', '.join(targets)} for {options.seconds:g} s, first seed {first_seed}", flush=True)
    for target in targets:
        run = Run(target, options.seconds / len(targets), first_seed)
        error = run.run()
        if error is not None:
            traceback.print_exception(error)
            if run.smallest is None:
                print(f"fuzz: {target}: it could not make an input", flush=True)
            else:
                print(f"fuzz: {target}: FOUND after {run.cases} cases: python -m fuzz --replay {write_down(run)}", flush=True)
            return 1
        print(f"fuzz: {target}: {run.cases} cases, {run.size} bytes, nothing found", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
