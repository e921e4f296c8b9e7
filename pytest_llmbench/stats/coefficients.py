"""Coefficients of agreement of many resamples at once, from counts; NaN where one is not defined."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

Weights = Literal["linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]

_FEWEST_CATEGORIES = 2


def costs_of(size: int, weights: Weights | None) -> _Array:
    """What a disagreement costs, category by category."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    steps: _Array = np.abs(np.subtract.outer(np.arange(size, dtype=float), np.arange(size)))
    if weights is None:
        steps = np.minimum(steps, 1.0)
    return steps**2 if weights == "quadratic" else steps


def cohen_kappas(tables: _Array, costs: _Array) -> _Array:
    """Cohen's kappa of each table (resamples × categories × categories)."""
    n = tables.sum((1, 2))
    chance: _Array = tables.sum(2)[:, :, None] * tables.sum(1)[:, None, :] / n[:, None, None]
    return _one_minus((tables * costs).sum((1, 2)), (chance * costs).sum((1, 2)))


def fleiss_kappas(times: _Array, kinds: _Array) -> _Array:
    """Fleiss' kappa of each resample.

    Args:
        times: how often each kind of subject occurs (resamples × kinds).
        kinds: how often each category was given (× categories).
    """
    ratings = kinds.sum(1)
    differing = 1 - (kinds * (kinds - 1)).sum(1) / (ratings * (ratings - 1))
    n = times.sum(1)
    shares = times @ (kinds / ratings[:, None]) / n[:, None]
    return _one_minus(times @ differing / n, 1 - (shares**2).sum(1))


def krippendorff_alphas(times: _Array, kinds: _Array, level: Level, values: _Array | None) -> _Array:
    """Krippendorff's alpha of each resample, from sums over subjects and not over pairs of categories.

    Args:
        times: as for `fleiss_kappas`.
        kinds: the same; ratings of a subject may be more or fewer, but at least two.
        level: what a difference is worth.
        values: of the categories, for the level `interval`.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    ratings, given = kinds.sum(1), times @ kinds
    n = given.sum(1)
    if level == "nominal":
        within = times @ ((ratings**2 - (kinds**2).sum(1)) / (ratings - 1))
        between = n**2 - (given**2).sum(1)
    else:
        # An ordinal difference is one of midranks, which each resample has of its own.
        places = (
            np.cumsum(given, axis=1) - given / 2 if values is None else np.tile(values - values.mean(), (len(n), 1))
        )
        spread = ratings * (places**2 @ kinds.T) - (places @ kinds.T) ** 2
        within = 2 * (times * spread / (ratings - 1)).sum(1)
        between = 2 * (n * (given * places**2).sum(1) - (given * places).sum(1) ** 2)
    between[(given > 0).sum(1) < _FEWEST_CATEGORIES] = 0.0
    return _one_minus(within * (n - 1), between)


def _one_minus(observed: _Array, expected: _Array) -> _Array:
    """1 − observed / expected disagreement; NaN where none is expected."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    ratio = np.full(len(observed), math.nan)
    np.divide(observed, expected, out=ratio, where=expected > 0)
    return 1 - ratio
