"""How a command line is run, and how errors end it: one sentence, no traceback."""

from __future__ import annotations

import io
import os
import sys

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


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold what the terminal's encoding cannot show
    try:
        if (answered := answer_shell()) is not None:
            return answered
        # Not commands.main(), which takes a reader that has gone for a failure.
        with commands.make_context("epsignal", sys.argv[1:] if arguments is None else arguments) as context:
            commands.invoke(context)
    except (KeyboardInterrupt, click.Abort):
        return 0  # the wanted end of a monitor
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except EpSignalError as error:
        click.echo(f"epsignal: {plain(in_options(str(error)))}", err=True)
        return WRONG_CALL if isinstance(error, UsageError) else FAILURE
    except OSError as error:
        # The library lets none out, so it is the output. Nothing may be written to it at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 0  # whoever read our output has gone, `| head` for example
        click.echo(f"epsignal: the output could not be written ({error.strerror}): check where it goes", err=True)
        return FAILURE
    return 0
