"""A recording as a table of pandas, which is imported here and nowhere else. Knows no file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import RecordingError
from .lines import RecordedMessage

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped,import-not-found,unused-ignore]

    from .reading import Recording

COLUMNS = (
    "time", "sender", "receiver", "device", "verdict", "mt", "type", "call", "call_number", "incoming", "remote", "remote_name", "state",
    "cause",
)  # fmt: skip
"""``call`` is the id, which comes again; ``call_number`` is the place in ``recording.calls``. What a call is as a whole
(``incoming``, ``remote``, ``remote_name``, ``state`` at the end) stands in each of its rows, ``cause`` where one is said."""


def dataframe_of(recording: Recording) -> DataFrame:
    """Return one row a message. Raises RecordingError where pandas is not installed."""
    try:
        import pandas
    except ImportError:
        raise RecordingError("to_dataframe() needs pandas: pip install 'epsignal-sync[pandas]'") from None
    frame = pandas.DataFrame.from_records(list(_rows(recording)), columns=list(COLUMNS))
    frame["time"] = pandas.to_datetime(frame["time"], unit="s", utc=True)
    for name in ("call", "call_number", "cause"):
        frame[name] = frame[name].astype("Int64")
    return frame


def _rows(recording: Recording) -> Iterable[tuple[Any, ...]]:
    by_index = {index: call for call in recording.calls for index in call._indexes}
    for index, message in enumerate(recording):
        call = by_index.get(index)
        about: tuple[Any, ...] = (None,) * 5
        if call is not None:
            about = call.number, call.incoming, call.remote.num, call.remote.name or call.remote.sip, str(call.state)
        yield (
            message.at, message.sender, message.receiver, message.device, message.verdict, message.mt, message.type or None,
            _small(message.call), *about, _cause(message),
        )  # fmt: skip


def _cause(message: RecordedMessage) -> int | None:
    sig = message.data.get("sig")
    cause = sig.get("cau") if isinstance(sig, dict) else None
    return _small(cause.get("num")) if isinstance(cause, dict) else None


def _small(number: object) -> int | None:
    """Return a number that pandas can hold, else None."""
    return number if type(number) is int and -(2**63) <= number < 2**63 else None
