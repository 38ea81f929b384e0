"""No secret is written to a log, shown by repr, told by an error or printed by a command, over the whole life of a client.

Each kind of secret has a canary of its own, which is searched for in everything that came out.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync import notes
from epsignal_sync.cli.signal_log import SignalLog
from epsignal_sync.messages import Channels, Ice, ImMessage, InfoSignal, Message, Record, Setup, Signal, SrtpKey
from epsignal_sync.protocol.digest import login_digest
from epsignal_sync.simulator import SimulatedPBX

from .cli.running import Running
from .conftest import HW1, PATIENCE, wait_until
from .peer import Peer, frame

# Without a word in common, so that masking one does not mask another.
PASSWORD, TURN, ICE, SRTP, CHAT = "swordfish-1", "turnip-22", "icicle-333", "ca4a27ca4a27ca4a27", "canary chat, in 'quotes'"
CHALLENGE = "0123456789abcdef"
DIGEST = login_digest(CHALLENGE, PASSWORD, app="phones")
CANARIES = {"password": PASSWORD, "digest": DIGEST, "TURN": TURN, "ICE": ICE, "SRTP": SRTP, "chat": CHAT, "words": "canary"}
CANARIES.update({canary: canary for canary in ("swordfish", "turnip", "icicle")})

CHANNELS = {"key": {"tag": 1, "b": SRTP}, "audio_ice": {"usr": "u", "pwd": ICE}, "video_ice": {"pwd": ICE}, "ch": [{"coder": "G711A"}]}
CHATTING = {"type": "im_message", "sender": "22", "data": CHAT, "subject": CHAT, "attach": CHAT}
SETUP = {"type": "setup", "cg": {"num": "22"}, "channels_cmd": "PROPOSAL", "channels": CHANNELS, "fty": [{"type": "im_setup"}, CHATTING]}
MALFORMED_SIGNALS: list[Any] = [
    {"type": "setup", "channels": ICE}, {"type": "setup", "channels": {"key": SRTP, "audio_ice": [ICE]}},
    {"type": "setup", "channels": {"key": {"b": [SRTP]}, "audio_ice": {"pwd": {"x": ICE}}}}, {"type": "info", "fty": CHAT},
    {"type": "info", "fty": [CHAT, {"type": "im_message", "data": [CHAT], "time": -1}, {"type": "new", "data": CHAT}]},
    {"type": "new", "pwd": ICE, "channels": CHANNELS}, {"type": "disc", "cau": {"num": {"pwd": ICE}}}, CHAT, [CHAT],
]  # fmt: skip


class Told:
    """Everything that came out, with where it did."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.records: list[logging.LogRecord] = []

    def tell(self, where: str, text: object) -> None:
        self.texts.append((where, str(text)))

    def show(self, *objects: object) -> None:
        """Add what objects, and what can be read of them, look like."""
        for one in objects:
            self.tell(f"repr of {type(one).__name__}", f"{one!r} {one!s}")
            if isinstance(one, Record):
                self.tell(f"problems of {type(one).__name__}", repr(one.problems))

    def error(self, error: BaseException) -> None:
        """Add an error, its whole chain and all its tracebacks."""
        self.tell("traceback", "".join(traceback.format_exception(type(error), error, error.__traceback__)))
        chain: list[BaseException | None] = [error]
        while chain:
            one = chain.pop()
            if one is not None:
                self.show(one)
                self.tell("attributes of an error", repr(vars(one)))
                chain += [one.__cause__, one.__context__]

    def check(self) -> None:
        """Assert that no canary is anywhere."""
        formatter = logging.Formatter("%(name)s %(message)s %(stack_info)s %(exc_text)s %(args)s")
        for record in self.records:
            self.tell(f"log record of {record.name}", formatter.format(record))
            if record.exc_info and record.exc_info[1] is not None:
                self.error(record.exc_info[1])
        for where, text in self.texts:
            for kind, canary in CANARIES.items():
                assert canary not in text, f"{kind} in {where}: {text}"


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.records.append(record)

    handler = Collect(logging.DEBUG)
    loggers = [logging.getLogger(), logging.getLogger("epsignal_sync"), logging.getLogger("websocket")]
    loggers += [logging.getLogger(f"epsignal_sync.{layer}") for layer in ("session", "relay", "callbacks", "simulator")]
    before = [one.level for one in loggers]
    loggers[0].addHandler(handler)
    for one in loggers:
        one.setLevel(logging.DEBUG)
    yield told
    loggers[0].removeHandler(handler)
    for one, level in zip(loggers, before, strict=True):
        one.setLevel(level)


def log_in(peer: Peer, **answer: Any) -> None:
    peer.upgrade()
    assert peer.receive()["mt"] == "AppChallenge"
    peer.send({"mt": "AppChallengeResult", "challenge": CHALLENGE})
    assert peer.receive()["digest"] == DIGEST, "the canary is what it should be"
    peer.send({"mt": "AppLoginResult", **answer})


def connect(peer: Peer, **answer: Any) -> eps.Client:
    server = threading.Thread(target=log_in, args=(peer,), kwargs=answer)
    server.start()
    try:
        return eps.connect(peer.url, app="phones", password=PASSWORD, info=None, reconnect=False)
    finally:
        server.join(PATIENCE)


def attach(peer: Peer, client: eps.Client) -> eps.Device:
    def answer() -> None:
        peer.src = peer.receive()["src"]
        peer.send({"mt": "AttachResult", "api": "EpSignal", "src": peer.src, "turn": "t", "turnUsr": "u", "turnPwd": TURN})
        peer.send({"mt": "Attached", "api": "EpSignal", "src": peer.src})

    server = threading.Thread(target=answer)
    server.start()
    device = client.attach(HW1)
    device.wait_attached()
    server.join(PATIENCE)
    return device


def test_canaries_would_be_found(told: Told) -> None:
    for where in ("error", "log"):
        with pytest.raises(AssertionError, match="password in"):
            if where == "error":
                told.error(ValueError(PASSWORD))
            else:
                logging.getLogger("epsignal_sync.relay").debug("%s", PASSWORD)
            told.check()
        told.texts.clear()


def test_refused_logins(peer: Peer, told: Told) -> None:
    for answer in ({"ok": False, "error": {"digest": DIGEST}}, {"ok": "yes", "errorText": 5, "error": [{"password": PASSWORD}]}, {}):
        with pytest.raises(eps.LoginError) as refused:
            connect(peer, **answer)
        told.error(refused.value)
        peer.drop()
        peer._buffer = b""
    told.check()


def test_wrong_arguments(told: Told) -> None:
    with pytest.raises(eps.UsageError) as wrong:
        eps.Client("ws://pbx.invalid/", password=PASSWORD)
    told.error(wrong.value)
    for password in (PASSWORD.encode(), [PASSWORD], PASSWORD + "\ud800"):
        with pytest.raises(eps.UsageError) as wrong:
            eps.Client("ws://pbx.invalid/", app="phones", password=password)  # type: ignore[arg-type]
        told.error(wrong.value)
    for url in (f"ws://me:{PASSWORD}@pbx.invalid/", f"http://me:{PASSWORD}@pbx.invalid/"):
        with pytest.raises(eps.UsageError) as wrong:
            eps.Client(url, app="phones", password=PASSWORD)
        told.error(wrong.value)
    told.check()


def test_whole_life(peer: Peer, told: Told) -> None:
    client = connect(peer, ok=True)
    device = attach(peer, client)
    told.show(client, device, device.result, client.stats, vars(client), vars(client._connections[0].session))
    events: list[Any] = []
    for kind in (Message, Signal, ImMessage, eps.CallStarted, eps.CallStateChanged, eps.CallEnded, eps.CallbackFailed, eps.ConnectionLost):
        told.show(client.on(kind, events.append))

    @device.intercept(Setup)
    def look(event: eps.SignalEvent[Setup]) -> None:
        told.show(event, event.signal, event.call)

    told.show(*device._interceptors)
    peer.send(peer.signaling(1, SETUP))
    assert peer.receive()["sig"] == SETUP
    for number, sig in enumerate(MALFORMED_SIGNALS, 2):
        peer.send(peer.signaling(number, sig))
        assert peer.receive()["sig"] == sig
    calls = len(MALFORMED_SIGNALS) + 1
    for text in (
        f'{{"mt":"{CHAT}"',
        f'["{SRTP}"]',
        f'"{PASSWORD}"',
        '{"mt":{"digest":"' + DIGEST + '"}}',
        f'{{"mt":"Signaling","pwd":"{ICE}"',
    ):
        peer.send(text)
    peer.sock.sendall(frame(ICE.encode(), 2))
    for message in ({"mt": "AttachResult", "err": {"turnPwd": TURN}, "src": "nobody"}, {"mt": "AppLoginResult", "digest": DIGEST}):
        peer.send(message)
    peer.send({"mt": "Sync", "api": "EpSignal", "src": peer.src, "call": 90, "info": {"remote": {"pwd": ICE}}})
    wait_until(lambda: client.stats.malformed == 6 and any(isinstance(event, eps.MessageEvent) for event in events))
    call = device.calls[1]
    told.show(call, call.history, *call.history, call.cause, call._record, client.stats)
    assert CHAT in call.history[0].text.replace("\\", ""), "the app can read it"
    peer.send(peer.signaling(1, {"type": "rel", "cau": {"num": {"pwd": ICE}}}))
    wait_until(lambda: call.ended)
    with pytest.raises(eps.CallEndedError) as ended:
        call.wait("connected")
    told.error(ended.value)
    peer.drop()
    with pytest.raises(eps.ConnectionLostError) as lost:
        client.run_forever()
    told.error(lost.value)
    wait_until(lambda: any(isinstance(event, eps.ConnectionLost) for event in events))
    client.close()
    assert sum(isinstance(event, eps.SignalEvent) for event in events) >= calls - 2
    for event in events:
        told.show(
            event, *[part for name in ("message", "signal", "facility", "call", "device", "error") if (part := getattr(event, name, None))]
        )
    assert len(told.records) > 5
    told.check()


@pytest.mark.parametrize("intercepts", [False, True], ids=["callback", "interceptor"])
def test_errors_that_tell_what_was_received(peer: Peer, told: Told, intercepts: bool) -> None:
    client = connect(peer, ok=True)
    device = attach(peer, client)
    failed: list[eps.CallbackFailed] = []
    client.on(eps.CallbackFailed, failed.append)

    def failing(password: str, event: Any) -> None:
        facility, channels = event.signal.find(ImMessage), event.signal.channels
        try:
            raise KeyError(facility.data.split()[0], password)
        except KeyError as first:
            try:
                raise LookupError(f"{event.device.result.turn_pwd} {channels.key.b}") from first
            except LookupError:
                raise ValueError(facility.data, channels.audio_ice.pwd)  # noqa: B904  # the chain is what is wanted

    bound = functools.partial(failing, PASSWORD)
    told.show(device.intercept(Setup, bound) if intercepts else device.on(Setup, bound))
    peer.send(peer.signaling(1, SETUP))
    peer.receive()
    wait_until(lambda: failed)
    assert isinstance(failed[0].error, ValueError) and failed[0].error.args == (CHAT, ICE), "the app gets it as it is"
    told.show(*failed)
    peer.drop()
    client.close()
    shown = [record for record in told.records if "raised ValueError" in record.getMessage()]
    assert len(shown) == 1 and "in failing" in str(shown[0].exc_text) and "ValueError: (" in str(shown[0].exc_text)
    told.check()


def test_error_about_a_call_whose_message_is_past(peer: Peer, told: Told) -> None:
    client = connect(peer, ok=True)
    device = attach(peer, client)
    failed: list[object] = []
    client.on(eps.CallbackFailed, failed.append)

    @device.on(eps.CallEnded)
    def ended(event: eps.CallEnded) -> None:
        found = json.loads(event.call.history[0].text)["sig"]
        raise LookupError(found["fty"][1]["data"], found["channels"]["key"])

    for sig in (SETUP, {"type": "rel"}):
        peer.send(peer.signaling(1, sig))
        peer.receive()
    wait_until(lambda: failed)
    peer.drop()
    client.close()
    assert any("raised LookupError" in record.getMessage() for record in told.records)
    told.check()


def test_error_about_a_message_of_no_call(peer: Peer, told: Told) -> None:
    client = connect(peer, ok=True)
    failed: list[object] = []
    client.on(eps.CallbackFailed, failed.append)

    @client.on(Message)
    def failing(event: eps.MessageEvent[Message]) -> None:
        raise LookupError(json.loads(event.raw)["pwd"])

    peer.send({"mt": "New", "pwd": ICE})
    wait_until(lambda: failed)
    peer.drop()
    client.close()
    assert any("raised LookupError" in record.getMessage() for record in told.records)
    told.check()


def test_error_that_tells_no_secret_is_logged_as_it_is() -> None:
    error = ValueError("it is 22")
    assert notes.masked_traceback(error, [json.dumps(SETUP).encode()]) == ""


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut off"])
def test_what_is_masked_in_an_error(cut: bool) -> None:
    text = json.dumps({"pwd": "s3cret-1", "x": [{"data": 'a "quoted" w\u00f6rd\n', "b": "00ff00ff"}], "name": "Alice"}).encode()
    error = KeyError("s3cret-1", 'a "quoted" w\u00f6rd\n', "00ff00ff", "quoted", "Alice")
    shown = notes.masked_traceback(error, [text[:-1] if cut else text])
    assert "Alice" in shown and "KeyError: ('***'" in shown
    assert not [one for one in ("s3cret", "quoted", "00ff") if one in shown]


def test_internal_error(peer: Peer, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(peer, ok=True)
    attach(peer, client)
    events: list[Any] = []
    client.on(eps.ConnectionLost, events.append)
    client.on(Setup, lambda event: None)

    def fault(*arguments: Any) -> Any:
        raise ValueError(CHAT)

    monkeypatch.setattr("epsignal_sync.delivery.decode_signal", fault)
    peer.send(peer.signaling(1, SETUP))
    peer.receive()
    wait_until(lambda: any("something around a callback failed (ValueError)" in record.getMessage() for record in told.records))
    monkeypatch.setattr("epsignal_sync.relay.forwarding.loads", fault)
    monkeypatch.setattr("epsignal_sync.relay.forwarding.Forwarding._note_malformed", fault)
    peer.send(peer.signaling(2, SETUP))
    wait_until(lambda: events)
    told.show(*events)
    told.error(events[0].error)
    assert "fault" in "".join(text for where, text in told.texts if where == "traceback"), "but where it was is told"
    client.close()
    told.check()


# ------------------------------------------------------------ the command line


def chat_of(peer: Peer) -> None:
    for number, sig in ((1, SETUP), (1, {"type": "alert"}), *((2, one) for one in MALFORMED_SIGNALS)):
        peer.send(peer.signaling(number, sig))
        peer.receive()
    peer.send(CHAT)
    peer.send(peer.signaling(1, {"type": "rel", "cau": {"num": {"pwd": ICE}}}))
    peer.receive()


@pytest.mark.parametrize(
    "options, variables",
    [(["--all"], {"EPSIGNAL_PASSWORD": PASSWORD}), (["--all", "--json", "--password", PASSWORD], {})],
    ids=["lines", "JSON"],
)
def test_monitor(peer: Peer, told: Told, options: list[str], variables: dict[str, str]) -> None:
    with Running("monitor", HW1, "--url", peer.url, "--app", "phones", *options, variables=variables) as epsignal:
        log_in(peer, ok=True)
        peer.src = peer.receive()["src"]
        for message in ({"mt": "AttachResult", "turnPwd": TURN}, {"mt": "Attached"}):
            peer.send({**message, "api": "EpSignal", "src": peer.src})
        chat_of(peer)
        epsignal.read_until("alert")
        epsignal.read_until('"state": "null"' if "--json" in options else " null ")
        epsignal.interrupt()
        peer.drop()
        errors = epsignal._process.stderr
        assert errors is not None
        told.tell("standard error", errors.read().decode())
        told.tell("standard output", epsignal.output)
    told.check()


def test_monitor_refused(peer: Peer, told: Told) -> None:
    with Running("monitor", HW1, "--url", peer.url, "--app", "phones", variables={"EPSIGNAL_PASSWORD": PASSWORD}) as epsignal:
        log_in(peer, ok=True)
        peer.src = peer.receive()["src"]
        peer.send({"mt": "AttachResult", "api": "EpSignal", "src": peer.src, "err": {"turnPwd": TURN, "why": "no"}})
        peer.receive_frame()
        peer.drop()
        told.tell("standard error", epsignal.end(1))
    assert "err is {'turnPwd': '***', 'why': 'no'}" in told.texts[0][1]
    told.check()


def test_dial(peer: Peer, told: Told) -> None:
    variables = {"EPSIGNAL_PASSWORD": PASSWORD}
    with Running("dial", HW1, "23", "--json", "--url", peer.url, "--app", "phones", variables=variables) as epsignal:
        log_in(peer, ok=True)
        peer.src = peer.receive()["src"]
        for message in ({"mt": "AttachResult", "turnPwd": TURN}, {"mt": "Attached"}):
            peer.send({**message, "api": "EpSignal", "src": peer.src})
        call = peer.receive()["call"]
        peer.send(peer.signaling(call, {"type": "alert", "channels": CHANNELS, "fty": [CHATTING]}, to=True))
        peer.send(peer.signaling(call, {"type": "rel", "cau": {"num": {"pwd": ICE}}}, to=True))
        epsignal.read_until("null")
        told.tell("standard error", epsignal.end(1))
        told.tell("standard output", epsignal.output)
    told.check()


def test_simulate(told: Told) -> None:
    """What an app says there may hold a real password's digest, real keys and real chats."""
    with Running("simulate") as epsignal:
        url = epsignal.read_until("\n").split(" at ")[1].split()[0]
        with eps.connect(url, app="demo", password="demo") as client:
            channels = Channels(key=SrtpKey(b=SRTP), audio_ice=Ice(pwd=ICE))
            chat = ImMessage(sender="22", data=CHAT, subject=CHAT, attach=CHAT)
            client.attach(HW1).dial("23", channels=channels, facilities=[chat])
            epsignal.read_until('"im_message"')
            epsignal.read_until("alert")
        epsignal.interrupt()
        told.tell("standard error", epsignal.end(0))
        told.tell("standard output", epsignal.output)
    assert all(f'"{key}":"***"' in epsignal.output for key in ("data", "subject", "attach", "pwd", "key"))
    told.check()


def test_log_of_the_simulated_pbx(pbx: SimulatedPBX, told: Told) -> None:
    pbx.add_app("secretive", password=PASSWORD)
    pbx.add_phone(HW1, number="22", sip="alice")
    lines = io.StringIO()
    log = SignalLog(pbx, lambda hw: hw or "-", lambda line: print(line, file=lines), lambda error: None)
    with pytest.raises(eps.LoginError) as wrong:
        eps.connect(pbx.url, app="phones", password=PASSWORD)
    told.error(wrong.value)
    with eps.connect(pbx.url, app="secretive", password=PASSWORD) as client:
        device = client.attach(HW1)
        device.wait_attached()
        chat = ImMessage(data=CHAT)
        device.send(InfoSignal(fty=(chat,)), call=1, to_device=True)
        pbx.wait_for(lambda log: any(CHAT in text.replace("\\", "") for text in log.texts("from-app")))
    log.settle()
    log.close()
    told.tell("lines", lines.getvalue())
    told.show(*pbx.log)
    digests = [entry.message["digest"] for entry in pbx.log if entry.mt == "AppLogin"]
    assert len(digests) == 2 and not [text for _, text in told.texts if any(digest in text for digest in digests)]
    told.check()
