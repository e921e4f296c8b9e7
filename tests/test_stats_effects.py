"""How large is a difference?"""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_effectsize

from pytest_llmbench.stats.effects import cliffs_delta, cohen_d, cohen_h, common_language, word_of

values = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=12)


def test_cohens_d_by_hand():
    """Means 5 and 7, both with variance 2.5: 2 / √2.5."""
    assert cohen_d([3, 4, 5, 6, 7], [5, 6, 7, 8, 9]) == pytest.approx(2 / math.sqrt(2.5), abs=1e-12)
    assert cohen_d([5, 6, 7, 8, 9], [3, 4, 5, 6, 7]) == pytest.approx(-2 / math.sqrt(2.5), abs=1e-12)


def test_cohens_h_of_a_published_example():
    """Rates of 0.50 and 0.65 (Cohen 1988, table 6.2.2): φ of 1.571 and 1.875, h = 0.304; and statsmodels to 1e-9."""
    assert cohen_h(0.5, 0.65) == pytest.approx(0.304, abs=1e-3)
    for before, after in ((0.0, 1.0), (0.8, 0.75), (0.02, 0.05)):
        assert cohen_h(before, after) == pytest.approx(proportion_effectsize(after, before), abs=1e-9)
    with pytest.raises(ValueError, match="from 0 to 1"):
        cohen_h(0.5, 80)


@given(before=values, after=values)
def test_cliffs_delta_counts_all_pairs(before, after):
    """Pair by pair; the common language is the chance of the larger one, ties half."""
    steps = [(new > old) - (new < old) for old, new in itertools.product(before, after)]
    assert cliffs_delta(before, after) == pytest.approx(sum(steps) / len(steps), abs=1e-12)
    larger = sum(1 if step > 0 else 0.5 if step == 0 else 0 for step in steps)
    assert common_language(before, after) == pytest.approx(larger / len(steps), abs=1e-12)


@pytest.mark.parametrize(
    ("effect", "kind", "word"),
    [
        (0.19, "d", "negligible"),
        (-0.2, "d", "small"),
        (0.5, "h", "medium"),
        (0.8, "d", "large"),
        (0.147, "delta", "small"),
        (-0.474, "delta", "large"),
        (0.5, "common_language", "negligible"),
        (0.56, "common_language", "small"),
        (0.36, "common_language", "medium"),
        (0.71, "common_language", "large"),
        (None, "d", None),
        (math.nan, "d", None),
    ],
)
def test_effects_in_words(effect, kind, word):
    """By the conventions of those who proposed them."""
    assert word_of(effect, kind) == word


def test_what_has_no_effect_size():
    """A single value, values that never vary, an empty side."""
    assert cohen_d([1], [2, 3]) is None
    assert cohen_d([1, 1], [2, 2]) is None
    assert cliffs_delta([], [1]) is None
    assert common_language([None], [1]) is None
