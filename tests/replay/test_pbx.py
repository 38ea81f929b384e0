"""A PBX that plays a recording: what the app gets, what is made of what it sends, and how both end."""

from __future__ import annotations

import functools
import itertools
import json
import pathlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import epsignal_sync as eps
from epsignal_sync.messages import EP, Alert, InfoSignal, Setup
from epsignal_sync.recording.lines import Line, RecordedMessage
from epsignal_sync.recording.reading import Recording
from epsignal_sync.relay import backoff
from epsignal_sync.replay import ReplayPBX, player
from epsignal_sync.replay.writing import create, write

from ..conftest import HW1, HW2, PATIENCE, wait_until
from .script import Script


@pytest.fixture(autouse=True)
def nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the app has to say in these tests, it says when it is waited for."""
    monkeypatch.setattr(player, "LAST_TIME", 0.05)


@contextmanager
def playing(path: pathlib.Path, **options: Any) -> Iterator[tuple[ReplayPBX, eps.Client]]:
    with ReplayPBX(path, **{"speed": 0, "paused": True, **options}) as pbx, eps.connect(pbx.url, app="phones", password="pwd") as client:
        yield pbx, client


def finish(pbx: ReplayPBX) -> None:
    """Let the rest be played, and wait until it is."""
    pbx.play()
    pbx.wait_over(timeout=PATIENCE)


def verdicts(lines: list[Line]) -> list[tuple[str, str | None]]:
    return [(line.type, line.verdict) for line in lines if isinstance(line, RecordedMessage) and line.mt == "Signaling"]


def forwarding(path: pathlib.Path, **options: Any) -> list[Line]:
    """Play a recording to an app that only forwards; returns what went through."""
    with playing(path, **options) as (pbx, client):
        client.attach_many(pbx.devices)
        finish(pbx)
        assert pbx.differences() == []
        return pbx.result()


def test_app_that_forwards_writes_the_same_recording(tmp_path: pathlib.Path) -> None:
    path = Script().event("connected").attached(HW1, HW2).call_through(3).call_through(3, hw=HW2).write(tmp_path)
    lines = forwarding(path)
    out = tmp_path / "out.jsonl"
    create(out)
    write(out, [attrs.evolve(line, data={**line.data, "src": "then"}) if isinstance(line, RecordedMessage) else line for line in lines])
    assert out.read_bytes() == path.read_bytes()
    assert out.stat().st_mode & 0o777 == 0o600


def test_what_nobody_can_mask_is_not_written(tmp_path: pathlib.Path) -> None:
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    lines = list(Recording(Script().call_through(3).write(tmp_path)).lines())
    message = lines[1]
    assert isinstance(message, RecordedMessage)
    out = tmp_path / "out.jsonl"
    create(out)
    write(out, [*lines, attrs.evolve(message, data={**message.data, "pwd": "geheim", "x": deep})])
    assert len(Recording(out)) == 5 and "geheim" not in out.read_text()


def test_app_gets_what_was_said(tmp_path: pathlib.Path) -> None:
    path = Script().attached().told(HW1, "Sync", call=2, info={"state": "connected", "in": True}).call_through(3).write(tmp_path)
    seen: list[str] = []
    with playing(path) as (pbx, client):
        client.on(eps.CallStarted, lambda event: seen.append(f"{event.call.id} {event.state}"))
        client.on(eps.CallEnded, lambda event: seen.append(f"{event.call.id} over"))
        phone = client.attach(HW1)
        assert phone.result.max_intern == 3
        finish(pbx)
    assert seen == ["2 connected", "3 setup", "3 over"]


def test_same_change_and_refusal_again(tmp_path: pathlib.Path) -> None:
    script = Script().attached()
    script.phone(3, "setup", verdict="changed", sent=({"type": "setup", "cd": {"num": "023"}},), cd={"num": "23"})
    script.pbx(4, "setup", verdict="dropped", cg={"num": "0900"}).app(4, "rel", cau={"num": 21})
    path = script.pbx(3, "conn").phone(3, "rel").write(tmp_path)
    with playing(path) as (pbx, client):
        phone = client.attach(HW1)
        phone.intercept(Setup, lambda event: attrs.evolve(event.signal, cd=EP(num="023")), to_device=False, deadline=2)
        phone.intercept(Setup, lambda event: eps.refuse(21), to_device=True, deadline=2)
        finish(pbx)
        assert pbx.differences() == []
        assert verdicts(pbx.result()) == [
            ("setup", "changed"), ("setup", "dropped"), ("rel", "own"), ("conn", "forwarded"), ("rel", "forwarded"),
        ]  # fmt: skip


def test_app_that_does_something_else(tmp_path: pathlib.Path) -> None:
    path = Script().attached().call_through(3).pbx(4, "setup", cg={"num": "23"}).write(tmp_path)
    with playing(path) as (pbx, client):
        phone = client.attach(HW1)
        phone.intercept(Setup, lambda event: attrs.evolve(event.signal, cd=EP(num="024")), to_device=False, deadline=2)
        phone.intercept(Setup, lambda event: eps.refuse(21), to_device=True, deadline=2)
        finish(pbx)
        different = pbx.differences()
    pairs = [pair for call in different for pair in call.messages if pair.differs]
    assert [(pair.message.type, pair.verdicts) for pair in pairs] == [
        ("setup", ("forwarded", "changed")), ("setup", ("forwarded", "dropped")), ("rel", None),
    ]  # fmt: skip
    assert pairs[2].a is None and pairs[2].b is not None and pairs[2].b.data["sig"]["cau"] == {"num": 21}


def test_list_of_signals_instead(tmp_path: pathlib.Path) -> None:
    instead = ({"type": "info", "dsp": "wait"}, {"type": "alert"})
    path = Script().attached().phone(3, "setup").pbx(3, "alert", verdict="changed", sent=instead).write(tmp_path)
    with playing(path) as (pbx, client):
        client.attach(HW1).intercept(Alert, lambda event: [InfoSignal(dsp="wait"), Alert()], deadline=2)
        finish(pbx)
        assert pbx.differences() == []
        sent = [one["sig"] for line in pbx.result() if isinstance(line, RecordedMessage) for one in line.sent]
    assert sent == list(instead)


@pytest.mark.parametrize("to", ["pbx", "phone"])
def test_own_call_is_answered_again(tmp_path: pathlib.Path, to: str) -> None:
    script = Script().attached().app(-7, "setup", to=to, cd={"num": "24"}, channel=-1)
    script.answer(-7, "alert", sender=to).answer(-7, "conn", sender=to)
    path = script.app(-7, "rel", to=to, cau={"num": 16}).write(tmp_path)
    with playing(path) as (pbx, client):
        phone = client.attach(HW1)
        call = phone.dial("24") if to == "pbx" else phone.ring("24")
        pbx.play()
        call.wait("connected", timeout=PATIENCE)
        call.hangup()
        finish(pbx)
        assert [line.call for line in pbx.result() if isinstance(line, RecordedMessage) and line.mt == "Signaling"] == [call.id] * 4
        assert pbx.notes == ()


def test_own_call_that_is_not_made_again_and_another_one(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "ACTION_TIME", 0.1)
    script = Script().attached().app(-7, "setup", to="phone", cd={"num": "24"}).answer(-7, "conn", sender="phone").call_through(3)
    with playing(script.write(tmp_path)) as (pbx, client):
        phone = client.attach(HW1)
        phone.dial("25")
        finish(pbx)
        notes = pbx.notes
        assert verdicts(pbx.result()).count(("conn", "own")) == 0
    assert [note.partition(",")[0] for note in notes] == [
        f"the app did not call 24 from {HW1} again: what was said in that call was left out", f"the app called 25 from {HW1}",
    ]  # fmt: skip


def _say_hello(event: eps.SignalEvent[Alert]) -> None:
    assert event.call is not None
    event.call.send(InfoSignal(dsp="hello"), to_device=True)


def test_own_message_in_a_call_of_the_phone(tmp_path: pathlib.Path) -> None:
    script = Script().attached().pbx(3, "setup", cg={"num": "23"}).phone(3, "alert")
    path = script.app(3, "info", to="phone", dsp="hello").pbx(3, "info", dsp="from the PBX").phone(3, "conn").write(tmp_path)
    with playing(path) as (pbx, client):
        client.attach(HW1).on(Alert, _say_hello)
        finish(pbx)
        assert pbx.differences() == []
        assert verdicts(pbx.result())[2:] == [("info", "own"), ("info", "forwarded"), ("conn", "forwarded")]


def test_app_that_forwards_by_itself(tmp_path: pathlib.Path) -> None:
    script = Script().attached()
    script.phone(3, "setup", verdict=None, cd={"num": "23"}).app(3, "setup", verdict="forwarded", cd={"num": "23"})
    path = script.pbx(3, "alert", verdict=None).write(tmp_path)
    with playing(path) as (pbx, client):
        client.on(Setup, lambda event: event.forward())
        client.attach(HW1, forward=False)
        finish(pbx)
        assert verdicts(pbx.result()) == [("setup", None), ("setup", "forwarded"), ("alert", None)]
        assert pbx.differences() == []


def test_connection_that_was_lost_is_lost_again(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.01)
    script = Script().attached().call_through(3).event("lost").event("connected").attached().call_through(3)
    lost: list[eps.ConnectionLost] = []
    with playing(script.write(tmp_path)) as (pbx, client):
        client.on(eps.ConnectionLost, lost.append)
        client.attach(HW1)
        finish(pbx)
        assert len(lost) == 1 and pbx.differences() == [] and len(verdicts(pbx.result())) == 10


def _over(pbx: ReplayPBX, ended: threading.Event, played: int, event: eps.Event) -> None:
    if pbx.progress[0] > played:
        ended.set()


def test_run_after_run_takes_an_app_after_the_other(tmp_path: pathlib.Path) -> None:
    path = Script().attached().call_through(3).begin().attached().call_through(3).write(tmp_path)
    with ReplayPBX(path, speed=0) as pbx:
        for _ in range(2):
            with eps.connect(pbx.url, app="phones", password="pwd", reconnect=False) as client:
                ended = threading.Event()
                client.on(eps.ConnectionLost, functools.partial(_over, pbx, ended, -1))
                client.on(eps.CallEnded, functools.partial(_over, pbx, ended, 8))
                client.attach(HW1)
                assert ended.wait(PATIENCE)
        pbx.wait_over(timeout=PATIENCE)
        assert pbx.differences() == []


def test_part_that_goes_on_cuts_nothing(tmp_path: pathlib.Path) -> None:
    path = Script().attached().call_through(3).begin(continued=True).call_through(4).write(tmp_path)
    with playing(path) as (pbx, client):
        lost: list[object] = []
        client.on(eps.ConnectionLost, lost.append)
        client.attach(HW1)
        finish(pbx)
        assert len(verdicts(pbx.result())) == 10 and not lost


def test_distances_are_those_of_the_recording(tmp_path: pathlib.Path) -> None:
    path = Script(gap=0.6).attached().pbx(3, "setup").phone(3, "alert").phone(3, "conn").write(tmp_path)
    times: list[float] = []
    with playing(path, speed=2) as (pbx, client):
        client.on(eps.messages.Signaling, lambda event: times.append(event.received_at))
        client.attach(HW1)
        finish(pbx)
    assert len(times) == 3 and all(after - before > 0.2 for before, after in itertools.pairwise(times))


def test_clock_that_was_set_back(tmp_path: pathlib.Path) -> None:
    script = Script().attached()
    script.at -= 1_000_000
    path = script.call_through(3).write(tmp_path)
    assert len(verdicts(forwarding(path, speed=1))) == 5


def test_step_by_step(tmp_path: pathlib.Path) -> None:
    path = Script(gap=1000).attached().pbx(3, "setup").phone(3, "alert").write(tmp_path)
    with playing(path) as (pbx, client):
        states: list[str] = []
        client.on(eps.CallStateChanged, lambda event: states.append(str(event.state)))
        phone = client.attach(HW1)
        step = pbx.step(timeout=PATIENCE)
        assert step is not None and step.type == "setup"
        wait_until(lambda: 3 in phone.calls)
        phone.calls[3].wait("setup", timeout=PATIENCE)
        assert not states
        step = pbx.step(timeout=PATIENCE)
        assert step is not None and step.type == "alert"
        phone.calls[3].wait("alert", timeout=PATIENCE)
        assert pbx.step(timeout=PATIENCE) is None
        assert pbx.over


def test_step_of_one_that_goes_by_itself(tmp_path: pathlib.Path) -> None:
    with ReplayPBX(Script().write(tmp_path)) as pbx, pytest.raises(eps.UsageError, match="paused=True"):
        pbx.step()


def test_phone_that_the_app_does_not_attach_to(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "ATTACH_TIME", 0.2)
    path = Script().attached(HW1, HW2).call_through(3).call_through(3, hw=HW2).write(tmp_path)
    with playing(path) as (pbx, client):
        client.attach(HW2)
        finish(pbx)
        assert [line.device for line in pbx.result() if isinstance(line, RecordedMessage)] == [HW2] * 7
        assert [note.partition(":")[0] for note in pbx.notes] == [f"the app did not attach to {HW1}"]


def test_recording_that_began_in_the_middle(tmp_path: pathlib.Path) -> None:
    assert len(verdicts(forwarding(Script().call_through(3).write(tmp_path)))) == 5


def test_recording_without_messages(tmp_path: pathlib.Path) -> None:
    assert len(forwarding(Script().event("connected").write(tmp_path))) == 2


def test_other_apis_only(tmp_path: pathlib.Path) -> None:
    path = Script().told(None, "PresenceUpdate", api="PbxApi", note="hello").write(tmp_path)
    with playing(path) as (pbx, client):
        finish(pbx)
        told = [line for line in pbx.result() if isinstance(line, RecordedMessage)]
        assert [line.data["note"] for line in told] == ["hello"]


def test_anything_in_a_message(tmp_path: pathlib.Path) -> None:
    deep: Any = json.loads("[" * 400 + "]" * 400)
    signals = [None, 3, [], {}, {"type": None}, {"type": "setup", "cd": [1, {"num": 1e400}]}, {"type": "x" * 9000, "\ud800": "\n"}, deep]
    calls = [None, "three", [1], {"a": 1}, True, -5, 2**70, 1.5, deep]
    path = Script().write(tmp_path)
    with path.open("ab") as file:
        for sig, call in itertools.product(signals, calls):
            message = {"mt": "Signaling", "api": ["EpSignal"], "src": {"a": []}, "to": 1, "call": call, "sig": sig}
            line = {"time": "2026-11-23T09:14:02+00:00", "from": "phone", "to": "pbx", "device": HW1, "verdict": "eaten"}
            file.write(json.dumps({**line, "message": message}).encode() + b"\n")
    with ReplayPBX(path, speed=0, paused=True) as pbx, echo(pbx.url):
        finish(pbx)
        assert len(pbx.result()) == 1 + len(signals) * len(calls)
        pbx.differences()


@contextmanager
def echo(url: str) -> Iterator[None]:
    """An app that sends everything back, whatever it is."""

    def run() -> None:
        for text in socket:
            if '"Signaling"' in str(text):
                socket.send(text)

    with connect(url) as socket:
        for request in ({"mt": "AppChallenge"}, {"mt": "AppLogin", "app": "a"}, {"mt": "Attach", "api": "EpSignal", "hw": HW1, "src": 1}):
            socket.send(json.dumps(request))
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield
    thread.join(PATIENCE)


def test_masked_secret_is_said(tmp_path: pathlib.Path) -> None:
    path = Script().attached().pbx(3, "setup", channels={"key": {"b": "00"}}).write(tmp_path)
    with playing(path) as (pbx, client):
        client.attach(HW1)
        finish(pbx)
        assert pbx.notes == ("secrets are masked in the recording: the app got *** in their places",)


def test_hw_that_is_not_recorded(tmp_path: pathlib.Path) -> None:
    path = Script().attached().write(tmp_path)
    with playing(path) as (_, client), pytest.raises(eps.AttachError, match="no device 'other' in this recording"):
        client.attach("other")


def test_attach_that_was_refused_is_refused_again(tmp_path: pathlib.Path) -> None:
    with playing(Script().told(HW1, "AttachResult", err=5).write(tmp_path)) as (_, client), pytest.raises(eps.AttachError) as raised:
        client.attach(HW1)
    assert raised.value.err == 5


@pytest.mark.parametrize("app, password", [("phones", "wrong"), ("other", "pwd")])
def test_login_that_was_not_given(tmp_path: pathlib.Path, app: str, password: str) -> None:
    with ReplayPBX(Script().write(tmp_path), app="phones", password="pwd") as pbx:
        with pytest.raises(eps.LoginError):
            eps.connect(pbx.url, app=app, password=password)
        eps.connect(pbx.url, app="phones", password="pwd").close()


def test_attach_before_the_login(tmp_path: pathlib.Path) -> None:
    with ReplayPBX(Script().attached().write(tmp_path)) as pbx, connect(pbx.url) as socket:
        socket.send(json.dumps({"mt": "Attach", "hw": HW1}))
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)


@pytest.mark.parametrize("speed", [-1, float("nan"), "fast", None, True])
def test_speed_that_cannot_be(tmp_path: pathlib.Path, speed: Any) -> None:
    with pytest.raises(eps.UsageError, match="speed is a number from 0 on"):
        ReplayPBX(Script().write(tmp_path), speed=speed)


def test_wait_that_is_too_short(tmp_path: pathlib.Path) -> None:
    with ReplayPBX(Script().attached().write(tmp_path)) as pbx, pytest.raises(eps.ReplyTimeout, match="1 of its 3 lines were, and no app"):
        pbx.wait_over(timeout=0.2)


def test_close_during_wait_over(tmp_path: pathlib.Path) -> None:
    errors: list[BaseException] = []
    pbx = ReplayPBX(Script().attached().write(tmp_path)).start()

    def wait() -> None:
        try:
            pbx.wait_over(timeout=PATIENCE)
        except eps.ClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    pbx.close()
    pbx.close()
    thread.join(PATIENCE)
    assert len(errors) == 1 and not thread.is_alive()


def test_app_that_goes_in_the_middle(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "ATTACH_TIME", 0.2)
    path = Script().attached().call_through(3).write(tmp_path)
    with playing(path) as (pbx, client):
        client.attach(HW1)
        pbx.step(timeout=PATIENCE)
        client.close()
        wait_until(lambda: not pbx._stage.connections)
        assert pbx.step(timeout=PATIENCE) is None
        assert verdicts(pbx.result()) == [("setup", "forwarded")]


def test_app_that_connects_for_each_phone(tmp_path: pathlib.Path) -> None:
    path = Script().attached(HW1, HW2).call_through(3).call_through(3, hw=HW2).write(tmp_path)
    with ReplayPBX(path, speed=0, paused=True) as pbx, eps.connect(pbx.url, app="phones", password="pwd", per_device=True) as client:
        client.attach_many([HW1, HW2])
        finish(pbx)
        assert pbx.differences() == [] and len(verdicts(pbx.result())) == 10


def test_app_that_drops_every_message_comes_to_an_end(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "ANSWER_TIME", 0.1)
    script = Script().attached()
    for call in range(40):
        script.call_through(call)
    with playing(script.write(tmp_path)) as (pbx, client):
        client.attach(HW1, forward=False)
        finish(pbx)
        assert {verdict for _, verdict in verdicts(pbx.result())} == {"dropped"}


def test_last_message_is_waited_for(tmp_path: pathlib.Path) -> None:
    path = Script(gap=0.001).attached().pbx(3, "setup", cg={"num": "23"}).write(tmp_path)
    with playing(path, speed=1000, paused=False) as (pbx, client):
        client.intercept(Setup, lambda event: time.sleep(0.4), deadline=2)
        client.attach(HW1)
        pbx.wait_over(timeout=PATIENCE)
        assert pbx.differences() == []


def test_app_has_a_moment_after_the_attach(tmp_path: pathlib.Path) -> None:
    times: list[float] = []
    with playing(Script().attached().pbx(3, "setup").write(tmp_path), paused=False) as (pbx, client):
        client.on(Setup, lambda event: times.append(event.received_at))
        before = time.time()
        client.attach(HW1)
        pbx.wait_over(timeout=PATIENCE)
    assert times[0] - before > player.START_TIME * 0.9
