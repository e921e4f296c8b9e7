"""By which factor do paired positive quantities differ, where there are few of them: Student's t of the logarithms.

Ranks of ten pairs have no p-value below 0.002, which a correction over fifty comparisons undoes; the logarithms of
times and rates are near enough to normal for Student's t, and a stall among them widens the interval.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import cache

from pytest_llmbench.stats.paired import ALPHA, POWER
from pytest_llmbench.stats.power import MeanStudy, smallest_effect
from pytest_llmbench.stats.ratios import Ratio

FEWEST = 3
"""Pairs below which nothing is said of how they scatter."""
_LEAST_SCATTER = 1e-6
"""Of logarithms: clocks are no finer, and equal values on both sides must not be infinitely sure."""


def log_ratio(before: Sequence[float], after: Sequence[float]) -> Ratio:
    """The ratio of geometric means of two paired series, by Student's t of the logarithms.

    Args:
        before: positive.
        after: what belongs to each, in the same order.

    Returns:
        Without `smallest_detectable`, see `detectable_ratio`; below three pairs p is 1 and the interval unbounded.

    Raises:
        ValueError: not as many on both sides, or one is not positive.
    """
    from scipy.special import stdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    changes = _changes(before, after)
    if not changes:
        return Ratio(None, 0.0, math.inf, 0, 1.0, 1.0, None)
    n, mean = len(changes), statistics.fmean(changes)
    if n < FEWEST:
        return Ratio(math.exp(mean), 0.0, math.inf, n, 1.0, 1.0, None)
    error = max(_scatter(changes), _LEAST_SCATTER) / math.sqrt(n)
    half = _quantile(n - 1) * error
    above, below = float(stdtr(n - 1, -mean / error)), float(stdtr(n - 1, mean / error))
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), n, above, below, None)


def detectable_ratio(
    before: Sequence[float], after: Sequence[float], *, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """Ratio − 1 that so many pairs which scatter like these find with this power; None: none would be found.

    Args:
        before: see `log_ratio`.
        after: see `log_ratio`.
        alpha: two-sided.
        power: chance to find it.
    """
    changes = _changes(before, after)
    if len(changes) < FEWEST:
        return None
    study = MeanStudy(max(_scatter(changes), _LEAST_SCATTER), alpha=alpha)
    found = smallest_effect(study, len(changes), power)
    return None if found is None else math.expm1(found)


@cache
def _quantile(freedom: int) -> float:
    """Student's t that 97.5 % lie below: the same for thousands of comparisons of as many pairs."""
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    return float(stdtrit(freedom, 0.975))


def _scatter(changes: Sequence[float]) -> float:
    """Sample standard deviation, as `statistics.stdev` to the last digits but without fractions, which take long."""
    mean = statistics.fmean(changes)
    apart = [change - mean for change in changes]
    squares = math.fsum(each * each for each in apart) - math.fsum(apart) ** 2 / len(apart)
    return math.sqrt(max(squares, 0.0) / (len(apart) - 1))


def _changes(before: Sequence[float], after: Sequence[float]) -> list[float]:
    if len(before) != len(after):
        raise ValueError(f"{len(before)} values against {len(after)}: a paired comparison needs pairs")
    return [math.log(new / old) for old, new in zip(before, after, strict=True)]
