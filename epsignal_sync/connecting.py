"""The one function that most programs begin with, and the explanation of every option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .client import Client
from .dispatcher import Dispatcher
from .options import MEBIBYTE


def connect(
    url: str | Sequence[str],
    *,
    app: str = "",
    password: str,
    sip: str = "",
    domain: str = "",
    guid: str = "",
    dn: str = "",
    info: Mapping[str, Any] | None = None,
    api: str = "EpSignal",
    timeout: float | None = 10,
    keepalive: float | None = 60,
    ping_interval: float | None = 20,
    ping_timeout: float = 10,
    reconnect: bool = True,
    reconnect_attempts: int | None = None,
    standby_time: float | None = 60,
    per_device: bool = False,
    verify: bool = True,
    ca_file: str | None = None,
    fingerprint: str | None = None,
    client_certificate: str | None = None,
    client_key: str | None = None,
    dispatcher: Dispatcher | None = None,
    max_message_size: int = 16 * MEBIBYTE,
    max_outbox_size: int = 16 * MEBIBYTE,
) -> Client:
    """Connect to a PBX and log in; returns the Client. Times in seconds, sizes in bytes.

    ``url``: ``wss://host/path``, or a bare host name for ``wss://host/PBX0/APPS/websocket``; a list of them names standby
    PBXs, which are tried in this order at each connect. The login is to an App
    object (``app``), as a user (``sip``), or to an App object on behalf of a user (both), with that one's
    ``password``; ``info`` is sent along. ``api`` is the name under which the PBX hands out EpSignal. ``timeout`` is
    for connect and login together. KeepAlive is sent after ``keepalive`` without a message, a ping after
    ``ping_interval`` without a sign of life, and the connection counts as lost ``ping_timeout`` later, or when
    the PBX takes no byte for that time; None for the first two turns them off. TLS: ``verify`` against the system's
    certificates or ``ca_file``; ``fingerprint`` (SHA-256, hex) is checked instead of the chain. To a PBX that demands a
    client certificate the one in the PEM file ``client_certificate`` is shown; its key, which may not be encrypted, is in
    the same file or in ``client_key``. ``dispatcher``: see ManualDispatcher. Reading pauses while ``max_outbox_size``
    waits to be written; a larger message than ``max_message_size`` ends the connection.

    A connection that is lost is made again by itself, by the same settings, 1 s later and after failures up to 32 s later, for
    ever or ``reconnect_attempts`` times in a row, and the devices are attached again; a refused login ends that, and so
    does ``reconnect`` False. Where all devices have been detached for ``standby_time``, the next PBX of the list that
    accepts the login is moved to; None: never. ``per_device`` opens one connection for each device, for a PBX where
    ``src`` does not tell devices apart.

    Blocks at most ``timeout`` seconds. Raises UsageError, ConnectError (ConnectTimeout in time-outs), LoginError with
    the PBX's reason; nothing is left behind then. Any thread.
    """
    client = Client(
        url,
        app=app,
        password=password,
        sip=sip,
        domain=domain,
        guid=guid,
        dn=dn,
        info=info,
        api=api,
        timeout=timeout,
        keepalive=keepalive,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        reconnect=reconnect,
        reconnect_attempts=reconnect_attempts,
        standby_time=standby_time,
        per_device=per_device,
        verify=verify,
        ca_file=ca_file,
        fingerprint=fingerprint,
        client_certificate=client_certificate,
        client_key=client_key,
        dispatcher=dispatcher,
        max_message_size=max_message_size,
        max_outbox_size=max_outbox_size,
    )
    client.connect()
    return client
