"""Who is preferred to whom? Strengths behind comparisons of two."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

Preferred = Literal["a", "b", "tie"]
Comparison = tuple[str, str, Preferred]
"""The names of a and b, and which was preferred."""

RIDGE = 0.01
"""Weight of the pull towards the average, as if strengths were drawn with a standard deviation of 10.

Without it a model that won (or lost) every comparison would be infinitely strong (or weak)."""
_WORTH = {"a": 1.0, "b": 0.0, "tie": 0.5}
_SAME = 1e-6
"""Strengths this near to each other differ by how the fit ended."""
_NORMAL = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Strength:
    """One model's strength among those it was compared with."""

    name: str
    strength: float
    """Natural logarithm of the odds against the average of its group: log 3 ahead of another is preferred 3 : 1."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    rank: int
    """From 1, within its group; the same of equal strengths."""
    group: int
    """From 0. Models of different groups were never compared, not even through others: their order is unknown."""
    won: float
    """Comparisons won; a tie is half a win."""
    n: int
    """Comparisons it took part in."""


def bradley_terry(comparisons: Iterable[Comparison], ridge: float = RIDGE) -> list[Strength]:
    """Strengths by the model of Bradley and Terry (Biometrika 39, 1952, p. 324), the strongest of each group first.

    A tie counts as half a win of both. The likelihood is that of Hunter (Ann. Stat. 32, 2004, p. 384), with a small
    ridge; the intervals, of strengths against the group's average, come from the observed information. Comparisons are
    taken for independent: those of many models on one sample are not quite.

    Args:
        comparisons: in any order; of a model with itself nothing is learnt.
        ridge: above 0.

    Raises:
        ValueError: the ridge is not above 0.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    if ridge <= 0:
        raise ValueError(f"a ridge of {ridge} leaves a model that always won without a strength: take {RIDGE}")
    names, wins = _table(comparisons)
    ranked: list[Strength] = []
    for number, members in enumerate(_groups(wins)):
        among = wins[np.ix_(members, members)]
        fitted, errors = _fitted(among, ridge)
        strengths = fitted.tolist()
        rows = zip(members, strengths, errors.tolist(), strict=True)
        best_first = sorted(rows, key=lambda row: -row[1])
        ranked += [
            Strength(
                names[at],
                value,
                value - _NORMAL * error,
                value + _NORMAL * error,
                1 + sum(other > value + _SAME for other in strengths),
                number,
                float(wins[at].sum()),
                round(float(wins[at].sum() + wins[:, at].sum())),
            )
            for at, value, error in best_first
        ]
    return ranked


def _table(comparisons: Iterable[Comparison]) -> tuple[list[str], _Array]:
    """The names in order of appearance, and how often each won against each."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    usable = [each for each in comparisons if each[0] != each[1]]
    names = list(dict.fromkeys(name for a, b, _ in usable for name in (a, b)))
    place = {name: at for at, name in enumerate(names)}
    wins = np.zeros((len(names), len(names)))
    for a, b, preferred in usable:
        wins[place[a], place[b]] += _WORTH[preferred]
        wins[place[b], place[a]] += 1 - _WORTH[preferred]
    return names, wins


def _groups(wins: _Array) -> list[list[int]]:
    """Who was compared with whom, directly or through others."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - SciPy is slow to import

    if not len(wins):
        return []
    count, label = connected_components(wins + wins.T, directed=False)
    return [np.flatnonzero(label == number).tolist() for number in range(count)]


def _fitted(wins: _Array, ridge: float) -> tuple[_Array, _Array]:
    """Strengths with a mean of 0, and their standard errors."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it
    from scipy.optimize import minimize  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    size = len(wins)
    loss, slope, curvature = _likelihood(wins, ridge)
    fit = minimize(loss, np.zeros(size), jac=slope, hess=curvature, method="trust-exact", options={"gtol": 1e-8})
    strengths: _Array = fit.x - fit.x.mean()
    centred = np.eye(size) - 1 / size
    spread = centred @ np.linalg.inv(curvature(strengths)) @ centred
    return strengths, np.sqrt(np.maximum(np.diagonal(spread), 0.0))


_OfStrengths = Callable[["_Array"], "_Array"]


def _likelihood(wins: _Array, ridge: float) -> tuple[Callable[[_Array], float], _OfStrengths, _OfStrengths]:
    """The negative logarithm with its ridge, its gradient and its Hessian, as functions of the strengths."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it
    from scipy.special import expit, log_expit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    played = wins + wins.T

    def loss(x: _Array) -> float:
        return float(ridge * (x @ x) / 2 - (wins * log_expit(np.subtract.outer(x, x))).sum())

    def slope(x: _Array) -> _Array:
        gradient: _Array = (played * expit(np.subtract.outer(x, x))).sum(1) - wins.sum(1) + ridge * x
        return gradient

    def curvature(x: _Array) -> _Array:
        ahead = np.subtract.outer(x, x)
        certain: _Array = played * expit(ahead) * expit(-ahead)
        hessian: _Array = np.diag(certain.sum(1) + ridge) - certain
        return hessian

    return loss, slope, curvature
