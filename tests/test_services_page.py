"""What docs/services.md says is so: its programs run as they stand, and what starts them names what they use."""

from __future__ import annotations

import configparser
import pathlib
import re
import shlex
import signal
import socket

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from .conftest import HW2
from .pages import Page, declared_extras
from .test_samples import PATIENCE, finish, line_of

PAGE = Page("services.md")
Phones = tuple[SimulatedPhone, SimulatedPhone]


def test_service_under_systemd(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    (tmp_path / "epsignal").write_text("pwd\n", encoding="utf-8")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(PATIENCE)
        systemd.bind(str(tmp_path / "notify"))
        variables = dict(NOTIFY_SOCKET=str(tmp_path / "notify"), CREDENTIALS_DIRECTORY=str(tmp_path), EPSIGNAL_URL=pbx.url)
        with PAGE.running("The program", tmp_path, ("time.sleep(3)", "time.sleep(0.02)"), **variables) as process:
            assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            assert pbx.connections == 1
            pbx.close()
            assert {systemd.recv(100) for _ in range(50)} == {b"WATCHDOG=1"}  # more than were under way: it is alive all the while
            process.send_signal(signal.SIGTERM)
            code, output, errors = finish(process)
            assert (code, output) == (0, "") and "Traceback" not in errors and "Warning:" not in errors
        with PAGE.running("The program", tmp_path, **{**variables, "NOTIFY_SOCKET": "@"}) as process:  # there is nobody to tell
            assert finish(process)[0] == 1


def test_unit() -> None:
    text, program = PAGE.block("systemd", "ini"), PAGE.block("The program")
    unit = configparser.ConfigParser(strict=True, interpolation=None, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    service = unit["Service"]
    assert unit.sections() == ["Unit", "Service", "Install"] and service["Type"] == "notify"
    assert service["LoadCredential"].split(":")[0] == "epsignal" and '"CREDENTIALS_DIRECTORY"], "epsignal"' in program
    name, _, url = service["Environment"].partition("=")
    assert f'os.environ["{name}"]' in program and url.startswith("wss://")
    command = shlex.split(service["ExecStart"])
    assert f"`{command[-1]}`" in PAGE.text and not any("password" in word.lower() for word in command)
    (interval,) = re.findall(r"time\.sleep\((\d+)\)", program)
    assert int(service["WatchdogSec"]) >= 3 * int(interval)
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} == {*service["RestrictAddressFamilies"].split()}


def test_container() -> None:
    """There is no container here, so what it is made of is looked at: the program, its password and its user."""
    recipe, command = PAGE.block("Containers", "dockerfile"), shlex.split(PAGE.block("Containers", "sh"))
    program = "/opt/phones/phones.py"
    assert f"`{program}`" in PAGE.section("The program") and f"COPY phones.py {program}\n" in recipe
    assert f'CMD ["python", "-I", "{program}"]' in recipe and "STOPSIGNAL SIGTERM" in recipe
    (extras,) = re.findall(r"epsignal_sync\[(.*?)\]", recipe)
    assert set(extras.split(",")) <= declared_extras()
    (directory,) = re.findall(r"^ENV CREDENTIALS_DIRECTORY=(.*)$", recipe, re.MULTILINE)
    assert command[command.index("--volume") + 1].split(":")[1:] == [f"{directory}/epsignal", "ro"]
    name, _, url = command[command.index("--env") + 1].partition("=")
    assert f'os.environ["{name}"]' in PAGE.block("The program") and url.startswith("wss://")


def test_client_for_each_pbx(pbx: SimulatedPBX, phones: Phones, tmp_path: pathlib.Path) -> None:
    with SimulatedPBX() as slave:
        slave.add_app("phones", password="secret")
        carol = slave.add_phone(HW2, number="24", sip="carol", name="Carol")
        pbx.add_app("phones", password="secret")
        urls = [(f'"wss://{name}.example.com/PBX0/APPS/websocket"', repr(one.url)) for name, one in (("master", pbx), ("slave", slave))]
        with PAGE.running("One client for each PBX", tmp_path, *urls, ("time.sleep(3)", "time.sleep(0.02)")) as process:
            for one, phone in ((pbx, phones[0]), (slave, carol)):
                one.wait_for(lambda log, phone=phone: log.texts("to-app", phone.hw, mt="Attached"), timeout=PATIENCE)  # type: ignore[misc]
                phone.call("99").wait("null", timeout=PATIENCE)
                assert line_of(process) == f"{phone.hw} 99"
            slave.add_app("phones", password="changed")
            slave.drop_connections()  # a login that is refused is the end of one client, and so of the program
            code, output, errors = finish(process)
            assert (code, output) == (1, "") and errors.splitlines()[-1].startswith("epsignal_sync.errors.LoginError: ")
