"""Runs a kernel of this interpreter for a test, in a process of its own: sockets, loops and warnings of Jupyter stay there.

    python -m tests.notebook.driver DIRECTORY

Reads one JSON command a line from standard input and writes one JSON event a line to standard output, until the input ends.
Everything that Jupyter writes, connection files included, goes into DIRECTORY.
"""

from __future__ import annotations

import json
import os
import pathlib
import queue
import sys
import threading
from typing import Any

PATIENCE = 60.0
"""Seconds until a kernel must be there, or gone."""

write_lock = threading.Lock()


def tell(**event: Any) -> None:
    with write_lock:
        print(json.dumps(event, default=str), flush=True)


def make_manager(directory: pathlib.Path) -> Any:
    """Return the manager of a kernel that is installed nowhere: its specification is in the directory."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    spec = directory / "kernels" / "this"
    spec.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "this", "language": "python"}))
    specs = KernelSpecManager(kernel_dirs=[str(directory / "kernels")], ensure_native_kernel=False)
    # Sockets in the file system: no port to collide on, and no warning that anybody could listen. Their path is relative, as
    # the system takes at most a hundred characters; the kernel starts in the directory where this process is. It is given
    # time to end: the usual 2.5 s may be too short for a busy machine, and then it is killed.
    os.chdir(directory)
    return KernelManager(
        kernel_name="this", kernel_spec_manager=specs, transport="ipc", connection_file=str(directory / "connection.json"), ip="kernel",
        shutdown_wait_time=PATIENCE,
    )  # fmt: skip


class Listener:
    """The thread that tells of everything that the kernel publishes. No other one may read that socket meanwhile."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(PATIENCE)

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                message = self._client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            tell(event=message["msg_type"], run=message["parent_header"].get("msg_id"), content=message["content"])


def run_cell(client: Any, command: dict[str, Any]) -> None:
    """Send a cell with the metadata that a front end sends along, which execute() of the client does not."""
    content = {
        "code": command["code"], "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
        "stop_on_error": True,
    }  # fmt: skip
    message = client.session.msg("execute_request", content, metadata=command["metadata"])
    tell(event="sent", run=message["header"]["msg_id"])
    client.shell_channel.send(message)


def main() -> None:
    directory = pathlib.Path(sys.argv[1])
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        os.environ[name] = str(directory / name.lower())
    manager = make_manager(directory)
    manager.start_kernel(env=os.environ.copy())
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE)
    listener = Listener(client)
    tell(event="ready")
    try:
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "run":
                run_cell(client, command)
            elif command["do"] == "interrupt":
                manager.interrupt_kernel()
            else:
                listener.end()
                manager.restart_kernel(now=False)
                client.wait_for_ready(timeout=PATIENCE)
                listener = Listener(client)
                tell(event="restarted")
    finally:
        listener.end()
        client.stop_channels()
        manager.shutdown_kernel(now=False)


if __name__ == "__main__":
    main()
