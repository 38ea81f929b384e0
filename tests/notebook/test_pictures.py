"""What a notebook shows for clients, phones and calls: what stands in it, what must not, and that nothing hostile does any harm."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import epsignal_sync as eps
from epsignal_sync import looks
from epsignal_sync.call import Call, Party
from epsignal_sync.device import Device
from epsignal_sync.messages import Alert, Channels, FacilitySignal, Ice, Setup, SrtpKey
from epsignal_sync.notebook import markup, pictures
from epsignal_sync.protocol.call_record import CallRecord
from epsignal_sync.protocol.session import Attachment
from epsignal_sync.simulator import SimulatedPBX, SimulatedPhone

from ..conftest import HW1, HW2, PATIENCE, wait_until

Phones = tuple[SimulatedPhone, SimulatedPhone]

TAGS = {
    "div", "style", "b", "i", "span", "bdi", "br", "table", "thead", "tbody", "tr", "th", "td", "svg", "path", "circle", "text", "title",
    "desc", "g", "rect",
}  # fmt: skip
ATTRIBUTES = {
    "class", "style", "width", "height", "viewbox", "role", "d", "stroke", "stroke-opacity", "stroke-width", "fill", "cx", "cy", "r", "x",
    "y", "text-anchor", "font-size", "font-weight", "fill-opacity", "stroke-dasharray", "rx", "pointer-events", "xmlns",
}  # fmt: skip


EMPTY = ("br", "path", "circle", "rect")


class Page(HTMLParser):
    """Reads a picture as a browser does; whatever a picture does not consist of is a fault."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.signals: list[list[str]] = []
        """The arrows of a call: where it went, and then the texts beside it."""
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS and {name for name, _ in attrs} <= ATTRIBUTES, (tag, attrs)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "g":
            self.signals.append([])
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "style":
            return
        if self.open[-2:] == ["svg", "title"] or self.open[-1] == "desc":
            return
        if self.open[-1] != "title":
            self.texts.append(data)
        if "g" in self.open:
            self.signals[-1].append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")

    @property
    def ways(self) -> list[str]:
        return [re.split("[,\n]", signal[0])[0] for signal in self.signals]

    @property
    def said(self) -> dict[str, str]:
        """What is said beside an arrow, by the name over it."""
        return {signal[3]: " ".join(signal[4:]) for signal in self.signals}

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def value(self, name: str) -> str:
        """Return what stands beside a name."""
        return next(row[1] for row in self.rows if row[0] == name)


def page(one: Any) -> Page:
    return Page(one._repr_html_())


def connected_call(device: Device, phones: Phones) -> Call:
    """Have the other phone call this one, and be answered."""
    alice, bob = phones
    bob.call("22")
    alice.wait("alert")
    alice.answer()
    wait_until(lambda: any(call.state == "connected" for call in device.media_calls.values()))
    return next(iter(device.media_calls.values()))


# ------------------------------------------------------------ what stands in it


def test_client(client: eps.Client, pbx: SimulatedPBX, phones: Phones) -> None:
    phone, other = client.attach_many([HW1, HW2])
    connected_call(phone, phones)
    wait_until(lambda: phone.attached and other.attached and client.stats.latency_p99 is not None)
    wait_until(lambda: any(call.state == "connected" for call in other.media_calls.values()))
    shown = page(client)
    assert f"Client {pbx.url}" in shown.text and "connected" in shown.text and "app phones" in shown.text
    assert ["Phone", "State", "Calls"] in shown.rows
    assert [HW1, "attached", "from Bob (23) connected"] in shown.rows and [HW2, "attached", "to Alice Ä (22) connected"] in shown.rows
    assert re.fullmatch(r"\d+ messages, half of them within [\d.]+ ms, 99 % within [\d.]+ ms", shown.value("forwarded"))
    assert not [row for row in shown.rows if row[0] in ("reconnects", "trouble")]


def test_client_in_trouble(client: eps.Client, pbx: SimulatedPBX, phones: Phones) -> None:
    phone = client.attach(HW1)
    client.on(eps.CallStarted, lambda event: 1 / 0)
    connected_call(phone, phones)
    wait_until(lambda: client.stats.callback_failures)
    assert re.fullmatch(r"callbacks that raised: \d", page(client).value("trouble"))
    pbx.close()
    wait_until(lambda: client.state == "reconnecting" and not phone.attached)
    assert "reconnecting" in page(client).text and "connection reconnecting" in page(phone).text
    wait_until(lambda: "connected, perhaps over" in page(phone).text)


def test_client_that_has_heard_nothing_for_long(client: eps.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client._connections[0], "is_alive", lambda now: False)
    assert "connected, nothing heard for long" in page(client).text


def test_client_before_connect_and_without_a_phone(client: eps.Client) -> None:
    new = eps.Client("wss://pbx.example.com", sip="alice", password="pwd")
    assert "wss://pbx.example.com:443/ new" in page(new).text and "user alice" in page(new).text
    assert "client.attach() takes one" in page(client).text
    client.close()
    assert "closed" in page(client).text


def test_several_addresses(pbx: SimulatedPBX) -> None:
    with eps.connect([pbx.url, "wss://standby.example.com"], app="phones", password="pwd") as client:
        assert page(client).value("PBX").endswith("(in use), standby.example.com:443")


def test_device(client: eps.Client, phones: Phones) -> None:
    phone = client.attach(HW1)
    phone.wait_attached()
    assert "no telephone call now" in page(phone).text and f"Phone {HW1}" in page(phone).text
    call = connected_call(phone, phones)
    phones[0].hold(phones[0].calls[-1])
    wait_until(lambda: call.on_hold)
    shown = page(phone)
    assert shown.rows[0] == ["Since", "Call", "State", "Time", "Remark"]
    assert shown.rows[1][1:3] == ["from Bob (23)", "connected"] and shown.rows[1][4] == "on hold" and len(shown.rows) == 2
    assert re.search(r"(call|calls) without media \(presence .* in device.calls", shown.text)


def test_call_of_a_phone(client: eps.Client, phones: Phones) -> None:
    alice, bob = phones
    call = connected_call(client.attach(HW1), phones)
    assert "so far" in page(call).value("when") and not [row for row in page(call).rows if row[0] == "end"]
    bob.hangup()
    wait_until(lambda: call.ended)
    shown = page(call)
    assert "ended" in shown.text and f"of phone {HW1}" in shown.text
    assert shown.value("from") == "Bob (23)" and shown.value("to") == "alice (22)"
    assert re.fullmatch(r"began [\d-]{10} [\d:]{8}, connected [\d:]{8}, ended [\d:]{8} \(connected for \d:\d\d\)", shown.value("when"))
    assert shown.value("end") == "16 Normal call clearing, the other side hung up"
    ways = dict(zip((entry.type for entry in call.history), shown.ways, strict=False))
    assert ways["setup"] == "PBX to phone" and ways["alert"] == ways["conn"] == "phone to PBX"
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", signal[1]) for signal in shown.signals)
    details = shown.said
    assert details["setup"].startswith("to 22; media offer (") and details["conn"].startswith("media answer (")
    assert "16 Normal call clearing" in details["rel"]


def test_calls_of_the_app(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    dialed, ringing = device.dial("23"), device.ring("99", name="The app")
    dialed.wait("alert", timeout=PATIENCE)
    ringing.wait("alert", timeout=PATIENCE)
    dialed.hangup(17)
    dialed.wait_ended(timeout=PATIENCE)
    shown = page(dialed)
    assert shown.ways[0] == "app to PBX" and "PBX to app" in shown.ways and "phone" not in " ".join(shown.ways)
    assert shown.value("besides") == "started by the app" and shown.value("end") == "17 User busy, the app hung up"
    assert "never connected" in shown.value("when") and shown.value("from") == "the phone"
    assert page(ringing).ways[:2] == ["app to phone", "phone to app"] and "PBX" not in " ".join(page(ringing).ways)


def test_what_interceptors_did(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    device.intercept(Setup, lambda event: Setup(cd=event.signal.cd, cg=event.signal.cg, complete=True, channel=-1), deadline=2)
    device.intercept(Alert, lambda event: eps.DROP, deadline=2)
    with_history = []
    device.on(eps.CallStarted, lambda event: with_history.append(event.call) if event.call.media else None)
    phones[1].call("22")
    phones[0].wait("alert")
    wait_until(lambda: with_history and with_history[0].history[-1].verdict == "dropped")
    call = with_history[0]
    shown = page(call)
    ways = dict(zip(((entry.type, entry.verdict) for entry in call.history), shown.ways, strict=False))
    assert ways["setup", "changed"] == "PBX to phone" and ways["alert", "dropped"] == "phone to app"
    assert shown.said["setup"].startswith("changed: ") and "to 22" in shown.said["setup"]
    assert shown.said["alert"].startswith("dropped")
    device.send(FacilitySignal(), call=call, to_device=True)
    wait_until(lambda: call.history[-1].verdict == "own")
    assert page(call).ways[-1] == "app to phone"


def test_message_that_the_app_has_not_forwarded_yet(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1, forward=False)
    device.wait_attached()
    phones[1].call("22")
    wait_until(lambda: device.media_calls)
    assert page(next(iter(device.media_calls.values()))).ways == ["PBX to app"]


# ------------------------------------------------------------ bounds


def bare_device(client: eps.Client, hw: str) -> Device:
    return Device(client, client._connections[0], Attachment(hw, hw, True))


def test_ten_thousand_phones(client: eps.Client, phones: Phones) -> None:
    for number in range(9_998):
        client._devices._by_hw[f"{number:012}"] = bare_device(client, f"{number:012}")
    busy = client.attach(HW1)
    call = connected_call(busy, phones)
    assert call.media
    shown = page(client)
    assert len(shown.rows) == 2 + pictures.MOST_ROWS and "and 9,949 more phones" in shown.text
    assert shown.rows[2][:2] == [HW1, "attached"], "phones with calls come first"
    assert len(client._repr_html_()) < 50_000
    client._devices._by_hw.clear()


def test_ten_thousand_calls(client: eps.Client) -> None:
    device = bare_device(client, HW1)
    for number in range(1, 10_001):
        device._table.live[number] = CallRecord(number, 1_700_000_000.0 + number)
    shown = page(device)
    assert len(shown.rows) == 1 + pictures.MOST_ROWS and "and 9,950 more calls" in shown.text
    assert shown.rows[-1][0] == looks.time_of_day(1_700_010_000.0), "the newest are shown, in their order"
    assert sum(record.view is not None for record in device._table.live.values()) == pictures.MOST_ROWS
    assert len(device._repr_html_()) < 50_000


def test_long_history(client: eps.Client) -> None:
    record = CallRecord(3, 1_700_000_000.0)
    for number in range(100):
        record.remember(1_700_000_000.0 + number, True, f"info{number}", b"", "forwarded")
    html = Call(bare_device(client, HW1), record)._repr_html_()
    assert "60 earlier signals are in call.history" in html and "info60<" in html and "info59<" not in html and "info99<" in html
    assert len(html) < 60_000


# ------------------------------------------------------------ hostile input, and secrets


anything = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("<>&\"'/\\\u202e\u2066\u200f\x00\x07\x1b\r\n\u2028\ud800\u0301a ;"), max_size=60),
    st.sampled_from(["<script>alert(1)</script>", "</style><b>", "</title></svg>", "<!--", "&lt;", "]]>", "a" * 10_000, "\u0301" * 500]),
)
maybe = st.one_of(st.none(), anything)
parties = st.builds(Party, maybe, maybe, maybe)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.just(10**4000), st.floats(), anything),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(anything, inner, max_size=3)),
    max_leaves=5,
)
signals = st.dictionaries(st.sampled_from(["cd", "cau", "channels_cmd", "fty"]), json_values)
texts = st.one_of(
    anything,
    st.builds(lambda sig: json.dumps({"mt": "Signaling", "sig": sig}), signals),
    st.just("[" * 4000),
)
verdicts = st.sampled_from(["forwarded", "changed", "dropped", "bypassed", "own", None])


def check_harmless(html: str) -> None:
    shown = Page(html)
    for text in [*shown.texts, *(line for signal in shown.signals for line in signal[0].split("\n"))]:
        for character in text:
            fine = character.isprintable() or unicodedata.category(character) == "Zs" or character in looks.JOINERS
            assert fine, f"{character!r} is shown"
    assert all(len(text) <= 400 for text in shown.texts)
    html.encode("utf-8")


def test_hostile_calls(client: eps.Client) -> None:
    device = client.attach(HW1)

    # Fifty, of which each draws a dozen texts. A loaded machine is slow at making them: that says nothing of the pictures.
    @settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        record = CallRecord(data.draw(st.integers() | st.just(10**4000)), time.time(), data.draw(st.sampled_from([None, True, False])))
        record.remote, record.local, record.diverted_from = data.draw(parties), data.draw(parties), data.draw(parties)
        record.state, record.dialed, record.ended_by = data.draw(anything), data.draw(anything), data.draw(maybe)
        record.cause = data.draw(st.none() | st.dictionaries(st.sampled_from(["num", "loc"]), json_values))
        record.own, record.ended_at = data.draw(st.booleans()), data.draw(st.sampled_from([None, time.time()]))
        record.connected_at = data.draw(st.sampled_from([None, time.time() + 10]))
        entries = data.draw(st.lists(st.tuples(verdicts, st.booleans(), anything, texts), max_size=3))
        for verdict, to_device, kind, text in entries:
            record.remember(time.time(), to_device, kind, text.encode("utf-8", "surrogatepass"), verdict)
        call = Call(device, record)
        check_harmless(call._repr_html_())
        check_harmless(markup.picture(pictures.call_table([call], time.time(), with_phone=True)))
        assert repr(call).isprintable() and (len(repr(call)) < 300 or abs(call.id) > 10**100)

    check()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(hw=anything.filter(bool), app=anything)
def test_hostile_names_of_the_program_itself(hw: str, app: str) -> None:
    try:
        client = eps.Client("wss://pbx.example.com", app=app, sip="x", password="pwd")
    except eps.UsageError:
        return
    device = Device(client, None, Attachment(hw, hw, True))  # type: ignore[arg-type]  # it is not sent to
    client._devices._by_hw[hw] = device
    check_harmless(client._repr_html_())
    check_harmless(device._repr_html_())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(anything)
def test_any_text_is_shown_as_text(text: str) -> None:
    html = markup.escaped(text)
    assert re.fullmatch(r"<bdi>[^<>]*</bdi>", html) and len(Page(f"<div>{html}</div>").text) <= looks.LONGEST_TEXT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Müller\u00a0GmbH", "Müller GmbH"), ("a\x07b\u202ec\ud800", "a\ufffdb\ufffdc\ufffd"), ("نام\u200cها", "نام\u200cها"),
        ("e" + "\u0301" * 30, "e" + "\u0301" * 3), ("x" * 10_000, "x" * 35 + "…"), ("بوب", "بوب"), ("a\nb", "a\ufffdb"),
    ],
)  # fmt: skip
def test_harmless(text: str, shown: str) -> None:
    assert looks.harmless(text) == shown


def test_hostile_name_from_the_network(pbx: SimulatedPBX, client: eps.Client, phones: Phones) -> None:
    name = '<img src=x onerror="alert(1)">\u202e\x1b[2J' + "y" * 10_000
    eve = pbx.add_phone("0090334f1a2d", number="24", sip="eve", name=name)
    device = client.attach(HW1)
    device.wait_attached()
    eve.call("22")
    phones[0].wait("alert")
    wait_until(lambda: device.media_calls)
    call = next(iter(device.media_calls.values()))
    for one in (call, device, client):
        check_harmless(one._repr_html_())
        assert '<img src=x onerror="alert' in page(one).text and "<img" not in one._repr_html_()
    assert repr(call).isprintable() and len(repr(call)) < 150


def test_no_secret(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    media = Channels(key=SrtpKey(tag=1, b="ca4a27ca4a27"), audio_ice=Ice(usr="usr-1", pwd="icicle-333"))
    call = device.dial("23", channels=media)
    call.wait("alert", timeout=PATIENCE)
    assert "icicle-333" in call.history[0].text
    for one in (call, device, client):
        for secret in ("icicle-333", "ca4a27", "pwd"):
            assert secret not in one._repr_html_(), secret


def test_secret_in_the_url() -> None:
    client = eps.Client("wss://pbx.example.com/path?token=swordfish", app="phones", password="pwd")
    assert "swordfish" not in client._repr_html_() and "wss://pbx.example.com:443/path" in page(client).text


# ------------------------------------------------------------ looks, and what it costs


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", ["#ffffff", "#111111", "#1f1f1f"])
@pytest.mark.parametrize("color", looks.COLORS.values())
def test_colors_are_seen_in_light_and_dark_themes(ground: str, color: str) -> None:
    """JupyterLab, the classic notebook and VS Code: WCAG 2 asks 3 to 1 of what is no text."""
    lighter, darker = sorted((luminance(ground), luminance(color)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_text_has_the_color_of_the_theme(client: eps.Client, phones: Phones) -> None:
    device = client.attach(HW1)
    for one in (client, device, connected_call(device, phones)):
        html = one._repr_html_()
        assert not re.search(r"[^-]color:|background:(?!transparent|#)|@import|url\(", html)
        assert all(fill in ("currentColor", "none", *looks.COLORS.values()) for fill in re.findall(r'(?:fill|stroke)="([^"]*)"', html))


def test_nothing_of_it_is_imported_before_it_is_used() -> None:
    program = "import sys, epsignal_sync; print([one for one in sys.modules if 'notebook' in one or one in ('IPython', 'ipykernel')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
