"""Intervals of whatever statistic by resampling (BCa), and of means of samples that come in clusters."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_llmbench.stats.intervals import Interval, finite, wilson

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

_FEWEST = 6
"""Below, a sample says too little of its own spread."""
_FEWEST_CLUSTERS = 2


def bca(
    values: Sequence[float | None],
    statistic: Callable[..., Any],
    confidence: float = 0.95,
    *,
    resamples: int = 4999,
    seed: int = 0,
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval (Efron, J. Am. Stat. Assoc. 82, 1987, p. 171), by SciPy.

    Args:
        values: the sample, in any order; what is not finite is left out.
        statistic: of an array, along `axis=` (`numpy.mean`, `numpy.median`).
        confidence: coverage, approximately; for means of 20 values and more.
        resamples: how many are drawn.
        seed: of the random numbers: the same values in whatever order have the same interval.

    Returns:
        Unbounded below six values, and where all are the same: nothing is known of how they scatter.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it
    from scipy.stats import bootstrap  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    measured = np.array(sorted(finite(values)))
    if len(measured) < _FEWEST or measured[0] == measured[-1]:
        return Interval(-math.inf, math.inf, confidence)
    drawn = bootstrap(
        (measured,),
        statistic,
        confidence_level=confidence,
        n_resamples=resamples,
        method="BCa",
        batch=max(1, _BATCH // len(measured)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = float(drawn.low), float(drawn.high)
    return Interval(-math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high, confidence)


_BATCH = 4_000_000
"""Numbers drawn at once."""


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """A mean of samples that come in clusters (several questions on one document), with its interval."""

    value: float
    low: float
    """−inf: a single cluster says nothing of how clusters differ."""
    high: float
    n: int
    clusters: int
    error: float
    """Standard error; NaN of a single cluster."""
    freedom: float
    """Degrees of freedom of the error."""
    design_effect: float
    """How many times larger the variance is than that of as many independent samples; 1 where it cannot be told."""

    @property
    def worth(self) -> float:
        """How many independent samples would tell as much: as many as clusters where all values are the same."""
        if math.isnan(self.error) or not self.error:
            return float(self.clusters)
        return min(float(self.n), self.n / self.design_effect)


def clustered_mean(
    values: Sequence[float | None], clusters: Sequence[Hashable], confidence: float = 0.95, *, verdicts: bool = True
) -> ClusteredMean | None:
    """The mean, where samples of one cluster resemble each other.

    The error is the cluster-robust CR2 with the degrees of freedom of Bell and McCaffrey (Survey Methodol. 28, 2002,
    p. 169): with clusters of one sample each it is Student's t, with clusters of equal size the t of their means. Where
    all values are 0 or 1 the interval is Wilson's with as many independent samples as these are worth (Franco, Little,
    Louis & Slud, J. Surv. Stat. Methodol. 7, 2019, p. 334); where they are all the same, that is one for each cluster.

    Args:
        values: scores or verdicts; None and NaN are left out.
        clusters: which cluster each belongs to.
        confidence: coverage, approximately.
        verdicts: whether values that are all 0 or 1 are right and wrong; differences never are.

    Returns:
        None of none.

    Raises:
        ValueError: not as many clusters as values.
    """
    pairs = [
        (value, cluster)
        for value, cluster in zip(values, clusters, strict=True)
        if value is not None and math.isfinite(value)
    ]
    if not pairs:
        return None
    sums: dict[Hashable, list[float]] = {}
    for value, cluster in pairs:
        sums.setdefault(cluster, []).append(float(value))
    mean = math.fsum(value for value, _ in pairs) / len(pairs)
    error, freedom = _robust(list(sums.values()), mean)
    effect = _design_effect([float(value) for value, _ in pairs], mean, error)
    low, high = _ends(mean, error, freedom, confidence)
    found = ClusteredMean(mean, low, high, len(pairs), len(sums), error, freedom, effect)
    if verdicts and {value for value, _ in pairs} <= {0.0, 1.0}:
        return _as_share(found, confidence)
    return found


def _robust(groups: list[list[float]], mean: float) -> tuple[float, float]:
    """Standard error (CR2) and its degrees of freedom, which are those of independent samples of equal variance."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    if len(groups) < _FEWEST_CLUSTERS:
        return math.nan, 0.0
    n = sum(map(len, groups))
    shares = np.array([len(group) / n for group in groups])
    residuals = np.array([math.fsum(value - mean for value in group) for group in groups])
    error = math.sqrt(math.fsum(residuals**2 / (1 - shares))) / n
    scaled = shares / np.sqrt(1 - shares)
    squared = float((scaled @ scaled) ** 2 - (scaled**4).sum() + (shares @ shares))
    return error, 1 / squared


def _ends(mean: float, error: float, freedom: float, confidence: float) -> tuple[float, float]:
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if math.isnan(error):
        return -math.inf, math.inf
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return mean - half, mean + half


def _design_effect(values: list[float], mean: float, error: float) -> float:
    variance = math.fsum((value - mean) ** 2 for value in values)
    n = len(values)
    return error**2 * n * (n - 1) / variance if variance and not math.isnan(error) else 1.0


def _as_share(found: ClusteredMean, confidence: float) -> ClusteredMean:
    worth = share_worth(found, confidence)
    interval = wilson(found.value * worth if found.value < 1 else worth, worth, confidence)
    return replace(found, low=interval.low, high=interval.high)


def share_worth(found: ClusteredMean, confidence: float = 0.95) -> float:
    """For how many independent samples Wilson's interval has the width of Student's t with so few clusters."""
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if math.isnan(found.error) or not found.error:
        return found.worth
    tail = (1 + confidence) / 2
    return found.worth * float(ndtri(tail) / stdtrit(found.freedom, tail)) ** 2
