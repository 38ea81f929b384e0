"""What ``--help`` says: every command has a section and an example that is right, and all of it fits on a screen."""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess

import pytest

from epsignal_sync.cli import run as _run  # noqa: F401  # brings every command in
from epsignal_sync.cli.completion import SHELLS
from epsignal_sync.cli.group import SECTIONS, commands
from epsignal_sync.cli.run import run

from .running import PATIENCE, Running, environment
from .tmux import shim

NAMES = sorted(commands.commands)


def help_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*words, "--help"]) == 0
    return capsys.readouterr().out


def examples(name: str) -> list[str]:
    """Return the lines of the example in a command's help."""
    text = commands.commands[name].help or ""
    return [line.strip() for line in text.partition("Example:\n")[2].partition("\n\n")[0].strip().splitlines()]


def test_every_command_has_one_section() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert len(listed) == len(set(listed))
    assert set(NAMES) <= set(listed)


def test_the_first_page_says_how_to_begin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = help_of(capsys, monkeypatch)
    for heading, names in SECTIONS.items():
        section = text.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines()] == [name for name in names if name in NAMES]
    assert text.index("epsignal demo") < text.index("epsignal doctor") < text.index("epsignal monitor") < text.index("Options:")
    assert "..." not in text.partition("Look:")[2]  # no meaning is cut


@pytest.mark.parametrize("name", ["", *NAMES])
def test_help_fits_a_screen_of_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text = help_of(capsys, monkeypatch, *([name] if name else []))
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_an_example_that_can_be_typed(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.chdir(tmp_path)
    lines = examples(name)
    assert any(f"epsignal {name}" in line for line in lines)
    for line in lines:
        for found in re.findall(r"epsignal [^|>)]*", line):
            command, *arguments = shlex.split(found)[1:]
            commands.commands[command].make_context(command, arguments).close()  # raises click.UsageError for what cannot be


@pytest.mark.parametrize("line", [*examples("types"), *examples("simulate")[1:]])
def test_examples_that_need_no_pbx_run(line: str, tmp_path: pathlib.Path) -> None:
    path = f"{shim(tmp_path)}:{environment({})['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line], env=environment({"PATH": path}), cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_for_a_shell(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert run(["completion", shell]) == 0
    assert "_EPSIGNAL_COMPLETE=" in capsys.readouterr().out


def test_completion_for_the_shell_that_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert run(["completion"]) == 0
    assert capsys.readouterr().out.startswith("#compdef epsignal")
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert run(["completion"]) == 2
    assert "no completion for the shell 'tcsh': give one of bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, expected",
    [
        ("epsignal do", ["plain,doctor"]),
        ("epsignal demo --js", ["plain,--json"]),
        ("epsignal monitor --state dis", ["plain,disconnected", "plain,disconnecting"]),
        ("epsignal doctor --ca-file x", ["file,x"]),
        ("epsignal verify --report x", ["file,x"]),
        ("epsignal types CtIni", ["plain,CtInitiate", "plain,CtInitiateResult"]),
    ],
)
def test_what_is_completed(words: str, expected: list[str]) -> None:
    number = str(len(words.split()) - 1)
    with Running(variables={"_EPSIGNAL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number}) as epsignal:
        assert epsignal.end(0) == ""
        assert epsignal.output.splitlines() == expected
