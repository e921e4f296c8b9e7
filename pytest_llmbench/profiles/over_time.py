"""Did it change while it was measured? A trend with its interval, in words; shared by the long profiles."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench import stats

WORTH_SAYING = 0.05
"""A smaller change is no finding, however sure it is: nobody would act on it."""
_FEWEST = 5
"""Below, no trend can be significant at 5 %."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How a quantity changed from the beginning to the end of a window; shares of its median."""

    n: int
    change: float | None
    """By the Theil-Sen slope, not by two points; None where there are too few values."""
    low: float
    high: float
    p_value: float
    alpha: float

    @property
    def sure(self) -> bool:
        """Whether chance alone makes such a trend less often than `alpha`."""
        return self.change is not None and self.p_value < self.alpha

    @property
    def found(self) -> bool:
        """Whether it is sure and large enough to matter."""
        return self.sure and self.change is not None and abs(self.change) >= WORTH_SAYING

    def interval(self) -> str:
        """`+20 % (95 %: +17 to +23 %)`; the change alone where the interval has no end."""
        if self.change is None:
            return "not measured"
        told = f"{self.change * 100:+.0f} %"
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return told
        return f"{told} ({(1 - self.alpha) * 100:g} %: {self.low * 100:+.0f} to {self.high * 100:+.0f} %)"


def drift(times_s: Sequence[float], values: Sequence[float], alpha: float = 0.05) -> Drift:
    """The trend of `values`, as a share of their median over the whole window.

    Args:
        times_s: when each was measured.
        values: what was measured.
        alpha: how often a steady series may be called a drifting one; the interval's confidence is the rest to 1.
    """
    found = stats.trend(times_s, values, confidence=1 - alpha)
    if found.n < _FEWEST or found.change_share is None or found.slope_per_s is None:
        return Drift(found.n, None, -math.inf, math.inf, 1.0, alpha)
    span_s = max(times_s) - min(times_s)
    scale = span_s / abs(statistics.median(values))
    return Drift(found.n, found.change_share, found.low * scale, found.high * scale, found.p_value, alpha)
