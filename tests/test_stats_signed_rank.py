"""Hodges and Lehmann's value and its interval: against a book, and by counting."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from scipy.stats import wilcoxon

from pytest_llmbench.stats.signed_rank import shift

DEPRESSION = (-0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010)
"""Hollander, Wolfe and Chicken, table 3.1: nine patients' factors after therapy less before."""


def test_the_value_and_interval_are_those_of_the_book() -> None:
    """Example 3.3: −0.46; example 3.4: −0.786 to −0.010 at 96.1 %, the depth that 96 % gives, too."""
    found = shift(DEPRESSION, 0.96)
    assert found.value == pytest.approx(-0.46, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((-0.786, -0.010), abs=1e-9)


def test_the_p_value_is_that_of_the_book() -> None:
    """Example 3.1: the chance of a sum of ranks of at most 5 among nine is 0.020."""
    assert shift([-each for each in DEPRESSION]).p_above == pytest.approx(10 / 512, abs=1e-12)


@pytest.mark.parametrize("n", [3, 8, 15, 24])
def test_the_p_value_is_that_of_scipys_exact_test(n: int) -> None:
    """A second implementation, to 1e-9."""
    source = random.Random(n)
    values = [source.gauss(0.3, 1) for _ in range(n)]
    exact = wilcoxon(values, alternative="greater", method="exact").pvalue
    assert shift(values).p_above == pytest.approx(exact, abs=1e-9)


def test_the_interval_holds_what_the_test_does_not_reject() -> None:
    """By counting all signs of eight differences: just inside an end p is above the tail, just outside it is not."""
    source = random.Random(4)
    values = [source.gauss(0, 1) for _ in range(8)]
    found, tail = shift(values), 0.025

    def p_of(centre: float) -> float:
        moved = sorted((each - centre for each in values), key=abs)
        ranks = [rank for rank, each in enumerate(moved, 1) if each > 0]
        sums = [sum(r for r, up in enumerate(signs, 1) if up) for signs in product((0, 1), repeat=8)]
        return sum(each >= sum(ranks) for each in sums) / len(sums)

    assert p_of(found.low - 1e-9) <= tail < p_of(found.low + 1e-9)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Sixteen values of a lopsided kind around their median's pseudo-median: 95 % or a little more, by fixed chance."""
    source = random.Random(9)
    covered = 0
    for _ in range(2000):
        found = shift([source.gauss(0, 1) * (1 + source.random()) for _ in range(16)])
        covered += found.low <= 0 <= found.high
    assert 0.94 <= covered / 2000 <= 0.97


def test_too_few_differences_bound_nothing() -> None:
    """Five pairs cannot be significant at 2.5 % on a side, so the interval has no ends; of none there is no value."""
    five = shift([1.0, 1.1, 0.9, 1.2, 0.8])
    assert (five.low, five.high, five.value) == (-math.inf, math.inf, 1.0)
    none = shift([math.nan])
    assert math.isnan(none.value)
    assert (none.n, none.p_above) == (0, 1.0)


def test_beyond_what_is_counted_out_the_normal_approximation_takes_over_smoothly() -> None:
    """At 200 and 201 values the interval hardly differs."""
    source = random.Random(2)
    values = [source.gauss(0, 1) for _ in range(201)]
    counted, normal = shift(values[:200]), shift(values)
    assert counted.low == pytest.approx(normal.low, abs=0.02)
    assert counted.high == pytest.approx(normal.high, abs=0.02)
