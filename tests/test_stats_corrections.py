"""Several p-values at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pytest_llmbench.stats.corrections import benjamini_hochberg, bonferroni, holm

many = st.lists(st.floats(0, 1), min_size=1, max_size=40)

NEUHAUS = (
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
    *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
)
"""Fifteen comparisons of two drugs: Benjamini & Hochberg 1995, section 4."""


def test_a_published_example():
    """Of the fifteen, Bonferroni calls three at 5 %, and the false discovery rate four."""
    assert [sum(p <= 0.05 for p in of(NEUHAUS)) for of in (bonferroni, holm, benjamini_hochberg)] == [3, 3, 4]


@pytest.mark.parametrize(
    ("ours", "theirs"), [(bonferroni, "bonferroni"), (holm, "holm"), (benjamini_hochberg, "fdr_bh")]
)
@pytest.mark.parametrize("n", [1, 2, 12, 30])
def test_corrected_values_are_those_of_statsmodels(ours, theirs, n):
    """To 1e-9, in the order in which they came, with ties."""
    p_values = np.round(np.random.default_rng(n).random(n) ** 3, 2)
    assert np.allclose(ours(list(p_values)), multipletests(p_values, method=theirs)[1], rtol=0, atol=1e-9)


@given(p_values=many)
def test_holm_is_between_the_plain_ones_and_bonferroni(p_values):
    """Never bolder than no correction, never stricter than Bonferroni's; order is kept."""
    for plain, stepped, strict in zip(p_values, holm(p_values), bonferroni(p_values), strict=True):
        assert plain <= stepped <= strict <= 1
    ranked = [corrected for _, corrected in sorted(zip(p_values, holm(p_values), strict=True))]
    assert ranked == sorted(ranked)


def test_a_test_that_was_not_made_counts_for_nothing():
    """NaN stays NaN; the others are corrected as if it were not there; of none there are none."""
    corrected = holm([0.01, math.nan, 0.02])
    assert corrected[0] == 0.02
    assert math.isnan(corrected[1])
    assert corrected[2] == 0.02
    assert holm([]) == bonferroni([]) == benjamini_hochberg([]) == []


def test_a_run_of_unchanged_things_is_red_at_most_as_often_as_promised():
    """Forty gates on identical things, 1 % in all: 4,000 runs."""
    drawn = np.random.default_rng(3).random((4000, 40))
    assert 0.006 < np.mean([min(holm(list(run))) < 0.01 for run in drawn]) < 0.014
