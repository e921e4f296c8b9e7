"""A straight line through points: how much more of one thing goes with more of another."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.stats.intervals import finite

_FEWEST = 3
"""Two points are always on a line."""
_ROUNDING = 1e-20


@dataclass(frozen=True, slots=True)
class Line:
    """The line of least squares, with Student's interval of its slope."""

    slope: float
    low: float
    """95 % interval."""
    high: float
    intercept: float
    p_value: float
    """Two-sided, of no slope."""
    explained: float
    """R²: the share of the variance that the line explains."""
    n: int

    def at(self, x: float) -> float:
        """What the line has there."""
        return self.intercept + self.slope * x


def fitted(xs: Sequence[float | None], ys: Sequence[float | None]) -> Line | None:
    """Ordinary least squares (Draper & Smith, Applied Regression Analysis, 3rd ed., 1998, chapter 1).

    Args:
        xs: what explains; points with a missing coordinate are left out.
        ys: what is explained, in the same order.

    Returns:
        None of fewer than three points, or where all are above each other; points of one height, or all on the line,
        have an unbounded slope: nothing is known of how they scatter.

    Raises:
        ValueError: not as many of both.
    """
    points = [pair for each in zip(xs, ys, strict=True) if len(pair := finite(each)) == 2]
    across, up = [x for x, _ in points], [y for _, y in points]
    if len(points) < _FEWEST or len(set(across)) == 1:
        return None
    slope, intercept = statistics.linear_regression(across, up)
    left = math.fsum((y - intercept - slope * x) ** 2 for x, y in points)
    middle = statistics.fmean(up)
    total = math.fsum((y - middle) ** 2 for y in up)
    explained = 1 - left / total if total else 0.0
    if left <= _ROUNDING * max(total, _ROUNDING):
        return Line(slope, -math.inf, math.inf, intercept, 1.0, explained, len(points))
    return _with_interval(slope, intercept, explained, math.sqrt(left / (len(points) - 2)), across)


def _with_interval(slope: float, intercept: float, explained: float, scatter: float, across: list[float]) -> Line:
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    n, middle = len(across), statistics.fmean(across)
    error = scatter / math.sqrt(math.fsum((x - middle) ** 2 for x in across))
    half = float(stdtrit(n - 2, 0.975)) * error
    p_value = min(1.0, 2 * float(stdtr(n - 2, -abs(slope) / error)))
    return Line(slope, slope - half, slope + half, intercept, p_value, explained, n)
