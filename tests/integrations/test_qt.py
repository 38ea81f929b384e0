"""QtDispatcher with both bindings. What is checked stands in qt_checks.py, which runs in a process of its own: two bindings, or an
application that was destroyed, cannot share one."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PATIENCE = 110.0
"""Seconds; the process ends itself before."""


def environment(**variables: str) -> dict[str, str]:
    """Return that of a program without a display, which uses this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen", "PYTHONIOENCODING": "utf-8", **variables}


def run_python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # Warnings are errors there, too: a socket that nobody closes, for example.
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], env=environment(**variables), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        encoding="utf-8", timeout=PATIENCE,
    )  # fmt: skip


def run_checks(binding: str, group: str) -> list[str]:
    """Run the checks of a group and return the names of those that held: all, or this fails."""
    done = run_python("-m", "tests.integrations.qt_checks", binding, group)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("binding", ["PySide6", "PyQt6"])
def test_application_that_goes_on(binding: str) -> None:
    assert run_checks(binding, "living") == [
        "no_descriptor_is_left",
        "object_collected_in_another_thread",
        "object_collected_in_another_thread_while_the_client_lives",
        "collector_in_another_thread_all_the_time",
        "callbacks_run_on_the_gui_thread_in_order",
        "nothing_runs_before_the_loop",
        "callback_that_raises_is_reported_and_the_next_runs",
        "function_of_a_worker_that_raises",
        "ctrl_c_in_a_callback_ends_the_loop",
        "input_and_painting_go_on_while_callbacks_keep_coming",
        "loop_inside_a_callback",
        "client_is_closed_in_a_callback_and_on_the_gui_thread",
        "freeze_does_not_delay_the_phone",
        "window_destroyed_by_a_callback",
        "window_destroyed_while_callbacks_are_on_their_way",
        "windows_come_and_go_under_callbacks",
        "objects_that_do_not_do",
    ]


@pytest.mark.parametrize("binding", ["PySide6", "PyQt6"])
def test_application_destroyed_with_the_client_open(binding: str) -> None:
    assert run_checks(binding, "ended") == ["application_is_destroyed_with_the_client_open", "application_is_made_again"]


@pytest.mark.parametrize("binding", ["PySide6", "PyQt6"])
def test_program_ends_with_the_client_open(binding: str) -> None:
    assert run_checks(binding, "left_open") == ["program_ends_with_the_client_open"]


@pytest.mark.parametrize("binding", ["PySide6", "PyQt6"])
def test_program_without_windows(binding: str) -> None:
    assert run_checks(binding, "without_application") == ["object_without_an_application", "program_without_windows"]


def test_nothing_of_qt_is_imported_and_neither_binding_installed() -> None:
    program = """
import sys
import epsignal_sync as eps
from epsignal_sync.integrations import QtDispatcher
assert not {"PySide6", "PyQt6", "shiboken6"} & {*sys.modules}, "imported"
sys.modules["PySide6"] = sys.modules["PyQt6"] = None
try:
    QtDispatcher("app")
except eps.UsageError as error:
    print(error)
"""
    done = run_python("-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert "neither is installed" in done.stdout and "'epsignal-sync[qt]'" in done.stdout
