"""Intervals against independent knowledge."""

from __future__ import annotations

import math
import random

import pytest

from pytest_llmbench.stats import mean_interval, percentile_interval


def test_the_median_interval_of_six_values_spans_the_sample() -> None:
    """Six is the smallest sample with a 95 % interval of the median: its extremes (coverage 1 - 2/2**6 = 0.969)."""
    interval = percentile_interval([3, 1, 4, 1.5, 9, 2.6], 50)
    assert (interval.low, interval.high) == (1, 9)


def test_five_values_cannot_bound_the_median() -> None:
    """Five values cover the median with at most 0.9375."""
    interval = percentile_interval([1, 2, 3, 4, 5], 50)
    assert (interval.low, interval.high) == (-math.inf, math.inf)


def test_a_high_percentile_needs_many_values_to_be_bounded_above() -> None:
    """One-sided at 2.5 %: 0.95**n <= 0.025 needs n >= 72."""
    assert percentile_interval(range(71), 95).high == math.inf
    assert percentile_interval(range(72), 95).high == 71


@pytest.mark.parametrize("percent", [50, 90])
def test_the_percentile_interval_covers_as_often_as_it_says(percent: float) -> None:
    """Over 400 samples of 60 uniform values the interval holds the true percentile at least 93 % of the time."""
    source = random.Random(7)
    covered = 0
    for _ in range(400):
        interval = percentile_interval([source.random() for _ in range(60)], percent)
        covered += interval.low <= percent / 100 <= interval.high
    assert covered >= 0.93 * 400


def test_the_mean_interval_agrees_with_a_textbook_example() -> None:
    """n = 5, mean 3, s = sqrt(2.5): t(0.975, 4) = 2.776 gives 3 ± 1.963."""
    interval = mean_interval([1, 2, 3, 4, 5])
    assert interval.low == pytest.approx(3 - 1.9632, abs=1e-3)
    assert interval.high == pytest.approx(3 + 1.9632, abs=1e-3)


def test_the_mean_of_one_value_has_no_bounds() -> None:
    assert mean_interval([5.0]).high == math.inf
