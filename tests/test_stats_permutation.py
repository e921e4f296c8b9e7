"""Signs of paired differences, and ranks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from pytest_llmbench.stats.permutation import rank_sum, sign_flip, signed_rank

DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
"""Heights of crossed less self-fertilized maize, in eighths of an inch: Fisher, The Design of Experiments, 21."""
differences = st.lists(st.integers(-5, 5).map(float), max_size=9)


def enumerated(values: list[float]) -> tuple[float, float]:
    """All choices of signs, one by one."""
    sums = [
        math.fsum(sign * abs(value) for sign, value in zip(signs, values, strict=True))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    return (
        sum(each <= math.fsum(values) for each in sums) / len(sums),
        sum(each >= math.fsum(values) for each in sums) / len(sums),
    )


def test_fishers_own_example():
    """863 of the 32,768 choices of signs go as far as Darwin's plants did."""
    assert sign_flip(DARWIN).above == 863 / 32768


@given(values=differences)
def test_all_sign_changes_are_counted(values):
    """Against their enumeration one by one; zeros change nothing."""
    assert sign_flip(values) == pytest.approx(enumerated(values), abs=1e-12)


def test_wilcoxons_test_of_a_published_example():
    """Darwin's plants again: W = 24, two-sided p = 0.0413 (SciPy's manual)."""
    assert signed_rank(DARWIN).two_sided == pytest.approx(0.041259765625, abs=1e-12)


@pytest.mark.parametrize("n", [5, 12, 29])
def test_exact_ranks_are_those_of_scipy(n):
    """Without ties both are exact, to 1e-9."""
    values = np.random.default_rng(n).normal(0.3, 1, n)
    ours = signed_rank(values)
    for side, found in (("less", ours.below), ("greater", ours.above)):
        assert found == pytest.approx(scipy_stats.wilcoxon(values, alternative=side, method="exact").pvalue, abs=1e-9)


@pytest.mark.parametrize("n", [40, 300])
def test_many_ranks_with_ties_and_zeros_are_those_of_scipy(n):
    """The normal distribution with half a rank of correction, zeros after Pratt."""
    values = np.round(np.random.default_rng(n).normal(0.1, 1, n), 1)
    ours = signed_rank(values)
    for side, found in (("less", ours.below), ("greater", ours.above)):
        theirs = scipy_stats.wilcoxon(
            values, alternative=side, method="asymptotic", correction=True, zero_method="pratt"
        )
        assert found == pytest.approx(theirs.pvalue, abs=1e-9)


@pytest.mark.parametrize("n", [31, 120, 1500])
def test_many_differences_agree_with_student_where_all_is_normal(n):
    """Drawn signs, and the normal distribution for very many."""
    values = np.random.default_rng(n).normal(1.5 / math.sqrt(n), 1, n)
    theirs = scipy_stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert sign_flip(values).above == pytest.approx(theirs, abs=0.01)


@pytest.mark.parametrize("n", [10, 40, 2000])
def test_the_order_of_samples_changes_nothing(n):
    """Tests finish in another order under xdist, and say the same."""
    values = list(np.random.default_rng(n).normal(0.1, 1, n))
    assert sign_flip(values) == sign_flip(values[::-1]) == sign_flip(sorted(values))
    assert signed_rank(values) == signed_rank(values[::-1])


@given(values=differences)
def test_turned_round_the_two_directions_change_places(values):
    """And together they are never below 1."""
    for test in (sign_flip, signed_rank):
        one, other = test(values), test([-value for value in values])
        assert (one.below, one.above) == pytest.approx((other.above, other.below), abs=1e-12)
        assert one.below + one.above >= 1 - 1e-12


def test_mann_and_whitney_of_a_published_example():
    """Ages at diagnosis of nine diabetics: U = 17, exact p = 0.111 (SciPy's manual, after Daniel 1990)."""
    males, females = [19, 22, 16, 29, 24], [20, 11, 17, 12]
    assert rank_sum(females, males).two_sided == pytest.approx(1 / 9, abs=1e-9)
    assert rank_sum(females, males).above < 0.1 < rank_sum(females, males).below


def test_nothing_measured_says_nothing():
    """Of none, of zeros, of one side, of all the same: 1."""
    for found in (sign_flip([]), sign_flip([0.0, None]), signed_rank([math.nan]), rank_sum([], [1.0])):
        assert tuple(found) == (1.0, 1.0)
    assert tuple(rank_sum([2.0, 2.0], [2.0])) == (1.0, 1.0)


def test_false_alarms_are_as_rare_as_promised():
    """Skewed but symmetrical noise, 12 pairs, 1 % one-sided: 4,000 times; never more often, as the test is exact."""
    random = np.random.default_rng(5)
    noise = random.standard_t(2, (4000, 12))
    assert np.mean([signed_rank(each).above < 0.01 for each in noise]) < 0.014
    assert np.mean([sign_flip(each).above < 0.01 for each in noise]) < 0.014
