"""A simulated PBX for experiments by hand: shows what is said there, and takes what people do at the phones as commands."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence

from attrs import frozen

from ..errors import EpSignalError, UsageError
from ..looks import fit
from ..simulator import SimulatedPBX, SimulatedPhone
from .outputs import plain
from .people import People
from .signal_log import SignalLog

DEFAULT_PHONES = ("0090334f1a2b,22,Alice", "0090334f1a2c,23,Bob", "0090334f1a2d,24,Carol")


@frozen
class PhoneOption:
    """One phone, as the command line names it."""

    hw: str
    number: str
    name: str

    @classmethod
    def parse(cls, text: str) -> PhoneOption:
        """Take HW,NUMBER,NAME apart; raises UsageError."""
        parts = [part.strip() for part in text.split(",", 2)]
        if len(parts) != 3 or not all(parts) or parts[1].strip("0123456789*#"):
            raise UsageError(f"--phone cannot be {text!r}: it takes HW,NUMBER,NAME, for example {DEFAULT_PHONES[0]}")
        return cls(*parts)

    @property
    def sip(self) -> str:
        """A SIP name made from the name."""
        return "".join(character for character in self.name.lower() if character.isalnum()) or self.number


def simulate(*, host: str, port: int, phones: Sequence[str], app: str, password: str) -> None:
    """Run the simulated PBX until quit, the end of the commands, or Ctrl-C. Main thread only; raises EpSignalError, OSError."""
    options = [PhoneOption.parse(text) for text in phones or DEFAULT_PHONES]
    pbx = SimulatedPBX(host=host, port=port)
    try:
        pbx.start()
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise EpSignalError(f"nobody can listen on {host}, port {port} ({reason}): choose others with --host and --port") from None
    with contextlib.closing(pbx):
        pbx.add_app(app, password=password)
        people = People(pbx, [_add(pbx, option) for option in options], _say)
        failures: list[OSError] = []
        log = SignalLog(pbx, people.label, _say_cut, lambda error: _end_main_thread(failures, error))
        try:
            _say(_heading(pbx, options, app, password))
            _read_commands(people, log)
        except KeyboardInterrupt:
            if not failures:
                raise
        finally:
            log.close()
        if failures:
            raise failures[0]


def _add(pbx: SimulatedPBX, option: PhoneOption) -> SimulatedPhone:
    return pbx.add_phone(option.hw, number=option.number, sip=option.sip, name=option.name)


def _heading(pbx: SimulatedPBX, options: Sequence[PhoneOption], app: str, password: str) -> str:
    variables = {"EPSIGNAL_URL": pbx.url, "EPSIGNAL_APP": app, "EPSIGNAL_PASSWORD": password}
    others = options[1:] or options
    return "\n".join([
        f"A simulated PBX at {pbx.url}",
        *(f"  phone {option.hw}  number {option.number}  {plain(option.name)}" for option in options),
        "In other terminals:",
        *(f"  export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f"  epsignal monitor {shlex.join(option.hw for option in options)}",
        f"  epsignal dial {shlex.quote(options[0].hw)} {others[0].number}",
        f"Here: what people do at the phones, such as: call {options[0].number} {others[0].number}; help shows them all.",
    ])  # fmt: skip


def _read_commands(people: People, log: SignalLog) -> None:
    """Do what standard input says. On a terminal a wrong command is said and the next one taken; a script ends with it."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what is no text is a wrong command
    on_terminal = sys.stdin is not None and sys.stdin.isatty()
    if on_terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # for input(): editing, and the lines before
    number = 0
    while (line := _next_line()) is not None:
        number += 1
        try:
            if not on_terminal:
                _say(f"> {plain(line)}")
            if not people.do(line):
                return
        except EpSignalError as error:
            if not on_terminal:
                log.settle()
                raise type(error)(f"line {number} of the commands: {error}") from None
            _say(plain(str(error)))
        if not on_terminal:
            log.settle()  # as people leave time between two things that they do
    if number == 0 and not on_terminal:
        log.wait()  # nobody wants a PBX that ends at once: it was started in the background, or by a service manager


def _next_line() -> str | None:
    if sys.stdin is None:
        return None
    try:
        return input()
    except EOFError:
        return None


def _end_main_thread(failures: list[OSError], error: OSError) -> None:
    """Have the main thread end, although it waits for a line, since nobody can be shown anything any more."""
    failures.append(error)
    os.kill(os.getpid(), signal.SIGINT)


def _say(text: str) -> None:
    # In one piece: two threads write.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say_cut(line: str) -> None:
    """Write a line, cut to a terminal's width: a setup with its media offer would fill the screen."""
    _say(fit(line, shutil.get_terminal_size().columns) if sys.stdout.isatty() else line)
