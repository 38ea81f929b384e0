"""The layers, held by reading the imports. Nothing is imported here: what is written counts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "epsignal_sync"
ROOT = Path(__file__).parent.parent / PACKAGE
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
LONGEST_MODULE = 350
"""Lines."""

# Each layer may import itself and those named here.
LAYERS = {
    "errors": set(),
    "deadline": {"errors"},
    "process": {"errors"},
    "messages": {"errors", "deadline"},
    "protocol": {"errors", "deadline", "messages"},
    "relay": {"errors", "deadline", "process", "messages", "protocol"},
    "simulator": {"errors", "deadline", "messages", "protocol"},
    "history": set(),
    "looks": set(),
    "ladder": {"errors", "history", "looks", "messages", "protocol"},
    "call_attributes": {"messages", "protocol"},
}  # fmt: skip
READING = [f"recording/{one}.py" for one in ("lines", "calls", "reading", "frames")]
"""What reads recordings: pure, as the inner layers are, while what writes them stands beside the client."""
_OF_READING = {"errors", "messages", "protocol", "call_attributes", "history", "ladder"}
LAYERS.update({module.removesuffix(".py"): _OF_READING for module in READING})

# Who may import a library; all others may not.
LIBRARIES = {
    "ssl": (*(f"relay/{one}.py" for one in ("opening", "upgrade", "waiting", "endpoint", "refusals", "transport")), "simulator/"),
    "websocket": ("relay/upgrade.py",),
    "cattrs": ("protocol/codec.py",),
    "cattr": (),
    "orjson": ("protocol/jsontext.py",),
    "websockets": ("simulator/",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "asyncio": (),
    "trustme": (),
    "pytest": ("integrations/pytest_plugin.py",),
    "tkinter": ("integrations/tk.py",),
    "PySide6": ("integrations/qt.py",),
    "PyQt6": ("integrations/qt.py",),
    "IPython": ("notebook/",),
    "ipykernel": ("notebook/",),
    "flask": (),
    "pandas": ("recording/frames.py", "recording/reading.py"),
}
KNOWN = {"attr", "attrs", *LIBRARIES}
"""Everything outside of the standard library that the package may name at all."""


def imports(source: str, module: str) -> Iterator[tuple[str, int]]:
    """Yield the full name of everything that a module imports, wherever in it, and the line."""
    package = [PACKAGE, *module.split("/")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((f"{stem}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)) and node.args:
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if called in ("__import__", "import_module") and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), node.lineno


def layer_of(module: str) -> str:
    return module.split("/")[0].removesuffix(".py")


def forbidden_layers(source: str, module: str) -> list[str]:
    allowed = LAYERS.get(module.removesuffix(".py"), LAYERS.get(layer_of(module)))
    found = []
    for name, line in imports(source, module):
        parts = name.split(".")
        if allowed is None or parts[0] != PACKAGE:
            continue
        target = parts[1] if len(parts) > 1 else ""
        if target not in allowed | {layer_of(module)}:
            found.append(f"{module}:{line} imports {name}")
    return found


def forbidden_libraries(source: str, module: str) -> list[str]:
    found = []
    for name, line in imports(source, module):
        library = name.split(".")[0]
        if library in LIBRARIES and not any(module.startswith(place) for place in LIBRARIES[library]):
            found.append(f"{module}:{line} imports {name}")
    return found


def read(module: str) -> str:
    return (ROOT / module).read_text(encoding="utf-8")


def test_all_layers_are_there() -> None:
    assert {"errors.py", "deadline.py", "messages/record.py", "protocol/codec.py", "relay/link.py", "client.py"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_layers(module: str) -> None:
    assert not forbidden_layers(read(module), module)


@pytest.mark.parametrize("module", MODULES)
def test_libraries_have_one_place(module: str) -> None:
    assert not forbidden_libraries(read(module), module)


@pytest.mark.parametrize("module", MODULES)
def test_module_is_not_too_long(module: str) -> None:
    assert len(read(module).splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("module", MODULES)
def test_module_says_its_job(module: str) -> None:
    tree = ast.parse(read(module))
    assert not tree.body or module.endswith("__init__.py") or ast.get_docstring(tree)


def test_nothing_but_simulator_and_cli_needs_an_extra() -> None:
    needed = {
        name.split(".")[0]
        for module in MODULES
        if layer_of(module) not in ("simulator", "cli", "integrations", "notebook") and module not in LIBRARIES["pandas"]
        for name, _ in imports(read(module), module)
    }
    assert needed & {*KNOWN} <= {"attr", "attrs", "cattrs", "websocket", "orjson", "ssl"}


def test_inside_messages_nothing_knows_the_codec() -> None:
    names = {name for module in MODULES if layer_of(module) == "messages" for name, _ in imports(read(module), module)}
    assert names and not any(name.startswith(f"{PACKAGE}.protocol") for name in names)


def test_pure_layers_know_no_socket_thread_or_clock() -> None:
    """relay/outbox, forwarding and frames are pure too, but for the wall clock that stamps what was received."""
    unwanted = {"socket", "select", "selectors", "threading", "time", "ssl"}
    allowed = {("protocol/envelope.py", "threading"), ("relay/forwarding.py", "time")}
    pure = [one for one in MODULES if layer_of(one) in ("messages", "protocol")]
    pure += [f"relay/{one}.py" for one in ("outbox", "forwarding", "frames")]
    pure += [*READING, "call_attributes.py"]
    used = {(module, name.split(".")[0]) for module in pure for name, _ in imports(read(module), module)}
    assert not {one for one in used if one[1] in unwanted} - allowed


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("messages/media.py", "from ..protocol import codec", True), ("messages/media.py", "from .. import protocol", True),
        ("messages/facilities/im.py", "from ..record import wire", False),
        ("messages/facilities/im.py", "from ...protocol import codec", True),
        ("protocol/session.py", "def f():\n    import epsignal_sync.relay.link", True),
        ("protocol/session.py", "from ..errors import UsageError", False),
        ("relay/link.py", "from ..client import Client", True), ("relay/link.py", "from epsignal_sync import connect", True),
        ("relay/link.py", "if TYPE_CHECKING:\n    from ..events import Event", True), ("relay/link.py", "from .inbox import Inbox", False),
        ("simulator/pbx.py", "from ..relay.frames import encode_frame", True),
        ("simulator/pbx.py", "from ..protocol.digest import login_digest", False),
        ("recording/reading.py", "from ..client import Client", True),
        ("recording/calls.py", "from ..relay.deliveries import Received", True),
        ("recording/recorder.py", "from ..relay.link import Link", False),
        ("errors.py", "from .deadline import Deadline", True), ("deadline.py", "from .errors import UsageError", False),
        ("client.py", "from .relay.link import Link", False), ("relay/link.py", "importlib.import_module('epsignal_sync.client')", True),
    ],
)  # fmt: skip
def test_what_counts_as_a_forbidden_layer(module: str, source: str, wrong: bool) -> None:
    assert bool(forbidden_layers(source, module)) is wrong


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("relay/link.py", "import ssl", True), ("relay/opening.py", "import ssl", False), ("client.py", "from ssl import SSLContext", True),
        ("relay/endpoint.py", "import websocket", True), ("relay/upgrade.py", "import websocket", False),
        ("client.py", "import websockets", True), ("simulator/transport.py", "from websockets.sync.server import serve", False),
        ("messages/record.py", "import cattrs", True),
        ("protocol/jsontext.py", "try:\n    import orjson\nexcept ImportError:\n    pass", False),
        ("protocol/codec.py", "import orjson", True),
        ("recording.py", "def f():\n    import rich", True), ("recording/lines.py", "import pandas", True),
        ("cli/monitor.py", "from rich.text import Text", False),
    ],
)  # fmt: skip
def test_what_counts_as_a_forbidden_library(module: str, source: str, wrong: bool) -> None:
    assert bool(forbidden_libraries(source, module)) is wrong
