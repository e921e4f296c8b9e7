"""Estimates of a whole from samples that may stand for different numbers of it: a value and its 95 % interval.

With equal weights the intervals are those of `intervals`. With unequal ones the number of samples is replaced by the
number of equal ones that would tell as much, (Σw)² / Σw² (Kish, Survey Sampling, 1965): for strata of unequal shares
that is on the careful side, because what differs between strata is not taken out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_llmbench.stats.bootstrap import ClusteredMean, clustered_mean, share_worth
from pytest_llmbench.stats.intervals import Interval, wilson

_FEWEST = 2
"""Samples of equal weight from which a spread can be told."""
_FEW = 5
"""Degrees of freedom below which the expansion of Student's t is too coarse."""
_MANY = 1_000
"""Values from which counting coins and the normal distribution give the same rank, or its neighbour."""
_NORMAL = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float | None
    """None: too few samples to bound it."""
    high: float | None
    n: int
    """Samples that it comes from."""
    worth: float = field(default=0.0, compare=False)
    """How many samples of equal weight would tell as much; 0: nobody counted."""
    deviation: float | None = field(default=None, compare=False)
    """The standard deviation of one sample; None: it is a share, whose spread follows from its value."""


def share_estimate(verdicts: Sequence[bool], weights: Sequence[float], clusters: Sequence[str] = ()) -> Estimate | None:
    """The share of good ones, with Wilson's interval; None of none.

    Args:
        verdicts: good or not, sample by sample.
        weights: for how many each stands; positive.
        clusters: which samples resemble each other, such as those of one document; "" is one by itself. Clustered
            samples count for as many independent ones as they are worth (see `bootstrap.clustered_mean`).
    """
    if not verdicts:
        return None
    share = _mean([float(verdict) for verdict in verdicts], weights)
    worth = _worth(weights) * _independent([float(verdict) for verdict in verdicts], clusters, share_worth)
    interval = _all_or_nothing(share, worth)
    return Estimate(share, interval.low, interval.high, len(verdicts), worth)


def score_estimate(values: Sequence[float], weights: Sequence[float], clusters: Sequence[str] = ()) -> Estimate | None:
    """The mean of scores from 0 to 1; None of none.

    The interval is Wilson's, of as many verdicts as would scatter as little: n × mean (1 − mean) / s², less what
    Student's t takes off for a spread that is itself estimated. Student's own lies too high for scores near 1, and too
    low near 0: of 20 scores about 0.9 it begins above the truth in 9 % of the cases, this one in 5 %, where 2.5 % are
    promised. Where the scores are all 0 or 1, where they are all the same, or where there is but one, they are
    verdicts: no scores with this mean scatter more.

    Args:
        values: 0 to 1 each.
        weights: see `share_estimate`.
        clusters: see `share_estimate`.
    """
    if not values:
        return None
    mean = _mean(values, weights)
    worth = _worth(weights) * _independent(values, clusters, lambda found: found.worth)
    if worth < _FEWEST or len(set(values)) == 1 or set(values) <= {0.0, 1.0}:
        return _share(mean, len(values), worth)
    deviation = _deviation(values, weights, mean, worth)
    if not (deviation**2):  # so near to each other that the difference is lost in a float
        return _share(mean, len(values), worth)
    verdicts = worth * mean * (1 - mean) / deviation**2 * (_NORMAL / _student(worth - 1)) ** 2
    interval = wilson(mean * verdicts, verdicts)
    return Estimate(mean, interval.low, interval.high, len(values), worth, deviation)


def _share(mean: float, n: int, worth: float) -> Estimate:
    """Of values that say as much as verdicts."""
    interval = _all_or_nothing(min(mean, 1.0), worth)
    return Estimate(mean, interval.low, interval.high, n, worth)


def mean_estimate(values: Sequence[float], weights: Sequence[float]) -> Estimate | None:
    """The mean of quantities that are not negative, with Student's t interval from 0 up; None of none.

    Args:
        values: in any unit.
        weights: see `share_estimate`.
    """
    if not values:
        return None
    mean, worth = _mean(values, weights), _worth(weights)
    if worth < _FEWEST:
        return Estimate(mean, None, None, len(values), worth, 0.0)
    deviation = _deviation(values, weights, mean, worth)
    half = _student(worth - 1) * deviation / math.sqrt(worth)
    return Estimate(mean, max(0.0, mean - half), mean + half, len(values), worth, deviation)


def median_estimate(values: Sequence[float]) -> Estimate | None:
    """The median (a measured value: nearest rank) with its interval from order statistics; None of none."""
    if not values:
        return None
    ordered, n = sorted(values), len(values)
    rank = _low_rank(n)
    low, high = (ordered[rank - 1], ordered[n - rank]) if rank else (None, None)
    return Estimate(ordered[math.ceil(n / 2) - 1], low, high, n)


def _independent(values: Sequence[float], clusters: Sequence[str], worth_of: Callable[[ClusteredMean], float]) -> float:
    """The share of clustered samples that is left when each cluster counts for what it tells."""
    if len(set(filter(None, clusters))) == len(list(filter(None, clusters))):
        return 1.0
    apart = [cluster or place for place, cluster in enumerate(clusters)]
    found = clustered_mean(values, apart)
    return worth_of(found) / found.n if found else 1.0


def _all_or_nothing(share: float, worth: float) -> Interval:
    return wilson(worth if share == 1 else share * worth, worth)


def _deviation(values: Sequence[float], weights: Sequence[float], mean: float, worth: float) -> float:
    return math.sqrt(_mean([(value - mean) ** 2 for value in values], weights) * worth / (worth - 1))


def _student(freedom: float) -> float:
    """The 97.5 % quantile of Student's t, right to a part in 5,000.

    The expansion of Abramowitz & Stegun, 26.7.5: every session with a use case ends here, and importing SciPy takes
    longer than its reports.
    """
    if freedom < _FEW:
        from scipy.special import stdtrit  # noqa: PLC0415 - see above

        return float(stdtrit(freedom, 0.975))
    z = _NORMAL
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def _low_rank(n: int) -> int:
    """The rank, from 1, of the value that bounds the median of n from below, as in `percentile_interval`; 0: none does.

    The values below the median are as many as heads of n coins: the largest rank with at most 2.5 % below it.
    """
    if n > _MANY:
        return math.floor(n / 2 - _NORMAL * math.sqrt(n) / 2 + 0.5)
    below, ways, whole = 0, 1, 2**n
    for rank in range(n):
        below += ways
        if below * 40 > whole:
            return rank
        ways = ways * (n - rank) // (rank + 1)
    return 0


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    if len(set(weights)) == 1:
        return math.fsum(values) / len(values)
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / math.fsum(weights)


def _worth(weights: Sequence[float]) -> float:
    """How many samples of equal weight would tell as much."""
    if len(set(weights)) == 1:
        return float(len(weights))
    return math.fsum(weights) ** 2 / math.fsum(weight**2 for weight in weights)
