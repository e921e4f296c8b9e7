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


def test_scores_between_have_the_interval_of_as_many_verdicts_as_scatter_so_little() -> None:
    """Wilson's, with the width of Student's t in the middle; near 1 it stays below and reaches further down."""
    middle = [0.4, 0.5, 0.6] * 20
    found, plain = score_estimate(middle, [1.0] * 60), mean_interval(middle)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(plain.low, abs=1e-3), pytest.approx(plain.high, abs=1e-3))
    high = [0.5, 0.7, 0.9, 1.0]
    found, plain = score_estimate(high, [1.0] * 4), mean_interval(high)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < plain.low
    assert found.high < 1 < plain.high


@pytest.mark.parametrize("mean", [0.1, 0.5, 0.9])
def test_intervals_of_skewed_scores_hold_the_truth(mean: float) -> None:
    """Twenty beta-distributed scores, 2,000 times: 92 % at least, and more often than Student's t."""
    chance, ours, students = random.Random(5), 0, 0
    for _ in range(2000):
        values = [chance.betavariate(4 * mean, 4 * (1 - mean)) for _ in range(20)]
        found, plain = score_estimate(values, [1.0] * 20), mean_interval(values)
        assert found is not None
        ours += found.low <= mean <= found.high  # type: ignore[operator]
        students += plain.low <= mean <= plain.high
    assert ours > 0.92 * 2000
    assert ours >= students


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


def test_samples_of_one_document_tell_less_than_as_many_of_different_ones() -> None:
    """Ten questions on each of twenty documents, right or wrong together: the interval of about twenty verdicts."""
    documents = [f"d{place // 10}" for place in range(200)]
    verdicts = [place // 10 % 4 > 0 for place in range(200)]
    apart, together = share_estimate(verdicts, [1.0] * 200), share_estimate(verdicts, [1.0] * 200, documents)
    twenty = wilson(15, 20)
    assert (together.value, together.n) == (apart.value, 200)
    assert together.high - together.low == pytest.approx(twenty.high - twenty.low, abs=0.05)
    assert together.high - together.low > 2.5 * (apart.high - apart.low)
    scores = [0.2 + 0.6 * verdict for verdict in verdicts]
    mean = score_estimate(scores, [1.0] * 200, documents)
    assert mean.worth == pytest.approx(19, abs=2)
    plain = score_estimate(scores, [1.0] * 200)
    assert mean.high - mean.low > 2.5 * (plain.high - plain.low)


def test_clusters_of_one_change_nothing() -> None:
    """Every sample on a document of its own, and samples without any."""
    values = [0.1, 0.5, 0.9, 0.4]
    plain = score_estimate(values, [1.0] * 4)
    assert score_estimate(values, [1.0] * 4, ["a", "b", "c", "d"]) == plain
    assert score_estimate(values, [1.0] * 4, ["", "", "", ""]) == plain
    assert share_estimate([True, False], [1.0, 1.0], ["a", ""]) == share_estimate([True, False], [1.0, 1.0])


def test_scores_whose_spread_is_lost_in_a_float_have_the_interval_of_verdicts() -> None:
    """The square of a spread of 1e-187 is 0, which nothing can be divided by."""
    found = score_estimate([0.0, 1e-187, 0.0], [1.0, 1.0, 1.0])

    assert found is not None
    assert found.low == 0
    assert 0.5 < found.high < 1
