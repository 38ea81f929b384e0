from __future__ import annotations

import pytest

from epsignal_sync.messages import Setup
from epsignal_sync.relay.counting import LONGEST_TYPE, MOST_UNKNOWN_TYPES, OTHER, Latencies, TypeCounts


def signaling(kind: object) -> dict[str, object]:
    return {"mt": "Signaling", "sig": {"type": kind}}


def test_types_are_counted_by_name() -> None:
    counts = TypeCounts()
    for data in ({"mt": "Attached"}, signaling("setup"), signaling("setup"), signaling("new"), {"mt": "setup"}):
        counts.add(data)
    assert counts.totals() == {"Attached": 1, "Signaling/setup": 2, "Signaling/new": 1, "setup": 1}


@pytest.mark.parametrize("kind", [None, 1, 1.0, True, [], {}, "x" * (LONGEST_TYPE + 1)], ids=lambda kind: repr(kind)[:5])
def test_odd_type_is_counted_as_other(kind: object) -> None:
    counts = TypeCounts()
    counts.add(signaling(kind))
    counts.add({"mt": kind})
    assert counts.totals() == {OTHER: 1, f"Signaling/{OTHER}": 1}


@pytest.mark.parametrize("sig", [None, "setup", [], 5], ids=repr)
def test_signaling_without_a_signal_is_counted_as_other(sig: object) -> None:
    counts = TypeCounts()
    counts.add({"mt": "Signaling", "sig": sig})
    counts.add({"mt": "Signaling"})
    assert counts.totals() == {f"Signaling/{OTHER}": 2}


def test_invented_types_take_no_memory() -> None:
    counts = TypeCounts()
    for number in range(10 * MOST_UNKNOWN_TYPES):
        counts.add(signaling(f"invented {number}"))
        counts.add({"mt": f"Invented {number}"})
    totals = counts.totals()
    assert len(totals) == MOST_UNKNOWN_TYPES + 2 and sum(totals.values()) == 20 * MOST_UNKNOWN_TYPES
    for data in (signaling(Setup.wire_name), {"mt": "Sync"}):
        counts.add(data)
    assert (counts.totals()["Signaling/setup"], counts.totals()["Sync"]) == (1, 1), "known ones always have their place"


@pytest.mark.parametrize("text", [b"", b"[]", b"no json", b"\xff", b"[" * 100_000])
def test_text_that_is_no_message_is_counted_as_other(text: bytes) -> None:
    counts = TypeCounts()
    counts.add_text(text)
    assert counts.totals() == {OTHER: 1}


def test_no_latency_before_the_first() -> None:
    assert Latencies().percentile(0.5) is None


@pytest.mark.parametrize("seconds", [1.5e-6, 40e-6, 0.001, 0.25, 2.0, 100.0])
def test_latency_is_at_most_a_bucket_too_long(seconds: float) -> None:
    latencies = Latencies()
    latencies.add(seconds, 1)
    found = latencies.percentile(0.99)
    assert found is not None and seconds * 1e6 * 0.95 <= found <= seconds * 1e6 * 1.1


def test_percentiles_are_weighted() -> None:
    latencies = Latencies()
    latencies.add(0.001, 98)
    latencies.add(1.0, 2)
    half, most = latencies.percentile(0.5), latencies.percentile(0.99)
    assert half is not None and 1000 <= half <= 1100 and most is not None and 1e6 <= most <= 1.1e6


@pytest.mark.parametrize("seconds, microseconds", [(0.0, 1.0), (-1.0, 1.0), (1e9, 2.0**30)])
def test_latency_beyond_the_buckets(seconds: float, microseconds: float) -> None:
    latencies = Latencies()
    latencies.add(seconds, 1)
    assert latencies.percentile(0.5) == microseconds
