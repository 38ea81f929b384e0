"""A real kernel for a test, and what is shown below its cells. See driver.py for the process in between."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds that a test waits for a kernel; only a failing test ever waits so long."""

ROOT = pathlib.Path(__file__).parents[2]


class Run:
    """One run of a cell."""

    def __init__(self, kernel: Kernel, identifier: str) -> None:
        self._kernel = kernel
        self.identifier = identifier

    @property
    def _contents(self) -> list[tuple[str, dict[str, Any]]]:
        return [(kind, content) for kind, run, content in self._kernel.published if run == self.identifier]

    @property
    def ended(self) -> bool:
        """Whether the kernel is through with it."""
        return any(kind == "status" and content["execution_state"] == "idle" for kind, content in self._contents)

    def shown(self, kind: str) -> list[dict[str, Any]]:
        """Return what is shown below the cell so far as one kind of message, such as "display_data"."""
        return [content for one, content in self._contents if one == kind]

    @property
    def output(self) -> str:
        """What is shown below the cell so far: texts, what was displayed, and the name of an error that ended it."""
        parts = []
        for kind, content in self._contents:
            if kind == "stream":
                parts.append(content["text"])
            elif kind in ("display_data", "execute_result"):
                parts.append(f"[{content['data'].get('text/plain', '')}]\n")
            elif kind == "error":
                parts.append(f"{content['ename']}: {content['evalue']}\n")
        return "".join(parts)

    def wait_ended(self) -> str:
        """Wait until the kernel is through with it; returns the output."""
        self._kernel.wait_until(lambda: self.ended, lambda: f"the cell did not end; it shows {self.output!r}")
        return self.output

    def wait_output(self, text: str) -> str:
        """Wait until a text is shown below the cell; returns the output."""
        self._kernel.wait_until(lambda: text in self.output, lambda: f"{text!r} is not shown below the cell, but {self.output!r}")
        return self.output


class Kernel:
    """A kernel of this interpreter. A context manager; ``directory`` is where Jupyter may write."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.published: list[tuple[str, str | None, dict[str, Any]]] = []
        self._events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.notebook.driver", str(directory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self._over = False
        self._reader = threading.Thread(target=self._read, name="kernel-events", daemon=True)
        self._reader.start()

    def __enter__(self) -> Kernel:
        self._wait_event("ready")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._reader.join(PATIENCE)
            self._process.stdout.close()
            self._errors.close()

    def start(self, code: str, cell: str | None = None) -> Run:
        """Have a cell run; ``cell`` is its id, where the front end sends one."""
        with self._changed:
            seen = len(self._events)
        self._command(do="run", code=code, metadata={} if cell is None else {"cellId": cell})
        return Run(self, self._wait_event("sent", seen)["run"])

    def run(self, code: str, cell: str | None = None) -> Run:
        """Run a cell and wait until the kernel is through with it."""
        run = self.start(code, cell)
        run.wait_ended()
        return run

    def interrupt(self) -> None:
        """Interrupt what runs, as the button of the front end does."""
        self._command(do="interrupt")

    def restart(self) -> None:
        """Restart the kernel, as the button of the front end does, and wait until it is there again."""
        with self._changed:
            seen = len(self._events)
        self._command(do="restart")
        self._wait_event("restarted", seen)

    def wait_until(self, condition: Callable[[], Any], failure: Callable[[], str]) -> None:
        """Wait until something was published; ``failure`` says what did not come."""
        with self._changed:
            there = self._changed.wait_for(lambda: condition() or self._over, PATIENCE)
            assert there and condition(), f"{failure()}; the kernel wrote: {self._written()}"

    def _wait_event(self, kind: str, seen: int = 0) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [one for one in self._events[seen:] if one["event"] == kind]
            return bool(found)

        self.wait_until(look, lambda: f"there was no {kind!r}")
        return found[0]

    def _command(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            with self._changed:
                if "content" in event:
                    self.published.append((event["event"], event["run"], event["content"]))
                else:
                    self._events.append(event)
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _written(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:]
