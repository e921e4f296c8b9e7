"""By how much do two means or pass rates differ: value, interval, p-values, and what would have been seen?

A difference is after − before, or b − a. `p_worse` is for gates on what is better higher: small where it surely fell.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from pytest_llmbench.stats.bootstrap import ClusteredMean, clustered_mean
from pytest_llmbench.stats.intervals import Interval, finite, wilson
from pytest_llmbench.stats.paired import ALPHA, POWER, smallest_detectable, tango_interval
from pytest_llmbench.stats.permutation import OneSided, sign_flip
from pytest_llmbench.stats.power import MeanStudy, RateStudy, smallest_effect

_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two means or rates."""

    value: float | None
    """None: nothing was measured on one side."""
    low: float
    """95 % interval; −inf: too few to bound it."""
    high: float
    n: int
    """Pairs; unpaired: values of both together."""
    p_value: float
    """Two-sided, of "no difference"; 1 where nothing can be said."""
    p_worse: float
    """One-sided: small where the true difference is surely below 0."""
    p_better: float
    """One-sided: small where the true difference is surely above 0."""
    smallest_detectable: float | None
    """The difference that as many as these find with the power asked for (80 % at 5 %); None: none would be found."""


_NOTHING = Difference(None, -math.inf, math.inf, 0, 1.0, 1.0, 1.0, None)


def paired_rates(
    before: Sequence[float | None],
    after: Sequence[float | None],
    clusters: Sequence[Hashable] | None = None,
    *,
    alpha: float = ALPHA,
    power: float = POWER,
) -> Difference:
    """Two pass rates on the same samples, as a difference: exact McNemar tests and Tango's interval (see `paired`).

    Args:
        before: right (1, True) or wrong (0, False), sample by sample; pairs in which one is None are left out.
        after: the same samples in the same order.
        clusters: which samples belong together (questions on one document): then as `paired_values`.
        alpha: two-sided, for `smallest_detectable`.
        power: for `smallest_detectable`.

    Raises:
        ValueError: not as many on both sides.
    """
    if clusters is not None:
        return paired_values(before, after, clusters, alpha=alpha, power=power)
    pairs = _pairs(before, after)
    n = len(pairs)
    if not n:
        return _NOTHING
    gained, lost = sum(new > old for old, new in pairs), sum(new < old for old, new in pairs)
    low, high = tango_interval(gained, lost, n)
    sides = _mcnemar(gained, lost)
    found = smallest_detectable(n, (gained + lost) / n, alpha, power)
    return Difference((gained - lost) / n, low, high, n, sides.two_sided, sides.below, sides.above, found)


def paired_values(
    before: Sequence[float | None],
    after: Sequence[float | None],
    clusters: Sequence[Hashable] | None = None,
    *,
    largest: float = 1.0,
    alpha: float = ALPHA,
    power: float = POWER,
) -> Difference:
    """Two mean scores on the same samples: Student's interval of the differences, and the sign-flip permutation test.

    The interval is that of `moved_interval`.

    Args:
        before: scores, sample by sample; pairs in which one is None or NaN are left out.
        after: the same samples in the same order.
        clusters: which samples belong together: the interval is that of `clustered_mean`, but no narrower than without
            them, and signs are flipped by cluster.
        largest: by how much one sample's scores can differ.
        alpha: two-sided, for `smallest_detectable`.
        power: for `smallest_detectable`.

    Raises:
        ValueError: not as many on both sides.
    """
    if clusters is not None:
        found, deviation, sides = _clustered(before, after, clusters, largest)
        if found is None:
            return _NOTHING
        detectable = _detectable(deviation, found.clusters, alpha, power)
        return Difference(
            found.value, found.low, found.high, found.n, sides.two_sided, sides.below, sides.above, detectable
        )
    moved = [new - old for old, new in _pairs(before, after)]
    n = len(moved)
    if not n:
        return _NOTHING
    value, sides = math.fsum(moved) / n, sign_flip(moved)
    half, deviation = _half_width(moved, largest, 0.95)
    detectable = _detectable(deviation, n, alpha, power)
    return Difference(value, value - half, value + half, n, sides.two_sided, sides.below, sides.above, detectable)


def unpaired_rates(
    before: Sequence[float | None], after: Sequence[float | None], *, alpha: float = ALPHA, power: float = POWER
) -> Difference:
    """Two pass rates of different samples: Fisher's exact test, Newcombe's interval (Stat. Med. 17, 1998, p. 873).

    The interval is his method 10, which joins Wilson's of both.
    """
    from scipy.stats import hypergeom  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    one, other = ([each > 0 for each in finite(side)] for side in (before, after))
    if not one or not other:
        return _NOTHING
    (x, m), (y, n) = (sum(one), len(one)), (sum(other), len(other))
    first, second = wilson(x, m), wilson(y, n)
    value = y / n - x / m
    low = value - math.hypot(y / n - second.low, first.high - x / m)
    high = value + math.hypot(second.high - y / n, x / m - first.low)
    drawn = hypergeom(m + n, x + y, n)
    sides = OneSided(min(1.0, float(drawn.cdf(y))), min(1.0, float(drawn.sf(y - 1))))
    found = smallest_effect(RateStudy((x + y) / (m + n), paired=False, alpha=alpha), _harmonic(m, n), power)
    return Difference(value, low, high, m + n, sides.two_sided, sides.below, sides.above, found)


def unpaired_values(
    a: Sequence[float | None], b: Sequence[float | None], *, alpha: float = ALPHA, power: float = POWER
) -> Difference:
    """Two means of different samples, b − a, of unequal variance: Welch (Biometrika 34, 1947, p. 28).

    Args:
        a: scores in any order; None and NaN are left out.
        b: of the other condition.
        alpha: two-sided, for `smallest_detectable`.
        power: for `smallest_detectable`.
    """
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    one, other = finite(a), finite(b)
    if not one or not other:
        return _NOTHING
    value, n = statistics.fmean(other) - statistics.fmean(one), len(one) + len(other)
    variances = [statistics.variance(side) / len(side) if len(side) >= _FEWEST else 0.0 for side in (one, other)]
    error = math.sqrt(sum(variances))
    if min(len(one), len(other)) < _FEWEST or error == 0:
        return Difference(value, -math.inf, math.inf, n, 1.0, 1.0, 1.0, None)
    freedom = sum(variances) ** 2 / sum(
        variance**2 / (len(side) - 1) for variance, side in zip(variances, (one, other), strict=True)
    )
    half = float(stdtrit(freedom, 0.975)) * error
    sides = OneSided(float(stdtr(freedom, value / error)), float(stdtr(freedom, -value / error)))
    each = _harmonic(len(one), len(other))
    found = smallest_effect(MeanStudy(error * math.sqrt(each / 2), paired=False, alpha=alpha), each, power)
    return Difference(value, value - half, value + half, n, sides.two_sided, sides.below, sides.above, found)


def _pairs(before: Sequence[float | None], after: Sequence[float | None]) -> list[tuple[float, float]]:
    if len(before) != len(after):
        raise ValueError(f"{len(before)} samples against {len(after)}: a paired comparison needs the same samples")
    both = [finite(pair) for pair in zip(before, after, strict=True)]
    return [(pair[0], pair[1]) for pair in both if len(pair) == 2]


def _mcnemar(gained: int, lost: int) -> OneSided:
    """Both one-sided exact tests: binomial with 1/2 over the samples that differ."""
    from scipy.special import bdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if not gained + lost:
        return OneSided(1.0, 1.0)
    return OneSided(float(bdtr(gained, gained + lost, 0.5)), float(bdtr(lost, gained + lost, 0.5)))


def moved_interval(moved: Sequence[float | None], *, largest: float = 1.0, confidence: float = 0.95) -> Interval:
    """Of the mean of paired differences: Student's t, with two guards where few samples move at all.

    Student's t trusts a handful of differences too much. Where fewer than half of the samples differ, one difference
    more in each direction, as large as those seen (their root mean square), is counted in: for verdicts that is Bonett
    and Price's interval (J. Educ. Behav. Stat. 37, 2012, p. 479). Where all differences are the same, at most
    z² / (n + z²) of the samples have another one (Wilson), and that by at most `largest`.

    Args:
        moved: after − before, sample by sample; None and NaN are left out.
        largest: by how much one sample's scores can differ.
        confidence: coverage, approximately.

    Returns:
        Unbounded of none.
    """
    measured = finite(moved)
    if not measured:
        return Interval(-math.inf, math.inf, confidence)
    mean, half = math.fsum(measured) / len(measured), _half_width(measured, largest, confidence)[0]
    return Interval(mean - half, mean + half, confidence)


def _half_width(moved: list[float], largest: float, confidence: float) -> tuple[float, float]:
    """Half of the interval of the mean, and the standard deviation it comes from."""
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    n = len(moved)
    if len(set(moved)) == 1:
        z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
        half = z**2 / (n + z**2) * largest
        return half, half * math.sqrt(n) / z
    differing = [each for each in moved if each]
    if 2 * len(differing) < n:
        usual = math.sqrt(math.fsum(each**2 for each in differing) / len(differing))
        moved = [*moved, usual, -usual]
    deviation = statistics.stdev(moved)
    return float(stdtrit(len(moved) - 1, (1 + confidence) / 2)) * deviation / math.sqrt(len(moved)), deviation


_NORMAL = statistics.NormalDist().inv_cdf(0.975)


def _clustered(
    before: Sequence[float | None], after: Sequence[float | None], clusters: Sequence[Hashable], largest: float
) -> tuple[ClusteredMean | None, float, OneSided]:
    """Mean of the differences, its scatter from cluster to cluster, and the test that flips signs by cluster."""
    moved = [pair[1] - pair[0] if len(pair := finite(each)) == 2 else None for each in zip(before, after, strict=True)]
    found = clustered_mean(moved, clusters, verdicts=False)
    if found is None:
        return None, 0.0, OneSided(1.0, 1.0)
    if found.error == 0:
        half = _NORMAL**2 / (found.clusters + _NORMAL**2) * largest
        found = replace(found, low=found.value - half, high=found.value + half, error=half / _NORMAL)
    plain = moved_interval(moved, largest=largest)
    found = replace(found, low=min(found.low, plain.low), high=max(found.high, plain.high))
    sums: dict[Hashable, list[float]] = {}
    for each, cluster in zip(moved, clusters, strict=True):
        sums.setdefault(cluster, []).extend(finite([each]))
    return found, found.error * math.sqrt(found.clusters), sign_flip([math.fsum(each) for each in sums.values()])


def _detectable(deviation: float, n: int, alpha: float, power: float) -> float | None:
    if not deviation or math.isnan(deviation):
        return None
    return smallest_effect(MeanStudy(deviation, alpha=alpha), n, power)


def _harmonic(one: int, other: int) -> int:
    """Values on each side that are worth as much as these unequal numbers."""
    return max(1, round(2 * one * other / (one + other)))
