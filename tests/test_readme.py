"""What the README says is so: its program runs, its options and files exist, its commands are one line each."""

from __future__ import annotations

import pathlib
import re
import signal
import textwrap
import threading

import click
import pytest

import epsignal_sync as eps
from epsignal_sync.cli import run as _run  # noqa: F401  # brings every command in
from epsignal_sync.cli.group import commands
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW1, PATIENCE, wait_until
from .peer import Peer
from .test_samples import STEPS, assert_shown, call_and_hang_up, finish, start, wait_until_it_prints

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def first_program(url: str, app: str, password: str, hw: str) -> str:
    """Return the README's program with other values in the places of its own."""
    program = blocks("python")[0]
    own = ('"wss://pbx.example.com/PBX0/APPS/websocket"', '"phones"', '"secret"', '"0090334f1a2b"')
    for place, value in zip(own, (url, app, password, hw), strict=True):
        assert program.count(place) == 1
        program = program.replace(place, value)
    return program


def test_program_is_the_sample() -> None:
    sample = (ROOT / "samples" / "watch_phone.py").read_text(encoding="utf-8").replace(", reconnect=reconnect)", ")")
    imported, body = first_program("url", "app", "password", "hw").split("\n\n", 1)
    assert f"\n{imported}\n" in sample
    # The sample passes app by its name, too: only the values differ.
    assert textwrap.indent(body, "    ") in sample


def test_program_has_about_ten_lines() -> None:
    assert len([line for line in blocks("python")[0].splitlines() if line]) <= 10


def test_program_runs(pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone]) -> None:
    process = start("-c", first_program(repr(pbx.url), '"phones"', '"pwd"', repr(HW1)))
    assert process.stdout is not None
    try:
        wait_until_it_prints(process, pbx, phones)
        call_and_hang_up(pbx, phones)
        assert_shown([process.stdout.readline().rstrip() for _ in STEPS])
    finally:
        process.send_signal(signal.SIGINT)
        _, output, errors = finish(process)
    assert output == "" and errors.rstrip().endswith("KeyboardInterrupt")


def test_callback_for_messages(
    pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone], client: eps.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    phone = client.attach(HW1)
    exec(blocks("python")[1], {"phone": phone, "eps": eps})
    call_and_hang_up(pbx, phones)
    client.close()  # what came before is still delivered
    output = capsys.readouterr().out
    assert "from the phone EP(" in output and '"type":"setup"' in output


def test_callback_for_a_facility(peer: Peer, peer_client: eps.Client, capsys: pytest.CaptureFixture[str]) -> None:
    phone = peer.attach(peer_client)
    exec(blocks("python")[2], {"phone": phone, "eps": eps})
    peer.send(peer.signaling(3, {"type": "facility", "fty": [{"type": "ct_complete", "remote_name": "Carol", "remote": {"num": "24"}}]}))
    assert peer.receive()["call"] == 3
    peer_client.close()
    assert capsys.readouterr().out == "now connected to Carol EP(num='24')\n"


def test_ended_call(peer: Peer, peer_client: eps.Client, capsys: pytest.CaptureFixture[str]) -> None:
    phone = peer.attach(peer_client)
    exec(blocks("python")[3], {"phone": phone, "eps": eps})
    for number, channel in ((3, -1), (4, 0)):
        peer.send(peer.signaling(number, {"type": "setup", "cg": {"num": "23"}, "channel": channel}, to=True))
        peer.send(peer.signaling(number, {"type": "rel", "cau": {"num": 17}}, to=True))
        for _ in range(2):
            assert peer.receive()["call"] == number
    peer_client.close()
    assert capsys.readouterr().out == "from 23 ended by pbx User busy\n"


def test_interceptors(peer: Peer, peer_client: eps.Client) -> None:
    phone = peer.attach(peer_client)
    exec(blocks("python")[4], {"phone": phone, "eps": eps})
    peer.send(peer.signaling(3, {"type": "setup", "cd": {"num": "12345"}}))
    assert peer.receive()["sig"]["cd"] == {"num": "012345"}
    peer.send(peer.signaling(4, {"type": "setup", "cd": {"num": "22"}}))
    assert peer.receive()["sig"]["cd"] == {"num": "22"}
    peer.send(peer.signaling(5, {"type": "setup", "cg": {"num": "09001234"}}, to=True))
    assert peer.receive() == peer.signaling(5, {"type": "rel", "cau": {"num": 21}})


@pytest.mark.parametrize("answer, shown", [("conn", "connected"), ("rel", "not taken: Cause(num=17)")])
def test_call_to_the_phone(peer: Peer, peer_client: eps.Client, capsys: pytest.CaptureFixture[str], answer: str, shown: str) -> None:
    phone = peer.attach(peer_client)

    def answers() -> None:
        setup = peer.receive()
        assert setup["to"] is True and setup["sig"]["cg"] == {"num": "22"} and setup["sig"]["complete"] is True
        peer.send(peer.signaling(setup["call"], {"type": answer, "cau": {"num": 17}}))

    server = threading.Thread(target=answers)
    server.start()
    exec(blocks("python")[5], {"phone": phone, "eps": eps})
    server.join(PATIENCE)
    assert capsys.readouterr().out == f"{shown}\n"


def test_services(pbx: SimulatedPBX, phones: tuple[SimulatedPhone, SimulatedPhone], client: eps.Client) -> None:
    phone = client.attach(HW1)
    phone.wait_attached(timeout=PATIENCE)
    carol = pbx.add_phone("0090334f1a2d", number="24", sip="carol", name="Carol")
    call = phones[1].call("22")
    phones[0].wait("alert", timeout=PATIENCE)
    phones[0].answer()
    wait_until(lambda: any(one.state == "connected" for one in phone.media_calls.values()))
    exec(blocks("python")[6], {"phone": phone})
    carol.wait("alert", timeout=PATIENCE)
    assert pbx.wait_for(lambda log: any("back at three" in text for text in log.texts("from-app", HW1, mt="Signaling")))
    assert not call.ended



@pytest.mark.parametrize("end", ["-m pytest", "epsignal demo"])
def test_command_is_one_line(end: str) -> None:
    found = [line for block in blocks("sh") for line in block.splitlines() if line.endswith(end)]
    assert len(found) == 1 and found[0].startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert [block for block in blocks("sh") if found[0] in block] == [found[0] + "\n"]


def test_every_option_of_the_command_line_is_named() -> None:
    named = set(re.findall(r"--[a-z-]+", README.partition("## Command line")[2].partition("\n## ")[0]))
    monitor = commands.commands["monitor"]
    options = [one for command in commands.commands.values() for one in command.params if isinstance(one, click.Option)]
    assert named == {name for one in options for name in one.opts}
    for name in commands.commands:
        assert f"epsignal {name}" in README
    variables = {one.envvar for one in monitor.params if one.envvar}
    assert variables == set(re.findall(r"EPSIGNAL_[A-Z]+", README))


def test_every_name_of_the_library_exists() -> None:
    for name in re.findall(r"\beps\.([A-Za-z_]+)", README):
        assert hasattr(eps, name), name


def test_every_file_exists() -> None:
    for name in re.findall(r"`([\w/]+\.(?:py|md)|LICENSE)`", README):
        assert (ROOT / name).is_file(), name
