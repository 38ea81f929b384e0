"""Call transfer (H.450.2, the ``ct_*`` facilities). Knows nothing of the signals that carry them."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field, frozen

from ..endpoint import EP
from ..record import UNSIGNED
from .base import Facility


@frozen(kw_only=True, repr=False, eq=False)
class CtIdentify(Facility):
    """Asks the consulted party for an id to which a call can be transferred (attended transfer)."""

    wire_name: ClassVar[str] = "ct_identify"


@frozen(kw_only=True, repr=False, eq=False)
class CtIdentifyResult(Facility):
    """The answer to CtIdentify."""

    wire_name: ClassVar[str] = "ct_identify_result"

    id: int | None = field(default=None, metadata=UNSIGNED)
    """The id under which the transferred call will be known, an unsigned integer."""
    dst: EP | None = None
    """Where the transferred call is to go."""


@frozen(kw_only=True, repr=False, eq=False)
class CtInitiate(Facility):
    """Starts a transfer: with the id of a CtIdentifyResult attended, without a known id blind."""

    wire_name: ClassVar[str] = "ct_initiate"

    id: int | None = field(default=None, metadata=UNSIGNED)
    """The id of the CtIdentifyResult, an unsigned integer; not set for a blind transfer."""
    dst: EP | None = None
    """Where to transfer to."""


@frozen(kw_only=True, repr=False, eq=False)
class CtInitiateResult(Facility):
    """The end of a transfer."""

    wire_name: ClassVar[str] = "ct_initiate_result"

    error: int | None = field(default=None, metadata=UNSIGNED)
    """Present where the transfer failed: the H.450.2 error, an unsigned integer."""
    cause: int | None = field(default=None, metadata=UNSIGNED)
    """Q.850 cause value of the failure."""


@frozen(kw_only=True, repr=False, eq=False)
class CtSetup(Facility):
    """Marks the new call that a transfer made."""

    wire_name: ClassVar[str] = "ct_setup"

    id: int | None = field(default=None, metadata=UNSIGNED)
    """The id of the CtIdentifyResult, an unsigned integer."""
    dst: EP | None = None
    """Where the transferred call goes."""


@frozen(kw_only=True, repr=False, eq=False)
class CtSetupResult(Facility):
    """The answer to CtSetup."""

    wire_name: ClassVar[str] = "ct_setup_result"


@frozen(kw_only=True, repr=False, eq=False)
class CtComplete(Facility):
    """Tells the new remote party after a transfer, a pick-up or another change of who is there."""

    wire_name: ClassVar[str] = "ct_complete"

    remote: EP | None = None
    """The new remote party."""
    remote_name: str | None = None
    """Its display name."""
    call_status: Any = None
    """H.450.2 call status: whether the new party is alerting or connected; any JSON value is taken."""
    end: Any = None
    """H.450.2 end designation: which end of the transfer this is; any JSON value is taken."""
