"""A line through points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm

from pytest_llmbench.stats.regression import fitted

FORBES = (
    *((194.5, 20.79), (194.3, 20.79), (197.9, 22.40), (198.4, 22.67), (199.4, 23.15), (199.9, 23.35), (200.9, 23.89)),
    *((201.1, 23.99), (201.4, 24.02), (201.3, 24.01), (203.6, 25.14), (204.6, 26.57), (209.5, 28.49), (208.6, 27.76)),
    *((210.7, 29.04), (211.9, 29.88), (212.2, 30.06)),
)
"""Boiling point of water (°F) and pressure (inHg) at 17 places: Forbes 1857."""


def test_a_published_example():
    """Forbes' law: slope 0.5229, intercept −81.064, R² 0.9944 (Weisberg, Applied Linear Regression, 4th ed., 1.1)."""
    line = fitted(*zip(*FORBES, strict=True))
    assert line.slope == pytest.approx(0.5229, abs=5e-5)
    assert line.intercept == pytest.approx(-81.064, abs=5e-4)
    assert line.explained == pytest.approx(0.9944, abs=5e-5)


@pytest.mark.parametrize("n", [3, 8, 40])
def test_the_line_is_that_of_statsmodels(n):
    """Slope, interval, p and R², to 1e-9."""
    random = np.random.default_rng(n)
    x = random.random(n)
    y = 0.3 * x + random.normal(0, 0.1, n)
    line, theirs = fitted(x, y), sm.OLS(y, sm.add_constant(x)).fit()
    assert (line.intercept, line.slope) == pytest.approx(tuple(theirs.params), abs=1e-9)
    assert (line.low, line.high) == pytest.approx(tuple(theirs.conf_int()[1]), abs=1e-9)
    assert (line.p_value, line.explained) == pytest.approx((theirs.pvalues[1], theirs.rsquared), abs=1e-9)


def test_what_says_nothing_of_a_line():
    """Two points; points above each other; points without any scatter have a line of unknown certainty."""
    assert fitted([1, 2, None], [1, 2, 3]) is None
    assert fitted([1, 1, 1, 1], [1, 2, 3, 4]) is None
    for ys, slope in (([5, 5, 5, 5], 0.0), ([1, 2, 3, 4], 1.0)):
        line = fitted([1, 2, 3, 4], ys)
        assert (line.slope, line.low, line.high, line.p_value) == (pytest.approx(slope), -math.inf, math.inf, 1.0)
    with pytest.raises(ValueError, match="zip"):
        fitted([1], [])
