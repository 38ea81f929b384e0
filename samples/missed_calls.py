"""Print the calls to some phones that nobody took, as they happen, and list them all at the end.

    python samples/missed_calls.py                       a simulated PBX; ends by itself
    python samples/missed_calls.py URL APP HW...         a real PBX; the App object's password in EPSIGNAL_PASSWORD

A call that another phone of the user has answered is not missed, and one without media, such as phones keep open for presence,
is no telephone call. Nor is one missed that an interceptor of the same program has refused: the phone never rang.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time

import epsignal_sync as eps


def is_missed(call: eps.Call) -> bool:
    """Whether an ended call, which was never connected, counts as missed. Of one lost in a gap nobody knows."""
    return bool(call.incoming and call.media and not call.answered_elsewhere and call.ended_by not in ("dropped", "app", "gap"))


def describe(call: eps.Call) -> str:
    """Return one line for people, with the time of the call in local time."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(call.started_at))
    text = f"{at}  {call.device.hw}  {call.remote}"
    if call.diverted_to is not None:
        return f"{text}, diverted to {call.diverted_to}"
    return f"{text}, {call.cause.text}" if call.cause is not None else text


def say(text: str) -> None:
    """Print a line in one piece: print() writes the end of the line by itself, and another thread may come in between."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def watch(url: str, app: str, password: str, hws: list[str], reconnect: bool = True) -> None:
    """Watch the phones until Ctrl-C; without ``reconnect`` also until the loss of the connection."""
    connected: set[eps.Call] = set()
    missed: list[eps.Call] = []

    def changed(event: eps.CallStarted | eps.CallStateChanged) -> None:
        # call.connected_at would not do: it is None for a call that was connected before this program was there.
        if event.state in ("connected", "parked"):
            connected.add(event.call)

    def ended(event: eps.CallEnded) -> None:
        if event.call in connected:
            connected.discard(event.call)
        elif is_missed(event.call):
            missed.append(event.call)  # an ended call stays readable
            say(f"missed: {describe(event.call)}")

    try:
        with eps.connect(url, app=app, password=password, reconnect=reconnect) as client:
            # On the client, and before attaching: so no call is too early.
            client.on(eps.CallStarted, changed)
            client.on(eps.CallStateChanged, changed)
            client.on(eps.CallEnded, ended)
            client.attach_many(hws)
            client.run_forever()
    finally:
        # After the with block: until its end callbacks may run.
        if missed:
            print(f"{len(missed)} missed:", *map(describe, missed), sep="\n  ")


def simulate() -> None:
    """Watch Bob's desk phone at a simulated PBX. He has a second phone with the same number."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"missed_calls: {error}")

    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        desk = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")
        mobile = pbx.add_phone("0090334f1a2d", number="23", sip="bob", name="Bob")

        def people() -> None:
            try:
                pbx.wait_for(lambda log: log.texts("to-app", desk.hw, mt="Attached"))
                for taker in (None, mobile, desk):
                    call = alice.call("23")
                    desk.wait("alert")
                    mobile.wait("alert")
                    say(f"Alice calls Bob: {'nobody answers' if taker is None else f'he answers at {taker.hw}'}")
                    if taker is not None:
                        taker.answer()
                        call.wait("connected")
                    call.hangup()
                    desk.wait("null")
                    mobile.wait("null")
            finally:
                pbx.close()

        threading.Thread(target=people, name="people", daemon=True).start()
        try:
            watch(pbx.url, "phones", "secret", [desk.hw], reconnect=False)
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
    parser.add_argument("hws", metavar="HW", nargs="+")
    options = parser.parse_args()
    password = os.environ.get("EPSIGNAL_PASSWORD")
    if password is None:
        parser.error("the App object's password is missing: set the variable EPSIGNAL_PASSWORD")
    watch(options.url, options.app, password, options.hws)


if __name__ == "__main__":
    try:
        main()
    except eps.EpSignalError as error:
        sys.exit(f"missed_calls: {error}")
    except KeyboardInterrupt:
        pass
