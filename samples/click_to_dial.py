"""Call a number with a phone: the phone rings, or answers by itself, and when it is picked up the other party is called.

    python samples/click_to_dial.py                      a simulated PBX; ends by itself
    python samples/click_to_dial.py URL APP HW NUMBER    a real PBX; the App object's password in EPSIGNAL_PASSWORD

Both calls are this program's: they live only as long as it runs. Ctrl-C hangs up. Where a click is all that is wanted, innovaphone's
RCC API is the safer way: there the phone makes the call by itself, and it outlives the program.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading

import epsignal_sync as eps


def say(text: str) -> None:
    """Print a line in one piece: print() writes the end of the line by itself, and another thread may come in between."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def dial(url: str, app: str, password: str, hw: str, number: str) -> bool:
    """Call, and stay until either side hangs up; returns whether anybody answered."""
    # Without the connection the calls are gone, so there is nothing to connect again for.
    with eps.connect(url, app=app, password=password, reconnect=False) as client:
        phone = client.attach(hw)
        phone.wait_attached()

        @phone.on(eps.CallStateChanged)
        def changed(event: eps.CallStateChanged) -> None:
            call = event.call
            if call.own and event.state in ("alert", "connected"):  # not what somebody else does with the phone meanwhile
                who = "the phone" if call.incoming else number
                say(f"{who} {'rings' if event.state == 'alert' else 'is there'}")

        bridge = phone.click_to_dial(number)
        try:
            bridge.wait_ended(timeout=None)  # a phone that is not picked up ends it after 30 s, and the PBX does so for the number
        finally:
            bridge.hangup()  # after Ctrl-C; nothing where it is over
    # The second call is there once the phone was picked up.
    answered = len(bridge.calls) == 2 and bridge.calls[1].connected_at is not None
    why = bridge.cause.text if bridge.cause is not None else "no cause was given"
    say(f"{'over' if answered else 'not connected'}: {why}")
    return answered


def simulate() -> None:
    """Have Alice's phone call Bob, and then Carol, who is busy."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"click_to_dial: {error}")

    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")
        carol = pbx.add_phone("0090334f1a2d", number="24", sip="carol", name="Carol")
        carol.busy = True

        def people() -> None:
            bob.wait("alert")
            bob.answer()
            alice.wait("connected")
            bob.wait("connected").hangup()

        threading.Thread(target=people, name="people", daemon=True).start()
        for number in ("23", "24"):
            dial(pbx.url, "phones", "secret", alice.hw, number)


def main() -> None:
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
    if not dial(options.url, options.app, password, options.hw, options.number):
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except eps.EpSignalError as error:
        sys.exit(f"click_to_dial: {error}")
    except KeyboardInterrupt:
        pass
