"""Calls in a program that has a loop of its own around select(), as a service from 2012 has: it waits for phones as it does for sockets.

    python samples/legacy_loop.py                          a simulated PBX; ends by itself
    python samples/legacy_loop.py URL APP HW PORT REPORT   a real PBX; the App object's password in EPSIGNAL_PASSWORD

Needs the extra simulator where it has no arguments.

Whoever connects to PORT of this machine (with telnet, say) is told of the phone's calls, a line each, and may type: call NUMBER, hold,
hangup, report, quit. REPORT is the file that report writes. While the loop is busy with that, for however long, the phone's calls go on:
the library sees to them on threads of its own, and what they have to tell waits until the loop has time.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from collections.abc import Callable

import epsignal_sync as eps
from epsignal_sync.messages import Facility

CHORES = 1.0
"""Seconds: how often the loop looks after what nobody wakes it for. On Windows, Ctrl-C waits for that, too."""
LONGEST_LINE = 1000
"""Bytes."""
MOST_PEOPLE = 100
"""Those who come then are sent away: select() takes only so many sockets."""


def say(text: str) -> None:
    """Print a line in one piece: print() writes the end of the line by itself, and another thread may come in between."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Service:
    """The loop, and what it does. Everything in here runs on the thread that called run()."""

    def __init__(
        self, client: eps.Client, phone: eps.Device, events: eps.ManualDispatcher, listener: socket.socket, report: Callable[[str], None]
    ) -> None:
        self._client, self._phone, self._events, self._listener, self._report = client, phone, events, listener, report
        listener.setblocking(False)
        self._people: dict[socket.socket, bytes] = {}
        self._told: list[str] = []
        self._lost: eps.EpSignalError | None = None
        client.on(eps.ConnectionLost, self._connection_lost)
        phone.on(eps.CallStateChanged, self._call_changed)

    def run(self) -> None:
        """Work until Ctrl-C, or until the connection is lost for good; raises the reason then."""
        try:
            while self._lost is None:
                waiting: list[eps.ManualDispatcher | socket.socket] = [self._events, self._listener, *self._people]
                readable, _, _ = select.select(waiting, [], [], CHORES)
                if self._events in readable:
                    self._client.process_events()  # runs callbacks, for about 10 ms; what is left comes in the next round
                if self._listener in readable:
                    self._accept()
                for person in list(self._people):
                    if person in readable and person in self._people:
                        self._read(person)
        finally:
            for person in list(self._people):
                self._drop(person)
        raise self._lost

    # ------------------------------------------------------------ callbacks: the loop runs them

    def _connection_lost(self, event: eps.ConnectionLost) -> None:
        if self._client.state == "closed":  # otherwise it is made again
            self._lost = event.error

    def _call_changed(self, event: eps.CallStateChanged) -> None:
        if event.call.media:
            self._say(f"{event.call.remote} {event.state}")

    # ------------------------------------------------------------ people at sockets

    def _accept(self) -> None:
        try:
            person, _ = self._listener.accept()
        except OSError:  # gone already
            return
        if len(self._people) >= MOST_PEOPLE:
            person.close()
            return
        person.setblocking(False)
        self._people[person] = b""

    def _read(self, person: socket.socket) -> None:
        try:
            data = person.recv(4096)
        except OSError:
            data = b""
        *lines, rest = (self._people[person] + data).split(b"\n")
        if not data or len(rest) > LONGEST_LINE:
            self._drop(person)
            return
        self._people[person] = rest
        for line in lines:
            try:
                self._do(person, line.decode("utf-8", "replace").split())
            except (eps.EpSignalError, OSError) as error:
                self._say(f"error: {error}")

    def _do(self, person: socket.socket, words: list[str]) -> None:
        calls = [call for call in self._phone.media_calls.values() if call.state == "connected"]
        if words[:1] == ["call"] and len(words) == 2:
            self._phone.click_to_dial(words[1], timeout=1)  # returns when it is queued; what becomes of it comes as events
        elif words == ["hold"] and calls:
            calls[0].hold(on_result=self._held)  # without on_result it would wait for the answer, and the loop with it
        elif words == ["hangup"]:
            for call in self._phone.media_calls.values():
                call.hangup()
        elif words == ["report"]:
            self._say("a report is being written")
            self._report("".join(f"{line}\n" for line in self._told))
            self._say("report written")
        elif words == ["quit"]:
            self._drop(person)
        else:
            self._say("not now, or not known; there are: call NUMBER, hold, hangup, report, quit")

    def _held(self, outcome: eps.Outcome[Facility]) -> None:
        self._say("on hold" if outcome.ok else f"error: {outcome.error}")

    def _say(self, text: str) -> None:
        """Tell everybody, in one line: names come from the network, and may hold anything."""
        text = "".join(character if character.isprintable() else "?" for character in text)
        self._told = [*self._told[-999:], text]
        for person in list(self._people):
            try:
                person.sendall(f"{text}\n".encode("utf-8", "replace"))
            except OSError:  # gone, or does not read
                self._drop(person)

    def _drop(self, person: socket.socket) -> None:
        if self._people.pop(person, None) is not None:
            person.close()


def serve(
    url: str, app: str, password: str, hw: str, listener: socket.socket, report: Callable[[str], None], reconnect: bool = True
) -> None:
    """Connect and work; without ``reconnect`` until the loss of the connection."""
    events = eps.ManualDispatcher()
    with eps.connect(url, app=app, password=password, reconnect=reconnect, dispatcher=events) as client:
        service = Service(client, client.attach(hw), events, listener, report)
        say(f"listening on port {listener.getsockname()[1]}")
        service.run()


def simulate() -> None:
    """Have the loop be busy while Alice's phone is called by Bob, and look whether the call waits for it."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"legacy_loop: {error}")

    with SimulatedPBX() as pbx, socket.create_server(("127.0.0.1", 0)) as listener:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")
        busy, connected = threading.Event(), threading.Event()

        def report(text: str) -> None:
            busy.set()
            say("the loop is busy with a report")
            connected.wait(20)
            say("the loop has time again")

        def people() -> None:
            pbx.wait_for(lambda log: log.texts("to-app", alice.hw, mt="Attached"))
            with socket.create_connection(listener.getsockname(), 20) as person, person.makefile("r", encoding="utf-8") as told:
                person.sendall(b"report\n")
                busy.wait(20)
                call = bob.call("22")
                alice.wait("alert")
                alice.answer()
                call.wait("connected")
                say("Bob and Alice are connected")
                connected.set()
                for line in told:
                    say(f"told: {line.rstrip()}")
                    if line.endswith("connected\n"):
                        person.sendall(b"hangup\n")
                    elif line.endswith("null\n"):
                        break
            pbx.close()

        threading.Thread(target=people, name="people", daemon=True).start()
        try:
            serve(pbx.url, "phones", "secret", alice.hw, listener, report, reconnect=False)
        except eps.ConnectionLostError:
            say("the simulated PBX has closed")


def main() -> None:
    if len(sys.argv) == 1:
        simulate()
    elif len(sys.argv) == 6 and sys.argv[4].isdecimal() and int(sys.argv[4]) < 65536 and "EPSIGNAL_PASSWORD" in os.environ:
        url, app, hw, port, path = sys.argv[1:]

        def report(text: str) -> None:
            with open(path, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)

        with socket.create_server(("127.0.0.1", int(port))) as listener:
            serve(url, app, os.environ["EPSIGNAL_PASSWORD"], hw, listener, report)
    else:
        sys.exit("usage: legacy_loop.py [URL APP HW PORT REPORT], with the App object's password in the variable EPSIGNAL_PASSWORD")


if __name__ == "__main__":
    try:
        main()
    except (eps.EpSignalError, OSError) as error:
        sys.exit(f"legacy_loop: {error}")
    except KeyboardInterrupt:
        pass
