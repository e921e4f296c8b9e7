"""The pass rate behind a judge that errs at known rates."""

from __future__ import annotations

import math
import statistics

from pytest_llmbench.stats.weighted import Estimate

Counted = tuple[int, int]
"""Right ones, and how many there were."""

_NORMAL = statistics.NormalDist().inv_cdf(0.975)


def corrected_rate(passed: int, n: int, sensitivity: Counted, specificity: Counted) -> Estimate | None:
    """The share of truly good replies, from the share that the judge passed.

    The value is Rogan and Gladen's (Am. J. Epidemiol. 107, 1978, p. 71). The interval carries the uncertainty of
    sensitivity and specificity, too: Lang and Reiczigel (Prev. Vet. Med. 113, 2014, p. 13), with successes and failures
    added to all three counts. Both are kept within 0 to 1.

    Args:
        passed: replies that the judge passed.
        n: replies that it judged.
        sensitivity: of those that people passed: how many the judge passed, and how many there were.
        specificity: of those that people failed: how many the judge failed, and how many there were.

    Returns:
        None where the judge tells nothing: sensitivity + specificity is not above 1, or one of them is not known, or
        nothing was judged.

    Raises:
        ValueError: more right ones than there were.
    """
    for right, of in ((passed, n), sensitivity, specificity):
        if not 0 <= right <= of:
            raise ValueError(f"{right} of {of}")
    if not (n and sensitivity[1] and specificity[1]):
        return None
    sensitive, specific = sensitivity[0] / sensitivity[1], specificity[0] / specificity[1]
    if sensitive + specific <= 1:
        return None
    value = _clipped((passed / n + specific - 1) / (sensitive + specific - 1))
    low, high = _interval(passed, n, sensitivity, specificity)
    return Estimate(value, min(low, value), max(high, value), n)


def _interval(passed: int, n: int, sensitivity: Counted, specificity: Counted) -> tuple[float, float]:
    z = _NORMAL
    observed, worth = (passed + z**2 / 2) / (n + z**2), n + z**2
    sensitive, specific = ((right + 1) / (of + 2) for right, of in (sensitivity, specificity))
    discernment = sensitive + specific - 1
    if discernment <= 0:  # the judge may be worthless
        return 0.0, 1.0
    rate = (observed + specific - 1) / discernment
    of_sensitivity = sensitive * (1 - sensitive) / (sensitivity[1] + 2)
    of_specificity = specific * (1 - specific) / (specificity[1] + 2)
    shift = 2 * z**2 * (rate * of_sensitivity - (1 - rate) * of_specificity)
    variance = observed * (1 - observed) / worth + rate**2 * of_sensitivity + (1 - rate) ** 2 * of_specificity
    half = z * math.sqrt(variance) / discernment
    return _clipped(rate + shift - half), _clipped(rate + shift + half)


def _clipped(rate: float) -> float:
    return min(1.0, max(0.0, rate))
