"""Which names are public: all that the reference has to describe. Imports nothing that an extra brings."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = "epsignal_sync.integrations.pytest_plugin"
PUBLIC = (
    "epsignal_sync",
    "epsignal_sync.messages",
    "epsignal_sync.simulator",
    "epsignal_sync.integrations",
    PLUGIN,
    "epsignal_sync.notebook",
    "epsignal_sync.replay",
)
"""The modules that programs import from."""


def public_names(module: str) -> list[str]:
    """Return the public names of a module: its ``__all__``, or what it defines and describes itself."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assigned: dict[str, ast.expr] = {}
    documented: set[str] = set()
    for node, below in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.Assign):
            found = [name for target in node.targets for name in _names_in(target)]
            assigned.update(dict.fromkeys(found, node.value))
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                documented.update(found)
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            documented.add(node.name)
    if "__all__" in assigned:
        return [str(name) for name in ast.literal_eval(assigned["__all__"])]
    return sorted(name for name in documented if not name.startswith("_"))


def _names_in(target: ast.expr) -> list[str]:
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
