"""Executes a notebook in a kernel of this interpreter, and writes it with its outputs, in a process of its own.

    python -m tests.notebook.executing samples/first_steps.ipynb samples/first_steps.ipynb

Besides the test this is how the notebook in samples/ got its outputs: what differs from one run to the next is not written.
"""

from __future__ import annotations

import importlib
import os
import pathlib
import sys
import tempfile
from typing import Any

PATIENCE = 60
"""Seconds for each cell, and for the kernel to start."""


def main() -> None:
    source, target = (pathlib.Path(one).resolve() for one in sys.argv[1:3])
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        directory = pathlib.Path(place)
        use_only(directory)
        import nbclient

        nbformat: Any = importlib.import_module("nbformat")  # it has types in part only
        from .driver import make_manager

        notebook = nbformat.read(source, 4)
        resources = {"metadata": {"path": str(directory)}}
        manager = make_manager(directory)
        try:
            nbclient.NotebookClient(
                notebook, km=manager, timeout=PATIENCE, startup_timeout=PATIENCE, record_timing=False, resources=resources
            ).execute()
        finally:
            manager.shutdown_kernel(now=False)
        notebook.metadata = nbformat.read(source, 4).metadata  # that of the kernel names its version
        nbformat.write(notebook, target)


def use_only(directory: pathlib.Path) -> None:
    """Have Jupyter write into a directory only."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        os.environ[name] = str(directory / name.lower())


if __name__ == "__main__":
    main()
