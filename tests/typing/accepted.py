"""Typical code of a user; mypy --strict takes all of it, and knows the types as asserted."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from typing_extensions import assert_type

import epsignal_sync as eps
from epsignal_sync.messages import (
    EP,
    Alert,
    AttachResult,
    CallState,
    Cause,
    Channels,
    ChannelsCmd,
    Coder,
    Conn,
    CtComplete,
    CtInitiateResult,
    DiversionEntry,
    DiversionProcedure,
    Facility,
    ImMessage,
    InnovaphoneRemoteControl,
    MediaChannel,
    NameIdentification,
    Number,
    NumberType,
    PbxInfo,
    Record,
    Rel,
    RemoteControl,
    Setup,
    Signal,
)


def use(client: eps.Client) -> None:
    phone = client.attach("0090334f1a2b", timeout=10)
    assert_type(phone, eps.Device)
    assert_type(phone.result, AttachResult)
    assert_type(phone.calls, dict[int, eps.Call])

    @phone.on(Setup)
    def ringing(event: eps.SignalEvent[Setup]) -> None:
        assert_type(event.signal, Setup)
        assert_type(event.signal.cg, EP | None)
        assert_type(event.call, eps.Call | None)
        assert_type(event.signal.find(NameIdentification), NameIdentification | None)

    assert_type(ringing, Callable[[eps.SignalEvent[Setup]], object])

    def named(event: eps.FacilityEvent[NameIdentification]) -> None:
        assert_type(event.facility, NameIdentification)

    assert_type(client.on(NameIdentification, named), eps.Subscription)
    client.on(Alert, lambda event: print(event.signal.inband_info))

    @client.on(PbxInfo)
    def info(event: eps.MessageEvent[PbxInfo]) -> None:
        assert_type(event.message, PbxInfo)

    @client.on(eps.CallEnded)
    def ended(event: eps.CallEnded) -> None:
        assert_type(event.call, eps.Call)

    def any_signal(event: eps.SignalEvent[Signal]) -> None: ...

    def any_facility(event: eps.FacilityEvent[Facility]) -> None: ...

    client.on(Rel, any_signal)  # a callback for the base class does for a subclass
    client.on(NameIdentification, any_facility)
    with client.on(eps.ConnectionLost, lambda event: print(event.error)) as subscription:
        assert_type(subscription, eps.Subscription)

    setup = Setup(cd=EP(num="23"), complete=True, fty=[NameIdentification(name="Alice")])
    assert_type(attrs.evolve(setup, channel=0), Setup)
    phone.send(Rel(cau=Cause(num=17)), call=3, to_device=False)
    for call in phone.calls.values():
        assert_type(call.state, CallState | str)
        assert_type(call.remote, eps.Party)
        assert_type(call.incoming, bool | None)
        phone.send(Alert(), call=call, to_device=True)


def read(signal: Setup) -> None:
    transferred = signal.find(CtComplete)
    assert_type(transferred, CtComplete | None)
    if transferred is not None:
        assert_type(transferred.remote, EP | None)
        assert_type(transferred.remote_name, str | None)
    message = signal.find(ImMessage)
    assert message is not None
    assert_type(message.data, str | None)
    assert_type(message.time, int | None)
    assert_type(signal.channels_cmd, ChannelsCmd | str | None)
    channels = signal.channels
    assert channels is not None
    assert_type(channels, Channels)
    assert_type(channels.id, int | None)
    assert_type(channels.ch, tuple[MediaChannel, ...] | None)
    for one in channels.ch or ():
        assert_type(one.coder, Coder | str | None)
        assert_type(one.coder is Coder.OPUS_WB, bool)
    for path, value in signal.problems:
        print(path.upper(), value)
    changed = attrs.evolve(channels, ch=(MediaChannel(coder=Coder.G711A, port=5004), MediaChannel(coder="LYRA")))
    assert_type(attrs.evolve(signal, channels=changed, channels_cmd=ChannelsCmd.SELECT, dsp=None), Setup)
    assert_type(InnovaphoneRemoteControl(control=RemoteControl.MIC_OFF).control, RemoteControl | str | None)
    number = Number.parse("RI4970")
    assert_type(number, Number)
    assert_type(number.type, NumberType)
    assert_type(EP(num=str(Number(digits="4970", type=NumberType.INTERNATIONAL, restricted=True))), EP)
    assert_type(Cause(num=17).text, str)
    base: Record = signal
    print(base.extra)


def control(call: eps.Call, other: eps.Call, device: eps.Device) -> None:
    assert_type(call.answer(), Conn)
    assert_type(call.hold(timeout=None), Facility)
    assert_type(call.transfer(other), CtInitiateResult | None)
    assert_type(device.set_presence("open"), Signal)
    assert_type(device.diversions()[DiversionProcedure.BUSY], tuple[DiversionEntry, ...])
    with device.watch_presence(sip="bob") as watch:
        assert_type(watch, eps.Watch)
    call.park("24", position=1)
    call.answer(RemoteControl.ANNOUNCE, on_result=answered)
    device.watch_dialogs("24", on_result=lambda outcome: print(outcome.ok))
    bridge = device.click_to_dial("24", answer_timeout=None)
    assert_type(bridge, eps.Bridge)
    assert_type(bridge.cause, Cause | None)
    assert_type(eps.bridge(call, other).calls, tuple[eps.Call, ...])


def answered(outcome: eps.Outcome[Conn]) -> None:
    assert_type(outcome.result, Conn | None)
    assert_type(outcome.error, eps.EpSignalError | None)


def start() -> None:
    with eps.connect("wss://pbx.example.com", app="phones", password="x", info={"cn": "Test"}) as client:
        assert_type(client, eps.Client)
        client.run_forever()
