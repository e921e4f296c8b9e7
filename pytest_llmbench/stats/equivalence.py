"""Is B no worse than A by more than a margin (non-inferior), or within it on both sides (equivalent)?

That no difference was found shows neither: a small sample finds none. Two one-sided tests do (Schuirmann, J.
Pharmacokinet. Biopharm. 15, 1987, p. 657): their hypothesis is the margin, and small p-values speak for equivalence.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pytest_llmbench.stats.differences import (
    Difference,
    paired_rates,
    paired_values,
    unpaired_rates,
    unpaired_values,
)
from pytest_llmbench.stats.intervals import finite
from pytest_llmbench.stats.paired import tango_score
from pytest_llmbench.stats.ratios import Ratio, paired_ratio, unpaired_ratio

Kind = Literal["rate", "mean", "ratio"]
Values = Sequence[float | None]
ALPHA = 0.025
"""One-sided; so that the 95 % interval lies within the margin where it is shown."""
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Whether a change is within its margin."""

    shown: bool
    """False: not shown, which is no proof of a difference."""
    p_value: float
    """The larger one of the tests that were made; 1 where nothing can be said."""
    value: float | None
    """After − before; ratios: after / before."""
    low: float
    """95 % interval of `value`."""
    high: float
    n: int


class _Sides(NamedTuple):
    before: Values
    after: Values
    kind: Kind
    paired: bool


class _Bounds(NamedTuple):
    """Against one bound each: small where the truth is surely above the lower one, or below the upper one."""

    above_low: float
    below_high: float


def non_inferior(
    before: Values,
    after: Values,
    margin: float,
    *,
    kind: Kind = "mean",
    paired: bool = True,
    higher_is_better: bool = True,
    alpha: float = ALPHA,
) -> Equivalence:
    """Whether after is not worse than before by the margin.

    Rates: Tango's score test of pairs (Stat. Med. 17, 1998), Farrington and Manning's of different samples (Stat. Med.
    9, 1990, p. 1447). Means: Student's t, Welch's. Ratios: ranks of the logarithms (see `ratios`).

    Args:
        before: verdicts, scores, or positive quantities; None is left out (of pairs with its partner).
        after: of the other condition; paired: in the same order.
        margin: above 0: a difference (0.03 = 3 points), or of ratios a share (0.1 = 10 %).
        kind: what is compared.
        paired: the same samples, or measured beside each other.
        higher_is_better: which direction is worse.
        alpha: one-sided.

    Raises:
        ValueError: the margin is not above 0 (a ratio's: not below 1), or pairs are not as many on both sides.
    """
    sides = _Sides(before, after, kind, paired)
    bounds = _tested(sides, *_limits(margin, kind, symmetric=False))
    return _told(sides, bounds.above_low if higher_is_better else bounds.below_high, alpha)


def equivalent(
    before: Values, after: Values, margin: float, *, kind: Kind = "mean", paired: bool = True, alpha: float = ALPHA
) -> Equivalence:
    """Whether after differs from before by less than the margin in either direction: TOST, tests as `non_inferior`.

    Args:
        before: see `non_inferior`.
        after: see `non_inferior`.
        margin: see `non_inferior`; a ratio lies between 1 / (1 + margin) and 1 + margin.
        kind: see `non_inferior`.
        paired: see `non_inferior`.
        alpha: of each of the two tests.

    Raises:
        ValueError: see `non_inferior`.
    """
    sides = _Sides(before, after, kind, paired)
    return _told(sides, max(_tested(sides, *_limits(margin, kind, symmetric=True))), alpha)


def _limits(margin: float, kind: Kind, *, symmetric: bool) -> tuple[float, float]:
    if not margin > 0 or (kind == "ratio" and margin >= 1):
        raise ValueError(f"a margin is above 0, and of a ratio below 1, not {margin:g}: 0.1 is 10 %")
    if kind == "ratio":
        return 1 / (1 + margin) if symmetric else 1 - margin, 1 + margin
    return -margin, margin


def _told(sides: _Sides, p_value: float, alpha: float) -> Equivalence:
    found = _compared(sides)
    return Equivalence(p_value < alpha, p_value, found.value, found.low, found.high, found.n)


def _compared(sides: _Sides) -> Difference | Ratio:
    before, after, kind, paired = sides
    if kind == "ratio":
        return paired_ratio(before, after) if paired else unpaired_ratio(before, after)
    if kind == "rate":
        return paired_rates(before, after) if paired else unpaired_rates(before, after)
    return paired_values(before, after) if paired else unpaired_values(before, after)


def _tested(sides: _Sides, low: float, high: float) -> _Bounds:
    before, after, kind, paired = sides
    if kind == "ratio":
        compare = paired_ratio if paired else unpaired_ratio
        return _Bounds(compare(before, after, than=low).p_above, compare(before, after, than=high).p_below)
    if kind == "rate":
        return _of_pairs(before, after, low, high) if paired else _of_rates(before, after, low, high)
    return _by_student(_of_differences(before, after) if paired else _of_means(before, after), low, high)


def _of_pairs(before: Values, after: Values, low: float, high: float) -> _Bounds:
    both = [pair for each in zip(before, after, strict=True) if len(pair := finite(each)) == 2]
    if not both:
        return _Bounds(1.0, 1.0)
    gained, lost = sum(new > old for old, new in both), sum(new < old for old, new in both)
    return _by_normal(tango_score(gained, lost, len(both), low), tango_score(gained, lost, len(both), high))


def _of_rates(before: Values, after: Values, low: float, high: float) -> _Bounds:
    one, other = finite(before), finite(after)
    if not one or not other:
        return _Bounds(1.0, 1.0)
    counts = round(math.fsum(other)), len(other), round(math.fsum(one)), len(one)
    return _by_normal(farrington_manning(*counts, low), farrington_manning(*counts, high))


def farrington_manning(passed_b: int, n_b: int, passed_a: int, n_a: int, difference: float) -> float:
    """Standardized distance of the observed difference b − a from a supposed one (Stat. Med. 9, 1990, p. 1447).

    The variance is that of the rates which are likeliest under it: the root of their equation, in closed form.

    Args:
        passed_b: of the condition whose rate comes first.
        n_b: its samples.
        passed_a: of the other.
        n_a: its samples.
        difference: the supposed one, −1 to 1.
    """
    share_b, share_a, theta = passed_b / n_b, passed_a / n_a, n_a / n_b
    a = 1 + theta
    b = -(1 + theta + share_b + theta * share_a + difference * (theta + 2))
    c = difference**2 + difference * (2 * share_b + theta + 1) + share_b + theta * share_a
    d = -share_b * difference * (1 + difference)
    v = b**3 / (27 * a**3) - b * c / (6 * a**2) + d / (2 * a)
    u = math.copysign(math.sqrt(max(b**2 / (9 * a**2) - c / (3 * a), 0.0)), v)
    angle = (math.pi + math.acos(min(1.0, max(-1.0, v / u**3 if u else 0.0)))) / 3
    likely_b = min(1.0, max(0.0, 2 * u * math.cos(angle) - b / (3 * a)))
    likely_a = min(1.0, max(0.0, likely_b - difference))
    variance = likely_b * (1 - likely_b) / n_b + likely_a * (1 - likely_a) / n_a
    return (share_b - share_a - difference) / math.sqrt(max(variance, 1e-12))


def _of_differences(before: Values, after: Values) -> tuple[float, float, float]:
    """Mean, its standard error, degrees of freedom; 0 of them: nothing can be said."""
    moved = [pair[1] - pair[0] for each in zip(before, after, strict=True) if len(pair := finite(each)) == 2]
    if len(moved) < _FEWEST:
        return 0.0, 0.0, 0.0
    return statistics.fmean(moved), statistics.stdev(moved) / math.sqrt(len(moved)), len(moved) - 1


def _of_means(before: Values, after: Values) -> tuple[float, float, float]:
    one, other = finite(before), finite(after)
    if min(len(one), len(other)) < _FEWEST:
        return 0.0, 0.0, 0.0
    first, second = (statistics.variance(side) / len(side) for side in (one, other))
    parts = first**2 / (len(one) - 1) + second**2 / (len(other) - 1)
    freedom = (first + second) ** 2 / parts if parts else 0.0
    return statistics.fmean(other) - statistics.fmean(one), math.sqrt(first + second), freedom


def _by_student(estimate: tuple[float, float, float], low: float, high: float) -> _Bounds:
    from scipy.special import stdtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    value, error, freedom = estimate
    if not freedom or not error:
        return _Bounds(1.0, 1.0)
    return _Bounds(float(stdtr(freedom, (low - value) / error)), float(stdtr(freedom, (value - high) / error)))


def _by_normal(from_low: float, from_high: float) -> _Bounds:
    from scipy.special import ndtr  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    return _Bounds(float(ndtr(-from_low)), float(ndtr(from_high)))
