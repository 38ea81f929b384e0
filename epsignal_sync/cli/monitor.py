"""Following the calls of some phones and showing them."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Sequence

from ..client import Client
from ..messages import AttachResult
from .outputs import output_for, plain
from .progress import progress
from .steps import Steps
from .view import Filtered, View

TITLE = "Calls (Ctrl-C ends this; the calls go on)"


def follow(
    client: Client, hws: Sequence[str], *, view: View, show_all: bool, timeout: float, until: Callable[[], bool] = lambda: False
) -> None:
    """Connect, attach and show calls until Ctrl-C, the loss of the connection for good, or ``until`` returns True."""
    steps = Steps(client, lambda call: call.media or show_all)
    client.connect()
    _attach(client, hws, timeout)
    with output_for(as_json=view.as_json, as_csv=view.as_csv, title=TITLE) as output:
        steps.show(Filtered(output, view), until)


def _attach(client: Client, hws: Sequence[str], timeout: float) -> None:
    """Attach to all phones, and show on a terminal how many have answered."""
    answered = itertools.count(1)
    with (
        progress("Attaching" if len(hws) == 1 else f"Attaching to {len(hws)} phones", len(hws)) as advance,
        client.on(AttachResult, lambda event: advance(next(answered))),
    ):
        client.attach_many(hws, timeout=timeout)


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # sys.stderr is looked up each time: the live table takes its place, to print above itself.
        print(f"epsignal: {plain(record.getMessage())}", file=sys.stderr)


def show_warnings() -> None:
    """Have the library's warnings written to standard error, one line each."""
    handler = _Warnings(logging.WARNING)
    # The loss of the connection for good is said by the command's own error.
    handler.addFilter(lambda record: "it is not made again" not in record.getMessage())
    logging.getLogger("epsignal_sync").addHandler(handler)
