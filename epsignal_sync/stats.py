"""What a client counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from .dispatcher import CallbackThread

if TYPE_CHECKING:
    from .connection import Connection


@frozen(kw_only=True)
class Stats:
    """What a client has counted so far, in messages."""

    received: int
    """Text messages received."""
    sent: int
    """Text messages queued to be written, forwarded ones included."""
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
    """Messages that were no JSON object with a message type, and binary ones: ignored."""
    reconnects: int
    """How often a connection that was lost was made again."""
    unrouted: int
    """EpSignal messages that no device could be found for."""
    late_replies: int
    """AttachResults that came after attach() had given up."""
    events_lost: int
    """Messages that no callback was called for, since the callbacks were too far behind."""
    queue_depth: int
    """Messages that wait for callbacks now."""
    callback_failures: int
    """Callbacks that raised."""


def count(connections: Sequence[Connection], callbacks: CallbackThread, callback_failures: int) -> Stats:
    """Return the sum of what the connections of a client have counted so far. Any thread."""
    counters = [connection.link.counters for connection in connections]
    intakes = [connection.intake for connection in connections]
    return Stats(
        received=sum(one.received for one in counters),
        sent=sum(one.sent for one in counters),
        forwarded=sum(one.forwarded for one in counters),
        own=sum(one.own for one in counters),
        changed=sum(one.changed for one in counters),
        dropped=sum(one.dropped for one in counters),
        bypassed=sum(one.bypassed for one in counters),
        late=sum(one.late for one in counters),
        lost=sum(one.lost for one in counters),
        malformed=sum(one.malformed for one in counters),
        reconnects=sum(one.reconnects for one in intakes),
        unrouted=sum(one.unrouted for one in intakes),
        late_replies=sum(one.late_replies for one in intakes),
        events_lost=sum(one.lost for one in intakes),
        queue_depth=callbacks.backlog[0],
        callback_failures=callback_failures,
    )
