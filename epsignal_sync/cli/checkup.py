"""The examination of the way to a PBX: its steps from the name to the phone, and what came of each. Knows not how it is shown.

The connection is opened by the library's own steps (:mod:`..relay.probing`), the login and the Attach are a Client's, so that what
is said here is what a program would meet.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from enum import Enum

from attrs import evolve, field, frozen

from ..client import Client
from ..device import Device
from ..errors import AttachError, ConnectError, EpSignalError, LoginError, ReplyTimeout
from ..looks import fit
from ..relay.certificate import read_certificate
from ..relay.endpoint import Endpoint, TLSSettings, show_fingerprint
from ..relay.probing import Attempt, Handshake, Probe
from .login import in_options

LOOK_TIME = 0.25
"""Seconds between two looks of the main thread, so that Ctrl-C works everywhere."""
ENDING_TIME = 2.0
"""Seconds that a step has to end in, once it is cancelled."""
LONGEST_TEXT = 120
"""Columns of a text that is the server's own."""
MOST_NAMES = 6
"""Names of a certificate that are shown."""


class Outcome(Enum):
    """What came of a step."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_REACHED = "not reached"


@frozen
class Result:
    """What came of a step, in words. Some of them are the server's own: make them harmless before they are shown."""

    step: str
    outcome: Outcome
    text: str
    advice: str = ""
    """What to try next."""
    details: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    """What else is to be seen, each with its name."""
    pin: str = field(default="", kw_only=True)
    """What to copy in order to accept just this certificate."""


Step = Callable[[], Result]
Report = Callable[[Result], None]
Working = Callable[[str], contextlib.AbstractContextManager[None]]


class Checkup:
    """The steps, each to be taken once, in their order. ``client`` None: there is nobody to log in as; ``hw`` "": no phone."""

    def __init__(self, endpoint: Endpoint, tls: TLSSettings, timeout: float, client: Client | None, hw: str) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._timeout = timeout
        self._client = client
        self._hw = hw
        self._probe = Probe(endpoint, tls, timeout)
        self._device: Device | None = None
        self._refusal: AttachError | None = None
        self._worker: threading.Thread | None = None

    def close(self) -> None:
        """End it, and with it the attachment to the phone. Idempotent; main thread."""
        self._probe.cancel()
        if self._client is not None:
            self._client.close()
        if self._worker is not None and self._worker.is_alive():  # it is not where Ctrl-C came while it was being started
            self._worker.join(ENDING_TIME)
        if self._worker is None or not self._worker.is_alive():
            self._probe.close()

    def run(self, report: Report, working: Working) -> list[str]:
        """Take the steps, and return the names of those that failed. ``working`` is around each. Raises KeyboardInterrupt. Main thread."""
        failed, reached = list[str](), True
        steps = self._steps()
        try:
            while steps:
                name, step, needed = steps[0]
                if reached:
                    with working(name):
                        result = self._in_thread(step)
                    del steps[0]
                    report(result)
                    if result.outcome is Outcome.FAILED:
                        failed.append(name)
                        reached = not needed
                else:
                    del steps[0]
                    report(Result(name, Outcome.NOT_REACHED, "not reached"))
        except KeyboardInterrupt:
            self.close()
            for number, (name, _, _) in enumerate(steps):
                report(Result(name, Outcome.NOT_REACHED, "not reached" if number or not reached else "not finished"))
            raise
        self.close()
        return failed

    def _steps(self) -> list[tuple[str, Step, bool]]:
        """Return (name, step, whether the steps after it need it)."""
        steps: list[tuple[str, Step]] = [
            ("name", self._resolve), ("TCP", self._connect), ("TLS", self._secure), ("websocket", self._upgrade),
            ("round trip", self._round_trip), ("login", self._log_in), ("EpSignal", self._ask), ("attach", self._attach),
        ]  # fmt: skip
        # A websocket without answers to pings may have an AppWebsocket all the same: the login tells.
        return [(name, self._guarded(name, step), name != "round trip") for name, step in steps]

    def _guarded(self, name: str, step: Step) -> Step:
        def run() -> Result:
            try:
                return step()
            except EpSignalError as error:
                return _failed(name, error)

        return run

    def _in_thread(self, step: Step) -> Result:
        """Run a step on the thread ``epsignal-doctor`` and wait for it: Ctrl-C ends the waiting at once, on every system."""
        outcomes: queue.SimpleQueue[Result | BaseException] = queue.SimpleQueue()

        def run() -> None:
            try:
                outcomes.put(step())
            except BaseException as error:
                outcomes.put(error)

        self._worker = threading.Thread(target=run, name="epsignal-doctor", daemon=True)
        self._worker.start()
        while True:
            with contextlib.suppress(queue.Empty):
                outcome = outcomes.get(timeout=LOOK_TIME)
                if isinstance(outcome, BaseException):
                    raise outcome
                return outcome

    # ------------------------------------------------------------ the connection

    def _resolve(self) -> Result:
        found = self._probe.resolve()
        host = self._endpoint.host
        return Result("name", Outcome.OK, f"{host} is an address already" if found == [host] else f"{host} is {', '.join(found)}")

    def _connect(self) -> Result:
        attempts = self._probe.connect()
        silent = [one for one in attempts if one.failure is not None]
        advice = ""
        if silent:
            advice = "have the name server name only addresses that answer: a client tries them in this order, and loses time"
        return Result("TCP", Outcome.OK, f"port {self._endpoint.port}: {'; '.join(map(_attempt_text, attempts))}", advice)

    def _secure(self) -> Result:
        if self._endpoint.scheme == "ws":
            text = "a ws:// URL has none: anybody in between can read along"
            return Result("TLS", Outcome.SKIPPED, text, "write wss:// where the PBX has TLS")
        try:
            handshake = self._probe.secure()
        except EpSignalError as error:
            return self._with_greeting(_failed("TLS", error), "without TLS it says", ask=True)
        return _judged(handshake, self._endpoint, self._tls)

    def _upgrade(self) -> Result:
        try:
            self._probe.upgrade()
        except EpSignalError as error:
            failed = _failed("websocket", error)
            return self._with_greeting(failed, "unasked it says", ask=False) if self._endpoint.scheme == "ws" else failed
        return Result("websocket", Outcome.OK, f"open at {self._endpoint.path}")

    def _with_greeting(self, failed: Result, label: str, *, ask: bool) -> Result:
        greeting = _first_line(self._probe.greeting(ask=ask))
        return evolve(failed, details=((label, greeting),)) if greeting else failed

    def _round_trip(self) -> Result:
        return Result("round trip", Outcome.OK, f"{_milliseconds(self._probe.round_trip())} from a ping to its answer")

    # ------------------------------------------------------------ the login, and the phone

    def _log_in(self) -> Result:
        if self._client is None:
            advice = "give --app with the Name of the App object, or --sip with a user"
            return Result("login", Outcome.SKIPPED, "nobody to log in as", advice)
        self._client.connect()
        return Result("login", Outcome.OK, "the PBX took the name and the password")

    def _ask(self) -> Result:
        if self._client is None:
            return Result("EpSignal", Outcome.SKIPPED, "it needs a login")
        if not self._hw:
            return Result("EpSignal", Outcome.SKIPPED, "nothing tells without a phone", "give --hw with a phone to attach to")
        try:
            self._device = self._client.attach(self._hw, timeout=self._timeout)
        except AttachError as error:
            self._refusal = error
        return Result("EpSignal", Outcome.OK, "the PBX answered the Attach")

    def _attach(self) -> Result:
        if self._refusal is not None:
            advice = ", at this PBX, and that the login may attach to it; also that EpSignal is ticked in the App object"
            failed = _failed("attach", self._refusal)
            return Result("attach", Outcome.FAILED, failed.text, failed.advice + advice)
        if self._device is None:
            return Result("attach", Outcome.SKIPPED, "only with --hw")
        try:
            self._device.wait_attached(timeout=self._timeout)
        except ReplyTimeout:
            text = f"the PBX took the Attach, but for {self._timeout:g} s no phone was registered as {self._device.hw}"
            return Result("attach", Outcome.FAILED, text, "look whether it is registered at this PBX, and under just this name (hw)")
        return Result("attach", Outcome.OK, f"{self._device.hw} was attached, and is let go again")


# ------------------------------------------------------------ the words


def _failed(step: str, error: EpSignalError) -> Result:
    """Return an error's sentence, cut where its advice begins."""
    text = in_options(str(error))
    if isinstance(error, (AttachError, LoginError)):
        what, found, advice = text.rpartition("; ")  # what the PBX says stands behind a colon
    elif isinstance(error, (ConnectError, ReplyTimeout)):
        what, found, advice = text.rpartition(": ")
    else:
        return Result(step, Outcome.FAILED, text)
    return Result(step, Outcome.FAILED, what, advice) if found else Result(step, Outcome.FAILED, text)


def _judged(handshake: Handshake, endpoint: Endpoint, tls: TLSSettings) -> Result:
    certificate = handshake.certificate or b""
    fingerprint = show_fingerprint(certificate)
    details = tuple(_certificate_details(certificate, fingerprint, handshake.distrust))
    pin = fingerprint.replace(":", "").lower()
    if handshake.refusal is not None:
        failed = _failed("TLS", handshake.refusal)
        # It stands below, in a line that can be copied.
        advice = failed.advice.replace(f"--fingerprint {fingerprint!r}", "the --fingerprint below")
        return Result("TLS", Outcome.FAILED, failed.text, advice, details=details, pin=pin)
    if not tls.verifies:
        text = f"{handshake.version}; with --no-verify any certificate is taken, and anybody in between can read along"
        return Result("TLS", Outcome.OK, text, "pin it instead, once you compared it with the PBX's own", details=details, pin=pin)
    by = "the --fingerprint given" if tls.fingerprint else "the --ca-file given" if tls.ca_file else "this system's certificates"
    text = f"{handshake.version}; the certificate of {endpoint.host} is vouched for by {by}"
    return Result("TLS", Outcome.OK, text, details=details, pin=pin if handshake.distrust and not tls.fingerprint else "")


def _certificate_details(der: bytes, fingerprint: str, distrust: str | None) -> Iterator[tuple[str, str]]:
    try:
        certificate = read_certificate(der)
    except ValueError as error:
        yield "certificate", f"it cannot be read ({error})"
    else:
        yield "for", fit(certificate.subject, LONGEST_TEXT) or "nobody"
        yield "by", "itself" if certificate.issuer == certificate.subject else fit(certificate.issuer, LONGEST_TEXT) or "nobody"
        yield "valid", f"from {certificate.not_before:%Y-%m-%d %H:%M} to {certificate.not_after:%Y-%m-%d %H:%M} UTC"
        names = certificate.names
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        yield "names", (", ".join(fit(name, LONGEST_TEXT) for name in names[:MOST_NAMES]) or "none") + more
    yield "SHA-256", fingerprint
    yield "system", "trusts it" if distrust is None else f"does not trust it: it {distrust}"


def _attempt_text(attempt: Attempt) -> str:
    return f"{attempt.host} in {_milliseconds(attempt.seconds)}" if attempt.failure is None else f"{attempt.host}{attempt.failure}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def _first_line(text: str) -> str:
    """Return the line with which a server begins, or "" if that is no text."""
    line = text.strip(" \r\n").partition("\n")[0].rstrip("\r")
    is_text = line[:1].isprintable() and not line.startswith("\ufffd")
    return f"'{fit(line, LONGEST_TEXT)}'" if line and is_text else ""
