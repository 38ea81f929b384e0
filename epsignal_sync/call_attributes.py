"""What is known of a call, live or recorded: attributes to be read, over its record. Pure; knows no device and no file."""

from __future__ import annotations

from .messages import CallState, Cause
from .messages.record import received
from .protocol.call_record import CallRecord, Party

ANSWERED_ELSEWHERE = 26
"""The Q.850 cause value "non-selected user clearing": another phone of the user was faster."""


class CallAttributes:
    """The attributes that a live call and a recorded one have in common. Whoever inherits them has the ``_record``."""

    __slots__ = ()

    _record: CallRecord

    @property
    def id(self) -> int:
        """Its number on this device. The PBX uses its numbers again after a call's end; those of the app's calls are not."""
        return self._record.id

    @property
    def own(self) -> bool:
        """Whether the app started it: with one far end, the device where it is incoming, else the PBX."""
        return self._record.own

    @property
    def incoming(self) -> bool | None:
        """True: to the device. False: from it. None: not known."""
        return self._record.incoming

    @property
    def state(self) -> CallState | str:
        """The state as the device sees it now; "null" after the end. A state of a newer PBX is a plain str."""
        return self._record.state

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self._record.ended_at is not None

    @property
    def stale(self) -> bool:
        """Whether it may be over without the app knowing: the connection is lost, or the device has unregistered.

        Until the PBX names it again or it ends; two minutes after a Detached without an Attached it counts as lost.
        """
        return self._record.stale

    @property
    def on_hold(self) -> bool:
        """Whether the device has put it on hold. A hold by media alone, as SIP knows it, does not show."""
        return self._record.on_hold

    @property
    def held(self) -> bool:
        """Whether the other party has put it on hold. A hold by media alone, as SIP knows it, does not show."""
        return self._record.held

    @property
    def media(self) -> bool:
        """False for a call without media, such as a phone keeps open for presence: no telephone call to a person."""
        return self._record.media

    @property
    def channel(self) -> int | None:
        """0: no media; -1: VoIP call with media; else an ISDN channel. None: not known."""
        return self._record.channel

    @property
    def remote(self) -> Party:
        """The other party; after a transfer, the new one."""
        return self._record.remote

    @property
    def local(self) -> Party:
        """The device's own party: who was called by an incoming call, or who an outgoing one says that it is."""
        return self._record.local

    @property
    def dialed(self) -> str:
        """The digits dialed so far; "" where they are not known."""
        return self._record.dialed

    @property
    def diverted_from(self) -> Party | None:
        """Who diverted it; None where nothing tells of a diversion."""
        return self._record.diverted_from

    @property
    def diverted_to(self) -> Party | None:
        """Where it was diverted to; None where nothing tells of that."""
        return self._record.diverted_to

    @property
    def conference_id(self) -> str | None:
        """H.323 conference id, hex, the same on all legs of a call; None where it is not known."""
        return self._record.conference_id

    @property
    def cause(self) -> Cause | None:
        """Why it ended or failed: the first cause that was received or sent."""
        data = self._record.cause
        return None if data is None else received(Cause, data)

    @property
    def answered_elsewhere(self) -> bool:
        """Whether it ended since another phone of the user had answered (cause 26): no missed call."""
        number = None if self._record.cause is None else self._record.cause.get("num")
        return type(number) is int and number == ANSWERED_ELSEWHERE

    @property
    def ended_by(self) -> str | None:
        """Who began its end, with disc, rel, or progress with a cause; None before that.

        "device"; "pbx"; "app"; "dropped": an interceptor did not let its setup through; "replaced": another call began
        with its id; "gap": it was gone when the app was in the device's path again, or the connection was lost, and with it
        a call that the app had started.
        """
        return self._record.ended_by

    @property
    def started_at(self) -> float:
        """When it began or was first heard of, in Unix seconds."""
        return self._record.started_at

    @property
    def connected_at(self) -> float | None:
        """When it was connected, in Unix seconds; None for a call that was not, or not while the app was attached."""
        return self._record.connected_at

    @property
    def ended_at(self) -> float | None:
        """When it ended, in Unix seconds."""
        return self._record.ended_at
