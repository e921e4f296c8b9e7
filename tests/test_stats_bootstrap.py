"""Resampling, and means of clustered samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as scipy_stats

from pytest_llmbench.stats import mean_interval, wilson
from pytest_llmbench.stats.bootstrap import bca, clustered_mean

SPATIAL = (
    *(48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6),
    *(0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41),
)
"""Efron & Tibshirani, An Introduction to the Bootstrap, table 14.1, test A of 26 children."""


def test_a_published_bca_interval():
    """The variance of the spatial test, 171.5: 90 % from 115.8 to 259.6 with 2,000 resamples (table 14.2)."""
    assert np.var(SPATIAL) == pytest.approx(171.5, abs=0.1)
    found = bca(SPATIAL, np.var, 0.9)
    assert found.low == pytest.approx(115.8, abs=5)
    assert found.high == pytest.approx(259.6, abs=8)


def test_bca_by_its_definition():
    """The same resamples, bias and acceleration written out (Efron 1987): the same ends."""
    values = np.sort(np.random.default_rng(1).exponential(1, 30))
    found = bca(values, np.mean, resamples=999)
    random = np.random.default_rng(0)
    drawn = np.mean(values[random.integers(0, 30, (999, 30))], axis=1)
    bias = scipy_stats.norm.ppf(((drawn < values.mean()).sum() + (drawn <= values.mean()).sum()) / (2 * 999))
    without = np.array([np.delete(values, place).mean() for place in range(30)])
    apart = without.mean() - without
    acceleration = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    pushed = bias + scipy_stats.norm.ppf([0.025, 0.975])
    ends = scipy_stats.norm.cdf(bias + pushed / (1 - acceleration * pushed))
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, ends), abs=1e-9)


def test_bca_says_where_it_knows_nothing():
    """Too few, all the same; the order of values changes nothing."""
    for values in ([1.0, 2.0], [3.0] * 20, [None, math.nan]):
        found = bca(values, np.mean)
        assert (found.low, found.high) == (-math.inf, math.inf)
    values = list(np.random.default_rng(2).random(12))
    assert bca(values, np.median) == bca(values[::-1], np.median)


def test_clusters_of_equal_size_are_statsmodels_robust_errors():
    """The intercept of a regression with cluster-robust errors, to 1e-9."""
    random = np.random.default_rng(3)
    clusters = np.repeat(np.arange(12), 5)
    values = random.normal(0.5, 0.1, 12)[clusters] + random.normal(0, 0.1, 60)
    found = clustered_mean(values, clusters)
    theirs = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    assert found.error == pytest.approx(theirs.bse[0], abs=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.conf_int()[0]), abs=1e-9)
    assert found.freedom == pytest.approx(11, abs=1e-9)


def test_clusters_of_unequal_size_by_the_definition():
    """Bell and McCaffrey's estimator with its matrices written out: error and degrees of freedom, to 1e-9."""
    random = np.random.default_rng(4)
    clusters = np.repeat(np.arange(6), [1, 2, 9, 4, 3, 6])
    n = len(clusters)
    values = random.normal(0.5, 0.1, 6)[clusters] + random.normal(0, 0.1, n)
    left_over = np.eye(n) - np.ones((n, n)) / n
    residuals, weighed = left_over @ values, []
    variance = 0.0
    for cluster in range(6):
        inside = np.flatnonzero(clusters == cluster)
        block = left_over[np.ix_(inside, inside)]
        size, vectors = np.linalg.eigh(block)
        inverse_root = vectors @ np.diag(1 / np.sqrt(size)) @ vectors.T
        row = np.ones(len(inside)) @ inverse_root / n
        variance += float(row @ residuals[inside]) ** 2
        weighed.append(row @ left_over[inside])
    spread = np.linalg.eigvalsh(np.array(weighed) @ np.array(weighed).T)
    found = clustered_mean(values, clusters)
    assert found.error == pytest.approx(math.sqrt(variance), abs=1e-9)
    assert found.freedom == pytest.approx(spread.sum() ** 2 / (spread**2).sum(), abs=1e-9)


def test_clusters_of_one_are_students_t():
    """The plain interval, to 1e-9."""
    values = list(np.random.default_rng(5).random(20))
    found, plain = clustered_mean(values, range(20)), mean_interval(values)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=1e-9)
    assert found.design_effect == pytest.approx(1.0)


def test_verdicts_have_wilsons_interval_with_as_many_as_they_are_worth():
    """Documents whose questions are all right or all wrong count once each; all right is as many as documents."""
    documents = [place // 10 for place in range(200)]
    found = clustered_mean([document % 4 > 0 for document in documents], documents)
    assert found.design_effect == pytest.approx(10 * 199 / 190, abs=1e-9)
    plain = wilson(15, 20)
    assert found.low < plain.low < plain.high < found.high
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.03)
    certain = clustered_mean([True] * 200, documents)
    assert (certain.low, certain.high) == (wilson(20, 20).low, 1.0)


def test_one_cluster_says_nothing_of_others():
    """Unbounded scores; verdicts as one; of nothing there is None, and gaps are left out."""
    alone = clustered_mean([0.1, 0.2, 0.3], ["a"] * 3)
    assert (alone.low, alone.high) == (-math.inf, math.inf)
    verdict = clustered_mean([1.0, 0.0], ["a", "a"])
    assert verdict.low < 0.15
    assert clustered_mean([None, math.nan], ["a", "b"]) is None
    assert clustered_mean([0.5, None, 0.7], ["a", "b", "c"]).clusters == 2
    with pytest.raises(ValueError, match="zip"):
        clustered_mean([0.5], [])
