"""What docs/reconnect.md says is so: its program shows what the page shows, its patterns work, its figures are the defaults."""

from __future__ import annotations

import inspect
import re
import threading

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


@pytest.mark.usefixtures("quick_attempts")
def test_events_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    exec(PAGE.block(EVENTS), {"__name__": "program"})
    assert capsys.readouterr().out == PAGE.block(EVENTS, "text")


@pytest.mark.usefixtures("quick_attempts")
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


@pytest.mark.usefixtures("quick_attempts")
def test_alarm_over_a_loss_of_the_connection(pbx: SimulatedPBX, phones: Phones, client: eps.Client) -> None:
    names: dict[str, object] = {"eps": eps}
    exec(PAGE.blocks("python", PATTERNS)[1], names)
    alarm, taken = names["alarm"], []
    assert callable(alarm)
    phone = client.attach(HW1)
    thread = threading.Thread(target=lambda: taken.append(alarm(phone)))
    thread.start()
    first = phones[0].wait("alert", timeout=PATIENCE)
    pbx.drop_connections()
    first.wait("null", timeout=PATIENCE)  # a call of the app lives as long as its connection
    phones[0].wait("alert", timeout=PATIENCE).answer()
    thread.join(PATIENCE)
    assert [call.state for call in taken] == ["connected"]


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
