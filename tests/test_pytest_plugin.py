"""The pytest plugin, as a stranger's test run finds it: each test runs pytest in a process and a directory of its own."""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import pathlib
import subprocess
import sys

from epsignal_sync.integrations.pytest_plugin import Phones
from epsignal_sync.simulator import SimulatedPBX

ROOT = pathlib.Path(__file__).parents[1]
SAMPLE = ROOT / "samples" / "test_my_app.py"
PLUGIN = "epsignal_sync.integrations.pytest_plugin"
PATIENCE = 100.0


def run(directory: pathlib.Path, *arguments: str, autoload: bool = False) -> tuple[int, str]:
    """Run pytest in a directory, with the checkout and the directory to import from; returns the exit code and the output."""
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "EPSIGNAL_", "COV_"))}
    variables["PYTHONPATH"] = os.pathsep.join((str(directory), str(ROOT)))
    # The plugins of others are of no interest here, and take seconds to load and to end on a busy machine.
    others = {point.name for point in importlib.metadata.entry_points(group="pytest11")} - {PLUGIN}
    unwanted = [f"-pno:{name}" for name in (*sorted(others), "cacheprovider")]
    if not autoload:
        variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "-q", *unwanted, *arguments]
    done = subprocess.run(
        command, cwd=directory, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=PATIENCE,
    )  # fmt: skip
    return done.returncode, done.stdout


def install_entry_point(directory: pathlib.Path) -> None:
    """Make the directory look as if the library were installed there, with the entry points that setup.cfg declares."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    info = directory / "stand_in-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stand-in\nVersion: 1\n", encoding="utf-8")
    declared = config["options.entry_points"].get("pytest11", "# none")
    (info / "entry_points.txt").write_text(f"[pytest11]\n{declared.strip()}\n", encoding="utf-8")


def test_sample(tmp_path: pathlib.Path) -> None:
    code, output = run(tmp_path, "-p", PLUGIN, str(SAMPLE))
    assert code == 0 and "2 passed" in output, output


def test_sample_finds_a_broken_app(tmp_path: pathlib.Path) -> None:
    text = SAMPLE.read_text(encoding="utf-8").replace(" and call.connected_at is None", "").replace("call.remote.num or", "not call and")
    (tmp_path / "test_broken.py").write_text(text.replace("timeout=5", "timeout=0.5"), encoding="utf-8")
    code, output = run(tmp_path, "-p", PLUGIN, "test_broken.py")
    assert code == 1 and "2 failed" in output, output


def test_three_lines_suffice_once_it_is_installed(tmp_path: pathlib.Path) -> None:
    install_entry_point(tmp_path)
    (tmp_path / "test_short.py").write_text(
        "def test_short(phones, epsignal_client):\n"
        "    epsignal_client.attach(phones[0].hw)\n"
        "    assert phones[1].call('22').wait('alert')\n",
        encoding="utf-8",
    )
    code, output = run(tmp_path, "test_short.py", autoload=True)
    assert code == 0 and "1 passed" in output, output


def test_fixtures_of_a_conftest_come_first(tmp_path: pathlib.Path) -> None:
    install_entry_point(tmp_path)
    (tmp_path / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef phones():\n    return 'mine'\n", encoding="utf-8")
    (tmp_path / "test_own.py").write_text(
        "def test_own(phones, epsignal_client, simulated_pbx):\n    assert phones == 'mine' and simulated_pbx.connections == 1\n",
        encoding="utf-8",
    )
    code, output = run(tmp_path, "test_own.py", "-p", PLUGIN, autoload=True)  # and named twice does no harm
    assert code == 0 and "1 passed" in output, output


def test_each_test_gets_its_own(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_fixtures.py").write_text(
        "import epsignal_sync as eps\n"
        "def test_first(phones, epsignal_client, simulated_pbx):\n"
        "    people = [(phone.number, phone.name, phone.sip, phone.registered) for phone in phones]\n"
        "    assert people == [('22', 'Alice', 'alice', True), ('23', 'Bob', 'bob', True)]\n"
        "    assert phones[0].hw == '0090334f1a2b'\n"
        "    assert epsignal_client.connected and simulated_pbx.connections == 1\n"
        "    assert not simulated_pbx.log.texts('from-app', mt='Attach')\n"
        "    epsignal_client.attach(phones[0].hw)\n"
        "def test_second(simulated_pbx):\n"
        "    assert simulated_pbx.connections == 0 and not simulated_pbx.log.entries()\n"
        "    with eps.connect(simulated_pbx.url, app='phones', password='secret'):\n"
        "        assert simulated_pbx.connections == 1\n",
        encoding="utf-8",
    )
    code, output = run(tmp_path, "-p", PLUGIN, "test_fixtures.py")
    assert code == 0 and "2 passed" in output, output


def test_nothing_is_left_of_a_test(tmp_path: pathlib.Path) -> None:
    """Neither of one that fails with a call going on, nor of one that closes everything itself."""
    (tmp_path / "test_ends.py").write_text(
        "import threading, time\n"
        "def test_failing(phones, epsignal_client):\n"
        "    epsignal_client.attach(phones[0].hw)\n"
        "    phones[1].call('22').wait('alert')\n"
        "    assert not phones\n"
        "def test_closing(epsignal_client, simulated_pbx):\n"
        "    simulated_pbx.close()\n"
        "    epsignal_client.close()\n"
        "def test_afterwards():\n"
        f"    end = time.monotonic() + {PATIENCE / 3}\n"
        "    while threading.active_count() > 1:\n"
        "        assert time.monotonic() < end, threading.enumerate()\n"
        "        time.sleep(0.01)\n",
        encoding="utf-8",
    )
    code, output = run(tmp_path, "-p", PLUGIN, "test_ends.py")
    assert "1 failed, 2 passed" in output and "assert not [" in output, output


def test_without_the_extra(tmp_path: pathlib.Path) -> None:
    """Whoever installed the library alone can run pytest all the same, and is told what a fixture needs."""
    (tmp_path / "no_websockets.py").write_text("import sys\nsys.modules['websockets'] = None\n", encoding="utf-8")
    (tmp_path / "test_two.py").write_text("def test_other():\n    pass\ndef test_pbx(simulated_pbx):\n    pass\n", encoding="utf-8")
    code, output = run(tmp_path, "-p", "no_websockets", "-p", PLUGIN, "test_two.py")
    assert code == 1 and "1 passed, 1 error" in output and "pip install epsignal-sync[simulator]" in output, output


def test_more_phones(pbx: SimulatedPBX) -> None:
    phones = Phones(pbx)
    for name in ("Alice", "Bob", "Carol"):
        assert phones.add(name) is phones[-1]
    assert [phone.number for phone in phones] == ["22", "23", "24"]
    assert all(phone.registered for phone in phones) and len({phone.hw for phone in phones}) == 3
    assert phones[0].call("24").wait("alert")
    assert phones[2].call_now is not None and phones[2].call_now.remote["dn"] == "Alice"
