"""Clients that are remembered, so that a cell that is run again connects no second time. Knows nothing of what callbacks print."""

from __future__ import annotations

import atexit
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, ParamSpec

from attrs import field, frozen

from .. import connecting
from ..client import Client
from ..errors import UsageError
from ..intake import ConnectionState
from ..options import endpoints_of, login_options
from ..protocol.digest import info_text
from ..relay.endpoint import Endpoint
from .cells import NotebookCells, current_cell
from .showing import show_log

P = ParamSpec("P")

LOGIN = ("app", "sip", "domain", "guid", "dn", "info")
"""Together with the URL they say which client is meant."""
UNCOMPARED = ("timeout", "dispatcher")
"""The one matters no more once there is a connection; the other is another object each time that a cell makes it."""


@frozen
class _Key:
    """Which client is meant: where to, and as whom."""

    endpoints: tuple[Endpoint, ...]
    login: tuple[str | None, ...]


@frozen
class _Remembered:
    client: Client
    options: dict[str, Any] = field(repr=False)
    """Those that have to be the same where the client is asked for again; the password is among them."""


_clients: dict[_Key, _Remembered] = {}
_clients_lock = threading.Lock()


def _like(original: Callable[P, Client]) -> Callable[[Callable[..., Client]], Callable[P, Client]]:
    """Give a function the parameters of another one, for help, completion and type checkers."""

    def with_signature(function: Callable[..., Client]) -> Callable[P, Client]:
        @functools.wraps(function)
        def checked(*args: P.args, **options: P.kwargs) -> Client:
            bound = signature.bind(*args, **options)
            bound.apply_defaults()
            return function(**bound.arguments)

        checked.__signature__ = signature  # type: ignore[attr-defined]  # inspect looks for it
        return checked

    signature = inspect.signature(original)
    return with_signature


@_like(connecting.connect)
def connect(**options: Any) -> Client:
    """Connect to a PBX and log in, or return the client that does so already: a cell may be run again.

    The parameters are those of :func:`epsignal_sync.connect`. A client is remembered by the URL and by who logs in (``app``,
    ``sip``, ``domain``, ``guid``, ``dn``, ``info``). As long as it is open, also while its connection is being made again, it is
    returned; the other options have to be the same then, but for ``timeout`` and ``dispatcher``, which count at the first
    time only. One that was closed, or whose connection has ended for good, is replaced by a new one.

    A callback or interceptor that is registered on it, its devices or their calls takes the place of those of the same kind,
    scope and qualified name from an earlier run of that cell or of another one. What callbacks print, and what they raise, is
    shown below the cell that registered them. Where the kernel ends or is restarted, the client is closed.

    Blocks at most ``timeout`` seconds. Raises what :func:`epsignal_sync.connect` raises, and UsageError where the client is
    open with other options. Any thread; outside of Jupyter, too.
    """
    key, compared = _key(options), {name: value for name, value in options.items() if name not in (*LOGIN, *UNCOMPARED, "url")}
    if current_cell() is not None:
        show_log()
    with _clients_lock:
        known = _clients.get(key)
    if known is not None:
        if known.client.state is not ConnectionState.CLOSED:
            return _checked(known, compared)
        known.client.close()  # one that has ended by itself still has its threads
    client = connecting.connect(**options)
    client._registry.cells = NotebookCells()
    with _clients_lock:
        other = _clients.get(key)
        if other is None or other.client.state is ConnectionState.CLOSED:
            _clients[key] = _Remembered(client, compared)
            return client
    client.close()  # another thread was quicker
    return _checked(other, compared)


def _key(options: dict[str, Any]) -> _Key:
    """Return which client is meant. Raises UsageError."""
    login = {name: options[name] for name in LOGIN}
    login_options(password=options["password"], **login)
    login["info"] = None if login["info"] is None else info_text(login["info"])
    return _Key(endpoints_of(options["url"]), tuple(login.values()))


def _checked(known: _Remembered, options: dict[str, Any]) -> Client:
    """Return the client that is open. Raises UsageError where it was made with other options."""
    other = [f"{name}=" for name, value in options.items() if known.options[name] != value]
    if other:
        raise UsageError(
            f"{known.client!r} is open already, with another value of {', '.join(other)}: pass the same one, or close() that client first"
        )
    return known.client


@atexit.register
def _close_all() -> None:
    """Close every client, so that the PBX hears of the end of the kernel at once."""
    with _clients_lock:
        known = list(_clients.values())
        _clients.clear()
    for one in known:
        one.client.close()
