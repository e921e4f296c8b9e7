"""Percentiles against limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from pytest_llmbench.stats.tails import requests_needed, tail


@pytest.mark.parametrize(("percent", "needed"), [(90, (44, 64, 81)), (95, (90, 130, 165)), (99, (459, 662, 838))])
def test_mlperfs_table_of_early_stopping(percent, needed):
    """99 % sure, with none, one and two late ones (MLPerf Inference rules, early stopping)."""
    assert tuple(requests_needed(percent, 0.99, late) for late in (0, 1, 2)) == needed


def test_the_best_known_numbers():
    """p95 needs 59 requests, p99 299, to be 95 % sure."""
    assert (requests_needed(95), requests_needed(99), requests_needed(50)) == (59, 299, 5)


@given(
    percent=st.sampled_from([50.0, 90.0, 95.0, 99.0]), late=st.integers(0, 12), confidence=st.sampled_from([0.9, 0.99])
)
def test_one_request_fewer_is_not_enough(percent, late, confidence):
    """By SciPy's binomial distribution."""
    n, share = requests_needed(percent, confidence, late), (100 - percent) / 100
    assert scipy_stats.binom.cdf(late, n, share) <= 1 - confidence < scipy_stats.binom.cdf(late, n - 1, share)


@pytest.mark.parametrize("late", [0, 1, 5, 20])
def test_both_directions_are_binomial_tests(late):
    """SciPy's exact test of a share of 5 %, to 1e-9."""
    found = tail([0.1] * (100 - late) + [0.9] * late, 0.5, 95)
    assert (found.n, found.late) == (100, late)
    less = scipy_stats.binomtest(late, 100, 0.05, alternative="less").pvalue
    more = scipy_stats.binomtest(late, 100, 0.05, alternative="greater").pvalue
    assert (found.p_kept, found.p_broken) == pytest.approx((less, more), abs=1e-9)


def test_how_many_it_takes_is_told():
    """As many as show it with the share seen: more where it is near the limit, none where it is the limit."""
    assert tail([], 0.5, 95).n_needed == tail([0.1] * 10, 0.5, 95).n_needed == 59
    some, near = tail([0.1] * 98 + [0.9] * 2, 0.5, 95), tail([0.1] * 96 + [0.9] * 4, 0.5, 95)
    assert 59 < some.n_needed < near.n_needed
    assert scipy_stats.binom.cdf(math.ceil(0.02 * some.n_needed), some.n_needed, 0.05) <= 0.05
    assert tail([0.1] * 95 + [0.9] * 5, 0.5, 95).n_needed is None
    assert tail([0.9] * 4, 0.5, 95).n_needed < 4


def test_what_counts_as_late():
    """Above the limit, and what never came; at the limit is in time, and what was not measured is not there."""
    found = tail([0.5, 0.51, math.inf, None, math.nan], 0.5, 95)
    assert (found.n, found.late) == (3, 2)
    assert (tail([], 0.5, 95).p_kept, tail([], 0.5, 95).p_broken) == (1.0, 1.0)


@pytest.mark.parametrize("percent", [0, 100, 950, -1])
def test_what_is_no_percentile(percent):
    """Refused."""
    with pytest.raises(ValueError, match="no percentile"):
        requests_needed(percent)


def test_a_limit_that_is_just_kept_is_rarely_called_broken():
    """5 % late where 5 % may be: called broken at 1 % at most once in a hundred runs of 200 requests."""
    late = np.random.default_rng(6).random((3000, 200)) < 0.05
    assert np.mean([tail(run.astype(float), 0.5, 95).p_broken < 0.01 for run in late]) <= 0.012
