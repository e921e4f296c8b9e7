"""Is a percentile below its limit? A binomial test: how many requests may be late, and how many it takes to know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Tail:
    """What a sample says of "at least so many percent of requests are within the limit"."""

    n: int
    late: int
    """Requests over the limit."""
    p_kept: float
    """How often as few are late where the rule is just broken: small where it is surely kept."""
    p_broken: float
    """How often as many are late where the rule is just kept: small where it is surely broken."""
    n_needed: int | None
    """Requests that would decide it, with the share of late ones seen here; None: that share is the limit."""


def requests_needed(percent: float, confidence: float = 0.95, late: int = 0) -> int:
    """How many requests show that a percentile is within its limit, with so many late ones among them.

    The smallest n of which at most `late` late ones come with a chance of at most 1 − confidence where the percentile
    is just over the limit (MLPerf Inference, early stopping: p99, 99 %, none late: 459).

    Args:
        percent: 0 < percent < 100: 95 for p95.
        confidence: 0 to 1.
        late: requests over the limit.

    Raises:
        ValueError: percent is not between 0 and 100.
    """
    from scipy.special import bdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    share = _share_late(percent)
    low, high = late, max(2 * late, 1)
    while float(bdtr(late, high, share)) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if float(bdtr(late, middle, share)) <= 1 - confidence else (middle, high)
    return high


def tail(values: Sequence[float | None], limit: float, percent: float, confidence: float = 0.95) -> Tail:
    """Hold a percentile against its limit.

    Exact for independent requests. Where late ones come in bursts there are fewer independent ones than requests.

    Args:
        values: one for each request; None and NaN (not measured) are left out; inf is late.
        limit: a value that equals it is within.
        percent: 95 for p95.
        confidence: of the answer that `n_needed` would give.

    Raises:
        ValueError: percent is not between 0 and 100.
    """
    from scipy.special import bdtr, bdtrc  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    share = _share_late(percent)
    measured = [float(value) for value in values if value is not None and not math.isnan(value)]
    n, late = len(measured), sum(value > limit for value in measured)
    p_kept = float(bdtr(late, n, share)) if n else 1.0
    p_broken = float(bdtrc(late - 1, n, share)) if late else 1.0
    return Tail(n, late, p_kept, p_broken, _needed(n, late, share, confidence))


def _share_late(percent: float) -> float:
    if not 0 < percent < 100:
        raise ValueError(f"p{percent:g} is no percentile: between 0 and 100")
    # in percent, as 1 − 0.95 is not 0.05
    return (100 - percent) / 100


def _needed(n: int, late: int, share: float, confidence: float) -> int | None:
    """As many requests as decide, if the late ones go on coming as they did."""
    from scipy.special import bdtr, bdtrc  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    seen = late / n if n else 0.0
    if n and math.isclose(seen, share):
        return None

    def decides(requests: int) -> bool:
        if seen < share:
            return float(bdtr(math.ceil(seen * requests), requests, share)) <= 1 - confidence
        return float(bdtrc(math.floor(seen * requests) - 1, requests, share)) <= 1 - confidence

    high = 1
    while not decides(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high
