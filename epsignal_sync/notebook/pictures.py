"""What a notebook shows for a Client, a Device and a Call: HTML of bounded size, without secrets. Knows nothing of IPython.

Names and numbers come from the network: each goes through :func:`.markup.escaped`.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import attrs

from ..intake import ConnectionState
from ..ladder import Ladder
from ..ladder.heading import ENDED_BY
from ..ladder.reading import cause_in_words
from ..ladder.svg import inline
from ..looks import clock, local_time, time_of_day
from ..messages import CallState
from ..protocol.call_record import CallRecord, Party
from . import markup

if TYPE_CHECKING:
    from ..call import Call
    from ..client import Client
    from ..device import Device
    from ..stats import Stats

MOST_ROWS = 50
"""Phones or calls that a picture shows."""
CALLS_OF_PHONE = 3
"""Calls that are shown of each phone of a client."""
MOST_SIGNALS = 40
"""Signals of a call that are shown, the last ones."""

STATE_COLORS = {
    CallState.ALERT: "waiting", CallState.CONNECTED: "good", CallState.DISCONNECTED: "bad", CallState.DISCONNECTING: "bad",
    CallState.NULL: "past",
}  # fmt: skip
CONNECTION_COLORS = {ConnectionState.CONNECTED: "good", ConnectionState.CLOSED: "past", ConnectionState.RECONNECTING: "bad"}

TROUBLES = {
    "callback_failures": "callbacks that raised",
    "events_lost": "messages dropped for callbacks",
    "late": "late interceptors",
    "bypassed": "messages that no interceptor was asked about",
    "lost": "messages lost with a connection",
    "malformed": "unreadable messages",
    "unrouted": "messages of no known phone",
    "late_replies": "late answers to an Attach",
}
"""Figures that are shown where they are not 0."""


def client_picture(client: Client) -> str:
    """Return the picture of a client: where to, as whom, its state, its phones and the figures that matter. Any thread."""
    endpoint, login = client._settings.endpoints[0], client._credentials
    name = f"{endpoint.scheme}://{endpoint.address}{endpoint.path}"
    as_whom = " for ".join(markup.escaped(f"{kind} {one}") for kind, one in (("app", login.app), ("user", login.sip)) if one)
    devices = devices_of(client)
    shown = devices if len(devices) <= MOST_ROWS else heapq.nsmallest(MOST_ROWS, devices, key=lambda one: not live_calls(one))
    phones = markup.table(("Phone", "State", "Calls"), (("", _device_cells(device)) for device in shown)) if devices else ""
    return markup.picture(
        markup.head("Client", name, client_state(client), as_whom),
        markup.facts([("PBX", _addresses(client)), *_figures(client.stats)]),
        phones or markup.note("no phone yet: client.attach() takes one"),
        markup.more(len(devices) - len(shown), "phones"),
    )


def device_picture(device: Device) -> str:
    """Return the picture of a phone: whether it is attached, and its calls. Any thread."""
    calls, hidden = newest([device])
    return markup.picture(
        markup.head("Phone", device.hw, device_state(device), *connection_trouble(device.client)),
        call_table(calls, time.time()) if calls else markup.note("no telephone call now"),
        markup.more(hidden, "calls"),
        _without_media(device),
    )


def call_picture(call: Call) -> str:
    """Return the picture of a call: parties, state, times, cause, and what was said in it. Any thread."""
    now = time.time()
    ladder = call.ladder()
    return markup.picture(
        markup.head("Call", str(call.id), call_state(call), markup.escaped(f"of phone {call.device.hw}")),
        markup.facts([*_parties(call), ("when", markup.escaped(_times(call, now), 200)), ("end", _end(call)), ("besides", _besides(call))]),
        _arrows(ladder) if ladder.steps else markup.note("no signal of it was seen yet"),
    )


# ------------------------------------------------------------ the parts, also for live tables


def devices_of(client: Client) -> list[Device]:
    """Return the phones of a client, in the order of attach(). Any thread."""
    return list(client._devices._by_hw.copy().values())


def client_state(client: Client) -> str:
    """Return the state of a client's connection as HTML."""
    state = client.state
    if state is ConnectionState.CONNECTED and not client.healthy:
        return markup.state("connected, nothing heard for long", "bad")
    return markup.state(state.value, CONNECTION_COLORS.get(state, "waiting"))


def device_state(device: Device) -> str:
    """Return whether a phone is attached, as HTML."""
    if device.attached:
        return markup.state("attached", "good")
    return markup.state("not attached" if device._result is not None else "no answer to the Attach yet", "waiting")


def connection_trouble(client: Client) -> list[str]:
    """Return what is to be said of a client's connection beside a phone, as HTML; nothing as long as it is there."""
    return [] if client.connected else [f"connection {markup.escaped(client.state.value)}"]


def call_state(call: Call) -> str:
    """Return the state of a call as HTML."""
    state = call.state
    text = "ended" if call.ended else f"{state}, perhaps over" if call.stale else str(state)
    color = "past" if call.ended else STATE_COLORS.get(state, "busy") if isinstance(state, CallState) else "busy"
    return markup.state(text, color)


def live_calls(device: Device) -> list[CallRecord]:
    """Return the live telephone calls of a phone. Any thread."""
    live = device._table.live
    return [record for record in live.copy().values() if record.media] if live else []


def newest(devices: Iterable[Device]) -> tuple[list[Call], int]:
    """Return the live telephone calls that are shown, in the order in which they began, and how many more there are."""
    live = [(record, device) for device in devices for record in live_calls(device)]
    shown = heapq.nlargest(MOST_ROWS, live, key=lambda one: one[0].started_at)
    return [device._view(record) for record, device in reversed(shown)], len(live) - len(shown)


def call_table(calls: Sequence[Call], now: float, *, with_phone: bool = False) -> str:
    """Return a table of calls. ``now``: Unix seconds."""
    headings = ("Since", *(["Phone"] if with_phone else []), "Call", "State", "Time", "Remark")
    rows = []
    for call in calls:
        phone = [markup.escaped(call.device.hw)] if with_phone else []
        cells = (
            time_of_day(call.started_at),
            *phone,
            _whom(call),
            call_state(call),
            clock(_seconds(call, now)),
            _remarks(call),
        )
        rows.append(("epsignal-past" if call.ended else "", cells))
    return markup.table(headings, rows)


# ------------------------------------------------------------ a client


def _addresses(client: Client) -> str:
    """Return where the client is connected, where that is not what its first line says."""
    addresses = [one.address for one in client._settings.endpoints]
    if len(addresses) == 1:
        return ""
    now = {connection.intake.address for connection in client._connections if connection.intake.connected}
    return ", ".join(markup.escaped(f"{one} (in use)" if one in now else one) for one in addresses[:4]) + (" …" if addresses[4:] else "")


def _figures(stats: Stats) -> Iterator[tuple[str, str]]:
    half, most = stats.latency_p50, stats.latency_p99
    within = "" if half is None or most is None else f", half of them within {half / 1000:.2f} ms, 99 % within {most / 1000:.2f} ms"
    yield "forwarded", markup.escaped(f"{stats.forwarded:,} messages{within}", 100)
    yield "callbacks", markup.escaped(f"{stats.queue_depth:,} messages wait for them") if stats.queue_depth else ""
    yield "reconnects", markup.escaped(f"{stats.reconnects:,}") if stats.reconnects else ""
    troubles = [f"{name}: {count:,}" for key, name in TROUBLES.items() if (count := getattr(stats, key))]
    yield "trouble", markup.escaped(", ".join(troubles), 400) if troubles else ""


def _device_cells(device: Device) -> tuple[str, str, str]:
    calls, hidden = newest([device])
    lines = [f"{_whom(call)} {call_state(call)}" for call in calls[:CALLS_OF_PHONE]]
    hidden += len(calls) - len(lines)
    return markup.escaped(device.hw), device_state(device), "<br>".join([*lines, *([f"and {hidden:,} more"] if hidden else [])])


def _without_media(device: Device) -> str:
    count = sum(not record.media for record in device._table.live.copy().values())
    what = "call without media (presence or the like) is" if count == 1 else "calls without media (presence and the like) are"
    return markup.note(f"{count:,} {what} in device.calls") if count else ""


# ------------------------------------------------------------ a call


def _whom(call: Call) -> str:
    direction = {True: "from", False: "to", None: "with"}[call.incoming]
    return f"{direction} {_party(call.remote)}"


def _party(party: Party) -> str:
    name, number = party.name or party.sip, party.num
    if name and number:
        return f"{markup.escaped(name)} ({markup.escaped(number, 24)})"
    return markup.escaped(name or number or "unknown")


def _arrows(ladder: Ladder) -> str:
    """Return the last signals of a call as a picture; what is above them in the ladder is said elsewhere."""
    hidden = len(ladder.rows) - MOST_SIGNALS
    note = markup.note(f"{hidden} earlier signals are in call.history") if hidden > 0 else ""
    return note + inline(attrs.evolve(ladder, rows=ladder.rows[-MOST_SIGNALS:]), heading=False)


def _parties(call: Call) -> Iterator[tuple[str, str]]:
    remote, local = _party(call.remote), _party(call.local) if any(call.local) else markup.escaped("the phone")
    from_, to = (remote, local) if call.incoming else (local, remote)
    if call.incoming is None:
        yield "with", remote
    else:
        yield "from", from_
        yield "to", to
    yield "dialed", markup.escaped(call.dialed) if call.dialed and call.dialed not in (call.remote.num, call.local.num) else ""
    yield "diverted from", "" if call.diverted_from is None else _party(call.diverted_from)
    yield "diverted to", "" if call.diverted_to is None else _party(call.diverted_to)


def _times(call: Call, now: float) -> str:
    moments = (("connected", call.connected_at), ("ended", call.ended_at))
    began = f"began {local_time(call.started_at):%Y-%m-%d %H:%M:%S}"
    when = ", ".join([began, *(f"{what} {time_of_day(at)}" for what, at in moments if at is not None)])
    lasted = clock(_seconds(call, now))
    if call.connected_at is not None:
        return f"{when} (connected for {lasted}{'' if call.ended else ' so far'})"
    return f"{when} ({lasted}{', never connected' if call.ended else ' so far'})"


def _seconds(call: Call, now: float) -> float:
    """Return how long it has been connected, or has lasted without that."""
    return (call.ended_at or now) - (call.connected_at or call.started_at)


def _end(call: Call) -> str:
    cause = call.cause
    words = [] if cause is None else [cause_in_words(cause.num)]
    if call.answered_elsewhere:
        words.append("answered at another phone")
    if call.ended_by is not None:
        words.append(ENDED_BY.get(call.ended_by, call.ended_by))
    return markup.escaped(", ".join(words), 120) if words else ""


def _flags(call: Call) -> Iterator[str]:
    if call.on_hold:
        yield "on hold"
    if call.held:
        yield "held by the other side"
    if call.own:
        yield "started by the app"
    if not call.media:
        yield "without media"


def _besides(call: Call) -> str:
    return markup.escaped(", ".join(_flags(call)), 120) if any(_flags(call)) else ""


def _remarks(call: Call) -> str:
    """Return the last column of a table of calls."""
    end = [] if call.cause is None else [cause_in_words(call.cause.num)]
    if not end and call.ended and call.ended_by is not None:
        end = [ENDED_BY.get(call.ended_by, call.ended_by)]
    diverted = [] if call.diverted_from is None else [f"diverted from {call.diverted_from}"]
    return markup.escaped(", ".join([*(_flags(call) if not call.ended else ()), *diverted, *end]), 80)
