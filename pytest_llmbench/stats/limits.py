"""A value against a fixed limit: how surely it is broken, what change would be seen, how many values would tell.

One-sided tests of "the limit is kept": the binomial test of a share and of a percentile, exact also of few samples and
near 0 and 1, where the test that goes with Wilson's interval cries wolf; Student's t of a mean.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.stats.intervals import finite
from pytest_llmbench.stats.weighted import Estimate

ALPHA = 0.01
"""How often a run in which every limit is kept may fail at all."""
_NORMAL = statistics.NormalDist()
_SHOWN = _NORMAL.inv_cdf(0.975)
_BROKEN = _NORMAL.inv_cdf(1 - ALPHA)
_MISSED = 0.2
_POWER = _NORMAL.inv_cdf(1 - _MISSED)
_ROUNDED = 1e-9
_STEPS = 60
"""Halvings of a bisection: to the last bit."""


@dataclass(frozen=True, slots=True)
class Against:
    """What a sample says of a limit."""

    p_broken: float
    """One-sided, of "the limit is kept"; 1 where the value keeps it."""
    smallest_detectable: float | None
    """How far beyond the limit the truth has to be so that as many values find it four times out of five (one-sided,
    `ALPHA`), in the value's unit; None: no distance is enough, or nobody knows."""
    n_needed: int | None
    """Values that would decide it, if they go on as these; None: the value lies on the limit, or no number does."""


def estimate_against(found: Estimate, limit: float, *, at_least: bool) -> Against:
    """Hold a share or a mean of samples against its limit.

    Args:
        found: as `weighted` makes it.
        limit: in the same unit.
        at_least: whether the truth is to be as large or larger; else as small or smaller.
    """
    worth = found.worth or found.n
    if found.deviation is None:
        told = share_against(found.value, worth, limit, at_least=at_least)
    else:
        told = mean_against(found.value, found.deviation, worth, limit, at_least=at_least)
    scale = found.n / worth  # as many equal samples are more unequal ones
    return Against(told.p_broken, told.smallest_detectable, told.n_needed and math.ceil(told.n_needed * scale))


def share_against(share: float, n: float, limit: float, *, at_least: bool) -> Against:
    """The binomial test of a share; arguments as for `estimate_against`, `n` of equal weight, whole or not."""
    good, least = (share, limit) if at_least else (1 - share, 1 - limit)
    gap = good - least
    spread = math.sqrt(max(least * (1 - least), 0.0))
    p_broken = 1.0 if gap >= 0 or not n else _as_few(good * n, n, least)
    return Against(p_broken, _share_found(least, n), _needed(gap, spread))


def mean_against(mean: float, deviation: float, n: float, limit: float, *, at_least: bool) -> Against:
    """Student's t test of a mean; arguments as for `share_against`, `deviation` is one value's."""
    gap = mean - limit if at_least else limit - mean
    if n < 2:
        return Against(1.0, None, None)
    p_broken = 1.0 if gap >= 0 else _student(gap, deviation, n)
    return Against(p_broken, (_BROKEN + _POWER) * deviation / math.sqrt(n), _needed(gap, deviation))


def percentile_against(values: Sequence[float], percent: float, limit: float, *, at_least: bool) -> Against:
    """The binomial test of a percentile, exact for independent values.

    Args:
        values: in any order; what is not finite is left out.
        percent: 50 for the median.
        limit: a value that equals it keeps it.
        at_least: as for `estimate_against`.
    """
    from scipy.special import bdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    ordered = sorted(finite(values), reverse=at_least)  # the good ones first
    n, least = len(ordered), (1 - percent / 100) if at_least else percent / 100
    good = sum(each >= limit if at_least else each <= limit for each in ordered)
    p_broken = float(bdtr(good, n, least)) if n and good < n * least else 1.0
    gap = good / n - least if n else 0.0
    return Against(p_broken, _shift(ordered, least), _needed(gap, math.sqrt(least * (1 - least))))


def _as_few(good: float, n: float, least: float) -> float:
    """The chance of as few good ones where the share is just kept; of what is not whole on the careful side.

    Not SciPy's: importing it takes longer than the end of most sessions.
    """
    if least == 1:
        return 0.0
    tried, passed = math.floor(n + _ROUNDED), math.ceil(good - _ROUNDED)
    odds, ways = (math.log(least), math.log1p(-least)), math.lgamma(tried + 1)
    logs = (
        ways - math.lgamma(k + 1) - math.lgamma(tried - k + 1) + k * odds[0] + (tried - k) * odds[1]
        for k in range(min(passed, tried) + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def _student(gap: float, deviation: float, n: float) -> float:
    from scipy.special import stdtr  # noqa: PLC0415 - see above

    return float(stdtr(n - 1, gap * math.sqrt(n) / deviation)) if deviation else 0.0


def _needed(gap: float, spread: float) -> int | None:
    """Values after which the interval leaves the limit out (kept), or the test rejects it (broken)."""
    if not gap or not spread:
        return None
    return math.ceil(((_SHOWN if gap > 0 else _BROKEN) * spread / gap) ** 2)


def _share_found(least: float, n: float) -> float | None:
    """How far below the least share the truth has to be, so that it is found four times out of five."""
    if least == 1 and n:
        return float(1 - _MISSED ** (1 / n))  # one that is not good is enough
    bar = least - _BROKEN * math.sqrt(least * (1 - least) / n) if n else -1.0
    if not 0 < bar <= 1:
        return None
    low, high = 0.0, least
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_found = middle + _POWER * math.sqrt(middle * (1 - middle) / n) <= bar
        low, high = (middle, high) if is_found else (low, middle)
    return least - low


def _shift(ordered: Sequence[float], least: float) -> float | None:
    """By how much all values have to move so that as many as are found cross the limit that they just keep."""
    n = len(ordered)
    found = _share_found(least, n)
    if found is None:
        return None
    at, beyond = (max(math.ceil(n * share), 1) - 1 for share in (least, least - found))
    return abs(ordered[at] - ordered[beyond])
