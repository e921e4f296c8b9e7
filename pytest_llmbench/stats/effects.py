"""How large is a difference, beside how things scatter anyway?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from pytest_llmbench.stats.intervals import finite

Kind = Literal["d", "h", "delta", "common_language"]
Word = Literal["negligible", "small", "medium", "large"]

_STEPS: dict[Kind, tuple[float, float, float]] = {
    "d": (0.2, 0.5, 0.8),
    "h": (0.2, 0.5, 0.8),
    "delta": (0.147, 0.33, 0.474),
    "common_language": (0.06, 0.14, 0.21),
}
_WORDS: tuple[Word, ...] = ("negligible", "small", "medium", "large")
_FEWEST = 2


def cohen_d(before: Sequence[float | None], after: Sequence[float | None]) -> float | None:
    """Difference of means in pooled standard deviations (Cohen, Statistical Power Analysis, 2nd ed., 1988, eq. 2.5.1).

    Of paired values, too, so that effects of paired and unpaired comparisons mean the same. Positive: after is larger.

    Returns:
        None of fewer than two values on a side, or where nothing scatters.
    """
    one, other = finite(before), finite(after)
    if min(len(one), len(other)) < _FEWEST:
        return None
    scatter = (len(one) - 1) * statistics.variance(one) + (len(other) - 1) * statistics.variance(other)
    deviation = math.sqrt(scatter / (len(one) + len(other) - 2))
    return (statistics.fmean(other) - statistics.fmean(one)) / deviation if deviation else None


def cohen_h(before: float, after: float) -> float:
    """Difference of two shares on the arcsine scale, where it is equally hard to find everywhere (Cohen 1988, 6.2.1).

    Args:
        before: 0 to 1.
        after: 0 to 1; the larger it is, the more positive the effect.

    Raises:
        ValueError: not a share.
    """
    if not (0 <= before <= 1 and 0 <= after <= 1):
        raise ValueError(f"shares are from 0 to 1, not {before} and {after}")
    return 2 * math.asin(math.sqrt(after)) - 2 * math.asin(math.sqrt(before))


def cliffs_delta(before: Sequence[float | None], after: Sequence[float | None]) -> float | None:
    """P(after > before) − P(after < before) over all pairs (Cliff, Psychol. Bull. 114, 1993, p. 494); −1 to 1.

    Returns:
        None where one side has no values.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    one, other = np.sort(finite(before)), np.array(finite(after))
    if not len(one) or not len(other):
        return None
    below, up_to = np.searchsorted(one, other, "left"), np.searchsorted(one, other, "right")
    return float((below + up_to - len(one)).sum()) / (len(one) * len(other))


def common_language(before: Sequence[float | None], after: Sequence[float | None]) -> float | None:
    """The chance that a value from after is the larger one, ties counted half; 0.5: no difference.

    McGraw and Wong's common-language effect without their normal distribution: the A of Vargha and Delaney (J. Educ.
    Behav. Stat. 25, 2000, p. 101).
    """
    delta = cliffs_delta(before, after)
    return None if delta is None else (1 + delta) / 2


def word_of(effect: float | None, kind: Kind = "d") -> Word | None:
    """The effect in a word; None where there is none.

    The steps are conventions: for d and h Cohen's (1988, 2.2.3 and 6.2.3), for Cliff's delta those of Romano et al.
    (2006), for the common language those of Vargha and Delaney (2000).
    """
    if effect is None or math.isnan(effect):
        return None
    size = abs(effect - 0.5) if kind == "common_language" else abs(effect)
    return _WORDS[sum(size >= step - 1e-12 for step in _STEPS[kind])]
