"""Full-duplex load through TLS: does every message arrive exactly once, unchanged and in order, in both directions?

    python benchmarks/tls_load.py [--seconds 60] [--messages 3000]

The PBX side is a process of its own on one thread. It floods one device with small and big messages, reads at the same
time, and now and then waits until all have come back, so that the connection goes from full load to none and back. It
compares every byte that returns. Meanwhile three threads of the application send with ``device.send()``, another one
attaches more devices, and a callback compares what it is shown. Half of the time is TLS 1.2, half TLS 1.3. (Key updates of
TLS 1.3 are not part of it: Python's ssl module cannot begin one.)

Ends with a summary, or with one sentence that says what went wrong. With ``--messages`` the flood and each thread have that
many for each version, and no time is looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import queue
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from pbx_side import CLOSE, PING, TEXT, Peer, compact, frame

HERE = pathlib.Path(__file__).resolve().parent
VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
SENDERS = 3
FIRST_CALL = 1000  # call of the first sending thread; the flood has another one
FLOOD_CALL = 17
WINDOW = 4 * 1024 * 1024  # bytes of the flood on their way at once
ROUND = 5000  # messages of the flood after which all have to come back before the next
READ_SIZE = 64 * 1024
PATIENCE = 60.0  # seconds without a byte, or for an answer, after which something hangs
PROGRESS = 5.0  # seconds
ATTACH_PAUSE = 0.25  # seconds between two devices that are attached
MOST_ATTACHED = 5  # devices, with --messages
NOISE = "".join(f"{number * 2654435761 % 2**32:08x}\u00e4" for number in range(40_000))

Json = dict[str, Any]


def words(number: int) -> str:
    """Return the text that message ``number`` carries: most are short, some have 3, 30 or 200 KB."""
    size = 200_000 if number % 2000 == 1999 else 30_000 if number % 200 == 99 else 3000 if number % 20 == 9 else number % 150
    start = number * 7 % 100_000
    return f"{number}:{NOISE[start : start + size]}"


# -- the PBX side ------------------------------------------------------------------------------------------------------


class Fault(Exception):
    """Something arrived that must not, or not as it was sent."""


class PBXSide:
    """One connection under load. One thread reads and writes, without blocking."""

    def __init__(self, sock: ssl.SSLSocket, commands: queue.SimpleQueue[Json]) -> None:
        peer = Peer(sock)
        peer.welcome()
        self._sock = sock
        self._sock.setblocking(False)
        self._commands = commands
        self._src = peer.src
        self._in = bytearray()
        self._out = bytearray()
        self._sent = self._returned = self._bytes_on_the_way = 0
        self._next_text = self._flood_text(0)  # what has to come back next; to make it for each comparison would be slow
        self._own = [0] * SENDERS
        self._attached = 0
        self._bytes = 0

    def run(self, seconds: float | None, messages: int | None) -> Json:
        """Flood until the time is over or the messages are sent, then wait until all has come that was sent on both sides."""
        self._sock.setblocking(False)
        began = last = shown = time.monotonic()
        expected_own: list[int] | None = None
        while True:
            now = time.monotonic()
            over = self._sent >= messages if messages is not None else now - began >= (seconds or 0)
            if not over:
                self._flood(messages)
            if over and expected_own is None:
                try:
                    expected_own = self._commands.get_nowait()["own"]
                except queue.Empty:
                    pass
            if over and expected_own == self._own and self._returned == self._sent and not self._out:
                return {**self._figures(), "seconds": now - began, "version": self._sock.version()}
            if self._move(0.05):
                last = now
            elif now - last > PATIENCE:
                raise Fault(f"nothing moved for {PATIENCE:g} s at {self._figures()}")
            if now - shown >= PROGRESS:
                shown = now
                tell({"progress": self._figures()})

    def _figures(self) -> Json:
        return {"sent": self._sent, "returned": self._returned, "own": sum(self._own), "attached": self._attached, "bytes": self._bytes}

    def _flood(self, messages: int | None) -> None:
        """Put messages into the buffer while few are on the way; none where a round has to come to its end first."""
        while self._bytes_on_the_way < WINDOW and len(self._out) < 256 * 1024 and self._sent != messages:
            if self._sent % ROUND == 0 and self._returned != self._sent:
                return
            data = frame_of(self._flood_text(self._sent))
            self._out += data
            self._bytes_on_the_way += len(data)
            self._sent += 1

    def _flood_text(self, number: int) -> bytes:
        sig = {"type": "info", "dsp": words(number)}
        return compact({"mt": "Signaling", "api": "EpSignal", "src": self._src, "to": True, "call": FLOOD_CALL, "sig": sig})

    def _move(self, timeout: float) -> bool:
        """Write and read what is possible; returns whether a byte moved."""
        if not self._sock.pending():
            select.select([self._sock], [self._sock] if self._out else [], [], timeout)
        moved = False
        try:
            while self._out:
                count = self._sock.send(self._out[:16384])
                del self._out[:count]
                moved = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            for _ in range(16):
                data = self._sock.recv(READ_SIZE)
                if not data:
                    raise Fault(f"the connection ended in the middle at {self._figures()}")
                self._in += data
                self._bytes += len(data)
                moved = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        self._take_frames()
        return moved

    def _take_frames(self) -> None:
        data, at = bytes(self._in), 0
        while len(data) - at >= 2:
            header = {126: 4, 127: 10}.get(data[at + 1] & 0x7F, 2)
            if len(data) - at < header + 4:
                break
            length = int.from_bytes(data[at + 2 : at + header], "big") if header > 2 else data[at + 1] & 0x7F
            start, end = at + header + 4, at + header + 4 + length
            if len(data) < end:
                break
            if data[at] & 0x70 or not data[at] & 0x80 or not data[at + 1] & 0x80:
                raise Fault(f"a frame begins with {data[at : at + 2].hex()}: corrupt, or in pieces")
            key = (data[at + header : start] * (length // 4 + 1))[:length]
            payload = (int.from_bytes(data[start:end], "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
            self._take(data[at] & 0x0F, payload)
            at = end
        del self._in[:at]

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._out += frame(0xA, payload)
        elif opcode == CLOSE:
            raise Fault(f"the library closed the connection at {self._figures()}: {payload[2:].decode(errors='replace')}")
        elif opcode == TEXT and self._returned < self._sent and payload == self._next_text:
            self._bytes_on_the_way -= len(frame_of(payload))
            self._returned += 1
            self._next_text = self._flood_text(self._returned)
        elif opcode == TEXT:
            self._take_own(payload)

    def _take_own(self, payload: bytes) -> None:
        try:
            message = json.loads(payload)
        except ValueError:
            raise Fault(f"what came after message {self._returned} of the flood is no JSON: {payload[:80]!r}") from None
        if message["mt"] == "Attach":
            self._attached += 1
            for answer in ("AttachResult", "Attached"):
                self._out += frame_of(compact({"mt": answer, "api": "EpSignal", "src": message["src"]}))
            return
        if message["mt"] != "Signaling":
            return
        sender = message["call"] - FIRST_CALL
        if not 0 <= sender < SENDERS:
            raise Fault(f"message {self._returned} of the flood should come back, and this came: {payload[:120]!r}")
        if message["sig"] != {"type": "info", "dsp": words(self._own[sender])}:
            raise Fault(f"message {self._own[sender]} of thread {sender} should come, and this came: {payload[:120]!r}")
        self._own[sender] += 1


def frame_of(payload: bytes) -> bytes:
    if len(payload) < 65536:
        return frame(TEXT, payload)
    return bytes([0x80 | TEXT, 127]) + len(payload).to_bytes(8, "big") + payload


def tell(answer: Json) -> None:
    print(json.dumps(answer), flush=True)


def run_pbx_side(certificate: str) -> None:
    """Serve one connection for each command on standard input."""
    commands: queue.SimpleQueue[Json] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            commands.put(json.loads(line))

    threading.Thread(target=read, name="tls-load-commands", daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        tell({"port": listener.getsockname()[1]})
        for version in VERSIONS.values():
            command = commands.get()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            context.minimum_version = context.maximum_version = version
            raw, _ = listener.accept()
            raw.settimeout(PATIENCE)
            try:
                with context.wrap_socket(raw, server_side=True) as sock:
                    tell({"done": PBXSide(sock, commands).run(command["seconds"], command["messages"])})
                    commands.get()  # before it the connection must not end
            except (Fault, OSError) as fault:
                tell({"fault": f"{type(fault).__name__}: {fault}" if isinstance(fault, OSError) else str(fault)})
                return


# -- the application ---------------------------------------------------------------------------------------------------


class PBXProcess:
    """The process of the PBX side; what it says comes in JSON lines."""

    def __init__(self, certificate: str) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, str(HERE / "tls_load.py"), "--pbx-side", certificate]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="tls-load-reader", daemon=True)
        self._thread.start()

    def tell(self, command: Json) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def answer(self, kind: str, timeout: float = PATIENCE) -> Any:
        """Return the next answer of that kind, and show the progress before it."""
        while True:
            try:
                answer: Json = json.loads(self._lines.get(timeout=timeout) or '{"fault": "the PBX side ended, look above for why"}')
            except queue.Empty:
                raise SystemExit(f"the PBX side said nothing within {timeout:g} s while its {kind!r} was waited for") from None
            if "fault" in answer:
                raise Fault(answer["fault"])
            if kind in answer:
                return answer[kind]
            print(", ".join(f"{name} {value}" for name, value in answer["progress"].items()), flush=True)

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


class Application:
    """The library under load: sends, attaches, and compares what its callback is shown."""

    def __init__(self, port: int, ca_file: str) -> None:
        import epsignal_sync as eps
        from epsignal_sync.messages import InfoSignal

        self._signal = InfoSignal
        self.seen = 0
        self.own = [0] * SENDERS
        self.faults: list[str] = []
        self._next = 0
        # Long times: a machine that is short of processors must not look like a PBX that has stopped reading.
        url = f"wss://127.0.0.1:{port}/"
        self.client = eps.connect(url, app="load", password="x", ca_file=ca_file, timeout=PATIENCE, ping_timeout=PATIENCE)
        self.client.on(eps.ConnectionLost, lambda event: self.faults.insert(0, f"the connection was lost: {event.error}"))
        self.client.on(InfoSignal, self._compare)
        self._device = self.client.attach("hw", timeout=PATIENCE)

    def run(self, seconds: float | None, messages: int | None) -> None:
        """Send from all threads until the time is over, or that many; returns when each has ended."""
        until = None if seconds is None else time.monotonic() + seconds
        jobs = [threading.Thread(target=self._guard, args=(self._send, number, until, messages), daemon=True) for number in range(SENDERS)]
        jobs.append(threading.Thread(target=self._guard, args=(self._attach, until), daemon=True))
        for job in jobs:
            job.start()
        for job in jobs:
            job.join((seconds or 0) + 2 * PATIENCE)
            if job.is_alive():
                raise SystemExit("FAILED: a sending thread hangs")

    def _guard(self, job: Any, *arguments: Any) -> None:
        try:
            job(*arguments)
        except Exception as error:
            self.faults.append(f"{type(error).__name__}: {error}")

    def _send(self, number: int, until: float | None, messages: int | None) -> None:
        while time.monotonic() < until if until is not None else self.own[number] != messages:
            text = words(self.own[number])
            self._device.send(self._signal(dsp=text), call=FIRST_CALL + number, to_device=True, timeout=PATIENCE)
            self.own[number] += 1

    def _attach(self, until: float | None) -> None:
        count = 0
        while time.monotonic() < until if until is not None else count < MOST_ATTACHED:
            self.client.attach(f"hw-{count}", timeout=PATIENCE)
            count += 1
            time.sleep(ATTACH_PAUSE if until is not None else 0)

    def _compare(self, event: Any) -> None:
        if event.raw is None or event.signal.dsp is None or event.verdict == "own":
            return
        number = int(event.signal.dsp.partition(":")[0])
        # Where events were dropped for the application, the next one may be a later one, but never an earlier one.
        if number < self._next or event.signal.dsp != words(number):
            self.faults.append(f"the callback saw message {number} changed or out of order, after {self._next}")
        self._next = number + 1
        self.seen += 1


def run_version(name: str, pbx: PBXProcess, port: int, ca_file: str, seconds: float | None, messages: int | None) -> Json:
    """Load one connection; return its figures, or end the program with what went wrong."""
    pbx.tell({"seconds": seconds, "messages": messages})
    application = Application(port, ca_file)
    with application.client as client:
        application.run(seconds, messages)
        try:
            pbx.tell({"own": application.own})
            done: Json = pbx.answer("done", 3 * PATIENCE)
        except (Fault, BrokenPipeError) as fault:
            raise SystemExit(f"FAILED: the PBX side says: {fault}; the application side says: {application.faults[:3]}") from None
        until = time.monotonic() + 2 * PATIENCE
        while application.seen + client.stats.events_lost < done["sent"] and time.monotonic() < until and not application.faults:
            time.sleep(0.01)
        stats = client.stats
        if application.faults:
            raise SystemExit(f"FAILED: {application.faults[0]} (and {len(application.faults) - 1} more)")
        if not client.connected or stats.forwarded != done["sent"] or application.seen + stats.events_lost != done["sent"]:
            raise SystemExit(f"FAILED: {done['sent']} messages came back, {application.seen} were seen by the callback, and {stats}")
        if done["version"] != name.replace(" ", "v"):
            raise SystemExit(f"FAILED: {name} was wanted, and {done['version']} used")
        done["events lost"] = stats.events_lost
    pbx.tell({})
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description="Full-duplex load through TLS.")
    parser.add_argument("--seconds", type=float, default=60.0, help="for both versions of TLS together")
    parser.add_argument("--messages", type=int, help="messages of the flood and of each thread for each version, instead of --seconds")
    parser.add_argument("--pbx-side", metavar="CERTIFICATE", help="be the PBX side")
    options = parser.parse_args()
    if options.pbx_side:
        run_pbx_side(options.pbx_side)
        return
    import trustme

    sys.path.insert(0, str(HERE.parent))  # the checkout that this file belongs to is what is loaded, installed or not
    seconds = None if options.messages is not None else options.seconds / len(VERSIONS)
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        authority.cert_pem.write_to_path(f"{folder}/ca.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(f"{folder}/pbx.pem")
        pbx = PBXProcess(f"{folder}/pbx.pem")
        try:
            port = pbx.answer("port")
            for name in VERSIONS:
                done = run_version(name, pbx, port, f"{folder}/ca.pem", seconds, options.messages)
                rate = (done["returned"] + done["own"]) / done["seconds"]
                print(
                    f"{name}: {done['returned']} messages forwarded and {done['own']} sent by {SENDERS} threads, each once, unchanged and "
                    f"in order, {done['attached']} devices attached meanwhile, {done['bytes'] / 1e6:.0f} MB received by the PBX side, "
                    f"{rate:.0f} messages/s, {done['events lost']} events dropped for the callback",
                    flush=True,
                )
        finally:
            pbx.close()
    print("no message lost, doubled or changed, no false end, no corrupt record")


if __name__ == "__main__":
    main()
