"""The table that goes on while other cells run, with the machinery of a notebook recorded here. In a real kernel: test_kernel.py."""

from __future__ import annotations

import functools
import logging
import re
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.messages import FacilitySignal
from epsignal_sync.notebook import painter
from epsignal_sync.notebook.live_table import LiveTable
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, PATIENCE, wait_until

Phones = tuple[SimulatedPhone, SimulatedPhone]
THREAD = "epsignal-tables"
NEVER = 3600.0
"""Seconds between two looks of the painter, where a test says itself when it looks."""


class Publisher:
    """What a kernel has instead of a screen: takes what is shown, with its display id."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str, bool]] = []
        self.error: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.entered = threading.Event()

    def publish(self, data: dict[str, str], metadata: object, *, transient: dict[str, str], update: bool) -> None:
        assert set(data) == {"text/html", "text/plain"}
        if update:
            self.entered.set()
            assert self.may_go_on.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        self.shown.append((transient["display_id"], data["text/html"], update))

    @property
    def last(self) -> str:
        return self.shown[-1][1]

    @property
    def ids(self) -> list[str]:
        return [one[0] for one in self.shown]


class Shell:
    """The parts of a kernel's shell that a table needs: which cell runs, and who wants to know of the next one."""

    kernel: object = "a kernel"

    def __init__(self) -> None:
        self.display_pub = Publisher()
        self.hooks: list[Callable[[object], None]] = []
        self.events = self
        self.parent: dict[str, Any] = {}
        self.runs = 0
        self.run("first")

    def register(self, event: str, hook: Callable[[object], None]) -> None:
        assert event == "pre_run_cell"
        self.hooks.append(hook)

    def unregister(self, event: str, hook: Callable[[object], None]) -> None:
        self.hooks.remove(hook)

    def get_parent(self) -> dict[str, Any]:
        return self.parent

    def run(self, cell: str, *, with_id: bool = True) -> None:
        """Begin to run a cell."""
        self.runs += 1
        metadata = {"cellId": cell} if with_id else {}
        self.parent = {"header": {"msg_id": str(self.runs)}, "metadata": metadata, "content": {"code": f"# {cell}"}}
        for hook in self.hooks.copy():
            hook(None)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    return shell


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests need not wait half a second for each step; those in a kernel do."""
    monkeypatch.setattr(painter, "INTERVAL", 0.02)


@pytest.fixture
def by_hand(quick_looks: None) -> Iterator[None]:
    """The painter looks only where it is told to."""
    before, painter.INTERVAL = painter.INTERVAL, NEVER
    yield
    painter.INTERVAL = before
    painter.PAINTER.look()


@pytest.fixture
def phone(client: eps.Client) -> Iterator[eps.Device]:
    phone = client.attach(HW1)
    phone.wait_attached()
    yield phone


def table_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def rows(html: str) -> list[list[str]]:
    """Return the texts of the cells of each row."""
    parts = re.findall(r"<tr[^>]*>(.*?)</tr>", html)
    return [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)] for row in parts]


def states(html: str) -> list[tuple[str, str]]:
    return [(row[-4], row[-3]) for row in rows(html)[1:]]


# ------------------------------------------------------------ what it shows


def test_calls_come_and_go(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    alice, bob = phones
    table, publisher = phone.watch(), shell.display_pub
    assert "no call yet" in publisher.last and publisher.shown[0][2] is False
    bob.call("22")
    wait_until(lambda: states(publisher.last) == [("from Bob (23)", "alert")])
    alice.answer()
    wait_until(lambda: states(publisher.last) == [("from Bob (23)", "connected")])
    bob.hangup()
    wait_until(lambda: states(publisher.last) == [("from Bob (23)", "ended")])
    assert "16 Normal call clearing" in publisher.last
    assert len(set(publisher.ids)) == 1 and all(update for _, _, update in publisher.shown[1:])
    assert table.active and "active" in repr(table)
    table.cancel()


def test_durations_count(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    phone.watch()
    phones[1].call("22")
    wait_until(lambda: rows(shell.display_pub.last)[1:] and rows(shell.display_pub.last)[1][3] not in ("", "0:00"))


def test_nothing_is_shown_again_that_has_not_changed(shell: Shell, phone: eps.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = threading.Semaphore(0)
    draw = LiveTable._draw

    def counted(table: LiveTable) -> str:
        looks.release()
        return draw(table)

    monkeypatch.setattr(LiveTable, "_draw", counted)
    phone.watch()
    for _ in range(20):
        assert looks.acquire(timeout=PATIENCE)
    assert len(shell.display_pub.shown) == 1


@pytest.mark.usefixtures("by_hand")
def test_call_that_is_over_before_anybody_looks(shell: Shell, client: eps.Client, phone: eps.Device, phones: Phones) -> None:
    phones[0].busy = True
    ended = threading.Event()
    phone.watch()
    phone.on(eps.CallEnded, lambda event: ended.set() if event.call.media else None)
    phones[1].call("22")
    assert ended.wait(PATIENCE)
    painter.PAINTER.look()
    wait_until(lambda: states(shell.display_pub.last) == [("from Bob (23)", "ended")])
    assert "17 User busy" in shell.display_pub.last


def test_call_that_ended_while_callbacks_hang(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    alice, bob = phones
    may_go_on = threading.Event()
    phone.on(eps.CallStarted, lambda event: may_go_on.wait(2 * PATIENCE) if event.call.media else None)
    phone.watch()
    bob.call("22")
    wait_until(lambda: states(shell.display_pub.last) == [("from Bob (23)", "alert")])
    bob.hangup()
    wait_until(lambda: states(shell.display_pub.last) == [("from Bob (23)", "ended")])
    may_go_on.set()


def test_call_without_media_is_not_shown(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    ended: list[eps.Call] = []
    table = phone.watch()
    phone.on(eps.CallEnded, lambda event: ended.append(event.call))
    quiet = phone.dial("23", media=False)
    quiet.hangup()
    wait_until(lambda: quiet in ended)
    phones[0].busy = True
    phones[1].call("22")
    wait_until(lambda: [row[-3] for row in rows(shell.display_pub.last)[1:]] == ["ended"])
    assert quiet not in table._ended


def test_only_so_many_ended_calls_are_kept(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    table = phone.watch()
    phones[0].busy = True
    gone = []
    phone.on(eps.CallEnded, lambda event: gone.append(event.call) if event.call.media else None)
    for number in range(1, 13):
        phones[1].call("22")
        wait_until(functools.partial(lambda wanted: len(gone) == wanted, number))
    wait_until(lambda: len(states(shell.display_pub.last)) == 10)
    wait_until(lambda: table._ended == gone[2:])


def test_client_watch(shell: Shell, client: eps.Client, phone: eps.Device, phones: Phones) -> None:
    client.watch()
    assert "1 of 1 phones attached" in shell.display_pub.last
    client.attach(HW2)
    wait_until(lambda: "2 of 2 phones attached" in shell.display_pub.last)
    phones[1].call("22")
    calls = {(HW1, "from Bob (23)"), (HW2, "to Alice Ä (22)")}
    wait_until(lambda: {(row[1], row[2]) for row in rows(shell.display_pub.last)[1:]} == calls)
    assert rows(shell.display_pub.last)[0] == ["Since", "Phone", "Call", "State", "Time", "Remark"]


def test_another_client_and_another_phone(shell: Shell, client: eps.Client, pbx: SimulatedPBX, phones: Phones) -> None:
    """A table shows the calls of its own phone."""
    client.attach(HW1)
    other = client.attach(HW2)
    other.wait_attached()
    other.watch()
    phones[1].call("22")
    wait_until(lambda: states(shell.display_pub.last) == [("to Alice Ä (22)", "alert")])


# ------------------------------------------------------------ how long it goes on


@pytest.mark.usefixtures("quick_attempts")
def test_goes_on_after_a_reconnect(shell: Shell, client: eps.Client, pbx: SimulatedPBX, phone: eps.Device, phones: Phones) -> None:
    phone.watch()
    back = threading.Event()
    phone.on(eps.Gap, lambda event: back.set())
    pbx.drop_connections()
    assert back.wait(PATIENCE)
    phones[1].call("22")
    wait_until(lambda: states(shell.display_pub.last)[-1:] == [("from Bob (23)", "alert")])
    assert "attached" in shell.display_pub.last


def test_says_that_the_connection_is_lost(shell: Shell, client: eps.Client, pbx: SimulatedPBX, phone: eps.Device, phones: Phones) -> None:
    phone.watch()
    phones[1].call("22")
    wait_until(lambda: states(shell.display_pub.last) == [("from Bob (23)", "alert")])
    pbx.close()
    wait_until(lambda: "connection reconnecting" in re.sub(r"<[^>]*>", "", shell.display_pub.last))
    wait_until(lambda: states(shell.display_pub.last) == [("from Bob (23)", "alert, perhaps over")])


def test_cancel(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    table = phone.watch()
    table.cancel()
    table.cancel()
    assert not table.active and not phone._subscriptions
    wait_until(lambda: not table_threads())
    assert "not live any more: this table was cancelled" in shell.display_pub.last and not shell.hooks
    shown = len(shell.display_pub.shown)
    phones[1].call("22")
    phones[0].wait("alert")
    assert len(shell.display_pub.shown) == shown


def test_context_manager(shell: Shell, phone: eps.Device) -> None:
    with phone.watch() as table:
        assert table.active
    assert not table.active


def test_client_is_closed(shell: Shell, client: eps.Client, phone: eps.Device) -> None:
    table = phone.watch()
    client.close()
    wait_until(lambda: not table_threads())
    assert "not live any more: the client is closed" in shell.display_pub.last and not table.active and not shell.hooks


@pytest.mark.parametrize("with_id", [True, False], ids=["front end sends ids of cells", "front end sends none"])
def test_cell_is_run_again(shell: Shell, phone: eps.Device, phones: Phones, with_id: bool) -> None:
    shell.run("table", with_id=with_id)
    old = phone.watch()
    shell.run("table", with_id=with_id)
    assert not old.active
    new = phone.watch()
    phones[1].call("22")
    wait_until(lambda: states(shell.display_pub.last) == [("from Bob (23)", "alert")])
    assert new.active and len(shell.hooks) == 1 and len(phone._subscriptions) == 1
    first, second = shell.display_pub.ids[0], shell.display_pub.ids[1]
    assert set(shell.display_pub.ids[1:]) == {second} != {first}, "the old table is not shown any more"


def test_cell_is_run_again_without_a_table(shell: Shell, phone: eps.Device) -> None:
    shell.run("table")
    table = phone.watch()
    shell.run("table")  # edited: there is no watch() in it any more
    wait_until(lambda: not table_threads())
    assert not table.active and len(shell.display_pub.shown) == 1


def test_other_cells_are_run(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    shell.run("table")
    table = phone.watch()
    shell.run("other")
    shell.run("yet another", with_id=False)
    phones[1].call("22")
    wait_until(lambda: states(shell.display_pub.last))
    assert table.active


def test_table_of_a_cell_run_again_is_still_shown_elsewhere(shell: Shell, phone: eps.Device) -> None:
    shell.run("table")
    table = phone.watch()
    shell.run("other")
    table._ipython_display_()
    shell.run("table")
    wait_until(lambda: "its cell was run again" in shell.display_pub.last)


def test_last_line_of_its_own_cell(shell: Shell, phone: eps.Device) -> None:
    shell.run("table")
    table = phone.watch()
    table._ipython_display_()
    assert len(shell.display_pub.shown) == 1
    shell.run("other")
    table._ipython_display_()
    assert len(shell.display_pub.shown) == 2 and len(set(shell.display_pub.ids)) == 1
    assert shell.display_pub.shown[1][2] is False


# ------------------------------------------------------------ what it costs others


@pytest.mark.usefixtures("by_hand")
def test_many_tables_have_one_thread(shell: Shell, client: eps.Client, phone: eps.Device, phones: Phones) -> None:
    tables = [phone.watch() for _ in range(20)] + [client.watch()]
    (thread,) = table_threads()
    assert thread.daemon
    phones[1].call("22")
    phones[0].wait("alert")
    wait_until(lambda: [call.state for call in phone.media_calls.values()] == ["alert"])
    painter.PAINTER.look()
    wait_until(lambda: len({table for table, html, _ in shell.display_pub.shown if "alert" in html}) == 21)
    for table in tables[1:]:
        table.cancel()
    wait_until(lambda: len({table for table, html, _ in shell.display_pub.shown if "not live any more" in html}) == 20)
    assert table_threads() == [thread] and tables[0].active
    tables[0].cancel()
    wait_until(lambda: not table_threads())
    assert phone.watch().active and len(table_threads()) == 1, "there is a thread again"


@pytest.mark.usefixtures("by_hand")
def test_many_messages_draw_nothing(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    alice, bob = phones
    phone.watch()
    told: list[object] = []
    phone.on(FacilitySignal, told.append)
    bob.call("22")
    alice.wait("alert")
    alice.answer()
    for _ in range(50):
        alice.hold(alice.calls[-1])
        alice.retrieve(alice.calls[-1])
    wait_until(lambda: len(told) >= 100)
    assert len(shell.display_pub.shown) <= 4, "no message has the table drawn"


def test_front_end_that_hangs_holds_up_no_callback(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    alice, bob = phones
    shell.display_pub.may_go_on.clear()
    phone.watch()
    bob.call("22")
    assert shell.display_pub.entered.wait(PATIENCE)
    ended = threading.Event()
    phone.on(eps.CallEnded, lambda event: ended.set())
    bob.hangup()
    assert ended.wait(PATIENCE)
    shell.display_pub.may_go_on.set()


def test_drawing_takes_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it takes a second, the next one comes after twenty."""
    waits: list[float] = []
    now = [100.0]

    class Painting:
        def paint(self) -> bool:
            now[0] += 1.0
            return not waits

    def wait(seconds: float) -> None:
        waits.append(seconds)

    one = painter.Painter()
    monkeypatch.setattr(one._wake, "wait", wait)
    monkeypatch.setattr("epsignal_sync.notebook.painter.time", types.SimpleNamespace(monotonic=lambda: now[0]))
    one._paintings = (Painting(),)
    one._run()
    assert waits == [20.0]


def test_front_end_that_is_gone(
    shell: Shell, phone: eps.Device, phones: Phones, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = phone.watch()
    shell.display_pub.error = OSError("the socket is closed")
    with caplog.at_level(logging.WARNING, "epsignal_sync"):
        phones[1].call("22")
        wait_until(lambda: not table.active)
        wait_until(lambda: not table_threads())
    assert [record.getMessage() for record in caplog.records if "cannot be shown any more" in record.getMessage()] != []
    assert not phone._subscriptions and not shell.hooks


def test_front_end_that_is_gone_from_the_start(shell: Shell, phone: eps.Device) -> None:
    shell.display_pub.error = OSError("the socket is closed")
    with pytest.raises(OSError, match="socket is closed"):
        phone.watch()
    assert not phone._subscriptions and not table_threads() and not shell.hooks


def test_no_thread_left(shell: Shell, phone: eps.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(eps.ConnectError, match="no thread can be started"):
            phone.watch()
    assert not phone._subscriptions and not shell.hooks
    assert phone.watch().active


# ------------------------------------------------------------ where it cannot be


def test_output_is_captured(shell: Shell, phone: eps.Device) -> None:
    """As in a cell that begins with %%capture: what was captured must not go on growing."""
    shell.display_pub.outputs = []  # type: ignore[attr-defined]  # as CapturingDisplayPublisher has it
    table = phone.watch()
    assert not table.active and not table_threads() and len(shell.display_pub.shown) == 1 and not phone._subscriptions
    assert "not live any more: its output was captured" in shell.display_pub.last


def test_another_cell_captures_its_output(shell: Shell, phone: eps.Device, phones: Phones) -> None:
    phone.watch()
    own, captured = shell.display_pub, Publisher()
    shell.display_pub = captured
    phones[1].call("22")
    wait_until(lambda: states(own.last))
    assert captured.shown == []


@pytest.mark.parametrize("where", ["plain Python", "IPython loaded but not running", "IPython in a terminal"])
def test_no_notebook(where: str, client: eps.Client, phone: eps.Device, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "plain Python":
        monkeypatch.delitem(sys.modules, "IPython")
    elif where == "IPython loaded but not running":
        monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    else:
        monkeypatch.setattr(Shell, "kernel", None)
    for watch in (phone.watch, client.watch):
        with pytest.raises(
            eps.UsageError, match=r"this is none: .*pip install 'epsignal-sync\[notebook\]'.* epsignal monitor in a terminal$"
        ):
            watch()
    assert not phone._subscriptions and not client._subscriptions


def test_client_is_closed_already(shell: Shell, client: eps.Client, phone: eps.Device) -> None:
    client.close()
    with pytest.raises(eps.ClosedError, match="make a new one with connect"):
        phone.watch()
    assert shell.display_pub.shown == []
