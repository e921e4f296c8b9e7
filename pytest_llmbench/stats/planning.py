"""How many repetitions are enough: the stop rule of a load."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.errors import UsageError
from pytest_llmbench.stats.intervals import finite, percentile_interval


@dataclass(frozen=True, slots=True)
class StopRule:
    """Measure until the median is known well enough, or as often or as long as is allowed.

    Looking after every value and stopping when the interval happens to be narrow makes it cover a little less often
    than it says; `min_n` keeps that small (93 to 98 % of the time with the defaults, benchmarks/false_alarms.py).

    Raises:
        UsageError: a number is out of its range.
    """

    min_n: int = 10
    """Never fewer, unless the time is up. Below 6 the median has no 95 % interval at all."""
    max_n: int = 100
    relative_width: float = 0.1
    """Enough when the 95 % interval of the median, high − low, is no wider than this share of the median."""
    cap_s: float = math.inf
    """Seconds after which it stops whatever was reached."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_n <= self.max_n:
            raise UsageError(
                f"a stop rule needs 1 <= min_n <= max_n, not {self.min_n} and {self.max_n}",
                hint="give the fewest repetitions first, then the most",
            )
        if not (self.relative_width > 0 and self.cap_s > 0):
            raise UsageError(
                f"a stop rule needs a relative width and a cap above 0, not {self.relative_width} and {self.cap_s}",
                hint="0.1 is an interval as wide as a tenth of the median",
            )

    def reason(self, values: Sequence[float], elapsed_s: float) -> str:
        """Why to stop, in words; "" says go on.

        Args:
            values: what was measured so far; what is not finite is not counted.
            elapsed_s: seconds since the measurement began.
        """
        measured = finite(values)
        n, width = len(measured), relative_width(measured)
        reached = f"the 95 % interval of the median is {_percent(width)} of it wide"
        if math.isinf(width):
            reached = "too few for an interval of the median"
        if n >= self.min_n and width <= self.relative_width:
            return f"{reached} after {n} repetitions, {_percent(self.relative_width)} were asked for"
        if n >= self.max_n:
            return f"all {n} repetitions were made; {reached}, {_percent(self.relative_width)} were asked for"
        if elapsed_s >= self.cap_s:
            return f"the time of {self.cap_s:g} s was up after {n} repetitions; {reached}{self._missing(measured)}"
        return ""

    def _missing(self, measured: Sequence[float]) -> str:
        needed = repetitions_for(measured, self.relative_width)
        return f"; some {needed} repetitions would give {_percent(self.relative_width)}" if needed else ""


def relative_width(values: Sequence[float]) -> float:
    """Width of the median's 95 % interval as a share of the median; inf where the values are too few, or it is 0."""
    interval = percentile_interval(values, 50)
    width = interval.high - interval.low
    if width == 0:
        return 0.0
    middle = abs(statistics.median(values)) if math.isfinite(width) else 0.0
    return width / middle if middle else math.inf


def repetitions_for(values: Sequence[float], width: float) -> int | None:
    """About how many repetitions like these give an interval of this relative width; None where nothing can be said.

    An interval's width goes with 1 / √n.
    """
    times_too_wide = max(1.0, relative_width(values) / width)
    return math.ceil(len(values) * times_too_wide**2) if times_too_wide < _HOPELESS else None


_HOPELESS = 1000.0
"""A million times as many repetitions are no advice."""


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
