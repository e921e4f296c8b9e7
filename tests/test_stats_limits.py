"""A value against a fixed limit, held against SciPy's tests and against simulation."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from pytest_llmbench.stats.limits import ALPHA, estimate_against, mean_against, percentile_against, share_against
from pytest_llmbench.stats.weighted import score_estimate, share_estimate


@pytest.mark.parametrize(
    ("right", "n", "limit"), [(1, 3, 0.95), (6, 10, 0.8), (45, 100, 0.5), (890, 1000, 0.9), (0, 5, 0.2)]
)
def test_a_share_is_held_by_the_exact_binomial_test(right: int, n: int, limit: float) -> None:
    """To 1e-9, from below and mirrored; what keeps its limit has nothing against it."""
    expected = stats.binomtest(right, n, limit, alternative="less").pvalue
    assert share_against(right / n, n, limit, at_least=True).p_broken == pytest.approx(expected, rel=1e-9)
    mirrored = share_against(1 - right / n, n, 1 - limit, at_least=False).p_broken
    assert mirrored == pytest.approx(expected, rel=1e-9)
    assert share_against(right / n, n, limit, at_least=False).p_broken == 1


def test_a_mean_is_held_by_students_test() -> None:
    """To 1e-9; one value alone tells nothing."""
    luck = random.Random(1)
    values = [luck.gauss(0.6, 0.2) for _ in range(15)]
    mean, deviation = sum(values) / 15, float(stats.tstd(values))
    expected = stats.ttest_1samp(values, 0.7, alternative="less").pvalue
    assert mean_against(mean, deviation, 15, 0.7, at_least=True).p_broken == pytest.approx(expected, rel=1e-9)
    assert mean_against(0.1, 0.0, 1, 0.7, at_least=True).p_broken == 1


def test_a_percentile_is_held_by_the_binomial_test_of_how_many_keep_it() -> None:
    """Three of ten within what half of them should be."""
    values = [1.0, 1.1, 1.2, *[5.0] * 7]
    expected = stats.binomtest(3, 10, 0.5, alternative="less").pvalue
    assert percentile_against(values, 50, 2, at_least=False).p_broken == pytest.approx(expected)
    slow = [-each for each in values]
    assert percentile_against(slow, 50, -2, at_least=True).p_broken == pytest.approx(expected)
    assert percentile_against([float("nan"), *values], 50, 6, at_least=False).p_broken == 1


@pytest.mark.parametrize(("limit", "n"), [(0.5, 60), (0.8, 40), (0.9, 200), (0.95, 400)])
def test_the_smallest_detectable_change_is_found_four_times_out_of_five(limit: float, n: int) -> None:
    """By the exact power of the test, to a few points: whole numbers of samples come in steps."""
    size = share_against(limit, n, limit, at_least=True).smallest_detectable
    assert size is not None
    fails = max(k for k in range(n) if stats.binom.cdf(k, n, limit) < ALPHA)
    assert stats.binom.cdf(fails, n, limit - size) == pytest.approx(0.8, abs=0.08)


def test_too_small_a_sample_finds_no_change() -> None:
    """Three wrong ones of three are no proof against 50 %."""
    assert share_against(0.0, 3, 0.5, at_least=True).smallest_detectable is None
    size = share_against(1.0, 40, 1.0, at_least=True).smallest_detectable
    assert size is not None
    assert 1 - (1 - size) ** 40 == pytest.approx(0.8)


def test_a_mean_that_is_broken_needs_as_many_values_as_the_test_takes() -> None:
    """At that number the test is just below its bar."""
    needed = mean_against(0.65, 0.2, 10, 0.7, at_least=True).n_needed
    assert needed is not None
    around = [mean_against(0.65, 0.2, n, 0.7, at_least=True).p_broken for n in (needed - 5, needed + 5)]
    assert around[0] > ALPHA > around[1]


def test_samples_of_unequal_weight_count_for_what_they_are_worth() -> None:
    """Half of the weight on one sample of ten: three are as good, so nothing is surely broken."""
    verdicts = [False] * 5 + [True] * 5
    equal, unequal = ([1.0] * 10, [1.0] * 9 + [9.0])
    found = [share_estimate(verdicts, weights) for weights in (equal, unequal)]
    assert all(found)
    p_values = [estimate_against(each, 0.9, at_least=True).p_broken for each in found if each]
    assert p_values[0] < ALPHA < p_values[1]


def test_scores_that_are_kept_are_called_broken_at_most_as_often_as_promised() -> None:
    """Skewed ones too: 20 scores about 0.9, whose limit is their true mean."""
    luck, runs = random.Random(3), 1_500
    red = 0
    for _ in range(runs):
        found = score_estimate([luck.betavariate(4.5, 0.5) for _ in range(20)], [1.0] * 20)
        assert found is not None
        red += estimate_against(found, 0.9, at_least=True).p_broken < ALPHA
    assert red / runs < ALPHA + 3 * (ALPHA / runs) ** 0.5
