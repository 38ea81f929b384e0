"""What the library costs, in comparison with a plain script.

    python benchmarks/relay.py [--seconds 1] [--rounds 5] [--only ROW ...] [--json FILE]

Rows in which a process (peers.py) sends back what the PBX side (pbx_side.py, another process) sends; messages a second, and
the time of single messages to and fro. They take turns within each round:

    echo            sends the bytes back as they come; no websocket at all: it shows what the PBX side can do
    a               a plain script on websocket-client: recv, json.loads, json.dumps, send
    b               the same on the synchronous client of websockets
    c               epsignal_sync, attached to one device, no callback
    d               epsignal_sync with a typed callback on every message; over when the last callback has returned
    intercept       c with an interceptor on setup, which the big message is: the app is asked before it goes on
    c-json          c without orjson (the extra `speed`)
    a-tls, c-tls    a and c through TLS
    burn            c while a callback computes without end
    burn-intercept  c while an interceptor computes without end
    attach          attach_many of 1,000 devices, in ratio to 1,000 round trips of (a) with the small message

Rows that need no other side (scale.py), in fresh processes as well:

    devices         processor time of a message with 1, 100 and 10,000 attached devices
    calls           the same with 1, 1,000 and 10,000 live calls of one device
    memory          of an attached device, and of a live call without its history
    decode          the big setup from text to attributes, in ratio to json.loads
    import          import of the package, in ratio to that of its three libraries

Ratios are taken within each round, and are to (a), for c-tls to (a-tls), or as said above. The tables, in Markdown, show the
median (least..most) of the rounds, and the target where there is one; nothing is judged. What is measured at the moment is
said on standard error; there the library's peers also tell of the end of their connection, which the PBX side drops.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from child import Child, Json
from figures import SIZES, all_lines, show, summarize
from peers import GRACE, PEERS, START_TIMEOUT
from scale import ROWS

DEVICES = 1000  # of the row attach
WARM_UP = 0.2  # seconds
LIBRARIES = ["websocket-client", "attrs", "cattrs", "orjson", "websockets"]


class Bench:
    """The PBX side, and how long each measurement takes."""

    def __init__(self, pbx: Child, ca_file: str, seconds: float, messages: int | None) -> None:
        self._pbx = pbx
        self._ca_file = ca_file
        self._seconds = seconds
        self._messages = messages
        hello = pbx.answer(START_TIMEOUT)
        self._port: int = hello["port"]
        self.bytes: Json = hello["bytes"]

    def measure(self, row: str) -> Json:
        """Return the figures of one row. Starts its process, and ends it."""
        if row in ROWS:
            with Child(f"row {row}", "scale.py", row, str(self._seconds)) as child:
                return child.answer(20 * self._seconds + 2 * GRACE)
        return self._measure_attach() if row == "attach" else self._measure_peer(row)

    @contextmanager
    def _peer(self, name: str) -> Iterator[Child]:
        """Start a peer, and have it connect."""
        tls = name.endswith("-tls")
        with Child(f"peer {name}", "peers.py", name, str(self._port), *([self._ca_file] if tls else [])) as peer:
            self._pbx.tell({"do": "accept", "tls": tls})
            peer.answer(START_TIMEOUT)  # first, for where it cannot start, it is the one that says why
            self._pbx.answer(START_TIMEOUT)
            yield peer
            self._pbx.tell({"do": "close"})
            self._pbx.answer(START_TIMEOUT)

    def _measure_attach(self) -> Json:
        with self._peer("attach") as peer:
            self._pbx.tell({"do": "attach", "count": DEVICES})
            peer.tell(DEVICES)
            seconds = peer.answer(2 * GRACE)["seconds"]
            self._pbx.answer(GRACE)
        return {"each": seconds / DEVICES * 1e6}

    def _measure_peer(self, name: str) -> Json:
        """Return {size: {figure: value}}."""
        figures: Json = {}
        forwarded = 0

        def run(peer: Child, what: str, size: str, seconds: float, messages: int | None) -> Json:
            nonlocal forwarded
            self._pbx.tell({"do": what, "size": size, "seconds": seconds, "messages": messages})
            answer = self._pbx.answer(seconds + GRACE)
            forwarded += 1 + (answer["messages"] if what == "pump" else len(answer["microseconds"]))
            if name == "d":
                peer.tell(forwarded)
                callbacks = peer.answer(GRACE + 5)
                if callbacks["callbacks"] != forwarded:
                    text = f"peer d forwarded {forwarded} messages, but {callbacks['callbacks']} callbacks ran"
                    raise SystemExit(f"{text}: where too many wait, some are dropped for callbacks; try fewer --seconds")
                answer["ended"] = max(answer.get("ended", 0.0), callbacks["returned_at"])
            return answer

        with self._peer(name) as peer:
            for size in SIZES:
                run(peer, "pump", size, min(WARM_UP, self._seconds), None)  # until every cache is warm
                pumped = run(peer, "pump", size, self._seconds, self._messages)
                taken = sorted(run(peer, "ping", size, self._seconds, self._messages)["microseconds"])
                duration = pumped["ended"] - pumped["began"]
                figures[size] = {
                    "throughput": pumped["messages"] / duration,
                    "pbx_cpu": pumped["cpu"] / duration,
                    "mean": sum(taken) / len(taken),
                    "p50": taken[len(taken) // 2],
                    "p99": taken[len(taken) * 99 // 100],
                }
        return figures


def measure(rows: list[str], rounds: int, seconds: float, messages: int | None, folder: str) -> Json:
    """Return all figures: {"bytes": {size: n}, "rounds": [{row: figures}]}. ``folder``: where certificates may be written."""
    with_tls = any(row.endswith("-tls") for row in rows)
    if with_tls:
        write_certificates(folder)
    with Child("the PBX side", "pbx_side.py", *([f"{folder}/pbx.pem"] if with_tls else [])) as pbx:
        bench = Bench(pbx, f"{folder}/ca.pem", seconds, messages)
        results: list[Json] = []
        for number in range(1, rounds + 1):
            results.append({})
            for row in rows:
                print(f"round {number} of {rounds}: {row}", file=sys.stderr, flush=True)
                results[-1][row] = bench.measure(row)
    return {"bytes": bench.bytes, "rounds": results}


def write_certificates(folder: str) -> None:
    """Write ca.pem, and pbx.pem with the key of the PBX side."""
    try:
        import trustme
    except ImportError:
        raise SystemExit("the rows with TLS need trustme: install the extra `test`, or choose other rows with --only") from None
    authority = trustme.CA()
    authority.cert_pem.write_to_path(f"{folder}/ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(f"{folder}/pbx.pem")


def describe_machine() -> Json:
    """Return what the figures depend on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        python += " (free-threaded)"
    return {"machine": processor(), "cores": os.cpu_count(), "system": platform.platform(), "python": python, "versions": versions}


def processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main() -> None:
    every_row = [*PEERS, *ROWS]
    parser = argparse.ArgumentParser(description="Measure what the library costs, beside a plain script.")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each measurement")
    parser.add_argument("--messages", type=int, help="number of messages of each measurement with peers, instead of --seconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", action="extend", choices=every_row, metavar="ROW", help=f"of {', '.join(every_row)}")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="write the figures of every round, and the tables', there")
    options = parser.parse_args()
    rows = [row for row in every_row if row in (options.only or every_row)]
    peers = [row for row in rows if row in PEERS and row != "attach"]
    with tempfile.TemporaryDirectory() as folder:
        figures = {**describe_machine(), **measure(rows, options.rounds, options.seconds, options.messages, folder)}
    figures["summary"] = [found for line in all_lines(peers) if (found := summarize(figures["rounds"], line))]
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    print(f"{figures['machine']}, {figures['cores']} cores, {figures['system']}\n{figures['python']}, {versions}")
    print(f"median (least..most) of {options.rounds} rounds\n\n{show(figures['rounds'], peers, figures['bytes'])}")


if __name__ == "__main__":
    main()
