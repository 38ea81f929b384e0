"""What a client counts, gathered from where it is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from .relay.counting import Latencies, TypeCounts

if TYPE_CHECKING:
    from .client import Client


@frozen(kw_only=True)
class Stats:
    """What a client has counted so far, in messages. Plain data."""

    received: int
    """Text messages received."""
    sent: int
    """Text messages queued to be written, forwarded ones included."""
    received_types: Mapping[str, int]
    """Received messages by type: ``Attached`` for example, and with the type of the signal ``Signaling/setup``.

    Of the types that no specification knows the first 50 have their own names here; the others are together ``other``.
    """
    sent_types: Mapping[str, int]
    """Sent messages by type, likewise."""
    forwarded: int
    """Signaling messages sent back as they came."""
    own: int
    """Received messages of calls that the app started."""
    changed: int
    """Signaling messages that an interceptor changed."""
    dropped: int
    """Signaling messages that did not go on: an interceptor dropped them, or the app had ended the call on one side."""
    bypassed: int
    """Signaling messages that went on without asking the interceptors, since one still held the device up; in forwarded, too."""
    late: int
    """Signaling messages that went on as they came, since no interceptor had answered in time."""
    lost: int
    """Messages that waited when the connection ended: held for an interceptor, or of the app and not yet put on their way."""
    malformed: int
    """What could not be read and was ignored: no JSON object with a message type, more than 500 000 objects and lists, a binary
    message; or frames that ended the connection."""
    unrouted: int
    """EpSignal messages that no device could be found for."""
    late_replies: int
    """AttachResults that came after attach() had given up."""
    events_lost: int
    """Messages that no callback was called for, since the callbacks were too far behind."""
    queue_depth: int
    """Messages that wait for callbacks now."""
    queue_peak: int
    """The most messages that ever waited for callbacks."""
    callback_failures: int
    """Callbacks that raised."""
    latency_p50: float | None
    """Microseconds that half of the forwarded messages stayed here at the most, to 9 %: from the moment when a message was
    read to the moment when the system had taken its last byte. None while nothing was forwarded."""
    latency_p99: float | None
    """Microseconds that 99 of 100 forwarded messages stayed here at the most; one that waits for an interceptor has that time in it."""
    reconnects: int
    """Connections that were made anew after a loss."""


def gather_stats(client: Client) -> Stats:
    """Return what the connections of a client have counted so far. Does not block; any thread."""
    counters = [connection.link.counters for connection in client._connections]
    intakes = [connection.intake for connection in client._connections]
    callbacks = client._callbacks
    latencies = Latencies.sum(one.latencies for one in counters)
    return Stats(
        received=sum(one.received for one in counters),
        sent=sum(one.sent for one in counters),
        received_types=_sum(types for one in counters for types in (one.relayed_types, one.received_types)),
        sent_types=_sum(types for one in counters for types in (one.relayed_types, one.sent_types)),
        forwarded=sum(one.forwarded for one in counters),
        own=sum(one.own for one in counters),
        changed=sum(one.changed for one in counters),
        dropped=sum(one.dropped for one in counters),
        bypassed=sum(one.bypassed for one in counters),
        late=sum(one.late for one in counters),
        lost=sum(one.lost for one in counters),
        malformed=sum(one.malformed for one in counters),
        unrouted=sum(one.unrouted for one in intakes),
        late_replies=sum(one.late_replies for one in intakes),
        events_lost=sum(one.lost for one in intakes),
        queue_depth=callbacks.backlog[0],
        queue_peak=callbacks.peak,
        callback_failures=client._callback_failures,
        latency_p50=latencies.percentile(0.5),
        latency_p99=latencies.percentile(0.99),
        reconnects=sum(one.reconnects for one in intakes),
    )


def _sum(counts: Iterable[TypeCounts]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for one in counts:
        for kind, count in one.totals().items():
            sums[kind] = sums.get(kind, 0) + count
    return dict(sorted(sums.items()))
