"""Numbers in, small dataclasses out. SciPy does the work and is imported late."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval; an end that the sample is too small to bound is infinite."""

    low: float
    high: float
    confidence: float


def percentile_interval(values: Sequence[float], percent: float, confidence: float = 0.95) -> Interval:
    """Distribution-free interval of a percentile from order statistics.

    The number of values below the true percentile is Binomial(n, percent/100); each end leaves (1 − confidence)/2
    outside (David & Nagaraja, Order Statistics, 3rd ed., section 7.1).

    Args:
        values: the sample, in any order.
        percent: 0 < percent < 100.
        confidence: coverage, at least.

    Returns:
        Two measured values; −inf or inf where the sample is too small to bound that side.
    """
    from scipy.special import bdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    ordered, n, p, tail = sorted(values), len(values), percent / 100, (1 - confidence) / 2
    below = [float(bdtr(k, n, p)) for k in range(n)]
    lower_rank = sum(1 for probability in below if probability <= tail)
    upper_rank = next((k + 1 for k, probability in enumerate(below) if probability >= 1 - tail), n + 1)
    low = ordered[lower_rank - 1] if lower_rank >= 1 else -math.inf
    high = ordered[upper_rank - 1] if upper_rank <= n else math.inf
    return Interval(low, high, confidence)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean; unbounded below two values.

    Args:
        values: the sample, in any order.
        confidence: coverage, exact for normal data.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if len(values) < 2:
        return Interval(-math.inf, math.inf, confidence)
    mean, n = statistics.fmean(values), len(values)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * statistics.stdev(values) / math.sqrt(n)
    return Interval(mean - half, mean + half, confidence)
