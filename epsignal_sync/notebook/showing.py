"""What is said below a cell: that a callback failed, that an interceptor was late, what the library has to say otherwise.

In words for a person; a secret is never written. Knows nothing of which cell that is.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .. import notes
from ..messages.record import MASK
from ..registry import Interceptor, Subscription

Show = Callable[[str], None]

CALLBACKS = f"{notes.ROOT}.{notes.CALLBACKS}"

LIBRARY = str(Path(__file__).parents[1])
LONGEST_TEXT = 1000
"""Characters of an error's text."""
LONGEST_RECORD = 10_000
"""Characters of what the library logs."""
DEEPEST = 8
"""Frames that are shown of an error, the innermost ones."""
FIRST = 10
"""So many failures of a callback are told one by one, then only the 100th, the 1000th, ...: a cell must not fill a browser."""


class Told:
    """What was said of one callback. Callback thread."""

    def __init__(self) -> None:
        self.count = 0
        self.places: set[tuple[object, ...]] = set()

    def next(self) -> bool:
        """Count one more failure; whether it is to be told."""
        self.count += 1
        return self.count <= FIRST or str(self.count).strip("0") == "1"

    @property
    def times(self) -> str:
        """How often it failed, where not each time was told."""
        return f", {self.count} times by now" if self.count > FIRST else ""


def shell() -> Any:
    """Return IPython's shell, if this runs in one; else None. Whoever has not imported IPython is in none."""
    find = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return find() if callable(find) else None


def write(text: str) -> None:
    """Write a text to standard error. What is wrong with that is nobody's business here."""
    try:
        print(text, file=sys.stderr, flush=False)
    except Exception:
        pass


# ------------------------------------------------------------ callbacks


def show_failure(subscription: Subscription, told: Told, show: Show, error: BaseException, secret: Iterable[bytes]) -> bool:
    """Show what a callback raised, once in full; returns whether the log is to have it, too. Callback thread."""
    try:
        if told.next():
            show(_failure(subscription, told, error, secret))
    except Exception:  # such as an error whose own text cannot be had: the log knows how to deal with it
        return True
    return log_is_read(CALLBACKS)


def show_late(told: Told | None, show: Show | None, text: str) -> None:
    """Show that an interceptor was overruled, and have it logged where that is wanted. Callback thread."""
    if told is not None and show is not None and told.next():
        show(f"{text[:1].upper()}{text[1:]}{told.times}. Have it return sooner, or pass a longer deadline= (at most 2 s).")
    if show is None or log_is_read(CALLBACKS):
        notes.write(notes.CALLBACKS, logging.WARNING, text)


def _failure(subscription: Subscription, told: Told, error: BaseException, secret: Iterable[bytes]) -> str:
    name = subscription.callback.__qualname__.rpartition("<locals>.")[2]
    who = "a lambda" if name == "<lambda>" else f"{name}()"
    chain = list(notes.chain_of(error))
    texts = [_text(one) for one, _ in chain]
    pattern = notes.secret_pattern(texts, secret)
    if pattern is not None:
        texts = [pattern.sub(MASK, text) for text in texts]
    texts = [harmless(text, LONGEST_TEXT) for text in texts]
    first = f"{'A lambda' if who == 'a lambda' else who}, called for {subscription.kind.__name__}, raised {texts[0]}"
    place = (type(error), *((frame.filename, frame.lineno) for frame in _frames(error)))
    if place in told.places or told.count > FIRST:
        return f"{first} (again{told.times})"
    told.places.add(place)
    lines = [first, *_places(error)]
    for (earlier, _), text in zip(chain[1:], texts[1:], strict=True):
        lines += [f"  before that: {text}", *_places(earlier)]
    went = "The message went on as it came" if isinstance(subscription, Interceptor) else "The phone and the other callbacks go on"
    return "\n".join([*lines, f"{went}. Correct {who}, and run the cell again that registers it."])


def _text(error: BaseException) -> str:
    """Return the kind and text of an error; of its kind what is written in an ``except``, without the module."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    return text.removeprefix(f"{type(error).__module__}.")


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return where an error came from, without the library's own frames, which say nothing to who wrote the callback."""
    return [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(LIBRARY)]


def _places(error: BaseException) -> Iterator[str]:
    for frame in _frames(error)[-DEEPEST:]:
        yield f"  {_file(frame.filename)}, line {frame.lineno}, in {frame.name}"
        if frame.line:
            yield f"    {frame.line}"


def _file(name: str) -> str:
    """Return what IPython calls a file: a cell has one that no person knows."""
    compiler: Any = getattr(shell(), "compile", None)
    named = compiler.format_code_name(name) if hasattr(compiler, "format_code_name") else None
    return f'File "{name}"' if named is None else " ".join(named)


def harmless(text: str, longest: int) -> str:
    """Return a text that may come from the network so that it moves no cursor, and at most so many characters of it."""
    shown = "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text[:longest])
    return shown if len(text) <= longest else f"{shown}... ({len(text)} characters)"


# ------------------------------------------------------------ the log


class _CellLog(logging.Handler):
    """Shows what the library logs below the cell that connected last, where the application has not arranged for its log.

    Python would write it to standard error, below whichever cell runs at that moment.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.context = contextvars.copy_context()

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        if not log_is_read(record.name):
            self.context.copy().run(write, f"epsignal_sync: {harmless(self.format(record), LONGEST_RECORD)}")


_cell_log = _CellLog()


def show_log() -> None:
    """Show from now on what the library logs below the cell that runs. Idempotent; any thread."""
    _cell_log.context = contextvars.copy_context()
    logging.getLogger(notes.ROOT).addHandler(_cell_log)


def log_is_read(name: str) -> bool:
    """Whether the application has arranged for what is logged under a name."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(handler is not _cell_log for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
