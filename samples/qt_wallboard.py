"""A wallboard: all phones of a team, live, as tiles that can be read from afar. Needs the extra "qt": pip install 'epsignal-sync[qt]'

    python samples/qt_wallboard.py                        a simulated team that makes calls (needs the extra "simulator", too)
    python samples/qt_wallboard.py --team 40              ... of another size
    python samples/qt_wallboard.py URL APP HW[=NAME]...   a real PBX; the App object's password in EPSIGNAL_PASSWORD

Callbacks run on Qt's thread, so they may change the window; what blocks, connecting and attaching, is done by a thread of its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time

import epsignal_sync as eps
from epsignal_sync.integrations import QtDispatcher
from epsignal_sync.messages import Attached, Detached

try:
    from PySide6.QtCore import QRectF, Qt, QTimer, Signal
    from PySide6.QtGui import QCloseEvent, QColor, QFontMetrics, QPainter, QPaintEvent
    from PySide6.QtWidgets import QApplication, QGridLayout, QVBoxLayout, QWidget
except ImportError as error:
    sys.exit(f"qt_wallboard: PySide6 cannot be used ({error}): pip install 'epsignal-sync[qt]'")

MOST_PHONES = 60
CONNECT_AGAIN = 10.0
"""Seconds after which connecting is tried again, where the PBX was not there when the program began."""
CLOSE_TIME = 3.0
"""Seconds that the thread gets to end when the window is closed."""
TALKING = ("connected", "parked")
EVENTS = (eps.CallStarted, eps.CallStateChanged, eps.CallEnded, eps.Gap, eps.ConnectionLost, eps.Reconnecting, eps.Reconnected)
CONNECTION = {"connected": "connected", "reconnecting": "connection lost, connecting again", "closed": "not connected"}

BACKGROUND, TITLE, FAINT, WARNING = "#0e1319", "#f2f5f7", "#9aa7b4", "#ffb4a8"
COLOURS = {
    "free": ("#12402f", "#6fe3ae"),
    "ringing": ("#f7b733", "#231600"),
    "busy": ("#a02c3c", "#ffffff"),
    "detached": ("#222a33", "#94a1ae"),
}
"""Of a tile, and of what stands on it."""
LEFT, RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight


def plain(text: str) -> str:
    """Return what came from the network as one line that shows all it has: no control characters, and not much of it."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:200])


def minutes(seconds: float) -> str:
    """Return a duration as people write it."""
    total = max(0, int(seconds))
    hours = f"{total // 3600}:{total // 60 % 60:02}" if total >= 3600 else str(total // 60)
    return f"{hours}:{total % 60:02}"


def draw(painter: QPainter, area: QRectF, text: str, size: float, align: Qt.AlignmentFlag, bold: bool = False) -> None:
    """Draw a line of a height in pixels: a little smaller where it is too long, and then cut off at its end."""
    font = painter.font()
    font.setBold(bold)
    for share in (1.0, 0.85, 0.7):
        font.setPixelSize(max(6, int(size * share)))
        if QFontMetrics(font).horizontalAdvance(text) <= area.width():
            break
    painter.setFont(font)
    shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, int(area.width()))
    painter.drawText(area, Qt.TextFlag.TextSingleLine | Qt.AlignmentFlag.AlignVCenter | align, shown)


class Tile(QWidget):
    """One phone."""

    def __init__(self, hw: str, name: str) -> None:
        super().__init__()
        self.name = plain(name or hw)
        self.device: eps.Device | None = None
        self.kind, self.word, self.party, self.duration = "detached", "detached", "", ""

    def look(self) -> None:
        """Take over what the phone does now."""
        shown = self._read()
        if shown != (self.kind, self.word, self.party, self.duration):
            self.kind, self.word, self.party, self.duration = shown
            self.update()

    def _read(self) -> tuple[str, str, str, str]:
        if self.device is None or not self.device.attached:
            return "detached", "detached", "", ""
        calls = list(self.device.media_calls.values())
        if not calls:
            return "free", "free", "", ""
        # Who talks is shown with that call, whatever else there is.
        call = min(calls, key=lambda one: (one.state not in TALKING, one.on_hold, one.started_at))
        other = call.remote.name or str(call.remote)
        party = f"{'from' if call.incoming else 'to'} {plain(other)}{f'  +{len(calls) - 1}' if len(calls) > 1 else ''}"
        if call.state in TALKING:
            since = call.connected_at or call.started_at
            return "busy", "on hold" if call.on_hold or call.held else "busy", party, minutes(time.time() - since)
        if call.incoming:
            return "ringing", "ringing", party, minutes(time.time() - call.started_at)
        return "busy", "calling", party, ""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the tile, everything in proportion to its size."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        scale = min(self.height(), self.width() / 1.6)
        gap, edge = scale * 0.025, scale * 0.08
        area = QRectF(self.rect()).adjusted(gap, gap, -gap, -gap)
        background, text = COLOURS[self.kind]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(background))
        painter.drawRoundedRect(area, scale * 0.06, scale * 0.06)
        painter.setPen(QColor(text))
        area.adjust(edge, edge, -edge, -edge)
        draw(painter, QRectF(area.left(), area.top(), area.width(), scale * 0.25), self.name, scale * 0.21, LEFT, bold=True)
        draw(painter, QRectF(area.left(), area.center().y() - scale * 0.12, area.width(), scale * 0.22), self.party, scale * 0.16, LEFT)
        bottom = QRectF(area.left(), area.bottom() - scale * 0.22, area.width(), scale * 0.22)
        half = area.width() * 0.5
        draw(painter, bottom.adjusted(0, 0, -half if self.duration else 0, 0), self.word, scale * 0.16, LEFT)
        draw(painter, bottom.adjusted(half, 0, 0, 0), self.duration, scale * 0.2, RIGHT, bold=True)


class Header(QWidget):
    """How many phones do what, and how the connection is."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.connection, self.is_well = "", True

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the line: a spot in its colour and a count for each kind, and the connection."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        size = self.height() * 0.52
        x, middle = size * 0.4, self.height() / 2
        for kind, count in self.counts.items():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(COLOURS[kind][kind in ("free", "detached")]))
            painter.drawRoundedRect(QRectF(x, middle - size * 0.4, size * 0.8, size * 0.8), size * 0.2, size * 0.2)
            painter.setPen(QColor(TITLE))
            area = QRectF(x + size * 1.1, 0, self.width(), self.height())
            draw(painter, area, f"{count} {kind}", size, LEFT, bold=True)
            x = area.left() + painter.fontMetrics().horizontalAdvance(f"{count} {kind}") + size * 1.2
        painter.setPen(QColor(FAINT if self.is_well else WARNING))
        draw(painter, QRectF(x, 0, self.width() - x - size * 0.4, self.height()), self.connection, size * 0.85, RIGHT)


class Wallboard(QWidget):
    """The window, with its client and the thread that does for it what blocks."""

    told = Signal(str)
    """What the thread has to say. The window is in another thread, so Qt queues it."""

    def __init__(self, url: str, app: str, password: str, phones: dict[str, str]) -> None:
        super().__init__()
        self._url, self._app, self._password = url, app, password
        self.setWindowTitle("Wallboard")
        self.setStyleSheet(f"background: {BACKGROUND}")
        self.header = Header()
        self.tiles = {hw: Tile(hw, name) for hw, name in phones.items()}
        self._columns, self._note = 0, ""
        self._grid = QGridLayout()
        layout = QVBoxLayout(self)
        layout.addWidget(self.header)
        layout.addLayout(self._grid, 1)
        self._dispatcher = QtDispatcher(self)
        self._client: eps.Client | None = None
        self._closing = threading.Event()
        self.told.connect(self._take_note)
        self._clock = QTimer(self)
        self._clock.timeout.connect(self.look)  # for the durations
        self._worker = threading.Thread(target=self._connect, name="wallboard-connect", daemon=True)

    def start(self) -> None:
        """Connect, and show what comes."""
        self._clock.start(1000)
        self._worker.start()

    # ------------------------------------------------------------ the thread

    def _connect(self) -> None:
        """Connect and attach, for as long as it takes."""
        while not self._closing.is_set():
            client = eps.Client(self._url, app=self._app, password=self._password, dispatcher=self._dispatcher)
            for kind in (Attached, Detached):  # first: nothing is missed
                client.on(kind, self._changed)
            for what in EVENTS:
                client.on(what, self._changed)
            self._client = client
            try:
                client.connect()
                self._tell("")
                return self._attach(client)
            except eps.ConnectError as error:
                self._tell(str(error))
                self._closing.wait(CONNECT_AGAIN)
            except eps.EpSignalError as error:  # a refused login, or a phone that the PBX does not know: the others are shown
                return self._tell(str(error))

    def _attach(self, client: eps.Client) -> None:
        """Attach to the phones; once more where the connection was lost meanwhile, or an answer did not come."""
        while not self._closing.is_set():
            try:
                client.attach_many(self.tiles)
                return self._tell("")
            except (eps.ConnectionLostError, eps.ReplyTimeout) as error:
                self._tell(str(error))
                self._closing.wait(CONNECT_AGAIN)

    def _tell(self, text: str) -> None:
        if not self._closing.is_set():
            if text:
                print(f"qt_wallboard: {text}", file=sys.stderr, flush=True)
            self.told.emit(text)

    # ------------------------------------------------------------ Qt's thread

    def _changed(self, event: eps.ReceivedEvent | eps.Event) -> None:
        """Something happened: a callback, which QtDispatcher has run here."""
        tile = self.tiles.get(event.device.hw) if event.device is not None else None
        if tile is not None:
            tile.device = event.device
        self.look()

    def _take_note(self, text: str) -> None:
        self._note = plain(text)
        self.look()

    def look(self) -> None:
        """Take over what all phones do now, and the connection."""
        kinds = []
        for tile in self.tiles.values():
            tile.look()
            kinds.append(tile.kind)
        state = self._client.state if self._client is not None else eps.ConnectionState.NEW
        text = CONNECTION.get(state, "connecting")
        header = self.header
        header.counts = {kind: kinds.count(kind) for kind in COLOURS if kind != "detached" or kind in kinds}
        header.connection = text if state == "reconnecting" else self._note or text
        header.is_well = header.connection == text and state not in ("reconnecting", "closed")
        header.update()

    def resizeEvent(self, event: object) -> None:
        """Lay the tiles out so that they are as large as they can be."""
        width, height, count = self.width(), self.height() * 0.92, len(self.tiles)
        columns = max(range(1, count + 1), key=lambda one: min(width / one / 1.6, height / -(-count // one)))
        self.header.setFixedHeight(max(28, int(self.height() * 0.06)))
        if columns == self._columns:
            return
        self._columns = columns
        for number, tile in enumerate(self.tiles.values()):
            self._grid.addWidget(tile, number // columns, number % columns)
        for number in range(count):
            self._grid.setColumnStretch(number, int(number < columns))
            self._grid.setRowStretch(number, int(number < -(-count // columns)))

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the connection; the phones go on. Takes a moment, and at the most a few seconds."""
        self._closing.set()
        end = time.monotonic() + CLOSE_TIME
        while self._worker.is_alive() and time.monotonic() < end:
            self._close_client()  # each time: the thread may have been about to make another one
            self._worker.join(0.1)
        self._close_client()
        event.accept()

    def _close_client(self) -> None:
        if self._client is not None:
            self._client.close()


# ------------------------------------------------------------ the program


def check_display() -> None:
    """Leave with one sentence where no window can be opened: Qt would abort the process, so another one tries it."""
    program = "from PySide6.QtGui import QGuiApplication; QGuiApplication([])"
    tried = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if tried.returncode:
        reason = next((line.strip() for line in tried.stderr.splitlines() if line.strip()), "it gives no reason")
        sys.exit(f"qt_wallboard: Qt cannot open a window here ({reason}): start it on a desktop, or set DISPLAY or QT_QPA_PLATFORM")


def show(url: str, app: str, password: str, phones: dict[str, str]) -> int:
    """Show the wallboard until its window is closed, or Ctrl-C."""
    application = QApplication(sys.argv[:1])
    window = Wallboard(url, app, password, phones)
    window.resize(1280, 720)
    window.show()
    # Python gets to it in any of its code here, at the latest when the clock ticks; in the middle of painting nothing may be closed.
    signal.signal(signal.SIGINT, lambda *_: QTimer.singleShot(0, window.close))
    window.start()
    return application.exec()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--team", metavar="SIZE", type=int, default=12, help=f"of the simulated team, 1 to {MOST_PHONES}")
    parser.add_argument("url", metavar="URL", nargs="?")
    parser.add_argument("app", metavar="APP", nargs="?")
    parser.add_argument("phones", metavar="HW[=NAME]", nargs="*")
    options = parser.parse_args()
    if not 1 <= (len(options.phones) if options.url else options.team) <= MOST_PHONES:
        parser.error(f"give URL, APP and the hardware ids of 1 to {MOST_PHONES} phones, or nothing for a simulated team")
    if options.url and "EPSIGNAL_PASSWORD" not in os.environ:
        parser.error("the App object's password is missing: set the variable EPSIGNAL_PASSWORD")
    return options


def main() -> int:
    options = parse()
    check_display()
    if options.url:
        phones = {hw: name for hw, _, name in (one.partition("=") for one in options.phones)}
        return show(options.url, options.app, os.environ["EPSIGNAL_PASSWORD"], phones)
    try:
        from simulated_team import Team
    except ImportError as error:
        sys.exit(f"qt_wallboard: there is no simulated team: {error}")
    team = Team(options.team)
    team.start()
    try:
        return show(team.pbx.url, "phones", "secret", team.names)
    finally:
        team.pbx.close()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except eps.EpSignalError as error:
        sys.exit(f"qt_wallboard: {error}")
