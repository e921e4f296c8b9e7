"""Two models on the same items: right or wrong, compared item by item."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

ALPHA = 0.05
POWER = 0.8


@dataclass(frozen=True, slots=True)
class PairedBinary:
    """Model a against model b on the same items."""

    n: int
    """Items that both answered."""
    a_only: int
    """Items that only a got right."""
    b_only: int
    """Items that only b got right."""
    difference: float
    """Share right of a − share right of b, −1 to 1; 0 of no items."""
    low: float
    """Lower end of the 95 % interval of the difference."""
    high: float
    p_value: float
    """Two-sided, exact; 1 where no item tells the two apart."""
    smallest_detectable: float | None
    """The difference that n items as these find four times out of five at 5 %; None where no difference would be."""


def paired_binary(a: Sequence[bool], b: Sequence[bool], confidence: float = 0.95) -> PairedBinary:
    """Compare two models item by item: only the items on which they differ count.

    The p-value is McNemar's, exact (binomial with 1/2 over the items that differ; Psychometrika 12, 1947, p. 153). The
    interval is Tango's score interval (Stat. Med. 17, 1998, p. 891), which has a width even where no item differs. The
    exact test is the stricter of the two: an interval that only just leaves 0 out may come with a p-value above 5 %.
    `smallest_detectable` comes from the exact test's power, with as many items differing as here: "no difference" means
    none as large as that.

    Args:
        a: right or wrong, item by item.
        b: the same items in the same order.
        confidence: of the interval.

    Raises:
        ValueError: not as many items in both.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} items against {len(b)}: a paired comparison needs the same items")
    n = len(a)
    a_only = sum(bool(one) and not other for one, other in zip(a, b, strict=True))
    b_only = sum(bool(other) and not one for one, other in zip(a, b, strict=True))
    low, high = tango_interval(a_only, b_only, n, confidence)
    return PairedBinary(
        n=n,
        a_only=a_only,
        b_only=b_only,
        difference=(a_only - b_only) / n if n else 0.0,
        low=low,
        high=high,
        p_value=mcnemar_exact(a_only, b_only),
        smallest_detectable=smallest_detectable(n, (a_only + b_only) / n) if n else None,
    )


def mcnemar_exact(a_only: int, b_only: int) -> float:
    """Two-sided p-value of the exact McNemar test."""
    from scipy.special import bdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    return min(1.0, 2 * float(bdtr(min(a_only, b_only), a_only + b_only, 0.5))) if a_only + b_only else 1.0


def tango_interval(a_only: int, b_only: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's score interval of the paired difference (a_only − b_only) / n; all of −1 to 1 for no items."""
    from scipy.optimize import brentq  # noqa: PLC0415 - SciPy is slow to import and few sessions need it
    from scipy.special import ndtri  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if n == 0:
        return -1.0, 1.0
    z = float(ndtri((1 + confidence) / 2))

    def beyond(sign: int) -> Callable[[float], float]:
        return lambda delta: sign * tango_score(a_only, b_only, n, delta) - z

    estimate = (a_only - b_only) / n
    low = -1.0 if estimate == -1 else brentq(beyond(1), -1.0, estimate)
    high = 1.0 if estimate == 1 else brentq(beyond(-1), estimate, 1.0)
    return float(low), float(high)


def tango_score(a_only: int, b_only: int, n: int, delta: float) -> float:
    """Standardized distance of the observed difference from `delta`, with the variance that is likeliest under it.

    Tango's (Stat. Med. 17, 1998, p. 891): against the normal distribution a test of "the difference is delta".
    """
    linear = -a_only - b_only + (2 * n - a_only + b_only) * delta
    constant = -b_only * delta * (1 - delta)
    share_b_only = (math.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * share_b_only + delta * (1 - delta))
    distance = a_only - b_only - n * delta
    return distance / math.sqrt(max(variance, 1e-12))


@functools.lru_cache(maxsize=4096)
def smallest_detectable(n: int, discordant_share: float, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """The smallest true difference that the exact McNemar test finds with `power`.

    Args:
        n: items.
        discordant_share: of items on which the two differ for whatever reason; at least the difference itself.
        alpha: two-sided.
        power: chance to find it.

    Returns:
        0 to 1, to within 0.0005; None where `n` items cannot find any difference.
    """
    if mcnemar_power(n, 1.0, 1.0, alpha) < power:
        return None
    low, high = 0.0, 1.0
    while high - low > 0.0005:
        middle = (low + high) / 2
        enough = mcnemar_power(n, middle, max(discordant_share, middle), alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def mcnemar_power(n: int, difference: float, discordant_share: float, alpha: float = ALPHA) -> float:
    """Chance that the exact McNemar test finds a true difference; both tails, summed over how many items differ.

    Args:
        n: items.
        difference: the true one, 0 to 1.
        discordant_share: true share of items that differ, at least `difference`.
        alpha: two-sided.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it
    from scipy.special import bdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if discordant_share <= 0:
        return 0.0
    differing = np.arange(n + 1)
    critical = _critical(n, alpha)
    towards = (discordant_share + difference) / (2 * discordant_share)
    rejected = np.where(critical >= 0, bdtr(critical, differing, 1 - towards) + bdtr(critical, differing, towards), 0.0)
    cumulative = bdtr(differing, n, min(discordant_share, 1.0))
    return float((np.diff(cumulative, prepend=0.0) * rejected).sum())


@functools.lru_cache(maxsize=8)
def _critical(n: int, alpha: float) -> NDArray[int64]:
    """For 0, 1, ... n items that differ: up to how many in the minority are significant; −1 where none is enough."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it
    from scipy.special import bdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    critical, found = -1, []
    for differing in range(n + 1):
        if 2 * float(bdtr(critical + 1, differing, 0.5)) <= alpha:
            critical += 1
        found.append(critical)
    return np.array(found)
