"""Does a judge lean: to what it reads first, to length, to its own family?

Each answer is an estimate with its 95 % interval. A lean is shown where the interval leaves out the value that a judge
without one would have.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_llmbench.stats.intervals import finite, mean_interval, wilson
from pytest_llmbench.stats.paired import paired_binary
from pytest_llmbench.stats.serial import midranks
from pytest_llmbench.stats.weighted import Estimate

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_NORMAL = statistics.NormalDist().inv_cdf(0.975)
_FEWEST_PAIRS = 5
"""Below, a correlation has no interval worth the name."""
_FEWEST_ERRORS = 2
_PERFECT = 1 - 1e-12


def position_bias(first_preferred: int, n: int, same: float = 0.0) -> Estimate | None:
    """The share of verdicts for what stood first, with Wilson's interval; 0.5 without a lean.

    Both verdicts on a pair are worth one where they always name the same place: they correlate by 2 × `same` − 1, and
    Kish's design effect makes the interval wider. Where they correlate below 0, as those of good judges do, it stays.

    Args:
        first_preferred: verdicts for the first reply.
        n: verdicts for one or the other, without ties; each pair shown in both orders, so that the better reply is
            first as often as second.
        same: of the pairs with two such verdicts, the share of which both name the same place.

    Raises:
        ValueError: more were preferred than there are.
    """
    effect = 1 + max(0.0, 2 * same - 1)
    interval = wilson(first_preferred / effect, n / effect)
    return Estimate(first_preferred / n, interval.low, interval.high, n) if n else None


def length_bias(errors: Sequence[float | None], lengths: Sequence[float | None]) -> Estimate | None:
    """Spearman's correlation of a judge's error with the reply's length; 0 without a lean, above 0: it favours length.

    The interval is Bonett and Wright's (Psychometrika 65, 2000, p. 23).

    Args:
        errors: score − label, reply by reply; None where one is missing.
        lengths: of the replies, in characters, words or tokens.

    Returns:
        None of fewer than five replies, or where errors or lengths are all the same.

    Raises:
        ValueError: not as many lengths as errors.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    pairs = [both for each in zip(errors, lengths, strict=True) if len(both := finite(each)) == len(each)]
    n = len(pairs)
    if n < _FEWEST_PAIRS or any(len(set(column)) == 1 for column in zip(*pairs, strict=True)):
        return None
    off, long = (midranks(np.array(column, dtype=float)) for column in zip(*pairs, strict=True))
    value = _correlation(off, long)
    if abs(value) >= 1:
        return Estimate(math.copysign(1.0, value), *_at_the_end(value, n), n)
    half = _NORMAL * math.sqrt((1 + value**2 / 2) / (n - 3))
    middle = math.atanh(value)
    return Estimate(value, math.tanh(middle - half), math.tanh(middle + half), n)


def longer_preferred(judged: Sequence[bool | None], labelled: Sequence[bool | None]) -> Estimate | None:
    """How much more often the judge prefers the longer reply than the labels do; 0 without a lean, −1 to 1.

    The same pairs make it a paired difference, with Tango's interval (see `paired.paired_binary`).

    Args:
        judged: pair by pair, whether the judge preferred the longer; None: a tie, or replies of the same length.
        labelled: the same of the labels. Pairs with a tie in either are left out.

    Raises:
        ValueError: not as many labels as verdicts.
    """
    both = [(j, t) for j, t in zip(judged, labelled, strict=True) if j is not None and t is not None]
    if not both:
        return None
    found = paired_binary([judge for judge, _ in both], [label for _, label in both])
    return Estimate(found.difference, found.low, found.high, found.n)


def group_bias(own: Iterable[float | None], others: Iterable[float | None]) -> Estimate | None:
    """How much kinder a judge is to one group of replies (its own family) than to others; 0 without a lean.

    The difference of mean errors, so that a group that really is better does not count as favoured. The intervals of
    both means are joined by squaring and adding (Zou & Donner, Stat. Med. 27, 2008, p. 1693). Where all errors of a
    group are the same, at most z² / (n + z²) of its replies have another one, and that by at most 1.

    Args:
        own: score − label of the group's replies, −1 to 1; None where one is missing.
        others: of the other replies.

    Returns:
        `n` counts both; None where one group has fewer than two errors.
    """
    groups = [finite(own), finite(others)]
    if min(map(len, groups)) < _FEWEST_ERRORS:
        return None
    (mine, mine_low, mine_high), (their, their_low, their_high) = map(_mean, groups)
    value = mine - their
    low = value - math.hypot(mine - mine_low, their_high - their)
    high = value + math.hypot(mine_high - mine, their - their_low)
    return Estimate(value, low, high, sum(map(len, groups)))


def _mean(errors: list[float]) -> tuple[float, float, float]:
    mean, n = statistics.fmean(errors), len(errors)
    if len(set(errors)) == 1:
        half = _NORMAL**2 / (n + _NORMAL**2)
        return mean, mean - half, mean + half
    interval = mean_interval(errors)
    return mean, interval.low, interval.high


def _correlation(one: NDArray[float64], other: NDArray[float64]) -> float:
    one, other = one - one.mean(), other - other.mean()
    value = float(one @ other) / math.sqrt(float(one @ one) * float(other @ other))
    return value if abs(value) < _PERFECT else math.copysign(1.0, value)


def _at_the_end(value: float, n: int) -> tuple[float, float]:
    """Of a perfect correlation: the interval of the next weaker order, two neighbours swapped."""
    weaker = 1 - 12 / (n**3 - n)
    far = math.tanh(math.atanh(weaker) - _NORMAL * math.sqrt((1 + weaker**2 / 2) / (n - 3)))
    return (far, 1.0) if value > 0 else (-1.0, -far)
