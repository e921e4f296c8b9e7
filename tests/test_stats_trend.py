"""Drift: the slope, its interval, and how often chance looks like it."""

from __future__ import annotations

import itertools
import math
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from noisy_series import noise, share
from scipy import stats as scipy_stats

from pytest_llmbench.stats import trend
from pytest_llmbench.stats.serial import effective_n, midranks

SEN_X, SEN_Y = [1, 2, 3, 4, 10, 12, 18], [9, 15, 19, 20, 45, 55, 78]


def rising(n: int, total: float, correlation: float = 0.0, seed: int = 5) -> list[float]:
    return [100 + total * i / n + value for i, value in enumerate(noise(Random(seed), n, correlation))]


def test_sens_own_example() -> None:
    """J. Am. Stat. Assoc. 63 (1968), p. 1379: slope 4, interval at 93 % from 3.71 to 4.38."""
    found = trend(SEN_X, SEN_Y, confidence=0.93)
    assert found.slope_per_s == 4
    assert (round(found.low, 2), round(found.high, 2)) == (3.71, 4.38)


@pytest.mark.parametrize("seed", range(5))
def test_slope_and_interval_agree_with_scipy_where_values_are_independent(seed: int) -> None:
    """Uneven times, ties in the values."""
    random = Random(seed)
    times = sorted(random.uniform(0, 100) for _ in range(30))
    values = [round(random.gauss(0, 3) + 0.02 * t) for t in times]
    found = trend(times, values)
    theirs = scipy_stats.theilslopes(values, times, 0.95)
    assert found.slope_per_s == pytest.approx(theirs.slope)
    if found.effective_n == found.n:
        assert (found.low, found.high) == (pytest.approx(theirs.low_slope), pytest.approx(theirs.high_slope))
    else:
        assert found.low <= theirs.low_slope < theirs.high_slope <= found.high


def test_the_p_value_is_that_of_all_orders_of_the_values() -> None:
    """Of the 5,040 orders of 7 values, counted; the normal approximation is within 0.01 where it matters."""
    orders = list(itertools.permutations(range(7)))
    sizes = [abs(sum(np.sign(b - a) for a, b in itertools.combinations(order, 2))) for order in orders]
    for order in ([0, 1, 2, 3, 4, 5, 6], [1, 0, 2, 3, 4, 6, 5], [1, 0, 3, 2, 4, 6, 5], [2, 0, 3, 1, 6, 4, 5]):
        size = abs(sum(np.sign(b - a) for a, b in itertools.combinations(order, 2)))
        exact = sum(other >= size for other in sizes) / len(sizes)
        assert trend(range(7), order).p_value == pytest.approx(exact, abs=0.01)


def test_the_p_value_agrees_with_kendalls_tau_for_many_values() -> None:
    """SciPy's, without the continuity correction, is a little smaller."""
    values = rising(200, 0.6, seed=2)
    theirs = scipy_stats.kendalltau(range(200), values, method="asymptotic").pvalue
    found = trend(range(200), values)
    assert found.effective_n == 200
    assert theirs < found.p_value == pytest.approx(theirs, rel=0.02)


def test_a_drift_hidden_in_the_mean_is_found() -> None:
    """Half an hour that loses 10 % little by little: the mean says nothing of it, the trend says how much."""
    values = [10 - i / 1800 + value * 0.3 for i, value in enumerate(noise(Random(1), 1800))]
    found = trend(range(1800), values)
    assert found.p_value < 1e-6
    assert found.low < -1 / 1800 < found.high < 0
    assert found.change_share == pytest.approx(-0.1, abs=0.02)


def test_a_long_series_is_thinned_and_keeps_its_slope() -> None:
    """A night of samples, one a second: blocks are taken together, n still counts all of them."""
    values = [50 + 0.001 * i + value for i, value in enumerate(noise(Random(2), 30_000, 0.5))]
    found = trend(range(30_000), values)
    assert found.n == 30_000
    assert found.slope_per_s == pytest.approx(0.001, rel=0.02)
    assert found.low < 0.001 < found.high
    assert found.p_value < 1e-9


def test_two_outliers_at_the_ends_make_no_trend() -> None:
    """A line from the first to the last value would lose half; least squares would, too."""
    values = noise(Random(8), 40)
    values[0], values[1], values[-1] = 60.0, 50.0, -70.0
    found = trend(range(40), values)
    assert found.p_value > 0.05
    assert found.low < 0 < found.high


def test_order_of_the_pairs_and_missing_values_do_not_matter() -> None:
    """They are sorted by time; None, NaN and infinities are left out with their times."""
    values = rising(20, 3)
    pairs = list(zip(range(20), values, strict=True))
    Random(0).shuffle(pairs)
    times, shuffled = zip(*pairs, strict=True)
    holes = [*values[:7], None, math.nan, math.inf, *values[7:]]
    places = [*range(7), 6.2, 6.5, 6.7, *range(7, 20)]
    assert trend(times, shuffled) == trend(range(20), values) == trend(places, holes)


@pytest.mark.parametrize(
    ("times", "values", "n"),
    [
        ([], [], 0),
        ([1], [5.0], 1),
        ([3, 3, 3], [1, 2, 3], 3),
        ([1, 2], [None, math.nan], 0),
        ([1, 2, 3], [1, None, 3], 2),
    ],
)
def test_too_little_says_that_nothing_is_known(times: list[float], values: list[float | None], n: int) -> None:
    """No bounds and p = 1, never an exception; where no times differ there is no slope, not a slope of 0."""
    found = trend(times, values)
    assert (found.n, found.p_value, found.low, found.high) == (n, 1.0, -math.inf, math.inf)
    assert (found.slope_per_s is None) == (n != 2)


def test_four_rising_values_may_be_chance_five_are_not() -> None:
    """Of 24 orders of four values two are as steady; of 120 orders of five, too."""
    assert trend(range(4), [1, 2, 3, 4]).p_value > 0.05
    assert trend(range(4), [1, 2, 3, 4]).low == -math.inf
    assert trend(range(5), [1, 2, 3, 4, 5]).p_value < 0.05


def test_a_constant_series_has_a_slope_of_zero() -> None:
    """Known exactly, and no trend."""
    found = trend(range(12), [7.0] * 12)
    assert (found.slope_per_s, found.low, found.high, found.p_value, found.change_share) == (0, 0, 0, 1, 0)


def test_of_a_median_of_zero_no_share_is_told() -> None:
    """A swap counter that stays at 0 and then moves."""
    assert trend(range(9), [0, 0, 0, 0, 0, 0, 0, 1, 2]).change_share is None


def test_different_lengths_are_a_mistake() -> None:
    """Told, not cut."""
    with pytest.raises(ValueError, match="2 times for 3 values"):
        trend([1, 2], [1, 2, 3])


@example([(0.0, 4.0), (2.2250738585072014e-308, 0.0)])  # a slope beyond all floats
@example([(0.0, 1.0)] * 2000 + [(5.0, 2.0)])
@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.one_of(st.none(), st.floats(-1e12, 1e12), st.just(math.nan))), max_size=40)
)
def test_whatever_comes_there_is_an_answer(pairs: list[tuple[float, float | None]]) -> None:
    """The slope lies in its interval, p is a probability, nothing is raised."""
    found = trend([time for time, _ in pairs], [value for _, value in pairs])
    assert 0 <= found.p_value <= 1
    assert 0 <= found.effective_n <= found.n <= len(pairs)
    assert found.slope_per_s is None or found.low <= found.slope_per_s <= found.high


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_midranks_are_scipys(values: list[int]) -> None:
    """Equal values share a rank."""
    assert list(midranks(np.array(values, dtype=float))) == list(scipy_stats.rankdata(values))


def test_a_warming_machine_is_worth_fewer_values() -> None:
    """Independent noise is worth nearly all its values, correlated noise about n (1 − r) / (1 + r)."""
    independent = effective_n(np.array(noise(Random(4), 400)))
    correlated = effective_n(np.array(noise(Random(4), 400, 0.6)))
    assert independent > 320
    assert 60 < correlated < 150


def test_independent_noise_is_rarely_a_trend() -> None:
    """At 5 %, 15 values: not more than 5 % and the error of counting 500."""
    assert share(500, lambda random: trend(range(15), noise(random, 15)).p_value < 0.05) < 0.07


def test_correlated_noise_is_rarely_a_trend() -> None:
    """At 5 %, 60 values with a correlation of 0.6: plain Mann-Kendall raises the alarm every third time."""

    def plain(random: Random) -> bool:
        return scipy_stats.kendalltau(range(60), noise(random, 60, 0.6)).pvalue < 0.05

    assert share(400, lambda random: trend(range(60), noise(random, 60, 0.6)).p_value < 0.05) < 0.08
    assert share(200, plain) > 0.2


def test_a_trend_of_two_standard_deviations_is_found() -> None:
    """30 values of independent noise: at least 4 of 5."""

    def found(random: Random) -> bool:
        values = [value + 2.5 * i / 30 for i, value in enumerate(noise(random, 30))]
        return trend(range(30), values).p_value < 0.05

    assert share(200, found) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 15, 30, 60, 150])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.8])
def test_false_alarms_and_coverage_over_many_series(n: int, correlation: float) -> None:
    """At 5 % at most 8 % alarms (11 % for 8 to 15 strongly correlated values), and the interval holds the true slope as
    often as the test leaves it alone."""
    slope, alarms, covered = 0.01, 0, 0
    random = Random(n)
    for _ in range(1500):
        values = noise(random, n, correlation)
        alarms += trend(range(n), values).p_value < 0.05
        tilted = trend(range(n), [value + slope * i for i, value in enumerate(values)])
        covered += tilted.low <= slope <= tilted.high
    limit = 0.11 if n <= 15 and correlation >= 0.6 else 0.08
    assert alarms / 1500 < limit
    assert covered / 1500 > 1 - limit - 0.01
