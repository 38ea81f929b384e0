"""What docs/prepare-the-pbx.md says of mistakes is so: each is made, and ends with the sentence on the page."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable

import pytest

import epsignal_sync as eps
from epsignal_sync import attaching
from epsignal_sync.cli.run import run
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, wait_until
from .pages import Page, stable

PAGE = Page("prepare-the-pbx.md")
MISTAKES = "What each mistake looks like"
Phones = tuple[SimulatedPhone, SimulatedPhone]


def nothing(pbx: SimulatedPBX) -> None:
    """The command line itself is the mistake."""


def another_password(pbx: SimulatedPBX) -> None:
    pbx.add_app("phones", password="another")


def another_password_and_no_answer(pbx: SimulatedPBX) -> None:
    another_password(pbx)
    pbx.login_refusal = "close"


def not_granted(pbx: SimulatedPBX) -> None:
    pbx.add_app("phones", password="secret", epsignal=False)


def not_granted_and_said(pbx: SimulatedPBX) -> None:
    pbx.add_app("phones", password="secret", epsignal=False, answer_unticked=True)


PREPARATIONS: list[Callable[[SimulatedPBX], None]] = [
    nothing, another_password, another_password_and_no_answer, not_granted, not_granted_and_said, *[nothing] * 5,
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(PREPARATIONS)))
def test_mistake(
    number: int, pbx: SimulatedPBX, phones: Phones, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = PAGE.steps(MISTAKES)
    assert len(steps) == len(PREPARATIONS)
    command, output = steps[number]
    pbx.add_app("phones", password="secret")
    pbx.add_user("bob", password="secret")
    PREPARATIONS[number](pbx)
    monkeypatch.setenv("EPSIGNAL_PASSWORD", "secret")
    for place, here in (("wss://pbx.example.com/", pbx.url.partition("PBX0")[0]), ("https://pbx.example.com/", "https://pbx.example.com/")):
        command = command.replace(place, here)
    if PREPARATIONS[number] is not_granted:  # not in the command, which connects within the same time
        with eps.connect(pbx.url, app="phones", password="secret") as client, pytest.raises(eps.ReplyTimeout) as silence:
            client.attach(HW1, timeout=0.1)
        said, code = f"epsignal: {silence.value}".replace("within 0.1 s", "within 10.0 s"), 1
    else:
        code = run(shlex.split(command)[1:])
        said = capsys.readouterr().err
    assert stable(said) == stable(" ".join(output).replace("pbx.example.com:443", "127.0.0.1:1"))
    assert code == (2 if "https:" in command else 1)


def warning_of(page_block: int, log: pytest.LogCaptureFixture) -> None:
    expected = stable(PAGE.blocks("text", MISTAKES)[page_block]).replace("5 s ", "0.05 s ")
    wait_until(lambda: expected in [record.getMessage() for record in log.records])


def test_phone_that_is_not_registered(
    pbx: SimulatedPBX, phones: Phones, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert attaching.ATTACHED_TIME == 5 and attaching.ATTACH_AGAIN_TIME == 60
    monkeypatch.setattr(attaching, "ATTACHED_TIME", 0.05)
    phones[0].unregister()
    with caplog.at_level(logging.WARNING), eps.connect(pbx.url, app="phones", password="pwd") as client:
        assert not client.attach(HW1).attached
        warning_of(0, caplog)


@pytest.mark.usefixtures("quick_attempts")
def test_pbx_that_does_not_answer_after_a_reconnect(
    pbx: SimulatedPBX, phones: Phones, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attaching, "ATTACHED_TIME", 0.05)
    with caplog.at_level(logging.WARNING), eps.connect(pbx.url, app="phones", password="pwd") as client:
        client.attach(HW1).wait_attached()
        pbx.add_app("phones", password="pwd", epsignal=False)
        pbx.drop_connections()
        warning_of(1, caplog)


def test_doctor(pbx: SimulatedPBX, phones: Phones, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pbx.add_app("demo", password="demo")
    monkeypatch.setenv("EPSIGNAL_PASSWORD", "demo")
    (step,) = PAGE.steps("6. Try it")
    command = step.command.replace("ws://127.0.0.1:8080/", pbx.url.partition("PBX0")[0])
    assert run(shlex.split(command)[1:]) == 0
    assert stable(capsys.readouterr().out) == stable("\n".join(step.output))


def test_who_may_attach_to_what(pbx: SimulatedPBX, phones: Phones) -> None:
    pbx.add_user("bob", password="of bob")
    for app, password in (("", "of bob"), ("phones", "pwd")):
        with eps.connect(pbx.url, app=app, sip="bob", password=password) as client:
            client.attach(phones[1].hw).wait_attached()
            with pytest.raises(eps.AttachError):
                client.attach(HW1)
