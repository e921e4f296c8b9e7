"""Does it drift? A slope with its interval, and whether chance could have made it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmbench.stats.serial import degrees, effective_n, widening

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

_FEWEST = 5
"""Below, no order of the values is unlikely enough, and the slope has no 95 % interval."""
_SAME_TIME_S = 1e-9
"""No clock of ours tells such moments apart, and a slope between them is a number beyond all meaning."""
_MOST_POINTS = 1500
"""Of more, medians of consecutive blocks are taken: all pairs of 1,500 points are a million slopes."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A monotonic trend over time."""

    slope_per_s: float | None
    """Change of the value a second; None where no two values have different times."""
    low: float
    """Lower end of the slope's interval; −inf where the series is too short to bound it."""
    high: float
    p_value: float
    """Two-sided: how often a series without a trend looks at least as much like one; 1 where nothing can be said."""
    n: int
    """Finite values used."""
    change_share: float | None
    """Slope times the window's length, as a share of the median; None where the median is 0 or there is no slope."""
    effective_n: float
    """How many independent values the series is worth: less than n where neighbours resemble each other."""


def trend(times_s: Sequence[float], values: Sequence[float | None], confidence: float = 0.95) -> Trend:
    """Theil and Sen's slope with Sen's interval, and the p-value of Mann and Kendall's test.

    The slope is the median over all pairs (Sen, J. Am. Stat. Assoc. 63, 1968, p. 1379): up to 29 % of the values may be
    outliers. The test (Mann 1945; Kendall 1975) asks only whether later values are larger or smaller more often than
    chance; ties and the continuity correction are taken into account. Both assume independent values, and a machine
    that warms up gives none: the variance is inflated by the residuals' serial correlation, see `serial.effective_n`,
    from 8 values on. Below 5 values no trend can be significant at 5 %, whatever it looks like.

    A step is a trend to this test, too: `change_point` says where it is.

    Args:
        times_s: seconds, one for each value, in any order.
        values: None, NaN and infinities are left out, with their times.
        confidence: of the slope's interval.

    Raises:
        ValueError: not as many times as values.
    """
    times, measured = _series(times_s, values)
    n = len(measured)
    times, measured = _thinned(times, measured)
    slopes = _slopes(times, measured)
    if not len(slopes):
        return Trend(None, -math.inf, math.inf, 1.0, n, None, float(n))
    slope = float(_median(slopes))
    points = len(measured)
    independent = effective_n(measured - slope * (times - times[0]))
    sigma = _sigma(times, measured)
    low, high = -math.inf, math.inf
    if points >= _FEWEST:
        low, high = _sen_interval(slopes, sigma * widening(points, independent, confidence), confidence)
    middle = float(_median(measured))
    change = slope * float(times[-1] - times[0]) / abs(middle) if middle else None
    p_value = _mann_kendall(slopes, sigma, points, independent)
    return Trend(slope, low, high, p_value, n, change, independent * n / points)


def _series(times_s: Sequence[float], values: Sequence[float | None]) -> tuple[_Array, _Array]:
    """The pairs that were measured, in order of time."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    times = np.array(times_s, dtype=float)
    measured = np.array([math.nan if value is None else value for value in values], dtype=float)
    if len(times) != len(measured):
        raise ValueError(f"{len(times)} times for {len(measured)} values")
    usable = np.isfinite(times) & np.isfinite(measured)
    times, measured = times[usable], measured[usable]
    order = np.argsort(times, kind="stable")
    return times[order], measured[order]


def _thinned(times: _Array, values: _Array) -> tuple[_Array, _Array]:
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    size = math.ceil(len(values) / _MOST_POINTS)
    if size <= 1:
        return times, values
    kept = len(values) // size * size
    blocks = [np.median(series[:kept].reshape(-1, size), axis=1) for series in (times, values)]
    return blocks[0], blocks[1]


def _slopes(times: _Array, values: _Array) -> _Array:
    """Of all pairs with different times, sorted.

    Not SciPy's `theilslopes`: it knows no inflated variance, and gives ends to an interval that has none.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    earlier, later = np.triu_indices(len(times), 1)
    spans = times[later] - times[earlier]
    apart = spans > _SAME_TIME_S
    return np.sort((values[later] - values[earlier])[apart] / spans[apart])


def _sigma(times: _Array, values: _Array) -> float:
    """Standard deviation of Kendall's S without a trend, ties taken into account (Sen 1968, equation 2.6)."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    def term(count: _Array) -> float:
        return float((count * (count - 1) * (2 * count + 5)).sum())

    tied = sum(term(np.unique(series, return_counts=True)[1].astype(float)) for series in (times, values))
    return math.sqrt(max(term(np.array([float(len(values))])) - tied, 0.0) / 18)


def _sen_interval(slopes: _Array, sigma: float, confidence: float) -> tuple[float, float]:
    from scipy.special import ndtri  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    pairs = len(slopes)
    reach = float(ndtri((1 + confidence) / 2)) * sigma
    below, above = round((pairs - reach) / 2) - 1, round((pairs + reach) / 2)
    low = float(slopes[below]) if below >= 0 else -math.inf
    return low, float(slopes[above]) if above < pairs else math.inf


def _mann_kendall(slopes: _Array, sigma: float, n: int, independent: float) -> float:
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it
    from scipy.special import ndtr, stdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if sigma == 0:  # all values are equal
        return 1.0
    z = max(abs(float(np.sign(slopes).sum())) - 1, 0.0) / sigma * math.sqrt(independent / n)
    tail = ndtr(-z) if independent >= n else stdtr(degrees(independent), -z)
    return min(1.0, 2 * float(tail))


def _median(values: _Array) -> float:
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    return float(np.median(values))
