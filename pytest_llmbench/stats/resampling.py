"""The bootstrap by which agreement is bounded: subjects drawn anew, two of them as if rated by chance.

A plain bootstrap calls ten agreements of ten certain: every resample agrees, too. Here each subject is, with a chance
of 2 in n + 2, replaced by one whose ratings are drawn independently of each other from all ratings there are. For
coefficients of agreement that is what Agresti and Coull's added successes and failures are for a share (Am. Stat. 52,
1998, p. 119). What it changes stands in docs/explanation/statistics.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

BY_CHANCE = 2.0
"""Subjects rated by chance that are mixed in."""
_RESAMPLES = 2000
_SEED = 0
_FEWEST_DEFINED = 0.5
"""Share of the resamples that must have a value; with fewer there is no interval."""


def redrawn(shares: _Array, n: int) -> _Array:
    """How often each kind of subject is drawn, resample by resample.

    Args:
        shares: of each kind; 1 in total.
        n: subjects of a resample.

    Returns:
        Resamples × kinds; the same for the same arguments.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    return np.random.default_rng(_SEED).multinomial(n, shares / shares.sum(), _RESAMPLES).astype(float)


def bounds(drawn: _Array, value: float) -> tuple[float | None, float | None]:
    """The 95 % percentile interval of the resamples' values, NaN left out; it holds the value itself.

    None where more than half of the resamples have no value.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    defined = drawn[np.isfinite(drawn)]
    if len(defined) < _FEWEST_DEFINED * len(drawn):
        return None, None
    low, high = np.quantile(defined, [0.025, 0.975])
    return min(float(low), value), max(float(high), value)
