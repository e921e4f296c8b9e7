"""Ratios of medians."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy import stats as scipy_stats

from pytest_llmbench.stats.ratios import paired_ratio, paired_ratio_interval, unpaired_ratio


def interleaved(seed: int, n: int, slower: float, noise: float = 0.1) -> tuple[list[float], list[float]]:
    """Times of two builds on a machine whose mood both share."""
    random = np.random.default_rng(seed)
    mood = random.normal(0, 0.3, n)
    before, after = np.exp(mood + random.normal(0, noise, (2, n)))
    return list(before), list(after * slower)


def test_pairs_find_what_the_mood_of_the_machine_hides():
    """A tenth slower on a machine that varies by a third: seen in pairs, lost apart."""
    before, after = interleaved(1, 20, 1.15, noise=0.05)
    together, apart = paired_ratio(before, after), unpaired_ratio(before, after)
    assert together.p_above < 1e-4
    assert apart.p_above > 100 * together.p_above
    assert together.value == apart.value == statistics.median(after) / statistics.median(before)
    assert together.low <= together.value <= together.high
    assert together.smallest_detectable < apart.smallest_detectable


def test_the_test_is_wilcoxons_of_logarithms():
    """SciPy's exact one, to 1e-9; against another ratio than 1, too."""
    before, after = interleaved(2, 15, 1.1)
    changes = np.log(after) - np.log(before)
    for than in (1.0, 1.1):
        found = paired_ratio(before, after, than=than)
        for side, p_value in (("greater", found.p_above), ("less", found.p_below)):
            theirs = scipy_stats.wilcoxon(changes - math.log(than), alternative=side, method="exact").pvalue
            assert p_value == pytest.approx(theirs, abs=1e-9)


def test_unpaired_values_are_tested_by_mann_and_whitney():
    """SciPy's, of the values themselves: logarithms keep the order."""
    random = np.random.default_rng(3)
    before, after = list(random.lognormal(0, 0.3, 18)), list(random.lognormal(0.2, 0.3, 22))
    found = unpaired_ratio(before, after)
    theirs = scipy_stats.mannwhitneyu(after, before, alternative="greater", method="exact").pvalue
    assert found.p_above == pytest.approx(theirs, abs=1e-9)
    assert found.n == 40


def test_a_block_counts_once():
    """Ten requests to each of eight starts of a server are eight pairs: what varies with the start is seen."""
    random = np.random.default_rng(4)
    starts = np.repeat(random.normal(0, 0.1, 8), 10)
    before = np.exp(random.normal(0, 0.01, 80))
    after = np.exp(starts + random.normal(0, 0.01, 80))
    blocks = [place // 10 for place in range(80)]
    alone, by_start = paired_ratio(list(before), list(after)), paired_ratio(list(before), list(after), blocks)
    assert (alone.n, by_start.n) == (80, 8)
    assert by_start.p_value >= 2 / 2**8
    assert by_start.high - by_start.low > alone.high - alone.low


def test_the_order_of_pairs_changes_nothing():
    """The resamples are drawn from sorted pairs."""
    before, after = interleaved(5, 12, 1.2)
    assert paired_ratio(before, after) == paired_ratio(before[::-1], after[::-1])
    assert unpaired_ratio(before, after) == unpaired_ratio(before[::-1], after)


def test_equal_series_differ_by_nothing():
    """p = 1 in both directions, and a ratio of 1; what noise there is was not seen."""
    found = paired_ratio([0.1, 0.2, 0.4] * 4, [0.1, 0.2, 0.4] * 4)
    assert (found.value, found.p_above, found.p_below, found.p_value) == (1.0, 1.0, 1.0, 1.0)
    assert (found.low, found.high, found.smallest_detectable) == (1.0, 1.0, None)


def test_too_few_values_have_no_interval_and_no_exception():
    """Five pairs, one, none; what is not positive was not measured."""
    found = paired_ratio([1.0] * 5, [1.1] * 5)
    assert (found.low, found.high, found.smallest_detectable) == (0.0, math.inf, None)
    assert found.value == pytest.approx(1.1)
    assert found.p_above == 1 / 32
    for nothing in (paired_ratio([], []), paired_ratio([1.0], [None]), unpaired_ratio([0.0, -1.0], [1.0])):
        assert (nothing.value, nothing.n, nothing.p_value) == (None, 0, 1.0)
    assert paired_ratio_interval([(1.0, 2.0)]) == (0.0, math.inf)
    with pytest.raises(ValueError, match="1 values against 2"):
        paired_ratio([1.0], [1.0, 2.0])


def test_one_stall_does_not_hide_what_could_be_seen():
    """A pair that took a hundred times as long moves the smallest detectable ratio by little."""
    before, after = interleaved(6, 20, 1.0)
    calm = paired_ratio(before, after).smallest_detectable
    stalled = paired_ratio(before, [after[0] * 100, *after[1:]]).smallest_detectable
    assert stalled == pytest.approx(calm, rel=0.3)


def test_the_smallest_detectable_ratio_is_found_four_times_of_five():
    """Simulated, with the noise that it was told from."""
    random = np.random.default_rng(7)
    changes = random.normal(0, 0.1, 400)
    plain = paired_ratio([1.0] * 400, list(np.exp(changes)))
    size = plain.smallest_detectable
    drawn = np.exp(random.normal(math.log1p(size), 0.1, (400, 400)))
    found = np.mean([scipy_stats.wilcoxon(np.log(each)).pvalue < 0.05 for each in drawn])
    assert 0.7 < found < 0.9


def test_values_that_are_equal_on_both_sides_are_ties():
    """Logarithms differ in their last bits; neither direction is favoured for it."""
    found = unpaired_ratio([0.1, 0.2, 0.3, 0.7] * 3, [0.1, 0.2, 0.3, 0.7] * 3)
    assert found.p_above == pytest.approx(found.p_below)
    tied = unpaired_ratio([0.1] * 9, [0.1] * 9)
    assert (tied.p_above, tied.p_below) == (1.0, 1.0)
