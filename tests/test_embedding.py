"""Inside of somebody else's program: what the library leaves alone, and under which circumstances it works all the same."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
from typing import Any

import epsignal_sync as eps
from epsignal_sync.messages import Alert
from epsignal_sync.simulator import SimulatedPBX

from .conftest import HW1, wait_until
from .peer import Peer
from .test_samples import PATIENCE, ROOT

# What a library could change behind a program's back, of everything that a program shares.
LOOK = """
import atexit, gc, json, locale, logging, os, signal, socket, sys, threading, time, warnings

def look():
    loggers = [logging.root, *(one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "signal handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "signal mask": str(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "wakeup descriptor": wakeup(),
        "log handlers": [(one.name, str(handler)) for one in loggers for handler in one.handlers],
        "log levels": [logging.root.level, logging.root.manager.disable, logging.raiseExceptions, str(logging.getLogRecordFactory())],
        "ends": atexit._ncallbacks(),
        "environment": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
        "warnings": [str(one) for one in warnings.filters], "showwarning": str(warnings.showwarning),
        "socket time-out": socket.getdefaulttimeout(), "socket": str(socket.socket), "getaddrinfo": str(socket.getaddrinfo),
        "hooks": [str(one) for one in (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.displayhook, sys.breakpointhook)],
        "limits": [sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), gc.get_threshold(), threading.stack_size()],
        "tracing": [str(sys.gettrace()), str(sys.getprofile())], "paths": [sys.path, [str(one) for one in sys.meta_path]],
        "streams": [str(id(one)) for one in (sys.stdin, sys.stdout, sys.stderr)], "directory": directory(),
        "asyncio": "asyncio" in sys.modules,
    }

def wakeup():
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    return before

def directory():
    try:
        return os.getcwd()
    except OSError:
        return "gone"

def changes(before, after):
    return {name: [before[name], after[name]] for name in before if before[name] != after[name]}
"""

# A whole program: connect, attach, a call that is refused at once, callbacks of which one fails, and the end.
USE = """
def use(eps, url):
    steps = []
    ended = threading.Event()
    with eps.connect(url, app="phones", password="pwd", timeout=20) as client:
        @client.on(eps.CallEnded)
        def fail(event):
            raise RuntimeError("a callback that fails")

        phone = client.attach("0090334f1a2b", timeout=20)
        phone.on(eps.CallStateChanged, lambda event: steps.append(event.state))
        phone.on(eps.CallbackFailed, lambda event: ended.set())
        phone.wait_attached(timeout=20)
        try:
            phone.dial("99").wait("connected", timeout=20)
        except eps.CallEndedError as error:
            steps.append(error.cause.num)
        ended.wait(20)
        steps.append([client.stats.callback_failures, client.connected])
    return steps
"""
STEPS = [1, "call-proc", "disconnected", "null"]
"""The cause, and the states that callbacks saw, sorted: they come from two threads."""


def run(command: list[str], directory: pathlib.Path) -> dict[str, Any]:
    """Run a program that writes what it has to say to the file that is its last argument."""
    result = directory / "result.json"
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EPSIGNAL_"))}
    done = subprocess.run(
        [*command, str(result)], env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, cwd=directory
    )
    assert done.returncode == 0 and result.exists(), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return {**found, "errors": done.stderr}


def assert_used(steps: list[Any]) -> None:
    assert sorted(steps[:-1], key=str) == STEPS and steps[-1] == [1, True], steps


def test_what_the_library_leaves_alone(pbx: SimulatedPBX, tmp_path: pathlib.Path) -> None:
    """By being imported, by making a client, while it is connected, and afterwards; and a warning is an error meanwhile."""
    pbx.add_phone(HW1, number="22", sip="alice")
    program = f"""{LOOK}{USE}
root, url, result = sys.argv[1:]
sys.path.insert(0, root)
# What they do is theirs: one has a handler that does nothing, and on Python 3.10 what the other needs to show groups of errors sets a hook.
import cattrs, websocket
begin = look()
import epsignal_sync as eps
imported = look()
from epsignal_sync.integrations import AsyncioDispatcher
client = eps.Client(url, app="phones", password="pwd", dispatcher=eps.ManualDispatcher())
made = look()
with client:
    client.connect()
    client.attach("0090334f1a2b")
    connected = look()
    new = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    threads = {{"daemon": all(thread.daemon for thread in new), "names": sorted(thread.name for thread in new)}}
ended = look()
threading.stack_size(2 * 1024 * 1024)  # and in another thread than the main one, with a stack size of the program's own
used = []
thread = threading.Thread(target=lambda: used.append(use(eps, url)), daemon=True)
thread.start()
thread.join(25)
threading.stack_size(0)
last = look()
with open(result, "w") as file:
    found = {{name: changes(begin, after) for name, after in (
        ("imported", imported), ("made", made), ("connected", connected), ("ended", ended), ("last", last)
    )}}
    json.dump({{**found, "new": threads, "used": used}}, file)
"""
    found = run([sys.executable, "-X", "dev", "-W", "error", "-c", program, str(ROOT), pbx.url], tmp_path)
    assert found["imported"] == found["made"] == found["ended"] == found["last"] == {}, found
    assert [*found["connected"]] == ["threads"], found
    assert found["new"]["daemon"] and all(name.startswith("epsignal-") for name in found["new"]["names"]), found
    assert_used(*found["used"])
    assert "a callback that fails" in found["errors"] and "Warning" not in found["errors"]


def test_program_without_anything_around_it(pbx: SimulatedPBX, tmp_path: pathlib.Path) -> None:
    """From a zip file, isolated, without assertions and docstrings, without standard streams, and in a directory that is gone."""
    pbx.add_phone(HW1, number="22", sip="alice")
    package = tmp_path / "package"
    shutil.copytree(ROOT / "epsignal_sync", package / "epsignal_sync", ignore=shutil.ignore_patterns("__pycache__", "simulator", "cli"))
    archive = shutil.make_archive(str(tmp_path / "library"), "zip", package)
    program = f"""{LOOK}{USE}
archive, url, result = sys.argv[1:]
sys.path.insert(0, archive)
gone = os.path.join(os.path.dirname(result), "gone")
os.mkdir(gone)
os.chdir(gone)
os.rmdir(gone)
import epsignal_sync as eps
found = {{
    "streams": [str(one) for one in (sys.stdin, sys.stdout, sys.stderr)], "directory": directory(), "file": eps.__file__,
    "documented": eps.connect.__doc__, "used": use(eps, url),
}}
with open(result, "w") as file:
    json.dump(found, file)
"""
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]  # as pythonw.exe; descriptors 0 to 2 are those of the next files and sockets
    found = run([*closed, sys.executable, "-I", "-OO", "-c", program, archive, pbx.url], tmp_path)
    assert found["streams"] == ["None"] * 3 and found["directory"] == "gone" and found["documented"] is None
    assert found["file"].startswith(archive)
    assert_used(found["used"])


def test_two_clients_share_nothing() -> None:
    """What one does, registers, counts or suffers, the other one does not notice."""
    with Peer() as first_peer, Peer() as second_peer, first_peer.client() as first, second_peer.client() as second:
        devices = [first_peer.attach(first), second_peer.attach(second)]
        assert devices[0] is not devices[1] and devices[0].hw == devices[1].hw
        release, hanging = threading.Event(), threading.Event()
        seen: list[str] = []

        @first.on(Alert)
        def hang(event: eps.SignalEvent[Alert]) -> None:
            seen.append("first")
            hanging.set()
            release.wait(PATIENCE)

        second.on(Alert, lambda event: seen.append("second"))
        first.intercept(Alert, lambda event: eps.DROP)
        try:
            first_peer.send(first_peer.signaling(1, {"type": "alert"}))
            assert hanging.wait(PATIENCE)
            second_peer.send(second_peer.signaling(1, {"type": "alert"}))
            assert second_peer.receive()["sig"] == {"type": "alert"}  # it is not dropped
            wait_until(lambda: seen == ["first", "second"])  # and its callback does not wait for the other's
            assert [list(device.calls) for device in devices] == [[1], [1]] and devices[0].calls[1] is not devices[1].calls[1]
            assert (first.stats.dropped, second.stats.dropped) == (1, 0) and (first.stats.forwarded, second.stats.forwarded) == (0, 1)
            first_peer.drop()
            wait_until(lambda: first.state == "closed")
        finally:
            release.set()
        first.close()
        assert second.connected
        second_peer.send(second_peer.signaling(1, {"type": "alert"}))
        assert second_peer.receive()["sig"] == {"type": "alert"}
        second_peer.drop()


def test_import_brings_no_toolkit() -> None:
    unwanted = "asyncio tkinter PySide6 PyQt6 IPython ipykernel flask rich click websockets concurrent.futures multiprocessing".split()
    program = "import sys; sys.path.insert(0, sys.argv[1]); import epsignal_sync.integrations"
    program += f"; print(*(one for one in {unwanted} if one in sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-c", program, str(ROOT)], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("\n", "")
