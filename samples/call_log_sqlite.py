"""Write each ended telephone call of some phones into an SQLite file, one row a call.

    python samples/call_log_sqlite.py                       a simulated PBX and a temporary file; ends by itself
    python samples/call_log_sqlite.py URL APP FILE HW...    a real PBX; the App object's password in EPSIGNAL_PASSWORD

    sqlite3 FILE "SELECT datetime(started_at, 'localtime'), remote_number, cause_text FROM calls"

FILE is made if it is not there; several programs may write into one. Times are in UTC, such as 2026-11-23T08:15:02.125+00:00:
as text they sort as they happened, whatever the clock of the place does in spring and autumn. NULL is what is not known.
Calls without media, such as phones keep open for presence, are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import sqlite3
import sys
import tempfile
import threading
from datetime import datetime, timezone

import epsignal_sync as eps

TABLE = """CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,
    phone TEXT NOT NULL,            -- its hardware id
    direction TEXT,                 -- 'in' or 'out', as seen from the phone
    remote_number TEXT, remote_sip TEXT, remote_name TEXT,
    local_number TEXT, local_sip TEXT,
    dialed TEXT,
    diverted_from TEXT, diverted_to TEXT,
    started_at TEXT NOT NULL,
    connected_at TEXT,              -- NULL too for a call that was connected before this program ran
    ended_at TEXT NOT NULL,
    cause INTEGER,                  -- Q.850
    cause_text TEXT,
    ended_by TEXT,                  -- 'device', 'pbx', 'app', 'dropped' (by a program that refused it), 'replaced', 'gap'
    answered_elsewhere INTEGER NOT NULL,
    conference_id TEXT              -- the same for all legs of a call
)"""

Row = dict[str, "str | int | None"]


def open_file(path: str) -> contextlib.closing[sqlite3.Connection]:
    """Return a connection that the ``with`` statement closes; sqlite3's own ``with`` only commits."""
    return contextlib.closing(sqlite3.connect(path))


def text(value: object) -> str | None:
    """Return a received value as what SQLite takes as text: a name may hold half a UTF-16 pair. None stays None."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def moment(seconds: float | None) -> str | None:
    """Return a time in Unix seconds as ISO 8601 in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def row_of(call: eps.Call) -> Row:
    """Return the row of an ended call."""
    number = None if call.cause is None else call.cause.num
    return {
        "phone": call.device.hw,
        "direction": {True: "in", False: "out", None: None}[call.incoming],
        "remote_number": text(call.remote.num), "remote_sip": text(call.remote.sip), "remote_name": text(call.remote.name),
        "local_number": text(call.local.num), "local_sip": text(call.local.sip),
        "dialed": text(call.dialed or None),
        "diverted_from": text(call.diverted_from), "diverted_to": text(call.diverted_to),
        "started_at": moment(call.started_at), "connected_at": moment(call.connected_at), "ended_at": moment(call.ended_at),
        "cause": number if isinstance(number, int) and 0 <= number <= 127 else None,
        "cause_text": text(call.cause.text or None) if call.cause is not None else None,
        "ended_by": call.ended_by,
        "answered_elsewhere": int(call.answered_elsewhere),
        "conference_id": text(call.conference_id),
    }  # fmt: skip


def write(path: str, row: Row) -> None:
    """Add a row. Whenever the program is stopped, the row is there as a whole or not at all: that is what a transaction is for."""
    with open_file(path) as connection, connection:
        columns = ", ".join(row)
        connection.execute(f"INSERT INTO calls ({columns}) VALUES ({', '.join(f':{name}' for name in row)})", row)


def log_calls(url: str, app: str, password: str, path: str, hws: list[str], reconnect: bool = True) -> None:
    """Log calls until Ctrl-C; without ``reconnect`` also until the loss of the connection."""
    with open_file(path) as connection, connection:  # first of all: if it cannot be written, nobody is attached to
        connection.execute(TABLE)

    def ended(event: eps.CallEnded) -> None:
        if not event.call.media:
            return
        row = row_of(event.call)
        try:
            # Callbacks run on the thread epsignal-callbacks, and sqlite3 wants a connection to be used only in the thread that
            # made it. One for each row is the simple way, and quick enough for telephone calls. The phone does not wait for it:
            # a callback comes after the message went on.
            write(path, row)
        except sqlite3.Error as error:
            print(f"call_log_sqlite: {path} could not be written ({error}); this call is missing there: {row}", file=sys.stderr)

    with eps.connect(url, app=app, password=password, reconnect=reconnect) as client:
        client.on(eps.CallEnded, ended)  # before attaching, so that no call is too early
        client.attach_many(hws)
        client.run_forever()


def simulate() -> None:
    """Log the calls of two phones at a simulated PBX, and print the rows."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"call_log_sqlite: {error}")

    with SimulatedPBX() as pbx, tempfile.TemporaryDirectory() as directory:
        path = str(pathlib.Path(directory) / "calls.sqlite")
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")

        def people() -> None:
            try:
                pbx.wait_for(lambda log: all(log.texts("to-app", phone.hw, mt="Attached") for phone in (alice, bob)))
                call = alice.call("23")
                bob.wait("alert")
                bob.answer()
                call.wait("connected")
                call.hangup()
                bob.wait("null")
                bob.busy = True
                alice.call("23").wait("null")
            finally:
                pbx.close()

        threading.Thread(target=people, name="people", daemon=True).start()
        try:
            log_calls(pbx.url, "phones", "secret", path, [alice.hw, bob.hw], reconnect=False)
        except eps.ConnectionLostError:
            print("the simulated PBX has closed; this stands in the file:")
        with open_file(path) as connection:
            for row in connection.execute("SELECT started_at, phone, direction, remote_name, remote_number, cause_text FROM calls"):
                print("  ", *row)


def main() -> None:
    # A caller's name may hold what the terminal cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # it is a text file here
    if len(sys.argv) == 1:
        return simulate()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("app", metavar="APP")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("hws", metavar="HW", nargs="+")
    options = parser.parse_args()
    password = os.environ.get("EPSIGNAL_PASSWORD")
    if password is None:
        parser.error("the App object's password is missing: set the variable EPSIGNAL_PASSWORD")
    try:
        log_calls(options.url, options.app, password, options.file, options.hws)
    except sqlite3.Error as error:
        sys.exit(f"call_log_sqlite: {options.file} cannot be used as the log ({error}): check the path, and who may write there")


if __name__ == "__main__":
    try:
        main()
    except eps.EpSignalError as error:
        sys.exit(f"call_log_sqlite: {error}")
    except KeyboardInterrupt:
        pass
