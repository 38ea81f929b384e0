"""Clients that are remembered, and what replaces what, where there is no Jupyter."""

from __future__ import annotations

import inspect
import os
import pathlib
import subprocess
import sys
import threading
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync import connecting, notebook
from epsignal_sync.messages import Setup, Signal
from epsignal_sync.notebook import clients
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, PATIENCE, wait_until
from .kernel import ROOT


def connect(pbx: SimulatedPBX, **options: Any) -> eps.Client:
    return notebook.connect(pbx.url, **{"app": "phones", "password": "pwd", **options})


def test_same_parameters_as_connect() -> None:
    assert inspect.signature(notebook.connect) == inspect.signature(eps.connect)
    with pytest.raises(TypeError, match="keep_alive"):
        notebook.connect("pbx", app="phones", password="pwd", keep_alive=5)  # type: ignore[call-arg]


def test_second_connect_returns_the_first_client(pbx: SimulatedPBX) -> None:
    first = connect(pbx)
    assert connect(pbx) is first and connect(pbx, timeout=5) is first and connect(pbx, dispatcher=eps.ManualDispatcher()) is first
    assert pbx.connections == 1


def test_other_login_is_another_client(pbx: SimulatedPBX) -> None:
    pbx.add_user("alice", password="pwd")
    first = connect(pbx)
    found = [connect(pbx, app="", sip="alice"), connect(pbx, info={"cn": "A"}), connect(pbx, info={"cn": "B"}), connect(pbx, dn="A")]
    assert len({id(one) for one in (first, *found)}) == 5 and pbx.connections == 5
    assert connect(pbx, info={"cn": "A"}) is found[1]


def test_url_in_another_spelling_is_the_same_client(pbx: SimulatedPBX) -> None:
    first = connect(pbx)
    assert notebook.connect([pbx.url.replace("ws://", "WS://")], app="phones", password="pwd") is first


def test_client_that_was_closed_is_replaced(pbx: SimulatedPBX) -> None:
    first = connect(pbx)
    first.close()
    second = connect(pbx, keepalive=5)
    assert second is not first and second.connected and connect(pbx, keepalive=5) is second


def test_client_that_has_ended_by_itself_is_replaced(pbx: SimulatedPBX) -> None:
    first = connect(pbx, reconnect=False)
    pbx.drop_connections()
    wait_until(lambda: first.state == "closed")
    second = connect(pbx)
    assert second is not first and second.connected
    assert not first._callbacks._thread.is_alive()  # what was left of it is gone


def test_client_that_is_connecting_again_is_returned(pbx: SimulatedPBX) -> None:
    first = connect(pbx)
    pbx.close()
    wait_until(lambda: first.state == "reconnecting")
    assert connect(pbx) is first


def test_other_options_are_refused_while_it_is_open(pbx: SimulatedPBX) -> None:
    first = connect(pbx)
    with pytest.raises(eps.UsageError) as caught:
        connect(pbx, keepalive=5, password="other secret")
    shown, _, advice = str(caught.value).partition(" is open already, with another value of password=, keepalive=: ")
    assert shown == repr(first) and advice == "pass the same one, or close() that client first"
    assert "secret" not in "".join(map(repr, clients._clients.values())) and "pwd" not in repr(clients._clients)


def test_login_that_fails_is_not_remembered(pbx: SimulatedPBX) -> None:
    with pytest.raises(eps.LoginError):
        connect(pbx, password="wrong")
    assert not clients._clients
    assert connect(pbx).connected


@pytest.mark.parametrize("options", [{"app": ""}, {"info": {"a": 1.5}}, {"info": 5}, {"password": 5}])
def test_what_connect_refuses_is_refused(pbx: SimulatedPBX, options: dict[str, Any]) -> None:
    with pytest.raises(eps.UsageError):
        connect(pbx, **options)
    assert not clients._clients


def test_two_threads_connect_at_once(pbx: SimulatedPBX, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    original = connecting.connect

    def connect_together(**options: Any) -> eps.Client:
        client = original(**options)
        both.wait(PATIENCE)
        return client

    monkeypatch.setattr(connecting, "connect", connect_together)
    found: list[eps.Client] = []
    threads = [threading.Thread(target=lambda: found.append(connect(pbx))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert found[0] is found[1] and found[0].connected
    wait_until(lambda: pbx.connections == 1)


# ------------------------------------------------------------ what replaces what, outside of a notebook


def seen_by(client: eps.Client, phones: tuple[SimulatedPhone, SimulatedPhone], seen: list[str]) -> list[str]:
    """Call the phone, and return what callbacks have put into a list by the end of the call."""
    over = threading.Event()
    last = client.on(eps.CallEnded, lambda event: over.set())
    call = phones[1].call("22")
    phones[0].wait("alert")
    call.hangup()
    assert over.wait(PATIENCE)
    last.cancel()
    return seen


def test_same_name_kind_and_scope_is_replaced(pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone]) -> None:
    client = connect(pbx)
    phone = client.attach(HW1)
    seen: list[str] = []
    for number in range(3):

        def ringing(event: eps.SignalEvent[Any], number: int = number) -> None:
            seen.append(f"called {number}")

        phone.on(Setup, ringing)
        phone.on(Signal, ringing)  # another kind
        client.on(Setup, ringing)  # another scope
        phone.intercept(Setup, lambda event, number=number: seen.append(f"asked {number}"), deadline=2)  # type: ignore[misc]
        phone.on(Setup, lambda event, number=number: seen.append(f"first {number}"))  # type: ignore[misc]
        phone.on(Setup, lambda event, number=number: seen.append(f"second {number}"))  # type: ignore[misc]
    found = seen_by(client, phones, seen)
    assert found[:6] == ["asked 2", "called 2", "called 2", "called 2", "first 2", "second 2"]
    assert set(found[6:]) == {"called 2"}  # the other signals of the call


def test_a_plain_client_replaces_nothing(client: eps.Client, phones: tuple[SimulatedPhone, SimulatedPhone]) -> None:
    client.attach(HW1)
    seen: list[str] = []
    for number in range(2):

        @client.on(Setup)
        def ringing(event: eps.SignalEvent[Setup], number: int = number) -> None:
            seen.append(f"{number}")

    assert seen_by(client, phones, seen) == ["0", "1"]


def test_interceptor_that_is_replaced_while_it_is_asked(pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone]) -> None:
    # Whoever re-registers a blocker must not let a call through that came in just then.
    client = connect(pbx)
    phone = client.attach(HW1)
    asked, go = threading.Event(), threading.Event()

    def first(event: eps.SignalEvent[Setup]) -> None:
        asked.set()
        go.wait(PATIENCE)

    def block(event: eps.SignalEvent[Setup]) -> eps.Verdict:
        return eps.refuse(21) if event.to_device else None

    phone.intercept(Setup, first, deadline=2, to_device=True)
    phone.intercept(Setup, block, deadline=2, to_device=True)
    call = phones[1].call("22")
    assert asked.wait(PATIENCE)
    phone.intercept(Setup, block, deadline=2, to_device=True)
    go.set()
    call.wait("null", timeout=PATIENCE)
    assert call.cause == 21


# ------------------------------------------------------------ without Jupyter


def run_python(tmp_path: pathlib.Path, code: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path), "TERM": "dumb"}
    command = [sys.executable, *arguments, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


PROGRAM = """
import sys, threading
import epsignal_sync as eps
assert not {{"epsignal_sync.notebook", "IPython", "asyncio", "ipykernel"}} & set(sys.modules)
from epsignal_sync import connecting, notebook
def twice():
    client = notebook.connect({url!r}, app="phones", password="pwd")
    phone = client.attach({hw!r})
    @phone.on(eps.CallEnded)
    def ended(event):
        print("ended by", event.call.ended_by, flush=True)
        over.set()
    return client
over = threading.Event()
client = twice()
assert twice() is client
client.attach({ready!r})
assert over.wait(60)
print("IPython" in sys.modules, flush=True)
"""


@pytest.mark.parametrize("arguments", [(), ("-m", "IPython", "--simple-prompt", "--no-banner")], ids=["Python", "IPython"])
def test_outside_of_jupyter(
    tmp_path: pathlib.Path, pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone], arguments: tuple[str, ...]
) -> None:
    def people() -> None:
        assert pbx.wait_for(lambda log: log.texts("from-app", HW2, mt="Attach"), timeout=60)  # the callbacks are registered
        call = phones[1].call("22")
        phones[0].wait("alert")
        call.hangup()

    thread = threading.Thread(target=people)
    thread.start()
    try:
        code = PROGRAM.format(url=pbx.url, hw=HW1, ready=HW2)
        if arguments:
            code = code.replace('"IPython", "asyncio", ', "")  # they are there in any case
        output = run_python(tmp_path, code, *arguments)
    finally:
        thread.join(PATIENCE)
    assert [line for line in output.splitlines() if line] == ["ended by pbx", str(bool(arguments))]
    wait_until(lambda: pbx.connections == 0)  # closed at the end of the program
