"""The command line on a real terminal, in tmux: what somebody sees on a screen of 80 columns and 24 rows, and the tab key."""

from __future__ import annotations

import pathlib
import socket
import ssl

import trustme

from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, wait_until
from .running import PASSWORD
from .tmux import Screen

Phones = tuple[SimulatedPhone, SimulatedPhone]


def login(pbx: SimulatedPBX) -> dict[str, str]:
    pbx.add_app("monitor", password=PASSWORD)
    return {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": "monitor", "EPSIGNAL_PASSWORD": PASSWORD}


def test_doctor_fits_a_screen(tmp_path: pathlib.Path, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with SimulatedPBX(host="localhost", ssl_context=context) as pbx, Screen(tmp_path, f"epsignal doctor {pbx.url}") as screen:
        lines = screen.wait_for("epsignal: TLS failed")
    assert "✓ ok       name        localhost is " in lines[0]
    assert sum(line.startswith("  --fingerprint ") and len(line) == 80 for line in lines) == 1
    assert [line.split() for line in lines if "not reached" in line][-1] == ["attach", "not", "reached"]


def test_ctrl_c_ends_doctor(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = f"epsignal doctor 127.0.0.1:{silent.getsockname()[1]} --timeout 600"
        with Screen(tmp_path, command) as screen:
            screen.wait_for("TLS ...")
            screen.type("C-c")
            lines = screen.wait_for("Ctrl-C ended it")
    assert [line.strip() for line in lines if "not finished" in line] == ["TLS         not finished"]
    assert not any("TLS ..." in line for line in lines)


def test_a_live_table_leaves_out_what_does_not_fit_any_more(tmp_path: pathlib.Path, pbx: SimulatedPBX, phones: Phones) -> None:
    alice, bob = phones
    with Screen(tmp_path, f"epsignal monitor {HW1} --state alert", variables=login(pbx)) as screen:
        pbx.wait_for(lambda log: log.texts("to-app", HW1, mt="Attached"), timeout=20)
        call = alice.call("23")
        bob.wait("alert")
        ringing = screen.wait_for("Bob (23)", "-e")
        assert any("\x1b[33m" in line and "alert" in line for line in ringing)  # yellow
        bob.answer()
        call.wait("connected")
        assert call.state == "connected"
        wait_until(lambda: not any("Bob" in line for line in screen.lines()))
        assert screen.lines()[0].startswith("Calls (Ctrl-C ends this")
        screen.type("C-c")
        screen.wait_end()


def test_tab_completes_in_bash(tmp_path: pathlib.Path) -> None:
    with Screen(tmp_path, "bash --norc --noprofile") as screen:
        # Put together, so that what is typed is not what is waited for.
        screen.type("source <(epsignal completion bash); PS1=now; PS1+=ready:", "Enter")
        screen.wait_for("nowready:")
        screen.type("epsignal mon", "Tab")
        screen.wait_for("nowready:epsignal monitor")
        screen.type("--stat", "Tab")
        screen.wait_for("monitor --state")
        screen.type("conn", "Tab")
        screen.wait_for("monitor --state connected")
