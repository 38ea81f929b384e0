"""Typical mistakes; mypy --strict refuses each line marked with the error that it gives."""

from __future__ import annotations

import attrs

import epsignal_sync as eps
from epsignal_sync.messages import EP, Alert, Channels, Coder, CtComplete, ImMessage, NameIdentification, Number, Setup


def use(client: eps.Client, event: eps.SignalEvent[Setup]) -> None:
    Setup(cd="23")  # arg-type
    Setup(calling=EP())  # call-arg
    EP(num=23)  # arg-type
    event.signal.calling  # attr-defined  # noqa: B018
    event.signal.cg.num  # union-attr  # noqa: B018
    event.signal.channel = 0  # misc
    attrs.evolve(event.signal, chanel=0)  # call-arg
    client.on("setup", print)  # call-overload
    client.on(Alert, takes_setup)  # arg-type
    client.attach(5)  # arg-type
    client.attach("hw").send(Alert(), call=1)  # call-arg
    event.signal.find("name_identification")  # arg-type
    event.facility.name  # union-attr  # noqa: B018
    eps.connect("wss://pbx.example.com", app="phones")  # call-arg
    eps.connect("wss://pbx.example.com", app="phones", password="x", retry=3)  # call-arg


def build(channels: Channels, setup: Setup) -> None:
    CtComplete(remote="22")  # arg-type
    CtComplete(remoteName="Alice")  # call-arg
    ImMessage(data=b"text")  # arg-type
    Channels(ch=["G711A"])  # arg-type
    channels.audio  # attr-defined  # noqa: B018
    channels.key.b  # union-attr  # noqa: B018
    Coder.G711  # attr-defined  # noqa: B018
    Number(num="22")  # call-arg
    Number(digits="22", type="I")  # arg-type
    setup.find(CtComplete).remote  # union-attr  # noqa: B018
    EP(num=Number(digits="22"))  # arg-type


def takes_setup(event: eps.SignalEvent[Setup]) -> None: ...


def takes_name(event: eps.FacilityEvent[NameIdentification]) -> None: ...
