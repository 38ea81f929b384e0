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

    Where, and as whom:

    * ``url``: ``wss://host/path``, or a bare host name for ``wss://host/PBX0/APPS/websocket``. A list names standby PBXs, which
      are tried in this order at each connect.
    * ``app``, ``sip``, ``password``: the login is to the App object of that name, as the user with that SIP name, or, with
      both, to the App object on behalf of the user. The password is that of the App object, where there is one.
    * ``domain``, ``guid``, ``dn``, ``info``: sent with the login as they are given; no floats in ``info``.
    * ``api``: the name under which the PBX hands out EpSignal.

    Times:

    * ``timeout``: for connect and login together; None: for ever.
    * ``keepalive``, ``ping_interval``: KeepAlive is sent after so long without a message, a ping after so long without a sign
      of life; None: never.
    * ``ping_timeout``: the connection counts as lost so long after a ping without an answer, or when the PBX takes no byte
      for that time.

    A connection that is lost is made again by itself, by the same settings, 1 s later and after failures up to 32 s later, and
    the devices are attached again; a refused login ends that.

    * ``reconnect``: False: a connection that is lost is the end.
    * ``reconnect_attempts``: how often in a row it is tried; None: for ever.
    * ``standby_time``: where all devices have been detached for so long, the next PBX of the list that accepts the login is
      moved to; None: never.
    * ``per_device``: opens one connection for each device, for a PBX where ``src`` does not tell devices apart.

    TLS:

    * ``verify``: False takes any certificate.
    * ``ca_file``: the certificates in this PEM file are trusted, instead of the system's.
    * ``fingerprint``: the SHA-256 of the certificate, in hex; it is checked instead of the chain.
    * ``client_certificate``, ``client_key``: PEM files, for a PBX that demands a client certificate. The key may not be
      encrypted; without ``client_key`` it is in the file of the certificate.

    The rest:

    * ``dispatcher``: where callbacks run, see ManualDispatcher; None: on a thread of their own.
    * ``max_message_size``: a larger message ends the connection.
    * ``max_outbox_size``: reading pauses while so much waits to be written.

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
