"""The group that every command of ``epsignal`` belongs to. Knows none of them."""

from __future__ import annotations

import click

from .. import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="epsignal")
def commands() -> None:
    """Watch the calls of innovaphone phones through the PBX's EpSignal API."""
