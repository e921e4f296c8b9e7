"""Guards and what is worked out: a sign that changed is made up, a sum is, unless sums are allowed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_validators import scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators.figures import figures

AMOUNTS = st.decimals(min_value=1, max_value=9_999, places=2)


@pytest.mark.parametrize(
    ("source", "reply", "invented"),
    [
        ("It was −5 °C.", "It was 5 °C.", "5"),
        ("It was 5 °C.", "It was −5 °C.", "-5"),
        ("It was minus 5 degrees.", "It was 5 degrees.", "5"),
        ("Change: -12 %", "Revenue rose by 12 %.", "12"),
        ('{"balance": -40.5}', '{"balance": 40.5}', "40.5"),
        ("-€5", "€5", "5"),
        ("1,234.50 EUR", "-1,234.50 EUR", "-1,234.50"),
        ("(3, -4)", "(3, +4)", "4"),
        ("25 boxes", "minus twenty-five boxes", "-twenty-five"),
    ],
)
def test_a_sign_that_changed_is_an_invention(source: str, reply: str, invented: str) -> None:
    """It is told as such: the digits alone stand in the source."""
    found = scored("grounded-numbers", reply, source=source)
    assert found.details["invented"] == [invented], found.reason
    assert f"with another sign there: {invented!r}" in found.reason


@pytest.mark.parametrize(
    ("source", "reply"),
    [
        ("It was −5 °C.", "It was -5 °C, or minus five degrees."),
        ("It was −5 °C.", "It was 5 °C below zero."),
        ("Change: -12 %", "Revenue fell by 12 %."),
        ("Änderung: -12 %", "Das ist ein Rückgang um 12 %."),
        ("Revenue fell by 12 %.", "Change: -12 %"),
        ("It was between -5 and 5 °C.", "Between -5 °C and 5 °C."),
        ("3 to 5 days", "3-5 days, 3 – 5 days, 3 -5 days"),
        ("3–5 days", "5 days at most, 3 at least"),
        ("Call +49 151-234567.", "The end of the number is 234567."),
        ("On 2026-03-05, in week 3.", "In week 3, at 2026-03-05T14:30:00Z."),
        ("5 boxes and 6 bags", "- 5 boxes\n- 6 bags"),
        ("5 boxes and 6 bags", "It is cheap—5 boxes—and light."),
        ("INV-2041 of 10", "10 minus 5 is INV-2041's, 10-5 or 10 - 5: 5"),
        ("Credit (40.00), tolerance ±5, balance 7-", "-40.00, 5, -5, -7"),
        ("0 °C", "-0 °C"),
    ],
)
def test_what_is_no_certain_sign_is_no_invention(source: str, reply: str) -> None:
    """Ranges, hyphens, dates, phone numbers, list marks, and words that say which way a number goes."""
    found = scored("grounded-numbers", reply, None, {"allow": ["5"]} if "INV" in source else None, source=source)
    assert found.passed, found.reason


@settings(max_examples=80, deadline=None)
@given(AMOUNTS, st.sampled_from(["-", "−", "-€", "minus ", ": -", "(-", "\n-"]))
def test_a_number_below_zero_is_read_as_such_however_it_is_written(value: Decimal, mark: str) -> None:
    """And its digits alone are another number."""
    [read] = figures(f"It is {mark}{value}")
    assert (read.sign, read.readings) == (-1, (value,))
    assert scored("grounded-numbers", f"It is {mark}{value}", source=f"It is -{value}").passed
    assert scored("grounded-numbers", f"It is {value}", source=f"It is {mark}{value}").passed is False


@settings(max_examples=80, deadline=None)
@given(AMOUNTS, AMOUNTS)
def test_a_range_has_no_signs(low: Decimal, high: Decimal) -> None:
    """Its end is no number below zero, with or without spaces, in the source and in the reply."""
    for dash in ("-", "–", " - ", " -", "- "):
        assert all(each.sign >= 0 for each in figures(f"{low}{dash}{high}"))
        assert scored("grounded-numbers", f"{low} to {high}", source=f"{low}{dash}{high}").passed


@settings(max_examples=60, deadline=None)
@given(st.lists(AMOUNTS, min_size=3, max_size=8))
def test_sums_of_two_and_of_all_are_known_where_they_are_asked_for(values: list[Decimal]) -> None:
    """Their differences, too; without the option nothing that is worked out is."""
    source = "; ".join(f"item {value}" for value in values)
    for made in (sum(values, Decimal(0)), values[0] + values[1], abs(values[0] - values[2])):
        assert scored("grounded-numbers", f"It makes {made}.", None, {"sums": True}, source=source).passed
        assert scored("grounded", f"It makes {made}.", None, {"sums": True, "only": ["numbers"]}, source=source).passed


def test_a_sum_is_an_invention_unless_sums_are_asked_for() -> None:
    """What no two numbers make stays one, and no number is added to itself; dates are no terms."""
    source = "Bread 5, milk 7 and salt 20 on 3 March 2026."
    assert scored("grounded-numbers", "Together 32.", source=source).details["invented"] == ["32"]
    allowed = scored("grounded-numbers", "12, 13, 15, 25, 27, 32", None, {"sums": True}, source=source)
    assert allowed.passed, allowed.reason
    refused = scored("grounded-numbers", "10, 8, 33, 2031", None, {"sums": True}, source=source)
    assert refused.details["invented"] == ["10", "8", "33", "2031"]


def test_sums_of_a_source_with_very_many_numbers_are_not_tried() -> None:
    """Any number would be one."""
    source = " ".join(f"{number * number}," for number in range(400))
    assert scored("grounded-numbers", "It makes 17.", None, {"sums": True}, source=source).passed is False


def test_sums_that_are_neither_on_nor_off_are_refused() -> None:
    """With the place."""
    with pytest.raises(ConfigError, match=r"validators\.0\.sums"):
        scored("grounded-numbers", "", None, {"sums": "two"})
