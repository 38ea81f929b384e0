"""What a line remembers for a while."""

from __future__ import annotations

from epsignal_sync.simulator.line import Recent

from .test_raw_app import until


def test_recent_keys_are_forgotten() -> None:
    recent = Recent(0.02)
    recent.add("old")
    until(lambda: "old" not in recent, "a key is never forgotten")
    assert list(recent) == []
    recent.add("new")
    assert list(recent._until) == ["new"], "what is forgotten takes no memory"


def test_recent_key_counts_from_the_last_time() -> None:
    recent = Recent(60.0)
    for key in ("a", "b", "a"):
        recent.add(key)
    assert list(recent) == ["b", "a"] and "a" in recent
    recent.discard("a")
    recent.discard("c")
    assert list(recent) == ["b"]
    recent.clear()
    assert list(recent) == []
