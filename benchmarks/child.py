"""A process that is spoken to in JSON lines. Knows nothing of what is measured in it."""

from __future__ import annotations

import json
import os
import pathlib
import queue
import subprocess
import sys
import threading
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
END_TIME = 5.0  # seconds a process has to end after its standard input did

Json = dict[str, Any]


class Child:
    """A Python process that runs one of the modules here. No answer in time is an error; close() ends it in any case."""

    def __init__(self, name: str, module: str, *arguments: str) -> None:
        self._name = name
        # The checkout that this file belongs to is what is measured, installed or not.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, str(HERE / module), *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader_thread = threading.Thread(target=self._read, name=f"bench-{name}", daemon=True)
        self._reader_thread.start()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tell(self, command: Json | int) -> None:
        """Send one line. Does not wait for the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise SystemExit(f"{self._name} has ended too early; look above for what it printed") from None

    def answer(self, timeout: float) -> Json:
        """Return the next answer; ends the benchmark if there is none within ``timeout`` seconds."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise SystemExit(f"{self._name} gave no answer within {timeout:.0f} s; look above for what it printed") from None
        if not line:
            raise SystemExit(f"{self._name} ended without an answer; look above for what it printed")
        answer: Json = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process: let it end by itself, or kill it. Blocks for some seconds at the most."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already
        try:
            self._process.wait(END_TIME)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(END_TIME)
        self._reader_thread.join(END_TIME)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")
