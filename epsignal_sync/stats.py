"""What a client counts. Plain data."""

from __future__ import annotations

from attrs import frozen


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
    """Messages that were no JSON object with a message type, binary ones, and such with more than 500 000 objects and lists: ignored."""
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
