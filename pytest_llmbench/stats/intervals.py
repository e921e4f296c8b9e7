"""Intervals: how far the true value may lie from the measured one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llmbench.stats.serial import effective_n, widening


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval; an end that the sample is too small to bound is infinite."""

    low: float
    high: float
    confidence: float


def finite(values: Iterable[float | None]) -> list[float]:
    """What was measured: without None, NaN and infinities, in the same order."""
    return [float(value) for value in values if value is not None and math.isfinite(value)]


def percentile_interval(values: Sequence[float], percent: float, confidence: float = 0.95) -> Interval:
    """Distribution-free interval of a percentile from order statistics.

    The number of values below the true percentile is Binomial(n, percent/100); each end leaves (1 − confidence)/2
    outside (David & Nagaraja, Order Statistics, 3rd ed., section 7.1).

    Args:
        values: the sample, in any order; what is not finite is left out.
        percent: 0 < percent < 100.
        confidence: coverage, at least.

    Returns:
        Two measured values; −inf or inf where the sample is too small to bound that side.
    """
    from scipy.special import bdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    ordered, p, tail = sorted(finite(values)), percent / 100, (1 - confidence) / 2
    n = len(ordered)
    below = [float(bdtr(k, n, p)) for k in range(n)]
    lower_rank = sum(1 for probability in below if probability <= tail)
    upper_rank = next((k + 1 for k, probability in enumerate(below) if probability >= 1 - tail), n + 1)
    low = ordered[lower_rank - 1] if lower_rank >= 1 else -math.inf
    high = ordered[upper_rank - 1] if upper_rank <= n else math.inf
    return Interval(low, high, confidence)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean; unbounded below two values.

    Args:
        values: the sample, in any order; what is not finite is left out.
        confidence: coverage, exact for normal data.
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    measured = finite(values)
    n = len(measured)
    if n < 2:
        return Interval(-math.inf, math.inf, confidence)
    mean = statistics.fmean(measured)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * statistics.stdev(measured) / math.sqrt(n)
    return Interval(mean - half, mean + half, confidence)


def wilson(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share (J. Am. Stat. Assoc. 22, 1927, p. 209), without continuity correction.

    It stays within 0 and 1 and has a width at 0 and n successes too, where the textbook's normal interval has none.

    Args:
        successes: 0 to n; not whole where they are worth other than one each.
        n: how many were tried; of none nothing is known, and the interval is all of 0 to 1.
        confidence: coverage, on average over the true share.

    Raises:
        ValueError: not 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return Interval(0.0, 1.0, confidence)
    # Not SciPy's: importing it takes longer than writing a report, and most reports have a pass rate.
    z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
    middle, half = (successes + z**2 / 2) / (n + z**2), z / (n + z**2) * _root(successes, n, z)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    return Interval(low, 1.0 if successes == n else min(1.0, middle + half), confidence)


def _root(successes: float, n: float, z: float) -> float:
    return math.sqrt(successes * (n - successes) / n + z**2 / 4)


def ratio_interval(
    values: Sequence[float],
    reference: Sequence[float],
    confidence: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
    *,
    in_order: bool = False,
) -> Interval:
    """Percentile-bootstrap interval of median(values) / median(reference); both samples resampled independently.

    Efron & Tibshirani, An Introduction to the Bootstrap, chapter 13. Below six values a sample says too little of its
    median, and the interval is unbounded. The same samples and seed give the same interval.

    Args:
        values: the sample above the line; what is not finite is left out.
        reference: the sample below the line, positive.
        confidence: coverage, approximately.
        resamples: how many are drawn; the ends are exact to about a tenth of the interval's width.
        seed: of the random numbers.
        in_order: the samples are series in order of time: where neighbours resemble each other the interval is widened
            for it (`serial.effective_n`).
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    above, below = np.array(finite(values)), np.array(finite(reference))
    if min(len(above), len(below)) < 6 or below.min() <= 0:
        return Interval(-math.inf, math.inf, confidence)
    random = np.random.default_rng(seed)
    drawn = [
        np.median(sample[random.integers(0, len(sample), (resamples, len(sample)))], axis=1)
        for sample in (above, below)
    ]
    low, high = np.quantile(drawn[0] / drawn[1], [(1 - confidence) / 2, (1 + confidence) / 2])
    if in_order:
        ratio = float(np.median(above) / np.median(below))
        wider = max(widening(len(s), effective_n(s - np.median(s)), confidence) for s in (above, below))
        low, high = max(0.0, ratio - (ratio - low) * wider), ratio + (high - ratio) * wider
    return Interval(float(low), float(high), confidence)
