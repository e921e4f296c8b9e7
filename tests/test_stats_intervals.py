"""Intervals against independent knowledge."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_series import noise, share

from pytest_llmbench.stats import mean_interval, percentile_interval, ratio_interval, wilson

anything = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30)


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

    def covered(source: random.Random) -> bool:
        interval = percentile_interval([source.random() for _ in range(60)], percent)
        return interval.low <= percent / 100 <= interval.high

    assert share(400, covered, seed=7) >= 0.93


def test_the_mean_interval_agrees_with_a_textbook_example() -> None:
    """n = 5, mean 3, s = sqrt(2.5): t(0.975, 4) = 2.776 gives 3 ± 1.963."""
    interval = mean_interval([1, 2, 3, 4, 5])
    assert interval.low == pytest.approx(3 - 1.9632, abs=1e-3)
    assert interval.high == pytest.approx(3 + 1.9632, abs=1e-3)


def test_the_mean_of_one_value_has_no_bounds() -> None:
    """One value says nothing of the spread."""
    assert mean_interval([5.0]).high == math.inf


def test_the_mean_interval_covers_as_often_as_it_says() -> None:
    """95 % of 1,500 samples of 8 normal values, within the error of counting."""

    def covered(source: random.Random) -> bool:
        interval = mean_interval([source.gauss(3, 2) for _ in range(8)])
        return interval.low <= 3 <= interval.high

    assert 0.93 <= share(1500, covered) <= 0.97


@given(anything, st.floats(1, 99))
def test_whatever_comes_an_interval_is_given(values: list[float], percent: float) -> None:
    """NaN and infinities are left out: ends are finite measured values, or infinite for want of them."""
    interval = percentile_interval(values, percent)
    assert interval.low <= interval.high
    assert {interval.low, interval.high} <= {*values, -math.inf, math.inf}
    bounded = [value for value in values if math.isfinite(value) and abs(value) < 1e100]
    assert mean_interval([*bounded, math.nan]) == mean_interval(bounded)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_agrees_with_published_examples(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe, Stat. Med. 17 (1998), p. 857, table I, method 3."""
    interval = wilson(successes, n)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_of_no_tries_any_share_is_possible() -> None:
    """Not measured is not 0 %; and more successes than tries are a mistake of the caller."""
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    """Within 0 and 1, never without width, and successes and failures are treated alike."""
    successes, n = counts
    interval, mirrored = wilson(successes, n), wilson(n - successes, n)
    assert 0 <= interval.low <= successes / n <= interval.high <= 1
    assert interval.low < interval.high
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_the_ratio_of_medians_is_found_and_repeats() -> None:
    """Twice as slow is 2 within its interval, the same at every call; a thing against itself is 1."""
    source = random.Random(3)
    reference = [source.gauss(10, 1) for _ in range(20)]
    slower = [source.gauss(20, 2) for _ in range(20)]
    interval = ratio_interval(slower, reference)
    assert 1.7 < interval.low < 2 < interval.high < 2.3
    assert interval == ratio_interval([*slower, math.nan], reference)
    assert ratio_interval([5.0] * 6, [5.0] * 6).low == ratio_interval([5.0] * 6, [5.0] * 6).high == 1


@pytest.mark.parametrize(("values", "reference"), [([], []), ([1.0] * 5, [1.0] * 9), ([1.0] * 9, [0.0] * 9)])
def test_a_ratio_of_too_little_has_no_bounds(values: list[float], reference: list[float]) -> None:
    """Five values bound no median, and nothing is a multiple of 0."""
    interval = ratio_interval(values, reference)
    assert (interval.low, interval.high) == (-math.inf, math.inf)


def test_the_ratio_interval_covers_about_as_often_as_it_says() -> None:
    """Medians of 12 skewed values each: at least 93 % of 300 intervals hold the true ratio, 1.5."""

    def covered(source: random.Random) -> bool:
        slow = [1.5 * source.lognormvariate(0, 0.3) for _ in range(12)]
        fast = [source.lognormvariate(0, 0.3) for _ in range(12)]
        interval = ratio_interval(slow, fast, resamples=1000)
        return interval.low <= 1.5 <= interval.high

    assert share(300, covered) >= 0.93


def test_the_ratio_of_two_stretches_of_one_series_is_not_known_as_well_as_that_of_independent_values() -> None:
    """Windows that resemble their neighbours: taken for independent the interval misses every third time."""

    def covered(source: random.Random, *, in_order: bool) -> bool:
        late = [1.5 + 0.1 * value for value in noise(source, 30, 0.7)]
        early = [1 + 0.1 * value for value in noise(source, 12, 0.7)]
        interval = ratio_interval(late, early, resamples=500, in_order=in_order)
        return interval.low <= 1.5 <= interval.high

    assert share(300, lambda source: covered(source, in_order=False)) < 0.85
    assert share(300, lambda source: covered(source, in_order=True)) >= 0.9


def test_an_outlier_moves_the_median_interval_by_one_value_only() -> None:
    """A stall of a minute is one value among many."""
    values = [float(value) for value in range(1, 31)]
    calm, stalled = percentile_interval(values, 50), percentile_interval([*values[:-1], 60_000.0], 50)
    assert calm == stalled
    assert statistics.fmean([*values[:-1], 60_000.0]) > calm.high
