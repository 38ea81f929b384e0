"""The calls of a phone in a window: who, in which state, for how long; with buttons to answer, hang up, hold and dial.

    python samples/tk_phone_panel.py                 a simulated PBX, where people call each other
    python samples/tk_phone_panel.py URL APP HW      a real PBX; the App object's password in EPSIGNAL_PASSWORD

Keys: Enter in the field dials, Alt with the underlined letter is a button, the arrow keys choose a call. Dialing has the phone ring,
or answer by itself, and then calls the number. What is dialed here lives only as long as the window: see samples/click_to_dial.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import tkinter
from collections.abc import Callable, Iterator
from tkinter import font, ttk
from typing import Any

import epsignal_sync as eps
from epsignal_sync.integrations import TkDispatcher
from epsignal_sync.messages import Attached, Detached, Signaling

GREEN, AMBER, RED = "#2e8540", "#b86e00", "#c0392b"
STATES = {
    "setup": "calling", "setup-ack": "dialing", "call-proc": "calling", "alert": "ringing there", "connected": "connected",
    "disconnected": "has hung up", "disconnecting": "hanging up", "parked": "parked",
}  # fmt: skip
LONGEST_NAME = 60


def plain(text: object) -> str:
    """Return a text of the network so that it can be shown: one line, not too long, nothing that changes what stands beside it."""
    # Characters beyond U+FFFF, such as emoji, are more than some versions of Tk can draw.
    shown = "".join(one if one.isprintable() and one <= "\uffff" else "\N{REPLACEMENT CHARACTER}" for one in str(text)[: LONGEST_NAME + 1])
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"


def state_of(call: eps.Call) -> str:
    """Return the state of a call in words."""
    if call.state == "alert" and call.incoming:
        return "your phone rings" if call.own else "rings"
    if call.state == "connected" and call.on_hold:
        return "on hold"
    if call.state == "connected" and call.held:
        return "holds you"
    return STATES.get(str(call.state), plain(call.state))


def duration_of(call: eps.Call) -> str:
    """Return for how long two people have talked."""
    if call.connected_at is None:
        return ""
    minutes, seconds = divmod(int(time.time() - call.connected_at), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


class Panel:
    """The window. Everything runs on Tk's thread, but what is given to in_background()."""

    def __init__(self, root: tkinter.Tk, connect: Callable[[TkDispatcher], tuple[eps.Client, eps.Device]], title: str) -> None:
        self.root = root
        self.dispatcher = TkDispatcher(root)
        self._connect = connect
        self._client: eps.Client | None = None
        self._phone: eps.Device | None = None
        self._bridges: list[eps.Bridge] = []
        self._asked: set[eps.Call] = set()
        self._build(title)
        self.connect()
        self._tick()

    # ------------------------------------------------------------ the window

    def _build(self, title: str) -> None:
        self.root.title(f"Phone panel: {plain(title)}")
        style = ttk.Style(self.root)
        if self.root.tk.call("tk", "windowingsystem") == "x11":
            style.theme_use("clam")  # Tk's own one looks like 1995 there
            style.configure(".", background="#f3f4f6")
        style.configure("Treeview", rowheight=30)
        # No color of the text: that of the state stays.
        style.map("Treeview", background=[("selected", "#d6e6f5")], foreground=[("disabled", "#888888")])
        frame = ttk.Frame(self.root, padding=14)
        frame.pack(fill="both", expand=True)
        frame.columnconfigure(0, weight=1)
        frame.rowconfigure(1, weight=1)
        self._build_head(frame, title).grid(row=0, sticky="ew")
        self._build_calls(frame).grid(row=1, sticky="nsew", pady=12)
        self._build_buttons(frame).grid(row=2, sticky="ew")
        self._build_dialing(frame).grid(row=3, sticky="ew", pady=(12, 0))
        self._status = ttk.Label(frame, foreground=RED)
        self._status.grid(row=4, sticky="ew", pady=(12, 0))
        frame.bind("<Configure>", lambda event: self._status.configure(wraplength=max(100, event.width - 28)))
        self.root.geometry("560x400")
        self.root.minsize(480, 330)

    def _build_head(self, parent: ttk.Frame, title: str) -> ttk.Frame:
        head = ttk.Frame(parent)
        head.columnconfigure(0, weight=1)
        self._bold = font.nametofont("TkDefaultFont").copy()
        self._bold.configure(size=13, weight="bold")
        ttk.Label(head, text=f"Phone {plain(title)}", font=self._bold).grid(row=0, column=0, sticky="w")
        self._link = ttk.Label(head)
        self._link.grid(row=0, column=1, sticky="e")
        self._again = self._button(head, "Connect", 0, self.connect)
        return head

    def _build_calls(self, parent: ttk.Frame) -> ttk.Frame:
        box = ttk.Frame(parent)
        box.columnconfigure(0, weight=1)
        box.rowconfigure(0, weight=1)
        self._calls = ttk.Treeview(box, columns=("who", "state", "duration"), show="headings", height=5, selectmode="browse")
        for name, width in (("who", 270), ("state", 130), ("duration", 90)):
            self._calls.heading(name, text=name.capitalize(), anchor="w")
            self._calls.column(name, width=width, minwidth=60, anchor="w", stretch=name == "who")
        self._calls.tag_configure("rings", foreground=AMBER)
        self._calls.tag_configure("connected", foreground=GREEN)
        self._calls.bind("<<TreeviewSelect>>", lambda event: self._show_buttons())
        bar = ttk.Scrollbar(box, command=self._calls.yview)
        self._calls.configure(yscrollcommand=bar.set)
        self._calls.grid(row=0, column=0, sticky="nsew")
        bar.grid(row=0, column=1, sticky="ns")
        return box

    def _build_buttons(self, parent: ttk.Frame) -> ttk.Frame:
        row = ttk.Frame(parent)
        self._answer = self._button(row, "Answer", 0, lambda: self._do(eps.Call.answer))
        self._hangup = self._button(row, "Hang up", 5, self._hang_up)
        self._hold = self._button(row, "Hold", 2, lambda: self._do(eps.Call.hold))
        self._retrieve = self._button(row, "Retrieve", 0, lambda: self._do(eps.Call.retrieve))
        for column, button in enumerate((self._answer, self._hangup, self._hold, self._retrieve)):
            row.columnconfigure(column, weight=1, uniform="buttons")
            button.grid(row=0, column=column, sticky="ew", padx=(6 if column else 0, 0))
        return row

    def _build_dialing(self, parent: ttk.Frame) -> ttk.Frame:
        row = ttk.Frame(parent)
        row.columnconfigure(1, weight=1)
        ttk.Label(row, text="Number").grid(row=0, column=0)
        self._dial = self._button(row, "Dial", 0, self.dial)
        self._dial.grid(row=0, column=2)
        self._number = ttk.Entry(row)
        self._number.grid(row=0, column=1, sticky="nsew", padx=10)
        self._number.bind("<Return>", lambda event: self._dial.invoke())
        for key in ("<Up>", "<Down>"):
            self._number.bind(key, lambda event: self._calls.focus_set())
        self._number.bind("<KeyRelease>", lambda event: self._show_buttons())
        self._number.focus_set()
        return row

    def _button(self, parent: ttk.Frame, text: str, underline: int, command: Callable[[], object]) -> ttk.Button:
        button = ttk.Button(parent, text=text, underline=underline, command=command)
        self.root.bind(f"<Alt-{text[underline].lower()}>", lambda event: button.invoke())  # which does nothing while it is disabled
        return button

    # ------------------------------------------------------------ what is shown

    def refresh(self, event: object = None) -> None:
        """Show the calls as they are now."""
        ids = {str(call.id): call for call in self._shown()}
        for gone in set(self._calls.get_children()) - ids.keys():
            self._calls.delete(gone)
        for name, call in ids.items():
            state = state_of(call)
            if not self._calls.exists(name):
                self._calls.insert("", "end", name)
            self._calls.item(name, values=(plain(call.remote), state, duration_of(call)), tags=(state,))
            if state == "rings" and not self._calls.selection():
                self._choose(name)
        if ids and not self._calls.selection():
            self._choose(next(iter(ids)))
        self._show_link()
        self._show_buttons()

    def _shown(self) -> list[eps.Call]:
        """The calls to be shown: of a call that was dialed here, the leg to the phone is not, as soon as there is another one."""
        self._bridges = [one for one in self._bridges if not all(call.ended for call in one.calls)]
        hidden = [one.calls[0] for one in self._bridges if len(one.calls) == 2]
        return [] if self._phone is None else [call for call in self._phone.media_calls.values() if call not in hidden]

    def _choose(self, name: str) -> None:
        self._calls.selection_set(name)
        self._calls.focus(name)  # where the arrow keys start

    def _chosen(self) -> eps.Call | None:
        chosen = self._calls.selection()
        return next((call for call in self._shown() if str(call.id) in chosen), None)

    def _show_link(self) -> None:
        state = "closed" if self._client is None else str(self._client.state)
        color, text = {"connected": (GREEN, "connected"), "closed": (RED, "not connected")}.get(state, (AMBER, "connecting again …"))
        if self._phone is not None and state == "connected" and not self._phone.attached:
            color, text = AMBER, "the phone is not registered"
        if self._connecting:
            color, text = AMBER, "connecting …"
        self._link.configure(text=f"● {text}", foreground=color)
        over = state == "closed" and not self._connecting
        self._enable(self._again, over)  # its key works without being seen
        if over:
            self._again.grid(row=0, column=2, padx=(10, 0))
        else:
            self._again.grid_remove()

    def _show_buttons(self) -> None:
        call = self._chosen()
        works = self._phone is not None and self._phone.attached
        # What was dialed here has no key of the phone behind it.
        talks = works and call is not None and call.state == "connected" and not call.own
        on_hold = call is not None and call.on_hold
        free = call not in self._asked  # a second click before the answer is there would ask twice
        self._enable(self._answer, works and free and call is not None and state_of(call) == "rings")
        self._enable(self._hangup, works and call is not None)
        self._enable(self._hold, talks and free and not on_hold)
        self._enable(self._retrieve, talks and free and on_hold)
        self._enable(self._dial, works and self._number.get().strip())

    @staticmethod
    def _enable(button: ttk.Button, on: object) -> None:
        button.state(["!disabled" if on else "disabled"])

    def say(self, text: object = "") -> None:
        """Show a sentence below."""
        self._status.configure(text=plain_sentence(text))

    def _tick(self) -> None:
        self.refresh()  # the durations
        self.root.after(500, self._tick)

    # ------------------------------------------------------------ what is done

    def connect(self) -> None:
        """Connect and attach, while the window goes on."""
        before, self._client, self._phone = self._client, None, None
        self._connecting = True
        self.say()
        self._show_link()

        def connect() -> tuple[eps.Client, eps.Device]:
            if before is not None:
                before.close()
            return self._connect(self.dispatcher)

        self.in_background(connect, self._connected)

    def _connected(self, both: tuple[eps.Client, eps.Device] | None) -> None:
        self._connecting = False
        if both is not None:
            self._client, self._phone = both
            for kind in (Signaling, Attached, Detached, eps.CallStarted, eps.CallStateChanged, eps.Reconnected):
                self._client.on(kind, self.refresh)
            self._client.on(eps.CallEnded, self._ended)
            self._client.on(eps.ConnectionLost, self._lost)
            self._client.on(eps.Gap, self._missed)
        self.refresh()

    def _ended(self, event: eps.CallEnded) -> None:
        if event.call.media and event.call.cause is not None and event.call.cause.num != 16:
            self.say(f"{plain(event.call.remote)}: {event.call.cause.text or 'ended'}")
        self.refresh()

    def _lost(self, event: eps.ConnectionLost) -> None:
        self.say(event.error)
        self.refresh()

    def _missed(self, event: eps.Gap) -> None:
        self.say(f"The connection is there again; {len(event.lost)} calls have ended and {len(event.new)} have begun meanwhile.")
        self.refresh()

    def _do(self, verb: Callable[..., object]) -> None:
        call = self._chosen()
        if call is not None:
            self.say()
            self._asked.add(call)
            try:
                verb(call, on_result=lambda outcome: self._told(call, outcome.error))
            except eps.EpSignalError as error:  # what shows at once; the rest comes with the outcome
                self._told(call, error)
            self._show_buttons()

    def _told(self, call: eps.Call, error: eps.EpSignalError | None) -> None:
        self._asked.discard(call)
        if error is not None:
            self.say(error)
        self.refresh()

    def _hang_up(self) -> None:
        call = self._chosen()
        if call is not None:
            self.say()
            bridge = next((one for one in self._bridges if call in one.calls), None)
            # It may have to wait until there is room for more to be sent, so not here.
            self.in_background(call.hangup if bridge is None else bridge.hangup)

    def dial(self) -> None:
        """Have the phone call what is in the field."""
        number, phone = self._number.get().strip(), self._phone
        if phone is not None:
            self.say()
            self._number.delete(0, "end")
            self._show_buttons()
            self.in_background(lambda: phone.click_to_dial(number), self._dialed)

    def _dialed(self, bridge: eps.Bridge | None) -> None:
        if bridge is not None:
            self._bridges.append(bridge)
        self.refresh()

    def in_background(self, work: Callable[[], Any], then: Callable[[Any], object] = lambda result: None) -> None:
        """Do what may block on a thread of its own; ``then`` gets the result, or None after an error, on Tk's thread."""

        def run() -> None:
            try:
                result = work()
            except eps.EpSignalError as error:
                failed = error
                self.dispatcher(lambda: self.say(failed))
                result = None
            self.dispatcher(lambda: then(result))

        threading.Thread(target=run, name="panel-worker", daemon=True).start()

    def close(self) -> None:
        """End the connection; the phone's calls go on. After mainloop()."""
        if self._client is not None:
            self._client.close()


def plain_sentence(text: object) -> str:
    """Return a sentence so that it can be shown, which may be longer than a name."""
    return "".join(one if one.isprintable() and one <= "\uffff" else " " for one in str(text)[:300])


@contextlib.contextmanager
def simulated() -> Iterator[tuple[str, str]]:
    """Give a PBX where Bob calls Alice, and Bob and Carol answer: its URL and Alice's phone."""
    try:
        from epsignal_sync.simulator import SimulatedPBX
    except ImportError as error:
        sys.exit(f"tk_phone_panel: {error}")

    over = threading.Event()
    with SimulatedPBX() as pbx:
        pbx.add_app("phones", password="secret")
        alice = pbx.add_phone("0090334f1a2b", number="22", sip="alice", name="Alice")
        bob = pbx.add_phone("0090334f1a2c", number="23", sip="bob", name="Bob")
        carol = pbx.add_phone("0090334f1a2d", number="24", sip="carol", name="Carol")

        def people() -> None:
            with contextlib.suppress(eps.EpSignalError):  # somebody else was faster, or the PBX has closed
                while not over.wait(3):
                    if not alice.calls and not bob.calls:
                        bob.call("22")
                    for phone in (bob, carol):
                        for call in phone.calls:
                            if call.incoming and call.state == "alert":
                                phone.answer(call)

        thread = threading.Thread(target=people, name="people", daemon=True)
        thread.start()
        try:
            yield pbx.url, alice.hw
        finally:
            over.set()
            thread.join(5)


def show(url: str, app: str, password: str, hw: str) -> None:
    """Show the panel until its window is closed."""

    def connect(dispatcher: TkDispatcher) -> tuple[eps.Client, eps.Device]:
        client = eps.connect(url, app=app, password=password, dispatcher=dispatcher)
        try:
            return client, client.attach(hw)
        except BaseException:
            client.close()
            raise

    try:
        root = tkinter.Tk()
    except tkinter.TclError as error:
        sys.exit(f"tk_phone_panel: there is no screen for a window ({error})")
    # An exception out of a signal handler would be lost in whatever Tk runs just then.
    signal.signal(signal.SIGINT, lambda *_: root.quit())
    panel = Panel(root, connect, hw)
    try:
        root.mainloop()
    finally:
        panel.close()


def main() -> None:
    if len(sys.argv) == 1:
        with simulated() as (url, hw):
            show(url, "phones", "secret", hw)
    elif len(sys.argv) == 4 and "EPSIGNAL_PASSWORD" in os.environ:
        url, app, hw = sys.argv[1:]
        show(url, app, os.environ["EPSIGNAL_PASSWORD"], hw)
    else:
        sys.exit("usage: tk_phone_panel.py [URL APP HW], with the App object's password in the variable EPSIGNAL_PASSWORD")


if __name__ == "__main__":
    try:
        main()
    except eps.EpSignalError as error:
        sys.exit(f"tk_phone_panel: {error}")
