"""Show who is there and who is on the phone: a board of some people's presence and calls, a line a change.

    python samples/presence_board.py                        a simulated PBX; ends by itself
    python samples/presence_board.py URL APP HW NUMBER...   a real PBX; the App object's password in EPSIGNAL_PASSWORD

HW is a phone that is registered at the PBX, on whose behalf is watched; the people are those with the numbers. Nobody's phone rings.
After the loss of the connection the watches are set up again; what was missed is made up for by what the PBX tells then.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading

import epsignal_sync as eps
from epsignal_sync.messages import CpGroupIndicationOff, CpGroupIndicationOn, PresenceNotify

RINGING = 4
"""The last state before a call is answered, as CpGroupIndicationOn counts, without its flags."""


def say(text: str) -> None:
    """Print a line in one piece: print() writes the end of the line by itself, and another thread may come in between."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Board:
    """What is known of the people, by number. Only callbacks change it, and these run one at a time."""

    def __init__(self) -> None:
        self._presence: dict[str, str] = {}
        self._calls: dict[str, dict[str | None, str]] = {}
        self._shown: dict[str, str] = {}

    def present(self, number: str, notify: PresenceNotify) -> None:
        """Take what somebody's presence is."""
        words = [str(word) for word in (notify.activity or notify.status, notify.note) if word]
        self._presence[number] = ", ".join(words)
        self.show(number)

    def has_call(self, number: str, told: CpGroupIndicationOn) -> None:
        """Take what a call of somebody is like."""
        rings = told.inbound_call is True and (told.sig_call_state or 0) % 128 <= RINGING
        self._calls.setdefault(number, {})[told.call_id] = "the phone rings" if rings else "on the phone"
        self.show(number)

    def call_is_over(self, number: str, told: CpGroupIndicationOff) -> None:
        """Take that somebody has a call less."""
        calls = self._calls.get(number, {})
        if told.clear_all:
            calls.clear()
        calls.pop(told.call_id, None)
        self.show(number)

    def begin_anew(self, number: str) -> None:
        """Forget the calls of somebody, whose end may have been missed: those that go on are told again."""
        self._calls.pop(number, None)
        self.show(number)

    def show(self, number: str) -> None:
        """Print a line, where it says something new."""
        calls = self._calls.get(number, {}).values()
        words = [self._presence.get(number, ""), *sorted(set(calls))]
        line = f"{number}: {'; '.join(word for word in words if word) or 'nothing is known'}"
        if self._shown.get(number) != line:
            self._shown[number] = line
            say(line)


def watch(url: str, app: str, password: str, hw: str, numbers: list[str], reconnect: bool = True) -> None:
    """Show the board until Ctrl-C; without ``reconnect`` also until the loss of the connection."""
    board = Board()

    def number_of(event: eps.ReceivedEvent) -> str | None:
        # The call without media that carries a watch leads to who is watched; the phone itself watches its own user.
        return event.call.remote.num if event.call is not None and event.call.own else None

    with eps.connect(url, app=app, password=password, reconnect=reconnect) as client:
        # Before anything is asked for, so that nothing is too early.
        @client.on(PresenceNotify)
        def presence(event: eps.FacilityEvent[PresenceNotify]) -> None:
            if number := number_of(event):
                board.present(number, event.facility)

        @client.on(CpGroupIndicationOn)
        def call(event: eps.FacilityEvent[CpGroupIndicationOn]) -> None:
            if number := number_of(event):
                board.has_call(number, event.facility)

        @client.on(CpGroupIndicationOff)
        def call_is_over(event: eps.FacilityEvent[CpGroupIndicationOff]) -> None:
            if number := number_of(event):
                board.call_is_over(number, event.facility)

        client.on(eps.WatchRestored, lambda event: board.begin_anew(event.watch.number))
        client.on(eps.WatchLost, lambda event: say(f"{event.watch.number}: not watched now: {event.error}"))

        phone = client.attach(hw)
        phone.wait_attached()
        for number in numbers:
            try:
                phone.watch_presence(number)
                phone.watch_dialogs(number)
            except eps.CallError as error:  # nobody has this number, for example: the others are watched all the same
                say(f"{number}: not watched: {error}")
        client.run_forever()


def simulate() -> None:
    """Watch Bob and Carol on behalf of Alice."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"presence_board: {error}")

    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")
        carol = pbx.add_phone("0090334f1a2d", number="24", sip="carol", name="Carol")

        def people() -> None:
            try:
                pbx.wait_for(lambda log: len([one for one in log.entries(place="from-app", type="setup")]) >= 4)
                bob.publish_presence(activity="lunch", note="back at one")
                call = bob.call("24")
                carol.wait("alert")
                carol.answer()
                call.wait("connected")
                call.hangup()
                carol.wait("null")
            finally:
                pbx.close()

        threading.Thread(target=people, name="people", daemon=True).start()
        try:
            watch(pbx.url, "phones", "secret", alice.hw, ["23", "24"], reconnect=False)
        except eps.ConnectionLostError:
            print("the simulated PBX has closed")


def main() -> None:
    # A note may hold what the terminal cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # it is a text file here
    if len(sys.argv) == 1:
        return simulate()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("app", metavar="APP")
    parser.add_argument("hw", metavar="HW")
    parser.add_argument("numbers", metavar="NUMBER", nargs="+")
    options = parser.parse_args()
    password = os.environ.get("EPSIGNAL_PASSWORD")
    if password is None:
        parser.error("the App object's password is missing: set the variable EPSIGNAL_PASSWORD")
    watch(options.url, options.app, password, options.hw, options.numbers)


if __name__ == "__main__":
    try:
        main()
    except eps.EpSignalError as error:
        sys.exit(f"presence_board: {error}")
    except KeyboardInterrupt:
        pass
