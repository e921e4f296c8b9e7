"""Serial correlation: how much less a series says than as many independent values.

A machine that warms up, or a neighbour who comes and goes, makes the next value resemble the last. Tests that take the
values for independent then find trends that are none: with a lag-1 correlation of 0.6 Mann-Kendall's test calls every
fourth series without a trend significant at 5 %.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_FEWEST = 8
"""Below, a correlation cannot be told from chance, and the values are taken for independent."""
_STRONGEST = 0.98


def midranks(values: NDArray[float64]) -> NDArray[float64]:
    """Ranks from 1; equal values share the mean of theirs."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[float64] = (np.cumsum(counts) - (counts - 1) / 2)[where.reshape(-1)]
    return ranks


def effective_n(residuals: NDArray[float64]) -> float:
    """How many independent values are worth as much, for a mean, a trend or a step.

    The ranks' lag-1 correlation r is taken for that of a first-order autoregression, after the correction of its bias
    in a detrended series, (n r + 2) / (n − 4) (van Giersbergen 2005; here as Hamed, J. Hydrol. 368, 2009).
    The variance then grows by 1 + 2 Σ (1 − k/n) r^k (Bayley & Hammersley 1946). Correlation below 0 is read as none:
    it would make tests bolder. Hamed & Rao's own correction (1998), the significant correlations of all lags,
    left 26 % false alarms in our simulation of 150 values with r = 0.8, this one 6 %.

    Args:
        residuals: the series in order of time, evenly spaced, without its trend or step.

    Returns:
        1 to n.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    n = len(residuals)
    ranks = midranks(residuals) - (n + 1) / 2
    power = float(ranks @ ranks)
    if n < _FEWEST or power == 0:
        return float(n)
    measured = float(ranks[1:] @ ranks[:-1]) / power
    lag_one = min(max((n * measured + 2) / (n - 4), 0.0), _STRONGEST)
    lags = np.arange(1, n)
    return float(n / (1 + 2 * ((1 - lags / n) * lag_one**lags).sum()))


def widening(n: int, independent: float, confidence: float) -> float:
    """By how much an interval for `n` independent values has to grow for a series that is worth `independent`.

    The variance's inflation is estimated from the same few values, hence Student's t for the normal distribution: with
    it the false alarms stay near alpha for strong correlation too (benchmarks/false_alarms.py).
    """
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if independent >= n:
        return 1.0
    tail = (1 + confidence) / 2
    return float(stdtrit(degrees(independent), tail) / ndtri(tail)) * math.sqrt(n / independent)


def degrees(independent: float) -> float:
    """Degrees of freedom of a series that is worth so many independent values, level and slope estimated."""
    return max(independent - 2, 1.0)
