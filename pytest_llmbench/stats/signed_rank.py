"""How far paired values lie from zero, by signed ranks: the value and interval that belong to Wilcoxon's test.

The value is Hodges and Lehmann's (Ann. Math. Stat. 34, 1963, p. 598), the median of the averages of all two of the
differences; the interval holds the shifts that Wilcoxon's test does not reject (Hollander, Wolfe and Chicken,
Nonparametric Statistical Methods, 3rd ed., 3.2 and 3.3). Neither minds a few wild differences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pytest_llmbench.stats.permutation import signed_rank

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_EXACT_TO = 200
"""Pairs up to which the distribution is counted out; beyond, the normal one is as good."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Where differences lie."""

    value: float
    """NaN of none."""
    low: float
    high: float
    """The interval; infinite where so few differences bound nothing."""
    n: int
    p_above: float
    """Wilcoxon's one-sided, of "they do not lie above zero"; 1 of none."""


def shift(differences: Sequence[float], confidence: float = 0.95) -> Shift:
    """Where the differences lie, with a two-sided interval; what is not finite is left out."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    values = np.asarray([each for each in differences if math.isfinite(each)], dtype=float)
    n = len(values)
    if not n:
        return Shift(math.nan, -math.inf, math.inf, 0, 1.0)
    first, second = np.triu_indices(n)
    averages = np.sort((values[first] + values[second]) / 2)
    outside = _outside(n, (1 - confidence) / 2)
    low, high = (averages[outside - 1], averages[-outside]) if outside else (-math.inf, math.inf)
    return Shift(float(np.median(averages)), float(low), float(high), n, signed_rank(values.tolist()).above)


def _outside(n: int, tail: float) -> int:
    """How many averages lie outside an interval at each end; 0: it has no ends."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    if n > _EXACT_TO:
        from scipy.stats import norm  # noqa: PLC0415 - slow to import and few sessions need it

        deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return max(0, math.floor(n * (n + 1) / 4 + float(norm.ppf(tail)) * deviation))
    return int(np.searchsorted(_tails(n), tail, side="right"))


@cache
def _tails(n: int) -> NDArray[float64]:
    """P(the ranks of one sign sum up to at most t) for t = 0 to n (n + 1) / 2."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    chances = np.zeros(n * (n + 1) // 2 + 1)
    chances[0] = 1.0
    for rank in range(1, n + 1):
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    tails: NDArray[float64] = chances.cumsum()
    return tails
