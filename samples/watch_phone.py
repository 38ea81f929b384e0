"""Print the calls of one phone as they happen: the example of the README.

    python samples/watch_phone.py                        a simulated PBX with two phones and one call; ends by itself
    python samples/watch_phone.py URL APP HW             a real PBX; the App object's password in EPSIGNAL_PASSWORD
"""

from __future__ import annotations

import os
import sys
import threading
import time

import epsignal_sync as eps


def watch(url: str, app: str, password: str, hw: str, reconnect: bool = True) -> None:
    """Watch one phone until Ctrl-C; without ``reconnect`` also until the loss of the connection."""
    with eps.connect(url, app=app, password=password, reconnect=reconnect) as client:
        phone = client.attach(hw)

        @phone.on(eps.CallStateChanged)
        def changed(event: eps.CallStateChanged) -> None:
            if event.call.media:
                print(event.call.remote, event.state, flush=True)

        client.run_forever()


def simulate() -> None:
    """Watch a phone of a simulated PBX, from which another one is called."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"watch_phone: {error}")

    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")

        def people() -> None:
            try:
                pbx.wait_for(lambda log: log.texts("to-app", alice.hw, mt="Attached"))
                time.sleep(0.5)  # until the program above is ready: attach() has returned, on() comes after it
                call = alice.call("23")
                bob.wait("alert")
                bob.answer()
                call.wait("connected")
                call.hangup()
                bob.wait("null")
            finally:
                pbx.close()

        threading.Thread(target=people, name="people", daemon=True).start()
        try:
            watch(pbx.url, "phones", "secret", alice.hw, reconnect=False)
        except eps.ConnectionLostError:
            print("the simulated PBX has closed")


def main() -> None:
    if len(sys.argv) == 1:
        simulate()
    elif len(sys.argv) == 4 and "EPSIGNAL_PASSWORD" in os.environ:
        url, app, hw = sys.argv[1:]
        watch(url, app, os.environ["EPSIGNAL_PASSWORD"], hw)
    else:
        sys.exit("usage: watch_phone.py [URL APP HW], with the App object's password in the variable EPSIGNAL_PASSWORD")


if __name__ == "__main__":
    try:
        main()
    except eps.EpSignalError as error:
        sys.exit(f"watch_phone: {error}")
    except KeyboardInterrupt:
        pass
