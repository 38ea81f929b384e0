"""``epsignal replay --against``: what the app did in a recording, done again on a simulated PBX."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import attrs
import pytest

import epsignal_sync as eps
from epsignal_sync.messages import EP, Alert, InfoSignal, Setup
from epsignal_sync.recording.reading import Recording
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, PATIENCE
from ..replay.script import Script
from .running import START, Running, failure

LOGIN = {"EPSIGNAL_APP": "phones", "EPSIGNAL_PASSWORD": "pwd"}
Phones = tuple[SimulatedPhone, SimulatedPhone]


def both_calls(pbx: SimulatedPBX, phones: Phones) -> None:
    """Alice calls a number that the app changes to Bob's, and he answers; then he calls her, which the app refuses."""
    alice, bob = phones
    call = alice.call("99")
    bob.wait("alert", timeout=PATIENCE)
    # What the app says in it must not come after its end.
    pbx.wait_for(lambda log: log.last("to-phone", HW2, type="info"), timeout=PATIENCE)
    bob.answer()
    call.wait("connected", timeout=PATIENCE)
    call.hangup()
    bob.wait("null", timeout=PATIENCE)
    bob.call("22").wait("null", timeout=PATIENCE)


def speak(event: eps.SignalEvent[Alert]) -> None:
    assert event.call is not None
    event.call.send(InfoSignal(dsp="from the app"), to_device=True)


def program(client: eps.Client) -> None:
    """What the app does: dials, blocks, speaks, and calls itself."""
    alice, bob = client.attach_many([HW1, HW2])
    alice.intercept(Setup, lambda event: attrs.evolve(event.signal, cd=EP(num="23")), to_device=False, deadline=2)
    alice.intercept(Setup, lambda event: eps.refuse(21), to_device=True, deadline=2)
    bob.on(Alert, speak)
    alice.wait_attached(timeout=PATIENCE)
    bob.wait_attached(timeout=PATIENCE)


@pytest.fixture
def recorded(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "calls.jsonl"
    with eps.connect(pbx.url, app="phones", password="pwd") as client:
        client.record(path)
        program(client)
        both_calls(pbx, phones)
        own = client.attach(HW1).dial("24")
        own.wait_ended(timeout=PATIENCE)
    return path


def attached(pbx: SimulatedPBX, *hws: str) -> None:
    pbx.wait_for(lambda log: all(log.texts("to-app", hw, mt="Attached") for hw in hws), timeout=PATIENCE)


def test_app_does_it_again(pbx: SimulatedPBX, phones: Phones, recorded: pathlib.Path, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "out.jsonl"
    pbx.log.clear()
    arguments = ("replay", str(recorded), "--against", pbx.url, "--yes", "--speed", "0", "--record", str(out))
    with Running(*arguments, variables=LOGIN) as epsignal:
        attached(pbx, HW1, HW2)
        pbx.wait_for(lambda log: log.entries(place="from-app", device=HW1, type="setup"), timeout=PATIENCE)  # its own: it is there
        both_calls(pbx, phones)
        errors = epsignal.end(0)
    assert f"  call 24 from {HW1}\n" in errors and errors.count("\n") == 6, errors
    assert "in 4 calls of the phones: 1 message changed, 1 dropped, 2 of its own said" in errors, errors
    sent = [line for line in Recording(out) if line.verdict == "changed"]
    assert [line.sent[0]["sig"]["cd"] for line in sent] == [{"num": "23"}]
    assert pbx.log.last("to-phone", HW2, type="info") is not None
    refused = [entry for entry in pbx.log.entries(place="from-app", device=HW1, type="rel") if entry.sig["cau"] == {"num": 21}]
    assert len(refused) == 1
    assert epsignal.output.startswith("Nothing different: ")


def test_another_phone_and_ctrl_c(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    path = Script().attached("then").pbx(3, "setup", hw="then", verdict="dropped", cg={"num": "23"}).write(tmp_path)
    with Running("replay", str(path), "--against", pbx.url, "--yes", "--hw", f"then={HW1}", variables=LOGIN) as epsignal:
        attached(pbx, HW1)
        epsignal.interrupt()
        errors = epsignal.end(0)
    assert f"  attach to the phone {HW1}, for then\n" in errors
    assert "- PBX > phone  setup: dropped, in A only" in epsignal.output


def test_it_asks_first(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    path = str(Script().attached().call_through(3).write(tmp_path))
    with Running("replay", path, "--against", pbx.url, variables=LOGIN, columns=80) as epsignal:
        epsignal.read_until("Do that? [y/N]")
        epsignal.type("n\n")
        epsignal.end(0)
    with Running("replay", path, "--against", pbx.url, variables=LOGIN) as epsignal:
        assert "nobody can be asked without a terminal whether that is to be done: --yes" in epsignal.end(2)
    assert pbx.log.entries(place="from-app") == []
    with Running("replay", path, "--against", pbx.url, variables=LOGIN, columns=80) as epsignal:
        epsignal.read_until("Do that? [y/N]")
        epsignal.type("y\n")
        attached(pbx, HW1)
        epsignal.interrupt()
        epsignal.end(0)


def test_call_that_had_begun_before_is_not_waited_for(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    script = Script().attached().told(HW1, "Sync", call=9, info={"state": "connected", "in": True, "channel": -1, "remote": {"num": "23"}})
    script.pbx(9, "info", dsp="in it").app(-5, "setup", cd={"num": "24"}, channel=-1).answer(-5, "rel", cau={"num": 17})
    path = script.pbx(9, "rel", cau={"num": 16}).write(tmp_path)
    with Running("replay", str(path), "--against", pbx.url, "--yes", "--speed", "0", variables=LOGIN) as epsignal:
        epsignal.end(0)
    assert pbx.log.last("from-app", HW1, type="setup") is not None


def test_call_in_which_the_app_called_somebody_ends_sooner(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    script = Script().attached().phone(3, "setup", cd={"num": "23"}, channel=-1)
    for _ in range(20):
        script.pbx(3, "info", dsp="more than there is in a call to somebody who is busy")
    path = script.app(-5, "setup", cd={"num": "24"}, channel=-1).answer(-5, "rel").phone(3, "rel").write(tmp_path)
    alice, bob = phones
    bob.busy = True
    with Running("replay", str(path), "--against", pbx.url, "--yes", "--speed", "0", variables=LOGIN) as epsignal:
        attached(pbx, HW1)
        alice.call("23").wait("null", timeout=PATIENCE)
        assert "24 was not called: the call in which the app did that ended sooner this time\n" in epsignal.end(0)


def test_masked_secret_is_told(tmp_path: pathlib.Path) -> None:
    path = str(Script().attached().pbx(3, "setup").app(3, "channels", channels={"key": {"b": "00"}}).write(tmp_path))
    with Running("replay", path, "--against", "ws://127.0.0.1:1", "--yes", variables=LOGIN) as epsignal:
        assert "Secrets are masked in the recording: *** is sent in their places.\n" in epsignal.end(1)


def test_fault_while_it_is_done_comes_to_an_end(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    path = Script().attached().app(-5, "setup", cd={"num": "24"}, channel=-1).write(tmp_path)
    fails = "from epsignal_sync.reenactment import acting\nacting.Actor._do = lambda *_: 1 / 0\n"
    with Running("replay", str(path), "--against", pbx.url, "--yes", variables=LOGIN, start=f"{fails}{START}") as epsignal:
        assert "could not be done (ZeroDivisionError: division by zero): please report it\n" in epsignal.end(0)


def test_connection_that_is_lost(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    path = Script().attached().app(-5, "setup", cd={"num": "24"}, channel=-1).call_through(3).write(tmp_path)
    with Running("replay", str(path), "--against", pbx.url, "--yes", "--speed", "0", variables=LOGIN) as epsignal:
        pbx.wait_for(lambda log: log.entries(place="from-app", device=HW1, type="setup"), timeout=PATIENCE)  # it has begun
        pbx.close()
        errors = epsignal.end(0)
    assert "the PBX closed it (code 1001); what came until then is shown\n" in errors and "connecting again" not in errors
    assert "- the whole call, 5 messages, is in A only:" in epsignal.output and "0 messages" not in epsignal.output


@pytest.mark.parametrize(
    "make, arguments, code, text",
    [
        (lambda script: script.attached().call_through(3), ("--hw", "other=5"), 2, f"there are {HW1}"),
        (lambda script: script.attached().call_through(3), ("--hw", HW1), 2, "--hw takes OLD=NEW"),
        (lambda script: script.call_through(3).call_through(3, hw=HW2), ("--hw", f"{HW1}={HW2}"), 2, "one phone cannot be taken for two"),
        (lambda script: script.attached(), (), 1, "has no call, so there is nothing to play"),
        (lambda script: script.attached().phone(3, "info"), (), 1, "has only calls that had begun before, so there is nothing to play"),
    ],
)  # fmt: skip
def test_what_cannot_be(tmp_path: pathlib.Path, make: Callable[[Script], Script], arguments: tuple[str, ...], code: int, text: str) -> None:
    path = str(make(Script()).write(tmp_path))
    assert text in failure("replay", path, "--against", "ws://127.0.0.1:1", "--yes", *arguments, code=code, variables=LOGIN)


def test_nothing_is_left_of_what_has_not_begun(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    path, out = str(Script().attached("then").call_through(3, hw="then").write(tmp_path)), tmp_path / "out.jsonl"
    for url, text in (("ws://127.0.0.1:1", "refused"), (pbx.url, "--hw then=NEW takes another phone for it")):
        with Running("replay", path, "--against", url, "--yes", "--record", str(out), variables=LOGIN) as epsignal:
            assert text in epsignal.end(1)
        assert not out.exists(), "it would be in the way of the next try"
