"""Every exception that leaves the library.

    EpSignalError
    ├── UsageError (also ValueError)      the program asked for something that cannot be; nothing was sent
    ├── ConnectError                      no connection: name, TCP, TLS, certificate or upgrade
    │   └── ConnectTimeout                ... not within the time given (also ReplyTimeout)
    ├── LoginError                        the PBX refused the login; carries its reason
    ├── ConnectionLostError               there was a connection, and it is gone
    ├── ClosedError                       close() was called
    ├── ReplyTimeout (also TimeoutError)  an answer or a state did not come in time
    ├── AttachError                       the PBX refused an Attach; carries its ``err``
    ├── DetachedError                     the device is not registered
    ├── RecordingError                    a recording cannot be read or written
    └── CallError                         a call was refused; carries the cause
        └── CallEndedError                the call is over

Each text is one sentence that names what was tried and what to do next, and never holds a secret.
This module knows nothing of the others.
"""

from __future__ import annotations

from typing import Any


class EpSignalError(Exception):
    """Base class of everything this library raises on purpose."""


def again(error: EpSignalError) -> EpSignalError:
    """Return a new error of the same kind and text: one that is raised in several threads would collect their tracebacks."""
    return type(error)(str(error))


def without_text(error: BaseException) -> Exception:
    """Return what may be shown of an internal error: its kind and traceback. Its text may hold what was received or sent."""
    return RuntimeError(f"{type(error).__name__}, whose text may hold a secret and is left out").with_traceback(error.__traceback__)


class UsageError(EpSignalError, ValueError):
    """The program passed something that cannot be right; nothing was sent."""


class ConnectError(EpSignalError):
    """No connection could be made to the PBX."""


class LoginError(EpSignalError):
    """The PBX refused the login."""


class ConnectionLostError(EpSignalError):
    """The connection to the PBX is gone."""


class ClosedError(EpSignalError):
    """The client was closed."""


class ReplyTimeout(EpSignalError, TimeoutError):
    """What was waited for did not come in time."""


class ConnectTimeout(ConnectError, ReplyTimeout):
    """The connection was not there within the time given to connect()."""


class AttachError(EpSignalError):
    """The PBX refused to attach to a device.

    ``err`` is the value of the PBX's ``err`` field as it was received, ``hw`` the device's hardware id.
    """

    def __init__(self, text: str, *, hw: str = "", err: Any = None) -> None:
        super().__init__(text)
        self.hw = hw
        self.err = err


class DetachedError(EpSignalError):
    """The device is not registered at the PBX."""


class RecordingError(EpSignalError):
    """A recording cannot be read, or its file cannot be written."""


class CallError(EpSignalError):
    """A call was refused or failed; ``cause`` is the Cause that was received, or None."""

    def __init__(self, text: str, *, cause: Any = None) -> None:
        super().__init__(text)
        self.cause = cause


class CallEndedError(CallError):
    """The call ended before what was asked for could happen."""
