"""The rows of the benchmark that need no other side: what a message costs among many devices and calls, memory, decoding, import.

    python benchmarks/scale.py devices|calls|memory|decode|import SECONDS

Prints its figures as one JSON object: microseconds of processor time for a message (the best of several repetitions), KiB,
or milliseconds. The library is driven as its link thread drives it, in one thread and without a socket: bytes in, bytes out.
That needs inner parts of it, and only :class:`Forwarder` knows them.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pbx_side import TEXT, attach_answers, big_message, compact, frame, small_message

if TYPE_CHECKING:
    from epsignal_sync import Device

READ_SIZE = 64 * 1024  # what the library reads at once
MASKING_KEY = 4  # bytes by which a client's frame is longer than a server's
LEAST_REPEATS = 5
SAMPLE = 2000  # messages, where all of them are alike
MANY = 1000  # devices, or calls, of which the memory is measured
START = 100  # of them that are there before, so that what exists once does not count

Json = dict[str, Any]


class Forwarder:
    """A client that is logged in, without a socket and without a thread."""

    def __init__(self) -> None:
        import epsignal_sync as eps
        from epsignal_sync.relay.forwarding import Forwarding

        self._client = eps.Client("ws://127.0.0.1/", app="bench", password="x")
        connection = self._client._add_connection()
        link, session = connection.link, connection.session
        self._intake, self._inbox = connection.intake, link.inbox
        self._forwarding = Forwarding(session, "the PBX", 16 * 1024 * 1024, link.counters, link._lanes)
        self._now = time.monotonic()
        self._numbers = itertools.count()
        session.start()
        self.receive(text_frame({"mt": "AppChallengeResult", "challenge": "0123456789abcdef"}))
        self.receive(text_frame({"mt": "AppLoginResult", "ok": True}))

    def receive(self, data: bytes) -> int:
        """Take what one read has brought; returns the bytes that this has made the library send."""
        batch = self._forwarding.receive(data, self._now)
        sent = self._write()
        self._intake.deliver(batch, self._now)
        return sent

    def attach(self, count: int) -> list[Device]:
        """Attach to so many more devices; returns when nothing about them is pending."""
        devices = [self._client._devices.request(f"0090330{next(self._numbers):05x}", True)[0] for _ in range(count)]
        batch: list[Any] = []
        for entry in self._inbox.take():
            self._forwarding.take_entry(entry, self._now, batch)
        self._write()
        for data in reads([attach_answers(device._attachment.src) for device in devices]):
            self.receive(data)
        self.settle()
        if not all(device.attached for device in devices):
            raise SystemExit("a device was not attached: what the PBX answers to an Attach has to be looked at")
        return devices

    def settle(self) -> None:
        """Let time pass until no timer is left, and run what waits for callbacks."""
        self._now += 120.0
        self.receive(b"")
        while not self._client._callbacks.idle:
            self._client._callbacks.run_pending()

    def _write(self) -> int:
        outbox, sent = self._forwarding.outbox, 0
        while outbox.size:
            count = len(outbox.chunk())
            outbox.written(count)
            sent += count
        self._forwarding.count_written(self._now)
        return sent


def forget_history(device: Device) -> None:
    for record in device._table.live.values():
        record.history = None


def src_of(device: Device) -> str:
    return device._attachment.src


def text_frame(message: Json) -> bytes:
    return frame(TEXT, compact(message))


def reads(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of the frames as they come: about as many at once as one read takes."""
    waiting: list[bytes] = []
    size = 0
    for one in frames:
        waiting.append(one)
        size += len(one)
        if size >= READ_SIZE:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def best(job: Callable[[], Any], count: int, seconds: float) -> float:
    """Repeat a job for so many seconds; return the microseconds of processor time of its best run, divided by ``count``."""
    job()  # until every cache is warm
    times: list[int] = []
    until = time.monotonic() + seconds
    while len(times) < LEAST_REPEATS or time.monotonic() < until:
        began = time.process_time_ns()
        job()
        times.append(time.process_time_ns() - began)
    return min(times) / count / 1000


def cost(forwarder: Forwarder, frames: list[bytes], seconds: float) -> float:
    """Return the microseconds of processor time that one of these messages costs."""
    datas = list(reads(frames))
    expected = sum(len(one) + MASKING_KEY for one in frames)

    def forward() -> None:
        if sum(map(forwarder.receive, datas)) != expected:
            raise SystemExit("not every message was forwarded: the benchmark does not measure what it says")

    return best(forward, len(frames), seconds)


# -- the rows ----------------------------------------------------------------------------------------------------------


def measure_devices(seconds: float) -> Json:
    """Cost of a message with many attached devices: all to one of them (``one_of_``), and to each in turn (``each_of_``)."""
    forwarder = Forwarder()
    devices: list[Device] = []
    figures: Json = {}
    for count in (1, 100, 10_000):
        devices += forwarder.attach(count - len(devices))
        frames = [text_frame(small_message(src_of(device))) for device in devices]
        figures[f"one_of_{count}"] = cost(forwarder, frames[:1] * SAMPLE, seconds)
        if count > 1:
            figures[f"each_of_{count}"] = cost(forwarder, frames * max(1, SAMPLE // count), seconds)
    return figures


def measure_calls(seconds: float) -> Json:
    """Cost of a message with many live calls of one device: all of one call (``one_of_``), and of each in turn (``each_of_``)."""
    forwarder = Forwarder()
    device = forwarder.attach(1)[0]
    src = src_of(device)
    figures: Json = {}
    frames: list[bytes] = []
    for count in (1, 1000, 10_000):
        new = range(len(frames), count)
        for data in reads(text_frame({**big_message(src), "call": number}) for number in new):
            forwarder.receive(data)
        forwarder.settle()
        frames += [text_frame({**small_message(src), "call": number}) for number in new]
        if len(device.calls) != count:
            raise SystemExit(f"{count} calls were begun, and {len(device.calls)} are live")
        figures[f"one_of_{count}"] = cost(forwarder, frames[:1] * SAMPLE, seconds)
        if count > 1:
            figures[f"each_of_{count}"] = cost(forwarder, frames * max(1, SAMPLE // count), seconds)
    return figures


def measure_memory(seconds: float) -> Json:
    """Memory of an attached device, of a live call without its history, and of the same call when the application has its Call."""
    forwarder = Forwarder()
    device = forwarder.attach(START)[0]
    src = src_of(device)

    def begin_calls(numbers: range) -> None:
        for number in numbers:
            forwarder.receive(text_frame({**big_message(src), "call": number}))
            forwarder.receive(text_frame({**small_message(src), "call": number}))
        forwarder.settle()
        forget_history(device)

    begin_calls(range(START))
    tracemalloc.start()

    def used(job: Callable[[], Any]) -> float:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        kept = job()
        gc.collect()
        used = (tracemalloc.get_traced_memory()[0] - before) / MANY / 1024
        del kept
        return used

    figures = {"device": used(lambda: forwarder.attach(MANY)), "call": used(lambda: begin_calls(range(START, START + MANY)))}
    return {**figures, "call_with_object": figures["call"] + used(lambda: device.calls)}


def measure_decode(seconds: float) -> Json:
    """Time from the text of the big setup to a read attribute, beside json.loads of the text."""
    from attrs import fields

    from epsignal_sync.messages import Signaling
    from epsignal_sync.messages.record import Record
    from epsignal_sync.protocol.codec import decode
    from epsignal_sync.protocol.jsontext import loads

    text = compact(big_message("bench"))
    as_str = text.decode()
    names: dict[type, list[str]] = {}

    def read_leaves(value: Any) -> None:
        if isinstance(value, Record):
            kind = type(value)
            if kind not in names:
                names[kind] = [one.name for one in fields(kind) if not one.metadata.get("hidden")]
            for name in names[kind]:
                read_leaves(getattr(value, name))
        elif isinstance(value, tuple):
            for one in value:
                read_leaves(one)

    def read_one() -> None:
        message = decode(loads(text), text=text)
        assert isinstance(message, Signaling) and message.call == 17

    jobs: dict[str, Callable[[], Any]] = {
        "json_loads": lambda: json.loads(as_str),
        "without_objects": lambda: loads(text),
        "one_attribute": read_one,
        "all_attributes": lambda: read_leaves(decode(loads(text), text=text)),
    }
    many = SAMPLE // 10
    return {name: best(lambda job=job: [job() for _ in range(many)], many, seconds) for name, job in jobs.items()}  # type: ignore[misc]


def measure_import(seconds: float) -> Json:
    """Time of importing the package in a fresh process, and of its three libraries alone in another one."""
    modules = {"epsignal_sync": "epsignal_sync", "libraries": "websocket, attrs, cattrs"}
    figures: dict[str, list[float]] = {name: [] for name in modules}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}  # users have it compiled
    for repeat in range(4):
        for name, wanted in modules.items():
            code = f"import time; began = time.perf_counter(); import {wanted}; print(time.perf_counter() - began)"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60, env=environment)
            took = float(done.stdout)
            if repeat:  # the first one may have had to compile
                figures[name].append(took * 1000)
    return {name: min(times) for name, times in figures.items()}


ROWS: dict[str, Callable[[float], Json]] = {
    "devices": measure_devices,
    "calls": measure_calls,
    "memory": measure_memory,
    "decode": measure_decode,
    "import": measure_import,
}


def main() -> None:
    row, seconds = sys.argv[1:]
    print(json.dumps(ROWS[row](float(seconds))), flush=True)


if __name__ == "__main__":
    main()
