"""Writing the log: one logger for each layer, below ``epsignal_sync``. A secret is never written, and a log that fails ends no thread.

Knows nothing of who has something to say, and runs the application's code: its log handlers. So the link thread does not come here.
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from .messages.record import MASK, SECRET_KEYS
from .protocol.jsontext import loads

ROOT = "epsignal_sync"
CALLBACKS = "callbacks"
"""The layer of callbacks and interceptors. The others are "session" and "relay"; the simulator writes on its own."""

SHORTEST_WORD = 4
"""Characters; a shorter secret, or word of one, tells nothing and would make any text unreadable."""

_SECRET_TEXT = re.compile(rb'"(?:%s)"\s*:\s*"((?:[^"\\]|\\.)*)' % "|".join(sorted(SECRET_KEYS)).encode())


def write(layer: str, level: int, text: str, error: BaseException | None = None, *, secret: Iterable[bytes] = (), stack: str = "") -> None:
    """Write a note, with the traceback of an ``error`` or with a ``stack``. Any thread but the link's.

    ``secret``: JSON texts whose secrets the error may tell; they are masked in it. A handler that raises is ignored.
    """
    try:
        logger = logging.getLogger(f"{ROOT}.{layer}")
        if not logger.isEnabledFor(level):
            return
        shown = "" if error is None else masked_traceback(error, secret)
        exc_info = None if error is None or shown else (type(error), error, error.__traceback__)
        record = logger.makeRecord(logger.name, level, __file__, 0, "%s", (text,), exc_info, "write", sinfo=stack or None)
        record.exc_text = shown or None
        logger.handle(record)
    except BaseException as raised:  # and there is nowhere left to say so
        if is_interrupt(raised):
            raise


def is_interrupt(error: BaseException) -> bool:
    """Whether it is Ctrl-C, in a program that runs its callbacks itself."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


# ------------------------------------------------------------ what a log must not hold


def masked_traceback(error: BaseException, texts: Iterable[bytes]) -> str:
    """Return the traceback of an error without the secrets of some JSON texts; "" where it tells none of them.

    Whoever takes a secret apart tells parts of it, so its words are masked, too; a secret that was changed is not found.
    """
    chain = list(chain_of(error))
    told = ["".join(traceback.format_exception_only(type(one), one)) for one, _ in chain]
    pattern = secret_pattern(told, texts)
    if pattern is None:
        return ""
    lines = []
    for (one, link), text in zip(reversed(chain), reversed(told), strict=True):
        lines += ["Traceback (most recent call last):\n", *traceback.format_tb(one.__traceback__), pattern.sub(MASK, text), link]
    return "".join(lines).rstrip("\n")


def secret_pattern(told: list[str], texts: Iterable[bytes]) -> re.Pattern[str] | None:
    """Return what matches the secrets of some JSON texts that are told in others; None where none is."""
    parts = {part for text in texts for secret in _secrets_in(text) for part in _parts(secret)}
    found = [part for part in parts if any(part in one for one in told)]
    return re.compile("|".join(re.escape(part) for part in sorted(found, key=len, reverse=True))) if found else None


def chain_of(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Yield an error and those before it, each with what stands between it and the next one."""
    seen: set[int] = set()
    one: BaseException | None = error
    link = ""
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one, link
        if one.__cause__ is not None:
            one, link = one.__cause__, "\nThe above exception was the direct cause of the following exception:\n\n"
        else:
            one, link = (
                None if one.__suppress_context__ else one.__context__,
                "\nDuring handling of the above exception, another exception occurred:\n\n",
            )


def _parts(secret: str) -> Iterator[str]:
    """Yield what of a secret may turn up in an error: as it is, as repr shows it, and its words."""
    for part in (secret, repr(secret)[1:-1], *re.findall(r"\w+", secret)):
        if len(part) >= SHORTEST_WORD:
            yield part


def _secrets_in(text: bytes) -> Iterator[str]:
    try:
        value = loads(text)
    except ValueError:  # cut off, for example
        for found in _SECRET_TEXT.findall(text):
            yield found.decode("utf-8", "replace")
        return
    waiting: list[tuple[Any, bool]] = [(value, False)]
    while waiting:  # no recursion: it may be nested deep
        one, secret = waiting.pop()
        if isinstance(one, str) and secret:
            yield one
        elif isinstance(one, dict):
            waiting += [(inner, secret or key in SECRET_KEYS) for key, inner in one.items()]
        elif isinstance(one, list):
            waiting += [(inner, secret) for inner in one]
