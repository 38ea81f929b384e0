"""The group that every command of ``epsignal`` belongs to, and how its help is laid out. Imports none of them."""

from __future__ import annotations

import click

from .. import __version__

SECTIONS = {
    "Look": ("monitor", "doctor", "ladder", "types"),
    "Do": ("dial", "call"),
    "Record": ("record", "replay", "diff"),
    "Try out": ("demo", "simulate", "verify"),
    "Set up": ("completion",),
}
"""Under which heading a command stands in the help."""


class SectionedGroup(click.Group):
    """A group whose help lists its commands by section."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands."""
        width = max(len(name) for name in self.commands)
        for heading, names in SECTIONS.items():
            there = [(name, self.commands[name]) for name in names if name in self.commands]
            if there:
                room = formatter.width - width - 6
                with formatter.section(heading):
                    # Of one width: each section would line up by itself.
                    formatter.write_dl([(f"{name:<{width}}", one.get_short_help_str(room)) for name, one in there])


@click.group(cls=SectionedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="epsignal")
def commands() -> None:
    """Watch the calls of innovaphone phones through the PBX's EpSignal API.

    \b
    First steps:
      epsignal demo                     three calls on a simulated PBX
      epsignal doctor pbx.example.com   is there a way to your PBX; if not, why
      epsignal monitor HW               the calls of your phone, as they happen

    epsignal COMMAND --help tells more of each, with an example. Where the PBX is, and what to log in with, is taken from
    EPSIGNAL_URL, EPSIGNAL_APP and EPSIGNAL_PASSWORD, or from options.
    """
