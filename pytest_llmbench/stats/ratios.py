"""By which factor do two medians differ: times, rates of work, memory? A ratio is after / before.

What is measured in pairs right after each other shares the machine's mood, and is compared pair by pair.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from pytest_llmbench.stats.intervals import finite, ratio_interval
from pytest_llmbench.stats.paired import ALPHA, POWER
from pytest_llmbench.stats.permutation import rank_sum, signed_rank
from pytest_llmbench.stats.power import RatioStudy, smallest_effect

_FEWEST = 6
"""Below, a sample says too little of its median."""
_RESAMPLES = 4_000
_ROBUST = 1.4826
"""Standard deviations in a median absolute deviation of normal values."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Of two medians of positive quantities."""

    value: float | None
    """None: nothing was measured on one side."""
    low: float
    """95 % interval; 0: too few to bound it."""
    high: float
    n: int
    """Pairs (blocks, where there are); unpaired: values of both together."""
    p_above: float
    """One-sided: small where the true ratio is surely above `than`; 1 where nothing can be said."""
    p_below: float
    """One-sided: small where the true ratio is surely below `than`."""
    smallest_detectable: float | None
    """Ratio − 1 that as many as these find with the power asked for (80 % at 5 %); None: none would be found."""

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return min(1.0, 2 * min(self.p_above, self.p_below))


_NOTHING = Ratio(None, 0.0, math.inf, 0, 1.0, 1.0, None)


def paired_ratio(
    before: Sequence[float | None],
    after: Sequence[float | None],
    blocks: Sequence[Hashable] | None = None,
    *,
    than: float = 1.0,
    alpha: float = ALPHA,
    power: float = POWER,
    seed: int = 0,
) -> Ratio:
    """Of two interleaved series: Wilcoxon's signed-rank test of the logarithms, bootstrap of the ratio of medians.

    The interval is the percentile bootstrap over pairs (Efron & Tibshirani, chapter 13). With `blocks` each block is
    one pair, of its medians: repetition counts at the level where things vary (Kalibera & Jones, Rigorous Benchmarking
    in Reasonable Time, 2013).

    Args:
        before: positive; pairs in which one is None, NaN or not positive are left out.
        after: what was measured beside each.
        blocks: which pairs were measured on the same start of the server.
        than: the ratio that is tested: 1.1: is it more than 10 % slower?
        alpha: two-sided, for `smallest_detectable`.
        power: for `smallest_detectable`.
        seed: of the resamples.

    Raises:
        ValueError: not as many on both sides.
    """
    pairs = _by_block(_pairs(before, after), blocks)
    if not pairs:
        return _NOTHING
    changes = [math.log(new / old) for old, new in pairs]
    sides = signed_rank([_rounded(change - math.log(than)) for change in changes])
    value = _ratio([old for old, _ in pairs], [new for _, new in pairs])
    low, high = paired_ratio_interval(pairs, seed=seed)
    found = _detectable(RatioStudy(_scatter(changes), alpha=alpha), len(pairs), power)
    return Ratio(value, low, high, len(pairs), sides.above, sides.below, found)


def unpaired_ratio(
    before: Sequence[float | None],
    after: Sequence[float | None],
    *,
    than: float = 1.0,
    alpha: float = ALPHA,
    power: float = POWER,
    seed: int = 0,
) -> Ratio:
    """Of two series measured apart: Mann and Whitney's test, bootstrap of the ratio of medians (`ratio_interval`).

    Where a machine drifts from one to the other the test finds the drift: measure in pairs.

    Args:
        before: positive, in any order; None, NaN and what is not positive are left out.
        after: of the other condition.
        than: see `paired_ratio`.
        alpha: two-sided, for `smallest_detectable`.
        power: for `smallest_detectable`.
        seed: of the resamples.
    """
    one, other = (sorted(value for value in finite(side) if value > 0) for side in (before, after))
    if not one or not other:
        return _NOTHING
    sides = rank_sum(
        [_rounded(math.log(value * than)) for value in one], [_rounded(math.log(value)) for value in other]
    )
    interval = ratio_interval(other, one, resamples=_RESAMPLES, seed=seed)
    low, high = max(interval.low, 0.0), interval.high
    each = round(2 * len(one) * len(other) / (len(one) + len(other)))
    apart = [math.log(value / statistics.median(side)) for side in (one, other) for value in side]
    found = _detectable(RatioStudy(_scatter(apart), paired=False, alpha=alpha), each, power)
    return Ratio(_ratio(one, other), low, high, len(one) + len(other), sides.above, sides.below, found)


def _pairs(before: Sequence[float | None], after: Sequence[float | None]) -> list[tuple[float, float] | None]:
    """None: one of the two was not measured."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} values against {len(after)}: a paired comparison needs pairs")
    both = [finite(pair) for pair in zip(before, after, strict=True)]
    return [(pair[0], pair[1]) if len(pair) == 2 and min(pair) > 0 else None for pair in both]


def _by_block(pairs: list[tuple[float, float] | None], blocks: Sequence[Hashable] | None) -> list[tuple[float, float]]:
    """Sorted: what is drawn from them must not depend on who finished first."""
    measured: dict[Hashable, list[tuple[float, float]]] = {}
    for pair, block in zip(pairs, range(len(pairs)) if blocks is None else blocks, strict=True):
        if pair is not None:
            measured.setdefault(block, []).append(pair)
    return sorted(
        (statistics.median(old for old, _ in block), statistics.median(new for _, new in block))
        for block in measured.values()
    )


def _ratio(before: Sequence[float], after: Sequence[float]) -> float:
    return statistics.median(after) / statistics.median(before)


def _rounded(change: float) -> float:
    """Ratios that are equal but for the last bits are ties."""
    return round(change, 12)


def paired_ratio_interval(
    pairs: Sequence[tuple[float, float]], confidence: float = 0.95, *, seed: int = 0
) -> tuple[float, float]:
    """Of median(after) / median(before) over pairs (before, after): percentile bootstrap, pairs drawn together.

    Below six pairs 0 to inf. The pairs' order does not matter.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    if len(pairs) < _FEWEST:
        return 0.0, math.inf
    measured = np.array(sorted(pairs))
    drawn = np.random.default_rng(seed).integers(0, len(pairs), (_RESAMPLES, len(pairs)))
    before, after = (np.median(column[drawn], axis=1) for column in measured.T)
    low, high = np.quantile(after / before, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _detectable(study: RatioStudy, n: int, power: float) -> float | None:
    """None where too few, or none that differ, say nothing of the noise."""
    return smallest_effect(study, n, power) if n >= _FEWEST and study.deviation else None


def _scatter(changes: Sequence[float]) -> float:
    """Standard deviation of logarithms by their median absolute deviation: one stall must not hide what could be seen.

    Where more than half are the same it is the plain one.
    """
    middle = statistics.median(changes)
    robust = _ROBUST * statistics.median(abs(change - middle) for change in changes)
    return robust or (statistics.stdev(changes) if len(changes) > 1 else 0.0)
