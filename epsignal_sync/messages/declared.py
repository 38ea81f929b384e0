"""The declared types of fields: whether a value fits, and how they are called. Knows nothing of the classes that use them."""

from __future__ import annotations

import types
import typing
from enum import Enum
from typing import Any


def is_union(declared: Any) -> bool:
    """Whether a declared type is a union, in either spelling."""
    return typing.get_origin(declared) in (typing.Union, types.UnionType)


def accepts(declared: Any, value: Any) -> bool:
    """Whether a value that the app sets fits the declared type; nothing is converted: True is no int."""
    if declared is Any:
        return True
    if is_union(declared):
        return any(accepts(one, value) for one in typing.get_args(declared))
    origin = typing.get_origin(declared)
    if origin is tuple:
        return isinstance(value, tuple) and all(accepts(typing.get_args(declared)[0], one) for one in value)
    if origin is not None:
        return isinstance(value, origin)
    if declared in (str, int, float):
        return isinstance(value, declared) and not isinstance(value, bool)
    return isinstance(value, declared)


def describe(declared: Any) -> str:
    """Return a declared type in words, for an error."""
    if is_union(declared):
        return " or ".join(describe(one) for one in typing.get_args(declared) if one is not type(None))
    if typing.get_origin(declared) is tuple:
        return f"a tuple of {describe(typing.get_args(declared)[0])}"
    if isinstance(declared, type) and issubclass(declared, Enum):
        return f"one of {', '.join(str(one.value) for one in declared)}"
    return getattr(declared, "__name__", str(declared))
