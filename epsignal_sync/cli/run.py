"""How a command line is run, and how errors end it: one sentence, no traceback."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from typing import NoReturn

import click

from ..errors import EpSignalError, UsageError
from . import commands as _commands  # noqa: F401  # the modules of the commands register them when they are imported
from . import diff as _diff  # noqa: F401
from . import doctor as _doctor  # noqa: F401
from . import ladder as _ladder  # noqa: F401
from . import replay as _replay  # noqa: F401
from .completion import answer_shell
from .group import commands
from .login import in_options
from .outputs import plain

FAILURE = 1
WRONG_CALL = 2
FLUSH_TIME = 1.0
"""Seconds that the reader of our output has, after Ctrl-C, to take what is left of it."""


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code. Blocks until its output is taken, or Ctrl-C."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold what the terminal's encoding cannot show
    code = 0
    try:
        code = _run(arguments)
        _flush()
    except (KeyboardInterrupt, click.Abort):
        return code  # Ctrl-C is the wanted end of a monitor
    except OSError as error:
        _drop_output()  # the library lets no OSError out, so it is the output
        if isinstance(error, BrokenPipeError):
            return 0  # whoever read our output has gone, `| head` for example
        click.echo(f"epsignal: the output could not be written ({error.strerror}): check where it goes", err=True)
        return FAILURE
    return code


def leave(code: int) -> NoReturn:
    """End the process, also where nobody reads what a thread, or what is left in a buffer, still has to write.

    Python itself would wait for a reader without end, or abort where it is a thread that writes.
    """
    flushing = threading.Thread(target=_flush_or_drop, name="epsignal-flush", daemon=True)
    with contextlib.suppress(KeyboardInterrupt):  # somebody does not want to wait
        flushing.start()
        flushing.join(FLUSH_TIME)
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        if (answered := answer_shell()) is not None:
            return answered
        # Not commands.main(), which takes a reader that has gone for a failure.
        with commands.make_context("epsignal", sys.argv[1:] if arguments is None else arguments) as context:
            commands.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except EpSignalError as error:
        click.echo(f"epsignal: {plain(in_options(str(error)))}", err=True)
        return WRONG_CALL if isinstance(error, UsageError) else FAILURE
    return 0


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _flush_or_drop() -> None:
    try:
        _flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    """Have nothing written any more, at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
