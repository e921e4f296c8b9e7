"""Differences of means and rates."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.proportion import confint_proportions_2indep

from pytest_llmbench.stats import paired_binary
from pytest_llmbench.stats.differences import (
    moved_interval,
    paired_rates,
    paired_values,
    unpaired_rates,
    unpaired_values,
)

verdicts = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


def rates(right: int, n: int) -> list[bool]:
    return [True] * right + [False] * (n - right)


@given(pairs=verdicts)
def test_paired_rates_say_what_the_paired_comparison_says(pairs):
    """After against before: the same difference, interval and exact p as `paired_binary`."""
    before, after = [one for one, _ in pairs], [other for _, other in pairs]
    found, plain = paired_rates(before, after), paired_binary(after, before)
    assert (found.value, found.low, found.high, found.n) == (plain.difference, plain.low, plain.high, plain.n)
    assert found.p_value == pytest.approx(plain.p_value, abs=1e-12)
    assert found.p_value == pytest.approx(min(1.0, 2 * min(found.p_worse, found.p_better)), abs=1e-12)


def test_one_direction_is_mcnemars_binomial():
    """Nine lost and one gained of forty: P(Bin(10, 1/2) ≤ 1)."""
    before, after = [True] * 9 + [False] + [True] * 30, [False] * 9 + [True] + [True] * 30
    found = paired_rates(before, after)
    assert found.p_worse == pytest.approx(11 / 1024, abs=1e-12)
    assert found.p_better == pytest.approx(1023 / 1024, abs=1e-12)


@pytest.mark.parametrize(
    ("one", "other", "ends"),
    [((48, 80), (56, 70), (0.0524, 0.3339)), ((3, 10), (9, 10), (0.1705, 0.8090))],
)
def test_newcombes_published_intervals(one, other, ends):
    """Method 10 of his table II (Stat. Med. 17, 1998, p. 873), and statsmodels to 1e-9."""
    found = unpaired_rates(rates(*one), rates(*other))
    assert (round(found.low, 4), round(found.high, 4)) == ends
    theirs = confint_proportions_2indep(*other, *one, method="newcomb")
    assert (found.low, found.high) == pytest.approx(theirs, abs=1e-9)


def test_rates_of_different_samples_are_tested_by_fisher():
    """The lady who tasted tea: three of four cups right is p = 17/70; and SciPy's on larger numbers."""
    assert unpaired_rates(rates(1, 4), rates(3, 4)).p_better == pytest.approx(17 / 70, abs=1e-12)
    found = unpaired_rates(rates(30, 80), rates(44, 70))
    for side, p_value in (("greater", found.p_better), ("less", found.p_worse)):
        theirs = scipy_stats.fisher_exact([[44, 26], [30, 50]], alternative=side).pvalue
        assert p_value == pytest.approx(theirs, abs=1e-9)


def test_means_of_different_samples_are_welchs():
    """Value, interval and both p-values as SciPy has them, to 1e-9."""
    random = np.random.default_rng(2)
    a, b = random.normal(0.5, 0.1, 25), random.normal(0.55, 0.3, 40)
    found = unpaired_values(a, b)
    theirs = scipy_stats.ttest_ind(b, a, equal_var=False)
    ends = theirs.confidence_interval(0.95)
    assert (found.low, found.high, found.p_value) == pytest.approx((ends.low, ends.high, theirs.pvalue), abs=1e-9)
    worse = scipy_stats.ttest_ind(b, a, equal_var=False, alternative="less").pvalue
    assert found.p_worse == pytest.approx(worse, abs=1e-9)


def test_paired_scores_have_students_interval():
    """Where most samples move, it is SciPy's of the differences."""
    random = np.random.default_rng(4)
    before = random.random(30)
    after = before + random.normal(0.05, 0.1, 30)
    found, theirs = paired_values(before, after), scipy_stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_a_handful_of_samples_that_moved_is_bonett_and_prices():
    """Two gained and one lost of forty: (gained + 1, lost + 1) of n + 2, with Student's t."""
    moved = [1.0, 1.0, -1.0] + [0.0] * 37
    share, n = 5 / 42, 42
    half = scipy_stats.t.ppf(0.975, n - 1) * math.sqrt((share - (1 / n) ** 2) / (n - 1))
    found = moved_interval(moved)
    assert found.high - found.low == pytest.approx(2 * half, abs=1e-9)
    assert found.low < 1 / 40 < found.high


def test_no_difference_at_all_is_no_certainty():
    """Five samples that score the same leave room for much; five hundred for little; wholly unbounded of none."""
    few, many = paired_values([0.5] * 5, [0.5] * 5), paired_values([0.5] * 500, [0.5] * 500)
    assert (few.value, few.low, few.high) == (0, pytest.approx(-0.4345, abs=1e-4), pytest.approx(0.4345, abs=1e-4))
    assert many.high < 0.01
    assert few.p_value == many.p_value == 1
    assert few.smallest_detectable > 0.4
    nothing = moved_interval([])
    assert (nothing.low, nothing.high) == (-math.inf, math.inf)


def test_samples_of_one_document_count_by_document():
    """Ten questions on each of six documents that move together are six, not sixty: the interval is wider."""
    random = np.random.default_rng(6)
    shifts = np.repeat(random.normal(0.05, 0.1, 6), 10)
    before = list(random.random(60))
    after = list(np.array(before) + shifts + random.normal(0, 0.01, 60))
    documents = [name for name in "abcdef" for _ in range(10)]
    alone, together = paired_values(before, after), paired_values(before, after, documents)
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.p_value >= 2 / 64
    assert together.smallest_detectable > alone.smallest_detectable
    assert paired_rates([1, 0, 1], [1, 1, 0], ["x", "y", "z"]).n == 3


def test_a_single_gain_on_one_of_many_documents_is_no_proof():
    """Differences of 0 and 1 are no verdicts, and a document that alone moved does not vouch for the others."""
    before, after = [False] * 100, [True] + [False] * 99
    found = paired_rates(before, after, [place // 2 for place in range(100)])
    assert found.low < 0 < found.high
    assert found.high > moved_interval([1.0] + [0.0] * 99).high - 1e-12
    turned = paired_rates(after, before, [place // 2 for place in range(100)])
    assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


def test_what_was_not_measured_is_left_out():
    """A pair with a gap is no pair; nothing on one side is no difference, and no exception."""
    assert paired_values([0.1, None, 0.3], [0.2, 0.9, math.nan]).n == 1
    assert paired_rates([True, None], [None, True]).value is None
    for nothing in (unpaired_rates([], [True]), unpaired_values([0.1], []), paired_values([], [])):
        assert (nothing.value, nothing.p_value, nothing.smallest_detectable) == (None, 1.0, None)
        assert (nothing.low, nothing.high) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="2 samples against 1"):
        paired_values([0.1, 0.2], [0.3])


def test_too_short_or_constant_samples_have_no_bounds():
    """One value on a side, and values that never vary, say nothing of their spread."""
    for found in (unpaired_values([0.5], [0.4, 0.6]), unpaired_values([0.5, 0.5], [0.7, 0.7])):
        assert (found.low, found.high, found.p_value) == (-math.inf, math.inf, 1.0)


def test_the_smallest_detectable_difference_is_found_four_times_of_five():
    """Simulated: a true shift of that size, tested as the gates do."""
    random = np.random.default_rng(8)
    spread = random.normal(0, 0.2, 25)
    size = paired_values([0.0] * 25, spread - spread.mean()).smallest_detectable
    drawn = random.normal(size, np.std(spread, ddof=1), (300, 25))
    found = np.mean([paired_values([0.0] * 25, each).p_value < 0.05 for each in drawn])
    assert 0.72 < found < 0.88


def test_a_stricter_alpha_finds_only_larger_differences():
    """As it is shared by the gates of a run."""
    before, after = [True] * 80 + [False] * 20, [True] * 70 + [False] * 30
    sizes = [paired_rates(before, after, alpha=alpha).smallest_detectable for alpha in (0.05, 0.01, 0.001)]
    assert all(looser < stricter for looser, stricter in combinations(sizes, 2))
