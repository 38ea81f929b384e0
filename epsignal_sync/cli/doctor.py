"""``epsignal doctor``: where on the way to a PBX and its phone it goes wrong."""

from __future__ import annotations

import logging
from typing import Any

import click
from click.core import ParameterSource

from ..client import Client
from ..errors import EpSignalError, UsageError
from ..options import check_times
from ..relay.endpoint import TLSSettings, parse_url
from .checkup import Checkup
from .checkup_screen import CheckupScreen
from .group import commands
from .login import client_maker, connection_options


@commands.command()
@click.argument("pbx", metavar="[URL]", required=False)
@click.option("--hw", default="", metavar="HW", help="The phone to attach to for a moment; without: no phone is touched.")
@connection_options
def doctor(pbx: str | None, hw: str, **options: Any) -> None:
    """Find out why there is no connection to a PBX, step by step.

    The steps: the name, TCP, TLS with its certificate (and the --fingerprint to pin it), the websocket, a round trip, the
    login, whether EpSignal is granted, and the phone. Each is one line, with what to try next where it fails; --timeout is for
    each of them. URL is what --url takes: a host name is enough.

    Without --app or --sip it ends before the login. With --hw it attaches to that phone, and lets it go at once by closing the
    connection: its calls pass through here meanwhile, unchanged.

    Exit code: 0 if no step failed, 1 if one did, 2 for a wrong command line.

    \b
    Example:
      epsignal doctor pbx.example.com
      epsignal doctor pbx.example.com --app phones --hw 0090334f1a2b
    """
    options["url"] = _one_url(pbx, options["url"])
    checkup = _checkup(hw, options)
    screen = CheckupScreen()
    # What the library warns of stands in the results, where it belongs.
    logging.getLogger("epsignal_sync").addHandler(logging.NullHandler())
    try:
        failed = checkup.run(screen.show, screen.working)
    except KeyboardInterrupt:
        raise EpSignalError("the examination is not complete: Ctrl-C ended it") from None
    finally:
        checkup.close()
    if failed:
        raise EpSignalError(f"{' and '.join(failed)} failed: the line with 'try' says what to do next")


def _one_url(argument: str | None, option: str | None) -> str:
    given = click.get_current_context().get_parameter_source("url") is ParameterSource.COMMANDLINE
    if argument and given:
        raise UsageError("there are two URLs, as an argument and with --url: give one of them")
    url = argument or option
    if not url:
        raise UsageError("no PBX to examine: give its host name or URL, or set EPSIGNAL_URL")
    return url


def _checkup(hw: str, options: dict[str, Any]) -> Checkup:
    """Return the examination for the options; all of them are judged before it begins."""
    endpoint = parse_url(options["url"])
    check_times(timeout=options["timeout"])
    client: Client | None = None
    if options["app"] or options["sip"]:
        client = client_maker(**options)(reconnect=False)
    elif hw:
        raise UsageError("--hw needs a login: give --app with the Name of the App object (or set EPSIGNAL_APP), or --sip with a user")
    names = ("ca_file", "fingerprint", "client_certificate", "client_key")
    tls = TLSSettings(verify=not options["no_verify"], **{name: options[name] for name in names})
    return Checkup(endpoint, tls, options["timeout"], client, hw)
