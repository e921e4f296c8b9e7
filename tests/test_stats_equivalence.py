"""No worse than a margin, and within it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from pytest_llmbench.stats.equivalence import equivalent, farrington_manning, non_inferior
from pytest_llmbench.stats.paired import tango_interval


def likeliest(passed_b: int, n_b: int, passed_a: int, n_a: int, difference: float) -> float:
    """Farrington and Manning's distance, the restricted rates found by climbing the likelihood."""

    def unlikely(rate_a: float) -> float:
        rate_b = rate_a + difference
        return -(
            passed_b * math.log(rate_b)
            + (n_b - passed_b) * math.log(1 - rate_b)
            + passed_a * math.log(rate_a)
            + (n_a - passed_a) * math.log(1 - rate_a)
        )

    ends = max(0.0, -difference) + 1e-9, min(1.0, 1 - difference) - 1e-9
    rate_a = minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    rate_b = rate_a + difference
    error = math.sqrt(rate_b * (1 - rate_b) / n_b + rate_a * (1 - rate_a) / n_a)
    return (passed_b / n_b - passed_a / n_a - difference) / error


@pytest.mark.parametrize(
    "counts", [(60, 80, 50, 75, 0.1), (5, 10, 9, 20, -0.2), (48, 50, 40, 45, -0.05), (1, 9, 7, 8, 0.3)]
)
def test_farrington_and_mannings_closed_form_is_the_likeliest(counts):
    """Against a climb on the likelihood."""
    assert farrington_manning(*counts) == pytest.approx(likeliest(*counts), abs=1e-6)


def test_paired_scores_are_schuirmanns_two_tests():
    """statsmodels' TOST of paired values, to 1e-9."""
    random = np.random.default_rng(1)
    before = random.random(40)
    after = before + random.normal(0.01, 0.05, 40)
    found = equivalent(before, after, 0.03)
    theirs = ttost_paired(after, before, -0.03, 0.03)
    assert found.p_value == pytest.approx(theirs[0], abs=1e-9)
    assert non_inferior(before, after, 0.03).p_value == pytest.approx(theirs[1][1], abs=1e-9)
    assert non_inferior(before, after, 0.03, higher_is_better=False).p_value == pytest.approx(theirs[2][1], abs=1e-9)


def test_scores_of_different_samples_are_welchs():
    """statsmodels' TOST of independent values of unequal variance, to 1e-9."""
    random = np.random.default_rng(2)
    before, after = random.normal(0.5, 0.1, 30), random.normal(0.5, 0.2, 50)
    found = equivalent(before, after, 0.1, paired=False)
    assert found.p_value == pytest.approx(ttost_ind(after, before, -0.1, 0.1, usevar="unequal")[0], abs=1e-9)


def test_pairs_of_verdicts_agree_with_tangos_interval():
    """Where the lower end of the two-sided interval is the margin, the one-sided p is half of its alpha."""
    before = [True] * 12 + [False] * 9 + [True] * 179
    after = [False] * 12 + [True] * 9 + [True] * 179
    low, _ = tango_interval(9, 12, 200)
    assert non_inferior(before, after, -low, kind="rate").p_value == pytest.approx(0.025, abs=1e-6)
    assert non_inferior(before, after, 0.065, kind="rate").shown
    assert not non_inferior(before, after, 0.04, kind="rate").shown


def test_rates_of_different_samples():
    """600 of 750 after 620 of 750: within 10 points, not shown within 5."""
    before, after = [True] * 620 + [False] * 130, [True] * 600 + [False] * 150
    assert non_inferior(before, after, 0.1, kind="rate", paired=False).shown
    found = non_inferior(before, after, 0.05, kind="rate", paired=False)
    assert not found.shown
    assert found.p_value == pytest.approx(norm.sf(farrington_manning(600, 750, 620, 750, -0.05)), abs=1e-12)
    assert found.value == pytest.approx(-20 / 750)


def test_times_are_equivalent_on_both_sides_of_one():
    """Within 10 % of each other, on pairs and apart; a fifth slower is not."""
    random = np.random.default_rng(3)
    before = random.lognormal(0, 0.1, 60)
    after = before * random.lognormal(0, 0.05, 60)
    for paired in (True, False):
        assert equivalent(before, after, 0.1, kind="ratio", paired=paired).shown
        assert not equivalent(before, after * 1.2, 0.1, kind="ratio", paired=paired).shown
    assert not non_inferior(before, after * 1.2, 0.1, kind="ratio", higher_is_better=False).shown
    assert non_inferior(before, after * 1.2, 0.1, kind="ratio").shown


def test_that_no_difference_was_found_shows_nothing():
    """Ten pairs without any: far from equivalent within 3 points."""
    found = equivalent([True] * 10, [True] * 10, 0.03, kind="rate")
    assert (found.shown, found.value) == (False, 0.0)
    assert found.high > 0.2
    for nothing in (equivalent([], [], 0.1), non_inferior([0.5], [0.5], 0.1), equivalent([0.5] * 3, [0.5] * 3, 0.1)):
        assert (nothing.shown, nothing.p_value) == (False, 1.0)
    assert equivalent([], [], 0.1, kind="rate", paired=False).p_value == 1.0
    assert equivalent([], [], 0.1, kind="rate").p_value == 1.0


@pytest.mark.parametrize(("margin", "kind"), [(0, "mean"), (-0.1, "rate"), (1, "ratio"), (math.nan, "mean")])
def test_a_margin_has_a_size(margin, kind):
    """Zero, below, and a ratio's whole: refused with what is meant."""
    with pytest.raises(ValueError, match="a margin is above 0"):
        equivalent([0.1, 0.2], [0.1, 0.2], margin, kind=kind)
