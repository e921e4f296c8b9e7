"""Could the signs of paired differences be chance? The sign-flip permutation test, exact or drawn, and on ranks.

Where nothing changed, each pair's difference might as well have the other sign (Fisher, The Design of Experiments,
1935, section 21). Nothing is assumed about the shape of the differences but their symmetry. On signed ranks it is
Wilcoxon's test, exact with ties, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_llmbench.stats.intervals import finite
from pytest_llmbench.stats.serial import midranks

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

_EXACT = 30
"""Differences of which all sign changes are counted, as two halves of 2^15 each."""
_SMALL = 50
"""Values on a side up to which all orders are counted."""
_DRAWN = 99_999
_MANY = 1_000
"""Differences from which the sum is normal for all purposes."""
_BATCH = 10_000
_ROUNDING = 1e-9


class OneSided(NamedTuple):
    """How often chance alone goes at least as far, in each direction."""

    below: float
    """Small where the values are surely below."""
    above: float

    @property
    def two_sided(self) -> float:
        """Twice the smaller one."""
        return min(1.0, 2 * min(self))


def sign_flip(differences: Sequence[float | None]) -> OneSided:
    """The paired permutation test of the sum of differences.

    Up to 30 of them all sign changes are counted; up to 1,000 there are 99,999 drawn ones, the same for the same
    differences in whatever order; above the normal distribution is used. Differences of 0 and missing ones count for
    nothing; of none both are 1.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    # in order of size, so that random signs and rounding do not depend on who finished first
    moved = sorted((each for each in finite(differences) if each), key=lambda each: (abs(each), each))
    if not moved:
        return OneSided(1.0, 1.0)
    sizes = np.abs(np.array(moved))
    observed, slack = math.fsum(moved), _ROUNDING * math.fsum(sizes)
    if len(moved) <= _EXACT:
        return _counted(sizes, observed, slack)
    if len(moved) <= _MANY:
        return _by_drawing(sizes, observed, slack)
    return _normal(observed, 0.0, math.sqrt(math.fsum(sizes**2)))


def signed_rank(differences: Sequence[float | None]) -> OneSided:
    """Wilcoxon's signed-rank test (Biometrics Bull. 1, 1945, p. 80), zeros after Pratt (J. Am. Stat. Assoc. 54, 1959).

    Exact up to 30 differences, with ties, too; above by the normal distribution with half a rank of correction.
    (SciPy's own turns to a slow permutation where there are ties.)
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    measured = np.array(finite(differences))
    ranks = (np.sign(measured) * midranks(np.abs(measured)))[measured != 0]
    if len(ranks) <= _EXACT:
        return sign_flip(ranks.tolist())
    return _normal(float(ranks.sum()), 1.0, math.sqrt(float(ranks @ ranks)))


def rank_sum(before: Sequence[float | None], after: Sequence[float | None]) -> OneSided:
    """Mann and Whitney's test (Ann. Math. Stat. 18, 1947, p. 50): are the later values below, or above?

    Exact without ties where both are at most 50; else by the normal distribution with correction for ties.
    """
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    one, other = finite(before), finite(after)
    distinct = len({*one, *other})
    if not one or not other or distinct == 1:
        return OneSided(1.0, 1.0)
    method = "exact" if distinct == len(one) + len(other) and max(len(one), len(other)) <= _SMALL else "asymptotic"
    below, above = (
        float(mannwhitneyu(other, one, alternative=side, method=method).pvalue) for side in ("less", "greater")
    )
    return OneSided(below, above)


def _counted(sizes: _Array, observed: float, slack: float) -> OneSided:
    """All sign changes, as pairs of one half's sums with the other's."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    half = len(sizes) // 2
    one, other = _sums(sizes[:half]), np.sort(_sums(sizes[half:]))
    below = int(np.searchsorted(other, observed + slack - one, "right").sum())
    at_least = len(one) * len(other) - int(np.searchsorted(other, observed - slack - one, "left").sum())
    total = len(one) * len(other)
    return OneSided(below / total, at_least / total)


def _sums(sizes: _Array) -> _Array:
    """With every choice of signs."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def _by_drawing(sizes: _Array, observed: float, slack: float) -> OneSided:
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    random, n = np.random.default_rng(0), len(sizes)
    below = above = 1
    for start in range(0, _DRAWN, _BATCH):
        draws = min(_BATCH, _DRAWN - start)
        bits = np.unpackbits(np.frombuffer(random.bytes(draws * (-(-n // 8))), np.uint8).reshape(draws, -1), axis=1)
        drawn = 2 * (bits[:, :n].astype(float) @ sizes) - sizes.sum()
        below += int((drawn <= observed + slack).sum())
        above += int((drawn >= observed - slack).sum())
    return OneSided(below / (_DRAWN + 1), above / (_DRAWN + 1))


def _normal(observed: float, correction: float, deviation: float) -> OneSided:
    from scipy.special import ndtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    return OneSided(float(ndtr((observed + correction) / deviation)), float(ndtr((correction - observed) / deviation)))
