"""Following the calls of some phones and showing them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence

from ..client import Client
from .outputs import output_for, plain
from .steps import Steps

TITLE = "Calls (Ctrl-C ends this; the calls go on)"


def follow(
    client: Client, hws: Sequence[str], *, as_json: bool, show_all: bool, timeout: float, until: Callable[[], bool] = lambda: False
) -> None:
    """Connect, attach and show calls until Ctrl-C, the loss of the connection for good, or ``until`` returns True."""
    steps = Steps(client, lambda call: call.media or show_all)
    client.connect()
    client.attach_many(hws, timeout=timeout)
    with output_for(as_json=as_json, title=TITLE) as output:
        steps.show(output, until)


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
