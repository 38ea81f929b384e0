"""Refuse calls to some phones from the numbers on a list.

    python samples/block_callers.py                                     a simulated PBX; ends by itself
    python samples/block_callers.py URL APP HW[,HW...] NUMBER...        a real PBX; the App object's password in EPSIGNAL_PASSWORD

NUMBER is a number as `epsignal monitor` shows it. With * at its end it means every number that begins so; the letters R, S, N
and I in front of a caller's digits do not count. @FILE means the numbers in a file: one a line, lines that begin with # are
remarks. The phone does not ring, and the caller hears --cause: 21 (the default) is "call rejected", 17 is "busy".
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import threading
from collections.abc import Iterable

import epsignal_sync as eps
from epsignal_sync.messages import Setup


class BlockList:
    """Numbers, and beginnings of numbers, that are not wanted."""

    def __init__(self, entries: Iterable[str]) -> None:
        entries = list(entries)
        for entry in entries:
            if not entry.rstrip("*").isdigit():  # a lone * would refuse everybody
                raise ValueError(f"{entry!r} is no number: give digits, with * at the end for every number that begins so")
        self.numbers = {entry for entry in entries if not entry.endswith("*")}
        self.beginnings = tuple(entry.rstrip("*") for entry in entries if entry.endswith("*"))

    def matches(self, caller: eps.Party) -> bool:
        """Whether calls of this caller are refused. Runs before the phone hears of the call, so it must be quick."""
        digits = (caller.num or "").lstrip("RSNI")
        return digits in self.numbers or digits.startswith(self.beginnings)


def say(text: str) -> None:
    """Print a line in one piece: print() writes the end of the line by itself, and another thread may come in between."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def block(url: str, app: str, password: str, hws: list[str], blocked: BlockList, cause: int, reconnect: bool = True) -> None:
    """Refuse calls until Ctrl-C; without ``reconnect`` also until the loss of the connection."""
    with eps.connect(url, app=app, password=password, reconnect=reconnect) as client:
        # If matches() raised, or took longer than a quarter of a second, the call would go through: a phone never waits for us.
        client.intercept(Setup, eps.block_callers(blocked.matches, cause=cause))

        @client.on(eps.CallEnded)
        def ended(event: eps.CallEnded) -> None:
            if event.call.ended_by == "dropped":  # by the line above: we know now that it did not get through
                say(f"{event.device.hw}: refused {event.call.remote}")

        client.attach_many(hws)
        client.run_forever()


def read_list(arguments: list[str]) -> BlockList:
    """Return the list from the command line, with the files it names. Raises ValueError, OSError."""
    entries: list[str] = []
    for argument in arguments:
        if argument.startswith("@"):
            lines = pathlib.Path(argument[1:]).read_text(encoding="utf-8").splitlines()
            entries += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        else:
            entries.append(argument)
    return BlockList(entries)


def simulate() -> None:
    """Refuse two of three callers at a phone of a simulated PBX."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"block_callers: {error}")

    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")
        shop = pbx.add_phone("0090334f1a2d", number="09001234", sip="shop", name="Prize Draw")
        carol = pbx.add_phone("0090334f1a2e", number="24", sip="carol", name="Carol")

        def people() -> None:
            try:
                pbx.wait_for(lambda log: log.texts("to-app", alice.hw, mt="Attached"))
                for caller in (bob, shop, carol):
                    call = caller.call("22")
                    state = call.wait("alert", "null")
                    say(f"{caller.name} calls Alice: {'it rings' if state == 'alert' else f'refused with cause {call.cause}'}")
                    call.hangup()
            finally:
                pbx.close()

        threading.Thread(target=people, name="people", daemon=True).start()
        try:
            block(pbx.url, "phones", "secret", [alice.hw], BlockList(["23", "0900*"]), 21, reconnect=False)
        except eps.ConnectionLostError:
            print("the simulated PBX has closed")


def main() -> None:
    # A caller's name may hold what the terminal cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # it is a text file here
    if len(sys.argv) == 1:
        return simulate()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("app", metavar="APP")
    parser.add_argument("hws", metavar="HW[,HW...]")
    parser.add_argument("numbers", metavar="NUMBER", nargs="+")
    parser.add_argument("--cause", type=int, default=21)
    options = parser.parse_args()
    password = os.environ.get("EPSIGNAL_PASSWORD")
    if password is None:
        parser.error("the App object's password is missing: set the variable EPSIGNAL_PASSWORD")
    block(options.url, options.app, password, options.hws.split(","), read_list(options.numbers), options.cause)


if __name__ == "__main__":
    try:
        main()
    except (eps.EpSignalError, ValueError, OSError) as error:
        sys.exit(f"block_callers: {error}")
    except KeyboardInterrupt:
        pass
