"""Do raters agree, beyond what chance alone would give? Judges with people, and judges with each other.

All coefficients are 1 where raters always agree, 0 where they agree as often as chance would have it, and below 0 where
they agree less often. Where only one category was ever given chance alone agrees always, and no coefficient is defined:
the answer is None, and neither 0 nor 1. Missing ratings are None or NaN. Intervals: see `resampling`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmbench.stats.coefficients import (
    Level,
    Weights,
    cohen_kappas,
    costs_of,
    fleiss_kappas,
    krippendorff_alphas,
)
from pytest_llmbench.stats.intervals import wilson
from pytest_llmbench.stats.resampling import BY_CHANCE, bounds, redrawn
from pytest_llmbench.stats.weighted import Estimate

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

Pair = tuple[Hashable, Hashable]
"""What two raters gave the same subject."""

_FEWEST = 2
"""Subjects, and ratings of a subject, from which agreement can be told."""
_MOST_PAIRED = 20
"""Categories of which all pairs are formed by chance; of more, pairs are drawn."""
_DRAWN_PAIRS = 400


@dataclass(frozen=True, slots=True)
class ConstantBaseline:
    """What a judge reaches who always says the same."""

    label: Hashable
    """The most frequent one; the first of several."""
    agreement: float
    """0 to 1."""
    n: int


def constant_baseline(labels: Iterable[Hashable]) -> ConstantBaseline | None:
    """The best agreement with these labels that needs no look at the replies; None of none.

    A judge that agrees less often has shown nothing, however high its agreement is.
    """
    counts = Counter(label for label in labels if not is_missing(label))
    if not counts:
        return None
    (label, count), n = counts.most_common(1)[0], counts.total()
    return ConstantBaseline(label, count / n, n)


def observed_agreement(pairs: Iterable[Pair]) -> Estimate | None:
    """The share of subjects to whom both raters gave the same, with Wilson's interval; None of none."""
    rated = _complete(pairs)
    if not rated:
        return None
    same = sum(one == other for one, other in rated)
    interval = wilson(same, len(rated))
    return Estimate(same / len(rated), interval.low, interval.high, len(rated))


def cohen(
    pairs: Iterable[Pair], weights: Weights | None = None, *, categories: Sequence[Hashable] | None = None
) -> Estimate | None:
    """Cohen's kappa of two raters (Educ. Psychol. Meas. 20, 1960, p. 37; weighted: Psychol. Bull. 70, 1968, p. 213).

    Args:
        pairs: one for each subject; those with a missing rating are left out.
        weights: None: a disagreement is a disagreement; `linear` or `quadratic`: it counts by how many steps of the
            scale, or their square, it spans.
        categories: the whole scale in its order. Without, the grades that were given, as numbers: a grade between them
            that nobody gave is then no step.

    Returns:
        None where it is not defined: fewer than two subjects, or a single category.

    Raises:
        ValueError: weights for labels that are no numbers, without their order; a rating that is no category.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    rated = _complete(pairs)
    scale = _scale([each for pair in rated for each in pair], categories, ordered=weights is not None)
    n, size = len(rated), len(scale)
    if n < _FEWEST or len({each for pair in rated for each in pair}) < _FEWEST:
        return None
    table = np.zeros((size, size))
    for one, other in rated:
        table[scale[one], scale[other]] += 1
    costs = costs_of(size, weights)
    value = float(cohen_kappas(table[None], costs)[0])
    pooled = (table.sum(0) + table.sum(1)) / (2 * n)
    mixed = table + BY_CHANCE * np.outer(pooled, pooled)
    drawn = cohen_kappas(redrawn(mixed.reshape(-1) / (n + BY_CHANCE), n).reshape(-1, size, size), costs)
    return Estimate(value, *bounds(drawn, value), n)


def fleiss(table: Sequence[Sequence[int]]) -> Estimate | None:
    """Fleiss' kappa of several raters (Psychol. Bull. 76, 1971, p. 378).

    Args:
        table: subjects × categories: how many raters gave this subject this category. As many raters for every subject.

    Returns:
        None where it is not defined: fewer than two subjects or raters, or a single category.

    Raises:
        ValueError: not as many ratings of every subject.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    raters = {sum(row) for row in table}
    if len(raters) > 1:
        raise ValueError(
            f"{min(raters)} to {max(raters)} ratings a subject: Fleiss' kappa needs as many of each, "
            "Krippendorff's alpha does not"
        )
    if len(table) < _FEWEST or raters.pop() < _FEWEST:
        return None
    return _bounded(np.array(table, dtype=float), fleiss_kappas)


def krippendorff(
    units: Iterable[Sequence[Any]], level: Level = "nominal", *, categories: Sequence[Hashable] | None = None
) -> Estimate | None:
    """Krippendorff's alpha of several raters, where ratings may be missing (Content Analysis, 2004, chapter 11).

    Args:
        units: one for each subject: its ratings, in any order. Those with fewer than two ratings are left out.
        level: what a difference is worth: `nominal` all the same; `ordinal` by how many ratings lie between; `interval`
            by the square of the difference of the numbers.
        categories: their order, for `ordinal` ratings that are no numbers.

    Returns:
        None where it is not defined: fewer than two subjects with two ratings, or a single category.

    Raises:
        ValueError: ordinal or interval ratings that are no numbers, without their order; a rating that is no category.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    present = [[rating for rating in unit if not is_missing(rating)] for unit in units]
    rated = [unit for unit in present if len(unit) >= _FEWEST]
    given = [rating for unit in rated for rating in unit]
    if level == "interval" and not all(isinstance(rating, int | float) for rating in given):
        raise ValueError("differences of labels have no size: rate with numbers, or take level 'ordinal'")
    scale = _scale(given, categories, ordered=level != "nominal")
    if len(rated) < _FEWEST:
        return None
    rows = np.zeros((len(rated), len(scale)))
    for row, unit in zip(rows, rated, strict=True):
        for rating in unit:
            row[scale[rating]] += 1
    positions = np.array([float(each) for each in scale]) if level == "interval" else None
    return _bounded(rows, lambda times, kinds: krippendorff_alphas(times, kinds, level, positions))


def is_missing(rating: Any) -> bool:
    """Whether a rater gave nothing: None or NaN."""
    return rating is None or (isinstance(rating, float) and math.isnan(rating))


def _complete(pairs: Iterable[Pair]) -> list[Pair]:
    return [pair for pair in pairs if not any(map(is_missing, pair))]


def _scale(given: Sequence[Any], categories: Sequence[Hashable] | None, *, ordered: bool) -> dict[Any, int]:
    """Where each category stands."""
    if categories is not None:
        if strangers := set(given) - set(categories):
            raise ValueError(f"{sorted(map(repr, strangers))[0]} is none of the categories {list(categories)}")
        return {category: at for at, category in enumerate(categories)}
    distinct = list(dict.fromkeys(given))
    if ordered:
        if not all(isinstance(each, int | float) for each in distinct):
            raise ValueError("labels that are no numbers have no order of their own: give their categories in order")
        distinct.sort()
    return {category: at for at, category in enumerate(distinct)}


def _bounded(rows: _Array, coefficient: Callable[[_Array, _Array], _Array]) -> Estimate | None:
    """A coefficient that comes from sums over subjects, with its interval.

    Args:
        rows: subjects × categories: how often each was given.
        coefficient: of how often each kind of subject occurs (resamples × kinds), and the kinds (× categories).
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    n = len(rows)
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    value = float(coefficient(counts[None].astype(float), kinds)[0])
    if not math.isfinite(value):
        return None
    by_chance, shares = _by_chance(rows.sum(0))
    mixed = np.concatenate([counts, BY_CHANCE * shares]) / (n + BY_CHANCE)
    drawn = coefficient(redrawn(mixed, n), np.concatenate([kinds, by_chance]))
    return Estimate(value, *bounds(drawn, value), n)


def _by_chance(given: _Array) -> tuple[_Array, _Array]:
    """Subjects with two independent ratings, and the share of each kind of them.

    Args:
        given: how often each category was.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    size, shares = len(given), given / given.sum()
    one_each = np.eye(size)
    if size <= _MOST_PAIRED:
        pairs = (one_each[:, None] + one_each[None]).reshape(-1, size)
        return pairs, np.outer(shares, shares).reshape(-1)
    drawn = np.random.default_rng(0).choice(size, (2, _DRAWN_PAIRS), p=shares)
    return one_each[drawn[0]] + one_each[drawn[1]], np.full(_DRAWN_PAIRS, 1 / _DRAWN_PAIRS)
