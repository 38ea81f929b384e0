"""Real kernels: where output lands, what running a cell again does, interrupts, restarts."""

from __future__ import annotations

import pathlib
import re
import threading
from collections.abc import Iterator

import pytest

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, wait_until
from ..peer import Peer
from .kernel import PATIENCE, ROOT, Kernel, Run

Phones = tuple[SimulatedPhone, SimulatedPhone]

SILENT_HW = "0090334fffff"
"""Of no phone."""


@pytest.fixture(scope="module")
def shared_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("k")) as kernel:
        yield kernel


@pytest.fixture
def kernel(shared_kernel: Kernel, pbx: SimulatedPBX) -> Iterator[Kernel]:
    """A kernel without a client from another test: that would tell of its lost connection below the next cell that connects."""
    yield shared_kernel
    assert shared_kernel.run("notebook.clients._close_all()").output == ""


def connect(kernel: Kernel, pbx: SimulatedPBX) -> Run:
    """Connect from a cell, and attach to the first phone."""
    run = kernel.run(
        "import sys, threading, time\n"
        "import epsignal_sync as eps\n"
        "from epsignal_sync import notebook\n"
        "from epsignal_sync.messages import Setup, Rel\n"
        f"client = notebook.connect({pbx.url!r}, app='phones', password='pwd')\n"
        f"phone = client.attach({HW1!r})\n"
        "phone.wait_attached()\n"
        "lock = threading.Lock()\n"
    )
    assert run.output == ""
    return run


def ring(phones: Phones) -> None:
    """Have the second phone call the first one, and give up."""
    call = phones[1].call("22")
    phones[0].wait("alert")
    call.hangup()
    phones[0].wait("null")


def call_and_look(kernel: Kernel, phones: Phones) -> str:
    """Have the phone called; return what callbacks have put into the list ``seen`` of the kernel by the end of the call."""
    kernel.run("over = threading.Event()\nlast = client.on(eps.CallEnded, lambda event: over.set())")
    ring(phones)
    return kernel.run("print(over.wait(30), *seen); last.cancel(); seen.clear()").output


def test_cell_that_is_run_again_connects_no_second_time(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    kernel.run("first = client")
    connect(kernel, pbx)
    assert kernel.run("print(client is first, client.connected)").output == "True True\n"
    assert pbx.connections == 1
    kernel.run("client.close()")
    connect(kernel, pbx)
    assert kernel.run("print(client is first, client.connected)").output == "False True\n"


def test_output_lands_below_the_cell_that_registered(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    callback = kernel.run(
        "@phone.on(Setup)\n"
        "def ringing(event):\n"
        "    print('printed'); display('displayed'); print('complained', file=sys.stderr)\n"
        "    event.call.on(Rel, later)\n"
        "def later(event): print('later')\n"
    )
    interceptor = kernel.run("@phone.intercept(Setup, deadline=2)\ndef asked(event):\n    print('asked'); display('asked, too')\n")
    both = kernel.run("client.on(eps.CallEnded, lambda event: print('lambda'))\nprint('from the cell')")
    kernel.run("over = threading.Event()\nclient.on(eps.CallEnded, lambda event: over.set());")
    busy = kernel.start("over.wait(30);")
    ring(phones)
    assert busy.wait_ended() == ""
    for text in ("printed\n", "['displayed']\n", "complained\n", "later\n"):
        callback.wait_output(text)
    for text in ("asked\n", "['asked, too']\n"):
        interceptor.wait_output(text)
    both.wait_output("lambda\n")
    assert both.output.startswith("from the cell\n")
    assert busy.output == ""


def test_failures_are_told_once_below_their_cell(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    callback = kernel.run(
        "@phone.on(Setup)\n"
        "def ringing(event):\n"
        "    try:\n"
        "        1 / 0\n"
        "    except ZeroDivisionError:\n"
        "        raise KeyError('the password is pwd-or-so')\n"
    )
    interceptor = kernel.run("@phone.intercept(Setup, deadline=2)\ndef asked(event):\n    return 5\n")
    leaving = kernel.run("@phone.on(Setup)\ndef leave(event):\n    sys.exit('gone')\n")
    kernel.run("seen = []\nclient.on(eps.CallbackFailed, lambda event: seen.append(type(event.error).__name__));")
    other = kernel.run("pass")
    ring(phones)
    callback.wait_output("run the cell again that registers it.\n")
    assert callback.output.splitlines() == [
        "ringing(), called for Setup, raised KeyError: 'the password is pwd-or-so'",
        f"  Cell {_cell(callback)}, line 6, in ringing",
        "    raise KeyError('the password is pwd-or-so')",
        "  before that: ZeroDivisionError: division by zero",
        f"  Cell {_cell(callback)}, line 4, in ringing",
        "    1 / 0",
        "The phone and the other callbacks go on. Correct ringing(), and run the cell again that registers it.",
    ]
    interceptor.wait_output("The message went on as it came. Correct asked(), and run the cell again that registers it.\n")
    assert "asked(), called for Setup, raised UsageError: an interceptor returns None" in interceptor.output
    leaving.wait_output("leave(), called for Setup, raised SystemExit: gone\n")
    alive = kernel.run("print(sorted(seen), client.connected)")
    assert alive.output == "['KeyError', 'SystemExit', 'UsageError'] True\n" and other.output == ""


def _cell(run: Run) -> str:
    """Return what IPython calls the cell."""
    line = next(line for line in run.output.splitlines() if line.startswith("  Cell "))
    return line.split()[1].rstrip(",")


def test_failures_reach_a_log_that_the_notebook_configures(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connected = connect(kernel, pbx)
    kernel.run(
        "import logging\n"
        "class Records(logging.Handler):\n"
        "    def emit(self, record): seen.append(record.getMessage().partition(' raised')[0])\n"
        "seen = []\nrecords = Records()\nlogging.getLogger().addHandler(records)"
    )
    callback = kernel.run("@phone.on(Setup)\ndef ringing(event): 1 / 0")
    assert call_and_look(kernel, phones) == "True Subscription(Setup, ringing)\n"
    callback.wait_output("raised ZeroDivisionError")
    kernel.run("logging.getLogger().removeHandler(records)")
    assert call_and_look(kernel, phones) == "True\n"
    assert callback.wait_output("(again)\n").count("ZeroDivisionError") == 2
    assert connected.output == ""


def test_late_interceptor_is_told_below_its_cell(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connected = connect(kernel, pbx)
    run = kernel.run("go = threading.Event()\n@phone.intercept(Setup, deadline=1)\ndef slow(event):\n    go.wait(30)\n")
    other = kernel.run("pass")
    ring(phones)
    assert run.wait_output("longer deadline=").startswith(
        f"A message of {HW1} went on as it came, since Interceptor(Setup, slow) had not answered in time. Have it return sooner"
    )
    kernel.run("go.set()")
    assert other.output == "" and connected.output == ""


def test_what_the_library_logs_lands_below_the_cell_that_connected(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connected = connect(kernel, pbx)
    other = kernel.run("again = threading.Event()\nclient.on(eps.Reconnected, lambda event: again.set());")
    pbx.drop_connections()
    connected.wait_output("epsignal_sync: connected again to ")
    assert connected.output.count("epsignal_sync: ") == 2 and other.output == ""
    assert kernel.run("print(again.wait(30))").output == "True\n"


def test_cell_that_is_run_again_replaces_its_callbacks(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    cell = (
        "seen = []\n"
        "@phone.on(Setup)\ndef ringing(event): seen.append('ringing')\n"
        "phone.on(Setup, lambda event: seen.append('lambda 1')); phone.on(Setup, lambda event: seen.append('lambda 2'))\n"
        "def make(number):\n    def made(event): seen.append(f'made {number}')\n    return made\n"
        "for number in range(2): phone.on(Setup, make(number))\n"
        "client.on(Setup, lambda event: seen.append('client'))\n"
        "None\n"
    )
    kernel.run(cell)
    assert call_and_look(kernel, phones) == "True ringing lambda 1 lambda 2 made 0 made 1 client\n"
    kernel.run(cell)
    kernel.run(cell)
    # Of several with one name the first keeps its place, the others come behind.
    assert call_and_look(kernel, phones) == "True ringing lambda 1 made 0 client lambda 2 made 1\n"
    # Another text of the same cell: the front end tells which cell that is.
    kernel.run(cell, "cell-1")
    for name in ("lambda one", "lambda uno"):
        kernel.run(cell.replace("lambda 1", name), "cell-1")
    output = kernel.run("print(len(phone._subscriptions), len(client._subscriptions))").output
    assert output == "7 2\n"  # the lambdas of the cells without and with an id are there, nothing else twice


def test_name_in_another_cell_replaces_and_keeps_its_place(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    kernel.run("seen = []\n@phone.on(Setup)\ndef first(event): seen.append('old')")
    kernel.run("phone.on(Setup, lambda event: seen.append('second'));")
    kernel.run("@phone.on(Setup)\ndef first(event): seen.append('new')")
    assert call_and_look(kernel, phones) == "True new second\n"


def test_method_of_another_object_in_another_cell_replaces_nothing(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    kernel.run(
        "import functools, queue\n"
        "seen = []\n"
        "class Team:\n"
        "    def __init__(self, name): self.name = name\n"
        "    def ringing(self, event): seen.append(self.name)\n"
        "    __call__ = ringing\n"
        "def note(name, event): seen.append(name)\n"
    )
    for cell, name in (("1", "sales"), ("2", "support"), ("1", "sales again")):
        kernel.run(
            f"phone.on(Setup, Team({name!r}).ringing); phone.on(Setup, Team({name!r}))\n"
            f"waiting = queue.Queue(); phone.on(Setup, waiting.put); phone.on(Setup, functools.partial(note, {name!r}));",
            f"team-{cell}",
        )
    assert call_and_look(kernel, phones) == "True sales again sales again sales again support support support\n"
    assert kernel.run("print(len(phone._subscriptions), waiting.qsize())").output == "8 1\n"


def test_table_of_a_callback_belongs_to_the_cell_of_the_callback(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    show = (
        "shown = threading.Event()\n"
        "@phone.on(eps.CallStarted)\n"
        "def show(event):\n    global table\n    table = phone.watch(); shown.set()"
    )
    run = kernel.run(show, "callback")
    other = kernel.start("shown.wait(30);", "other")
    ring(phones)
    assert other.wait_ended() == ""
    run.wait_output("<LiveTable of ")
    assert kernel.run("print(table.active)", "other").output == "True\n"
    kernel.run(show, "callback")
    assert kernel.run("print(table.active)").output == "False\n"


def test_pictures_and_a_table_that_goes_on_while_other_cells_run(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    connect(kernel, pbx)
    kernel.run("over = threading.Event()\nclient.on(eps.CallEnded, lambda event: over.set() if event.call.media else None);")
    (picture,) = kernel.run("phone").shown("execute_result")
    assert "Phone" in picture["data"]["text/html"] and "attached" in picture["data"]["text/plain"]
    (table,) = kernel.run("table = phone.watch()\ntable", "table").shown("display_data")
    assert "no call yet" in table["data"]["text/html"]

    def is_updated(state: str) -> bool:
        updates = [content for kind, _, content in kernel.published if kind == "update_display_data"]
        return any(one["transient"] == table["transient"] and state in one["data"]["text/html"] for one in updates)

    busy = kernel.start("over.wait(60);", "busy")
    call = bob.call("22")
    kernel.wait_until(lambda: is_updated("alert"), lambda: "the table does not show the call")
    assert not busy.ended
    call.hangup()
    busy.wait_ended()
    (elsewhere,) = kernel.run("table", "elsewhere").shown("display_data")
    assert elsewhere["transient"] == table["transient"]
    again = kernel.run("first = table\ntable = phone.watch()\nprint(first.active, table.active)", "table")
    assert again.output.endswith("False True\n")
    bob.call("22")
    alice.wait("alert")
    kernel.run("while not phone.media_calls: time.sleep(0.01)")
    (picture,) = kernel.run("next(iter(phone.media_calls.values()))").shown("execute_result")
    assert "PBX to phone" in picture["data"]["text/html"] and "Bob" in picture["data"]["text/plain"]
    kernel.run("client.close()")
    assert kernel.run(
        "for thread in threading.enumerate():\n    if thread.name == 'epsignal-tables': thread.join(30)\nprint(table.active)"
    ).output == "False\n"


def test_interceptor_is_replaced_and_those_made_by_the_library_are_told_apart_by_their_cell(
    kernel: Kernel, pbx: SimulatedPBX, phones: Phones
) -> None:
    connect(kernel, pbx)
    kernel.run("seen = []\n@phone.intercept(Setup, deadline=2)\ndef asked(event): seen.append('old')")
    kernel.run("@phone.intercept(Setup, to_device=True, deadline=2)\ndef asked(event): seen.append('new')")
    block_nobody = "phone.intercept(Setup, eps.block_callers(lambda caller: False));"
    kernel.run(block_nobody)
    kernel.run(block_nobody)
    block_bob = "phone.intercept(Setup, eps.block_callers(lambda caller: caller.num == '23', cause=21), deadline=2);"
    kernel.run(block_bob)
    kernel.run("phone.intercept(Setup, eps.block_callers(lambda caller: caller.num == '99'));")
    assert kernel.run("print(len(phone._interceptors))").output == "4\n"
    call = phones[1].call("22")
    call.wait("null")
    assert call.cause == 21
    assert kernel.run("print(seen)").output == "['new']\n"


def test_programs_of_the_page(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    """The two examples of docs/notebooks.md, one cell each."""
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    connecting, table = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    for place, value in (('"pbx.example.com"', repr(pbx.url)), ("getpass.getpass()", "'pwd'"), ('"0090334f1a2b"', repr(HW1))):
        assert connecting.count(place) == 1
        connecting = connecting.replace(place, value)
    assert kernel.run(connecting).output == ""
    (shown,) = kernel.run(table, "table").shown("display_data")
    assert "no call yet" in shown["data"]["text/html"]
    assert kernel.run("table.cancel()").output == ""


@pytest.mark.parametrize("what", ["attach", "run_forever", "wait", "time-out"])
def test_interrupt_leaves_the_client_usable(kernel: Kernel, pbx: SimulatedPBX, phones: Phones, what: str) -> None:
    pbx.unknown_hw = "silent"
    connect(kernel, pbx)
    if what == "run_forever":
        run = kernel.start("print('begins', flush=True)\nclient.run_forever()")
        run.wait_output("begins")
        kernel.interrupt()
    elif what == "wait":
        run = kernel.start("phone.dial('23').wait_ended(timeout=None)")
        phones[1].wait("alert")
        kernel.interrupt()
    elif what == "attach":
        run = kernel.start(f"client.attach({SILENT_HW!r}, timeout=None)")
        assert pbx.wait_for(lambda log: log.texts("from-app", SILENT_HW, mt="Attach"))
        kernel.interrupt()
    else:
        run = kernel.start(f"client.attach({SILENT_HW!r}, timeout=0.1)")
    assert ("ReplyTimeout: " if what == "time-out" else "KeyboardInterrupt: ") in run.wait_ended()
    kernel.run("for call in phone.media_calls.values(): call.hangup()")
    if what == "wait":
        phones[1].wait("null")
    kernel.run("seen = []\n@phone.on(eps.CallStarted)\ndef started(event): seen.append(event.call.remote.num)")
    assert call_and_look(kernel, phones) == "True 23\n"
    assert kernel.run("print(client.connected, client.attach(phone.hw) is phone)").output == "True True\n"


def test_callback_that_blocks_does_not_block_cells(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    blocked = kernel.run("go = threading.Event()\n@phone.on(Setup)\ndef hang(event):\n    print('hangs'); go.wait(60); print('goes on')\n")
    ring(phones)
    blocked.wait_output("hangs\n")
    assert kernel.run("call = phone.dial('23'); print(call.wait('alert'))").output == "alert\n"
    assert kernel.run("call.hangup(); go.set()").output == ""
    blocked.wait_output("hangs\ngoes on\n")


def test_thread_of_a_cell_registers(kernel: Kernel, pbx: SimulatedPBX, phones: Phones) -> None:
    connect(kernel, pbx)
    run = kernel.run(
        "def ringing(event): print('rings'); event.call.on(Rel, released)\n"
        "def released(event): print('released')\n"
        "thread = threading.Thread(target=lambda: phone.on(Setup, ringing))\n"
        "thread.start(); thread.join()"
    )
    kernel.run("pass")
    ring(phones)
    run.wait_output("rings\nreleased\n")


def test_restart_with_calls_up(tmp_path: pathlib.Path, pbx: SimulatedPBX, phones: Phones, peer: Peer) -> None:
    with Kernel(tmp_path) as kernel:
        connect(kernel, pbx)
        run = kernel.start(f"other = notebook.connect({peer.url!r}, app='phones', password='pwd')")
        peer.login()
        assert run.wait_ended() == ""
        frames: list[int] = []

        def take_close() -> None:
            frames.append(peer.receive_frame()[0])
            peer.send_close(1000)

        server = threading.Thread(target=take_close)
        server.start()
        call = phones[1].call("22")
        phones[0].wait("alert")
        phones[0].answer()
        call.wait("connected")
        carol = pbx.add_phone("0090334f1a2d", number="24", sip="carol", name="Carol")
        kernel.run("own = phone.dial('24')\nown.wait('alert')")
        own = carol.wait("alert")
        kernel.restart()
        server.join(PATIENCE)
        assert frames == [8]  # every client was closed, not just cut off
        own.wait("null")
        assert pbx.connections == 0
        assert not call.ended
        connect(kernel, pbx)
        # The PBX names the calls that are up right behind Attached.
        kernel.run("deadline = time.monotonic() + 30\nwhile not phone.media_calls and time.monotonic() < deadline: time.sleep(0.01)")
        assert kernel.run("print([call.state.value for call in phone.media_calls.values()])").output == "['connected']\n"
        call.hangup()
        phones[0].wait("null")
    wait_until(lambda: pbx.connections == 0)
