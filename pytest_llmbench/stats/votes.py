"""How many independent votes is a panel of judges worth?

Judges that err on the same samples confirm each other's errors. With a mean correlation r of their errors, n votes are
worth n / (1 + (n − 1) r): Kish's design effect (Survey Sampling, 1965, section 5.4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmbench.stats.agreement import is_missing
from pytest_llmbench.stats.resampling import BY_CHANCE, bounds, redrawn

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    _Array = NDArray[float64]

_FEWEST_JUDGES = 2
_FEWEST_SAMPLES = 3
_FEWEST_VOTERS = 5
"""Of fewer, never two are outvoted together, and their errors cannot be seen to go together."""
_NO_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class EffectiveVotes:
    """Independent votes that a panel is worth."""

    votes: float
    """1 to `judges`."""
    low: float | None
    """Lower end of the 95 % interval; None: too few errors to bound it."""
    high: float | None
    correlation: float
    """Mean over all pairs of judges; what is below 0 counts as 0 for the votes."""
    judges: int
    n: int
    """Samples that all judges judged."""


def effective_votes(errors: Iterable[Sequence[float | None]]) -> EffectiveVotes | None:
    """Of a panel whose errors are known.

    Args:
        errors: samples × judges: how far each was off, or 1 and 0 for wrong and right; None where a judge was silent.
            Samples with a silent judge are left out.

    Returns:
        None where nothing correlates: fewer than two judges or three samples, or a judge whose error is always the same
        (who never errs, for one).

    Raises:
        ValueError: not as many judges for every sample.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    rows = _complete(errors)
    if len(rows) < _FEWEST_SAMPLES or len(rows[0]) < _FEWEST_JUDGES:
        return None
    measured = np.array(rows, dtype=float)
    if (np.ptp(measured, axis=0) == 0).any():
        return None
    n, judges = measured.shape
    kinds, counts = np.unique((measured - measured.mean(0)) / measured.std(0), axis=0, return_counts=True)
    correlation = float(_mean_correlations(counts[None].astype(float), kinds)[0])
    doubtful, shares = _in_doubt(kinds)
    mixed = np.concatenate([counts, BY_CHANCE * shares]) / (n + BY_CHANCE)
    drawn = _votes(_mean_correlations(redrawn(mixed, n), np.concatenate([kinds, doubtful])), judges)
    votes = float(_votes(np.array([correlation]), judges)[0])
    return EffectiveVotes(votes, *bounds(drawn, votes), correlation, judges, n)


def effective_votes_without_truth(verdicts: Iterable[Sequence[Hashable]]) -> EffectiveVotes | None:
    """Of a panel of which only its own verdicts are known: at most so many.

    An error is to be outvoted by the others. Errors that most of the panel share cannot be seen so, hence "at most";
    and of fewer than five judges never two are outvoted together, so there is no answer.

    Args:
        verdicts: samples × judges; None where a judge was silent. Samples on which one was, or on which the panel is
            split evenly, are left out.
    """
    rows = _complete(verdicts)
    if not rows or len(rows[0]) < _FEWEST_VOTERS:
        return None
    return effective_votes(row for row in map(outvoted, rows) if row is not None)


def outvoted(verdicts: Sequence[Hashable]) -> list[float] | None:
    """Who is outvoted by the other judges, 1 or 0 each; None where no verdict has more votes than every other.

    A tie among the others outvotes nobody: with the judge's own vote there is a majority.
    """
    ranked = Counter(verdicts).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return None
    return [float(verdict != ranked[0][0]) for verdict in verdicts]


def _complete(rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    found = list(rows)
    if len({len(row) for row in found}) > 1:
        raise ValueError("not as many judges for every sample: put None where a judge was silent")
    return [row for row in found if not any(map(is_missing, row))]


def _in_doubt(kinds: _Array) -> tuple[_Array, _Array]:
    """Samples that might as well have been seen: one on which all err, one on which a single judge does.

    Without them, errors that never met in a handful of samples would be called independent for certain.
    """
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    judges = kinds.shape[1]
    least, most = np.abs(kinds).min(0), np.abs(kinds).max(0)
    together, alone = np.stack([most, -most]), np.where(np.eye(judges, dtype=bool), most, -least)
    return np.concatenate([together, alone]), np.concatenate([[0.25, 0.25], np.full(judges, 0.5 / judges)])


def _mean_correlations(times: _Array, kinds: _Array) -> _Array:
    """Mean Pearson correlation over all pairs of judges, resample by resample; NaN where one does not vary."""
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    (total, judges), n = kinds.shape, times.sum(1)
    means = times @ kinds / n[:, None]
    products = (kinds[:, :, None] * kinds[:, None, :]).reshape(total, -1)
    joint = (times @ products / n[:, None]).reshape(-1, judges, judges) - means[:, :, None] * means[:, None, :]
    spread = np.sqrt(np.maximum(np.diagonal(joint, axis1=1, axis2=2), 0.0))
    scale = spread[:, :, None] * spread[:, None, :]
    found = np.full(joint.shape, np.nan)
    np.divide(joint, scale, out=found, where=scale > _NO_SPREAD)
    mean: _Array = (found.sum((1, 2)) - judges) / (judges * (judges - 1))
    return mean


def _votes(correlations: _Array, judges: int) -> _Array:
    import numpy as np  # noqa: PLC0415 - slow to import and few sessions need it

    worth: _Array = judges / (1 + (judges - 1) * np.clip(correlations, 0.0, 1.0))
    return worth
