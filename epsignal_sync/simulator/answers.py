"""How services answer where a test wants it otherwise than as usual: refused, without an answer, or in another of the ways that count.

Knows the names of the services and the choices, and nothing of how they are carried out.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import UsageError
from ..messages import RemoteControl

SILENT = "silent"
"""Nothing is done, and nothing is said."""

NO_MEDIA = ("conn", "call_proc", "rel", "rel without cause", SILENT)
"""How a no-media call can be answered; a cause value refuses it."""

AT_PBX: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("presence_publish", "presence_subscribe", "dialog_info_subscribe"), NO_MEDIA),
    **dict.fromkeys(("mwi_activate", "mwi_deactivate", "mwi_interrogate", "diversion_interrogate"), NO_MEDIA),
    **dict.fromkeys(("im_setup", "im_message", "cp_pick_req"), NO_MEDIA),
    "ct_initiate": ("rel", SILENT),
    **dict.fromkeys(("ct_identify", "cp_park", "diversion_callreroute"), (SILENT,)),
}
"""The services of the PBX, and what can be chosen for each."""

AT_PHONE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("mwi_activate", "mwi_deactivate", "im_setup", "im_message"), NO_MEDIA),
    **dict.fromkeys(("remote_hold", "remote_retrieve", *(control.value for control in RemoteControl)), (SILENT,)),
}
"""The services of a phone, and what can be chosen for each."""

REFUSABLE = frozenset({*(name for name, choices in {**AT_PBX, **AT_PHONE}.items() if choices == NO_MEDIA), "ct_initiate"})
"""The services that can be refused with a cause value; the others have no message for that, so a refusal is a silence."""


class Answers(dict[str, "str | int"]):
    """What a service answers, by the name of its facility; a service that is not in it answers as usual (see ``docs/testing.md``).

    ``"silent"``: nothing is done or said. A number is the cause value of a refusal. ``"conn"``, ``"call_proc"``, ``"rel"``
    (cause 16) and ``"rel without cause"`` are what counts as success of a no-media call, and ``"rel"`` makes ``ct_initiate``
    succeed without a result. May be changed at any time, from any thread; UsageError for what cannot be.
    """

    def __init__(self, choices: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self._choices = choices

    def __setitem__(self, name: str, answer: str | int) -> None:
        choices = self._choices.get(name)
        if choices is None:
            raise UsageError(f"there is no service {name!r} here: use one of {', '.join(self._choices)}")
        is_cause = type(answer) is int and 0 < answer < 128 and name in REFUSABLE
        if answer not in choices and not is_cause:
            more = ", or a cause value from 1 to 127" if name in REFUSABLE else ""
            raise UsageError(f"{name} cannot be answered with {answer!r}: use one of {', '.join(choices)}{more}")
        super().__setitem__(name, answer)
