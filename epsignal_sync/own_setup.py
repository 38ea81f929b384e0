"""The setup of a call that the app starts: judges what the program passes, and builds it. Knows nothing of what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable

from .errors import UsageError
from .messages import EP, Channels, ChannelsCmd, Facility, NameIdentification, Number, Setup

MEDIA, NO_MEDIA = (-1, "8090a2"), (0, "a880")
"""``channel`` and ``bc`` of a call with media, and of one without."""


def own_setup(
    verb: str,
    to_device: bool,
    *,
    number: str,
    sip: str,
    name: str = "",
    channels: Channels | None,
    media: bool,
    facilities: Iterable[Facility],
) -> Setup:
    """Return the setup towards the PBX, for the party called, or towards the device, from the party shown to it.

    Raises UsageError, which names the ``verb`` that the program called.
    """
    for key, value in (("number", number), ("sip", sip), ("name", name)):
        if not isinstance(value, str):
            raise UsageError(f"{verb} takes text as {key}, not a {type(value).__name__}")
    if not number and not sip:
        raise UsageError(f"{verb} needs a number or sip=: " + ("who is calling" if to_device else "whom to call"))
    if number and not Number.parse(number).digits:
        raise UsageError(f"{verb} needs digits in its number, not only the prefix {number!r}")
    if not isinstance(media, bool):
        raise UsageError(f"{verb} takes True or False as media=, not {media!r:.80}")
    if channels is not None and not media:
        raise UsageError(f"{verb} takes channels= for a call with media only: leave media=False out")
    if not isinstance(facilities, Iterable):
        raise UsageError(f"{verb} takes a list of facilities, not a {type(facilities).__name__}")
    party = EP(num=number or None, sip=sip or None)
    channel, bearer = MEDIA if media else NO_MEDIA
    fty = (*([NameIdentification(name=name)] if name else []), *facilities)
    return Setup(
        cg=party if to_device else None,
        cd=None if to_device else party,
        # Without it the PBX would answer with setup_ack and wait for more digits.
        complete=True,
        channel=channel,
        bc=bearer,
        channels_cmd=ChannelsCmd.PROPOSAL if channels is not None else None,
        channels=channels,
        fty=fty or None,
    )
