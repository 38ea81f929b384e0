"""The options that say where and how to log in, the client that is made of them, and errors that name them."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from ..client import Client
from ..errors import UsageError


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where and how to log in."""
    for option in reversed(
        [
            click.option("--url", envvar="EPSIGNAL_URL", show_envvar=True, help="The PBX: a host name, or wss://host/PBX0/APPS/websocket."),
            click.option("--app", envvar="EPSIGNAL_APP", show_envvar=True, default="", help="Name of the App object."),
            click.option("--sip", default="", help="Log in as this user, or with --app on behalf of this user."),
            click.option(
                "--password", envvar="EPSIGNAL_PASSWORD", show_envvar=True,
                help="Password of the App object or user. Other users of this machine can see an argument: better use the variable.",
            ),
            click.option("--ca-file", type=click.Path(), help="PEM file with the certificates to trust instead of the system's."),
            click.option("--fingerprint", help="SHA-256 of the PBX's certificate, checked instead of the chain."),
            click.option(
                "--client-certificate", type=click.Path(),
                help="PEM file with the certificate to show to a PBX that demands one, and its key.",
            ),
            click.option(
                "--client-key", type=click.Path(),
                help="PEM file with the key of --client-certificate, if that is a file of its own.",
            ),
            click.option("--no-verify", is_flag=True, help="Take any certificate: anybody in between can read along."),
            click.option("--timeout", type=float, default=10, show_default=True, help="Seconds for connecting, and for attaching."),
        ]
    ):
        command = option(command)
    return command


def client_maker(
    url: str | None,
    app: str,
    sip: str,
    password: str | None,
    ca_file: str | None,
    fingerprint: str | None,
    client_certificate: str | None,
    client_key: str | None,
    no_verify: bool,
    timeout: float,
) -> functools.partial[Client]:
    """Return what makes clients for the options, not yet connected; asks for the password on a terminal only."""
    if not url:
        raise UsageError("no PBX to connect to: give --url wss://host/PBX0/APPS/websocket, or set EPSIGNAL_URL")
    if not (app or sip):
        raise UsageError("nobody to log in as: give --app with the Name of the App object (or set EPSIGNAL_APP), or --sip with a user")
    if click.get_current_context().get_parameter_source("password") is ParameterSource.COMMANDLINE:
        click.echo("epsignal: other users of this machine can see the argument of --password: better set EPSIGNAL_PASSWORD", err=True)
    if password is None:
        if not sys.stdin.isatty():
            raise UsageError("no password: set EPSIGNAL_PASSWORD (nobody can be asked without a terminal)")
        password = str(click.prompt("Password", hide_input=True, err=True))
    return functools.partial(
        Client, url, app=app, sip=sip, password=password, ca_file=ca_file, fingerprint=fingerprint, verify=not no_verify,
        client_certificate=client_certificate, client_key=client_key, timeout=timeout,
    )  # fmt: skip


def make_client(*, reconnect: bool = True, **options: Any) -> Client:
    """Return a client for the options, not yet connected."""
    return client_maker(**options)(reconnect=reconnect)


def in_options(text: str) -> str:
    """Return an error's text with the options of the command line instead of the library's parameters."""
    text = re.sub(r"\b(fingerprint|ca_file|client_certificate|client_key)= ?", lambda found: f"--{found[1].replace('_', '-')} ", text)
    text = text.replace("connect() takes the password as password=", "the password is taken from EPSIGNAL_PASSWORD")
    return text.replace("verify=False", "--no-verify").replace("timeout=", "--timeout")
