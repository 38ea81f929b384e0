"""What docs/reconnect.md says is so: its program shows what the page shows, its patterns work, its figures are the defaults."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync import attaching, watchdog
from epsignal_sync.intake import ConnectionState
from epsignal_sync.protocol import gap
from epsignal_sync.relay import backoff
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, PATIENCE, wait_until
from .pages import Page

PAGE = Page("reconnect.md")
EVENTS, PATTERNS = "The events, in order", "How to write a program that is right afterwards"
Phones = tuple[SimulatedPhone, SimulatedPhone]


@pytest.fixture
def patient_where_calls_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second for the PBX to name the calls that are kept may be too little on a busy machine; those that are lost need less."""
    restart = SimulatedPBX.restart

    def restart_patiently(pbx: SimulatedPBX, *, calls: str) -> None:
        monkeypatch.setattr(gap, "SETTLE_TIME", 600.0 if calls == "kept" else 0.1)
        restart(pbx, calls=calls)

    monkeypatch.setattr(SimulatedPBX, "restart", restart_patiently)


@pytest.mark.usefixtures("quick_attempts", "patient_where_calls_are_kept")
def test_events_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    exec(PAGE.block(EVENTS), {"__name__": "program"})
    assert capsys.readouterr().out == PAGE.block(EVENTS, "text")


@pytest.mark.usefixtures("quick_attempts", "patient_where_calls_are_kept")
def test_looking_instead_of_counting(pbx: SimulatedPBX, phones: Phones, client: eps.Client, capsys: pytest.CaptureFixture[str]) -> None:
    alice, bob = phones
    exec(PAGE.blocks("python", PATTERNS)[0], {"eps": eps, "client": client})
    shown: list[str] = []

    def wait_for(line: str) -> None:
        def is_shown() -> bool:
            shown[:] = [*shown, *capsys.readouterr().out.splitlines()][-1:]
            return shown == [f"{HW1} talks to {line}"]

        wait_until(is_shown)

    client.attach(HW1).wait_attached()
    call = bob.call("22")
    alice.wait("alert").answer()
    call.wait("connected")
    wait_for("Bob (23)")
    pbx.restart(calls="lost")
    wait_for("nobody")


class PhoneThatIsLost:
    """A phone whose connection is lost when it rings for the first time, before or while it is waited for."""

    def __init__(self, phone: eps.Device, lose: Callable[[eps.Call], None]) -> None:
        self.phone = phone
        self.lose = lose
        self.rung = 0

    def wait_attached(self, *, timeout: float) -> None:
        self.phone.wait_attached(timeout=PATIENCE)

    def ring(self, *, number: str, name: str) -> eps.Call:
        call = self.phone.ring(number=number, name=name)
        self.rung += 1
        if self.rung == 1:
            self.lose(call)
        return call


@pytest.mark.usefixtures("quick_attempts")
@pytest.mark.parametrize("waiting", [True, False])
def test_alarm_over_a_loss_of_the_connection(waiting: bool, pbx: SimulatedPBX, phones: Phones, client: eps.Client) -> None:
    names: dict[str, Any] = {"eps": eps}
    exec(PAGE.blocks("python", PATTERNS)[1], names)
    losing: list[threading.Thread] = []

    def lose(call: eps.Call) -> None:
        phones[0].wait("alert", timeout=PATIENCE)
        losing.append(threading.Thread(target=pbx.drop_connections))
        losing[0].start()
        if not waiting:
            wait_until(lambda: call.ended)

    taken: list[eps.Call] = []
    phone = PhoneThatIsLost(client.attach(HW1), lose)
    thread = threading.Thread(target=lambda: taken.append(names["alarm"](phone)))
    thread.start()
    wait_until(lambda: phone.rung == 2)
    phones[0].wait("alert", timeout=PATIENCE).answer()
    thread.join(PATIENCE)
    losing[0].join(PATIENCE)
    assert [call.state for call in taken] == ["connected"]


@pytest.mark.usefixtures("quick_attempts")
def test_alarm_that_is_refused(phones: Phones, client: eps.Client) -> None:
    names: dict[str, Any] = {"eps": eps}
    exec(PAGE.blocks("python", PATTERNS)[1], names)
    phones[0].busy = True
    with pytest.raises(eps.CallEndedError) as refused:
        names["alarm"](client.attach(HW1))
    assert refused.value.cause.num == 17


def test_figures_are_the_defaults() -> None:
    defaults = {name: one.default for name, one in inspect.signature(eps.connect).parameters.items()}
    assert (defaults["ping_interval"], defaults["ping_timeout"], defaults["standby_time"]) == (20, 10, 60)
    assert defaults["reconnect"] is True and defaults["reconnect_attempts"] is None and defaults["per_device"] is False
    assert (backoff.FIRST_DELAY, backoff.LONGEST_DELAY) == (1, 32)
    assert (gap.SETTLE_TIME, gap.STALE_TIME, attaching.ATTACH_AGAIN_TIME, watchdog.LONG_CALLBACK) == (1, 120, 60, 5)


def test_each_field_of_gap_has_its_row() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE.section("Gap"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {field.name for field in attrs.fields(eps.Gap)} - {"client", "call"}


def test_each_state_of_the_connection_is_named() -> None:
    (row,) = re.findall(r"^\| `client\.state` \| (.*) \|$", PAGE.section("Is it alive?"), re.MULTILINE)
    assert set(re.findall(r'`"(\w+)"`', row)) == {state.value for state in ConnectionState}
