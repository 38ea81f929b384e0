"""A table of calls that goes on while other cells run: what ``device.watch()`` and ``client.watch()`` show.

It is drawn anew by the painter's thread, a few times a second at the most, however many messages come.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING

from .. import notes
from ..errors import ClosedError
from ..events import CallEnded
from ..intake import ConnectionState
from . import markup, pictures
from .painter import PAINTER
from .screen import Screen, find_screen

if TYPE_CHECKING:
    from ..call import Call
    from ..client import Client
    from ..device import Device

ENDED_ROWS = 10
"""Ended calls that it keeps."""
RUN_AGAIN = "its cell was run again"


class LiveTable:
    """What ``device.watch()`` and ``client.watch()`` return, until :meth:`cancel`. Any thread; a context manager.

    It goes on over losses of the connection. It also ends when the client is closed and when its cell is run again. As the
    last line of another cell it is shown there, too.
    """

    def __init__(self, client: Client, device: Device | None, screen: Screen) -> None:
        self._client = client
        self._device = device
        self._screen = screen
        self._end = ""
        """Why it does not go on; "" while it does."""
        self._live: list[Call] = []
        """The live calls of the last look."""
        self._heard: deque[Call] = deque(maxlen=10 * ENDED_ROWS)
        """Calls that have ended since then, also those that were too short for any look."""
        self._ended: list[Call] = []
        self._html = ""
        heard = self._heard

        def take_end(event: CallEnded) -> None:
            if event.call.media:
                heard.append(event.call)

        self._subscription = (device or client).on(CallEnded, take_end)

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return not self._end

    def cancel(self) -> None:
        """Leave the table as it is, and draw it no more. Idempotent, does not block."""
        self._finish("this table was cancelled")

    def __enter__(self) -> LiveTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cancel()

    def __repr__(self) -> str:
        of = self._client if self._device is None else self._device
        return f"<LiveTable of {of!r}: {'active' if self.active else 'not active'}>"

    def _ipython_display_(self) -> None:
        """Show it where a cell ends with it; its own cell has it already."""
        self._screen.show_elsewhere(self._html, repr(self))

    # ------------------------------------------------------------ drawing it

    def start(self) -> None:
        """Show it, and have it kept up to date from now on."""
        if not self._screen.can_be_replaced:
            self._finish("its output was captured")
        try:
            self._html = self._draw()
            self._screen.show(self._html, repr(self))
            if self.active:
                self._screen.on_rerun(lambda: self._finish(RUN_AGAIN))
                PAINTER.add(self)
        except BaseException:
            self._subscription.cancel()
            self._screen.leave()
            raise

    def paint(self) -> bool:
        """Draw it where it has changed; returns whether it goes on. Painter's thread."""
        if self._client.state is ConnectionState.CLOSED:
            self._finish("the client is closed")
        end = self._end  # read first: what is drawn below says so
        try:
            # Where its cell has run again there is nothing left to be replaced, but for what was shown elsewhere.
            if end != RUN_AGAIN or self._screen.is_elsewhere:
                self._show_again()
        except Exception as error:  # whatever the kernel's own machinery raises, at its end for example
            notes.write(notes.CALLBACKS, logging.WARNING, f"{self!r} cannot be shown any more", error)
            end = "it could not be shown"
            self._finish(end)
        if end:
            self._screen.leave()
        return not end

    def _show_again(self) -> None:
        html = self._draw()
        if html != self._html:
            self._html = html
            self._screen.replace(html, repr(self))

    def _finish(self, why: str) -> None:
        if not self._end:
            self._end = why
            self._subscription.cancel()
            PAINTER.look()

    def _draw(self) -> str:
        devices = pictures.devices_of(self._client) if self._device is None else [self._device]
        live, hidden = pictures.newest(devices)
        self._take_ended()
        self._live = live
        calls = [*(call for call in live if call not in self._ended), *reversed(self._ended)]
        count = len(live) + hidden
        return markup.picture(
            self._head(devices, count),
            pictures.call_table(calls, time.time(), with_phone=self._device is None) if calls else markup.note("no call yet"),
            markup.more(hidden, "calls"),
            markup.note(f"not live any more: {self._end}") if self._end else "",
        )

    def _take_ended(self) -> None:
        heard = [self._heard.popleft() for _ in range(len(self._heard))]
        for call in (*(one for one in self._live if one.ended), *heard):
            if call not in self._ended:
                self._ended.append(call)
        del self._ended[:-ENDED_ROWS]

    def _head(self, devices: list[Device], count: int) -> str:
        calls = f"{count:,} call{'' if count == 1 else 's'}"
        if self._device is not None:
            trouble = pictures.connection_trouble(self._client)
            return markup.head("Phone", self._device.hw, pictures.device_state(self._device), *trouble, calls)
        attached = sum(device.attached for device in devices)
        name = self._client._settings.endpoints[0].address
        return markup.head("Client", name, pictures.client_state(self._client), f"{attached:,} of {len(devices):,} phones attached", calls)


def watch(client: Client, device: Device | None) -> LiveTable:
    """See :meth:`Device.watch` and :meth:`Client.watch`."""
    screen = find_screen("watch()")
    if client.state is ConnectionState.CLOSED:
        raise ClosedError("watch() shows nothing: the client is closed, make a new one with connect()")
    table = LiveTable(client, device, screen)
    table.start()
    return table
