"""What went through a client, in a file: written while it happens, read afterwards."""

from .calls import RecordedCall
from .lines import RecordedEvent, RecordedMessage
from .reading import Recording
from .recorder import Recorder

__all__ = ["RecordedCall", "RecordedEvent", "RecordedMessage", "Recorder", "Recording"]
