"""Put the call of a phone through to somebody, after asking them: an attended transfer.

    python samples/attended_transfer.py                      a simulated PBX; ends by itself
    python samples/attended_transfer.py URL APP HW NUMBER    a real PBX; the App object's password in EPSIGNAL_PASSWORD

It waits until the phone HW talks to somebody, and then for its user to call NUMBER as well: hold, and dial. When NUMBER has answered,
the two other parties are connected with each other, and the phone is free again. Nothing is done to any other call. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import os
import queue
import sys
import threading

import epsignal_sync as eps


def say(text: str) -> None:
    """Print a line in one piece: print() writes the end of the line by itself, and another thread may come in between."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def is_talk(call: eps.Call) -> bool:
    """Whether a call is a conversation of the phone itself; one that it has on hold is one, too."""
    return call.state == "connected" and call.media and not call.own


def first_other(phone: eps.Device, consultation: eps.Call) -> eps.Call | None:
    """Return the conversation that the consultation was about: the newest of the others."""
    others = [call for call in phone.calls.values() if call is not consultation and is_talk(call)]
    return max(others, key=lambda call: call.started_at, default=None)


def put_through(phone: eps.Device, consultation: eps.Call) -> None:
    """Connect the other parties of two calls of the phone."""
    call = first_other(phone, consultation)
    if call is None:
        say(f"{consultation.remote} has answered, but there is nobody to put through")
        return
    caller, called = call.remote, consultation.remote  # after it they are others
    try:
        call.transfer(consultation)
    except eps.EpSignalError as error:  # the calls are as they were
        say(f"{caller} was not put through to {called}: {error}")
    else:
        say(f"{caller} is put through to {called}")


def serve(url: str, app: str, password: str, hw: str, number: str, reconnect: bool = True) -> None:
    """Put calls through until Ctrl-C; without ``reconnect`` also until the loss of the connection."""
    with eps.connect(url, app=app, password=password, reconnect=reconnect) as client:
        answered: queue.SimpleQueue[eps.Call | None] = queue.SimpleQueue()

        # transfer() may be called in a callback, but this one has others wait for its seconds.
        @client.on(eps.CallStateChanged)
        def changed(event: eps.CallStateChanged) -> None:
            call = event.call
            if event.state == "connected" and is_talk(call) and call.incoming is False and call.dialed == number:
                answered.put(call)

        @client.on(eps.ConnectionLost)
        def lost(event: eps.ConnectionLost) -> None:
            if client.state is eps.ConnectionState.CLOSED:
                answered.put(None)

        phone = client.attach(hw)
        while (consultation := next_one(answered)) is not None:
            put_through(phone, consultation)
        client.run_forever()  # raises why it is lost


def next_one(answered: queue.SimpleQueue[eps.Call | None]) -> eps.Call | None:
    """Wait for the next call; a wait without an end cannot be interrupted on every system."""
    while True:
        try:
            return answered.get(timeout=0.5)
        except queue.Empty:
            pass


def simulate() -> None:
    """Have Bob call Alice, who asks Carol and puts him through."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"attended_transfer: {error}")

    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")
        carol = pbx.add_phone("0090334f1a2d", number="24", sip="carol", name="Carol")

        def people() -> None:
            try:
                pbx.wait_for(lambda log: log.texts("to-app", alice.hw, mt="Attached"))
                talk = bob.call("22")
                alice.wait("alert")
                alice.answer()
                talk.wait("connected")
                alice.hold()
                alice.call("24")
                carol.wait("alert")
                carol.answer()
                alice.calls[0].wait("null")  # she is out of it
                say(f"Bob talks to {talk.remote['dn']}")
                bob.hangup()
                carol.wait("null")
            finally:
                pbx.close()

        threading.Thread(target=people, name="people", daemon=True).start()
        try:
            serve(pbx.url, "phones", "secret", alice.hw, "24", reconnect=False)
        except eps.ConnectionLostError:
            print("the simulated PBX has closed")


def main() -> None:
    # A name may hold what the terminal cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # it is a text file here
    if len(sys.argv) == 1:
        return simulate()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("app", metavar="APP")
    parser.add_argument("hw", metavar="HW")
    parser.add_argument("number", metavar="NUMBER")
    options = parser.parse_args()
    password = os.environ.get("EPSIGNAL_PASSWORD")
    if password is None:
        parser.error("the App object's password is missing: set the variable EPSIGNAL_PASSWORD")
    serve(options.url, options.app, password, options.hw, options.number)


if __name__ == "__main__":
    try:
        main()
    except eps.EpSignalError as error:
        sys.exit(f"attended_transfer: {error}")
    except KeyboardInterrupt:
        pass
