"""The gates on one model and use case, told sample by sample, until their answer is certain.

Exact curtailment, see docs/explanation/sequential-stopping.md: the gates answer as they would have over all samples.
"""

from __future__ import annotations

from collections.abc import Iterable

from pytest_llmbench.results.asked_samples import Asked
from pytest_llmbench.stats.sequential import BoundRule, Curtailed, FixedRule

_TOLD = ("accept", "reject")


class GateStop:
    """The gates on one model and use case, told sample by sample.

    Args:
        limits: the pass rates that gates ask for, each above 0 and up to 1, and what has to keep them: `bound` or
            `value`.
        samples: how many there are.
    """

    def __init__(self, limits: Iterable[tuple[float, str]], samples: int) -> None:
        rules = [FixedRule(p0, samples, None) if by == "value" else BoundRule(p0, samples) for p0, by in limits]
        self._rules = [(Curtailed(rule), Curtailed(rule)) for rule in rules]
        self._samples = samples
        self._seen: set[str] = set()
        self._is_off = False
        self.reason = ""
        """Why the other samples are not asked; empty while they are."""

    def add(self, key: str, found: Asked) -> None:
        """One more sample. A test that is run once more may end otherwise: from then on all samples are asked."""
        self._is_off |= key in self._seen
        self._seen.add(key)
        if self._is_off or self.reason:
            return
        for told, without_advice in self._rules:
            told.add(found.passed)
            without_advice.add(found.bound_passed)
        if all(_is_decided(*both) for both in self._rules):
            self.reason = f"the gate is decided: {len(self._seen)} of {self._samples} samples were enough"


def _is_decided(told: Curtailed, without_advice: Curtailed) -> bool:
    """A gate that fails is also held against what is told without judges that only advise. That a gate will not be able
    to tell is no reason to stop: the correction over all gates of the run may tell then."""
    return told.decision == "accept" or (told.decision == "reject" and without_advice.decision in _TOLD)
