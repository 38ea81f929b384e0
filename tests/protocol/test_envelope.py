from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.protocol.envelope import SMALLEST_CALL_ID, Destination, OwnCallIds, destination, is_epsignal

from ..messages.strategies import json_values, signaling

APIS = frozenset({"EpSignal"})
FORWARD, OWN, OTHER = Destination.FORWARD, Destination.OWN, Destination.OTHER


def where(**data: Any) -> Destination:
    own = OwnCallIds()
    assert [own.issue(), own.issue()] == [-1, -2]
    return destination({"mt": "Signaling", **data}, APIS, own)


@pytest.mark.parametrize("call", [0, 1, 2**31, 2**70, -3, SMALLEST_CALL_ID, -(2**40)])
def test_id_that_is_not_ours(call: int) -> None:
    assert where(call=call) is FORWARD


@pytest.mark.parametrize("to", [None, True, False, "x", 1])
@pytest.mark.parametrize("call", [-1, -2])
def test_id_that_this_process_issued(call: int, to: object) -> None:
    assert where(call=call, to=to) is OWN
    assert where(call=call, to=to, src="unknown", sig=None) is OWN


@pytest.mark.parametrize("call", [None, "-1", -1.0, True, False, [], {}, [-1], "x", 1e300, float("nan"), float("-inf")])
def test_call_of_a_wrong_type_is_forwarded(call: object) -> None:
    assert where(call=call) is FORWARD


def test_no_call_is_forwarded() -> None:
    assert where() is FORWARD


@pytest.mark.parametrize("api", [None, "EpSignal", 1, [], {}, True])
def test_api_that_counts_as_ours(api: object) -> None:
    assert where(api=api, call=1) is FORWARD
    assert where(api=api, call=-1) is OWN


@pytest.mark.parametrize("api", ["", "PbxSignal", "epsignal", "Api"])
def test_signaling_of_another_api(api: str) -> None:
    assert where(api=api, call=1) is OTHER
    assert where(api=api, call=-1) is OTHER
    assert destination({"mt": "Signaling", "api": api}, {api, "EpSignal"}) is FORWARD


@pytest.mark.parametrize("mt", ["signaling", "Attached", "Sync", "", None, 1, [], {}])
def test_what_is_no_signaling(mt: object) -> None:
    assert destination({"mt": mt, "api": "EpSignal", "call": 1}, APIS) is OTHER


@given(signaling() | st.dictionaries(st.sampled_from(["api", "src", "to", "call", "sig"]), json_values))
def test_signaling_is_forwarded_whatever_is_in_it(data: dict[str, Any]) -> None:
    own, api = OwnCallIds(), data.get("api")
    foreign = isinstance(api, str) and api != "EpSignal"
    assert destination({**data, "mt": "Signaling"}, APIS, own) is (OTHER if foreign else FORWARD)


@pytest.mark.parametrize("kind", ["AttachResult", "Attached", "Detached", "Sync", "Signaling"])
def test_belongs_to_epsignal_without_an_api(kind: str) -> None:
    assert is_epsignal({"mt": kind}, APIS) and is_epsignal({"mt": kind, "api": None}, APIS)
    assert is_epsignal({"mt": kind, "api": ["x"]}, APIS)
    assert not is_epsignal({"mt": kind, "api": "Other"}, APIS)


def test_belongs_to_epsignal_by_its_api() -> None:
    assert is_epsignal({"mt": "BrandNew", "api": "EpSignal"}, APIS)
    assert not is_epsignal({"mt": "BrandNew"}, APIS)
    assert not is_epsignal({"mt": "PbxInfo"}, APIS)


# ------------------------------------------------------------ the ids


def test_ids_count_down_and_are_never_reused() -> None:
    own = OwnCallIds()
    assert not own.issued(-1)
    assert [own.issue() for _ in range(3)] == [-1, -2, -3]
    assert [own.issued(call) for call in (0, -1, -3, -4, 1)] == [False, True, True, False, False]


def test_ids_from_many_threads_are_all_different() -> None:
    own = OwnCallIds()
    issued: list[int] = []
    threads = [threading.Thread(target=lambda: issued.extend([own.issue() for _ in range(2000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(issued, reverse=True) == list(range(-1, -8001, -1))
    assert own.issued(-8000) and not own.issued(-8001)


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let threads take turns all the time, so that a missing lock shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_id_is_known_as_soon_as_it_is_issued(eager_switching: None) -> None:
    own = OwnCallIds()
    stop = threading.Event()
    other = threading.Thread(target=lambda: [own.issue() for _ in iter(stop.is_set, True)])
    other.start()
    try:
        assert all(own.issued(own.issue()) for _ in range(20_000))
    finally:
        stop.set()
        other.join(20)


def test_ids_end_at_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("epsignal_sync.protocol.envelope.SMALLEST_CALL_ID", -2)
    own = OwnCallIds()
    assert [own.issue(), own.issue()] == [-1, -2]
    for _ in range(2):
        with pytest.raises(OverflowError, match="restart it"):
            own.issue()
    assert own.issued(-2) and not own.issued(-3)


def test_smallest_id_is_signed_32_bit() -> None:
    assert SMALLEST_CALL_ID == -(2**31)
