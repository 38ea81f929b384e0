"""Judging what a program passes, before anything is sent."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from .deadline import is_seconds
from .errors import UsageError
from .messages import AppLogin
from .protocol.digest import info_text
from .protocol.session import Credentials
from .relay.endpoint import Endpoint, parse_url

MEBIBYTE = 1024 * 1024


def check_times(**times: float | None) -> None:
    """Raise UsageError for what is no number of seconds above 0; only ``ping_timeout`` may not be None."""
    for name, seconds in times.items():
        if seconds is None and name != "ping_timeout":
            continue
        if seconds is None or not is_seconds(seconds) or not seconds > 0:
            raise UsageError(f"{name}= takes seconds above 0, not {seconds!r:.80}")


def check_deadline(deadline: float) -> None:
    """Raise UsageError for what is no number of seconds above 0."""
    if not is_seconds(deadline) or not deadline > 0:
        raise UsageError(f"deadline= takes seconds above 0, not {deadline!r:.80}")


def check_texts(**texts: str) -> None:
    """Raise UsageError for what is no text or has no UTF-8 form. The text itself may be a secret: it is not shown."""
    for name, text in texts.items():
        if not isinstance(text, str):
            raise UsageError(f"{name}= takes text, not a {type(text).__name__}")
        # Not by encoding it: the error of that would hold the text, and be in the chain of this one.
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise UsageError(f"{name}= holds a character that has no UTF-8 form, such as half of a surrogate pair")


def check_sizes(**sizes: int) -> None:
    """Raise UsageError for what is no number of bytes above 0."""
    for name, size in sizes.items():
        if type(size) is not int or size < 1:
            raise UsageError(f"{name}= takes a number of bytes above 0, not {size!r:.80}")


def check_switches(**switches: bool) -> None:
    """Raise UsageError for what is neither True nor False."""
    for name, switch in switches.items():
        if not isinstance(switch, bool):
            raise UsageError(f"{name}= takes True or False, not {switch!r:.80}")


def check_attempts(reconnect_attempts: int | None) -> None:
    """Raise UsageError for what is neither None nor a number above 0."""
    if reconnect_attempts is not None and (type(reconnect_attempts) is not int or reconnect_attempts < 1):
        raise UsageError(f"reconnect_attempts= takes a number above 0, or None for no limit, not {reconnect_attempts!r:.80}")


def check_dispatcher(dispatcher: object) -> None:
    """Raise UsageError for what cannot hand callbacks to another thread."""
    if dispatcher is None:
        return
    if isinstance(dispatcher, type):
        raise UsageError(f"dispatcher= takes an object, not the class {dispatcher.__name__}: make one, as with {dispatcher.__name__}(...)")
    if not callable(dispatcher):
        raise UsageError(f"dispatcher= takes what can be called with a function that is to be run, not {dispatcher!r:.80}")
    refuse_async("the dispatcher", dispatcher)


def refuse_async(what: str, function: object) -> None:
    """Raise UsageError for an ``async def`` function: to call it would run nothing of it, and nobody would be told."""
    while isinstance(function, functools.partial):
        function = function.func
    # An object with __call__ is called by what its class says.
    for one in (function, type(function).__call__ if callable(function) else None):
        if inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one):
            raise UsageError(
                f"{what} is an async function, which nobody would await: pass a plain function, which may hand a coroutine to an"
                " event loop with asyncio.run_coroutine_threadsafe()"
            )


def endpoints_of(url: str | Sequence[str]) -> tuple[Endpoint, ...]:
    """Return where to connect to, of one URL or several. Raises UsageError."""
    urls = [url] if isinstance(url, str) else list(url) if isinstance(url, Sequence) else []
    if not urls or not all(isinstance(one, str) for one in urls):
        raise UsageError(f"connect() takes a URL, or a list of them, not {type(url).__name__}")
    endpoints = tuple(parse_url(one) for one in urls)
    if len(set(endpoints)) < len(endpoints):
        raise UsageError("connect() was given a URL twice: each has to be another PBX")
    return endpoints


def login_options(*, app: str, sip: str, domain: str, guid: str, dn: str, info: Mapping[str, Any] | None, password: str) -> Credentials:
    """Return who logs in. Raises UsageError."""
    check_texts(app=app, password=password, sip=sip, domain=domain, guid=guid, dn=dn)
    if not (app or sip):
        raise UsageError("connect() needs app= (the Name of the App object) or sip= (a user's name)")
    if info is not None:
        if not isinstance(info, Mapping):
            raise UsageError(f"info= takes a dict, not a {type(info).__name__}")
        info_text(info)  # raises for what has no certain digest
    AppLogin(app=app, sip=sip, domain=domain, guid=guid, dn=dn, info=info)  # raises here rather than amid the login
    return Credentials(app=app, sip=sip, domain=domain, guid=guid, dn=dn, info=info, password=password)
