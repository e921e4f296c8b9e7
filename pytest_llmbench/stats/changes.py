"""Where did it change? One step in the level of a series."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmbench.stats.serial import effective_n, midranks, widening

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

_SMALL = 100
"""Up to so many values the distribution is drawn by permutation: Pettitt's formula is too timid for few."""
_PERMUTATIONS = 4999


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A step in the level of a series."""

    index: int
    """The first value after the step, counted in the series as it was given."""
    p_value: float
    before: float
    """Median before the step."""
    after: float
    """Median from the step on."""


def change_point(values: Sequence[float | None], alpha: float = 0.05) -> ChangePoint | None:
    """The most likely step, where chance alone makes one as clear less often than `alpha`.

    Pettitt's rank test (Applied Statistics 28, 1979, p. 126), which needs no distribution and is not led astray by
    outliers. Up to 100 values the p-value comes from 4,999 fixed permutations, above from Pettitt's formula. Serial
    correlation within the two parts is taken into account as in `trend`; a plain slope leaves so much of it in them
    that it is mostly not called a step. The place is exact for a high step only: a low one is found some values off.

    Args:
        values: in order of time; None, NaN and infinities are left out.
        alpha: how often a series without a step may be given one.

    Returns:
        None where there is no step that is clear enough, or there are fewer than 4 values.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    where = [index for index, value in enumerate(values) if value is not None and math.isfinite(value)]
    measured = np.array([values[index] for index in where], dtype=float)
    n = len(measured)
    if n < 4:
        return None
    ranks = midranks(measured)
    excess = _excess(ranks)
    split = int(excess.argmax()) + 1
    apart = np.concatenate([ranks[:split] - np.median(ranks[:split]), ranks[split:] - np.median(ranks[split:])])
    p_value = _p_value(float(excess[split - 1]) / widening(n, effective_n(apart), 0.95), n)
    if p_value > alpha:
        return None
    return ChangePoint(where[split], p_value, float(np.median(measured[:split])), float(np.median(measured[split:])))


def _excess(ranks: _Array) -> _Array:
    """|U| for a step after 1, 2, ... n − 1 values; along the last axis."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    n = ranks.shape[-1]
    counts = np.arange(1, n)
    excess: _Array = np.abs(2 * np.cumsum(ranks, axis=-1)[..., :-1] - counts * (n + 1))
    return excess


def _p_value(largest: float, n: int) -> float:
    if n > _SMALL:
        return min(1.0, 2 * math.exp(-6 * largest**2 / (n**3 + n**2)))
    drawn = _drawn(n)
    return (1 + int((drawn >= largest - 1e-9).sum())) / (1 + len(drawn))


@functools.lru_cache(maxsize=8)
def _drawn(n: int) -> _Array:
    """The statistic of series without a step."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    order = np.random.default_rng(0).random((_PERMUTATIONS, n)).argsort(axis=1)
    largest: _Array = _excess(order.astype(np.float64) + 1).max(axis=1)
    return largest
