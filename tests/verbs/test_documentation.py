"""What help() says of each verb: whether it blocks, the time-out, the callback, the errors, and the threads."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import epsignal_sync as eps
from epsignal_sync.call_control import CallControl
from epsignal_sync.device_control import DeviceControl

VERBS = [(kind, name) for kind in (CallControl, DeviceControl) for name in vars(kind) if not name.startswith("_")]


@pytest.mark.parametrize(("kind", "name"), VERBS)
def test_verb_says_what_it_does_without_another_page(kind: type[Any], name: str) -> None:
    text = " ".join((inspect.getdoc(getattr(kind, name)) or "").split())
    for said in ("Blocks for at most ``timeout`` seconds", "``on_result``", "UsageError", "ReplyTimeout", "Any thread", kind.__name__):
        assert said in text
    assert all(hasattr(eps, word.strip("`,.:")) for word in text.split() if word.strip("`,.:").endswith("Error"))
