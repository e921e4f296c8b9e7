"""Where more load stops paying."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.stats import knee


def test_the_example_of_the_paper() -> None:
    """Satopää et al. 2011, figure 2: y = −1 / (x + 0.1) + 5 bends at 0.22."""
    xs = np.linspace(0, 1, 10)
    assert knee(list(xs), list(-1 / (xs + 0.1) + 5)) == 2


@pytest.mark.parametrize(
    ("ys", "curve", "index"),
    [([0, 60, 80, 85, 90, 95, 96, 97, 98, 99], "concave", 2), ([1, 2, 3, 4, 5, 10, 15, 20, 40, 100], "convex", 7)],
)
def test_the_examples_of_the_reference_library(ys: list[float], curve: str, index: int) -> None:
    """`kneed` by Kevin Arvai, its concave and convex increasing test data."""
    assert knee(range(10), ys, curve) == index


def test_throughput_that_saturates_at_four_slots() -> None:
    """One server of four slots: more users only wait."""
    assert knee([1, 2, 4, 8, 16, 32], [10, 19, 35, 37, 37, 36]) == 2


def test_latency_that_takes_off() -> None:
    """The queue of a server near its capacity of 10 a second: 1 / (10 − rate)."""
    rates = [1, 2, 3, 4, 5, 6, 7, 8, 9, 9.5, 9.8]
    assert rates[knee(rates, [1 / (10 - rate) for rate in rates], "convex") or 0] == 9


@pytest.mark.parametrize(
    ("xs", "ys"),
    [
        ([], []),
        ([1, 2], [1, 2]),
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([1, 2, 4, 8], [5, 5, 5, 5]),
        ([2, 2, 2, 2], [1, 2, 3, 4]),
        ([1, 2, 4], [math.nan, None, 3]),
    ],
)
def test_a_curve_without_a_knee_has_none(xs: list[float], ys: list[float | None]) -> None:
    """Too short, straight, constant, one load only, or not measured."""
    assert knee(xs, ys) is None


def test_the_index_points_into_what_was_given() -> None:
    """In any order, with levels that failed."""
    assert knee([32, 1, 4, 3, 2, 8, 16], [36, 10, 35, None, 19, 37, 37]) == 2


def test_different_lengths_are_a_mistake() -> None:
    """Told, not cut."""
    with pytest.raises(ValueError, match="shorter"):
        knee([1, 2, 3], [1, 2])


def test_noise_on_a_straight_line_is_no_knee() -> None:
    """Throughput that grows with the load as far as it was measured, 3 % of noise."""
    random = Random(6)
    found = [knee(range(1, 9), [x * random.gauss(1, 0.03) for x in range(1, 9)]) for _ in range(100)]
    assert found.count(None) >= 95


def test_noise_hardly_moves_a_knee() -> None:
    """Five per cent of noise on a curve that saturates at 8."""
    random = Random(6)
    xs = [1, 2, 4, 6, 8, 10, 12, 16, 20, 24]
    found = [knee(xs, [min(x, 8) * random.gauss(1, 0.05) for x in xs]) for _ in range(100)]
    assert sum(index in {3, 4, 5} for index in found) >= 95


@given(st.lists(st.tuples(st.floats(0, 1e6), st.one_of(st.none(), st.floats(-1e9, 1e9))), max_size=20))
def test_whatever_comes_there_is_an_answer(points: list[tuple[float, float | None]]) -> None:
    """A place in the series, or None."""
    found = knee([x for x, _ in points], [y for _, y in points])
    assert found is None or points[found][1] is not None
