"""Where a model's scores on a use case vary: from sample to sample, from trial to trial, from judge to judge.

Of a panel it is what its judges gave that is taken to pieces, else the scores of the trials. Samples count alike,
whatever their weights. Of trials that were left out early, all but those that every sample has are left out, too:
whether there were more depended on what the first ones said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.records import Trial
from pytest_llmbench.results.asked_samples import Asked, share_or_none
from pytest_llmbench.stats.components import Components, Source, panelled, repeated

_FEWEST_SAMPLES = 5
"""Of fewer nothing is told."""


@dataclass(frozen=True, slots=True)
class Variance:
    """Shares of the variance of single scores, 0 to 1; they add up to 1."""

    sample: float
    generation: float | None
    """None: each sample was asked once, and this is part of `sample`."""
    judge: float | None
    """None: there was no panel, and this is part of `generation`."""
    dominant: Source
    """The largest share: more of this kind help most."""
    samples: int


def variance_of(asked: Sequence[Asked]) -> Variance | None:
    """Of samples with trials or a panel.

    Args:
        asked: one model's samples, none of them damaged.

    Returns:
        None where there were neither trials nor a panel, too few samples, or all scores are the same.
    """
    samples = [each.found.trials for each in asked if each.value is not None and each.found.trials]
    if len(samples) < _FEWEST_SAMPLES:
        return None
    if any(each.found.stopped_of for each in asked):
        fewest = min(map(len, samples))
        samples = [trials[:fewest] for trials in samples]
    return _shares(_components(samples))


def _components(samples: Sequence[Sequence[Trial]]) -> Components | None:
    judges = list(dict.fromkeys(name for trials in samples for trial in trials for name in trial.judged))
    if len(judges) > 1:
        return panelled(
            [[[share_or_none(trial.judged.get(name)) for name in judges] for trial in trials] for trials in samples]
        )
    if all(len(trials) == 1 for trials in samples):
        return None
    return repeated([[[share_or_none(trial.value)] for trial in trials] for trials in samples])


def _shares(found: Components | None) -> Variance | None:
    if found is None or found.samples < _FEWEST_SAMPLES or found.dominant is None:
        return None
    shares = found.shares
    return Variance(shares["sample"], shares.get("generation"), shares.get("judge"), found.dominant, found.samples)
