"""The AppLogin digest (protocol page, section 1). Knows nothing of sockets or of the rest of the login."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import UsageError

LARGEST_SAFE_INTEGER = 2**53 - 1
"""The largest integer that JavaScript's JSON.stringify writes exactly (ECMA-262, Number.MAX_SAFE_INTEGER)."""


def login_digest(
    challenge: str,
    password: str,
    *,
    app: str = "",
    domain: str = "",
    sip: str = "",
    guid: str = "",
    dn: str = "",
    info: Mapping[str, Any] | None = None,
) -> str:
    """Return the lower-case hex SHA-256 that proves the password to the PBX.

    ``info`` None means that the login carries no info at all, which is not the same as an empty one.
    Raises UsageError for an ``info`` whose JSON text is not certain (see :func:`info_text`). Does not block.
    """
    parts = [app, domain, sip, guid, dn]
    if info is not None:
        parts.append(info_text(info))
    parts += [challenge, password]
    # A challenge is whatever the network sent: a lone surrogate in it must not raise here.
    return hashlib.sha256(":".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def info_text(info: Mapping[str, Any]) -> str:
    """Return ``info`` as JavaScript's JSON.stringify writes it: compact, in order, non-ASCII and ``/`` unescaped.

    Raises UsageError for what Python and JavaScript write differently: floats, integers beyond 2**53-1, keys that
    are no strings, lone surrogates, and what is nested too deeply.
    """
    try:
        _check(info, "info")
        return json.dumps(info, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:
        raise UsageError("info is nested too deeply, or holds itself: make it flat") from None


def _check(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise UsageError(f"{path} has the key {key!r}: the keys of a JSON object are strings")
            _check(key, f"a key of {path}")
            _check(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check(inner, f"{path}[{index}]")
    elif isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise UsageError(f"{path} holds a lone surrogate, which has no UTF-8 form")
    elif isinstance(value, int):
        if abs(value) > LARGEST_SAFE_INTEGER:
            raise UsageError(f"{path} is an integer beyond 2**53-1, which JavaScript cannot write: pass it as text")
    elif value is not None:
        raise UsageError(f"{path} is a {type(value).__name__}: info may hold objects, lists, text, integers, booleans and None")
