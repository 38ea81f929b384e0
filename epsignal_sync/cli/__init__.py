"""The command ``epsignal``. Needs the extra ``cli``; this module is what runs without it, too."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with 0 for success, 1 for a failure, 2 for a wrong call, 130 for Ctrl-C before it began."""
    try:
        try:
            import click  # noqa: F401  # only to see whether the extra is there
            import rich  # noqa: F401
        except ImportError as error:
            sys.exit(f"epsignal: the command line needs {error.name}: pip install 'epsignal-sync[cli]'")
        from .run import leave, run
    except KeyboardInterrupt:
        sys.exit(130)  # all these modules take a moment, and nothing has begun that Ctrl-C would be the wanted end of
    leave(run())
