"""When a load stops: known well enough, often enough, or long enough."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_series import share

from pytest_llmbench.errors import UsageError
from pytest_llmbench.stats import StopRule, percentile_interval, repetitions_for

RULE = StopRule(min_n=10, max_n=40, relative_width=0.1, cap_s=60)


def values(n: int, spread: float, seed: int = 4) -> list[float]:
    random = Random(seed)
    return [random.gauss(10, spread) for _ in range(n)]


def test_quiet_values_stop_at_the_fewest() -> None:
    """Not before, though the interval is narrow enough from six values on."""
    assert RULE.reason(values(9, 0.1), 1) == ""
    told = RULE.reason(values(10, 0.1), 1)
    assert told.startswith("the 95 % interval of the median is 1.")
    assert told.endswith("% of it wide after 10 repetitions, 10 % were asked for")


def test_noisy_values_go_on_to_the_most() -> None:
    """And it says how wide the interval still is."""
    assert RULE.reason(values(39, 4), 1) == ""
    told = RULE.reason(values(40, 4), 1)
    assert told.startswith("all 40 repetitions were made; the 95 % interval of the median is 3")
    assert told.endswith("10 % were asked for")


def test_the_cap_stops_and_says_what_was_missing() -> None:
    """With an estimate of how many repetitions would do."""
    told = RULE.reason(values(20, 2), 60.5)
    assert told.startswith("the time of 60 s was up after 20 repetitions; the 95 % interval of the median is ")
    assert told.endswith("repetitions would give 10 %")


@pytest.mark.parametrize("measured", [[], [3.0], [1.0, 2.0, math.nan], [0.0, -1.0, 1.0, -2.0, 2.0, 0.0]])
def test_the_cap_holds_for_too_few_values_too(measured: list[float]) -> None:
    """Even for none; a median of 0 has no relative width."""
    assert RULE.reason(measured, 59) == ""
    assert "too few for an interval" in RULE.reason(measured, 60) or "median" in RULE.reason(measured, 60)


def test_equal_values_are_known_exactly() -> None:
    """A width of 0 is narrow enough, of a median of 0 as well."""
    assert RULE.reason([0.0] * 10, 1).startswith("the 95 % interval of the median is 0 % of it wide")


def test_the_estimate_of_how_many_are_needed_is_about_right() -> None:
    """From 20 values, for an interval half as wide: four times as many, and these do give it."""
    measured = values(200, 2)
    width = 0.05
    needed = repetitions_for(measured[:50], width)
    assert needed is not None
    interval = percentile_interval(values(needed, 2, seed=9), 50)
    assert (interval.high - interval.low) / 10 == pytest.approx(width, rel=0.5)
    assert repetitions_for([1.0, 2.0], 0.1) is None


@pytest.mark.parametrize(
    "wrong",
    [{"min_n": 0}, {"min_n": 30, "max_n": 20}, {"relative_width": 0}, {"cap_s": -1}, {"relative_width": math.nan}],
)
def test_a_rule_that_cannot_hold_is_refused(wrong: dict[str, float]) -> None:
    """Before anything is measured."""
    with pytest.raises(UsageError, match="a stop rule needs"):
        StopRule(**wrong)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50), st.floats(0, 1e6))
def test_it_always_stops_in_the_end(measured: list[float], elapsed_s: float) -> None:
    """At the most repetitions and at the cap there is a reason, whatever was measured."""
    finite = sum(math.isfinite(value) for value in measured)
    assert (elapsed_s < 60 and finite < 40) or RULE.reason(measured, elapsed_s)


def test_stopping_when_it_is_narrow_costs_little_coverage() -> None:
    """Looking after every value: the interval still holds the true median at least 91 % of the time."""

    def covered(random: Random) -> bool:
        measured: list[float] = []
        while not RULE.reason(measured, 0):
            measured.append(random.gauss(10, 0.8))
        interval = percentile_interval(measured, 50)
        return interval.low <= 10 <= interval.high

    assert share(300, covered) >= 0.91
