"""Estimates from samples that stand for different numbers of a whole."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.stats import (
    mean_estimate,
    mean_interval,
    median_estimate,
    percentile_interval,
    score_estimate,
    share_estimate,
    wilson,
)


def test_with_equal_weights_a_share_has_wilsons_interval() -> None:
    """Whatever the weight is: 3 of 4 are 3 of 4."""
    for weight in (1.0, 7.5):
        found = share_estimate([True, True, True, False], [weight] * 4)
        assert found is not None
        assert (found.value, found.low, found.high, found.n) == (0.75, wilson(3, 4).low, wilson(3, 4).high, 4)


def test_scores_between_have_students_interval_within_0_and_1() -> None:
    """As for any mean, but no score is above 1."""
    values = [0.5, 0.7, 0.9, 1.0]
    found = score_estimate(values, [1.0] * 4)
    assert found is not None
    plain = mean_interval(values)
    assert plain.high > 1
    assert (found.low, found.high) == (pytest.approx(plain.low), 1.0)


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.8, 0.8], [0.4]])
def test_scores_without_a_spread_have_a_width_all_the_same(values: list[float]) -> None:
    """Three of three right is not certainty; Student's interval would say so."""
    found = score_estimate(values, [1.0] * len(values))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.3


def test_a_stratum_that_stands_for_more_weighs_more_and_tells_less() -> None:
    """One right sample for 90 and nine wrong ones for 10: nine tenths are right, as sure as of hardly more than one."""
    found = share_estimate([True, *[False] * 9], [90.0, *[10 / 9] * 9])
    assert found is not None
    assert found.value == pytest.approx(0.9)
    worth = 100**2 / (90**2 + 9 * (10 / 9) ** 2)
    assert found.low == pytest.approx(wilson(0.9 * worth, worth).low)
    assert found.low < 0.3


def test_intervals_of_strata_drawn_unequally_hold_the_truth() -> None:
    """19 times out of 20, at least: a rare stratum is drawn as often as a common one."""
    chance, held = random.Random(4), 0
    truth = 0.9 * 0.8 + 0.1 * 0.3
    for _ in range(400):
        common = [chance.random() < 0.8 for _ in range(40)]
        rare = [chance.random() < 0.3 for _ in range(40)]
        found = share_estimate([*common, *rare], [9.0] * 40 + [1.0] * 40)
        assert found is not None
        held += (found.low or 0) <= truth <= (found.high or 1)
    assert held >= 376


def test_a_mean_of_one_value_has_no_bounds() -> None:
    """A cost of one sample says nothing of the next."""
    found = mean_estimate([0.02], [1.0])
    assert found is not None
    assert (found.value, found.low, found.high) == (0.02, None, None)


def test_a_median_is_a_measured_value_with_the_interval_of_order_statistics() -> None:
    """Of too few values there is no bound."""
    values = [float(value) for value in range(1, 31)]
    found = median_estimate(values)
    few = median_estimate(values[:4])
    assert found is not None
    assert few is not None
    interval = percentile_interval(values, 50)
    assert (found.value, found.low, found.high) == (15.0, interval.low, interval.high)
    assert (few.value, few.low, few.high) == (2.0, None, None)


def test_the_ranks_around_a_median_are_those_of_the_binomial_distribution() -> None:
    """Exactly up to a thousand values, to a neighbour beyond."""
    for n in (*range(1, 60), 100, 101, 999, 1000):
        values = [float(value) for value in range(n)]
        found, interval = median_estimate(values), percentile_interval(values, 50)
        assert found is not None
        assert (found.low, found.high) == tuple(
            end if math.isfinite(end) else None for end in (interval.low, interval.high)
        ), n
    for n in (1001, 5000, 12_345):
        values = [float(value) for value in range(n)]
        found, interval = median_estimate(values), percentile_interval(values, 50)
        assert found is not None
        assert found.low == pytest.approx(interval.low, abs=1)
        assert found.high == pytest.approx(interval.high, abs=1)


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 12, 40, 5_000])
def test_an_interval_is_that_of_students_t(n: int) -> None:
    """Without importing SciPy where it is not needed."""
    chance = random.Random(n)
    values = [chance.gauss(10, 1) for _ in range(n)]
    found, plain = mean_estimate(values, [1.0] * n), mean_interval(values)
    assert found is not None
    assert found.high is not None
    assert found.high - found.value == pytest.approx(plain.high - found.value, rel=2e-4)


def test_nothing_has_no_estimate() -> None:
    assert [share_estimate([], []), score_estimate([], []), mean_estimate([], []), median_estimate([])] == [None] * 4


@given(
    st.lists(
        st.tuples(st.floats(0, 1, allow_subnormal=False), st.floats(1e-6, 1e6)),
        min_size=1,
        max_size=40,
    )
)
def test_whatever_the_scores_and_weights_the_interval_holds_the_mean(pairs: list[tuple[float, float]]) -> None:
    """And lies within 0 and 1."""
    found = score_estimate([value for value, _ in pairs], [weight for _, weight in pairs])
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert not math.isnan(found.low + found.high)
    assert -1e-9 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1 + 1e-9
