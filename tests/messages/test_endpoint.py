from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epsignal_sync.errors import UsageError
from epsignal_sync.messages import Number, NumberType


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("22", Number(digits="22")), ("", Number(digits="")), ("*21#", Number(digits="*21#")),
        ("S123", Number(digits="123", type=NumberType.SUBSCRIBER)), ("N7031", Number(digits="7031", type=NumberType.NATIONAL)),
        ("I4970", Number(digits="4970", type=NumberType.INTERNATIONAL)), ("R22", Number(digits="22", restricted=True)),
        ("RI4970", Number(digits="4970", type=NumberType.INTERNATIONAL, restricted=True)),
    ],
)  # fmt: skip
def test_prefixes(text: str, number: Number) -> None:
    assert Number.parse(text) == number
    assert str(number) == text


def test_restriction_behind_the_type_is_read_too() -> None:
    assert Number.parse("IR4970") == Number.parse("RI4970")
    assert str(Number.parse("IR4970")) == "RI4970"


@given(st.builds(Number, digits=st.text("0123456789*#"), type=st.sampled_from(NumberType), restricted=st.booleans()))
def test_parse_of_what_was_built(number: Number) -> None:
    assert Number.parse(str(number)) == number


@given(st.text("0129*#RSNIx", max_size=6))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        number = Number.parse(text)
    except UsageError as error:
        assert repr(text) in str(error)
    else:
        assert sorted(str(number)) == sorted(text)


@pytest.mark.parametrize("text", ["RR1", "SN1", "II1", "RSR1", "+4970", "1R", "22 23", "r22", "٣"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(UsageError, match="is no number"):
        Number.parse(text)


@pytest.mark.parametrize("digits", ["R22", "+4970", "2 3", 22, None])
def test_digits_that_are_none(digits: object) -> None:
    with pytest.raises(UsageError, match=r"Number\.digits cannot be "):
        Number(digits=digits)  # type: ignore[arg-type]
