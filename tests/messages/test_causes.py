from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.messages import CAUSE_LOCATIONS, CAUSE_TEXTS, Cause, cause_text

from .strategies import json_values


@pytest.mark.parametrize(
    ("num", "text"),
    [
        (1, "Unallocated (unassigned) number"), (16, "Normal call clearing"), (17, "User busy"), (18, "No user responding"),
        (21, "Call rejected"), (81, "Invalid call reference value"), (102, "Recovery on timer expiry"), (127, "Interworking, unspecified"),
    ],
)  # fmt: skip
def test_names_of_q850(num: int, text: str) -> None:
    assert cause_text(num) == Cause(num=num).text == text


def test_table_is_within_q850() -> None:
    assert all(1 <= num <= 127 and text and text == text.strip() for num, text in CAUSE_TEXTS.items())
    assert len(set(CAUSE_TEXTS.values())) == len(CAUSE_TEXTS)


@pytest.mark.parametrize(("num", "text"), [(99999, "cause 99999"), (0, "cause 0"), ("17", "cause 17"), (16.5, "cause 16.5")])
def test_value_without_a_name(num: object, text: str) -> None:
    assert cause_text(num) == text


@pytest.mark.parametrize("num", [None, True, False, {}, {"pwd": "s3cret"}, [17]])
def test_what_is_no_number_or_text(num: object) -> None:
    assert cause_text(num) == Cause(num=num).text == ""


LOCATIONS = [(0, "User"), (2, "Public network serving the local user"), (10, "Network beyond interworking point")]


@pytest.mark.parametrize(("loc", "text"), LOCATIONS)
def test_locations_of_q850(loc: int, text: str) -> None:
    assert Cause(loc=loc).location == text == CAUSE_LOCATIONS[loc]


@pytest.mark.parametrize("loc", [None, 6, 16, -1, True, "0", 0.0, {}, [0]])
def test_location_without_a_name(loc: object) -> None:
    assert Cause(loc=loc).location == ""


@given(json_values | st.integers(0, 130))
def test_any_json_value_has_a_text(num: object) -> None:
    assert isinstance(cause_text(num), str)
