"""Judging what a program passes, before anything is sent. Knows nothing of what it is for."""

from __future__ import annotations

from .deadline import is_seconds
from .errors import UsageError

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
